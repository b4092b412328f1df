/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/listen_portals.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/plan.h"

struct listen_portal {
	struct dlist link;
	struct plan *plan; /* a reference; NULL: not known which */
	size_t n;
	uint8_t name[];
};

void listen_portals_init(struct listen_portals *portals)
{
	dlist_init(&portals->all);
	portals->n = 0;
}

static struct listen_portal *portal_of(const struct listen_portals *portals,
				       struct span name)
{
	dlist_each (l, tmp, &portals->all) {
		struct listen_portal *portal =
		    container_of(l, struct listen_portal, link);
		if (span_eq(span_make(portal->name, portal->n), name)) {
			return portal;
		}
	}
	return NULL;
}

static void portal_free(struct listen_portals *portals, struct listen_portal *portal)
{
	dlist_remove(&portal->link);
	portals->n--;
	plan_unref(portal->plan);
	free(portal);
}

bool listen_portals_bind(struct listen_portals *portals, struct span name,
			 struct plan *plan)
{
	struct listen_portal *there = portal_of(portals, name);
	bool is_listen = plan->kind == PLAN_LISTEN || plan->kind == PLAN_UNLISTEN ||
			 plan->deallocate_all;
	if (there != NULL && there->plan != plan) {
		/* an error of the server, or the old one has ended unseen */
		plan_unref(steal(&there->plan));
		return !is_listen;
	}
	if (there != NULL || !is_listen) {
		return true;
	}
	struct listen_portal *portal =
	    portals->n < LISTEN_PORTALS_MAX ? malloc(sizeof(*portal) + name.n) : NULL;
	if (portal == NULL) {
		return false;
	}
	dlist_init(&portal->link);
	dlist_push_tail(&portals->all, &portal->link);
	portals->n++;
	portal->plan = plan_ref(plan);
	portal->n = name.n;
	memcpy(portal->name, name.p, name.n);
	return true;
}

struct plan *listen_portals_find(const struct listen_portals *portals, struct span name)
{
	const struct listen_portal *portal = portal_of(portals, name);
	return portal != NULL ? portal->plan : NULL;
}

void listen_portals_close(struct listen_portals *portals, struct span name)
{
	struct listen_portal *portal = portal_of(portals, name);
	if (portal != NULL) {
		portal_free(portals, portal);
	}
}

void listen_portals_clear(struct listen_portals *portals)
{
	struct dlist *l;
	while ((l = dlist_head(&portals->all)) != NULL) {
		portal_free(portals, container_of(l, struct listen_portal, link));
	}
}
