/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/welcome.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "upstream/connect.h"

struct welcome *welcome_new(const struct server_socket *socket)
{
	struct welcome *welcome = calloc(1, sizeof(*welcome));
	if (welcome == NULL) {
		return NULL;
	}
	atomic_init(&welcome->refs, 1);
	const char *const *names = server_socket_parameter_names();
	for (; *names != NULL && welcome->n < WELCOME_MAX; names++) {
		const char *value = server_socket_parameter(socket, *names);
		if (value == NULL) {
			continue;
		}
		unsigned i = welcome->n++;
		welcome->at[i].name = strdup(*names);
		welcome->at[i].value = strdup(value);
		if (welcome->at[i].name == NULL || welcome->at[i].value == NULL) {
			welcome_unref(welcome);
			return NULL;
		}
	}
	return welcome;
}

struct welcome *welcome_with(const struct welcome *welcome, struct span name,
			     struct span value)
{
	bool differs = false;
	struct welcome *copy = calloc(1, sizeof(*copy));
	if (copy == NULL) {
		return NULL;
	}
	atomic_init(&copy->refs, 1);
	for (; copy->n < welcome->n; copy->n++) {
		unsigned i = copy->n;
		struct span old = span_str(welcome->at[i].value);
		bool is_it = span_eq_str(name, welcome->at[i].name);
		struct span now = is_it ? value : old;
		differs = differs || !span_eq(now, old);
		copy->at[i].name = strdup(welcome->at[i].name);
		copy->at[i].value = strndup((const char *)now.p, now.n);
		if (copy->at[i].name == NULL || copy->at[i].value == NULL) {
			copy->n++;
			welcome_unref(copy);
			return NULL;
		}
	}
	if (!differs) {
		welcome_unref(copy);
		return NULL;
	}
	return copy;
}

struct welcome *welcome_ref(struct welcome *welcome)
{
	atomic_fetch_add(&welcome->refs, 1);
	return welcome;
}

void welcome_unref(struct welcome *welcome)
{
	if (welcome == NULL || atomic_fetch_sub(&welcome->refs, 1) != 1) {
		return;
	}
	for (unsigned i = 0; i < welcome->n; i++) {
		free(welcome->at[i].name);
		free(welcome->at[i].value);
	}
	free(welcome);
}

const char *welcome_get(const struct welcome *welcome, const char *name)
{
	for (unsigned i = 0; i < welcome->n; i++) {
		if (strcasecmp(welcome->at[i].name, name) == 0) {
			return welcome->at[i].value;
		}
	}
	return NULL;
}
