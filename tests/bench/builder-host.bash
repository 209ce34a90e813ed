# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Row 8 of builder.sh: the reference host against the tree that the peer makes of the reference set.
# $work, $out, $ashlar, $tools and the functions that record come from there.
# shellcheck disable=SC2154

# Where they are known to say the same thing.
who_peer="REF by mmdebstrap"
who_ours="ashlar's host"

bytes_of()
{
	stat -Lc %s "$1"
}

# packed FILE: bytes of an initramfs as 'zstd -3' leaves it, whatever its compression was.
packed()
{
	local magic
	magic=$(head -c 4 "$1" | od -An -tx1 | tr -d ' ')
	case $magic in
	28b52ffd) zstd -dcq "$1" ;;
	1f8b*) gzip -dc "$1" ;;
	fd377a58) xz -dc "$1" ;;
	*) cat "$1" ;;
	esac | zstd -3 -q | wc -c
}

# squash WHO TREE
squash()
{
	quietly mksquashfs "$2" "$work/squash" -noappend -no-progress -comp zstd \
		-Xcompression-level 9 -processors "$(nproc)"
	record_size "squashfs, zstd -9" "$1" "$(bytes_of "$work/squash")"
	rm -f "$work/squash"
}

# The peer's tree as a disk: a root file system alone, which is less than a disk that boots by itself.
prepare_peer_disk()
{
	truncate -s 3G "$work/peer.raw"
	quietly mke2fs -q -t ext4 -m 0 -d "$work/peer-tree" "$work/peer.raw"
	quietly qemu-img convert -q -f raw -O qcow2 -c -o compression_type=zstd \
		"$work/peer.raw" "$work/peer.qcow2"
	rm -f "$work/peer.raw"
	peer_kernel=$(echo "$work"/peer-tree/boot/vmlinuz-*)
	peer_initrd=$(echo "$work"/peer-tree/boot/initrd.img-*)
	cp "$peer_kernel" "$work/peer.vmlinuz"
	cp "$peer_initrd" "$work/peer.initrd"
}

prepare_8()
{
	local image=$work/image
	say "preparing the reference host and its images"
	[ -d "$work/peer-tree" ] || quietly peer
	prepare_peer_disk
	squash "$who_peer" "$work/peer-tree"
	record_size "files of the tree" "$who_peer" "$(tree_bytes "$work/peer-tree")"
	record_size "qcow2, zstd" "$who_peer" "$(bytes_of "$work/peer.qcow2")"
	record_size "initramfs as stored" "$who_peer" "$(bytes_of "$work/peer.initrd")"
	record_size "initramfs by zstd -3" "$who_peer" "$(packed "$work/peer.initrd")"

	quietly build manifests/host.yaml "$work/cache" "$work/host-repo" --lock "$work/host.lock"
	quietly "$ashlar" image --repo "$work/host-repo" -f qcow2 -f kernel -o "$image"
	quietly ostree --repo="$work/host-repo" checkout -U \
		"$(ostree --repo="$work/host-repo" refs | head -n 1)" "$work/host-tree"
	squash "$who_ours" "$work/host-tree"
	record_size "files of the tree" "$who_ours" "$(tree_bytes "$work/host-tree")"
	rm -rf --one-file-system "$work/host-tree"
	record_size "qcow2, zstd" "$who_ours" "$(bytes_of "$image/host.qcow2")"
	record_size "initramfs as stored" "$who_ours" "$(bytes_of "$image/host.initramfs.img")"
	record_size "initramfs by zstd -3" "$who_ours" "$(packed "$image/host.initramfs.img")"
	# Findings are no failure here.
	"$ashlar" lint --sizes --repo "$work/host-repo" --cache "$work/cache" \
		"$(ostree --repo="$work/host-repo" refs | head -n 1)" \
		>"$work/lint" 2>"$work/quiet" || [ $? -eq 8 ]
	sed -n '/^Bytes by package/,$p' "$work/lint" >"$out/host-bytes.txt"
}

# Bytes of the regular files, each counted once.
tree_bytes()
{
	find "$1" -xdev -type f -printf '%D:%i %s\n' | sort -u | awk '{sum += $2} END {print sum}'
}

# ---- boot ----------------------------------------------------------------------------------------

# What systemd prints of multi-user.target, once every service that it wants has started.
up_mark="Multi-User System"

accelerator()
{
	if [ "${ASHLAR_ACCEL:-}" = kvm ] || { [ "${ASHLAR_ACCEL:-}" != tcg ] && [ -w /dev/kvm ] &&
		grep -Eq '^flags.* (vmx|svm)' /proc/cpuinfo; }; then
		echo kvm
	else
		echo tcg
	fi
}

# boot WHO RUN KERNEL INITRD DISK COMMAND-LINE: from power-on until the host is up. CPU seconds are those
# of the machine. The disk is not written to, so every boot is a first one.
boot()
{
	local who=$1 run=$2
	record 8 "$who" "$run" -u "$up_mark" -t 900 bash -c 'exec "$@" >&2' bash \
		qemu-system-x86_64 -machine "q35,accel=$(accelerator)" -cpu max -smp 1 -m 1024 \
		-nodefaults -display none -no-reboot -serial stdio \
		-drive "if=none,id=disk,format=qcow2,snapshot=on,file=$5" \
		-device virtio-blk-pci,drive=disk -device virtio-rng-pci \
		-netdev user,id=net -device virtio-net-pci,netdev=net,romfile= \
		-kernel "$3" -initrd "$4" -append "$6"
	jq -e '.end == "text"' "$work/reading" >/dev/null || {
		cut -f2 "$work/events" | tail -n 40 >&2
		die "row 8: $who did not come up within 15 minutes"
	}
	boot_steps "$who" "$run"
}

# The host's systemd greets last; an initramfs that has one of its own greets before.
boot_steps()
{
	local at own
	read -r at own _ < <(grep 'Welcome to ' "$work/events" | tail -n 1) || return 0
	jq -c --arg who "$1" --argjson run "$2" --argjson at "$at" --argjson own "$own" '
		{row: "8", who: $who, run: $run, children: 0} as $step
		| ($step + {step: "kernel and initramfs", wall: $at, own: $own}),
		($step + {step: "user space", wall: (.wall - $at), own: (.own - $own)})' \
		"$work/reading" >>"$results"
}

row_8()
{
	local image=$work/image
	boot "$who_peer" "$1" "$work/peer.vmlinuz" "$work/peer.initrd" "$work/peer.qcow2" \
		"root=/dev/vda rw quiet loglevel=4 systemd.show_status=true console=ttyS0"
	boot "$who_ours" "$1" "$image/host.vmlinuz" "$image/host.initramfs.img" \
		"$image/host.qcow2" "$(cat "$image/host.cmdline")"
}
