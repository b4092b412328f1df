/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One timer stands at the first deadline of the requests.  When it fires, what has
 * already arrived is read before anything is given up: the loop may have been late, not
 * Redis. */

#include "cache/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/redis_requests.h"
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
	struct redis_requests requests;
	struct timer *deadline; /* of the first of them */
	struct timer *retry;	/* connect again, probe, or give up connecting */
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
	return redis->requests.n;
}

static void redis_gauges(struct redis *redis)
{
	bool ready = redis->state == REDIS_READY;
	metric_set(&redis->metrics->redis_up, ready ? 1 : 0);
	metric_set(&redis->metrics->redis_circuit_open,
		   ready || redis->state == REDIS_CLOSED ? 0 : 1);
}

static void redis_move(struct redis *redis, enum redis_state to)
{
	require(redis->state != REDIS_CLOSED);
	redis->state = to;
	redis_gauges(redis);
}

/* Requests */

static void redis_arm(struct redis *redis)
{
	uint64_t at = redis_requests_deadline(&redis->requests);
	if (at == UINT64_MAX) {
		/* left running: a late tick costs less than stopping it each time */
		return;
	}
	if (redis->armed_ns != 0 && redis->armed_ns <= at) {
		return;
	}
	uint64_t now = clock_now_ns();
	uint64_t delay_ms = at > now ? (at - now + NS_PER_MS - 1) / NS_PER_MS : 1;
	redis->armed_ns = at;
	timer_start(redis->deadline, delay_ms, 0);
}

/* Calls back everything that waits, without an answer.  The answers may still come,
 * unless the connection has ended. */
static void redis_give_up(struct redis *redis, unsigned reason)
{
	require(redis->state != REDIS_READY); /* so that nothing is sent meanwhile */
	redis_requests_give_up(&redis->requests, reason);
}

static int redis_put(struct redis *redis, const struct span *args, size_t n_args,
		     const struct redis_call *call)
{
	return redis_requests_put(&redis->requests, redis->connection, args, n_args,
				  call);
}

bool redis_send(struct redis *redis, const struct span *args, size_t n_args,
		const struct redis_call *call)
{
	if (redis->state != REDIS_READY ||
	    redis->requests.n >= redis->options.max_pending ||
	    redis->requests.n_bytes > MAX_QUEUED_BYTES) {
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
	unsigned reason = redis_requests_answer(&redis->requests, arg, answer);
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
	redis_requests_forget(&redis->requests);
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
	return redis_requests_deadline(&redis->requests) <= clock_now_ns();
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
	if (redis_requests_are_pending(&redis->requests)) {
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

void redis_configure(struct redis *redis, const struct redis_options *options)
{
	redis->options = *options;
	redis->requests.timeout_ns = options->timeout_ms * NS_PER_MS;
}

int redis_new(const struct redis_setup *setup, const struct redis_options *options,
	      struct redis **out)
{
	struct redis *redis = calloc(1, sizeof(*redis));
	if (redis == NULL) {
		return -ENOMEM;
	}
	redis->loop = setup->loop;
	redis->events = setup->events;
	redis->arg = setup->arg;
	redis->metrics = setup->metrics;
	redis_requests_init(&redis->requests, setup->metrics);
	redis_configure(redis, options);
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
	redis_requests_forget(&redis->requests);
	redis->done = done;
	redis->done_arg = arg;
	loop_task_add(redis->loop, &redis->end);
}
