#pragma once
/* SPDX-License-Identifier: PostgreSQL
 * Copyright (c) 2026, The pgrecall authors */

/* auth_hba_file and auth_ident_file from the disk, and what their rows ask of this
 * machine. */

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct config;
struct hba;
struct hba_address;
struct ident;

/* With auth_type hba; otherwise both stay NULL, but the maps, which are read when they
 * are set.  0; -errno or 1, with one line in ERROR (size bytes). */
int hba_files_load(const struct config *config, struct hba **hba, struct ident **ident,
		   char *error, size_t error_size) MUST_CHECK;
/* Whether the address is one of this machine's interfaces; NET: or in a network of
 * theirs. */
bool hba_files_is_own(const struct hba_address *address, bool net);
