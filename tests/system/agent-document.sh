#!/bin/bash
# needs: root dbus-daemon jq ostree openssl
# SPDX-License-Identifier: Apache-2.0
# What a host was told wrongly: a mistake in agent.d, and a host document with which it reaches nobody.
. tests/lib/tap.sh
. tests/lib/agent.bash

"$ashlar" key make --no-passphrase "$keys" >"$tmp/out" 2>&1
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$v1" >"$tmp/out" 2>&1 &&
	"$ashlar" publish --quiet --keys "$keys" "$pub"
agent_bus
serve "$pub"
agent_url=http://127.0.0.1:$port
agent_host "$v1" 1.0.0
agent_env=(ASHLAR_WAIT=1)

# ---- agent.d

agent_boot
settings=$(readlink -f "$host/etc")/ashlar/agent.d
mkdir -p "$settings"
printf 'updates:\n  automatic: false\n  windows: ["Sat 02:00-03:00"]\n' >"$settings/50-ours.yaml"
agent_stop
agent_start
ok "settings without a mistake" agent_wait '.state == "idle" and .verdict == "good" and .warnings == []'
printf 'updates:\n  automatic: false\n  windows: ["Sat 2-3"]\n  tires: 4\n' >"$settings/50-ours.yaml"
agent_stop
agent_start
ok "with one the host is degraded" agent_wait '.state == "idle" and .verdict == "degraded"'
ctl status >"$tmp/status"
like "status says where" "$(cat "$tmp/status")" 'settings +/.*agent\.d/50-ours\.yaml:3:13: '
like "…each of them" "$(cat "$tmp/status")" "50-ours\\.yaml:4:3: unknown key 'tires'.*tries"
like "…and what holds" "$(cat "$tmp/status")" 'as it was before the mistake'
like "health says it" "$(ctl health)" 'ashlar/settings.*50-ours\.yaml:3:13'
printf 'updates:\n  automatic: maybe\n' >"$settings/60-new.yaml"
rm "$settings/50-ours.yaml"
agent_stop
agent_start
ok "a mistake in a new file" agent_wait '.verdict == "degraded"'
like "…keeps the host where it is" "$(ctl status)" 'no release is taken by itself'
rm "$settings/60-new.yaml"
agent_stop
agent_start
ok "mended" agent_wait '.state == "idle" and .verdict == "good" and .warnings == []'
agent_stop

# ---- the host document

# told TEXT: what the host is told at its next boots.
told()
{
	mkdir -p "$host/run/credentials/@system"
	echo "$1" >"$host/run/credentials/@system/ashlar.host"
}
# boot [SECONDS]: that a trial takes; without them longer than this test.
boot()
{
	agent_env=(ASHLAR_WAIT=1 ${1:+ASHLAR_TRIAL=$1})
	"$ashlar_bin/ashlar-provision" --root "$host" >"$tmp/out" 2>&1
	agent_boot
}
in_force()
{
	cat "$host/var/lib/ashlar/host.yaml"
}
trial=$host/var/lib/ashlar/host-trial.json
good="{hostname: one, updates: {url: \"$agent_url\"}}"
bad='{hostname: two, updates: {url: "http://127.0.0.1:9/x"}}'
told "$good"
boot
ok "a first document" agent_wait '.source.last_success != null'
ok "…is proven by contact" test "$(jq -r .proven "$trial")" = "$(in_force | sha256sum | cut -d ' ' -f 1)"
agent_stop

told "$bad"
boot 2
is "another one is in force" "$(in_force)" "$bad"
ok "it reaches nobody, and is left" agent_wait_reboot
boot
is "the one before is in force" "$(in_force)" "$good"
ok "…and reaches somebody" agent_wait '.source.last_success != null'
is "that settles it" "$(jq -r .final "$trial")" true
like "status says that it was left" "$(ctl status)" 'settings +the host document: .*no contact with it'
is "so does the host's health" "$(ctl status --json | jq -r .verdict)" degraded
is "the history has it" "$(ctl history --json | jq -r '[.events[] | select(.event == "document")] | length')" 2
agent_stop
boot
is "it is left at each boot" "$(in_force)" "$good"
agent_wait '.state == "idle"'
ok "forgiven" ctl forgive document
agent_stop

# Nobody is there at all: it is not the document.
exec 8>&-
boot 2
is "it is tried again" "$(in_force)" "$bad"
ok "…and left again" agent_wait_reboot
boot 2
is "the one before is in force again" "$(in_force)" "$good"
ok "…reaches nobody either" agent_wait_reboot
boot 2
is "so the new one comes back" "$(in_force)" "$bad"
ok "…and stays" agent_wait '.source.last_error != null'
is "nothing is tried any more" "$(jq -r '.left, .proven' "$trial")" "null
null"
agent_stop
[ "$test_failed" -eq 0 ] || diag "$(tail -n 60 "$tmp/ashlard.log" "$tmp/link.log")"
done_testing
