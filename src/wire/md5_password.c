/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/md5_password.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MD5_LEN 16

bool md5_password_is(struct span text)
{
	if (text.n != MD5_PASSWORD_LEN || memcmp(text.p, "md5", 3) != 0) {
		return false;
	}
	for (size_t i = 3; i < text.n; i++) {
		uint8_t lower = text.p[i] | 0x20;
		bool digit = text.p[i] >= '0' && text.p[i] <= '9';
		if (!digit && (lower < 'a' || lower > 'f')) {
			return false;
		}
	}
	return true;
}

static bool md5_update(EVP_MD_CTX *ctx, struct span s)
{
	return s.n == 0 || EVP_DigestUpdate(ctx, s.p, s.n) == 1;
}

/* `md5` hex(MD5(A B)) */
static int md5_password_hash(struct span a, struct span b,
			     uint8_t out[MD5_PASSWORD_LEN])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t digest[MD5_LEN];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
		    md5_update(ctx, a) && md5_update(ctx, b) &&
		    EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (!done) {
		return -EIO;
	}
	memcpy(out, "md5", 3);
	for (size_t i = 0; i < MD5_LEN; i++) {
		out[3 + 2 * i] = (uint8_t)digits[digest[i] >> 4];
		out[4 + 2 * i] = (uint8_t)digits[digest[i] & 15];
	}
	OPENSSL_cleanse(digest, sizeof(digest));
	return 0;
}

int md5_password_make(struct span password, struct span user,
		      uint8_t out[MD5_PASSWORD_LEN])
{
	return md5_password_hash(password, user, out);
}

int md5_password_answer(const uint8_t secret[MD5_PASSWORD_LEN],
			const uint8_t salt[MD5_PASSWORD_SALT],
			uint8_t out[MD5_PASSWORD_LEN])
{
	return md5_password_hash(span_make(secret + 3, MD5_PASSWORD_LEN - 3),
				 span_make(salt, MD5_PASSWORD_SALT), out);
}
