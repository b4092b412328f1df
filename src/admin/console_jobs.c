/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 * Jobs
 *
 *   start ──> visit worker 0 ──> ... ──> visit the last ──> main thread ──> finish
 *     ^                                                                      │ again
 *     └──────────────────────────── a timer ─────────────────────────────────┘
 *
 * One thread has the job at a time; loop_post() hands it on.  The session belongs to
 * the origin's thread, which alone looks at job->session.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/sqlstate.h"
#include "console_pools_priv.h"
#include "console_priv.h"
#include "net/loop.h"
#include "net/timer.h"
#include "proxy/client.h"
#include "proxy/worker.h"

#define CONSOLE_AGAIN_MS 20

void console_fail(struct console_job *job, const char *sqlstate, const char *format,
		  ...)
{
	va_list args;
	va_start(args, format);
	job->sqlstate = sqlstate;
	vsnprintf(job->error, sizeof(job->error), format, args);
	va_end(args);
}

void console_job_free(struct console_job *job)
{
	pthread_mutex_lock(&job->console->lock);
	dlist_remove(&job->link);
	pthread_mutex_unlock(&job->console->lock);
	console_rows_fini(&job->rows);
	console_pools_free(job->pools);
	free(job);
}

static void console_job_end(struct console_job *job)
{
	struct console_session *session = job->session;
	if (job->is_cancelled && job->sqlstate == NULL) {
		console_fail(job, SQLSTATE_QUERY_CANCELED,
			     "canceling statement due to user request");
	}
	if (session != NULL) {
		session->job = NULL;
		console_session_done(session, job);
	}
	console_job_free(job);
}

static void console_job_round(struct console_job *job);

static void console_job_again(void *arg)
{
	struct console_session *session = arg;
	timer_close(steal(&session->timer));
	console_job_round(session->job);
}

/* Back on the origin's thread, after a round. */
static void console_job_back(void *arg)
{
	struct console_job *job = arg;
	enum console_outcome outcome = CONSOLE_DONE;
	bool is_left = job->session == NULL || job->is_cancelled;
	/* what has failed has done nothing that could be taken back: somebody else has
	 */
	if (is_left && job->sqlstate == NULL && job->command->abandon != NULL) {
		job->command->abandon(job);
	} else if (!is_left && job->sqlstate == NULL && job->command->finish != NULL) {
		outcome = job->command->finish(job);
	}
	if (outcome == CONSOLE_AGAIN) {
		struct console_session *session = job->session;
		if (timer_new(job->origin->loop, console_job_again, session,
			      &session->timer) == 0) {
			timer_start(session->timer, CONSOLE_AGAIN_MS, 0);
			return;
		}
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	}
	console_job_end(job);
}

/* Without memory to hand the job on, the thread that has it cannot tell the session: it
 * waits until its client gives up, and the job is freed with the console. */
static void console_job_pass(struct console_job *job, struct loop *loop,
			     void (*fn)(void *arg))
{
	if (job->console->is_over) {
		console_job_free(job);
		return;
	}
	(void)!loop_post(loop, fn, job);
}

static void console_job_main(void *arg)
{
	struct console_job *job = arg;
	job->command->on_main(job);
	console_job_pass(job, job->origin->loop, console_job_back);
}

static void console_job_next(struct console_job *job);

static void console_job_visit(void *arg)
{
	struct console_job *job = arg;
	struct worker *worker = job->console->proxy->workers[job->next_worker];
	if (!worker->is_stopping) {
		job->command->visit(job, worker);
	}
	job->next_worker++;
	console_job_next(job);
}

static void console_job_next(struct console_job *job)
{
	const struct proxy *proxy = job->console->proxy;
	if (job->command->visit != NULL && job->next_worker < proxy->n_workers) {
		console_job_pass(job, proxy->workers[job->next_worker]->loop,
				 console_job_visit);
	} else if (job->command->on_main != NULL) {
		console_job_pass(job, proxy->main_loop, console_job_main);
	} else {
		console_job_pass(job, job->origin->loop, console_job_back);
	}
}

static void console_job_round(struct console_job *job)
{
	job->next_worker = 0;
	job->n_left = 0;
	console_job_next(job);
}

bool console_job_start(struct console_session *session, const struct console_text *text,
		       const struct console_command *command, struct console_rows *rows)
{
	struct console *console = session->console;
	struct console_job *job = calloc(1, sizeof(*job));
	if (job == NULL) {
		return false;
	}
	job->console = console;
	job->origin = session->client->worker;
	job->session = session;
	job->self = session->client;
	job->command = command;
	job->text = *text;
	job->argument = job->text.argument;
	job->rows = *rows;
	dlist_init(&job->link);
	pthread_mutex_lock(&console->lock);
	dlist_push_tail(&console->jobs, &job->link);
	pthread_mutex_unlock(&console->lock);
	session->job = job;
	if (command->begin != NULL) {
		command->begin(job);
	}
	if (job->sqlstate != NULL) {
		console_job_pass(job, job->origin->loop, console_job_back);
	} else {
		console_job_round(job);
	}
	return true;
}

void console_job_leave(struct console_job *job, bool is_cancel)
{
	struct console_session *session = job->session;
	job->is_cancelled = true;
	bool was_waiting = session->timer != NULL;
	timer_close(steal(&session->timer));
	if (!is_cancel) {
		session->job = NULL;
		job->session = NULL;
	}
	if (was_waiting) {
		console_job_back(job);
	}
}
