#!/bin/bash
# needs: root chromium node openssl jq
# timeout: 1200
# SPDX-License-Identifier: Apache-2.0
# The fleet's page in a real browser: first beside a server with an invented fleet, which can fail at will, then with
# the real one. ASHLAR_SCREENSHOTS=DIR keeps pictures.
. tests/lib/tap.sh

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
mkdir "$tmp/fleet"
"$ashlar_bin/ashlar-fleetd" serve "$tmp/fleet" --listen 127.0.0.1:0 --json >"$tmp/fleet.json" 2>"$tmp/fleet.log" &
at_exit+=("kill $!")
for _ in $(seq 300); do
	[ ! -s "$tmp/fleet.json" ] || break
	read -rt 0.1 <> <(:) || :
done
port=$(jq -r .port "$tmp/fleet.json")
ok "ashlar-fleetd serves" test -n "$port"
relay node tests/lib/page/check-real.mjs "https://127.0.0.1:$port" "$(jq -r .token "$tmp/fleet.json")" "$tmp"
unlike "the server had no trouble" "$(cat "$tmp/fleet.log")" 'CRITICAL|WARNING'

done_testing
