#!/bin/bash
# needs: root chromium node openssl jq curl ostree
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
# The fleet's page in a real browser: first beside a server with an invented fleet, which can fail at will, then with
# the real one. ASHLAR_SCREENSHOTS=DIR keeps pictures.
. tests/lib/tap.sh
. tests/lib/fleet-hosts.bash
. tests/lib/commit.sh
. tests/lib/publication.sh

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

# start DIR: the real one on an empty directory, as tests/lib/fleet-hosts.bash wants it.
start()
{
	rm -f "$tmp/fleet.json"
	mkdir "$1"
	printf '%s\n' "ddi: {enabled: true}" "${@:2}" >"$1/fleetd.yaml"
	"$ashlar_bin/ashlar-fleetd" serve "$1" --listen 127.0.0.1:0 --json >"$tmp/fleet.json" 2>>"$tmp/fleet.log" &
	fleet_pid=$!
	at_exit+=("kill $fleet_pid")
	for _ in $(seq 300); do
		[ ! -s "$tmp/fleet.json" ] || break
		read -rt 0.1 <> <(:) || :
	done
	fleet_url=https://127.0.0.1:$(jq -r .port "$tmp/fleet.json")
	fleet_token=$(jq -r .token "$tmp/fleet.json")
	# shellcheck disable=SC2034
	fleet_ca=$1/ca.pem
	curl -sfo /dev/null --cacert "$1/ca.pem" "$fleet_url/healthz"
}

# api METHOD PATH JSON: the answer in $body, its status in $status.
# shellcheck disable=SC2034
api()
{
	status=$(curl -sS --cacert "$fleet_ca" --max-time 30 -o "$tmp/answer" -w '%{http_code}' -X "$1" \
		-H "Authorization: Bearer $fleet_token" -H 'Content-Type: application/json' --data-binary "$3" "$fleet_url$2")
	body=$(cat "$tmp/answer")
}

ok "ashlar-fleetd serves" start "$tmp/fleet"
upload=$tmp/fleet/content/ddi/upload
mkdir -p "$tmp/joining" "$upload"
is "each route of the API has its place on the page (docs/fleet-page.md)" "$(curl -sS --cacert "$fleet_ca" "$fleet_url/v1/openapi.json" |
	jq -r '.paths | to_entries[] | .key as $path | .value | keys[] | ascii_upcase + " " + $path' | grep ' /v1/' |
	while IFS= read -r route; do grep -qF "\`$route\`" docs/fleet-page.md || echo "$route"; done)" ""
relay node tests/lib/page/check-real.mjs "$fleet_url" "$fleet_token" "$tmp/joining" "$upload"
kill "$fleet_pid"

# Another, with hosts that take what they are told.
# Workloads of a publication; what the first host says of one.
mkdir -p "$pub"
"$ashlar" key make "$keys" --no-passphrase -q >/dev/null
hex=$(printf '0123456789abcdef%.0s' 1 2 3 4)
definition()
{
	printf '%s\n' "workload: web" "version: $1" "image: oci:registry.example/web@sha256:$hex" \
		'parameters: [{name: level, type: int, default: "3", min: 0, max: 9}]' "${@:2}" >"$tmp/web-$1.yaml"
	"$ashlar" workload release --keys "$keys" --publication "$pub" "$tmp/web-$1.yaml" -q >/dev/null
}
ok "a workload is published" definition 1.0
ok "and a version that may touch more" definition 2.0 'network: {mode: nat, publish: ["8080:80"]}'
publish -q >/dev/null
ok "signed" test -s "$pub/metadata/timestamp.json"
eval "plain_$(declare -f host_body)"
host_body()
{
	if [ "$1" = 1 ]; then
		plain_host_body 1 | sed 's/}$/,"workloads":{"items":[{"name":"web","version":"1.0","origin":"signed","state":"ready","ready":true,"text":"","isolation":"container","effective":"container","score":12,"restarts":0,"failed":[],"instances":[{"name":"web","state":"ready","ready":true,"text":"","address":"10.0.0.2"}]}],"missing":[]}}/'
	else
		plain_host_body "$@"
	fi
}

ok "another serves" start "$tmp/fleet2" "content: $pub"
ok "release 1.0 is added" release_add 1.0 "bash=5.2.15-2 openssl=3.0.14-1 telnet=0.17-44"
ok "release 2.0 is added" release_add 2.0 "bash=5.2.15-2 curl=8.1.2-1 openssl=3.0.15-1"
ok "release 3.0 is added" release_add 3.0
ok "20 hosts join" hosts_join 20 '{"site":"bern"}'
ok "they check in" hosts_round
relay node tests/lib/page/check-workload.mjs "$fleet_url" "$fleet_token" "$(cat "$hosts/1.id")"
# shellcheck disable=SC2034
bad_versions=3.0
# shellcheck disable=SC2119
(while :; do hosts_round; read -rt 0.4 <> <(:); done) >"$tmp/rounds.log" 2>&1 &
rounds=$!
at_exit+=("kill $rounds")
relay node tests/lib/page/check-rollout.mjs "$fleet_url" "$fleet_token"
kill "$rounds"
wait "$rounds" 2>/dev/null
unlike "the servers had no trouble" "$(cat "$tmp/fleet.log")" 'CRITICAL|WARNING'

done_testing
