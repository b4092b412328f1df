/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/session_restore.h"

#include "proxy/session.h"
#include "sql/plan.h"
#include "upstream/context.h"

bool session_loses(const struct session *session, const struct plan *plan)
{
	if (LIKELY(session->startup->n == 0) || plan->kind != PLAN_SET) {
		return false;
	}
	if (plan->set_kind == SET_DEFAULT) {
		return plan->set_name != NULL &&
		       context_get(session->startup, plan->set_name) != NULL;
	}
	return plan->set_kind == SET_RESET_ALL || plan->set_kind == SET_DISCARD_ALL;
}

static void session_restored_all(struct session *session)
{
	context_assign(&session->pending_server, context_ref(session->pending));
}

void session_restore(struct session *session, const struct plan *plan, struct buf *sql)
{
	if (plan->set_kind == SET_DEFAULT) {
		context_set_again(session->startup, plan->set_name, plan->set_local,
				  sql);
	} else if (session->pending != NULL) {
		context_diff(session->pending_server, session->pending, sql);
	}
	if (session->pending != NULL && !plan->set_local) {
		session_restored_all(session);
	}
}

void session_restore_last(struct session *session, const struct plan *plan,
			  struct buf *sql)
{
	const struct plan *last = plan_last(plan);
	if (session->startup->n == 0) {
		return;
	}
	if (session->pending != NULL && session->pending != session->pending_server) {
		context_diff(session->pending_server, session->pending, sql);
		session_restored_all(session);
	}
	if (last->set_local && session_loses(session, last)) {
		session_restore(session, last, sql);
	}
}

void session_discarded(struct session *session, struct context **server)
{
	struct context *base = context_own_base(*server);
	if (base == NULL) {
		session_distrust(session);
		return;
	}
	context_assign(server, base);
	session_adopt(session, context_ref(session->startup));
}

void session_rolled_back(struct session *session, uint64_t n_sets)
{
	if (session->n_sets != n_sets) {
		session_distrust(session); /* some were set behind it */
		return;
	}
	context_unref(steal(&session->pending));
	context_unref(steal(&session->pending_server));
}
