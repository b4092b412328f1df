/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The floor: what answering from memory costs at the least
 *
 * A single-threaded epoll server that takes any login and answers every query with the
 * same bytes, those of a real answer.  It looks at message types and lengths and at
 * nothing else, so no cache can be faster on this kernel.  bench/run measures it beside
 * the real thing.
 *
 *   floor PORT FILE     FILE: RowDescription, DataRows and CommandComplete as on the
 * wire
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_SIZE	   65536U
#define OUT_SIZE   (8U << 20)
#define MAX_EVENTS 256

struct bytes {
	uint8_t *data;
	size_t len;
};

struct conn {
	int fd;
	bool started;
	size_t used;  /* bytes in `in` */
	uint8_t *out; /* what send() did not take, or NULL */
	size_t out_len;
	size_t out_at;
	uint8_t in[IN_SIZE];
};

static struct bytes described; /* RowDescription */
static struct bytes rows;      /* DataRows and CommandComplete */
static uint8_t scratch[OUT_SIZE];
static int poller;

static const uint8_t parse_complete[] = { '1', 0, 0, 0, 4 };
static const uint8_t bind_complete[] = { '2', 0, 0, 0, 4 };
static const uint8_t close_complete[] = { '3', 0, 0, 0, 4 };
static const uint8_t ready[] = { 'Z', 0, 0, 0, 5, 'I' };
static const uint8_t welcome[] = "R\0\0\0\x08\0\0\0\0"
				 "S\0\0\0\x18server_version\0"
				 "15.0\0"
				 "S\0\0\0\x19"
				 "client_encoding\0"
				 "UTF8\0"
				 "S\0\0\0\x23standard_conforming_strings\0"
				 "on\0"
				 "K\0\0\0\x0c\0\0\0\x01\0\0\0\x02"
				 "Z\0\0\0\x05I";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return ntohl(value);
}

static void watch(struct conn *conn, uint32_t events, int op)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (epoll_ctl(poller, op, conn->fd, &event) < 0) {
		die("epoll_ctl");
	}
}

static void conn_free(struct conn *conn)
{
	close(conn->fd);
	free(conn->out);
	free(conn);
}

/* Sends the answer; what the socket does not take waits, and reading stops meanwhile.
 */
static bool conn_send(struct conn *conn, const uint8_t *data, size_t len)
{
	ssize_t sent = send(conn->fd, data, len, MSG_NOSIGNAL);
	size_t done = sent > 0 ? (size_t)sent : 0;

	if (sent < 0 && errno != EAGAIN) {
		return false;
	}
	if (done == len) {
		return true;
	}
	conn->out_len = len - done;
	conn->out_at = 0;
	conn->out = malloc(conn->out_len);
	if (conn->out == NULL) {
		return false;
	}
	memcpy(conn->out, data + done, conn->out_len);
	watch(conn, EPOLLOUT, EPOLL_CTL_MOD);
	return true;
}

static bool conn_flush(struct conn *conn)
{
	ssize_t sent = send(conn->fd, conn->out + conn->out_at,
			    conn->out_len - conn->out_at, MSG_NOSIGNAL);

	if (sent < 0) {
		return errno == EAGAIN;
	}
	conn->out_at += (size_t)sent;
	if (conn->out_at == conn->out_len) {
		free(conn->out);
		conn->out = NULL;
		watch(conn, EPOLLIN, EPOLL_CTL_MOD);
	}
	return true;
}

static size_t append(size_t at, const uint8_t *data, size_t len)
{
	if (len > OUT_SIZE - at) {
		fprintf(stderr, "floor: the answers of one batch are too large\n");
		exit(1);
	}
	memcpy(scratch + at, data, len);
	return at + len;
}

/* The answer to one message, appended to the batch's; false ends the connection. */
static bool answer(uint8_t type, size_t *at)
{
	switch (type) {
	case 'Q':
		*at = append(*at, described.data, described.len);
		*at = append(*at, rows.data, rows.len);
		*at = append(*at, ready, sizeof(ready));
		return true;
	case 'P':
		*at = append(*at, parse_complete, sizeof(parse_complete));
		return true;
	case 'B':
		*at = append(*at, bind_complete, sizeof(bind_complete));
		return true;
	case 'D':
		*at = append(*at, described.data, described.len);
		return true;
	case 'E':
		*at = append(*at, rows.data, rows.len);
		return true;
	case 'C':
		*at = append(*at, close_complete, sizeof(close_complete));
		return true;
	case 'S':
		*at = append(*at, ready, sizeof(ready));
		return true;
	case 'H':
		return true;
	default:
		return false;
	}
}

/* The packets before the login have no type: offers of encryption, then the start. */
static bool conn_start(struct conn *conn)
{
	uint32_t len;

	while (!conn->started && conn->used >= 8) {
		len = get_u32(conn->in);
		if (len < 8 || len > IN_SIZE) {
			return false;
		}
		if (conn->used < len) {
			return true;
		}
		if (get_u32(conn->in + 4) >> 16 == 1234) {
			if (!conn_send(conn, (const uint8_t *)"N", 1)) {
				return false;
			}
		} else {
			conn->started = true;
			if (!conn_send(conn, welcome, sizeof(welcome) - 1)) {
				return false;
			}
		}
		conn->used -= len;
		memmove(conn->in, conn->in + len, conn->used);
	}
	return true;
}

static bool conn_read(struct conn *conn)
{
	ssize_t got = recv(conn->fd, conn->in + conn->used, IN_SIZE - conn->used, 0);
	size_t at = 0;
	size_t out = 0;

	if (got <= 0) {
		return got < 0 && errno == EAGAIN;
	}
	conn->used += (size_t)got;
	if (!conn->started) {
		return conn_start(conn);
	}
	while (conn->used - at >= 5) {
		uint32_t len = get_u32(conn->in + at + 1);

		if (len < 4 || len >= IN_SIZE) {
			return false;
		}
		if (conn->used - at <= len) {
			break;
		}
		if (!answer(conn->in[at], &out)) {
			return false;
		}
		at += 1 + len;
	}
	conn->used -= at;
	if (conn->used > 0) {
		memmove(conn->in, conn->in + at, conn->used);
	}
	return out == 0 || conn_send(conn, scratch, out);
}

static void conn_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int one = 1;
	struct conn *conn;

	if (fd < 0) {
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn = malloc(sizeof(*conn));
	if (conn == NULL) {
		close(fd);
		return;
	}
	conn->fd = fd;
	conn->started = false;
	conn->used = 0;
	conn->out = NULL;
	watch(conn, EPOLLIN, EPOLL_CTL_ADD);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0) {
		die("socket");
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 1024) < 0) {
		die("listen");
	}
	return fd;
}

static void load(const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t first;
	size_t len;
	uint8_t *data = malloc(OUT_SIZE);

	if (file == NULL || data == NULL) {
		die(path);
	}
	len = fread(data, 1, OUT_SIZE, file);
	fclose(file);
	first = len >= 5 ? 1U + get_u32(data + 1) : 0;
	if (len < 5 || data[0] != 'T' || first > len) {
		fprintf(stderr, "floor: %s is not an answer\n", path);
		exit(1);
	}
	described = (struct bytes){ data, first };
	rows = (struct bytes){ data + first, len - first };
}

int main(int argc, char **argv)
{
	struct epoll_event events[MAX_EVENTS];
	int listener;

	if (argc != 3) {
		fprintf(stderr, "usage: floor PORT FILE\n");
		return 2;
	}
	load(argv[2]);
	listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
	poller = epoll_create1(EPOLL_CLOEXEC);
	events[0] = (struct epoll_event){ .events = EPOLLIN, .data.ptr = NULL };
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &events[0]) < 0) {
		die("epoll");
	}
	for (;;) {
		int n = epoll_wait(poller, events, MAX_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct conn *conn = events[i].data.ptr;

			if (conn == NULL) {
				conn_accept(listener);
			} else if (!(conn->out != NULL ? conn_flush(conn)
						       : conn_read(conn))) {
				conn_free(conn);
			}
		}
	}
}
