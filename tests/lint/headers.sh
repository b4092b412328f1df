#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Every header is complete by itself, and has the head that style asks for.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck disable=SC2046
flags=$(pkg-config --cflags libuv libpq hiredis openssl libxxhash jansson)
status=0
while read -r header; do
	# shellcheck disable=SC2086
	echo "#include \"${header#include/}\"" |
		gcc -std=gnu17 -D_GNU_SOURCE -DPGRECALL_VERSION='""' -Wall -Wextra -Werror \
			-Wno-unused-parameter -Wno-unused-function -Iinclude $flags -fsyntax-only -x c - ||
		status=1
	if [ "$(head -n 1 "$header")" != '#pragma once' ]; then
		echo "$header: the first line is not #pragma once"
		status=1
	fi
done < <(git ls-files 'include/*.h' ':!include/tbl')
exit $status
