#!/bin/bash
# needs: root dbus-daemon jq ostree openssl mkfs.ext4
# SPDX-License-Identifier: Apache-2.0
# The edges of a host's life: no space, a server that is gone or lies, files that are
# broken, orders at the wrong time. What a person sees then, and that it goes on when the cause is gone.
. tests/lib/tap.sh
. tests/lib/agent.bash

"$ashlar" key make --no-passphrase "$keys" >"$tmp/out" 2>&1
cp "$keys/root.json" "$tmp/root.json"
commits=()
for n in 1 2 3 4 5 6; do
	commits[n]=$(agent_commit "$n.0.0")
done
mkdir -p "$tmp/bad/usr/lib/ashlar/health.d"
printf 'soak: 0s\ndeadline: 10s\nchecks:\n  - {name: never, file: /nonexistent, interval: 1s, failures: 1}\n' \
	>"$tmp/bad/usr/lib/ashlar/health.d/10-test.yaml"
bad=$(agent_commit 9.0.0 "$tmp/bad")
mkdir -p "$tmp/slow/usr/lib/ashlar/health.d"
printf 'soak: 5s\ndeadline: 1h\n' >"$tmp/slow/usr/lib/ashlar/health.d/10-test.yaml"
slow=$(agent_commit 8.0.0 "$tmp/slow")

# publish_to PUBLICATION COMMIT [ARGUMENT…]
publish_to()
{
	"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$1" "$2" &&
		"$ashlar" publish --quiet --keys "$keys" "${@:3}" "$1"
}

www=$tmp/www
mkdir "$www"
ok "version 1 is published" publish_to "$www/base" "${commits[1]}"
cp -a "$www/base" "$www/two"
ok "version 2" publish_to "$www/two" "${commits[2]}"
serve "$www"
agent_bus
agent_at "$tmp/template"
agent_host "${commits[1]}" 1.0.0
template=$host
agent_at "$tmp"

manual='  automatic: false
'

# host PUBLICATION [SETTINGS]: version 1 as its image left it, started.
host()
{
	agent_kill
	unmount_all
	chattr -R -i "$host/sysroot/ostree/deploy" 2>/dev/null
	rm -rf "$host"
	cp -a "$template" "$host"
	agent_url=http://127.0.0.1:$port/$1
	agent_settings=${2-$manual}
	agent_env=(ASHLAR_WAIT=4)
	agent_wrap=()
	: >"$serve_faults"
	: >"$tmp/ashlard.log"
	agent_boot && agent_live '.state == "idle" and .booted.version == "1.0.0"'
}

# order ARGUMENT…: as ctl, but not in the middle of a check that comes by itself.
order()
{
	local i code
	for ((i = 0; i < 100; i++)); do
		ctl "$@" 2>"$tmp/order"
		code=$?
		grep -q 'while the host is checking' "$tmp/order" || break
		sleep 0.1
	done
	cat "$tmp/order" >&2
	return "$code"
}

unmount_all()
{
	umount "$host/sysroot" "$host/efi" "$host/var/lib/ashlar" 2>/dev/null
}
at_exit+=("agent_kill; unmount_all")

good()
{
	agent_live ".state == \"idle\" and .booted.version == \"$1\" and .deployments[0].good and .deployments[0].tries_left == null" 30 && return
	ctl status --json
	ctl history --json | jq -c '.events[] | [.event, .version, .word, .text]'
	return 1
}

# event EVENT: of the last such one, a member each line.
event()
{
	ctl history --json -n 1000 | jq -r --arg e "$1" '[.events[] | select(.event == $e)] | last | .word // "", .text // ""'
}

why()
{
	ctl why --json | jq -r "$1"
}

booted_is()
{
	status_is ".booted.version == \"$1\""
}

# What is on the disk and must not change when an update is refused.
listing()
{
	find "$host/efi" "$host/sysroot/ostree/deploy" "$host/sysroot/ostree/by-commit" -maxdepth 3 | sort | sha256sum
}

# ---- no space ----

# disk MKFS SIZE DIRECTORY [ARGUMENT…]: a file system of its own, with what was there.
disk()
{
	local image=$tmp/${3##*/}.img
	rm -f "$image"
	truncate -s "$2" "$image"
	"$1" "${@:4}" "$image" >/dev/null 2>&1 || return
	mv "$3" "$3.was" && mkdir "$3" && mount -o loop "$image" "$3" && cp -a "$3.was/." "$3/"
	rm -rf "$3.was"
}

fill()
{
	fallocate -l "$(($(df --output=avail -B1 "$1" | tail -n 1) - $2))" "$1/filler"
}

host two
agent_kill
if disk mkfs.ext4 64M "$host/sysroot" -N 3000 && disk mkfs.ext4 3M "$host/efi" -b 1024 -O ^has_journal -m 0; then
	agent_start
	agent_live '.state == "idle"'
	fill "$host/sysroot" 1000000
	before=$(listing)
	exits 7 "a full root: the update is refused" order update --wait
	stderr_like "…with the figures" 'root needs [0-9.]+ .B \([0-9]+ bytes\) and [0-9]+ inodes, has .*: free [0-9.]+ .B'
	like "…the history has them" "$(event refused)" '^space'
	is "…nothing was changed" "$(listing)" "$before"
	ok "…it is not held against the release" status_is '.failed == [] and .available.version == "2.0.0"'
	rm "$host/sysroot/filler"
	inodes=$(df --output=iavail "$host/sysroot" | tail -n 1)
	mkdir "$host/sysroot/fill"
	(cd "$host/sysroot/fill" && seq $((inodes - 20)) | xargs touch)
	exits 7 "no inodes on root: refused" order update --wait
	stderr_like "…with the figures" 'has .* and [0-9]+ inodes: free [0-9]+ inodes'
	rm -rf "$host/sysroot/fill"
	head -c 8000000 /dev/zero >"$host/efi/filler" 2>/dev/null
	exits 7 "a full ESP: refused" order update --wait
	stderr_like "…with the figures" 'the ESP needs [0-9.]+ .B \([0-9]+ bytes\), has'
	is "…nothing was changed" "$(rm "$host/efi/filler"; listing)" "$before"
	ok "with room again it goes on" order update
	ok "…to version 2" good 2.0.0
else
	skip "full root, full ESP" "no loop devices"
fi

# ---- a full /var in a trial ----

host two
order update >"$tmp/out"
agent_wait_reboot
mount -t tmpfs -o size=64k tmpfs "$host/var/lib/ashlar" && cat /dev/zero >"$host/var/lib/ashlar/filler" 2>/dev/null
agent_boot
ok "a full /var: the trial is judged" agent_live '.booted.version == "2.0.0" and .deployments[0].good and .deployments[0].tries_left == null'
unlike "…the boot entry has no counter" "$(ls "$host/efi/loader/entries")" '\+'
umount "$host/var/lib/ashlar"

# ---- the source ----

host two
agent_kill
agent_url=http://127.0.0.1:9
agent_enter
agent_start
agent_live '.state == "idle"'
exits 6 "the server is gone: a check says so" order check --wait
is "…the status has the word" "$(ctl status --json | jq -r .source.word)" offline
like "…and why" "$(why .blocker)" '127\.0\.0\.1'
ok "a bundle is made" "$ashlar" bundle --quiet --output "$tmp/two.bundle" "$www/two" 2.0.0
ok "…and taken without a server" order bundle "$tmp/two.bundle"
ok "…version 2 runs" good 2.0.0
is "…its unpacked content is gone" "$(find "$host/var/lib/ashlar/bundle" -type f 2>/dev/null | wc -l)" 0

cp -a "$www/base" "$www/expired"
ok "metadata that ends at once" publish_to "$www/expired" "${commits[2]}" --timestamp-expiry=1s
host expired
sleep 1
exits 5 "expired metadata are refused" order update --wait
like "…by name" "$(event refused)" '^expired'
ok "renewed" "$ashlar" publish --quiet --keys "$keys" "$www/expired"
ok "…they are taken" order update
ok "…version 2 runs" good 2.0.0

host two
echo '*/deltas/* wrong 0' >"$serve_faults"
ok "a delta that is broken on the server" order update
ok "…loose objects by itself" good 2.0.0
is "…as the history says" "$(event fetched | head -n 1)" objects

host two
echo '*/repo/* status 404 0
*/deltas/* status 404 0' >"$serve_faults"
exits 6 "a release that goes away in the middle" order update --wait
like "…is told" "$(event fetch-failed)" '404|gone|not there'
ok "…and version 1 stays" booted_is 1.0.0
: >"$serve_faults"
ok "it comes back" order update
ok "…version 2 runs" good 2.0.0

# ---- files that are broken ----

agent_kill
echo '{"format":1,"state":"tri' >"$host/var/lib/ashlar/state.json"
head -c 700000 /dev/urandom >"$host/var/lib/ashlar/history.jsonl"
agent_start
ok "a broken state.json and history: it comes up" agent_live '.state == "idle" and .booted.version == "2.0.0"'
ok "…they are put aside" [ -e "$host/var/lib/ashlar/state.json.broken" ]
like "…and it says so" "$(event degraded)" 'state.json was broken and is put aside'
ok "…a check is fine" order check --wait
for n in 1 2 3; do
	head -c $((n * 3000)) /dev/urandom >>"$host/var/lib/ashlar/history.jsonl"
done
agent_kill
agent_start
agent_live '.state == "idle"'
ok "noise in the history: what is whole is read" ctl history
like "…and the rest is not" "$(ctl history --json | jq -r '.events[].event')" booted

# The agent's memory from before: what runs says that version 1 is a downgrade.
host two
agent_kill
cp -a "$host/var/lib/ashlar" "$tmp/memory"
agent_start
order update >"$tmp/out"
good 2.0.0 >"$tmp/out"
agent_kill
rm -rf "$host/var/lib/ashlar"
cp -a "$tmp/memory" "$host/var/lib/ashlar"
rm -rf "$tmp/memory" "$host"/var/lib/ashlar-link/*
agent_url=http://127.0.0.1:$port/base
agent_enter
agent_start
agent_live '.state == "idle"'
ctl check --wait >/dev/null 2>&1
ok "an older memory and an older server: version 2 stays" booted_is 2.0.0
exits 8 "…version 1 is no update" order update --wait 1.0.0
ok "…still" agent_live '.state == "idle" and .booted.version == "2.0.0"'

# ---- orders at the wrong time ----

cp -a "$www/base" "$www/slow"
ok "version 8 takes its time" publish_to "$www/slow" "$slow"
host slow
ok "automatic: false, and something is there" order check --wait
ok "…it is shown" status_is '.available.version == "8.0.0" and .state == "idle"'
like "…why: updates are not automatic" "$(why .blocker)" "run 'ashlarctl update'"
ok "one order" order update
exits 1 "another one at the same time is refused" ctl update
stderr_like "…with the state" "'update' is not possible while the host is"
agent_live '.state == "trial"'
exits 1 "an update in a trial is refused" ctl update
stderr_like "…and says what to do" 'while the host is trial: wait for the verdict, or roll back'
ok "the trial ends well" good 8.0.0

# ---- the fallback is bad too ----

cp -a "$www/base" "$www/bad"
ok "version 9 is bad" publish_to "$www/bad" "$bad"
host bad
order update >"$tmp/out"
agent_wait_reboot
agent_boot
# What it could return to is not there any more.
rm "$host"/efi/ashlar/"${commits[1]:0:16}"/vmlinuz
ok "nothing to go back to: the host stays up, degraded" agent_live '.degraded != null and .booted.version == "9.0.0"'
like "…and says so" "$(ctl status)" 'nothing to go back to'
is "…why: stuck" "$(why .answer)" stuck
ok "…version 9 is remembered" status_is '.failed[0].version == "9.0.0"'

# ---- the disk over many releases ----

host two "  automatic: true
  keep: 2
"
good 2.0.0 >"$tmp/out"
ok "a deployment is pinned" ctl pin 1.0.0
used=
for n in 3 4 5 6; do
	publish_to "$www/two" "${commits[n]}" >"$tmp/out" 2>&1
	good "$n.0.0" >"$tmp/out" || fail "version $n runs" "$(ctl status)"
	used+=" $(du -s --block-size=1000000 "$host/sysroot" | cut -f 1)"
done
ok "four more releases: the last runs" booted_is 6.0.0
is "two are kept, and the pinned one" "$(ctl status --json | jq -r '[.deployments[].version] | join(" ")')" "6.0.0 5.0.0 1.0.0"
read -ra used <<<"$used"
ok "disk use stays flat: ${used[*]} MB" [ "${used[3]}" -le $((used[1] + 1)) ]
empty "nothing is left in tmp" "$(find "$host/sysroot/ostree/repo/tmp" -type f)"
empty "…in staging" "$(find "$host/var/lib/ashlar-link" -type f -not -path '*/tuf/*' -not -path '*/metadata/*' -not -path '*/targets/*')"
is "…on the ESP" "$(find "$host/efi/ashlar" -mindepth 1 -maxdepth 1 | wc -l)" 3
ok "unpinned" ctl unpin 1.0.0

# ---- back, by order ----

ok "version 6 is recalled" "$ashlar" recall --quiet --keys "$keys" "$www/two" 6.0.0 --to 5.0.0 --reason "It bites"
ok "the recall is followed by itself" good 5.0.0
like "…and told" "$(event recalled)" .
[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp/ashlard.log" "$tmp/link.log")"
agent_stop
done_testing
