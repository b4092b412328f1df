/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "daemon/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "net/loop.h"

struct signal_row {
	int number;
	enum signals_wish wish;
	const char *name;
};

static const struct signal_row rows[] = {
	{ SIGHUP, SIGNALS_RELOAD, "SIGHUP" },
	{ SIGTERM, SIGNALS_STOP_GENTLY, "SIGTERM" },
	{ SIGINT, SIGNALS_STOP_SOON, "SIGINT" },
	{ SIGQUIT, SIGNALS_STOP_NOW, "SIGQUIT" },
	{ SIGUSR1, SIGNALS_PAUSE, "SIGUSR1" },
	{ SIGUSR2, SIGNALS_RESUME, "SIGUSR2" },
};

struct signals {
	signals_fn fn;
	void *arg;
	bool stopping; /* a stop was asked for: the next one means at once */
	bool closed;
	unsigned n_open; /* handles; the last one's close callback frees */
	uv_signal_t handles[ARRAY_LEN(rows)];
};

static void signals_on(uv_signal_t *handle, int number)
{
	struct signals *signals = handle->data;
	const struct signal_row *row = &rows[handle - signals->handles];
	require(row->number == number);
	if (signals->closed) {
		return;
	}
	enum signals_wish wish = row->wish;
	bool is_stop = wish == SIGNALS_STOP_GENTLY || wish == SIGNALS_STOP_SOON ||
		       wish == SIGNALS_STOP_NOW;
	if (is_stop) {
		wish = signals->stopping ? SIGNALS_STOP_NOW : wish;
		signals->stopping = true;
	}
	signals->fn(signals->arg, wish, row->name); /* may have closed us */
}

static void signals_on_close(uv_handle_t *handle)
{
	struct signals *signals = handle->data;
	require(signals->n_open > 0);
	if (--signals->n_open == 0) {
		free(signals);
	}
}

int signals_open(struct loop *loop, signals_fn fn, void *arg, struct signals **out)
{
	require(loop != NULL && fn != NULL && out != NULL);
	struct signals *signals = calloc(1, sizeof(*signals));
	if (signals == NULL) {
		return -ENOMEM;
	}
	signals->fn = fn;
	signals->arg = arg;
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uv_signal_t *handle = &signals->handles[i];
		int r = uv_signal_init(loop_uv(loop), handle);
		if (r == 0) {
			handle->data = signals;
			signals->n_open++;
			r = uv_signal_start(handle, signals_on, rows[i].number);
		}
		if (r < 0) {
			if (signals->n_open == 0) {
				free(signals);
			} else {
				signals_close(signals);
			}
			return r;
		}
	}
	*out = signals;
	return 0;
}

void signals_close(struct signals *signals)
{
	if (signals == NULL || signals->closed) {
		return;
	}
	signals->closed = true;
	for (unsigned i = signals->n_open; i > 0; i--) {
		uv_close((uv_handle_t *)&signals->handles[i - 1], signals_on_close);
	}
}
