#!/bin/bash
# needs: root chromium node openssl jq curl
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
# The fleet's page in a real browser: first beside a server with an invented fleet, which can fail at will, then with
# the real one. ASHLAR_SCREENSHOTS=DIR keeps pictures.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

chmod 755 "$tmp"
export TMPDIR=$tmp
web=$tmp/web
ok "the page's packages are there" tools/web-npm.sh tests
ok "the page is laid out" tools/web.sh build/node_modules "$web"

# serve NAME ARGUMENT…: mock.mjs in the background; its address in $served.
serve()
{
	local log=$tmp/$1.log
	shift
	node tests/lib/page/mock.mjs "$web" 0 "$@" >"$log" 2>&1 &
	at_exit+=("kill $!")
	for _ in $(seq 200); do
		[ ! -s "$log" ] || break
		read -rt 0.1 <> <(:) || :
	done
	served=http://127.0.0.1:$(head -n 1 "$log")
}

# relay COMMAND…: what a test in node says becomes ours.
relay()
{
	local line seen=0
	while IFS= read -r line; do
		case $line in
		"ok "*) pass "${line#ok }" ;;
		"not ok "*) fail "${line#not ok }" ;;
		*) diag "$line" ;;
		esac
		seen=$((seen + 1))
	done < <(timeout -k 10 900 "$@" 2>&1)
	ok "something was tested" test "$seen" -gt 5
}

serve small 200
small=$served
serve big 100000
relay node tests/lib/page/check.mjs "$small" "$served"

# The real one, on an empty directory.
ok "ashlar-fleetd serves" fleet_start "$tmp/fleet"
mkdir "$tmp/keys"
relay node tests/lib/page/check-real.mjs "$fleet_url" "$fleet_token" "$tmp/keys"
fleet_stop

# Another, with hosts that take what they are told.
fleet_token=
fleet_listen=127.0.0.1:0
ok "another serves" fleet_start "$tmp/fleet2"
for version in 1.0 2.0 3.0; do
	ok "release $version is added" release_add "$version"
done
ok "20 hosts join" hosts_join 20 '{"site":"bern"}'
ok "they check in" hosts_round
# shellcheck disable=SC2034
bad_versions=3.0
# shellcheck disable=SC2119
(while :; do hosts_round; done) >"$tmp/rounds.log" 2>&1 &
rounds=$!
at_exit+=("kill $rounds")
relay node tests/lib/page/check-rollout.mjs "$fleet_url" "$fleet_token"
kill "$rounds"
wait "$rounds" 2>/dev/null
unlike "the servers had no trouble" "$(cat "$fleet_log")" 'CRITICAL|WARNING'

done_testing
