/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "base/config_tls.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/config_build.h"

#define TLS_SECURE (TLS_1_2 | TLS_1_3)
#define TLS_ALL	   (TLS_1_0 | TLS_1_1 | TLS_SECURE)

static unsigned tls_bits_of(struct span word)
{
	static const struct {
		const char *word;
		unsigned bits;
	} rows[] = {
		{ "tlsv1.0", TLS_1_0 },	   { "tlsv1.1", TLS_1_1 },
		{ "tlsv1.2", TLS_1_2 },	   { "tlsv1.3", TLS_1_3 },
		{ "tlsv1", TLS_ALL },	   { "all", TLS_ALL },
		{ "legacy", TLS_ALL },	   { "secure", TLS_SECURE },
		{ "default", TLS_SECURE },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (span_ieq(word, span_str(rows[i].word))) {
			return rows[i].bits;
		}
	}
	return 0;
}

bool config_tls_protocols(const char *text, unsigned *bits_out)
{
	unsigned bits = 0;
	while (*text != 0) {
		text += strspn(text, " ,:");
		size_t n = strcspn(text, " ,:");
		bool is_taken_away = n > 0 && text[0] == '!';
		struct span word =
		    span_make((const uint8_t *)text + is_taken_away, n - is_taken_away);
		unsigned these = tls_bits_of(word);
		if (n > 0 && these == 0) {
			return false;
		}
		bits = is_taken_away ? (bits ? bits : TLS_ALL) & ~these : bits | these;
		text += n;
	}
	*bits_out = bits;
	return bits != 0;
}

static void tls_check_file(struct config_build *build, const char *name,
			   const char *path)
{
	if (path != NULL && path[0] != 0 && access(path, R_OK) < 0) {
		config_build_error(build, "%s: cannot read %s: %s", name, path,
				   strerror(errno));
	}
}

static void tls_check_protocols(struct config_build *build, const char *name,
				const char *text)
{
	unsigned bits;
	if (!config_tls_protocols(text, &bits)) {
		config_build_error(build,
				   "%s = %.80s: must be a list of tlsv1.0 to tlsv1.3",
				   name, text);
	}
}

static const char *const tls_libpq_names[] = { "TLSv1", "TLSv1.1", "TLSv1.2",
					       "TLSv1.3" };

void config_tls_range(unsigned bits, const char **oldest, const char **newest)
{
	*oldest = *newest = NULL;
	for (size_t i = 0; i < ARRAY_LEN(tls_libpq_names); i++) {
		if (bits & 1U << i) {
			*oldest = *oldest != NULL ? *oldest : tls_libpq_names[i];
			*newest = i + 1 < ARRAY_LEN(tls_libpq_names)
				      ? tls_libpq_names[i]
				      : NULL;
		}
	}
}

static const char *tls_file_or(const char *own, const char *global)
{
	return own != NULL ? own : global[0] != 0 ? global : NULL;
}

void config_build_database_tls(struct config_build *build, struct config_database *db)
{
	const struct config *c = build->config;
	if (db->sslrootcert != NULL && strcmp(db->sslrootcert, "system") != 0) {
		/* "system" is a word of libpq's, from 16 on */
		tls_check_file(build, "sslrootcert", db->sslrootcert);
	}
	tls_check_file(build, "sslcert", db->sslcert);
	tls_check_file(build, "sslkey", db->sslkey);
	db->sslrootcert = tls_file_or(db->sslrootcert, c->server_tls_ca_file);
	db->sslcert = tls_file_or(db->sslcert, c->server_tls_cert_file);
	db->sslkey = tls_file_or(db->sslkey, c->server_tls_key_file);
	if (db->sslmode < SSLMODE_REQUIRE &&
	    db->channel_binding == CHANNEL_BINDING_REQUIRE) {
		config_build_error(build,
				   "database %s: channel_binding = require needs TLS: "
				   "sslmode = require or more",
				   db->name);
	}
}

/* libpq knows an oldest and a newest version. */
static void tls_check_server(struct config_build *build)
{
	const struct config *c = build->config;
	unsigned bits = 0;
	tls_check_protocols(build, "server_tls_protocols", c->server_tls_protocols);
	if (config_tls_protocols(c->server_tls_protocols, &bits)) {
		unsigned lowest = bits & -bits;
		if (((bits + lowest) & bits) != 0) {
			config_build_error(build,
					   "server_tls_protocols = %.80s: must have "
					   "no gap",
					   c->server_tls_protocols);
		}
	}
	tls_check_file(build, "server_tls_key_file", c->server_tls_key_file);
	tls_check_file(build, "server_tls_cert_file", c->server_tls_cert_file);
	tls_check_file(build, "server_tls_ca_file", c->server_tls_ca_file);
}

void config_build_tls(struct config_build *build)
{
	const struct config *c = build->config;
	tls_check_server(build);
	tls_check_protocols(build, "client_tls_protocols", c->client_tls_protocols);
	if (c->client_tls_sslmode == SSLMODE_DISABLE) {
		return;
	}
	if (c->client_tls_key_file[0] == 0 || c->client_tls_cert_file[0] == 0) {
		config_build_error(build, "client_tls_sslmode needs "
					  "client_tls_key_file and "
					  "client_tls_cert_file");
	}
	if (c->client_tls_sslmode >= SSLMODE_VERIFY_CA &&
	    c->client_tls_ca_file[0] == 0) {
		config_build_error(build, "client_tls_sslmode needs client_tls_ca_file "
					  "to verify certificates of clients");
	}
	tls_check_file(build, "client_tls_key_file", c->client_tls_key_file);
	tls_check_file(build, "client_tls_cert_file", c->client_tls_cert_file);
	tls_check_file(build, "client_tls_ca_file", c->client_tls_ca_file);
}
