#!/bin/bash
# needs: root dbus-daemon jq ostree openssl
# SPDX-License-Identifier: Apache-2.0
# A host's life from the agent's side, with everything real but the machine: releases are signed and
# published, served by a web server, fetched by ashlar-link, judged, deployed, tried, left again.
. tests/lib/tap.sh
. tests/lib/agent.bash

agent_bus
ok "keys are made" "$ashlar" key make --no-passphrase "$keys"
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
v2=$(agent_commit 2.0.0)
mkdir -p "$tmp/bad/usr/lib/ashlar/health.d"
printf 'soak: 0s\ndeadline: 10s\nchecks:\n  - {name: never, file: /nonexistent, interval: 1s, failures: 1}\n' \
	>"$tmp/bad/usr/lib/ashlar/health.d/10-test.yaml"
v3=$(agent_commit 3.0.0 "$tmp/bad")
v4=$(agent_commit 4.0.0)

# publish_version COMMIT [ARGUMENT…]
publish_version()
{
	"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$@" &&
		"$ashlar" publish --quiet --keys "$keys" "$pub"
}
ok "version 1 is published" publish_version "$v1"
serve "$pub"
agent_url=http://127.0.0.1:$port
agent_host "$v1" 1.0.0

ok "the boot loader starts version 1" agent_boot
ok "ashlard comes up and finds nothing new" agent_wait '.state == "idle" and .booted.version == "1.0.0"'
ok "a check says so" ctl check --wait
like "status, for people" "$(ctl status)" '1\.0\.0'
ctl why --json >"$tmp/why"
is "why: up to date" "$(jq -r .answer "$tmp/why")" "up to date"

# A workload that the host wants comes with the same check.
workloads=$host/var/lib/ashlar/workload
mkdir -p "$workloads/signed/web"
printf '%s\n' 'workload: web' 'version: 1.0' "image: oci:registry.example/web@sha256:$(printf '0%.0s' {1..64})" >"$tmp/web.yaml"
ok "a workload is released" "$ashlar" workload release --quiet --keys "$keys" --publication "$pub" "$tmp/web.yaml"
ok "version 2 is published" publish_version "$v2" --notes "Second"
ok "…and found" ctl check --wait
is "…and the definition is here, as it was signed" "$(jq -r .image "$workloads/signed/web/1.0.json")" \
	"oci:registry.example/web@sha256:$(printf '0%.0s' {1..64})"
ctl status --json >"$tmp/status"
is "…with its notes" "$(jq -r '.available.version + " " + .available.notes' "$tmp/status")" "2.0.0 Second"
echo "changed here" >"$host/etc/kept.conf"
echo "new here" >"$host/etc/new.conf"
ok "an update is ordered" ctl update
ok "…and the machine reboots" agent_wait_reboot
ok "…into version 2" agent_boot
is "…it is" "$booted" "$v2"
like "…with a counter" "${loader_entry##*/}" '\+2-1\.conf$'
ok "it is tried, found good and blessed" agent_wait '.state == "idle" and .booted.version == "2.0.0" and (.deployments[0].good == true) and (.deployments[0].tries_left == null)'
is "/etc: what was changed here stays" "$(cat "$host/etc/kept.conf" "$host/etc/new.conf")" "changed here
new here"
is "/etc: what was not comes from the release" "$(cat "$host/etc/issue")" "version 2.0.0"
like "it came as a delta" "$(ctl history --json | jq -r '.events[] | select(.event == "fetched") | .word' 2>/dev/null)" '^delta$'

ok "version 3, which is bad, is published" publish_version "$v3"
ok "it is ordered" ctl update
ok "…the machine reboots into it" agent_wait_reboot
ok "…it starts" agent_boot
is "…it is version 3" "$booted" "$v3"
ok "it is judged bad, and left" agent_wait_reboot
ok "the boot loader returns" agent_boot
is "…to version 2" "$booted" "$v2"
ok "the host is idle again" agent_wait '.state == "idle" and .booted.version == "2.0.0"'
ctl status --json >"$tmp/status"
is "the bad commit is remembered" "$(jq -r '.failed[] | .version + " " + .kind' "$tmp/status")" "3.0.0 bad"
like "…with its reason" "$(jq -r '.failed[0].reason' "$tmp/status")" 'never'
ok "a check" ctl check --wait
ctl why --json >"$tmp/why"
is "why: it is refused" "$(jq -r '.answer + " " + .refused[0].version + " " + .refused[0].reason' "$tmp/why")" "refused 3.0.0 bad"
is "it happened once" "$(ctl history --json | jq '[.events[] | select(.event == "bad")] | length')" 1

ok "version 4 is published" publish_version "$v4"
ok "…and taken" ctl update
agent_wait_reboot && agent_boot
is "version 4 runs" "$booted" "$v4"
ok "…and is good" agent_wait '.state == "idle" and .deployments[0].good == true'
ok "rollback" ctl rollback
ok "…reboots" agent_wait_reboot
agent_boot
is "…to version 2" "$booted" "$v2"
ok "…and stays there" agent_wait '.state == "idle" and .booted.version == "2.0.0"'
ok "a check does not undo it" ctl check --wait
is "…for it is held" "$(ctl why --json | jq -r '.refused[0].reason')" held
ok "and back again" ctl rollback 4.0.0
agent_wait_reboot && agent_boot
is "version 4 again" "$booted" "$v4"
ok "…idle" agent_wait '.state == "idle"'

ok "version 4 is recalled" "$ashlar" recall --quiet --keys "$keys" "$pub" 4.0.0 --to 2.0.0 --reason "It bites"
ok "forgiven, 2 may be taken" ctl forgive all
ok "the order is followed" ctl update
agent_wait_reboot && agent_boot
is "version 2 by recall" "$booted" "$v2"
ok "…is good again" agent_wait '.state == "idle" and .booted.version == "2.0.0"'
agent_stop
[ "$test_failed" -eq 0 ] || diag "$(tail -n 60 "$tmp/ashlard.log" "$tmp/link.log")"
done_testing
