/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A login by somebody who does not know the password: two messages with a zero byte
 * between them, without and with channel binding, and a stored secret.  None may be let
 * in. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "wire/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_secret(struct span text)
{
	struct scram_secret secret, again;
	if (scram_secret_parse(text, &secret) != 0) {
		return;
	}
	struct buf buf;
	buf_init(&buf, 1024);
	scram_secret_format(&secret, &buf);
	require(buf_ok(&buf));
	require(scram_secret_parse(buf_span(&buf), &again) == 0);
	require(memcmp(&secret, &again, sizeof(secret)) == 0);
	buf_fini(&buf);
}

static void check_login(struct span first, struct span final, const char *mechanism)
{
	static const uint8_t key[SCRAM_KEY_LEN] = "the process has only this one";
	struct scram_secret secret;
	struct scram *scram = malloc(sizeof(*scram));
	struct buf answer;
	require(scram != NULL);
	require(scram_secret_mock(SPAN_LIT("nobody"), key, 4096, &secret) == 0);
	/* a real one, whose keys nobody has */
	secret.mock = false;
	memset(secret.stored_key, 0xa5, sizeof(secret.stored_key));
	require(scram_init(scram, &secret) == 0);
	scram_set_nonce_for_test(scram, SPAN_LIT("nonce"));
	scram_offer_plus(scram, SPAN_LIT("hash of a certificate"));
	require(scram_choose(scram, span_str(mechanism)) == 0);
	buf_init(&answer, SCRAM_TRANSCRIPT_MAX);
	int e = scram_client_first(scram, first, &answer);
	require(e >= 0 && buf_ok(&answer));
	require((e == 0) == (answer.len > 0));
	e = scram_client_final(scram, final, &answer);
	require(e == SCRAM_E_PROTOCOL || e == SCRAM_E_CHANNEL || e == SCRAM_E_DENIED);
	buf_fini(&answer);
	scram_fini(scram);
	free(scram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	check_secret(in);
	const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
	size_t n = zero == NULL ? size : (size_t)(zero - data);
	struct span first = span_make(data, n);
	struct span final = zero == NULL ? in : span_skip(in, n + 1);
	check_login(first, final, SCRAM_MECHANISM);
	check_login(first, final, SCRAM_MECHANISM_PLUS);
	return 0;
}
