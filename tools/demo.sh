#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A fleet on one machine: the host in three versions, the third one broken; a fleet server; virtual machines
# that join by themselves. The second version goes out, then the third, which halts by itself, and the hosts
# that took it return. 'sudo make demo' runs this.
#
#	tools/demo.sh [--keep] [--hosts N] [--dir DIR] [--port PORT]
#
# --keep leaves it running until Ctrl-C. What was made stays in DIR (out/demo): a second run is shorter.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=
hosts=3
dir=out/demo
port=8443
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=yes ;;
	--hosts) hosts=$2 && shift ;;
	--dir) dir=$2 && shift ;;
	--port) port=$2 && shift ;;
	*)
		sed -n 's/^#\t//p' "$0" >&2
		exit 2
		;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || {
	echo "demo: run it as root: a host's tree is made with its owners (sudo make demo)" >&2
	exit 7
}

bin=$PWD/build/bin
# Packages that were downloaded before, when they are not where they usually are.
cache=()
[ -z "${ASHLAR_DEMO_CACHE:-}" ] || cache=(--cache "$ASHLAR_DEMO_CACHE")
mkdir -p "$dir"
dir=$(realpath "$dir")
began=$SECONDS

say()
{
	printf '\n\033[1m[%3d:%02d] %s\033[0m\n' $(((SECONDS - began) / 60)) $(((SECONDS - began) % 60)) "$*"
}

pids=()
finish()
{
	trap - EXIT INT TERM
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT TERM

fleet()
{
	"$bin/ashlar-fleet" "$@"
}

# until_true SECONDS WHAT COMMAND…
until_true()
{
	local until=$((SECONDS + $1)) what=$2
	shift 2
	until "$@"; do
		if [ $SECONDS -ge $until ]; then
			echo "demo: waited too long for: $what" >&2
			fleet hosts >&2 || true
			fleet events --limit 20 >&2 || true
			exit 1
		fi
		sleep 2
	done
}

# ---- the host, three times ----

say "Keys, and the host in three versions (the third has a service whose program is missing)"
[ -e "$dir/keys/root.json" ] || "$bin/ashlar" key make --no-passphrase "$dir/keys"
mkdir -p "$dir/m"
manifest()
{
	cat >"$dir/m/$1.yaml" <<-END
		kind: host
		name: demo
		version: $1
		include: [$PWD/manifests/host.yaml]
		files:
		  - {path: /usr/lib/ashlar/root.json, source: $dir/keys/root.json}
		  - {path: /usr/lib/demo/version, content: "$1\n"}
	END
	cat >>"$dir/m/$1.yaml"
}
health()
{
	printf '%s\n' "health:" "  soak: 10s" "  deadline: 5min"
}
health | manifest 1.0.0
{
	echo "packages: [iproute2]"
	health
} | manifest 2.0.0
{
	cat <<-END
		packages: [iproute2]
		units:
		  - name: demo-web.service
		    enable: true
		    content: |
		      [Unit]
		      Description=A service that somebody forgot to install
		      [Service]
		      ExecStart=/usr/lib/demo/web
		      [Install]
		      WantedBy=multi-user.target
	END
	health
	printf '%s\n' "  checks:" "    - {name: demo-web, unit: demo-web.service}"
} | manifest 3.0.0

declare -A commits
for version in 1.0.0 2.0.0 3.0.0; do
	# The same packages in all of them.
	[ "$version" = 1.0.0 ] || [ -e "$dir/m/$version.lock" ] || cp "$dir/m/1.0.0.lock" "$dir/m/$version.lock"
	"$bin/ashlar" lock --quiet "${cache[@]}" --output "$dir/m/$version.lock" "$dir/m/$version.yaml" >/dev/null
	built=$("$bin/ashlar" build --quiet "${cache[@]}" --repo "$dir/repo" "$dir/m/$version.yaml")
	commits[$version]=${built##* }
	echo "$version: commit ${commits[$version]:0:12}"
done
"$bin/ashlar" image --quiet --repo "$dir/repo" --output "$dir" "${commits[1.0.0]}" >/dev/null
image=$dir/demo.qcow2

publish()
{
	"$bin/ashlar" release --quiet --keys "$dir/keys" --repo "$dir/repo" --publication "$dir/fleet/content" \
		"${commits[$1]}" >/dev/null
	"$bin/ashlar" publish --quiet --keys "$dir/keys" "$dir/fleet/content" >/dev/null
}

# ---- the server ----

say "A fleet server, with its own certificate authority, in $dir/fleet"
# A fleet of an earlier run has hosts that are gone.
rm -rf "$dir/fleet" "$dir/hosts"
mkdir -p "$dir/fleet/content" "$dir/hosts"
cat >"$dir/fleet/fleetd.yaml" <<END
listen: 127.0.0.1:$port
# This machine, as a guest of QEMU's user network sees it.
names: [10.0.2.2]
poll: 1min
silent_after: 10min
END
publish 1.0.0
"$bin/ashlar-fleetd" serve "$dir/fleet" >"$dir/fleetd.out" 2>"$dir/fleetd.log" &
pids+=($!)
token=
for _ in $(seq 150); do
	token=$(sed -n 's/^token *//p' "$dir/fleetd.out")
	[ -z "$token" ] || break
	kill -0 "${pids[0]}" 2>/dev/null || {
		cat "$dir/fleetd.log" >&2
		exit 1
	}
	sleep 0.2
done
# Port 0 was any that is free.
port=$(sed -n 's|^address .*:\([0-9]*\)/*$|\1|p' "$dir/fleetd.out")
export ASHLAR_FLEET_URL=https://127.0.0.1:$port
export ASHLAR_FLEET_CA=$dir/fleet/ca.pem
export ASHLAR_FLEET_TOKEN=$token
echo "The page: $ASHLAR_FLEET_URL/ (log in with the token $token; the browser does not know the authority yet)"
fleet releases scan --quiet >/dev/null

# ---- the hosts ----

say "$hosts virtual machines that join by themselves, with a token that is good for $hosts hosts"
join=$(fleet tokens add --note demo --uses "$hosts" --label channel=stable --label site=demo --quiet --json 2>/dev/null | jq -r .secret)
for ((i = 1; i <= hosts; i++)); do
	host=$dir/hosts/demo-$i
	mkdir -p "$host"
	{
		printf '%s\n' "hostname: demo-$i" "updates:" "  url: https://10.0.2.2:$port/content" "  ca: |"
		sed 's/^/    /' "$dir/fleet/ca.pem"
		printf '%s\n' "fleet:" "  url: https://10.0.2.2:$port" "  token: $join" "  ca: |"
		sed 's/^/    /' "$dir/fleet/ca.pem"
	} >"$host/document.yaml"
	"$bin/ashlar" run --quiet --memory 512 --state "$host" --host-document "$host/document.yaml" \
		--report-file "$host/console" --timeout 5400 "$image" </dev/null >"$host/qemu" 2>&1 &
	pids+=($!)
done

# how_many SELECTOR
how_many()
{
	fleet hosts --json "$1" 2>/dev/null | jq '.items | length'
}
are()
{
	[ "$(how_many "$2")" = "$1" ]
}
until_true 1200 "all hosts to join" are "$hosts" "state = active"
until_true 900 "all hosts to run 1.0.0 in health" are "$hosts" "version = 1.0.0 and health = good"
fleet hosts

# Nobody has it without having said how it went.
has_settled()
{
	[ "$(fleet rollouts show --json "$bad" | jq '(.counts.offered // 0) + (.counts.assigned // 0)')" = 0 ]
}

# rollout VERSION [OPTION…]: id in $rollout
rollout()
{
	local version=$1
	shift
	publish "$version"
	fleet releases scan --quiet >/dev/null
	rollout=$(fleet rollouts start --quiet --yes "$@" "$version" "site = demo")
	rollout=${rollout##* }
}
has_state()
{
	[[ " $1 " == *" $(fleet rollouts show --json "$rollout" | jq -r .state) "* ]]
}

say "2.0.0 goes out: one host first, then the others"
rollout 2.0.0 --first 1 --growth careful --soak 20s --channel stable
until_true 2400 "the rollout of 2.0.0 to finish" has_state "finished halted paused cancelled"
fleet rollouts show "$rollout"
has_state finished || exit 1
fleet hosts

say "3.0.0 goes out to two hosts first; its service does not start, so they return by themselves"
rollout 3.0.0 --first 2 --growth careful --soak 20s
bad=$rollout
until_true 2400 "3.0.0 to be stopped" has_state "halted paused finished cancelled"
fleet rollouts show "$bad"
# The second of the first ring may be on its way still.
until_true 1500 "all hosts to be back on 2.0.0" are "$hosts" "version = 2.0.0 and not health = updating"
until_true 600 "every host that was offered it to say how it went" has_settled
fleet rollouts show "$bad"
fleet hosts

say "Why not 3.0.0? What the fleet says of one host:"
fleet why demo-1 || true

# ---- the end ----

summary=$(jq -n --argjson hosts "$hosts" --argjson returned "$(how_many 'version = 2.0.0')" \
	--arg good "$(fleet rollouts --json | jq -r '[.items[] | select(.state == "finished")] | length')" \
	--argjson bad "$(fleet rollouts show --json "$bad")" --argjson seconds $((SECONDS - began)) \
	'{hosts: $hosts, finished_rollouts: ($good | tonumber), third: {state: $bad.state, failures: $bad.failures,
		offered: ($bad.counts | (.failed // 0) + (.silent // 0) + (.confirmed // 0) + (.offered // 0)), reason: $bad.reason},
		hosts_on_2: $returned, seconds: $seconds}')
echo "$summary" >"$dir/summary.json"
say "Done in $(((SECONDS - began) / 60)) min"
jq -r '"\(.hosts) hosts joined. 2.0.0 reached all of them. 3.0.0 is \(.third.state) after \(.third.offered) hosts had it (\(.third.failures) failed): \(.third.reason)\n\(.hosts_on_2) of \(.hosts) run 2.0.0."' \
	<<<"$summary"
if [ -n "$keep" ]; then
	echo
	echo "It goes on until Ctrl-C. The page: $ASHLAR_FLEET_URL/"
	echo "The command line: ASHLAR_FLEET_URL=$ASHLAR_FLEET_URL ASHLAR_FLEET_CA=$ASHLAR_FLEET_CA ASHLAR_FLEET_TOKEN=$ASHLAR_FLEET_TOKEN $bin/ashlar-fleet hosts"
	wait "${pids[0]}" || true
fi
[ "$(jq -r '.third.state' <<<"$summary")" = halted ] || [ "$(jq -r '.third.state' <<<"$summary")" = paused ]
[ "$(jq .hosts_on_2 <<<"$summary")" = "$hosts" ]
