/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/added.h"

#include <inttypes.h>

#include "wire/reader.h"
#include "wire/writer.h"

void added_answered(struct added *added, uint32_t n_done)
{
	if (added->left > 0) {
		added->left--;
	} else if (added->next < added->n &&
		   added->places[added->next].part + 1 == n_done) {
		added->left = added->places[added->next++].n;
	}
}

/* The place in the client's text of character AT of the text that was sent, both from
 * 0; what is in one of ours is where that was put in. */
static uint64_t added_place_of(const struct added *added, uint64_t at)
{
	for (uint32_t i = 0; i < added->n && at > added->places[i].at; i++) {
		uint64_t inside = at - added->places[i].at;
		at -= inside < added->places[i].len ? inside : added->places[i].len;
	}
	return at;
}

/* 0: not a number. */
static uint64_t added_number(struct span digits)
{
	uint64_t n = 0;
	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9' || n > UINT32_MAX) {
			return 0;
		}
		n = n * 10 + (uint64_t)(digits.p[i] - '0');
	}
	return n;
}

bool added_correct(const struct added *added, uint8_t type, struct span body,
		   struct buf *out)
{
	struct reader r = reader_make(body);
	struct span place = { 0 };
	for (uint8_t code; (code = reader_u8(&r)) != 0;) {
		struct span value = reader_cstr(&r);
		if (code == 'P') {
			place = value;
		}
	}
	uint64_t was = added_number(place);
	uint64_t is = was > 0 ? added_place_of(added, was - 1) + 1 : was;
	if (!reader_at_end(&r) || is == was) {
		return false;
	}
	size_t before = (size_t)(place.p - body.p);
	size_t start = writer_begin(out, type);
	buf_append_span(out, span_make(body.p, before));
	buf_printf(out, "%" PRIu64, is);
	buf_append_span(out, span_skip(body, before + place.n));
	writer_end(out, start);
	return true;
}
