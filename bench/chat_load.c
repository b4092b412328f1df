/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The load of bench/chat: people in a chat
 *
 * Threads with one connection each do what a chat application does, one operation after
 * the other: write a message, read the last 50 of a channel, search the documents
 * nearest to a question, read a user's context.  Channels, questions and users are
 * drawn by Zipf.
 *
 * Every message carries its channel's number.  A read that began after number n had
 * been acknowledged to anybody must show n or a later one; one that does not is stale.
 *
 *   chat-load CONNINFO THREADS SECONDS RATE INSERT RECENT VECTOR CONTEXT
 *
 * RATE is operations a second over all threads, with random pauses as people make them;
 * 0: as fast as it goes, which no chat is: then a write to the busiest channels is
 * always on its way, and what is being written cannot be cached.  The last four are the
 * shares of the operations in percent.  Prints one JSON object; times are microseconds.
 */
#include <errno.h>
#include <libpq-fe.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHANNELS    100
#define QUESTIONS   200
#define USERS	    200
#define MAX_THREADS 256
#define MAX_SAMPLES (1U << 21) /* of one kind in one thread */

enum kind {
	INSERT,
	RECENT,
	VECTOR,
	CONTEXT,
	N_KINDS
};

static const char *const kind_names[N_KINDS] = { "insert", "recent", "vector",
						 "context" };
static const char *const kind_sql[N_KINDS] = {
	"INSERT INTO messages (channel_id, user_id, body) VALUES ($1, $2, $3)",
	"SELECT id, user_id, body, created_at FROM messages WHERE channel_id = $1 "
	"ORDER BY id DESC LIMIT 50",
	"SELECT id, body FROM documents ORDER BY embedding <=> $1::vector LIMIT 5",
	"SELECT name, context FROM users WHERE id = $1",
};
static const int kind_params[N_KINDS] = { 3, 1, 1, 1 };

struct samples {
	uint32_t *us;
	size_t n;
};

struct person {
	pthread_t thread;
	uint64_t random; /* xorshift state, never 0 */
	struct samples samples[N_KINDS];
	uint64_t stale;
};

static const char *conninfo;
static double pause_us;		/* mean time between a thread's operations; 0: none */
static uint32_t share[N_KINDS]; /* cumulated, of 100 */
static double zipf[CHANNELS];	/* cumulated probabilities of ranks */
static char *questions[QUESTIONS];
static _Atomic uint64_t next_number[CHANNELS + 1];
static _Atomic uint64_t acknowledged[CHANNELS + 1];
static _Atomic bool stop;
static pthread_barrier_t begin;

static void die(const char *what, PGconn *conn)
{
	fprintf(stderr, "chat-load: %s: %s", what,
		conn != NULL ? PQerrorMessage(conn) : strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000U + (uint64_t)time.tv_nsec / 1000U;
}

static uint64_t draw(struct person *person)
{
	uint64_t x = person->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	person->random = x;
	return x;
}

/* A rank from 0 on, the first the most likely; below N (at most CHANNELS). */
static unsigned draw_zipf(struct person *person)
{
	double at = (double)(draw(person) >> 11) / 9007199254740992.0;
	unsigned low = 0;
	unsigned high = CHANNELS - 1;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (zipf[middle] < at) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static void zipf_init(void)
{
	double sum = 0;

	for (unsigned i = 0; i < CHANNELS; i++) {
		sum += 1.0 / (i + 1);
		zipf[i] = sum;
	}
	for (unsigned i = 0; i < CHANNELS; i++) {
		zipf[i] /= sum;
	}
}

static enum kind draw_kind(struct person *person)
{
	uint32_t at = (uint32_t)(draw(person) % 100);
	enum kind kind = INSERT;

	while (kind < CONTEXT && at >= share[kind]) {
		kind++;
	}
	return kind;
}

static PGconn *log_in(void)
{
	PGconn *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) != CONNECTION_OK) {
		die("connect", conn);
	}
	return conn;
}

static PGresult *run(PGconn *conn, enum kind kind, const char *const *values)
{
	ExecStatusType want = kind == INSERT ? PGRES_COMMAND_OK : PGRES_TUPLES_OK;
	PGresult *result = PQexecPrepared(conn, kind_names[kind], kind_params[kind],
					  values, NULL, NULL, 0);

	if (PQresultStatus(result) != want) {
		die(kind_names[kind], conn);
	}
	return result;
}

static void acknowledge(unsigned channel, uint64_t number)
{
	uint64_t seen = atomic_load(&acknowledged[channel]);

	while (seen < number &&
	       !atomic_compare_exchange_weak(&acknowledged[channel], &seen, number)) {
	}
}

/* The highest number among the bodies, "n=17 ..." */
static uint64_t highest_number(const PGresult *result)
{
	uint64_t highest = 0;

	for (int row = 0; row < PQntuples(result); row++) {
		const char *body = PQgetvalue(result, row, 2);
		uint64_t number = 0;

		if (strncmp(body, "n=", 2) == 0) {
			number = strtoull(body + 2, NULL, 10);
		}
		if (number > highest) {
			highest = number;
		}
	}
	return highest;
}

static void operate(struct person *person, PGconn *conn)
{
	enum kind kind = draw_kind(person);
	unsigned rank = draw_zipf(person);
	unsigned channel = rank + 1;
	uint64_t number = 0;
	char text[3][160];
	const char *values[3] = { text[0], text[1], text[2] };
	struct samples *samples = &person->samples[kind];
	uint64_t start;
	PGresult *result;

	snprintf(text[0], sizeof(text[0]), "%u", channel);
	snprintf(text[1], sizeof(text[1]), "%u", (unsigned)(draw(person) % USERS) + 1);
	if (kind == INSERT) {
		number = atomic_fetch_add(&next_number[channel], 1) + 1;
		snprintf(text[2], sizeof(text[2]),
			 "n=%llu in a chat people write a line or two and go on",
			 (unsigned long long)number);
	} else if (kind == RECENT) {
		number = atomic_load(&acknowledged[channel]);
	} else if (kind == VECTOR) {
		values[0] = questions[2 * rank + draw(person) % 2];
	}
	start = now_us();
	result = run(conn, kind, values);
	if (samples->n < MAX_SAMPLES) {
		samples->us[samples->n++] = (uint32_t)(now_us() - start);
	}
	if (kind == INSERT) {
		acknowledge(channel, number);
	} else if (kind == RECENT && highest_number(result) < number) {
		person->stale++;
	}
	PQclear(result);
}

/* Pauses with exponential times, as independent people make them.  Who is late does not
 * catch up.  Returns when the next operation is due. */
static double wait_turn(struct person *person, double due)
{
	double now = (double)now_us();

	if (pause_us <= 0) {
		return now;
	}
	if (due > now) {
		uint64_t us = (uint64_t)(due - now);

		nanosleep(&(struct timespec){ .tv_sec = (time_t)(us / 1000000U),
					      .tv_nsec = (long)(us % 1000000U) * 1000 },
			  NULL);
	} else {
		due = now;
	}
	double u = ((double)(draw(person) >> 11) + 1.0) / 9007199254740993.0;
	return due - log(u) * pause_us;
}

static void *live(void *arg)
{
	struct person *person = arg;
	PGconn *conn = log_in();

	for (enum kind kind = INSERT; kind < N_KINDS; kind++) {
		PGresult *result =
		    PQprepare(conn, kind_names[kind], kind_sql[kind], 0, NULL);

		if (PQresultStatus(result) != PGRES_COMMAND_OK) {
			die("prepare", conn);
		}
		PQclear(result);
		person->samples[kind].us = malloc(MAX_SAMPLES * sizeof(uint32_t));
		if (person->samples[kind].us == NULL) {
			die("memory", NULL);
		}
	}
	pthread_barrier_wait(&begin);
	double due = (double)now_us();
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		due = wait_turn(person, due);
		operate(person, conn);
	}
	PQfinish(conn);
	return NULL;
}

static void load_questions(void)
{
	PGconn *conn = log_in();
	PGresult *result = PQexec(
	    conn,
	    "SELECT embedding FROM documents WHERE id % 7 = 0 ORDER BY id LIMIT 200");

	if (PQntuples(result) != QUESTIONS) {
		die("questions", conn);
	}
	for (int i = 0; i < QUESTIONS; i++) {
		questions[i] = strdup(PQgetvalue(result, i, 0));
		if (questions[i] == NULL) {
			die("memory", NULL);
		}
	}
	PQclear(result);
	PQfinish(conn);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_times(const char *name, struct person *people, unsigned n,
			uint32_t kinds)
{
	size_t total = 0;
	size_t at = 0;
	uint32_t *all;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned kind = 0; kind < N_KINDS; kind++) {
			total += kinds >> kind & 1 ? people[i].samples[kind].n : 0;
		}
	}
	all = malloc((total + 1) * sizeof(*all));
	if (all == NULL) {
		die("memory", NULL);
	}
	all[total] = 0;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned kind = 0; kind < N_KINDS; kind++) {
			const struct samples *samples = &people[i].samples[kind];

			if (kinds >> kind & 1) {
				memcpy(all + at, samples->us,
				       samples->n * sizeof(*all));
				at += samples->n;
			}
		}
	}
	qsort(all, total, sizeof(*all), compare);
	printf("\"%s\": {\"count\": %zu, \"p50\": %u, \"p95\": %u, \"p99\": %u}, ",
	       name, total, all[total / 2], all[total * 95 / 100],
	       all[total * 99 / 100]);
	free(all);
}

int main(int argc, char **argv)
{
	static struct person people[MAX_THREADS];
	unsigned n;
	unsigned long seconds;
	double rate;
	uint32_t sum = 0;
	uint64_t stale = 0;

	if (argc != 5 + N_KINDS) {
		fprintf(stderr, "usage: chat-load CONNINFO THREADS SECONDS RATE "
				"INSERT RECENT VECTOR CONTEXT\n");
		return 2;
	}
	conninfo = argv[1];
	n = (unsigned)strtoul(argv[2], NULL, 10);
	seconds = strtoul(argv[3], NULL, 10);
	rate = strtod(argv[4], NULL);
	pause_us = rate > 0 ? 1e6 * n / rate : 0;
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		sum += (uint32_t)strtoul(argv[5 + kind], NULL, 10);
		share[kind] = sum;
	}
	if (n == 0 || n > MAX_THREADS || sum != 100) {
		fprintf(stderr, "chat-load: 1 to 256 threads; shares of 100 in all\n");
		return 2;
	}
	zipf_init();
	load_questions();
	pthread_barrier_init(&begin, NULL, n + 1);
	for (unsigned i = 0; i < n; i++) {
		people[i].random = 0x9e3779b97f4a7c15U * (i + 1);
		if (pthread_create(&people[i].thread, NULL, live, &people[i]) != 0) {
			die("thread", NULL);
		}
	}
	pthread_barrier_wait(&begin);
	nanosleep(&(struct timespec){ .tv_sec = (time_t)seconds }, NULL);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(people[i].thread, NULL);
		stale += people[i].stale;
	}
	printf("{");
	print_times("reads", people, n, 1U << RECENT | 1U << VECTOR | 1U << CONTEXT);
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		print_times(kind_names[kind], people, n, 1U << kind);
	}
	printf("\"stale\": %llu, \"seconds\": %lu}\n", (unsigned long long)stale,
	       seconds);
	return 0;
}
