/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LOG_LIMIT_MS 10000

struct log_level_row {
	const char *name;
	const char *tag;
	int priority;
};

static const struct log_level_row log_levels[] = {
#define LOG_LEVEL(id, name, tag, priority) { name, tag, priority },
#include "tbl/log_levels.h"
#undef LOG_LEVEL
};

static _Atomic int log_threshold = LOG_LEVEL_INFO;
static atomic_bool log_is_json;
static _Atomic int log_fd = STDERR_FILENO;
static _Atomic uint64_t log_counts[LOG_LEVEL_COUNT];

void log_configure(enum log_level level, bool json)
{
	require(level < LOG_LEVEL_COUNT);
	atomic_store(&log_threshold, (int)level);
	atomic_store(&log_is_json, json);
}

void log_set_fd_for_test(int fd)
{
	atomic_store(&log_fd, fd < 0 ? STDERR_FILENO : fd);
}

bool log_is_on(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
	require(level < LOG_LEVEL_COUNT);
	return log_levels[level].name;
}

uint64_t log_count(enum log_level level)
{
	require(level < LOG_LEVEL_COUNT);
	return atomic_load_explicit(&log_counts[level], memory_order_relaxed);
}

/* Appends TEXT so that it cannot begin a new line or drive a terminal.  ASCII_ONLY:
 * bytes that are not ASCII are escaped too. */
static void log_escape(struct buf *out, struct span text, bool ascii_only)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (c == '\n') {
			buf_append_str(out, "\\n");
		} else if (c == '\t') {
			buf_append_str(out, "\\t");
		} else if (c == '\r') {
			buf_append_str(out, "\\r");
		} else if (c < 0x20 || c == 0x7f || (ascii_only && c >= 0x80)) {
			buf_printf(out, "\\x%02x", c);
		} else {
			buf_append_u8(out, c);
		}
	}
}

/* `2026-01-31 12:00:00.123 UTC` */
static void log_append_time(struct buf *out)
{
	uint64_t us = clock_wall_us();
	time_t seconds = (time_t)(us / 1000000U);
	struct tm tm;
	char date[32];
	char zone[16];
	localtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%Z", &tm);
	buf_printf(out, "%s.%03u %s", date, (unsigned)(us / 1000U % 1000U), zone);
}

static void log_line_text(struct buf *out, enum log_level level, const char *prefix,
			  struct span text)
{
	if (getenv("JOURNAL_STREAM") == NULL) {
		log_append_time(out);
		buf_printf(out, " [%d] ", (int)getpid());
	}
	if (prefix != NULL) {
		log_escape(out, span_str(prefix), false);
		buf_append_u8(out, ' ');
	}
	buf_append_str(out, log_levels[level].tag);
	buf_append_str(out, ":  ");
	log_escape(out, text, false);
}

/* A JSON string; bytes that are not UTF-8 are escaped as in the text form. */
static json_t *log_json_string(struct span text)
{
	json_t *s = json_stringn((const char *)text.p, text.n);
	if (s == NULL) {
		struct buf ascii;
		buf_init(&ascii, text.n * 4 + 1);
		log_escape(&ascii, text, true);
		s = json_stringn((const char *)ascii.data, ascii.len);
		buf_fini(&ascii);
	}
	return s;
}

static void log_line_json(struct buf *out, enum log_level level, const char *prefix,
			  struct span text)
{
	struct buf when;
	buf_init(&when, 64);
	log_append_time(&when);
	json_t *line = json_object();
	json_object_set_new(line, "timestamp", log_json_string(buf_span(&when)));
	buf_fini(&when);
	json_object_set_new(line, "pid", json_integer(getpid()));
	json_object_set_new(line, "level", json_string(log_levels[level].name));
	if (prefix != NULL) {
		json_object_set_new(line, "session", log_json_string(span_str(prefix)));
	}
	json_object_set_new(line, "message", log_json_string(text));
	char *dump = json_dumps(line, JSON_COMPACT);
	if (dump != NULL) {
		buf_append_str(out, dump);
		free(dump);
	}
	json_decref(line);
}

static void log_send(struct span line)
{
	int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
	ssize_t n;
	do {
		n = write(fd, line.p, line.n);
	} while (n < 0 && errno == EINTR);
	/* a log that cannot be written has nobody to tell */
}

static void log_emit(enum log_level level, const char *prefix, struct span text)
{
	atomic_fetch_add_explicit(&log_counts[level], 1, memory_order_relaxed);
	struct buf line;
	buf_init(&line, 4 * (text.n + (prefix != NULL ? strlen(prefix) : 0)) + 512);
	if (getenv("JOURNAL_STREAM") != NULL) {
		buf_printf(&line, "<%d>", log_levels[level].priority);
	}
	if (atomic_load_explicit(&log_is_json, memory_order_relaxed)) {
		log_line_json(&line, level, prefix, text);
	} else {
		log_line_text(&line, level, prefix, text);
	}
	buf_append_u8(&line, '\n');
	log_send(buf_ok(&line) ? buf_span(&line)
			       : SPAN_LIT("pgrecall: no memory for a log line\n"));
	buf_fini(&line);
}

void log_write(enum log_level level, const char *prefix, const char *fmt, ...)
{
	require(level < LOG_LEVEL_COUNT && fmt != NULL);
	if (!log_is_on(level)) {
		return;
	}
	int saved = errno;
	char text[LOG_MAX_LINE];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	size_t len = n < 0 ? 0 : (size_t)n;
	if (len >= sizeof(text)) {
		len = sizeof(text) - 1;
		memset(text + len - 3, '.', 3);
	}
	log_emit(level, prefix, span_make(text, len));
	errno = saved;
}

void log_slow_query(const char *prefix, uint64_t duration_us, struct span statement,
		    struct span params)
{
	if (!log_is_on(LOG_LEVEL_LOG)) {
		return;
	}
	int saved = errno;
	struct buf text;
	buf_init(&text, 2 * LOG_MAX_SLOW + 256);
	buf_printf(&text, "duration: %llu.%03llu ms  statement: ",
		   (unsigned long long)(duration_us / 1000U),
		   (unsigned long long)(duration_us % 1000U));
	bool cut = statement.n > LOG_MAX_SLOW;
	buf_append(&text, statement.p, cut ? LOG_MAX_SLOW : statement.n);
	buf_append_str(&text, cut ? "..." : "");
	if (params.n > 0) {
		cut = params.n > LOG_MAX_SLOW;
		buf_append_str(&text, "  parameters: ");
		buf_append(&text, params.p, cut ? LOG_MAX_SLOW : params.n);
		buf_append_str(&text, cut ? "..." : "");
	}
	log_emit(LOG_LEVEL_LOG, prefix, buf_span(&text));
	buf_fini(&text);
	errno = saved;
}

bool log_limit_pass(struct log_limit *limit, uint64_t *suppressed_out)
{
	require(limit != NULL && suppressed_out != NULL);
	uint64_t now = clock_now_ms();
	if (now < limit->next_ms) {
		limit->suppressed++;
		return false;
	}
	*suppressed_out = limit->suppressed;
	limit->suppressed = 0;
	limit->next_ms = now + (limit->interval_ms ? limit->interval_ms : LOG_LIMIT_MS);
	return true;
}
