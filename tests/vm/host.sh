#!/bin/bash
# needs: root vm apt nspawn
# SPDX-License-Identifier: Apache-2.0
# The reference host, judged from within: tests/vm/selftest.sh runs in it over two boots and says what it
# saw on the console. docs/host.md names these checks, rule by rule.
. tests/lib/tap.sh

ok "the host with a judge inside is built" "$ashlar" build --quiet --repo "$tmp/repo" tests/vm/selftest.yaml
read -r ref _ <"$tmp/out"
ok "…and made an image" "$ashlar" image --quiet --repo "$tmp/repo" --output "$tmp" "$ref"
ok "it boots, reboots, and reports that it runs" "$ashlar" run --smoke --timeout 900 \
	--report-file "$tmp/console" "$tmp/selftest.qcow2"
[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp/console")"

tr -d '\r' <"$tmp/console" | sed -n 's/^.*TAP //p' >"$tmp/tap"
while read -r line; do
	case $line in
	"ok - "*) pass "${line#ok - }" ;;
	"not ok - "*) fail "${line#not ok - }" ;;
	"# "*) [ -z "${ASHLAR_TEST_VERBOSE:-}${line##\# \[*}" ] || diag "${line#\# }" ;;
	esac
done <"$tmp/tap"
is "the judge came to its end" "$(tail -n 1 "$tmp/tap")" "# end"
done_testing
