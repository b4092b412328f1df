/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture_tls.h"

static struct certificates certs;

static void setup(void)
{
	certificates_make(&certs);
}

static void teardown(void)
{
	certificates_remove(&certs);
}

TestSuite(stream_tls, .init = setup, .fini = teardown, .timeout = 60);

static void begin(struct link *link)
{
	struct tls_options options = certificates_options(&certs);
	link_begin(link, &options);
}

static void client_write(struct link *link, const char *text)
{
	cr_assert_eq(SSL_write(link->ssl, text, (int)strlen(text)), (int)strlen(text));
}

/* What the client sees of N bytes that the stream puts in pieces of SIZE. */
static void check_arrives(struct link *link, size_t n, size_t size)
{
	struct buf sent;
	struct buf seen;
	buf_init(&sent, (size_t)64 << 20);
	buf_init(&seen, (size_t)64 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_append_u8(&sent, (uint8_t)(i * 7 + i / 251));
	}
	size_t largest = 0;
	size_t at = 0;
	for (int i = 0; i < 20000 && seen.len < n; i++) {
		while (at < n && !stream_is_full(&link->stream)) {
			size_t part = size < n - at ? size : n - at;
			stream_put(&link->stream, span_make(sent.data + at, part));
			at += part;
		}
		link_run(link);
		size_t one = link_read(link, &seen);
		largest = one > largest ? one : largest;
	}
	cr_assert_eq(seen.len, n);
	cr_assert_eq(memcmp(seen.data, sent.data, n), 0);
	cr_assert_leq(largest, TLS_RECORD_MAX, "a record of %zu", largest);
	buf_fini(&sent);
	buf_fini(&seen);
}

Test(stream_tls, both_directions_in_both_versions)
{
	for (unsigned bit = TLS_1_2; bit <= TLS_1_3; bit <<= 1) {
		struct link link;
		struct buf seen;
		struct tls_options options = certificates_options(&certs);
		options.protocols = bit;
		buf_init(&seen, 1 << 20);
		link_begin(&link, &options);
		link.is_echo = true;
		cr_assert(!stream_is_tls(&link.stream));
		cr_assert(link_connect(&link));
		cr_assert_str_eq(SSL_get_version(link.ssl),
				 bit == TLS_1_2 ? "TLSv1.2" : "TLSv1.3");
		client_write(&link, "hello");
		link_run(&link);
		cr_assert(span_eq_str(buf_span(&link.got), "hello"));
		(void)link_read(&link, &seen);
		cr_assert(span_eq_str(buf_span(&seen), "hello"));
		link_end(&link);
		buf_fini(&seen);
	}
}

/* T-86: libpq may hang on what does not fit its buffer of 8 kB. */
Test(stream_tls, no_record_is_over_8_kib)
{
	struct link link;
	begin(&link);
	cr_assert(link_connect(&link));
	check_arrives(&link, 3000000, 1000000);
	check_arrives(&link, 300000, 777);
	check_arrives(&link, 100000, TLS_RECORD_MAX + 1);
	link_end(&link);
}

Test(stream_tls, small_pieces_become_one_record)
{
	struct link link;
	struct buf seen;
	begin(&link);
	buf_init(&seen, 1 << 20);
	cr_assert(link_connect(&link));
	for (int i = 0; i < 20; i++) {
		stream_put_static(&link.stream, SPAN_LIT("0123456789"));
	}
	link_run(&link);
	cr_assert_eq(link_read(&link, &seen), 200);
	link_end(&link);
	buf_fini(&seen);
}

/* T-85: several records in one receive, and one record in many: no byte waits for
 * another event. */
Test(stream_tls, nothing_stays_in_openssl)
{
	struct link link;
	char text[3001];
	begin(&link);
	cr_assert(link_connect(&link));
	link_run(&link);
	for (int i = 0; i < 8; i++) {
		client_write(&link, "0123456789");
	}
	unsigned before = link.n_deliveries;
	link_run(&link);
	cr_assert_eq(link.got.len, 80);
	cr_assert_eq(link.n_deliveries, before + 1);

	/* the scratch of the loop is smaller than this record */
	memset(text, 'x', sizeof(text));
	buf_reset(&link.got);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(SSL_write(link.ssl, text, sizeof(text)), sizeof(text));
	}
	link_run(&link);
	link_run(&link);
	cr_assert_eq(link.got.len, 5 * sizeof(text));
	link_end(&link);
}

Test(stream_tls, a_record_may_come_byte_by_byte)
{
	struct link link;
	begin(&link);
	cr_assert(link_connect(&link));
	BIO *wire = BIO_new(BIO_s_mem());
	BIO_up_ref(SSL_get_rbio(link.ssl));
	SSL_set0_wbio(link.ssl, wire);
	client_write(&link, "slowly");
	char *p;
	long n = BIO_get_mem_data(wire, &p);
	for (long i = 0; i < n; i++) {
		cr_assert_eq(link.got.len, 0);
		cr_assert_eq(write(link.fd, p + i, 1), 1);
		link_run(&link);
	}
	cr_assert(span_eq_str(buf_span(&link.got), "slowly"));
	BIO_free(SSL_get_rbio(link.ssl));
	link_end(&link);
}

/* What the owner does not take is held and delivered again, as without TLS. */
Test(stream_tls, holds_what_was_not_consumed)
{
	struct link link;
	begin(&link);
	cr_assert(link_connect(&link));
	link.take = 2;
	client_write(&link, "abcde");
	link_run(&link);
	cr_assert(span_eq_str(buf_span(&link.got), "ab"));
	stream_pause(&link.stream);
	client_write(&link, "fgh");
	link_run(&link);
	cr_assert_eq(link.got.len, 2);
	link.take = SIZE_MAX;
	stream_resume(&link.stream);
	link_run(&link);
	cr_assert(span_eq_str(buf_span(&link.got), "abcdefgh"));
	cr_assert(stream_is_empty(&link.stream));
	link_end(&link);
}

/* T-85: the answer to a KeyUpdate and our own bytes while the socket is blocked. */
Test(stream_tls, keys_change_while_the_socket_is_blocked)
{
	static const uint8_t zeros[65536];
	struct link link;
	struct buf seen;
	size_t put = 0;
	begin(&link);
	buf_init(&seen, (size_t)64 << 20);
	cr_assert(link_connect(&link));
	for (int i = 0; i < 100 && !stream_is_full(&link.stream); i++) {
		stream_put(&link.stream, span_make(zeros, sizeof(zeros)));
		put += sizeof(zeros);
		link_run(&link);
	}
	cr_assert(stream_is_full(&link.stream));
	cr_assert_eq(SSL_key_update(link.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	client_write(&link, "after the update");
	link_run(&link);
	cr_assert(span_eq_str(buf_span(&link.got), "after the update"));
	stream_put_static(&link.stream, SPAN_LIT("new keys"));
	put += 8;
	for (int i = 0; i < 2000 && seen.len < put; i++) {
		(void)link_read(&link, &seen);
		link_run(&link);
	}
	cr_assert_eq(seen.len, put);
	cr_assert_eq(memcmp(seen.data + put - 8, "new keys", 8), 0);
	cr_assert_eq(link.n_drained, 1);
	link_end(&link);
	buf_fini(&seen);
}

Test(stream_tls, closing_says_goodbye)
{
	struct link link;
	char byte;
	begin(&link);
	cr_assert(link_connect(&link));
	stream_put_static(&link.stream, SPAN_LIT("x"));
	stream_close(&link.stream);
	cr_assert_eq(SSL_read(link.ssl, &byte, 1), 1);
	int r = SSL_read(link.ssl, &byte, 1);
	cr_assert_eq(SSL_get_error(link.ssl, r), SSL_ERROR_ZERO_RETURN);
	link_end(&link);
}

Test(stream_tls, the_peer_says_goodbye)
{
	struct link link;
	begin(&link);
	cr_assert(link_connect(&link));
	client_write(&link, "bye");
	SSL_shutdown(link.ssl);
	link_run(&link);
	cr_assert(span_eq_str(buf_span(&link.got), "bye"));
	cr_assert_eq(link.n_ended, 1);
	cr_assert_eq(link.err, 0);
	link_end(&link);
}

Test(stream_tls, garbage_ends_it_with_a_reason)
{
	struct link link;
	begin(&link);
	cr_assert_eq(
	    stream_start_tls(&link.stream, link.tls, span_make(NULL, 0), false), 0);
	cr_assert_eq(write(link.fd, "GET / HTTP/1.0\r\n\r\n", 18), 18);
	link_run(&link);
	cr_assert_eq(link.n_ended, 1);
	cr_assert_eq(link.err, -EPROTO);
	cr_assert_not_null(stream_tls_error(&link.stream));
	link_end(&link);
}

Test(stream_tls, a_changed_record_ends_it)
{
	struct link link;
	uint8_t record[] = { 23, 3,  3,	 0,  20, 1,  2,	 3,  4,	 5,  6,	 7, 8,
			     9,	 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
	begin(&link);
	cr_assert(link_connect(&link));
	cr_assert_eq(write(link.fd, record, sizeof(record)), sizeof(record));
	link_run(&link);
	cr_assert_eq(link.err, -EPROTO);
	cr_assert_eq(link.got.len, 0);
	link_end(&link);
}

/* T-03 */
Test(stream_tls, direct_needs_alpn)
{
	static const unsigned char ours[] = "\x0apostgresql";
	static const unsigned char other[] = "\x02h2";
	struct link link;
	begin(&link);
	link.starts_at_once = true;
	cr_assert(!link_connect(&link));
	cr_assert_eq(link.err, -EPROTO);
	cr_assert_not_null(strstr(stream_tls_error(&link.stream), "ALPN"));
	link_end(&link);

	begin(&link);
	link.starts_at_once = true;
	SSL_set_alpn_protos(link.ssl, other, sizeof(other) - 1);
	cr_assert(!link_connect(&link));
	cr_assert_eq(link.err, -EPROTO);
	link_end(&link);

	begin(&link);
	link.starts_at_once = true;
	SSL_set_alpn_protos(link.ssl, ours, sizeof(ours) - 1);
	cr_assert(link_connect(&link));
	client_write(&link, "direct");
	link_run(&link);
	cr_assert(span_eq_str(buf_span(&link.got), "direct"));
	link_end(&link);
}

Test(stream_tls, what_is_put_before_the_handshake_is_over_is_dropped)
{
	struct link link;
	struct buf seen;
	begin(&link);
	buf_init(&seen, 1 << 20);
	cr_assert_eq(
	    stream_start_tls(&link.stream, link.tls, span_make(NULL, 0), false), 0);
	stream_put_static(&link.stream, SPAN_LIT("plain text"));
	link_run(&link);
	char byte;
	cr_assert_eq(recv(link.fd, &byte, 1, MSG_DONTWAIT), -1);
	link_end(&link);
	buf_fini(&seen);
}

/* A connection that libpq made: its SSL goes from one stream to the next. */
Test(stream_tls, a_borrowed_ssl_is_given_back)
{
	struct link link;
	begin(&link);
	cr_assert(link_connect(&link));
	/* a second loop takes over the client's side, as a server connection */
	struct stream_group group;
	struct link other = { .take = SIZE_MAX };
	cr_assert_eq(loop_new(4096, &other.loop), 0);
	stream_group_init(&group, other.loop, 1 << 20, TLS_OUT_HIGH);
	BIO *before = SSL_get_rbio(link.ssl);
	for (int round = 0; round < 2; round++) {
		struct stream_events events = *link.stream.events;
		buf_init(&other.got, 1 << 20);
		cr_assert_eq(stream_open(&other.stream, &group, link.fd, &events), 0);
		cr_assert_eq(stream_borrow_tls(&other.stream, link.ssl), 0);
		cr_assert(stream_is_tls(&other.stream));
		stream_put_static(&other.stream, SPAN_LIT("ping"));
		stream_group_run(&group);
		buf_reset(&link.got);
		link_run(&link);
		cr_assert(span_eq_str(buf_span(&link.got), "ping"));
		cr_assert_eq(stream_detach(&other.stream), link.fd);
		cr_assert_eq(SSL_get_rbio(link.ssl), before);
		cr_assert_eq(SSL_get_wbio(link.ssl), before);
		buf_fini(&other.got);
	}
	client_write(&link, "by its owner");
	buf_reset(&link.got);
	link_run(&link);
	cr_assert(span_eq_str(buf_span(&link.got), "by its owner"));
	loop_free(other.loop);
	stream_group_fini(&group);
	link_end(&link);
}

/* Certificates */

static void use_client_certificate(struct link *link)
{
	cr_assert_eq(
	    SSL_use_certificate_file(link->ssl, certs.client_crt, SSL_FILETYPE_PEM), 1);
	cr_assert_eq(
	    SSL_use_PrivateKey_file(link->ssl, certs.client_key, SSL_FILETYPE_PEM), 1);
}

Test(stream_tls, the_peer_is_known_by_its_certificate)
{
	struct link link;
	struct buf name;
	struct tls_options options = certificates_options(&certs);
	options.ca_file = certs.ca;
	options.must_verify = true;
	buf_init(&name, 1000);
	link_begin(&link, &options);
	use_client_certificate(&link);
	cr_assert(link_connect(&link));
	cr_assert(stream_peer_is_verified(&link.stream));
	cr_assert(stream_peer_common_name(&link.stream, &name));
	cr_assert(span_eq_str(buf_span(&name), "alice"));
	buf_reset(&name);
	cr_assert(stream_peer_dn(&link.stream, &name));
	cr_assert(span_eq_str(buf_span(&name), "CN=alice,O=Us\\, Them"));
	cr_assert_eq(stream_end_point(&link.stream).n, 48, "signed with SHA-384");
	link_end(&link);
	buf_fini(&name);
}

Test(stream_tls, a_certificate_may_be_obligatory)
{
	struct link link;
	struct tls_options options = certificates_options(&certs);
	options.ca_file = certs.ca;
	options.must_verify = true;
	link_begin(&link, &options);
	(void)link_connect(&link);
	cr_assert_eq(link.err, -EPROTO);
	link_end(&link);
}

Test(stream_tls, a_stranger_may_come_in_unverified)
{
	struct certificates strangers;
	struct link link;
	struct buf name;
	struct tls_options options = certificates_options(&certs);
	options.ca_file = certs.ca;
	buf_init(&name, 1000);
	certificates_make(&strangers);
	link_begin(&link, &options);
	cr_assert(link_connect(&link));
	cr_assert(!stream_peer_is_verified(&link.stream), "it has shown none");
	cr_assert(!stream_peer_common_name(&link.stream, &name));
	link_end(&link);

	link_begin(&link, &options);
	SSL_use_certificate_file(link.ssl, strangers.client_crt, SSL_FILETYPE_PEM);
	SSL_use_PrivateKey_file(link.ssl, strangers.client_key, SSL_FILETYPE_PEM);
	cr_assert(link_connect(&link));
	cr_assert(!stream_peer_is_verified(&link.stream));
	cr_assert(stream_peer_common_name(&link.stream, &name));
	link_end(&link);
	certificates_remove(&strangers);
	buf_fini(&name);
}

Test(stream_tls, files_that_cannot_be_used)
{
	struct certificates strangers;
	char error[300];
	struct tls *tls;
	struct tls_options good = certificates_options(&certs);
	struct tls_options bad;
	certificates_make(&strangers);
	static const struct {
		size_t at;
		const char *value;
		const char *words;
	} rows[] = {
		{ offsetof(struct tls_options, cert_file), "/nonexistent",
		  "certificate file /nonexistent: No such file" },
		{ offsetof(struct tls_options, key_file), "/dev/null",
		  "private key file /dev/null: " },
		{ offsetof(struct tls_options, ca_file), "/dev/null",
		  "certificate authority file /dev/null: " },
		{ offsetof(struct tls_options, ciphers), "nonsense",
		  "ciphers nonsense: no cipher match" },
		{ offsetof(struct tls_options, ciphersuites), "nonsense",
		  "ciphers of TLS 1.3 nonsense: " },
		{ offsetof(struct tls_options, curve), "nonsense", "curve nonsense: " },
		{ offsetof(struct tls_options, dheparams), "/dev/null",
		  "Diffie-Hellman parameters /dev/null: " },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bad = good;
		*(const char **)(void *)((char *)&bad + rows[i].at) = rows[i].value;
		cr_assert_eq(tls_new(&bad, &tls, error, sizeof(error)), 1);
		cr_assert_not_null(strstr(error, rows[i].words), "%s", error);
	}
	bad = good;
	bad.key_file = strangers.server_key;
	cr_assert_eq(tls_new(&bad, &tls, error, sizeof(error)), 1);
	cr_assert_not_null(strstr(error, "key values mismatch"), "%s", error);
	certificates_remove(&strangers);
}
