#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Files in memory, for what reads pg_hba.conf. */

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "wire/hba_lines.h"

struct memory_file {
	const char *path;
	const char *text; /* of a directory: its names, separated by commas */
};

/* ARG: files up to one without a path. */
static inline const struct memory_file *memory_find(void *arg, const char *path)
{
	const struct memory_file *file = arg;
	while (file->path != NULL && strcmp(file->path, path) != 0) {
		file++;
	}
	return file->path == NULL ? NULL : file;
}

static inline int memory_read(void *arg, const char *path, struct buf *out)
{
	const struct memory_file *file = memory_find(arg, path);
	if (file == NULL) {
		return -ENOENT;
	}
	buf_append_str(out, file->text);
	return buf_ok(out) ? 0 : -EFBIG;
}

static inline int memory_list(void *arg, const char *path, struct buf *out)
{
	const struct memory_file *file = memory_find(arg, path);
	if (file == NULL) {
		return -ENOENT;
	}
	buf_append_cstr(out, file->text);
	for (size_t i = 0; i < out->len; i++) {
		out->data[i] = out->data[i] == ',' ? 0 : out->data[i];
	}
	return 0;
}

static inline struct hba_source memory_source(const struct memory_file *files)
{
	return (struct hba_source){ .arg = (void *)(uintptr_t)files,
				    .read = memory_read,
				    .list = memory_list };
}
