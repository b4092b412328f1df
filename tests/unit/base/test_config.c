/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Whole configurations: what a text and an environment give, what is refused and how it
 * is said, and what may change while running. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_errors.h"
#include "base/ini.h"
#include "faulty_alloc.h"

#define TRUST "[pgrecall]\nauth_type = trust\n"
#define CHAT  "[databases]\nchat = host=h\n"

static int load_with(const char *text, const char *const *environment,
		     struct config **out, struct config_errors *errors)
{
	config_errors_init(errors);
	*out = NULL;
	/* main()'s type, which has fewer consts */
	char *const *env = (char *const *)(uintptr_t)environment;
	return text != NULL ? config_load_text(span_str(text), env, out, errors)
			    : config_load(NULL, env, out, errors);
}

/* A configuration that must be fine. */
static struct config *load_env(const char *text, const char *const *environment)
{
	struct config *config;
	struct config_errors errors;
	int r = load_with(text, environment, &config, &errors);
	cr_assert_eq(r, 0, "%s", errors.n ? errors.items[0].text : "no memory");
	config_errors_fini(&errors);
	return config;
}

static struct config *load(const char *text)
{
	return load_env(text, NULL);
}

/* One that must be refused, with an error at LINE that has WORDS in it. */
static void refuse_env(const char *text, const char *const *environment, unsigned line,
		       const char *words)
{
	struct config *config;
	struct config_errors errors;
	cr_assert_eq(load_with(text, environment, &config, &errors), CONFIG_E_INVALID,
		     "accepted: %s", text ? text : "environment");
	cr_assert_null(config);
	bool found = false;
	for (size_t i = 0; i < errors.n; i++) {
		found = found ||
			(errors.items[i].line == line && !errors.items[i].is_warning &&
			 strstr(errors.items[i].text, words) != NULL);
	}
	cr_assert(found, "line %u, %s; first: %u %s", line, words, errors.items[0].line,
		  errors.items[0].text);
	config_errors_fini(&errors);
}

Test(config, defaults)
{
	struct config *c = load(TRUST CHAT);
	cr_assert_str_eq(c->listen_addr, "127.0.0.1");
	cr_assert_eq(c->listen_port, 6432);
	cr_assert_eq(c->pool_mode, POOL_MODE_TRANSACTION);
	cr_assert_eq(c->unix_socket_mode, 0700);
	cr_assert_eq(c->default_pool_size, 50);
	cr_assert_eq(c->min_pool_size, 10);
	cr_assert_eq(c->query_wait_timeout_ms, 15000);
	cr_assert_eq(c->max_packet_size, (1U << 30) - 1);
	cr_assert_eq(c->slow_query_threshold_ms, 1000);
	cr_assert(c->cache_enabled && c->cache_recent && c->cache_vector);
	cr_assert_not(c->cache_default);
	cr_assert_eq(c->ttl_vector_ms, 3600000);
	cr_assert_eq(c->l1_size, UINT64_C(256) << 20);
	cr_assert_eq(c->redis_timeout_ms, 20);
	cr_assert_str_eq(c->redis_url, "");
	cr_assert_str_eq(c->http_listen, "127.0.0.1:9187");
	cr_assert_eq(c->log_level, LOG_LEVEL_INFO);
	cr_assert_eq(c->monitor_interval_ms, 60000);
	cr_assert_geq(config_n_workers(c), 1);
	cr_assert_leq(config_n_workers(c), 4);
	config_unref(c);
}

Test(config, every_type)
{
	struct config *c = load("[pgbouncer]\nauth_type=trust\nlisten_addr = *, ::1\n"
				"listen_port=7000\nunix_socket_mode = 0770\n"
				"pool_mode = Session\nserver_idle_timeout = 2.5\n"
				"tcp_keepalive = no\npkt_buf=1MB\nworkers=3\n"
				"max_packet_size = 2147483647\n"
				"[log]\nlevel=debug\nformat=json\n"
				"slow_query_threshold = 250\n" CHAT);
	cr_assert_str_eq(c->listen_addr, "*, ::1");
	cr_assert_eq(c->listen_port, 7000);
	cr_assert_eq(c->unix_socket_mode, 0770);
	cr_assert_eq(c->pool_mode, POOL_MODE_SESSION);
	cr_assert_eq(c->server_idle_timeout_ms, 2500);
	cr_assert_not(c->tcp_keepalive);
	cr_assert_eq(c->pkt_buf, 1U << 20);
	cr_assert_eq(config_n_workers(c), 3);
	cr_assert_eq(c->max_packet_size, 2147483647);
	cr_assert_eq(c->log_level, LOG_LEVEL_DEBUG);
	cr_assert_eq(c->log_format, LOG_FORMAT_JSON);
	cr_assert_eq(c->slow_query_threshold_ms, 250);
	config_unref(c);
}

Test(config, databases)
{
	struct config *c = load(
	    TRUST "default_pool_size = 8\npool_mode = session\nquery_wait_timeout = 3\n"
		  "[databases]\n"
		  "a = host=h1 port=5433 dbname=real user=u password='it''s = x' "
		  "pool_size=4 min_pool_size = 2 pool_mode=transaction "
		  "max_db_connections=9 query_wait_timeout=20ms\n"
		  "b =\n"
		  "\"odd name\" = host='/run/my sockets'\n"
		  "* = host=any reserve_pool=0\n"
		  "b = host=again\n");
	const struct config_database *a = config_find_database(c, SPAN_LIT("a"));
	cr_assert_str_eq(a->host, "h1");
	cr_assert_eq(a->port, 5433);
	cr_assert_str_eq(a->dbname, "real");
	cr_assert_str_eq(a->user, "u");
	cr_assert_str_eq(a->password, "it's = x");
	cr_assert_eq(a->pool_size, 4);
	cr_assert_eq(a->min_pool_size, 2);
	cr_assert_eq(a->pool_mode, POOL_MODE_TRANSACTION);
	cr_assert_eq(a->max_db_connections, 9);
	cr_assert_eq(a->query_wait_timeout_ms, 20);
	cr_assert(a->has_pool_mode && a->has_pool_size);
	const struct config_database *b = config_find_database(c, SPAN_LIT("b"));
	cr_assert_str_eq(b->host, "again", "a later line replaces an earlier one");
	cr_assert_str_eq(b->dbname, "b");
	cr_assert_null(b->user);
	cr_assert_eq(b->port, 5432);
	cr_assert_eq(b->pool_size, 8);
	cr_assert_eq(b->min_pool_size, 8, "not above the pool's size");
	cr_assert_eq(b->pool_mode, POOL_MODE_SESSION);
	cr_assert_not(b->has_pool_mode);
	cr_assert_eq(b->query_wait_timeout_ms, 3000);
	cr_assert_str_eq(config_find_database(c, SPAN_LIT("odd name"))->host,
			 "/run/my sockets");
	const struct config_database *any = config_find_database(c, SPAN_LIT("zzz"));
	cr_assert_str_eq(any->name, "*");
	cr_assert_null(any->dbname, "the name that was asked for");
	cr_assert_eq(c->n_databases, 4);
	config_unref(c);
	c = load(TRUST CHAT);
	cr_assert_null(config_find_database(c, SPAN_LIT("zzz")));
	config_unref(c);
}

Test(config, users)
{
	struct config *c = load(TRUST "query_timeout=7\n" CHAT
				      "[users]\nu = pool_mode=session pool_size=3 "
				      "max_user_connections=2\nv = query_timeout=0\n");
	const struct config_user *u = config_find_user(c, SPAN_LIT("u"));
	cr_assert(u->has_pool_mode);
	cr_assert_eq(u->pool_mode, POOL_MODE_SESSION);
	cr_assert_eq(u->pool_size, 3);
	cr_assert_eq(u->max_user_connections, 2);
	cr_assert_eq(u->query_timeout_ms, 7000);
	cr_assert_null(u->password);
	cr_assert_eq(config_find_user(c, SPAN_LIT("v"))->query_timeout_ms, 0);
	cr_assert_null(config_find_user(c, SPAN_LIT("w")));
	config_unref(c);
}

Test(config, rules)
{
	struct config *c = load(
	    TRUST CHAT "[rule one]\nfingerprint = 00ff, 0xAbCdEf0123456789\n"
		       "table = messages, audit.log\nclass = context, default\n"
		       "ttl = 90\nmax_size = 2kB\n"
		       "[rule two]\nquery = ~^SELECT .* FROM (a|b)$\nenabled = off\n"
		       "[rule  one]\nttl = 0\n[rule three]\nquery = SELECT $1\n");
	cr_assert_eq(c->n_rules, 3);
	const struct config_rule *one = &c->rules[0];
	cr_assert_str_eq(one->name, "one");
	cr_assert_eq(one->n_fingerprints, 2);
	cr_assert_eq(one->fingerprints[0], 0xff);
	cr_assert_eq(one->fingerprints[1], 0xabcdef0123456789U);
	cr_assert_eq(one->classes,
		     (1U << RULE_CLASS_CONTEXT) | (1U << RULE_CLASS_DEFAULT));
	cr_assert_eq(one->ttl_ms, 0, "the same section goes on");
	cr_assert_eq(one->max_size, 2048);
	cr_assert(one->enabled);
	cr_assert(config_rule_matches_table(one, "public.messages"));
	cr_assert(config_rule_matches_table(one, "audit.log"));
	cr_assert_not(config_rule_matches_table(one, "public.log"));
	cr_assert(config_rule_matches_query(one, "anything"));
	const struct config_rule *two = &c->rules[1];
	cr_assert_not(two->enabled);
	cr_assert_eq(two->ttl_ms, -1);
	cr_assert(config_rule_matches_query(two, "SELECT 1 FROM b"));
	cr_assert_not(config_rule_matches_query(two, "SELECT 1 FROM c"));
	cr_assert(config_rule_matches_table(two, "any.thing"));
	cr_assert(config_rule_matches_query(&c->rules[2], "SELECT $1"));
	cr_assert_not(config_rule_matches_query(&c->rules[2], "SELECT $1 "));
	config_unref(c);
}

Test(config, refusals_say_where_and_what)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *words;
	} cases[] = {
		{ TRUST "max_client_con = 1\n" CHAT, 3,
		  "did you mean \"max_client_conn\"" },
		{ TRUST "l1_size = 1\n" CHAT, 3, "belongs into section [cache]" },
		{ TRUST "zzz = 1\n" CHAT, 3, "unknown setting \"zzz\"" },
		{ TRUST "listen_port = 0\n" CHAT, 3, "from 1 to 65535" },
		{ TRUST "listen_port = x\n" CHAT, 3,
		  "listen_port = x: must be a number" },
		{ TRUST "query_timeout = 5m\n" CHAT, 3, "must be a duration" },
		{ TRUST "tcp_keepalive = 7\n" CHAT, 3, "must be on or off" },
		{ TRUST CHAT "[cache]\nmax_result_size = 33MB\n", 6, "to 32MB" },
		{ TRUST CHAT "[rule r]\nmax_size = 33MB\n", 6, "to 32MB" },
		{ TRUST "pool_mode = query\n" CHAT, 3, "session, transaction" },
		{ "[pgrecall]\nauth_type = ldap\n" CHAT, 2, "md5, scram-sha-256" },
		{ "[pgrecall]\nauth_type = md5\n" CHAT, 0, "md5 and nobody" },
		{ "[pgrecall]\nauth_type = plain\n" CHAT, 0, "plain and nobody" },
		{ "[pgrecall]\nauth_type = any\n" CHAT, 0, "chat has no user" },
		{ "[pgrecall]\nauth_type = hba\n" CHAT, 0, "auth_hba_file is not set" },
		{ "[pgrecall]\nauth_type = cert\n" CHAT, 0, "client_tls_sslmode" },
		{ "[pgrecall]\nauth_type = peer\n" CHAT, 0, "unix_socket_dir is not" },
		{ TRUST "auth_ldap_options = x\n" CHAT, 3, "not supported yet" },
		{ TRUST "client_tls_sslmode = require\n" CHAT, 0,
		  "client_tls_key_file and" },
		{ TRUST "client_tls_sslmode = on\n" CHAT, 3, "verify-full" },
		{ TRUST "client_tls_sslmode = allow\nclient_tls_key_file = /no/x\n"
			"client_tls_cert_file = /dev/null\n" CHAT,
		  0, "client_tls_key_file: cannot read /no/x" },
		{ TRUST "client_tls_sslmode = verify-ca\n"
			"client_tls_key_file = /dev/null\n"
			"client_tls_cert_file = /dev/null\n" CHAT,
		  0, "client_tls_ca_file" },
		{ TRUST "client_tls_protocols = tlsv1.4\n" CHAT, 0, "tlsv1.0 to" },
		{ TRUST "client_tls_protocols = secure,!tlsv1.2,!tlsv1.3\n" CHAT, 0,
		  "tlsv1.0 to" },
		{ TRUST "auth_dbname = nowhere\n" CHAT, 0,
		  "auth_dbname = nowhere: not a name" },
		{ TRUST CHAT "x = auth_dbname=nowhere\n", 0,
		  "x: auth_dbname = nowhere: not a name" },
		{ TRUST "server_tls_protocols = tlsv1.1,tlsv1.3\n" CHAT, 0, "no gap" },
		{ TRUST "server_tls_ca_file = /no/ca\n" CHAT, 0, "cannot read /no/ca" },
		{ TRUST "server_tls_ciphers = HIGH\n" CHAT, 3, "openssl.cnf" },
		{ TRUST CHAT "x = sslmode=on\n", 5, "verify-full" },
		{ TRUST CHAT "x = sslcert=/no/crt\n", 0, "cannot read /no/crt" },
		{ TRUST CHAT "x = channel_binding=require\n", 0, "needs TLS" },
		{ TRUST "listen_addr =\n" CHAT, 0, "no client could connect" },
		{ TRUST, 0, "no database" },
		{ "[pgrecall]\n" CHAT, 0, "nobody has a password" },
		{ TRUST "auth_file = /nonexistent/x\n" CHAT, 0, "cannot read" },
		{ "[databses]\n" TRUST CHAT, 1, "did you mean [databases]" },
		{ TRUST CHAT "[peers]\n1 = host=x\n", 5, "[peers] is not supported" },
		{ TRUST CHAT "[cache]\nl1_shards = 3\n", 0, "power of two" },
		{ TRUST CHAT "[redis]\nurl = rediss://x\n", 0, "TLS" },
		{ TRUST CHAT "[redis]\nurl = http://x\n", 0, "redis:// or unix:" },
		{ TRUST CHAT "[http]\nlisten = localhost\n", 0, "host:port" },
		{ TRUST CHAT "x = prot=1\n", 5, "did you mean \"port\"" },
		{ TRUST CHAT "x = host=a,b,c port=1,2\n", 5, "2 ports for 3 hosts" },
		{ TRUST CHAT "x = host=a,b port=1,0\n", 5, "from 1 to 65535" },
		{ TRUST CHAT "x = host=a port=1x\n", 5, "from 1 to 65535" },
		{ TRUST CHAT "x = host=a port=,\n", 5, "0 ports" },
		{ TRUST CHAT "x = host=,\n", 5, "1 to 16 servers" },
		{ TRUST CHAT "x = host=1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g,h\n", 5,
		  "1 to 16 servers" },
		{ TRUST CHAT "x = load_balance_hosts=random\n", 5, "round-robin" },
		{ TRUST CHAT "x = cache=perhaps\n", 5, "on or off" },
		{ TRUST CHAT "x = port=70000\n", 5, "from 1 to 65535" },
		{ TRUST CHAT "x = host\n", 5, "key=value" },
		{ TRUST CHAT "x = host='a\n", 5, "quote does not end" },
		{ TRUST CHAT "[users]\nu = pool_sizes=1\n", 6,
		  "did you mean \"pool_size\"" },
		{ TRUST CHAT "[rule]\n", 5, "needs a name" },
		{ TRUST CHAT "[rule r]\nttl = 10ms\n", 6, "from 1s" },
		{ TRUST CHAT "[rule r]\nquery = ~(\n", 6, "query: " },
		{ TRUST CHAT "[rule r]\nclass = fresh\n", 6, "class fresh" },
		{ TRUST CHAT "[rule r]\nfingerprint = xyz\n", 6, "hexadecimal" },
		{ TRUST CHAT "[rule r]\ntables = x\n", 6, "did you mean \"table\"" },
		{ TRUST CHAT "[rule r]\nenabled = maybe\n", 6, "on or off" },
		{ TRUST CHAT "[rule r]\ntable = ,\n", 6, "expected a list" },
		{ TRUST CHAT "[rule r]\nmax_size = 0\n", 6, "max_size" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		refuse_env(cases[i].text, NULL, cases[i].line, cases[i].words);
	}
}

Test(config, all_errors_at_once)
{
	struct config *config;
	struct config_errors errors;
	load_with(
	    "[pgrecall]\na=1\nb=2\nlisten_port=x\n[q]\nignored=1\n[databases]\nd = x\n",
	    NULL, &config, &errors);
	/* a, b, listen_port, [q], d, and that nobody has a password */
	cr_assert_eq(errors.n_errors, 6);
	config_errors_fini(&errors);
}

Test(config, what_pgbouncer_has_and_is_harmless)
{
	struct config *config;
	struct config_errors errors;
	cr_assert_eq(load_with(TRUST
			       "logfile = /var/log/x\npidfile = y\nso_reuseport = 1\n"
			       "client_tls_sslmode = disable\nadmin_users = me\n"
			       "server_tls_sslmode = prefer\nauth_query =\n" CHAT,
			       NULL, &config, &errors),
		     0);
	cr_assert_eq(errors.n_warnings, 2, "logfile, pidfile");
	cr_assert_not_null(strstr(errors.items[0].text, "not supported yet, ignored"));
	config_errors_fini(&errors);
	config_unref(config);
}

/* ---- the environment --------------------------------------------------------------
 */

Test(config_env, database_url_alone_is_enough)
{
	const char *env[] = {
		"PATH=/bin",
		"DATABASE_URL=postgresql://me:p%40ss%2f@db.example:5433/chat"
		"?sslmode=prefer&application_name=x",
		NULL
	};
	struct config *c = load_env(NULL, env);
	cr_assert_eq(c->n_databases, 1);
	const struct config_database *db = config_find_database(c, SPAN_LIT("chat"));
	cr_assert_str_eq(db->host, "db.example");
	cr_assert_eq(db->port, 5433);
	cr_assert_str_eq(db->dbname, "chat");
	cr_assert_null(db->user, "clients log in to the server as themselves");
	const struct config_user *me = config_find_user(c, SPAN_LIT("me"));
	cr_assert_str_eq(me->password, "p@ss/");
	cr_assert_eq(c->auth_type, AUTH_TYPE_SCRAM);
	config_unref(c);
}

Test(config_env, forms_of_database_url)
{
	static const struct {
		const char *url;
		const char *name;
		const char *host;
		uint16_t port;
		const char *user;
		const char *password;
	} cases[] = {
		{ "postgres://h/d", "d", "h", 5432, NULL, NULL },
		{ "postgres://u@h", "u", "h", 5432, "u", NULL },
		{ "postgres://u:@h/d", "d", "h", 5432, "u", NULL },
		{ "postgres:///d", "d", NULL, 5432, NULL, NULL },
		{ "postgres://u:p@[::1]:6000/d", "d", "::1", 6000, "u", "p" },
		{ "postgres://%2Frun%2Fpg/d", "d", "/run/pg", 5432, NULL, NULL },
		{ "postgres:///d?host=/run/pg&port=7", "d", "/run/pg", 7, NULL, NULL },
		{ "postgres://u:a@b:c@h/d", "d", "h", 5432, "u", "a@b:c" },
		{ "postgresql://h/my%20db?user=u&password=%26", "my db", "h", 5432, "u",
		  "&" },
		{ "host=h port=6 dbname=d user=u password='a\\'b c'", "d", "h", 6, "u",
		  "a'b c" },
		{ "dbname = d host = h", "d", "h", 5432, NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[300];
		snprintf(text, sizeof(text), "DATABASE_URL=%s", cases[i].url);
		const char *env[] = { text, NULL };
		struct config *c = load_env(NULL, env);
		const struct config_database *db =
		    config_find_database(c, span_str(cases[i].name));
		cr_assert_not_null(db, "%s", cases[i].url);
		cr_assert_eq(db->port, cases[i].port);
		cr_assert(cases[i].host == NULL ? db->host == NULL
						: strcmp(db->host, cases[i].host) == 0);
		cr_assert_eq(c->n_users, cases[i].user != NULL);
		const char *password = c->n_users ? c->users[0].password : NULL;
		cr_assert(c->n_users == 0 ||
			  strcmp(c->users[0].name, cases[i].user) == 0);
		cr_assert(cases[i].password == NULL
			      ? password == NULL
			      : strcmp(password, cases[i].password) == 0);
		cr_assert_eq(c->auth_type,
			     cases[i].password ? AUTH_TYPE_SCRAM : AUTH_TYPE_TRUST);
		config_unref(c);
	}
}

Test(config_env, refused_urls)
{
	static const struct {
		const char *variable;
		const char *words;
	} cases[] = {
		{ "DATABASE_URL=mysql://h/d", "must begin with postgresql://" },
		{ "DATABASE_URL=postgres://h1,h2/d", "lists of hosts" },
		{ "DATABASE_URL=postgres://h:99999/d", "port" },
		{ "DATABASE_URL=postgres://h", "neither a database nor a user" },
		{ "DATABASE_URL=postgres://u:%zz@h/d", "percent sign" },
		{ "DATABASE_URL=postgres://u:%4@h/d", "percent sign" },
		{ "DATABASE_URL=postgres://u:%00@h/d", "control character" },
		{ "DATABASE_URL=postgres://[::1/d", "[ without ]" },
		{ "DATABASE_URL=postgres://h/d?sslmode=on", "sslmode" },
		{ "DATABASE_URL=postgres://h/d?prot=5", "did you mean \"port\"" },
		{ "DATABASE_URL=postgres://h/d?port", "name=value" },
		{ "DATABASE_URL=nonsense", "key=value" },
		{ "DATABASE_URL=dbname='x", "quote does not end" },
		{ "DB_POOL_MAX=lots", "DB_POOL_MAX = lots" },
		{ "REDIS_CACHE_TTL=0", "REDIS_CACHE_TTL" },
		{ "REDIS_URL=memcached://x", "redis" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *env[] = { cases[i].variable, NULL };
		struct config *config;
		struct config_errors errors;
		bool is_url = strncmp(cases[i].variable, "DATABASE", 8) == 0;
		int r = load_with(is_url ? NULL : TRUST CHAT, env, &config, &errors);
		cr_assert_eq(r, CONFIG_E_INVALID, "%s", cases[i].variable);
		cr_assert_not_null(strstr(errors.items[0].text, cases[i].words),
				   "%s: %s", cases[i].variable, errors.items[0].text);
		config_errors_fini(&errors);
	}
}

Test(config_env, overrides_the_file)
{
	const char *env[] = { "DATABASE_URL=postgres://me:pw@newhost/chat",
			      "REDIS_URL=redis://r:1/2",
			      "DB_POOL_MAX=7",
			      "DB_POOL_MIN=2",
			      "DB_POOL_IDLE_TIMEOUT=4500",
			      "REDIS_CACHE_TTL=10",
			      "VECTOR_CACHE_TTL=2h",
			      "SLOW_QUERY_THRESHOLD=5",
			      "MONITOR_INTERVAL=2000",
			      NULL };
	struct config *c = load_env("[pgrecall]\ndefault_pool_size=3\n[databases]\n"
				    "chat = host=old port=1 user=x password=y "
				    "pool_mode=session\nother = host=o\n",
				    env);
	cr_assert_eq(c->default_pool_size, 7);
	cr_assert_eq(c->min_pool_size, 2);
	cr_assert_eq(c->server_idle_timeout_ms, 4500);
	cr_assert_eq(c->ttl_recent_ms, 10000);
	cr_assert_eq(c->ttl_context_ms, 10000);
	cr_assert_eq(c->ttl_default_ms, 10000);
	cr_assert_eq(c->ttl_vector_ms, 7200000);
	cr_assert_eq(c->slow_query_threshold_ms, 5);
	cr_assert_eq(c->monitor_interval_ms, 2000);
	cr_assert_str_eq(c->redis_url, "redis://r:1/2");
	const struct config_database *db = config_find_database(c, SPAN_LIT("chat"));
	cr_assert_str_eq(db->host, "newhost");
	cr_assert_eq(db->port, 5432);
	cr_assert_null(db->user);
	cr_assert_null(db->password);
	cr_assert_eq(db->pool_mode, POOL_MODE_SESSION);
	cr_assert_eq(c->n_databases, 2);
	config_unref(c);
}

Test(config_env, empty_variables_are_none)
{
	const char *env[] = { "DATABASE_URL=", "REDIS_URL=", "DB_POOL_MAX=", NULL };
	struct config *c = load_env(TRUST CHAT, env);
	cr_assert_eq(c->default_pool_size, 50);
	config_unref(c);
}

Test(config_env, trust_is_warned_of_beyond_loopback)
{
	const char *env[] = { "DATABASE_URL=postgres://h/d", NULL };
	struct config *config;
	struct config_errors errors;
	cr_assert_eq(load_with("[pgrecall]\nlisten_addr = *\n", env, &config, &errors),
		     0);
	cr_assert_eq(config->auth_type, AUTH_TYPE_TRUST);
	cr_assert_eq(errors.n_warnings, 1);
	config_errors_fini(&errors);
	config_unref(config);
	cr_assert_eq(load_with("[pgrecall]\nlisten_addr = localhost,::1\n", env,
			       &config, &errors),
		     0);
	cr_assert_eq(errors.n_warnings, 0);
	config_errors_fini(&errors);
	config_unref(config);
}

Test(config_env, passwords_are_not_in_errors)
{
	const char *env[] = { "DATABASE_URL=postgres://u:hunter2@h,i:x/d?q", NULL };
	struct config *config;
	struct config_errors errors;
	struct buf out;
	buf_init(&out, 10000);
	cr_assert_eq(load_with(NULL, env, &config, &errors), CONFIG_E_INVALID);
	config_errors_text(&errors, &out);
	buf_append_u8(&out, 0);
	cr_assert_null(strstr((char *)out.data, "hunter2"));
	buf_fini(&out);
	config_errors_fini(&errors);
}

/* ---- text and comparison ----------------------------------------------------------
 */

static char *dump(const struct config *config)
{
	struct buf out;
	buf_init(&out, 1 << 20);
	config_dump(config, &out);
	buf_append_u8(&out, 0);
	cr_assert(buf_ok(&out));
	return (char *)out.data;
}

static const char rich[] = TRUST
    "server_idle_timeout=90\nlisten_addr=*\n[redis]\nurl=redis://u:topsecret@h:1/2\n"
    "[databases]\nchat = host=h password='a b' pool_mode=session\n\"x y\" = port=1\n"
    "* =\n[users]\nu = pool_size=3\n"
    "[rule r]\ntable = a.b, c\nfingerprint = 1f\nquery = ~^x\nclass = recent\n"
    "ttl = 2min\nmax_size = 10\n[rule s]\nenabled = off\n";

Test(config_dump, loads_back_to_the_same)
{
	struct config *c = load(rich);
	char *first = dump(c);
	struct config *again = load(first);
	char *second = dump(again);
	cr_assert_str_eq(first, second);
	cr_assert_null(strstr(first, "topsecret"));
	cr_assert_null(strstr(first, "a b"));
	cr_assert_not_null(strstr(first, "redis://***@h:1/2"));
	cr_assert_not_null(strstr(first, "\"x y\" = port=1\n"));
	free(first);
	free(second);
	config_unref(c);
	config_unref(again);
}

static void note_change(void *arg, const char *name, const char *old_text,
			const char *new_text, bool needs_restart)
{
	buf_printf(arg, "%s: %s -> %s%s\n", name, old_text ? old_text : "none",
		   new_text ? new_text : "none", needs_restart ? " (restart)" : "");
}

static void assert_diff(const char *old_text, const char *new_text,
			const char *expected)
{
	struct config *old = load(old_text);
	struct config *fresh = load(new_text);
	struct buf out;
	buf_init(&out, 100000);
	config_diff(old, fresh, note_change, &out);
	cr_assert(span_eq_str(buf_span(&out), expected), "%.*s", (int)out.len,
		  (char *)out.data);
	buf_fini(&out);
	config_unref(old);
	config_unref(fresh);
}

Test(config_diff, names_what_changed)
{
	assert_diff(rich, rich, "");
	assert_diff(TRUST CHAT, TRUST "workers=2\nquery_timeout=3\n" CHAT,
		    "pgrecall.workers: 0 -> 2 (restart)\n"
		    "pgrecall.query_timeout: 0 -> 3s\n");
	assert_diff(TRUST CHAT "a = port=1\n", TRUST CHAT "a = port=2\nb = host=x\n",
		    "databases.a: port=1 -> port=2\n"
		    "databases.b: none -> host=x\n");
	assert_diff(TRUST CHAT "* =\nb =\n", TRUST CHAT "* =\n",
		    "databases.b:  -> none\n");
	assert_diff(TRUST CHAT "a = password=x\n", TRUST CHAT "a = password=y\n",
		    "databases.a: password=*** -> password=*** (another password)\n");
	assert_diff(TRUST CHAT "[redis]\nurl=redis://a:b@h\n",
		    TRUST CHAT "[redis]\nurl=redis://a:c@h\n",
		    "redis.url: redis://***@h -> redis://***@h (another password) "
		    "(restart)\n");
	assert_diff(TRUST CHAT "[users]\nu = pool_size=1\n",
		    TRUST CHAT "[users]\nv = pool_size=1\n",
		    "users.u: pool_size=1 -> none\nusers.v: none -> pool_size=1\n");
	assert_diff(TRUST CHAT "[rule a]\nclass=recent\n[rule b]\nclass=vector\n",
		    TRUST CHAT "[rule b]\nclass=vector\n[rule a]\nclass=recent\n",
		    "rule.a: place 1;class = recent;enabled = on -> "
		    "place 2;class = recent;enabled = on\n"
		    "rule.b: place 2;class = vector;enabled = on -> "
		    "place 1;class = vector;enabled = on\n");
}

Test(config, numbers_are_kept_over_reloads)
{
	struct config *one = load(TRUST "[databases]\na=\nb=\nc=\n[rule r]\nttl=1\n");
	struct config *two = load(TRUST "[databases]\nc=\nd=\na=\n[rule s]\nttl=1\n"
					"[rule r]\nttl=1\n");
	struct config *three = load(TRUST "[databases]\nb=\nd=\n");
	cr_assert_eq(config_find_database(one, SPAN_LIT("c"))->index, 2);
	config_inherit(two, one);
	cr_assert_eq(config_find_database(two, SPAN_LIT("a"))->index, 0);
	cr_assert_eq(config_find_database(two, SPAN_LIT("c"))->index, 2);
	cr_assert_eq(config_find_database(two, SPAN_LIT("d"))->index, 3);
	cr_assert_eq(two->rules[0].index, 1);
	cr_assert_eq(two->rules[1].index, 0);
	config_inherit(three, two);
	cr_assert_eq(config_find_database(three, SPAN_LIT("d"))->index, 3);
	cr_assert_eq(config_find_database(three, SPAN_LIT("b"))->index, 4,
		     "a number is never used twice");
	config_unref(one);
	config_unref(two);
	config_unref(three);
}

Test(config, references)
{
	struct config *c = load(TRUST CHAT);
	cr_assert_eq(config_ref(c), c);
	config_unref(c);
	cr_assert_str_eq(c->databases[0].name, "chat");
	config_unref(c);
	config_unref(NULL);
}

Test(config, items_of_lists)
{
	const char *at = " a, b c ,d";
	struct span item;
	cr_assert(config_next_item(&at, &item) && span_eq_str(item, "a"));
	cr_assert(config_next_item(&at, &item) && span_eq_str(item, "b c"));
	cr_assert(config_next_item(&at, &item) && span_eq_str(item, "d"));
	cr_assert_not(config_next_item(&at, &item));
	cr_assert(
	    config_has_item("x, extra_float_digits", SPAN_LIT("extra_float_digits")));
	cr_assert_not(config_has_item("x, extra_float_digits", SPAN_LIT("extra")));
	cr_assert_not(config_has_item("", SPAN_LIT("")));
}

Test(config, no_memory_anywhere_is_an_error_not_a_crash)
{
	const char *env[] = { "DATABASE_URL=postgres://u:p@h/chat", NULL };
	for (size_t n = 1;; n++) {
		struct config *config;
		struct config_errors errors;
		config_errors_init(&errors);
		config = NULL;
		faulty_alloc_fail_at(n);
		int r = config_load_text(span_str(rich), (char *const *)(uintptr_t)env,
					 &config, &errors);
		bool is_done = faulty_alloc_count() < n;
		faulty_alloc_fail_at(0);
		cr_assert_eq(r == 0, config != NULL);
		cr_assert(!is_done || r == 0);
		config_unref(config);
		config_errors_fini(&errors);
		if (is_done) {
			cr_assert_gt(n, 10);
			break;
		}
	}
}

/* ---- conf/pgrecall.ini ------------------------------------------------------------
 */

struct conf_seen {
	size_t n;
	struct buf names; /* section.name, */
};

static void conf_entry(void *arg, const struct ini_entry *entry)
{
	struct conf_seen *seen = arg;
	const struct config_option *option;
	if (entry->is_section || span_eq_str(entry->section, "databases") ||
	    span_eq_str(entry->section, "users") ||
	    (entry->section.n > 4 && memcmp(entry->section.p, "rule", 4) == 0)) {
		return;
	}
	for (size_t i = 0; (option = config_option(i)) != NULL; i++) {
		if (span_eq_str(entry->section, config_option_section(option)) &&
		    span_eq_str(entry->key, config_option_name(option))) {
			cr_assert(
			    span_eq_str(entry->value, config_option_default(option)),
			    "%s", config_option_name(option));
			seen->n++;
			return;
		}
	}
	cr_assert_fail("no such option: %.*s", (int)entry->key.n, entry->key.p);
}

static char *conf_read(void)
{
	FILE *file = fopen(CONF_FILE, "r");
	cr_assert_not_null(file);
	char *text = calloc(1, 1 << 20);
	cr_assert_gt(fread(text, 1, (1 << 20) - 1, file), 0);
	fclose(file);
	return text;
}

Test(conf, example_names_every_option_with_its_default)
{
	struct conf_seen seen = { 0 };
	struct config_errors errors;
	size_t n = 0;
	char *text = conf_read();
	/* `;name = value` is a setting that is commented out, `; text` is a comment */
	for (char *p = text; (p = strstr(p, "\n;")) != NULL; p += 2) {
		bool is_setting = p[2] != ' ' && p[2] != '\n' && p[2] != ';';
		p[1] = is_setting ? ' ' : ';';
	}
	config_errors_init(&errors);
	cr_assert_eq(
	    ini_read_text("conf", span_str(text), true, conf_entry, &seen, &errors), 0);
	cr_assert_eq(errors.n_errors, 0, "%s", errors.n ? errors.items[0].text : "");
	while (config_option(n) != NULL) {
		n++;
	}
	cr_assert_eq(seen.n, n, "%zu of %zu options are in the example", seen.n, n);
	config_errors_fini(&errors);
	free(text);
}

Test(conf, example_is_a_configuration)
{
	const char *env[] = { "DATABASE_URL=postgres://u:p@h/chat", NULL };
	struct config *config;
	struct config_errors errors;
	config_errors_init(&errors);
	cr_assert_eq(
	    config_load(CONF_FILE, (char *const *)(uintptr_t)env, &config, &errors), 0);
	cr_assert_eq(errors.n_warnings, 0);
	cr_assert_str_eq(config->path, CONF_FILE);
	config_unref(config);
	config_errors_fini(&errors);
	cr_assert_eq(config_load("/nonexistent.ini", NULL, &config, &errors),
		     CONFIG_E_INVALID);
	config_errors_fini(&errors);
}
