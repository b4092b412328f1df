#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/login share: the login of one client, from its start-up
 * packet to the greeting.
 *
 *   login.c ──> login_auth.c ──> login_user.c ──> login_auth.c ──────> login_greet.c
 *   start-up    which method     its secret       login_scram.c        its pool, its
 *               login_hba.c                       login_password.c     settings,
 *                                                 login_peer.c         greeting
 *                                                 the exchange */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/span.h"
#include "proxy/auth_query.h"
#include "proxy/client.h"
#include "wire/md5_password.h"
#include "wire/scram.h"
#include "wire/startup.h"

struct buf;
struct config_database;
struct hba_verdict;
struct login_peer;
struct user;

#define LOGIN_MAX_SETTINGS 48
#define LOGIN_MAX_MESSAGE  65540 /* of a password message, length word */
#define LOGIN_OUT_MAX	   65536

struct login_setting {
	char *name; /* lower case; owned */
	char *value;
};

enum login_method {
	LOGIN_TRUST,
	LOGIN_ANY, /* trust, as the user that the database is given */
	LOGIN_PASSWORD,
	LOGIN_MD5, /* or SCRAM, for who has a SCRAM secret */
	LOGIN_SCRAM,
	LOGIN_CERT, /* its certificate has been compared */
	LOGIN_PEER,
};

/* What the client is being asked for. */
enum login_question {
	LOGIN_ASKED_NOTHING,
	LOGIN_ASKED_PASSWORD,
	LOGIN_ASKED_MD5,
	LOGIN_ASKED_SCRAM,
};

struct login {
	uint16_t minor; /* of the protocol: 0 or 2 */
	enum startup_replication replication;
	char *server_options; /* of a replication client; owned, or NULL */
	char *user;	      /* owned */
	char *database;	      /* owned */
	char *password;	      /* towards servers; owned, or NULL */
	enum login_method method;
	enum login_question question;
	char *map;		 /* for LOGIN_PEER; owned, or NULL */
	struct login_peer *peer; /* being looked up, or NULL */
	struct scram scram; /* also holds the secret for a password in clear text */
	bool scram_begun;
	/* The secret for a password in clear text; what must be sent for an MD5. */
	uint8_t md5[MD5_PASSWORD_LEN];
	bool has_md5;
	bool is_mock;	       /* asked for an MD5 that nothing equals */
	struct client *client; /* while auth_query is asked */
	struct auth_waiter auth_waiter;
	bool was_asked_for;  /* by auth_query, now or earlier */
	bool has_old_answer; /* auth_query was asked before this login began */
	char *held; /* the client's answer, from when its user is asked for again; owned
		     */
	uint8_t salt[MD5_PASSWORD_SALT];
	unsigned n_settings;
	struct login_setting settings[LOGIN_MAX_SETTINGS];
};

/* login.c: wipes and frees login->password. */
void login_forget_password(struct login *login);
/* login_auth.c: asks who the client is; ends in login_accepted() or a close. */
void login_authenticate(struct client *client);
/* login_user.c: finds what is known of the user, and calls login_user_known() once, now
 * or later.  Whoever calls it later pauses the client's stream meanwhile and resumes it
 * before the call, and does not call when the client has been closed. */
void login_find_user(struct client *client);
/* login_user.c: the login has failed.  When an older answer of auth_query was used, the
 * password may have been changed since: the next login asks again. */
void login_doubt_user(struct client *client);
/* login_auth.c: goes on with the login.  USER is not needed after the call; NULL: there
 * is none, which the client must not notice. */
void login_user_known(struct client *client, const struct user *user);
/* Refuses the client as PostgreSQL refuses a wrong password. */
void login_denied(struct client *client);
/* Puts the user's secret, or nobody's, into login->scram.  False: the client was
 * closed. */
bool login_keep_secret(struct client *client, const struct user *user);
/* A message of the client while it is being asked.  Returns the bytes consumed. */
size_t login_take_auth(struct client *client, struct span in);

/* login_scram.c, login_password.c: the question, and the answer to it.  USER as for
 * login_user_known(). */
void login_begin_scram(struct client *client, const struct user *user);
void login_take_scram(struct client *client, struct span body);
void login_begin_password(struct client *client, const struct user *user);
void login_begin_md5(struct client *client, const struct user *user);
void login_take_password(struct client *client, struct span body);
/* login_password.c: the user was asked for again, for the answer in login->held. */
void login_known_again(struct client *client, const struct user *user);

/* login_console.c: whether the client asks for the admin console; whether it is the
 * process's own user on a Unix socket, who needs no password there; and the greeting of
 * one who is logged in. */
bool login_is_console(const struct client *client);
bool login_is_console_owner(const struct client *client);
void login_console(struct client *client);

/* login_hba.c: the row of auth_hba_file that fits; NULL: none, or one that rejects, and
 * the client was closed. */
const struct hba_verdict *login_hba(struct client *client);
/* Whether the client has shown the certificate that VERDICT asks for.  False: closed.
 */
bool login_check_cert(struct client *client, const struct hba_verdict *verdict);

/* login_peer.c: the account at the other end of a Unix socket.  False: it is not one,
 * or the kernel cannot tell which: in a user namespace (systemd's PrivateUsers=,
 * containers) all that are not mapped look like one, the overflow uid, which is also
 * nobody's. */
bool login_peer_account(const struct client *client, struct ucred *out);
/* Compares its name with the user's, later. */
void login_begin_peer(struct client *client);
/* The client is gone; NULL is fine. */
void login_peer_forget(struct login_peer *peer);

/* login_greet.c: the client is who it says: its pool, and the greeting, at once or when
 * a server connection is there. */
void login_accepted(struct client *client);

/* Appends to the GREETING the cancel key, with process id PID or (0) one of ours, and
 * ReadyForQuery, and sends it: the login is over, and the client goes to STATE.  It is
 * closed when it cannot get a key. */
void login_end_greeting(struct client *client, struct buf *greeting, uint32_t pid,
			enum client_state state, uint32_t db_index);

/* login_relay.c: what a replication client's server connection is to be opened with.
 * False: no memory. */
bool login_relay_options(struct client *client, const struct startup *startup);
/* The client is who it says, and LINE is where its database is: a server connection of
 * its own. */
void login_relay(struct client *client, const struct config_database *line);
/* It is there: the greeting. */
void login_relay_greet(struct client *client);
