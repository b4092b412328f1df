/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <string.h>

#include "base/config.h"
#include "base/metrics.h"
#include "proxy/added.h"
#include "proxy/cancel.h"
#include "proxy/client.h"
#include "proxy/client_listen.h"
#include "proxy/client_pins.h"
#include "proxy/client_shows.h"
#include "proxy/client_steps.h"
#include "proxy/query.h"
#include "proxy/server_again.h"
#include "proxy/server_begin.h"
#include "proxy/server_commit.h"
#include "proxy/server_reset.h"
#include "proxy/server_skip.h"
#include "proxy/server_steps.h"
#include "proxy/session_restore.h"
#include "proxy/worker.h"
#include "proxy/writes.h"
#include "server_steps_priv.h"
#include "upstream/context.h"
#include "upstream/server.h"
#include "wire/frame.h"
#include "wire/messages.h"

/* ReadyForQuery */

/* One has ended, also in the middle of a pipeline (T-100); its last item has just been
 * answered, so query_sent_ns is now. */
static void server_count_transaction(struct server *server, bool rolled_back)
{
	struct client *client = server->client;
	struct metrics_db *m = metrics_database(server_worker(server)->metrics,
						server->pool->shared->db_index);
	unsigned outcome =
	    rolled_back ? METRIC_OUTCOME_ROLLBACK : METRIC_OUTCOME_COMMIT;
	metric_add(&m->transactions[outcome], 1);
	histogram_observe(&m->transaction_duration,
			  server->query_sent_ns - client->tx_since_ns);
	client->tx_since_ns = server->query_sent_ns;
}

/* LISTEN and UNLISTEN of the transaction take effect, and what was heard meanwhile goes
 * in front of the ReadyForQuery, where PostgreSQL puts it. */
static void server_end_listens(struct walk *walk, const struct owed *head, bool ok)
{
	struct client *client = walk->server->client;
	client_listen_end(client, ok);
	if (!(head->flags & OWED_SWALLOW) && !dlist_is_empty(&client->listens.held)) {
		walk_flush(walk);
		client_listen_tell(client, walk->server->owed.n == 1);
	}
}

/* What came before the first SET or RESET of a pipeline tells nothing about it. */
static void client_note_group(struct client *client, bool rolled_back)
{
	struct session *session = &client->session;
	if (session->pending == NULL ||
	    client->server->owed.n_popped <= client->settings_at) {
		session->pins_failed |= rolled_back;
		return;
	}
	if (rolled_back && owed_unsettle(&client->server->owed)) {
		session_distrust(session); /* what they commit is not known */
	}
	client->groups_failed = client->groups_failed || rolled_back;
	client->groups_ok = client->groups_ok || !rolled_back;
}

/* ReadyForQuery may come for HEAD.  One that nobody asked for must not pass as the
 * whole answer of what was sent last: the connection would go to another client, who
 * would be told the rest. */
static bool server_may_be_ready(const struct owed *head)
{
	if (head == NULL || !owed_ends_group(head)) {
		return false;
	}
	if (head->flags & OWED_SETTINGS) {
		return head->is_set;
	}
	return head->kind == 'S' || head->failed || head->is_done;
}

enum verdict server_on_ready(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	uint8_t status;
	if (!server_may_be_ready(head) ||
	    message_read_ready(frame->body, &status) != 0) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	bool rolled_back = head->failed || server->rolled_back;
	if (!server_commit_decide(server, head, !rolled_back)) {
		return HOLD;
	}
	if (status == 'I' && server->client != NULL) {
		server_end_listens(walk, head, !rolled_back);
	}
	uint8_t flags = head->flags;
	bool failed = head->failed;
	server->rolled_back = false;
	server->tx_status = (char)status;
	server->copy_in = false;
	server_item_done(walk);
	if (server->owed.n == 0) { /* a Query behind a batch has ended it */
		server->unsynced = false;
		server_again_end(server);
	}
	server_send_replies(walk, flags & OWED_SWALLOW ? 0 : frame->size);
	if (failed && (server->reset_sent || server->unlistening)) {
		server_close(server, SERVER_CLOSE_RESET_FAILED);
		return CLOSED;
	}
	struct client *client = server->client;
	if (client != NULL && !dlist_is_empty(&client->late_cancels)) {
		cancel_settled(client);
	}
	if (flags & OWED_CONNECT) {
		return server_connect_query_done(server, (char)status) ? SWALLOW
								       : CLOSED;
	}
	if (flags & OWED_PROBE) {
		server_probe_done(server, failed);
		return server->state == SERVER_CLOSING ? CLOSED : SWALLOW;
	}
	if (client != NULL) {
		bool is_last = server->owed.n == 0;
		client->pins_answered = (flags & OWED_PINS) && is_last;
		client->settings_answered = (flags & OWED_SETTINGS) && is_last;
		client->shows_answered = (flags & OWED_SHOWS) && is_last;
		client->settings_synced = false;
		if (flags & OWED_SHOWS) {
			client_shows_answered(client);
		}
	}
	if (client == NULL || (flags & OWED_SWALLOW)) {
		return flags & OWED_SWALLOW ? SWALLOW : PASS;
	}
	if (status == 'I') { /* a transaction has ended */
		server_count_transaction(server, rolled_back);
		client_note_group(client, rolled_back);
	}
	return PASS;
}

void server_after_ready(struct server *server)
{
	struct client *client = server->client;
	if (client == NULL) {
		if (server->state == SERVER_RESET) {
			server_reset(server);
		}
		return;
	}
	if (server->owed.n > 0) {
		return;
	}
	if ((client->settings_answered || client->shows_answered) && client->blocked) {
		/* its message waits for that alone: it comes again, on this connection
		 */
		client_unblock(client);
		return;
	}
	if (client->pins_answered) {
		client->pins_answered = false;
		client_pins_answered(client);
		client_after_transaction(client);
		return;
	}
	struct context *fresh = session_ready(&client->session, server->tx_status,
					      client->groups_ok, client->groups_failed);
	if (server->tx_status == 'I') {
		client->groups_ok = client->groups_failed = false;
	}
	if (fresh != NULL) {
		context_assign(&server->context, fresh);
	}
	client_count_pins(client);
	if (server->tx_status == 'I' && client_ask_pins(client)) {
		return;
	}
	client_after_transaction(client);
}

/* CommandComplete */

/* A simple statement that commits says CommandComplete and ReadyForQuery in one breath:
 * the former is kept until the latter is here, because it tells of the commit. */
static bool server_ready_is_near(const struct walk *walk, const struct frame *frame)
{
	struct span left = span_skip(walk->in, walk->at + frame->size);
	struct frame next;
	while (frame_next(left, SERVER_MAX_LEN, &next) == FRAME_OK && next.complete) {
		if (next.type != 'N' && next.type != 'S' && next.type != 'A') {
			return true; /* Z, or another statement of the same text */
		}
		left = span_skip(left, next.size);
	}
	return left.n > 4 && left.p[0] != 'Z' && left.p[0] != 'N' && left.p[0] != 'S' &&
	       left.p[0] != 'A';
}

static bool server_ready_follows(const struct walk *walk, const struct frame *frame)
{
	struct span left = span_skip(walk->in, walk->at + frame->size);
	struct frame next;
	while (frame_next(left, SERVER_MAX_LEN, &next) == FRAME_OK && next.complete) {
		if (next.type == 'Z') {
			return true;
		}
		if (next.type != 'N' && next.type != 'S' && next.type != 'A') {
			return false;
		}
		left = span_skip(left, next.size);
	}
	return false;
}

/* What ends a transaction in the middle of a batch, whatever becomes of the rest: also
 * DISCARD ALL, and the settings that were put back behind it. */
static void server_executed(struct server *server, const struct owed *head)
{
	struct client *client = server->client;
	const struct plan *plan = head->query != NULL ? head->query->plan : NULL;
	if (client == NULL) {
		return;
	}
	struct session *session = &client->session;
	if (head->restores) {
		context_assign(&server->context, context_ref(session->context));
	} else if (head->settled != NULL && server->rolled_back) {
		session_rolled_back(session, head->settled->n_sets);
		(void)owed_unsettle(&server->owed);
	} else if (head->settled != NULL) {
		session_adopt(session, context_ref(head->settled->client));
		context_assign(&server->context, context_ref(head->settled->server));
	} else if (plan != NULL && plan->kind == PLAN_SET &&
		   plan->set_kind == SET_DISCARD_ALL) {
		session_discarded(session, &server->context);
	}
}

enum verdict server_on_complete(struct walk *walk, const struct frame *frame)
{
	struct server *server = walk->server;
	struct owed *head = owed_head(&server->owed);
	if (head == NULL) {
		server_close(server, SERVER_CLOSE_PROTOCOL);
		return CLOSED;
	}
	bool swallow = head->flags & OWED_SWALLOW;
	if (head->flags & OWED_SETTINGS) {
		head->is_set |= span_eq(frame->body, SPAN_LIT("COMMIT\0"));
		return SWALLOW;
	}
	if (head->added != NULL && head->added->left > 0) {
		added_answered(head->added, head->n_done);
		return SWALLOW;
	}
	head->is_done = true;
	if (frame->type == 'C') {
		server->rolled_back =
		    frame->body.n >= 8 && memcmp(frame->body.p, "ROLLBACK", 8) == 0;
	}
	if (head->kind == 'Q' && head->commit != NULL) {
		if (!server_ready_is_near(walk, frame)) {
			return HOLD;
		}
		if (server_ready_follows(walk, frame) &&
		    !server_commit_decide(server, head,
					  !(head->failed || server->rolled_back))) {
			return HOLD;
		}
	}
	if (head->query != NULL && head->query->capture != NULL) {
		if (frame->type == 'C') {
			capture_add(head->query->capture, frame_bytes(frame));
		} else {
			head->query->capture->bad = true;
		}
	}
	bool is_execute = head->kind == 'E';
	if (is_execute && !server_commit_decide(server, head, !server->rolled_back)) {
		return HOLD;
	}
	struct span tag;
	bool is_tagged = message_read_command_complete(frame->body, &tag) == 0;
	if (is_tagged &&
	    (span_eq_str(tag, "DEALLOCATE ALL") || span_eq_str(tag, "DISCARD ALL"))) {
		server_forgets_statements(server, head);
	}
	if (!swallow && server->client != NULL && is_tagged &&
	    !client_listen_done(server->client, head, tag) &&
	    server->state == SERVER_CLOSING) {
		return CLOSED;
	}
	if (head->added != NULL) {
		added_answered(head->added, head->n_done);
	}
	if (is_execute) {
		server_executed(server, head);
		server_item_done(walk);
		server_send_replies(walk, swallow ? 0 : frame->size);
	}
	return swallow ? SWALLOW : PASS;
}
