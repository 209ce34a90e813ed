#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh

ok "--help succeeds" "$ashlar" --help
stdout_like "help goes to standard output" '^Usage: ashlar COMMAND'
empty "and nothing to standard error" "$(cat "$tmp/err")"
ok "--version succeeds" "$ashlar" --version
stdout_like "and prints a version" '^ashlar [0-9]+\.[0-9]+'
exits 2 "no command is a usage error" "$ashlar"
stderr_like "which prints the overview" '^Usage:'
exits 2 "an unknown command is a usage error" "$ashlar" biuld
empty "errors leave standard output alone" "$(cat "$tmp/out")"
stderr_like "names it" "unknown command 'biuld'"

done_testing
