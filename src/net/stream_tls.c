/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream.h"
#include "net/tls.h"
#include "stream_priv.h"

/* A whole record more than one receive may come out of it: its beginning came before.
 */
#define TLS_EARLIER 17408
/* Ciphertext that is collected for one send(). */
#define TLS_SEND    65536
#define TLS_OUT_MAX ((size_t)4 << 20)

/* What the TLS streams of one loop share. */
struct stream_crypt {
	BIO_METHOD *method;
	struct buf out; /* what OpenSSL wrote in the call at hand */
	size_t plain_size;
	uint8_t *plain;			/* what OpenSSL read in the call at hand */
	uint8_t record[TLS_RECORD_MAX]; /* small pieces become one record */
};

struct stream_tls {
	struct stream_crypt *crypt;
	struct tls *tls;    /* a reference; NULL: the SSL is libpq's */
	SSL *ssl;	    /* owned unless libpq's */
	BIO *libpq;	    /* libpq's own, given back in the end; a reference */
	struct span cipher; /* received, not yet read by OpenSSL */
	struct buf early;   /* received before TLS began */
	char *error;	    /* why the handshake failed; owned */
	int end;	    /* 1: goes on; else what ended() is told */
	bool is_up;	    /* the handshake is over */
	bool is_direct;	    /* no SSLRequest: ALPN is obligatory */
};

/* OpenSSL's side of the socket */

static int tls_bio_read(BIO *bio, char *to, int size)
{
	struct stream_tls *t = BIO_get_data(bio);
	size_t n = (size_t)size < t->cipher.n ? (size_t)size : t->cipher.n;
	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(to, t->cipher.p, n);
	t->cipher = span_skip(t->cipher, n);
	return (int)n;
}

static int tls_bio_write(BIO *bio, const char *from, int size)
{
	struct stream_tls *t = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	buf_append(&t->crypt->out, from, (size_t)size);
	return buf_ok(&t->crypt->out) ? size : -1;
}

static long tls_bio_ctrl(BIO *bio, int command, long number, void *arg)
{
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static struct stream_crypt *stream_crypt_new(struct loop *loop)
{
	struct stream_crypt *crypt = calloc(1, sizeof(*crypt));
	size_t size;
	if (crypt == NULL) {
		return NULL;
	}
	(void)loop_scratch(loop, &size);
	/* up to half of it may be taken by what a stream holds: see stream_room() */
	crypt->plain_size = 2 * (size + TLS_EARLIER);
	crypt->plain = malloc(crypt->plain_size);
	crypt->method =
	    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgrecall stream");
	buf_init(&crypt->out, TLS_OUT_MAX);
	if (crypt->plain == NULL || crypt->method == NULL) {
		stream_crypt_free(crypt);
		return NULL;
	}
	BIO_meth_set_read(crypt->method, tls_bio_read);
	BIO_meth_set_write(crypt->method, tls_bio_write);
	BIO_meth_set_ctrl(crypt->method, tls_bio_ctrl);
	return crypt;
}

void stream_crypt_free(struct stream_crypt *crypt)
{
	if (crypt == NULL) {
		return;
	}
	BIO_meth_free(crypt->method);
	buf_fini(&crypt->out);
	free(crypt->plain);
	free(crypt);
}

/* Beginning */

static int stream_tls_attach(struct stream *stream, SSL *ssl, struct stream_tls **out)
{
	struct stream_group *group = stream->group;
	if (group->crypt == NULL) {
		group->crypt = stream_crypt_new(group->loop);
	}
	struct stream_tls *t = calloc(1, sizeof(*t));
	BIO *bio = group->crypt != NULL ? BIO_new(group->crypt->method) : NULL;
	if (t == NULL || bio == NULL) {
		BIO_free(bio);
		free(t);
		return -ENOMEM;
	}
	t->crypt = group->crypt;
	t->ssl = ssl;
	t->end = 1;
	buf_init(&t->early, stream->in.max);
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	*out = t;
	return 0;
}

int stream_start_tls(struct stream *stream, struct tls *tls, struct span early,
		     bool is_direct)
{
	require(stream->tls == NULL && stream->fd >= 0);
	stream_flush(stream); /* the answer to SSLRequest is not encrypted */
	SSL *ssl = SSL_new(tls_context(tls));
	struct stream_tls *t = NULL;
	if (ssl == NULL || stream_tls_attach(stream, ssl, &t) < 0) {
		SSL_free(ssl);
		ERR_clear_error();
		return -ENOMEM;
	}
	SSL_set_accept_state(ssl);
	t->tls = tls_ref(tls);
	t->is_direct = is_direct;
	buf_append_span(&t->early, early);
	bool ok = buf_ok(&t->early);
	stream->tls = t;
	stream_revisit(stream);
	return ok ? 0 : -ENOMEM;
}

int stream_borrow_tls(struct stream *stream, void *ssl)
{
	require(stream->tls == NULL && stream->fd >= 0 && ssl != NULL);
	BIO *libpq = SSL_get_rbio(ssl);
	require(libpq != NULL && libpq == SSL_get_wbio(ssl));
	BIO_up_ref(libpq);
	int r = stream_tls_attach(stream, ssl, &stream->tls);
	if (r < 0) {
		BIO_free(libpq);
		return r;
	}
	stream->tls->libpq = libpq;
	stream->tls->is_up = true;
	SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
	SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	if (SSL_has_pending(ssl)) {
		stream_revisit(stream);
	}
	return 0;
}

/* Writing */

/* What OpenSSL wrote goes to the wire. */
static void stream_tls_drain(struct stream *stream)
{
	struct buf *out = &stream->tls->crypt->out;
	if (out->len > 0 && !stream->broken) {
		stream_transmit(stream, buf_span(out));
	}
	buf_reset(out);
}

static bool stream_tls_write(struct stream *stream, struct span bytes)
{
	struct stream_tls *t = stream->tls;
	while (bytes.n > 0 && !stream->broken) {
		size_t part = bytes.n < TLS_SEND ? bytes.n : TLS_SEND;
		size_t n;
		ERR_clear_error();
		if (SSL_write_ex(t->ssl, bytes.p, part, &n) != 1) {
			ERR_clear_error();
			return false;
		}
		bytes = span_skip(bytes, n);
		if (t->crypt->out.len >= TLS_SEND) {
			stream_tls_drain(stream);
		}
	}
	return !stream->broken;
}

/* Pieces smaller than a record are put together, what is left of a large one with what
 * follows it. */
static bool stream_tls_encrypt(struct stream *stream, const struct gather *gather)
{
	uint8_t *record = stream->tls->crypt->record;
	size_t used = 0;
	for (unsigned i = 0; i < gather->n; i++) {
		struct span piece =
		    span_make(gather->iov[i].iov_base, gather->iov[i].iov_len);
		while (piece.n > 0) {
			size_t whole = piece.n - piece.n % TLS_RECORD_MAX;
			if (used == 0 && whole > 0) {
				if (!stream_tls_write(stream,
						      span_make(piece.p, whole))) {
					return false;
				}
				piece = span_skip(piece, whole);
				continue;
			}
			size_t room = TLS_RECORD_MAX - used;
			size_t n = piece.n < room ? piece.n : room;
			memcpy(record + used, piece.p, n);
			used += n;
			piece = span_skip(piece, n);
			if (used == TLS_RECORD_MAX) {
				if (!stream_tls_write(stream,
						      span_make(record, used))) {
					return false;
				}
				used = 0;
			}
		}
	}
	return stream_tls_write(stream, span_make(record, used));
}

void stream_tls_send(struct stream *stream, const struct gather *gather)
{
	struct stream_tls *t = stream->tls;
	/* before the handshake is over, and after it failed, nobody could read it */
	if (!t->is_up || t->end < 0) {
		return;
	}
	bool ok = stream_tls_encrypt(stream, gather);
	stream_tls_drain(stream);
	if (!ok && !stream->broken) {
		t->end = -EPROTO;
		stream_break(stream);
	}
}

/* Reading */

static int stream_tls_fail(struct stream_tls *t, const char *text)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	if (t->error == NULL) {
		t->error = strdup(text != NULL	   ? text
				  : reason != NULL ? reason
						   : "unexpected end of TLS");
	}
	ERR_clear_error();
	return -EPROTO;
}

/* What an operation of OpenSSL that did not succeed means, as in `end`. */
static int stream_tls_result(struct stream_tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return 1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return stream_tls_fail(t, NULL);
	}
}

static int stream_tls_handshake(struct stream_tls *t)
{
	int r = SSL_do_handshake(t->ssl);
	if (r != 1) {
		return stream_tls_result(t, r);
	}
	const unsigned char *name;
	unsigned n;
	SSL_get0_alpn_selected(t->ssl, &name, &n);
	if (t->is_direct && n == 0) {
		return stream_tls_fail(
		    t, "received direct SSL connection request without ALPN protocol "
		       "negotiation extension");
	}
	t->is_up = true;
	return 1;
}

/* Decrypts all of `cipher` to TO; returns the bytes there. */
static size_t stream_tls_decrypt(struct stream_tls *t, uint8_t *to, size_t size)
{
	size_t used = 0;
	ERR_clear_error();
	if (!t->is_up) {
		t->end = stream_tls_handshake(t);
	}
	while (t->is_up && t->end == 1) {
		require(used < size);
		size_t n;
		if (SSL_read_ex(t->ssl, to + used, size - used, &n) == 1) {
			used += n;
			continue;
		}
		t->end = stream_tls_result(t, 0);
		break;
	}
	return used;
}

void stream_tls_input(struct stream *stream, struct span cipher)
{
	struct stream_tls *t = stream->tls;
	size_t size = t->crypt->plain_size;
	uint8_t *to = stream_room(stream, t->crypt->plain, &size);
	if (to == NULL) {
		stream->events->ended(stream, -EMSGSIZE);
		return;
	}
	t->cipher = cipher;
	size_t n = stream_tls_decrypt(t, to, size);
	t->cipher = span_make(NULL, 0);
	stream_tls_drain(stream); /* handshake, alerts, tickets */
	if (n > 0) {
		stream_put_in(stream, to, n);
	}
	/* the owner may have closed it */
	if (stream->fd >= 0 && stream->tls->end != 1) {
		stream->events->ended(stream, stream->tls->end);
	}
}

void stream_tls_resume(struct stream *stream)
{
	struct stream_tls *t = stream->tls;
	if (t->early.len > 0 || (t->libpq != NULL && SSL_has_pending(t->ssl))) {
		struct buf early = t->early;
		buf_init(&t->early, early.max);
		stream_tls_input(stream, buf_span(&early));
		buf_fini(&early);
	}
}

/* End */

void stream_tls_fini(struct stream *stream)
{
	struct stream_tls *t = stream->tls;
	if (t->libpq != NULL) {
		SSL_set_bio(t->ssl, t->libpq, t->libpq); /* takes the reference */
	} else {
		ERR_clear_error();
		if (t->is_up && t->end >= 0) {
			(void)SSL_shutdown(t->ssl);
			stream_tls_drain(stream);
		}
		SSL_free(t->ssl);
		ERR_clear_error();
	}
	buf_fini(&t->early);
	tls_unref(t->tls);
	free(t->error);
	free(t);
	stream->tls = NULL;
}

/* What is known of it */

const char *stream_tls_error(const struct stream *stream)
{
	return stream->tls != NULL ? stream->tls->error : NULL;
}

bool stream_is_tls(const struct stream *stream)
{
	return stream->tls != NULL && stream->tls->is_up;
}

const char *stream_tls_version(const struct stream *stream)
{
	return stream_is_tls(stream) ? SSL_get_version(stream->tls->ssl) : NULL;
}

const char *stream_tls_cipher(const struct stream *stream)
{
	return stream_is_tls(stream) ? SSL_get_cipher_name(stream->tls->ssl) : NULL;
}

struct span stream_end_point(const struct stream *stream)
{
	if (!stream_is_tls(stream) || stream->tls->tls == NULL) {
		return span_make(NULL, 0);
	}
	return tls_end_point(stream->tls->tls);
}

static X509 *stream_peer(const struct stream *stream)
{
	return stream_is_tls(stream) ? SSL_get0_peer_certificate(stream->tls->ssl)
				     : NULL;
}

bool stream_peer_is_verified(const struct stream *stream)
{
	return stream_peer(stream) != NULL &&
	       SSL_get_verify_mode(stream->tls->ssl) != SSL_VERIFY_NONE &&
	       SSL_get_verify_result(stream->tls->ssl) == X509_V_OK;
}

bool stream_peer_common_name(const struct stream *stream, struct buf *out)
{
	X509 *peer = stream_peer(stream);
	X509_NAME *name = peer != NULL ? X509_get_subject_name(peer) : NULL;
	int at =
	    name != NULL ? X509_NAME_get_index_by_NID(name, NID_commonName, -1) : -1;
	if (at < 0) {
		return false;
	}
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(
	    &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	bool ok = n > 0 && memchr(utf8, 0, (size_t)n) == NULL;
	if (ok) {
		buf_append(out, utf8, (size_t)n);
	}
	OPENSSL_free(utf8);
	ERR_clear_error();
	return ok && buf_ok(out);
}

bool stream_peer_dn(const struct stream *stream, struct buf *out)
{
	X509 *peer = stream_peer(stream);
	BIO *text = peer != NULL ? BIO_new(BIO_s_mem()) : NULL;
	if (text == NULL) {
		return false;
	}
	char *p = NULL;
	bool ok = X509_NAME_print_ex(text, X509_get_subject_name(peer), 0,
				     XN_FLAG_RFC2253) >= 0;
	long n = ok ? BIO_get_mem_data(text, &p) : 0;
	ok = n > 0 && memchr(p, 0, (size_t)n) == NULL;
	if (ok) {
		buf_append(out, p, (size_t)n);
	}
	BIO_free(text);
	ERR_clear_error();
	return ok && buf_ok(out);
}
