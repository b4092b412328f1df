#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Every row of tbl/close_reasons.h is the reason of some ending.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
while read -r name; do
	if ! git grep -qw "$name" -- 'src/*.c'; then
		echo "$name is used nowhere: take it out of include/tbl/close_reasons.h"
		status=1
	fi
done < <(sed -nE 's/^(CLIENT|SERVER)_CLOSE\(([A-Z_]+),.*/\1_CLOSE_\2/p' include/tbl/close_reasons.h)
exit $status
