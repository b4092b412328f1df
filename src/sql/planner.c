/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The table of plans.  A plan is found by the hash of what it was made from: shape,
 * path, catalogue version and hint; where constants decide (SET), their bytes too.  128
 * bits of XXH3 stand for the whole: its seed is secret and different in each process,
 * so that nobody can look for two shapes with one hash.
 *
 * A text that libpg_query refuses is kept under its constants as well: otherwise one
 * bad text ('\xzz' in E'') would spoil the plan of every good one of the same shape. */

#include "sql/planner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/dlist.h"
#include "sql/catalog.h"
#include "sql/plan_make.h"
#include "sql/scan.h"

/* The table holds so many bytes times max_shapes. */
#define PLANNER_BYTES_PER_SHAPE 4096U

#define PLANNER_MAX_TEXTS   1024U /* slots of the table of texts */
#define PLANNER_TEXT_CONSTS 8U	  /* constants that a text in it may have */

struct planner_entry {
	struct dlist lru;	    /* in planner.lru, most recently used first */
	struct planner_entry *next; /* in the bucket */
	XXH128_hash_t hash;
	struct plan *plan; /* one reference */
};

/* A text that came twice in a row into this slot: its plan and where its constants are,
 * so that it need not be scanned.  The hash stands for the bytes of the text and for
 * all that a plan depends on. */
struct planner_text {
	XXH128_hash_t hash;
	uint64_t seen;	   /* the low half of the hash that was last here */
	struct plan *plan; /* one reference; NULL: the slot is empty */
	uint32_t n_consts;
	struct {
		uint32_t at; /* in the text */
		uint32_t n;
	} consts[PLANNER_TEXT_CONSTS];
};

struct planner {
	size_t max_shapes;
	size_t max_text;
	uint64_t seed;
	planner_rules_fn rules;
	void *rules_arg;
	size_t mask; /* buckets - 1 */
	struct planner_entry **buckets;
	struct dlist lru;
	struct planner_counts counts;
	size_t bytes;	       /* of the plans in the table, about */
	struct plan *unparsed; /* for when there is no memory for anything else */
	struct scan scan;
	struct plan_maker *maker; /* owned */
	size_t n_texts;
	struct planner_text *texts;			  /* owned */
	struct constant text_consts[PLANNER_TEXT_CONSTS]; /* of the text last found */
};

int planner_new(size_t max_shapes, size_t max_text, planner_rules_fn rules,
		void *rules_arg, struct planner **planner_out)
{
	require(max_shapes > 0 && planner_out != NULL);
	struct planner *planner = calloc(1, sizeof(*planner));
	if (planner == NULL) {
		return -ENOMEM;
	}
	planner->max_shapes = max_shapes;
	planner->max_text = max_text;
	planner->rules = rules;
	planner->rules_arg = rules_arg;
	dlist_init(&planner->lru);
	scan_init(&planner->scan, max_text);
	size_t n_buckets = 16;
	while (n_buckets < max_shapes && n_buckets < ((size_t)1 << 24)) {
		n_buckets *= 2;
	}
	planner->mask = n_buckets - 1;
	planner->buckets = calloc(n_buckets, sizeof(struct planner_entry *));
	struct plan draft = { .kind = PLAN_UNPARSED,
			      .bypass = BYPASS_UNPARSABLE,
			      .writes_all = true,
			      .suspect = true,
			      .hint_ttl_s = -1,
			      .rule = -1 };
	planner->unparsed = plan_freeze(&draft);
	planner->n_texts =
	    n_buckets < PLANNER_MAX_TEXTS ? n_buckets : PLANNER_MAX_TEXTS;
	planner->texts = calloc(planner->n_texts, sizeof(struct planner_text));
	if (getrandom(&planner->seed, sizeof(planner->seed), 0) < 0 ||
	    planner->buckets == NULL || planner->unparsed == NULL ||
	    planner->texts == NULL || plan_maker_new(max_text, &planner->maker) != 0) {
		planner_free(planner);
		return -ENOMEM;
	}
	*planner_out = planner;
	return 0;
}

/* About the bytes of a plan and its entry. */
static size_t planner_cost(const struct plan *plan)
{
	size_t n =
	    sizeof(struct planner_entry) + sizeof(*plan) + strlen(plan->normalized);
	for (size_t i = 0; i < plan->n_writes; i++) {
		n += (size_t)plan->writes[i].n_rows * plan->writes[i].n_facts * 32;
	}
	for (size_t i = 0; i < plan->n_parts; i++) {
		n += planner_cost(plan->parts[i]);
	}
	return n + plan->n_reads * sizeof(struct plan_read);
}

static void planner_drop(struct planner *planner, struct planner_entry *entry)
{
	struct planner_entry **at =
	    &planner->buckets[entry->hash.low64 & planner->mask];
	while (*at != entry) {
		at = &(*at)->next;
	}
	*at = entry->next;
	dlist_remove(&entry->lru);
	planner->bytes -= planner_cost(entry->plan);
	plan_unref(entry->plan);
	free(entry);
	planner->counts.shapes--;
}

void planner_flush(struct planner *planner)
{
	require(planner != NULL);
	for (size_t i = 0; planner->texts != NULL && i < planner->n_texts; i++) {
		plan_unref(steal(&planner->texts[i].plan));
	}
	dlist_each (l, next, &planner->lru) {
		planner_drop(planner, container_of(l, struct planner_entry, lru));
	}
}

void planner_free(struct planner *planner)
{
	if (planner == NULL) {
		return;
	}
	planner_flush(planner);
	plan_maker_free(planner->maker);
	plan_unref(planner->unparsed);
	scan_fini(&planner->scan);
	free(planner->texts);
	free(planner->buckets);
	free(planner);
}

static struct plan *planner_find(struct planner *planner, XXH128_hash_t hash)
{
	struct planner_entry *e = planner->buckets[hash.low64 & planner->mask];
	while (e != NULL && !XXH128_isEqual(e->hash, hash)) {
		e = e->next;
	}
	if (e == NULL) {
		return NULL;
	}
	dlist_remove(&e->lru);
	dlist_push_head(&planner->lru, &e->lru);
	return e->plan;
}

/* Keeps PLAN, whose reference passes here; false without memory. */
static bool planner_keep(struct planner *planner, XXH128_hash_t hash, struct plan *plan)
{
	struct planner_entry *e = calloc(1, sizeof(*e));
	if (e == NULL) {
		plan_unref(plan);
		return false;
	}
	size_t cost = planner_cost(plan);
	size_t max_bytes = planner->max_shapes * PLANNER_BYTES_PER_SHAPE;
	while (planner->counts.shapes > 0 &&
	       (planner->counts.shapes >= planner->max_shapes ||
		planner->bytes + cost > max_bytes)) {
		struct dlist *last = planner->lru.prev;
		planner_drop(planner, container_of(last, struct planner_entry, lru));
		planner->counts.evictions++;
	}
	struct planner_entry **bucket = &planner->buckets[hash.low64 & planner->mask];
	e->hash = hash;
	e->plan = plan;
	e->next = *bucket;
	*bucket = e;
	dlist_push_head(&planner->lru, &e->lru);
	planner->counts.shapes++;
	planner->bytes += cost;
	return true;
}

/* What a plan depends on besides its shape. */
struct planner_key {
	uint64_t seed;
	uint64_t path_id;
	uint64_t db_tag;
	uint32_t catalog_version;
	uint32_t has_catalog;
	uint64_t hint;	 /* hash of the hint's text */
	uint64_t consts; /* hash of the constants, 0: they do not matter */
};

static struct planner_key planner_key(const struct planner *planner,
				      const struct planner_session *session)
{
	struct planner_key key = { .seed = planner->seed, .path_id = session->path_id };
	if (session->catalog != NULL) {
		key.has_catalog = 1;
		key.catalog_version = catalog_version(session->catalog);
		key.db_tag = catalog_db_tag(session->catalog);
	}
	return key;
}

static XXH128_hash_t planner_hash(const struct planner *planner, struct planner_key key,
				  struct span text, bool with_consts)
{
	const struct scan *scan = &planner->scan;
	if (scan->hint.n > 0) {
		key.hint =
		    XXH3_64bits_withSeed(scan->hint.p, scan->hint.n, planner->seed);
	}
	if (with_consts) {
		key.consts = XXH3_64bits_withSeed(text.p, text.n, planner->seed) | 1;
	}
	uint64_t seed = XXH3_64bits(&key, sizeof(key));
	return XXH3_128bits_withSeed(scan->shape.data, scan->shape.len, seed);
}

/* Texts */

bool planner_has_comment(struct span text)
{
	static const char pairs[] = { '/', '*', '-', '-' };
	for (size_t i = 0; i < sizeof(pairs); i += 2) {
		const uint8_t *p = text.p;
		const uint8_t *end = p + text.n;
		/* memchr() looks at 32 bytes at a time, memmem() at one */
		while (end - p >= 2 &&
		       (p = memchr(p, pairs[i], (size_t)(end - p - 1))) != NULL) {
			if (p[1] == pairs[i + 1]) {
				return true;
			}
			p++;
		}
	}
	return false;
}

static bool planner_find_text(struct planner *planner, const struct planner_text *slot,
			      struct span text, struct planned *out)
{
	if (slot->plan == NULL) {
		return false;
	}
	for (size_t i = 0; i < slot->n_consts; i++) {
		planner->text_consts[i].raw =
		    span_make(text.p + slot->consts[i].at, slot->consts[i].n);
	}
	out->plan = slot->plan;
	out->consts = planner->text_consts;
	out->n_consts = slot->n_consts;
	return true;
}

/* A text with a comment is not kept: its shape may be asked for; nor is a large plan,
 * which would outlive its place in the table of plans. */
static void planner_keep_text(struct planner_text *slot, XXH128_hash_t hash,
			      struct span text, const struct planned *planned)
{
	if (slot->seen != hash.low64) {
		slot->seen = hash.low64;
		return;
	}
	if (planned->n_consts > PLANNER_TEXT_CONSTS || planner_has_comment(text) ||
	    planner_cost(planned->plan) > PLANNER_BYTES_PER_SHAPE) {
		return;
	}
	plan_unref(slot->plan);
	slot->plan = plan_ref(planned->plan);
	slot->hash = hash;
	slot->n_consts = (uint32_t)planned->n_consts;
	for (size_t i = 0; i < planned->n_consts; i++) {
		struct span raw = planned->consts[i].raw;
		slot->consts[i].at = (uint32_t)(raw.p - text.p);
		slot->consts[i].n = (uint32_t)raw.n;
	}
}

/* Makes the plan of a text that was not found, and keeps it. */
static struct plan *planner_make(struct planner *planner, struct span text,
				 const struct planner_session *session,
				 XXH128_hash_t hash, XXH128_hash_t exact)
{
	uint64_t began = clock_now_ns();
	struct plan *plan = plan_make(planner->maker, &planner->scan, text, session,
				      planner->rules, planner->rules_arg);
	planner->counts.parses++;
	planner->counts.parse_ns += clock_now_ns() - began;
	if (plan == NULL) {
		return planner->unparsed;
	}
	/* A refused text may have the shape of a good one. */
	XXH128_hash_t under = plan->bypass == BYPASS_UNPARSABLE ? exact : hash;
	return planner_keep(planner, under, plan) ? plan : planner->unparsed;
}

static struct plan *planner_plan_scanned(struct planner *planner,
					 const struct planner_key *key,
					 struct span text,
					 const struct planner_session *session)
{
	bool is_exact = planner->scan.exact;
	XXH128_hash_t hash = planner_hash(planner, *key, text, is_exact);
	struct plan *plan = planner_find(planner, hash);
	if (plan != NULL) {
		return plan;
	}
	XXH128_hash_t exact = planner_hash(planner, *key, text, true);
	plan = is_exact ? NULL : planner_find(planner, exact);
	return plan != NULL ? plan : planner_make(planner, text, session, hash, exact);
}

void planner_plan(struct planner *planner, struct span text,
		  const struct planner_session *session, struct planned *out)
{
	require(planner != NULL && session != NULL && out != NULL);
	planner->counts.texts++;
	*out = (struct planned){ .plan = planner->unparsed, .shape = text };
	if (text.n > planner->max_text) {
		return;
	}
	struct planner_key key = planner_key(planner, session);
	XXH128_hash_t hash =
	    XXH3_128bits_withSeed(text.p, text.n, XXH3_64bits(&key, sizeof(key)));
	struct planner_text *slot =
	    &planner->texts[hash.high64 & (planner->n_texts - 1)];
	if (XXH128_isEqual(slot->hash, hash) &&
	    planner_find_text(planner, slot, text, out)) {
		return;
	}
	struct scan *scan = &planner->scan;
	if (scan_text(scan, text) != 0) {
		return;
	}
	out->consts = scan->consts;
	out->n_consts = scan->n_consts;
	out->shape = buf_span(&scan->shape);
	out->plan = planner_plan_scanned(planner, &key, text, session);
	planner_keep_text(slot, hash, text, out);
}

void planner_counts(const struct planner *planner, struct planner_counts *out)
{
	require(planner != NULL && out != NULL);
	*out = planner->counts;
}
