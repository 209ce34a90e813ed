#!/bin/bash
# needs: root dbus-daemon jq ostree openssl curl busybox
# SPDX-License-Identifier: Apache-2.0
# A signed workload from its publication over the fleet to a host, with everything real but the machine: assigned,
# changed, left when it does not work, ordered about, looked at, and taken away.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/fleet-agents.bash
. tests/lib/workload-fleet.bash

# ---- what is published ----

ok "keys are made" "$ashlar" key make --no-passphrase "$keys"
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$v1" >/dev/null
workload_image_commit web 'echo "greeting $GREETING"; while :; do sleep 1; done'
definition() # VERSION LINE…
{
	printf '%s\n' 'workload: web' "version: $1" "image: $image" 'command: [/bin/main]' 'isolation: sandbox' \
		'environment: {GREETING: "${greeting}"}' 'parameters: [{name: greeting, type: string, default: hello}]' \
		'resources: {cpu: 0.1, memory: 32MiB}' "${@:2}" >"$tmp/web-$1.yaml"
	"$ashlar" workload release --quiet --keys "$keys" --repo "$repo" --publication "$pub" "$tmp/web-$1.yaml"
}
check='health: {soak: 1s, deadline: 20s, checks: [{name: file, file: FILE, interval: 1s, failures: 1}]}'
definition 1.0 "${check/FILE//bin/main}" >/dev/null
definition 1.1 "${check/FILE//bin/main}" >/dev/null
definition 2.0 "${check/FILE//nonexistent}" >/dev/null
ok "workloads are published" "$ashlar" publish --quiet --keys "$keys" "$pub"

# ---- the server, and a host ----

serve "$pub"
agent_url=http://127.0.0.1:$port
agent_env=(ASHLAR_WAIT=2)
agent_host "$v1" 1.0.0
fleet_configure "$tmp/server" "content: $pub"
ok "the fleet server starts" fleet_start "$tmp/server"
like "it knows the workloads" "$(api POST /v1/releases/scan '{}')" '"workloads": ?3'
token=$(api POST /v1/tokens '{"note":"one","uses":1}' | jq -r .secret)
agent_bus
fleet_document "$host" "$token"
ok "the host starts" agent_boot
ok "it joins" agent_wait '.fleet.state == "joined"'
ok "ashlar-workloadd" workloadd_start
id=$(ctl status --json | jq -r .fleet.id)

# web FILTER [SECONDS]: until jq's FILTER is true of what the fleet knows of it on the host
web()
{
	api_wait "/v1/hosts/$id/workloads" "[.items[] | select(.name == \"web\")][0] | $1" "${2:-90}"
}
assign() # VERSION GREETING
{
	api PUT /v1/assignments/all-web \
		"{\"workload\":\"web\",\"version\":\"$1\",\"selector\":\"\",\"parameters\":{\"greeting\":\"$2\"}}"
}

# ---- assigned ----

ok "it is assigned" assign 1.0 salve
ok "the host runs it, and the fleet knows" web '.version == "1.0" and .ready and .wanted == "1.0" and .why == ""'
like "with the fleet's parameter" "$(ctl workload logs web)" "greeting salve"
like "as signed" "$(ctl workload status --json web)" '"origin": ?"signed"'
ok "another version" assign 1.1 salve
ok "…comes to run" web '.version == "1.1" and .ready'
ok "a version that does not work" assign 2.0 salve
ok "…is tried and left, and the fleet knows" web '.version == "1.1" and .ready and (.failed | any(.version == "2.0"))'
like "…and says why" "$(api GET "/v1/hosts/$id/workloads" | jq -r '.items[0].why')" "."
ok "back to what works, with another parameter" assign 1.1 ave
heard() { local i; for ((i = 0; i < 400; i++)); do ctl workload logs web 2>/dev/null | grep -q "$1" && return; command sleep 0.1; done; return 1; }
ok "…is taken" heard "greeting ave"

# ---- orders ----

# act JSON: until the order has ended; $ended has how
act()
{
	local order
	order=$(api POST "/v1/hosts/$id/workloads/web" "$1" | jq -r .order)
	api_wait "/v1/hosts/$id" ".orders | any(.id == $order and (.state == \"done\" or .state == \"failed\"))" &&
		ended=$(api GET "/v1/hosts/$id" | jq -r ".orders[] | select(.id == $order) | .state")
}
ok "the order to stop" act '{"act":"stop"}'
is "…is carried out" "$ended" "done"
ok "…which the fleet sees" web '.state == "stopped"'
ok "the order to start" act '{"act":"start"}'
ok "…which the fleet sees, too" web .ready
ok "the order to forgive" act '{"act":"forgive","version":"2.0"}'
ok "…is carried out" web '.failed == []'

# ---- what it writes, from afar ----

# logs LINES SECONDS: as the page and 'ashlar-fleet workload logs' read them
logs()
{
	curl -sN --max-time 90 --cacert "$fleet_dir/authority.pem" -H "Authorization: Bearer $fleet_token" \
		"$fleet_url/v1/hosts/$id/workloads/web/logs?lines=$1&follow=$2"
}
ok "its last lines" logs 5 0
like "…come, and then no more" "$(xargs <"$tmp/out")" 'greeting ave.*event: end'
logs 1 60 >"$tmp/follow" &
follow_pid=$!
followed() { local i; for ((i = 0; i < 300; i++)); do grep -q "$1" "$tmp/follow" && return; command sleep 0.1; done; diag "$(cat "$tmp/follow")"; return 1; }
ok "it is followed" followed "greeting"
echo "quite new" >>"$host/var/log/ashlar/web.log"
ok "…as it is written" followed "quite new"
# The reader, not the shell around it.
pkill -P "$follow_pid" curl

# ---- the server's absence, and the end ----

fleet_stop
agent_stop
agent_start
ok "without the server, and after a restart, it runs" workload_is web '.version == "1.1" and .ready'
ok "the server is back" fleet_start "$tmp/server"
ok "it is not assigned any more" api DELETE /v1/assignments/all-web
gone() { local i; for ((i = 0; i < 600; i++)); do ctl workload status web >/dev/null 2>&1 || return 0; command sleep 0.1; done; return 1; }
# Nothing else is: the fleet manages none.
ok "…and is gone from the host" gone
agent_stop
workloadd_stop
empty "no token is in a log" "$(grep -lF -e "${token#*.}" "$tmp"/*.log)"

[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp"/ashlard.log "$tmp"/link.log "$tmp/fleetd.log" "$tmp/workloadd.log")"
done_testing
