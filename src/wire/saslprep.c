/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/saslprep.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <stringprep.h>

/* Code points that one may become in NFKC, at most: U+FDFA. */
#define SASLPREP_GROWTH	   18
#define SASLPREP_MAX_STEPS 32

/* libidn's steps, which it does in the order of the list, with NFKC moved to the end:
 * see the header. */
static void saslprep_list(Stringprep_profile steps[SASLPREP_MAX_STEPS])
{
	size_t n = 0;
	for (const Stringprep_profile *s = stringprep_saslprep; s->operation != 0;
	     s++) {
		require(n < SASLPREP_MAX_STEPS - 2);
		if (s->operation != STRINGPREP_NFKC) {
			steps[n++] = *s;
		}
	}
	steps[n++] = (Stringprep_profile){ .operation = STRINGPREP_NFKC };
	steps[n] = (Stringprep_profile){ .operation = 0 };
}

static bool saslprep_is_needed(struct span password)
{
	if (password.n > SASLPREP_MAX || password.n == 0 ||
	    memchr(password.p, 0, password.n) != NULL) {
		return false;
	}
	for (size_t i = 0; i < password.n; i++) {
		if (password.p[i] >= 0x80) {
			return true;
		}
	}
	return false;
}

/* The N code points at *CHARS, with room for MAX of them; they are overwritten. */
static int saslprep_steps_of(uint32_t *chars, size_t n, size_t max,
			     struct span *prepared, void **owned)
{
	Stringprep_profile steps[SASLPREP_MAX_STEPS];
	saslprep_list(steps);
	int rc = stringprep_4i(chars, &n, max, STRINGPREP_NO_UNASSIGNED, steps);
	if (rc == STRINGPREP_MALLOC_ERROR) {
		return -ENOMEM;
	}
	if (rc != STRINGPREP_OK || n == 0) {
		return 0;
	}
	size_t len;
	char *text = stringprep_ucs4_to_utf8(chars, (ssize_t)n, NULL, &len);
	if (text == NULL) {
		return -ENOMEM;
	}
	*prepared = span_make(text, len);
	*owned = text;
	return 0;
}

int saslprep(struct span password, struct span *prepared, void **owned)
{
	require(prepared != NULL && owned != NULL);
	*prepared = password;
	*owned = NULL;
	if (!saslprep_is_needed(password)) {
		return 0;
	}
	size_t n;
	uint32_t *decoded =
	    stringprep_utf8_to_ucs4((const char *)password.p, (ssize_t)password.n, &n);
	if (decoded == NULL) {
		return 0; /* no UTF-8 */
	}
	size_t max = n * SASLPREP_GROWTH + 1;
	uint32_t *chars = calloc(max, sizeof(*chars));
	int r = -ENOMEM;
	if (chars != NULL) {
		memcpy(chars, decoded, n * sizeof(*chars));
		r = saslprep_steps_of(chars, n, max, prepared, owned);
		OPENSSL_cleanse(chars, max * sizeof(*chars));
	}
	OPENSSL_cleanse(decoded, n * sizeof(*decoded));
	free(decoded);
	free(chars);
	return r;
}
