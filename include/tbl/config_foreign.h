/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Settings of PgBouncer's (section "url": of libpq's) that pgrecall does not have:
 *
 *   CONFIG_FOREIGN(section, name, is_refused, harmless, "why")
 *
 * harmless: values, separated by commas, that mean what pgrecall does anyway; with them, or
 * empty, the setting is accepted silently.  Otherwise it is an error when is_refused (to
 * ignore it would do something else than what the file says), else a warning. */

/* clang-format off */
CONFIG_FOREIGN("pgrecall", "auth_ldap_options", true, "", "use auth_file")
CONFIG_FOREIGN("pgrecall", "server_tls_ciphers", true, "default,secure,fast,normal", "libpq takes the ciphers of openssl.cnf")
CONFIG_FOREIGN("pgrecall", "server_tls13_ciphers", true, "", "libpq takes the ciphers of openssl.cnf")
CONFIG_FOREIGN("pgrecall", "so_reuseport", false, "0,1", "it is always on")
CONFIG_FOREIGN("pgrecall", "tcp_defer_accept", false, "0,1", "accepting is not deferred")
CONFIG_FOREIGN("pgrecall", "tcp_socket_buffer", false, "0", "the system's value is used")
CONFIG_FOREIGN("pgrecall", "peer_id", true, "0", "cancel requests would get lost between processes")
CONFIG_FOREIGN("pgrecall", "server_round_robin", false, "0", "the connection used last is used first")
CONFIG_FOREIGN("pgrecall", "track_extra_parameters", false, "IntervalStyle", "settings are tracked anyway")
CONFIG_FOREIGN("pgrecall", "disable_pqexec", true, "0", "several statements in one text are understood")
CONFIG_FOREIGN("pgrecall", "server_reset_query_always", false, "0", "transaction mode resets what a client has changed")
CONFIG_FOREIGN("pgrecall", "server_check_query", false, "", "an empty query is used")
CONFIG_FOREIGN("pgrecall", "server_fast_close", false, "0", "connections are closed when released")
CONFIG_FOREIGN("pgrecall", "suspend_timeout", false, "", "the console has no SUSPEND")
CONFIG_FOREIGN("pgrecall", "pool_idle_timeout", false, "0", "pools are kept")
CONFIG_FOREIGN("pgrecall", "logfile", false, "", "the log goes to standard error")
CONFIG_FOREIGN("pgrecall", "pidfile", false, "", "pgrecall stays in the foreground")
CONFIG_FOREIGN("pgrecall", "syslog", false, "0", "the log goes to standard error")
CONFIG_FOREIGN("pgrecall", "syslog_ident", false, "", "the log goes to standard error")
CONFIG_FOREIGN("pgrecall", "syslog_facility", false, "", "the log goes to standard error")
CONFIG_FOREIGN("pgrecall", "log_pooler_errors", false, "1", "they are always logged")
CONFIG_FOREIGN("pgrecall", "log_stats", false, "0,1", "see /metrics")
CONFIG_FOREIGN("pgrecall", "verbose", false, "0", "use [log] level")
CONFIG_FOREIGN("pgrecall", "dns_max_ttl", false, "", "names are resolved at each connect")
CONFIG_FOREIGN("pgrecall", "dns_nxdomain_ttl", false, "", "names are resolved at each connect")
CONFIG_FOREIGN("pgrecall", "dns_zone_check_period", false, "0", "names are resolved at each connect")
CONFIG_FOREIGN("pgrecall", "resolv_conf", false, "", "names are resolved by the system")
CONFIG_FOREIGN("pgrecall", "sbuf_loopcnt", false, "", "work per turn is bounded anyway")
CONFIG_FOREIGN("pgrecall", "user", false, "", "start pgrecall as the user it shall be")
CONFIG_FOREIGN("pgrecall", "job_name", false, "", "it is for Windows services")
CONFIG_FOREIGN("pgrecall", "service_name", false, "", "it is for Windows services")
CONFIG_FOREIGN("pgrecall", "conffile", false, "", "SIGHUP reads the file again that was given")
CONFIG_FOREIGN("url", "gssencmode", true, "disable,prefer", "the server would not be reached encrypted")
CONFIG_FOREIGN("url", "target_session_attrs", true, "any", "there is one server")
CONFIG_FOREIGN("url", "options", true, "", "sessions would not begin as it says")
CONFIG_FOREIGN("url", "client_encoding", true, "auto", "sessions would not begin as it says")
CONFIG_FOREIGN("url", "application_name", false, "", "the client's own name is passed on")
CONFIG_FOREIGN("url", "fallback_application_name", false, "", "the client's own name is passed on")
CONFIG_FOREIGN("url", "connect_timeout", false, "", "use server_connect_timeout")
CONFIG_FOREIGN("url", "keepalives", false, "1", "use tcp_keepalive")
/* clang-format on */
