/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/session_reports.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/session.h"
#include "session_priv.h"
#include "upstream/context.h"

/* NAME in lower case, as contexts have it; false: it is too long. */
static bool session_key(struct span name, char *key, size_t size)
{
	if (name.n >= size) {
		return false;
	}
	for (size_t i = 0; i < name.n; i++) {
		uint8_t c = name.p[i];
		key[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	key[name.n] = 0;
	return true;
}

bool session_expects(const struct session *session, struct span name, struct span value)
{
	char key[64];
	struct span known;
	return session->tx_sets || session->suspect || session->untrusted ||
	       !session_key(name, key, sizeof(key)) ||
	       !context_effective(session->context, key, &known) ||
	       span_eq(value, known);
}

/* The value that NAME has been reset to, for the client, or NULL: it has not been. */
static const char *session_reset_to(const struct session *session, const char *name)
{
	if (session->pending == NULL) {
		return NULL;
	}
	const char *first = context_get(session->startup, name);
	const char *then = context_get(session->pending, name);
	return first != NULL && then != NULL && strcmp(first, then) == 0 ? first : NULL;
}

void session_reported(struct session *session, struct span name, struct span value,
		      enum report report)
{
	char key[64];
	if (session->pending == NULL || value.n > 1024 ||
	    !session_key(name, key, sizeof(key)) ||
	    context_get(session->pending, key) == NULL ||
	    context_get(session->pending_server, key) == NULL ||
	    (report == REPORT_RESET && session_reset_to(session, key) != NULL)) {
		return;
	}
	char *text = strndup((const char *)value.p, value.n);
	if (text != NULL) {
		session_pend(session, context_with(session->pending, key, text),
			     context_with(session->pending_server, key, text));
	}
	free(text);
}

/* Where *AT has NAME as WAS it becomes VALUE; without memory it stays, and the value is
 * reported again. */
static void session_correct(struct context **at, const char *name, const char *was,
			    const char *value)
{
	const char *there = *at != NULL ? context_get(*at, name) : NULL;
	if (there == NULL || strcmp(there, was) != 0) {
		return;
	}
	struct context *fresh = context_with(*at, name, value);
	if (fresh != NULL) {
		context_unref(*at);
		*at = fresh;
	}
}

void session_restored(struct session *session, struct span name, struct span value,
		      struct context **server)
{
	char key[64];
	if (value.n > 1024 || *server != session->context ||
	    !session_key(name, key, sizeof(key))) {
		return;
	}
	const char *there = context_get(session->context, key);
	char *text = strndup((const char *)value.p, value.n);
	char *was = there != NULL ? strdup(there) : NULL;
	if (text != NULL && was != NULL && strcmp(text, was) != 0) {
		session_correct(&session->startup, key, was, text);
		session_correct(&session->context, key, was, text);
		/* of statements that were sent behind the settings */
		session_correct(&session->pending, key, was, text);
		session_correct(&session->pending_server, key, was, text);
		context_assign(server, context_ref(session->context));
	}
	free(was);
	free(text);
}

struct span session_tells(struct session *session, struct span name, struct span value,
			  enum report report)
{
	bool is_ours = report == REPORT_OURS;
	char key[64];
	struct span nothing = { 0 };
	if (value.n > 1024 || !session_key(name, key, sizeof(key))) {
		return value;
	}
	const char *first =
	    report == REPORT_RESET ? session_reset_to(session, key) : NULL;
	bool is_reset = first != NULL;
	if (is_reset) {
		value =
		    span_str(first); /* as it will be, before anything else is done */
	}
	const char *told = context_get(session->told, key);
	if ((told == NULL && is_ours) || (told != NULL && span_eq_str(value, told))) {
		return is_ours || is_reset ? nothing : value;
	}
	char *text = strndup((const char *)value.p, value.n);
	struct context *fresh = text ? context_with(session->told, key, text) : NULL;
	if (fresh != NULL) {
		context_unref(session->told);
		session->told = fresh;
	}
	free(text);
	return value;
}
