# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# machine_kernel DIR: makes DIR/RELEASE of a host's kernel (vmlinuz and modules), from the tree that tests/system/host.sh
# makes, or from a kernel's package in ashlar's cache. Fails where neither is there.

machine_kernel()
{
	local dir=$1 tree=${ASHLAR_TEST_KERNEL_TREE:-} deb from release
	if [ -z "$(compgen -G "$tree/usr/lib/modules/*/modules.dep")" ]; then
		deb=$(compgen -G '/var/cache/ashlar/debs/linux-image-[0-9]*_*.deb' | sort -V | tail -1)
		[ -n "$deb" ] || return
		tree=$tmp/kernel-tree
		mkdir -p "$tree"
		dpkg-deb -x "$deb" "$tree" || return
		release=$(ls "$tree/usr/lib/modules")
		/usr/sbin/depmod -b "$tree/usr" "$release" 2>/dev/null || /usr/sbin/depmod -b "$tree" "$release" || return
	fi
	from=$(compgen -G "$tree/usr/lib/modules/*/modules.dep" | tail -1)
	release=$(basename "$(dirname "$from")")
	mkdir -p "$dir/$release"
	cp -r "$tree/usr/lib/modules/$release/." "$dir/$release/"
	[ -e "$dir/$release/vmlinuz" ] || cp "$tree/boot/vmlinuz-$release" "$dir/$release/vmlinuz"
}
