#!/bin/bash
# needs: root ostree jq openssl qemu-storage-daemon gcc
# SPDX-License-Identifier: Apache-2.0
# The power may go at any instant of an update. The disk's writes and flushes are recorded while a
# worker imports and deploys a release; then every flush prefix, and random, reordered and torn subsets of
# what was not flushed, become disks of their own, and each must boot the whole old or the whole new
# deployment, and take the update again. First the suite must catch bugs that are planted.
# Beside that the same order of writes on a FAT, whose names lie in two sectors.
#
# States: ASHLAR_CRASH_STATES (default 500 over all recordings; 'make soak' asks for more).
# ASHLAR_CRASH_OUT: a directory that gets each state's verdict, as lines of JSON in states.jsonl.
. tests/lib/tap.sh
. tests/lib/agent.bash

states=${ASHLAR_CRASH_STATES:-500}
seed=${ASHLAR_CRASH_SEED:-1}
out=${ASHLAR_CRASH_OUT:-}
tools=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}
export CRASH=$tmp/crash
mkdir -p "$CRASH"
scratch=/dev/shm
[ -d $scratch ] || scratch=$tmp

ok "the planted bugs compile" gcc -shared -fPIC -O2 -D_GNU_SOURCE -o "$tmp/shim.so" \
	tests/lib/preload/crash-shim.c -ldl

# ---- two releases, one bundle with a delta and the objects -------------------------------------------
"$ashlar" key make --quiet --no-passphrase "$keys" >"$tmp/out" 2>&1
cp "$keys/root.json" "$tmp/root.json"
v1=$(agent_commit 1.0.0)
v2=$(agent_commit 2.0.0)
for commit in "$v1" "$v2"; do
	"$ashlar" release --quiet --repo "$repo" --keys "$keys" --publication "$pub" "$commit" >/dev/null
	"$ashlar" publish --quiet --keys "$keys" "$pub" >"$tmp/out" 2>&1
done
ok "a bundle holds the update" "$ashlar" bundle --quiet --from 1.0.0 --full -o "$CRASH/bundle" "$pub" 2.0.0
echo "$v1" >"$CRASH/old.commit"
echo "$v2" >"$CRASH/new.commit"

# What the agent would ask its worker for, one job after the other.
cat >"$CRASH/update" <<END
#!/bin/bash
set -e -o pipefail
host=\$1
job()
{
	local verb=\$1
	"\${CRASH_WORKER:-$ashlar_bin}/ashlar-worker" --root "\$host" "\$verb" >"$CRASH/\$\$.out" || { tail -n 1 "$CRASH/\$\$.out" >&2; exit 1; }
	tail -n 1 "$CRASH/\$\$.out" | jq -c .result
	rm -f "$CRASH/\$\$.out"
}
cp "$CRASH/bundle" "\$host/var/bundle"
jq -n --arg p "\$host/var/bundle" '{path:\$p}' | job bundle >/dev/null
host_is='"name":"host","variant":"","arch":"amd64","version":"1.0.0","commit":"$v1","bad":{},"wanted":null'
verified=\$(echo "{\$host_is,\"now\":\$(date +%s),\"staging\":\"/var/lib/ashlar/bundle\"}" | job verify)
release=\$(jq -c .release <<<"\$verified")
plan=\$(jq -c '{release:.,staging:"/var/lib/ashlar/bundle",bundle:true}' <<<"\$release" | job plan)
jq -c --argjson p "\$plan" '{release:.,method:(env.CRASH_METHOD // \$p.method),delta:\$p.delta,staging:"/var/lib/ashlar/bundle"}' <<<"\$release" | job import >/dev/null
jq -c '{release:.,tries:3}' <<<"\$release" | job deploy >/dev/null
END
# After the reboot into the new release: it is good, and the old one goes.
sed '/^cp .*bundle/,$d' "$CRASH/update" >"$CRASH/settle"
cat >>"$CRASH/settle" <<END
echo '{"commit":"$v2"}' | job bless >/dev/null
echo '{"keep":["$v2"],"staging":true}' | job clean >/dev/null
END
chmod +x "$CRASH/update" "$CRASH/settle"

# ---- a disk with an ESP and a root, and a log of what is written to it -------------------------------
mib=1048576
echo "$((1 * mib)) $((48 * mib)) $((50 * mib)) $((300 * mib))" >"$CRASH/layout"

# with_disk FILE MOUNT-OPTIONS COMMAND…: mounted at $host
with_disk()
{
	local file=$1 options=$2 esp root result=0
	local esp_start esp_size root_start root_size
	shift 2
	read -r esp_start esp_size root_start root_size <"$CRASH/layout"
	root=$(losetup -f --show -o "$root_start" --sizelimit "$root_size" "$file")
	esp=$(losetup -f --show -o "$esp_start" --sizelimit "$esp_size" "$file")
	if [ "$1" = make_host ]; then
		# FAT has no journal, and this machine's kernel no FAT: ext2 stands for it.
		mkfs.ext2 -q "$esp"
		mkfs.ext4 -q "$root"
	fi
	mkdir -p "$host"
	mount -o "$options" "$root" "$host" && mkdir -p "$host/efi" && mount "$esp" "$host/efi"
	"$@" || result=$?
	umount "$host/efi" "$host"
	losetup -d "$esp" "$root"
	return "$result"
}

make_host()
{
	agent_host "$v1" 1.0.0
	loader_boot
	agent_enter
	rm "$host/etc"
	echo "changed here" >"$host/sysroot/ostree/deploy/ashlar/deploy/$v1.0/etc/kept.conf"
}

# What runs beside an update on a real host makes the journal commit now and then.
neighbour()
{
	local i
	for ((i = 0; i < 600; i++)); do
		dd if=/dev/zero of="$host/var/noise" bs=512 count=1 conv=fsync 2>/dev/null
		sleep 0.1
	done
}

worker_bin=$ashlar_bin
update()
{
	local pid result=0
	"$tools/crash-states" --count "$log" >"$tmp/from"
	neighbour &
	pid=$!
	CRASH_WORKER=$worker_bin LD_PRELOAD=$tmp/shim.so CRASH_SHIM=$shim "$CRASH/update" "$host" >"$tmp/update.log" 2>&1 || result=$?
	if [ "$result" -eq 0 ] && [ "$worker_bin" = "$ashlar_bin" ]; then
		# The boot loader counts, and the new deployment is blessed; then the old one is removed.
		loader_boot
		sync -f "$host/efi"
		CRASH_WORKER=$worker_bin LD_PRELOAD=$tmp/shim.so CRASH_SHIM=$shim "$CRASH/settle" "$host" >>"$tmp/update.log" 2>&1 || result=$?
	fi
	"$tools/crash-states" --count "$log" >"$tmp/to"
	kill "$pid"
	wait "$pid" 2>/dev/null
	return "$result"
}

# record NAME MOUNT-OPTIONS SHIM: one update, in $tmp/NAME.log over $tmp/base.raw
record()
{
	local name=$1 options=$2 qsd
	shim=$3
	log=$tmp/$name.log
	cp --sparse=always "$tmp/base.raw" "$tmp/disk.raw"
	: >"$log"
	: >"$tmp/export"
	qemu-storage-daemon \
		--blockdev driver=file,node-name=file,filename="$tmp/disk.raw" \
		--blockdev driver=file,node-name=log,filename="$log" \
		--blockdev driver=blklogwrites,node-name=disk,file=file,log=log,log-sector-size=512 \
		--export type=fuse,id=export,node-name=disk,mountpoint="$tmp/export",writable=on \
		>"$tmp/qsd.log" 2>&1 &
	qsd=$!
	at_exit+=("kill $qsd; sleep 0.2; umount -l $tmp/export")
	local i
	for ((i = 0; i < 100; i++)); do
		[ "$(stat -c %s "$tmp/export")" -eq 0 ] || break
		sleep 0.05
	done
	local result=0
	with_disk "$tmp/export" "$options" update || result=$?
	kill "$qsd"
	wait "$qsd" 2>/dev/null
	[ "$result" -eq 0 ] || cat "$tmp/update.log" "$tmp/qsd.log"
	return "$result"
}

# check NAME STATES: the last line of JSON in $tmp/summary
check()
{
	CRASH_STATES_ALL=1 "$tools/crash-states" "$tmp/$1.log" "$tmp/base.raw" --from "$(cat "$tmp/from")" --to "$(cat "$tmp/to")" --states "$2" \
		--focus "$(cut -d ' ' -f 1,2 --output-delimiter=: "$CRASH/layout")" \
		--seed "$seed" --scratch "$scratch" -- tests/lib/crash-check.sh >"$tmp/states" 2>"$tmp/states.err"
	local result=$?
	tail -n 1 "$tmp/states" >"$tmp/summary"
	return "$result"
}

figures()
{
	jq -r '"\(.states) states: \(.old) old, \(.new) new, \(.bad) bad; at most \(.bound * 100 * 1000 | round / 1000) % are bad (95 %)"' "$tmp/summary"
}

# ---- FAT, sector by sector -----------------------------------------------------------------------------
# What this kernel cannot mount, mtools can write: the order that agent/deploy.c and agent/esp.c keep on the ESP, with
# names whose parts lie in two sectors, and each sector by itself at the mercy of the cut.
fat_text()
{
	printf '%s\n' "title $1" "version $1" "sort-key $2" "architecture x64" "linux /ashlar/$3/vmlinuz" \
		"initrd /ashlar/$3/initramfs.img" "options root=PARTLABEL=ashlar-root ostree=/ostree/by-commit/$4.0"
}

fat_begin()
{
	local image=$tmp/fat.raw n old_c new_c
	old_c=$(printf 'a%.0s' {1..64}) new_c=$(printf 'b%.0s' {1..64})
	truncate -s 40M "$image" && mkfs.vfat -F 32 -s 1 "$image" >/dev/null || return
	for n in old new; do
		head -c 20000 /dev/urandom >"$tmp/$n.vmlinuz"
		head -c 30000 /dev/urandom >"$tmp/$n.initramfs"
	done
	fat_text 1.0.0 ashlar-99999999 aaaa "$old_c" >"$tmp/old.conf"
	fat_text 2.0.0 ashlar-99999998 bbbb "$new_c" >"$tmp/new.conf"
	for n in "$old_c old" "$new_c new"; do
		echo "$n $(sha256sum <"$tmp/${n#* }.vmlinuz" | cut -d ' ' -f 1) $(sha256sum <"$tmp/${n#* }.initramfs" | cut -d ' ' -f 1)"
	done >"$CRASH/boot"
	mmd -i "$image" ::/loader ::/loader/entries ::/ashlar ::/ashlar/aaaa ::/ashlar/bbbb || return
	mcopy -i "$image" "$tmp/old.vmlinuz" ::/ashlar/aaaa/vmlinuz && mcopy -i "$image" "$tmp/old.initramfs" ::/ashlar/aaaa/initramfs.img &&
		mcopy -i "$image" "$tmp/old.conf" ::/loader/entries/ashlar-1.0.0-aaaaaaaa.conf
	# So that the new entry's parts begin two slots before a sector's end.
	for n in {1..8}; do mcopy -i "$image" "$tmp/old.conf" "::/loader/entries/F$n.TXT"; done
	cat >"$tmp/fat.steps" <<-STEPS
		copy $tmp/new.vmlinuz /ashlar/bbbb/vmlinuz.tmp
		sync
		move /ashlar/bbbb/vmlinuz.tmp /ashlar/bbbb/vmlinuz
		sync
		copy $tmp/new.initramfs /ashlar/bbbb/initramfs.img.tmp
		sync
		move /ashlar/bbbb/initramfs.img.tmp /ashlar/bbbb/initramfs.img
		sync
		copy $tmp/new.conf /loader/entries/ashlar-2.0.0-bbbbbbbb+3.conf.tmp
		sync
		move /loader/entries/ashlar-2.0.0-bbbbbbbb+3.conf.tmp /loader/entries/ashlar-2.0.0-bbbbbbbb+3.conf
		sync
		move /loader/entries/ashlar-2.0.0-bbbbbbbb+3.conf /loader/entries/ashlar-2.0.0-bbbbbbbb+2-1.conf
		sync
		move /loader/entries/ashlar-2.0.0-bbbbbbbb+2-1.conf /loader/entries/ashlar-2.0.0-bbbbbbbb.conf
		sync
		remove /loader/entries/ashlar-1.0.0-aaaaaaaa.conf
		sync
		remove /ashlar/aaaa
		sync
	STEPS
}

# fat_check STATES: of the steps on standard input, from the first mark in them to the second
fat_check()
{
	local marks
	python3 tests/lib/fat-steps.py "$tmp/fat.raw" "$tmp/fat.log" >"$tmp/fat.marks" || return 2
	mapfile -t marks <"$tmp/fat.marks"
	"$tools/crash-states" "$tmp/fat.log" "$tmp/fat.raw" --states "$1" ${marks[0]:+--from "${marks[0]}" --to "${marks[1]}"} \
		--seed "$seed" --scratch "$scratch" -- tests/lib/fat-check.sh >"$tmp/states" 2>"$tmp/states.err"
	local result=$?
	tail -n 1 "$tmp/states" >"$tmp/summary"
	return $result
}

# fat_bug NAME SED: the steps with a bug must show
fat_bug()
{
	# A few states each show it: always the same ones.
	local result=0 seed=1
	sed -E "$2" "$tmp/fat.steps" | fat_check 200 || result=$?
	is "FAT, the bug '$1' is caught: $(figures)" "$result" 1
}
if command -v mcopy mkfs.vfat python3 >/dev/null; then
	ok "an ESP with names that lie in two sectors" fat_begin
	fat_bug "an entry before its kernel" '1i mark
12a mark
2d;4d;6d;8d;10d'
	fat_bug "an entry before its initramfs has its name" '6a mark
12a mark
8d;10d'
	# The long name's parts are in one sector, the short one in the next.
	fat_bug "the old entry goes while the new one gets its name" '10a mark
11a remove /loader/entries/ashlar-1.0.0-aaaaaaaa.conf
13i mark
12d;17d'
	result=0
	fat_check $((states / 2)) <"$tmp/fat.steps" || result=$?
	is "FAT, every state boots: $(figures)" "$result" 0 || diag "$(head -n 3 "$tmp/states"; tail -n 3 "$tmp/states.err")"
else
	skip "FAT, sector by sector" "mtools, dosfstools"
fi

# ---- the whole update, by the real worker ---------------------------------------------------------------
truncate -s 360M "$tmp/base.raw"
ok "a host is on the disk" with_disk "$tmp/base.raw" noatime make_host

# What each deployment is, from a run that nothing disturbed.
expect()
{
	local name=$1 deployment=$2
	# shellcheck source=/dev/null
	. <(sed -n '/^tree_sums()/,/^}/p; /^etc_sums()/,/^}/p' tests/lib/crash-check.sh)
	tree_sums "$deployment" >"$CRASH/$name.sums"
	etc_sums "$deployment" >"$CRASH/$name.etc"
}
undisturbed()
{
	"$CRASH/update" "$host" && expect old "$host/sysroot/ostree/deploy/ashlar/deploy/$v1.0" &&
		expect new "$host/sysroot/ostree/deploy/ashlar/deploy/$v2.0"
}
cp --sparse=always "$tmp/base.raw" "$tmp/plain.raw"
ok "an undisturbed update" with_disk "$tmp/plain.raw" noatime undisturbed
[ "$test_failed" -eq 0 ] || done_testing

# ---- planted bugs: a suite that does not catch these proves nothing -----------------------------------
# mutant NAME FILE SED: a worker in $tmp/NAME in which one line of FILE is another, its programs beside it.
mutant()
{
	local name=$1 file=$2 change=$3 object=${2##*/}
	mkdir -p "$tmp/$name"
	sed -E "$change" "$file" >"$tmp/$name/${file##*/}"
	! cmp -s "$file" "$tmp/$name/${file##*/}" || return 1
	cp build/release/agent.a "$tmp/$name/agent.a"
	# shellcheck disable=SC2046
	$(cat build/release/flags) -Wno-error -c -o "$tmp/$name/${object%.c}.o" "$tmp/$name/${file##*/}" &&
		ar r "$tmp/$name/agent.a" "$tmp/$name/${object%.c}.o" &&
		$(cut -d ' ' -f 1 build/release/flags) -o "$tmp/$name/ashlar-worker" \
			build/release/agent/ashlar-worker.o -Wl,--start-group "$tmp/$name/agent.a" build/release/workload.a -Wl,--end-group build/release/lib.a \
			$(pkg-config --libs gio-2.0 gio-unix-2.0 json-glib-1.0 gnutls yaml-0.1 libarchive libcurl ostree-1 libsystemd libseccomp libnftables libmnl ldns)
}

# caught BUG STATES: every planted bug must show.
caught()
{
	local result=0
	check "$1" "$2" || result=$?
	# 2: the check itself is broken, which catches nothing.
	if [ $result -eq 1 ]; then
		pass "the bug '$1' is caught: $(figures)"
	else
		fail "the bug '$1' is caught" "$(figures)
$(tail -n 3 "$tmp/states.err")"
	fi
}

export CRASH_NO_RETRY=1
writeback=noatime,data=writeback,commit=1
few=$((states / 10 > 24 ? states / 10 : 24))
ok "an update without any sync is recorded" record no-sync $writeback no-sync,slow
caught no-sync "$few"

ok "a worker that writes the entry first can be made" mutant entry-first agent/deploy.c \
	's/^\tif \(!put_boot_files\(worker, deploy->tree, deploy->commit, deploy->info->kernel_release,$/\tentry = make_entry(deploy->running, deploy->running_info, deploy->info, deploy->commit, 0, generation); if (!put_first_entry(worker, entry, deploy->tries, out_file, error)) return FALSE; ash_boot_entry_free(entry); entry = NULL;\n&/'
worker_bin=$tmp/entry-first
ok "an update by it is recorded" record entry-first $writeback slow
caught entry-first "$few"

ok "a worker that does not read back can be made" mutant no-read-back agent/esp.c \
	's/^\tif \(strcmp\(hex, sha256\) != 0\)$/\tif (false)/'
worker_bin=$ashlar_bin
with_flip()
{
	record "$1" "$writeback" flip,slow
}
exits 1 "a disk that changes a byte is seen by the real worker" with_flip flipped
worker_bin=$tmp/no-read-back
ok "…and not by the one that does not look" with_flip no-read-back
caught no-read-back "$few"
worker_bin=$ashlar_bin
unset CRASH_NO_RETRY

# ---- the real thing ------------------------------------------------------------------------------------
share=$((states * 3 / 8))
for mode in noatime noatime,data=writeback,commit=1; do
	for method in delta objects; do
		export CRASH_METHOD=$method
		name=${mode##*,}-$method
		ok "an update by $method is recorded on ext4 ($mode)" record "$name" "$mode" slow
		unset CRASH_METHOD
		result=0
		check "$name" $((share / 2)) || result=$?
		[ -z "$out" ] || jq -c --arg r "system-$name" --argjson s "$seed" '{recording: $r, run: $s} + .' "$tmp/states" >>"$out/states.jsonl"
		if [ $result -eq 0 ]; then
			pass "every state boots: $(figures)"
		else
			fail "every state boots" "$(figures)
$(grep '"bad' "$tmp/states" | head -n 5)
$(tail -n 5 "$tmp/states.err")"
		fi
		is "…and both were seen" "$(jq '.old >= .states / 5 and .new >= .states / 5' "$tmp/summary")" true
		diag "ext4 $mode, $method: $(figures)"
	done
done
done_testing
