/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "tests/unit/upstream/fixture.h"

#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <libpq-fe.h>
#include <stdio.h>

#include "tests/lib/private_postgres.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
	private_postgres_start();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	private_postgres_stop();
}

struct connect_options fixture_options(void)
{
	return (struct connect_options){ .host = "127.0.0.1",
					 .port = private_postgres_port(),
					 .dbname = "postgres",
					 .user = "postgres",
					 .sslmode = "disable",
					 .application_name = "fixture",
					 .timeout_ms = 5000 };
}

static void on_connect(void *arg, struct server_socket *socket,
		       const struct connect_error *error)
{
	struct attempt *attempt = arg;
	attempt->n_calls++;
	attempt->socket = socket;
	attempt->connect = NULL;
	if (error != NULL) {
		(void)snprintf(attempt->reason, sizeof(attempt->reason), "%s",
			       error->reason);
		(void)snprintf(attempt->sqlstate, sizeof(attempt->sqlstate), "%s",
			       error->sqlstate);
		(void)snprintf(attempt->message, sizeof(attempt->message), "%s",
			       error->message);
	}
	loop_stop(attempt->loop);
}

static void on_limit(void *arg)
{
	struct attempt *attempt = arg;
	attempt->is_late = true;
	loop_stop(attempt->loop);
}

void attempt_begin(struct attempt *attempt, const struct connect_options *options)
{
	*attempt = (struct attempt){ .loop = NULL };
	cr_assert_eq(loop_new(65536, &attempt->loop), 0);
	cr_assert_eq(timer_new(attempt->loop, on_limit, attempt, &attempt->limit), 0);
	cr_assert_eq(connect_start(attempt->loop, options, on_connect, attempt,
				   &attempt->connect),
		     0);
	cr_assert_eq(attempt->n_calls, 0);
}

void attempt_run(struct attempt *attempt)
{
	timer_start(attempt->limit, 10000, 0);
	loop_run(attempt->loop);
	timer_stop(attempt->limit);
	cr_assert_not(attempt->is_late);
}

void attempt_connect(struct attempt *attempt, const struct connect_options *options)
{
	attempt_begin(attempt, options);
	attempt_run(attempt);
	cr_assert_eq(attempt->n_calls, 1);
	cr_assert_not_null(attempt->socket, "%s", attempt->message);
}

void attempt_end(struct attempt *attempt)
{
	server_socket_close(attempt->socket);
	timer_close(attempt->limit);
	loop_free(attempt->loop);
}

const char *fixture_ask(const char *sql)
{
	static char value[256];
	char conninfo[256];
	(void)snprintf(
	    conninfo, sizeof(conninfo), "host=%s port=%u user=postgres dbname=postgres",
	    private_postgres_socket_dir(), (unsigned)private_postgres_port());
	PGconn *conn = PQconnectdb(conninfo);
	PGresult *result = PQexec(conn, sql);
	cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s",
		     PQerrorMessage(conn));
	(void)snprintf(value, sizeof(value), "%s",
		       PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	PQfinish(conn);
	return value;
}
