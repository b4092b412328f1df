/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The first packet of a connection and the settings in its `options`. */

#include <stdint.h>

#include "base/check.h"
#include "wire/frame.h"
#include "wire/startup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct span outer, struct span inner)
{
	return inner.n == 0 || (inner.p >= outer.p && inner.n <= outer.n &&
				(size_t)(inner.p - outer.p) <= outer.n - inner.n);
}

static int count_option(void *arg, struct span name, struct span value)
{
	size_t *bytes = arg;
	for (size_t i = 0; i < name.n; i++) {
		require(name.p[i] != '-' && name.p[i] != '=');
	}
	*bytes += name.n + value.n;
	return 0;
}

static void check_startup(struct span packet)
{
	struct startup startup;
	int e = startup_parse(packet, &startup);
	require(e >= 0 && e <= STARTUP_E_LAST);
	require(startup.n_params <= STARTUP_MAX_PARAMS);
	require(startup.n_pq_options <= startup.n_params);
	for (size_t i = 0; i < startup.n_params; i++) {
		require(is_inside(packet, startup.params[i].name));
		require(is_inside(packet, startup.params[i].value));
	}
	require(is_inside(packet, startup.cancel_key));
	if (e == 0 && startup.kind == STARTUP_SESSION) {
		require(startup.user.n > 0 && startup.user.n <= STARTUP_NAME_MAX);
		require(startup.database.n > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make(data, size);
	struct span packet;
	if (frame_startup(in, &packet) == FRAME_OK) {
		require(packet.n + 4 <= size && packet.n >= 4);
		check_startup(packet);
	}
	check_startup(in);
	size_t bytes = 0;
	int e = startup_split_options(in, count_option, &bytes);
	require(e == (size > STARTUP_MAX_LEN ? STARTUP_E_MALFORMED : 0));
	require(e != 0 || bytes <= size);
	return 0;
}
