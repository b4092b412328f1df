/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/keeper.h"

#include "cache/redis.h"
#include "cache/token.h"
#include "net/timer.h"

#define MAX_MISMATCHES 3

static void keeper_on_epoch_written(void *arg, const struct redis_answer *answer)
{
	struct keeper *keeper = arg;
	bool ok = answer != NULL && answer->kind == REDIS_ANSWER_TEXT;
	keeper->is_tending = false;
	bool is_known =
	    epoch_wrote(keeper->epoch, ok, keeper->tend_value, keeper->tend_lost);
	if (!ok) {
		keeper->is_resting = true;
		return;
	}
	if (keeper->tend_link == keeper->link) {
		keeper->confirmed = keeper->tend_links;
		keeper->n_mismatches = 0;
	}
	if (!is_known) {
		keeper_tend(keeper, false);
	}
}

static void keeper_write_epoch(struct keeper *keeper, const struct epoch_view *view)
{
	struct token_name name;
	char text[TOKEN_LEN];
	keeper->tend_value = token_fresh(keeper->tokens);
	keeper->tend_lost = view->lost;
	token_name_set(&name, keeper->prefix, "epoch", NULL, 0);
	token_write(keeper->tend_value, text);
	struct span args[3] = { SPAN_LIT("SET"), token_name_span(&name),
				span_make(text, sizeof(text)) };
	struct redis_call call = { .command = REDIS_COMMAND_SET,
				   .fn = keeper_on_epoch_written,
				   .arg = keeper };
	keeper->is_tending = redis_send(keeper->redis, args, 3, &call);
	if (!keeper->is_tending) {
		epoch_wrote(keeper->epoch, false, 0, 0);
	}
}

/* A strange epoch, or none.  On a connection that was right, the token was wiped; on
 * another it may be the wrong Redis. */
static void keeper_on_strange_epoch(struct keeper *keeper, bool is_missing,
				    uint64_t value)
{
	struct epoch_view view = epoch_view(keeper->epoch);
	bool is_right = keeper->link == view.links || keeper->confirmed == view.links;
	if (is_missing && is_right) {
		epoch_lose(keeper->epoch);
		keeper_tend(keeper, false);
	} else if (!is_missing && epoch_adopt(keeper->epoch, keeper->link, value)) {
		keeper->confirmed = view.links;
		keeper->n_mismatches = 0;
	} else if (++keeper->n_mismatches >= MAX_MISMATCHES) {
		keeper->n_mismatches = 0;
		redis_reconnect(keeper->redis, "it does not have our epoch");
	}
}

static void keeper_on_epoch_seen(void *arg, const struct redis_answer *answer)
{
	struct keeper *keeper = arg;
	keeper->is_tending = false;
	if (answer == NULL || keeper->tend_link != keeper->link ||
	    answer->kind == REDIS_ANSWER_ERROR) {
		return;
	}
	struct epoch_view view = epoch_view(keeper->epoch);
	if (!view.is_known || view.links != keeper->tend_links ||
	    view.value != keeper->tend_value) {
		return; /* it has changed meanwhile: the next tick looks again */
	}
	uint64_t value = 0;
	bool is_missing = !token_parse(answer->text, &value);
	if (!is_missing && value == view.value) {
		keeper->confirmed = view.links;
		keeper->n_mismatches = 0;
	} else {
		keeper_on_strange_epoch(keeper, is_missing, value);
	}
}

void keeper_tend(struct keeper *keeper, bool always)
{
	struct epoch_view view;
	if (keeper->is_tending || !redis_is_ready(keeper->redis)) {
		return;
	}
	keeper->tend_link = keeper->link;
	if (!keeper->is_resting &&
	    epoch_claim(keeper->epoch, keeper->link, keeper->confirmed, &view)) {
		keeper->tend_links = view.links;
		keeper_write_epoch(keeper, &view);
		return;
	}
	view = epoch_view(keeper->epoch);
	if (!view.is_known || (!always && keeper->confirmed == view.links)) {
		return;
	}
	struct token_name name;
	token_name_set(&name, keeper->prefix, "epoch", NULL, 0);
	struct span args[2] = { SPAN_LIT("GET"), token_name_span(&name) };
	struct redis_call call = { .command = REDIS_COMMAND_GET,
				   .fn = keeper_on_epoch_seen,
				   .arg = keeper };
	keeper->tend_links = view.links;
	keeper->tend_value = view.value;
	keeper->is_tending = redis_send(keeper->redis, args, 2, &call);
}

static void keeper_on_tick(void *arg)
{
	struct keeper *keeper = arg;
	keeper->is_resting = false;
	keeper_tend(keeper, true);
}

void keeper_ready(struct keeper *keeper, bool is_new_link)
{
	keeper->is_resting = false;
	if (is_new_link) {
		keeper->link = epoch_add_link(keeper->epoch);
		keeper->n_mismatches = 0;
	}
	keeper_tend(keeper, true);
}

bool keeper_is_right(const struct keeper *keeper, const struct epoch_view *view)
{
	return view->is_known && keeper->confirmed == view->links;
}

bool keeper_is_usable(struct keeper *keeper)
{
	if (!redis_is_ready(keeper->redis)) {
		return false;
	}
	struct epoch_view view = epoch_view(keeper->epoch);
	if (keeper_is_right(keeper, &view)) {
		return true;
	}
	keeper_tend(keeper, false);
	return false;
}

int keeper_init(struct keeper *keeper, struct loop *loop)
{
	return timer_new(loop, keeper_on_tick, keeper, &keeper->tick);
}

void keeper_fini(struct keeper *keeper)
{
	timer_close(keeper->tick);
	keeper->tick = NULL;
}

void keeper_start(struct keeper *keeper, uint64_t period_ms)
{
	timer_start(keeper->tick, period_ms, period_ms);
}

void keeper_stop(struct keeper *keeper)
{
	timer_stop(keeper->tick);
}
