#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the tests of upstream share: a loop with a limit, and one connect. */

#include "net/loop.h"
#include "net/timer.h"
#include "upstream/connect.h"

struct attempt {
	struct loop *loop;
	struct connect *connect;
	struct server_socket *socket;
	struct timer *limit;
	int n_calls;
	bool is_late; /* the limit stopped the loop */
	char reason[32];
	char sqlstate[8];
	char message[300];
};

/* postgres@127.0.0.1 of the private server. */
struct connect_options fixture_options(void);
void attempt_begin(struct attempt *attempt, const struct connect_options *options);
/* Runs the loop until loop_stop(), at most 10 s. */
void attempt_run(struct attempt *attempt);
/* begin, run, and it must have connected. */
void attempt_connect(struct attempt *attempt, const struct connect_options *options);
void attempt_end(struct attempt *attempt);
/* The single value that SQL gives, asked on a connection of its own; valid until the
 * next call. */
const char *fixture_ask(const char *sql);
