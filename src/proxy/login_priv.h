#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/login share: the login of one client, from its start-up
 * packet to the greeting.
 *
 *   login.c ──> login_auth.c ──> login_user.c ──> login_auth.c ──> login_greet.c
 *   start-up    which method     its secret       the exchange     its pool, its
 *                                                                  settings, greeting
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/scram.h"

struct client;
struct user;

#define LOGIN_MAX_SETTINGS 48
#define LOGIN_MAX_MESSAGE  65540 /* of a password message, length word */
#define LOGIN_OUT_MAX	   65536

struct login_setting {
	char *name; /* lower case; owned */
	char *value;
};

struct login {
	uint16_t minor; /* of the protocol: 0 or 2 */
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
/* login_user.c: finds what is known of the user, and calls login_user_known() once, now
 * or later.  Whoever calls it later pauses the client's stream meanwhile and resumes it
 * before the call, and does not call when the client has been closed. */
void login_find_user(struct client *client);
/* login_auth.c: goes on with the login.  USER is not needed after the call; NULL: there
 * is none, which the client must not notice. */
void login_user_known(struct client *client, const struct user *user);
/* A message of the client while it is being asked.  Returns the bytes consumed. */
size_t login_take_auth(struct client *client, struct span in);

/* login_greet.c: the client is who it says: its pool, and the greeting, at once or when
 * a server connection is there. */
void login_accepted(struct client *client);
