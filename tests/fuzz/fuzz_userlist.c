/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The file of users: what was read is in order, each name once, and can be found. */

#include <stdint.h>

#include "base/check.h"
#include "wire/userlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct userlist *list;
	struct userlist_error error;
	int e = userlist_new(span_make(data, size), &list, &error);
	require((e == 0) == (list != NULL));
	if (e != 0) {
		require(e == USERLIST_E_SYNTAX && error.line > 0 && error.text != NULL);
		return 0;
	}
	for (size_t i = 0; i < userlist_count(list); i++) {
		const struct userlist_entry *entry = userlist_at(list, i);
		require(userlist_find(list, entry->name) == entry);
		require(entry->name.n > 0 && entry->name.n <= USERLIST_MAX_NAME);
		require(entry->secret.n <= USERLIST_MAX_SECRET);
	}
	userlist_free(list);
	return 0;
}
