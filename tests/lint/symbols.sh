#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# libpg_query carries thousands of PostgreSQL's global functions: none of ours may have the
# name of one of them, or the linker would quietly choose.
set -euo pipefail
cd "$(dirname "$0")/../.."
library=$(find /usr/lib -name 'libpg_query.a' -o -name 'libpg_query.so' | sort | head -n 1)
[ -n "$library" ] || { echo "libpg_query is not installed"; exit 77; }
objects=$(find build-test/src -name '*.o' 2>/dev/null || true)
[ -n "$objects" ] || { echo "build-test is not built"; exit 77; }
case $library in *.so) dynamic=-D ;; *) dynamic= ;; esac
# shellcheck disable=SC2086
clashes=$(comm -12 \
	<(nm $objects 2>/dev/null | awk 'NF == 3 && $2 ~ /^[TDBR]$/ { print $3 }' | sort -u) \
	<(nm $dynamic "$library" 2>/dev/null | awk 'NF == 3 && $2 ~ /^[TDBR]$/ { print $3 }' | sort -u) |
	grep -vE '^(_init|_fini|main|__asan|__odr|__ubsan)' || true)
if [ -n "$clashes" ]; then
	echo "also in libpg_query:" $clashes
	exit 1
fi
