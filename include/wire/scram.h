#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* SCRAM-SHA-256 and, with channel binding, SCRAM-SHA-256-PLUS as a server does them
 * (RFC 5802, RFC 7677, PostgreSQL's form of the messages).  No I/O: a message in, a
 * message out.
 *
 *   client-first   n,,n=,r=<nonce>             scram_client_first()
 *                  p=tls-server-end-point,,n=,r=<nonce>           with -PLUS
 *   server-first   r=<nonce+ours>,s=<salt>,i=<iterations>
 *   client-final   c=biws,r=<nonce+ours>,p=<proof>      scram_client_final()
 *   server-final   v=<signature>
 *
 * An unknown user gets a mock secret: the same messages with a salt that is always the
 * same for that name, and a refusal at the end that looks like a wrong password's.
 *
 * Passwords are prepared as clients prepare them: wire/saslprep.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

#define SCRAM_MECHANISM		 "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS	 "SCRAM-SHA-256-PLUS"
#define SCRAM_END_POINT_MAX	 64	 /* bytes of a certificate's hash */
#define SCRAM_KEY_LEN		 32	 /* bytes of a SHA-256 */
#define SCRAM_SALT_LEN		 16	 /* bytes, of salts we make */
#define SCRAM_SALT_MAX		 64	 /* bytes, of salts we take */
#define SCRAM_ITERATIONS_DEFAULT 4096	 /* PostgreSQL's */
#define SCRAM_ITERATIONS_MAX	 1000000 /* about half a second of derivation */
#define SCRAM_MESSAGE_MAX	 1024	 /* bytes of one message, PostgreSQL's limit */
#define SCRAM_NONCE_RAW		 18	 /* random bytes of our part of the nonce */
#define SCRAM_NONCE_MAX		 32	 /* characters of our part */
/* three messages, of which the middle one repeats the nonce of the first */
#define SCRAM_TRANSCRIPT_MAX (SCRAM_MESSAGE_MAX * 4)

enum scram_error {
	SCRAM_E_FORMAT = 1, /* a stored secret that is none, or out of bounds */
	SCRAM_E_PROTOCOL,   /* malformed or out of order message */
	SCRAM_E_BINDING,    /* channel binding wanted, which was not offered */
	SCRAM_E_UNBOUND,    /* -PLUS without channel binding, or the other way round */
	SCRAM_E_DOWNGRADED, /* somebody has hidden from the client that -PLUS is offered
			     */
	SCRAM_E_CHANNEL,    /* bound to another channel: somebody is in between */
	SCRAM_E_AUTHZID,    /* authorization identity given */
	SCRAM_E_EXTENSION,  /* mandatory extension asked for */
	SCRAM_E_DENIED,	    /* wrong password, or no such user */
	SCRAM_E_LAST = SCRAM_E_DENIED,
};

/* What the server knows of a password.  Deriving it takes milliseconds: the caller does
 * so once per user and keeps it; it is read only afterwards, so threads may share it.
 */
struct scram_secret {
	uint32_t iterations;
	uint32_t salt_len; /* bytes of salt, 1 to SCRAM_SALT_MAX */
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t stored_key[SCRAM_KEY_LEN];
	uint8_t server_key[SCRAM_KEY_LEN];
	bool mock; /* nobody's: the exchange always ends with SCRAM_E_DENIED */
};

/* Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.  0 or
 * SCRAM_E_FORMAT. */
int scram_secret_parse(struct span text, struct scram_secret *out) MUST_CHECK;
/* Writes that form. */
void scram_secret_format(const struct scram_secret *secret, struct buf *out);
/* From the plain password of USER, with the salt that scram_secret_mock() gives: a user
 * who comes, goes or is read again has the same one.  ITERATIONS 1 to
 * SCRAM_ITERATIONS_MAX.  0, -EIO when the crypto library failed, or -ENOMEM.
 * Milliseconds of work. */
int scram_secret_derive(struct span password, struct span user,
			const uint8_t key[SCRAM_KEY_LEN], uint32_t iterations,
			struct scram_secret *out) MUST_CHECK;
/* The same with a given salt of 1 to SCRAM_SALT_MAX bytes. */
int scram_secret_derive_salted(struct span password, struct span salt,
			       uint32_t iterations,
			       struct scram_secret *out) MUST_CHECK;
/* For a name that has none.  KEY is random, made once per process, so that a salt
 * cannot be told from a real one and does not change.  ITERATIONS should be what real
 * users have. 0 or -EIO. */
int scram_secret_mock(struct span user, const uint8_t key[SCRAM_KEY_LEN],
		      uint32_t iterations, struct scram_secret *out) MUST_CHECK;
/* Whether PASSWORD belongs to the secret; derives, so milliseconds. */
bool scram_secret_matches(const struct scram_secret *secret, struct span password);
/* Overwrites it in a way the compiler keeps. */
void scram_secret_wipe(struct scram_secret *secret);

enum scram_state {
	SCRAM_FIRST, /* awaits client-first */
	SCRAM_FINAL, /* awaits client-final */
	SCRAM_DONE,  /* succeeded or failed; takes nothing more */
};

/* One login.  Lives as long as it; about 4 KiB, so it belongs to the login, not to the
 * client. */
struct scram {
	enum scram_state state;
	struct scram_secret secret; /* a copy: the user may vanish in a reload */
	uint8_t binding_flag;	    /* 'n', 'y' or 'p', from client-first */
	bool plus;		    /* the client has chosen -PLUS */
	size_t end_point_len;	    /* 0: -PLUS is not offered */
	uint8_t end_point[SCRAM_END_POINT_MAX];
	size_t own_nonce_len;
	uint8_t own_nonce[SCRAM_NONCE_MAX]; /* printable */
	size_t nonce_at; /* both parts of the nonce: place in the transcript */
	size_t nonce_len;
	size_t transcript_len;
	/* what both sides sign: client-first without its gs2 header, server-first,
	 * client-final without its proof, commas between them */
	uint8_t transcript[SCRAM_TRANSCRIPT_MAX];
};

/* Begins an exchange with a fresh nonce.  0 or -EIO. */
int scram_init(struct scram *scram, const struct scram_secret *secret) MUST_CHECK;
/* Before the first message, on a channel whose certificate has that hash
 * (`tls-server-end-point`, 1 to SCRAM_END_POINT_MAX bytes): -PLUS is offered. */
void scram_offer_plus(struct scram *scram, struct span end_point);
/* The mechanism that the client has chosen.  0; SCRAM_E_PROTOCOL for one that was not
 * offered. */
int scram_choose(struct scram *scram, struct span mechanism) MUST_CHECK;
/* Wipes it. */
void scram_fini(struct scram *scram);
/* For tests: our part of the nonce, printable ASCII without comma. */
void scram_set_nonce_for_test(struct scram *scram, struct span nonce);

/* Takes the mechanism's first message and appends the answer to SERVER_FIRST (without
 * any message header).  0, or SCRAM_E_PROTOCOL, _BINDING, _UNBOUND, _DOWNGRADED,
 * _AUTHZID, _EXTENSION. */
int scram_client_first(struct scram *scram, struct span message,
		       struct buf *server_first) MUST_CHECK;
/* Takes the second and appends the proof that we know the secret, too.  0: the client
 * is who it says; SCRAM_E_PROTOCOL, _CHANNEL, _DENIED, or -EIO. */
int scram_client_final(struct scram *scram, struct span message,
		       struct buf *server_final) MUST_CHECK;

/* What to tell the client; ERROR is an enum scram_error.  For SCRAM_E_DENIED the caller
 * adds the name as PostgreSQL does: every refusal reads alike. */
const char *scram_error_sqlstate(int error);
const char *scram_error_text(int error);
