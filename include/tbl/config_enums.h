/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors
 *
 * Values of the settings that are one of a few words: CONFIG_ENUM(ID, text), grouped by
 * the enum they belong to.  The includer defines CONFIG_ENUM and one CONFIG_ENUM_<name>. */
#if defined(CONFIG_ENUM_POOL_MODE)
CONFIG_ENUM(POOL_MODE_SESSION, "session")
CONFIG_ENUM(POOL_MODE_TRANSACTION, "transaction")
#elif defined(CONFIG_ENUM_AUTH_TYPE)
CONFIG_ENUM(AUTH_TYPE_TRUST, "trust")
CONFIG_ENUM(AUTH_TYPE_ANY, "any")
CONFIG_ENUM(AUTH_TYPE_PLAIN, "plain")
CONFIG_ENUM(AUTH_TYPE_PASSWORD, "password")
CONFIG_ENUM(AUTH_TYPE_MD5, "md5")
CONFIG_ENUM(AUTH_TYPE_SCRAM, "scram-sha-256")
#elif defined(CONFIG_ENUM_SSLMODE)
CONFIG_ENUM(SSLMODE_DISABLE, "disable")
CONFIG_ENUM(SSLMODE_ALLOW, "allow")
CONFIG_ENUM(SSLMODE_PREFER, "prefer")
CONFIG_ENUM(SSLMODE_REQUIRE, "require")
CONFIG_ENUM(SSLMODE_VERIFY_CA, "verify-ca")
CONFIG_ENUM(SSLMODE_VERIFY_FULL, "verify-full")
#elif defined(CONFIG_ENUM_LOG_FORMAT)
CONFIG_ENUM(LOG_FORMAT_TEXT, "text")
CONFIG_ENUM(LOG_FORMAT_JSON, "json")
#elif defined(CONFIG_ENUM_RULE_CLASS)
CONFIG_ENUM(RULE_CLASS_RECENT, "recent")
CONFIG_ENUM(RULE_CLASS_VECTOR, "vector")
CONFIG_ENUM(RULE_CLASS_CONTEXT, "context")
CONFIG_ENUM(RULE_CLASS_DEFAULT, "default")
#endif
