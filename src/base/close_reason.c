/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/close_reason.h"

#include "base/check.h"
#include "base/metrics.h"
#include "base/sqlstate.h"

/* clang-format off */
#define IS_CLOSED   false
#define IS_REJECTED true
static const struct close_reason client_rows[CLIENT_CLOSE_COUNT] = {
#define CLIENT_CLOSE(id, is_error, sqlstate, family, label, text) \
	[CLIENT_CLOSE_##id] = { text, sqlstate, is_error, IS_##family, \
				METRIC_##family##_##label },
#include "tbl/close_reasons.h"
};

static const struct close_reason server_rows[SERVER_CLOSE_COUNT] = {
#define SERVER_CLOSE(id, is_error, label, text) \
	[SERVER_CLOSE_##id] = { text, NULL, is_error, false, METRIC_DISCONNECT_##label },
#include "tbl/close_reasons.h"
};
/* clang-format on */

const struct close_reason *client_close_row(enum client_close_reason reason)
{
	require(reason < CLIENT_CLOSE_COUNT);
	return &client_rows[reason];
}

const struct close_reason *server_close_row(enum server_close_reason reason)
{
	require(reason < SERVER_CLOSE_COUNT);
	return &server_rows[reason];
}
