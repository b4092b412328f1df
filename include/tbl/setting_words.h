#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Words of a function's source that change its session, or the catalogue, for those
 * that come later, with SEP between them: for PostgreSQL's regular expressions
 * (tbl/catalog_questions.h) and for our scan of triggers (sql/trigger_source). */

/* Where a statement begins, */
#define SETTING_WORDS(SEP)                                                         \
	"alter" SEP "create" SEP "discard" SEP "drop" SEP "grant" SEP "listen" SEP \
	"load" SEP "reassign" SEP "reset" SEP "revoke" SEP "set" SEP "unlisten"
/* which it does behind these, too. */
#define SETTING_OPENERS(SEP) "begin" SEP "else" SEP "loop" SEP "then"
/* Anywhere. */
#define SETTING_ANYWHERE(SEP) "execute" SEP "temp" SEP "temporary"
