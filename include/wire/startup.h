#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The first packet of a connection: a request for encryption, a request to cancel, or
 * the beginning of a session with its parameters.  The packet comes from
 * frame_startup(), which has bounded it; everything here is spans into it.
 *
 * Version: the major one must be 3; 3.0 and 3.2 are spoken.  Newer ones get 3.2,
 * and 3.1, which never existed, 3.0.  Another version than the one asked for, or a
 * `_pq_.` option (we know none), is answered once with NegotiateProtocolVersion, before
 * authentication.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

#define STARTUP_NEWEST_MINOR   2   /* of protocol 3 */
#define STARTUP_MAX_PARAMS     64  /* user and database included */
#define STARTUP_NAME_MAX       63  /* bytes of a user or database name */
#define STARTUP_CANCEL_KEY_MIN 4   /* bytes */
#define STARTUP_CANCEL_KEY_MAX 256 /* bytes, protocol 3.2 */
#define STARTUP_OUR_KEY_MAX    32  /* bytes of the keys that we give, 4 before 3.2 */

enum startup_kind {
	STARTUP_SESSION,
	STARTUP_SSL_REQUEST,
	STARTUP_GSSENC_REQUEST,
	STARTUP_CANCEL_REQUEST,
};

enum startup_replication {
	STARTUP_NO_REPLICATION,
	STARTUP_PHYSICAL, /* replication=true: of the whole server, no SQL */
	STARTUP_LOGICAL,  /* replication=database */
};

/* Results of startup_parse() */
enum startup_error {
	STARTUP_E_MALFORMED = 1, /* layout; a missing or early terminator */
	STARTUP_E_VERSION,	 /* major version is not 3 */
	STARTUP_E_NO_USER,	 /* no user, or an empty one */
	STARTUP_E_TOO_MANY,	 /* more than STARTUP_MAX_PARAMS parameters */
	STARTUP_E_USER_TOO_LONG, /* longer than STARTUP_NAME_MAX */
	STARTUP_E_DATABASE_TOO_LONG,
	STARTUP_E_CANCEL_KEY,  /* key of a length that no version has */
	STARTUP_E_REPLICATION, /* neither a boolean nor "database" */
	STARTUP_E_LAST = STARTUP_E_REPLICATION,
};

struct startup_param {
	struct span name;
	struct span value;
};

/* Which fields count depends on the kind. */
struct startup {
	enum startup_kind kind;
	uint16_t major;	      /* as asked */
	uint16_t asked_minor; /* as asked */
	uint16_t minor;	      /* what the session speaks: 0 or 2 */
	bool negotiate;	      /* NegotiateProtocolVersion must be sent */
	/* session: the parameters in their order, all of them; a name may come twice,
	 * the later one counts */
	size_t n_params;
	struct startup_param params[STARTUP_MAX_PARAMS];
	size_t n_pq_options; /* `_pq_.` names, all unknown to us */
	struct span pq_options[STARTUP_MAX_PARAMS];
	struct span user;
	struct span database; /* the user when none was given */
	struct span options;  /* empty when none; see startup_split_options() */
	enum startup_replication replication;
	/* cancel */
	uint32_t cancel_pid;
	struct span cancel_key;
};

/* Reads PACKET (without its length word).  0, or an enum startup_error; with
 * STARTUP_E_VERSION major and asked_minor are set.  OUT points into PACKET. */
int startup_parse(struct span packet, struct startup *out) MUST_CHECK;

/* The value of the last parameter of that name (compared exactly), or an empty span
 * with p == NULL when there is none. */
struct span startup_param(const struct startup *startup, const char *name);

/* What PostgreSQL says to such a packet; ERROR is an enum startup_error. */
const char *startup_error_sqlstate(int error);
const char *startup_error_text(int error);

/* One setting of `options`.  NAME has '-' replaced by '_' and no escapes left; both
 * spans live until the callback returns.  A word that is no setting (another switch, a
 * `-c` without `=`) comes with an empty name and itself as the value.  Not 0 stops the
 * walk. */
typedef int startup_option_fn(void *arg, struct span name, struct span value);

/* Splits as PostgreSQL does: words at white space, a backslash takes the next byte as
 * it is; `-c a=b`, `-ca=b`, `--a=b`, `--a-b=c`.  0, STARTUP_E_MALFORMED when longer
 * than STARTUP_MAX_LEN, or what the callback returned. */
int startup_split_options(struct span options, startup_option_fn *fn,
			  void *arg) MUST_CHECK;
