#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The names of a client's prepared statements, the unnamed one ("") among them.
 *
 * A client that pipelines goes on while the fate of what it has sent is open: when an
 * error comes, PostgreSQL skips the messages up to Sync, and what they would have
 * prepared or closed has not happened.  So each change that was made while something
 * was outstanding is kept with its position until that position has been answered, and
 * can be undone (T-50, T-58).  Positions count like those of proxy/replies.h: the
 * number of items sent to the server so far, the change's own message included when it
 * was sent; 0 means that nothing is outstanding and the change is final.
 *
 * PostgreSQL compares the first 63 bytes of a name only, and so does this. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/dlist.h"
#include "base/map.h"
#include "base/span.h"

struct plan;
struct statement;
struct text;

#define NAMES_MAX_LEN  63
#define NAMES_MAX_SAID 1024

/* One name's statement. */
struct named {
	struct statement *statement; /* a reference; NULL: there is none */
	bool on_server;	   /* session mode: the server connection has it by this name */
	bool is_told;	   /* a Describe has asked what its result is like */
	struct text *said; /* the name as the client has last sent it, which may be
			    * longer; a reference, or NULL */
	uint8_t name_len;
	char name[NAMES_MAX_LEN];
};

struct names {
	struct map map;	      /* name -> struct named, owned */
	struct named unnamed; /* statement NULL: none */
	struct dlist changes; /* that may be undone, oldest first */
};

/* At most MAX names. */
void names_init(struct names *names, uint32_t max);
void names_fini(struct names *names);
/* The entry of NAME, or NULL; valid until the next change. */
struct named *names_find(struct names *names, struct span name);
/* NAME, as the client sends it for the entry NAMED or, NULL, for none: a reference, cut
 * after NAMES_MAX_SAID bytes.  The same name again allocates nothing.  NULL without
 * memory. */
struct text *names_said(struct named *named, struct span name);
/* True when PLAN is, or has in it, an EXECUTE or DEALLOCATE of a name that is here. */
bool names_are_used(struct names *names, const struct plan *plan);
/* The same, also of a name whose change may still be undone. */
bool names_may_be_used(struct names *names, const struct plan *plan);
/* The server connection does not have the statement with that id after all. */
void names_leave_server(struct names *names, uint64_t id);
/* True when one more name is too many; the unnamed statement always fits. */
bool names_are_full(const struct names *names, struct span name);
/* True when NAME was changed before position SYNC_AT and that may still be undone. */
bool names_are_open(const struct names *names, struct span name, uint64_t sync_at);
/* The position of the last change of NAME that may still be undone, or 0. */
uint64_t names_last_change(const struct names *names, struct span name);
/* Puts STATEMENT (a reference of its own is taken) under NAME, instead of what was
 * there.  The entry, or NULL without memory. */
struct named *names_put(struct names *names, struct span name,
			struct statement *statement, uint64_t at);
/* Forgets the name, which need not exist.  Without memory for the way back the change
 * is final. */
void names_remove(struct names *names, struct span name, uint64_t at);
/* All but the unnamed one, which DEALLOCATE ALL leaves alone. */
void names_remove_all(struct names *names, uint64_t at);
/* Everything up to position ANSWERED has been answered: it is final. */
void names_settle(struct names *names, uint64_t answered);
/* A Parse of the unnamed statement at position AT has failed: what it was before is
 * gone, but not what the client has made it since. */
void names_lose_unnamed(struct names *names, uint64_t at);
/* Takes back what was changed behind position FROM and up to position TO. */
void names_undo(struct names *names, uint64_t from, uint64_t to);
