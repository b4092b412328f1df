/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/failure.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sqlstate.h"

/* What libpq says when no server has spoken; the first match counts. */
static const struct {
	const char *words;
	const char *reason;
	const char *sqlstate;
} failure_words[] = {
	/* what is there speaks something else */
	{ "expected authentication request", "refused", SQLSTATE_CONNECTION_FAILURE },
	{ "received invalid response", "refused", SQLSTATE_CONNECTION_FAILURE },
	{ "timed out", "timeout", SQLSTATE_CANNOT_CONNECT },
	{ "timeout", "timeout", SQLSTATE_CANNOT_CONNECT },
	{ "could not translate host name", "dns", SQLSTATE_CANNOT_CONNECT },
	{ "certificate", "tls", SQLSTATE_CONNECTION_FAILURE },
	{ "SSL", "tls", SQLSTATE_CONNECTION_FAILURE },
	{ "sslmode", "tls", SQLSTATE_CONNECTION_FAILURE },
	{ "password", "auth", SQLSTATE_INVALID_AUTHORIZATION },
	{ "authentication", "auth", SQLSTATE_INVALID_AUTHORIZATION },
	{ "SCRAM", "auth", SQLSTATE_INVALID_AUTHORIZATION },
	{ "SASL", "auth", SQLSTATE_INVALID_AUTHORIZATION },
	{ "channel binding", "auth", SQLSTATE_INVALID_AUTHORIZATION },
};

static bool failure_is_sqlstate(const char *s)
{
	for (int i = 0; i < SQLSTATE_LEN; i++) {
		if (!isdigit((unsigned char)s[i]) && !isupper((unsigned char)s[i])) {
			return false;
		}
	}
	return s[SQLSTATE_LEN] == ':' && s[SQLSTATE_LEN + 1] == ' ';
}

/* The severity may be in any language, so the two spaces behind it are the mark. */
static const char *failure_find_sqlstate(const char *text)
{
	for (const char *s = text; (s = strstr(s, ":  ")) != NULL; s++) {
		if (failure_is_sqlstate(s + 3)) {
			return s + 3;
		}
	}
	return NULL;
}

static void failure_copy_line(struct failure *failure, const char *text)
{
	size_t n = strcspn(text, "\r\n");
	if (n >= sizeof(failure->message)) {
		n = sizeof(failure->message) - 1;
	}
	memcpy(failure->message, text, n);
	failure->message[n] = '\0';
}

static void failure_set_code(struct failure *failure, const char *reason,
			     const char *sqlstate)
{
	failure->reason = reason;
	memcpy(failure->sqlstate, sqlstate, SQLSTATE_LEN);
	failure->sqlstate[SQLSTATE_LEN] = '\0';
}

/* Where libpq has no password for a server that asks for one: of a user with a stored
 * secret we know nothing that a server takes (T-21). */
#define FAILURE_NO_PASSWORD "no password supplied"
#define FAILURE_NO_PASSWORD_TEXT                                              \
	"the server asks for a password and none is known: give it in clear " \
	"text in auth_file, or user and password in [databases]"

static void failure_read_words(struct failure *failure, const char *text)
{
	if (strstr(text, FAILURE_NO_PASSWORD) != NULL) {
		failure_set_code(failure, "auth", SQLSTATE_INVALID_AUTHORIZATION);
		failure_copy_line(failure, FAILURE_NO_PASSWORD_TEXT);
		return;
	}
	failure_copy_line(failure, text);
	for (size_t i = 0; i < ARRAY_LEN(failure_words); i++) {
		if (strstr(text, failure_words[i].words) != NULL) {
			failure_set_code(failure, failure_words[i].reason,
					 failure_words[i].sqlstate);
			return;
		}
	}
	failure_set_code(failure, "refused", SQLSTATE_CANNOT_CONNECT);
}

void failure_read(struct failure *failure, const char *text)
{
	require(failure != NULL && text != NULL);
	const char *sqlstate = failure_find_sqlstate(text);
	if (sqlstate == NULL) {
		failure_read_words(failure, text);
		return;
	}
	bool is_auth = sqlstate[0] == '2' && sqlstate[1] == '8';
	failure_set_code(failure, is_auth ? "auth" : "fatal", sqlstate);
	failure_copy_line(failure, sqlstate + SQLSTATE_LEN + 2);
}

void failure_set(struct failure *failure, const char *reason, const char *sqlstate,
		 const char *fmt, ...)
{
	require(failure != NULL && strlen(sqlstate) == SQLSTATE_LEN);
	failure_set_code(failure, reason, sqlstate);
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(failure->message, sizeof(failure->message), fmt, args);
	va_end(args);
}

/* A server that refuses this login would refuse it on its other address, too; one that
 * is not there, or still starting, says nothing about the others. */
bool failure_is_of_address(const struct failure *failure)
{
	return strcmp(failure->reason, "refused") == 0 ||
	       strcmp(failure->reason, "timeout") == 0 ||
	       strcmp(failure->sqlstate, SQLSTATE_CANNOT_CONNECT_NOW) == 0;
}
