#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Functions we do not call, names we do not give, sizes we do not pass, and the licence.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0

# refuse MESSAGE PATTERN PATHSPEC...
refuse()
{
	local message=$1 pattern=$2 found
	shift 2
	found=$(git ls-files "$@" | xargs -r grep -nE "$pattern" /dev/null || true)
	if [ -n "$found" ]; then
		echo "$message:"
		echo "$found"
		status=1
	fi
}

refuse 'banned function' \
	'(^|[^a-zA-Z0-9_])(strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|atoi|atol|atof|gets|alloca)\(' \
	'src/*.c' 'include/*.h' 'bench/*.c' 'tests/*.c'
refuse 'a name that clashes with libpg_query' \
	'^(int|void|bool|char|double|const|struct|enum|size_t|ssize_t|u?int[0-9]+_t)( [a-z_]+)* [*]?(list|hash|proc|scanner|parser|pg|pq|sds)_[a-z0-9_]+\([^;]*$' 'src/*.c' 'include/*.h'
refuse 'typedef of a struct' '^typedef struct' 'src/*.c' 'include/*.h'
refuse 'left over' '\b(TODO|FIXME|XXX|HACK)\b' 'src/*.[ch]' 'include/*.h' 'bench/*.[ch]' 'tests/*.[ch]'
refuse 'space at the end of a line' '[ 	]+$' '*.c' '*.h' '*.py' '*.sh' '*.sql' '*meson.build'

while read -r file; do
	if ! head -n 6 "$file" | grep -q 'SPDX-License-Identifier: PostgreSQL'; then
		echo "$file: no licence line"
		status=1
	fi
	if [ "$(wc -l <"$file")" -gt 800 ]; then
		echo "$file: more than 800 lines"
		status=1
	fi
done < <(git ls-files 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]' 'tests/*.py' 'tests/*.sh' 'bench/*.[ch]')
exit $status
