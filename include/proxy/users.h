#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Who may log in: the users of the configuration and of auth_file, with their SCRAM
 * secrets derived once, and the rows of auth_hba_file and auth_ident_file.  Immutable,
 * reference-counted. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "wire/md5_password.h"
#include "wire/scram.h"

struct config;
struct hba;
struct ident;
struct users;

/* Without secret and md5 (an empty password is none) nobody can log in by password. */
struct user {
	const char *name; /* owned */
	const char
	    *password; /* owned; plain, towards servers; NULL: only a secret is known */
	struct scram_secret secret;
	bool has_secret;
	uint8_t md5[MD5_PASSWORD_LEN]; /* digits in lower case */
	bool has_md5;
};

/* From the text of a secret in any form that auth_file knows.  The user owns copies;
 * end it with user_fini(), also after an error.  0, 1 when the text begins as a SCRAM
 * secret and is none, -ENOMEM or -EIO.  Derives from a plain password, with a salt made
 * of SALT_KEY (see struct proxy): milliseconds. */
int user_init(struct user *user, struct span name, struct span secret,
	      const uint8_t salt_key[SCRAM_KEY_LEN], uint32_t iterations) MUST_CHECK;
/* Wipes the secrets and frees. */
void user_fini(struct user *user);

/* Reads the files.  0; -errno or 1 when the file is bad, with one line in ERROR (size
 * bytes).  Deriving costs milliseconds for each plain password. */
int users_load(const struct config *config, const uint8_t salt_key[SCRAM_KEY_LEN],
	       struct users **out, char *error, size_t error_size) MUST_CHECK;
struct users *users_ref(struct users *users);
void users_unref(struct users *users);
/* Whether most secrets are stored ones of SCRAM, or there are none. */
bool users_have_scram(const struct users *users);
/* The iterations that a stored secret of SCRAM has; OTHERWISE when there is none. */
uint32_t users_iterations(const struct users *users, uint32_t otherwise);
/* The rows; not NULL with auth_type hba. */
const struct hba *users_hba(const struct users *users);
/* The maps, or NULL. */
const struct ident *users_ident(const struct users *users);
const struct user *users_find(const struct users *users, struct span name);
