/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/redis_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 6379
#define MAX_DB	     1000000

/* Decodes %XX in place; false on a bad or zero escape. */
static bool percent_decode(char *s)
{
	static const char digits[] = "0123456789abcdef";
	char *to = s;
	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*to++ = *s;
			continue;
		}
		if (!isxdigit((unsigned char)s[1]) || !isxdigit((unsigned char)s[2])) {
			return false;
		}
		long high = strchr(digits, tolower((unsigned char)s[1])) - digits;
		long low = strchr(digits, tolower((unsigned char)s[2])) - digits;
		if (high == 0 && low == 0) {
			return false;
		}
		*to++ = (char)(high * 16 + low);
		s += 2;
	}
	*to = '\0';
	return true;
}

/* A whole decimal number up to MAX. */
static bool read_number(const char *s, uint32_t max, uint32_t *out)
{
	uint32_t n = 0;
	if (*s == '\0') {
		return false;
	}
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9') {
			return false;
		}
		n = n * 10 + (uint32_t)(*s - '0');
		if (n > max) {
			return false;
		}
	}
	*out = n;
	return true;
}

static bool read_login(struct redis_url *url, char *login)
{
	char *colon = strchr(login, ':');
	if (colon != NULL) {
		*colon = '\0';
		url->password = colon + 1;
		if (!percent_decode(colon + 1)) {
			return false;
		}
	}
	url->user = *login == '\0' ? NULL : login;
	return percent_decode(login);
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static bool read_host(struct redis_url *url, char *host)
{
	char *port;
	if (*host == '[') {
		char *end = strchr(host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
			return false;
		}
		port = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
		host++;
	} else {
		port = strchr(host, ':');
		if (port != NULL) {
			*port++ = '\0';
		}
	}
	uint32_t number = DEFAULT_PORT;
	if (port != NULL && (!read_number(port, UINT16_MAX, &number) || number == 0)) {
		return false;
	}
	url->port = (uint16_t)number;
	url->host = *host == '\0' ? "127.0.0.1" : host;
	return percent_decode(host);
}

static bool read_tcp(struct redis_url *url, char *rest)
{
	if (strpbrk(rest, "?#") != NULL) {
		return false;
	}
	char *slash = strchr(rest, '/');
	if (slash != NULL) {
		*slash++ = '\0';
		if (*slash != '\0' && !read_number(slash, MAX_DB, &url->db)) {
			return false;
		}
	}
	char *at = strrchr(rest, '@');
	if (at != NULL) {
		*at = '\0';
		if (!read_login(url, rest)) {
			return false;
		}
		rest = at + 1;
	}
	return read_host(url, rest);
}

static bool read_unix(struct redis_url *url, char *rest)
{
	if (strncmp(rest, "//", 2) == 0) {
		rest += 2;
	}
	char *query = strchr(rest, '?');
	if (query != NULL) {
		*query++ = '\0';
		if (strncmp(query, "db=", 3) != 0 ||
		    !read_number(query + 3, MAX_DB, &url->db)) {
			return false;
		}
	}
	url->path = rest;
	return *rest == '/' && percent_decode(rest);
}

int redis_url_init(struct redis_url *url, const char *text)
{
	*url = (struct redis_url){ 0 };
	url->text = strdup(text);
	if (url->text == NULL) {
		return -ENOMEM;
	}
	char *rest = url->text;
	bool ok;
	if (strncmp(rest, "unix:", 5) == 0) {
		ok = read_unix(url, rest + 5);
	} else if (strncmp(rest, "redis://", 8) == 0) {
		ok = read_tcp(url, rest + 8);
	} else {
		ok =
		    *rest != '\0' && strstr(rest, "://") == NULL && read_tcp(url, rest);
	}
	if (!ok) {
		redis_url_fini(url);
		return REDIS_URL_E_INVALID;
	}
	return 0;
}

void redis_url_fini(struct redis_url *url)
{
	free(url->text);
	*url = (struct redis_url){ 0 };
}
