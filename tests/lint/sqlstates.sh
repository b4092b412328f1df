#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Every row of tbl/sqlstates.h is used, by its name or its code.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
while read -r name code; do
	if ! git grep -qwE "SQLSTATE_$name|\"$code\"" -- 'src/*.c' include ':!include/tbl/sqlstates.h'; then
		echo "$name ($code) is used nowhere: take it out of include/tbl/sqlstates.h"
		status=1
	fi
done < <(sed -nE 's/^SQLSTATE\(([A-Z_]+), *"([0-9A-Z]+)".*/\1 \2/p' include/tbl/sqlstates.h)
exit $status
