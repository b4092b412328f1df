/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/redis_requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/redis.h"
#include "cache/redis_link.h"

struct redis_request {
	struct dlist link; /* in pending or late */
	struct redis_call call;
	uint64_t sent_ns;
	size_t bytes; /* of the command */
	bool is_late; /* in late: its callback has been called */
};

void redis_requests_init(struct redis_requests *requests, struct metrics *metrics)
{
	*requests = (struct redis_requests){ .metrics = metrics };
	dlist_init(&requests->pending);
	dlist_init(&requests->late);
}

static struct redis_request *request_of(struct dlist *link)
{
	return container_of(link, struct redis_request, link);
}

static void requests_insert(struct redis_requests *requests,
			    struct redis_request *request)
{
	struct dlist *at = &requests->pending;
	while (at->prev != &requests->pending &&
	       request_of(at->prev)->call.deadline_ns > request->call.deadline_ns) {
		at = at->prev;
	}
	dlist_insert_before(at, &request->link);
}

int redis_requests_put(struct redis_requests *requests, struct redis_link *link,
		       const struct span *args, size_t n_args,
		       const struct redis_call *call)
{
	struct redis_request *request = malloc(sizeof(*request));
	if (request == NULL) {
		return -ENOMEM;
	}
	*request = (struct redis_request){ .call = *call, .sent_ns = clock_now_ns() };
	dlist_init(&request->link);
	for (size_t i = 0; i < n_args; i++) {
		request->bytes += args[i].n;
	}
	if (call->deadline_ns == 0) {
		request->call.deadline_ns = request->sent_ns + requests->timeout_ns;
	}
	if (redis_link_send(link, args, n_args, request) < 0) {
		free(request);
		return -ENOMEM;
	}
	requests->n++;
	requests->n_bytes += request->bytes;
	metric_add(&requests->metrics->redis_commands[call->command], 1);
	metric_set(&requests->metrics->redis_pending, requests->n);
	requests_insert(requests, request);
	return 0;
}

/* The request is in no list any more, or the whole list goes. */
static void request_free(struct redis_requests *requests, struct redis_request *request)
{
	requests->n--;
	requests->n_bytes -= request->bytes;
	metric_set(&requests->metrics->redis_pending, requests->n);
	free(request);
}

/* Which row of the failures metric an error text counts as. */
static unsigned error_reason(struct span text)
{
	static const struct {
		const char *word;
		unsigned reason;
	} words[] = {
		{ "OOM ", METRIC_REDIS_OOM },
		{ "READONLY ", METRIC_REDIS_READONLY },
		{ "LOADING ", METRIC_REDIS_LOADING },
	};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t n = strlen(words[i].word);
		if (text.n >= n && memcmp(text.p, words[i].word, n) == 0) {
			return words[i].reason;
		}
	}
	return METRIC_REDIS_OTHER;
}

unsigned redis_requests_answer(struct redis_requests *requests, void *arg,
			       const struct redis_answer *answer)
{
	struct redis_request *request = arg;
	struct redis_call call = request->call;
	bool is_late = request->is_late;
	histogram_observe(&requests->metrics->redis_duration,
			  clock_now_ns() - request->sent_ns);
	dlist_remove(&request->link);
	request_free(requests, request);
	unsigned reason = METRIC_REDIS_OTHER;
	if (answer->kind == REDIS_ANSWER_ERROR) {
		reason = error_reason(answer->text);
		metric_add(&requests->metrics->redis_failures[reason], 1);
	}
	if (!is_late && call.fn != NULL) {
		call.fn(call.arg, answer);
	}
	return reason;
}

void redis_requests_give_up(struct redis_requests *requests, unsigned reason)
{
	struct dlist *link;
	while ((link = dlist_pop_head(&requests->pending)) != NULL) {
		struct redis_request *request = request_of(link);
		dlist_push_tail(&requests->late, link);
		request->is_late = true;
		metric_add(&requests->metrics->redis_failures[reason], 1);
		if (request->call.fn != NULL) {
			request->call.fn(request->call.arg, NULL);
		}
	}
}

void redis_requests_forget(struct redis_requests *requests)
{
	dlist_each (link, next, &requests->late) {
		request_free(requests, request_of(link));
	}
	dlist_init(&requests->late);
	require(requests->n == 0 && requests->n_bytes == 0);
}

uint64_t redis_requests_deadline(const struct redis_requests *requests)
{
	struct dlist *first = dlist_head(&requests->pending);
	return first ? request_of(first)->call.deadline_ns : UINT64_MAX;
}

bool redis_requests_are_pending(const struct redis_requests *requests)
{
	return !dlist_is_empty(&requests->pending);
}
