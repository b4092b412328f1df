/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/config_errors.h"
#include "net/tls.h"
#include "proxy/login_tls.h"
#include "proxy/users.h"

/* What getopt_long() gives for options without a letter. */
enum {
	LONG_CHECK_CONFIG = 256,
	LONG_DUMP_CONFIG,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check-config", required_argument, NULL, LONG_CHECK_CONFIG },
	{ "dump-config", no_argument, NULL, LONG_DUMP_CONFIG },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
    "pgrecall is a caching connection pooler for PostgreSQL.\n"
    "\n"
    "Usage:\n"
    "  pgrecall serve [--config FILE]     serve in the foreground\n"
    "  pgrecall --check-config FILE       say every error in FILE at once\n"
    "  pgrecall --dump-config [--config FILE]\n"
    "                                     every setting with the value it has\n"
    "\n"
    "Options:\n"
    "  -c, --config FILE      the configuration; not needed when the environment has\n"
    "                         DATABASE_URL\n"
    "      --check-config FILE\n"
    "                         exit with 0 when FILE can be served, with 1 when not\n"
    "      --dump-config      print the configuration as a file, without secrets\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this\n"
    "\n"
    "Signals: HUP reads the configuration again; TERM ends when transactions have\n"
    "ended, INT when queries have, a second one at once.\n";

/* "; did you mean --config?", or nothing. */
static void suggest(struct buf *message, const char *name)
{
	const char *names[ARRAY_LEN(long_options)];
	char copy[64];
	size_t n = strcspn(name, "=");
	size_t n_names = 0;
	if (n >= sizeof(copy)) {
		return;
	}
	memcpy(copy, name, n);
	copy[n] = '\0';
	while (long_options[n_names].name != NULL) {
		names[n_names] = long_options[n_names].name;
		n_names++;
	}
	const char *nearest = config_nearest(copy, names, n_names);
	if (nearest != NULL) {
		buf_printf(message, "; did you mean --%s?", nearest);
	}
}

/* getopt_long() refused an option.  optopt is 0 for a name it does not know, the letter
 * or number for one that it knows and that was misused, else a letter it does not know.
 */
static void bad_option(struct buf *message, char *const *argv, bool missing)
{
	const char *given = argv[optind - 1];
	if (missing) {
		buf_printf(message, "pgrecall: option %s needs a FILE\n", given);
	} else if (optopt == 0) {
		buf_printf(message, "pgrecall: unknown option %s", given);
		suggest(message, given + strspn(given, "-"));
		buf_append_str(message, "\n");
	} else if (strncmp(given, "--", 2) == 0 && strchr(given, '=') != NULL) {
		buf_printf(message, "pgrecall: option %s takes no value\n", given);
	} else {
		buf_printf(message, "pgrecall: unknown option -%c\n", optopt);
	}
}

/* Commands exclude each other; naming one twice is fine. */
static int command_set(struct options *options, bool *given,
		       enum options_command command, struct buf *message)
{
	if (*given && options->command != command) {
		buf_append_str(message, "pgrecall: only one command at a time\n");
		return OPTIONS_E_USAGE;
	}
	options->command = command;
	*given = true;
	return 0;
}

static int option_take(int c, struct options *options, bool *given, struct buf *message)
{
	switch (c) {
	case 'c':
		options->config_path = optarg;
		return 0;
	case LONG_CHECK_CONFIG:
		options->config_path = optarg;
		return command_set(options, given, OPTIONS_CHECK_CONFIG, message);
	case LONG_DUMP_CONFIG:
		return command_set(options, given, OPTIONS_DUMP_CONFIG, message);
	case 'V':
		return command_set(options, given, OPTIONS_VERSION, message);
	default:
		return command_set(options, given, OPTIONS_HELP, message);
	}
}

static int words_take(int argc, char *const *argv, struct options *options, bool *given,
		      struct buf *message)
{
	for (int i = optind; i < argc; i++) {
		if (strcmp(argv[i], "serve") != 0) {
			buf_printf(
			    message,
			    "pgrecall: unknown command %s; the only one is serve\n",
			    argv[i]);
			return OPTIONS_E_USAGE;
		}
		int r = command_set(options, given, OPTIONS_SERVE, message);
		if (r != 0) {
			return r;
		}
	}
	return 0;
}

static int parse(int argc, char *const *argv, struct options *options,
		 struct buf *message)
{
	bool given = false;
	int c;
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:Vh", long_options, NULL)) != -1) {
		if (c == '?' || c == ':') {
			bad_option(message, argv, c == ':');
			return OPTIONS_E_USAGE;
		}
		int r = option_take(c, options, &given, message);
		if (r != 0) {
			return r;
		}
	}
	int r = words_take(argc, argv, options, &given, message);
	if (r == 0 && !given) {
		buf_append_str(message, "pgrecall: nothing to do\n");
		return OPTIONS_E_USAGE;
	}
	return r;
}

int options_parse(int argc, char *const *argv, struct options *out, struct buf *message)
{
	require(argc > 0 && argv != NULL && out != NULL && message != NULL);
	*out = (struct options){ .command = OPTIONS_HELP };
	int r = parse(argc, argv, out, message);
	if (r != 0) {
		buf_append_str(message, "Try `pgrecall --help`.\n");
	}
	return r;
}

/* Loads the configuration for a look at it; says what is wrong with it. */
static int look(const struct options *options, char *const *environment,
		struct config **out, struct buf *message)
{
	struct config_errors errors;
	config_errors_init(&errors);
	int r = config_load(options->config_path, environment, out, &errors);
	config_errors_text(&errors, message);
	config_errors_fini(&errors);
	if (r < 0) {
		buf_printf(message, "pgrecall: %s\n", strerror(-r));
	}
	return r;
}

static bool users_are_fine(const struct config *config, struct buf *message)
{
	static const uint8_t salt_key[SCRAM_KEY_LEN]; /* a check shows no salt */
	char error[1024];
	struct users *users = NULL;
	if (users_load(config, salt_key, &users, error, sizeof(error)) != 0) {
		buf_printf(message, "pgrecall: %s\n", error);
		return false;
	}
	users_unref(users);
	return true;
}

static bool certificates_are_fine(const struct config *config, struct buf *message)
{
	char error[512];
	struct tls *tls = NULL;
	if (login_tls_load(config, &tls, error, sizeof(error)) != 0) {
		buf_printf(message, "pgrecall: %s\n", error);
		return false;
	}
	tls_unref(tls);
	return true;
}

int options_run(const struct options *options, char *const *environment,
		struct buf *out, struct buf *message)
{
	struct config *config = NULL;
	require(options->command != OPTIONS_SERVE);
	if (options->command == OPTIONS_HELP) {
		buf_append_str(out, help_text);
		return OPTIONS_EXIT_OK;
	}
	if (options->command == OPTIONS_VERSION) {
		buf_append_str(out, "pgrecall " PGRECALL_VERSION "\n");
		return OPTIONS_EXIT_OK;
	}
	if (look(options, environment, &config, message) != 0) {
		return OPTIONS_EXIT_INVALID;
	}
	int status = OPTIONS_EXIT_OK;
	if (options->command == OPTIONS_DUMP_CONFIG) {
		config_dump(config, out);
	} else if (!users_are_fine(config, message) ||
		   !certificates_are_fine(config, message)) {
		status = OPTIONS_EXIT_INVALID;
	} else {
		buf_append_str(out, "configuration is fine\n");
	}
	config_unref(config);
	return status;
}
