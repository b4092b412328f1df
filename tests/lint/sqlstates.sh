#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Every row of tbl/sqlstates.h is used, by its name or its code, and every code has a row.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
while read -r name code; do
	if ! git grep -qwE "SQLSTATE_$name|\"$code\"" -- 'src/*.c' include ':!include/tbl/sqlstates.h'; then
		echo "$name ($code) is used nowhere: take it out of include/tbl/sqlstates.h"
		status=1
	fi
done < <(sed -nE 's/^SQLSTATE\(([A-Z_]+), *"([0-9A-Z]+)".*/\1 \2/p' include/tbl/sqlstates.h)
while read -r code; do
	if ! grep -qF "$code" include/tbl/sqlstates.h; then
		echo "$code has no row in include/tbl/sqlstates.h"
		status=1
	fi
done < <(git grep -hoE '"(0[0-9A-Z]|2[0-9A-Z]|3[0-9A-Z]|4[0-4]|5[3-8]|F0|HV|P0|XX)[0-9P][0-9]{2}"' -- 'src/*.c' | sort -u)
exit $status
