#!/bin/bash
# needs: root dbus-daemon jq ostree openssl curl
# SPDX-License-Identifier: Apache-2.0
# ASHLAR_AGENTS real hosts (all but the machines) go through a good release, a bad one that halts, and the return from
# it. Each takes about 10 MB of memory and of disk, and a second of both processors.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/fleet-agents.bash

agents=${ASHLAR_AGENTS:-10}
patience=$((120 + agents * 4))

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
agent_env=(ASHLAR_WAIT=5)
agent_host "$v1" 1.0.0
mv "$host" "$tmp/template"

fleet_configure "$tmp/server" "content: $pub"
ok "the fleet server starts" fleet_start "$tmp/server"
ok "it knows the releases" api POST /v1/releases/scan '{}'
token=$(api POST /v1/tokens '{"note":"all","uses":-1,"labels":{"site":"here"}}' | jq -r .secret)

# What systemd and the firmware do, until the file "end" is there.
live()
(
	trap - EXIT
	at_exit=()
	agent_boots=$1
	agent_at "$tmp/hosts/$1"
	cp -a "$tmp/template" "$host"
	fleet_document "$host" "$token"
	agent_bus
	agent_boot
	# …or the test is gone.
	while [ ! -e "$tmp/end" ] && kill -0 $$ 2>/dev/null; do
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
		sleep 1
	done
	echo "$booted" >"$agent_dir/booted"
	agent_kill
	for entry in "${at_exit[@]}"; do
		eval "$entry" >/dev/null 2>&1
	done
)
hosts_pids=()
for ((i = 1; i <= agents; i++)); do
	live "$i" >"$tmp/live.$i" 2>&1 &
	hosts_pids+=($!)
	# A processor each at a time: they all unpack a host.
	[ $((i % 4)) -ne 0 ] || sleep 1
done

count_is()
{
	api_wait "/v1/overview" "$1" "$patience"
}
ok "all hosts join and are good" count_is ".by_state.active == $agents and .by_health.good == $agents"

# rollout NAME VERSION SPEC: its id in $rollout.
rollout()
{
	rollout=$(api POST /v1/rollouts "{\"name\":\"$1\",\"release\":\"$2\",\"selector\":\"site = here\",\"soak\":1,\"first\":2,\"growth\":4$3}" |
		jq -r .id)
	[ -n "$rollout" ] && [ "$rollout" != null ]
}
ok "a rollout of 2.0.0" rollout two 2.0.0 ''
ok "…ends with all hosts on it" api_wait "/v1/rollouts/$rollout" \
	".state == \"finished\" and .counts.confirmed == $agents" "$patience"
ok "…as they say themselves" count_is "[.versions[] | select(.version == \"2.0.0\") | .count] == [$agents]"
ok "a rollout of 3.0.0, which is bad" rollout three 3.0.0 ',"on_halt":"revert"'
ok "…halts by itself" api_wait "/v1/rollouts/$rollout" '.state | test("halted|reverting|reverted")' "$patience"
api GET "/v1/rollouts/$rollout" >"$tmp/answer"
ok "…with few hosts harmed" jq -e ".failures >= 1 and .failures <= ([$agents, 8] | min)" "$tmp/answer"
ok "…and all are on 2.0.0 again" count_is "[.versions[] | select(.version == \"2.0.0\") | .count] == [$agents]"
ok "what it decided can be replayed" api POST "/v1/rollouts/$rollout/replay" '{}'
is "…the same" "$(jq -r .agrees "$tmp/out")" true

touch "$tmp/end"
wait "${hosts_pids[@]}"
is "every host ended on 2.0.0" "$(cat "$tmp"/hosts/*/booted | sort | uniq -c | xargs)" "$agents $v2"
empty "nothing but reboots ended ashlard" "$(grep -v '^0$' "$tmp"/hosts/*/ends)"
empty "nothing ended ashlar-link" "$(cat "$tmp"/hosts/*/crashes 2>/dev/null)"
[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp/fleetd.log" "$tmp/hosts/1/ashlard.log" "$tmp/hosts/1/link.log"; jq -c . "$tmp/answer")"
done_testing
