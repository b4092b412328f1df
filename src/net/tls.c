/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "net/tls.h"

#include <errno.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_tls.h"

#define TLS_TICKET_LIFE_S 3600

struct tls {
	atomic_uint refs;
	SSL_CTX *ctx; /* owned */
	unsigned char end_point[EVP_MAX_MD_SIZE];
	unsigned end_point_len;
};

/* The protocol's name for ALPN, as a list with one item. */
static const unsigned char tls_alpn[] = { 10,  'p', 'o', 's', 't', 'g',
					  'r', 'e', 's', 'q', 'l' };

struct tls_error {
	char *text;
	size_t size;
};

/* 1, with WHAT and OpenSSL's own reason in ERROR. */
static int tls_fail(const struct tls_error *error, const char *what, const char *of)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	if (code != 0 && ERR_SYSTEM_ERROR(code)) {
		reason = strerror(ERR_GET_REASON(code));
	}
	snprintf(error->text, error->size, "%s %s: %s", what, of,
		 reason != NULL ? reason : "not usable");
	ERR_clear_error();
	return 1;
}

/* A key with a passphrase is an error: OpenSSL would ask for it on the terminal. */
static int tls_no_passphrase(char *buf, int size, int is_write, void *arg)
{
	return -1;
}

/* A client that names protocols must name ours (a client of another protocol may have
 * been sent here). */
static int tls_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			   const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *selected = NULL;
	int r = SSL_select_next_proto(&selected, out_len, tls_alpn, sizeof(tls_alpn),
				      in, in_len);
	if (r != OPENSSL_NPN_NEGOTIATED) {
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	*out = selected;
	return SSL_TLSEXT_ERR_OK;
}

/* Where a certificate is asked for but not required, a bad one is as good as none:
 * stream_peer_is_verified() tells.  SSL_get_error() would take what is left in the
 * queue for a failure of the handshake. */
static int tls_let_pass(int ok, X509_STORE_CTX *store)
{
	ERR_clear_error();
	return 1;
}

static void tls_set_protocols(SSL_CTX *ctx, unsigned protocols)
{
	static const struct {
		unsigned bit;
		uint64_t option;
	} rows[] = {
		{ TLS_1_0, SSL_OP_NO_TLSv1 },
		{ TLS_1_1, SSL_OP_NO_TLSv1_1 },
		{ TLS_1_2, SSL_OP_NO_TLSv1_2 },
		{ TLS_1_3, SSL_OP_NO_TLSv1_3 },
	};
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION); /* above openssl.cnf */
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!(protocols & rows[i].bit)) {
			SSL_CTX_set_options(ctx, rows[i].option);
		}
	}
}

static int tls_set_certificate(SSL_CTX *ctx, const struct tls_options *o,
			       const struct tls_error *error)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, o->cert_file) != 1) {
		return tls_fail(error, "certificate file", o->cert_file);
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, o->key_file, SSL_FILETYPE_PEM) != 1) {
		return tls_fail(error, "private key file", o->key_file);
	}
	if (SSL_CTX_check_private_key(ctx) != 1) {
		return tls_fail(error, "private key file", o->key_file);
	}
	return 0;
}

static int tls_set_ca(SSL_CTX *ctx, const struct tls_options *o,
		      const struct tls_error *error)
{
	if (o->ca_file[0] == 0) {
		return 0;
	}
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca_file);
	if (names == NULL || SSL_CTX_load_verify_file(ctx, o->ca_file) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return tls_fail(error, "certificate authority file", o->ca_file);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	if (o->must_verify) {
		SSL_CTX_set_verify(
		    ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	} else {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, tls_let_pass);
	}
	return 0;
}

static int tls_set_dh_file(SSL_CTX *ctx, const char *path,
			   const struct tls_error *error)
{
	BIO *file = BIO_new_file(path, "r");
	EVP_PKEY *dh = file != NULL ? PEM_read_bio_Parameters(file, NULL) : NULL;
	BIO_free(file);
	if (dh == NULL || SSL_CTX_set0_tmp_dh_pkey(ctx, dh) != 1) {
		EVP_PKEY_free(dh);
		return tls_fail(error, "Diffie-Hellman parameters", path);
	}
	return 0;
}

static int tls_set_dh(SSL_CTX *ctx, const char *text, const struct tls_error *error)
{
	if (strcmp(text, "none") == 0) {
		return 0;
	}
	if (strcmp(text, "auto") == 0 || text[0] == 0) {
		SSL_CTX_set_dh_auto(ctx, 1);
		return 0;
	}
	if (strcmp(text, "legacy") == 0) {
		SSL_CTX_set_dh_auto(ctx, 2); /* 1024 bits, whatever the key is */
		return 0;
	}
	return tls_set_dh_file(ctx, text, error);
}

static int tls_set_algorithms(SSL_CTX *ctx, const struct tls_options *o,
			      const struct tls_error *error)
{
	if (o->ciphers[0] != 0 && SSL_CTX_set_cipher_list(ctx, o->ciphers) != 1) {
		return tls_fail(error, "ciphers", o->ciphers);
	}
	if (o->ciphersuites[0] != 0 &&
	    SSL_CTX_set_ciphersuites(ctx, o->ciphersuites) != 1) {
		return tls_fail(error, "ciphers of TLS 1.3", o->ciphersuites);
	}
	if (o->curve[0] != 0 && strcmp(o->curve, "auto") != 0) {
		bool is_none = strcmp(o->curve, "none") == 0;
		/* none: finite fields are all that is left.  OpenSSL's macro takes away
		 * a const that it does not need taken away. */
		char *groups =
		    (char *)(uintptr_t)(is_none ? "ffdhe2048:ffdhe3072:ffdhe4096"
						: o->curve);
		if (SSL_CTX_set1_groups_list(ctx, groups) != 1) {
			return tls_fail(error, "curve", o->curve);
		}
	}
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	return tls_set_dh(ctx, o->dheparams, error);
}

/* Tickets make it cheap to connect again and cost us no memory.  Their keys are this
 * context's, so they end with a reload.  There are none where certificates of clients
 * count: they would not be checked again. */
static void tls_set_sessions(SSL_CTX *ctx, const struct tls_options *o)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	if (o->ca_file[0] != 0) {
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ctx, 0);
		return;
	}
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_timeout(ctx, TLS_TICKET_LIFE_S);
}

static int tls_set_all(SSL_CTX *ctx, const struct tls_options *o,
		       const struct tls_error *error)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
				     SSL_OP_SINGLE_DH_USE | SSL_OP_SINGLE_ECDH_USE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_max_send_fragment(ctx, TLS_RECORD_MAX);
	SSL_CTX_set_default_passwd_cb(ctx, tls_no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, tls_select_alpn, NULL);
	tls_set_protocols(ctx, o->protocols);
	tls_set_sessions(ctx, o);
	int r = tls_set_certificate(ctx, o, error);
	if (r == 0) {
		r = tls_set_ca(ctx, o, error);
	}
	if (r == 0) {
		r = tls_set_algorithms(ctx, o, error);
	}
	return r;
}

/* RFC 5929, 4.1: the hash that the certificate's signature uses, SHA-256 in place of
 * MD5 and SHA-1. */
static void tls_hash_certificate(struct tls *tls)
{
	X509 *cert = SSL_CTX_get0_certificate(tls->ctx);
	int nid = NID_undef;
	if (cert == NULL || !X509_get_signature_info(cert, &nid, NULL, NULL, NULL)) {
		return;
	}
	const EVP_MD *md =
	    nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
	if (md == NULL ||
	    X509_digest(cert, md, tls->end_point, &tls->end_point_len) != 1) {
		tls->end_point_len = 0;
	}
	ERR_clear_error();
}

int tls_new(const struct tls_options *options, struct tls **out, char *error,
	    size_t error_size)
{
	require(options != NULL && out != NULL && error != NULL && error_size > 0);
	const struct tls_error told = { error, error_size };
	struct tls *tls = calloc(1, sizeof(*tls));
	if (tls == NULL) {
		return -ENOMEM;
	}
	atomic_init(&tls->refs, 1);
	ERR_clear_error();
	tls->ctx = SSL_CTX_new(TLS_server_method());
	if (tls->ctx == NULL) {
		tls_unref(tls);
		return -ENOMEM;
	}
	int r = tls_set_all(tls->ctx, options, &told);
	if (r != 0) {
		tls_unref(tls);
		return r;
	}
	tls_hash_certificate(tls);
	*out = tls;
	return 0;
}

struct tls *tls_ref(struct tls *tls)
{
	if (tls != NULL) {
		atomic_fetch_add(&tls->refs, 1);
	}
	return tls;
}

void tls_unref(struct tls *tls)
{
	if (tls == NULL || atomic_fetch_sub(&tls->refs, 1) != 1) {
		return;
	}
	SSL_CTX_free(tls->ctx);
	free(tls);
}

struct span tls_end_point(const struct tls *tls)
{
	return span_make(tls->end_point, tls->end_point_len);
}

void *tls_context(const struct tls *tls)
{
	return tls->ctx;
}

bool tls_is_pending(const void *ssl)
{
	return SSL_pending(ssl) > 0;
}
