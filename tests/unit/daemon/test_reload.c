/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "daemon/reload.h"

#define FINE "[databases]\napp = host=127.0.0.1\n[pgrecall]\nauth_type = trust\n"

static char *no_environment[] = { NULL };

/* A configuration file and a log, both of which the test writes and reads. */
struct bench {
	char file[64];
	char log[64];
	int log_fd;
	struct reload_origin origin;
};

static void bench_write(struct bench *bench, const char *text)
{
	int fd = open(bench->file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void bench_init(struct bench *bench, const char *text)
{
	snprintf(bench->file, sizeof(bench->file), "/tmp/pgrecall-reload-XXXXXX");
	snprintf(bench->log, sizeof(bench->log), "/tmp/pgrecall-log-XXXXXX");
	close(mkstemp(bench->file));
	bench->log_fd = mkstemp(bench->log);
	cr_assert_geq(bench->log_fd, 0);
	log_set_fd_for_test(bench->log_fd);
	bench->origin = (struct reload_origin){ bench->file, no_environment };
	bench_write(bench, text);
}

static void bench_fini(struct bench *bench)
{
	log_set_fd_for_test(-1);
	close(bench->log_fd);
	unlink(bench->file);
	unlink(bench->log);
}

/* What was logged since the last call. */
static const char *bench_log(struct bench *bench)
{
	static char text[65536];
	ssize_t n = pread(bench->log_fd, text, sizeof(text) - 1, 0);
	cr_assert_geq(n, 0);
	text[n] = '\0';
	cr_assert_eq(ftruncate(bench->log_fd, 0), 0);
	cr_assert_eq(lseek(bench->log_fd, 0, SEEK_SET), 0);
	return text;
}

Test(reload, first)
{
	struct bench bench;
	struct config *config = NULL;
	bench_init(&bench, FINE);
	cr_assert_eq(reload_first(&bench.origin, &config), 0, "%s", bench_log(&bench));
	cr_expect_eq(config->n_databases, 1);
	config_unref(config);
	bench_write(&bench, FINE "pool_mode = x\nlisten_prot = 1\n");
	cr_assert_eq(reload_first(&bench.origin, &config), -EINVAL);
	cr_expect_null(config);
	const char *log = bench_log(&bench);
	cr_expect_not_null(strstr(log, ":5: "), "%s", log);
	cr_expect_not_null(strstr(log, ":6: "), "%s", log);
	bench_fini(&bench);
}

struct reload_case {
	const char *text;
	enum reload_result result;
	unsigned n_changed;
	unsigned n_pending;
	const char *log; /* part of what is logged */
};

/* Each is read after the one before; a rejected one leaves that in use. */
static const struct reload_case cases[] = {
	{ FINE, RELOAD_OK, 0, 0, "0 changed" },
	{ FINE "query_wait_timeout = 7\n", RELOAD_OK, 1, 0, "query_wait_timeout" },
	{ FINE "query_wait_timeout = 7\n", RELOAD_OK, 0, 0, "0 changed" },
	{ FINE "query_wait_timeout = seven\n", RELOAD_REJECTED, 0, 0, ":5: " },
	{ FINE "query_wait_timeout = 7\nlisten_port = 7777\n", RELOAD_PARTIAL, 1, 1,
	  "listen_port" },
	{ FINE "query_wait_timeout = 8\nlisten_port = 7777\n", RELOAD_PARTIAL, 1, 1,
	  "from \"7s\" to \"8s\"" },
	{ FINE "query_wait_timeout = 8\n", RELOAD_OK, 1, 0, "listen_port" },
	{ FINE "query_wait_timeout = 8\n[databases]\nmore = host=::1\n", RELOAD_OK, 1,
	  0, "more" },
};

Test(reload, again)
{
	struct bench bench;
	struct config *boot = NULL;
	bench_init(&bench, FINE);
	cr_assert_eq(reload_first(&bench.origin, &boot), 0);
	struct config *current = config_ref(boot);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct reload_case *c = &cases[i];
		struct reload_report report;
		struct config *fresh;
		bench_write(&bench, c->text);
		reload_again(&bench.origin, boot, current, &fresh, &report);
		const char *log = bench_log(&bench);
		cr_expect_eq(report.result, c->result, "case %zu: %s", i, log);
		cr_expect_eq(report.n_changed, c->n_changed, "case %zu: %s", i, log);
		cr_expect_eq(report.n_pending, c->n_pending, "case %zu: %s", i, log);
		cr_expect_not_null(strstr(log, c->log), "case %zu: %s", i, log);
		cr_expect_eq(fresh == NULL, c->result == RELOAD_REJECTED);
		if (fresh != NULL) {
			config_unref(current);
			current = fresh;
		}
	}
	config_unref(current);
	config_unref(boot);
	bench_fini(&bench);
}
