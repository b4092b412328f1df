/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_find.h"

#include <stdlib.h>

#include "base/config.h"
#include "base/metrics.h"
#include "cache/entry.h"
#include "proxy/client.h"
#include "proxy/query.h"
#include "proxy/worker.h"
#include "upstream/server.h"

static void client_on_fetch(void *arg, struct entry *hit)
{
	struct client *client = arg;
	client->lookup = NULL;
	client->lookup_hit = hit;
	client->lookup_result = LOOKUP_DONE;
	client_move(client, client->server ? CLIENT_BOUND : CLIENT_IDLE);
	stream_resume(&client->stream);
}

void client_find_cancel(struct client *client)
{
	if (client->lookup != NULL) {
		store_fetch_cancel(client->worker->store, steal(&client->lookup));
	}
	entry_unref(steal(&client->lookup_hit));
	free(steal(&client->lookup_fill));
	client->lookup_result = LOOKUP_NONE;
}

/* Asks Redis; true when the client waits for it now. */
static bool client_fetch(struct client *client, const struct store_fill *fill)
{
	struct worker *worker = client->worker;
	if (client->lookup_result != LOOKUP_NONE || !store_has_redis(worker->store)) {
		return false;
	}
	client->lookup_fill = malloc(sizeof(*client->lookup_fill));
	if (client->lookup_fill == NULL) {
		return false;
	}
	*client->lookup_fill = *fill;
	struct context *context = client->session.context->cache;
	client->lookup = store_fetch(worker->store, &worker->key,
				     span_make(context->text, context->text_len),
				     client->lookup_fill, client_on_fetch, client);
	if (client->lookup == NULL) {
		free(steal(&client->lookup_fill));
		return false;
	}
	client->lookup_result = LOOKUP_PENDING;
	client_move(client, CLIENT_LOOKUP);
	stream_pause(&client->stream);
	return true;
}

static void client_count_bypass(struct client *client, const struct request *request,
				enum bypass_reason reason, uint8_t *route)
{
	const struct plan *plan = request->plan;
	*route = METRIC_ROUTE_BYPASS;
	if (plan != NULL && (plan->n_writes > 0 || plan->kind == PLAN_DDL)) {
		*route = METRIC_ROUTE_WRITE;
	}
	metric_add(&client->worker->metrics->cache_bypasses[reason], 1);
}

/* The answer of Redis came while the client waited.  The words are compared once more:
 * a write may have begun between the answer and now. */
static struct entry *client_take_fetched(struct client *client)
{
	struct entry *hit = steal(&client->lookup_hit);
	if (hit != NULL &&
	    !versions_are_current(client->worker->versions, &hit->notes)) {
		entry_unref(hit);
		hit = NULL;
	}
	return hit;
}

enum found client_find(struct client *client, struct request *request,
		       struct entry **entry, struct store_fill *fill, uint8_t *route)
{
	struct worker *worker = client->worker;
	enum bypass_reason reason;
	fill->may_store = false;
	*entry = query_lookup(client, request, &reason);
	*route = METRIC_ROUTE_L1_HIT;
	if (*entry == NULL && client->lookup_result == LOOKUP_DONE &&
	    reason == BYPASS_NONE) {
		*entry = client_take_fetched(client);
		*route = METRIC_ROUTE_REDIS_HIT;
	}
	if (*entry != NULL) {
		client_find_cancel(client);
		client->wait_error.sqlstate[0] = 0; /* nobody needs the server now */
		return FOUND_HIT;
	}
	if (reason != BYPASS_NONE) {
		client_find_cancel(client);
		client_count_bypass(client, request, reason, route);
		return FOUND_MISS;
	}
	*route = METRIC_ROUTE_MISS;
	if (client->lookup_result == LOOKUP_DONE && client->lookup_fill != NULL) {
		/* its words were noted before Redis was asked, its tokens came from
		 * there */
		*fill = *client->lookup_fill;
		client_find_cancel(client);
		return FOUND_MISS;
	}
	client_find_cancel(client);
	if (client->wait_error.sqlstate[0] != 0) {
		return FOUND_MISS; /* cancelled, or refused: nobody asks for it */
	}
	(void)query_prepare_fill(client, request, fill);
	if (request->plan->rule >= 0) {
		metric_add(
		    &metrics_rule(worker->metrics,
				  worker->config->rules[request->plan->rule].index)
			 ->rule_lookups,
		    1);
	}
	if (request->plan->klass == PLAN_CLASS_VECTOR) {
		metric_add(&worker->metrics->vector_lookups, 1);
	}
	return client_fetch(client, fill) ? FOUND_WAITS : FOUND_MISS;
}

static void client_entry_release(void *owner)
{
	entry_unref(owner);
}

void client_reply_entry(struct client *client, struct entry *entry)
{
	struct server *server = client->server;
	if (server == NULL || server->owed.n == 0) {
		stream_put_owned(&client->stream, entry_value(entry), entry,
				 client_entry_release);
		return;
	}
	if (!replies_add(&client->replies, server->owed.n_pushed, entry_value(entry),
			 entry, client_entry_release)) {
		entry_unref(entry);
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
}
