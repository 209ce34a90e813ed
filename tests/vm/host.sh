#!/bin/bash
# needs: root vm apt nspawn
# SPDX-License-Identifier: Apache-2.0
# The reference host, judged from within: tests/vm/judge runs in it over two boots and says what it
# saw on the console. docs/host.md names these checks, rule by rule.
. tests/lib/tap.sh

# The versions are those of the host that tests/system/host.sh has built, when it has run.
cache=build/test/cache
if [ -e build/test/host.lock ]; then
	cp build/test/host.lock "$tmp/selftest.lock"
else
	ok "the host can be locked" "$ashlar" lock --cache "$cache" --output "$tmp/selftest.lock" \
		manifests/host.yaml
fi
ok "one more package fits" "$ashlar" lock --cache "$cache" --output "$tmp/selftest.lock" \
	tests/vm/selftest.yaml
is "…and none of the others moves" "$(grep -c '^added' "$tmp/out") $(grep -cvE '^added' "$tmp/out")" "1 0"
ok "the host with a judge inside is built" "$ashlar" build --quiet --cache "$cache" --repo "$tmp/repo" \
	--lock "$tmp/selftest.lock" tests/vm/selftest.yaml
read -r ref _ <"$tmp/out"
ok "…and made an image" "$ashlar" image --quiet --repo "$tmp/repo" --output "$tmp" "$ref"
ok "it boots, reboots, and reports that it runs" "$ashlar" run --smoke --timeout 900 \
	--report-file "$tmp/console" "$tmp/selftest.qcow2"
[ -e "$tmp/console" ] || done_testing
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
