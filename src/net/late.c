/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "net/late.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define LATE_COPY_SIZE \
	16384 /* bytes of a chunk of copies; more when a piece is larger */

struct late_chunk {
	struct dlist link;
	struct span bytes; /* what is left of it */
	void *owner;
	void (*release)(void *owner); /* NULL: the bytes are in `copies` */
	size_t room;		      /* bytes behind those in `copies` */
	uint8_t copies[];
};

void late_init(struct late *late)
{
	dlist_init(&late->list);
	late->bytes = 0;
}

static void chunk_free(struct late_chunk *chunk)
{
	dlist_remove(&chunk->link);
	if (chunk->release != NULL) {
		chunk->release(chunk->owner);
	}
	free(chunk);
}

void late_fini(struct late *late)
{
	dlist_each (l, tmp, &late->list) {
		chunk_free(container_of(l, struct late_chunk, link));
	}
	late->bytes = 0;
}

static struct late_chunk *chunk_new(struct late *late, size_t room)
{
	struct late_chunk *chunk = malloc(sizeof(*chunk) + room);
	if (chunk == NULL) {
		return NULL;
	}
	*chunk = (struct late_chunk){ .room = room };
	chunk->bytes.p = chunk->copies;
	dlist_init(&chunk->link);
	dlist_push_tail(&late->list, &chunk->link);
	return chunk;
}

bool late_add_owned(struct late *late, struct span bytes, void *owner,
		    void (*release)(void *owner))
{
	require(bytes.n > 0 && release != NULL);
	struct late_chunk *chunk = chunk_new(late, 0);
	if (chunk == NULL) {
		return false;
	}
	chunk->bytes = bytes;
	chunk->owner = owner;
	chunk->release = release;
	late->bytes += bytes.n;
	return true;
}

bool late_add_copy(struct late *late, struct span bytes)
{
	struct late_chunk *chunk = NULL;
	if (bytes.n == 0) {
		return true;
	}
	if (!dlist_is_empty(&late->list)) {
		chunk = container_of(late->list.prev, struct late_chunk, link);
	}
	if (chunk == NULL || chunk->room < bytes.n) {
		chunk = chunk_new(late,
				  bytes.n > LATE_COPY_SIZE ? bytes.n : LATE_COPY_SIZE);
	}
	if (chunk == NULL) {
		return false;
	}
	/* what was sent of the chunk is in front of its bytes */
	memcpy((uint8_t *)(uintptr_t)chunk->bytes.p + chunk->bytes.n, bytes.p, bytes.n);
	chunk->bytes.n += bytes.n;
	chunk->room -= bytes.n;
	late->bytes += bytes.n;
	return true;
}

struct span late_head(const struct late *late)
{
	struct dlist *l = dlist_head(&late->list);
	return l != NULL ? container_of(l, struct late_chunk, link)->bytes
			 : span_make(NULL, 0);
}

void late_sent(struct late *late, size_t n)
{
	struct dlist *head = dlist_head(&late->list);
	require(head != NULL);
	struct late_chunk *chunk = container_of(head, struct late_chunk, link);
	require(n <= chunk->bytes.n);
	chunk->bytes = span_skip(chunk->bytes, n);
	late->bytes -= n;
	if (chunk->bytes.n == 0) {
		chunk_free(chunk);
	}
}
