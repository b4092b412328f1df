/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "upstream/cancel.h"

#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>

#include "net/loop.h"
#include "upstream/server_socket.h"

#define CANCEL_REQUESTS_MAX 8 /* of one key at a time; they would all say the same */

#if HAVE_PQCANCELCREATE
typedef PGcancelConn cancel_handle;
#else
typedef PGcancel cancel_handle;
#endif

struct cancel_key {
	cancel_handle *cancel; /* owned */
	pthread_mutex_t lock;  /* of a handle that is a connection: one at a time */
	unsigned n_requests;   /* under way; they read the key on other threads */
	bool is_freed;	       /* the last request frees it */
};

struct cancel_request {
	struct cancel_key *key;
	void (*done)(void *arg);
	void *arg;
};

/* libpq's two ways */

static cancel_handle *cancel_handle_new(PGconn *conn)
{
#if HAVE_PQCANCELCREATE
	return PQcancelCreate(conn);
#else
	return PQgetCancel(conn);
#endif
}

static void cancel_handle_free(cancel_handle *handle)
{
#if HAVE_PQCANCELCREATE
	PQcancelFinish(handle);
#else
	PQfreeCancel(handle);
#endif
}

/* What goes wrong does not matter: the protocol promises nothing about a cancel
 * request, and the query's own outcome is what counts. */
static void cancel_handle_send(struct cancel_key *key)
{
#if HAVE_PQCANCELCREATE
	pthread_mutex_lock(&key->lock);
	(void)PQcancelBlocking(key->cancel);
	PQcancelReset(key->cancel);
	pthread_mutex_unlock(&key->lock);
#else
	char error[256];
	(void)PQcancel(key->cancel, error, sizeof(error));
#endif
}

struct cancel_key *server_socket_cancel_key(const struct server_socket *socket)
{
	PGconn *conn = server_socket_libpq(socket);
	if (PQbackendPID(conn) == 0) {
		return NULL;
	}
	struct cancel_key *key = calloc(1, sizeof(*key));
	if (key == NULL) {
		return NULL;
	}
	key->cancel = cancel_handle_new(conn);
	if (key->cancel == NULL) {
		free(key);
		return NULL;
	}
	pthread_mutex_init(&key->lock, NULL);
	return key;
}

static void cancel_key_release(struct cancel_key *key)
{
	if (key->is_freed && key->n_requests == 0) {
		cancel_handle_free(key->cancel);
		pthread_mutex_destroy(&key->lock);
		free(key);
	}
}

void cancel_key_free(struct cancel_key *key)
{
	if (key == NULL) {
		return;
	}
	require(!key->is_freed);
	key->is_freed = true;
	cancel_key_release(key);
}

/* On a thread of the pool. */
static void cancel_run(void *arg)
{
	const struct cancel_request *request = arg;
	cancel_handle_send(request->key);
}

static void cancel_ran(void *arg)
{
	struct cancel_request *request = arg;
	require(request->key->n_requests > 0);
	request->key->n_requests--;
	cancel_key_release(request->key);
	request->done(request->arg);
	free(request);
}

int cancel_send(struct loop *loop, struct cancel_key *key, void (*done)(void *arg),
		void *arg)
{
	require(key != NULL && !key->is_freed && done != NULL);
	if (key->n_requests >= CANCEL_REQUESTS_MAX) {
		return -EBUSY;
	}
	struct cancel_request *request = calloc(1, sizeof(*request));
	if (request == NULL) {
		return -ENOMEM;
	}
	*request = (struct cancel_request){ .key = key, .done = done, .arg = arg };
	int err = loop_work(loop, cancel_run, cancel_ran, request);
	if (err < 0) {
		free(request);
		return err;
	}
	key->n_requests++;
	return 0;
}
