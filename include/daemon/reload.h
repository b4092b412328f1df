#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Reading the configuration at the start and again on SIGHUP: all or nothing, with a
 * log line for everything that is wrong, changes, or has to wait for a restart. */

#include "base/check.h"

struct config;

enum reload_result {
	RELOAD_OK,	 /* everything that changed holds from now on */
	RELOAD_PARTIAL,	 /* some of it waits for a restart */
	RELOAD_REJECTED, /* errors; nothing changes */
};

struct reload_report {
	enum reload_result result;
	unsigned n_changed; /* settings that differ from the ones in use */
	unsigned n_pending; /* settings that wait for a restart, since the start */
};

/* Where a configuration comes from; strings are the caller's and live as long as the
 * process. */
struct reload_origin {
	const char *path;	  /* NULL: no file */
	char *const *environment; /* NULL: none */
};

/* Reads the first configuration.  0; or -EINVAL, -ENOMEM, after the reasons were
 * logged.
 */
int reload_first(const struct reload_origin *origin, struct config **out) MUST_CHECK;

/* Reads the configuration again.  BOOT is the one the process began with, CURRENT the
 * one in use.  With RELOAD_REJECTED, *OUT is NULL and nothing is to be done; otherwise
 * *OUT is a reference to the configuration to publish, whose databases and rules keep
 * CURRENT's numbers.  Settings that wait for a restart have their new values in it. */
void reload_again(const struct reload_origin *origin, const struct config *boot,
		  const struct config *current, struct config **out,
		  struct reload_report *report);
