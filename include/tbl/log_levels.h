/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Log levels, the gravest first, in PostgreSQL's words:
 * LOG_LEVEL(ID, name, tag in the line, priority of the journal). */
LOG_LEVEL(FATAL, "fatal", "FATAL", 2)
LOG_LEVEL(ERROR, "error", "ERROR", 3)
LOG_LEVEL(WARNING, "warning", "WARNING", 4)
LOG_LEVEL(LOG, "log", "LOG", 5)
LOG_LEVEL(INFO, "info", "INFO", 6)
LOG_LEVEL(DEBUG, "debug", "DEBUG", 7)
