/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "cache/epoch.h"

void epoch_init(struct epoch *epoch)
{
	*epoch = (struct epoch){ .lost = 1 };
	int r = pthread_mutex_init(&epoch->lock, NULL);
	require(r == 0);
}

void epoch_fini(struct epoch *epoch)
{
	pthread_mutex_destroy(&epoch->lock);
}

static void epoch_lock(struct epoch *epoch)
{
	int r = pthread_mutex_lock(&epoch->lock);
	require(r == 0);
}

static void epoch_unlock(struct epoch *epoch)
{
	require(epoch->covered <= epoch->lost);
	int r = pthread_mutex_unlock(&epoch->lock);
	require(r == 0);
}

static struct epoch_view epoch_look(const struct epoch *epoch)
{
	return (struct epoch_view){ .value = epoch->value,
				    .lost = epoch->lost,
				    .links = epoch->links,
				    .is_known = epoch->covered == epoch->lost };
}

struct epoch_view epoch_view(struct epoch *epoch)
{
	epoch_lock(epoch);
	struct epoch_view view = epoch_look(epoch);
	epoch_unlock(epoch);
	return view;
}

void epoch_lose(struct epoch *epoch)
{
	epoch_lock(epoch);
	epoch->lost++;
	epoch_unlock(epoch);
}

uint64_t epoch_add_link(struct epoch *epoch)
{
	epoch_lock(epoch);
	epoch->lost++;
	uint64_t link = ++epoch->links;
	epoch_unlock(epoch);
	return link;
}

bool epoch_claim(struct epoch *epoch, uint64_t link, uint64_t confirmed,
		 struct epoch_view *view_out)
{
	epoch_lock(epoch);
	*view_out = epoch_look(epoch);
	bool is_right = link == epoch->links || confirmed == epoch->links;
	bool claimed = is_right && !view_out->is_known && !epoch->is_writing;
	epoch->is_writing = epoch->is_writing || claimed;
	epoch_unlock(epoch);
	return claimed;
}

bool epoch_wrote(struct epoch *epoch, bool ok, uint64_t value, uint64_t lost)
{
	epoch_lock(epoch);
	require(epoch->is_writing);
	epoch->is_writing = false;
	if (ok) {
		epoch->value = value;
		epoch->covered = lost;
	}
	bool is_known = epoch->covered == epoch->lost;
	epoch_unlock(epoch);
	return is_known;
}

bool epoch_adopt(struct epoch *epoch, uint64_t link, uint64_t value)
{
	epoch_lock(epoch);
	bool adopted =
	    link == epoch->links && epoch->covered == epoch->lost && !epoch->is_writing;
	if (adopted) {
		epoch->value = value;
	}
	epoch_unlock(epoch);
	return adopted;
}
