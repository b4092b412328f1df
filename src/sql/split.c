/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/tree.h"

static int split_tree(const struct tree *tree, struct span text, size_t n, size_t *ends)
{
	if (tree_n_statements(tree) != n) {
		return SPLIT_E_OTHER;
	}
	for (size_t i = 0; i + 1 < n; i++) {
		size_t at;
		size_t len;
		tree_statement_span(tree, i, &at, &len);
		if (at > text.n || len >= text.n - at || text.p[at + len] != ';') {
			return SPLIT_E_OTHER;
		}
		ends[i] = at + len + 1;
	}
	ends[n - 1] = text.n;
	return 0;
}

int split_text(struct span text, size_t n, size_t *ends)
{
	require(n > 1 && ends != NULL);
	if (memchr(text.p, 0, text.n) != NULL) {
		return SPLIT_E_OTHER;
	}
	char *copy = strndup((const char *)text.p, text.n);
	if (copy == NULL) {
		return -ENOMEM;
	}
	struct tree *tree;
	int r = tree_parse(copy, &tree);
	free(copy);
	if (r != 0) {
		return r < 0 ? r : SPLIT_E_OTHER;
	}
	r = split_tree(tree, text, n, ends);
	tree_free(tree);
	return r;
}
