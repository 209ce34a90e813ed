#!/bin/bash
# needs: clang-format shellcheck codespell
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh

mapfile -t files < <(find . \( -path ./build -o -path ./out -o -name .git \) -prune -o -type f -print |
	sed 's|^\./||' | grep -vE '^tests/(fuzz/corpus|golden/.*/)' | LC_ALL=C sort)
mapfile -t c_files < <(printf '%s\n' "${files[@]}" | grep '\.[ch]$')
mapfile -t shell_files < <({
	grep -lE '^(#!.*sh|# shellcheck shell=bash)$' "${files[@]}"
	printf '%s\n' "${files[@]}" | grep '\.sh$'
} | sort -u)

ok "there is something to look at" test ${#c_files[@]} -gt 10 -a ${#shell_files[@]} -gt 3

empty "sources begin with the licence line" \
	"$(for file in "${c_files[@]}" "${shell_files[@]}" Makefile; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2\.0' || echo "$file"
	done)"

if clang-format --version | grep -q 'version 14\.'; then
	ok "C code is as clang-format leaves it (make format)" \
		clang-format --dry-run -Werror "${c_files[@]}"
else
	skip "C code is as clang-format leaves it" "the style is pinned to clang-format 14"
fi

ok "shellcheck is content" shellcheck "${shell_files[@]}"
mapfile -t prose < <(printf '%s\n' "${files[@]}" | grep -vE '^LICENSE$')
ok "codespell is content" codespell --ignore-words=tests/lint/codespell-ignore "${prose[@]}"

# Brackets keep these patterns from finding themselves.
empty "no stubs, no promises" \
	"$(grep -nEIw 'T[O]DO|F[I]XME|X[X]X|not yet [i]mplemented' "${prose[@]}")"
tld='(org|net|com|io|dev|edu|cloud)'
empty "no host name of a mirror or registry" "$(grep -nPI \
	"([d]ebian|[u]buntu)\.$tld\b|(?<![\w.-])(deb|ftp|archive|snapshot|security|mirrors?|packages|registry|pypi|cdn)\.(?!example\b)[a-z0-9-]+\.([a-z0-9-]+\.)*$tld\b" \
	"${prose[@]}")"
empty "no file above 800 lines" "$(wc -l "${c_files[@]}" "${shell_files[@]}" Makefile |
	awk '$1 > 800 && $2 != "total"')"
empty "lines have no blanks at their end" \
	"$(grep -nI '[[:blank:]]$' "${c_files[@]}" "${shell_files[@]}" Makefile)"
empty "tests can be executed" "$(find tests -mindepth 2 -name '*.sh' ! -path 'tests/lib/*' ! -perm -u+x)"
empty "tests state their needs on line 2 or not at all" \
	"$(awk 'FNR > 2 && /^# needs:/ {print FILENAME}' tests/*/*.sh)"

done_testing
