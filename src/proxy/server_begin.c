/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/server_begin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/sqlstate.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "proxy/server_reset.h"
#include "proxy/worker.h"
#include "server_steps_priv.h"
#include "upstream/context.h"
#include "upstream/pool.h"
#include "upstream/server.h"
#include "upstream/welcome.h"
#include "wire/reader.h"

/* What the base of a context says of connect_query, beside the server's settings: its
 * text, hashed, because what it does may decide answers (a setting that the probe does
 * not ask for). */
#define BEGIN_CONNECT_QUERY "pgrecall.connect_query"

/* The settings of a new session that answers or name resolution depend on: the base of
 * every context of this pool.  hnsw and ivfflat are pgvector's.  The process id tells
 * whether the one of the login is true: another pooler's is not.  A temporary schema is
 * there when connect_query has made something in it. */
static const char probe_sql[] =
    "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_my_temp_schema(), "
    "pg_catalog.string_agg(n || '=' || coalesce("
    "pg_catalog.current_setting(n, true), ''), E'\\n') FROM pg_catalog.unnest(ARRAY["
    "'search_path','TimeZone','DateStyle','IntervalStyle','extra_float_digits',"
    "'bytea_output','client_encoding','lc_messages','lc_monetary','lc_numeric','lc_"
    "time',"
    "'row_security','default_transaction_isolation','default_transaction_read_only',"
    "'default_text_search_config','standard_conforming_strings','xmlbinary','xmloption'"
    ","
    "'transform_null_equals','array_nulls','quote_all_identifiers','role',"
    "'session_authorization','hnsw.ef_search','hnsw.iterative_scan','ivfflat.probes']) "
    "AS n";

/* What the connection's line of [databases] says, when it is new; NULL: nothing. */
static const struct config_database *begin_line(const struct server *server)
{
	const struct pool *pool = server->pool;
	const struct config_database *line = config_find_database(
	    pool->upstream->config, span_str(pool->shared->database));
	bool has_query = line != NULL && line->connect_query != NULL;
	return has_query && !server->proven ? line : NULL;
}

/* Both go in one packet: whatever connect_query does, the probe comes behind it.  When
 * it waits for COPY data the probe's message makes it fail. */
void server_begin(struct server *server)
{
	const struct config_database *line = begin_line(server);
	server_move(server, SERVER_RESET);
	server->reset_since_ns = clock_now_ns();
	if (line == NULL ||
	    server_send_sql(server, span_str(line->connect_query), OWED_CONNECT)) {
		(void)server_send_sql(server, SPAN_LIT(probe_sql), OWED_PROBE);
	}
}

/* connect_query */

/* Whoever waits is told, now or when waiting has not helped. */
static void begin_unfit(struct server *server, const char *sqlstate, const char *text)
{
	struct pool *pool = server->pool;
	pool_unfit(pool, sqlstate, text);
	server_close(server, SERVER_CLOSE_CONNECT_QUERY);
	pool_look(pool);
}

void server_connect_query_failed(struct server *server, const struct frame *frame)
{
	char sqlstate[SQLSTATE_SIZE];
	char text[256];
	server_read_error(frame, "connect_query failed", sqlstate, text, sizeof(text));
	begin_unfit(server,
		    strlen(sqlstate) == SQLSTATE_LEN ? sqlstate
						     : SQLSTATE_INTERNAL_ERROR,
		    text);
}

bool server_connect_query_done(struct server *server, char status)
{
	if (status == 'I') {
		return true;
	}
	begin_unfit(server, SQLSTATE_ACTIVE_TRANSACTION,
		    "connect_query left a transaction open");
	return false;
}

bool server_has_connect_query(const struct context *context)
{
	struct span hash;
	return context != NULL &&
	       context_effective(context, BEGIN_CONNECT_QUERY, &hash);
}

void server_begin_reported(struct server *server, struct span name, struct span value)
{
	if (server->welcome == NULL) {
		return;
	}
	struct welcome *fresh = welcome_with(server->welcome, name, value);
	if (fresh != NULL) {
		welcome_unref(server->welcome);
		server->welcome = fresh;
	}
}

/* The probe */

/* NULL makes the reader fail. */
static struct span probe_value(struct reader *r)
{
	return reader_bytes(r, (size_t)reader_i32(r));
}

static struct context *probe_context(const struct server *server, struct span settings)
{
	const struct pool_shared *shared = server->pool->shared;
	const struct config_database *line = begin_line(server);
	struct buf base;
	buf_init(&base, CONTEXT_MAX_TEXT);
	buf_append_span(&base, settings);
	if (line != NULL) {
		buf_printf(
		    &base, "\n" BEGIN_CONNECT_QUERY "=%016" PRIx64,
		    XXH3_64bits(line->connect_query, strlen(line->connect_query)));
	} else if (server_has_connect_query(server->context)) {
		struct span hash;
		(void)context_effective(server->context, BEGIN_CONNECT_QUERY, &hash);
		buf_append_str(&base, "\n" BEGIN_CONNECT_QUERY "=");
		buf_append_span(&base, hash);
	}
	struct context *context =
	    buf_ok(&base) ? context_base(span_str(shared->database),
					 span_str(shared->user), buf_span(&base))
			  : NULL;
	buf_fini(&base);
	return context;
}

void server_probe_row(struct server *server, struct span body)
{
	struct reader r = reader_make(body);
	/* one that a client has changed tells that it works; what it says of settings
	 * is not what new connections begin with */
	bool is_changed = server->context != NULL && server->context->n > 0;
	if (reader_u16(&r) != 3 || is_changed) {
		return;
	}
	struct span pid = probe_value(&r);
	struct span temp = probe_value(&r);
	struct span settings = probe_value(&r);
	if (!reader_at_end(&r) || memchr(settings.p, 0, settings.n) != NULL) {
		return;
	}
	char told[16];
	snprintf(told, sizeof(told), "%u", server->pid);
	server->pid_is_true = span_eq_str(pid, told);
	const struct config_database *line = begin_line(server);
	server->begins_temp = line != NULL && line->cache && !span_eq_str(temp, "0");
	context_assign(&server->context, probe_context(server, settings));
}

void server_probe_done(struct server *server, bool failed)
{
	if (failed || server->context == NULL) {
		server_close(server, SERVER_CLOSE_RESET_FAILED);
		return;
	}
	if (server->begins_temp) {
		/* names would mean other relations than those of the catalogue */
		begin_unfit(
		    server, SQLSTATE_FEATURE_NOT_SUPPORTED,
		    "connect_query makes temporary objects: set cache = off for "
		    "the database");
		return;
	}
	struct pool_shared *shared = server->pool->shared;
	if (atomic_exchange(&shared->has_lost, false)) {
		/* perhaps it has come back without its last rows: before anybody gets
		 * this connection, and acts on what it says */
		struct worker *worker = server->pool->upstream->owner;
		databases_lost(worker->proxy->databases, span_str(shared->database));
	}
	if (server->context->n == 0) {
		pool_learn(server->pool, server->target, server->context,
			   &server->welcome);
	}
}
