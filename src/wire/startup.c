/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "wire/startup.h"

#include "base/sqlstate.h"
#include "wire/reader.h"

/* The codes that stand where a version would. */
#define STARTUP_CODE_CANCEL ((1234U << 16) | 5678U)
#define STARTUP_CODE_SSL    ((1234U << 16) | 5679U)
#define STARTUP_CODE_GSSENC ((1234U << 16) | 5680U)

static int startup_parse_cancel(struct reader *r, struct startup *out)
{
	out->kind = STARTUP_CANCEL_REQUEST;
	out->cancel_pid = reader_u32(r);
	out->cancel_key = reader_rest(r);
	if (!reader_ok(r)) {
		return STARTUP_E_MALFORMED;
	}
	if (out->cancel_key.n < STARTUP_CANCEL_KEY_MIN ||
	    out->cancel_key.n > STARTUP_CANCEL_KEY_MAX) {
		return STARTUP_E_CANCEL_KEY;
	}
	return 0;
}

static void startup_set_version(struct startup *out, uint32_t version)
{
	out->major = (uint16_t)(version >> 16);
	out->asked_minor = (uint16_t)(version & 0xffff);
	out->minor = out->asked_minor < STARTUP_NEWEST_MINOR ? 0 : STARTUP_NEWEST_MINOR;
	out->negotiate = out->minor != out->asked_minor;
}

/* Booleans as PostgreSQL reads them: beginnings of the words that are not ambiguous. */
static bool startup_is_word(struct span value, const char *word, size_t least)
{
	size_t n = strlen(word);
	return value.n >= least && value.n <= n &&
	       span_ieq(value, span_make((const uint8_t *)word, value.n));
}

static int startup_set_replication(struct startup *out, struct span value)
{
	if (span_eq_str(value, "database")) {
		out->replication = STARTUP_LOGICAL;
	} else if (startup_is_word(value, "true", 1) ||
		   startup_is_word(value, "yes", 1) ||
		   startup_is_word(value, "on", 2) || span_eq_str(value, "1")) {
		out->replication = STARTUP_PHYSICAL;
	} else if (startup_is_word(value, "false", 1) ||
		   startup_is_word(value, "no", 1) ||
		   startup_is_word(value, "off", 2) || span_eq_str(value, "0")) {
		out->replication = STARTUP_NO_REPLICATION;
	} else {
		return STARTUP_E_REPLICATION;
	}
	return 0;
}

static void startup_note_param(struct startup *out, const struct startup_param *param)
{
	if (span_eq_str(param->name, "user")) {
		out->user = param->value;
	} else if (span_eq_str(param->name, "database")) {
		out->database = param->value;
	} else if (span_eq_str(param->name, "options")) {
		out->options = param->value;
	} else if (param->name.n >= 5 && memcmp(param->name.p, "_pq_.", 5) == 0) {
		out->pq_options[out->n_pq_options++] = param->name;
		out->negotiate = true;
	}
}

/* Pairs of strings; an empty name ends them and must be the packet's last byte. */
static int startup_parse_params(struct reader *r, struct startup *out)
{
	for (;;) {
		struct startup_param param = { .name = reader_cstr(r) };
		if (!reader_ok(r)) {
			return STARTUP_E_MALFORMED;
		}
		if (param.name.n == 0) {
			return reader_at_end(r) ? 0 : STARTUP_E_MALFORMED;
		}
		param.value = reader_cstr(r);
		if (!reader_ok(r)) {
			return STARTUP_E_MALFORMED;
		}
		if (out->n_params == STARTUP_MAX_PARAMS) {
			return STARTUP_E_TOO_MANY;
		}
		out->params[out->n_params++] = param;
		startup_note_param(out, &param);
	}
}

int startup_parse(struct span packet, struct startup *out)
{
	require(out != NULL);
	*out = (struct startup){ 0 };
	struct reader r = reader_make(packet);
	uint32_t code = reader_u32(&r);
	switch (code) {
	case STARTUP_CODE_CANCEL:
		return startup_parse_cancel(&r, out);
	case STARTUP_CODE_SSL:
		out->kind = STARTUP_SSL_REQUEST;
		return reader_at_end(&r) ? 0 : STARTUP_E_MALFORMED;
	case STARTUP_CODE_GSSENC:
		out->kind = STARTUP_GSSENC_REQUEST;
		return reader_at_end(&r) ? 0 : STARTUP_E_MALFORMED;
	default:
		break;
	}
	if (!reader_ok(&r)) {
		return STARTUP_E_MALFORMED;
	}
	startup_set_version(out, code);
	if (out->major != 3) {
		return STARTUP_E_VERSION;
	}
	int e = startup_parse_params(&r, out);
	if (e != 0) {
		return e;
	}
	if (out->user.n == 0) {
		return STARTUP_E_NO_USER;
	}
	if (out->user.n > STARTUP_NAME_MAX) {
		return STARTUP_E_USER_TOO_LONG;
	}
	if (out->database.n == 0) {
		out->database = out->user;
	}
	if (out->database.n > STARTUP_NAME_MAX) {
		return STARTUP_E_DATABASE_TOO_LONG;
	}
	struct span replication = startup_param(out, "replication");
	return replication.p == NULL ? 0 : startup_set_replication(out, replication);
}

struct span startup_param(const struct startup *startup, const char *name)
{
	for (size_t i = startup->n_params; i > 0; i--) {
		if (span_eq_str(startup->params[i - 1].name, name)) {
			return startup->params[i - 1].value;
		}
	}
	return span_make(NULL, 0);
}

static const struct startup_error_row {
	const char *sqlstate;
	const char *text;
} startup_errors[] = {
	/* clang-format off */
	[STARTUP_E_MALFORMED] = { SQLSTATE_PROTOCOL_VIOLATION,
		"invalid startup packet layout: expected terminator as last byte" },
	[STARTUP_E_VERSION] = { SQLSTATE_FEATURE_NOT_SUPPORTED,
		"unsupported frontend protocol: server supports 3.0 to 3.2" },
	[STARTUP_E_NO_USER] = { SQLSTATE_INVALID_AUTHORIZATION,
		"no PostgreSQL user name specified in startup packet" },
	[STARTUP_E_TOO_MANY] = { SQLSTATE_PROTOCOL_VIOLATION,
		"too many parameters in startup packet" },
	[STARTUP_E_USER_TOO_LONG] = { SQLSTATE_INVALID_AUTHORIZATION,
		"user name is too long" },
	[STARTUP_E_DATABASE_TOO_LONG] = { SQLSTATE_UNKNOWN_DATABASE,
		"database name is too long" },
	[STARTUP_E_CANCEL_KEY] = { SQLSTATE_PROTOCOL_VIOLATION,
		"invalid length of cancel request" },
	[STARTUP_E_REPLICATION] = { SQLSTATE_INVALID_PARAMETER_VALUE,
		"invalid value for parameter \"replication\"" },
	/* clang-format on */
};

const char *startup_error_sqlstate(int error)
{
	require(error > 0 && error <= STARTUP_E_LAST);
	return startup_errors[error].sqlstate;
}

const char *startup_error_text(int error)
{
	require(error > 0 && error <= STARTUP_E_LAST);
	return startup_errors[error].text;
}
