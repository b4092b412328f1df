#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* TLS with clients: what the configuration says of it, and how a client begins it. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

struct client;
struct config;
struct tls;

/* Reads the certificate files.  0, with NULL in *OUT when TLS is off; 1 when they
 * cannot be used, with one line in ERROR (size bytes); or -ENOMEM. */
int login_tls_load(const struct config *config, struct tls **out, char *error,
		   size_t error_size) MUST_CHECK;

/* SSLRequest, or GSSENCRequest when IS_GSS: answers it, and begins the handshake when
 * the answer is yes.  Inside TLS the client is closed. */
void login_tls_request(struct client *client, bool is_gss);
/* IN begins with a TLS record instead of a packet: the handshake begins with it, or the
 * client is closed.  Returns the bytes consumed. */
size_t login_tls_direct(struct client *client, struct span in);
/* Whether the configuration wants TLS and the client has none; then it has been
 * refused.  A Unix socket needs none. */
bool login_tls_refuses(struct client *client);
