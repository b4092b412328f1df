/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Requests are in one list in the order of their deadlines, with one timer for the
 * first. When it fires, what has already arrived is read before anything is given up:
 * the loop may have been late, not Redis.
 *
 * A request belongs to its link: it is freed when its answer comes or the link ends.
 * One that was given up before (its callback has been called) waits in `late` for that.
 */

#include "cache/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/dlist.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/redis_url.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/timer.h"

#define NS_PER_MS	 UINT64_C(1000000)
#define CONNECT_MS	 1000 /* to resolve, connect and log in */
#define MAX_DEAF_PINGS	 3
#define MAX_QUEUED_BYTES ((size_t)16 << 20) /* of commands without an answer */
#define ADDRESS_MAX	 64		    /* bytes of a numeric address */

enum redis_state {
	REDIS_DOWN,	  /* waits for the retry timer */
	REDIS_CONNECTING, /* resolving, connecting */
	REDIS_GREETING,	  /* AUTH, SELECT, PING sent */
	REDIS_READY,
	REDIS_SICK, /* a command timed out; the connection is being probed */
	REDIS_CLOSED,
};

struct redis_request {
	struct dlist link; /* in pending or late */
	struct redis_call call;
	uint64_t sent_ns;
	size_t bytes; /* of the command */
	bool is_late; /* in late: its callback has been called */
};

struct redis {
	struct loop *loop;
	const struct redis_events *events;
	void *arg;
	struct metrics *metrics;
	struct redis_options options;
	struct redis_url url;
	enum redis_state state;
	struct resolve *resolve;
	struct redis_link *connection;
	struct timer *deadline; /* of the first of pending */
	struct timer *retry;	/* connect again, probe, or give up connecting */
	struct dlist pending;	/* waiting for an answer, first deadline first */
	struct dlist late;	/* given up, answer still owed */
	size_t n_requests;	/* in both */
	size_t n_bytes;		/* in both */
	uint64_t armed_ns;	/* deadline the timer stands at, 0: stopped */
	uint64_t probed_ns;	/* when the PING of SICK was sent, 0: none under way */
	unsigned n_deaf;	/* retries since that PING is without an answer */
	unsigned n_attempts;	/* to connect, ever; picks one of several addresses */
	unsigned n_links;	/* connections that got READY */
	struct log_limit log_limit;
	struct loop_task end; /* calls DONE and frees */
	void (*done)(void *arg);
	void *done_arg;
};

static void redis_connect(struct redis *redis);
static void redis_fail(struct redis *redis, unsigned reason, const char *why);

bool redis_is_ready(const struct redis *redis)
{
	return redis->state == REDIS_READY;
}

size_t redis_n_pending(const struct redis *redis)
{
	return redis->n_requests;
}

static void redis_gauges(struct redis *redis)
{
	bool ready = redis->state == REDIS_READY;
	metric_set(&redis->metrics->redis_up, ready ? 1 : 0);
	metric_set(&redis->metrics->redis_circuit_open,
		   ready || redis->state == REDIS_CLOSED ? 0 : 1);
	metric_set(&redis->metrics->redis_pending, redis->n_requests);
}

static void redis_move(struct redis *redis, enum redis_state to)
{
	require(redis->state != REDIS_CLOSED);
	redis->state = to;
	redis_gauges(redis);
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

/* Requests */

static void redis_arm(struct redis *redis)
{
	struct dlist *first = dlist_head(&redis->pending);
	if (first == NULL) {
		/* left running: a late tick costs less than stopping it each time */
		return;
	}
	uint64_t at = container_of(first, struct redis_request, link)->call.deadline_ns;
	if (redis->armed_ns != 0 && redis->armed_ns <= at) {
		return;
	}
	uint64_t now = clock_now_ns();
	uint64_t delay_ms = at > now ? (at - now + NS_PER_MS - 1) / NS_PER_MS : 1;
	redis->armed_ns = at;
	timer_start(redis->deadline, delay_ms, 0);
}

/* The request is in no list any more, or the whole list goes. */
static void request_free(struct redis *redis, struct redis_request *request)
{
	redis->n_requests--;
	redis->n_bytes -= request->bytes;
	metric_set(&redis->metrics->redis_pending, redis->n_requests);
	free(request);
}

/* Calls back everything that waits, without an answer.  The answers may still come,
 * unless the connection has ended.  Callbacks may send again: by now that is refused.
 */
static void redis_give_up(struct redis *redis, unsigned reason)
{
	require(redis->state != REDIS_READY);
	struct dlist *link;
	while ((link = dlist_pop_head(&redis->pending)) != NULL) {
		struct redis_request *request =
		    container_of(link, struct redis_request, link);
		dlist_push_tail(&redis->late, link);
		request->is_late = true;
		metric_add(&redis->metrics->redis_failures[reason], 1);
		if (request->call.fn != NULL) {
			request->call.fn(request->call.arg, NULL);
		}
	}
}

static void redis_forget_late(struct redis *redis)
{
	dlist_each (link, next, &redis->late) {
		request_free(redis, container_of(link, struct redis_request, link));
	}
	dlist_init(&redis->late);
	require(redis->n_requests == 0 && redis->n_bytes == 0);
}

static void redis_insert(struct redis *redis, struct redis_request *request)
{
	struct dlist *at = &redis->pending;
	while (at->prev != &redis->pending &&
	       container_of(at->prev, struct redis_request, link)->call.deadline_ns >
		   request->call.deadline_ns) {
		at = at->prev;
	}
	dlist_insert_before(at, &request->link);
}

static int redis_put(struct redis *redis, const struct span *args, size_t n_args,
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
		request->call.deadline_ns =
		    request->sent_ns + redis->options.timeout_ms * NS_PER_MS;
	}
	if (redis_link_send(redis->connection, args, n_args, request) < 0) {
		free(request);
		return -ENOMEM;
	}
	redis->n_requests++;
	redis->n_bytes += request->bytes;
	metric_add(&redis->metrics->redis_commands[call->command], 1);
	metric_set(&redis->metrics->redis_pending, redis->n_requests);
	redis_insert(redis, request);
	return 0;
}

bool redis_send(struct redis *redis, const struct span *args, size_t n_args,
		const struct redis_call *call)
{
	if (redis->state != REDIS_READY ||
	    redis->n_requests >= redis->options.max_pending ||
	    redis->n_bytes > MAX_QUEUED_BYTES) {
		return false;
	}
	if (redis_put(redis, args, n_args, call) < 0) {
		return false;
	}
	redis_arm(redis);
	return true;
}

static void redis_on_answer(void *owner, void *arg, const struct redis_answer *answer)
{
	struct redis *redis = owner;
	struct redis_request *request = arg;
	struct redis_call call = request->call;
	bool is_late = request->is_late;
	histogram_observe(&redis->metrics->redis_duration,
			  clock_now_ns() - request->sent_ns);
	dlist_remove(&request->link);
	request_free(redis, request);
	unsigned reason = METRIC_REDIS_OTHER;
	if (answer->kind == REDIS_ANSWER_ERROR) {
		reason = error_reason(answer->text);
		metric_add(&redis->metrics->redis_failures[reason], 1);
	}
	if (!is_late && call.fn != NULL) {
		call.fn(call.arg, answer);
	}
	bool is_wrong_server =
	    reason == METRIC_REDIS_READONLY || reason == METRIC_REDIS_LOADING;
	if (is_wrong_server && redis->state == REDIS_READY) {
		redis_fail(redis, reason, "it is read-only or still loading");
	}
}

/* Failure */

static void redis_log(struct redis *redis, const char *why)
{
	uint64_t suppressed;
	if (log_limit_pass(&redis->log_limit, &suppressed)) {
		log_warning(NULL, "Redis at %s is skipped for now: %s",
			    redis->url.host != NULL ? redis->url.host : redis->url.path,
			    why);
	}
}

/* The connection is of no use any more: try again later. */
static void redis_down(struct redis *redis, unsigned reason, const char *why)
{
	redis_log(redis, why);
	redis->connection = NULL;
	redis->probed_ns = 0;
	redis_move(redis, REDIS_DOWN);
	timer_start(redis->retry, redis->options.retry_ms, 0);
	redis_give_up(redis, reason);
	redis_forget_late(redis);
}

static void redis_fail(struct redis *redis, unsigned reason, const char *why)
{
	if (redis->resolve != NULL) {
		resolve_cancel(steal(&redis->resolve));
	}
	redis_link_close(redis->connection);
	redis_down(redis, reason, why);
}

/* A command took too long: leave Redis alone until a PING comes back in time. */
static void redis_sicken(struct redis *redis)
{
	redis_log(redis, "a command took longer than [redis] timeout");
	redis->probed_ns = 0;
	redis->n_deaf = 0;
	redis_move(redis, REDIS_SICK);
	timer_start(redis->retry, redis->options.retry_ms, redis->options.retry_ms);
	redis_give_up(redis, METRIC_REDIS_TIMEOUT);
}

static bool redis_is_overdue(const struct redis *redis)
{
	struct dlist *first = dlist_head(&redis->pending);
	return first != NULL &&
	       container_of(first, struct redis_request, link)->call.deadline_ns <=
		   clock_now_ns();
}

static void redis_on_deadline(void *arg)
{
	struct redis *redis = arg;
	redis->armed_ns = 0;
	if (redis->state == REDIS_READY && redis_is_overdue(redis)) {
		redis_link_read(redis->connection);
	}
	if (redis->state != REDIS_READY) {
		return;
	}
	if (redis_is_overdue(redis)) {
		redis_sicken(redis);
	} else {
		redis_arm(redis);
	}
}

static void redis_on_probe(void *arg, const struct redis_answer *answer)
{
	struct redis *redis = arg;
	if (answer == NULL || redis->state != REDIS_SICK) {
		return;
	}
	uint64_t took = clock_now_ns() - redis->probed_ns;
	redis->probed_ns = 0;
	redis->n_deaf = 0;
	if (took <= redis->options.timeout_ms * NS_PER_MS &&
	    answer->kind == REDIS_ANSWER_TEXT) {
		timer_stop(redis->retry);
		redis_move(redis, REDIS_READY);
		redis->events->ready(redis->arg, false);
	}
}

static void redis_probe(struct redis *redis)
{
	if (redis->probed_ns != 0) {
		if (++redis->n_deaf >= MAX_DEAF_PINGS) {
			redis_fail(redis, METRIC_REDIS_TIMEOUT, "no answer to PING");
		}
		return;
	}
	struct redis_call call = { .command = REDIS_COMMAND_PING,
				   .deadline_ns = UINT64_MAX, /* the retries count */
				   .fn = redis_on_probe,
				   .arg = redis };
	redis->probed_ns = clock_now_ns();
	if (redis_put(redis, &SPAN_LIT("PING"), 1, &call) < 0) {
		redis_fail(redis, METRIC_REDIS_OTHER, "no memory");
	}
}

static void redis_on_retry(void *arg)
{
	struct redis *redis = arg;
	if (redis->state == REDIS_DOWN) {
		redis_connect(redis);
	} else if (redis->state == REDIS_SICK) {
		redis_probe(redis);
	} else if (redis->state != REDIS_READY) {
		redis_fail(redis, METRIC_REDIS_CONNECT, "connecting took too long");
	}
}

/* Connecting */

static void redis_on_greeting(void *arg, const struct redis_answer *answer)
{
	struct redis *redis = arg;
	if (answer == NULL || redis->state != REDIS_GREETING) {
		return;
	}
	if (answer->kind == REDIS_ANSWER_ERROR) {
		char why[160];
		snprintf(why, sizeof(why), "%.*s", (int)answer->text.n,
			 (const char *)answer->text.p);
		redis_fail(redis, METRIC_REDIS_CONNECT, why);
		return;
	}
	if (!dlist_is_empty(&redis->pending)) {
		return; /* more of the greeting to come */
	}
	timer_stop(redis->retry);
	redis_move(redis, REDIS_READY);
	if (redis->n_links++ > 0) {
		metric_add(&redis->metrics->redis_reconnects, 1);
		log_log(NULL, "Redis is in use again");
	}
	redis->events->ready(redis->arg, true);
}

static int redis_greet(struct redis *redis, const struct span *args, size_t n_args,
		       enum redis_command command)
{
	struct redis_call call = { .command = command,
				   .deadline_ns =
				       UINT64_MAX, /* the retry timer watches */
				   .fn = redis_on_greeting,
				   .arg = redis };
	return redis_put(redis, args, n_args, &call);
}

static void redis_on_connected(void *owner)
{
	struct redis *redis = owner;
	const struct redis_url *url = &redis->url;
	int r = 0;
	redis_move(redis, REDIS_GREETING);
	if (url->password != NULL) {
		struct span auth[3] = { SPAN_LIT("AUTH") };
		size_t n = 1;
		if (url->user != NULL) {
			auth[n++] = span_str(url->user);
		}
		auth[n++] = span_str(url->password);
		r = redis_greet(redis, auth, n, REDIS_COMMAND_OTHER);
	}
	if (r == 0 && url->db != 0) {
		char db[16];
		snprintf(db, sizeof(db), "%u", url->db);
		struct span args[2] = { SPAN_LIT("SELECT"), span_str(db) };
		r = redis_greet(redis, args, 2, REDIS_COMMAND_OTHER);
	}
	if (r == 0) {
		r = redis_greet(redis, &SPAN_LIT("PING"), 1, REDIS_COMMAND_PING);
	}
	/* without memory for these the retry timer ends the attempt: here, inside
	 * hiredis's own callback, the connection may not be closed */
	if (r < 0) {
		log_error(NULL, "no memory to log in to Redis");
	}
}

static void redis_on_lost(void *owner, const char *why)
{
	struct redis *redis = owner;
	bool was_up = redis->state == REDIS_READY || redis->state == REDIS_SICK;
	if (!was_up) {
		metric_add(&redis->metrics->redis_failures[METRIC_REDIS_CONNECT], 1);
	}
	redis_down(redis, was_up ? METRIC_REDIS_OTHER : METRIC_REDIS_CONNECT, why);
}

static const struct redis_link_events link_events = {
	.connected = redis_on_connected,
	.answer = redis_on_answer,
	.lost = redis_on_lost,
};

static void redis_open(struct redis *redis, const char *host)
{
	struct redis_place place = { .host = host,
				     .path = redis->url.path,
				     .port = redis->url.port };
	int r = redis_link_open(redis->loop, &place, redis->options.max_reply,
				&link_events, redis, &redis->connection);
	if (r < 0) {
		metric_add(&redis->metrics->redis_failures[METRIC_REDIS_CONNECT], 1);
		redis_down(redis, METRIC_REDIS_CONNECT, strerror(-r));
	}
}

/* The N-th of the comma-separated addresses, counting round. */
static void pick_address(const char *addresses, unsigned n, char *out, size_t size)
{
	unsigned count = 1;
	for (const char *p = addresses; *p != '\0'; p++) {
		count += *p == ',';
	}
	for (n %= count; n > 0; n--) {
		addresses = strchr(addresses, ',') + 1;
	}
	snprintf(out, size, "%.*s", (int)strcspn(addresses, ","), addresses);
}

static void redis_on_resolved(void *arg, const char *addresses, const char *error)
{
	struct redis *redis = arg;
	redis->resolve = NULL;
	if (addresses == NULL) {
		metric_add(&redis->metrics->redis_failures[METRIC_REDIS_CONNECT], 1);
		redis_down(redis, METRIC_REDIS_CONNECT, error);
		return;
	}
	char address[ADDRESS_MAX];
	pick_address(addresses, redis->n_attempts, address, sizeof(address));
	redis_open(redis, address);
}

static void redis_connect(struct redis *redis)
{
	redis->n_attempts++;
	redis_move(redis, REDIS_CONNECTING);
	timer_start(redis->retry, CONNECT_MS, 0);
	if (redis->url.host == NULL) {
		redis_open(redis, NULL);
		return;
	}
	int r = resolve_start(redis->loop, redis->url.host, redis_on_resolved, redis,
			      &redis->resolve);
	if (r < 0) {
		redis_down(redis, METRIC_REDIS_CONNECT, strerror(-r));
	}
}

/* Life */

static void redis_free(struct redis *redis)
{
	timer_close(redis->deadline);
	timer_close(redis->retry);
	redis_url_fini(&redis->url);
	free(redis);
}

static void redis_on_end(struct loop_task *task)
{
	struct redis *redis = container_of(task, struct redis, end);
	void (*done)(void *arg) = redis->done;
	void *done_arg = redis->done_arg;
	redis_free(redis);
	if (done != NULL) {
		done(done_arg);
	}
}

int redis_new(const struct redis_setup *setup, const struct redis_options *options,
	      struct redis **out)
{
	struct redis *redis = calloc(1, sizeof(*redis));
	if (redis == NULL) {
		return -ENOMEM;
	}
	redis->loop = setup->loop;
	redis->options = *options;
	redis->events = setup->events;
	redis->arg = setup->arg;
	redis->metrics = setup->metrics;
	dlist_init(&redis->pending);
	dlist_init(&redis->late);
	loop_task_init(&redis->end, redis_on_end);
	int r = redis_url_init(&redis->url, setup->url);
	if (r == REDIS_URL_E_INVALID) {
		r = -EINVAL;
	}
	if (r == 0) {
		r = timer_new(redis->loop, redis_on_deadline, redis, &redis->deadline);
	}
	if (r == 0) {
		r = timer_new(redis->loop, redis_on_retry, redis, &redis->retry);
	}
	if (r < 0) {
		redis_free(redis);
		return r;
	}
	redis_connect(redis);
	*out = redis;
	return 0;
}

void redis_configure(struct redis *redis, const struct redis_options *options)
{
	redis->options = *options;
}

void redis_reconnect(struct redis *redis, const char *why)
{
	if (redis->state == REDIS_READY) {
		redis_fail(redis, METRIC_REDIS_OTHER, why);
	}
}

void redis_close(struct redis *redis, void (*done)(void *arg), void *arg)
{
	if (redis->resolve != NULL) {
		resolve_cancel(steal(&redis->resolve));
	}
	redis_link_close(steal(&redis->connection));
	timer_stop(redis->deadline);
	timer_stop(redis->retry);
	redis_move(redis, REDIS_CLOSED);
	redis_give_up(redis, METRIC_REDIS_OTHER);
	redis_forget_late(redis);
	redis->done = done;
	redis->done_arg = arg;
	loop_task_add(redis->loop, &redis->end);
}
