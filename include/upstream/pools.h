#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* The registry of pools: what all workers share of each (database, user), made at the
 * first login and kept as long as a worker has a part of it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct config;
struct pool_shared;
struct pools;

/* At most MAX pools. */
void pools_init(struct pools *pools, unsigned max);
void pools_fini(struct pools *pools);
/* The shared part for a client of DATABASE and USER, made when it is not there;
 * PASSWORD (towards the server) replaces the one known, NULL keeps it.  The caller has
 * a part of it until pools_leave().  NULL: unknown database, too many pools or no
 * memory.
 */
struct pool_shared *pools_get(struct pools *pools, const struct config *config,
			      struct span database, struct span user,
			      const char *password);
/* The caller's part is gone; the shared part with the last of them. */
void pools_leave(struct pools *pools, struct pool_shared *shared);
/* True when DATABASE has a pool, of any user. */
bool pools_has(struct pools *pools, struct span database);
/* Sets the sizes that CONFIG gives. */
void pools_limits(struct pool_shared *shared, const struct config *config);
/* Stands for where the configuration says that the pool's server is. */
uint64_t pools_target(const struct config *config, const struct pool_shared *shared);

enum pools_admission {
	POOLS_ADMITTED,	     /* counted in n_clients, until the caller takes it off */
	POOLS_OVER_DATABASE, /* max_db_client_connections */
	POOLS_OVER_USER,     /* max_user_client_connections */
};
/* Whether one more client of this pool may be let in, over all pools of its database
 * and of its user. */
enum pools_admission pools_admit(struct pools *pools, struct pool_shared *shared,
				 const struct config *config);
