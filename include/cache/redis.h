#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* One worker's connection to Redis: commands are pipelined, each has a deadline, and
 * what goes wrong costs a callback without an answer, never a wait.
 *
 *                 resolve, connect    AUTH, SELECT, PING
 *   DOWN ──retry──> CONNECTING ──────────> GREETING ─────────> READY
 *    ^                   │                     │               │ │ ^
 *    │                   │                     │               │ │ │
 *    │                   │                     │      time-out │ v │ PONG in time
 *    └───────────────────┴────── failure ──────┴───────────────┴ SICK
 *
 * Only READY takes commands.  SICK keeps the connection, drops late answers, and sends
 * a PING every retry; three of those without an answer are a failure.  What the
 * commands mean is cache/remote.h's affair. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "cache/redis_link.h"

struct loop;
struct metrics;
struct redis;

struct redis_options {
	uint64_t timeout_ms; /* of a command */
	uint64_t retry_ms;   /* pause after a failure */
	size_t max_pending;  /* commands without an answer */
	size_t max_reply;    /* bytes of one answer */
};

/* ANSWER is NULL when there is none: time-out, connection lost, closing.  It is valid
 * during the call.  Called once, never from inside redis_send(). */
typedef void (*redis_answer_fn)(void *arg, const struct redis_answer *answer);

struct redis_events {
	/* READY was entered, on a connection that is new or has been SICK. */
	void (*ready)(void *arg, bool is_new_link);
};

/* For the metrics. */
enum redis_command {
	REDIS_COMMAND_GET,
	REDIS_COMMAND_SET,
	REDIS_COMMAND_PING,
	REDIS_COMMAND_OTHER,
};

/* How a command is to be sent. */
struct redis_call {
	enum redis_command command;
	uint64_t deadline_ns; /* clock_now_ns(); 0: now plus the time-out */
	redis_answer_fn fn;   /* may be NULL: fire and forget */
	void *arg;
};

struct redis_setup {
	struct loop *loop;
	const char *url;
	const struct redis_events *events; /* outlives the object */
	void *arg;			   /* of the events */
	struct metrics *metrics;	   /* the worker's shard */
};

/* Begins to connect.  0, -ENOMEM, or -EINVAL for a bad URL. */
int redis_new(const struct redis_setup *setup, const struct redis_options *options,
	      struct redis **out) MUST_CHECK;
/* Calls back everything without an answer, then, on a later turn, DONE; the object is
 * gone after that. */
void redis_close(struct redis *redis, void (*done)(void *arg), void *arg);
/* Other limits from now on. */
void redis_configure(struct redis *redis, const struct redis_options *options);
/* Drops the connection, which leads to the wrong place, and makes another after the
 * retry pause. */
void redis_reconnect(struct redis *redis, const char *why);
bool redis_is_ready(const struct redis *redis);
/* Sends one command.  False when the connection is not ready, too much waits already or
 * there is no memory: the callback is not called. */
bool redis_send(struct redis *redis, const struct span *args, size_t n_args,
		const struct redis_call *call) MUST_CHECK;
/* Commands without an answer. */
size_t redis_n_pending(const struct redis *redis);
