/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* pg_hba.conf and pg_ident.conf: the first file is the text up to a zero byte; what it
 * includes is what follows.  What was read is asked about a few clients. */

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "wire/hba.h"
#include "wire/hba_lines.h"
#include "wire/ident.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct texts {
	struct span first;
	struct span others;
};

static int texts_read(void *arg, const char *path, struct buf *out)
{
	const struct texts *texts = arg;
	if (strcmp(path, "/none") == 0) {
		return -ENOENT;
	}
	struct span text = strcmp(path, "/first") == 0 ? texts->first : texts->others;
	if (text.n > 0) {
		buf_append_span(out, text);
	}
	return 0;
}

static int texts_list(void *arg, const char *path, struct buf *out)
{
	buf_append_cstr(out, "b.conf");
	buf_append_cstr(out, "a.conf");
	return 0;
}

static bool is_own(const struct hba_address *address, bool net)
{
	return net;
}

static void ask(const struct hba *hba, struct span user)
{
	static const char *const addresses[] = { "127.0.0.1", "::1" };
	struct hba_client client = { .user = user,
				     .database = SPAN_LIT("db"),
				     .is_own = is_own };
	(void)hba_find(hba, &client);
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		require(hba_parse_address(span_str(addresses[i]), &client.address));
		client.is_tls = i == 1;
		const struct hba_verdict *verdict = hba_find(hba, &client);
		require(verdict == NULL || verdict->method != HBA_PEER);
		require(verdict == NULL || verdict->method != HBA_CERT ||
			client.is_tls);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
	size_t n = zero == NULL ? size : (size_t)(zero - data);
	struct texts texts = { .first = span_make(data, n),
			       .others = zero == NULL
					     ? span_make(NULL, 0)
					     : span_make(zero + 1, size - n - 1) };
	struct hba_source source = { &texts, texts_read, texts_list };
	struct hba_error error;
	struct hba *hba;
	struct ident *ident;
	int r = hba_new(&source, "/first", &hba, &error);
	require((r == 0) == (hba != NULL) && (r == 0 || error.text[0] != '\0'));
	if (r == 0) {
		ask(hba, SPAN_LIT("user"));
		ask(hba, span_make(NULL, 0));
	}
	hba_free(hba);
	r = ident_new(&source, "/first", &ident, &error);
	require((r == 0) == (ident != NULL) && (r == 0 || error.text[0] != '\0'));
	(void)ident_allows(ident, "m", "somebody@example.org", "somebody");
	ident_free(ident);
	return 0;
}
