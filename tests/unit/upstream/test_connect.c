/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/private_postgres.h"
#include "tests/unit/upstream/fixture.h"

/* A listening socket that accepts nobody, or what a thread makes of it. */
static int listening(uint16_t *port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(fd, 8), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	*port = ntohs(addr.sin_port);
	return fd;
}

static void expect_failure(const struct connect_options *options, const char *reason,
			   const char *sqlstate, const char *words)
{
	struct attempt attempt;
	attempt_begin(&attempt, options);
	attempt_run(&attempt);
	cr_assert_eq(attempt.n_calls, 1);
	cr_assert_null(attempt.socket);
	cr_assert_str_eq(attempt.reason, reason, "%s", attempt.message);
	cr_assert_str_eq(attempt.sqlstate, sqlstate, "%s", attempt.message);
	cr_assert_not_null(strstr(attempt.message, words), "%s", attempt.message);
	cr_assert_null(strchr(attempt.message, '\n'));
	attempt_end(&attempt);
}

static size_t connected_host(const struct connect_options *options)
{
	struct attempt attempt;
	attempt_connect(&attempt, options);
	size_t host = server_socket_host(attempt.socket);
	attempt_end(&attempt);
	return host;
}

Test(connect, logs_in_and_knows_the_server, .timeout = 20)
{
	struct connect_options options = fixture_options();
	struct attempt attempt;
	attempt_connect(&attempt, &options);
	cr_assert_gt(server_socket_fd(attempt.socket), 2);
	cr_assert_neq(server_socket_pid(attempt.socket), 0);
	static const struct {
		const char *name;
		const char *value;
	} parameters[] = {
		{ "TimeZone", "UTC" },
		{ "application_name", "fixture" },
		{ "server_encoding", "UTF8" },
		{ "nonsense", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
		const char *value =
		    server_socket_parameter(attempt.socket, parameters[i].name);
		cr_assert_eq(value == NULL, parameters[i].value == NULL);
		cr_assert(value == NULL || strcmp(value, parameters[i].value) == 0);
	}
	int n_known = 0;
	const char *const *names = server_socket_parameter_names();
	for (; *names != NULL; names++) {
		n_known += server_socket_parameter(attempt.socket, *names) != NULL;
	}
	cr_assert_geq(n_known, 11);
	attempt_end(&attempt);
}

Test(connect, knows_every_way_to_a_server, .timeout = 20)
{
	const char *const hosts[] = { "127.0.0.1", "localhost",
				      private_postgres_socket_dir() };
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct connect_options options = fixture_options();
		options.host = hosts[i];
		options.timeout_ms = i == 0 ? 0 : options.timeout_ms;
		struct attempt attempt;
		attempt_connect(&attempt, &options);
		attempt_end(&attempt);
	}
}

Test(connect, gives_a_password, .timeout = 20)
{
	struct connect_options options = fixture_options();
	options.user = "scram";
	options.password = "secret";
	struct attempt attempt;
	attempt_connect(&attempt, &options);
	attempt_end(&attempt);
}

Test(connect, passes_the_reasons_of_the_server, .timeout = 20)
{
	struct connect_options options = fixture_options();
	options.user = "scram";
	options.password = "wrong-one";
	expect_failure(&options, "auth", "28P01", "password authentication failed");
	options.user = "nobody-here";
	expect_failure(&options, "auth", "28000", "nobody-here");
	options = fixture_options();
	options.dbname = "no-such-database";
	expect_failure(&options, "fatal", "3D000",
		       "\"no-such-database\" does not exist");
	options = fixture_options();
	options.options = "-c no_such_setting=1";
	expect_failure(&options, "fatal", "42704", "no_such_setting");
}

Test(connect, tells_who_is_not_there, .timeout = 30)
{
	struct connect_options options = fixture_options();
	uint16_t port = 0;
	int fd = listening(&port);
	close(fd);
	options.port = port;
	expect_failure(&options, "refused", "08001", "refused");
	options.host = "localhost";
	expect_failure(&options, "refused", "08001", "refused");
	options.host = "/nonexistent";
	expect_failure(&options, "refused", "08001", "No such file");
	options.host = "nowhere.invalid";
	expect_failure(&options, "dns", "08001", "nowhere.invalid");
}

/* Each host of a list in turn, with the port that is its own, until one is there; who
 * has refused the login has answered for all. */
Test(connect, tries_the_hosts_of_a_list, .timeout = 30)
{
	uint16_t closed = 0;
	close(listening(&closed));
	struct connect_options options = fixture_options();
	char ports[64];
	snprintf(ports, sizeof(ports), "%u,%u,%u", closed, options.port, closed);
	options.host = "127.0.0.1,127.0.0.1,127.0.0.1";
	options.ports = ports;
	for (uint16_t first = 0; first < 4; first++) {
		options.first = first;
		cr_assert_eq(connected_host(&options), 1);
	}
	options.host = "nowhere.invalid,127.0.0.1,/nonexistent";
	cr_assert_eq(connected_host(&options), 1);
	options.first = 0;
	options.user = "nobody-here";
	expect_failure(&options, "auth", "28000", "nobody-here");
	options.host = "/nonexistent,nowhere.invalid,127.0.0.1";
	expect_failure(&options, "refused", "08001", "refused");
}

/* One that swallows everything leaves time for the next. */
Test(connect, gives_each_host_its_share, .timeout = 20)
{
	uint16_t silent = 0;
	int fd = listening(&silent);
	struct connect_options options = fixture_options();
	char ports[64];
	snprintf(ports, sizeof(ports), "%u,%u", silent, options.port);
	options.host = "127.0.0.1,localhost";
	options.ports = ports;
	options.timeout_ms = 4000;
	cr_assert_eq(connected_host(&options), 1);
	snprintf(ports, sizeof(ports), "%u,%u", silent, silent);
	options.timeout_ms = 200;
	expect_failure(&options, "timeout", "08001", "timeout");
	close(fd);
}

Test(connect, gives_up_in_time, .timeout = 20)
{
	uint16_t port = 0;
	int fd = listening(&port);
	struct connect_options options = fixture_options();
	options.port = port;
	options.timeout_ms = 200;
	uint64_t begun_ms = clock_now_ms();
	expect_failure(&options, "timeout", "08001", "timeout");
	uint64_t took_ms = clock_now_ms() - begun_ms;
	cr_assert_geq(took_ms, 190);
	cr_assert_leq(took_ms, 2000);
	close(fd);
}

Test(connect, refuses_bad_options, .timeout = 20)
{
	struct connect_options options = fixture_options();
	options.sslmode = "sometimes";
	expect_failure(&options, "tls", "08006", "sslmode");
	options = fixture_options();
	options.sslmode = "require";
	expect_failure(&options, "tls", "08006", "SSL");
}

struct talker {
	int fd; /* listening */
	const char *bytes;
	size_t n;
};

static void *talk(void *arg)
{
	const struct talker *talker = arg;
	int fd = accept(talker->fd, NULL, NULL);
	char startup[512];
	(void)!read(fd, startup, sizeof(startup));
	(void)!write(fd, talker->bytes, talker->n);
	close(fd);
	return NULL;
}

/* What listens may be anything. */
Test(connect, survives_strange_servers, .timeout = 20)
{
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {
		{ "", 0 },
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
		{ "R\0\0\0\x08\0\0\0\x63", 9 },
		{ "R\xff\xff\xff\xff\0\0\0\0", 9 },
		{ "R\0\0\0\x08\0\0\0\0Z\0\0\0\x05", 14 },
		{ "E\0\0\0\x05\0", 6 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint16_t port = 0;
		struct talker talker = { .fd = listening(&port),
					 .bytes = cases[i].bytes,
					 .n = cases[i].n };
		pthread_t thread;
		cr_assert_eq(pthread_create(&thread, NULL, talk, &talker), 0);
		struct connect_options options = fixture_options();
		options.port = port;
		struct attempt attempt;
		attempt_begin(&attempt, &options);
		attempt_run(&attempt);
		cr_assert_null(attempt.socket);
		cr_assert_eq(strlen(attempt.sqlstate), 5);
		attempt_end(&attempt);
		pthread_join(thread, NULL);
		close(talker.fd);
	}
}

static void stop(void *arg)
{
	loop_stop(arg);
}

Test(connect, may_be_abandoned_at_any_point, .timeout = 30)
{
	const char *const hosts[] = { "127.0.0.1", "localhost" };
	for (uint64_t delay_ms = 0; delay_ms < 20; delay_ms++) {
		struct connect_options options = fixture_options();
		options.host = hosts[delay_ms % 2];
		struct attempt attempt;
		attempt_begin(&attempt, &options);
		if (delay_ms > 0) {
			struct timer *timer = NULL;
			cr_assert_eq(
			    timer_new(attempt.loop, stop, attempt.loop, &timer), 0);
			timer_start(timer, delay_ms - 1, 0);
			loop_run(attempt.loop);
			timer_close(timer);
		}
		connect_cancel(attempt.connect);
		attempt_end(&attempt);
	}
}

/* Reads until a message of TYPE has come; the bytes so far. */
static size_t read_until(int fd, char *bytes, size_t size, const char *words)
{
	size_t n = 0;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	while (memmem(bytes, n, words, strlen(words)) == NULL) {
		cr_assert_eq(poll(&pollfd, 1, 10000), 1, "nothing came");
		ssize_t got = read(fd, bytes + n, size - n);
		cr_assert_gt(got, 0);
		n += (size_t)got;
	}
	return n;
}

static void send_query(int fd, const char *sql)
{
	char message[256] = "Q";
	size_t n = strlen(sql) + 1;
	message[4] = (char)(n + 4);
	memcpy(message + 5, sql, n);
	cr_assert_eq(write(fd, message, n + 5), (ssize_t)(n + 5));
}

Test(connect, hands_over_the_socket_and_says_goodbye, .timeout = 20)
{
	struct connect_options options = fixture_options();
	struct attempt attempt;
	attempt_connect(&attempt, &options);
	int fd = server_socket_fd(attempt.socket);
	char bytes[1024];
	send_query(fd, "SELECT 'forty-' || 'two'");
	(void)read_until(fd, bytes, sizeof(bytes), "Z");
	cr_assert_not_null(memmem(bytes, sizeof(bytes), "forty-two", 9));
	char sql[128];
	(void)snprintf(sql, sizeof(sql),
		       "SELECT count(*) FROM pg_stat_activity WHERE pid = %u",
		       (unsigned)server_socket_pid(attempt.socket));
	cr_assert_str_eq(fixture_ask(sql), "1");
	attempt_end(&attempt);
	for (int i = 0; i < 100 && strcmp(fixture_ask(sql), "0") != 0; i++) {
		usleep(20000);
	}
	cr_assert_str_eq(fixture_ask(sql), "0");
}

static void on_cancelled(void *arg)
{
	struct attempt *attempt = arg;
	attempt->n_calls++;
	loop_stop(attempt->loop);
}

Test(cancel, ends_a_query, .timeout = 30)
{
	struct connect_options options = fixture_options();
	struct attempt attempt;
	attempt_connect(&attempt, &options);
	int fd = server_socket_fd(attempt.socket);
	struct cancel_key *key = server_socket_cancel_key(attempt.socket);
	cr_assert_not_null(key);
	send_query(fd, "SELECT pg_sleep(60)");
	for (int i = 0; i < 100; i++) {
		if (strcmp(fixture_ask("SELECT count(*) FROM pg_stat_activity WHERE"
				       " wait_event = 'PgSleep'"),
			   "0") != 0) {
			break;
		}
		usleep(20000);
	}
	cr_assert_eq(cancel_send(attempt.loop, key, on_cancelled, &attempt), 0);
	attempt_run(&attempt);
	cr_assert_eq(attempt.n_calls, 2);
	char bytes[1024];
	(void)read_until(fd, bytes, sizeof(bytes), "57014");
	cancel_key_free(key);
	attempt_end(&attempt);
}

Test(cancel, outlives_its_connection_and_its_key, .timeout = 30)
{
	struct connect_options options = fixture_options();
	struct attempt attempt;
	attempt_connect(&attempt, &options);
	struct cancel_key *key = server_socket_cancel_key(attempt.socket);
	server_socket_close(attempt.socket);
	attempt.socket = NULL;
	for (int i = 0; i < 8; i++) {
		cr_assert_eq(cancel_send(attempt.loop, key, on_cancelled, &attempt), 0);
	}
	cr_assert_eq(cancel_send(attempt.loop, key, on_cancelled, &attempt), -EBUSY);
	cancel_key_free(key);
	attempt_end(&attempt);
	cr_assert_eq(attempt.n_calls, 9);
}
