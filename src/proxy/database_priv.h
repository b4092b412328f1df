#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* What the files of proxy/database share.  A database object is made by a worker, known
 * to the main thread from the next tick on, and lives as long as the process, or until
 * it is forgotten (database_forget.c).
 *
 * A database is its server: when a reload of the configuration sends a name elsewhere,
 * the name gets another object, with another tag.  The old one serves those who hold
 * it; its catalogue is not refreshed any more, except after DDL. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/dlist.h"
#include "base/log.h"
#include "base/map.h"
#include "base/span.h"
#include "proxy/database.h"
#include "proxy/database_digest.h"
#include "upstream/connect.h"

struct asker;
struct config;
struct database_reading;
struct store_shared;
struct versions;

#define DATABASE_RETRY_NS UINT64_C(1000000000)
/* DDL comes in bursts, and a reading holds a snapshot for as long as it takes, which is
 * in the way of VACUUM: it waits until the burst is over, but not for ever. */
#define DATABASE_QUIET_NS     UINT64_C(200000000)
#define DATABASE_LAG_NS	      UINT64_C(1000000000)
#define DATABASE_MAX_LIMBO    10000 /* commits with an unknown outcome */
#define DATABASE_MAX_PREPARED 10000
#define DATABASE_MAX_GID      200   /* bytes; PostgreSQL's own limit */
#define DATABASE_MAX_TAGS     65536 /* of one commit that is kept */

/* When the server has read its settings, as last heard; of the main thread. */
struct database_conf {
	bool is_known;
	bool is_asking;
	bool has_moved; /* of the last answer */
	uint64_t
	    asker_ns; /* database->asker_since_ns; this and the next: who has told */
	uint64_t n_sessions; /* asker_n_sessions() */
	int64_t oid;	     /* of the database */
	int64_t pid;	     /* of the session that has told */
	int64_t started_us;  /* this and the next, by the server's clock */
	int64_t loaded_us;
	int64_t newest_us; /* the latest `loaded_us` of any session */
	int64_t age_us;	   /* of the settings when they were asked for */
	uint64_t n_doubts; /* database->n_doubts when they were asked for */
	uint64_t next_ns;  /* no question before, unless there is a doubt */
};

struct database {
	struct dlist link; /* in databases->all */
	struct dlist dead; /* in databases->forgotten or ->leaving */
	struct databases *databases;
	char *name; /* that clients use; owned */
	uint64_t tag;
	_Atomic uint32_t version; /* of `catalog`; 0: none */
	_Atomic uint32_t shape;	  /* of `last_shape`: see database_shape() */
	atomic_bool is_up;	  /* the last question was answered */
	atomic_bool is_absent; /* the server has none of this name, which only a client
				* has said: it is not asked before the next login */
	atomic_size_t n_limbo;
	atomic_bool is_placed;
	_Atomic uint64_t used_ns; /* last database_find() */
	unsigned n_kept;	  /* database_keep(); this and the next: the lock of
				   * databases */
	bool is_forgotten;
	bool is_crowded; /* it has more aliases than fit: its tag is in flight for good
			  */
	atomic_size_t n_aliases; /* the main thread adds one, then counts it */
	struct database *aliases[DATABASE_MAX_ALIASES];
	pthread_mutex_t lock;	 /* of what follows */
	struct catalog *catalog; /* a reference, or NULL */
	char *user;		 /* this and the next: a client's; NULL: none known */
	char *password;
	bool has_new_login;   /* user and password were changed */
	uint64_t n_ends;      /* of our own tag, owed when the catalogue was read */
	uint64_t changed_ns;  /* the last DDL */
	uint64_t unread_ns;   /* the first DDL that no reading has begun after; or 0 */
	uint64_t n_doubts;    /* reloads that were seen to begin, and losses; > 0: the
			       * tag is in flight, once */
	bool doubts_settings; /* there is a reload among them */
	uint64_t doubt_until_ns;
	struct dlist new_limbo; /* struct limbo, from the workers */
	struct dlist new_wants; /* struct want, from the workers */
	struct map prepared;	/* struct prepared by gid */
	/* the main thread's */
	struct connect_options options; /* copied; user NULL: we may not ask */
	struct asker *asker;		/* or NULL */
	uint64_t look_ns; /* not looked at before, whether it can be forgotten */
	uint64_t asker_since_ns;
	bool is_guessed; /* its line is that for all names */
	atomic_bool
	    is_elsewhere; /* the configuration sends the name to another server */
	struct database_reading *reading; /* under way, or NULL */
	bool owes_rollback;	       /* a failed reading left its transaction open */
	struct database_digest digest; /* of `catalog` */
	uint64_t read_ns;	       /* when it was read last; 0: never */
	uint64_t retry_ns;	       /* no reading before */
	struct asker *ear;	       /* the connection that listens, or NULL */
	struct map wanted;	       /* struct wanted by channel */
	struct dlist due;	       /* of them: to LISTEN or UNLISTEN */
	unsigned n_asked;	       /* of them: the question is under way */
	bool is_unsettled;	       /* the connection was lost */
	uint64_t heard_ns;	       /* when a channel was wanted last */
	struct dlist limbo;
	bool is_asking_limbo;
	uint64_t limbo_ns; /* no question before */
	uint64_t born_ns;
	struct database_conf conf;
	bool is_pinging;
	uint64_t asked_ns;    /* the first question since; 0: none */
	uint64_t answered_ns; /* last answer, or failure */
	struct log_limit log_limit;
};

struct databases {
	struct proxy *proxy;
	struct store_shared *store;
	struct versions *versions;     /* the store's */
	_Atomic uint32_t last_version; /* given to a catalogue */
	_Atomic uint32_t last_shape;   /* given to a database */
	atomic_uint n_refs;	       /* the owner's, and of a call that was posted */
	atomic_bool is_posted;
	atomic_bool is_stopped;
	uint32_t config_epoch; /* that `options` were made of; main thread */
	pthread_mutex_t lock;  /* of what follows */
	struct map by_name;    /* the newest of each name */
	struct dlist all;      /* struct database */
	size_t n;
	/* database_forget.c, of the main thread but for the last */
	struct dlist forgotten; /* struct database by `dead` */
	struct dlist leaving;	/* those of them that the round is about */
	bool is_round_whole;	/* every worker could be asked */
	atomic_uint n_turns;	/* workers that the round waits for */
};

/* Asks the main thread to look soon; any thread. */
void databases_wake(struct databases *databases);

/* Before a question that may be the first. */
void database_asks(struct database *database);
/* After each answer, ERROR NULL, or failure to DO something. */
void database_answered(struct database *database, const char *doing, const char *error);

/* The one behind DATABASE, or (NULL) the first.  One that has been taken off the list
 * meanwhile still leads to its end.  Any thread. */
struct database *databases_next(struct databases *databases, struct database *database);

void database_free(struct database *database);
/* What was asked is answered with an error at once, so that it is asked again. */
void database_close_asker(struct database *database);
/* The end of one of `n_refs`. */
void databases_unref(struct databases *databases);

/* database_forget.c, on the main thread */
void databases_forget(struct databases *databases, const struct config *config);
void databases_forget_fini(struct databases *databases);

/* database_conf.c, on the main thread */
void database_ask_conf(struct database *database, uint64_t now_ns);
/* The database's tag moves: nothing from before is served. */
void database_move(struct database *database);

/* database_aliases.c, on the main thread: after an answer that says where the database
 * is (database->conf) */
void database_find_aliases(struct database *database);

/* database_reading.c, on the main thread */
void database_read_if_due(struct database *database, const struct config *config,
			  uint64_t now_ns);

/* database_limbo.c, on the main thread but for the first */
void database_limbo_init(struct database *database);
void database_limbo_fini(struct database *database);
void database_limbo_ask(struct database *database, uint64_t now_ns);

/* database_listen.c, on the main thread */
void database_listen_init(struct database *database);
void database_listen_stop(struct database *database);
void database_listen_fini(struct database *database);
void database_listen_tick(struct database *database, const struct config *config,
			  uint64_t now_ns);
/* The options have changed: the next connection is made with them. */
void database_listen_login(struct database *database);

/* database_prepared.c */
void database_prepared_init(struct database *database);
void database_prepared_fini(struct database *database);
