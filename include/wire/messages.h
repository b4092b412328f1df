#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The protocol's messages by number, and readers that take one body apart.  All results
 * are spans into the body, which must be complete; nothing is copied, nothing
 * allocated.  A reader gives 0 or MESSAGE_E_MALFORMED, which PostgreSQL calls a
 * protocol violation. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "wire/reader.h"

/* clang-format off */
#define MESSAGE(byte, side, IDENT, name, min, max) side##_##IDENT = (byte),
enum message_byte {
#include "tbl/messages.h"
};
#undef MESSAGE
/* clang-format on */

enum message_side {
	MESSAGE_FRONTEND, /* a client sends it */
	MESSAGE_BACKEND,  /* a server sends it */
};

#define MESSAGE_E_MALFORMED 1

struct message_type {
	uint8_t byte;
	const char *name; /* as the protocol documentation writes it */
	uint32_t min_len; /* of the length word, itself included */
	uint32_t max_len;
};

/* The row of the table, or NULL when that side has no such message. */
const struct message_type *message_type(enum message_side side, uint8_t byte);
/* Its name for a log line; "unknown" when there is no such message. */
const char *message_name(enum message_side side, uint8_t byte);

/* ---- from clients ---- */

/* The text without its zero; the body must hold nothing else. */
int message_read_query(struct span body, struct span *text) MUST_CHECK;

struct message_parse {
	struct span name; /* of the statement */
	struct span text;
	uint16_t n_types;
	struct span types;	   /* n_types * 4 bytes, as they came */
	struct span counted_types; /* the same with the count in front */
	struct span rest; /* everything behind the name, for writing it again */
};
int message_read_parse(struct span body, struct message_parse *out) MUST_CHECK;
/* The I-th parameter type; 0 for unspecified and for I >= n_types. */
uint32_t message_parse_type(const struct message_parse *parse, size_t i);

struct message_bind {
	struct span portal;
	struct span statement;
	uint16_t n_formats;
	struct span formats; /* n_formats * 2 bytes */
	uint16_t n_values;
	struct span values; /* raw; walk them with message_bind_value() */
	uint16_t n_result_formats;
	struct span result_formats; /* n_result_formats * 2 bytes */
	struct span rest;	    /* everything behind the two names */
};
int message_read_bind(struct span body, struct message_bind *out) MUST_CHECK;
/* The names alone, for a body of which only the beginning has arrived: sets portal,
 * statement and rest. */
int message_read_bind_names(struct span start, struct message_bind *out) MUST_CHECK;
/* The format code of parameter I: 0 text, 1 binary. */
uint16_t message_bind_format(const struct message_bind *bind, size_t i);
/* The next value of a walk that began with reader_make(bind->values).  A NULL has
 * p == NULL; an empty value has not. */
struct span message_bind_value(struct reader *values);

/* Describe and Close. */
struct message_target {
	uint8_t kind; /* 'S' statement, 'P' portal */
	struct span name;
};
int message_read_target(struct span body, struct message_target *out) MUST_CHECK;

struct message_execute {
	struct span portal;
	uint32_t max_rows; /* 0: all */
};
int message_read_execute(struct span body, struct message_execute *out) MUST_CHECK;

struct message_function_call {
	uint32_t oid;
	uint16_t n_formats;
	uint16_t n_args;
};
int message_read_function_call(struct span body,
			       struct message_function_call *out) MUST_CHECK;

/* The password without its zero. */
int message_read_password(struct span body, struct span *password) MUST_CHECK;

struct message_sasl_initial {
	struct span mechanism;
	bool has_response;
	struct span response; /* the mechanism's first message */
};
int message_read_sasl_initial(struct span body,
			      struct message_sasl_initial *out) MUST_CHECK;
/* SASLResponse is its body: there is nothing to read. */

/* ---- from servers ---- */

/* ErrorResponse and NoticeResponse.  A field that was not sent is empty: every one may
 * be missing, the code too. */
struct message_error {
	struct span severity;	/* 'V' when sent (never translated), else 'S' */
	struct span sqlstate;	/* 'C' */
	struct span message;	/* 'M' */
	struct span detail;	/* 'D' */
	struct span hint;	/* 'H' */
	struct span position;	/* 'P' */
	struct span where;	/* 'W' */
	struct span schema;	/* 's' */
	struct span table;	/* 't' */
	struct span constraint; /* 'n' */
	struct span routine;	/* 'R' */
};
int message_read_error(struct span body, struct message_error *out) MUST_CHECK;

struct message_parameter {
	struct span name;
	struct span value;
};
int message_read_parameter_status(struct span body,
				  struct message_parameter *out) MUST_CHECK;

struct message_notification {
	uint32_t pid; /* of the backend that notified */
	struct span channel;
	struct span payload;
};
int message_read_notification(struct span body,
			      struct message_notification *out) MUST_CHECK;

/* 'I' idle, 'T' in a transaction, 'E' in a failed one. */
int message_read_ready(struct span body, uint8_t *status) MUST_CHECK;

/* The tag without its zero: "INSERT 0 1". */
int message_read_command_complete(struct span body, struct span *tag) MUST_CHECK;

struct message_command {
	struct span verb; /* "INSERT", "CREATE TABLE"; without numbers */
	uint64_t rows;	  /* the last number, 0 when there is none */
	bool has_rows;
};
/* Takes a tag apart; never fails. */
struct message_command message_parse_tag(struct span tag);

/* The number of columns; the fields behind it are checked to be well formed. */
int message_read_row_description(struct span body, uint16_t *n_columns) MUST_CHECK;

struct message_key_data {
	uint32_t pid;
	struct span key; /* 4 to 256 bytes */
};
int message_read_key_data(struct span body, struct message_key_data *out) MUST_CHECK;
