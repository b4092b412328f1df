/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "sql/plan_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "sql/catalog.h"
#include "sql/classify.h"
#include "sql/parse.h"
#include "sql/relations.h"
#include "sql/scan.h"
#include "sql/tree.h"

#define PLAN_MAX_NORMALIZED 8192	       /* bytes kept of the normalised text */
#define PLAN_MAX_ARENA	    ((size_t)64 << 20) /* bytes for one text */
#define PLAN_MAX_HINT_S	    31536000	       /* a year */

struct plan_maker {
	struct arena arena; /* of the text at hand */
	struct scan views;  /* for the definitions of views */
	struct buf normal;
	struct search_path path;
	struct search_path empty_path;
};

/* One text on its way. */
struct making {
	struct plan_maker *maker;
	const struct scan *scan;
	struct span text;
	const struct planner_session *session;
	struct classify_source source;
	planner_rules_fn rules;
	void *rules_arg;
};

int plan_maker_new(size_t max_text, struct plan_maker **maker_out)
{
	struct plan_maker *maker = calloc(1, sizeof(*maker));
	if (maker == NULL) {
		return -ENOMEM;
	}
	arena_init(&maker->arena, PLAN_MAX_ARENA);
	scan_init(&maker->views, max_text > (1U << 20) ? max_text : (1U << 20));
	/* A constant of one byte may become $65535. */
	buf_init(&maker->normal, max_text * 6 + 64);
	*maker_out = maker;
	return 0;
}

void plan_maker_free(struct plan_maker *maker)
{
	if (maker != NULL) {
		arena_fini(&maker->arena);
		scan_fini(&maker->views);
		buf_fini(&maker->normal);
		free(maker);
	}
}

/* The shape with its marks as $n, numbered after the text's own parameters.  Inside a
 * quoted name the mark's byte is only a byte. */
static const char *plan_normalize(struct plan_maker *maker, const struct scan *scan)
{
	struct buf *out = &maker->normal;
	buf_reset(out);
	const uint8_t *p = scan->shape.data;
	size_t n = scan->shape.len;
	uint32_t number = scan->max_param;
	bool quoted = false;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == SCAN_MARK && !quoted && i + 1 < n) {
			buf_printf(out, "$%u", ++number);
			i++;
			continue;
		}
		quoted = quoted != (p[i] == '"');
		buf_append_u8(out, p[i]);
	}
	if (out->len > PLAN_MAX_NORMALIZED) {
		out->len = PLAN_MAX_NORMALIZED;
	}
	buf_append_u8(out, '\0');
	return buf_ok(out) ? (const char *)out->data : "";
}

/* off, or ttl=60 with s, m or h; several by comma.  What is not understood is ignored.
 */
static void plan_read_hint(struct span hint, struct plan *draft)
{
	draft->hint_ttl_s = -1;
	const uint8_t *p = hint.p;
	const uint8_t *end = hint.n == 0 ? p : p + hint.n;
	while (p < end) {
		const uint8_t *comma = memchr(p, ',', (size_t)(end - p));
		const uint8_t *stop = comma != NULL ? comma : end;
		while (p < stop && *p == ' ') {
			p++;
		}
		while (stop > p && stop[-1] == ' ') {
			stop--;
		}
		struct span word = span_make(p, (size_t)(stop - p));
		if (span_ieq(word, SPAN_LIT("off"))) {
			draft->hint_off = true;
		} else if (word.n > 4 && span_ieq(span_make(p, 4), SPAN_LIT("ttl="))) {
			uint32_t ttl = 0;
			p += 4;
			while (p < stop && *p >= '0' && *p <= '9' &&
			       ttl < PLAN_MAX_HINT_S) {
				ttl = ttl * 10 + (uint32_t)(*p++ - '0');
			}
			uint32_t unit = 1;
			if (p < stop) {
				unit = *p == 'm'   ? 60
				       : *p == 'h' ? 3600
				       : *p == 's' ? 1
						   : 0;
				p++;
			}
			if (p == stop && unit > 0 && ttl <= PLAN_MAX_HINT_S / unit) {
				draft->hint_ttl_s = (int32_t)(ttl * unit);
			}
		}
		p = comma != NULL ? comma + 1 : end;
	}
}

/* pg_catalog anywhere but in front means that others' objects go before the system's.
 */
static bool plan_is_odd_path(struct span path)
{
	static const struct span name = SPAN_LIT("pg_catalog");
	size_t at = 0;
	while (at < path.n && (path.p[at] == ' ' || path.p[at] == '"')) {
		at++;
	}
	for (size_t i = at + 1; path.n >= name.n && i <= path.n - name.n; i++) {
		if (strncasecmp((const char *)path.p + i, (const char *)name.p,
				name.n) == 0) {
			return true;
		}
	}
	return false;
}

static void plan_common(const struct making *m, struct plan *draft)
{
	draft->n_consts = (uint16_t)m->scan->n_consts;
	draft->rule = -1;
	plan_read_hint(m->scan->hint, draft);
	if (m->session->catalog != NULL) {
		draft->catalog_version = catalog_version(m->session->catalog);
	}
}

static struct plan *plan_simple(const struct making *m, enum plan_kind kind,
				enum bypass_reason bypass)
{
	struct plan draft = { .kind = (uint8_t)kind, .bypass = (uint8_t)bypass };
	draft.writes_all = draft.suspect = kind == PLAN_UNPARSED;
	plan_common(m, &draft);
	draft.normalized = plan_normalize(m->maker, m->scan);
	return plan_freeze(&draft);
}

/* One statement of the text. */
static struct plan *plan_one(const struct making *m, const struct node *root,
			     uint64_t fingerprint, const char *normalized)
{
	struct statement st;
	struct plan draft = { 0 };
	struct classify_tables tables = { .n = 0 };
	struct parse_source source = { .text = m->text,
				       .consts = m->scan->consts,
				       .n_consts = m->scan->n_consts,
				       .n_params = m->scan->max_param,
				       .values_matter = m->scan->exact };
	plan_common(m, &draft);
	draft.fingerprint = fingerprint;
	draft.normalized = normalized;
	if (parse_statement(&m->maker->arena, &source, root, &st) != 0 ||
	    classify_statement(&m->source, &st, &draft, &tables) != 0) {
		return NULL;
	}
	if (m->scan->n_seen > m->scan->n_consts && draft.bypass == BYPASS_NONE) {
		draft.bypass = BYPASS_TOO_LARGE;
		draft.klass = PLAN_CLASS_NONE;
	}
	if (draft.hint_off && draft.bypass == BYPASS_NONE) {
		draft.bypass = BYPASS_HINT;
		draft.klass = PLAN_CLASS_NONE;
	}
	if (m->rules != NULL && draft.kind == PLAN_READ) {
		m->rules(m->rules_arg, &draft, tables.names, tables.n);
	}
	return plan_freeze(&draft);
}

/* What one part does to the session or the database, the whole does. */
static void plan_add_part(struct plan *whole, struct plan *part)
{
	whole->parts[whole->n_parts++] = part;
	whole->suspect |= part->suspect;
	whole->writes_all |= part->writes_all;
	whole->has_listen |= part->has_listen;
	whole->reloads |= part->reloads;
	whole->calls_users |= part->calls_users;
	whole->moves_sequence |= part->moves_sequence;
	whole->asks_sequence |= part->asks_sequence;
	whole->deallocate_all |= part->deallocate_all;
	whole->unpins |= part->unpins;
	whole->copy_in |= part->copy_in;
	whole->needs_now_check |= part->needs_now_check;
	whole->pins |= part->pins;
	whole->ends |= part->ends;
}

static struct plan *plan_multi(const struct making *m, const struct tree *tree,
			       uint64_t fingerprint)
{
	size_t n = tree_n_statements(tree);
	struct plan draft = { .kind = PLAN_MULTI, .bypass = BYPASS_NOT_SELECT };
	plan_common(m, &draft);
	draft.fingerprint = fingerprint;
	draft.normalized = plan_normalize(m->maker, m->scan);
	draft.parts = calloc(n, sizeof(struct plan *));
	bool ok = draft.parts != NULL;
	for (size_t i = 0; ok && i < n; i++) {
		struct plan *part = plan_one(m, tree_statement(tree, i), 0, "");
		ok = part != NULL;
		if (ok) {
			plan_add_part(&draft, part);
		}
	}
	struct plan *plan = ok ? plan_freeze(&draft) : NULL;
	for (size_t i = 0; plan == NULL && i < draft.n_parts; i++) {
		plan_unref(draft.parts[i]);
	}
	free(draft.parts);
	return plan;
}

static struct plan *plan_text(const struct making *m)
{
	struct arena *arena = &m->maker->arena;
	const char *text = arena_copy(arena, m->text);
	struct tree *tree = NULL;
	if (text == NULL) {
		return NULL;
	}
	int r = memchr(text, '\0', m->text.n) != NULL ? TREE_E_SYNTAX
						      : tree_parse(text, &tree);
	if (r != 0) {
		return r < 0 ? NULL : plan_simple(m, PLAN_UNPARSED, BYPASS_UNPARSABLE);
	}
	size_t n = tree_n_statements(tree);
	struct plan *plan;
	if (n == 0) {
		plan = plan_simple(m, PLAN_OTHER, BYPASS_NOT_SELECT);
	} else if (n > PLAN_MAX_PARTS) {
		plan = plan_simple(m, PLAN_UNPARSED, BYPASS_TOO_LARGE);
	} else if (n > 1) {
		plan = plan_multi(m, tree, tree_fingerprint(text));
	} else {
		plan = plan_one(m, tree_statement(tree, 0), tree_fingerprint(text),
				plan_normalize(m->maker, m->scan));
	}
	tree_free(tree);
	return plan;
}

struct plan *plan_make(struct plan_maker *maker, const struct scan *scan,
		       struct span text, const struct planner_session *session,
		       planner_rules_fn rules, void *rules_arg)
{
	require(maker != NULL && scan != NULL && session != NULL);
	struct making m = { .maker = maker,
			    .scan = scan,
			    .text = text,
			    .session = session,
			    .rules = rules,
			    .rules_arg = rules_arg };
	m.source = (struct classify_source){ .arena = &maker->arena,
					     .scan = &maker->views,
					     .catalog = session->catalog,
					     .path = &maker->path,
					     .empty_path = &maker->empty_path };
	if (session->catalog != NULL) {
		search_path_init(&maker->path, session->catalog, session->search_path,
				 session->user);
		search_path_init(&maker->empty_path, session->catalog,
				 span_make(NULL, 0), session->user);
		m.source.odd_path = plan_is_odd_path(session->search_path);
	}
	struct plan *plan = plan_text(&m);
	arena_reset(&maker->arena);
	return plan;
}
