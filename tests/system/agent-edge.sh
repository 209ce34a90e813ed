#!/bin/bash
# needs: root dbus-daemon jq ostree openssl mkfs.ext4
# SPDX-License-Identifier: Apache-2.0
# The edges of a host's life: no space, a server that is gone or lies. What a person sees then, and that it goes on when the cause is gone.
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
# shellcheck disable=SC2034
bad=$(agent_commit 9.0.0 "$tmp/bad")
mkdir -p "$tmp/slow/usr/lib/ashlar/health.d"
printf 'soak: 5s\ndeadline: 1h\n' >"$tmp/slow/usr/lib/ashlar/health.d/10-test.yaml"
# shellcheck disable=SC2034
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

publish_bad()
{
	[ -e "$www/bad" ] || cp -a "$www/base" "$www/bad"
	publish_to "$www/bad" "$bad"
}

# What is in /var stays; there is room for nothing more.
full_var()
{
	cp -a "$host/var/lib/ashlar" "$tmp/var-was"
	mount -t tmpfs -o size=512k tmpfs "$host/var/lib/ashlar"
	cp -a "$tmp/var-was/." "$host/var/lib/ashlar/"
	rm -rf "$tmp/var-was"
	cat /dev/zero >"$host/var/lib/ashlar/filler" 2>/dev/null
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
# What has to be on disk before it begins does not begin, and says why.
order check >"$tmp/out" 2>&1
ok "…a check waits for room" agent_live '.degraded | test("cannot be written.*No space left")'
is "…and why says so" "$(ctl why --json | jq -r .answer)" stuck
rm "$host/var/lib/ashlar/filler"
ok "…with room again it goes on" agent_live '.state == "idle" and .degraded == null'
umount "$host/var/lib/ashlar"

# ---- a release that fills /var ----

ok "version 9, which fails its check" publish_bad
host bad
order update >"$tmp/out"
agent_wait_reboot
full_var
agent_boot
ok "it fills /var and fails: the host returns" agent_live \
	'.booted.version == "1.0.0" and .state == "idle" and any(.failed[]; .version == "9.0.0" and .kind == "bad")'
like "…what failed is told" "$(ctl status --json | jq -r '.failed[].reason')" never
order update --wait 9.0.0 >"$tmp/out" 2>&1
ok "…it is not tried again" status_is '.booted.version == "1.0.0" and any(.failed[]; .version == "9.0.0")'
rm "$host/var/lib/ashlar/filler"
ok "with room again it is written down" agent_live '.state == "idle" and .degraded == null'
agent_reboot
agent_live '.state == "idle" and .booted.version == "1.0.0"'
exits 8 "…and remembered after a reboot" order update --wait 9.0.0
is "…it happened once" "$(ctl history --json | jq '[.events[] | select(.event == "bad")] | length')" 1
agent_kill
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

cp -a "$www/base" "$www/expired"
ok "metadata that ends at once" publish_to "$www/expired" "${commits[2]}" --timestamp-expiry=1s
host expired
sleep 1
exits 5 "expired metadata are refused" order update --wait
like "…by name" "$(event source-failed)" '^expired'
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

[ "$test_failed" -eq 0 ] || diag "$(tail -n 40 "$tmp/ashlard.log" "$tmp/link.log")"
agent_stop
done_testing
