/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/options.h"
#include "daemon/serve.h"

/* Threads for calls that block (cancel requests of libpq, names, accounts): more than
 * libuv's four, because a server that does not answer may hold some for minutes. */
#define MAIN_POOL_THREADS "16"
#define MAIN_OUT_MAX	  ((size_t)16 << 20)

static void main_print(FILE *to, const struct buf *text)
{
	if (text->len > 0) {
		fwrite(text->data, 1, text->len, to);
		fflush(to);
	}
}

int main(int argc, char **argv)
{
	struct options options;
	struct buf out;
	struct buf message;
	buf_init(&out, MAIN_OUT_MAX);
	buf_init(&message, MAIN_OUT_MAX);
	int status;
	setenv("UV_THREADPOOL_SIZE", MAIN_POOL_THREADS, 0);
	if (options_parse(argc, argv, &options, &message) != 0) {
		status = OPTIONS_EXIT_USAGE;
	} else if (options.command == OPTIONS_SERVE) {
		status = serve_run(&options, environ);
	} else {
		status = options_run(&options, environ, &out, &message);
	}
	main_print(stdout, &out);
	main_print(stderr, &message);
	buf_fini(&out);
	buf_fini(&message);
	return status;
}
