/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "fixture_tls.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void key_write(EVP_PKEY *key, const char *path)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static void certificate_write(X509 *cert, const char *path)
{
	FILE *file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(PEM_write_X509(file, cert), 1);
	fclose(file);
}

/* Signed by ISSUER with its key, or by itself. */
static X509 *certificate_make(const char *name, EVP_PKEY *key, X509 *issuer,
			      EVP_PKEY *issuer_key)
{
	static long serial = 1;
	X509 *cert = X509_new();
	cr_assert_not_null(cert);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME *subject = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
				   (const unsigned char *)"Us, Them", -1, -1, 0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
	if (issuer == NULL) {
		X509_EXTENSION *ext = X509V3_EXT_conf_nid(
		    NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
		X509_add_ext(cert, ext, -1);
		X509_EXTENSION_free(ext);
	}
	cr_assert_gt(X509_sign(cert, issuer_key, EVP_sha384()), 0);
	return cert;
}

void certificates_make(struct certificates *c)
{
	snprintf(c->dir, sizeof(c->dir), "/tmp/unit_tls.XXXXXX");
	cr_assert_not_null(mkdtemp(c->dir));
	snprintf(c->ca, sizeof(c->ca), "%s/ca.crt", c->dir);
	snprintf(c->server_crt, sizeof(c->server_crt), "%s/server.crt", c->dir);
	snprintf(c->server_key, sizeof(c->server_key), "%s/server.key", c->dir);
	snprintf(c->client_crt, sizeof(c->client_crt), "%s/client.crt", c->dir);
	snprintf(c->client_key, sizeof(c->client_key), "%s/client.key", c->dir);
	EVP_PKEY *ca_key = EVP_EC_gen("P-256");
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *ca = certificate_make("authority", ca_key, NULL, ca_key);
	X509 *server = certificate_make("localhost", key, ca, ca_key);
	X509 *client = certificate_make("alice", key, ca, ca_key);
	certificate_write(ca, c->ca);
	certificate_write(server, c->server_crt);
	certificate_write(client, c->client_crt);
	key_write(key, c->server_key);
	key_write(key, c->client_key);
	X509_free(ca);
	X509_free(server);
	X509_free(client);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
}

void certificates_remove(const struct certificates *c)
{
	unlink(c->ca);
	unlink(c->server_crt);
	unlink(c->server_key);
	unlink(c->client_crt);
	unlink(c->client_key);
	rmdir(c->dir);
}

struct tls_options certificates_options(const struct certificates *c)
{
	return (struct tls_options){
		.key_file = c->server_key,
		.cert_file = c->server_crt,
		.ca_file = "",
		.ciphers = "",
		.ciphersuites = "",
		.curve = "auto",
		.dheparams = "auto",
		.protocols = TLS_1_2 | TLS_1_3,
	};
}

static size_t link_bytes(struct stream *stream, struct span in)
{
	struct link *link = container_of(stream, struct link, stream);
	if (link->starts_at_once && !stream_is_tls(stream)) {
		cr_assert_eq(stream_start_tls(stream, link->tls, in, true), 0);
		return in.n;
	}
	size_t n = link->take < in.n ? link->take : in.n;
	link->n_deliveries++;
	buf_append(&link->got, in.p, n);
	if (link->is_echo) {
		stream_put_borrow(stream, span_make(in.p, n));
	}
	return n;
}

static void link_drained(struct stream *stream)
{
	container_of(stream, struct link, stream)->n_drained++;
}

static void link_ended(struct stream *stream, int err)
{
	struct link *link = container_of(stream, struct link, stream);
	link->n_ended++;
	link->err = err;
	if (err != -EPROTO) { /* the test looks at the reason */
		stream_close(stream);
	} else {
		stream_pause(stream);
	}
}

static const struct stream_events link_events = {
	.bytes = link_bytes,
	.drained = link_drained,
	.ended = link_ended,
};

static void link_limit(void *arg)
{
	loop_stop(arg);
}

void link_begin(struct link *link, const struct tls_options *options)
{
	int fds[2];
	char error[300] = "";
	*link = (struct link){ .take = SIZE_MAX };
	buf_init(&link->got, (size_t)64 << 20);
	cr_assert_eq(tls_new(options, &link->tls, error, sizeof(error)), 0, "%s",
		     error);
	cr_assert_eq(loop_new(4096, &link->loop), 0);
	cr_assert_eq(timer_new(link->loop, link_limit, link->loop, &link->limit), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	stream_group_init(&link->group, link->loop, 1 << 20, TLS_OUT_HIGH);
	cr_assert_eq(stream_open(&link->stream, &link->group, fds[0], &link_events), 0);
	link->fd = fds[1];
	link->ctx = SSL_CTX_new(TLS_client_method());
	link->ssl = SSL_new(link->ctx);
	SSL_set_fd(link->ssl, link->fd);
	SSL_set_connect_state(link->ssl);
}

void link_end(struct link *link)
{
	stream_close(&link->stream);
	timer_close(link->limit);
	SSL_free(link->ssl);
	SSL_CTX_free(link->ctx);
	close(link->fd);
	loop_free(link->loop);
	stream_group_fini(&link->group);
	tls_unref(link->tls);
	buf_fini(&link->got);
}

void link_run(struct link *link)
{
	timer_start(link->limit, 5, 0);
	loop_run(link->loop);
}

bool link_connect(struct link *link)
{
	if (!link->starts_at_once) {
		cr_assert_eq(stream_start_tls(&link->stream, link->tls,
					      span_make(NULL, 0), false),
			     0);
	}
	for (int i = 0; i < 1000; i++) {
		int r = SSL_connect(link->ssl);
		if (r != 1 && SSL_get_error(link->ssl, r) != SSL_ERROR_WANT_READ) {
			link_run(link);
			return false;
		}
		link_run(link);
		if (link->n_ended > 0) {
			return false;
		}
		if (r == 1 && stream_is_tls(&link->stream)) {
			return true;
		}
	}
	return false;
}

size_t link_read(struct link *link, struct buf *out)
{
	size_t largest = 0;
	for (;;) {
		uint8_t *to = buf_reserve(out, 65536);
		cr_assert_not_null(to);
		size_t n;
		if (SSL_read_ex(link->ssl, to, 65536, &n) != 1) {
			return largest;
		}
		out->len += n;
		largest = n > largest ? n : largest;
	}
}
