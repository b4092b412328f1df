/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the environment says; it is stronger than the file.  An empty variable counts as
 * none, because that is how containers say "not set". */

#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_build.h"
#include "base/config_errors.h"
#include "base/config_value.h"

#define ENV_MAX_VALUE 8192   /* bytes */
#define URL_KEYS      0x3ffU /* host to channel_binding: the first rows of [databases] */

/* A variable and the settings that it stands for. */
struct env_row {
	const char *variable;
	const char *section;
	const char *names[3];
	const char *bare_unit; /* put behind a number without a unit; NULL: none */
};

static const struct env_row env_rows[] = {
	{ "REDIS_URL", "redis", { "url" }, NULL },
	{ "DB_POOL_MAX", "pgrecall", { "default_pool_size" }, NULL },
	{ "DB_POOL_MIN", "pgrecall", { "min_pool_size" }, NULL },
	{ "DB_POOL_IDLE_TIMEOUT", "pgrecall", { "server_idle_timeout" }, "ms" },
	{ "REDIS_CACHE_TTL",
	  "cache",
	  { "ttl_recent", "ttl_context", "ttl_default" },
	  "s" },
	{ "VECTOR_CACHE_TTL", "cache", { "ttl_vector" }, "s" },
	{ "SLOW_QUERY_THRESHOLD", "pgrecall", { "slow_query_threshold" }, "ms" },
	{ "MONITOR_INTERVAL", "monitor", { "interval" }, "ms" },
};

/* The variable's value, or NULL when it is not set or empty. */
static const char *env_get(char *const *environment, const char *name)
{
	size_t n = strlen(name);
	for (; *environment != NULL; environment++) {
		const char *s = *environment;
		if (strncmp(s, name, n) == 0 && s[n] == '=' && s[n + 1] != 0) {
			return s + n + 1;
		}
	}
	return NULL;
}

static void env_apply(struct config_build *build, const struct env_row *row,
		      const char *text)
{
	struct buf value;
	buf_init(&value, ENV_MAX_VALUE);
	buf_append_str(&value, text);
	char last = text[strlen(text) - 1];
	if (row->bare_unit != NULL && last >= '0' && last <= '9') {
		buf_append_str(&value, row->bare_unit);
	}
	if (!buf_ok(&value)) {
		config_build_error(build, "%s is too long", row->variable);
	}
	for (size_t i = 0; buf_ok(&value) && i < ARRAY_LEN(row->names); i++) {
		if (row->names[i] == NULL) {
			break;
		}
		const struct config_option *option =
		    config_find_option(row->section, row->names[i]);
		require(option != NULL);
		if (config_option_parse(build, option, row->variable, buf_span(&value),
					build->config)) {
			build->is_set[config_option_index(option)] = true;
		} else {
			break; /* the others would say the same */
		}
	}
	buf_fini(&value);
}

/* ---- DATABASE_URL -----------------------------------------------------------------
 */

/* Its parts, as strings of the configuration. */
struct url {
	struct config_build *build;
	const char *host;
	const char *port;
	const char *dbname;
	const char *user;
	const char *password;
	const char *tls[5]; /* as in url_tls_names */
	bool failed;
};

static const char *const url_tls_names[] = { "sslmode", "sslrootcert", "sslcert",
					     "sslkey", "channel_binding" };

static void url_error(struct url *url, const char *what)
{
	/* the text itself is not shown: it has a password in it */
	config_build_error(url->build, "DATABASE_URL: %s", what);
	url->failed = true;
}

/* S without its percent signs; NULL when it cannot be. */
static const char *url_decode(struct url *url, struct span s)
{
	struct buf out;
	buf_init(&out, ENV_MAX_VALUE);
	const char *wrong = NULL;
	while (s.n > 0 && wrong == NULL) {
		uint64_t c = s.p[0];
		size_t used = 1;
		if (c == '%') {
			used = 3;
			if (s.n < 3 || !config_parse_hex(span_make(s.p + 1, 2), &c)) {
				wrong = "a percent sign needs two hexadecimal digits";
				break;
			}
			if (c < 0x20) {
				wrong = "it holds a control character";
				break;
			}
		}
		buf_append_u8(&out, (uint8_t)c);
		s = span_skip(s, used);
	}
	const char *copy = NULL;
	if (wrong != NULL || !buf_ok(&out)) {
		url_error(url, wrong != NULL ? wrong : "it is too long");
	} else {
		copy = config_build_string(url->build, buf_span(&out));
	}
	buf_fini(&out);
	return copy;
}

/* Takes what stands before the first of the bytes in STOP off *S; all when none is
 * there. */
static struct span url_take(struct span *s, const char *stop)
{
	size_t n = 0;
	while (n < s->n && strchr(stop, s->p[n]) == NULL) {
		n++;
	}
	struct span taken = span_make(s->p, n);
	*s = span_skip(*s, n);
	return taken;
}

static void url_parameter(void *arg, struct span key_span, struct span value)
{
	struct url *url = arg;
	static const char *const names[] = { "host", "port", "dbname", "user",
					     "password" };
	const char **members[] = { &url->host, &url->port, &url->dbname, &url->user,
				   &url->password };
	const char *key = config_build_string(url->build, key_span);
	if (key == NULL) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(key, names[i]) == 0) {
			*members[i] = config_build_string(url->build, value);
			return;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(url_tls_names); i++) {
		if (strcmp(key, url_tls_names[i]) == 0) {
			url->tls[i] = config_build_string(url->build, value);
			return;
		}
	}
	if (!config_build_foreign(url->build, "url", key, value)) {
		const char *near = config_nearest(key, names, ARRAY_LEN(names));
		config_build_error(url->build,
				   "DATABASE_URL: unknown parameter \"%s\"%s%s%s", key,
				   near ? "; did you mean \"" : "", near ? near : "",
				   near ? "\"?" : "");
	}
}

/* `a=b&c=d`, percent-encoded. */
static void url_query(struct url *url, struct span s)
{
	while (s.n > 0) {
		struct span pair = url_take(&s, "&");
		s = s.n > 0 ? span_skip(s, 1) : s;
		struct span key = url_take(&pair, "=");
		if (key.n == 0 || pair.n == 0) {
			url_error(url, "expected name=value behind ?");
			return;
		}
		const char *k = url_decode(url, key);
		const char *v = url_decode(url, span_skip(pair, 1));
		if (k == NULL || v == NULL) {
			return;
		}
		url_parameter(url, span_str(k), span_str(v));
	}
}

/* `host:port`, `[::1]:port`, or a directory with its slashes percent-encoded. */
static void url_host(struct url *url, struct span s)
{
	struct span host;
	if (s.n > 0 && s.p[0] == '[') {
		s = span_skip(s, 1);
		host = url_take(&s, "]");
		if (s.n == 0) {
			url_error(url, "[ without ]");
			return;
		}
		s = span_skip(s, 1);
	} else {
		host = url_take(&s, ":");
	}
	if (s.n > 0 && s.p[0] != ':') {
		url_error(url, "expected : and a port behind the host");
		return;
	}
	url->host = host.n > 0 ? url_decode(url, host) : NULL;
	url->port = s.n > 1 ? url_decode(url, span_skip(s, 1)) : NULL;
}

/* postgresql://[user[:password]@][host][:port][/dbname][?name=value&...] */
static void url_parse_uri(struct url *url, struct span s)
{
	struct span authority = url_take(&s, "/?");
	const uint8_t *at = memrchr(authority.p, '@', authority.n);
	if (at != NULL) {
		struct span login = span_make(authority.p, (size_t)(at - authority.p));
		authority = span_skip(authority, login.n + 1);
		struct span user = url_take(&login, ":");
		url->user = user.n > 0 ? url_decode(url, user) : NULL;
		url->password =
		    login.n > 0 ? url_decode(url, span_skip(login, 1)) : NULL;
	}
	url_host(url, authority);
	if (s.n > 0 && s.p[0] == '/') {
		s = span_skip(s, 1);
		struct span dbname = url_take(&s, "?");
		url->dbname = dbname.n > 0 ? url_decode(url, dbname) : NULL;
	}
	if (s.n > 0) {
		url_query(url, span_skip(s, 1));
	}
}

static void url_parse(struct url *url, const char *text)
{
	static const char *const schemes[] = { "postgresql://", "postgres://" };
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);
		if (strncmp(text, schemes[i], n) == 0) {
			url_parse_uri(url, span_str(text + n));
			return;
		}
	}
	struct buf scratch;
	buf_init(&scratch, ENV_MAX_VALUE);
	const char *wrong = strstr(text, "://") != NULL && strchr(text, '=') == NULL
				? "must begin with postgresql:// or postgres://"
				: config_split_pairs(span_str(text), true, &scratch,
						     url_parameter, url);
	if (wrong != NULL) {
		url_error(url, wrong);
	}
	buf_fini(&scratch);
}

/* Sets the row NAME of [databases] in DB. */
static void url_set(struct url *url, struct config_database *db, const char *name,
		    const char *value)
{
	size_t n;
	const struct config_option *keys = config_database_keys(&n);
	for (size_t i = 0; value != NULL && *value != 0 && i < n; i++) {
		if (strcmp(keys[i].name, name) == 0 &&
		    config_option_parse(url->build, &keys[i], name, span_str(value),
					db)) {
			db->given |= UINT32_C(1) << i;
		}
	}
}

/* The user of the URL may log in at pgrecall with the URL's password, and the same is
 * used towards the server. */
static void url_add_user(struct url *url)
{
	struct config_user *user =
	    config_build_user_slot(url->build, span_str(url->user));
	if (user != NULL && url->password != NULL && *url->password != 0) {
		user->password = url->password;
	}
}

static void env_database_url(struct config_build *build, const char *text)
{
	struct url url = { .build = build };
	size_t before = build->errors->n_errors;
	url_parse(&url, text);
	if (url.dbname == NULL || *url.dbname == 0) {
		url.dbname = url.user;
	}
	if (url.host != NULL && strchr(url.host, ',') != NULL) {
		url_error(&url, "lists of hosts are for [databases]");
	}
	if (build->errors->n_errors != before) {
		return;
	}
	if (url.dbname == NULL || *url.dbname == 0) {
		url_error(&url, "it names neither a database nor a user");
		return;
	}
	struct config_database *db =
	    config_build_database_slot(build, span_str(url.dbname));
	if (db != NULL) {
		/* pool sizes that the file has for this name stay, the server does not
		 */
		db->host = db->user = db->password = NULL;
		db->sslrootcert = db->sslcert = db->sslkey = NULL;
		db->ports = NULL;
		db->given &= ~URL_KEYS;
		url_set(&url, db, "host", url.host);
		url_set(&url, db, "port", url.port);
		url_set(&url, db, "dbname", url.dbname);
		for (size_t i = 0; i < ARRAY_LEN(url_tls_names); i++) {
			url_set(&url, db, url_tls_names[i], url.tls[i]);
		}
		config_build_servers(build, db);
	}
	if (url.user != NULL && *url.user != 0) {
		url_add_user(&url);
	}
	build->has_url = true;
	build->url_has_password = url.password != NULL && *url.password != 0;
}

void config_build_environment(struct config_build *build, char *const *environment)
{
	require(build != NULL && environment != NULL);
	build->file = "environment";
	build->line = 0;
	const char *text = env_get(environment, "DATABASE_URL");
	if (text != NULL) {
		env_database_url(build, text);
	}
	for (size_t i = 0; i < ARRAY_LEN(env_rows); i++) {
		text = env_get(environment, env_rows[i].variable);
		if (text != NULL) {
			env_apply(build, &env_rows[i], text);
		}
	}
	build->file = NULL;
}
