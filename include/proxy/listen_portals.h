#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Named portals that were bound to LISTEN, UNLISTEN, DEALLOCATE ALL or DISCARD ALL, so
 * that an Execute tells which of them runs.  They end with their transaction. */

#include <stdbool.h>
#include <stddef.h>

#include "base/dlist.h"
#include "base/span.h"

struct plan;

/* More of one transaction are not kept. */
#define LISTEN_PORTALS_MAX 64

struct listen_portals {
	struct dlist all; /* struct listen_portal; owned */
	size_t n;
};

/* Needs no memory; listen_portals_clear() frees what comes in. */
void listen_portals_init(struct listen_portals *portals);
/* NAME is about to be bound to PLAN, of any kind.  False: there are too many, no
 * memory, or another portal of this name may still be there; then which of them an
 * Execute runs is not known. */
bool listen_portals_bind(struct listen_portals *portals, struct span name,
			 struct plan *plan);
/* Which of them NAME runs, or NULL. */
struct plan *listen_portals_find(const struct listen_portals *portals,
				 struct span name);
/* NAME is closed, or was never there. */
void listen_portals_close(struct listen_portals *portals, struct span name);
/* Their transaction has ended. */
void listen_portals_clear(struct listen_portals *portals);
