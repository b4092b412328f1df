#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What a driver sends for one query of the extended protocol: messages that lie one
 * behind the other and can be answered from the cache together. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/frame.h"
#include "wire/messages.h"

struct unit {
	bool has_parse;
	bool described;
	struct frame parse_frame;
	struct frame bind_frame;
	struct frame describe_frame;
	struct frame execute_frame;
	struct message_parse parse;
	struct message_bind bind;
	struct message_execute execute;
	size_t size; /* bytes of all of it */
};

enum collected {
	COLLECTED,     /* the unit is whole */
	COLLECT_MORE,  /* it may become one: wait for the rest */
	COLLECT_OTHER, /* something else: take the message alone */
};

/* Takes apart the unit at the front of IN: Parse?, Bind, Describe portal?, Execute, all
 * of the unnamed portal.  Waiting for more is harmless: PostgreSQL answers nothing of
 * it before a Flush or a Sync has come. */
enum collected unit_collect(uint32_t max_packet_size, struct span in,
			    struct unit *unit);
