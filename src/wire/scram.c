/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/scram.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "base/sqlstate.h"
#include "wire/base64.h"

#define SCRAM_BINDING_TYPE "p=tls-server-end-point"
#define SCRAM_GS2_PLUS	   SCRAM_BINDING_TYPE ",,"

_Static_assert(BASE64_LEN(SCRAM_NONCE_RAW) <= SCRAM_NONCE_MAX, "our nonce has room");

/* Attributes are `x=value`, separated by commas; a value has no comma. */
struct scram_attr {
	uint8_t name; /* a letter; 0 when the message was not well formed */
	struct span value;
};

/* Takes the next attribute and the comma behind it off *S. */
static struct scram_attr scram_next_attr(struct span *s)
{
	struct scram_attr attr = { 0 };
	if (s->n < 2 || s->p[1] != '=') {
		return attr;
	}
	uint8_t lower = s->p[0] | 0x20;
	if (lower < 'a' || lower > 'z') {
		return attr;
	}
	attr.name = s->p[0];
	*s = span_skip(*s, 2);
	const uint8_t *comma = s->n == 0 ? NULL : memchr(s->p, ',', s->n);
	size_t n = comma == NULL ? s->n : (size_t)(comma - s->p);
	attr.value = span_make(s->p, n);
	*s = span_skip(*s, comma == NULL ? n : n + 1);
	return attr;
}

static bool scram_is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == ',') {
			return false;
		}
	}
	return s.n > 0;
}

static bool scram_is_message(struct span s)
{
	return s.n > 0 && s.n <= SCRAM_MESSAGE_MAX && memchr(s.p, 0, s.n) == NULL;
}

/* Room is certain: the parts are bounded, see SCRAM_TRANSCRIPT_MAX. */
static void scram_append(struct scram *scram, struct span s)
{
	require(s.n <= sizeof(scram->transcript) - scram->transcript_len);
	if (s.n > 0) {
		memcpy(scram->transcript + scram->transcript_len, s.p, s.n);
		scram->transcript_len += s.n;
	}
}

static struct span scram_nonce(const struct scram *scram)
{
	return span_make(scram->transcript + scram->nonce_at, scram->nonce_len);
}

int scram_init(struct scram *scram, const struct scram_secret *secret)
{
	require(secret->salt_len > 0 && secret->salt_len <= SCRAM_SALT_MAX);
	require(secret->iterations > 0);
	*scram = (struct scram){ .state = SCRAM_FIRST, .secret = *secret };
	uint8_t raw[SCRAM_NONCE_RAW];
	if (RAND_bytes(raw, sizeof(raw)) != 1) {
		return -EIO;
	}
	scram->own_nonce_len =
	    base64_encode(span_make(raw, sizeof(raw)), scram->own_nonce);
	return 0;
}

void scram_offer_plus(struct scram *scram, struct span end_point)
{
	require(scram->state == SCRAM_FIRST);
	require(end_point.n > 0 && end_point.n <= SCRAM_END_POINT_MAX);
	memcpy(scram->end_point, end_point.p, end_point.n);
	scram->end_point_len = end_point.n;
}

int scram_choose(struct scram *scram, struct span mechanism)
{
	require(scram->state == SCRAM_FIRST);
	scram->plus = span_eq_str(mechanism, SCRAM_MECHANISM_PLUS);
	bool offered = scram->plus ? scram->end_point_len > 0
				   : span_eq_str(mechanism, SCRAM_MECHANISM);
	return offered ? 0 : SCRAM_E_PROTOCOL;
}

void scram_fini(struct scram *scram)
{
	OPENSSL_cleanse(scram, sizeof(*scram));
	scram->state = SCRAM_DONE;
}

void scram_set_nonce_for_test(struct scram *scram, struct span nonce)
{
	require(scram->state == SCRAM_FIRST);
	require(nonce.n <= sizeof(scram->own_nonce) && scram_is_printable(nonce));
	memcpy(scram->own_nonce, nonce.p, nonce.n);
	scram->own_nonce_len = nonce.n;
}

/* The gs2 header up to its first comma: how the channel is bound.  'y' says that the
 * client could bind it and has seen no offer: fine, unless there was one. */
static int scram_take_flag(struct scram *scram, struct span *message)
{
	uint8_t flag = message->p[0];
	if (flag == 'y' && scram->end_point_len > 0) {
		return SCRAM_E_DOWNGRADED;
	}
	if (flag == 'p' && scram->end_point_len == 0) {
		return SCRAM_E_BINDING;
	}
	if (flag != 'n' && flag != 'y' && flag != 'p') {
		return SCRAM_E_PROTOCOL;
	}
	if ((flag == 'p') != scram->plus) {
		return SCRAM_E_UNBOUND;
	}
	struct span type = SPAN_LIT(SCRAM_BINDING_TYPE);
	if (flag == 'p' &&
	    (message->n < type.n || memcmp(message->p, type.p, type.n) != 0)) {
		return SCRAM_E_BINDING;
	}
	scram->binding_flag = flag;
	*message = span_skip(*message, flag == 'p' ? type.n : 1);
	return 0;
}

/* The gs2 header, `n,,`, `y,,` or `p=tls-server-end-point,,`, taken off *MESSAGE. */
static int scram_take_gs2(struct scram *scram, struct span *message)
{
	int e = scram_take_flag(scram, message);
	if (e != 0) {
		return e;
	}
	if (message->n < 2 || message->p[0] != ',') {
		return SCRAM_E_PROTOCOL;
	}
	if (message->p[1] == 'a') {
		return SCRAM_E_AUTHZID;
	}
	if (message->p[1] != ',') {
		return SCRAM_E_PROTOCOL;
	}
	*message = span_skip(*message, 2);
	return 0;
}

/* Writes server-first behind client-first in the transcript. */
static struct span scram_write_first(struct scram *scram, struct span client_nonce)
{
	uint8_t salt[BASE64_LEN(SCRAM_SALT_MAX)];
	size_t salt_len =
	    base64_encode(span_make(scram->secret.salt, scram->secret.salt_len), salt);
	char iterations[16];
	int n =
	    snprintf(iterations, sizeof(iterations), "%u", scram->secret.iterations);
	require(n > 0 && (size_t)n < sizeof(iterations));

	scram_append(scram, SPAN_LIT(","));
	size_t start = scram->transcript_len;
	scram_append(scram, SPAN_LIT("r="));
	scram->nonce_at = scram->transcript_len;
	scram_append(scram, client_nonce);
	scram_append(scram, span_make(scram->own_nonce, scram->own_nonce_len));
	scram->nonce_len = scram->transcript_len - scram->nonce_at;
	scram_append(scram, SPAN_LIT(",s="));
	scram_append(scram, span_make(salt, salt_len));
	scram_append(scram, SPAN_LIT(",i="));
	scram_append(scram, span_str(iterations));
	return span_make(scram->transcript + start, scram->transcript_len - start);
}

static int scram_parse_first(struct scram *scram, struct span message,
			     struct span *client_nonce)
{
	if (!scram_is_message(message)) {
		return SCRAM_E_PROTOCOL;
	}
	int e = scram_take_gs2(scram, &message);
	if (e != 0) {
		return e;
	}
	struct span bare = message;
	if (message.n > 0 && message.p[0] == 'm') {
		return SCRAM_E_EXTENSION;
	}
	/* the name here is not looked at: the start-up packet has said it */
	if (scram_next_attr(&message).name != 'n') {
		return SCRAM_E_PROTOCOL;
	}
	struct scram_attr nonce = scram_next_attr(&message);
	if (nonce.name != 'r' || !scram_is_printable(nonce.value)) {
		return SCRAM_E_PROTOCOL;
	}
	while (message.n > 0) {
		if (scram_next_attr(&message).name == 0) {
			return SCRAM_E_PROTOCOL;
		}
	}
	*client_nonce = nonce.value;
	scram_append(scram, bare);
	return 0;
}

int scram_client_first(struct scram *scram, struct span message,
		       struct buf *server_first)
{
	if (scram->state != SCRAM_FIRST) {
		scram->state = SCRAM_DONE;
		return SCRAM_E_PROTOCOL;
	}
	scram->state = SCRAM_DONE;
	struct span client_nonce;
	int e = scram_parse_first(scram, message, &client_nonce);
	if (e != 0) {
		return e;
	}
	buf_append_span(server_first, scram_write_first(scram, client_nonce));
	scram->state = SCRAM_FINAL;
	return 0;
}

/* The gs2 header again, with -PLUS followed by the hash, in base64. */
static bool scram_is_bound(const struct scram *scram, struct span value)
{
	if (scram->binding_flag != 'p') {
		return span_eq_str(value, scram->binding_flag == 'n' ? "biws" : "eSws");
	}
	uint8_t wanted[sizeof(SCRAM_GS2_PLUS) - 1 + SCRAM_END_POINT_MAX];
	uint8_t text[BASE64_LEN(sizeof(wanted))];
	size_t n = sizeof(SCRAM_GS2_PLUS) - 1;
	memcpy(wanted, SCRAM_GS2_PLUS, n);
	memcpy(wanted + n, scram->end_point, scram->end_point_len);
	n = base64_encode(span_make(wanted, n + scram->end_point_len), text);
	return span_eq(value, span_make(text, n));
}

static int scram_parse_final(struct scram *scram, struct span message,
			     uint8_t proof[SCRAM_KEY_LEN])
{
	if (!scram_is_message(message)) {
		return SCRAM_E_PROTOCOL;
	}
	struct span rest = message;
	struct scram_attr attr = scram_next_attr(&rest);
	if (attr.name != 'c') {
		return SCRAM_E_PROTOCOL;
	}
	if (!scram_is_bound(scram, attr.value)) {
		return scram->plus ? SCRAM_E_CHANNEL : SCRAM_E_PROTOCOL;
	}
	attr = scram_next_attr(&rest);
	if (attr.name != 'r' || !span_eq(attr.value, scram_nonce(scram))) {
		return SCRAM_E_PROTOCOL;
	}
	size_t unsigned_len; /* up to the comma before the proof */
	do {
		unsigned_len = message.n - rest.n - 1;
		attr = scram_next_attr(&rest);
		if (attr.name == 0) {
			return SCRAM_E_PROTOCOL;
		}
	} while (attr.name != 'p');
	size_t n;
	if (rest.n != 0 || base64_decode(attr.value, proof, SCRAM_KEY_LEN, &n) != 0 ||
	    n != SCRAM_KEY_LEN) {
		return SCRAM_E_PROTOCOL;
	}
	scram_append(scram, SPAN_LIT(","));
	scram_append(scram, span_make(message.p, unsigned_len));
	return 0;
}

static int scram_sign(const struct scram *scram, const uint8_t key[SCRAM_KEY_LEN],
		      uint8_t out[SCRAM_KEY_LEN])
{
	return HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, scram->transcript,
		    scram->transcript_len, out, NULL) == NULL
		   ? -EIO
		   : 0;
}

/* The proof is ClientKey xor ClientSignature; the hash of ClientKey is what we stored.
 */
static int scram_verify(const struct scram *scram, const uint8_t proof[SCRAM_KEY_LEN])
{
	uint8_t key[SCRAM_KEY_LEN];
	uint8_t stored[SCRAM_KEY_LEN];
	if (scram_sign(scram, scram->secret.stored_key, key) != 0) {
		return -EIO;
	}
	for (size_t i = 0; i < SCRAM_KEY_LEN; i++) {
		key[i] ^= proof[i];
	}
	bool hashed = SHA256(key, SCRAM_KEY_LEN, stored) != NULL;
	bool equal =
	    CRYPTO_memcmp(stored, scram->secret.stored_key, SCRAM_KEY_LEN) == 0;
	OPENSSL_cleanse(key, sizeof(key));
	if (!hashed) {
		return -EIO;
	}
	/* last, so that a mock takes as long as a wrong password */
	return equal && !scram->secret.mock ? 0 : SCRAM_E_DENIED;
}

int scram_client_final(struct scram *scram, struct span message,
		       struct buf *server_final)
{
	bool expected = scram->state == SCRAM_FINAL;
	scram->state = SCRAM_DONE;
	if (!expected) {
		return SCRAM_E_PROTOCOL;
	}
	uint8_t proof[SCRAM_KEY_LEN];
	int e = scram_parse_final(scram, message, proof);
	if (e == 0) {
		e = scram_verify(scram, proof);
	}
	uint8_t signature[SCRAM_KEY_LEN];
	if (e == 0) {
		e = scram_sign(scram, scram->secret.server_key, signature);
	}
	if (e != 0) {
		return e;
	}
	uint8_t text[BASE64_LEN(SCRAM_KEY_LEN)];
	size_t n = base64_encode(span_make(signature, sizeof(signature)), text);
	buf_append_str(server_final, "v=");
	buf_append(server_final, text, n);
	return 0;
}

static const struct scram_error_row {
	const char *sqlstate;
	const char *text;
} scram_errors[] = {
	/* clang-format off */
	[SCRAM_E_FORMAT] = { SQLSTATE_INVALID_PASSWORD, "password authentication failed" },
	[SCRAM_E_PROTOCOL] = { SQLSTATE_PROTOCOL_VIOLATION, "malformed SCRAM message" },
	[SCRAM_E_BINDING] = { SQLSTATE_PROTOCOL_VIOLATION,
		"client selected SCRAM channel binding, which was not offered" },
	[SCRAM_E_UNBOUND] = { SQLSTATE_PROTOCOL_VIOLATION,
		"malformed SCRAM message: channel binding does not go with the mechanism" },
	[SCRAM_E_DOWNGRADED] = { SQLSTATE_INVALID_AUTHORIZATION,
		"SCRAM channel binding negotiation error" },
	[SCRAM_E_CHANNEL] = { SQLSTATE_INVALID_AUTHORIZATION,
		"SCRAM channel binding check failed" },
	[SCRAM_E_AUTHZID] = { SQLSTATE_FEATURE_NOT_SUPPORTED,
		"client uses authorization identity, but it is not supported" },
	[SCRAM_E_EXTENSION] = { SQLSTATE_FEATURE_NOT_SUPPORTED,
		"client requires an unsupported SCRAM extension" },
	[SCRAM_E_DENIED] = { SQLSTATE_INVALID_PASSWORD, "password authentication failed" },
	/* clang-format on */
};

const char *scram_error_sqlstate(int error)
{
	require(error > 0 && error <= SCRAM_E_LAST);
	return scram_errors[error].sqlstate;
}

const char *scram_error_text(int error)
{
	require(error > 0 && error <= SCRAM_E_LAST);
	return scram_errors[error].text;
}
