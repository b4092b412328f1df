#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The users of an auth_file, in PgBouncer's format: `"name" "secret"` on a line, "" for
 * a quote inside, `;` begins a comment line, what follows the secret is ignored.  The
 * secret is a plain password, `md5` and 32 hexadecimal digits, or PostgreSQL's SCRAM
 * form.  A name that comes twice has its last secret. */

#include <stddef.h>

#include "base/check.h"
#include "base/span.h"
#include "wire/scram.h"

#define USERLIST_MAX_SIZE   (16U << 20) /* bytes of the file */
#define USERLIST_MAX_NAME   63		/* bytes */
#define USERLIST_MAX_SECRET 2048	/* bytes */

#define USERLIST_E_SYNTAX 1

enum userlist_kind {
	USERLIST_PLAIN,
	USERLIST_MD5,
	USERLIST_SCRAM,
};

struct userlist_entry {
	struct span name;
	enum userlist_kind kind;
	struct span secret;	   /* the text as it stands in the file, unquoted */
	struct scram_secret scram; /* USERLIST_SCRAM only */
};

struct userlist_error {
	size_t line;	  /* from 1 */
	const char *text; /* static */
};

/* What a text is as a secret; *SCRAM is filled in for USERLIST_SCRAM.  0, or
 * USERLIST_E_SYNTAX for one that begins as a SCRAM secret and is none: no very strange
 * password. */
int userlist_classify(struct span secret, enum userlist_kind *kind,
		      struct scram_secret *scram) MUST_CHECK;

/* Immutable once made; threads may share it. */
struct userlist;

/* Reads the whole file TEXT, which may go away afterwards.  0 and *OUT (the caller's,
 * see userlist_free()); USERLIST_E_SYNTAX and *ERROR; -ENOMEM. */
int userlist_new(struct span text, struct userlist **out,
		 struct userlist_error *error) MUST_CHECK;
/* Wipes the secrets and frees.  NULL is fine. */
void userlist_free(struct userlist *list);
/* The user of that name (compared exactly), or NULL. */
const struct userlist_entry *userlist_find(const struct userlist *list,
					   struct span name);
size_t userlist_count(const struct userlist *list);
/* The I-th in the order of names; I < count. */
const struct userlist_entry *userlist_at(const struct userlist *list, size_t i);
