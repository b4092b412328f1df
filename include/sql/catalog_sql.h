#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Pieces of SQL that the questions of tbl/catalog_questions.h are made of. */

#include "tbl/setting_words.h"

/* clang-format off */
/* Schemas that come with PostgreSQL. */
#define CQ_SYSTEM(column)                                                                \
	column " IN (SELECT s.oid FROM pg_namespace s"                                   \
	       " WHERE s.nspname IN ('pg_catalog', 'information_schema'))"

#define CQ_PUBLIC_USAGE                                                                  \
	"EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a" \
	" WHERE a.grantee = 0 AND a.privilege_type = 'USAGE')"

#define CQ_IS_PROC "'pg_catalog.pg_proc'::regclass"

/* 0 immutable, 1 stable, 2 volatile */
#define CQ_RANK(p) "strpos('sv', " p ".provolatile::text)"

/* A function of an extension whose C code is known not to touch tables. */
#define CQ_KNOWN_EXTENSION(p)                                                            \
	p ".oid IN (SELECT e.objid FROM pg_depend e JOIN pg_extension x ON x.oid = e.refobjid" \
	" WHERE e.classid = " CQ_IS_PROC " AND e.deptype = 'e'"                          \
	" AND e.refclassid = 'pg_catalog.pg_extension'::regclass AND x.extname IN"       \
	" ('btree_gin', 'btree_gist', 'citext', 'cube', 'earthdistance', 'fuzzystrmatch'," \
	" 'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm', 'pg_uuidv7', 'pgcrypto', 'seg'," \
	" 'unaccent', 'uuid-ossp', 'vector'))"

/* P is an alias of pg_proc: a function that could write. */
#define CQ_MAY_WRITE(p)                                                                  \
	"(" p ".provolatile = 'v' AND NOT " CQ_SYSTEM(p ".pronamespace")                 \
	" AND NOT " CQ_KNOWN_EXTENSION(p) ")"

/* SOURCE of a function, as text: it may change its session, or the catalogue, for those
 * that come later. */
#define CQ_CHANGES(source)                                                               \
	source " ~* '[[:<:]](" SETTING_ANYWHERE("|") "|set_config|[a-z]+_to_xml[a-z]*|ts_stat" \
	"|ts_rewrite)[[:>:]]|(^|[>\\x3b]|[[:<:]](" SETTING_OPENERS("|") "))[[:space:]]*"     \
	"(" SETTING_WORDS("|") ")[[:space:]]'"
/* clang-format on */
