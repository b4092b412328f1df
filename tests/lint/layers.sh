#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Includes point one way: base < wire | sql | net < cache | upstream < proxy < admin < daemon.
# A layer includes itself and those before it, never a neighbour of its own rank.
set -euo pipefail
cd "$(dirname "$0")/../.."
declare -A rank=([base]=0 [wire]=1 [sql]=1 [net]=1 [cache]=2 [upstream]=2 [proxy]=3 [admin]=4 [daemon]=5)
status=0
while IFS=: read -r file line text; do
	layer=$(cut -d/ -f2 <<<"$file")
	target=$(sed -E 's/.*"([a-z]+)\/.*/\1/' <<<"$text")
	[ "$target" != tbl ] && [ "$layer" != tbl ] || continue
	if [ -z "${rank[$target]:-}" ] || [ -z "${rank[$layer]:-}" ]; then
		echo "$file:$line: $text: not a layer"
		status=1
	elif [ "$layer" != "$target" ] && [ "${rank[$target]}" -ge "${rank[$layer]}" ]; then
		echo "$file:$line: $layer must not include $target"
		status=1
	fi
done < <(git ls-files 'src/*.[ch]' 'include/*.h' | xargs -r grep -nE '^#\s*include "[a-z]+/')

# One library, one door: its header is included in these places alone.
declare -A door=([pg_query]='^src/sql/' [llhttp]='^src/admin/http_parse' [hiredis]='^src/cache/redis'
	[ini_config]='^src/base/' [lz4]='^src/cache/' [stringprep]='^src/wire/saslprep'
	[jansson]='^src/(base/log|admin/)')
for library in "${!door[@]}"; do
	users=$(git ls-files 'src/*.[ch]' 'include/*.h' |
		xargs -r grep -lE "^#\s*include <([a-z_]+/)?${library}[._/a-z]*>" | grep -vE "${door[$library]}" || true)
	if [ -n "$users" ]; then
		echo "$library is included outside its file:" $users
		status=1
	fi
done
exit $status
