/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/session.h"

#include <string.h>

#include "base/check.h"
#include "proxy/server_begin.h"
#include "proxy/session_restore.h"
#include "proxy/session_text.h"
#include "session_priv.h"
#include "upstream/statement.h"

/* Shapes that are one transaction's are not those of the database. */
#define SESSION_OWN_SHAPE(n) (UINT64_C(1) << 63 | (n) << 32)

void session_init(struct session *session, struct context *context,
		  uint32_t max_statements)
{
	*session = (struct session){ .tx_status = 'I' };
	session->context = context_ref(context);
	session->startup = context_ref(context);
	session->told = context_ref(context);
	session->unreadable = !session_is_readable(context);
	names_init(&session->names, max_statements);
	savepoints_init(&session->savepoints);
	writes_init(&session->writes);
}

void session_fini(struct session *session)
{
	if (session->context == NULL) {
		return; /* never logged in */
	}
	names_fini(&session->names);
	savepoints_clear(&session->savepoints);
	writes_fini(&session->writes);
	context_unref(session->context);
	context_unref(session->startup);
	context_unref(session->told);
	context_unref(session->pending);
	context_unref(session->pending_server);
}

enum bypass_reason session_bypass(const struct session *session)
{
	if (session->cache_off) {
		return BYPASS_HINT;
	}
	if (session->untrusted || session->suspect || session->unreadable) {
		return BYPASS_SESSION_STATE;
	}
	if (session->pins & PIN_TEMP) {
		return BYPASS_TEMP_TABLE;
	}
	if (session->tx_unread || session->tx_status == 'E' ||
	    (session->tx_status != 'I' && !session->tx_plain)) {
		return BYPASS_IN_TRANSACTION;
	}
	return BYPASS_NONE;
}

uint64_t session_parse_id(struct session *session)
{
	const struct context *context =
	    session->pending ? session->pending : session->context;
	if (!session->tx_local && !session->untrusted && !session->suspect) {
		session->own_parse_id = 0;
		return context->parse_id;
	}
	if (session->own_parse_id == 0) {
		session->own_parse_id = statement_own_parse_id();
	}
	return session->own_parse_id;
}

uint64_t session_shape(const struct session *session, uint64_t shape)
{
	return session->own_shape + shape;
}

struct statement *session_statement(struct session *session, struct span name)
{
	struct named *named = names_find(&session->names, name);
	if (named == NULL) {
		return NULL;
	}
	uint64_t parse_id = session_parse_id(session);
	struct statement *old = named->statement;
	if (UNLIKELY(old->parse_id != parse_id) && !named->on_server) {
		struct statement *fresh = statement_reread(old, parse_id);
		if (fresh != NULL) {
			named->statement = fresh;
			statement_unref(old);
		}
	}
	return named->statement;
}

/* Settings */

void session_distrust(struct session *session)
{
	session->untrusted = true;
	session->pins |= PIN_SETTING;
}

void session_pin(struct session *session, uint8_t pins)
{
	session->pins |= pins;
	session->pins_new |= pins;
}

void session_pend(struct session *session, struct context *fresh,
		  struct context *fresh_server)
{
	if (fresh == NULL || fresh_server == NULL) {
		context_unref(fresh);
		context_unref(fresh_server);
		session_distrust(session);
		return;
	}
	context_unref(session->pending);
	context_unref(session->pending_server);
	session->pending = fresh;
	session->pending_server = fresh_server;
}

/* Who becomes another user has no role any more. */
static void session_drop_role(struct session *session)
{
	struct span base;
	if (session->pending == NULL) {
		return;
	}
	struct context *now = context_with(session->pending, "role", NULL);
	struct context *server = context_with(session->pending_server, "role", NULL);
	if (now != NULL && context_effective(now, "role", &base) &&
	    !span_eq_str(base, "none")) {
		session_distrust(session); /* the server gives everybody a role */
	}
	session_pend(session, now, server);
}

static void session_set(struct session *session, const struct plan *plan)
{
	struct context *now = session->pending;
	struct context *server = session->pending_server;
	if (plan->set_name == NULL) {
		session_distrust(session);
		return;
	}
	const char *value = NULL;
	const char *back = NULL;
	if (plan->set_kind == SET_VALUE) {
		value = back = plan->set_value;
		if (value == NULL) {
			session_distrust(session);
			return;
		}
	} else {
		back = context_get(session->startup, plan->set_name);
	}
	session_pend(session, context_with(now, plan->set_name, back),
		     context_with(server, plan->set_name, value));
	if (strcmp(plan->set_name, "session_authorization") == 0) {
		session_drop_role(session);
	}
}

/* RESET ALL keeps who the user is. */
static struct context *session_reset_all(struct context *from, struct context *to)
{
	static const char *const kept[] = { "role", "session_authorization" };
	struct context *result = context_ref(to);
	for (size_t i = 0; i < ARRAY_LEN(kept) && result != NULL; i++) {
		const char *value = context_get(from, kept[i]);
		if (value != NULL) {
			struct context *next = context_with(result, kept[i], value);
			context_unref(result);
			result = next;
		}
	}
	return result;
}

static void session_sent_set(struct session *session, const struct plan *plan,
			     struct context *server)
{
	session->tx_unread = session->tx_sets = true;
	session->n_sets++;
	session->unreadable = session->unreadable || !session_stays_readable(plan);
	if (plan->set_local && plan->set_name != NULL &&
	    context_is_of_parse(plan->set_name)) {
		/* the same settings in the next transaction: the same statements */
		uint64_t before = session_parse_id(session);
		session->own_parse_id =
		    plan->set_kind == SET_VALUE && plan->set_value != NULL
			? context_parse_id_with(before, plan->set_name, plan->set_value)
			: statement_own_parse_id();
		session->tx_local = true;
	}
	if (plan->set_local || plan->set_kind == SET_TRANSACTION ||
	    plan->set_kind == SET_DISCARD) {
		return;
	}
	if (session->pending == NULL) {
		session->pending = context_ref(session->context);
		session->pending_server = context_ref(server);
	}
	/* RESET goes to what the server's session had before its connect_query, which
	 * is not what we take it for: until another connection is bound nothing is
	 * cached, and this one is closed instead of reset (proxy/server_begin.h) */
	session->suspect =
	    session->suspect ||
	    (plan->set_kind != SET_VALUE && server_has_connect_query(session->context));
	if (plan->set_kind == SET_VALUE || plan->set_kind == SET_DEFAULT) {
		session_set(session, plan);
		return;
	}
	if (plan->set_kind != SET_RESET_ALL && plan->set_kind != SET_DISCARD_ALL) {
		session_distrust(session);
		return;
	}
	struct context *base = context_own_base(server);
	if (base == NULL) {
		session_distrust(session);
		return;
	}
	if (plan->set_kind == SET_RESET_ALL) {
		session_pend(session,
			     session_reset_all(session->pending, session->startup),
			     session_reset_all(session->pending_server, base));
		context_unref(base);
	} else {
		session_pend(session, context_ref(session->startup), base);
	}
}

/* The isolation that a plain BEGIN gets: READ COMMITTED unless somebody said otherwise.
 */
static bool session_is_read_committed(const struct session *session)
{
	struct span value;
	return context_effective(session->context, "default_transaction_isolation",
				 &value) &&
	       span_ieq(value, SPAN_LIT("read committed"));
}

/* Several transactions in one text have one answer: which settings they kept is known
 * when none was undone and all went well. */
static void session_sent_multi(struct session *session, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_parts && session->pending != NULL; i++) {
		if (plan->parts[i]->kind == PLAN_COMMIT ||
		    plan->parts[i]->kind == PLAN_PREPARE_TX) {
			session->is_unsure = true;
		} else if (plan->parts[i]->kind == PLAN_ROLLBACK) {
			session_distrust(session);
		}
	}
}

/* ROLLBACK TO takes back settings.  It is known which when each savepoint was made, and
 * each release came, while it was known that the transaction had not failed. */
static void session_sent_savepoint(struct session *session, const struct plan *plan)
{
	struct savepoints *savepoints = &session->savepoints;
	const char *name = plan->set_name ? plan->set_name : "";
	if (session->is_ahead || (session->tx_status != 'T' && !plan->is_rollback_to)) {
		/* in a failed transaction it is refused, outside one, too */
		savepoints->are_unsure |= session->is_ahead;
		if (plan->is_rollback_to && session->pending != NULL) {
			session_distrust(session);
		}
		return;
	}
	if (plan->is_release) {
		savepoints_release(savepoints, name);
		return;
	}
	if (!plan->is_rollback_to) {
		savepoints_push(savepoints, name, session->pending,
				session->pending_server);
		return;
	}
	const struct savepoint *to = savepoints_back_to(savepoints, name);
	if (session->pending == NULL) {
		return;
	}
	if (to == NULL || savepoints->are_unsure) {
		session_distrust(session);
		return;
	}
	context_unref(session->pending);
	context_unref(session->pending_server);
	session->pending = to->pending ? context_ref(to->pending) : NULL;
	session->pending_server =
	    to->pending_server ? context_ref(to->pending_server) : NULL;
}

/* What comes behind one statement of a text. */
static void session_put_back(struct session *session, const struct plan *part)
{
	if (session_loses(session, part)) {
		session_restore(session, part, session->put_back);
	}
	buf_append_u8(session->put_back, 0);
}

/* Whether the statement can end a transaction; CALL and DO may commit inside. */
static bool session_may_end(const struct plan *plan)
{
	return plan->kind == PLAN_COMMIT || plan->kind == PLAN_ROLLBACK ||
	       plan->kind == PLAN_PREPARE_TX || plan->kind == PLAN_MULTI ||
	       plan->kind == PLAN_UNPARSED || plan->writes_all;
}

/* What a statement of any kind may do to the session. */
static void session_sent_any(struct session *session, const struct plan *plan)
{
	session_pin(session, plan->pins & (uint8_t)~session->unpinned);
	session->pins_end |= plan->ends;
	/* what a text that we cannot read did to the session is undone when the server
	 * connection is released */
	if (plan->suspect || plan->kind == PLAN_UNPARSED) {
		session->suspect = session->may_listen = true;
	}
	if (session_may_end(plan)) {
		session->tx_may_end = session->tx_end_bound = true;
	}
	session->tx_partial = session->tx_partial || plan->kind == PLAN_MULTI ||
			      plan->kind == PLAN_UNPARSED || plan->kind == PLAN_DDL ||
			      plan->kind == PLAN_OTHER || plan->writes_all;
	if (plan->kind == PLAN_DDL || plan->kind == PLAN_UNPARSED ||
	    (plan->pins & PIN_TEMP) || (plan->is_rollback_to && session->own_shape)) {
		session->own_shape = SESSION_OWN_SHAPE(statement_own_parse_id());
	}
	if (plan->is_rollback_to && session->tx_local) {
		session->own_parse_id = statement_own_parse_id();
	}
	session->uses_sequences = session->uses_sequences || plan->moves_sequence ||
				  plan->executes || plan->suspect || plan->writes_all ||
				  plan->kind == PLAN_WRITE || plan->kind == PLAN_COPY ||
				  plan->kind == PLAN_DDL || plan->kind == PLAN_UNPARSED;
}

void session_sent(struct session *session, const struct plan *plan,
		  struct context *server)
{
	session_sent_any(session, plan);
	switch ((enum plan_kind)plan->kind) {
	case PLAN_READ:
		if (plan->suspect || plan->writes_all || plan->n_writes > 0 ||
		    plan->set_kind != SET_NONE) {
			session->tx_unread = true;
		}
		break;
	case PLAN_BEGIN:
		if (session->tx_status == 'I') { /* else it only warns */
			session->tx_plain = (session->tx_plain || !session->tx_begun) &&
					    plan->begin_plain &&
					    session_is_read_committed(session);
		}
		session->tx_begun = true;
		/* the server has not said yet that the transaction is open */
		session->tx_unread = session->tx_unread || !session->tx_plain;
		break;
	case PLAN_SET:
		session_sent_set(session, plan, server);
		break;
	case PLAN_MULTI:
		session->is_ahead = true;
		for (size_t i = 0; i < plan->n_parts; i++) {
			session_sent(session, plan->parts[i], server);
			if (UNLIKELY(session->put_back != NULL) &&
			    i + 1U < plan->n_parts) {
				session_put_back(session, plan->parts[i]);
			}
		}
		session_sent_multi(session, plan);
		session->tx_unread = true;
		break;
	case PLAN_WRITE:
	case PLAN_COMMIT:
	case PLAN_ROLLBACK:
	case PLAN_SAVEPOINT:
	case PLAN_PREPARE_TX:
	case PLAN_COMMIT_PREPARED:
	case PLAN_ROLLBACK_PREPARED:
	case PLAN_LISTEN:
	case PLAN_UNLISTEN:
	case PLAN_SESSION:
	case PLAN_COPY:
	case PLAN_DDL:
	case PLAN_OTHER:
	case PLAN_UNPARSED:
		session->tx_unread = true;
		break;
	}
	if (plan->set_kind == SET_UNREADABLE) {
		session_distrust(session);
	}
	if (plan->kind == PLAN_SAVEPOINT) {
		session_sent_savepoint(session, plan);
	}
}

void session_sent_unknown(struct session *session)
{
	session->writes.any = session->writes.all = session->writes.ddl = true;
	session->suspect = session->may_listen = session->tx_unread = true;
	session->tx_may_end = session->tx_partial = true;
	session->tx_end_bound = true;
	session->uses_sequences = true;
	session->n_customs = SESSION_MAX_CUSTOMS + 1;
}

void session_executes(struct session *session, const struct plan *plan)
{
	if (session->tx_end_bound && (plan == NULL || session_may_end(plan))) {
		session->tx_may_end = true;
	}
}

void session_done(struct session *session, const struct plan *plan)
{
	for (size_t i = 0; i < plan->n_parts; i++) {
		session_done(session, plan->parts[i]);
	}
	if (plan->unpins) {
		session->pins = 0;
		session->untrusted = false;
		session->suspect = server_has_connect_query(session->context);
		session->may_listen = false;
	}
}

void session_adopt(struct session *session, struct context *context)
{
	context_assign(&session->context, context);
	struct span off;
	session->cache_off =
	    context_effective(context, "pgrecall.cache", &off) &&
	    (span_ieq(off, SPAN_LIT("off")) || span_ieq(off, SPAN_LIT("false")) ||
	     span_eq_str(off, "0") || span_ieq(off, SPAN_LIT("no")));
	/* not cleared here: something that is still unanswered may be unreadable */
	session->unreadable = session->unreadable || !session_is_readable(context);
}

struct context *session_ready(struct session *session, char status, bool ok,
			      bool failed)
{
	session->tx_status = status;
	session->tx_may_end = session->tx_partial = false;
	if (status != 'I') {
		return NULL;
	}
	bool is_unsure = session->is_unsure || session->ends_by_portal;
	bool is_hidden = session->ends_by_portal;
	session->is_unsure = session->ends_by_portal = false;
	/* ON COMMIT DROP may have dropped it; what has failed may have made nothing */
	bool is_doubtful = failed || session->pins_failed || session->tx_begun;
	uint8_t doubtful = is_doubtful ? session->pins_new : 0;
	session->pins_ask = session->pins & (session->pins_end | doubtful);
	session->pins_end = session->pins_new = 0;
	/* in session mode it holds anyway; a CALL that failed may have committed */
	session->asks_listen |= session->may_listen && (session->unpinned & PIN_LISTEN);
	session->may_listen = false;
	session->pins_ask |= session->asks_listen ? PIN_LISTEN : 0;
	session->tx_begun = session->pins_failed = false;
	session->tx_plain = session->tx_end_bound = false;
	session->tx_unread = false;
	session->tx_local = session->tx_sets = false;
	savepoints_clear(&session->savepoints);
	if ((session->pins & PIN_TEMP) == 0) {
		session->own_shape = 0;
	}
	writes_reset(&session->writes);
	if (session->pending == NULL) {
		session->unreadable =
		    session->unreadable && !session_is_readable(session->context);
		return NULL;
	}
	struct context *fresh = steal(&session->pending);
	struct context *server = steal(&session->pending_server);
	if (failed || is_hidden) {
		context_unref(fresh);
		context_unref(server);
		if (ok || is_unsure) {
			session_distrust(session); /* which of them held is not known */
		}
		session->unreadable = !session_is_readable(session->context);
		return NULL;
	}
	session_adopt(session, fresh);
	session->unreadable = !session_is_readable(fresh);
	return server;
}
