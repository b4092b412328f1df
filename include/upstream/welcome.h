#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a server reports of itself at login (ParameterStatus): immutable,
 * reference-counted, shared by all workers.  Clients are greeted with it. */

#include <stdatomic.h>
#include <stddef.h>

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
struct welcome *welcome_ref(struct welcome *welcome);
void welcome_unref(struct welcome *welcome);
/* The value of NAME (any case), or NULL. */
const char *welcome_get(const struct welcome *welcome, const char *name);
