#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* PostgreSQL's old way to prove a password: the secret that is kept is
 * `md5` hex(MD5(password name)), what the client sends is
 * `md5` hex(MD5(hex(MD5(password name)) salt)). */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

#define MD5_PASSWORD_LEN  35 /* `md5` and 32 digits */
#define MD5_PASSWORD_SALT 4  /* bytes, random for each login */

/* Whether TEXT has the form of a secret (digits of either case). */
bool md5_password_is(struct span text);
/* The secret of USER with PASSWORD.  0, or -EIO when the crypto library has no MD5. */
int md5_password_make(struct span password, struct span user,
		      uint8_t out[MD5_PASSWORD_LEN]) MUST_CHECK;
/* What the client must send for SECRET, whose digits are in lower case, and SALT.  0 or
 * -EIO. */
int md5_password_answer(const uint8_t secret[MD5_PASSWORD_LEN],
			const uint8_t salt[MD5_PASSWORD_SALT],
			uint8_t out[MD5_PASSWORD_LEN]) MUST_CHECK;
