#!/usr/bin/env bash
# SPDX-License-Identifier: PostgreSQL
# Copyright (c) 2026, The pgrecall authors
#
# Scripts parse, and are executable when they are meant to be run.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
while read -r file; do
	case $(head -n 1 "$file" | tr -d '\0') in
	'#!'*bash* | '#!/bin/sh'*) bash -n "$file" || status=1 ;;
	'#!'*python*) ;;
	*) [[ $file == *.py ]] || continue ;;
	esac
	if [[ $file == *.py ]] || head -n 1 "$file" | grep -q python; then
		/usr/bin/python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$file" || status=1
	fi
	if head -n 1 "$file" | grep -q '^#!' && [ ! -x "$file" ]; then
		echo "$file is not executable"
		status=1
	fi
done < <(git ls-files quickstart .ci tests bench ':!tests/fuzz/corpus')
exit $status
