#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What pgrecall knows about one statement text: how it may be cached, what it writes
 * and what it does to the session.  A plan is made once per statement shape, search
 * path and catalogue, by the planner (sql/planner.h); it is immutable and
 * reference-counted. Constants of the text are numbered in order of appearance: an
 * operand of a key or fact is either such a constant or a protocol parameter. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum plan_kind {
	PLAN_READ,	/* SELECT, VALUES, TABLE without side effects that we know of */
	PLAN_WRITE,	/* changes rows; see writes */
	PLAN_BEGIN,	/* BEGIN, START TRANSACTION */
	PLAN_COMMIT,	/* COMMIT, END */
	PLAN_ROLLBACK,	/* ROLLBACK, ABORT */
	PLAN_SAVEPOINT, /* SAVEPOINT, RELEASE, ROLLBACK TO (is_rollback_to); the
			   savepoint in set_name */
	PLAN_PREPARE_TX,      /* PREPARE TRANSACTION gid; gid in set_name */
	PLAN_COMMIT_PREPARED, /* COMMIT PREPARED gid */
	PLAN_ROLLBACK_PREPARED,
	PLAN_SET,      /* SET, RESET, DISCARD, set_config(): see set_* */
	PLAN_LISTEN,   /* the channel in set_name */
	PLAN_UNLISTEN, /* the same; NULL: all channels */
	PLAN_SESSION,  /* other session state: PREPARE, DECLARE HOLD...; see pins */
	PLAN_COPY,     /* COPY ... FROM STDIN is also in writes; COPY TO is a read */
	PLAN_DDL,      /* changes the catalogue: the whole database moves */
	PLAN_MULTI, /* several statements in one text: parts[] has one plan for each */
	PLAN_OTHER, /* EXPLAIN, SHOW, VACUUM, EMPTY...: neither cached nor a write */
	PLAN_UNPARSED, /* could not be understood: treated as a write of everything */
};

enum plan_class {
	PLAN_CLASS_NONE,
	PLAN_CLASS_RECENT,  /* ORDER BY a column DESC and a LIMIT, over one keyed
			       relation */
	PLAN_CLASS_VECTOR,  /* orders or filters by a pgvector operator */
	PLAN_CLASS_CONTEXT, /* every relation is keyed by equality */
	PLAN_CLASS_DEFAULT, /* any other cacheable read */
};

/* Why a statement cannot be cached; rows are in tbl/bypass_reasons.h. */
enum bypass_reason {
#define BYPASS_REASON(id, label, text) BYPASS_##id,
#include "tbl/bypass_reasons.h"
#undef BYPASS_REASON
	BYPASS_COUNT,
};

enum operand_kind {
	OPERAND_NONE,
	OPERAND_CONST, /* index: constant of the text, 0-based, in order of appearance
			*/
	OPERAND_PARAM, /* index: protocol parameter, 0-based ($1 is 0) */
	OPERAND_NULL,
};

struct operand {
	uint8_t kind; /* enum operand_kind */
	uint16_t index;
};

/* How a column's values are made canonical, so that '7', 7 and int8 binary 7 give the
 * same tag (sql/canon.h). */
enum canon {
	CANON_NONE, /* no canonical form: the column cannot be a key */
	CANON_INT,  /* int2, int4, int8 */
	CANON_UUID,
	CANON_BOOL,
	CANON_TEXT, /* text, varchar under a deterministic collation; not bpchar */
};

/* One relation that a read depends on.  A keyed reference (attnum > 0) reads only rows
 * in which that column equals one of the operands. */
struct plan_read {
	uint32_t rel;	/* oid of the root relation */
	int16_t attnum; /* key column of the root, 0: unkeyed */
	uint8_t canon;	/* enum canon of the column */
	uint8_t n_ops;	/* 1, or more for IN (...) */
	struct operand *ops;
};

/* What a write knows of one column of the rows it touches. */
struct plan_fact {
	int16_t attnum;
	uint8_t canon;
	uint8_t
	    n_ops; /* values this column may have in touched rows, before or after */
	struct operand *ops;
};

/* One relation that a statement writes.  Columns without a fact are unknown. */
struct plan_write {
	uint32_t rel;	  /* oid of the root relation */
	bool unreadable;  /* nothing is known of its rows */
	uint16_t n_rows;  /* facts are grouped by row: INSERT ... VALUES has several */
	uint16_t n_facts; /* facts per row */
	struct plan_fact *facts; /* n_rows * n_facts */
};

enum plan_set_kind {
	SET_NONE,
	SET_VALUE,   /* SET [SESSION|LOCAL] name = value; set_config() with constants */
	SET_DEFAULT, /* SET name TO DEFAULT, RESET name */
	SET_RESET_ALL,
	SET_DISCARD_ALL,
	SET_DISCARD,	 /* DISCARD PLANS/SEQUENCES/TEMP */
	SET_TRANSACTION, /* SET TRANSACTION ...: this transaction's isolation and so on
			  */
	SET_CHARACTERISTICS, /* SET SESSION CHARACTERISTICS AS TRANSACTION */
	SET_UNREADABLE,	     /* a setting changed in a way that cannot be followed */
};

/* Why a client must keep its server connection in transaction mode; bits. */
enum plan_pin {
	PIN_TEMP = 1 << 0, /* temporary table, view or sequence */
	PIN_LISTEN = 1 << 1,
	PIN_PREPARE = 1 << 2,  /* SQL-level PREPARE */
	PIN_HOLD = 1 << 3,     /* cursor WITH HOLD */
	PIN_ADVISORY = 1 << 4, /* session advisory lock */
	PIN_SETTING = 1 << 5,  /* SET of something that we cannot read */
	PIN_LOAD = 1 << 6,     /* LOAD of a library */
	PIN_LARGE = 1 << 7,    /* a prepared statement that is too large to be kept */
	PIN_ALL = (1 << 8) - 1,
};

struct plan {
	atomic_uint refs;
	uint8_t kind;	  /* enum plan_kind */
	uint8_t klass;	  /* enum plan_class */
	uint8_t bypass;	  /* enum bypass_reason; BYPASS_NONE: may be cached */
	uint8_t set_kind; /* enum plan_set_kind */
	bool set_local;	  /* SET LOCAL, set_config(.., true) */
	bool suspect;	  /* may change the session behind our back: DO, CALL, a user's
			   * volatile function, a text that cannot be parsed; see
			   * proxy/session.h.  A statement that failed and took its
			   * transaction with it changed nothing. */
	bool writes_all;  /* may write any relation of the database */
	bool is_rollback_to; /* PLAN_SAVEPOINT: ROLLBACK TO */
	bool is_release;     /* PLAN_SAVEPOINT: RELEASE */
	bool begin_plain;  /* PLAN_BEGIN without an isolation level or READ COMMITTED */
	bool commit_chain; /* COMMIT/ROLLBACK AND CHAIN */
	bool has_listen;   /* LISTEN/UNLISTEN/NOTIFY */
	bool reloads;	   /* pg_reload_conf() */
	bool calls_users;  /* a function of a user's: which one, search_path decides */
	bool moves_sequence;  /* nextval(), setval(); other writes may as well */
	bool asks_sequence;   /* currval(), lastval() */
	bool deallocate_all;  /* DEALLOCATE ALL, DISCARD ALL */
	bool unpins;	      /* DISCARD ALL */
	bool copy_in;	      /* COPY ... FROM STDIN */
	bool executes;	      /* EXECUTE, of set_name; also inside EXPLAIN and others */
	bool shows_custom;    /* SHOW of set_name, which has a dot */
	bool needs_now_check; /* has constants or parameters that 'now' could be in */
	bool is_plain; /* reads and does nothing else: writes, functions of users, pins,
			* settings, names, sequences, channels; plan_freeze() sets it */
	uint8_t pins;  /* enum plan_pin bits */
	uint8_t ends;  /* pins whose causes it may end */
	int32_t hint_ttl_s;	/* from a hint comment; -1: none */
	bool hint_off;		/* pgrecall(off) */
	uint64_t fingerprint;	/* libpg_query's; 0 when not parsed */
	const char *normalized; /* text with constants as $n, zero-terminated; owned */
	char *set_name;	   /* lower case setting name (of SET and SHOW), gid, channel,
			    * savepoint, or the    name of the statement in DEALLOCATE and
			    * EXECUTE; owned,    may be NULL */
	char *set_value;   /* decoded value as set_config() takes it; may be NULL */
	uint16_t n_consts; /* constants in the text */
	uint16_t n_reads;
	uint16_t n_writes;
	uint16_t n_parts;
	struct plan_read *reads;
	struct plan_write *writes;
	struct plan **parts;	  /* PLAN_MULTI; owned references */
	uint32_t catalog_version; /* the catalogue that it was resolved against */
	int16_t rule;	/* index into config->rules that matched, -1: none; set by the
			 * cache's rules when the plan is made */
	uint32_t ttl_s; /* resulting time to live; 0: not cached; set by rules */
	uint64_t max_size; /* resulting size limit of a result, bytes; set by rules */
};

/* The last statement of the text. */
static inline const struct plan *plan_last(const struct plan *plan)
{
	return plan->n_parts > 0 ? plan->parts[plan->n_parts - 1] : plan;
}

/* A lasting copy of a draft whose pointers may go anywhere, with one reference; reads,
 * facts, operands and texts lie in one piece of memory with it.  The references to the
 * draft's parts pass to the copy.  NULL without memory. */
struct plan *plan_freeze(const struct plan *draft);
struct plan *plan_ref(struct plan *plan);
/* Frees the plan with its last reference; NULL is fine. */
void plan_unref(struct plan *plan);
/* Whether the statement, or one of its parts, writes rows or calls a function of a
 * user's, which may. */
bool plan_may_write(const struct plan *plan);
