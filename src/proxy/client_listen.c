/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_listen.h"

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "proxy/channels.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "proxy/listens.h"
#include "proxy/query.h"
#include "proxy/worker.h"
#include "sql/plan.h"
#include "upstream/context.h"
#include "upstream/owed.h"
#include "upstream/server.h"
#include "upstream/welcome.h"

/* Encodings.  The connection of the database speaks UTF-8; what is all ASCII is the
 * same for everybody. */

bool client_reads_utf8(const struct client *client)
{
	struct span encoding;
	if (!context_effective(client->session.context, "client_encoding", &encoding)) {
		return false;
	}
	if (span_ieq(encoding, SPAN_LIT("utf8")) ||
	    span_ieq(encoding, SPAN_LIT("utf-8")) ||
	    span_ieq(encoding, SPAN_LIT("unicode"))) {
		return true;
	}
	/* SQL_ASCII is as the server has it */
	struct welcome *welcome = pool_welcome(client->pool);
	const char *server =
	    welcome != NULL ? welcome_get(welcome, "server_encoding") : NULL;
	bool is_same =
	    span_ieq(encoding, SPAN_LIT("sql_ascii")) && server != NULL &&
	    (strcmp(server, "UTF8") == 0 || strcmp(server, "SQL_ASCII") == 0);
	welcome_unref(welcome);
	return is_same;
}

static bool span_is_ascii(struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] >= 0x80) {
			return false;
		}
	}
	return true;
}

/* Before a LISTEN is sent */

static void listen_error(struct pool_error *error, const char *sqlstate,
			 const char *text)
{
	(void)snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
	(void)snprintf(error->message, sizeof(error->message), "%s", text);
}

static struct listen *client_listen_add(struct client *client, struct span name,
					struct pool_error *error)
{
	struct listens *listens = &client->listens;
	if (listens->n >= client->worker->config->max_client_channels) {
		listen_error(error, SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
			     "too many channels to listen to (max_client_channels)");
		return NULL;
	}
	struct channel *channel = channel_use(client->worker, client->database, name);
	struct listen *listen = NULL;
	if (channel != NULL) {
		listen = listens_add(listens, client, channel);
		channel_unuse(client->worker, channel);
	}
	if (listen == NULL) {
		listen_error(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	}
	return listen;
}

static enum listen_ready client_listen_want(struct client *client, struct span name,
					    struct pool_error *error)
{
	struct listen *listen = listens_find(&client->listens, name);
	if (listen == NULL) {
		listen = client_listen_add(client, name, error);
	}
	if (listen == NULL) {
		return LISTEN_REFUSED;
	}
	listen->is_wanted = true;
	const struct channel *channel = listen->channel;
	if (channel->refusal != NULL) {
		listen_error(error, channel->sqlstate, channel->refusal);
		listens_remove(&client->listens, listen);
		return LISTEN_REFUSED;
	}
	return channel->is_heard ? LISTEN_READY : LISTEN_WAITS;
}

SELDOM static enum listen_ready client_listen_check(struct client *client,
						    const struct plan *plan,
						    struct pool_error *error)
{
	enum listen_ready ready = LISTEN_READY;
	for (size_t i = 0; i < plan->n_parts && ready != LISTEN_REFUSED; i++) {
		enum listen_ready part =
		    client_listen_check(client, plan->parts[i], error);
		ready = part > ready ? part : ready;
	}
	if (plan->kind != PLAN_LISTEN) {
		return ready;
	}
	struct span name = span_str(plan->set_name);
	if (!span_is_ascii(name) && !client_reads_utf8(client)) {
		session_pin(&client->session, PIN_LISTEN);
		return LISTEN_READY;
	}
	return client_listen_want(client, name, error);
}

enum listen_ready client_listen_prepare(struct client *client, const struct plan *plan,
					struct pool_error *error)
{
	if (LIKELY((plan->pins & PIN_LISTEN) == 0) || client->session_mode ||
	    client->wait_error.sqlstate[0] != 0) {
		return LISTEN_READY;
	}
	enum listen_ready ready = client_listen_check(client, plan, error);
	if (ready == LISTEN_WAITS) {
		client->listen_wait = true;
		stream_pause(&client->stream);
	}
	return ready;
}

/* Prepares for a LISTEN that runs next, or fails its batch. */
static bool client_listen_may_run(struct client *client, const struct plan *plan,
				  bool *is_answered)
{
	struct pool_error error;
	*is_answered = false;
	enum listen_ready ready = client_listen_prepare(client, plan, &error);
	if (ready == LISTEN_REFUSED) {
		client_fail_batch(client, error.sqlstate, error.message);
		*is_answered = true;
	}
	return ready == LISTEN_READY;
}

bool client_listen_may_bind(struct client *client, struct plan *plan,
			    struct span portal, bool *is_answered)
{
	if (portal.n == 0) {
		return client_listen_may_run(client, plan, is_answered);
	}
	*is_answered = false;
	if (!client->session_mode &&
	    !listen_portals_bind(&client->listens.portals, portal, plan)) {
		session_pin(&client->session, PIN_LISTEN);
	}
	return true;
}

bool client_listen_may_execute(struct client *client, struct span portal,
			       struct plan **plan, bool *is_answered)
{
	*is_answered = false;
	*plan =
	    portal.n > 0 ? listen_portals_find(&client->listens.portals, portal) : NULL;
	return *plan == NULL || client_listen_may_run(client, *plan, is_answered);
}

void client_listen_go_on(struct client *client)
{
	if (client->listen_wait) {
		client->listen_wait = false;
		stream_resume(&client->stream);
	}
}

/* While it runs */

SELDOM static bool client_listen_follow(struct client *client, const struct plan *plan,
					struct span tag)
{
	struct listens *listens = &client->listens;
	struct span name =
	    plan->set_name != NULL ? span_str(plan->set_name) : span_make(NULL, 0);
	if (plan->unpins) { /* DISCARD ALL */
		return listens_change(listens, LISTEN_ACT_ALL_OFF, name);
	}
	if (plan->kind == PLAN_LISTEN) {
		return listens_change(listens, LISTEN_ACT_ON, name);
	}
	if (plan->kind == PLAN_UNLISTEN) {
		return listens_change(
		    listens, name.n > 0 ? LISTEN_ACT_OFF : LISTEN_ACT_ALL_OFF, name);
	}
	if (plan->kind == PLAN_SAVEPOINT && plan->is_rollback_to) {
		listens_rollback_to(listens, name);
	} else if (plan->kind == PLAN_SAVEPOINT && span_eq_str(tag, "RELEASE")) {
		listens_release_savepoint(listens, name);
	} else if (plan->kind == PLAN_SAVEPOINT) {
		return listens_change(listens, LISTEN_ACT_SAVEPOINT, name);
	} else if (plan->kind == PLAN_ROLLBACK) {
		listens_rollback(listens);
	}
	return true;
}

/* COMMIT says ROLLBACK when it was one.  A ROLLBACK whose statement is not known may
 * only have gone back to a savepoint: the end of the transaction tells. */
bool client_listen_done(struct client *client, struct owed *head, struct span tag)
{
	const struct plan *plan = head->query != NULL ? head->query->plan : NULL;
	if (plan != NULL && plan->kind == PLAN_MULTI) {
		plan = head->n_done < plan->n_parts ? plan->parts[head->n_done] : NULL;
		head->n_done++;
	}
	if (client->session_mode || client->listens.n == 0) {
		return true;
	}
	if (span_eq_str(tag, "COMMIT")) {
		listens_commit(&client->listens);
	} else if (plan != NULL && plan->kind == PLAN_COMMIT) {
		listens_rollback(&client->listens);
	} else if (plan != NULL && !client_listen_follow(client, plan, tag)) {
		client_close_text(client, CLIENT_CLOSE_OUT_OF_MEMORY,
				  SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
				  "too many LISTEN and SAVEPOINT in one transaction");
		return false;
	}
	return true;
}

void client_listen_end(struct client *client, bool is_committed)
{
	if (is_committed) {
		listens_commit(&client->listens);
	} else {
		listens_rollback(&client->listens);
	}
}

/* Notifications */

static void client_listen_send(struct client *client, struct note *note)
{
	stream_put_owned(&client->stream, span_make(note->bytes, note->n), note,
			 note_unref);
	metric_add(&client->worker->metrics->notifications_sent, 1);
}

void client_listen_tell(struct client *client, bool is_last)
{
	struct note *note;
	while ((note = listens_take(&client->listens, is_last)) != NULL) {
		client_listen_send(client, note);
	}
}

/* Between two messages of no transaction. */
static bool client_is_quiet(const struct client *client)
{
	const struct server *server = client->server;
	return client->session.tx_status == 'I' &&
	       dlist_is_empty(&client->listens.held) &&
	       (server == NULL ||
		(server_is_clean(server) && replies_are_empty(&client->replies)));
}

/* Whether a LISTEN that would have heard this may have been committed by now. */
static bool client_may_listen(const struct client *client, const struct listen *listen)
{
	return listen->is_wanted && client->server != NULL &&
	       (client->session.tx_status == 'I' || client->session.tx_may_end);
}

void client_listen_hear(struct listen *listen, struct note *note)
{
	struct client *client = listen->client;
	if (!client_is_open(client) ||
	    (!listen->is_on && !client_may_listen(client, listen))) {
		return;
	}
	if (!note->is_ascii && !client_reads_utf8(client)) {
		client_close(client, CLIENT_CLOSE_NOTIFICATION_ENCODING);
		return;
	}
	size_t waiting = client->listens.held_bytes + stream_blocked(&client->stream);
	if (waiting + note->n > client->worker->config->max_client_notifications) {
		client_close(client, CLIENT_CLOSE_NOTIFICATIONS);
	} else if (listen->is_on && client_is_quiet(client)) {
		client_listen_send(client, note_ref(note));
	} else if (!listens_hold(&client->listens, listen, note)) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	}
}

bool client_listen_knows(const struct client *client, struct span name)
{
	return !client->session_mode && listens_find(&client->listens, name) != NULL;
}

void client_listen_lost(struct client *client, const struct database *database)
{
	bool is_hit = false;
	dlist_each (l, tmp, &client->listens.all) {
		const struct channel *channel =
		    container_of(l, struct listen, link)->channel;
		is_hit = is_hit || database == NULL ||
			 (channel->database == database && channel->is_heard);
	}
	if (is_hit) {
		client_close(client, CLIENT_CLOSE_LISTEN_LOST);
	}
}
