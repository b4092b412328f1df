/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 *   DOWN ──question──> CONNECTING ──> SETUP ──> READY <──> BUSY
 *    ^ └── backing off ──┘               (settings)   (one question)
 *    └──────────── connection lost, refused or given up ───────────┘
 *
 * A question that finds a dead connection and has given no row yet is asked once more:
 * all of them only read.  While the connection cannot be made, the questions that wait
 * are answered with the error at once, and the next ones wait for the end of the
 * back-off. */

#include "upstream/asker.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dlist.h"
#include "base/sqlstate.h"
#include "net/loop.h"
#include "net/timer.h"
#include "net/tls.h"
#include "net/watch.h"

#define ASKER_WAITING_MAX    64
#define ASKER_PARAMS_MAX     8
#define ASKER_COLUMNS_MAX    64
#define ASKER_BACKOFF_MS     100
#define ASKER_BACKOFF_MAX_MS 5000
#define ASKER_GRACE_MS	     2000 /* after statement_timeout, for an answer to arrive */
#define ASKER_ERROR_MAX	     256

enum asker_state {
	ASKER_DOWN,	  /* no connection; perhaps backing off */
	ASKER_CONNECTING, /* connect_start() is under way */
	ASKER_SETUP,	  /* the settings of the session are under way */
	ASKER_READY,	  /* nothing is under way */
	ASKER_BUSY,	  /* the first question is under way */
	ASKER_CLOSED,
};

struct question {
	struct dlist link;
	char *sql;			/* owned */
	char *params[ASKER_PARAMS_MAX]; /* owned; NULL for NULL */
	size_t n_params;
	asker_row_fn row; /* may be NULL */
	asker_done_fn done;
	void *arg;
	bool has_rows; /* some were given: it cannot be asked again */
	bool is_again; /* it is asked for the second time */
	bool has_error;
	char error[ASKER_ERROR_MAX];
	char sqlstate[SQLSTATE_SIZE]; /* of the error; "": none known */
};

struct asker {
	struct loop *loop;
	struct connect_options options; /* its strings are owned */
	uint32_t timeout_ms;		/* of a statement; 0: none */
	enum asker_state state;
	struct connect *connect;      /* in CONNECTING */
	struct server_socket *socket; /* in SETUP, READY, BUSY; owned */
	PGconn *conn;		      /* the socket's */
	struct watch *watch;	      /* on fd; owned */
	int fd;			      /* of our own on the connection, or -1; owned */
	struct timer *timer;	      /* end of the back-off, or limit of a question */
	struct dlist questions;	      /* the first is under way in BUSY; owned */
	size_t n_questions;
	uint64_t n_sessions;
	uint64_t backoff_ms;	      /* 0: the last connection was fine */
	uint64_t next_try_ms;	      /* clock_now_ms() */
	char sqlstate[SQLSTATE_SIZE]; /* of the last error; "": none known */
	asker_heard_fn heard;	      /* of notifications; NULL: nobody asks for them */
	asker_lost_fn lost;
	void *listen_arg;
	struct loop_task free_task;
};

static void asker_step(struct asker *asker);

/* Questions */

static void question_free(struct question *q)
{
	free(q->sql);
	for (size_t i = 0; i < q->n_params; i++) {
		free(q->params[i]);
	}
	free(q);
}

static struct question *question_new(const struct asker_question *asked)
{
	struct question *q = calloc(1, sizeof(*q));
	if (q == NULL) {
		return NULL;
	}
	dlist_init(&q->link);
	q->sql = strdup(asked->sql);
	bool ok = q->sql != NULL;
	for (size_t i = 0; i < asked->n_params; i++) {
		const char *param = asked->params[i];
		q->params[i] = param != NULL ? strdup(param) : NULL;
		ok = ok && (param == NULL || q->params[i] != NULL);
	}
	q->n_params = asked->n_params;
	q->row = asked->row;
	q->done = asked->done;
	q->arg = asked->arg;
	if (!ok) {
		question_free(q);
		return NULL;
	}
	return q;
}

static struct question *asker_first(const struct asker *asker)
{
	struct dlist *l = dlist_head(&asker->questions);
	return l != NULL ? container_of(l, struct question, link) : NULL;
}

/* Careful: the callback may close the asker (its memory stays until the end of the
 * turn). */
static void asker_finish(struct asker *asker, struct question *q, const char *error)
{
	dlist_remove(&q->link);
	asker->n_questions--;
	if (q->has_error) {
		memcpy(asker->sqlstate, q->sqlstate, sizeof(asker->sqlstate));
	}
	q->done(q->arg, error);
	question_free(q);
}

/* Tells those that wait now; what their callbacks ask is not among them. */
static void asker_finish_all(struct asker *asker, const char *error)
{
	for (size_t n = asker->n_questions; n > 0; n--) {
		struct question *q = asker_first(asker);
		if (q == NULL) {
			return;
		}
		asker_finish(asker, q, error);
	}
}

static void asker_set_sqlstate(char *to, size_t size, const char *sqlstate)
{
	(void)snprintf(to, size, "%s", sqlstate != NULL ? sqlstate : "");
}

/* One line of libpq's text; the rest says where in the source it was. */
static void asker_note_error(struct question *q, const char *text, const char *sqlstate)
{
	if (q->has_error) {
		return;
	}
	q->has_error = true;
	asker_set_sqlstate(q->sqlstate, sizeof(q->sqlstate), sqlstate);
	(void)snprintf(q->error, sizeof(q->error), "%.*s", (int)strcspn(text, "\r\n"),
		       text);
}

/* The connection */

static void asker_disconnect(struct asker *asker)
{
	watch_close(steal(&asker->watch));
	if (asker->fd >= 0) {
		close(asker->fd);
		asker->fd = -1;
	}
	asker->conn = NULL;
	server_socket_close(steal(&asker->socket));
	timer_stop(asker->timer);
	asker->state = ASKER_DOWN;
}

static void asker_back_off(struct asker *asker)
{
	uint64_t ms = asker->backoff_ms == 0 ? ASKER_BACKOFF_MS : asker->backoff_ms * 2;
	asker->backoff_ms = ms < ASKER_BACKOFF_MAX_MS ? ms : ASKER_BACKOFF_MAX_MS;
	asker->next_try_ms = clock_now_ms() + asker->backoff_ms;
}

/* The connection broke, or cannot be used any more. */
static void asker_lost(struct asker *asker, const char *text)
{
	enum asker_state was = asker->state;
	char error[ASKER_ERROR_MAX];
	(void)snprintf(error, sizeof(error), "%.*s", (int)strcspn(text, "\r\n"), text);
	asker_disconnect(asker);
	asker_set_sqlstate(asker->sqlstate, sizeof(asker->sqlstate), NULL);
	if (asker->lost != NULL && (was == ASKER_READY || was == ASKER_BUSY)) {
		asker->lost(asker->listen_arg, error);
	}
	struct question *q = was == ASKER_BUSY ? asker_first(asker) : NULL;
	if (was == ASKER_SETUP) {
		asker_back_off(asker);
		asker_finish_all(asker, error);
	} else if (q != NULL && !q->has_rows && !q->is_again) {
		q->is_again = true;
		q->has_error = false;
	} else if (q != NULL) {
		asker_finish(asker, q, q->has_error ? q->error : error);
	}
	asker_step(asker);
}

static bool asker_flush(struct asker *asker)
{
	int left = PQflush(asker->conn);
	if (left < 0) {
		return false;
	}
	watch_set(asker->watch, left > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
	return true;
}

/* Returns false when the asker was closed by the callback. */
static bool asker_give_row(struct asker *asker, struct question *q,
			   const PGresult *result)
{
	const char *values[ASKER_COLUMNS_MAX];
	int n = PQnfields(result);
	if (n > ASKER_COLUMNS_MAX) {
		asker_note_error(q, "too many columns", NULL);
		return true;
	}
	for (int i = 0; i < n; i++) {
		values[i] = PQgetisnull(result, 0, i) ? NULL : PQgetvalue(result, 0, i);
	}
	q->has_rows = true;
	if (q->row != NULL && !q->has_error) {
		q->row(q->arg, values, (size_t)n);
	}
	return asker->state != ASKER_CLOSED;
}

/* Returns false when the connection must not be read on: closed, or lost. */
static bool asker_take_result(struct asker *asker, const PGresult *result)
{
	struct question *q = asker->state == ASKER_BUSY ? asker_first(asker) : NULL;
	ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_SINGLE_TUPLE) {
		return q == NULL || asker_give_row(asker, q, result);
	}
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
	    status == PGRES_EMPTY_QUERY) {
		return true;
	}
	const char *text = PQresultErrorMessage(result);
	if (q == NULL || status != PGRES_FATAL_ERROR) {
		/* settings refused, or a COPY: nothing we ask */
		asker_lost(asker, text[0] != '\0' ? text : "unexpected answer");
		return false;
	}
	asker_note_error(q, text, PQresultErrorField(result, PG_DIAG_SQLSTATE));
	return true;
}

/* All results of what was sent are in. */
static void asker_answered(struct asker *asker)
{
	timer_stop(asker->timer);
	if (PQstatus(asker->conn) == CONNECTION_BAD) {
		/* after a FATAL, which came as a result like any other */
		asker_lost(asker, PQerrorMessage(asker->conn));
		return;
	}
	struct question *q = asker->state == ASKER_BUSY ? asker_first(asker) : NULL;
	asker->n_sessions += asker->state == ASKER_SETUP;
	asker->state = ASKER_READY;
	asker->backoff_ms = 0;
	if (q != NULL) {
		asker_finish(asker, q, q->has_error ? q->error : NULL);
	}
	asker_step(asker);
}

/* Reads what OpenSSL has received and libpq has not read: no event will tell of it.
 * False: nothing. */
static bool asker_has_more(struct asker *asker)
{
	void *ssl = server_socket_ssl(asker->socket);
	return ssl != NULL && tls_is_pending(ssl) && PQconsumeInput(asker->conn) != 0;
}

static void asker_read(struct asker *asker)
{
	if (PQconsumeInput(asker->conn) == 0 || !asker_flush(asker)) {
		asker_lost(asker, PQerrorMessage(asker->conn));
		return;
	}
	while (asker->state == ASKER_SETUP || asker->state == ASKER_BUSY) {
		if (PQisBusy(asker->conn)) {
			if (asker_has_more(asker)) {
				continue;
			}
			return;
		}
		PGresult *result = PQgetResult(asker->conn);
		if (result == NULL) {
			asker_answered(asker);
			return;
		}
		bool go_on = asker_take_result(asker, result);
		PQclear(result);
		if (!go_on) {
			return;
		}
	}
}

/* What asker_read() has read, whatever it did then: an answer and notifications may
 * come together, and nothing else would wake us up. */
static void asker_read_notifications(struct asker *asker)
{
	PGnotify *notify;
	while (asker->conn != NULL && (notify = PQnotifies(asker->conn)) != NULL) {
		if (asker->heard != NULL) {
			asker->heard(asker->listen_arg, notify->relname,
				     (uint32_t)notify->be_pid, notify->extra);
		}
		PQfreemem(notify);
	}
}

static void asker_on_watch(void *arg, int events, int err)
{
	struct asker *asker = arg;
	asker_read(asker);
	asker_read_notifications(asker);
}

/* Sending */

static void asker_arm_limit(struct asker *asker)
{
	if (asker->timeout_ms != 0) {
		timer_start(asker->timer, (uint64_t)asker->timeout_ms + ASKER_GRACE_MS,
			    0);
	}
}

/* No server setting, and no object in front of pg_catalog, changes what we read. */
static bool asker_send_setup(struct asker *asker)
{
	char sql[256];
	(void)snprintf(sql, sizeof(sql),
		       "SET search_path = ''; SET statement_timeout = %u;"
		       " SET client_encoding = 'UTF8';"
		       " SET default_transaction_read_only = on",
		       (unsigned)asker->timeout_ms);
	asker->state = ASKER_SETUP;
	asker_arm_limit(asker);
	return PQsendQuery(asker->conn, sql) == 1 && asker_flush(asker);
}

static bool asker_send_question(struct asker *asker, struct question *q)
{
	asker->state = ASKER_BUSY;
	asker_arm_limit(asker);
	return PQsendQueryParams(asker->conn, q->sql, (int)q->n_params, NULL,
				 (const char *const *)q->params, NULL, NULL, 0) == 1 &&
	       PQsetSingleRowMode(asker->conn) == 1 && asker_flush(asker);
}

static void asker_on_connect(void *arg, struct server_socket *socket,
			     const struct connect_error *error)
{
	struct asker *asker = arg;
	asker->connect = NULL;
	asker->state = ASKER_DOWN;
	if (socket == NULL) {
		asker_back_off(asker);
		asker_set_sqlstate(asker->sqlstate, sizeof(asker->sqlstate),
				   error->sqlstate);
		asker_finish_all(asker, error->message);
		asker_step(asker);
		return;
	}
	asker->socket = socket;
	asker->conn = server_socket_libpq(socket);
	(void)PQsetErrorVerbosity(asker->conn, PQERRORS_DEFAULT);
	asker->state = ASKER_SETUP;
	/* libpq closes its descriptor as soon as it reads of the end, when the watch is
	 * still there; the number may be another thread's at once */
	asker->fd = fcntl(server_socket_fd(socket), F_DUPFD_CLOEXEC, 0);
	if (asker->fd < 0 || watch_new(asker->loop, asker->fd, asker_on_watch, asker,
				       &asker->watch) < 0) {
		asker_lost(asker, "cannot watch the socket");
	} else if (!asker_send_setup(asker)) {
		asker_lost(asker, PQerrorMessage(asker->conn));
	}
}

static void asker_connect(struct asker *asker)
{
	uint64_t now_ms = clock_now_ms();
	if (now_ms < asker->next_try_ms) {
		timer_start(asker->timer, asker->next_try_ms - now_ms, 0);
		return;
	}
	asker->state = ASKER_CONNECTING;
	if (connect_start(asker->loop, &asker->options, asker_on_connect, asker,
			  &asker->connect) < 0) {
		asker->state = ASKER_DOWN;
		asker_back_off(asker);
		timer_start(asker->timer, asker->backoff_ms, 0);
	}
}

/* Does what comes next, if anything waits. */
static void asker_step(struct asker *asker)
{
	struct question *q = asker_first(asker);
	if (q == NULL || asker->state == ASKER_CLOSED) {
		return;
	}
	if (asker->state == ASKER_DOWN) {
		asker_connect(asker);
	} else if (asker->state == ASKER_READY && !asker_send_question(asker, q)) {
		asker_lost(asker, PQerrorMessage(asker->conn));
	}
}

static void asker_on_timer(void *arg)
{
	struct asker *asker = arg;
	if (asker->state == ASKER_SETUP || asker->state == ASKER_BUSY) {
		struct question *q = asker_first(asker);
		if (q != NULL) {
			q->is_again = true; /* it has had its time */
		}
		asker_lost(asker, "the server did not answer in time");
		return;
	}
	asker_step(asker);
}

/* Life */

static void asker_free(struct loop_task *task)
{
	struct asker *asker = container_of(task, struct asker, free_task);
	connect_options_fini(&asker->options);
	free(asker);
}

int asker_new(struct loop *loop, const struct connect_options *options,
	      uint32_t timeout_ms, struct asker **out)
{
	require(loop != NULL && options != NULL && out != NULL);
	struct asker *asker = calloc(1, sizeof(*asker));
	if (asker == NULL) {
		return -ENOMEM;
	}
	asker->loop = loop;
	asker->fd = -1;
	asker->timeout_ms = timeout_ms;
	dlist_init(&asker->questions);
	loop_task_init(&asker->free_task, asker_free);
	int err = connect_options_copy(&asker->options, options);
	if (err == 0) {
		err = timer_new(loop, asker_on_timer, asker, &asker->timer);
	}
	if (err < 0) {
		asker_free(&asker->free_task);
		return err;
	}
	*out = asker;
	return 0;
}

void asker_close(struct asker *asker)
{
	if (asker == NULL || asker->state == ASKER_CLOSED) {
		return;
	}
	if (asker->connect != NULL) {
		connect_cancel(steal(&asker->connect));
	}
	asker_disconnect(asker);
	timer_close(steal(&asker->timer));
	asker->state = ASKER_CLOSED;
	asker_set_sqlstate(asker->sqlstate, sizeof(asker->sqlstate), NULL);
	asker_finish_all(asker, "closed");
	loop_task_add(asker->loop, &asker->free_task);
}

void asker_listen(struct asker *asker, asker_heard_fn heard, asker_lost_fn lost,
		  void *arg)
{
	require(asker != NULL && heard != NULL && lost != NULL);
	asker->heard = heard;
	asker->lost = lost;
	asker->listen_arg = arg;
}

int asker_ask(struct asker *asker, const struct asker_question *question)
{
	require(asker != NULL && question->sql != NULL && question->done != NULL);
	require(question->n_params <= ASKER_PARAMS_MAX);
	if (asker->state == ASKER_CLOSED) {
		return -ECANCELED;
	}
	if (asker->n_questions >= ASKER_WAITING_MAX) {
		return -ENOBUFS;
	}
	struct question *q = question_new(question);
	if (q == NULL) {
		return -ENOMEM;
	}
	dlist_push_tail(&asker->questions, &q->link);
	asker->n_questions++;
	asker_step(asker);
	return 0;
}

const char *asker_sqlstate(const struct asker *asker)
{
	require(asker != NULL);
	return asker->sqlstate;
}

uint64_t asker_n_sessions(const struct asker *asker)
{
	require(asker != NULL);
	return asker->n_sessions;
}

bool asker_is_connected(const struct asker *asker)
{
	require(asker != NULL);
	return asker->state == ASKER_READY || asker->state == ASKER_BUSY;
}
