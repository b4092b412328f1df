/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

#include "daemon/serve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/console.h"
#include "admin/health.h"
#include "admin/http.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/store.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/reload.h"
#include "daemon/signals.h"
#include "net/loop.h"
#include "net/timer.h"
#include "proxy/database.h"
#include "proxy/login_tls.h"
#include "proxy/proxy.h"
#include "proxy/users.h"
#include "proxy/worker.h"

#define SERVE_TICK_MS	   100
#define SERVE_MAX_STATES   1024 /* databases shown on the health pages */
#define SERVE_SCRATCH_SIZE 65536
/* A worker whose tick is this late is taken for dead: the watchdog is not fed. */
#define SERVE_STUCK_NS UINT64_C(10000000000)

struct serve {
	struct reload_origin origin;
	struct config *boot;	/* the configuration the process began with */
	struct config *current; /* the one in use; references */
	struct loop *loop;
	struct proxy *proxy;
	struct console *console; /* owned */
	struct http *http;
	struct signals *signals;
	struct timer *tick;
	uint64_t begun_ns;
	uint64_t watchdog_ms;
	uint64_t next_watchdog_ns;
	bool is_stopping;
};

static struct metrics *serve_metrics(struct serve *serve)
{
	return serve->proxy->metrics[serve->proxy->n_workers];
}

/* Pages */

static bool serve_is_ready(void *arg, struct buf *why)
{
	struct serve *serve = arg;
	if (serve->is_stopping) {
		buf_append_str(why, "shutting down\n");
		return false;
	}
	struct database_state *states = calloc(SERVE_MAX_STATES, sizeof(*states));
	if (states == NULL) {
		buf_append_str(why, "out of memory\n");
		return false;
	}
	size_t n = databases_state(serve->proxy->databases, states, SERVE_MAX_STATES);
	bool ready =
	    n == 0; /* nobody has asked for a database yet: clients are welcome */
	for (size_t i = 0; i < n; i++) {
		ready = ready || states[i].is_up;
	}
	for (size_t i = 0; i < n && !ready; i++) {
		buf_printf(why, "database %s: server is not reachable\n",
			   states[i].name);
	}
	free(states);
	return ready;
}

static void serve_page_metrics(void *arg, struct buf *page, bool openmetrics)
{
	struct serve *serve = arg;
	struct proxy *proxy = serve->proxy;
	struct buf why;
	uint64_t begun = clock_now_ns();
	struct metrics *own = serve_metrics(serve);
	buf_init(&why, 65536);
	metric_set(&own->ready, serve_is_ready(serve, &why) ? 1 : 0);
	buf_fini(&why);
	metrics_collect(own, serve->current);
	store_shared_collect(proxy->store, own);
	struct metrics *sum = metrics_new();
	if (sum == NULL) {
		return;
	}
	metrics_sum((const struct metrics *const *)proxy->metrics, proxy->n_workers + 1,
		    sum);
	metrics_render(sum, serve->current, openmetrics, page);
	metrics_free(sum);
	metric_set(&own->scrape_duration, clock_now_ns() - begun);
}

static void serve_page_health(void *arg, struct buf *page)
{
	struct serve *serve = arg;
	struct buf why;
	struct database_state *states = calloc(SERVE_MAX_STATES, sizeof(*states));
	struct health_database *rows = calloc(SERVE_MAX_STATES, sizeof(*rows));
	if (states == NULL || rows == NULL) {
		free(states);
		free(rows);
		return;
	}
	size_t n = databases_state(serve->proxy->databases, states, SERVE_MAX_STATES);
	for (size_t i = 0; i < n; i++) {
		const struct config_database *db =
		    config_find_database(serve->current, span_str(states[i].name));
		rows[i] = (struct health_database){
			.name = states[i].name,
			.server = db && db->host ? db->host : "local",
			.known = true,
			.up = states[i].is_up,
		};
	}
	buf_init(&why, 65536);
	struct health health = {
		.ready = serve_is_ready(serve, &why),
		.stopping = serve->is_stopping,
		.uptime_s = (clock_now_ns() - serve->begun_ns) / 1000000000U,
		.n_databases = n,
		.databases = rows,
	};
	health_render(&health, page);
	buf_fini(&why);
	free(states);
	free(rows);
}

static int serve_open_http(struct serve *serve, int inherited_fd)
{
	const struct config *config = serve->current;
	if (config->http_listen[0] == 0 && inherited_fd < 0) {
		return 0;
	}
	struct http_options options = {
		.listen = inherited_fd < 0 ? config->http_listen : NULL,
		.inherited_fd = inherited_fd,
		.max_connections = config->http_max_connections,
		.timeout_ms = config->http_timeout_ms,
	};
	struct http_source source = {
		.arg = serve,
		.metrics = serve_page_metrics,
		.ready = serve_is_ready,
		.health = serve_page_health,
	};
	int r = http_open(serve->loop, &options, &source, &serve->http);
	if (r < 0) {
		log_fatal(NULL, "cannot listen on [http] %s: %s", config->http_listen,
			  strerror(-r));
	}
	return r;
}

/* Reloading */

static void serve_log_configure(const struct config *config)
{
	log_configure((enum log_level)config->log_level,
		      config->log_format == LOG_FORMAT_JSON);
}

static void serve_count_reload(struct serve *serve, const struct reload_report *report)
{
	struct metrics *m = serve_metrics(serve);
	unsigned label = report->result == RELOAD_OK	    ? METRIC_RELOAD_OK
			 : report->result == RELOAD_PARTIAL ? METRIC_RELOAD_PARTIAL
							    : METRIC_RELOAD_REJECTED;
	metric_add(&m->config_reloads[label], 1);
	metric_set(&m->config_reload_ok, report->result != RELOAD_REJECTED);
	metric_set(&m->config_pending_restart, report->n_pending);
	if (report->result != RELOAD_REJECTED) {
		metric_set(&m->config_reload_time, clock_wall_us() * 1000U);
	}
}

/* False: the configuration is wrong, and nothing was changed. */
static bool serve_reload(struct serve *serve)
{
	struct config *fresh = NULL;
	struct users *users = NULL;
	struct tls *tls = NULL;
	struct reload_report report = { 0 };
	char error[512];
	notify_reloading();
	reload_again(&serve->origin, serve->boot, serve->current, &fresh, &report);
	if (fresh != NULL && (users_load(fresh, serve->proxy->salt_key, &users, error,
					 sizeof(error)) != 0 ||
			      login_tls_load(fresh, &tls, error, sizeof(error)) != 0)) {
		log_error(NULL, "reload: %s; nothing was changed", error);
		users_unref(users);
		config_unref(fresh);
		fresh = NULL;
		report.result = RELOAD_REJECTED;
	}
	serve_count_reload(serve, &report);
	if (fresh != NULL) {
		serve_log_configure(fresh);
		config_unref(serve->current);
		serve->current = config_ref(fresh);
		if (serve->http != NULL) {
			http_configure(serve->http, fresh->http_max_connections,
				       fresh->http_timeout_ms);
		}
		proxy_reload(serve->proxy, fresh, users, tls);
	}
	notify_ready();
	return report.result != RELOAD_REJECTED;
}

static void serve_stop(struct serve *serve, enum proxy_phase phase, const char *who)
{
	static const char *const when[] = {
		[PROXY_DRAINING] = "when transactions have ended",
		[PROXY_HURRYING] = "when queries have ended",
		[PROXY_STOPPING] = "now",
	};
	log_log(NULL, "%s: shutting down %s", who, when[phase]);
	proxy_set_phase(serve->proxy, phase);
	if (!serve->is_stopping) {
		serve->is_stopping = true;
		notify_stopping();
	}
}

/* What the console asks for. */

static bool serve_console_reload(void *arg)
{
	return serve_reload(arg);
}

static void serve_console_shutdown(void *arg, int phase)
{
	serve_stop(arg, (enum proxy_phase)phase, "console");
}

static void serve_on_signal(void *arg, enum signals_wish wish, const char *signal_name)
{
	struct serve *serve = arg;
	switch (wish) {
	case SIGNALS_RELOAD:
		(void)serve_reload(serve);
		return;
	case SIGNALS_PAUSE:
	case SIGNALS_RESUME:
		log_log(NULL, "%s: %s", signal_name,
			wish == SIGNALS_PAUSE ? "pausing" : "resuming");
		console_pause_all(serve->console, wish == SIGNALS_PAUSE);
		return;
	case SIGNALS_STOP_GENTLY:
		serve_stop(serve, PROXY_DRAINING, signal_name);
		return;
	case SIGNALS_STOP_SOON:
		serve_stop(serve, PROXY_HURRYING, signal_name);
		return;
	case SIGNALS_STOP_NOW:
		serve_stop(serve, PROXY_STOPPING, signal_name);
		return;
	}
}

/* The tick */

static bool serve_workers_ended(const struct serve *serve)
{
	for (unsigned i = 0; i < serve->proxy->n_workers; i++) {
		if (!atomic_load(&serve->proxy->workers[i]->has_ended)) {
			return false;
		}
	}
	return true;
}

static void serve_feed_watchdog(struct serve *serve, uint64_t now)
{
	if (serve->watchdog_ms == 0 || now < serve->next_watchdog_ns) {
		return;
	}
	for (unsigned i = 0; i < serve->proxy->n_workers; i++) {
		struct worker *worker = serve->proxy->workers[i];
		if (now > atomic_load(&worker->alive_ns) + SERVE_STUCK_NS) {
			return;
		}
	}
	serve->next_watchdog_ns = now + serve->watchdog_ms * 1000000U;
	notify_watchdog();
}

static void serve_on_tick(void *arg)
{
	struct serve *serve = arg;
	databases_tick(serve->proxy->databases);
	console_tick(serve->console);
	serve_feed_watchdog(serve, clock_now_ns());
	if (serve->is_stopping && serve_workers_ended(serve)) {
		loop_stop(serve->loop);
	}
}

/* Life */

static int serve_listen(struct serve *serve)
{
	struct notify_socket sockets[NOTIFY_MAX_SOCKETS];
	int clients[NOTIFY_MAX_SOCKETS];
	unsigned n_clients = 0;
	int http_fd = -1;
	char error[512];
	int r = 0;
	size_t n = notify_sockets(sockets, NOTIFY_MAX_SOCKETS);
	for (size_t i = 0; i < n; i++) {
		if (sockets[i].is_admin) {
			http_fd = sockets[i].fd;
		} else {
			clients[n_clients++] = sockets[i].fd;
		}
	}
	for (unsigned i = 0; i < serve->proxy->n_workers && r == 0; i++) {
		r = worker_listen(serve->proxy->workers[i], clients, n_clients, error,
				  sizeof(error));
		if (r < 0) {
			log_fatal(NULL, "%s", error);
		}
	}
	if (r == 0) {
		r = serve_open_http(serve, http_fd);
	}
	for (size_t i = 0; i < n; i++) {
		close(sockets[i].fd); /* the listeners have duplicates */
	}
	return r;
}

/* Databases that the file names with a user are asked for their catalogue at once, so
 * that the first query can be cached and /readyz tells of the servers. */
static void serve_know_databases(struct serve *serve)
{
	const struct config *config = serve->current;
	for (size_t i = 0; i < config->n_databases; i++) {
		const struct config_database *db = &config->databases[i];
		if (strcmp(db->name, "*") == 0) {
			continue;
		}
		const char *user = db->user;
		const char *password = db->password;
		if (user == NULL && config->n_users == 1) {
			user = config->users[0].name;
			password = config->users[0].password;
		}
		if (user != NULL) {
			(void)database_find(serve->proxy->databases, span_str(db->name),
					    span_str(user), password);
		}
	}
}

static int serve_start(struct serve *serve)
{
	int r = proxy_new(config_ref(serve->current), serve->loop, &serve->proxy);
	if (r < 0) {
		return r;
	}
	struct console_env env = {
		.arg = serve,
		.reload = serve_console_reload,
		.shutdown = serve_console_shutdown,
	};
	r = console_new(serve->proxy, &env, &serve->console);
	if (r < 0) {
		return r;
	}
	serve->proxy->console = console_door(serve->console);
	r = serve_listen(serve);
	if (r == 0) {
		r = signals_open(serve->loop, serve_on_signal, serve, &serve->signals);
	}
	if (r == 0) {
		r = timer_new(serve->loop, serve_on_tick, serve, &serve->tick);
	}
	for (unsigned i = 0; i < serve->proxy->n_workers && r == 0; i++) {
		r = worker_start(serve->proxy->workers[i]);
	}
	if (r < 0) {
		return r;
	}
	timer_start(serve->tick, SERVE_TICK_MS, SERVE_TICK_MS);
	struct metrics *m = serve_metrics(serve);
	metric_set(&m->start_time, clock_wall_us() * 1000U);
	metric_set(&m->config_reload_ok, 1);
	metric_set(&m->config_reload_time, clock_wall_us() * 1000U);
	serve->begun_ns = clock_now_ns();
	serve->watchdog_ms = notify_watchdog_ms();
	serve_know_databases(serve);
	notify_ready();
	log_log(NULL, "pgrecall %s serves with %u workers", PGRECALL_VERSION,
		serve->proxy->n_workers);
	return 0;
}

/* A signal that comes while everything is being freed must not end the process with a
 * status of its own. */
static void serve_block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Ends what serve_start() began, as far as it came. */
static void serve_end(struct serve *serve)
{
	struct proxy *proxy = serve->proxy;
	serve_block_signals();
	for (unsigned i = 0; proxy != NULL && i < proxy->n_workers; i++) {
		worker_join(proxy->workers[i]);
	}
	if (serve->console != NULL) {
		console_stop(serve->console);
	}
	http_close(steal(&serve->http));
	signals_close(steal(&serve->signals));
	timer_close(steal(&serve->tick));
	if (proxy != NULL) {
		databases_stop(proxy->databases);
	}
	loop_free(serve->loop);
	proxy_free(proxy);
	console_free(serve->console);
	config_unref(serve->current);
	config_unref(serve->boot);
}

int serve_run(const struct options *options, char *const *environment)
{
	struct serve serve = {
		.origin = { .path = options->config_path, .environment = environment },
	};
	if (reload_first(&serve.origin, &serve.boot) < 0) {
		return OPTIONS_EXIT_INVALID;
	}
	serve.current = config_ref(serve.boot);
	serve_log_configure(serve.current);
	int r = loop_new(SERVE_SCRATCH_SIZE, &serve.loop);
	if (r == 0) {
		r = serve_start(&serve);
	}
	if (r < 0) {
		log_fatal(NULL, "cannot start: %s", strerror(-r));
		if (serve.proxy != NULL) {
			proxy_set_phase(serve.proxy, PROXY_STOPPING);
		}
		serve_end(&serve);
		return OPTIONS_EXIT_INVALID;
	}
	loop_run(serve.loop);
	serve_end(&serve);
	log_log(NULL, "pgrecall has ended");
	return OPTIONS_EXIT_OK;
}
