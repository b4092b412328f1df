/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Configuration files, values of the environment (what stands behind a zero byte), and
 * what a configuration that was accepted says of itself. */

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_errors.h"
#include "base/config_value.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_changed(void *arg, const char *name, const char *old_text,
			 const char *new_text, bool needs_restart)
{
	/* the same configuration on both sides */
	abort();
}

static void fuzz_accepted(struct config *config)
{
	struct buf out;
	buf_init(&out, 16U << 20);
	config_dump(config, &out);
	config_diff(config, config, fuzz_changed, NULL);
	config_inherit(config, config);
	(void)config_find_database(config, SPAN_LIT("chat"));
	buf_fini(&out);
}

static void fuzz_values(struct span s)
{
	uint64_t v;
	uint64_t back;
	struct buf out;
	buf_init(&out, 100);
	if (config_parse_duration(s, 1000, &v)) {
		config_format_duration(v, &out);
		require(config_parse_duration(buf_span(&out), 1, &back) && back == v);
		buf_reset(&out);
	}
	if (config_parse_size(s, &v)) {
		config_format_size(v, &out);
		require(config_parse_size(buf_span(&out), &back) && back == v);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t n = zero != NULL ? (size_t)(zero - data) : size;
	/* glibc takes minutes and gigabytes for nested repetitions in an expression;
	 * who writes the file may also stop the daemon */
	if (memchr(data, '{', size) != NULL) {
		return 0;
	}
	static const char variable[] = "DATABASE_URL=";
	char *url = NULL;
	if (zero != NULL) {
		size_t len = size - n - 1;
		url = malloc(sizeof(variable) + len);
		memcpy(url, variable, sizeof(variable) - 1);
		memcpy(url + sizeof(variable) - 1, zero + 1, len);
		url[sizeof(variable) - 1 + len] = 0;
	}
	char *environment[] = { url, NULL };
	struct config *config;
	struct config_errors errors;
	struct buf text;
	config_errors_init(&errors);
	buf_init(&text, 1U << 20);
	if (config_load_text(span_make(data, n), environment, &config, &errors) == 0) {
		fuzz_accepted(config);
		config_unref(config);
	}
	config_errors_text(&errors, &text);
	fuzz_values(span_make(data, n));
	config_errors_fini(&errors);
	buf_fini(&text);
	free(url);
	return 0;
}
