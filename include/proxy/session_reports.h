#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Parameters that the server reports of its own accord (ParameterStatus): what they
 * tell of a session's settings, and what its client is to hear of them. */

#include <stdbool.h>

#include "base/span.h"

struct context;
struct session;

enum report {
	REPORT_SET, /* of a statement of the client's, or of the server's own accord */
	REPORT_RESET, /* of a RESET of the client's: a value that is the server's own,
		       * behind which the client's is set again */
	REPORT_OURS,  /* because of settings that we gave it */
};

/* Whether the client may have caused that the server reports this value, unasked.
 * False: the server has read its settings, or code has changed one behind our back. */
bool session_expects(const struct session *session, struct span name,
		     struct span value);
/* A parameter the server reported: the canonical form of a setting the client has. */
void session_reported(struct session *session, struct span name, struct span value,
		      enum report report);
/* The same while the client's settings are being set on a server connection whose
 * settings are *SERVER. */
void session_restored(struct session *session, struct span name, struct span value,
		      struct context **server);
/* What the client is to hear of a parameter that the server reports: an empty span (p
 * NULL) is nothing. */
struct span session_tells(struct session *session, struct span name, struct span value,
			  enum report report);
