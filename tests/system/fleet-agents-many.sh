#!/bin/bash
# needs: root dbus-daemon jq ostree openssl curl
# SPDX-License-Identifier: Apache-2.0
# timeout: 14400
# ASHLAR_AGENTS real hosts (all but the machines: a directory, a bus, ashlard, ashlar-link and what they start, each) join,
# take a good release, are offered a bad one that halts and is taken back, and are all sent back from the good one.
#
# 'make check-agents' runs it with 500; what that costs is printed at its end. In 'make check' there are 20.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/fleet-agents.bash

agents=${ASHLAR_AGENTS:-20}
patience=$((120 + agents * 8))

# stage NAME: how long the one before took, and what memory is taken by now.
free_kb()
{
	awk '/^MemAvailable:/ {print $2}' /proc/meminfo
}
free_before=$(free_kb)
stage_name=
stages=()
stage()
{
	[ -z "$stage_name" ] ||
		stages+=("$(printf '%-34s %5d s, %6d MB' "$stage_name" $((SECONDS - stage_begun)) $(((free_before - $(free_kb)) / 1024)))")
	stage_name=${1:-}
	stage_begun=$SECONDS
}

ok "keys are made" "$ashlar" key make --no-passphrase "$keys"
cp "$keys/root.json" "$tmp/root.json"
mkdir -p "$tmp/bad/usr/lib/ashlar/health.d"
printf 'soak: 0s\ndeadline: 10s\nchecks:\n  - {name: never, file: /nonexistent, interval: 1s, failures: 1}\n' \
	>"$tmp/bad/usr/lib/ashlar/health.d/10-test.yaml"
v1=$(agent_commit 1.0.0)
v2=$(agent_commit 2.0.0)
v3=$(agent_commit 3.0.0 "$tmp/bad")
for commit in "$v1" "$v2" "$v3"; do
	ok "a release is published" "$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$commit"
done
ok "…with its metadata" "$ashlar" publish --quiet --keys "$keys" "$pub"
serve "$pub"
agent_url=http://127.0.0.1:$port
# What each does by itself while nothing happens, or again when it failed, is no part of this, and N times as much on one
# machine: 500 that tried again every five seconds did nothing else.
agent_env=(ASHLAR_WAIT=$((5 + agents / 25)))
agent_check=$((1 + agents / 10))min
fleet_poll=$((agents < 20 ? 20 : agents > 300 ? 300 : agents))s
agent_host "$v1" 1.0.0
mv "$host" "$tmp/template"

fleet_configure "$tmp/server" "content: $pub" 'rate: {operators: 0}'
ok "the fleet server starts" fleet_start "$tmp/server"
ok "it knows the releases" api POST /v1/releases/scan '{}'
token=$(api POST /v1/tokens '{"note":"all","uses":-1,"labels":{"site":"here"}}' | jq -r .secret)

# The hosts live until nobody has the other end open: the test has ended, or is gone.
mkfifo "$tmp/alive"
# shellcheck disable=SC2094
exec 6<>"$tmp/alive" 7>"$tmp/alive" 9<"$tmp/alive" 6>&-

# What systemd and the firmware do.
live()
{
	trap - EXIT
	at_exit=()
	agent_boots=$1
	agent_at "$tmp/hosts/$1"
	cp -a "$tmp/template" "$host"
	fleet_document "$host" "$token"
	agent_bus
	agent_boot
	while :; do
		read -rt 1 -u 9
		[ $? -gt 128 ] || break
		if ! kill -0 "$agent_pid" 2>/dev/null; then
			wait "$agent_pid"
			echo "$?" >>"$agent_dir/ends"
			agent_kill
			loader_boot
			[ -n "$booted" ] || break
			agent_enter
			agent_start
		elif ! kill -0 "$link_pid" 2>/dev/null; then
			wait "$link_pid"
			echo "link $?" >>"$agent_dir/crashes"
			agent_start_link
		fi
	done
	echo "$booted" >"$agent_dir/booted"
	agent_kill
	for entry in "${at_exit[@]}"; do
		eval "$entry" >/dev/null 2>&1
	done
}

# So many at a time, however fast this machine is.
at_once=8
# Until fewer processes than that want a processor: who has joined looks for releases, too.
breathe()
{
	local running
	while read -r _ _ _ running _ </proc/loadavg && [ "${running%/*}" -gt 40 ] && [ "$SECONDS" -lt "$1" ]; do
		sleep 0.5
	done
}
# start_all: no more than that unpack a host and join.
start_all()
{
	local i active=0 until=$((SECONDS + patience))
	for ((i = 1; i <= agents; i++)); do
		while [ $((i - active)) -gt "$at_once" ]; do
			active=$(api GET /v1/overview | jq '.by_state.active // 0')
			[ "$SECONDS" -lt "$until" ] || return 1
			[ $((i - active)) -le "$at_once" ] || sleep 0.3
		done
		breathe "$until"
		live "$i" 7>&- >"$tmp/live.$i" 2>&1 &
		hosts_pids+=($!)
	done
}

count_is()
{
	api_wait "/v1/overview" "$1" "$patience"
}
hosts_pids=()
stage "join"
ok "the hosts start" start_all
ok "all join and are good" count_is ".by_state.active == $agents and .by_health.good == $agents"

# rollout NAME VERSION SPEC: its id in $rollout.
rollout()
{
	rollout=$(api POST /v1/rollouts "{\"name\":\"$1\",\"release\":\"$2\",\"selector\":\"site = here\",\"soak\":1,\"first\":2,\"growth\":4,\"max_in_flight\":$at_once$3}" |
		jq -r .id)
	[ -n "$rollout" ] && [ "$rollout" != null ]
}
all_run()
{
	count_is "[.versions[] | select(.version == \"$1\") | .count] == [$agents]"
}
outcomes()
{
	api GET "/v1/rollouts/$1" >"$tmp/answer"
	stage_name="$stage_name: $(jq -r '.counts | to_entries | map(select(.value > 0) | "\(.value) \(.key)") | join(", ")' "$tmp/answer")"
}
stage "release"
ok "a rollout of 2.0.0" rollout two 2.0.0 ''
two=$rollout
ok "…ends with all hosts on it" api_wait "/v1/rollouts/$two" \
	".state == \"finished\" and .counts.confirmed == $agents" "$patience"
ok "…as they say themselves" all_run 2.0.0
outcomes "$two"
stage "bad release"
ok "a rollout of 3.0.0, which is bad" rollout three 3.0.0 ',"on_halt":"revert"'
three=$rollout
ok "…halts by itself, and takes it back" api_wait "/v1/rollouts/$three" '.state == "reverted"' "$patience"
outcomes "$three"
ok "…with few hosts harmed" jq -e ".failures >= 1 and .failures <= ([$agents, 8] | min)" "$tmp/answer"
ok "…and all are on 2.0.0 again" all_run 2.0.0
stage "revert"
ok "an operator takes 2.0.0 back from all" api POST "/v1/rollouts/$two/revert" '{"reason":"it leaks"}'
ok "…they return" api_wait "/v1/rollouts/$two" ".state == \"reverted\" and .counts.returned == $agents" "$patience"
ok "…as they say themselves" all_run 1.0.0
outcomes "$two"
stage "replay"
for rollout in "$two" "$three"; do
	ok "what was decided can be replayed" api POST "/v1/rollouts/$rollout/replay" '{}'
	is "…the same" "$(jq -r .agrees "$tmp/out")" true
done
stage "end"

exec 7>&-
wait "${hosts_pids[@]}"
stage
is "every host ended on 1.0.0" "$(cat "$tmp"/hosts/*/booted | sort | uniq -c | xargs)" "$agents $v1"
empty "nothing but reboots ended ashlard" "$(grep -v '^0$' "$tmp"/hosts/*/ends)"
empty "nothing ended ashlar-link" "$(cat "$tmp"/hosts/*/crashes 2>/dev/null)"
[ "$agents" -le 20 ] || diag "$agents hosts, $(cat "$tmp"/hosts/*/ends | wc -l) reboots, $SECONDS s in all"
[ "$agents" -le 20 ] || diag "$(printf '%s\n' "${stages[@]}")"
[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp/fleetd.log" "$tmp/hosts/1/ashlard.log" "$tmp/hosts/1/link.log"; jq -c . "$tmp/answer")"
done_testing
