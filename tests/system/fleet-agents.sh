#!/bin/bash
# needs: root dbus-daemon jq ostree openssl curl
# SPDX-License-Identifier: Apache-2.0
# Hosts in their fleet, with everything real but the machines: ashlar-fleetd, and for each host a directory, a bus,
# ashlard, ashlar-link and what they start.
. tests/lib/tap.sh
. tests/lib/agent.bash
. tests/lib/fleet-agents.bash

# ---- releases ----

ok "keys are made" "$ashlar" key make --no-passphrase "$keys"
cp "$keys/root.json" "$tmp/root.json"
mkdir -p "$tmp/plain/usr/bin"
# What the journal of a boot says, where there is no journald.
cat >"$tmp/plain/usr/bin/journalctl" <<'END'
#!/bin/sh
head -c 100000 /dev/zero | tr '\0' 'x' | fold -w 99
echo "the end of $1"
END
chmod 755 "$tmp/plain/usr/bin/journalctl"
cp -a "$tmp/plain" "$tmp/bad"
mkdir -p "$tmp/bad/usr/lib/ashlar/health.d"
printf 'soak: 0s\ndeadline: 10s\nchecks:\n  - {name: never, file: /nonexistent, interval: 1s, failures: 1}\n' \
	>"$tmp/bad/usr/lib/ashlar/health.d/10-test.yaml"
v1=$(agent_commit 1.0.0 "$tmp/plain")
v2=$(agent_commit 2.0.0 "$tmp/plain")
v3=$(agent_commit 3.0.0 "$tmp/bad")
v4=$(agent_commit 4.0.0 "$tmp/plain")
publish_version()
{
	"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$1" &&
		"$ashlar" publish --quiet --keys "$keys" "$pub"
}
for commit in "$v1" "$v2" "$v3" "$v4"; do
	ok "a release is published" publish_version "$commit"
done
serve "$pub"
agent_url=http://127.0.0.1:$port
agent_env=(ASHLAR_WAIT=2)
agent_host "$v1" 1.0.0
cp -a "$host" "$tmp/template"

# ---- the server ----

fleet_configure "$tmp/server" "content: $pub"
ok "the fleet server starts" fleet_start "$tmp/server"
ok "it knows the releases" api POST /v1/releases/scan '{}'
one=$(api POST /v1/tokens '{"note":"one","uses":1}' | jq -r .secret)
like "a token for one host" "$one" '^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$'

# ---- joining ----

agent_at "$tmp/a"
cp -a "$tmp/template" "$host"
agent_bus
fleet_document "$host" "$one"
ok "the host starts" agent_boot
ok "it joins" agent_wait '.fleet.state == "joined"'
id=$(ctl status --json | jq -r .fleet.id)
like "its id is a hash" "$id" '^[0-9a-f]{64}$'
api GET "/v1/hosts/$id" >"$tmp/answer"
is "the fleet knows it, and what it runs" "$(jq -r '.state + " " + .version' "$tmp/answer")" "active 1.0.0"
is "…its health" "$(jq -r .health "$tmp/answer")" good
like "…its facts" "$(jq -c .facts "$tmp/answer")" '"kernel":.*'
like "…where it is" "$(jq -r '.facts.address' "$tmp/answer")" '^127\.'
ok "it looks for releases" agent_wait '.available.version == "4.0.0" and .state == "idle"'
like "…and takes none: why" "$(ctl why)" 'the fleet wants nothing newer'
is "the key is nobody else's" "$(stat -c %a "$host/var/lib/ashlar-link/fleet" "$host/var/lib/ashlar-link/fleet/identity.json" | xargs)" "700 600"
like "status says so" "$(ctl status)" 'standing +joined'

# ---- what the fleet wants ----

ok "the fleet wants 2.0.0" api POST "/v1/hosts/$id/release" '{"version":"2.0.0","verb":"update"}'
ok "the host takes it" agent_wait_reboot
agent_boot
is "…and no newer one" "$booted" "$v2"
ok "it is good" agent_wait '.state == "idle" and .booted.version == "2.0.0" and .deployments[0].good == true'
ok "the fleet hears of it" api_wait "/v1/hosts/$id" '.version == "2.0.0" and .health == "good"'
ok "the fleet wants 3.0.0, which is bad" api POST "/v1/hosts/$id/release" '{"version":"3.0.0","verb":"update"}'
ok "the host takes it" agent_wait_reboot
agent_boot
is "…tries it" "$booted" "$v3"
ok "…and leaves it" agent_wait_reboot
agent_boot
is "…for the one before" "$booted" "$v2"
ok "the fleet hears of it" api_wait "/v1/hosts/$id" \
	'.version == "2.0.0" and (.report.failed[0].version == "3.0.0")'
ok "…and has the journal of the boot that failed" api_wait "/v1/hosts/$id/journal" \
	'.items[0].version == "3.0.0" and (.items[0].text | test("the end of --boot=boot-3-"))'
is "…once, and not all of it" "$(api GET "/v1/hosts/$id/journal" | jq -r '(.items | length == 1) and (.items[0].text | length <= 32768)')" true
ok "what happened is told" api_wait "/v1/hosts/$id/events" '[.items[].text] | any(test("bad 3.0.0"))'

# ---- orders ----

# order VERB [ARGUMENT]: leaves its id in $order.
order()
{
	order=$(api POST "/v1/hosts/$id/orders" "{\"verb\":\"$1\",\"argument\":\"${2:-}\"}" | jq -r .id)
	[ "$order" -gt 0 ]
}
order_is()
{
	api_wait "/v1/hosts/$id" ".orders | any(.id == $order and .state == \"$1\")"
}
ok "the order facts" order facts
ok "…is answered" order_is "done"
ok "the fleet wants nothing any more" api POST "/v1/hosts/$id/release" '{"version":""}'
ok "…and the host knows" agent_wait '.fleet.wants == null'
ok "the order forgive" order forgive 3.0.0
ok "…is answered" order_is "done"
ok "…and was carried out" agent_wait '.failed == []'
ok "the order forgive for nothing" order forgive 3.0.0
ok "…fails" order_is "failed"
ok "the order check" order check
ok "…is answered" order_is "done"
ok "the order journal" order journal
ok "…is answered" order_is "done"
ok "…with the journal of this boot" api_wait "/v1/hosts/$id/journal" \
	'.items | any(.version == "2.0.0" and (.text | test("the end of --boot=0")))'
ok "the order reboot" order reboot
ok "…is carried out" agent_wait_reboot
agent_boot
ok "…answered" order_is "done"
ok "…and not again" agent_wait '.state == "idle" and .fleet.state == "joined"'
is "nobody rebooted once more" "$agent_boots" 5

ok "the fleet wants it back on 1.0.0" api POST "/v1/hosts/$id/release" '{"version":"1.0.0","verb":"return"}'
ok "the host goes back" agent_wait_reboot
agent_boot
is "…to 1.0.0" "$booted" "$v1"
ok "…and stays" agent_wait '.state == "idle" and .booted.version == "1.0.0" and (.failed[0].kind == "held")'
ok "the fleet wants 2.0.0 once more" api POST "/v1/hosts/$id/release" '{"version":"2.0.0","verb":"update"}'
ok "what was left for the fleet is taken for the fleet" agent_wait_reboot
agent_boot
is "…2.0.0" "$booted" "$v2"
ok "…is good" agent_wait '.state == "idle" and .deployments[0].good == true'

# ---- the server's absence ----

fleet_stop
ok "the server is gone: the host says so" agent_wait '.fleet.last_error != null'
like "…since when" "$(ctl why)" 'the fleet has not been reached since 20'
ok "everything goes on" ctl check --wait
ok "…an update by hand too" ctl update 4.0.0
ok "…is taken" agent_wait_reboot
agent_boot
ok "…and good, without any server" agent_wait '.state == "idle" and .booted.version == "4.0.0" and .deployments[0].good == true'
ok "the server is back" fleet_start "$tmp/server"
ok "…and hears what happened meanwhile" api_wait "/v1/hosts/$id" '.version == "4.0.0"'
fleet_stop
fleet_configure "$tmp/impostor"
ok "another server takes its place" fleet_start "$tmp/impostor"
ok "…and is not believed" agent_wait '.fleet.last_error // "" | test("certificate|verif|signer|issuer"; "i")'
fleet_stop
ok "the right one is back" fleet_start "$tmp/server"
ok "…and believed" agent_wait '.fleet.last_error == null and .fleet.state == "joined"'

# ---- certificates ----

serial()
{
	openssl x509 -in "$host/var/lib/ashlar-link/fleet/certificate.pem" -noout -serial
}
# Until the host has another certificate than $before; it stands as joined meanwhile.
has_another()
{
	local i
	for ((i = 0; i < 300; i++)); do
		[ "$(serial)" = "$before" ] || return 0
		sleep 0.2
	done
	return 1
}
agent_stop
ok "a certificate with little time left" fleet_certify "$host" -40 +10
before=$(serial)
ok "the host starts with it" agent_start
ok "…renews it" has_another
ok "…and is known" agent_wait '.fleet.state == "joined" and .fleet.last_error == null'
is "…of the same key" "$(ctl status --json | jq -r .fleet.id)" "$id"
agent_stop
ok "a certificate that has ended" fleet_certify "$host" -90 -30
before=$(serial)
agent_start
ok "joins again, the token being used up" has_another
ok "…and is known" agent_wait '.fleet.state == "joined" and .fleet.last_error == null'

# ---- who may not ----

second()
(
	agent_at "$tmp/b"
	[ -d "$host" ] || cp -a "$tmp/template" "$host"
	agent_bus
	fleet_document "$host" "$1"
	agent_boot || exit 1
	shift
	"$@"
	code=$?
	agent_stop
	exit "$code"
)
ok "a token that is used up is refused, and status says why" second "$one" agent_wait \
	'.fleet.state == "refused" and (.fleet.text | length > 5)'
gate=$(api POST /v1/tokens '{"note":"gate","uses":2,"needs_approval":true}' | jq -r .secret)
approved()
{
	agent_wait '.fleet.state == "pending"' &&
		api POST "/v1/hosts/$(ctl status --json | jq -r .fleet.id)/approve" '{}' &&
		agent_wait '.fleet.state == "joined"'
}
ok "with another token the host joins anew, once it is approved" second "$gate" approved

# A copied disk: the same key, another machine.
clone()
(
	agent_boots=100
	agent_at "$tmp/c"
	agent_bus
	agent_boot && agent_wait '.fleet.state == "joined" or .fleet.state == "held"' && agent_kill &&
		sleep_until_held
)
sleep_until_held()
{
	agent_boot
	agent_wait '.fleet.state == "held"' 60
	local code=$?
	agent_stop
	return "$code"
}
agent_stop
mkdir -p "$tmp/c"
cp -a "$host" "$tmp/c/host"
agent_start
ok "a host whose disk was copied" agent_wait '.fleet.state == "joined"'
clone &
clone_pid=$!
both_speak()
{
	local i
	for ((i = 0; i < 60; i++)); do
		status_is '.fleet.state == "held"' && return 0
		order facts
		sleep 1
	done
	return 1
}
ok "is held when both speak" both_speak
like "…and says so" "$(ctl why)" 'held'
ok "…and so is the copy" wait "$clone_pid"
ok "an operator lets it go on" api POST "/v1/hosts/$id/release-hold" '{"reason":"the copy is gone"}'
# A host that is held asks again every five to ten minutes, and when it starts.
agent_stop
agent_start
ok "…and it does" agent_wait '.fleet.state == "joined"'

ok "the order forget" order forget
ok "the host leaves" agent_wait '.fleet.state == "left"'
for ((i = 0; i < 100; i++)); do
	[ -e "$host/var/lib/ashlar-link/fleet/identity.json" ] || break
	sleep 0.2
done
is "…and its key is put aside" "$(ls "$host/var/lib/ashlar-link/fleet")" "certificate.pem.old
identity.json.old
lock
seq"
agent_stop
empty "no token is in a log" "$(grep -lF -e "${one#*.}" -e "${gate#*.}" "$tmp"/*/*.log "$tmp"/*.log)"

[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp"/a/ashlard.log "$tmp"/a/link.log "$tmp/fleetd.log")"
done_testing
