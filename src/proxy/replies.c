/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "proxy/replies.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sqlstate.h"
#include "net/stream.h"
#include "wire/writer.h"

struct reply {
	struct dlist link;
	uint64_t after; /* answered items that must come first */
	struct span bytes;
	void *owner;
	void (*release)(void *owner);
	uint8_t copy[];
};

void replies_init(struct replies *replies)
{
	dlist_init(&replies->list);
	replies->bytes = 0;
}

static void reply_free(struct replies *replies, struct reply *reply)
{
	dlist_remove(&reply->link);
	replies->bytes -= sizeof(*reply) + reply->bytes.n;
	if (reply->release != NULL) {
		reply->release(reply->owner);
	}
	free(reply);
}

void replies_fini(struct replies *replies)
{
	replies_drop(replies, UINT64_MAX);
}

bool replies_add(struct replies *replies, uint64_t after, struct span bytes,
		 void *owner, void (*release)(void *owner))
{
	struct reply *reply = malloc(sizeof(*reply) + (release ? 0 : bytes.n));
	if (reply == NULL) {
		return false;
	}
	*reply = (struct reply){
		.after = after, .bytes = bytes, .owner = owner, .release = release
	};
	if (release == NULL) {
		memcpy(reply->copy, bytes.p, bytes.n);
		reply->bytes.p = reply->copy;
	}
	dlist_init(&reply->link);
	dlist_push_tail(&replies->list, &reply->link);
	replies->bytes += sizeof(*reply) + bytes.n;
	return true;
}

void replies_send(struct replies *replies, uint64_t answered, struct stream *to)
{
	struct dlist *l;
	while ((l = dlist_head(&replies->list)) != NULL) {
		struct reply *reply = container_of(l, struct reply, link);
		if (reply->after > answered) {
			return;
		}
		if (reply->release != NULL) {
			void (*release)(void *) = reply->release;
			reply->release = NULL;
			stream_put_owned(to, reply->bytes, reply->owner, release);
		} else {
			stream_put(to, reply->bytes);
		}
		reply_free(replies, reply);
	}
}

void replies_drop(struct replies *replies, uint64_t before)
{
	struct dlist *l;
	while ((l = dlist_head(&replies->list)) != NULL) {
		struct reply *reply = container_of(l, struct reply, link);
		if (reply->after >= before) {
			return;
		}
		reply_free(replies, reply);
	}
}

static void replies_field(struct buf *out, uint8_t field, const char *text)
{
	buf_append_u8(out, field);
	buf_append_cstr(out, text);
}

static void replies_report(struct buf *out, uint8_t type, const char *severity,
			   const char *sqlstate, const char *text)
{
	size_t start = writer_begin(out, type);
	replies_field(out, 'S', severity);
	replies_field(out, 'V', severity);
	replies_field(out, 'C', sqlstate);
	replies_field(out, 'M', text);
	buf_append_u8(out, 0);
	writer_end(out, start);
}

void replies_error(struct buf *out, const char *severity, const char *sqlstate,
		   const char *text)
{
	replies_report(out, 'E', severity, sqlstate, text);
}

void replies_notice(struct buf *out, const char *text)
{
	replies_report(out, 'N', "NOTICE", SQLSTATE_SUCCESS, text);
}
