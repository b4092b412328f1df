/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the process itself is: help, version, settings, state, memory; what PgBouncer
 * has and pgrecall has not; and what drivers say to every server. */

#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/metrics.h"
#include "base/sqlstate.h"
#include "cache/store.h"
#include "console_pools_priv.h"
#include "console_priv.h"
#include "proxy/client.h"
#include "upstream/gates.h"
#include "upstream/server.h"

#define CONSOLE_COMMAND(id, words, argument, access, object, help) \
	"\n\t" words "\t" help
static const char console_help[] =
#include "tbl/console_commands.h"
    ;
#undef CONSOLE_COMMAND

static void console_help_begin(struct console_job *job)
{
	job->notice = console_help;
}

static void console_version_begin(struct console_job *job)
{
	console_row(&job->rows);
	console_text(&job->rows, "pgrecall " PGRECALL_VERSION);
	console_row_end(&job->rows);
}

/* Settings */

/* The bare name where PgBouncer's section is meant, else section.name. */
static void console_config_row(struct console_rows *rows,
			       const struct config_option *option,
			       const struct config *config)
{
	char key[128];
	struct buf value;
	const char *section = config_option_section(option);
	bool is_bare = strcmp(section, "pgrecall") == 0;
	snprintf(key, sizeof(key), "%s%s%s", is_bare ? "" : section, is_bare ? "" : ".",
		 config_option_name(option));
	buf_init(&value, 65536);
	config_option_text(option, config, &value);
	buf_append_u8(&value, 0);
	console_row(rows);
	console_text(rows, key);
	console_text(rows, buf_ok(&value) ? (const char *)value.data : "");
	console_text(rows, config_option_default(option));
	console_text(rows, config_option_is_reloadable(option) ? "yes" : "no");
	console_row_end(rows);
	buf_fini(&value);
}

static void console_config_begin(struct console_job *job)
{
	struct config *config = proxy_config(job->console->proxy);
	const struct config_option *option;
	for (size_t i = 0; (option = config_option(i)) != NULL; i++) {
		console_config_row(&job->rows, option, config);
	}
	config_unref(config);
}

/* State and memory */

static void console_state_row(struct console_rows *rows, const char *key, bool is_so)
{
	console_row(rows);
	console_text(rows, key);
	console_text(rows, is_so ? "yes" : "no");
	console_row_end(rows);
}

static void console_state_begin(struct console_job *job)
{
	bool paused = (gates_of(&job->console->proxy->pools, span_make(NULL, 0)) &
		       GATE_PAUSED) != 0;
	console_state_row(&job->rows, "active", !paused);
	console_state_row(&job->rows, "paused", paused);
	console_state_row(&job->rows, "suspended", false);
}

static void console_mem_row(struct console_rows *rows, const char *name, uint64_t size,
			    uint64_t used, uint64_t total)
{
	console_row(rows);
	console_text(rows, name);
	console_number(rows, size);
	console_number(rows, used);
	console_number(rows, 0);
	console_number(rows, total);
	console_row_end(rows);
}

static enum console_outcome console_mem_finish(struct console_job *job)
{
	struct proxy *proxy = job->console->proxy;
	struct metrics *sum = console_sum(job->console);
	uint64_t n_servers = 0;
	if (sum == NULL) {
		console_fail(job, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return CONSOLE_DONE;
	}
	store_shared_collect(proxy->store, sum);
	uint64_t n_pools = 0;
	for (size_t i = 0; i < job->pools->n; i++) {
		n_servers += job->pools->at[i].n_servers;
		n_pools += job->pools->at[i].is_pool ? 1 : 0;
	}
	uint64_t n_clients = atomic_load(&proxy->n_clients);
	console_mem_row(&job->rows, "client", sizeof(struct client), n_clients,
			n_clients * sizeof(struct client));
	console_mem_row(&job->rows, "server", sizeof(struct server), n_servers,
			n_servers * sizeof(struct server));
	console_mem_row(&job->rows, "pool", sizeof(struct pool_shared), n_pools,
			n_pools * sizeof(struct pool_shared));
	uint64_t n_entries = metric_get(&sum->cache_entries[METRIC_MEMORY_L1]);
	uint64_t bytes = metric_get(&sum->cache_memory[METRIC_MEMORY_L1]);
	console_mem_row(&job->rows, "cache_entry", n_entries ? bytes / n_entries : 0,
			n_entries, bytes);
	metrics_free(sum);
	return CONSOLE_DONE;
}

/* What drivers say */

/* Settings of a driver are accepted, as every server would; those of pgrecall belong
 * into its file. */
static void console_set_begin(struct console_job *job)
{
	const struct config_option *option;
	for (size_t i = 0; (option = config_option(i)) != NULL; i++) {
		if (strcmp(config_option_name(option), job->argument) == 0) {
			console_fail(job, SQLSTATE_FEATURE_NOT_SUPPORTED,
				     "settings are changed in the file, followed by "
				     "RELOAD");
			return;
		}
	}
}

const struct console_command console_show_help = {
	.tag = "SHOW",
	.begin = console_help_begin,
};
const struct console_command console_show_version = {
	.table = CONSOLE_TABLE_VERSION,
	.tag = "SHOW",
	.begin = console_version_begin,
};
const struct console_command console_show_config = {
	.table = CONSOLE_TABLE_CONFIG,
	.tag = "SHOW",
	.begin = console_config_begin,
};
const struct console_command console_show_state = {
	.table = CONSOLE_TABLE_STATE,
	.tag = "SHOW",
	.begin = console_state_begin,
};
const struct console_command console_show_mem = {
	.table = CONSOLE_TABLE_MEM,
	.tag = "SHOW",
	.visit = console_gather_pools,
	.finish = console_mem_finish,
};
const struct console_command console_show_dns_hosts = {
	.table = CONSOLE_TABLE_DNS_HOSTS,
	.tag = "SHOW",
};
const struct console_command console_show_dns_zones = {
	.table = CONSOLE_TABLE_DNS_ZONES,
	.tag = "SHOW",
};
const struct console_command console_show_peers = {
	.table = CONSOLE_TABLE_PEERS,
	.tag = "SHOW",
};
const struct console_command console_show_peer_pools = {
	.table = CONSOLE_TABLE_PEER_POOLS,
	.tag = "SHOW",
};
const struct console_command console_set = {
	.tag = "SET",
	.begin = console_set_begin,
};
const struct console_command console_reset = { .tag = "RESET" };
const struct console_command console_discard = { .tag = "DISCARD ALL" };
const struct console_command console_begin = { .tag = "BEGIN" };
const struct console_command console_commit = { .tag = "COMMIT" };
const struct console_command console_rollback = { .tag = "ROLLBACK" };
