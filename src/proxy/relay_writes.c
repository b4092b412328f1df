/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the cache has to know of a replication session: proxy/relay.h says why. */

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/store.h"
#include "proxy/client.h"
#include "proxy/database.h"
#include "proxy/relay.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "relay_priv.h"
#include "wire/frame.h"
#include "wire/replication.h"

#define RELAY_MAX_LEN 0x7fffffffU /* the server's messages are its own affair */

/* Everything in the database may be written from now on.  False: no memory, and the
 * client has been closed. */
static bool relay_begin_write(struct relay *relay)
{
	static const struct writes anything = { .all = true, .ddl = true, .any = true };
	struct worker *worker = relay->worker;
	bool failed = false;
	if (relay->commit == NULL) {
		relay->commit =
		    commit_begin(&anything, relay->database, worker->versions,
				 worker->key_columns, &failed);
	}
	if (failed) {
		client_close(relay->client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
	return !failed;
}

/* A message of the client that ReadyForQuery answers. */
static bool relay_ask(struct relay *relay, const struct frame *frame)
{
	enum replication_command command =
	    frame->type == 'Q' ? replication_command(frame->body) : REPLICATION_SQL;
	relay->n_asked++;
	relay->streams = command == REPLICATION_STREAM;
	return relay->database == NULL || command != REPLICATION_SQL ||
	       relay_begin_write(relay);
}

size_t relay_watch_client(struct relay *relay, struct span in)
{
	size_t used = 0;
	uint32_t max = (uint32_t)relay->worker->config->max_packet_size;
	while (used < in.n) {
		struct frame frame;
		if (relay->client_left > 0) {
			size_t n = in.n - used;
			n = n < relay->client_left ? n : relay->client_left;
			relay->client_left -= n;
			used += n;
			continue;
		}
		enum frame_result r = frame_next(span_skip(in, used), max, &frame);
		if (r == FRAME_BAD) {
			client_close(relay->client, CLIENT_CLOSE_PROTOCOL);
			return in.n;
		}
		if (r == FRAME_NEED ||
		    (!frame.complete && frame.body.n < REPLICATION_WORD_MAX)) {
			break;
		}
		if (frame.type == 'X') {
			client_close(relay->client, CLIENT_CLOSE_TERMINATED);
			return in.n;
		}
		if ((frame.type == 'Q' || frame.type == 'S' || frame.type == 'F') &&
		    !relay_ask(relay, &frame)) {
			return in.n;
		}
		relay->client_left = frame.size;
	}
	return used;
}

/* Redis is told before the client is: see proxy/server_commit.c. */

struct relay_tokens {
	struct relay *relay; /* NULL: closed meanwhile */
};

static void relay_on_tokens(void *arg)
{
	struct relay_tokens *tokens = arg;
	struct relay *relay = tokens->relay;
	free(tokens);
	if (relay != NULL) {
		relay->tokens = NULL;
		relay->commit->tokens_done = true;
		relay_go_on(relay);
	}
}

/* True when the answer of Redis has to be waited for. */
static bool relay_ask_tokens(struct relay *relay)
{
	struct store *store = relay->worker->store;
	struct relay_tokens *tokens = malloc(sizeof(*tokens));
	if (tokens == NULL) {
		store_tokens_lost(store);
		return false;
	}
	tokens->relay = relay;
	if (!store_tokens(store, relay->commit->tags, relay->commit->n, relay_on_tokens,
			  tokens)) {
		free(tokens);
		return false;
	}
	relay->tokens = tokens;
	stream_pause(&relay->stream);
	return true;
}

/* ReadyForQuery is next.  False: it has to wait. */
static bool relay_ready(struct relay *relay)
{
	struct commit *commit = relay->commit;
	if (relay->n_asked > 1 && commit != NULL) {
		commit->tokens_done = false; /* more is under way */
	}
	if (relay->n_asked == 1 && commit != NULL) {
		if (!commit->tokens_done && relay_ask_tokens(relay)) {
			return false;
		}
		metric_add(
		    &relay->worker->metrics->cache_invalidations[METRIC_CAUSE_DDL], 1);
		commit_end(steal(&relay->commit), relay->worker->versions, true);
	}
	relay->n_asked -= relay->n_asked > 0 ? 1 : 0;
	relay->streams = relay->streams && relay->n_asked > 0;
	return true;
}

size_t relay_watch_server(struct relay *relay, struct span in)
{
	size_t used = 0;
	while (used < in.n && !relay_may_end(relay)) {
		struct frame frame;
		if (relay->server_left > 0) {
			size_t n = in.n - used;
			n = n < relay->server_left ? n : relay->server_left;
			relay->server_left -= n;
			used += n;
			continue;
		}
		enum frame_result r =
		    frame_next(span_skip(in, used), RELAY_MAX_LEN, &frame);
		if (r == FRAME_BAD) {
			client_close(relay->client, CLIENT_CLOSE_SERVER_PROTOCOL);
			return in.n;
		}
		if (r == FRAME_NEED || (frame.type == 'Z' && !relay_ready(relay))) {
			break;
		}
		relay->server_left = frame.size;
	}
	return used;
}

void relay_writes_lost(struct relay *relay)
{
	if (relay->tokens != NULL) {
		relay->tokens->relay = NULL;
		relay->tokens = NULL;
	}
	commit_lost(steal(&relay->commit), relay_pid(relay));
}
