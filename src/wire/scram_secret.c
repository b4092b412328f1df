/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the server keeps of a password; the header is wire/scram.h. */

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "wire/base64.h"
#include "wire/saslprep.h"
#include "wire/scram.h"

static const struct span scram_prefix = SPAN_LIT(SCRAM_MECHANISM "$");

/* Cuts *S at the first C: returns what is before it and leaves in *S what is behind;
 * all of it, and *FOUND false, when there is none. */
static struct span scram_cut(struct span *s, uint8_t c, bool *found)
{
	const uint8_t *at = s->n == 0 ? NULL : memchr(s->p, c, s->n);
	*found = *found && at != NULL;
	size_t n = at == NULL ? s->n : (size_t)(at - s->p);
	struct span before = span_make(s->p, n);
	*s = span_skip(*s, at == NULL ? n : n + 1);
	return before;
}

/* Decimal digits only, 1 to SCRAM_ITERATIONS_MAX; 0 for anything else. */
static uint32_t scram_parse_iterations(struct span text)
{
	uint32_t value = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9') {
			return 0;
		}
		value = value * 10 + (uint32_t)(text.p[i] - '0');
		if (value > SCRAM_ITERATIONS_MAX) {
			return 0;
		}
	}
	return value;
}

int scram_secret_parse(struct span text, struct scram_secret *out)
{
	require(out != NULL);
	*out = (struct scram_secret){ 0 };
	if (text.n < scram_prefix.n ||
	    memcmp(text.p, scram_prefix.p, scram_prefix.n) != 0) {
		return SCRAM_E_FORMAT;
	}
	bool found = true;
	struct span rest = span_skip(text, scram_prefix.n);
	struct span iterations = scram_cut(&rest, ':', &found);
	struct span salt = scram_cut(&rest, '$', &found);
	struct span stored_key = scram_cut(&rest, ':', &found);
	if (!found) {
		return SCRAM_E_FORMAT;
	}
	out->iterations = scram_parse_iterations(iterations);
	size_t salt_len, stored_len, server_len;
	if (out->iterations == 0 ||
	    base64_decode(salt, out->salt, sizeof(out->salt), &salt_len) != 0 ||
	    base64_decode(stored_key, out->stored_key, SCRAM_KEY_LEN, &stored_len) !=
		0 ||
	    base64_decode(rest, out->server_key, SCRAM_KEY_LEN, &server_len) != 0 ||
	    salt_len == 0 || stored_len != SCRAM_KEY_LEN ||
	    server_len != SCRAM_KEY_LEN) {
		scram_secret_wipe(out);
		return SCRAM_E_FORMAT;
	}
	out->salt_len = (uint32_t)salt_len;
	return 0;
}

static void scram_append_base64(struct buf *out, const uint8_t *p, size_t n)
{
	uint8_t *to = buf_reserve(out, BASE64_LEN(n));
	if (to != NULL) {
		out->len += base64_encode(span_make(p, n), to);
	}
}

void scram_secret_format(const struct scram_secret *secret, struct buf *out)
{
	require(secret->salt_len > 0 && secret->salt_len <= SCRAM_SALT_MAX);
	buf_append_span(out, scram_prefix);
	buf_printf(out, "%u:", secret->iterations);
	scram_append_base64(out, secret->salt, secret->salt_len);
	buf_append_u8(out, '$');
	scram_append_base64(out, secret->stored_key, SCRAM_KEY_LEN);
	buf_append_u8(out, ':');
	scram_append_base64(out, secret->server_key, SCRAM_KEY_LEN);
}

static bool scram_hmac(const uint8_t key[SCRAM_KEY_LEN], struct span text,
		       uint8_t out[SCRAM_KEY_LEN])
{
	return HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, text.p, text.n, out, NULL) !=
	       NULL;
}

/* The keys of a PASSWORD that is prepared. */
static int scram_derive_keys(struct span password, struct scram_secret *out)
{
	const char *text = password.n == 0 ? "" : (const char *)password.p;
	uint8_t salted[SCRAM_KEY_LEN];
	uint8_t client_key[SCRAM_KEY_LEN];
	bool done = PKCS5_PBKDF2_HMAC(text, (int)password.n, out->salt,
				      (int)out->salt_len, (int)out->iterations,
				      EVP_sha256(), SCRAM_KEY_LEN, salted) == 1 &&
		    scram_hmac(salted, SPAN_LIT("Client Key"), client_key) &&
		    scram_hmac(salted, SPAN_LIT("Server Key"), out->server_key) &&
		    SHA256(client_key, SCRAM_KEY_LEN, out->stored_key) != NULL;
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
	return done ? 0 : -EIO;
}

int scram_secret_derive_salted(struct span password, struct span salt,
			       uint32_t iterations, struct scram_secret *out)
{
	require(salt.n >= 1 && salt.n <= SCRAM_SALT_MAX);
	require(iterations >= 1 && iterations <= SCRAM_ITERATIONS_MAX);
	require(password.n <= INT_MAX);
	*out = (struct scram_secret){
		.iterations = iterations,
		.salt_len = (uint32_t)salt.n,
	};
	memcpy(out->salt, salt.p, salt.n);
	struct span prepared;
	void *owned;
	int r = saslprep(password, &prepared, &owned);
	if (r == 0) {
		r = scram_derive_keys(prepared, out);
	}
	if (owned != NULL) {
		OPENSSL_cleanse(owned, prepared.n);
		free(owned);
	}
	if (r < 0) {
		scram_secret_wipe(out);
	}
	return r;
}

static bool scram_salt(struct span user, const uint8_t key[SCRAM_KEY_LEN],
		       uint8_t salt[SCRAM_SALT_LEN])
{
	uint8_t digest[SCRAM_KEY_LEN];
	bool ok = scram_hmac(key, user, digest);
	if (ok) {
		memcpy(salt, digest, SCRAM_SALT_LEN);
	}
	return ok;
}

int scram_secret_derive(struct span password, struct span user,
			const uint8_t key[SCRAM_KEY_LEN], uint32_t iterations,
			struct scram_secret *out)
{
	uint8_t salt[SCRAM_SALT_LEN];
	if (!scram_salt(user, key, salt)) {
		return -EIO;
	}
	return scram_secret_derive_salted(password, span_make(salt, sizeof(salt)),
					  iterations, out);
}

int scram_secret_mock(struct span user, const uint8_t key[SCRAM_KEY_LEN],
		      uint32_t iterations, struct scram_secret *out)
{
	require(iterations >= 1 && iterations <= SCRAM_ITERATIONS_MAX);
	*out = (struct scram_secret){
		.iterations = iterations,
		.salt_len = SCRAM_SALT_LEN,
		.mock = true,
	};
	return scram_salt(user, key, out->salt) ? 0 : -EIO;
}

bool scram_secret_matches(const struct scram_secret *secret, struct span password)
{
	struct scram_secret derived;
	struct span salt = span_make(secret->salt, secret->salt_len);
	if (scram_secret_derive_salted(password, salt, secret->iterations, &derived) !=
	    0) {
		return false;
	}
	bool equal =
	    CRYPTO_memcmp(derived.stored_key, secret->stored_key, SCRAM_KEY_LEN) == 0;
	scram_secret_wipe(&derived);
	return equal && !secret->mock;
}

void scram_secret_wipe(struct scram_secret *secret)
{
	OPENSSL_cleanse(secret, sizeof(*secret));
}
