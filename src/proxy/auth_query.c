/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/*
 *   source: where to ask, by the configuration
 *     │ in the cache? ───────────────────────────────────> AUTH_KNOWN
 *     v
 *   flight: one question for one user <── those who wait
 *     │ waits until the connection takes it
 *     v
 *   line: one connection (upstream/asker.h), to a database as auth_user
 *     │ row, done
 *     v
 *   answer ──> cache, those who wait
 */

#include "proxy/auth_query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "proxy/auth_cache.h"
#include "proxy/auth_source.h"
#include "proxy/proxy.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "upstream/asker.h"
#include "wire/userlist.h"

#define AUTH_TIMEOUT_MS	 10000 /* of one question */
#define AUTH_MAX_LINES	 32    /* connections of a worker */
#define AUTH_MAX_FLIGHTS 1000  /* questions of a worker */
#define AUTH_MAX_SENT	 32    /* questions of a connection that its asker has */
#define AUTH_IDLE_NS	 UINT64_C(30000000000)

struct auth_line {
	struct dlist link; /* in queries->lines, used last at the tail */
	struct auth_queries *queries;
	struct connect_options options; /* copied */
	struct asker *asker;
	struct dlist flights; /* all questions */
	size_t n_flights;
	size_t n_sent;
	uint64_t used_ns;
};

struct auth_flight {
	struct dlist link; /* in line->flights */
	struct auth_line *line;
	struct dlist waiters; /* struct auth_waiter */
	struct buf key;
	char *query;	       /* owned */
	char *user;	       /* owned */
	uint32_t config_epoch; /* of the question */
	bool is_sent;
	uint64_t asked_ns; /* clock_now_ns(), before it was sent */
	size_t n_rows;
	bool is_malformed; /* a row did not have two columns */
	struct buf secret; /* of the row; wiped */
	const char *doubt; /* why the row does not count; or NULL */
};

struct auth_queries {
	struct worker *worker;
	struct dlist lines;
	size_t n_lines;
	size_t n_flights;
	bool is_stopped;
	struct log_limit log_limit;
};

static void line_send(struct auth_line *line);
static void line_fail(struct auth_line *line);

/* Flights */

static void flight_free(struct auth_flight *flight)
{
	if (flight->secret.data != NULL) {
		explicit_bzero(flight->secret.data, flight->secret.len);
	}
	buf_fini(&flight->secret);
	buf_fini(&flight->key);
	free(flight->query);
	free(flight->user);
	free(flight);
}

static struct auth_flight *
flight_new(struct auth_line *line, const struct auth_source *source, struct span user)
{
	struct auth_flight *flight = calloc(1, sizeof(*flight));
	if (flight == NULL) {
		return NULL;
	}
	flight->line = line;
	dlist_init(&flight->link);
	dlist_init(&flight->waiters);
	buf_init(&flight->key, AUTH_SOURCE_MAX_KEY);
	buf_append_span(&flight->key, buf_span(&source->key));
	/* allocated once, so that no copy of a secret is left behind */
	buf_init(&flight->secret, USERLIST_MAX_SECRET + 1);
	bool ok = buf_reserve(&flight->secret, USERLIST_MAX_SECRET + 1) != NULL;
	flight->query = strdup(source->query);
	flight->user = strndup((const char *)user.p, user.n);
	flight->config_epoch = line->queries->worker->config_epoch;
	if (!ok || !buf_ok(&flight->key) || flight->query == NULL ||
	    flight->user == NULL) {
		flight_free(flight);
		return NULL;
	}
	dlist_push_tail(&line->flights, &flight->link);
	line->n_flights++;
	line->queries->n_flights++;
	return flight;
}

static void flight_count(const struct auth_flight *flight,
			 const struct auth_answer *answer)
{
	unsigned result = answer == NULL		     ? METRIC_AUTH_FAILED
			  : auth_answer_user(answer) != NULL ? METRIC_AUTH_FOUND
							     : METRIC_AUTH_NOBODY;
	metric_add(&flight->line->queries->worker->metrics->auth_queries[result], 1);
}

/* Tells those who wait and ends the flight.  It counts until the last one was told, so
 * that the line stays whatever they do. */
static void flight_end(struct auth_flight *flight, struct auth_answer *answer)
{
	struct auth_line *line = flight->line;
	struct dlist *l;
	dlist_remove(&flight->link);
	flight_count(flight, answer);
	while ((l = dlist_pop_head(&flight->waiters)) != NULL) {
		struct auth_waiter *waiter = container_of(l, struct auth_waiter, link);
		waiter->fn(waiter, answer);
	}
	line->n_flights--;
	line->queries->n_flights--;
	line->n_sent -= flight->is_sent;
	flight_free(flight);
}

static void flight_warn(struct auth_flight *flight, const char *text)
{
	struct auth_queries *queries = flight->line->queries;
	uint64_t n = 0;
	if (log_limit_pass(&queries->log_limit, &n)) {
		log_warning(NULL,
			    "auth_query in database %s for user \"%.63s\": %s (%" PRIu64
			    " times more)",
			    flight->line->options.dbname, flight->user, text, n);
	}
}

/* Answers */

static void flight_on_row(void *arg, const char *const *values, size_t n)
{
	struct auth_flight *flight = arg;
	flight->n_rows++;
	flight->is_malformed = flight->is_malformed || n != 2;
	if (flight->n_rows > 1 || n != 2 || values[0] == NULL || values[1] == NULL) {
		return;
	}
	if (strcmp(values[0], flight->user) != 0) {
		flight->doubt = "it gave another user";
	} else if (strlen(values[1]) > USERLIST_MAX_SECRET) {
		flight->doubt = "the secret is too long";
	} else {
		buf_append_str(&flight->secret, values[1]);
	}
}

/* What the rows say: a secret, or nobody's (p NULL). */
static struct span flight_secret(struct auth_flight *flight)
{
	if (flight->n_rows > 1) {
		flight->doubt = "it gave several rows";
	}
	if (flight->doubt != NULL) {
		flight_warn(flight, flight->doubt);
	}
	bool has_secret = flight->doubt == NULL && flight->secret.len > 0;
	return has_secret ? buf_span(&flight->secret) : (struct span){ NULL, 0 };
}

/* Whether the error says that there can be no such user, which nobody shall notice: the
 * database does not exist, or the name is no text in its encoding. */
static bool flight_is_nobody(const struct auth_flight *flight)
{
	static const char *const sqlstates[] = { SQLSTATE_UNKNOWN_DATABASE,
						 SQLSTATE_NOT_IN_REPERTOIRE,
						 SQLSTATE_UNTRANSLATABLE_CHARACTER };
	const char *sqlstate = asker_sqlstate(flight->line->asker);
	for (size_t i = 0; i < ARRAY_LEN(sqlstates); i++) {
		if (strcmp(sqlstate, sqlstates[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Where passwords are told in clear text, an answer costs the time of a derivation;
 * that there is no such user must cost the same. */
static void flight_work_for_nobody(const struct auth_flight *flight)
{
	const struct worker *worker = flight->line->queries->worker;
	struct user nobody;
	if (auth_cache_has_plain(worker->proxy->auth_cache)) {
		(void)error_trace(user_init(
		    &nobody, span_str(flight->user), SPAN_LIT("nobody's"),
		    worker->proxy->salt_key, worker->config->scram_iterations));
		user_fini(&nobody);
	}
}

/* The answer to keep and to give, or NULL: we do not know. */
static struct auth_answer *flight_answer(struct auth_flight *flight, const char *error)
{
	struct worker *worker = flight->line->queries->worker;
	struct span secret = { NULL, 0 };
	struct auth_answer *answer = NULL;
	if (flight->is_malformed) {
		error = "it must give two columns, name and secret";
	}
	if (error != NULL) {
		flight_warn(flight, error);
		if (flight->is_malformed || !flight_is_nobody(flight)) {
			return NULL;
		}
	} else {
		secret = flight_secret(flight);
	}
	struct span name = span_str(flight->user);
	const uint8_t *salt_key = worker->proxy->salt_key;
	uint32_t iterations = worker->config->scram_iterations;
	int r = auth_answer_new(name, secret, salt_key, iterations, &answer);
	if (r > 0) {
		flight_warn(flight, "the secret is malformed");
		r = auth_answer_new(name, (struct span){ NULL, 0 }, salt_key,
				    iterations, &answer);
	}
	if (r == 0 && auth_answer_user(answer) == NULL) {
		flight_work_for_nobody(flight);
	}
	return r == 0 ? answer : NULL;
}

static void flight_on_done(void *arg, const char *error)
{
	struct auth_flight *flight = arg;
	struct auth_line *line = flight->line;
	struct auth_answer *answer = NULL;
	if (!line->queries->is_stopped) {
		answer = flight_answer(flight, error);
	}
	if (answer != NULL) {
		auth_cache_put(line->queries->worker->proxy->auth_cache,
			       flight->config_epoch, buf_span(&flight->key), answer,
			       flight->asked_ns);
	}
	flight_end(flight, answer);
	auth_answer_unref(answer);
	if (error != NULL && !asker_is_connected(line->asker)) {
		line_fail(line);
	}
	line_send(line);
}

/* Lines */

static void line_free(struct auth_line *line)
{
	require(dlist_is_empty(&line->flights));
	dlist_remove(&line->link);
	line->queries->n_lines--;
	asker_close(line->asker);
	connect_options_fini(&line->options);
	free(line);
}

static struct auth_flight *line_next(const struct auth_line *line)
{
	dlist_each (l, tmp, &line->flights) {
		struct auth_flight *flight = container_of(l, struct auth_flight, link);
		if (!flight->is_sent) {
			return flight;
		}
	}
	return NULL;
}

/* Gives the asker what it takes. */
static void line_send(struct auth_line *line)
{
	struct auth_flight *flight;
	while (line->n_sent < AUTH_MAX_SENT && (flight = line_next(line)) != NULL) {
		const char *params[] = { flight->user };
		flight->asked_ns = clock_now_ns();
		const struct asker_question question = {
			.sql = flight->query,
			.params = params,
			.n_params = 1,
			.row = flight_on_row,
			.done = flight_on_done,
			.arg = flight,
		};
		int r = asker_ask(line->asker, &question);
		if (r < 0) {
			flight_end(flight, NULL);
			continue;
		}
		flight->is_sent = true;
		line->n_sent++;
	}
}

/* There is no connection: what still waits need not wait for the same failure. */
static void line_fail(struct auth_line *line)
{
	struct auth_flight *flight;
	while ((flight = line_next(line)) != NULL) {
		flight_end(flight, NULL);
	}
}

static struct auth_line *line_new(struct auth_queries *queries,
				  const struct connect_options *options)
{
	struct auth_line *line = calloc(1, sizeof(*line));
	if (line == NULL) {
		return NULL;
	}
	line->queries = queries;
	dlist_init(&line->link);
	dlist_init(&line->flights);
	queries->n_lines++;
	int r = connect_options_copy(&line->options, options);
	if (r == 0) {
		r = asker_new(queries->worker->loop, options, AUTH_TIMEOUT_MS,
			      &line->asker);
	}
	if (r < 0) {
		line_free(line);
		return NULL;
	}
	return line;
}

/* The least recently used line that nobody needs now makes room. */
static void lines_make_room(struct auth_queries *queries)
{
	dlist_each (l, tmp, &queries->lines) {
		struct auth_line *line = container_of(l, struct auth_line, link);
		if (line->n_flights == 0) {
			line_free(line);
			return;
		}
	}
}

static struct auth_line *lines_get(struct auth_queries *queries,
				   const struct connect_options *options)
{
	struct auth_line *line = NULL;
	dlist_each (l, tmp, &queries->lines) {
		struct auth_line *each = container_of(l, struct auth_line, link);
		if (connect_options_equal(&each->options, options)) {
			line = each;
			break;
		}
	}
	if (line == NULL) {
		if (queries->n_lines == AUTH_MAX_LINES) {
			lines_make_room(queries);
		}
		line = queries->n_lines < AUTH_MAX_LINES ? line_new(queries, options)
							 : NULL;
	}
	if (line != NULL) {
		line->used_ns = clock_now_ns();
		dlist_remove(&line->link);
		dlist_push_tail(&queries->lines, &line->link);
	}
	return line;
}

/* The same question, when it is there already. */
static struct auth_flight *line_find_flight(struct auth_line *line,
					    const struct auth_source *source)
{
	dlist_each (l, tmp, &line->flights) {
		struct auth_flight *flight = container_of(l, struct auth_flight, link);
		if (span_eq(buf_span(&flight->key), buf_span(&source->key)) &&
		    strcmp(flight->query, source->query) == 0) {
			return flight;
		}
	}
	return NULL;
}

/* Looking up */

static bool queries_join(struct auth_queries *queries, const struct auth_source *source,
			 struct span user, struct auth_waiter *waiter)
{
	struct auth_line *line = lines_get(queries, &source->options);
	if (line == NULL) {
		return false;
	}
	struct auth_flight *flight = line_find_flight(line, source);
	if (flight == NULL && queries->n_flights < AUTH_MAX_FLIGHTS) {
		flight = flight_new(line, source, user);
	}
	if (flight == NULL) {
		return false;
	}
	waiter->is_late = flight->is_sent;
	dlist_push_tail(&flight->waiters, &waiter->link);
	line_send(line);
	return true;
}

static struct auth_answer *queries_look(const struct worker *worker,
					const struct auth_source *source)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t ttl_ns = worker->config->auth_query_cache_ttl_ms * UINT64_C(1000000);
	if (ttl_ns == 0) {
		return NULL;
	}
	return auth_cache_find(worker->proxy->auth_cache, worker->config_epoch,
			       buf_span(&source->key),
			       now_ns > ttl_ns ? now_ns - ttl_ns : 0);
}

enum auth_found auth_query_find(struct auth_queries *queries, struct span database,
				struct span user, struct auth_waiter *waiter,
				struct auth_answer **out)
{
	require(queries != NULL && waiter != NULL && out != NULL);
	const struct worker *worker = queries->worker;
	struct auth_source source;
	enum auth_found found = auth_source_init(&source, worker, database, user);
	if (queries->is_stopped) {
		found = AUTH_FAILED;
	} else if (found == AUTH_WAITING) {
		*out = queries_look(worker, &source);
		if (*out != NULL) {
			metric_add(&worker->metrics->auth_queries[METRIC_AUTH_CACHED],
				   1);
			found = AUTH_KNOWN;
		} else if (!queries_join(queries, &source, user, waiter)) {
			found = AUTH_FAILED;
		}
	}
	auth_source_fini(&source);
	return found;
}

void auth_query_forget(struct auth_queries *queries, struct span database,
		       struct span user)
{
	require(queries != NULL);
	struct auth_source source;
	if (auth_source_init(&source, queries->worker, database, user) ==
	    AUTH_WAITING) {
		auth_cache_forget(queries->worker->proxy->auth_cache,
				  buf_span(&source.key), clock_now_ns());
	}
	auth_source_fini(&source);
}

void auth_waiter_init(struct auth_waiter *waiter,
		      void (*fn)(struct auth_waiter *waiter,
				 struct auth_answer *answer))
{
	dlist_init(&waiter->link);
	waiter->fn = fn;
}

void auth_waiter_leave(struct auth_waiter *waiter)
{
	dlist_remove(&waiter->link);
}

/* Life */

int auth_queries_new(struct worker *worker, struct auth_queries **out)
{
	require(worker != NULL && out != NULL);
	struct auth_queries *queries = calloc(1, sizeof(*queries));
	if (queries == NULL) {
		return -ENOMEM;
	}
	queries->worker = worker;
	dlist_init(&queries->lines);
	*out = queries;
	return 0;
}

void auth_queries_tick(struct auth_queries *queries)
{
	uint64_t now_ns = clock_now_ns();
	dlist_each (l, tmp, &queries->lines) {
		struct auth_line *line = container_of(l, struct auth_line, link);
		if (line->n_flights == 0 && now_ns - line->used_ns > AUTH_IDLE_NS) {
			line_free(line);
		}
	}
}

void auth_queries_stop(struct auth_queries *queries)
{
	require(queries != NULL);
	queries->is_stopped = true;
	dlist_each (l, tmp, &queries->lines) {
		struct auth_line *line = container_of(l, struct auth_line, link);
		asker_close(line->asker);
		line_fail(line);
		line_free(line);
	}
}

void auth_queries_free(struct auth_queries *queries)
{
	if (queries == NULL) {
		return;
	}
	require(queries->is_stopped && queries->n_lines == 0);
	free(queries);
}
