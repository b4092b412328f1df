#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Every C file is as clang-format 14 leaves it; tables are laid out by hand.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang-format-14 >/dev/null || { echo "clang-format-14 is not installed"; exit 77; }
status=0
while read -r file; do
	clang-format-14 "$file" | cmp -s - "$file" || { echo "$file: run clang-format-14 -i"; status=1; }
done < <(git ls-files '*.c' '*.h' ':!include/tbl')
exit $status
