/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/hba.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "hba_priv.h"

static const struct {
	const char *name;
	enum hba_type type;
} hba_types[] = {
	{ "local", HBA_LOCAL },		  { "host", HBA_HOST },
	{ "hostssl", HBA_HOSTSSL },	  { "hostnossl", HBA_HOSTNOSSL },
	{ "hostgssenc", HBA_HOSTGSSENC }, { "hostnogssenc", HBA_HOST },
};

static const struct {
	const char *name;
	enum hba_method method;
} hba_methods[] = {
	{ "trust", HBA_TRUST }, { "reject", HBA_REJECT },
	{ "md5", HBA_MD5 },	{ "password", HBA_PASSWORD },
	{ "cert", HBA_CERT },	{ "scram-sha-256", HBA_SCRAM },
	{ "peer", HBA_PEER },
};

/* A row while it is read: the line, and its field that comes next. */
struct hba_reading {
	struct hba_lines *lines;
	const struct hba_line *line;
	const struct hba_field *field;
	struct hba_row *row;
};

/* The next field's only word, or NULL and the error. */
static const struct hba_word *hba_one(struct hba_reading *r, const char *what)
{
	const struct hba_field *field = r->field;
	if (field == NULL || field->words == NULL) {
		(void)hba_lines_refuse(r->lines, r->line, "the line ends before its %s",
				       what);
		return NULL;
	}
	if (field->words->next != NULL) {
		(void)hba_lines_refuse(r->lines, r->line, "there is more than one %s",
				       what);
		return NULL;
	}
	r->field = field->next;
	return field->words;
}

static int hba_read_type(struct hba_reading *r)
{
	const struct hba_word *word = hba_one(r, "connection type");
	if (word == NULL) {
		return HBA_E_INVALID;
	}
	for (size_t i = 0; i < ARRAY_LEN(hba_types); i++) {
		if (strcmp(word->text, hba_types[i].name) == 0) {
			r->row->type = hba_types[i].type;
			return 0;
		}
	}
	return hba_lines_refuse(r->lines, r->line, "invalid connection type \"%.64s\"",
				word->text);
}

/* What stands for more than itself. */
static int hba_read_keyword(struct hba_reading *r, const char *text, bool is_user,
			    struct hba_name *name)
{
	if (strcmp(text, "all") == 0) {
		name->kind = HBA_NAME_ALL;
	} else if (is_user && text[0] == '+') {
		return hba_lines_refuse(r->lines, r->line,
					"groups (%.64s) are not supported", text);
	} else if (!is_user && strcmp(text, "sameuser") == 0) {
		name->kind = HBA_NAME_SAMEUSER;
	} else if (!is_user && strcmp(text, "replication") == 0) {
		name->kind = HBA_NAME_REPLICATION;
	} else if (!is_user &&
		   (strcmp(text, "samerole") == 0 || strcmp(text, "samegroup") == 0)) {
		return hba_lines_refuse(r->lines, r->line, "%s is not supported", text);
	}
	return 0;
}

static int hba_read_names(struct hba_reading *r, bool is_user)
{
	const char *what = is_user ? "user" : "database";
	struct hba_name **tail = is_user ? &r->row->users : &r->row->databases;
	if (r->field == NULL) {
		return hba_lines_refuse(r->lines, r->line,
					"the line ends before its %s", what);
	}
	for (const struct hba_word *w = r->field->words; w != NULL; w = w->next) {
		struct hba_name *name = arena_alloc(&r->lines->arena, sizeof(*name));
		if (name == NULL) {
			return hba_lines_refuse(r->lines, r->line,
						"the files are too large");
		}
		name->text = w->text;
		int e = 0;
		if (w->text[0] == '/') {
			name->kind = HBA_NAME_REGEX;
			e = hba_lines_regex(r->lines, r->line, w->text + 1,
					    &name->regex);
		} else if (!w->is_quoted) {
			e = hba_read_keyword(r, w->text, is_user, name);
		}
		if (e != 0) {
			return e;
		}
		*tail = name;
		tail = &name->next;
	}
	r->field = r->field->next;
	return 0;
}

/* Addresses */

bool hba_parse_address(struct span text, struct hba_address *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char name[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	if (text.n == 0 || text.n >= sizeof(name)) {
		return false;
	}
	memcpy(name, text.p, text.n);
	name[text.n] = '\0';
	*out = (struct hba_address){ 0 };
	if (inet_pton(AF_INET, name, out->bytes) == 1) {
		out->family = 4;
	} else if (inet_pton(AF_INET6, name, bytes) != 1) {
		return false;
	} else if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		out->family = 4;
		memcpy(out->bytes, bytes + 12, 4);
	} else {
		out->family = 6;
		memcpy(out->bytes, bytes, 16);
	}
	return true;
}

/* The digits behind the slash, as a mask. */
static bool hba_read_prefix(struct span digits, struct hba_row *row)
{
	unsigned bits = 0;
	unsigned max = row->address.family == 4 ? 32 : 128;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9' || bits > max) {
			return false;
		}
		bits = bits * 10 + (unsigned)(digits.p[i] - '0');
	}
	if (digits.n == 0 || bits > max) {
		return false;
	}
	for (unsigned i = 0; i < bits; i++) {
		row->mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	}
	return true;
}

static int hba_read_mask(struct hba_reading *r)
{
	struct hba_address mask;
	const struct hba_word *word = hba_one(r, "address mask");
	if (word == NULL) {
		return HBA_E_INVALID;
	}
	if (!hba_parse_address(span_str(word->text), &mask) ||
	    mask.family != r->row->address.family) {
		return hba_lines_refuse(r->lines, r->line,
					"invalid address mask \"%.64s\"", word->text);
	}
	memcpy(r->row->mask, mask.bytes, sizeof(r->row->mask));
	return 0;
}

static int hba_read_network(struct hba_reading *r, const char *text)
{
	const char *slash = strchr(text, '/');
	size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
	r->row->scope = HBA_SCOPE_NETWORK;
	if (!hba_parse_address(span_make(text, n), &r->row->address)) {
		return hba_lines_refuse(
		    r->lines, r->line,
		    "\"%.64s\" is no IP address; host names are not supported", text);
	}
	if (slash == NULL) {
		return hba_read_mask(r);
	}
	if (!hba_read_prefix(span_str(slash + 1), r->row)) {
		return hba_lines_refuse(r->lines, r->line,
					"invalid length of network \"%.64s\"", text);
	}
	return 0;
}

static int hba_read_address(struct hba_reading *r)
{
	const struct hba_word *word = hba_one(r, "address");
	if (word == NULL) {
		return HBA_E_INVALID;
	}
	if (!word->is_quoted && strcmp(word->text, "all") == 0) {
		r->row->scope = HBA_SCOPE_ALL;
	} else if (!word->is_quoted && strcmp(word->text, "samehost") == 0) {
		r->row->scope = HBA_SCOPE_SAMEHOST;
	} else if (!word->is_quoted && strcmp(word->text, "samenet") == 0) {
		r->row->scope = HBA_SCOPE_SAMENET;
	} else {
		return hba_read_network(r, word->text);
	}
	return 0;
}

/* Methods and options */

static int hba_read_method(struct hba_reading *r)
{
	struct hba_verdict *verdict = &r->row->verdict;
	const struct hba_word *word = hba_one(r, "method");
	if (word == NULL) {
		return HBA_E_INVALID;
	}
	const char *text = word->text;
	bool is_local = r->row->type == HBA_LOCAL;
	if (is_local && strcmp(text, "ident") == 0) {
		text = "peer"; /* as PostgreSQL has it */
	}
	size_t i = 0;
	while (i < ARRAY_LEN(hba_methods) && strcmp(text, hba_methods[i].name) != 0) {
		i++;
	}
	if (i == ARRAY_LEN(hba_methods)) {
		return hba_lines_refuse(
		    r->lines, r->line,
		    "authentication method \"%.64s\" is not supported", text);
	}
	verdict->method = hba_methods[i].method;
	if (verdict->method == HBA_PEER && !is_local) {
		return hba_lines_refuse(
		    r->lines, r->line,
		    "peer authentication is only supported on local sockets");
	}
	if (verdict->method == HBA_CERT && r->row->type != HBA_HOSTSSL) {
		return hba_lines_refuse(
		    r->lines, r->line,
		    "cert authentication is only supported on hostssl connections");
	}
	if (verdict->method == HBA_CERT) {
		verdict->clientcert = HBA_CERT_VERIFY_FULL;
	}
	return 0;
}

static int hba_read_clientcert(struct hba_reading *r, const char *value)
{
	struct hba_verdict *verdict = &r->row->verdict;
	if (r->row->type != HBA_HOSTSSL) {
		return hba_lines_refuse(
		    r->lines, r->line,
		    "clientcert can only be configured for \"hostssl\" rows");
	}
	if (strcmp(value, "verify-full") == 0) {
		verdict->clientcert = HBA_CERT_VERIFY_FULL;
		return 0;
	}
	if (strcmp(value, "verify-ca") != 0) {
		return hba_lines_refuse(r->lines, r->line,
					"invalid value for clientcert: \"%.64s\"",
					value);
	}
	if (verdict->method == HBA_CERT) {
		return hba_lines_refuse(r->lines, r->line,
					"clientcert only accepts \"verify-full\" when "
					"using \"cert\" authentication");
	}
	verdict->clientcert = HBA_CERT_VERIFY_CA;
	return 0;
}

static int hba_read_clientname(struct hba_reading *r, const char *value)
{
	if (r->row->type != HBA_HOSTSSL) {
		return hba_lines_refuse(
		    r->lines, r->line,
		    "clientname can only be configured for \"hostssl\" rows");
	}
	r->row->verdict.by_dn = strcmp(value, "DN") == 0;
	if (!r->row->verdict.by_dn && strcmp(value, "CN") != 0) {
		return hba_lines_refuse(r->lines, r->line,
					"invalid value for clientname: \"%.64s\"",
					value);
	}
	return 0;
}

static int hba_read_option(struct hba_reading *r, const char *text)
{
	const char *equals = strchr(text, '=');
	if (equals == NULL) {
		return hba_lines_refuse(
		    r->lines, r->line, "option \"%.64s\" is not of the form name=value",
		    text);
	}
	struct span name = span_make(text, (size_t)(equals - text));
	struct hba_verdict *verdict = &r->row->verdict;
	if (span_eq_str(name, "map")) {
		if (verdict->method != HBA_CERT && verdict->method != HBA_PEER) {
			return hba_lines_refuse(
			    r->lines, r->line,
			    "option \"map\" is only valid for peer and cert");
		}
		verdict->map = equals + 1;
		return 0;
	}
	if (span_eq_str(name, "clientcert")) {
		return hba_read_clientcert(r, equals + 1);
	}
	if (span_eq_str(name, "clientname")) {
		return hba_read_clientname(r, equals + 1);
	}
	return hba_lines_refuse(r->lines, r->line,
				"unrecognized authentication option name: \"%.*s\"",
				(int)(name.n < 64 ? name.n : 64), text);
}

static int hba_read_options(struct hba_reading *r)
{
	for (; r->field != NULL; r->field = r->field->next) {
		for (const struct hba_word *w = r->field->words; w; w = w->next) {
			int e = hba_read_option(r, w->text);
			if (e != 0) {
				return e;
			}
		}
	}
	return 0;
}

static int hba_read_row(struct hba_reading *r)
{
	int e = hba_read_type(r);
	e = e != 0 ? e : hba_read_names(r, false);
	e = e != 0 ? e : hba_read_names(r, true);
	if (e == 0 && r->row->type != HBA_LOCAL) {
		e = hba_read_address(r);
	}
	e = e != 0 ? e : hba_read_method(r);
	return e != 0 ? e : hba_read_options(r);
}

static int hba_read(struct hba *hba)
{
	struct hba_row **tail = &hba->rows;
	for (const struct hba_line *l = hba->lines.first; l != NULL; l = l->next) {
		struct hba_row *row = arena_alloc(&hba->lines.arena, sizeof(*row));
		if (row == NULL) {
			return hba_lines_refuse(&hba->lines, l,
						"the files are too large");
		}
		row->verdict.file = l->file;
		row->verdict.line = l->line;
		struct hba_reading reading = {
			.lines = &hba->lines, .line = l, .field = l->fields, .row = row
		};
		int r = hba_read_row(&reading);
		if (r != 0) {
			return r;
		}
		*tail = row;
		tail = &row->next;
	}
	return 0;
}

int hba_new(const struct hba_source *source, const char *path, struct hba **out,
	    struct hba_error *error)
{
	*out = NULL;
	struct hba *hba = calloc(1, sizeof(*hba));
	if (hba == NULL) {
		return -ENOMEM;
	}
	int r = hba_lines_init(&hba->lines, source, path, error);
	if (r == 0) {
		r = hba_read(hba);
	}
	if (r != 0) {
		hba_free(hba);
		return r;
	}
	*out = hba;
	return 0;
}

void hba_free(struct hba *hba)
{
	if (hba != NULL) {
		hba_lines_fini(&hba->lines);
		free(hba);
	}
}
