#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* How a client logs in: start-up packet, negotiation, SCRAM or trust, and the greeting,
 * which needs to know what the server reports of itself. */

#include <stddef.h>

#include "base/span.h"

struct client;
struct login;

/* NULL without memory. */
struct login *login_new(void);
/* Wipes what is secret in it.  NULL is fine. */
void login_free(struct login *login);
/* Takes messages of a client that has not logged in; returns the bytes consumed. */
size_t login_take(struct client *client, struct span in);
