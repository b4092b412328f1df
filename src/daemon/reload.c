/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "daemon/reload.h"

#include <errno.h>
#include <string.h>

#include "base/config.h"
#include "base/config_errors.h"
#include "base/log.h"

static void errors_log(const struct config_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++) {
		const struct config_error *e = &errors->items[i];
		enum log_level level =
		    e->is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR;
		if (e->line > 0) {
			LOG_AT(level, NULL, "%s:%u: %s", e->file, e->line, e->text);
		} else {
			LOG_AT(level, NULL, "%s: %s", e->file, e->text);
		}
	}
	size_t total = errors->n_errors + errors->n_warnings;
	if (total > errors->n) {
		log_error(NULL, "and %zu more", total - errors->n);
	}
}

/* 0, -EINVAL or -ENOMEM; the reasons are in the log. */
static int load(const struct reload_origin *origin, struct config **out)
{
	struct config_errors errors;
	config_errors_init(&errors);
	int r = config_load(origin->path, origin->environment, out, &errors);
	errors_log(&errors);
	config_errors_fini(&errors);
	if (r < 0) {
		log_error(NULL, "configuration cannot be read: %s", strerror(-r));
	}
	return r == CONFIG_E_INVALID ? -EINVAL : r;
}

int reload_first(const struct reload_origin *origin, struct config **out)
{
	require(origin != NULL && out != NULL);
	*out = NULL;
	return load(origin, out);
}

static void change_log(void *arg, const char *name, const char *old_text,
		       const char *new_text, bool needs_restart)
{
	struct reload_report *report = arg;
	report->n_changed++;
	if (old_text == NULL) {
		log_log(NULL, "%s was added: %s", name, new_text);
	} else if (new_text == NULL) {
		log_log(NULL, "%s was removed", name);
	} else {
		log_log(NULL, "%s changed from \"%s\" to \"%s\"%s", name, old_text,
			new_text, needs_restart ? "; waits for a restart" : "");
	}
}

static void pending_count(void *arg, const char *name, const char *old_text,
			  const char *new_text, bool needs_restart)
{
	struct reload_report *report = arg;
	report->n_pending += needs_restart ? 1 : 0;
}

void reload_again(const struct reload_origin *origin, const struct config *boot,
		  const struct config *current, struct config **out,
		  struct reload_report *report)
{
	require(origin != NULL && boot != NULL && current != NULL);
	require(out != NULL && report != NULL);
	*out = NULL;
	*report = (struct reload_report){ .result = RELOAD_REJECTED };
	log_log(NULL, "reading the configuration again");
	if (load(origin, out) != 0) {
		log_error(NULL, "the configuration in use stays as it is");
		return;
	}
	config_inherit(*out, current);
	config_diff(current, *out, change_log, report);
	/* a setting may have been waiting since an earlier reload, or have been put
	 * back */
	config_diff(boot, *out, pending_count, report);
	report->result = report->n_pending > 0 ? RELOAD_PARTIAL : RELOAD_OK;
	log_log(NULL, "configuration read: %u changed, %u waiting for a restart",
		report->n_changed, report->n_pending);
}
