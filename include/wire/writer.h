#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Whole messages appended to a buffer.  Every function latches the buffer's failure
 * when the message does not fit or would be longer than the protocol can say; the
 * caller asks buf_ok() once at the end.  C strings hold no zero by nature; a zero
 * inside a span that must become a string latches the failure, too. */

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

/* Messages that never change. */
#define WIRE_PARSE_COMPLETE	  SPAN_LIT("1\0\0\0\4")
#define WIRE_BIND_COMPLETE	  SPAN_LIT("2\0\0\0\4")
#define WIRE_CLOSE_COMPLETE	  SPAN_LIT("3\0\0\0\4")
#define WIRE_NO_DATA		  SPAN_LIT("n\0\0\0\4")
#define WIRE_EMPTY_QUERY	  SPAN_LIT("I\0\0\0\4")
#define WIRE_PORTAL_SUSPENDED	  SPAN_LIT("s\0\0\0\4")
#define WIRE_READY_IDLE		  SPAN_LIT("Z\0\0\0\5I")
#define WIRE_READY_IN_TRANSACTION SPAN_LIT("Z\0\0\0\5T")
#define WIRE_READY_FAILED	  SPAN_LIT("Z\0\0\0\5E")
#define WIRE_AUTH_OK		  SPAN_LIT("R\0\0\0\10\0\0\0\0")
#define WIRE_SYNC		  SPAN_LIT("S\0\0\0\4")
#define WIRE_FLUSH		  SPAN_LIT("H\0\0\0\4")
#define WIRE_TERMINATE		  SPAN_LIT("X\0\0\0\4")

/* Any other message: returns where it began, for writer_end(), which fills the length
 * in. */
size_t writer_begin(struct buf *buf, uint8_t type);
void writer_end(struct buf *buf, size_t start);
/* A span and its zero. */
void writer_string(struct buf *buf, struct span s);

/* ---- to clients ---- */

struct writer_notice {
	const char *severity; /* ERROR FATAL PANIC; WARNING NOTICE DEBUG INFO LOG */
	const char *sqlstate;
	const char *message;
	const char *detail; /* or NULL */
	const char *hint;   /* or NULL */
};
void writer_error(struct buf *buf, const struct writer_notice *error);
void writer_notice(struct buf *buf, const struct writer_notice *notice);

/* Ask for a password: in clear text, or as an MD5 with SALT. */
void writer_auth_password(struct buf *buf);
void writer_auth_md5(struct buf *buf, const uint8_t salt[4]);
/* MECHANISMS: NULL-terminated, the preferred one first. */
void writer_auth_sasl(struct buf *buf, const char *const *mechanisms);
void writer_auth_sasl_continue(struct buf *buf, struct span message);
void writer_auth_sasl_final(struct buf *buf, struct span message);
void writer_auth_ok(struct buf *buf);

/* 3.MINOR is what we speak; NAMES are the options we do not know. */
void writer_negotiate_version(struct buf *buf, uint16_t minor, const struct span *names,
			      size_t n_names);
void writer_parameter_status(struct buf *buf, struct span name, struct span value);
void writer_notification(struct buf *buf, uint32_t pid, struct span channel,
			 struct span payload);
/* KEY has 4 to 256 bytes. */
void writer_key_data(struct buf *buf, uint32_t pid, struct span key);
/* STATUS is 'I', 'T' or 'E'. */
void writer_ready(struct buf *buf, uint8_t status);
void writer_empty_query(struct buf *buf);
void writer_command_complete(struct buf *buf, const char *tag);

struct writer_column {
	const char *name;
	uint32_t type_oid; /* WRITER_TEXT_OID unless it matters to drivers */
	int16_t type_len;  /* bytes; -1 variable */
};
#define WRITER_TEXT_OID 25
#define WRITER_INT8_OID 20
/* Columns of no table, in text format. */
void writer_row_description(struct buf *buf, const struct writer_column *columns,
			    size_t n_columns);
/* A row in text format; a value with p == NULL is NULL. */
void writer_data_row(struct buf *buf, const struct span *values, size_t n_values);

/* ---- to servers ---- */

/* A simple query: TEXT without a zero. */
void writer_query(struct buf *buf, struct span text);
/* TYPES: N_TYPES oids in network order, as struct message_parse has them. */
void writer_parse(struct buf *buf, struct span name, struct span text,
		  struct span types);
/* A message given another name: writes type, length and names; REST_LEN bytes of the
 * original, from behind its name(s), are to follow (now, or as they arrive). */
void writer_parse_head(struct buf *buf, struct span name, size_t rest_len);
void writer_bind_head(struct buf *buf, struct span portal, struct span statement,
		      size_t rest_len);
/* KIND is 'S' (statement) or 'P' (portal). */
void writer_describe(struct buf *buf, uint8_t kind, struct span name);
void writer_close(struct buf *buf, uint8_t kind, struct span name);
void writer_execute(struct buf *buf, struct span portal, uint32_t max_rows);
void writer_sync(struct buf *buf);
void writer_flush(struct buf *buf);
void writer_terminate(struct buf *buf);
