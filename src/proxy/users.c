/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/users.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "proxy/hba_files.h"
#include "wire/hba.h"
#include "wire/ident.h"
#include "wire/userlist.h"

struct users {
	atomic_uint refs;
	size_t n;
	size_t n_scram;	     /* whose secret is a stored one of SCRAM */
	size_t n_other;	     /* who have another one */
	uint32_t iterations; /* of a stored one of SCRAM; 0: there is none */
	struct user *at;     /* sorted by name; owned, with the strings */
	struct hba *hba;     /* this and the next: owned, or NULL */
	struct ident *ident;
};

static int user_compare(const void *a, const void *b)
{
	return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static char *users_copy(struct span s)
{
	return strndup((const char *)s.p, s.n);
}

/* Stored in one of the two forms that cannot be turned back. */
static void user_keep_md5(struct user *user, struct span secret)
{
	user->has_md5 = true;
	for (size_t i = 0; i < sizeof(user->md5); i++) {
		uint8_t c = secret.p[i];
		user->md5[i] = c >= 'A' && c <= 'F' ? c | 0x20 : c;
	}
}

/* KIND and user->secret are what userlist_classify() said. */
static int user_fill(struct user *user, struct span secret, enum userlist_kind kind,
		     const uint8_t salt_key[SCRAM_KEY_LEN], uint32_t iterations)
{
	switch (kind) {
	case USERLIST_MD5:
		user_keep_md5(user, secret);
		return 0;
	case USERLIST_SCRAM:
		user->has_secret = true;
		return 0;
	case USERLIST_PLAIN:
		break;
	}
	if (secret.n == 0) {
		return 0;
	}
	user->password = users_copy(secret);
	if (user->password == NULL) {
		return -ENOMEM;
	}
	/* a library without MD5 leaves the other methods */
	user->has_md5 = md5_password_make(secret, span_str(user->name), user->md5) == 0;
	user->has_secret = true;
	return scram_secret_derive(secret, span_str(user->name), salt_key, iterations,
				   &user->secret);
}

static int user_begin(struct user *user, struct span name)
{
	*user = (struct user){ .name = users_copy(name) };
	return user->name == NULL ? -ENOMEM : 0;
}

int user_init(struct user *user, struct span name, struct span secret,
	      const uint8_t salt_key[SCRAM_KEY_LEN], uint32_t iterations)
{
	enum userlist_kind kind;
	int r = user_begin(user, name);
	if (r == 0) {
		r = userlist_classify(secret, &kind, &user->secret);
	}
	return r == 0 ? user_fill(user, secret, kind, salt_key, iterations) : r;
}

void user_fini(struct user *user)
{
	if (user->password != NULL) {
		char *password = (char *)(uintptr_t)user->password;
		OPENSSL_cleanse(password, strlen(password));
		free(password);
	}
	scram_secret_wipe(&user->secret);
	OPENSSL_cleanse(user->md5, sizeof(user->md5));
	free((void *)(uintptr_t)user->name);
}

static int users_read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		return -errno;
	}
	int r = 0;
	for (;;) {
		uint8_t *to = buf_reserve(out, 65536);
		if (to == NULL) {
			r = -EFBIG;
			break;
		}
		size_t n = fread(to, 1, 65536, file);
		out->len += n;
		if (n == 0) {
			r = ferror(file) ? -EIO : 0;
			break;
		}
	}
	fclose(file);
	return r;
}

static int users_load_file(const char *path, struct userlist **out, char *error,
			   size_t error_size)
{
	struct buf text;
	buf_init(&text, USERLIST_MAX_SIZE);
	int r = users_read_file(path, &text);
	if (r < 0) {
		snprintf(error, error_size, "auth_file %s: %s", path, strerror(-r));
		buf_fini(&text);
		return r;
	}
	struct userlist_error bad = { 0 };
	r = userlist_new(buf_span(&text), out, &bad);
	if (r > 0) {
		snprintf(error, error_size, "auth_file %s:%zu: %s", path, bad.line,
			 bad.text);
	}
	if (text.data != NULL) {
		OPENSSL_cleanse(text.data, text.len);
	}
	buf_fini(&text);
	return r;
}

static int users_fill(struct users *users, const struct config *config,
		      const struct userlist *list,
		      const uint8_t salt_key[SCRAM_KEY_LEN])
{
	int r = 0;
	for (size_t i = 0; list != NULL && i < userlist_count(list) && r == 0; i++) {
		const struct userlist_entry *e = userlist_at(list, i);
		if (config_find_user(config, e->name) != NULL &&
		    config_find_user(config, e->name)->password != NULL) {
			continue;
		}
		r = user_init(&users->at[users->n++], e->name, e->secret, salt_key,
			      config->scram_iterations);
	}
	for (size_t i = 0; i < config->n_users && r == 0; i++) {
		const struct config_user *u = &config->users[i];
		if (u->password == NULL) {
			continue;
		}
		struct user *user = &users->at[users->n++];
		r = user_begin(user, span_str(u->name));
		if (r == 0) { /* plain, whatever it looks like */
			r = user_fill(user, span_str(u->password), USERLIST_PLAIN,
				      salt_key, config->scram_iterations);
		}
	}
	for (size_t i = 0; i < users->n; i++) {
		bool scram = users->at[i].has_secret && !users->at[i].has_md5;
		users->n_scram += scram;
		users->iterations =
		    scram ? users->at[i].secret.iterations : users->iterations;
		users->n_other += users->at[i].has_md5;
	}
	if (r == 0 && users->n > 0) {
		qsort(users->at, users->n, sizeof(users->at[0]), user_compare);
	}
	return r;
}

int users_load(const struct config *config, const uint8_t salt_key[SCRAM_KEY_LEN],
	       struct users **out, char *error, size_t error_size)
{
	struct userlist *list = NULL;
	if (config->auth_file[0] != 0) {
		int r = users_load_file(config->auth_file, &list, error, error_size);
		if (r != 0) {
			return r;
		}
	}
	size_t max = config->n_users + (list ? userlist_count(list) : 0);
	struct users *users = calloc(1, sizeof(*users));
	int r = -ENOMEM;
	if (users != NULL) {
		atomic_init(&users->refs, 1);
		users->at = calloc(max + 1, sizeof(users->at[0]));
		r = users->at ? users_fill(users, config, list, salt_key) : -ENOMEM;
	}
	userlist_free(list);
	if (r != 0) {
		require(r < 0); /* the list has no malformed secret */
		snprintf(error, error_size, "users: %s", strerror(-r));
		users_unref(users);
		return r;
	}
	r = hba_files_load(config, &users->hba, &users->ident, error, error_size);
	if (r != 0) {
		users_unref(users);
		return r;
	}
	*out = users;
	return 0;
}

struct users *users_ref(struct users *users)
{
	atomic_fetch_add(&users->refs, 1);
	return users;
}

void users_unref(struct users *users)
{
	if (users == NULL || atomic_fetch_sub(&users->refs, 1) != 1) {
		return;
	}
	for (size_t i = 0; i < users->n; i++) {
		user_fini(&users->at[i]);
	}
	free(users->at);
	hba_free(users->hba);
	ident_free(users->ident);
	free(users);
}

const struct hba *users_hba(const struct users *users)
{
	return users->hba;
}

const struct ident *users_ident(const struct users *users)
{
	return users->ident;
}

bool users_have_scram(const struct users *users)
{
	return users->n_scram >= users->n_other;
}

uint32_t users_iterations(const struct users *users, uint32_t otherwise)
{
	return users->iterations != 0 ? users->iterations : otherwise;
}

const struct user *users_find(const struct users *users, struct span name)
{
	size_t lo = 0;
	size_t hi = users->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct span at = span_str(users->at[mid].name);
		size_t n = at.n < name.n ? at.n : name.n;
		int c = n ? memcmp(name.p, at.p, n) : 0;
		if (c == 0 && name.n == at.n) {
			return &users->at[mid];
		}
		if (c < 0 || (c == 0 && name.n < at.n)) {
			hi = mid;
		} else {
			lo = mid + 1;
		}
	}
	return NULL;
}
