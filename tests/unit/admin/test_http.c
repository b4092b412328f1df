/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The endpoint over real sockets: its loop runs in a thread, the test is the client. */

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "admin/http.h"
#include "base/clock.h"
#include "net/loop.h"

#define HOST	    "Host: h\r\n"
#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define REPLY_MAX   ((size_t)32 << 20)
#define LONG_MS	    20000
#define SHORT_MS    300
#define PATIENCE_MS 10000

struct server {
	struct loop *loop;
	struct http *http;
	pthread_t thread;
	sem_t done;
	uint16_t port;
	atomic_bool ready;
	atomic_uint n_metrics; /* pages made */
	size_t page_size;      /* of /metrics, bytes */
	unsigned connections;  /* answer of ask_connections() */
};

static void source_metrics(void *arg, struct buf *page, bool openmetrics)
{
	struct server *server = arg;
	atomic_fetch_add(&server->n_metrics, 1);
	buf_append_str(page, openmetrics ? "up 1\n# EOF\n" : "up 1\n");
	if (page->len < server->page_size) {
		size_t rest = server->page_size - page->len;
		uint8_t *to = buf_reserve(page, rest);
		if (to != NULL) {
			memset(to, 'm', rest);
			page->len += rest;
		}
	}
}

static bool source_ready(void *arg, struct buf *why)
{
	struct server *server = arg;
	if (!atomic_load(&server->ready)) {
		buf_append_str(why, "app: connection refused\n");
	}
	return atomic_load(&server->ready);
}

static void source_health(void *arg, struct buf *page)
{
	buf_append_str(page, "{\"status\": \"ok\"}\n");
}

static void *server_run(void *arg)
{
	struct server *server = arg;
	loop_run(server->loop);
	return NULL;
}

static struct http_source source_of(struct server *server)
{
	return (struct http_source){
		.arg = server,
		.metrics = source_metrics,
		.ready = source_ready,
		.health = source_health,
	};
}

static void server_start(struct server *server, unsigned max_connections,
			 uint64_t timeout_ms, size_t page_size)
{
	struct http_options options = {
		.listen = "127.0.0.1:0",
		.inherited_fd = -1,
		.max_connections = max_connections,
		.timeout_ms = timeout_ms,
	};
	memset(server, 0, sizeof(*server));
	atomic_store(&server->ready, true);
	server->page_size = page_size;
	struct http_source source = source_of(server);
	cr_assert_eq(sem_init(&server->done, 0, 0), 0);
	cr_assert_eq(loop_new(65536, &server->loop), 0);
	cr_assert_eq(http_open(server->loop, &options, &source, &server->http), 0);
	server->port = http_port(server->http);
	cr_assert_neq(server->port, 0);
	cr_assert_eq(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static void do_close(void *arg)
{
	struct server *server = arg;
	http_close(server->http);
	loop_stop(server->loop);
}

static void server_stop(struct server *server)
{
	cr_assert_eq(loop_post(server->loop, do_close, server), 0);
	pthread_join(server->thread, NULL);
	loop_free(server->loop);
	sem_destroy(&server->done);
}

static void do_count(void *arg)
{
	struct server *server = arg;
	server->connections = http_connections(server->http);
	sem_post(&server->done);
}

static unsigned ask_connections(struct server *server)
{
	cr_assert_eq(loop_post(server->loop, do_count, server), 0);
	sem_wait(&server->done);
	return server->connections;
}

/* Waits until the server has N connections. */
static void await_connections(struct server *server, unsigned n)
{
	uint64_t end = clock_now_ms() + PATIENCE_MS;
	while (ask_connections(server) != n) {
		cr_assert_lt(clock_now_ms(), end, "%u connections",
			     server->connections);
		usleep(5000);
	}
}

static int dial_with_buffer(const struct server *server, int bytes)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(server->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	if (bytes > 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int dial(const struct server *server)
{
	return dial_with_buffer(server, 0);
}

static void say(int fd, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
		cr_assert_gt(sent, 0, "send: %s", strerror(errno));
		bytes += sent;
		n -= (size_t)sent;
	}
}

/* Everything up to the end of the connection; a failure counts as the end when
 * RESET_IS_FINE.  The caller frees. */
static char *hear_all(int fd, size_t *n_out, bool reset_is_fine)
{
	char *reply = malloc(REPLY_MAX + 1);
	size_t n = 0;
	for (;;) {
		ssize_t got = recv(fd, reply + n, REPLY_MAX - n, 0);
		if (got <= 0) {
			cr_assert(got == 0 || reset_is_fine, "recv: %s",
				  strerror(errno));
			break;
		}
		n += (size_t)got;
	}
	reply[n] = '\0';
	*n_out = n;
	return reply;
}

/* One conversation: says IN, hears all until the server closes. */
static char *talk(const struct server *server, const char *in, size_t n)
{
	size_t heard;
	int fd = dial(server);
	say(fd, in, n);
	char *reply = hear_all(fd, &heard, false);
	close(fd);
	return reply;
}

static int status_of(const char *reply)
{
	int status = 0;
	cr_assert_eq(sscanf(reply, "HTTP/1.1 %d ", &status), 1, "%.200s", reply);
	return status;
}

static const char *body_of(const char *reply)
{
	const char *end = strstr(reply, "\r\n\r\n");
	cr_assert_not_null(end);
	return end + 4;
}

#define CLOSE	    "Connection: close\r\n"
#define ASK(l, h)   l " HTTP/1.1\r\n" HOST CLOSE h "\r\n"
#define OPENMETRICS "Accept: application/openmetrics-text; version=1.0.0\r\n"

struct talk_case {
	const char *in;
	int status;
	const char *head; /* must be in the head */
	const char *body; /* must be in the body */
};

/* clang-format off */
static const struct talk_case talks[] = {
	{ ASK("GET /", ""), 200, "Content-Type: text/plain; charset=utf-8\r\n", "/metrics" },
	{ ASK("GET /metrics", ""), 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", "up 1\n" },
	{ ASK("GET /metrics", OPENMETRICS), 200,
	  "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n", "# EOF\n" },
	{ ASK("GET /metrics?name[]=up", ""), 200, "Cache-Control: no-store\r\n", "up 1\n" },
	{ ASK("GET http://h/livez", ""), 200, "Connection: close\r\n", "ok\n" },
	{ ASK("GET /livez", ""), 200, "Content-Length: 3\r\n", "ok\n" },
	{ ASK("GET /readyz", ""), 200, "Date: ", "ok\n" },
	{ ASK("GET /healthz", ""), 200, "Content-Type: application/json\r\n", "\"status\"" },
	{ ASK("GET /nothing", ""), 404, "Content-Length: ", "404 Not Found" },
	{ ASK("GET /metrics/", ""), 404, "", "" },
	{ ASK("GET /METRICS", ""), 404, "", "" },
	{ ASK("OPTIONS *", ""), 404, "", "" },
	{ ASK("CONNECT h:1", ""), 404, "", "" },
	{ ASK("POST /metrics", ""), 405, "Allow: GET, HEAD\r\n", "" },
	{ ASK("DELETE /", ""), 405, "Allow: GET, HEAD\r\n", "" },
	{ "POST /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 405, "Connection: close\r\n", "" },
	{ "GET /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 413, "Connection: close\r\n", "" },
	{ "GET /livez HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "Connection: close\r\n", "" },
	{ "GET /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", 413, "", "" },
	{ ASK("GET /livez", "Expect: 100-continue\r\n"), 200, "", "ok\n" },
	{ ASK("GET /livez", "Expect: the-unexpected\r\n"), 417, "", "" },
	{ "GET /livez HTTP/1.0\r\n\r\n", 200, "Connection: close\r\n", "ok\n" },
	{ "GET /livez HTTP/1.1\r\n\r\n", 400, "Connection: close\r\n", "" },
	{ "GET /livez HTTP/2.0\r\n\r\n", 505, "Connection: close\r\n", "" },
	{ "\x16\x03\x01\x02\x01", 400, "Connection: close\r\n", "" },
	{ "Ge t\r\n\r\n", 400, "", "" },
};
/* clang-format on */

Test(http, pages_and_refusals, .timeout = 60)
{
	struct server server;
	server_start(&server, 64, LONG_MS, 0);
	for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
		const struct talk_case *c = &talks[i];
		char *reply = talk(&server, c->in, strlen(c->in));
		const char *body = body_of(reply);
		const char *head = strstr(reply, c->head);
		cr_expect_eq(status_of(reply), c->status, "%s: %s", c->in, reply);
		cr_expect(head != NULL && head < body, "%s: %s", c->in, reply);
		cr_expect_not_null(strstr(body, c->body), "%s: %s", c->in, reply);
		cr_expect_null(strstr(body, "HTTP/1.1"), "two answers: %s", reply);
		free(reply);
	}
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, head_has_the_length_and_no_body, .timeout = 60)
{
	struct server server;
	static const char in[] = "HEAD /metrics HTTP/1.1\r\n" HOST CLOSE "\r\n";
	server_start(&server, 64, LONG_MS, 12345);
	char *reply = talk(&server, in, sizeof(in) - 1);
	cr_expect_eq(status_of(reply), 200);
	cr_expect_not_null(strstr(reply, "Content-Length: 12345\r\n"));
	cr_expect_str_empty(body_of(reply));
	free(reply);
	server_stop(&server);
}

Test(http, not_ready_says_why, .timeout = 60)
{
	struct server server;
	static const char in[] = ASK("GET /readyz", "");
	server_start(&server, 64, LONG_MS, 0);
	atomic_store(&server.ready, false);
	char *reply = talk(&server, in, sizeof(in) - 1);
	cr_expect_eq(status_of(reply), 503);
	cr_expect_str_eq(body_of(reply), "app: connection refused\n");
	free(reply);
	server_stop(&server);
}

Test(http, page_over_the_limit_is_an_error, .timeout = 60)
{
	struct server server;
	static const char in[] = ASK("GET /metrics", "");
	server_start(&server, 64, LONG_MS, HTTP_PAGE_MAX + 1);
	char *reply = talk(&server, in, sizeof(in) - 1);
	cr_expect_eq(status_of(reply), 500);
	free(reply);
	server_stop(&server);
}

/* A request that is longer than any limit; the client sends all of it, slowly, although
 * the server refuses early: no send fails, and the refusal arrives. */
Test(http, refusal_arrives_while_the_client_still_sends, .timeout = 60)
{
	struct server server;
	char piece[10000];
	size_t heard;
	server_start(&server, 64, LONG_MS, 0);
	for (int i = 0; i < 2; i++) {
		const char *start = i == 0 ? "GET /" : "GET / HTTP/1.1\r\n" HOST "X: ";
		int fd = dial(&server);
		say(fd, start, strlen(start));
		memset(piece, 'a', sizeof(piece));
		for (int n = 0; n < 10; n++) {
			say(fd, piece, sizeof(piece));
			usleep(20000);
		}
		char *reply = hear_all(fd, &heard, false);
		cr_expect_eq(status_of(reply), i == 0 ? 414 : 431);
		free(reply);
		close(fd);
	}
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, endless_request_is_cut_off, .timeout = 60)
{
	struct server server;
	char junk[4096];
	size_t total = 0;
	server_start(&server, 64, LONG_MS, 0);
	int fd = dial(&server);
	memset(junk, 'a', sizeof(junk));
	while (send(fd, junk, sizeof(junk), MSG_NOSIGNAL) > 0) {
		total += sizeof(junk);
		cr_assert_lt(total, (size_t)256 << 20);
	}
	close(fd);
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, pipelined_requests_are_answered_in_order, .timeout = 60)
{
	struct server server;
	char in[8192] = "";
	size_t n = 0;
	size_t heard;
	server_start(&server, 64, LONG_MS, 0);
	for (int i = 0; i < 100; i++) {
		n += (size_t)snprintf(in + n, sizeof(in) - n, "%s",
				      i % 3 == 0 ? GET("/livez") : GET("/nothing"));
	}
	n += (size_t)snprintf(in + n, sizeof(in) - n, "%s", ASK("GET /", ""));
	/* cut at an odd place: the rest comes later */
	int fd = dial(&server);
	say(fd, in, 1003);
	usleep(50000);
	say(fd, in + 1003, n - 1003);
	char *reply = hear_all(fd, &heard, false);
	const char *at = reply;
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(status_of(at), i % 3 == 0 ? 200 : 404, "answer %d", i);
		at = strstr(at + 1, "HTTP/1.1 ");
		cr_assert_not_null(at, "answer %d is missing", i + 1);
	}
	cr_expect_not_null(strstr(at, "/healthz"));
	free(reply);
	close(fd);
	server_stop(&server);
}

Test(http, connection_is_kept, .timeout = 60)
{
	struct server server;
	char reply[4096];
	server_start(&server, 64, LONG_MS, 0);
	int fd = dial(&server);
	for (int i = 0; i < 5; i++) {
		const char *in = i % 2 == 0 ? GET("/livez")
					    : "GET /livez HTTP/1.0\r\n"
					      "Connection: keep-alive\r\n\r\n";
		say(fd, in, strlen(in));
		ssize_t n = recv(fd, reply, sizeof(reply) - 1, 0);
		cr_assert_gt(n, 0);
		reply[n] = '\0';
		cr_expect_eq(status_of(reply), 200);
		cr_expect_not_null(strstr(reply, "Connection: keep-alive\r\n"));
		cr_expect_str_eq(body_of(reply), "ok\n");
	}
	cr_expect_eq(ask_connections(&server), 1);
	close(fd);
	await_connections(&server, 0);
	server_stop(&server);
}

/* Bytes that trickle do not move the deadline. */
Test(http, slow_request_gets_408, .timeout = 60)
{
	struct server server;
	static const char in[] = "GET /livez HTTP/1.1\r\nX: ";
	size_t heard;
	char byte;
	server_start(&server, 64, SHORT_MS, 0);
	uint64_t start = clock_now_ms();
	int fd = dial(&server);
	say(fd, in, sizeof(in) - 1);
	while (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0) {
		cr_assert_lt(clock_now_ms() - start, SHORT_MS * 10);
		say(fd, "x", 1);
		usleep(20000);
	}
	char *reply = hear_all(fd, &heard, true);
	cr_expect_eq(status_of(reply), 408);
	cr_expect_not_null(strstr(reply, "Connection: close\r\n"));
	free(reply);
	close(fd);
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, silent_connections_are_closed_without_a_word, .timeout = 60)
{
	struct server server;
	size_t heard;
	server_start(&server, 64, SHORT_MS, 0);
	int silent = dial(&server);
	int once = dial(&server);
	say(once, GET("/livez"), strlen(GET("/livez")));
	free(hear_all(silent, &heard, false));
	cr_expect_eq(heard, 0);
	char *reply = hear_all(once, &heard, false);
	cr_expect_eq(status_of(reply), 200);
	cr_expect_str_eq(body_of(reply), "ok\n", "more than one answer: %s", reply);
	free(reply);
	close(silent);
	close(once);
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, too_many_connections_get_503, .timeout = 60)
{
	struct server server;
	int fds[4];
	size_t heard;
	server_start(&server, ARRAY_LEN(fds), LONG_MS, 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(&server);
	}
	await_connections(&server, ARRAY_LEN(fds));
	int over = dial(&server);
	char *reply = hear_all(over, &heard, false);
	cr_expect_eq(status_of(reply), 503);
	free(reply);
	close(over);
	close(fds[0]);
	await_connections(&server, ARRAY_LEN(fds) - 1);
	reply = talk(&server, ASK("GET /livez", ""), strlen(ASK("GET /livez", "")));
	cr_expect_eq(status_of(reply), 200);
	free(reply);
	for (size_t i = 1; i < ARRAY_LEN(fds); i++) {
		close(fds[i]);
	}
	server_stop(&server);
}

Test(http, flood_of_connections_is_bounded, .timeout = 60)
{
	struct server server;
	int fds[100];
	server_start(&server, 4, LONG_MS, 0);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		fds[i] = dial(&server);
		cr_assert_leq(ask_connections(&server), 4 + 16);
	}
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		close(fds[i]);
	}
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, large_page_to_a_slow_reader_is_whole, .timeout = 60)
{
	struct server server;
	static const char in[] = ASK("GET /metrics", "");
	size_t size = (size_t)8 << 20;
	size_t heard;
	server_start(&server, 64, LONG_MS, size);
	int fd = dial_with_buffer(&server, 4096);
	say(fd, in, sizeof(in) - 1);
	shutdown(fd, SHUT_WR); /* what a simple client does */
	usleep(200000);
	char *reply = hear_all(fd, &heard, false);
	cr_expect_eq(status_of(reply), 200);
	cr_expect_eq((size_t)(reply + heard - body_of(reply)), size);
	free(reply);
	close(fd);
	await_connections(&server, 0);
	server_stop(&server);
}

/* One page at a time is made for a client that does not read, and not for long. */
Test(http, client_that_does_not_read_costs_one_page, .timeout = 60)
{
	struct server server;
	size_t heard;
	server_start(&server, 64, SHORT_MS, (size_t)8 << 20);
	int fd = dial_with_buffer(&server, 4096);
	for (int i = 0; i < 100; i++) {
		say(fd, GET("/metrics"), strlen(GET("/metrics")));
	}
	while (atomic_load(&server.n_metrics) == 0) {
		usleep(1000); /* accepted, and asked */
	}
	await_connections(&server, 0);
	cr_expect_eq(atomic_load(&server.n_metrics), 1);
	free(hear_all(fd, &heard, true));
	close(fd);
	server_stop(&server);
}

Test(http, client_that_vanishes_is_forgotten, .timeout = 60)
{
	struct server server;
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	server_start(&server, 64, LONG_MS, (size_t)8 << 20);
	for (int i = 0; i < 10; i++) {
		int fd = dial_with_buffer(&server, 4096);
		say(fd, GET("/metrics"), strlen(GET("/metrics")) - (i % 2 ? 1 : 0));
		usleep(5000);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
	}
	await_connections(&server, 0);
	server_stop(&server);
}

Test(http, close_with_connections_open, .timeout = 60)
{
	struct server server;
	size_t heard;
	server_start(&server, 64, LONG_MS, (size_t)8 << 20);
	int idle = dial(&server);
	int busy = dial_with_buffer(&server, 4096);
	say(busy, GET("/metrics"), strlen(GET("/metrics")));
	await_connections(&server, 2);
	server_stop(&server);
	free(hear_all(idle, &heard, true));
	cr_expect_eq(heard, 0);
	close(idle);
	close(busy);
}

struct address_case {
	const char *listen;
	const char *host; /* NULL: not an address */
	uint16_t port;
};

static const struct address_case addresses[] = {
	{ "127.0.0.1:9187", "127.0.0.1", 9187 },
	{ "localhost:0", "localhost", 0 },
	{ "[::1]:80", "::1", 80 },
	{ ":9187", "*", 9187 },
	{ "*:65535", "*", 65535 },
	{ "/run/pgrecall/http:1", "/run/pgrecall/http:1", 0 },
	{ "127.0.0.1", NULL, 0 },
	{ "9187", NULL, 0 },
	{ "h:65536", NULL, 0 },
	{ "h:999999999999999999999", NULL, 0 },
	{ "h:", NULL, 0 },
	{ "h:-1", NULL, 0 },
	{ "h:80x", NULL, 0 },
	{ "::1:80", NULL, 0 },
	{ "a-host-name-too-long-for-it:80", NULL, 0 },
	{ "", NULL, 0 },
};

Test(http, listen_addresses)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		const struct address_case *c = &addresses[i];
		char host[24];
		uint16_t port;
		int r = http_split_address(c->listen, host, sizeof(host), &port);
		cr_expect_eq(r, c->host != NULL ? 0 : -EINVAL, "%s", c->listen);
		if (r == 0 && c->host != NULL) {
			cr_expect_str_eq(host, c->host, "%s", c->listen);
			cr_expect_eq(port, c->port, "%s", c->listen);
		}
	}
}

Test(http, addresses_that_cannot_be_used, .timeout = 60)
{
	struct server server;
	struct http *http = NULL;
	char taken[32];
	server_start(&server, 64, LONG_MS, 0);
	struct loop *loop;
	struct http_source source = source_of(&server);
	struct http_options options = { .listen = "nowhere",
					.inherited_fd = -1,
					.max_connections = 1,
					.timeout_ms = 1 };
	cr_assert_eq(loop_new(65536, &loop), 0);
	cr_expect_eq(http_open(loop, &options, &source, &http), -EINVAL);
	snprintf(taken, sizeof(taken), "127.0.0.1:%u", server.port);
	options.listen = taken;
	cr_expect_eq(http_open(loop, &options, &source, &http), -EADDRINUSE);
	cr_expect_null(http);
	loop_free(loop);
	server_stop(&server);
}
