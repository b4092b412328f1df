/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proxy/auth_cache.h"
#include "proxy/users.h"

#define KEY SPAN_LIT("chat\0\0alice")

static const uint8_t salt_key[SCRAM_KEY_LEN] = { 1 };

static struct auth_cache *make(size_t max)
{
	struct auth_cache *cache;
	cr_assert_eq(auth_cache_new(max, &cache), 0);
	return cache;
}

/* An answer that is told apart by its plain password; NULL: there is no such user. */
static struct auth_answer *say(const char *password)
{
	struct auth_answer *answer;
	struct span secret = { NULL, 0 };
	if (password != NULL) {
		secret = span_str(password);
	}
	cr_assert_eq(auth_answer_new(SPAN_LIT("alice"), secret, salt_key, 1, &answer),
		     0);
	return answer;
}

static void put(struct auth_cache *cache, struct span key, const char *password,
		uint64_t asked_ns)
{
	struct auth_answer *answer = say(password);
	auth_cache_put(cache, 0, key, answer, asked_ns);
	auth_answer_unref(answer);
}

/* The password that is found; "nobody", or NULL: nothing. */
static const char *look_in(struct auth_cache *cache, uint32_t epoch, struct span key,
			   uint64_t oldest_ns)
{
	static char text[64];
	struct auth_answer *answer = auth_cache_find(cache, epoch, key, oldest_ns);
	if (answer == NULL) {
		return NULL;
	}
	const struct user *user = auth_answer_user(answer);
	snprintf(text, sizeof(text), "%s", user != NULL ? user->password : "nobody");
	auth_answer_unref(answer);
	return text;
}

static const char *look(struct auth_cache *cache, struct span key)
{
	return look_in(cache, 0, key, 0);
}

Test(auth_cache, keeps_what_was_said_of_users_and_of_nobody)
{
	struct auth_cache *cache = make(8);
	cr_assert_null(look(cache, KEY));
	put(cache, KEY, "one", 10);
	put(cache, SPAN_LIT("bob"), NULL, 10);
	cr_assert_str_eq(look(cache, KEY), "one");
	cr_assert_str_eq(look(cache, SPAN_LIT("bob")), "nobody");
	cr_assert_null(look(cache, SPAN_LIT("chat")), "the whole key is compared");
	auth_cache_free(cache);
}

Test(auth_cache, answers_grow_old)
{
	struct auth_cache *cache = make(8);
	put(cache, KEY, "one", 10);
	cr_assert_not_null(look_in(cache, 0, KEY, 10));
	cr_assert_null(look_in(cache, 0, KEY, 11));
	put(cache, KEY, "two", 11);
	cr_assert_str_eq(look_in(cache, 0, KEY, 11), "two");
	auth_cache_free(cache);
}

Test(auth_cache, the_newest_question_wins)
{
	struct auth_cache *cache = make(8);
	put(cache, KEY, "new", 20);
	put(cache, KEY, "old", 10);
	cr_assert_str_eq(look(cache, KEY), "new");
	auth_cache_free(cache);
}

Test(auth_cache, what_was_forgotten_does_not_come_back)
{
	struct auth_cache *cache = make(8);
	put(cache, KEY, "one", 10);
	auth_cache_forget(cache, KEY, 20);
	cr_assert_null(look(cache, KEY));
	put(cache, KEY, "asked before", 15);
	put(cache, KEY, "asked before", 20);
	cr_assert_null(look(cache, KEY));
	put(cache, KEY, "asked after", 21);
	cr_assert_str_eq(look(cache, KEY), "asked after");

	auth_cache_forget(cache, SPAN_LIT("never seen"), 30);
	put(cache, SPAN_LIT("never seen"), "asked before", 29);
	cr_assert_null(look(cache, SPAN_LIT("never seen")));
	auth_cache_free(cache);
}

Test(auth_cache, not_even_when_its_entry_made_room)
{
	struct auth_cache *cache = make(1);
	auth_cache_forget(cache, KEY, 20);
	put(cache, SPAN_LIT("bob"), "bob's", 30);
	put(cache, KEY, "asked before", 15);
	cr_assert_null(look(cache, KEY));
	cr_assert_str_eq(look(cache, SPAN_LIT("bob")), "bob's");
	auth_cache_free(cache);
}

Test(auth_cache, clearing_holds_for_all)
{
	struct auth_cache *cache = make(8);
	put(cache, KEY, "one", 10);
	auth_cache_clear(cache, 20);
	auth_cache_clear(cache, 5); /* another thread's, late */
	cr_assert_null(look(cache, KEY));
	put(cache, KEY, "asked before", 20);
	put(cache, SPAN_LIT("bob"), "asked before", 11);
	cr_assert_null(look(cache, KEY));
	cr_assert_null(look(cache, SPAN_LIT("bob")));
	put(cache, KEY, "two", 21);
	cr_assert_str_eq(look(cache, KEY), "two");
	auth_cache_free(cache);
}

Test(auth_cache, configurations_do_not_mix)
{
	struct auth_cache *cache = make(8);
	put(cache, KEY, "old server", 10);
	auth_cache_reload(cache, 1);
	cr_assert_null(look_in(cache, 1, KEY, 0));
	put(cache, KEY, "old server", 20); /* a worker that has not taken it yet */
	cr_assert_null(look_in(cache, 1, KEY, 0));
	struct auth_answer *answer = say("new server");
	auth_cache_put(cache, 1, KEY, answer, 5);
	auth_answer_unref(answer);
	cr_assert_str_eq(look_in(cache, 1, KEY, 0), "new server");
	cr_assert_null(look_in(cache, 0, KEY, 0));
	auth_cache_free(cache);
}

Test(auth_cache, the_least_recently_used_make_room)
{
	struct auth_cache *cache = make(3);
	put(cache, SPAN_LIT("a"), "a", 1);
	put(cache, SPAN_LIT("b"), "b", 2);
	put(cache, SPAN_LIT("c"), "c", 3);
	cr_assert_not_null(look(cache, SPAN_LIT("a")));
	put(cache, SPAN_LIT("d"), "d", 4);
	cr_assert_null(look(cache, SPAN_LIT("b")));
	cr_assert_not_null(look(cache, SPAN_LIT("a")));
	cr_assert_not_null(look(cache, SPAN_LIT("c")));
	cr_assert_not_null(look(cache, SPAN_LIT("d")));
	auth_cache_free(cache);
}

Test(auth_cache, an_answer_outlives_its_entry)
{
	struct auth_cache *cache = make(1);
	put(cache, KEY, "one", 10);
	struct auth_answer *answer = auth_cache_find(cache, 0, KEY, 0);
	auth_cache_free(cache);
	cr_assert_str_eq(auth_answer_user(answer)->password, "one");
	auth_answer_unref(answer);
}

Test(auth_cache, knows_which_secrets_there_are)
{
	static const char scram[] = "SCRAM-SHA-256$5:c2FsdHNhbHRzYWx0c2FsdA==$"
				    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
				    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	struct auth_cache *cache = make(8);
	cr_assert(auth_cache_has_scram(cache) && !auth_cache_has_plain(cache));
	cr_assert_eq(auth_cache_iterations(cache, 4096), 4096);
	put(cache, KEY, "plain", 1);
	cr_assert(!auth_cache_has_scram(cache) && auth_cache_has_plain(cache));
	cr_assert_eq(auth_cache_iterations(cache, 4096), 1);
	put(cache, KEY, NULL, 2);
	cr_assert(!auth_cache_has_scram(cache) && auth_cache_has_plain(cache));
	put(cache, KEY, scram, 3);
	cr_assert(auth_cache_has_scram(cache) && !auth_cache_has_plain(cache));
	cr_assert_eq(auth_cache_iterations(cache, 4096), 5);
	put(cache, KEY, "md500000000000000000000000000000000", 4);
	cr_assert(!auth_cache_has_scram(cache) && !auth_cache_has_plain(cache));
	cr_assert_eq(auth_cache_iterations(cache, 4096), 5);
	auth_cache_free(cache);
}

Test(auth_answer, malformed_secrets)
{
	struct auth_answer *answer = NULL;
	cr_assert_eq(auth_answer_new(SPAN_LIT("alice"),
				     SPAN_LIT("SCRAM-SHA-256$4096:x"), salt_key, 1,
				     &answer),
		     1);
	cr_assert_null(answer);
}
