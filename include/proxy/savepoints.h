#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the settings of a transaction were at each of its savepoints, so that ROLLBACK
 * TO takes back what was SET since then (T-29). */

#include <stdbool.h>

#include "base/dlist.h"

struct context;

#define SAVEPOINTS_MAX 64

struct savepoint {
	struct dlist link;
	struct context *pending;	/* a reference, or NULL: nothing had been set */
	struct context *pending_server; /* the same */
	char name[64];			/* as PostgreSQL cuts names */
};

struct savepoints {
	struct dlist list; /* newest first */
	unsigned n;
	bool are_unsure; /* some were made or released without our knowing for sure */
};

/* None; allocates nothing. */
void savepoints_init(struct savepoints *savepoints);
/* The transaction is over. */
void savepoints_clear(struct savepoints *savepoints);
/* SAVEPOINT NAME; takes references of its own.  Over the limit, or without memory, they
 * become unsure. */
void savepoints_push(struct savepoints *savepoints, const char *name,
		     struct context *pending, struct context *pending_server);
/* RELEASE NAME: that one and those behind it are gone. */
void savepoints_release(struct savepoints *savepoints, const char *name);
/* ROLLBACK TO NAME: those behind it are gone.  NULL: it is not there. */
const struct savepoint *savepoints_back_to(struct savepoints *savepoints,
					   const char *name);
