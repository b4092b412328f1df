/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <regex.h>
#include <string.h>

#include "hba_priv.h"

static bool hba_regex_fits(const regex_t *regex, struct span text)
{
	regmatch_t range = { .rm_so = 0, .rm_eo = (regoff_t)text.n };
	return regexec(regex, text.n == 0 ? "" : (const char *)text.p, 1, &range,
		       REG_STARTEND) == 0;
}

static bool hba_names_fit(const struct hba_name *names, struct span text,
			  struct span user)
{
	for (const struct hba_name *n = names; n != NULL; n = n->next) {
		bool fits = false;
		switch (n->kind) {
		case HBA_NAME_EXACT:
			fits = span_eq_str(text, n->text);
			break;
		case HBA_NAME_ALL:
			fits = true;
			break;
		case HBA_NAME_SAMEUSER:
			fits = span_eq(text, user);
			break;
		case HBA_NAME_REPLICATION:
			break;
		case HBA_NAME_REGEX:
			fits = hba_regex_fits(n->regex, text);
			break;
		}
		if (fits) {
			return true;
		}
	}
	return false;
}

static bool hba_type_fits(enum hba_type type, const struct hba_client *client)
{
	bool is_unix = client->address.family == 0;
	switch (type) {
	case HBA_LOCAL:
		return is_unix;
	case HBA_HOST:
		return !is_unix;
	case HBA_HOSTSSL:
		return !is_unix && client->is_tls;
	case HBA_HOSTNOSSL:
		return !is_unix && !client->is_tls;
	case HBA_HOSTGSSENC:
		break;
	}
	return false;
}

static bool hba_scope_fits(const struct hba_row *row, const struct hba_address *address)
{
	if (row->address.family != address->family) {
		return false;
	}
	for (size_t i = 0; i < sizeof(row->mask); i++) {
		if ((row->address.bytes[i] ^ address->bytes[i]) & row->mask[i]) {
			return false;
		}
	}
	return true;
}

static bool hba_address_fits(const struct hba_row *row, const struct hba_client *client)
{
	if (row->type == HBA_LOCAL) {
		return true;
	}
	switch (row->scope) {
	case HBA_SCOPE_ALL:
		return true;
	case HBA_SCOPE_NETWORK:
		return hba_scope_fits(row, &client->address);
	case HBA_SCOPE_SAMEHOST:
		return client->is_own(&client->address, false);
	case HBA_SCOPE_SAMENET:
		return client->is_own(&client->address, true);
	}
	return false;
}

/* As in PostgreSQL, `all` is not for who streams the WAL. */
static bool hba_database_fits(const struct hba_row *row,
			      const struct hba_client *client)
{
	if (!client->is_physical) {
		return hba_names_fit(row->databases, client->database, client->user);
	}
	const struct hba_name *name = row->databases;
	while (name != NULL && name->kind != HBA_NAME_REPLICATION) {
		name = name->next;
	}
	return name != NULL;
}

const struct hba_verdict *hba_find(const struct hba *hba,
				   const struct hba_client *client)
{
	for (const struct hba_row *row = hba->rows; row != NULL; row = row->next) {
		if (hba_type_fits(row->type, client) && hba_address_fits(row, client) &&
		    hba_database_fits(row, client) &&
		    hba_names_fit(row->users, client->user, client->user)) {
			return &row->verdict;
		}
	}
	return NULL;
}

const struct hba_verdict *hba_at(const struct hba *hba, size_t i)
{
	const struct hba_row *row = hba->rows;
	while (row != NULL && i-- > 0) {
		row = row->next;
	}
	return row == NULL ? NULL : &row->verdict;
}
