#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/login share: the login of one client, from its start-up
 * packet to the greeting.
 *
 *   login.c ──> login_auth.c ──> login_greet.c
 *   start-up    who it is        its pool, its settings, the greeting */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "wire/scram.h"

struct client;

#define LOGIN_MAX_SETTINGS 48
#define LOGIN_MAX_MESSAGE  65540 /* of a password message, length word */
#define LOGIN_OUT_MAX	   65536

struct login_setting {
	char *name; /* lower case; owned */
	char *value;
};

struct login {
	char *user;	/* owned */
	char *database; /* owned */
	char *password; /* towards servers; owned, or NULL */
	struct scram scram;
	bool scram_begun;
	unsigned n_settings;
	struct login_setting settings[LOGIN_MAX_SETTINGS];
};

/* login_auth.c: asks who the client is; ends in login_accepted() or a close. */
void login_authenticate(struct client *client);
/* A message of the client while it is being asked.  Returns the bytes consumed. */
size_t login_take_auth(struct client *client, struct span in);

/* login_greet.c: the client is who it says: its pool, and the greeting, at once or when
 * a server connection is there. */
void login_accepted(struct client *client);
