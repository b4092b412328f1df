/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/client_sequences.h"

#include <stdatomic.h>

#include "base/check.h"
#include "proxy/client.h"
#include "proxy/client_send.h"
#include "sql/plan.h"
#include "upstream/pool.h"
#include "upstream/server.h"
#include "wire/writer.h"

/* Whether a Query of ours may be sent now: it ends the unnamed statement and portal,
 * and would commit a batch that is under way. */
static bool sequences_may_send(const struct client *client)
{
	const struct server *server = client->server;
	return !server->unsynced && !server->copy_in && server->tx_status != 'E' &&
	       client->session.tx_status != 'E' &&
	       server->unnamed_id != SERVER_UNNAMED_LARGE;
}

bool client_forget_sequences(struct client *client, const struct plan *plan)
{
	struct server *server = client->server;
	struct pool_shared *shared = client->pool->shared;
	bool asks = atomic_load_explicit(&shared->asks_sequences, memory_order_relaxed);
	if (UNLIKELY(plan != NULL && plan->asks_sequence && !asks)) {
		atomic_store(&shared->asks_sequences, true);
		asks = true;
	}
	asks = asks || (plan != NULL && (plan->suspect || plan->executes));
	if (LIKELY(!asks || server->sequences_of == 0 ||
		   server->sequences_of == client->id ||
		   client->session.uses_sequences || !sequences_may_send(client))) {
		return true;
	}
	if (!client_owe(client, 'Q', OWED_SWALLOW | OWED_OURS | OWED_SEQUENCES, NULL,
			NULL)) {
		return false;
	}
	stream_put_static(&server->stream, SPAN_LIT("Q\0\0\0\26DISCARD SEQUENCES\0"));
	server->sequences_of = 0;
	return true;
}

void client_leave_sequences(struct client *client)
{
	struct server *server = client->server;
	if (client->session.uses_sequences) {
		server->sequences_of =
		    server->sequences_of == 0 || server->sequences_of == client->id
			? client->id
			: SERVER_SEQUENCES_MANY;
		client->session.uses_sequences = false;
	}
}
