/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * What the HTTP endpoint answers, to GET and HEAD:
 * HTTP_ROUTE(ID, path, step that makes the page, sentence for the index). */
HTTP_ROUTE(INDEX, "/", http_page_index, "this list")
HTTP_ROUTE(METRICS, "/metrics", http_page_metrics, "metrics for Prometheus, or OpenMetrics when asked for")
HTTP_ROUTE(LIVEZ, "/livez", http_page_livez, "200 while the process answers")
HTTP_ROUTE(READYZ, "/readyz", http_page_readyz, "200 when clients can be served, else 503 and why")
HTTP_ROUTE(HEALTHZ, "/healthz", http_page_healthz, "status, uptime and the state of each database, as JSON")
