/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "admin/accept.h"

#define Q_MAX 1000 /* a quality of 1, in thousandths */

struct range {
	struct span type;    /* "text/plain" */
	struct span version; /* of the parameter; empty when absent */
	unsigned q;	     /* thousandths */
};

static struct span trim(struct span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s = span_skip(s, 1);
	}
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
		s.n--;
	}
	return s;
}

/* Cuts IN at the first MARK: returns what is before, leaves in *IN what is after. */
static struct span cut(struct span *in, uint8_t mark)
{
	const uint8_t *at = in->n > 0 ? memchr(in->p, mark, in->n) : NULL;
	struct span head = *in;
	if (at == NULL) {
		*in = span_make(NULL, 0);
		return head;
	}
	head.n = (size_t)(at - in->p);
	*in = span_skip(*in, head.n + 1);
	return head;
}

/* "0.5" -> 500.  What is not a quality counts as 0: not wanted. */
static unsigned quality(struct span s)
{
	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1')) {
		return 0;
	}
	unsigned q = s.p[0] == '1' ? Q_MAX : 0;
	if (s.n > 1 && s.p[1] != '.') {
		return 0;
	}
	unsigned unit = Q_MAX / 10;
	for (size_t i = 2; i < s.n; i++, unit /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9') {
			return 0;
		}
		q += unit * (unsigned)(s.p[i] - '0');
	}
	return q < Q_MAX ? q : Q_MAX;
}

static struct range range_read(struct span item)
{
	struct range range = { .type = trim(cut(&item, ';')), .q = Q_MAX };
	while (item.n > 0) {
		struct span value = cut(&item, ';');
		struct span name = trim(cut(&value, '='));
		value = trim(value);
		if (span_ieq(name, SPAN_LIT("q"))) {
			range.q = quality(value);
		} else if (span_ieq(name, SPAN_LIT("version"))) {
			range.version = value;
		}
	}
	return range;
}

bool accept_openmetrics(struct span accept)
{
	unsigned open = 0;
	unsigned text = 0;
	while (accept.n > 0) {
		struct range range = range_read(cut(&accept, ','));
		unsigned *best = NULL;
		if (span_ieq(range.type, SPAN_LIT("application/openmetrics-text"))) {
			bool known = range.version.n == 0 ||
				     span_eq(range.version, SPAN_LIT("1.0.0"));
			best = known ? &open : NULL;
		} else if (span_ieq(range.type, SPAN_LIT("text/plain"))) {
			best = &text;
		}
		if (best != NULL && range.q > *best) {
			*best = range.q;
		}
	}
	return open > 0 && open >= text;
}
