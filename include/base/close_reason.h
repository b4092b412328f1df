#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Every ending has a name: the rows of tbl/close_reasons.h as two enums and two tables.
 */

#include <stdbool.h>

enum client_close_reason {
#define CLIENT_CLOSE(id, is_error, sqlstate, family, label, text) CLIENT_CLOSE_##id,
#include "tbl/close_reasons.h"
	CLIENT_CLOSE_COUNT,
};

enum server_close_reason {
#define SERVER_CLOSE(id, is_error, label, text) SERVER_CLOSE_##id,
#include "tbl/close_reasons.h"
	SERVER_CLOSE_COUNT,
};

struct close_reason {
	const char *text;
	const char *sqlstate; /* of the FATAL error a client is sent, or NULL */
	bool is_error;	      /* logged as a warning */
	bool is_rejection;    /* clients: counted as rejected, not as closed */
	int label; /* METRIC_CLOSED_, METRIC_REJECTED_ or METRIC_DISCONNECT_ */
};

const struct close_reason *client_close_row(enum client_close_reason reason);
const struct close_reason *server_close_row(enum server_close_reason reason);
