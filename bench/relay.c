/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The relay: what passing bytes through costs at the least
 *
 * A single-threaded epoll loop that opens one server connection for each client and
 * copies bytes both ways without looking at them.  No pooler that reads what it
 * forwards can be faster on this kernel.  bench/run measures it beside the real thing.
 *
 *   relay PORT SERVER_PORT
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

#define PIECE	   65536U
#define MAX_EVENTS 256

/* One end of a pair.  `kept` are bytes for this end that its socket did not take; while
 * there are any the other end is not read. */
struct end {
	int fd;
	struct end *other;
	struct pair *pair;
	uint8_t *kept;
	size_t kept_len;
	size_t kept_at;
};

struct pair {
	struct end client;
	struct end server;
	bool dead;
	struct pair *next_dead;
};

static uint8_t piece[PIECE];
static int poller;
static struct pair *dead;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(struct end *end, int op)
{
	uint32_t events = 0;
	struct epoll_event event = { .data.ptr = end };

	if (end->other->kept == NULL) {
		events |= EPOLLIN;
	}
	if (end->kept != NULL) {
		events |= EPOLLOUT;
	}
	event.events = events;
	if (epoll_ctl(poller, op, end->fd, &event) < 0) {
		die("epoll_ctl");
	}
}

/* Events of both ends may be in one batch: a pair is freed when the batch is done. */
static void pair_end(struct pair *pair)
{
	if (!pair->dead) {
		close(pair->client.fd);
		close(pair->server.fd);
		pair->dead = true;
		pair->next_dead = dead;
		dead = pair;
	}
}

static void free_dead(void)
{
	while (dead != NULL) {
		struct pair *pair = dead;

		dead = pair->next_dead;
		free(pair->client.kept);
		free(pair->server.kept);
		free(pair);
	}
}

static bool keep(struct end *end, const uint8_t *data, size_t len)
{
	end->kept = malloc(len);
	if (end->kept == NULL) {
		return false;
	}
	memcpy(end->kept, data, len);
	end->kept_len = len;
	end->kept_at = 0;
	watch(end, EPOLL_CTL_MOD);
	watch(end->other, EPOLL_CTL_MOD);
	return true;
}

static bool end_read(struct end *end)
{
	ssize_t got = recv(end->fd, piece, PIECE, 0);
	ssize_t sent;

	if (got <= 0) {
		return got < 0 && errno == EAGAIN;
	}
	sent = send(end->other->fd, piece, (size_t)got, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		return false;
	}
	if (sent < 0) {
		sent = 0;
	}
	return sent == got || keep(end->other, piece + sent, (size_t)(got - sent));
}

static bool end_flush(struct end *end)
{
	ssize_t sent = send(end->fd, end->kept + end->kept_at,
			    end->kept_len - end->kept_at, MSG_NOSIGNAL);

	if (sent < 0) {
		return errno == EAGAIN;
	}
	end->kept_at += (size_t)sent;
	if (end->kept_at == end->kept_len) {
		free(end->kept);
		end->kept = NULL;
		watch(end, EPOLL_CTL_MOD);
		watch(end->other, EPOLL_CTL_MOD);
	}
	return true;
}

static struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void pair_open(int listener, const struct sockaddr_in *server)
{
	int one = 1;
	int client_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int server_fd;
	struct pair *pair;

	if (client_fd < 0) {
		return;
	}
	server_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	pair = calloc(1, sizeof(*pair));
	if (server_fd < 0 || pair == NULL) {
		die("a new pair");
	}
	setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(server_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(server_fd, (const struct sockaddr *)server, sizeof(*server)) < 0 &&
	    errno != EINPROGRESS) {
		die("connect");
	}
	pair->client =
	    (struct end){ .fd = client_fd, .other = &pair->server, .pair = pair };
	pair->server =
	    (struct end){ .fd = server_fd, .other = &pair->client, .pair = pair };
	watch(&pair->client, EPOLL_CTL_ADD);
	watch(&pair->server, EPOLL_CTL_ADD);
}

static int listen_on(const char *port)
{
	struct sockaddr_in address = loopback(port);
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

static void end_event(struct end *end, uint32_t events)
{
	bool alive = true;

	if (end->pair->dead) {
		return;
	}
	if ((events & EPOLLOUT) && end->kept != NULL) {
		alive = end_flush(end);
	}
	if (alive && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) &&
	    end->other->kept == NULL) {
		alive = end_read(end);
	}
	if (!alive) {
		pair_end(end->pair);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[MAX_EVENTS];
	struct sockaddr_in server;
	int listener;

	if (argc != 3) {
		fprintf(stderr, "usage: relay PORT SERVER_PORT\n");
		return 2;
	}
	server = loopback(argv[2]);
	listener = listen_on(argv[1]);
	poller = epoll_create1(EPOLL_CLOEXEC);
	events[0] = (struct epoll_event){ .events = EPOLLIN, .data.ptr = NULL };
	if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &events[0]) < 0) {
		die("epoll");
	}
	for (;;) {
		int n = epoll_wait(poller, events, MAX_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL) {
				pair_open(listener, &server);
			} else {
				end_event(events[i].data.ptr, events[i].events);
			}
		}
		free_dead();
	}
}
