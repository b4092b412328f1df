/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Settings of the server that change under open connections: ALTER SYSTEM or an edit of
 * postgresql.conf, and then a reload.  Another search_path or DateStyle is then in
 * force in every session at its next command, and nothing in the protocol has to tell.
 *
 * So each database is asked, once a second, when its server has read its settings. When
 * that has moved:
 *
 *   1. every server connection of the database is outdated (server_is_outdated()): what
 *      it answers is not stored, what it writes may be anything, and it is replaced
 *      when nobody has it;
 *   2. the database's tag moves, so that nothing from before is served.
 *
 * In this order: who notes the words after 2 sees 1, and who noted them before 2 stores
 * in vain.  A connection that is begun after 1 is made by a postmaster that has read
 * its settings before it told any session, the one that we ask included.
 *
 * The same is done for a server that was gone, which may have come back without its
 * last rows (a crash with synchronous_commit off), or as another one (a failover).
 *
 * Where a reload is seen to begin (pg_reload_conf() through us, a parameter that a
 * connection reports unasked), every database is in doubt, and where a connection was
 * lost and there is a new one, its own: the tag is in flight until it is known what
 * became of it.
 *
 * The same answer says which database of which server it is: database_aliases.c. */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "cache/store.h"
#include "cache/versions.h"
#include "database_priv.h"
#include "proxy/proxy.h"
#include "upstream/asker.h"
#include "upstream/gates.h"

#define CONF_INTERVAL_NS UINT64_C(1000000000)
/* After a question that was refused: a server that has no such functions. */
#define CONF_PAUSE_NS UINT64_C(60000000000)
/* A postmaster that was told to read its settings has done so after this. */
#define CONF_DOUBT_NS UINT64_C(5000000000)

/* Which database of which server, and when that has read its settings.  Times in
 * microseconds, by the server's clock. */
static const char conf_question[] =
    "SELECT (SELECT d.oid FROM pg_catalog.pg_database d"
    "  WHERE d.datname = pg_catalog.current_database())::int8,"
    " pg_catalog.pg_backend_pid(),"
    " (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::int8,"
    " (extract(epoch FROM pg_catalog.pg_conf_load_time()) * 1000000)::int8,"
    " (extract(epoch FROM pg_catalog.clock_timestamp() - "
    "pg_catalog.pg_conf_load_time())"
    " * 1000000)::int8";

/* Doubt */

/* The next answer ends a doubt, or, when it IS_RELOAD, one that tells of the reload. */
static void database_doubt(struct database *database, bool is_reload)
{
	uint64_t now_ns = clock_now_ns();
	uint64_t until_ns = is_reload ? now_ns + CONF_DOUBT_NS : now_ns;
	pthread_mutex_lock(&database->lock);
	if (until_ns > database->doubt_until_ns) {
		database->doubt_until_ns = until_ns;
	}
	database->doubts_settings |= is_reload;
	if (database->n_doubts++ == 0) {
		versions_begin(database->databases->versions,
			       versions_tag_db(database->tag));
	}
	pthread_mutex_unlock(&database->lock);
}

void databases_reloading(struct databases *databases)
{
	require(databases != NULL);
	for (struct database *database = databases_next(databases, NULL);
	     database != NULL; database = databases_next(databases, database)) {
		database_doubt(database, true);
	}
	databases_wake(databases);
}

void databases_lost(struct databases *databases, struct span name)
{
	require(databases != NULL);
	for (struct database *database = databases_next(databases, NULL);
	     database != NULL; database = databases_next(databases, database)) {
		if (span_eq_str(name, database->name)) {
			database_doubt(database, false);
		}
	}
	databases_wake(databases);
}

/* True once.  Nothing of the doubts that came after the question is known. */
static bool database_takes_doubt(struct database *database, bool is_over,
				 bool *moved_out)
{
	pthread_mutex_lock(&database->lock);
	bool takes = database->n_doubts > 0 && is_over &&
		     database->n_doubts == database->conf.n_doubts;
	*moved_out = database->doubts_settings;
	if (takes) {
		database->n_doubts = 0;
		database->doubts_settings = false;
	}
	pthread_mutex_unlock(&database->lock);
	return takes;
}

static void database_end_doubt(struct database *database, bool is_over)
{
	bool moved;
	if (database_takes_doubt(database, is_over, &moved)) {
		versions_end(database->databases->versions,
			     versions_tag_db(database->tag), moved);
	}
}

void database_move(struct database *database)
{
	struct databases *databases = database->databases;
	uint64_t tag = versions_tag_db(database->tag);
	versions_begin(databases->versions, tag);
	store_shared_lose(databases->store);
	versions_end(databases->versions, tag, true);
}

/* Answers */

static void database_conf_moved(struct database *database)
{
	struct databases *databases = database->databases;
	gates_reconnect(&databases->proxy->pools, span_str(database->name));
	database_move(database);
	log_log(NULL,
		"database %s: the server has read its settings, or was gone: "
		"connections are replaced",
		database->name);
	proxy_poke(databases->proxy);
}

/* A session of ours that was lost may have ended with the server: after a crash it may
 * have forgotten what was not flushed, and behind a failover there is another one.
 * Through another pooler each answer may be another session's, and each session has
 * read the settings at a time of its own: there only a later one than ever before
 * tells. */
static bool conf_has_moved(const struct database_conf *was,
			   const struct database_conf *now)
{
	return now->started_us != was->started_us || now->asker_ns != was->asker_ns ||
	       now->n_sessions != was->n_sessions || now->loaded_us > was->newest_us ||
	       (now->pid == was->pid && now->loaded_us != was->loaded_us);
}

/* Of the first answer: the settings are younger than we are, and connections may be
 * older. */
static bool conf_is_young(const struct database *database,
			  const struct database_conf *now)
{
	int64_t own_us = (int64_t)((clock_now_ns() - database->born_ns) / 1000U);
	return now->age_us < own_us;
}

static int64_t conf_number(const char *text)
{
	return text != NULL ? strtoll(text, NULL, 10) : 0;
}

static void database_on_conf_row(void *arg, const char *const *values, size_t n)
{
	struct database *database = arg;
	struct database_conf *conf = &database->conf;
	if (n != 5) {
		return;
	}
	struct database_conf now = *conf;
	now.asker_ns = database->asker_since_ns;
	now.n_sessions = asker_n_sessions(database->asker);
	now.oid = conf_number(values[0]);
	now.pid = conf_number(values[1]);
	now.started_us = conf_number(values[2]);
	now.loaded_us = conf_number(values[3]);
	now.age_us = conf_number(values[4]);
	now.has_moved =
	    conf->is_known ? conf_has_moved(conf, &now) : conf_is_young(database, &now);
	bool is_newest = !conf->is_known || now.started_us != conf->started_us ||
			 now.loaded_us > conf->newest_us;
	now.newest_us = is_newest ? now.loaded_us : conf->newest_us;
	now.is_known = true;
	*conf = now;
}

/* A server that refuses the question is up all the same. */
static bool database_refuses_conf(struct database *database, const char *error)
{
	return error != NULL && database->asker != NULL &&
	       strncmp(asker_sqlstate(database->asker), "42", 2) == 0;
}

static void database_on_conf(void *arg, const char *error)
{
	struct database *database = arg;
	struct database_conf *conf = &database->conf;
	uint64_t now_ns = clock_now_ns();
	bool is_refused = database_refuses_conf(database, error);
	conf->is_asking = false;
	conf->next_ns = now_ns + (is_refused ? CONF_PAUSE_NS : CONF_INTERVAL_NS);
	database_answered(database, "ask when the server has read its settings", error);
	if (is_refused) {
		atomic_store(&database->is_up, true);
	}
	if (conf->is_known) {
		database_find_aliases(database);
	}
	if (conf->is_known || is_refused) {
		atomic_store(&database->is_placed, true);
	}
	pthread_mutex_lock(&database->lock);
	bool is_late = database->n_doubts > 0 && now_ns >= database->doubt_until_ns;
	pthread_mutex_unlock(&database->lock);
	/* a server that does not say may have changed everything */
	bool has_moved = conf->has_moved || (is_refused && is_late);
	if (has_moved) {
		database_conf_moved(database);
	}
	database_end_doubt(database, has_moved || (error == NULL && is_late));
}

void database_ask_conf(struct database *database, uint64_t now_ns)
{
	struct database_conf *conf = &database->conf;
	if (database->asker == NULL || conf->is_asking || database->reading != NULL ||
	    !atomic_load(&database->is_up)) {
		return;
	}
	pthread_mutex_lock(&database->lock);
	conf->n_doubts = database->n_doubts;
	pthread_mutex_unlock(&database->lock);
	bool is_due = !database->is_elsewhere && now_ns >= conf->next_ns;
	if (!is_due && conf->n_doubts == 0) {
		return;
	}
	conf->has_moved = false;
	const struct asker_question question = {
		.sql = conf_question,
		.row = database_on_conf_row,
		.done = database_on_conf,
		.arg = database,
	};
	int r = asker_ask(database->asker, &question);
	conf->is_asking = r == 0;
	(void)error_trace(r);
}
