#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# The units are well-formed, and the service is exposed by 1.5 at most.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v systemd-analyze >/dev/null || { echo "systemd-analyze is not installed"; exit 77; }
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
status=0

# A machine that tests has no installed daemon, and the check wants the program to exist.
for unit in systemd/pgrecall.*; do
	sed 's|=/usr/bin/pgrecall|=/bin/true|' "$unit" >"$directory/${unit##*/}"
done
# Units of other packages are loaded too: their faults are not ours.
faults=$(systemd-analyze verify "$directory"/pgrecall.* 2>&1 | grep -F pgrecall || true)
if [ -n "$faults" ]; then
	echo "$faults"
	status=1
fi
if ! report=$(systemd-analyze security --no-pager --offline=true --threshold=15 \
	systemd/pgrecall.service 2>&1); then
	echo "$report" | grep -v '✓'
	status=1
fi
exit $status
