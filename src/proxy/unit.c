/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/unit.h"

static enum collected unit_next(uint32_t max_packet_size, struct span *left,
				struct frame *frame)
{
	enum frame_result r = frame_next(*left, max_packet_size, frame);
	if (r == FRAME_BAD) {
		return COLLECT_OTHER; /* told when its turn comes */
	}
	if (r == FRAME_NEED || !frame->complete) {
		return COLLECT_MORE;
	}
	return COLLECTED;
}

static enum collected unit_bind(uint32_t max_packet_size, struct span *left,
				struct unit *unit)
{
	enum collected c = unit_next(max_packet_size, left, &unit->bind_frame);
	if (c != COLLECTED) {
		return c;
	}
	if (unit->bind_frame.type != 'B' ||
	    message_read_bind(unit->bind_frame.body, &unit->bind) != 0 ||
	    unit->bind.portal.n != 0 ||
	    (unit->has_parse && !span_eq(unit->bind.statement, unit->parse.name))) {
		return COLLECT_OTHER;
	}
	*left = span_skip(*left, unit->bind_frame.size);
	return COLLECTED;
}

static enum collected unit_describe(uint32_t max_packet_size, struct span *left,
				    struct unit *unit)
{
	struct message_target target;
	enum collected c = unit_next(max_packet_size, left, &unit->describe_frame);
	if (c != COLLECTED || unit->describe_frame.type != 'D') {
		return c;
	}
	if (message_read_target(unit->describe_frame.body, &target) != 0 ||
	    target.kind != 'P' || target.name.n != 0) {
		return COLLECT_OTHER;
	}
	unit->described = true;
	*left = span_skip(*left, unit->describe_frame.size);
	return COLLECTED;
}

enum collected unit_collect(uint32_t max_packet_size, struct span in, struct unit *unit)
{
	struct span left = in;
	enum collected c;
	*unit = (struct unit){ 0 };
	if (in.p[0] == 'P') {
		c = unit_next(max_packet_size, &left, &unit->parse_frame);
		if (c != COLLECTED) {
			return c;
		}
		if (message_read_parse(unit->parse_frame.body, &unit->parse) != 0) {
			return COLLECT_OTHER;
		}
		unit->has_parse = true;
		left = span_skip(left, unit->parse_frame.size);
	}
	c = unit_bind(max_packet_size, &left, unit);
	if (c == COLLECTED) {
		c = unit_describe(max_packet_size, &left, unit);
	}
	if (c == COLLECTED) {
		c = unit_next(max_packet_size, &left, &unit->execute_frame);
	}
	if (c != COLLECTED) {
		return c;
	}
	if (unit->execute_frame.type != 'E' ||
	    message_read_execute(unit->execute_frame.body, &unit->execute) != 0 ||
	    unit->execute.portal.n != 0) {
		return COLLECT_OTHER;
	}
	unit->size = in.n - left.n + unit->execute_frame.size;
	return COLLECTED;
}
