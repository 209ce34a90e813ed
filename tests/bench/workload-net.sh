#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/bench/workload-net.sh [INSTANCES]: what the network of many workloads costs, beside `nft -f` of the same rules, which is
# the least that anybody needs who replaces them. In a network namespace of its own; prints rows of seconds, elapsed and
# of processors.
set -euo pipefail
count=${1:-300}
bin=$PWD/build/bin
if [ -z "${ASH_BENCH_NET:-}" ]; then
	ASH_BENCH_NET=1 exec unshare --net --mount "$0" "$count"
fi
work=$(mktemp -d)
mount -t tmpfs none "$work"
trap 'umount -l "$work"; rmdir "$work"' EXIT
ip link set lo up
jq -n --argjson count "$count" '{instances: [range($count) | {
	instance: "w\(.)", mode: ["nat", "nat", "natnet", "internal"][. % 4]} as $i | . as $n | $i +
	(if $i.mode == "nat" then {} else {network: "n\($n % 10)"} end) +
	(if $i.mode == "internal" then {} else {
		egress: [{target: "192.0.2.0/24", port: 443}, {target: "example.org", port: 443}, {target: "*", port: 123, protocol: "udp"}],
		publish: [{"host-port": (10000 + $n), port: 80}]} end)]}' >"$work/wanted.json"

# row NAME COMMAND…
row()
{
	local name=$1
	shift
	TIMEFORMAT="%R %U %S"
	{ time "$@" >"$work/out" 2>&1; } 2>"$work/time" || {
		cat "$work/out" >&2
		exit 1
	}
	awk -v name="$name" '{printf "%-48s %6.2f s, %6.2f s of processors\n", name, $1, $2 + $3}' "$work/time"
}

net()
{
	"$bin/ashlar-net" "$1" --root "$work/root" <"$work/wanted.json"
}

echo "$count workloads"
row "apply: all new" net apply
row "apply: the same again" net apply
row "check" net check
sed -i 's/"port": 443/"port": 444/' "$work/wanted.json"
row "apply: other rules for each" net apply
cp "$work/root/run/ashlar/net/text-host" "$work/rules.nft"
row "nft -f of the same rules (the floor)" nft -f "$work/rules.nft"
row "clear" net clear
