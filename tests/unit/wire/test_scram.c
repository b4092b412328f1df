/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>

#include "base/sqlstate.h"
#include "wire/scram.h"

/* The exchange of RFC 7677, section 3; password "pencil" */
#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCE	     CLIENT_NONCE SERVER_NONCE
#define SERVER_FIRST "r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define PROOF	     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
#define GOOD_FIRST   "n,,n=user,r=" CLIENT_NONCE
#define GOOD_FINAL   "c=biws,r=" NONCE ",p=" PROOF

static struct scram_secret rfc_secret(void)
{
	static const uint8_t salt[] = {
		0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
		0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81
	};
	struct scram_secret secret;
	cr_assert_eq(scram_secret_derive_salted(SPAN_LIT("pencil"),
						span_make(salt, sizeof(salt)), 4096,
						&secret),
		     0);
	return secret;
}

static void begin(struct scram *scram, const struct scram_secret *secret,
		  struct buf *out)
{
	buf_init(out, 4096);
	cr_assert_eq(scram_init(scram, secret), 0);
	scram_set_nonce_for_test(scram, SPAN_LIT(SERVER_NONCE));
}

Test(wire_scram, rfc_7677)
{
	struct scram_secret secret = rfc_secret();
	struct scram scram;
	struct buf out;
	begin(&scram, &secret, &out);
	cr_assert_eq(scram_client_first(&scram, SPAN_LIT(GOOD_FIRST), &out), 0);
	cr_assert(span_eq_str(buf_span(&out), SERVER_FIRST));
	buf_reset(&out);
	cr_assert_eq(scram_client_final(&scram, SPAN_LIT(GOOD_FINAL), &out), 0);
	cr_assert(span_eq_str(buf_span(&out), SERVER_FINAL));
	cr_assert_eq(scram.state, SCRAM_DONE);
	/* nothing more is taken */
	cr_assert_eq(scram_client_final(&scram, SPAN_LIT(GOOD_FINAL), &out),
		     SCRAM_E_PROTOCOL);
	cr_assert_eq(scram_client_first(&scram, SPAN_LIT(GOOD_FIRST), &out),
		     SCRAM_E_PROTOCOL);
	scram_fini(&scram);
	buf_fini(&out);
}

struct first_case {
	const char *in;
	int error;
};

/* clang-format off */
static const struct first_case firsts[] = {
	{ "n,,n=user,r=abc", 0 },
	{ "y,,n=,r=abc", 0 },
	{ "n,,n=*,r=abc,x=y,z=", 0 },
	/* T-16 */
	{ "p=tls-server-end-point,,n=,r=abc", SCRAM_E_BINDING },
	{ "n,a=admin,n=,r=abc", SCRAM_E_AUTHZID },
	{ "n,,m=x,n=,r=abc", SCRAM_E_EXTENSION },
	{ "", SCRAM_E_PROTOCOL },
	{ "n", SCRAM_E_PROTOCOL },
	{ "n,", SCRAM_E_PROTOCOL },
	{ "n,,", SCRAM_E_PROTOCOL },
	{ "nx,n=,r=abc", SCRAM_E_PROTOCOL },
	{ "n,x,n=,r=abc", SCRAM_E_PROTOCOL },
	{ "x,,n=,r=abc", SCRAM_E_PROTOCOL },
	{ "n,,n=user", SCRAM_E_PROTOCOL },
	{ "n,,n=user,", SCRAM_E_PROTOCOL },
	{ "n,,r=abc,n=user", SCRAM_E_PROTOCOL },
	{ "n,,n=user,r=", SCRAM_E_PROTOCOL },
	{ "n,,n=user,r=a b", SCRAM_E_PROTOCOL },
	{ "n,,n=user,r=a\x7f", SCRAM_E_PROTOCOL },
	{ "n,,n=user,r=abc,y", SCRAM_E_PROTOCOL },
	{ "n,,n=user,r=abc,1=2", SCRAM_E_PROTOCOL },
};
/* clang-format on */

Test(wire_scram, client_first)
{
	struct scram_secret secret = rfc_secret();
	for (size_t i = 0; i < ARRAY_LEN(firsts); i++) {
		struct scram scram;
		struct buf out;
		begin(&scram, &secret, &out);
		cr_assert_eq(scram_client_first(&scram, span_str(firsts[i].in), &out),
			     firsts[i].error, "%s", firsts[i].in);
		cr_assert_eq(out.len > 0, firsts[i].error == 0, "%s", firsts[i].in);
		cr_assert_eq(scram.state == SCRAM_FINAL, firsts[i].error == 0, "%s",
			     firsts[i].in);
		buf_fini(&out);
	}
}

Test(wire_scram, no_zero_bytes)
{
	struct scram_secret secret = rfc_secret();
	struct scram scram;
	struct buf out;
	begin(&scram, &secret, &out);
	cr_assert_eq(scram_client_first(&scram, SPAN_LIT("n,,n=\0,r=abc"), &out),
		     SCRAM_E_PROTOCOL);
	buf_fini(&out);
}

/* T-17: the longest message, with the longest salt, and one byte more (CVE-2026-6665)
 */
Test(wire_scram, long_nonce)
{
	struct scram_secret secret = rfc_secret();
	secret.salt_len = SCRAM_SALT_MAX;
	secret.iterations = SCRAM_ITERATIONS_MAX;
	for (size_t n = SCRAM_MESSAGE_MAX; n <= SCRAM_MESSAGE_MAX + 1; n++) {
		uint8_t first[SCRAM_MESSAGE_MAX + 1];
		memset(first, 'x', sizeof(first));
		memcpy(first, "n,,n=,r=", 8);
		struct scram scram;
		struct buf out;
		begin(&scram, &secret, &out);
		int e = scram_client_first(&scram, span_make(first, n), &out);
		cr_assert_eq(e, n == SCRAM_MESSAGE_MAX ? 0 : SCRAM_E_PROTOCOL);
		if (e == 0) {
			/* the answer repeats the nonce, so this is as long as it gets
			 */
			uint8_t final[SCRAM_MESSAGE_MAX];
			memset(final, 'y', sizeof(final));
			cr_assert_eq(scram_client_final(
					 &scram, span_make(final, sizeof(final)), &out),
				     SCRAM_E_PROTOCOL);
		}
		buf_fini(&out);
	}
}

struct final_case {
	const char *in;
	int error;
};

/* clang-format off */
static const struct final_case finals[] = {
	{ GOOD_FINAL, 0 },
	{ "c=biws,r=" NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SCRAM_E_DENIED },
	/* an extension is part of what is signed */
	{ "c=biws,r=" NONCE ",x=y,p=" PROOF, SCRAM_E_DENIED },
	{ "c=eSws,r=" NONCE ",p=" PROOF, SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE "x,p=" PROOF, SCRAM_E_PROTOCOL },
	{ "c=biws,r=" CLIENT_NONCE ",p=" PROOF, SCRAM_E_PROTOCOL },
	{ "c=biws,r=,p=" PROOF, SCRAM_E_PROTOCOL },
	{ "r=" NONCE ",c=biws,p=" PROOF, SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE, SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE ",", SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE ",x", SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE ",p=" PROOF ",x=y", SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE ",p=", SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE ",p=AAAA", SCRAM_E_PROTOCOL },
	{ "c=biws,r=" NONCE ",p=" PROOF "AAAA", SCRAM_E_PROTOCOL },
	{ "c=biws,p=" PROOF, SCRAM_E_PROTOCOL },
	{ "", SCRAM_E_PROTOCOL },
	{ "p=" PROOF, SCRAM_E_PROTOCOL },
};
/* clang-format on */

Test(wire_scram, client_final)
{
	struct scram_secret secret = rfc_secret();
	for (size_t i = 0; i < ARRAY_LEN(finals); i++) {
		struct scram scram;
		struct buf out;
		begin(&scram, &secret, &out);
		cr_assert_eq(scram_client_first(&scram, SPAN_LIT(GOOD_FIRST), &out), 0);
		buf_reset(&out);
		cr_assert_eq(scram_client_final(&scram, span_str(finals[i].in), &out),
			     finals[i].error, "%s", finals[i].in);
		cr_assert_eq(out.len > 0, finals[i].error == 0, "%s", finals[i].in);
		buf_fini(&out);
	}
}

/* A client that could bind channels but was not offered it signs another header. */
Test(wire_scram, flag_y_wants_its_own_header)
{
	struct scram_secret secret = rfc_secret();
	const char *const bindings[] = { "biws", "eSws" };
	for (size_t i = 0; i < ARRAY_LEN(bindings); i++) {
		struct scram scram;
		struct buf out;
		struct buf final;
		begin(&scram, &secret, &out);
		buf_init(&final, 1000);
		cr_assert_eq(
		    scram_client_first(&scram, SPAN_LIT("y,,n=,r=" CLIENT_NONCE), &out),
		    0);
		buf_printf(&final, "c=%s,r=%s,p=%s", bindings[i], NONCE, PROOF);
		cr_assert_eq(scram_client_final(&scram, buf_span(&final), &out),
			     i == 0 ? SCRAM_E_PROTOCOL : SCRAM_E_DENIED);
		buf_fini(&final);
		buf_fini(&out);
	}
}

/* T-15: with the very proof that would open the door, a mock ends as a wrong password
 */
Test(wire_scram, mock_never_succeeds)
{
	struct scram_secret secret = rfc_secret();
	secret.mock = true;
	struct scram scram;
	struct buf out;
	begin(&scram, &secret, &out);
	cr_assert_eq(scram_client_first(&scram, SPAN_LIT(GOOD_FIRST), &out), 0);
	cr_assert(span_eq_str(buf_span(&out), SERVER_FIRST));
	buf_reset(&out);
	cr_assert_eq(scram_client_final(&scram, SPAN_LIT(GOOD_FINAL), &out),
		     SCRAM_E_DENIED);
	cr_assert_eq(out.len, 0);
	buf_fini(&out);
}

Test(wire_scram, final_before_first)
{
	struct scram_secret secret = rfc_secret();
	struct scram scram;
	struct buf out;
	begin(&scram, &secret, &out);
	cr_assert_eq(scram_client_final(&scram, SPAN_LIT(GOOD_FINAL), &out),
		     SCRAM_E_PROTOCOL);
	cr_assert_eq(scram_client_first(&scram, SPAN_LIT(GOOD_FIRST), &out),
		     SCRAM_E_PROTOCOL);
	buf_fini(&out);
}

Test(wire_scram, fresh_nonces)
{
	struct scram_secret secret = rfc_secret();
	struct scram a, b;
	cr_assert_eq(scram_init(&a, &secret), 0);
	cr_assert_eq(scram_init(&b, &secret), 0);
	cr_assert_eq(a.own_nonce_len, 24);
	cr_assert_neq(memcmp(a.own_nonce, b.own_nonce, 24), 0);
}

Test(wire_scram, every_error_has_words)
{
	for (int e = SCRAM_E_FORMAT; e <= SCRAM_E_LAST; e++) {
		cr_assert(strlen(scram_error_text(e)) > 10);
		cr_assert_str_neq(scram_error_sqlstate(e), SQLSTATE_SUCCESS);
	}
	cr_assert_str_eq(scram_error_sqlstate(SCRAM_E_DENIED), "28P01");
}

/* -PLUS (RFC 5802, section 6), T-16 */

#define END_POINT                                               \
	"\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24" \
	"\25\26\27\30\31\32\33\34\35\36\37\40"
#define PLUS_FIRST "p=tls-server-end-point,,n=user,r=" CLIENT_NONCE
#define PLUS_BINDING \
	"cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define PLUS_PROOF "iewnHSRRfTAFmVgKHJEIWEKB8rw3MFGXwSNJNdh1bWA="
#define OTHER_BINDING \
	"cD10bHMtc2VydmVyLWVuZC1wb2ludCwsAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct plus_case {
	const char *mechanism;
	int choice;
	const char *first;
	int error;
};

/* clang-format off */
static const struct plus_case offered[] = {
	{ "SCRAM-SHA-256-PLUS", 0, PLUS_FIRST, 0 },
	{ "SCRAM-SHA-256", 0, GOOD_FIRST, 0 },
	{ "SCRAM-SHA-256", 0, "y,,n=user,r=abc", SCRAM_E_DOWNGRADED },
	{ "SCRAM-SHA-256-PLUS", 0, "y,,n=user,r=abc", SCRAM_E_DOWNGRADED },
	{ "SCRAM-SHA-256-PLUS", 0, GOOD_FIRST, SCRAM_E_UNBOUND },
	{ "SCRAM-SHA-256", 0, PLUS_FIRST, SCRAM_E_UNBOUND },
	{ "SCRAM-SHA-256-PLUS", 0, "p=tls-unique,,n=user,r=abc", SCRAM_E_BINDING },
	{ "SCRAM-SHA-256-PLUS", 0, "p=tls-server-end-pointx,n=user,r=abc", SCRAM_E_PROTOCOL },
	{ "SCRAM-SHA-256-PLUS", 0, "p=tls-server-end-point", SCRAM_E_PROTOCOL },
	{ "SCRAM-SHA-256-PLUS", 0, "p=tls-server-end-point,", SCRAM_E_PROTOCOL },
	{ "SCRAM-SHA-256-PLUS", 0, "p=tls-server-end-point,a=x,n=user,r=abc", SCRAM_E_AUTHZID },
	{ "SCRAM-SHA-256-PLUS", 0, "p", SCRAM_E_BINDING },
	{ "SCRAM-SHA-1", SCRAM_E_PROTOCOL, GOOD_FIRST, 0 },
	{ "", SCRAM_E_PROTOCOL, GOOD_FIRST, 0 },
};
/* clang-format on */

Test(wire_scram, plus_is_offered)
{
	struct scram_secret secret = rfc_secret();
	for (size_t i = 0; i < ARRAY_LEN(offered); i++) {
		struct scram scram;
		struct buf out;
		begin(&scram, &secret, &out);
		scram_offer_plus(&scram, SPAN_LIT(END_POINT));
		cr_assert_eq(scram_choose(&scram, span_str(offered[i].mechanism)),
			     offered[i].choice, "row %zu", i);
		if (offered[i].choice == 0) {
			cr_assert_eq(scram_client_first(
					 &scram, span_str(offered[i].first), &out),
				     offered[i].error, "row %zu", i);
			cr_assert_eq(out.len > 0, offered[i].error == 0, "row %zu", i);
		}
		buf_fini(&out);
	}
}

Test(wire_scram, plus_is_not_offered)
{
	struct scram_secret secret = rfc_secret();
	struct scram scram;
	struct buf out;
	begin(&scram, &secret, &out);
	cr_assert_eq(scram_choose(&scram, SPAN_LIT("SCRAM-SHA-256-PLUS")),
		     SCRAM_E_PROTOCOL);
	cr_assert_eq(scram_choose(&scram, SPAN_LIT("SCRAM-SHA-256")), 0);
	cr_assert_eq(scram_client_first(&scram, SPAN_LIT(PLUS_FIRST), &out),
		     SCRAM_E_BINDING);
	buf_fini(&out);
}

/* clang-format off */
static const struct final_case plus_finals[] = {
	{ "c=" PLUS_BINDING ",r=" NONCE ",p=" PLUS_PROOF, 0 },
	{ "c=" PLUS_BINDING ",r=" NONCE ",p=" PROOF, SCRAM_E_DENIED },
	{ "c=" OTHER_BINDING ",r=" NONCE ",p=" PLUS_PROOF, SCRAM_E_CHANNEL },
	{ "c=biws,r=" NONCE ",p=" PLUS_PROOF, SCRAM_E_CHANNEL },
	{ "c=,r=" NONCE ",p=" PLUS_PROOF, SCRAM_E_CHANNEL },
	{ "r=" NONCE ",p=" PLUS_PROOF, SCRAM_E_PROTOCOL },
};
/* clang-format on */

Test(wire_scram, plus_final)
{
	struct scram_secret secret = rfc_secret();
	for (size_t i = 0; i < ARRAY_LEN(plus_finals); i++) {
		struct scram scram;
		struct buf out;
		begin(&scram, &secret, &out);
		scram_offer_plus(&scram, SPAN_LIT(END_POINT));
		cr_assert_eq(scram_choose(&scram, SPAN_LIT("SCRAM-SHA-256-PLUS")), 0);
		cr_assert_eq(scram_client_first(&scram, SPAN_LIT(PLUS_FIRST), &out), 0);
		buf_reset(&out);
		cr_assert_eq(
		    scram_client_final(&scram, span_str(plus_finals[i].in), &out),
		    plus_finals[i].error, "row %zu", i);
		cr_assert_eq(out.len > 0, plus_finals[i].error == 0, "row %zu", i);
		buf_fini(&out);
	}
}
