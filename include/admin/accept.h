#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Content negotiation for the metrics page. */

#include <stdbool.h>

#include "base/span.h"

/* True when ACCEPT (the header's value, empty when absent) asks for OpenMetrics 1.0 at
 * least as much as for plain text.  Whatever cannot be understood counts as plain text,
 * which every scraper reads. */
bool accept_openmetrics(struct span accept);
