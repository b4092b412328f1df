/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/context.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CONTEXT_BUCKETS 1024U

/* The table of all contexts.  Contexts are made at login and by SET, never on the path
 * of a query, so one lock is enough. */
static struct {
	pthread_mutex_t lock;
	struct dlist buckets[CONTEXT_BUCKETS];
	struct dlist unused; /* oldest first */
	unsigned n_unused;
	uint64_t last_id;
	bool is_ready;
} contexts = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Settings that cannot change an answer. */
static const char *const context_harmless[] = {
	"application_name",
	"client_connection_check_interval",
	"client_min_messages",
	"deadlock_timeout",
	"idle_in_transaction_session_timeout",
	"idle_session_timeout",
	"lock_timeout",
	"log_duration",
	"log_min_duration_statement",
	"log_statement",
	"statement_timeout",
	"synchronous_commit",
	"tcp_keepalives_count",
	"tcp_keepalives_idle",
	"tcp_keepalives_interval",
	"tcp_user_timeout",
	"transaction_timeout",
};

/* The parts of an identity before it is interned. */
struct context_parts {
	struct span database;
	struct span user;
	struct span base;
	unsigned n;
	struct context_setting at[CONTEXT_MAX_SETTINGS];
};

static bool context_is_harmless(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(context_harmless); i++) {
		if (strcmp(context_harmless[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static void context_append(struct buf *buf, struct span s)
{
	buf_append_span(buf, s);
	buf_append_u8(buf, 0);
}

static void context_serialize(const struct context_parts *parts, struct buf *out)
{
	context_append(out, parts->database);
	context_append(out, parts->user);
	context_append(out, parts->base);
	for (unsigned i = 0; i < parts->n; i++) {
		context_append(out, span_str(parts->at[i].name));
		context_append(out, span_str(parts->at[i].value));
	}
}

static const char *context_next(const char **at)
{
	const char *s = *at;
	*at = s + strlen(s) + 1;
	return s;
}

/* Who the session is, and where it looks for names. */
static const char *const context_path_names[] = { "role", "search_path",
						  "session_authorization" };

static const char *const context_parse_names[] = {
	"array_nulls",
	"backslash_quote",
	"client_encoding",
	"datestyle",
	"intervalstyle",
	"lc_monetary",
	"standard_conforming_strings",
	"timezone",
	"timezone_abbreviations",
	"transform_null_equals",
	"xmloption",
};

bool context_is_of_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(context_parse_names); i++) {
		if (strcmp(context_parse_names[i], name) == 0) {
			return true;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(context_path_names); i++) {
		if (strcmp(context_path_names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

uint64_t context_parse_id_with(uint64_t parse_id, const char *name, const char *value)
{
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, &parse_id, sizeof(parse_id));
	XXH3_64bits_update(&state, name, strlen(name) + 1);
	XXH3_64bits_update(&state, value, strlen(value) + 1);
	return XXH3_64bits_digest(&state);
}

static uint64_t context_make_parse_id(const struct context *context)
{
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, &context->path_id, sizeof(context->path_id));
	for (size_t i = 0; i < ARRAY_LEN(context_parse_names); i++) {
		struct span value = SPAN_LIT("");
		(void)context_effective(context, context_parse_names[i], &value);
		XXH3_64bits_update(&state, &value.n, sizeof(value.n));
		XXH3_64bits_update(&state, value.p, value.n);
	}
	return XXH3_64bits_digest(&state);
}

/* What each plan is made with, found once: looking it up among the settings was a
 * quarter of what a query cost us.  "$user" is who the server says: a forced user,
 * perhaps, or a role that was given to everybody. */
static void context_find_names(struct context *context)
{
	struct span value;
	context->current_user = span_str(context->user);
	if ((context_effective(context, "role", &value) && value.n > 0 &&
	     !span_eq_str(value, "none")) ||
	    (context_effective(context, "session_authorization", &value) &&
	     value.n > 0)) {
		context->current_user = value;
	}
	if (!context_effective(context, "search_path", &context->search_path)) {
		context->search_path = span_make(NULL, 0);
	}
}

/* Points the fields into the text. */
static void context_parse(struct context *context)
{
	const char *at = context->text;
	const char *end = at + context->text_len;
	context->database = context_next(&at);
	context->user = context_next(&at);
	context->base = context_next(&at);
	while (at < end) {
		require(context->n < CONTEXT_MAX_SETTINGS);
		context->at[context->n].name = context_next(&at);
		context->at[context->n].value = context_next(&at);
		context->n++;
	}
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, context->text,
			   (size_t)(context->base - context->text) +
			       strlen(context->base));
	for (size_t i = 0; i < ARRAY_LEN(context_path_names); i++) {
		const char *value = context_get(context, context_path_names[i]);
		if (value != NULL) {
			XXH3_64bits_update(&state, context_path_names[i],
					   strlen(context_path_names[i]));
			XXH3_64bits_update(&state, value, strlen(value) + 1);
		}
	}
	context->path_id = XXH3_64bits_digest(&state);
	context->parse_id = context_make_parse_id(context);
	context_find_names(context);
}

/* The caller holds the lock. */
static struct context *context_reuse(struct context *context)
{
	if (atomic_fetch_add(&context->refs, 1) == 0) {
		dlist_remove(&context->unused);
		contexts.n_unused--;
	}
	return context;
}

static struct context *context_lookup(struct dlist *bucket, uint64_t hash,
				      const struct buf *text)
{
	dlist_each (l, tmp, bucket) {
		struct context *c = container_of(l, struct context, link);
		if (c->hash == hash && c->text_len == text->len &&
		    memcmp(c->text, text->data, text->len) == 0) {
			return context_reuse(c);
		}
	}
	return NULL;
}

static struct context *context_intern(const struct context_parts *parts);

/* The context of the settings that matter; CONTEXT itself when all do. */
static struct context *context_cache_part(struct context *context,
					  const struct context_parts *parts)
{
	struct context_parts rest = *parts;
	rest.n = 0;
	for (unsigned i = 0; i < parts->n; i++) {
		if (!context_is_harmless(parts->at[i].name)) {
			rest.at[rest.n++] = parts->at[i];
		}
	}
	return rest.n == parts->n ? context : context_intern(&rest);
}

static struct context *context_new(const struct buf *text, uint64_t hash)
{
	struct context *context = calloc(1, sizeof(*context) + text->len);
	if (context == NULL) {
		return NULL;
	}
	atomic_init(&context->refs, 1);
	context->hash = hash;
	context->text_len = text->len;
	memcpy(context->text, text->data, text->len);
	dlist_init(&context->link);
	dlist_init(&context->unused);
	context_parse(context);
	return context;
}

static struct dlist *context_bucket(uint64_t hash)
{
	if (!contexts.is_ready) {
		for (unsigned i = 0; i < CONTEXT_BUCKETS; i++) {
			dlist_init(&contexts.buckets[i]);
		}
		dlist_init(&contexts.unused);
		contexts.is_ready = true;
	}
	return &contexts.buckets[hash % CONTEXT_BUCKETS];
}

static struct context *context_intern(const struct context_parts *parts)
{
	struct buf text;
	buf_init(&text, CONTEXT_MAX_TEXT);
	context_serialize(parts, &text);
	if (!buf_ok(&text)) {
		buf_fini(&text);
		return NULL;
	}
	uint64_t hash = XXH3_64bits(text.data, text.len);
	pthread_mutex_lock(&contexts.lock);
	struct context *found = context_lookup(context_bucket(hash), hash, &text);
	pthread_mutex_unlock(&contexts.lock);
	struct context *fresh = NULL;
	if (found == NULL) {
		fresh = context_new(&text, hash);
		if (fresh != NULL) {
			fresh->cache = context_cache_part(fresh, parts);
		}
		if (fresh != NULL && fresh->cache == NULL) {
			free(steal(&fresh));
		}
	}
	if (fresh != NULL) {
		pthread_mutex_lock(&contexts.lock);
		/* somebody else may have been quicker */
		found = context_lookup(context_bucket(hash), hash, &text);
		if (found == NULL) {
			fresh->id = ++contexts.last_id;
			dlist_push_head(context_bucket(hash), &fresh->link);
			found = steal(&fresh);
		}
		pthread_mutex_unlock(&contexts.lock);
	}
	if (fresh != NULL) {
		if (fresh->cache != fresh) {
			context_unref(fresh->cache);
		}
		free(fresh);
	}
	buf_fini(&text);
	return found;
}

struct context *context_base(struct span database, struct span user, struct span base)
{
	struct context_parts parts = { .database = database,
				       .user = user,
				       .base = base };
	return context_intern(&parts);
}

struct context *context_own_base(const struct context *context)
{
	return context_base(span_str(context->database), span_str(context->user),
			    span_str(context->base));
}

void context_assign(struct context **at, struct context *context)
{
	context_unref(*at);
	*at = context;
}

static void context_parts_of(const struct context *context, struct context_parts *parts)
{
	parts->database = span_str(context->database);
	parts->user = span_str(context->user);
	parts->base = span_str(context->base);
	parts->n = context->n;
	memcpy(parts->at, context->at, context->n * sizeof(parts->at[0]));
}

struct context *context_with(struct context *context, const char *name,
			     const char *value)
{
	struct context_parts parts;
	context_parts_of(context, &parts);
	unsigned i = 0;
	while (i < parts.n && strcmp(parts.at[i].name, name) < 0) {
		i++;
	}
	bool is_there = i < parts.n && strcmp(parts.at[i].name, name) == 0;
	if (value == NULL) {
		if (!is_there) {
			return context_ref(context);
		}
		parts.n--;
		memmove(&parts.at[i], &parts.at[i + 1],
			(parts.n - i) * sizeof(parts.at[0]));
		return context_intern(&parts);
	}
	if (!is_there) {
		if (parts.n == CONTEXT_MAX_SETTINGS) {
			return NULL;
		}
		memmove(&parts.at[i + 1], &parts.at[i],
			(parts.n - i) * sizeof(parts.at[0]));
		parts.n++;
	}
	parts.at[i] = (struct context_setting){ name, value };
	return context_intern(&parts);
}

struct context *context_rebase(struct context *context, struct context *other)
{
	if (strcmp(context->base, other->base) == 0) {
		return context_ref(context);
	}
	struct context_parts parts;
	context_parts_of(context, &parts);
	parts.base = span_str(other->base);
	return context_intern(&parts);
}

struct context *context_ref(struct context *context)
{
	atomic_fetch_add(&context->refs, 1);
	return context;
}

void context_unref(struct context *context)
{
	if (context == NULL) {
		return;
	}
	/* Not the last one: no lock.  The last one goes under the lock, under which
	 * nobody can find the context and take a reference at the same time. */
	unsigned refs = atomic_load(&context->refs);
	while (refs > 1) {
		if (atomic_compare_exchange_weak(&context->refs, &refs, refs - 1)) {
			return;
		}
	}
	pthread_mutex_lock(&contexts.lock);
	struct context *victim = NULL;
	if (atomic_fetch_sub(&context->refs, 1) == 1) {
		dlist_push_tail(&contexts.unused, &context->unused);
		contexts.n_unused++;
	}
	if (contexts.n_unused > CONTEXT_MAX_UNUSED) {
		struct dlist *oldest = dlist_pop_head(&contexts.unused);
		require(oldest != NULL);
		victim = container_of(oldest, struct context, unused);
		contexts.n_unused--;
		dlist_remove(&victim->link);
	}
	pthread_mutex_unlock(&contexts.lock);
	if (victim != NULL) {
		if (victim->cache != victim) {
			context_unref(victim->cache);
		}
		free(victim);
	}
}

const char *context_get(const struct context *context, const char *name)
{
	for (unsigned i = 0; i < context->n; i++) {
		if (strcmp(context->at[i].name, name) == 0) {
			return context->at[i].value;
		}
	}
	return NULL;
}

bool context_effective(const struct context *context, const char *name,
		       struct span *value_out)
{
	const char *value = context_get(context, name);
	if (value != NULL) {
		*value_out = span_str(value);
		return true;
	}
	size_t len = strlen(name);
	for (const char *line = context->base; *line != 0;) {
		const char *end = strchrnul(line, '\n');
		if (strncasecmp(line, name, len) == 0 && line[len] == '=') {
			*value_out =
			    span_make(line + len + 1, (size_t)(end - line) - len - 1);
			return true;
		}
		line = *end ? end + 1 : end;
	}
	return false;
}

/* A string literal that means the same whatever standard_conforming_strings says. */
static void context_quote(struct buf *out, const char *s)
{
	buf_append_str(out, strchr(s, '\\') != NULL ? " E'" : "'");
	for (; *s != 0; s++) {
		if (*s == '\'' || *s == '\\') {
			buf_append_u8(out, (uint8_t)*s);
		}
		buf_append_u8(out, (uint8_t)*s);
	}
	buf_append_str(out, "'");
}

static void context_reset(struct buf *out, const char *name)
{
	if (strcmp(name, "session_authorization") == 0) {
		buf_append_cstr(out, "RESET SESSION AUTHORIZATION");
		return;
	}
	buf_append_str(out, "RESET ");
	/* names with a dot are two identifiers */
	buf_append_str(out, "\"");
	for (; *name != 0; name++) {
		if (*name == '.') {
			buf_append_str(out, "\".\"");
		} else if (*name != '"') {
			buf_append_u8(out, (uint8_t)*name);
		}
	}
	buf_append_cstr(out, "\"");
}

/* Who the session is decides which settings it may change, so everything else is set as
 * the user who logged in: the role goes first and comes last. */
static const char *const context_identity[] = { "role", "session_authorization" };

static bool context_is_identity(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(context_identity); i++) {
		if (strcmp(name, context_identity[i]) == 0) {
			return true;
		}
	}
	return false;
}

static void context_set_config(struct buf *out, const char *name, const char *value,
			       const char *local)
{
	buf_append_str(out, "SELECT pg_catalog.set_config(");
	context_quote(out, name);
	buf_append_str(out, ",");
	context_quote(out, value);
	buf_append_cstr(out, local);
}

static void context_set(struct buf *out, const char *name, const char *value)
{
	if (strcmp(name, "datestyle") == 0) {
		/* a value may leave half of what was there before: "German" the order,
		 * "DMY" the style */
		context_reset(out, name);
	}
	context_set_config(out, name, value, ",false)");
}

void context_set_again(const struct context *context, const char *name, bool local,
		       struct buf *out)
{
	const char *value = context_get(context, name);
	require(value != NULL);
	context_set_config(out, name, value, local ? ",true)" : ",false)");
}

bool context_must_reset(const struct context *from, const struct context *to)
{
	for (unsigned i = 0; i < from->n; i++) {
		if (context_get(to, from->at[i].name) == NULL) {
			return true;
		}
	}
	return false;
}

void context_diff(const struct context *from, const struct context *to, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_LEN(context_identity); i++) {
		if (context_get(from, context_identity[i]) != NULL) {
			context_reset(out, context_identity[i]);
		}
	}
	for (unsigned i = from->n; i-- > 0;) {
		const char *name = from->at[i].name;
		if (!context_is_identity(name) && context_get(to, name) == NULL) {
			context_reset(out, name);
		}
	}
	for (unsigned i = to->n; i-- > 0;) {
		const char *now = context_get(from, to->at[i].name);
		if (!context_is_identity(to->at[i].name) &&
		    (now == NULL || strcmp(now, to->at[i].value) != 0)) {
			context_set(out, to->at[i].name, to->at[i].value);
		}
	}
	for (size_t i = ARRAY_LEN(context_identity); i-- > 0;) {
		const char *value = context_get(to, context_identity[i]);
		if (value != NULL) {
			context_set(out, context_identity[i], value);
		}
	}
}
