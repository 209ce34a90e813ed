# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Of update.sh: rows M, W, T and R. A host without a machine, as tests/lib/agent.bash has it, but of the real
# size: an ext4 of its own in a file, the real programs, a bus of its own. A reboot is the end of ashlard.
# shellcheck disable=SC2154,SC2034,SC2153

export TMPDIR
# shellcheck source=tests/lib/agent.bash
. tests/lib/agent.bash
host=$work/host
disk_count=0

# A new name each time, as in tests/lib/disk.sh.
disk_fresh()
{
	disk_count=$((disk_count + 1))
	disk=$work/disk.$disk_count
	truncate -s 3G "$disk"
	mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$disk"
	mkdir -p "$host"
	mount -o loop "$disk" "$host"
	mkdir "$host/sysroot"
}

host_gone()
{
	umount "$host"
	rm -f "$disk"
}
at_exit+=('findmnt "$host" && umount "$host"' 'agent_stop')

# host_fresh: with "old" deployed, as 'ashlar image' would have made it.
host_fresh()
{
	local commit=${commits[old]} deploy tree kernel
	disk_fresh
	deploy=$host/sysroot/ostree/deploy/ashlar/deploy
	tree=$deploy/$commit.0
	mkdir -p "$deploy" "$host"/{efi/loader/entries,proc/sys/kernel/random,etc/ashlar/agent.d,run} \
		"$host"/usr/lib/ashlar/{agent.d,health.d} "$host/sysroot/ostree/by-commit" \
		"$host/efi/ashlar/${commit:0:16}"
	install -d -m 700 "$host/var/lib/ashlar" "$host/var/lib/ashlar-link"
	ostree --repo="$host/sysroot/ostree/repo" init --mode=bare
	quietly ostree --repo="$host/sysroot/ostree/repo" pull-local --disable-fsync "$kept/repo" "$commit"
	ostree --repo="$host/sysroot/ostree/repo" refs --create=host/bench/amd64 "$commit"
	ostree --repo="$host/sysroot/ostree/repo" checkout -H "$commit" "$tree"
	cp -a "$tree/usr/etc" "$tree/etc"
	ln -s "../deploy/ashlar/deploy/$commit.0" "$host/sysroot/ostree/by-commit/$commit.0"
	kernel=$(find "$tree/usr/lib/modules" -mindepth 2 -maxdepth 2 -name vmlinuz)
	cp "$kernel" "${kernel%/*}/initramfs.img" "$host/efi/ashlar/${commit:0:16}/"
	host_entry=$host/efi/loader/entries/ashlar-${versions[old]}-${commit:0:8}.conf
	printf '%s\n' "title Ashlar bench ${versions[old]}" "version ${versions[old]}" \
		'sort-key ashlar-99999999' 'architecture x64' "linux /ashlar/${commit:0:16}/vmlinuz" \
		"initrd /ashlar/${commit:0:16}/initramfs.img" \
		"options root=PARTLABEL=ashlar-root ro quiet ostree=/ostree/by-commit/$commit.0" >"$host_entry"
	cp "$work/keys/root.json" "$host/usr/lib/ashlar/root.json"
	printf 'soak: 0s\ndeadline: 60s\n' >"$host/usr/lib/ashlar/health.d/10-bench.yaml"
	host_boot "$host_entry"
}

# host_boot ENTRY: what the kernel is told, and a new boot's id.
host_boot()
{
	agent_boots=$((agent_boots + 1))
	echo "boot-$agent_boots-$$" >"$host/proc/sys/kernel/random/boot_id"
	sed -n 's/^options //p' "$1" >"$host/proc/cmdline"
}

# Where releases come from; the interval between checks is the default.
host_settings()
{
	printf '%s\n' 'updates:' "  url: http://127.0.0.1:$port/pub" \
		>"$host/usr/lib/ashlar/agent.d/bench.yaml"
}

serve_once()
{
	[ -z "${port:-}" ] || return 0
	mkdir -p "$work/www"
	ln -sfn "$work/pub-old" "$work/www/pub"
	serve "$work/www"
	agent_bus
}

# ---- M: at rest ----------------------------------------------------------------------------------

# pss PID…: kB, of what they share their part.
pss()
{
	local pid sum=0
	for pid in "$@"; do
		sum=$((sum + $(sed -n 's/^Pss: *\([0-9]*\).*/\1/p' "/proc/$pid/smaps_rollup")))
	done
	echo "$sum"
}

# As the service manager starts them: with a watchdog, whose timer is there.
idle_start()
{
	host_fresh
	host_settings
	WATCHDOG_USEC=3600000000 agent_start
	agent_wait '.state == "idle"' || die "ashlard does not come to rest: $(tail "$work/ashlard.log")"
	ctl check --wait >/dev/null || die "ashlard cannot check: $(ctl why)"
	agent_wait '.state == "idle"'
	sleep 1
}

rauc_bus()
{
	local i
	mkdir -p "$work/rauc"
	sed "s,$work/bus,$work/rauc/bus," "$work/bus.conf" >"$work/rauc/bus.conf"
	dbus-daemon --config-file="$work/rauc/bus.conf" --nofork >"$work/rauc/bus.log" 2>&1 &
	at_exit+=("kill $!")
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$work/rauc/bus" ] || break
		sleep 0.05
	done
}

rauc_start()
{
	local i
	[ -S "$work/rauc/bus" ] || rauc_bus
	printf '%s\n' '[system]' 'compatible=bench' 'bootloader=noop' 'statusfile=/dev/null' '[keyring]' \
		"path=$work/rauc/ca.pem" '[slot.rootfs.0]' "device=$work/rauc/a" 'type=raw' 'bootname=A' \
		'[slot.rootfs.1]' "device=$work/rauc/b" 'type=raw' 'bootname=B' >"$work/rauc/system.conf"
	openssl req -x509 -newkey ed25519 -nodes -keyout "$work/rauc/key.pem" -out "$work/rauc/ca.pem" \
		-subj /CN=bench -days 2 2>/dev/null
	touch "$work/rauc/a" "$work/rauc/b"
	DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/rauc/bus rauc --conf="$work/rauc/system.conf" \
		--override-boot-slot=A service >"$work/rauc/log" 2>&1 &
	rauc_pid=$!
	at_exit+=("kill $rauc_pid")
	for ((i = 0; i < 100; i++)); do
		! DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/rauc/bus dbus-send --system --print-reply \
			--dest=org.freedesktop.DBus / org.freedesktop.DBus.GetNameOwner \
			string:de.pengutronix.rauc >/dev/null 2>&1 || break
		sleep 0.05
	done
	sleep 1
	kill -0 "$rauc_pid" || die "rauc does not stay: $(tail "$work/rauc/log")"
}

# One after the other, so that neither side has the other to share libraries with.
row_m()
{
	local i
	serve_once
	for ((i = 0; i < runs; i++)); do
		idle_start
		put M idle ashlard "pss_kb=$(pss "$agent_pid")"
		put M idle ashlar-link "pss_kb=$(pss "$link_pid")"
		put M idle "ashlard + ashlar-link" "pss_kb=$(pss "$agent_pid" "$link_pid")"
		agent_stop || true
		host_gone
		rauc_start
		put M idle "rauc service" "pss_kb=$(pss "$rauc_pid")"
		kill "$rauc_pid"
		wait "$rauc_pid" 2>/dev/null || true
	done
}

# ---- W: what rest is like ------------------------------------------------------------------------

switches()
{
	local pid
	for pid in "$@"; do
		cat "/proc/$pid"/task/*/status
	done | awk '/^voluntary_ctxt_switches/ { n += $2 } END { printf "%.0f\n", n }'
}

written()
{
	local pid
	for pid in "$@"; do
		cat "/proc/$pid/io"
	done | awk '/^write_bytes/ { n += $2 } END { printf "%.0f\n", n }'
}

# What reached the host's disk, the file system's own bookkeeping included.
disk_written()
{
	sync -f "$host"
	awk '{ printf "%.0f\n", $7 * 512 }' "/sys/class/block/$(basename "$(findmnt -no SOURCE "$host")")/stat"
}

# Both live from now on until the end of the run, on buses and disks of their own.
start_w()
{
	local before
	serve_once
	idle_start
	before=$(disk_written)
	ctl check --wait >/dev/null
	agent_wait '.state == "idle"'
	w_check=$(($(disk_written) - before))
	w_pids=("$agent_pid" "$link_pid")
	at_exit+=("umount '$host'" "kill ${w_pids[*]}; wait ${w_pids[*]}")
	agent_pid='' link_pid=''
	# What comes next has a host of its own below another path, and a bus.
	host=$work/host-2
	mv "$work/bus" "$work/bus-idle"
	agent_bus
	rauc_start
	# Threads that GLib keeps ready end after a while, and take their counts with them.
	sleep 20
	w_at=$(date +%s)
	w_switches=("$(switches "${w_pids[@]}")" "$(switches "$rauc_pid")")
	w_written=("$(written "${w_pids[@]}")" "$(written "$rauc_pid")")
}

end_w()
{
	local seconds now
	while [ $(($(date +%s) - w_at)) -lt "${BENCH_IDLE_S:-300}" ]; do
		sleep 5
	done
	seconds=$(($(date +%s) - w_at))
	kill -0 "${w_pids[@]}" "$rauc_pid" || die "row W: one of them is gone"
	now=$(switches "${w_pids[@]}")
	put W idle "ashlard + ashlar-link" "seconds=$seconds" "switches=$((now - w_switches[0]))" \
		"written=$(($(written "${w_pids[@]}") - w_written[0]))" "check_written=$w_check"
	now=$(switches "$rauc_pid")
	put W idle "rauc service" "seconds=$seconds" "switches=$((now - w_switches[1]))" \
		"written=$(($(written "$rauc_pid") - w_written[1]))"
}

# ---- T and R -------------------------------------------------------------------------------------

# Programs that say what they needed.
prepare_t()
{
	local name
	serve_once
	mkdir -p "$work/libexec" "$work/peaks"
	for name in ashlar-worker ashlar-fetch; do
		printf '%s\n' '#!/bin/bash' \
			"exec '$tools/measure' -o '$work/peaks/$name-'\$\$ '$ashlar_bin/$name' \"\$@\"" \
			>"$work/libexec/$name"
		chmod 755 "$work/libexec/$name"
	done
	if [ ! -e "$kept/root-${commits[K]:0:16}.img" ]; then
		say "the image of K"
		rm -f "$kept"/root-*.img
		quietly "$ashlar" image "${commits[K]}" --repo "$kept/repo" --output "$work/image" --format raw
		quietly cut_root "$work/image/bench.raw" "$kept/root-${commits[K]:0:16}.img"
		rm -rf "$work/image"
	fi
	ln -sf "$kept/root-${commits[K]:0:16}.img" "$work/www/root.img"
}

# cut_root IMAGE FILE: its second partition.
cut_root()
{
	local start sectors
	read -r start sectors < <(sfdisk --json "$1" |
		jq -r '.partitiontable.partitions[1] | "\(.start) \(.size)"')
	dd if="$1" of="$2" bs=1M iflag=skip_bytes,count_bytes skip=$((start * 512)) \
		count=$((sectors * 512)) conv=sparse
}

now_s()
{
	date +%s.%N
}

minus()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f\n", a - b }'
}

wait_for_end()
{
	local limit=$((SECONDS + ${1:-300}))
	while kill -0 "$agent_pid" 2>/dev/null; do
		[ "$SECONDS" -lt "$limit" ] || die "ashlard does not reboot: $(ctl status --json)"
		sleep 0.05
	done
}

# What a host of "old" does when STATE is offered, and, with row R, when what it got fails its check.
row_t()
{
	local state=$1 began ended file entry name
	say "row T, $state"
	host_fresh
	host_settings
	ln -sfn "$work/pub-old" "$work/www/pub"
	rm -f "$work"/peaks/*
	agent_start_measured
	agent_wait '.state == "idle"' || die "row T: $(tail "$work/ashlard.log")"
	ctl check --wait >/dev/null
	ln -sfn "$work/pub-$state" "$work/www/pub"
	: >"$serve_log"
	sync
	began=$(now_s)
	ctl update >/dev/null
	wait_for_end
	ended=$(now_s)
	! has_row T || put T "$state" ashlar "wall=$(minus "$ended" "$began")"
	agent_stop || true
	! has_row U || put U "$state" "ashlar, all that the host fetched" "bytes=$(fetched)" \
		"requests=$(grep -c ' 20[06] ' "$serve_log")"
	if has_row M; then
		for name in ashlar-worker ashlar-fetch; do
			put M "peak, $state" "$name" \
				"pss_kb=$(cat "$work/peaks/$name"-* | jq -s 'map(.peak_kb) | max')"
		done
	fi
	! has_row R || row_r
	host_gone
	! has_row T || write_image "$state"
}

agent_start_measured()
{
	"$ashlar_bin/ashlard" --root "$host" --libexec "$work/libexec" >>"$work/ashlard.log" 2>&1 &
	agent_pid=$!
	"$ashlar_bin/ashlar-link" --root "$host" --fetch "$work/libexec/ashlar-fetch" \
		>>"$work/link.log" 2>&1 &
	link_pid=$!
}

# Bytes of bodies that the server's log is of.
fetched()
{
	local path status first sum=0
	while read -r path status first; do
		[[ $status = 20[06] ]] || continue
		# Names of deltas may hold a '+', which clients encode.
		sum=$((sum + $(size "$work/www${path//%2B/+}") - first))
	done <"$serve_log"
	echo "$sum"
}

# The whole image from the same server onto a disk, through to it.
write_image()
{
	local began
	truncate -s "$(size "$work/www/root.img")" "$work/slot"
	sync
	began=$(now_s)
	curl -sS "http://127.0.0.1:$port/root.img" | dd of="$work/slot" bs=4M iflag=fullblock \
		conv=notrunc,fsync 2>/dev/null
	put T "$1" "full image, $(($(size "$work/slot") / 1000000)) MB" "wall=$(minus "$(now_s)" "$began")"
	rm "$work/slot"
}

# The trial, whose one check never passes: there is no service manager here that could run it. From the end
# of the deadline to ashlard's end for the reboot, its start included; no firmware, no kernel.
row_r()
{
	local entry began tried
	printf '%s\n' 'soak: 0s' 'deadline: 10s' 'checks:' \
		'  - {name: never, file: /nonexistent, interval: 1s, failures: 1}' \
		>"$host/usr/lib/ashlar/health.d/10-bench.yaml"
	entry=$(find "$host/efi/loader/entries" -name '*+3.conf')
	[ -n "$entry" ] || die "row R: no entry to try: $(ls "$host/efi/loader/entries")"
	tried=${entry%+3.conf}+2-1.conf
	mv "$entry" "$tried"
	host_boot "$tried"
	began=$(now_s)
	agent_start
	wait_for_end 120
	put R "health" "ashlard" "wall=$(minus "$(minus "$(now_s)" "$began")" 10)"
	agent_stop || true
	grep -q '"event":"bad"' "$host/var/lib/ashlar/history.jsonl" || die "row R: it was not found bad"
}
