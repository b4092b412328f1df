#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* A client's session: its settings, its transaction, its prepared statements, what pins
 * it to a server connection, and whether it may use the cache now.
 *
 * The cache may be used when the next statement would see only committed rows, through
 * settings that are all in the context: outside a transaction, or in one of READ
 * COMMITTED that has done nothing but read.  In doubt it may not, and the reason has a
 * name. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"
#include "proxy/names.h"
#include "proxy/savepoints.h"
#include "proxy/writes.h"
#include "sql/plan.h"
#include "upstream/context.h"

#define SESSION_MAX_CUSTOMS 8

struct session {
	struct context
	    *context; /* settings in force once nothing is pending; a reference */
	struct context *startup; /* what RESET goes back to; a reference */
	struct context *told;	 /* settings as the client knows them; a reference */
	struct context *pending; /* settings if the open transaction commits; or NULL */
	struct context
	    *pending_server;  /* the same for the server connection: RESET there goes
			       * back to its own, not to the client's start-up */
	struct buf *put_back; /* while a text is noted, into which settings have to be
			       * put (proxy/client_restore.h); borrowed, else NULL */
	struct savepoints savepoints; /* of the open transaction */
	struct names names;	      /* prepared statements */
	struct writes writes;	      /* of the open transaction */
	uint64_t own_parse_id;	      /* 0: not needed; see session_parse_id() */
	uint64_t own_shape; /* DDL of the open transaction, or a temporary table,
			     * makes the database another one for us; 0: none */
	uint8_t pins;	    /* enum plan_pin bits; held until the server has said that
			     * their causes are gone, or DISCARD ALL */
	uint8_t pins_new;   /* set since the last idle moment */
	uint8_t pins_end;   /* their causes may have ended since then */
	uint8_t pins_ask;   /* to be asked for now: proxy/client_pins.h */
	bool pins_failed; /* a group failed that was sent before settings were pending:
			   * it decides about pins, not about the settings */
	bool may_listen;  /* something ran that may LISTEN where we do not see it */
	bool asks_listen; /* the same, before the question that is to be asked */
	uint8_t
	    unpinned;	/* those that need no pin: proxy/client_listen.h sees to them */
	char tx_status; /* I T E: as the client was last told */
	bool is_ahead;	/* what was sent before the statement at hand is not answered */
	bool tx_begun;	/* BEGIN was sent since the last idle */
	bool tx_plain;	/* the open transaction is READ COMMITTED, and only read */
	bool tx_unread; /* something other than reads was sent since the last idle */
	bool tx_may_end; /* something that can end a transaction was sent since then */
	bool tx_end_bound; /* one of these was bound in the open transaction: its portal
			    * outlives a Sync, and does it when it is executed */
	bool tx_partial;   /* what was sent since then may fail, or end with a ROLLBACK,
			    * after it has committed something */
	bool tx_local;	   /* SET LOCAL changed how statements are read */
	bool tx_sets; /* a setting was changed, for a while or for good, since the last
		       * idle moment */
	bool untrusted;	 /* settings that cannot be followed: no cache */
	bool unreadable; /* texts under these settings cannot be scanned: every
			  * statement counts as a write of everything */
	bool cache_off;	 /* SET pgrecall.cache = off */
	bool is_unsure;	 /* if what was sent fails, some of its settings may yet hold */
	bool ends_by_portal; /* a named portal ends a transaction, who knows when */
	uint64_t n_sets;     /* SETs, RESETs and their like that were sent */
	uint64_t customs[SESSION_MAX_CUSTOMS]; /* hashes of the names of custom
						* settings that it has ever set */
	uint8_t n_customs;		       /* more than that many: perhaps any */
	bool uses_sequences; /* something that may have advanced one was sent to the
			      * bound server connection */
	bool suspect; /* something ran on the bound server connection that may have
		       * changed the session: no cache until the connection is released,
		       * and reset, or until DISCARD ALL.  See plan->suspect */
};

/* Takes a reference of its own to CONTEXT; at most MAX_STATEMENTS are prepared at a
 * time. */
void session_init(struct session *session, struct context *context,
		  uint32_t max_statements);
void session_fini(struct session *session);
/* Why the next statement may not use the cache, or BYPASS_NONE. */
enum bypass_reason session_bypass(const struct session *session);
/* Stands for the settings through which the constants of a statement that is prepared
 * now are read (upstream/statement.h); a number of its own while they are not known. */
uint64_t session_parse_id(struct session *session);
/* The shape of the database for this session; SHAPE is what it is for others. */
uint64_t session_shape(const struct session *session, uint64_t shape);
/* The statement under NAME ("": the unnamed one), borrowed, or NULL.  When the settings
 * have changed since it was prepared it becomes another one, so that nobody gets a
 * statement with the constants of somebody else's settings.  But in session mode the
 * server connection has it as it was. */
struct statement *session_statement(struct session *session, struct span name);
/* Something changed that cannot be followed: no cache, and the server connection stays
 * with this client, until DISCARD ALL. */
SELDOM void session_distrust(struct session *session);
/* Something that was sent keeps the server connection with this client: enum plan_pin
 * bits. */
void session_pin(struct session *session, uint8_t pins);
/* A statement with PLAN is about to be sent to a server connection whose settings are
 * those of SERVER: what it does to transaction and settings. */
void session_sent(struct session *session, const struct plan *plan,
		  struct context *server);
/* The same for something that we cannot read: it may write everything, change every
 * setting, and commit. */
void session_sent_unknown(struct session *session);
/* A portal is about to be executed, of a statement with PLAN, or of any (NULL): it may
 * have been bound in front of an earlier Sync. */
void session_executes(struct session *session, const struct plan *plan);
/* The session has the settings of CONTEXT now; takes the reference. */
void session_adopt(struct session *session, struct context *context);
/* A statement with PLAN has succeeded: pins that it ends. */
void session_done(struct session *session, const struct plan *plan);
/* ReadyForQuery with STATUS, and nothing is outstanding.  OK, FAILED: since settings
 * are pending a transaction committed, one rolled back.  Returns the settings that the
 * server connection has now (a reference for the caller), or NULL when they did not
 * change. */
struct context *session_ready(struct session *session, char status, bool ok,
			      bool failed);
