/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "net/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/buf.h"
#include "net/loop.h"

#define RESOLVE_ADDRESSES_MAX 16 /* more records than that are not tried */
#define RESOLVE_TEXT_MAX      4096

struct resolve {
	uv_getaddrinfo_t req;
	resolve_fn fn; /* NULL: cancelled */
	void *arg;
	char *host; /* owned */
};

static void resolve_free(struct resolve *resolve)
{
	free(resolve->host);
	free(resolve);
}

/* Numbers and paths need no look-up; a scope (fe80::1%eth0) is libpq's to read. */
static bool resolve_is_numeric(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;
	return inet_pton(AF_INET, host, &v4) == 1 ||
	       inet_pton(AF_INET6, host, &v6) == 1 || strchr(host, '%') != NULL;
}

static void resolve_later(void *arg)
{
	struct resolve *resolve = arg;
	if (resolve->fn != NULL) {
		resolve->fn(resolve->arg, resolve->host, NULL);
	}
	resolve_free(resolve);
}

static void resolve_append(struct buf *text, const struct addrinfo *ai)
{
	char name[NI_MAXHOST];
	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, name, sizeof(name), NULL, 0,
			NI_NUMERICHOST) == 0) {
		buf_append_str(text, text->len > 0 ? "," : "");
		buf_append_str(text, name);
	}
}

static void resolve_answer(const struct resolve *resolve, const struct addrinfo *list)
{
	struct buf text;
	buf_init(&text, RESOLVE_TEXT_MAX);
	int n = 0;
	for (const struct addrinfo *ai = list; ai && n < RESOLVE_ADDRESSES_MAX;
	     ai = ai->ai_next) {
		resolve_append(&text, ai);
		n++;
	}
	if (text.len == 0) {
		resolve->fn(resolve->arg, NULL, "name has no address");
	} else {
		buf_append_u8(&text, 0);
		require(buf_ok(&text));
		resolve->fn(resolve->arg, (const char *)text.data, NULL);
	}
	buf_fini(&text);
}

static void resolve_on_uv(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct resolve *resolve = container_of(req, struct resolve, req);
	if (resolve->fn != NULL && status < 0) {
		resolve->fn(resolve->arg, NULL, uv_strerror(status));
	} else if (resolve->fn != NULL) {
		resolve_answer(resolve, list);
	}
	uv_freeaddrinfo(list);
	resolve_free(resolve);
}

static int resolve_begin(struct loop *loop, struct resolve *resolve)
{
	if (resolve->host[0] == '/' || resolve->host[0] == '@' ||
	    resolve_is_numeric(resolve->host)) {
		return loop_post(loop, resolve_later, resolve);
	}
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_ADDRCONFIG };
	return uv_getaddrinfo(loop_uv(loop), &resolve->req, resolve_on_uv,
			      resolve->host, NULL, &hints);
}

int resolve_start(struct loop *loop, const char *host, resolve_fn fn, void *arg,
		  struct resolve **out)
{
	require(loop != NULL && host != NULL && fn != NULL && out != NULL);
	struct resolve *resolve = calloc(1, sizeof(*resolve));
	if (resolve == NULL) {
		return -ENOMEM;
	}
	resolve->fn = fn;
	resolve->arg = arg;
	resolve->host = strdup(host);
	int err = resolve->host == NULL ? -ENOMEM : resolve_begin(loop, resolve);
	if (err < 0) {
		resolve_free(resolve);
		return err;
	}
	*out = resolve;
	return 0;
}

void resolve_cancel(struct resolve *resolve)
{
	require(resolve != NULL && resolve->fn != NULL);
	resolve->fn = NULL;
	/* Fails once the look-up has begun, or when there is none; then it just ends.
	 */
	if (resolve->req.loop != NULL) {
		(void)uv_cancel((uv_req_t *)&resolve->req);
	}
}
