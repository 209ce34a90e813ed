#!/bin/bash
# needs: root vm apt jq qemu-img mke2fs
# SPDX-License-Identifier: Apache-2.0
# timeout: 2400
# A host's life: the first release from an image, the second by delta with other packages and files, the
# third by loose objects with another kernel where the archive has two, back, and forth again. Two
# machines, so that it is seen what is one machine's own; the second has 256 MB of memory, and gets its
# third release on a disk.
. tests/lib/tap.sh
. tests/lib/vm.bash
. tests/lib/vm-update.bash

ok "keys, a server, a lock" releases_begin
# The older kernel is the one of the release, the newer one that of the security archive.
old_kernel=()
new=$(sed -n 's/.*{name: linux-image-[0-9][^ ]*, *version: "\([^"]*\)".*/\1/p' "$tmp/m/lock.lock")
release_manifest pin "pins:" "  - {package: \"linux-image-*\", suite: trixie}"
if "$ashlar" lock --quiet --cache "$release_cache" --output "$tmp/m/pin.lock" "$tmp/m/pin.yaml" >/dev/null &&
	old=$(sed -n 's/.*{name: linux-image-[0-9][^ ]*, *version: "\([^"]*\)".*/\1/p' "$tmp/m/pin.lock") &&
	[ "$old" != "$new" ]; then
	old_kernel=("pins:" "  - {package: \"linux-image-*\", suite: trixie}")
fi

mark="  - {path: /usr/lib/ashlar-test/mark"
etc="  - {path: /etc/ashlar-test"
ok "the first release is built" release_build 1.0.0 "${old_kernel[@]}" "files:" \
	"$mark, content: one}" "$mark-old, content: gone}" "$etc-both, content: image-1}" \
	"$etc-mine, content: image-1}" "$etc-theirs, content: image-1}"
ok "…and an image of it" release_image 1.0.0
ok "the second, with another package and other files" release_build 2.0.0 "${old_kernel[@]}" \
	"packages: [iproute2]" "files:" "$mark, content: two}" "$mark-new, content: new}" \
	"$etc-both, content: image-2}" "$etc-mine, content: image-1}" "$etc-theirs, content: image-2}"
ok "the third, with another kernel" release_build 3.0.0 "files:" "$mark, content: three}" \
	"$etc-both, content: image-3}" "$etc-mine, content: image-1}" "$etc-theirs, content: image-3}"
ok "the first is published" release_publish 1.0.0

vm_make one "$image"
vm_credential one ashlar.host "$(host_document "hostname: one")"
vm_make two "$image"
vm_fw_cfg two ashlar.host "$(host_document "hostname: two" "ntp: [192.0.2.1]")"
# Each boots six times at most.
vm_lifetime_s=5400
small=256
vm_start one
vm_memory=$small vm_start two

# settled NAME VERSION SECONDS: it runs that version and has judged it good
# shellcheck disable=SC2317
settled()
{
	status_until "$1" "$3" \
		".booted.version == \"$2\" and .verdict == \"good\" and .state == \"idle\" and (.trial | not) and
			([.deployments[].tries_left // -1] | max) < 0"
}

ok "one comes up" vm_up one 600
ok "…in the first release, which it finds good" settled one 1.0.0 600
is "…and has the name that it was given" "$(vm_do one 30 @cat /proc/sys/kernel/hostname && echo "$vm_out")" one
ok "two comes up" vm_up two 600
ok "…and finds the release good" settled two 1.0.0 600
is "…and has its name from fw_cfg" "$(vm_do two 30 @cat /proc/sys/kernel/hostname && echo "$vm_out")" two
vm_do one 30 @cat /etc/machine-id
id=$vm_out
vm_do two 30 @cat /etc/machine-id
unlike "two machines of one image have different ids" "$id $vm_out" '^([0-9a-f]+) \1$'
vm_stop two

# ---- who may go out ---------------------------------------------------------------------------------

# connects UID GID: to the server of releases, by TCP
connects()
{
	vm_do one 30 @connect 10.0.2.2 "${releases_url##*:}" "$1" "$2"
}

vm_do one 30 @stat /var/lib/ashlar-link
read -r _ uid gid _ <<<"$vm_out"
unlike "the downloader is not root" "$uid" '^0?$'
exits 0 "the downloader's user may connect out" connects "$uid" "$gid"
exits 1 "root may not" connects 0 0
exits 1 "another user may not" connects 65534 65534
vm_do one 30 /usr/bin/systemctl show -P MainPID ashlard.service
vm_do one 30 @cat "/proc/$vm_out/net/dev"
is "ashlard sees no network" "$(sed -n 's/^ *\([^ :]*\):.*/\1/p' <<<"$vm_out" | xargs)" lo

# ---- the second, by delta ---------------------------------------------------------------------------

vm_do one 30 @write /etc/ashlar-test-mine edited
vm_do one 30 @write /etc/ashlar-test-both edited
vm_do one 30 @write /etc/ashlar-test-added edited
vm_do one 30 @write /var/lib/ashlar-test-mark kept
vm_do one 30 @sync
exits 0 "nothing is newer yet" vm_do one 120 /usr/bin/ashlarctl check --wait
ok "the second is published" release_publish 2.0.0
exits 0 "an update can be asked for" vm_do one 60 /usr/bin/ashlarctl update
ok "it boots the second and finds it good" settled one 2.0.0 900
[ "$test_failed" -eq 0 ] || vm_explain one
status one . >/dev/null
is "the first is still there to go back to" "$(jq -r '[.deployments[].version] | join(" ")' <<<"$vm_out")" \
	"2.0.0 1.0.0"
is "no entry is counted any more" "$(jq -r '[.deployments[].tries_left] | map(select(. != null and . >= 0)) | length' <<<"$vm_out")" 0
is "nothing could not be done" "$(vm_do one 30 /usr/bin/ashlarctl history --json &&
	jq -r '.events[] | select(.event == "degraded") | .text' <<<"$vm_out")" ""
like "the delta was fetched" "$(cat "$tmp/requests")" '/repo/deltas/[^ ]* 200'
unlike "…and no loose object" "$(cat "$tmp/requests")" '/repo/objects/.*\.filez'

# As docs/host.md says.
vm_do one 30 @cat /usr/lib/ashlar-test/mark /usr/lib/ashlar-test/mark-new
is "new files are there" "$vm_out" twonew
exits 1 "a file that went is gone" vm_do one 30 @cat /usr/lib/ashlar-test/mark-old
exits 0 "a program of the new package runs" vm_do one 30 @cat /usr/share/doc/iproute2/copyright
vm_do one 30 @cat /etc/ashlar-test-mine
is "/etc: what was changed here stays" "$vm_out" edited
vm_do one 30 @cat /etc/ashlar-test-both
is "/etc: …also where the release has another one" "$vm_out" edited
vm_do one 30 @cat /etc/ashlar-test-theirs
is "/etc: what was not is the release's" "$vm_out" image-2
vm_do one 30 @cat /etc/ashlar-test-added
is "/etc: what was added stays" "$vm_out" edited
vm_do one 30 @cat /var/lib/ashlar-test-mark
is "/var is the machine's" "$vm_out" kept
vm_do one 30 @cat /etc/machine-id
is "the machine is the same" "$vm_out" "$id"
is "its failed units" "$(vm_do one 60 /usr/bin/systemctl --failed --no-legend --plain; echo "$vm_out")" ""

# ---- the third, by objects --------------------------------------------------------------------------

: >"$tmp/requests"
vm_do one 30 @write /var/lib/ashlar-test-mark later
ok "the third is published, without deltas" release_publish 3.0.0 -- --no-deltas
mkdir "$tmp/media"
ok "…and put into one file, for a host without network" "$ashlar" bundle --quiet "$tmp/published" 3.0.0 \
	--output "$tmp/media/update.bundle"
ok "…on a disk" mke2fs -q -t ext4 -d "$tmp/media" "$tmp/media.raw" 256M
vm_disk two "$tmp/media.raw"
vm_memory=$small vm_start two
exits 0 "an update can be asked for" vm_do one 60 /usr/bin/ashlarctl update
ok "it boots the third and finds it good" settled one 3.0.0 900
like "loose objects were fetched" "$(cat "$tmp/requests")" '/repo/objects/.*\.filez'
vm_do one 30 @cat /proc/sys/kernel/osrelease
if [ ${#old_kernel[@]} -gt 0 ]; then
	like "the kernel is the new one" "$vm_out" "^${new%-*}\+"
else
	skip "the kernel is the new one" "the archive has one kernel only"
fi
status one . >/dev/null
is "two good deployments stay" "$(jq -r '[.deployments[].version] | join(" ")' <<<"$vm_out")" "3.0.0 2.0.0"

# ---- back, and forth --------------------------------------------------------------------------------

: >"$tmp/requests"
exits 0 "an operator goes back" vm_do one 60 /usr/bin/ashlarctl rollback
ok "two comes up, with $small MB of memory" vm_up two 600
vm_do two 30 @cat /proc/meminfo
ok "…not more" [ "$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' <<<"$vm_out")" -lt $((small << 10)) ]
ok "…it finds the first good" settled two 1.0.0 600
exits 0 "…it is asked for the second" vm_do two 60 /usr/bin/ashlarctl update 2.0.0
ok "it boots the second" settled one 2.0.0 900
vm_do one 30 @cat /usr/lib/ashlar-test/mark
is "…with its files" "$vm_out" two
vm_do one 30 @cat /var/lib/ashlar-test-mark
is "…and what /var had meanwhile" "$vm_out" later
is "what was left is held" "$(status one '.failed[] | select(.version == "3.0.0") | .kind')" held
vm_do one 120 /usr/bin/ashlarctl check --wait
is "…and not taken again" "$(status one '.booted.version + " " + .state')" "2.0.0 idle"
ok "two boots the second" settled two 2.0.0 900
like "…by its delta, with little memory" "$(cat "$tmp/requests")" '/repo/deltas/[^ ]* 200'
: >"$tmp/requests"
exits 0 "…and takes the disk" vm_do two 60 /usr/bin/mount -o ro,X-mount.mkdir /dev/vdb /run/media
exits 0 "…and the bundle on it" vm_do two 60 /usr/bin/ashlarctl bundle /run/media/update.bundle
exits 0 "it can be forgiven" vm_do one 60 /usr/bin/ashlarctl forgive 3.0.0
exits 0 "…and taken again" vm_do one 60 /usr/bin/ashlarctl update
ok "it boots the third again" settled one 3.0.0 900
ok "two boots the third, from the disk" settled two 3.0.0 900
vm_do two 30 @cat /usr/lib/ashlar-test/mark
is "…with its files" "$vm_out" three

# ---- what is told -----------------------------------------------------------------------------------

exits 0 "ashlarctl says why this release runs" vm_do one 60 /usr/bin/ashlarctl why
like "…which one" "$vm_out" 'runs 3\.0\.0'
exits 0 "ashlarctl tells what happened" vm_do one 60 /usr/bin/ashlarctl history --json
is "…from the first to the last" "$(jq -r '[.events[] | select(.event == "good" and .version != "1.0.0") |
	.version] | join(" ")' \
	<<<"$vm_out")" "2.0.0 3.0.0 3.0.0"
is "…with what an operator did" "$(jq -r '[.events[] | select(.event == "held" or .event == "forgiven") |
	.event] | join(" ")' <<<"$vm_out")" "held forgiven"
exits 0 "…for people too" vm_do one 60 /usr/bin/ashlarctl history
if [ "$test_failed" -gt 0 ]; then
	vm_explain one
	vm_explain two
fi
done_testing
