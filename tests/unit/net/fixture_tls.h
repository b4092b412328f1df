#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Certificates made in the test, and a client that talks TLS over a socketpair with a
 * stream of ours. */

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/config_tls.h"
#include "net/stream.h"
#include "net/timer.h"
#include "net/tls.h"

#define TLS_OUT_HIGH 65536

/* A directory with ca.crt, server.crt, server.key, client.crt and client.key. */
struct certificates {
	char dir[64];
	char ca[96];
	char server_crt[96];
	char server_key[96];
	char client_crt[96];
	char client_key[96];
};

void certificates_make(struct certificates *c);
void certificates_remove(const struct certificates *c);
/* The server's certificate and key, and no more asked than that. */
struct tls_options certificates_options(const struct certificates *c);

struct link {
	struct stream stream;
	struct stream_group group;
	struct loop *loop;
	struct timer *limit;
	struct tls *tls;
	int fd; /* the client's */
	SSL_CTX *ctx;
	SSL *ssl;	/* the client's */
	struct buf got; /* what the stream was given */
	size_t take;	/* bytes to consume of each delivery */
	unsigned n_deliveries;
	int n_drained;
	int n_ended;
	int err;
	bool starts_at_once; /* the first bytes are a TLS record */
	bool is_echo;
};

/* The stream waits; the client has not begun its handshake. */
void link_begin(struct link *link, const struct tls_options *options);
void link_end(struct link *link);
/* Runs the stream's loop for a moment. */
void link_run(struct link *link);
/* Both sides of the handshake; false: it failed. */
bool link_connect(struct link *link);
/* What the client can read now, appended to OUT; the largest single read is returned.
 */
size_t link_read(struct link *link, struct buf *out);
