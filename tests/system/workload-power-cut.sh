#!/bin/bash
# needs: root dbus-daemon ostree jq busybox qemu-storage-daemon gcc
# SPDX-License-Identifier: Apache-2.0
# The power may go at any instant of a workload's update. The disk's writes and flushes are recorded while the daemon
# takes a workload from one signed version to the next; flush prefixes, and random subsets of what was not
# flushed, become disks of their own. Each comes up with the old or the new version whole, and its volume. A bug
# that is planted has to show first. States: ASHLAR_CRASH_STATES (default 40).
. tests/lib/tap.sh
. tests/lib/workload.bash

states=${ASHLAR_CRASH_STATES:-40}
seed=${ASHLAR_CRASH_SEED:-1}
tools=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}
export CRASH=$tmp/crash
mkdir -p "$CRASH" "$host"
scratch=/dev/shm
[ -d $scratch ] || scratch=$tmp

ok "the planted bug compiles" gcc -shared -fPIC -O2 -D_GNU_SOURCE -o "$tmp/shim.so" tests/lib/preload/crash-shim.c -ldl

# ---- a host on a disk, with one workload ---------------------------------------------------------------
# with_disk FILE COMMAND…: mounted at $host
with_disk()
{
	local file=$1 loop result=0
	shift
	loop=$(losetup -f --show "$file")
	mount -o "noatime,data=writeback,commit=1" "$loop" "$host" && "$@" || result=$?
	workload_end
	umount "$host"
	losetup -d "$loop"
	return "$result"
}

# version VERSION: its image, and its definition as the worker would have verified it.
version()
{
	workload_tree=$tmp/more workload_image "$tmp/image-$1" 'echo $VERSION >>/data/log; sync; while :; do sleep 1; done'
	jq -n --arg v "$1" --arg i "oci-dir:$tmp/image-$1" '{workload: "web", version: $v, image: $i, isolation: "sandbox",
		environment: {VERSION: $v}, resources: {cpu: 0.1, memory: "32MiB"},
		volumes: [{name: "data", path: "/data", size: "16MiB"}],
		health: {soak: "0s", deadline: "60s", checks: [{name: "log", file: "/data/log", interval: "1s"}]}}' \
		>"$tmp/$1.json"
}
mkdir -p "$tmp/more/srv"
for v in 1.0.0:old 2.0.0:new 3.0.0:never; do
	head -c 300000 /dev/urandom >"$tmp/more/srv/big"
	sha256sum <"$tmp/more/srv/big" | cut -d ' ' -f 1 >"$CRASH/${v#*:}.big"
	version "${v%:*}"
done

is_up() { [ "$(workload_field web '"\(.version) \(.phase) \(.ready)"')" = "$1 up true" ]; }
until_up()
{
	local i
	for ((i = 0; i < 300; i++)); do
		is_up "$1" && return
		command sleep 0.1
	done
	tail -n 5 "$tmp/workloadd.log"
	return 1
}
begin_base()
{
	workload_host
	mkdir -p "$host/var/lib/ashlar/workload/"{signed/web,pinned}
	# 3.0.0 is never asked for: a pin that is lost would let it in.
	cp "$tmp"/[123].0.0.json "$host/var/lib/ashlar/workload/signed/web/"
	echo 1.0.0 >"$host/var/lib/ashlar/workload/pinned/web"
	workload_begin "" && until_up 1.0.0
}
truncate -s 160M "$tmp/base.raw"
mkfs.ext4 -q "$tmp/base.raw"
ok "a host with a workload is on the disk" with_disk "$tmp/base.raw" begin_base
cp -a "$libexec" "$CRASH/libexec"
[ "$test_failed" -eq 0 ] || done_testing

# What runs beside an update on a real host makes the journal commit now and then.
neighbour()
{
	while :; do
		dd if=/dev/zero of="$host/var/noise" bs=512 count=1 conv=fsync 2>/dev/null
		command sleep 0.1
	done
}

update()
{
	local result=0 beside
	rm -rf "$host/run"
	mkdir "$host/run"
	echo boot-2 >"$host/proc/sys/kernel/random/boot_id"
	libexec=$tmp/libexec
	LD_PRELOAD=$tmp/shim.so CRASH_SHIM=$shim workload_begin "" || return 1
	until_up 1.0.0 || return 1
	"$tools/crash-states" --count "$log" >"$tmp/from"
	neighbour &
	beside=$!
	"$ctl" workload run --timeout 60 web 2.0.0 >"$tmp/update.log" 2>&1 && until_up 2.0.0 || result=$?
	"$tools/crash-states" --count "$log" >"$tmp/to"
	kill "$beside"
	wait "$beside" 2>/dev/null
	return "$result"
}

# record NAME SHIM: one update, in $tmp/NAME.log over $tmp/base.raw
record()
{
	local qsd i result=0
	shim=$2
	log=$tmp/$1.log
	cp --sparse=always "$tmp/base.raw" "$tmp/disk.raw"
	: >"$log"
	: >"$tmp/export"
	# Children of the daemon begin with an environment of their own.
	rm -f "$tmp/libexec/ashlar-worker"
	printf '#!/bin/sh\nLD_PRELOAD=%s CRASH_SHIM=%s exec %s "$@"\n' "$tmp/shim.so" "$shim" "$(realpath "$ashlar_bin/ashlar-worker")" \
		>"$tmp/libexec/ashlar-worker"
	chmod 755 "$tmp/libexec/ashlar-worker"
	qemu-storage-daemon \
		--blockdev driver=file,node-name=file,filename="$tmp/disk.raw" \
		--blockdev driver=file,node-name=log,filename="$log" \
		--blockdev driver=blklogwrites,node-name=disk,file=file,log=log,log-sector-size=512 \
		--export type=fuse,id=export,node-name=disk,mountpoint="$tmp/export",writable=on \
		>"$tmp/qsd.log" 2>&1 &
	qsd=$!
	at_exit+=("kill $qsd; sleep 0.2; umount -l $tmp/export")
	for ((i = 0; i < 100; i++)); do
		[ "$(stat -c %s "$tmp/export")" -eq 0 ] || break
		command sleep 0.05
	done
	with_disk "$tmp/export" update || result=$?
	kill "$qsd"
	wait "$qsd" 2>/dev/null
	[ "$result" -eq 0 ] || cat "$tmp/update.log" "$tmp/qsd.log"
	return "$result"
}

# check NAME STATES
check()
{
	local result=0
	CRASH_STATES_ALL=1 "$tools/crash-states" "$tmp/$1.log" "$tmp/base.raw" --from "$(cat "$tmp/from")" --to "$(cat "$tmp/to")" \
		--states "$2" --seed "$seed" --scratch "$scratch" -- tests/lib/workload-crash-check.sh >"$tmp/states" 2>"$tmp/states.err" ||
		result=$?
	figures=$(tail -n 1 "$tmp/states" | jq -r '"\(.states) states: \(.old) old, \(.new) new, \(.bad) bad"')
	return "$result"
}

ok "an update without any sync is recorded" record no-sync no-sync,slow
check no-sync 8
if [ $? -eq 1 ]; then
	pass "which shows: $figures"
else
	fail "which shows" "$figures
$(tail -n 3 "$tmp/states.err")"
fi
ok "an update is recorded" record real slow
if check real "$states"; then
	pass "each state comes up whole: $figures"
else
	fail "each state comes up whole" "$figures
$(grep '"bad' "$tmp/states" | head -n 5)
$(tail -n 5 "$tmp/states.err")"
fi
is "and both versions were seen" "$(tail -n 1 "$tmp/states" | jq '.old > 0 and .new > 0')" true
diag "$figures"
done_testing
