#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The life of one query: which way it goes (hit, miss, bypass, write), what is
 * measured, and, on a miss, the answer that is being collected for the cache. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/sqlstate.h"
#include "cache/store.h"
#include "proxy/writes.h"
#include "sql/plan.h"

struct client;
struct context;
struct entry;
struct statement;
struct worker;

/* The answer of a cacheable read on its way from the server to the client. */
struct capture {
	struct store_fill fill;
	struct buf key;		 /* copy of the key material */
	struct buf value;	 /* RowDescription, DataRows, CommandComplete so far */
	struct context *context; /* cache part; a reference */
	bool bad;		 /* too large, a notice, an error: not stored */
};

struct query {
	struct plan *plan;	 /* a reference, or NULL */
	struct capture *capture; /* owned, or NULL */
	char *text; /* of a simple statement, for the slow log; owned, or NULL */
	struct statement *statement; /* of an extended one; a reference, or NULL */
	char *parameters;  /* what was bound, when it is to be logged; owned, or NULL */
	uint64_t start_ns; /* last byte of the request */
	uint64_t sent_ns;
	uint16_t db_index;
	uint8_t route;		      /* METRIC_ROUTE_ */
	char sqlstate[SQLSTATE_SIZE]; /* of its error, or "" */
};

/* One request as the client sent it, simple or extended. */
struct request {
	struct span text;		 /* the statement's */
	struct statement *statement;	 /* extended: borrowed; NULL: simple */
	const struct message_bind *bind; /* extended, or NULL */
	bool described;			 /* Describe(portal) came before Execute */
	uint32_t max_rows;		 /* Execute's limit */
	struct plan *plan;		 /* borrowed; set by query_plan() */
	const struct constant *consts;
	size_t n_consts;
	struct span shape; /* simple: the planner's, valid until it plans again */
};

/* Finds the plan of the request under the session's settings. */
void query_plan(struct client *client, struct request *request);
/* Where the values of its operands are. */
struct operands query_operands(const struct request *request);
/* Looks into the cache.  HIT: a reference for the caller.  Otherwise the worker's key
 * and *REASON say how it goes on: BYPASS_NONE means a miss that may be stored. */
struct entry *query_lookup(struct client *client, struct request *request,
			   enum bypass_reason *reason);
/* A query object for what is about to be forwarded; NULL without memory. */
struct query *query_new(struct client *client, const struct request *request,
			uint8_t route);
/* The same for one that was looked up: it collects the answer, when FILL may be stored
 * and the server connection has the settings that the key says.  NULL without memory:
 * the client is closed. */
struct query *query_begin(struct client *client, const struct request *request,
			  const struct store_fill *fill, uint8_t route);
/* Notes the words and prepares the fill of a miss.  False: it will not be stored. */
bool query_prepare_fill(struct client *client, const struct request *request,
			struct store_fill *fill);
/* The query is over, or nobody will hear how it ended: whether the server was told by
 * it to read its settings. */
void query_note_reload(struct worker *worker, const struct query *query);
/* The answer is complete (or failed): stores, measures, logs, frees. */
void query_finish(struct worker *worker, struct query *query);
void query_free(struct query *query);
/* Bytes of the answer pass by. */
static inline void capture_add(struct capture *capture, struct span bytes)
{
	if (!capture->bad) {
		buf_append_span(&capture->value, bytes);
		capture->bad = !buf_ok(&capture->value);
	}
}
/* Measures and logs a hit that has been served. */
void query_served(struct worker *worker, struct client *client,
		  const struct entry *entry, uint64_t start_ns, uint8_t route);
