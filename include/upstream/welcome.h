#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a server reports of itself at login (ParameterStatus): immutable,
 * reference-counted, shared by all workers.  Clients are greeted with it. */

#include <stdatomic.h>
#include <stddef.h>

#include "base/span.h"

struct server_socket;

#define WELCOME_MAX 24

struct welcome {
	atomic_uint refs;
	unsigned n;
	struct {
		char *name;
		char *value;
	} at[WELCOME_MAX];
};

/* NULL without memory. */
struct welcome *welcome_new(const struct server_socket *socket);
/* A copy in which NAME has another VALUE.  NULL: it has that value, it is not in
 * WELCOME, or no memory. */
struct welcome *welcome_with(const struct welcome *welcome, struct span name,
			     struct span value);
struct welcome *welcome_ref(struct welcome *welcome);
void welcome_unref(struct welcome *welcome);
/* The value of NAME (any case), or NULL. */
const char *welcome_get(const struct welcome *welcome, const char *name);
