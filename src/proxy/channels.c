/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/channels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sqlstate.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/client_listen.h"
#include "proxy/database.h"
#include "proxy/listens.h"
#include "proxy/worker.h"

#define CHANNELS_MAX	 1000000 /* of one worker; the databases have their own limit */
#define CHANNEL_NAME_MAX 256	 /* bytes; PostgreSQL's own limit is 63 */

/* Keys */

struct channel_key {
	size_t n;
	uint8_t bytes[sizeof(struct database *) + CHANNEL_NAME_MAX];
};

static bool channel_key(struct channel_key *key, const struct database *database,
			struct span name)
{
	if (name.n > CHANNEL_NAME_MAX) {
		return false;
	}
	memcpy(key->bytes, &database, sizeof(const struct database *));
	memcpy(key->bytes + sizeof(const struct database *), name.p, name.n);
	key->n = sizeof(const struct database *) + name.n;
	return true;
}

static struct channel *channel_find(struct worker *worker,
				    const struct database *database, struct span name)
{
	struct channel_key key;
	return channel_key(&key, database, name)
		   ? map_get(&worker->channels.by_key, span_make(key.bytes, key.n))
		   : NULL;
}

struct span channel_name(const struct channel *channel)
{
	return span_make(channel->key + sizeof(struct database *),
			 channel->key_len - sizeof(struct database *));
}

/* Life */

void channels_init(struct channels *channels)
{
	map_init(&channels->by_key, CHANNELS_MAX);
}

void channels_fini(struct channels *channels)
{
	require(channels->by_key.n == 0);
	map_fini(&channels->by_key);
}

static struct channel *channel_new(struct worker *worker, struct database *database,
				   struct span name)
{
	struct channel_key key;
	if (!channel_key(&key, database, name)) {
		return NULL;
	}
	struct channel *channel = calloc(1, FLEX_SIZE(struct channel, key, key.n));
	if (channel == NULL) {
		return NULL;
	}
	channel->database = database;
	channel->round = ++worker->channels.last_round;
	dlist_init(&channel->listens);
	channel->key_len = key.n;
	memcpy(channel->key, key.bytes, key.n);
	struct span at = span_make(channel->key, key.n);
	if (map_put(&worker->channels.by_key, at, channel) != 0) {
		free(channel);
		return NULL;
	}
	if (!database_want(database, worker->index, channel->round, name, true)) {
		(void)map_remove(&worker->channels.by_key, at);
		free(channel);
		return NULL;
	}
	return channel;
}

struct channel *channel_use(struct worker *worker, struct database *database,
			    struct span name)
{
	struct channel *channel = channel_find(worker, database, name);
	if (channel == NULL) {
		channel = channel_new(worker, database, name);
	}
	if (channel != NULL) {
		channel->n_users++;
	}
	return channel;
}

void channel_unuse(struct worker *worker, struct channel *channel)
{
	require(channel->n_users > 0);
	channel->n_users--;
	if (channel->n_users > 0 || !dlist_is_empty(&channel->listens)) {
		return;
	}
	if (channel->refusal == NULL) {
		(void)map_remove(&worker->channels.by_key,
				 span_make(channel->key, channel->key_len));
		/* when it cannot be said, notes come that nobody wants: no harm */
		(void)database_want(channel->database, worker->index, channel->round,
				    channel_name(channel), false);
	}
	free(channel->refusal);
	free(channel);
}

struct note *note_ref(struct note *note)
{
	note->refs++;
	return note;
}

void note_unref(void *owner)
{
	struct note *note = owner;
	if (--note->refs == 0) {
		free(note);
	}
}

/* Posts */

enum post_kind {
	POST_HEARD,
	POST_REFUSED,
	POST_LOST,
	POST_NOTE
};

struct post {
	struct worker *worker;
	struct database *database;
	enum post_kind kind;
	uint64_t round;
	char sqlstate[SQLSTATE_SIZE];
	char *text;	   /* owned, or NULL */
	struct note *note; /* a reference, or NULL */
	size_t n;
	uint8_t name[];
};

static void post_free(struct post *post)
{
	if (post != NULL) {
		free(post->text);
		if (post->note != NULL) {
			note_unref(post->note);
		}
		free(post);
	}
}

static void post_heard(struct worker *worker, struct channel *channel)
{
	channel->is_heard = true;
	dlist_each (l, tmp, &channel->listens) {
		client_listen_go_on(container_of(l, struct listen, in_channel)->client);
	}
}

static void post_refused(struct worker *worker, struct channel *channel,
			 struct post *post)
{
	memcpy(channel->sqlstate, post->sqlstate, sizeof(channel->sqlstate));
	channel->refusal = steal(&post->text);
	(void)map_remove(&worker->channels.by_key,
			 span_make(channel->key, channel->key_len));
	dlist_each (l, tmp, &channel->listens) {
		client_listen_go_on(container_of(l, struct listen, in_channel)->client);
	}
}

/* A client that is closed takes its listens away, and perhaps the channel. */
static void post_note(struct worker *worker, struct channel *channel, struct note *note)
{
	channel->n_users++;
	dlist_each (l, tmp, &channel->listens) {
		client_listen_hear(container_of(l, struct listen, in_channel), note);
	}
	channel_unuse(worker, channel);
}

/* DATABASE NULL: all of them. */
static void channels_lose(struct worker *worker, const struct database *database)
{
	dlist_each (l, tmp, &worker->clients) {
		client_listen_lost(container_of(l, struct client, link), database);
	}
	struct channel *channel;
	map_each (channel, at, &worker->channels.by_key) {
		if (database == NULL || channel->database == database) {
			channel->is_heard = false;
		}
	}
}

static void post_run(void *arg)
{
	struct post *post = arg;
	struct worker *worker = post->worker;
	struct channel *channel =
	    channel_find(worker, post->database, span_make(post->name, post->n));
	if (post->kind == POST_NOTE) {
		atomic_fetch_sub(&worker->channels.n_posted, post->note->n);
	}
	if (post->kind == POST_LOST) {
		channels_lose(worker, post->database);
	} else if (channel != NULL && post->kind == POST_NOTE) {
		post_note(worker, channel, post->note);
	} else if (channel != NULL && channel->round == post->round) {
		if (post->kind == POST_HEARD) {
			post_heard(worker, channel);
		} else {
			post_refused(worker, channel, post);
		}
	}
	post_free(post);
}

static struct post *post_new(struct worker *worker, struct database *database,
			     enum post_kind kind, struct span name)
{
	struct post *post = calloc(1, FLEX_SIZE(struct post, name, name.n));
	if (post != NULL) {
		post->worker = worker;
		post->database = database;
		post->kind = kind;
		post->n = name.n;
		if (name.n > 0) {
			memcpy(post->name, name.p, name.n);
		}
	}
	return post;
}

/* What cannot be posted would be missed in silence: the worker is told by a flag. */
static void post_send(struct worker *worker, struct post *post)
{
	if (post == NULL || loop_post(worker->loop, post_run, post) < 0) {
		atomic_store(&worker->channels.has_lost, true);
		post_free(post);
	}
}

void channels_post_heard(struct worker *worker, struct database *database,
			 struct span name, uint64_t round)
{
	struct post *post = post_new(worker, database, POST_HEARD, name);
	if (post != NULL) {
		post->round = round;
	}
	post_send(worker, post);
}

void channels_post_refused(struct worker *worker, struct database *database,
			   struct span name, uint64_t round, const char *sqlstate,
			   const char *text)
{
	struct post *post = post_new(worker, database, POST_REFUSED, name);
	if (post != NULL) {
		post->round = round;
		(void)snprintf(post->sqlstate, sizeof(post->sqlstate), "%s", sqlstate);
		post->text = strdup(text);
	}
	if (post != NULL && post->text == NULL) {
		post_free(steal(&post));
	}
	post_send(worker, post);
}

void channels_post_lost(struct worker *worker, struct database *database)
{
	post_send(worker, post_new(worker, database, POST_LOST, span_make(NULL, 0)));
}

static struct note *note_new(struct span message)
{
	struct note *note = malloc(FLEX_SIZE(struct note, bytes, message.n));
	if (note == NULL) {
		return NULL;
	}
	*note = (struct note){ .refs = 1, .is_ascii = true, .n = message.n };
	memcpy(note->bytes, message.p, message.n);
	for (size_t i = 9; i < message.n && note->is_ascii; i++) {
		note->is_ascii = message.p[i] < 0x80; /* behind length and process id */
	}
	return note;
}

void channels_post_note(struct worker *worker, struct database *database,
			struct span name, struct span message)
{
	struct post *post = NULL;
	if (atomic_load(&worker->channels.n_posted) < CHANNELS_MAX_POSTED) {
		post = post_new(worker, database, POST_NOTE, name);
	}
	if (post != NULL) {
		post->note = note_new(message);
		if (post->note == NULL) {
			post_free(steal(&post));
		} else {
			atomic_fetch_add(&worker->channels.n_posted, message.n);
		}
	}
	post_send(worker, post);
}

void channels_tick(struct worker *worker)
{
	if (atomic_exchange(&worker->channels.has_lost, false)) {
		channels_lose(worker, NULL);
	}
}
