#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a server connection still owes, in order: one item for each message that was
 * sent and that will be answered, and one for a whole group of settings.  This queue is
 * the truth about a server connection: it may be released when the queue is empty and
 * the transaction status is idle, never "at the first ReadyForQuery"; after an error
 * the items up to the next Sync are dropped, as PostgreSQL drops the messages (T-42,
 * T-43). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct added;
struct commit;
struct context;
struct query;
struct statement;
struct text;

enum owed_flags {
	OWED_SWALLOW = 1,    /* we asked: the answer is not the client's, an error is */
	OWED_OURS = 2,	     /* nor is an error */
	OWED_SETTINGS = 4,   /* Q: the group of proxy/client_settings.h */
	OWED_PINS = 16,	     /* asks which pins hold: proxy/client_pins.h */
	OWED_SEQUENCES = 32, /* takes away what others did with sequences */
	OWED_PROBE = 8,	     /* asks what the settings of a new connection are */
	OWED_CONNECT = 64,   /* connect_query: proxy/server_begin.h */
	OWED_SHOWS = 128,    /* asks for a setting: proxy/client_shows.h */
};

/* The message is ignored by the server: never the head of the queue. */
#define OWED_VOID 0

/* statement_id of a Parse that is not in the server's prepared table: it has a name of
 * the client's, or only asks whether the server would take it. */
#define OWED_NAMED UINT64_MAX

/* What the settings become if a transaction commits. */
struct settled {
	struct context *client; /* a reference, like the next */
	struct context *server; /* of the server connection */
	uint64_t n_sets;	/* how many SETs the session had been sent */
};

struct owed {
	uint8_t kind;	   /* the message's type byte: Q P B D E C S F; OWED_VOID */
	uint8_t flags;	   /* enum owed_flags */
	bool collects;	   /* Describe: its RowDescription belongs to the next Execute's
			      answer */
	bool is_told;	   /* D: its ParameterDescription has come */
	bool failed;	   /* an ErrorResponse came for it (Q, S: for its group) */
	bool is_set;	   /* OWED_SETTINGS: they are in force */
	bool is_done;	   /* Q, F: something of it was completed */
	bool deallocated;  /* its DEALLOCATE ALL has been done */
	bool restores;	   /* E: the COMMIT of proxy/client_restore.h */
	bool sets_unnamed; /* it makes or ends the unnamed statement; so does Q */
	uint8_t copy_begins;   /* Q, E: COPY FROM STDIN that have begun */
	uint8_t copy_ends;     /* Q, E: CopyDone and CopyFail that were sent for it; S:
				  that had been sent when it was */
	uint16_t n_done;       /* Q of several statements: those that were completed */
	struct query *query;   /* E and Q: metrics, slow log, capture; owned, or NULL */
	struct commit *commit; /* tags in flight that it decides; owned, or NULL */
	struct statement *statement; /* B, D: of the statement, when it is known; a
					reference, or NULL */
	struct text *name; /* what the client calls a statement that has a name of ours
			      on the server, for errors: P of one that it has already,
			      B, D; a reference, or NULL */
	uint32_t again_at; /* B, D: where it begins among the bytes that can be sent
			      again, plus one; 0: it cannot (proxy/server_again.h) */
	struct settled *settled; /* E of COMMIT or ROLLBACK; owned, or NULL */
	struct added *added;	 /* Q: statements of ours in its text; owned, or NULL */
	uint64_t unnamed_before; /* the server's unnamed_id without this item, 0: not
				    known */
	uint64_t statement_id;	 /* P, C: id in the server's prepared table, 0: none,
				    OWED_NAMED; B, D: the same, when `statement` is set */
};

struct owed_queue {
	struct owed *ring; /* owned; NULL until the first push */
	uint32_t cap;	   /* power of two */
	uint32_t head;
	uint32_t n;
	uint64_t n_pushed; /* since the beginning: positions for replies */
	uint64_t n_popped;
};

/* Empty; allocates nothing. */
void owed_init(struct owed_queue *queue);
/* Frees the ring; the items must be gone. */
void owed_fini(struct owed_queue *queue);
/* -ENOMEM without memory. */
int owed_push(struct owed_queue *queue, struct owed item) MUST_CHECK;
/* What an item that was taken out holds of prepared statements. */
void owed_item_fini(struct owed *item);
/* The oldest item, which must exist. */
struct owed owed_pop(struct owed_queue *queue);
/* Puts ITEM in front of the oldest.  The positions of all others stay what they are. */
int owed_push_front(struct owed_queue *queue, struct owed item) MUST_CHECK;
/* Takes out item I from the oldest, I > 0: the server ignores its message.  Its
 * position counts as answered together with the one before it. */
struct owed owed_void(struct owed_queue *queue, uint32_t i);
/* Settings that were pending when ends of transactions that are owed were sent have
 * been undone: those no longer say what the settings become.  True when there were any.
 */
bool owed_unsettle(struct owed_queue *queue);
/* Item I from the oldest. */
struct owed *owed_at(struct owed_queue *queue, uint32_t i);

/* Index of the item whose answer ends the group that the server is at, with
 * ReadyForQuery; the last one when the message that ends it has not been sent.  The
 * queue must not be empty. */
uint32_t owed_group_end(struct owed_queue *queue);

/* Its answer ends with ReadyForQuery. */
static inline bool owed_ends_group(const struct owed *item)
{
	return item->kind == 'Q' || item->kind == 'S' || item->kind == 'F';
}

static inline struct owed *owed_head(struct owed_queue *queue)
{
	return queue->n ? &queue->ring[queue->head & (queue->cap - 1)] : NULL;
}
