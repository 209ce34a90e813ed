#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-fleet [BENCH_ROWS="hosts wait idle peer storm lock two engine cold"] [HOSTS=100000] [INTERVAL=60]: the fleet server's figures.
# Generator and server share this machine. One JSON object a line on stdout, as it comes; all of them in
# out/bench/fleet.json, each with its row.
#
#	hosts   HOSTS hosts in the database that check in every INTERVAL seconds, by connections with certificates that
#	        stay; as many of them as the limit of open files allows, which then check in the more often: latency
#	        from when it was due, wrong answers, memory
#	wait    the same, but each check-in waits for an order that does not come: how late they are answered
#	idle    PSS of an idle connection with a certificate, ours and nginx's
#	peer    as many durable check-ins as it takes from 500 hosts, beside nginx answering a constant over TLS to the same
#	        connections; CPU of each server
#	storm   all of STORM (default 2000) hosts connect at once and check in
#	lock    FleetLock: taking and freeing, 64 hosts with their certificates
#	two     two servers on one PostgreSQL beside one: with all of this machine, and with a quarter of a processor for
#	        each server, as on small machines of their own; what is in the database when one of them is killed
#	engine  a step of the rollout engine over a million hosts; other policies under the same bad releases
#	cold    start with COLD (default 1000000) hosts in the database
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8

rows=${BENCH_ROWS:-hosts wait idle peer storm lock two engine cold}
hosts=${HOSTS:-100000}
interval=${INTERVAL:-60}
seconds=${SECONDS_EACH:-30}
out=$PWD/out/bench
tools=$PWD/build/release/tests/bench
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-bench-fleet.XXXXXX")
server=
peer=
bounds=
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
	# shellcheck disable=SC2086
	[ -z "$bounds" ] || rmdir $bounds 2>/dev/null || true
	bounds=
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

# bound PID PERCENT: its threads get that much of one processor together, or all again with 0. Needs root.
bound()
{
	local group=/sys/fs/cgroup/ash-bench-$1
	if [ -e /sys/fs/cgroup/cpu/cgroup.procs ]; then
		group=/sys/fs/cgroup/cpu/ash-bench-$1
		mkdir -p "$group"
		echo $((($2 > 0 ? $2 : -1) * ($2 > 0 ? 1000 : 1))) >"$group/cpu.cfs_quota_us"
	else
		echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
		mkdir -p "$group"
		echo "$(($2 > 0 ? $2 * 1000 : 100000000)) 100000" >"$group/cpu.max"
	fi
	echo "$1" >"$group/cgroup.procs"
	bounds+=" $group"
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

if has_row hosts || has_row wait; then
	rate=$((hosts / interval))
	held=$(($(ulimit -n) - 1000))
	held=$((hosts < held ? hosts : held))
	make_hosts "$work/hosts" "$hosts" "poll: ${interval}s"
fi

# kept ROW MODE OPTION…
kept()
{
	local row=$1 mode=$2 before figures
	shift 2
	start "$work/hosts"
	before=$(resident_kb "$server")
	say "$row: $held of $hosts hosts connected, $rate check-ins a second"
	figures=$(load --identities "$work/hosts/identities" --hosts "$held" "$@" "$mode" "$port")
	tell "$row" "$(jq -c --argjson before "$before" --argjson all "$hosts" \
		'. + {in_database: $all, kb_before: $before, kb_per_host: ((.server_kb - $before) / .hosts)}' <<<"$figures")"
	stop
}

if has_row hosts; then
	kept hosts steady --rate "$rate" --seconds "$seconds"
fi

if has_row wait; then
	kept wait wait --wait "$((held / rate))" --seconds "$seconds"
fi

# nginx_start DIR: with the certificates of DIR, at port 19443; $peer.
nginx_start()
{
	cat >"$1/nginx.conf" <<-END
		worker_processes 2; daemon off; pid $1/nginx.pid; error_log stderr error;
		events { worker_connections 20000; }
		http { access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; server {
			listen 127.0.0.1:19443 ssl backlog=4096; ssl_certificate $1/server.pem;
			ssl_certificate_key $1/server.key; ssl_protocols TLSv1.3;
			ssl_client_certificate $1/ca.pem; ssl_verify_client optional;
			location / { return 200 '{"seq":1,"event":0,"need":[],"next":300,"desired":0}'; } } }
	END
	nginx -c "$1/nginx.conf" 2>"$1/nginx.err" &
	peer=$!
	sleep 1
}

# pss_kb PID: of it and its children.
pss_kb()
{
	local pid files=()
	for pid in "$1" $(pgrep -P "$1"); do
		files+=("/proc/$pid/smaps_rollup")
	done
	awk '/^Pss:/ {sum += $2} END {print sum}' "${files[@]}"
}

# idle WHO PID PORT
idle()
{
	local before after=0 now generator
	before=$(pss_kb "$2")
	"$tools/fleet-load" --identities "$work/idle/identities" --hosts 2000 --connecting 20 --rate 1 --seconds 10 \
		--path /healthz constant "$3" >/dev/null &
	generator=$!
	while kill -0 "$generator" 2>/dev/null; do
		now=$(pss_kb "$2")
		after=$((now > after ? now : after))
		sleep 0.5
	done
	wait "$generator"
	tell idle "{\"who\":\"$1\",\"kb_each\":$(((after - before) / 20))e-2}"
}

if has_row idle; then
	make_hosts "$work/idle" 2000
	start "$work/idle"
	idle ashlar "$server" "$port"
	nginx_start "$work/idle"
	idle nginx "$peer" 19443
	stop
fi

if has_row peer; then
	make_hosts "$work/peer" 500
	start "$work/peer"
	nginx_start "$work/peer"
	for run in 1 2 3; do
		say "nginx, then ours: run $run"
		tell nginx "$("$tools/fleet-load" --identities "$work/peer/identities" --hosts 500 \
			--rate 80000 --seconds "$((seconds / 4 + 1))" constant 19443)"
		tell checkin "$(load --identities "$work/peer/identities" --hosts 500 --rate 40000 \
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

# both OPTION…: two generators at once, at $port and $port2.
both()
{
	load --identities "$work/two/identities" --hosts 250 "$@" --acked "$work/two/acked" steady "$port" \
		>"$work/two/first" 2>/dev/null &
	local first=$!
	load --identities "$work/two/identities" --hosts 250 --skip 250 "$@" --acked "$work/two/acked2" steady \
		"${port2:-$port}" >"$work/two/second"
	wait "$first" || true
}

rates()
{
	jq -sc --arg who "$1" '{who: $who, rate: (map(.rate) | add), wrong: (map(.wrong) | add)}' \
		"$work/two/first" "$work/two/second"
}

if has_row two; then
	tmp=$work/two
	at_exit=()
	# shellcheck source=tests/lib/postgres.bash
	. tests/lib/postgres.bash
	chmod a+x "$work"
	make_hosts "$tmp" 500
	postgres_init 'shared_buffers = 256MB'
	postgres_start
	port2=
	build/bin/ashlar-fleetd backup "$tmp" "$tmp/copy"
	for which in a b; do
		mkdir -m 700 "$tmp/$which"
		cp "$tmp/ca.pem" "$tmp/ca.key" "$tmp/$which"
		printf 'database: "%s"\n' "$postgres" >"$tmp/$which/fleetd.yaml"
	done
	build/bin/ashlar-fleetd restore "$tmp/a" "$tmp/copy"
	start "$tmp/b"
	peer=$server
	port2=$port
	start "$tmp/a"
	(port2=$port && both --rate 4000 --seconds 5)
	tell two "$(rates one)"
	both --rate 4000 --seconds 5
	tell two "$(rates two)"
	bound "$server" 25
	bound "$peer" 25
	(port2=$port && both --rate 4000 --seconds 5)
	tell two "$(rates 'one, a quarter of a processor')"
	both --rate 4000 --seconds 5
	tell two "$(rates 'two, a quarter of a processor each')"
	bound "$server" 0
	bound "$peer" 0
	(sleep 5 && kill -9 "$server") &
	both --rate 1000 --seconds 6
	postgres_sql "SELECT name || ' ' || seq FROM host" | sort >"$tmp/rows"
	tell two "$(sort "$tmp/acked" "$tmp/acked2" | join - "$tmp/rows" |
		jq -Rsc '[splits("\n") | select(. != "") | split(" ") | (.[2] | tonumber) >= (.[1] | tonumber)] |
			{who: "one killed", hosts: length, lost: (map(select(. | not)) | length)}')"
	stop
	postgres_stop immediate
fi

if has_row engine; then
	make -s build/release/tests/unit/test-simulate
	tell engine "{\"step_s\":$(build/release/tests/unit/test-simulate -p /simulate/8-million |
		sed -n 's/.*first step \([0-9.]*\) s/\1/p')}"
	build/bin/ashlar-fleet simulate --compare >&2
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
