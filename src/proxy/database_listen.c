/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The one connection of a database that listens, for the clients of all workers:
 * proxy/channels.h has the whole picture.
 *
 *   new_wants ──> channels, by name: which workers want it, and whether the connection
 *   (workers)     listens.  Where the two differ it is due: LISTEN or UNLISTEN is asked
 *
 * One question a channel, a few of them under way.  A lost connection listens to
 * nothing: every channel that is still wanted is due again. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "database_priv.h"
#include "proxy/channels.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"
#include "upstream/asker.h"
#include "wire/writer.h"

#define LISTEN_TIMEOUT_MS 10000 /* of one question */
#define LISTEN_MAX_ASKED  32
#define LISTEN_LINGER_NS  UINT64_C(10000000000) /* without a channel */
#define LISTEN_MAX_NAME	  256
/* Above max_database_channels: those that are just ending count, too. */
#define LISTEN_MAX_WANTED 4000000
/* Channel and payload are bounded by PostgreSQL: 63 and 7999 bytes. */
#define LISTEN_MAX_NOTE 65536

struct want { /* from a worker */
	struct dlist link;
	unsigned worker;
	uint64_t round;
	bool is_on;
	size_t n;
	uint8_t name[];
};

struct wanted { /* a channel */
	struct dlist due;
	struct database *database;
	bool is_heard; /* the connection listens */
	bool is_asked; /* a question about it is under way: */
	bool asks_on;  /* LISTEN, or UNLISTEN */
	unsigned n_workers;
	char *name;	   /* behind the rounds */
	uint64_t rounds[]; /* of the workers; 0: does not want it */
};

/* Workers' side */

bool database_want(struct database *database, unsigned worker, uint64_t round,
		   struct span name, bool is_on)
{
	require(database != NULL && round > 0 && name.n > 0);
	struct want *want = calloc(1, FLEX_SIZE(struct want, name, name.n));
	if (want == NULL) {
		return false;
	}
	want->worker = worker;
	want->round = round;
	want->is_on = is_on;
	want->n = name.n;
	memcpy(want->name, name.p, name.n);
	dlist_init(&want->link);
	pthread_mutex_lock(&database->lock);
	dlist_push_tail(&database->new_wants, &want->link);
	pthread_mutex_unlock(&database->lock);
	databases_wake(database->databases);
	return true;
}

/* Main thread */

static struct metrics *listen_metrics(const struct database *database)
{
	const struct proxy *proxy = database->databases->proxy;
	return proxy->metrics[proxy->n_workers];
}

static struct worker *listen_worker(const struct database *database, unsigned i)
{
	return database->databases->proxy->workers[i];
}

static struct wanted *wanted_new(struct database *database, struct span name)
{
	unsigned n = database->databases->proxy->n_workers;
	struct wanted *wanted = calloc(
	    1, FLEX_SIZE(struct wanted, rounds, n * sizeof(uint64_t)) + name.n + 1);
	if (wanted == NULL) {
		return NULL;
	}
	wanted->database = database;
	wanted->n_workers = n;
	wanted->name = (char *)&wanted->rounds[n];
	memcpy(wanted->name, name.p, name.n);
	dlist_init(&wanted->due);
	if (map_put(&database->wanted, span_str(wanted->name), wanted) != 0) {
		free(wanted);
		return NULL;
	}
	return wanted;
}

static bool wanted_by_any(const struct wanted *wanted)
{
	for (unsigned i = 0; i < wanted->n_workers; i++) {
		if (wanted->rounds[i] != 0) {
			return true;
		}
	}
	return false;
}

static void wanted_set_heard(struct wanted *wanted, bool is_heard)
{
	if (wanted->is_heard != is_heard) {
		wanted->is_heard = is_heard;
		metric_add(&listen_metrics(wanted->database)->listen_channels,
			   is_heard ? 1 : (uint64_t)-1);
	}
}

/* After each change of what is wanted or heard. */
static void wanted_settle(struct wanted *wanted)
{
	struct database *database = wanted->database;
	dlist_remove(&wanted->due);
	if (wanted->is_asked) {
		return; /* the answer settles it */
	}
	bool is_wanted = wanted_by_any(wanted);
	if (is_wanted != wanted->is_heard) {
		dlist_push_tail(&database->due, &wanted->due);
	} else if (!is_wanted) {
		(void)map_remove(&database->wanted, span_str(wanted->name));
		free(wanted);
	}
}

static void wanted_tell(struct wanted *wanted, unsigned i)
{
	channels_post_heard(listen_worker(wanted->database, i), wanted->database,
			    span_str(wanted->name), wanted->rounds[i]);
}

static void wanted_refuse(struct wanted *wanted, const char *sqlstate, const char *text)
{
	struct buf message;
	buf_init(&message, 1024);
	buf_printf(&message, "cannot listen: %s", text);
	buf_append_u8(&message, 0);
	for (unsigned i = 0; i < wanted->n_workers; i++) {
		if (wanted->rounds[i] != 0) {
			channels_post_refused(
			    listen_worker(wanted->database, i), wanted->database,
			    span_str(wanted->name), wanted->rounds[i], sqlstate,
			    buf_ok(&message) ? (const char *)message.data : text);
			wanted->rounds[i] = 0;
		}
	}
	buf_fini(&message);
}

/* What workers have asked for */

static void listen_refuse_want(struct database *database, const struct want *want,
			       const char *sqlstate, const char *text)
{
	channels_post_refused(listen_worker(database, want->worker), database,
			      span_make(want->name, want->n), want->round, sqlstate,
			      text);
}

static void listen_take(struct database *database, const struct config *config,
			const struct want *want)
{
	struct span name = span_make(want->name, want->n);
	struct wanted *wanted = map_get(&database->wanted, name);
	if (!want->is_on) {
		if (wanted != NULL && wanted->rounds[want->worker] == want->round) {
			wanted->rounds[want->worker] = 0;
			wanted_settle(wanted);
		}
		return;
	}
	if (wanted == NULL && database->wanted.n >= config->max_database_channels) {
		listen_refuse_want(database, want,
				   SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
				   "too many channels of this database"
				   " (max_database_channels)");
		return;
	}
	if (wanted == NULL) {
		wanted = wanted_new(database, name);
	}
	if (wanted == NULL) {
		listen_refuse_want(database, want, SQLSTATE_OUT_OF_MEMORY,
				   "out of memory");
		return;
	}
	wanted->rounds[want->worker] = want->round;
	if (wanted->is_heard) {
		wanted_tell(wanted, want->worker);
	}
	wanted_settle(wanted);
}

static void listen_take_all(struct database *database, const struct config *config)
{
	struct dlist wants;
	struct dlist *l;
	dlist_init(&wants);
	pthread_mutex_lock(&database->lock);
	while ((l = dlist_pop_head(&database->new_wants)) != NULL) {
		dlist_push_tail(&wants, l);
	}
	pthread_mutex_unlock(&database->lock);
	while ((l = dlist_pop_head(&wants)) != NULL) {
		struct want *want = container_of(l, struct want, link);
		listen_take(database, config, want);
		free(want);
	}
}

/* The connection */

static void listen_on_heard(void *arg, const char *channel, uint32_t pid,
			    const char *payload)
{
	struct database *database = arg;
	metric_add(&listen_metrics(database)->notifications_received, 1);
	const struct wanted *wanted = map_get(&database->wanted, span_str(channel));
	struct buf message;
	buf_init(&message, LISTEN_MAX_NOTE);
	writer_notification(&message, pid, span_str(channel), span_str(payload));
	for (unsigned i = 0; wanted != NULL && i < wanted->n_workers; i++) {
		if (wanted->rounds[i] != 0 && buf_ok(&message)) {
			channels_post_note(listen_worker(database, i), database,
					   span_str(channel), buf_span(&message));
		} else if (wanted->rounds[i] != 0) {
			channels_post_lost(listen_worker(database, i), database);
		}
	}
	buf_fini(&message);
}

static void listen_on_lost(void *arg, const char *error)
{
	struct database *database = arg;
	struct wanted *wanted;
	size_t n = 0;
	map_each (wanted, at, &database->wanted) {
		n += wanted->is_heard;
	}
	if (n == 0) {
		return;
	}
	log_warning(NULL,
		    "database %s: lost the connection that listens (%zu channels): %s",
		    database->name, n, error);
	metric_add(&listen_metrics(database)->listen_losses, 1);
	for (unsigned i = 0; i < database->databases->proxy->n_workers; i++) {
		channels_post_lost(listen_worker(database, i), database);
	}
	map_each (wanted, at, &database->wanted) {
		wanted_set_heard(wanted, false);
	}
	database->is_unsettled = true;
	databases_wake(database->databases);
}

static bool listen_open(struct database *database)
{
	if (database->ear != NULL) {
		return true;
	}
	struct connect_options options = database->options;
	options.application_name = "pgrecall listen";
	if (options.user == NULL ||
	    asker_new(database->databases->proxy->main_loop, &options,
		      LISTEN_TIMEOUT_MS, &database->ear) < 0) {
		return false;
	}
	asker_listen(database->ear, listen_on_heard, listen_on_lost, database);
	return true;
}

static void listen_on_answer(void *arg, const char *error)
{
	struct wanted *wanted = arg;
	struct database *database = wanted->database;
	wanted->is_asked = false;
	database->n_asked--;
	if (database->ear == NULL) {
		return; /* we hung up, for good */
	}
	if (error == NULL) {
		wanted_set_heard(wanted, wanted->asks_on);
		for (unsigned i = 0; wanted->asks_on && i < wanted->n_workers; i++) {
			if (wanted->rounds[i] != 0) {
				wanted_tell(wanted, i);
			}
		}
	} else if (wanted->asks_on) {
		const char *sqlstate = asker_sqlstate(database->ear);
		wanted_refuse(wanted,
			      sqlstate[0] != 0 ? sqlstate : SQLSTATE_CONNECTION_FAILURE,
			      error);
	}
	wanted_settle(wanted);
	databases_wake(database->databases);
}

static void listen_ask(struct database *database, struct wanted *wanted)
{
	if (wanted_by_any(wanted) == wanted->is_heard) {
		wanted_settle(wanted); /* not due any more */
		return;
	}
	struct buf sql;
	buf_init(&sql, LISTEN_MAX_NAME * 2 + 32);
	wanted->asks_on = !wanted->is_heard;
	buf_append_str(&sql, wanted->asks_on ? "LISTEN \"" : "UNLISTEN \"");
	for (const char *c = wanted->name; *c != 0; c++) {
		if (*c == '"') {
			buf_append_u8(&sql, '"');
		}
		buf_append_u8(&sql, (uint8_t)*c);
	}
	buf_append_str(&sql, "\"");
	buf_append_u8(&sql, 0);
	const struct asker_question question = { .sql = (const char *)sql.data,
						 .done = listen_on_answer,
						 .arg = wanted };
	wanted->is_asked = buf_ok(&sql) && listen_open(database) &&
			   asker_ask(database->ear, &question) == 0;
	buf_fini(&sql);
	if (wanted->is_asked) {
		database->n_asked++;
	} else if (wanted->asks_on) {
		wanted_refuse(wanted, SQLSTATE_CONNECTION_FAILURE,
			      "the server cannot be asked");
		wanted_settle(wanted);
	}
}

/* Life */

void database_listen_tick(struct database *database, const struct config *config,
			  uint64_t now_ns)
{
	struct wanted *wanted;
	listen_take_all(database, config);
	if (database
		->is_unsettled) { /* every channel is wanted, or being asked about */
		database->is_unsettled = false;
		map_each (wanted, at, &database->wanted) {
			if (wanted_by_any(wanted)) {
				wanted_settle(wanted);
			}
		}
	}
	struct dlist *l;
	while (database->n_asked < LISTEN_MAX_ASKED &&
	       (l = dlist_pop_head(&database->due)) != NULL) {
		listen_ask(database, container_of(l, struct wanted, due));
	}
	if (database->wanted.n > 0) {
		database->heard_ns = now_ns;
	} else if (database->ear != NULL &&
		   now_ns - database->heard_ns > LISTEN_LINGER_NS) {
		asker_close(steal(&database->ear));
	}
}

void database_listen_login(struct database *database)
{
	if (database->ear != NULL && !asker_is_connected(database->ear) &&
	    database->n_asked == 0) {
		asker_close(steal(&database->ear));
	}
}

void database_listen_init(struct database *database)
{
	dlist_init(&database->new_wants);
	dlist_init(&database->due);
	map_init(&database->wanted, LISTEN_MAX_WANTED);
}

void database_listen_stop(struct database *database)
{
	asker_close(steal(&database->ear));
}

void database_listen_fini(struct database *database)
{
	struct dlist *l;
	struct wanted *wanted;
	require(database->ear == NULL);
	while ((l = dlist_pop_head(&database->new_wants)) != NULL) {
		free(container_of(l, struct want, link));
	}
	map_each (wanted, at, &database->wanted) {
		free(wanted);
	}
	map_fini(&database->wanted);
}
