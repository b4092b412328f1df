#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Signals, as wishes on the main loop.  HUP reloads; TERM stops when transactions have
 * ended, INT when queries have, QUIT at once; whichever comes second means at once.
 * USR1 pauses all databases, USR2 lets them go on. */

#include "base/check.h"

struct loop;
struct signals;

enum signals_wish {
	SIGNALS_RELOAD,
	SIGNALS_STOP_GENTLY, /* let transactions end */
	SIGNALS_STOP_SOON,   /* let queries end */
	SIGNALS_STOP_NOW,
	SIGNALS_PAUSE, /* all databases */
	SIGNALS_RESUME,
};

typedef void (*signals_fn)(void *arg, enum signals_wish wish, const char *signal_name);

/* From now on FN(ARG) hears of signals, on LOOP's thread.  SIGPIPE is ignored: a write
 * to a closed socket is an error like others.  -errno. */
int signals_open(struct loop *loop, signals_fn fn, void *arg,
		 struct signals **out) MUST_CHECK;
/* Stops at once; frees itself later.  NULL is fine. */
void signals_close(struct signals *signals);
