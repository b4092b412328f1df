#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Every header is complete by itself, and has the head that style asks for.
set -euo pipefail
cd "$(dirname "$0")/../.."

# check HEADER
check()
{
	local status=0
	# shellcheck disable=SC2086
	echo "#include \"${1#include/}\"" |
		gcc -std=gnu17 -D_GNU_SOURCE -DPGRECALL_VERSION='""' -Wall -Wextra -Werror \
			-Wno-unused-parameter -Wno-unused-function -Iinclude $flags -fsyntax-only -x c - ||
		status=1
	if [ "$(head -n 1 "$1")" != '#pragma once' ]; then
		echo "$1: the first line is not #pragma once"
		status=1
	fi
	return $status
}
export -f check
# shellcheck disable=SC2046
flags=$(pkg-config --cflags libuv libpq hiredis openssl libxxhash jansson)
export flags
git ls-files 'include/*.h' ':!include/tbl' |
	xargs -n 1 -P "$(nproc)" bash -ec 'check "$1"' check
