#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* Who may log in how: pg_hba.conf, in the syntax of PostgreSQL 16 (see
 * wire/hba_lines.h).  The first row that fits a client decides.  Groups (+role,
 * samerole) and host names would have to be looked up and are refused, as are methods
 * that we do not have.  Immutable once made; threads may share it.  No I/O. */

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct hba;
struct hba_error;
struct hba_source;

enum hba_method {
	HBA_TRUST,
	HBA_REJECT,
	HBA_PASSWORD,
	HBA_MD5,
	HBA_SCRAM,
	HBA_CERT,
	HBA_PEER,
};

enum hba_clientcert {
	HBA_CERT_NOT_ASKED,
	HBA_CERT_VERIFY_CA,   /* any certificate that is vouched for */
	HBA_CERT_VERIFY_FULL, /* which also has the user's name */
};

/* An IP address; those of IPv4 have four bytes. */
struct hba_address {
	uint8_t family; /* 4 or 6; 0: none, a Unix socket */
	uint8_t bytes[16];
};

/* How the client is connected and who it says it is. */
struct hba_client {
	struct span user;
	struct span database;
	bool is_tls;
	bool is_physical; /* streams the WAL: no database but `replication` fits */
	struct hba_address address;
	/* Whether ADDRESS is one of this machine's, or (NET) in one of its networks;
	 * asked for samehost and samenet only. */
	bool (*is_own)(const struct hba_address *address, bool net);
};

/* What a row says; lives as long as the rows. */
struct hba_verdict {
	enum hba_method method;
	enum hba_clientcert clientcert; /* HBA_CERT_VERIFY_FULL for method cert */
	bool by_dn;			/* the name is the whole distinguished name */
	const char *map; /* of pg_ident.conf; NULL: the names are equal */
	const char *file;
	unsigned line;
};

/* Reads PATH.  0; HBA_E_INVALID and what is wrong, with file and line, in *ERROR; or
 * -ENOMEM. */
int hba_new(const struct hba_source *source, const char *path, struct hba **out,
	    struct hba_error *error) MUST_CHECK;
/* NULL is fine. */
void hba_free(struct hba *hba);
/* The first row that fits, or NULL. */
const struct hba_verdict *hba_find(const struct hba *hba,
				   const struct hba_client *client);
/* The I-th row's, in order; NULL past the last. */
const struct hba_verdict *hba_at(const struct hba *hba, size_t i);
/* Numeric IPv4 or IPv6; one of IPv4 in IPv6 is IPv4. */
bool hba_parse_address(struct span text, struct hba_address *out);
