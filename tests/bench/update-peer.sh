#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# update-peer.sh compose TREE DEBS PACKAGES SOURCES: the host as one composes it without ashlar, from the
# same packages: mmdebstrap's minbase and nothing taken away, modules as Debian ships them (.ko.xz), the
# initramfs that initramfs-tools makes, compressed by zstd.
# update-peer.sh upgrade TREE [--initramfs] [--without PACKAGE] [DEB…]: the .debs are installed over what
# is there, so that whatever a package does not change stays as it is to the byte.
# Both leave nothing that differs by itself from one time to the next: logs, caches, lists.
set -euo pipefail
# As reproducible a compose as these tools know.
export SOURCE_DATE_EPOCH=1700000000

clean()
{
	local tree=$1
	find "$tree/dev" "$tree/run" "$tree/tmp" "$tree/var/log" "$tree/var/cache" "$tree/var/tmp" \
		"$tree/var/lib/apt/lists" -mindepth 1 -delete
	rm -f "$tree"/var/lib/dpkg/*-old "$tree"/etc/{machine-id,resolv.conf,hostname}
}

compose()
{
	local tree=$1 debs=$2 packages=$3
	local -a sources
	mapfile -t sources <"$4"
	mmdebstrap --quiet --mode=root --variant=minbase --include="$packages" \
		--skip=download/empty --skip=essential/unlink \
		--setup-hook="mkdir -p \"\$1/var/cache/apt/archives\"; cp -l '$debs'/*.deb \"\$1/var/cache/apt/archives/\"" \
		--dpkgopt=force-unsafe-io trixie "$tree" "${sources[@]}"
	clean "$tree"
}

# Runs where /proc is the tree's own.
inside()
{
	unshare --mount --pid --fork --kill-child sh -ec '
		mount -t proc proc "$1/proc"
		mount -t tmpfs -o mode=755 tmpfs "$1/dev"
		for name in null zero full random urandom; do
			touch "$1/dev/$name"
			mount --bind "/dev/$name" "$1/dev/$name"
		done
		tree=$1
		shift
		exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive \
			SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" "$@"' sh "$@"
}

upgrade()
{
	local tree=$1 has_initramfs=false
	local -a gone=()
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--initramfs) has_initramfs=true ;;
		--without)
			gone+=("$2")
			shift
			;;
		*) break ;;
		esac
		shift
	done
	if [ $# -gt 0 ]; then
		mkdir "$tree/tmp/debs"
		cp "$@" "$tree/tmp/debs/"
		inside "$tree" sh -c 'exec dpkg --force-unsafe-io -i /tmp/debs/*.deb'
	fi
	[ ${#gone[@]} -eq 0 ] || inside "$tree" dpkg --force-unsafe-io --purge "${gone[@]}"
	! $has_initramfs || inside "$tree" update-initramfs -u -k all
	clean "$tree"
}

verb=$1
shift
"$verb" "$@"
