#!/bin/bash
# needs: root vm apt jq qemu-img sfdisk mcopy fsck.vfat
# SPDX-License-Identifier: Apache-2.0
# The power may go at any instant of a real machine's update. QEMU records the disk's writes and flushes
# from power-on of the first boot: systemd-repart making /var, the release found good, the update ordered,
# deployed, the firmware's and systemd-boot's own writes to the ESP (FAT, which has no journal), the trial,
# the blessing, until the machine is idle again. Then every flush prefix, and random, reordered and torn
# subsets of what was not flushed, become disks of their own, and each must lead a model of firmware, boot
# loader and initramfs (tests/lib/vm-crash-check.sh) to the whole old or the whole new deployment. One
# machine has its root on ext4's default mode, one on data=writeback.
#
# States: ASHLAR_CRASH_STATES (default 150 over both). ASHLAR_CRASH_OUT: a directory that gets each
# state's verdict, as lines of JSON.
. tests/lib/tap.sh
. tests/lib/vm.bash
. tests/lib/vm-update.bash
. tests/lib/vm-pair.bash

states=${ASHLAR_CRASH_STATES:-150}
seed=${ASHLAR_CRASH_SEED:-1}
tools=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}
out=${ASHLAR_CRASH_OUT:-}
scratch=/dev/shm
[ -d $scratch ] || scratch=$tmp
export CRASH=$tmp/crash MTOOLS_SKIP_CHECK=1
mkdir -p "$CRASH"

ok "two releases and an image" pair_begin
[ "$test_failed" -eq 0 ] || done_testing
ok "…on a plain disk" qemu-img convert -O raw "$image" "$tmp/ordered.raw"
esp=$(sfdisk -J "$tmp/ordered.raw" | jq '.partitiontable.partitions[] | select(.name == "ashlar-esp") | .start * 512')
esp_size=$(sfdisk -J "$tmp/ordered.raw" | jq '.partitiontable.partitions[] | select(.name == "ashlar-esp") | .size * 512')
ok "the model of the boot loader finds the image's entry" \
	sh -c "$tools/fat-boot $tmp/ordered.raw $esp >$tmp/model"
is "…and nothing to complain of" "$(cut -d ' ' -f 1,3,4 "$tmp/model")" "entry -1 $old"

# What each deployment is made of: its files by path and object ("empty MODE" for those without content),
# kernel and initramfs.
echo "$old old" >"$CRASH/commits"
echo "$new new" >>"$CRASH/commits"
# shellcheck disable=SC2317
expect()
{
	local commit=$1 kernel
	ostree --repo="$tmp/repo" ls -RC "$commit" >"$CRASH/ls" || return
	sed -n 's,^-0*\([0-7]*\) *0 *0 *0 [0-9a-f]* /\(.*\),\2\tempty \1,p
		t
		s,^-[^/]* \([0-9a-f]\{64\}\) /\(.*\),\2\t\1,p' "$CRASH/ls" | LC_ALL=C sort >"$CRASH/$commit.files"
	sed -n "s,^l[^/]* /,,p" "$CRASH/ls" | LC_ALL=C sort >"$CRASH/$commit.links"
	kernel=$(sed -n 's,^usr/lib/modules/\([^/]*\)/vmlinuz\t.*,\1,p' "$CRASH/$commit.files")
	for file in vmlinuz initramfs.img; do
		ostree --repo="$tmp/repo" cat "$commit" "/usr/lib/modules/$kernel/$file" | sha256sum |
			cut -d ' ' -f 1
	done >"$CRASH/$commit.boot"
	[ "$(wc -l <"$CRASH/$commit.files")" -gt 100 ] && [ "$(wc -l <"$CRASH/$commit.boot")" -eq 2 ]
}
ok "it is known what is in the old release" expect "$old"
ok "…and in the new one" expect "$new"

# The second machine's root is mounted otherwise; what the owner added to an entry goes to the next one.
# shellcheck disable=SC2317
writeback()
{
	cp --sparse=always "$tmp/ordered.raw" "$tmp/writeback.raw"
	mcopy -n -i "$tmp/writeback.raw@@$esp" "::/loader/entries/*.conf" "$tmp/" || return
	sed -i 's/ console=/ rootflags=data=writeback,commit=1&/' "$tmp"/ashlar-*.conf
	grep -q rootflags "$tmp"/ashlar-*.conf &&
		mcopy -o -i "$tmp/writeback.raw@@$esp" "$tmp"/ashlar-*.conf ::/loader/entries/
}
ok "an image whose root is in writeback mode" writeback

# record NAME: from power-on until it is idle in the new release; entries of the log in $tmp/NAME.at
record()
{
	local name=$1 dir
	dir=$(vm_dir "$name")
	vm_make "$name" "$tmp/$name.raw"
	: >"$tmp/$name.log"
	echo "driver=blklogwrites,log-sector-size=512,file.driver=qcow2,file.discard=unmap,file.file.driver=file,file.file.filename=$dir/disk.qcow2,log.driver=file,log.filename=$tmp/$name.log" >"$dir/drive"
	vm_credential "$name" ashlar.host "$(host_document "hostname: $name")"
	vm_start "$name"
	vm_up "$name" 400 && pair_settled "$name" 1.0.0 400 || return
	vm_do "$name" 30 @write /etc/ashlar-test-mine edited
	vm_do "$name" 30 @cat /proc/mounts
	echo "$vm_out" >"$tmp/$name.mounts"
	vm_do "$name" 30 @sync
	"$tools/crash-states" --count "$tmp/$name.log" >"$tmp/$name.at"
	vm_do "$name" 60 /usr/bin/ashlarctl update && pair_settled "$name" 2.0.0 900 || return
	vm_do "$name" 30 @sync
	vm_do "$name" 30 @cat /proc/mounts
	echo "$vm_out" >>"$tmp/$name.mounts"
	vm_stop "$name"
	# All of the log: while QEMU runs, the count in its head may lag behind.
	"$tools/crash-states" --count "$tmp/$name.log" >>"$tmp/$name.at"
}

# In shells of their own, side by side.
side()
{
	at_exit=()
	trap vm_stop_all EXIT
	record "$1" >"$tmp/$1.out" 2>&1
}
side ordered &
sides=($!)
side writeback &
sides+=($!)
at_exit+=("kill ${sides[*]}; wait ${sides[*]}")
ok "an update of a real machine is recorded" wait "${sides[0]}"
ok "…and one with its root in writeback mode" wait "${sides[1]}"
if [ "$test_failed" -gt 0 ]; then
	for name in ordered writeback; do
		diag "$(cat "$tmp/$name.out"; vm_console "$name" | tail -n 40)"
	done
	done_testing
fi
like "…before and after the update" "$(grep -c 'data=writeback' "$tmp/writeback.mounts")" '^[2-9]|^..'

# check NAME PART STATES OPTION…: the states of one part of a recording
check()
{
	local name=$1 part=$2 count=$3 result=0 line
	shift 3
	export CRASH_PART=
	[ "$part" != "the ESP" ] || CRASH_PART=esp
	CRASH_STATES_ALL=1 "$tools/crash-states" "$tmp/$name.log" "$tmp/$name.raw" --states "$count" \
		--focus "$esp:$esp_size" --seed "$seed" --scratch "$scratch" "$@" \
		-- tests/lib/vm-crash-check.sh >"$tmp/states" 2>"$tmp/states.err" || result=$?
	[ -z "$out" ] || jq -c --arg r "vm-$name-$part" --argjson s "$seed" '{recording: $r, run: $s} + .' "$tmp/states" >>"$out/states.jsonl"
	line=$(jq -rs '.[-1] as $s | map(select(.verdict)) as $v |
		"\($s.states) states: \($s.old) old, \($s.new) new, \($s.bad) bad; \([$v[] | select(.verdict | test("swap"))] | length) in the swap, \([$v[] | select(.verdict | test("short|shared|tables|passed|fsck:"))] | length) with a FAT that fsck would mend; at most \($s.bound * 100000 | round / 1000) % are bad (95 %)"' "$tmp/states")
	diag "$name, $part, entries ${from:+$from to }${to:-}: $line"
	if [ $result -eq 0 ]; then
		pass "$name, $part: every state boots: $line"
	else
		fail "$name, $part: every state boots: $line" "$(grep '"bad' "$tmp/states" | head -n 5)
$(tail -n 5 "$tmp/states.err")"
	fi
	[ "$part" = "first boot" ] ||
		is "…and both were seen" "$(tail -n 1 "$tmp/states" | jq '.old >= .states / 5 and .new >= .states / 5')" true ||
		diag "$(jq -c 'select(.verdict) | {prefix, end, verdict}' "$tmp/states" | tail -n 5)"
}

for name in ordered writeback; do
	{ read -r from; read -r to; } <"$tmp/$name.at"
	check "$name" "first boot" $((states / 10)) --to "$from"
	check "$name" "the whole disk" $((states / 5)) --from "$from" --to "$to"
	check "$name" "the ESP" $((states / 5)) --from "$from" --to "$to" --alone
done
done_testing
