#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Why a connection ended: one enum for clients, one for servers, and for each reason
 * what is logged, sent and counted (tbl/close_reasons.h). */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

struct metrics;

enum client_close {
#define CLIENT_CLOSE(id, is_error, sqlstate, family, label, text) CLIENT_CLOSE_##id,
#include "tbl/close_reasons.h"
	CLIENT_CLOSE_COUNT,
};

enum server_close {
#define SERVER_CLOSE(id, is_error, label, text) SERVER_CLOSE_##id,
#include "tbl/close_reasons.h"
	SERVER_CLOSE_COUNT,
};

struct close_reason {
	const char *text;     /* for the log and for the error */
	const char *sqlstate; /* of the error that a client is sent; NULL: none */
	bool is_error;	      /* logged as a warning */
	bool is_rejection;    /* counted as rejected instead of closed; clients only */
	uint8_t label; /* METRIC_CLOSED_, METRIC_REJECTED_ or METRIC_DISCONNECT_ */
};

const struct close_reason *client_close_reason(enum client_close reason);
const struct close_reason *server_close_reason(enum server_close reason);
/* Moves the right counter; DATABASE is config_database.index. */
void client_close_count(struct metrics *metrics, uint32_t database,
			enum client_close reason);
void server_close_count(struct metrics *metrics, uint32_t database,
			enum server_close reason);
