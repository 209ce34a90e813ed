#!/bin/bash
# needs: vm sfdisk mke2fs gcc
# SPDX-License-Identifier: Apache-2.0
# The initramfs in a machine: it finds the root on each kind of disk, switches into it, and after a
# failure says what is wrong and reboots.
#
# ASHLAR_TEST_KERNEL_TREE: a Debian root directory with a kernel (/usr/lib/modules/*/vmlinuz or
# /boot/vmlinuz-*) and ostree-prepare-root.
. tests/lib/tap.sh

tree=${ASHLAR_TEST_KERNEL_TREE:-}
[ -n "$tree" ] || skip_all "ASHLAR_TEST_KERNEL_TREE names no tree with a kernel"
release=$(basename "$(echo "$tree"/usr/lib/modules/*/modules.dep | xargs dirname)")
kernel=$tree/usr/lib/modules/$release/vmlinuz
[ -e "$kernel" ] || kernel=$tree/boot/vmlinuz-$release
tools=${ASH_TEST_TOOLS:-build/release/tests/lib}
uuid=6f0c24a7-9d5e-4b52-8a2b-0f3c5e1d7a11
partuuid=1b9d3c55-2f4e-4c60-9a7e-3d2c1b0a9f88

# The host's first process: says what it sees, and ends the machine.
cat >"$tmp/init.c" <<'END'
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char *state(const char *path)
{
	struct statvfs fs;
	if (statvfs(path, &fs) < 0)
		return "missing";
	return fs.f_flag & ST_RDONLY ? "ro" : "rw";
}

int main(int argc, char **argv)
{
	char line[256];
	FILE *modules = fopen("/proc/modules", "r");

	printf("HOST argv=%s,%s /=%s /usr=%s /sysroot/ostree=%s /run=%s /init=%s\n", argv[0],
			argc > 1 ? argv[1] : "", state("/"), state("/usr"), state("/sysroot/ostree"),
			state("/run"), state("/init"));
	while (modules != NULL && fgets(line, sizeof line, modules) != NULL)
		printf("MODULE %s\n", strtok(line, " "));
	fflush(stdout);
	if (strstr(argv[0], "hang") != NULL)
		pause();
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
END
gcc -static -O1 -o "$tmp/host-init" "$tmp/init.c" || fail "the test's init compiles"

# A root with a deployment inside; without ostree= it is a plain root with an init of its own.
deployment=ostree/deploy/test/deploy/0123.0
mkdir -p "$tmp/root/"{dev,proc,sys,run,sbin,usr,etc,ostree/repo,ostree/by-commit,ostree/deploy/test/var} \
	"$tmp/root/$deployment/"{dev,proc,sys,run,sysroot,var,etc,usr/etc,usr/sbin}
cp "$tmp/host-init" "$tmp/root/sbin/init"
cp "$tmp/host-init" "$tmp/root/sbin/hang"
cp "$tmp/host-init" "$tmp/root/$deployment/usr/sbin/init"
ln -s usr/sbin "$tmp/root/$deployment/sbin"
ln -s ../deploy/test/deploy/0123.0 "$tmp/root/ostree/by-commit/0123.0"
: >"$tmp/root/ostree/repo/config"

truncate -s 64M "$tmp/disk"
sfdisk -q "$tmp/disk" <<END
label: gpt
start=2048, size=2048, name=esp
start=4096, size=122880, name=ashlar-root, uuid=$partuuid
END
mke2fs -q -t ext4 -U $uuid -d "$tmp/root" -E offset=2097152 "$tmp/disk" 60M

ok "the initramfs is composed" "$tools/initramfs" "$tree" "$release" "$ashlar_bin/ashlar-initrd" \
	"$tmp/initrd"
ok "and again" "$tools/initramfs" "$tree" "$release" "$ashlar_bin/ashlar-initrd" "$tmp/again"
ok "with the same bytes" cmp "$tmp/initrd" "$tmp/again"
exits 1 "a module that the kernel lacks is refused" "$tools/initramfs" "$tree" "$release" \
	"$ashlar_bin/ashlar-initrd" "$tmp/again" virtio_blkk
stderr_like "with the nearest name" "did you mean 'virtio_blk'"

ok "a module beside the default ones" "$tools/initramfs" "$tree" "$release" \
	"$ashlar_bin/ashlar-initrd" "$tmp/initrd.watchdog" i6300esb

# boot NAME CMDLINE QEMU-OPTION…: starts a machine that ends at its first reboot. Three at a time:
# those that fail mostly wait.
boot()
{
	local name=$1 cmdline=$2 initrd=$tmp/initrd
	[ ! -e "$initrd.$name" ] || initrd=$initrd.$name
	shift 2
	while [ "$(jobs -rp | wc -l)" -ge 3 ]; do
		wait -n
	done
	{
		timeout 180 "$(qemu_system)" -machine q35 -cpu max -m 512 -smp 1 -nodefaults \
			-display none -no-reboot -serial stdio -kernel "$kernel" -initrd "$initrd" \
			-append "console=ttyS0 $cmdline" \
			-drive "file=$tmp/disk,format=raw,if=none,id=d,snapshot=on" "$@" \
			>"$tmp/console.$name" 2>&1 </dev/null
		echo "exit code $?" >>"$tmp/console.$name"
	} &
}

# booted NAME: its console is in $console.
booted()
{
	console=$(tr -d '\r' <"$tmp/console.$1")
	like "$1: the machine ended by itself" "$console" "^exit code 0$"
}

blk=(-device "virtio-blk-pci,drive=d")
label="root=PARTLABEL=ashlar-root"
boot missing-root "quiet root=PARTLABEL=other ashlar.root_timeout_s=2" "${blk[@]}"
boot missing-deployment "quiet $label ostree=/ostree/by-commit/4567.0" "${blk[@]}"
boot not-ext4 "quiet root=PARTLABEL=esp" "${blk[@]}"
boot missing-init "quiet $label init=/sbin/missing" "${blk[@]}"
boot no-root "quiet" "${blk[@]}"
boot blacklist "$label modprobe.blacklist=virtio_blk ashlar.root_timeout_s=2" "${blk[@]}"
boot request "quiet $label rootfstype=overlay" "${blk[@]}"
boot watchdog "$label ashlar.watchdog_s=4 init=/sbin/hang" "${blk[@]}" -device i6300esb
boot virtio-blk "quiet $label" "${blk[@]}"
boot deployment "root=PARTUUID=$partuuid ostree=/ostree/by-commit/0123.0 init=/usr/sbin/init word" \
	"${blk[@]}"
boot virtio-scsi "root=UUID=$uuid rw" -device virtio-scsi-pci -device scsi-hd,drive=d
boot sata "root=/dev/sda2 rootflags=noatime,errors=remount-ro" -device ide-hd,drive=d,bus=ide.0
boot nvme "$label" -device nvme,drive=d,serial=1
wait

booted virtio-blk
like "found by partition label; the host's root is read-only, the initramfs gone" "$console" \
	"^HOST argv=/sbin/init, /=ro /usr=ro /sysroot/ostree=missing /run=rw /init=missing"
like "the disk's driver was loaded" "$console" "^MODULE virtio_blk"
unlike "and no other" "$console" "^MODULE (ahci|virtio_scsi|hv_vmbus)"

booted watchdog
like "the host's init ran" "$console" "HOST argv=/sbin/hang"
like "and what was to be loaded in any case was" "$console" "MODULE i6300esb"

booted deployment
like "found by PARTUUID; /usr read-only, /sysroot in place, arguments passed on" "$console" \
	"HOST argv=/usr/sbin/init,word .*/usr=ro /sysroot/ostree=r[ow] /run=rw"

booted virtio-scsi
like "found by the file system's UUID, writable as asked" "$console" "HOST argv=/sbin/init, /=rw"
like "the disk's driver came with the bus" "$console" "MODULE sd_mod"

booted sata
like "found by its device node, mount options taken apart" "$console" "HOST argv=/sbin/init, /=ro"

booted nvme
like "found by partition label" "$console" "HOST argv=/sbin/init, /=ro"

booted missing-root
like "it said what it looked for and what there is" "$console" \
	"ashlar-initrd: root=PARTLABEL=other did not appear within 2 s; found: vda, vda1 \(esp\), vda2 \(ashlar-root\)"
like "and that it reboots" "$console" "ashlar-initrd: rebooting in 10 s"

booted blacklist
like "the driver stayed out" "$console" "did not appear within 2 s; found: none"

booted missing-deployment
like "it said so" "$console" "no usable deployment for ostree=/ostree/by-commit/4567.0"

booted not-ext4
like "it said so" "$console" "mounting /dev/vda1 \(root=PARTLABEL=esp\) as ext4: Invalid argument"

# The kernel asked /sbin/modprobe for the file system: it is known, and refuses what it is given.
booted request
like "a module was loaded at the kernel's own request" "$console" \
	"mounting /dev/vda2 \(root=PARTLABEL=ashlar-root\) as overlay: Invalid argument"

booted missing-init
like "it said so" "$console" "no init that can be executed: /sbin/missing"

booted no-root
like "it said so" "$console" "no root= on the kernel command line"

done_testing
