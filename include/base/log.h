#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The log: one line, one write(2), to standard error.  A line is
 *
 *   2026-01-31 12:00:00.123 UTC [4711] C-12 db/user@1.2.3.4:5 LOG:  text
 *
 * or one JSON object.  Under systemd (JOURNAL_STREAM) the time and the process id are
 * left to the journal and a <priority> comes first.  Bytes of strangers cannot forge a
 * line: control characters are escaped.  Any thread may write. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

enum log_level {
#define LOG_LEVEL(id, name, tag, priority) LOG_LEVEL_##id,
#include "tbl/log_levels.h"
#undef LOG_LEVEL
	LOG_LEVEL_COUNT,
};

#define LOG_MAX_LINE 8192  /* bytes; longer text is cut, with an ellipsis */
#define LOG_MAX_SLOW 65536 /* the same for a slow query's line */

/* LEVEL: the least grave level that is written.  JSON: objects instead of text.  May be
 * called again at any time (reload).  Before the first call: info, text. */
void log_configure(enum log_level level, bool json);
/* For tests: where lines go instead of standard error; -1: back. */
void log_set_fd_for_test(int fd);
bool log_is_on(enum log_level level);
/* "fatal" ... "debug". */
const char *log_level_name(enum log_level level);
/* Lines written at LEVEL since the start (those below the configured level not
 * counted). */
uint64_t log_count(enum log_level level);

/* Writes one line.  PREFIX says who ("C-12 db/user@host:port") or is NULL.  errno is
 * kept. */
SELDOM void log_write(enum log_level level, const char *prefix, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* `duration: 1234.567 ms  statement: SELECT ...` at level log, as PostgreSQL writes it;
 * PARAMS, when not empty, follows as ` parameters: ...`. */
SELDOM void log_slow_query(const char *prefix, uint64_t duration_us,
			   struct span statement, struct span params);

/* Formats only when the level is on. */
#define LOG_AT(level, prefix, ...)                                 \
	do {                                                       \
		if (log_is_on(level)) {                            \
			log_write((level), (prefix), __VA_ARGS__); \
		}                                                  \
	} while (0)
#define log_fatal(prefix, ...)	 LOG_AT(LOG_LEVEL_FATAL, prefix, __VA_ARGS__)
#define log_error(prefix, ...)	 LOG_AT(LOG_LEVEL_ERROR, prefix, __VA_ARGS__)
#define log_warning(prefix, ...) LOG_AT(LOG_LEVEL_WARNING, prefix, __VA_ARGS__)
#define log_log(prefix, ...)	 LOG_AT(LOG_LEVEL_LOG, prefix, __VA_ARGS__)
#define log_info(prefix, ...)	 LOG_AT(LOG_LEVEL_INFO, prefix, __VA_ARGS__)
#define log_debug(prefix, ...)	 LOG_AT(LOG_LEVEL_DEBUG, prefix, __VA_ARGS__)

/* Keeps a message that repeats from filling the log: one line each INTERVAL_MS, and how
 * many were left out in between.  One thread; zeroed means INTERVAL_MS of 10 s. */
struct log_limit {
	uint64_t interval_ms;
	uint64_t next_ms;    /* clock_now_ms() from which a line may be written again */
	uint64_t suppressed; /* lines left out since the last one */
};

/* True when the line may be written now; then *SUPPRESSED_OUT says how many were not.
 */
bool log_limit_pass(struct log_limit *limit, uint64_t *suppressed_out);
