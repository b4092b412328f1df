/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * The part of tbl/config.h on the cache, in memory and in Redis. */

/* clang-format off */
CONFIG(BOOL, "cache", "enabled", cache_enabled, "on", 0, 0, NONE, CF_RELOAD,
       "Whether anything is cached.")
CONFIG(BOOL, "cache", "recent", cache_recent, "on", 0, 0, NONE, CF_RELOAD,
       "Whether recent reads (ordered descending, with a limit) are cached without a rule.")
CONFIG(BOOL, "cache", "vector", cache_vector, "on", 0, 0, NONE, CF_RELOAD,
       "Whether pgvector searches are cached without a rule.")
CONFIG(BOOL, "cache", "default", cache_default, "off", 0, 0, NONE, CF_RELOAD,
       "Whether every other cacheable read is cached without a rule.")
CONFIG(DURATION, "cache", "ttl_recent", ttl_recent_ms, "300s", 1000, CONFIG_YEAR, S, CF_RELOAD,
       "How long a recent read may be answered from the cache.")
CONFIG(DURATION, "cache", "ttl_vector", ttl_vector_ms, "3600s", 1000, CONFIG_YEAR, S, CF_RELOAD,
       "How long a pgvector search may be answered from the cache.")
CONFIG(DURATION, "cache", "ttl_context", ttl_context_ms, "300s", 1000, CONFIG_YEAR, S, CF_RELOAD,
       "How long a read by key may be answered from the cache.")
CONFIG(DURATION, "cache", "ttl_default", ttl_default_ms, "300s", 1000, CONFIG_YEAR, S, CF_RELOAD,
       "How long any other read may be answered from the cache.")
CONFIG(SIZE, "cache", "l1_size", l1_size, "256MB", 0, 1024 * CONFIG_GB, NONE, CF_RELOAD,
       "Memory for cached results in this process; 0 means none.")
CONFIG(INT, "cache", "l1_shards", l1_shards, "16", 1, 1024, NONE, 0,
       "Parts of the memory cache with a lock each; a power of two.")
CONFIG(SIZE, "cache", "max_result_size", max_result_size, "1MB", 1, CONFIG_MAX_RESULT, NONE, CF_RELOAD,
       "Largest result that is cached.")
CONFIG(SIZE, "cache", "max_key_size", max_key_size, "64kB", 256, 16 * CONFIG_MB, NONE, CF_RELOAD,
       "Largest key (statement shape, parameters and settings) that is cached.")
CONFIG(INT, "cache", "version_bits", version_bits, "18", 10, 24, NONE, 0,
       "The version table has two to this power slots of 8 bytes.")
CONFIG(INT, "cache", "max_plans", max_plans, "10000", 16, 10000000, NONE, 0,
       "Statement shapes that a worker remembers.")
CONFIG(SIZE, "cache", "max_statement_size", max_statement_size, "64kB", 256, 16 * CONFIG_MB, NONE, 0,
       "Longest statement that is parsed; longer ones count as a write of everything.")

CONFIG(STRING, "redis", "url", redis_url, "", 0, 4096, NONE, CF_SECRET,
       "redis://[user:password@]host[:port][/db] or unix:/path; empty means no Redis.")
CONFIG(DURATION, "redis", "timeout", redis_timeout_ms, "20ms", 1, 60 * CONFIG_SEC, MS, CF_RELOAD,
       "How long one command may take before the cache goes on without Redis.")
CONFIG(STRING, "redis", "prefix", redis_prefix, "pgrecall:", 0, 128, NONE, 0,
       "Put in front of every key in Redis.")
CONFIG(SIZE, "redis", "compress_min", redis_compress_min, "1kB", 0, CONFIG_GB, NONE, CF_RELOAD,
       "Results of at least this size are compressed in Redis.")
CONFIG(DURATION, "redis", "retry", redis_retry_ms, "1s", 10, CONFIG_DAY, S, CF_RELOAD,
       "Pause before a Redis that failed is tried again.")
CONFIG(SIZE, "redis", "max_value_size", redis_max_value_size, "1MB", 1, 512 * CONFIG_MB, NONE, CF_RELOAD,
       "Largest value that is written to or read from Redis.")
CONFIG(INT, "redis", "max_pending", redis_max_pending, "1000", 1, 1000000, NONE, CF_RELOAD,
       "Commands that a worker may have in flight; beyond it Redis is skipped.")
/* clang-format on */
