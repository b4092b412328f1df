/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "daemon/options.h"

#define MAX_WORDS 6

struct options_case {
	const char *words[MAX_WORDS]; /* after the program's name */
	int result;
	enum options_command command;
	const char *config_path;
	const char *message; /* part of it, when the result is not 0 */
};

#define WRONG OPTIONS_E_USAGE, OPTIONS_HELP, NULL

/* clang-format off */
static const struct options_case cases[] = {
	{ { "serve" }, 0, OPTIONS_SERVE, NULL, "" },
	{ { "serve", "--config", "f" }, 0, OPTIONS_SERVE, "f", "" },
	{ { "serve", "--config=f" }, 0, OPTIONS_SERVE, "f", "" },
	{ { "serve", "-c", "f" }, 0, OPTIONS_SERVE, "f", "" },
	{ { "--config", "f", "serve" }, 0, OPTIONS_SERVE, "f", "" },
	{ { "--config", "f", "--config", "g", "serve" }, 0, OPTIONS_SERVE, "g", "" },
	{ { "--check-config", "f" }, 0, OPTIONS_CHECK_CONFIG, "f", "" },
	{ { "--check-config=f" }, 0, OPTIONS_CHECK_CONFIG, "f", "" },
	{ { "--dump-config" }, 0, OPTIONS_DUMP_CONFIG, NULL, "" },
	{ { "--dump-config", "--config", "f" }, 0, OPTIONS_DUMP_CONFIG, "f", "" },
	{ { "--version" }, 0, OPTIONS_VERSION, NULL, "" },
	{ { "-V" }, 0, OPTIONS_VERSION, NULL, "" },
	{ { "--help" }, 0, OPTIONS_HELP, NULL, "" },
	{ { "-h" }, 0, OPTIONS_HELP, NULL, "" },
	{ { NULL }, WRONG, "nothing to do" },
	{ { "--config", "f" }, WRONG, "nothing to do" },
	{ { "--confg", "f" }, WRONG, "unknown option --confg; did you mean --config?" },
	{ { "--chek-config=f" }, WRONG, "unknown option --chek-config=f; did you mean --check-config?" },
	{ { "--banana" }, WRONG, "unknown option --banana\n" },
	{ { "serve", "-x" }, WRONG, "unknown option -x" },
	{ { "serve", "-xV" }, WRONG, "unknown option -x" },
	{ { "--dump-config", "-xV" }, WRONG, "unknown option -x" },
	{ { "serve", "--config" }, WRONG, "--config needs a FILE" },
	{ { "-c" }, WRONG, "-c needs a FILE" },
	{ { "--check-config" }, WRONG, "--check-config needs a FILE" },
	{ { "--version=3" }, WRONG, "--version=3 takes no value" },
	{ { "start" }, WRONG, "unknown command start" },
	{ { "serve", "pgrecall.ini" }, WRONG, "unknown command pgrecall.ini" },
	{ { "serve", "--check-config", "f" }, WRONG, "only one command" },
	{ { "--version", "--dump-config" }, WRONG, "only one command" },
};
/* clang-format on */

Test(options, parse)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct options_case *c = &cases[i];
		char *argv[MAX_WORDS + 2] = { strdup("pgrecall") };
		int argc = 1;
		struct options options;
		struct buf message;
		for (; argc <= MAX_WORDS && c->words[argc - 1] != NULL; argc++) {
			argv[argc] = strdup(c->words[argc - 1]);
		}
		buf_init(&message, 4096);
		int r = options_parse(argc, argv, &options, &message);
		buf_append_u8(&message, 0);
		const char *said = (const char *)message.data;
		cr_expect_eq(r, c->result, "case %zu: %d", i, r);
		if (c->result != 0) {
			cr_expect_not_null(strstr(said, c->message), "case %zu: %s", i,
					   said);
			cr_expect_not_null(strstr(said, "--help"), "case %zu: %s", i,
					   said);
		} else {
			cr_expect_eq(options.command, c->command, "case %zu", i);
			cr_expect_str_eq(
			    options.config_path ? options.config_path : "-",
			    c->config_path ? c->config_path : "-", "case %zu", i);
			cr_expect_str_empty(said, "case %zu: %s", i, said);
		}
		buf_fini(&message);
		while (argc > 0) {
			free(argv[--argc]);
		}
	}
}

/* Runs a command over a file with TEXT (NULL: no file); the texts are C strings. */
static int run(enum options_command command, const char *text, char *const *environment,
	       struct buf *out, struct buf *message)
{
	char path[] = "/tmp/pgrecall-options-XXXXXX";
	struct options options = { .command = command };
	if (text != NULL) {
		int fd = mkstemp(path);
		cr_assert_geq(fd, 0);
		cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
		close(fd);
		options.config_path = path;
	}
	buf_init(out, 1 << 20);
	buf_init(message, 1 << 20);
	int status = options_run(&options, environment, out, message);
	buf_append_u8(out, 0);
	buf_append_u8(message, 0);
	if (text != NULL) {
		unlink(path);
	}
	return status;
}

static char *no_environment[] = { NULL };

struct run_case {
	enum options_command command;
	const char *text;
	int status;
	const char *out;
	const char *message;
};

#define FINE "[databases]\napp = host=127.0.0.1\n[pgrecall]\nauth_type = trust\n"

static const struct run_case runs[] = {
	{ OPTIONS_HELP, NULL, 0, "pgrecall serve", "" },
	{ OPTIONS_VERSION, NULL, 0, "pgrecall 0.", "" },
	{ OPTIONS_CHECK_CONFIG, FINE, 0, "configuration is fine\n", "" },
	{ OPTIONS_CHECK_CONFIG, FINE "listen_prot = 1\n", 1, "", ":5: error: " },
	{ OPTIONS_CHECK_CONFIG, FINE "listen_prot = 1\n", 1, "", "listen_port" },
	{ OPTIONS_CHECK_CONFIG, FINE "pool_mode = x\nworkers = -1\n", 1, "",
	  ":6: error: " },
	{ OPTIONS_DUMP_CONFIG, FINE, 0, "listen_port = 6432", "" },
	{ OPTIONS_DUMP_CONFIG, FINE "pool_mode = x\n", 1, "", ":5: error: " },
};

Test(options, run)
{
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		const struct run_case *c = &runs[i];
		struct buf out;
		struct buf message;
		int status = run(c->command, c->text, no_environment, &out, &message);
		const char *said = (const char *)message.data;
		cr_expect_eq(status, c->status, "case %zu: %d: %s", i, status, said);
		cr_expect_not_null(strstr((const char *)out.data, c->out),
				   "case %zu: %s", i, (const char *)out.data);
		cr_expect_not_null(strstr(said, c->message), "case %zu: %s", i, said);
		if (status != 0) {
			cr_expect_str_empty((const char *)out.data, "case %zu", i);
		}
		buf_fini(&out);
		buf_fini(&message);
	}
}

Test(options, environment_counts)
{
	static char bad[] = "DB_POOL_MAX=banana";
	char *environment[] = { bad, NULL };
	struct buf out;
	struct buf message;
	int status = run(OPTIONS_CHECK_CONFIG, FINE, environment, &out, &message);
	cr_expect_eq(status, OPTIONS_EXIT_INVALID);
	cr_expect_not_null(strstr((const char *)message.data, "DB_POOL_MAX"), "%s",
			   (const char *)message.data);
	buf_fini(&out);
	buf_fini(&message);
}

Test(options, a_file_that_is_not_there)
{
	struct options options = { OPTIONS_CHECK_CONFIG, "/nowhere/at/all.ini" };
	struct buf out;
	struct buf message;
	buf_init(&out, 4096);
	buf_init(&message, 4096);
	cr_expect_eq(options_run(&options, no_environment, &out, &message),
		     OPTIONS_EXIT_INVALID);
	buf_append_u8(&message, 0);
	cr_expect_not_null(strstr((const char *)message.data, "/nowhere/at/all.ini"));
	buf_fini(&out);
	buf_fini(&message);
}
