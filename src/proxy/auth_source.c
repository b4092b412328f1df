/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/auth_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "proxy/users.h"
#include "proxy/worker.h"
#include "wire/userlist.h"

static const char *auth_source_pick(const char *own, const char *global)
{
	return own != NULL ? own : global;
}

/* The password of auth_user, which is in auth_file, or on the line itself. */
static const char *auth_source_password(const struct worker *worker,
					const struct config_database *line,
					const char *name)
{
	if (line->user != NULL && line->password != NULL &&
	    strcmp(line->user, name) == 0) {
		return line->password;
	}
	const struct user *user = users_find(worker->users, span_str(name));
	return user != NULL ? user->password : NULL;
}

/* In one configuration the same key means the same question at the same place: DBNAME
 * is asked as its line says, unless the client's LINE has a user or a query of its own.
 */
static bool auth_source_make_key(struct auth_source *source,
				 const struct config_database *line, const char *dbname,
				 struct span user)
{
	bool has_own =
	    line != NULL && (line->auth_user != NULL || line->auth_query != NULL);
	buf_append_cstr(&source->key, dbname);
	buf_append_cstr(&source->key, has_own ? line->name : "");
	buf_append_span(&source->key, user);
	return buf_ok(&source->key);
}

void auth_source_fini(struct auth_source *source)
{
	buf_fini(&source->key);
	free(source->database);
}

enum auth_found auth_source_init(struct auth_source *source,
				 const struct worker *worker, struct span database,
				 struct span user)
{
	const struct config *config = worker->config;
	const struct config_database *line = config_find_database(config, database);
	const char *name =
	    auth_source_pick(line ? line->auth_user : NULL, config->auth_user);
	*source = (struct auth_source){ 0 };
	buf_init(&source->key, AUTH_SOURCE_MAX_KEY);
	source->database = strndup((const char *)database.p, database.n);
	if (source->database == NULL) {
		return AUTH_FAILED;
	}
	const char *dbname =
	    auth_source_pick(line ? line->auth_dbname : NULL, config->auth_dbname);
	dbname = dbname[0] != 0 ? dbname : source->database;
	const struct config_database *target =
	    config_find_database(config, span_str(dbname));
	source->query =
	    auth_source_pick(line ? line->auth_query : NULL, config->auth_query);
	if (name[0] == 0 || source->query[0] == 0 || target == NULL ||
	    user.n > USERLIST_MAX_NAME) {
		return AUTH_NOT_ASKED;
	}
	source->options = (struct connect_options){
		.host = target->host,
		.ports = target->ports,
		.port = target->port,
		.dbname = target->dbname != NULL ? target->dbname : dbname,
		.user = name,
		.password = auth_source_password(worker, target, name),
		.application_name = "pgrecall",
		.timeout_ms = (uint32_t)config->server_connect_timeout_ms,
	};
	connect_options_tls(&source->options, config, target);
	return auth_source_make_key(source, line, dbname, user) ? AUTH_WAITING
								: AUTH_NOT_ASKED;
}
