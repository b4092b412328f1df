/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/config_tls.h"
#include "upstream/connect.h"

/* Every string of the options. */
static const size_t connect_strings[] = {
	offsetof(struct connect_options, host),
	offsetof(struct connect_options, ports),
	offsetof(struct connect_options, dbname),
	offsetof(struct connect_options, user),
	offsetof(struct connect_options, password),
	offsetof(struct connect_options, sslmode),
	offsetof(struct connect_options, sslrootcert),
	offsetof(struct connect_options, sslcert),
	offsetof(struct connect_options, sslkey),
	offsetof(struct connect_options, channel_binding),
	offsetof(struct connect_options, ssl_oldest),
	offsetof(struct connect_options, ssl_newest),
	offsetof(struct connect_options, application_name),
	offsetof(struct connect_options, options),
	offsetof(struct connect_options, replication),
};

static const char **connect_string(struct connect_options *options, size_t i)
{
	return (const char **)(void *)((char *)options + connect_strings[i]);
}

static const char *connect_text(const struct connect_options *options, size_t i)
{
	const char *s = *(const char *const *)(const void *)((const char *)options +
							     connect_strings[i]);
	return s != NULL ? s : "";
}

void connect_options_tls(struct connect_options *options, const struct config *config,
			 const struct config_database *db)
{
	static const char *const modes[] = {
#define CONFIG_ENUM(id, text) text,
#define CONFIG_ENUM_SSLMODE
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_SSLMODE
	};
	static const char *const bindings[] = {
#define CONFIG_ENUM_CHANNEL_BINDING
#include "tbl/config_enums.h"
#undef CONFIG_ENUM_CHANNEL_BINDING
#undef CONFIG_ENUM
	};
	unsigned bits = 0;
	options->sslmode = modes[db->sslmode];
	options->sslrootcert = db->sslrootcert;
	options->sslcert = db->sslcert;
	options->sslkey = db->sslkey;
	options->channel_binding = bindings[db->channel_binding];
	if (config_tls_protocols(config->server_tls_protocols, &bits)) {
		config_tls_range(bits, &options->ssl_oldest, &options->ssl_newest);
	}
}

void connect_options_of(struct connect_options *options, const struct config *config,
			const struct config_database *line)
{
	*options = (struct connect_options){
		.host = line->host,
		.ports = line->ports,
		.port = line->port,
		.options = line->options,
		.dbname = line->dbname,
		.user = line->user,
		.password = line->password,
		.timeout_ms = (uint32_t)config->server_connect_timeout_ms,
	};
	connect_options_tls(options, config, line);
}

bool connect_options_equal(const struct connect_options *a,
			   const struct connect_options *b)
{
	bool same = a->port == b->port && a->timeout_ms == b->timeout_ms;
	for (size_t i = 0; i < ARRAY_LEN(connect_strings) && same; i++) {
		same = strcmp(connect_text(a, i), connect_text(b, i)) == 0;
	}
	return same;
}

/* The strings are const to their readers; here are their owners. */
void connect_options_fini(struct connect_options *options)
{
	if (options->password != NULL) {
		explicit_bzero((char *)(uintptr_t)options->password,
			       strlen(options->password));
	}
	for (size_t i = 0; i < ARRAY_LEN(connect_strings); i++) {
		const char **s = connect_string(options, i);
		free((char *)(uintptr_t)*s);
		*s = NULL;
	}
}

int connect_options_copy(struct connect_options *to, const struct connect_options *from)
{
	*to = (struct connect_options){ .port = from->port, .first = from->first };
	to->timeout_ms = from->timeout_ms;
	for (size_t i = 0; i < ARRAY_LEN(connect_strings); i++) {
		const char *text = connect_text(from, i);
		const char **s = connect_string(to, i);
		*s = text[0] != 0 ? strdup(text) : NULL;
		if (*s == NULL && text[0] != 0) {
			connect_options_fini(to);
			return -ENOMEM;
		}
	}
	return 0;
}
