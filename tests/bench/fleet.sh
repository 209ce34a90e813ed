#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-fleet [BENCH_ROWS="hosts peer storm lock cold"] [HOSTS=100000] [INTERVAL=60]: the fleet server's figures.
# Generator and server share this machine. One JSON object a line on stdout, as it comes; all of them in
# out/bench/fleet.json, each with its row.
#
#	hosts   HOSTS connections with certificates that stay, each checking in every INTERVAL seconds: latency from when
#	        it was due, wrong answers, memory, and what an idle connection costs
#	peer    as many durable check-ins as it takes from 500 hosts, beside nginx answering a constant over TLS to the same
#	        connections; CPU of each server
#	storm   all of STORM (default 2000) hosts connect at once and check in
#	lock    FleetLock: taking and freeing, 64 hosts with their certificates
#	cold    start with COLD (default 1000000) hosts in the database
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8

rows=${BENCH_ROWS:-hosts peer storm lock cold}
hosts=${HOSTS:-100000}
interval=${INTERVAL:-60}
seconds=${SECONDS_EACH:-30}
out=$PWD/out/bench
tools=$PWD/build/release/tests/bench
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-bench-fleet.XXXXXX")
server=
peer=
mkdir -p "$out"
: >"$out/fleet.json"

stop()
{
	for pid in $server $peer; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	server=
	peer=
}
trap 'stop; rm -rf --one-file-system "$work"' EXIT

say()
{
	printf '%s  %s\n' "$(date +%T)" "$*" >&2
}

# tell ROW JSON
tell()
{
	jq -c --arg row "$1" '{row: $row} + .' <<<"$2" | tee -a "$out/fleet.json"
}

has_row()
{
	[[ " $rows " == *" $1 "* ]]
}

# start DIR: the server on its hosts; $server, $port.
start()
{
	build/bin/ashlar-fleetd serve --listen 127.0.0.1:0 "$1" >"$1/out" 2>"$1/err" &
	server=$!
	until grep -qs '^address' "$1/out"; do
		kill -0 "$server" || { cat "$1/err" >&2; exit 1; }
		sleep 0.1
	done
	port=$(sed -n 's|^address .*:\([0-9]*\)/.*|\1|p' "$1/out")
}

resident_kb()
{
	sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

# make_hosts DIR COUNT [YAML]
make_hosts()
{
	mkdir -p "$1"
	printf '%s\n' "${3-}" >"$1/fleetd.yaml"
	say "making $2 identities"
	"$tools/fleet-identities" "$1" "$1/identities" "$2"
}

# load ARGUMENT…: an answer that is wrong ends the run.
load()
{
	"$tools/fleet-load" --pid "$server" "$@"
}

ulimit -n "$(ulimit -Hn)"

if has_row hosts; then
	make_hosts "$work/hosts" "$hosts" "poll: ${interval}s"
	start "$work/hosts"
	before=$(resident_kb "$server")
	say "$hosts hosts, one check-in each $interval s"
	figures=$(load --identities "$work/hosts/identities" --hosts "$hosts" \
		--rate "$((hosts / interval))" --seconds "$((interval * 2))" steady "$port")
	tell hosts "$(jq -c --argjson before "$before" \
		'. + {kb_before: $before, kb_per_host: ((.server_kb - $before) / .hosts)}' <<<"$figures")"
	stop
fi

if has_row peer; then
	make_hosts "$work/peer" 500
	cat >"$work/peer/nginx.conf" <<-END
		worker_processes 2; daemon off; pid $work/peer/nginx.pid; error_log stderr error;
		events { worker_connections 20000; }
		http { access_log off; keepalive_requests 1000000000; server {
			listen 127.0.0.1:19443 ssl; ssl_certificate $work/peer/server.pem;
			ssl_certificate_key $work/peer/server.key; ssl_protocols TLSv1.3;
			ssl_client_certificate $work/peer/ca.pem; ssl_verify_client optional;
			location / { return 200 '{"seq":1,"event":0,"need":[],"next":300,"desired":0}'; } } }
	END
	start "$work/peer"
	nginx -c "$work/peer/nginx.conf" 2>"$work/peer/nginx.err" &
	peer=$!
	sleep 1
	for run in 1 2 3; do
		say "nginx, then ours: run $run"
		tell nginx "$("$tools/fleet-load" --identities "$work/peer/identities" --hosts 500 \
			--rate 40000 --seconds "$((seconds / 4 + 1))" constant 19443)"
		tell checkin "$(load --identities "$work/peer/identities" --hosts 500 --rate 20000 \
			--seconds "$((seconds / 4 + 1))" steady "$port")"
	done
	stop
fi

if has_row storm; then
	make_hosts "$work/storm" "${STORM:-2000}"
	start "$work/storm"
	tell storm "$(load --identities "$work/storm/identities" --hosts "${STORM:-2000}" storm "$port")"
	stop
fi

if has_row lock; then
	make_hosts "$work/lock" 64
	start "$work/lock"
	admin=$(sed -n 's/^token *//p' "$work/lock/out")
	curl -sS --cacert "$work/lock/ca.pem" -H "Authorization: Bearer $admin" -X PUT \
		-H 'Content-Type: application/json' -d '{"slots":64,"lease":3600}' \
		"https://localhost:$port/v1/locks/default" >&2
	tell lock "$(load --identities "$work/lock/identities" --hosts 64 --rate 20000 \
		--seconds "$((seconds / 4 + 1))" fleetlock "$port")"
	stop
fi

if has_row cold; then
	count=${COLD:-1000000}
	mkdir -p "$work/cold"
	say "$count rows"
	"$tools/fleet-identities" --rows "$work/cold" "$count"
	begun=$(date +%s%N)
	start "$work/cold"
	ended=$(date +%s%N)
	tell cold "{\"hosts\":$count,\"start_s\":$(((ended - begun) / 1000000))e-3,\"kb\":$(resident_kb "$server")}"
	stop
fi
