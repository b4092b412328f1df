#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of admin/console share. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/console.h"
#include "admin/console_text.h"
#include "base/buf.h"
#include "base/dlist.h"
#include "base/metrics.h"
#include "base/span.h"
#include "proxy/proxy.h"

struct client;
struct console_pools;
struct console_session;
struct console_stats;
struct worker;

#define CONSOLE_MAX_COLUMNS 40
#define CONSOLE_MAX_ROWS    ((size_t)32 << 20) /* bytes of one answer */
#define CONSOLE_OUT_MAX	    (CONSOLE_MAX_ROWS + 65536)

/* Tables and rows: console_rows.c */

enum console_type {
	CONSOLE_TEXT,
	CONSOLE_INT4,
	CONSOLE_INT8,
	CONSOLE_NUMERIC,
};

struct console_column {
	enum console_type type;
	const char *name;
};

#define CONSOLE_TABLE(id, ...) CONSOLE_TABLE_##id,
enum console_table_id {
	CONSOLE_NO_TABLE, /* the command answers without rows */
#include "tbl/console_tables.h"
};
#undef CONSOLE_TABLE

/* DataRows under way.  Values that do not fit a column's type are a mistake of ours. */
struct console_rows {
	struct buf bytes;
	const struct console_column *columns; /* NULL: no rows */
	size_t n_columns;
	size_t column; /* of the row being written */
	size_t start;  /* of the row being written */
	uint64_t n;
	bool is_binary[CONSOLE_MAX_COLUMNS];
};

void console_rows_init(struct console_rows *rows, enum console_table_id table);
void console_rows_fini(struct console_rows *rows);
/* FORMATS: N result formats of a Bind, network order.  False: not as many as allowed.
 */
bool console_rows_formats(struct console_rows *rows, const struct span formats,
			  size_t n);
/* Appends RowDescription. */
void console_rows_describe(const struct console_rows *rows, struct buf *out);
void console_row(struct console_rows *rows);
/* NULL is NULL. */
void console_text(struct console_rows *rows, const char *text);
void console_number(struct console_rows *rows, uint64_t value);
void console_row_end(struct console_rows *rows);
/* A whole row of two columns. */
void console_named_number(struct console_rows *rows, const char *name, uint64_t n);

/* Commands and jobs: console_jobs.c */

enum console_outcome {
	CONSOLE_DONE,
	CONSOLE_AGAIN, /* not yet: the job makes its round again a little later */
};

struct console_job;

struct console_command {
	enum console_table_id table;
	const char *tag; /* of CommandComplete */
	/* On each worker's thread, one after the other; NULL: not about them. */
	void (*visit)(struct console_job *job, struct worker *worker);
	/* On the main thread, after the workers; or NULL. */
	void (*on_main)(struct console_job *job);
	/* On the session's own thread, at the end: writes the rows that nobody has
	 * written; or NULL. */
	enum console_outcome (*finish)(struct console_job *job);
	/* Before the first round, on the session's own thread; or NULL. */
	void (*begin)(struct console_job *job);
	/* Instead of the end, when a cancel request or the session's end comes first;
	 * or NULL. */
	void (*abandon)(struct console_job *job);
};

#define CONSOLE_COMMAND(id, words, argument, access, object, help) \
	extern const struct console_command object;
#include "tbl/console_commands.h"
#undef CONSOLE_COMMAND

struct console_job {
	struct dlist link; /* in console->jobs */
	struct console *console;
	struct worker *origin;		 /* the session's */
	struct console_session *session; /* the origin's; NULL: it has ended */
	const struct console_command *command;
	const char *argument; /* "": none */
	struct console_text text;
	struct console_rows rows;
	unsigned next_worker;
	unsigned n_left; /* of what a command waits for; zero before each round */
	struct console_pools *pools; /* gathered by commands that want them; owned */
	const char *sqlstate;	     /* NULL: no error */
	char error[200];
	const struct client *self; /* the session's client, to be compared only */
	const char *notice;	   /* DETAIL of a NOTICE, static; or NULL */
	bool is_cancelled;
	bool is_second_round;
};

/* An error instead of the rest. */
void console_fail(struct console_job *job, const char *sqlstate, const char *format,
		  ...) PRINTF_LIKE(3, 4);
/* Runs COMMAND for SESSION; console_session_done() comes later, or at once.  False
 * without memory. */
bool console_job_start(struct console_session *session, const struct console_text *text,
		       const struct console_command *command,
		       struct console_rows *rows);
/* The session has ended, or (IS_CANCEL) a cancel request has come. */
void console_job_leave(struct console_job *job, bool is_cancel);
void console_job_free(struct console_job *job);

/* Sessions: console.c */

struct console {
	struct proxy *proxy;
	struct console_env env;
	struct proxy_console door;
	pthread_mutex_t lock; /* of jobs */
	struct dlist jobs;
	bool is_over;		     /* no thread is left: a job ends where it is */
	struct console_stats *stats; /* owned */
};

struct console_session {
	struct console *console;
	struct client *client;
	struct console_job *job; /* under way, or NULL */
	struct dlist named;	 /* struct console_named: statements and portals */
	unsigned n_named;
	struct console_named *portal; /* that the job fills; NULL: a simple query */
	uint32_t max_rows;
	struct timer *timer; /* until the job's next round; owned, or NULL */
	bool is_admin;
	bool skips; /* everything up to Sync */
};

/* Sends OUT and frees it; one that has failed closes the client. */
void console_put(struct console_session *session, struct buf *out);
/* An error; a simple query is over with it, a batch skips to its Sync. */
void console_error(struct console_session *session, const char *sqlstate,
		   const char *text, bool is_simple);
/* Reads TEXT; false after an error was sent.  *EMPTY_OUT: there is no command in it. */
bool console_understand(struct console_session *session, struct span text,
			struct console_text *out, bool *empty_out, bool is_simple);
/* The row of the command that TEXT is. */
const struct console_command *console_command(const struct console_text *text);
/* Begins the job of TEXT, if the user may; takes ROWS. */
void console_run(struct console_session *session, const struct console_text *text,
		 struct console_rows *rows);
/* The job has ended, with its rows or its error. */
void console_session_done(struct console_session *session, struct console_job *job);

/* What several commands look at. */

/* The name a command is about; p NULL: all databases. */
struct span console_database(const struct console_job *job);
/* Whether the pool of that name is meant. */
bool console_is_meant(const struct console_job *job, const char *database);
/* The numbers of all workers together; NULL without memory. metrics_free() it. */
struct metrics *console_sum(const struct console *console);

/* console_stats.c */
struct console_stats *console_stats_new(void);
void console_stats_free(struct console_stats *stats);
void console_stats_tick(struct console *console);
