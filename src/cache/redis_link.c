/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* hiredis frees its context by itself on any error, also in the middle of one of our
 * calls, and tells so through the `cleanup` hook: that is where a link ends, whoever
 * wanted it.  So after each call into hiredis that may read or write, the link may be
 * gone; link_enter() and link_leave() tell. */

#include "cache/redis_link.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "net/loop.h"
#include "net/watch.h"

#define MAX_ARGS  64
#define MAX_READS 256 /* of 16 KiB */

/* hiredis 1.0 made lengths unsigned. */
#if HIREDIS_MAJOR >= 1
typedef size_t link_array_len;
#else
typedef int link_array_len;
#endif

struct redis_link {
	redisAsyncContext *ac; /* hiredis's; ends with the link */
	struct watch *watch;   /* owned */
	struct loop *loop;
	const struct redis_link_events *events;
	void *owner; /* NULL: closed, waiting for hiredis to let go */
	struct loop_task flush;
	size_t max_reply;
	size_t n_waiting; /* answers that Redis owes */
	int interest;	  /* WATCH_ bits that hiredis wants */
	bool is_connected;
	bool is_flushing;		   /* inside the write of this turn */
	redisReplyObjectFunctions *makers; /* hiredis's own, not to be freed */
	redisReplyObjectFunctions guarded; /* the same but for arrays */
	bool *gone;	 /* set when the link ends inside a call; see link_enter() */
	const char *why; /* our own reason for ending it, or NULL */
};

static void link_enter(struct redis_link *link, bool *gone)
{
	*gone = false;
	link->gone = gone;
}

/* True when the link is still there. */
static bool link_leave(struct redis_link *link, const bool *gone)
{
	if (*gone) {
		return false;
	}
	link->gone = NULL;
	return true;
}

static void link_apply(struct redis_link *link)
{
	watch_set(link->watch, link->interest);
}

/* hiredis's hooks.  A wish to write is kept until the end of the turn, when it is tried
 * at once; only a full socket is waited for. */

static void link_add_read(void *arg)
{
	struct redis_link *link = arg;
	link->interest |= WATCH_READ;
	link_apply(link);
}

static void link_del_read(void *arg)
{
	struct redis_link *link = arg;
	link->interest &= ~WATCH_READ;
	link_apply(link);
}

static void link_add_write(void *arg)
{
	struct redis_link *link = arg;
	if (link->is_connected && !link->is_flushing) {
		loop_task_add(link->loop, &link->flush);
		return;
	}
	link->is_flushing = false;
	link->interest |= WATCH_WRITE;
	link_apply(link);
}

static void link_del_write(void *arg)
{
	struct redis_link *link = arg;
	link->is_flushing = false;
	link->interest &= ~WATCH_WRITE;
	link_apply(link);
}

static void link_cleanup(void *arg)
{
	struct redis_link *link = arg;
	if (link->gone != NULL) {
		*link->gone = true;
	}
	link->ac->c.reader->fn = link->makers; /* it outlives the link */
	/* hiredis 1 calls the requests that wait back after this, 0.14 before it */
	link->ac->data = NULL;
	watch_close(link->watch);
	loop_task_remove(&link->flush);
	if (link->owner != NULL) {
		const char *why = link->why != NULL ? link->why : link->ac->c.errstr;
		link->events->lost(link->owner,
				   *why != '\0' ? why : "connection closed");
	}
	free(link);
}

static void link_flush(struct loop_task *task)
{
	struct redis_link *link = container_of(task, struct redis_link, flush);
	link->is_flushing = true;
	redisAsyncHandleWrite(link->ac);
}

/* Ends a link that misbehaves; the owner hears of it.  Careful: frees the link unless
 * inside a callback of hiredis. */
static void link_break(struct redis_link *link, const char *why)
{
	link->why = why;
	redisAsyncFree(link->ac);
}

/* An answer that nobody asked for would end the process: hiredis asserts that there are
 * none. */
static bool link_has_unasked(const struct redis_link *link)
{
	char byte;
	return link->is_connected && link->n_waiting == 0 &&
	       recv(link->ac->c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static bool link_is_over_limit(const struct redis_link *link)
{
	const redisReader *reader = link->ac->c.reader;
	return reader->len - reader->pos > link->max_reply;
}

/* Lets hiredis read; false when the link has ended. */
static bool link_read(struct redis_link *link)
{
	if (link_has_unasked(link)) {
		link_break(link, "an answer that nobody asked for");
		return false;
	}
	bool gone;
	link_enter(link, &gone);
	redisAsyncHandleRead(link->ac);
	if (!link_leave(link, &gone)) {
		return false;
	}
	if (link_is_over_limit(link)) {
		link_break(link, "an answer over the limit");
		return false;
	}
	return true;
}

void redis_link_read(struct redis_link *link)
{
	char byte;
	for (int i = 0; i < MAX_READS && link->is_connected; i++) {
		ssize_t n = recv(link->ac->c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n <= 0 || !link_read(link)) {
			return;
		}
	}
}

static void link_on_event(void *arg, int events, int err)
{
	struct redis_link *link = arg;
	if (err < 0) {
		/* the watch has stopped; hiredis finds the cause in the socket */
		link->interest = 0;
	}
	if ((events & WATCH_READ) != 0 && !link_read(link)) {
		return;
	}
	if ((events & WATCH_WRITE) != 0) {
		bool gone;
		link_enter(link, &gone);
		redisAsyncHandleWrite(link->ac);
		if (!link_leave(link, &gone)) {
			return;
		}
	}
	if (err < 0) {
		link_break(link, "socket error");
	}
}

static void link_on_connect(const struct redisAsyncContext *ac, int status)
{
	struct redis_link *link = ac->data;
	if (status == REDIS_OK && link != NULL && link->owner != NULL) {
		link->is_connected = true;
		link->events->connected(link->owner);
	}
	/* after a failure hiredis ends the context by itself, and cleanup tells */
}

static struct span reply_text(const redisReply *r)
{
	return span_make(r->str, r->len);
}

static void answer_fill(struct redis_answer *answer, const redisReply *r)
{
	answer->n_list = 0;
	answer->text = (struct span){ 0 };
	answer->kind = REDIS_ANSWER_NUMBER;
	if (r->type == REDIS_REPLY_NIL) {
		answer->kind = REDIS_ANSWER_NIL;
	} else if (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) {
		answer->kind = REDIS_ANSWER_TEXT;
		answer->text = reply_text(r);
	} else if (r->type == REDIS_REPLY_ERROR) {
		answer->kind = REDIS_ANSWER_ERROR;
		answer->text = reply_text(r);
	} else if (r->type == REDIS_REPLY_ARRAY && r->elements <= REDIS_MAX_LIST) {
		answer->kind = REDIS_ANSWER_LIST;
		answer->n_list = r->elements;
		for (size_t i = 0; i < r->elements; i++) {
			const redisReply *e = r->element[i];
			bool is_text = e->type == REDIS_REPLY_STRING;
			answer->list[i] = is_text ? reply_text(e) : span_make(NULL, 0);
		}
	}
}

static void link_on_reply(redisAsyncContext *ac, void *reply, void *request)
{
	struct redis_link *link = ac->data;
	if (link == NULL) {
		return; /* cleanup has told */
	}
	require(link->n_waiting > 0);
	link->n_waiting--;
	if (reply == NULL || link->owner == NULL) {
		return; /* the connection ends: cleanup tells, for all requests at once
			 */
	}
	if (link->n_waiting == 0 && ac->c.reader->pos < ac->c.reader->len) {
		link_break(link, "an answer that nobody asked for");
		return;
	}
	struct redis_answer answer;
	answer_fill(&answer, reply);
	link->events->answer(link->owner, request, &answer);
}

/* Arrays are allocated for as many elements as they announce: none of ours is long or
 * inside another.  NULL ends the connection. */
static void *link_make_array(const redisReadTask *task, link_array_len n)
{
	if (task->parent != NULL || n > REDIS_MAX_LIST) {
		return NULL;
	}
	const struct redis_link *link = task->privdata;
	return link->makers->createArray(task, n);
}

static int link_attach(struct redis_link *link, redisAsyncContext *ac)
{
	(void)fcntl(ac->c.fd, F_SETFD, FD_CLOEXEC);
	int r = watch_new(link->loop, ac->c.fd, link_on_event, link, &link->watch);
	if (r < 0) {
		return r;
	}
	ac->data = link;
	ac->ev.data = link;
	ac->ev.addRead = link_add_read;
	ac->ev.delRead = link_del_read;
	ac->ev.addWrite = link_add_write;
	ac->ev.delWrite = link_del_write;
	ac->ev.cleanup = link_cleanup;
	link->ac = ac;
	redisReader *reader = ac->c.reader;
	link->makers = reader->fn;
	link->guarded = *reader->fn;
	link->guarded.createArray = link_make_array;
	reader->fn = &link->guarded;
	reader->privdata = link;
	r = redisAsyncSetConnectCallback(ac, link_on_connect);
	require(r == REDIS_OK);
	return 0;
}

int redis_link_open(struct loop *loop, const struct redis_place *place,
		    size_t max_reply, const struct redis_link_events *events,
		    void *owner, struct redis_link **out)
{
	struct redis_link *link = calloc(1, sizeof(*link));
	if (link == NULL) {
		return -ENOMEM;
	}
	*link = (struct redis_link){
		.loop = loop, .events = events, .owner = owner, .max_reply = max_reply
	};
	loop_task_init(&link->flush, link_flush);
	errno = 0;
	redisAsyncContext *ac = place->host != NULL
				    ? redisAsyncConnect(place->host, place->port)
				    : redisAsyncConnectUnix(place->path);
	int r = ac == NULL ? -ENOMEM : 0;
	if (ac != NULL && ac->err != 0) {
		r = errno > 0 ? -errno : -ECONNREFUSED;
	}
	if (r == 0) {
		r = link_attach(link, ac);
	}
	if (r < 0) {
		if (ac != NULL) {
			redisAsyncFree(ac);
		}
		free(link);
		return r;
	}
	*out = link;
	return 0;
}

void redis_link_close(struct redis_link *link)
{
	if (link != NULL) {
		link->owner = NULL;
		redisAsyncFree(link->ac);
	}
}

int redis_link_send(struct redis_link *link, const struct span *args, size_t n_args,
		    void *request)
{
	require(n_args >= 1 && n_args <= MAX_ARGS);
	const char *argv[MAX_ARGS];
	size_t argv_len[MAX_ARGS];
	for (size_t i = 0; i < n_args; i++) {
		argv[i] = (const char *)args[i].p;
		argv_len[i] = args[i].n;
	}
	int r = redisAsyncCommandArgv(link->ac, link_on_reply, request, (int)n_args,
				      argv, argv_len);
	if (r != REDIS_OK) {
		return -ENOMEM;
	}
	link->n_waiting++;
	return 0;
}
