/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The readers of what servers send; the header is wire/messages.h. */

#include "wire/messages.h"

/* Where a field of an error goes, or NULL for one that we do not keep. */
static struct span *error_field(struct message_error *error, uint8_t code)
{
	switch (code) {
	case 'S':
		/* translated; counts only where the untranslated one is missing */
		return error->severity.p == NULL ? &error->severity : NULL;
	case 'V':
		return &error->severity;
	case 'C':
		return &error->sqlstate;
	case 'M':
		return &error->message;
	case 'D':
		return &error->detail;
	case 'H':
		return &error->hint;
	case 'P':
		return &error->position;
	case 'W':
		return &error->where;
	case 's':
		return &error->schema;
	case 't':
		return &error->table;
	case 'n':
		return &error->constraint;
	case 'R':
		return &error->routine;
	default:
		return NULL;
	}
}

int message_read_error(struct span body, struct message_error *out)
{
	*out = (struct message_error){ 0 };
	struct reader r = reader_make(body);
	uint8_t code = reader_u8(&r);
	while (code != 0) {
		struct span value = reader_cstr(&r);
		struct span *field = error_field(out, code);
		if (field != NULL) {
			*field = value;
		}
		code = reader_u8(&r);
	}
	return reader_at_end(&r) ? 0 : MESSAGE_E_MALFORMED;
}

int message_read_parameter_status(struct span body, struct message_parameter *out)
{
	struct reader r = reader_make(body);
	out->name = reader_cstr(&r);
	out->value = reader_cstr(&r);
	return reader_at_end(&r) ? 0 : MESSAGE_E_MALFORMED;
}

int message_read_notification(struct span body, struct message_notification *out)
{
	struct reader r = reader_make(body);
	out->pid = reader_u32(&r);
	out->channel = reader_cstr(&r);
	out->payload = reader_cstr(&r);
	return reader_at_end(&r) ? 0 : MESSAGE_E_MALFORMED;
}

int message_read_ready(struct span body, uint8_t *status)
{
	struct reader r = reader_make(body);
	*status = reader_u8(&r);
	if (*status != 'I' && *status != 'T' && *status != 'E') {
		return MESSAGE_E_MALFORMED;
	}
	return reader_at_end(&r) ? 0 : MESSAGE_E_MALFORMED;
}

int message_read_command_complete(struct span body, struct span *tag)
{
	struct reader r = reader_make(body);
	*tag = reader_cstr(&r);
	return reader_at_end(&r) ? 0 : MESSAGE_E_MALFORMED;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* The number that S ends with and the space before it, taken off S. */
static bool tag_take_number(struct span *s, uint64_t *number)
{
	size_t at = s->n;
	while (at > 0 && is_digit(s->p[at - 1])) {
		at--;
	}
	if (at == s->n || at == 0 || s->p[at - 1] != ' ') {
		return false;
	}
	uint64_t value = 0;
	for (size_t i = at; i < s->n; i++) {
		uint64_t digit = (uint64_t)(s->p[i] - '0');
		if (value > (UINT64_MAX - digit) / 10) {
			return false;
		}
		value = value * 10 + digit;
	}
	*number = value;
	s->n = at - 1;
	return true;
}

struct message_command message_parse_tag(struct span tag)
{
	struct message_command command = { .verb = tag };
	command.has_rows = tag_take_number(&command.verb, &command.rows);
	/* INSERT has an oid in front of its count: "INSERT 0 5" */
	uint64_t oid;
	if (command.has_rows) {
		(void)tag_take_number(&command.verb, &oid);
	}
	return command;
}

int message_read_row_description(struct span body, uint16_t *n_columns)
{
	struct reader r = reader_make(body);
	*n_columns = reader_u16(&r);
	for (size_t i = 0; i < *n_columns && reader_ok(&r); i++) {
		(void)reader_cstr(&r);
		/* table, column, type, its length and modifier, format */
		(void)reader_bytes(&r, 4 + 2 + 4 + 2 + 4 + 2);
	}
	return reader_at_end(&r) ? 0 : MESSAGE_E_MALFORMED;
}

int message_read_key_data(struct span body, struct message_key_data *out)
{
	struct reader r = reader_make(body);
	out->pid = reader_u32(&r);
	out->key = reader_rest(&r);
	bool sane = reader_ok(&r) && out->key.n >= 4 && out->key.n <= 256;
	return sane ? 0 : MESSAGE_E_MALFORMED;
}
