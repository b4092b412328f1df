/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/query.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "cache/entry.h"
#include "net/loop.h"
#include "proxy/client.h"
#include "proxy/database.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "sql/canon.h"
#include "sql/catalog.h"
#include "sql/planner.h"
#include "upstream/server.h"
#include "upstream/statement.h"
#include "wire/messages.h"

#define KEY_SIMPLE    'Q' /* key kinds, see cache/key.h */
#define KEY_SHAPE     'q' /* simple, by shape and constants: the text has comments */
#define KEY_EXTENDED  'E'
#define KEY_DESCRIBED 'D'

#define SLOW_TEXT_MAX 8192 /* bytes of a statement that the slow log keeps */

static struct metrics_db *query_metrics(struct worker *worker, uint16_t db_index)
{
	return metrics_database(worker->metrics, db_index);
}

/* Planning */

static void query_plan_text(struct client *client, struct span text,
			    struct planned *out)
{
	struct worker *worker = client->worker;
	struct context *context = client->session.context;
	struct catalog *catalog = database_catalog(client->database);
	struct planner_session session = {
		/* an unknown path: nothing can be resolved */
		.catalog = context->search_path.p == NULL ? NULL : catalog,
		.path_id = context->path_id,
		.user = context->current_user,
		.search_path = context->search_path,
	};
	planner_plan(worker->planner, text, &session, out);
	catalog_unref(catalog);
}

/* A prepared statement keeps the plan last made for it. */
static void query_plan_statement(struct client *client, struct statement *s)
{
	struct worker *worker = client->worker;
	uint32_t version = database_catalog_version(client->database);
	if (s->plan != NULL && s->plan_path_id == client->session.context->path_id &&
	    s->plan_catalog == version && s->plan_epoch == worker->config_epoch) {
		return;
	}
	struct planned planned;
	query_plan_text(client, statement_text(s), &planned);
	plan_unref(s->plan);
	s->plan = plan_ref(planned.plan);
	s->plan_path_id = client->session.context->path_id;
	s->plan_catalog = version;
	s->plan_epoch = worker->config_epoch;
	free(steal(&s->consts));
	s->n_consts = 0;
	if (planned.n_consts > 0) {
		s->consts = malloc(planned.n_consts * sizeof(*s->consts));
		if (s->consts != NULL) {
			/* the spans point into the statement's own text */
			memcpy(s->consts, planned.consts,
			       planned.n_consts * sizeof(*s->consts));
			s->n_consts = (uint32_t)planned.n_consts;
		}
	}
}

void query_plan(struct client *client, struct request *request)
{
	if (request->statement != NULL) {
		query_plan_statement(client, request->statement);
		request->plan = request->statement->plan;
		request->consts = request->statement->consts;
		request->n_consts = request->statement->n_consts;
		return;
	}
	struct planned planned;
	query_plan_text(client, request->text, &planned);
	request->plan = planned.plan;
	request->consts = planned.consts;
	request->n_consts = planned.n_consts;
	request->shape = planned.shape;
}

struct operands query_operands(const struct request *request)
{
	struct operands from = {
		.consts = request->consts,
		.n_consts = request->n_consts,
		.bind = request->bind,
	};
	if (request->statement != NULL) {
		struct span types = statement_types(request->statement);
		from.types = types.n >= 2 ? span_skip(types, 2) : types;
	}
	return from;
}

/* Looking up */

/* The key of the exact request.  A text with comments goes by its shape and constants,
 * so that a trace id in a comment does not make it another query; the hint that may be
 * in it is part of the plan. */
static bool query_key(struct client *client, struct request *request)
{
	struct key *key = &client->worker->key;
	uint64_t context_id = client->session.context->cache->id;
	/* the server: a reload may send the same name to another one */
	uint64_t db_tag = database_tag(client->database);
	if (request->statement != NULL) {
		struct statement *s = request->statement;
		key_begin(key, context_id,
			  request->described ? KEY_DESCRIBED : KEY_EXTENDED,
			  statement_text(s));
		key_add(key, span_make(&db_tag, sizeof(db_tag)));
		key_add(key, statement_types(s));
		key_add(key, request->bind->rest);
		return key_finish(key);
	}
	if (!planner_has_comment(request->text)) {
		key_begin(key, context_id, KEY_SIMPLE, request->text);
		key_add(key, span_make(&db_tag, sizeof(db_tag)));
		return key_finish(key);
	}
	if (request->plan == NULL) {
		query_plan(client, request);
	}
	key_begin(key, context_id, KEY_SHAPE, request->shape);
	key_add(key, span_make(&db_tag, sizeof(db_tag)));
	for (size_t i = 0; i < request->n_consts; i++) {
		key_add(key, request->consts[i].raw);
	}
	return key_finish(key);
}

/* A constant or a text parameter that means the current time makes the answer one of
 * now. */
static bool query_may_be_now(const struct request *request)
{
	for (size_t i = 0; i < request->n_consts; i++) {
		if (canon_may_be_now(request->consts[i].raw)) {
			return true;
		}
	}
	if (request->bind == NULL) {
		return false;
	}
	struct reader values = reader_make(request->bind->values);
	for (size_t i = 0; i < request->bind->n_values; i++) {
		struct span value = message_bind_value(&values);
		if (value.p != NULL && message_bind_format(request->bind, i) == 0 &&
		    canon_may_be_now(value)) {
			return true;
		}
	}
	return false;
}

static enum bypass_reason query_plan_bypass(const struct request *request)
{
	const struct plan *plan = request->plan;
	if (plan->bypass != BYPASS_NONE) {
		return (enum bypass_reason)plan->bypass;
	}
	if (plan->ttl_s == 0) {
		return BYPASS_NO_RULE;
	}
	if (request->max_rows != 0) {
		return BYPASS_ROW_LIMIT;
	}
	if (plan->needs_now_check && query_may_be_now(request)) {
		return BYPASS_CURRENT_TIME;
	}
	return BYPASS_NONE;
}

/*
 * The hit path.  Why a hit is right: the key holds everything that the answer depends
 * on but the rows, so an equal key asks the same question in the same words through the
 * same settings; the version words of the entry hold the rows (cache/versions.h); and
 * the session would see committed rows only (session_bypass()).  Nothing that is stored
 * under a key could have been stored if its plan did not allow it, and DDL, which may
 * change the plan, moves the database's word, on which every entry depends.  So a hit
 * needs no plan.
 */
struct entry *query_lookup(struct client *client, struct request *request,
			   enum bypass_reason *reason)
{
	struct worker *worker = client->worker;
	*reason = worker->config->cache_enabled && !client->cache_off
		      ? session_bypass(&client->session)
		      : BYPASS_DISABLED;
	if (*reason == BYPASS_NONE && client->target != client->pool->target) {
		/* its defaults, and perhaps its user, are those of connections that are
		 * being replaced: first it gets another one */
		*reason = BYPASS_SESSION_STATE;
	}
	if (*reason == BYPASS_NONE && client->server != NULL &&
	    client->server->owed.n > 0 &&
	    (client->session.tx_begun || client->session.tx_status != 'I')) {
		/* something before it may yet fail, and this with it */
		*reason = BYPASS_IN_TRANSACTION;
	}
	if (*reason != BYPASS_NONE) {
		return NULL;
	}
	if (request->statement != NULL &&
	    request->statement->parse_id != session_parse_id(&client->session)) {
		*reason =
		    BYPASS_SESSION_STATE; /* session mode: prepared before a SET */
		return NULL;
	}
	if (request->max_rows != 0) {
		*reason = BYPASS_ROW_LIMIT;
		return NULL;
	}
	if (!query_key(client, request)) {
		*reason = BYPASS_TOO_LARGE;
		return NULL;
	}
	if (request->plan != NULL && query_plan_bypass(request) != BYPASS_NONE) {
		*reason = query_plan_bypass(request); /* a hint, perhaps */
		return NULL;
	}
	struct entry *entry =
	    store_get(worker->store, &worker->key, loop_event_ns(worker->loop));
	if (entry != NULL) {
		return entry;
	}
	if (request->plan == NULL) {
		query_plan(client, request);
	}
	*reason = query_plan_bypass(request);
	return NULL;
}

/* Filling */

struct query_tags {
	struct version_notes *notes;
	bool overflow;
	bool may_store;
};

static void query_add_tag(struct query_tags *tags, uint64_t tag)
{
	if (tags->notes->n == VERSIONS_MAX_WORDS) {
		tags->overflow = true;
		return;
	}
	tags->notes->at[tags->notes->n++].tag = tag;
}

/* The tags of one relation reference: the star of its key column and the values, or,
 * when a value has no canonical form, the whole relation. */
static void query_add_read(struct client *client, const struct plan_read *read,
			   const struct operands *from, struct query_tags *tags)
{
	struct worker *worker = client->worker;
	uint64_t db_tag = database_tag(client->database);
	uint64_t hash[UINT8_MAX];
	bool is_null[UINT8_MAX];
	bool keyed = read->attnum > 0 && read->n_ops > 0;
	for (size_t i = 0; i < read->n_ops && keyed; i++) {
		keyed = operand_hash(&read->ops[i], read->canon, from, &hash[i],
				     &is_null[i]);
	}
	if (!keyed) {
		query_add_tag(tags, versions_tag_any(db_tag, read->rel));
		return;
	}
	/* registered before the words are noted: see the race in cache/versions.h */
	if (!key_columns_use(worker->key_columns, worker->versions, db_tag, read->rel,
			     read->attnum)) {
		tags->may_store = false;
	}
	query_add_tag(tags, versions_tag_col_all(db_tag, read->rel, read->attnum));
	for (size_t i = 0; i < read->n_ops; i++) {
		if (!is_null[i]) {
			query_add_tag(tags, versions_tag_col(db_tag, read->rel,
							     read->attnum, hash[i]));
		}
	}
}

bool query_prepare_fill(struct client *client, const struct request *request,
			struct store_fill *fill)
{
	const struct plan *plan = request->plan;
	*fill = (struct store_fill){
		.hash = client->worker->key.hash,
		.ttl_s =
		    plan->hint_ttl_s >= 0 ? (uint32_t)plan->hint_ttl_s : plan->ttl_s,
		.max_size = plan->max_size,
		.rule = plan->rule,
		.klass = plan->klass,
	};
	struct query_tags tags = { .notes = &fill->notes, .may_store = true };
	struct operands from = query_operands(request);
	query_add_tag(&tags, versions_tag_db(database_tag(client->database)));
	for (size_t i = 0; i < plan->n_reads; i++) {
		query_add_read(client, &plan->reads[i], &from, &tags);
	}
	/* The words are noted before the query is sent, so that a write which commits
	 * while it runs makes the fill useless, and one which was committing already
	 * forbids it. */
	bool idle = versions_note(client->worker->versions, &fill->notes);
	/* A plan from before a catalogue was published could note the database's word
	 * after DDL has let it go, with the tags of the old catalogue.  The version is
	 * published before the word is let go, so comparing it after the note closes
	 * that. */
	fill->may_store =
	    idle && tags.may_store && !tags.overflow &&
	    database_is_placed(client->database) &&
	    plan->catalog_version == database_catalog_version(client->database);
	return fill->may_store;
}

/* Query objects */

/* `$1 = 'x', $2 = NULL`, as PostgreSQL logs them; binary values as \x and hex. */
static void query_write_parameters(const struct request *request, struct buf *out)
{
	struct reader values = reader_make(request->bind->values);
	for (size_t i = 0; i < request->bind->n_values; i++) {
		struct span value = message_bind_value(&values);
		buf_printf(out, "%s$%zu = ", i ? ", " : "", i + 1);
		if (value.p == NULL) {
			buf_append_str(out, "NULL");
			continue;
		}
		bool binary = message_bind_format(request->bind, i) == 1;
		buf_append_str(out, binary ? "'\\x" : "'");
		for (size_t k = 0; k < value.n && buf_ok(out); k++) {
			if (binary) {
				buf_printf(out, "%02x", value.p[k]);
			} else if (value.p[k] == '\'') {
				buf_append_str(out, "''");
			} else {
				buf_append_u8(out, value.p[k]);
			}
		}
		buf_append_str(out, "'");
	}
}

/* For the slow log: the statement as it was sent, and with log parameters what was
 * bound. */
static void query_keep_text(struct client *client, struct query *query,
			    const struct request *request)
{
	if (client->worker->config->slow_query_threshold_ms == 0) {
		return;
	}
	if (request->statement == NULL) {
		size_t n =
		    request->text.n < SLOW_TEXT_MAX ? request->text.n : SLOW_TEXT_MAX;
		query->text = n > 0 ? strndup((const char *)request->text.p, n) : NULL;
		return;
	}
	query->statement = statement_ref(request->statement);
	if (request->bind == NULL || !client->worker->config->log_parameters) {
		return;
	}
	struct buf text;
	buf_init(&text, SLOW_TEXT_MAX);
	query_write_parameters(request, &text);
	if (text.len > 0) {
		query->parameters = strndup((const char *)text.data, text.len);
	}
	buf_fini(&text);
}

struct query *query_new(struct client *client, const struct request *request,
			uint8_t route)
{
	/* malloc() has a cache of its own for each thread, calloc() does not use it */
	struct query *query = malloc(sizeof(*query));
	if (query == NULL) {
		return NULL;
	}
	*query = (struct query){ 0 };
	query->plan = request->plan ? plan_ref(request->plan) : NULL;
	query->start_ns = query->sent_ns = loop_event_ns(client->worker->loop);
	query->db_index = client->pool->shared->db_index;
	query->route = route;
	query_keep_text(client, query, request);
	return query;
}

/* The words were noted before this: see proxy/database_conf.c for the order. */
static bool query_may_capture(const struct client *client,
			      const struct store_fill *fill)
{
	const struct server *server = client->server;
	return fill->may_store && !server->suspect && !server_is_outdated(server) &&
	       server->target == client->pool->target;
}

/* Attaches a capture with FILL and the worker's key to QUERY. */
static void query_capture(struct client *client, struct query *query,
			  const struct store_fill *fill)
{
	struct worker *worker = client->worker;
	struct capture *capture = calloc(1, sizeof(*capture));
	if (capture == NULL) {
		return;
	}
	capture->fill = *fill;
	capture->context = context_ref(client->session.context->cache);
	uint64_t max =
	    fill->max_size ? fill->max_size : worker->config->max_result_size;
	buf_init(&capture->key, worker->key.bytes.len);
	buf_append_span(&capture->key, buf_span(&worker->key.bytes));
	buf_init(&capture->value, max);
	capture->bad = !buf_ok(&capture->key);
	query->capture = capture;
}

struct query *query_begin(struct client *client, const struct request *request,
			  const struct store_fill *fill, uint8_t route)
{
	struct query *query = query_new(client, request, route);
	if (query == NULL) {
		client_close(client, CLIENT_CLOSE_OUT_OF_MEMORY);
	} else if (query_may_capture(client, fill)) {
		query_capture(client, query, fill);
	}
	return query;
}

static void capture_free(struct capture *capture)
{
	if (capture != NULL) {
		buf_fini(&capture->key);
		buf_fini(&capture->value);
		context_unref(capture->context);
		free(capture);
	}
}

void query_free(struct query *query)
{
	if (query != NULL) {
		capture_free(query->capture);
		plan_unref(query->plan);
		free(query->text);
		free(query->parameters);
		statement_unref(query->statement);
		free(query);
	}
}

static void query_store(struct worker *worker, struct query *query, uint64_t took_ns)
{
	struct capture *capture = query->capture;
	if (query->sqlstate[0] != 0) {
		metric_add(
		    &worker->metrics->cache_fill_failures[METRIC_CACHE_L1]
							 [METRIC_FILL_SERVER_ERROR],
		    1);
		return;
	}
	if (capture->bad) {
		unsigned why = buf_ok(&capture->value) ? METRIC_FILL_NOTICE
						       : METRIC_FILL_TOO_LARGE;
		metric_add(&worker->metrics->cache_fill_failures[METRIC_CACHE_L1][why],
			   1);
		return;
	}
	capture->fill.server_ns = took_ns;
	store_put(worker->store, buf_span(&capture->key),
		  span_make(capture->context->text, capture->context->text_len),
		  &capture->fill, buf_span(&capture->value));
}

static void query_log_slow(struct worker *worker, const struct query *query,
			   uint64_t took_ns)
{
	uint64_t limit_ms = worker->config->slow_query_threshold_ms;
	if (limit_ms == 0 || took_ns < limit_ms * 1000000U) {
		return;
	}
	metric_add(&query_metrics(worker, query->db_index)->slow_queries, 1);
	struct span text = span_str(query->text ? query->text : "");
	if (query->statement != NULL) {
		text = statement_text(query->statement);
	}
	const char *parameters = query->parameters ? query->parameters : "";
	log_slow_query(NULL, took_ns / 1000U, text, span_str(parameters));
}

void query_note_reload(struct worker *worker, const struct query *query)
{
	/* in the middle of a statement that fails it has been done all the same, but
	 * not by who may not do it */
	if (query->plan != NULL && query->plan->reloads &&
	    strcmp(query->sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE) != 0) {
		databases_reloading(worker->proxy->databases);
	}
}

void query_finish(struct worker *worker, struct query *query)
{
	query_note_reload(worker, query);
	uint64_t now = loop_event_ns(worker->loop);
	uint64_t took = now - query->start_ns;
	struct metrics_db *m = query_metrics(worker, query->db_index);
	metric_add(&m->queries[query->route], 1);
	histogram_observe(&m->query_duration[query->route], took);
	histogram_observe(&m->query_server, now - query->sent_ns);
	if (query->sqlstate[0] != 0) {
		metric_add(&m->query_errors[metrics_sqlstate(query->sqlstate)], 1);
	}
	if (query->capture != NULL) {
		query_store(worker, query, now - query->sent_ns);
	}
	query_log_slow(worker, query, took);
	query_free(query);
}

void query_served(struct worker *worker, struct client *client,
		  const struct entry *entry, uint64_t start_ns, uint8_t route)
{
	struct metrics_db *m = query_metrics(worker, client->pool->shared->db_index);
	uint64_t now = clock_now_ns();
	metric_add(&m->queries[route], 1);
	histogram_observe(&m->query_duration[route], now - start_ns);
	if (entry->rule >= 0 && (size_t)entry->rule < worker->config->n_rules) {
		struct metrics_rule *rule = metrics_rule(
		    worker->metrics, worker->config->rules[entry->rule].index);
		metric_add(&rule->rule_hits, 1);
	}
	if (entry->klass == PLAN_CLASS_VECTOR) {
		metric_add(&worker->metrics->vector_hits[METRIC_MATCH_EXACT], 1);
	}
}
