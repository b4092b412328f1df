#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What our side of a TLS handshake with clients is made of: certificate, key, and what
 * is asked of the client (OpenSSL's SSL_CTX).  Immutable, reference-counted, used by
 * all threads; a reload makes another one.  What a stream tells of its own TLS is at
 * the end: login asks it. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "base/span.h"

struct buf;
struct stream;
struct tls;

/* Largest record towards clients: libpq reads into a buffer of 8 kB and, when called
 * asynchronously, may not notice what is left of a larger one. */
#define TLS_RECORD_MAX 8192

struct tls_options {
	const char *key_file;	  /* PEM, without a passphrase */
	const char *cert_file;	  /* PEM; intermediate certificates behind our own */
	const char *ca_file;	  /* PEM; "": clients are asked for no certificate */
	const char *ciphers;	  /* of TLS 1.2 and older; "": OpenSSL's own choice */
	const char *ciphersuites; /* of TLS 1.3; the same */
	const char *curve;	  /* list of groups; "" or "auto": the same; "none" */
	const char *dheparams;	  /* "auto", "none", "legacy" (1024 bits), or a file */
	unsigned protocols;	  /* bits of base/config_tls.h */
	bool must_verify;	  /* who shows no certificate of ca_file's is refused */
};

/* 0; 1 with one line in ERROR (size bytes); or -ENOMEM.  Reads the files. */
int tls_new(const struct tls_options *options, struct tls **out, char *error,
	    size_t error_size) MUST_CHECK;
/* NULL is fine. */
struct tls *tls_ref(struct tls *tls);
/* Frees with the last reference; NULL is fine.  Any thread. */
void tls_unref(struct tls *tls);
/* `tls-server-end-point` of our certificate (RFC 5929), for SCRAM-SHA-256-PLUS.  Empty
 * when its signature names no hash. */
struct span tls_end_point(const struct tls *tls);
/* OpenSSL's SSL_CTX, for net/stream_tls.c. */
void *tls_context(const struct tls *tls);
/* Whether SSL (OpenSSL's) holds decrypted bytes that its owner has not read. */
bool tls_is_pending(const void *ssl);

/* Whether the stream is encrypted: its handshake is over. */
bool stream_is_tls(const struct stream *stream);
/* Its version and cipher; NULL without TLS. */
const char *stream_tls_version(const struct stream *stream);
const char *stream_tls_cipher(const struct stream *stream);
/* `tls-server-end-point` of the certificate that this stream's peer was shown.  Valid
 * while the stream is open; empty without TLS. */
struct span stream_end_point(const struct stream *stream);
/* Whether the peer has shown a certificate that ca_file vouches for and that is valid
 * now.  The name in it is not compared with anything. */
bool stream_peer_is_verified(const struct stream *stream);
/* Appends the common name of the peer's certificate (verified or not) in UTF-8.  False,
 * with nothing appended: no certificate, no such name, or one with a zero byte. */
bool stream_peer_common_name(const struct stream *stream, struct buf *out) MUST_CHECK;
/* The same with the whole distinguished name, in the form of RFC 2253. */
bool stream_peer_dn(const struct stream *stream, struct buf *out) MUST_CHECK;
