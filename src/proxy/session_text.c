/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/session_text.h"

#include <ctype.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"
#include "sql/plan.h"
#include "upstream/context.h"

/* Encodings in which a byte of a longer character may look like ASCII, as PostgreSQL
 * compares names: letters and digits only. */
static bool session_may_read_encoding(struct span value)
{
	static const char *const odd[] = {
		"sjis",	      "shiftjis",   "shiftjis2004", "mskanji", "win932", "gbk",
		"win936",     "windows936", "windows932",   "uhc",     "win949", "big5",
		"windows949", "windows950", "win950",	    "gb18030", "johab",
	};
	char name[64];
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = value.p[i];
		if (isalnum(c) && n + 1 < sizeof(name)) {
			name[n++] = (char)tolower(c);
		}
	}
	name[n] = 0;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		if (strcmp(name, odd[i]) == 0) {
			return false;
		}
	}
	return true;
}

/* Whether the scanner reads texts as the server does: backslashes are not escapes, and
 * what looks like ASCII is. */
static bool session_may_read(const char *name, struct span value)
{
	return strcmp(name, "standard_conforming_strings") == 0
		   ? span_ieq(value, SPAN_LIT("on"))
		   : session_may_read_encoding(value);
}

static const char *const session_text_settings[] = { "client_encoding",
						     "standard_conforming_strings" };

bool session_is_readable(const struct context *context)
{
	struct span value;
	for (size_t i = 0; i < ARRAY_LEN(session_text_settings); i++) {
		const char *name = session_text_settings[i];
		if (!context_effective(context, name, &value) ||
		    !session_may_read(name, value)) {
			return false;
		}
	}
	return true;
}

bool session_stays_readable(const struct plan *plan)
{
	for (size_t i = 0;
	     plan->set_name != NULL && i < ARRAY_LEN(session_text_settings); i++) {
		const char *name = session_text_settings[i];
		if (strcmp(plan->set_name, name) == 0) {
			return plan->set_kind == SET_VALUE && plan->set_value != NULL &&
			       session_may_read(name, span_str(plan->set_value));
		}
	}
	return true;
}
