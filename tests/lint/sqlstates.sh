#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# The program names SQLSTATEs by the rows of tbl/sqlstates.h, and every row is used.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
while read -r name; do
	if ! git grep -qw "SQLSTATE_$name" -- 'src/*.c' include; then
		echo "$name is used nowhere: take it out of include/tbl/sqlstates.h"
		status=1
	fi
done < <(sed -nE 's/^SQLSTATE\(([A-Z_]+),.*/\1/p' include/tbl/sqlstates.h)
if git grep -nE '"(0[0-9A-Z]|2[0-9A-Z]|3[0-9A-Z]|4[0-4]|5[3-8]|F0|HV|P0|XX)[0-9P][0-9]{2}"' -- 'src/*.[ch]' include ':!include/tbl/sqlstates.h'; then
	echo "name it by its row of include/tbl/sqlstates.h"
	status=1
fi
exit $status
