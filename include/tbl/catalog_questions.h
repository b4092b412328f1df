/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What a catalogue snapshot asks the server, in this order: CATALOG_QUESTION(name, columns
 * of an answer, SQL).  Good for PostgreSQL 13 to 18, for any role, with search_path = ''.
 * Each has a taker catalog_take_NAME() in sql/catalog_rows.c or sql/catalog_code.c, which lists
 * its columns.  CQ_... are in sql/catalog_sql.h, for who takes the SQL. */

/* Compiling such queries takes half a second, running them ten milliseconds. */
CATALOG_QUESTION(settings, 1,
	"SELECT set_config('jit', 'off', false)")

CATALOG_QUESTION(schemas, 3,
	"SELECT n.oid, n.nspname, " CQ_PUBLIC_USAGE " FROM pg_namespace n"
	" WHERE n.nspname !~ '^pg_toast'")

CATALOG_QUESTION(roles, 2,
	"SELECT rolname, rolsuper FROM pg_roles")

/* Who may use the schemas that not everybody may use. */
CATALOG_QUESTION(usage, 2,
	"SELECT r.rolname, n.oid FROM pg_namespace n CROSS JOIN pg_roles r"
	" WHERE n.nspname !~ '^pg_(toast|temp)' AND NOT " CQ_PUBLIC_USAGE
	" AND NOT r.rolsuper AND has_schema_privilege(r.oid, n.oid, 'USAGE')")

CATALOG_QUESTION(relations, 7,
	"SELECT c.oid, c.relnamespace, c.relname, c.relkind, c.relpersistence, c.reltuples,"
	" c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname !~ '^pg_toast'")

/* Statistics may be hidden from us; then the estimate is NULL.  ON CONFLICT goes by the
 * index, so one that is not deterministic makes all texts of its table so. */
CATALOG_QUESTION(columns, 9,
	"SELECT c.oid, a.attnum, a.attname, a.atttypid,"
	" coalesce(l.collisdeterministic, true) AND c.oid NOT IN (SELECT x.indrelid"
	"  FROM pg_index x JOIN pg_collation y ON y.oid = ANY (x.indcollation)"
	"  WHERE NOT y.collisdeterministic),"
	" a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL,"
	" a.attgenerated <> '', a.attnotnull, s.n_distinct"
	" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
	" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
	" JOIN pg_type t ON t.oid = a.atttypid"
	" LEFT JOIN pg_collation l ON l.oid = a.attcollation"
	" LEFT JOIN (SELECT DISTINCT ON (schemaname, tablename, attname)"
	"  schemaname, tablename, attname, n_distinct FROM pg_stats"
	"  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
	"  ORDER BY schemaname, tablename, attname, inherited DESC) s"
	" ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname"
	" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
	" AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
	" AND n.nspname !~ '^pg_toast' ORDER BY c.oid, a.attnum")

CATALOG_QUESTION(parents, 2,
	"SELECT i.inhrelid, i.inhparent FROM pg_inherits i"
	" JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind IN ('r', 'p', 'f')")

CATALOG_QUESTION(foreign_keys, 5,
	"SELECT confrelid, conrelid, confdeltype, confupdtype, array_to_string(confkey, ' ')"
	" FROM pg_constraint WHERE contype = 'f'")

/* Only the worst of all functions of one name in one schema counts.  An aggregate is as
 * volatile as the functions that make it, and a function as its arguments' defaults. */
CATALOG_QUESTION(functions, 8,
	"SELECT p.pronamespace, p.proname,"
	" max(greatest(" CQ_RANK("p") ", g.rank, d.rank)),"
	" bool_or(" CQ_MAY_WRITE("p") " OR coalesce(g.may_write, false)"
	"  OR coalesce(d.may_write, false)),"
	" bool_or(NOT (p.prolang IN (12, 13) AND p.provolatile <> 'v'"
	"  OR " CQ_KNOWN_EXTENSION("p") ")),"
	" bool_or(p.proretset), bool_or(p.prokind = 'p'), bool_or(p.prokind = 'a')"
	" FROM pg_proc p"
	" LEFT JOIN LATERAL (SELECT max(" CQ_RANK("q") ") AS rank,"
	"  bool_or(" CQ_MAY_WRITE("q") ") AS may_write"
	"  FROM pg_aggregate a JOIN pg_proc q ON q.oid IN (a.aggtransfn, a.aggfinalfn,"
	"  a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)"
	"  WHERE a.aggfnoid = p.oid AND NOT " CQ_SYSTEM("p.pronamespace") ") g"
	"  ON p.prokind = 'a'"
	" LEFT JOIN LATERAL (SELECT CASE WHEN p.proargdefaults::text ~"
	"  '\\{(?!(CONST|FUNCEXPR|OPEXPR|RELABELTYPE|ARRAYEXPR|ARRAY|BOOLEXPR|NULLTEST) )'"
	"  THEN 2 ELSE max(" CQ_RANK("q") ") END AS rank,"
	"  bool_or(" CQ_MAY_WRITE("q") ") AS may_write"
	"  FROM regexp_matches(p.proargdefaults::text, ':(?:op)?funcid ([0-9]+)', 'g') m"
	"  JOIN pg_proc q ON q.oid = m[1]::oid) d"
	"  ON p.proargdefaults IS NOT NULL AND NOT " CQ_SYSTEM("p.pronamespace")
	" WHERE p.prorettype NOT IN ('pg_catalog.trigger'::regtype,"
	"  'pg_catalog.event_trigger'::regtype)"
	" GROUP BY p.pronamespace, p.proname")

/* Functions that may do so; of other languages than those that can be read everything is
 * believed, of C nothing.  Triggers' have a question of their own. */
CATALOG_QUESTION(setters, 2,
	"SELECT DISTINCT p.pronamespace, p.proname"
	" FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
	" CROSS JOIN LATERAL (SELECT CASE WHEN p.prosrc = '' AND p.prokind IN ('f', 'p')"
	"  THEN pg_get_functiondef(p.oid) ELSE p.prosrc END) s (source)"
	" WHERE l.lanname NOT IN ('c', 'internal') AND NOT " CQ_SYSTEM("p.pronamespace")
	" AND NOT " CQ_KNOWN_EXTENSION("p")
	" AND p.prorettype NOT IN ('pg_catalog.trigger'::regtype,"
	"  'pg_catalog.event_trigger'::regtype)"
	" AND (l.lanname NOT IN ('sql', 'plpgsql') OR " CQ_CHANGES("s.source")
	"  OR " CQ_CHANGES("regexp_replace(s.source, '--[^' || chr(10) || ']*"
			   "|/[*]([^*]|[*]+[^*/])*[*]+/', ' ', 'g')") ")")

CATALOG_QUESTION(operators, 4,
	"SELECT o.oprnamespace, o.oprname, max(" CQ_RANK("p") "),"
	" bool_or(coalesce(l.typname IN ('vector', 'halfvec', 'sparsevec'), false))"
	" FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode"
	" LEFT JOIN pg_type l ON l.oid = o.oprleft GROUP BY o.oprnamespace, o.oprname")

/* Types of table rows are left out; those made by CREATE TYPE AS are in. */
CATALOG_QUESTION(types, 8,
	"SELECT t.oid, t.typnamespace, t.typname, t.typtype,"
	" CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END, t.typbasetype,"
	" coalesce((SELECT r.rngsubtype FROM pg_range r WHERE t.oid = r.rngtypid"
	"  OR t.oid::text = to_jsonb(r) ->> 'rngmultitypid' LIMIT 1), 0), " CQ_RANK("p")
	" FROM pg_type t JOIN pg_proc p ON p.oid = t.typinput"
	" LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'"
	" WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relkind <> 'c'"
	"  AND c.oid IN (t.typrelid, e.typrelid))")

/* Code of a relation that is neither a trigger nor named by the statement: what relation,
 * and d for a default, c for a check, t for a trigger's WHEN, p for a policy. */
CATALOG_QUESTION(code, 2,
	"SELECT x.rel, x.kind FROM pg_depend d"
	" JOIN pg_proc p ON d.refclassid = " CQ_IS_PROC " AND p.oid = d.refobjid"
	" JOIN (SELECT 'pg_catalog.pg_attrdef'::regclass, oid, adrelid, 'd', 0::oid FROM pg_attrdef"
	"  UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, oid, conrelid, 'c', 0"
	"   FROM pg_constraint WHERE conrelid <> 0"
	"  UNION ALL SELECT 'pg_catalog.pg_trigger'::regclass, oid, tgrelid, 't', tgfoid"
	"   FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
	"  UNION ALL SELECT 'pg_catalog.pg_policy'::regclass, oid, polrelid, 'p', 0"
	"   FROM pg_policy) x (class, id, rel, kind, own)"
	" ON x.class = d.classid AND x.id = d.objid AND x.own <> p.oid"
	" WHERE " CQ_MAY_WRITE("p"))

/* One row for each kind of hidden code there is; the name is for the log. */
CATALOG_QUESTION(hidden, 1,
	"SELECT 'operator' FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode"
	"  WHERE " CQ_MAY_WRITE("p")
	" UNION SELECT 'cast' FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc"
	"  WHERE " CQ_MAY_WRITE("p")
	" UNION SELECT 'type' FROM pg_type t JOIN pg_proc p"
	"  ON p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend)"
	"  WHERE " CQ_MAY_WRITE("p")
	" UNION SELECT 'domain' FROM pg_constraint c JOIN pg_depend d"
	"  ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = c.oid"
	"  JOIN pg_proc p ON d.refclassid = " CQ_IS_PROC " AND p.oid = d.refobjid"
	"  WHERE c.contypid <> 0 AND " CQ_MAY_WRITE("p")
	" UNION SELECT 'policy' FROM pg_depend d"
	"  JOIN pg_proc p ON d.refclassid = " CQ_IS_PROC " AND p.oid = d.refobjid"
	"  WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND " CQ_MAY_WRITE("p"))

/* Sources only of the language whose sources we can read; of others but C "execute", which
 * may do anything. */
CATALOG_QUESTION(trigger_functions, 4,
	"SELECT p.oid, p.proname, " CQ_SYSTEM("p.pronamespace") ","
	" CASE WHEN l.lanname = 'plpgsql' THEN p.prosrc"
	"  WHEN l.lanname NOT IN ('c', 'internal') THEN 'execute' END"
	" FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang"
	" WHERE p.oid IN (SELECT tgfoid FROM pg_trigger WHERE NOT tgisinternal)")

CATALOG_QUESTION(triggers, 3,
	"SELECT tgrelid, tgtype, tgfoid FROM pg_trigger"
	" WHERE NOT tgisinternal AND tgenabled <> 'D'")

CATALOG_QUESTION(rules, 2,
	"SELECT ev_class, bool_or(pg_get_ruledef(oid) ~* 'set_config')"
	" FROM pg_rewrite WHERE ev_type <> '1' AND ev_enabled <> 'D' GROUP BY ev_class")

CATALOG_QUESTION(views, 2,
	"SELECT c.oid, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relkind = 'v'"
	" AND NOT " CQ_SYSTEM("c.relnamespace"))
