#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The scanner: one pass over a statement text that cuts its constants out.  What is
 * left, the shape, is the same for all texts that differ only in constants, comments
 * and white space, and no two texts that PostgreSQL would parse differently have the
 * same shape and the same value of `exact` parts.  The lexical rules are PostgreSQL's
 * scan.l with standard_conforming_strings on, for UTF-8 and single-byte encodings; in
 * client encodings whose characters may hold an ASCII byte (SJIS, BIG5, GBK, UHC,
 * GB18030, JOHAB) a text must not come here.
 *
 * In the shape a constant is SCAN_MARK and a letter for its kind.  SCAN_MARK cannot
 * occur outside quotes in the text: such a text is refused. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"
#include "sql/planner.h"

#define SCAN_MARK 0x01
/* Tokens on the longest path of the syntax tree that we let libpg_query see; it
 * recurses over the tree with about 3 KiB of stack a level. */
#define SCAN_MAX_DEPTH	2000
#define SCAN_MAX_PARENS 256
#define SCAN_MAX_PARAM	65535
#define SCAN_MAX_CONSTS PLANNER_MAX_CONSTANTS

enum scan_kind {
	SCAN_STRING = 's',   /* 'abc', also over several lines */
	SCAN_ESCAPE = 'e',   /* E'a\n' */
	SCAN_UNICODE = 'u',  /* U&'\0061' */
	SCAN_DOLLAR = 'd',   /* $$abc$$ */
	SCAN_BITS = 'b',     /* B'101' */
	SCAN_HEX = 'x',	     /* X'1F' */
	SCAN_NATIONAL = 'n', /* N'abc' */
	SCAN_INTEGER = 'i',
	SCAN_NEGATIVE = 'm', /* -7 where the minus can only be a sign */
	SCAN_FLOAT = 'f',
	SCAN_NEGATIVE_FLOAT = 'g',
	SCAN_RADIX = 'h', /* 0x1F, 1_000 */
};

/* Scratch memory of a scan and what it found; valid until the next scan. */
struct scan {
	struct buf shape; /* owned */
	struct constant consts[SCAN_MAX_CONSTS];
	size_t n_consts;  /* in consts[] */
	size_t n_seen;	  /* in the text; more than n_consts: some were dropped */
	struct span hint; /* what is between pgrecall( and ), empty without a hint */
	uint32_t n_statements; /* segments between semicolons that have a token */
	uint32_t max_param;    /* highest $n, 0: none */
	bool exact;	       /* the plan may depend on the values of constants */
	bool has_strings;      /* a quoted constant was seen */
};

enum {
	SCAN_E_BAD = 1, /* not a text that PostgreSQL would accept, or we do not know */
	SCAN_E_DEEP = 2, /* nested deeper than SCAN_MAX_DEPTH or SCAN_MAX_PARENS */
};

/* MAX_TEXT is the longest text that will be scanned, bytes. */
void scan_init(struct scan *scan, size_t max_text);
void scan_fini(struct scan *scan);
/* Scans TEXT, whose bytes the constants will point into.  0, SCAN_E_*, or -ENOMEM. */
int scan_text(struct scan *scan, struct span text) MUST_CHECK;
