#!/bin/bash
# needs: root ostree qemu-img mke2fs e2fsck mcopy mkfs.vfat sfdisk
# SPDX-License-Identifier: Apache-2.0
# Disks and archives of a small commit that stands for a host.
. tests/lib/tap.sh

tree=$tmp/tree
release=6.1-test
case $(uname -m) in
x86_64) efi=x64 ;;
aarch64) efi=aa64 ;;
riscv64) efi=riscv64 ;;
*) skip_all "no images for $(uname -m)" ;;
esac

# ---- a commit --------------------------------------------------------------------------------------

umask 022
mkdir -p "$tree"/usr/{bin,etc,share/many} "$tree/usr/lib/modules/$release" \
	"$tree/usr/lib/systemd/boot/efi" "$tree"/{boot,efi,proc,sysroot,var}
ln -s usr/bin "$tree/bin"
echo conf >"$tree/usr/etc/conf"
echo program >"$tree/usr/bin/program"
ln "$tree/usr/bin/program" "$tree/usr/bin/twin"
chmod 4755 "$tree/usr/bin/program"
chown 12:34 "$tree/usr/etc/conf"
setfattr -n user.note -v kept "$tree/usr/bin/twin" 2>/dev/null
long=$(printf 'l%.0s' {1..150})
echo long >"$tree/usr/share/$long"
ln -s "/$long" "$tree/usr/share/link"
for i in {1..300}; do
	: >"$tree/usr/share/many/$i"
done
head -c 3000000 /dev/urandom >"$tree/usr/lib/modules/$release/vmlinuz"
head -c 2000000 /dev/urandom >"$tree/usr/lib/modules/$release/initramfs.img"
echo loader >"$tree/usr/lib/systemd/boot/efi/systemd-boot$efi.efi"
repo=$tmp/repo
ostree init --repo="$repo" --mode=bare
commit=$(ostree commit --repo="$repo" -b host/tiny --timestamp='2026-01-02 03:04:05 +0000' \
	--add-metadata-string=version=1.2 --tree=dir="$tree") || exit

cat >"$tmp/spec.yaml" <<END
formats: [raw]
disk: {size: 1GiB}
esp: {size: 40MiB}
root: {size: minimum, free: 32MiB}
END
image()
{
	"$ashlar" image --repo "$repo" --spec "$tmp/spec.yaml" "$@"
}

# ---- all formats -----------------------------------------------------------------------------------

ok "all formats are made" image -o "$tmp/a" -f raw -f qcow2 -f vmdk -f vdi -f vhdx -f tar -f kernel
stdout_like "the end says how to boot it" "ashlar run .*/a/tiny\.qcow2"
arch=$(dpkg --print-architecture)
for extension in raw qcow2 vmdk vdi vhdx tar vmlinuz initramfs.img cmdline; do
	is "tiny.$extension is a link to the versioned file" "$(readlink "$tmp/a/tiny.$extension")" \
		"tiny-1.2-$arch.$extension"
done
for format in qcow2 vmdk vdi vhdx; do
	ok "$format holds the same disk" qemu-img compare "$tmp/a/tiny.$format" "$tmp/a/tiny.raw"
done
empty "no temporary file is left" "$(find "$tmp/a" -name '.*' -mindepth 1)"
is "command line" "$(sed 's/console=[^ ]*/console=X/' "$tmp/a/tiny.cmdline")" \
	"root=PARTLABEL=ashlar-root ro console=X ostree=/ostree/by-commit/$commit.0"

mkdir "$tmp/other"
(
	cd "$tmp/other" || exit
	umask 077
	export TZ=Asia/Tokyo SOURCE_DATE_EPOCH=1
	image -o there -f raw -f qcow2 -f tar host/tiny >/dev/null 2>&1
)
for format in raw qcow2 tar; do
	ok "$format is the same in another directory, at another time, with another umask" \
		cmp "$tmp/a/tiny.$format" "$tmp/other/there/tiny.$format"
done

# ---- the disk --------------------------------------------------------------------------------------

ok "the partition table is valid" sfdisk --verify "$tmp/a/tiny.raw"
table=$(sfdisk --dump "$tmp/a/tiny.raw")
like "the ESP is first" "$table" 'raw1 .*C12A7328-F81F-11D2-BA4B-00C04FC93EC5.*ashlar-esp'
like "then comes the root" "$table" 'raw2 .*ashlar-root'
unlike "/var is left for the first boot" "$table" 'raw3'
# partition NUMBER FILE: copies it out.
partition()
{
	local start size
	start=$(sed -n "s/.*raw$1 : start= *\([0-9]*\).*/\1/p" <<<"$table")
	size=$(sed -n "s/.*raw$1 : .*size= *\([0-9]*\).*/\1/p" <<<"$table")
	dd if="$tmp/a/tiny.raw" of="$2" bs=1M skip=$((start / 2048)) count=$((size / 2048)) \
		conv=sparse status=none
}
partition 1 "$tmp/esp"
partition 2 "$tmp/root"

ok "the ESP is a sound file system" fsck.vfat -n "$tmp/esp"
export MTOOLSRC=/dev/null
listing=$(mdir -/ -b -i "$tmp/esp" ::)
for path in "EFI/BOOT/BOOT${efi^^}.EFI" "EFI/systemd/systemd-boot$efi.efi" loader/loader.conf \
	"loader/entries/ashlar-1.2-${commit:0:8}.conf" "ashlar/${commit:0:16}/vmlinuz" \
	"ashlar/${commit:0:16}/initramfs.img"; do
	like "the ESP has $path" "$listing" "^::/$path\$"
done
like "the entry names the deployment by its own link" \
	"$(mtype -i "$tmp/esp" "::/loader/entries/ashlar-1.2-${commit:0:8}.conf")" \
	"^options root=PARTLABEL=ashlar-root ro .*ostree=/ostree/by-commit/$commit\.0\$"
ok "the kernel on the ESP is the commit's" cmp \
	<(mtype -i "$tmp/esp" "::/ashlar/${commit:0:16}/vmlinuz") \
	"$tree/usr/lib/modules/$release/vmlinuz"

ok "the root is a sound file system" e2fsck -fn "$tmp/root"
features=$(dumpe2fs -h "$tmp/root" 2>/dev/null)
like "with verity" "$features" '^Filesystem features:.* verity'
unlike "without 64bit" "$features" '^Filesystem features:.* 64bit'
mkdir "$tmp/dump"
debugfs -R "rdump /ostree $tmp/dump" "$tmp/root" >/dev/null 2>&1
deployment=$tmp/dump/ostree/deploy/ashlar/deploy/$commit.0
ok "the deployment is the tree" diff -r --no-dereference -x etc "$tree" "$deployment"
ok "its /etc is /usr/etc" diff -r "$tree/usr/etc" "$deployment/etc"
is "libostree reads the repository as it reads the original" \
	"$(ostree ls -R --nul-filenames-only --repo="$tmp/dump/ostree/repo" "$commit" | sha256sum)" \
	"$(ostree ls -R --nul-filenames-only --repo="$repo" "$commit" | sha256sum)"
is "its ref" "$(cat "$tmp/dump/ostree/repo/refs/heads/host/tiny")" "$commit"
stat=$(debugfs -R "stat /ostree/by-commit/$commit.0/usr/bin/program" "$tmp/root" 2>/dev/null)
like "files keep mode and are hard links to objects" "$stat" 'Mode: +04755'
like "…one of two names in the tree" "$stat" 'Links: 3'

# ---- the archive -----------------------------------------------------------------------------------

mkdir "$tmp/unpacked"
ok "tar reads the archive" tar --xattrs --xattrs-include='*' --numeric-owner -xpf "$tmp/a/tiny.tar" \
	-C "$tmp/unpacked"
is "owners are kept" "$(stat -c '%u:%g' "$tmp/unpacked/etc/conf")" 12:34
is "modes are kept" "$(stat -c '%a' "$tmp/unpacked/usr/bin/program")" 4755
mv "$tmp/unpacked/etc" "$tmp/unpacked/usr/etc"
ok "the archive is the tree" diff -r --no-dereference "$tree" "$tmp/unpacked"

# ---- refusals --------------------------------------------------------------------------------------

contents()
{
	find "$tmp/a" -mindepth 1 -printf '%f %s %T@ %l\n' | sort
}
before=$(contents)
exits 2 "an unknown format" image -o "$tmp/a" -f qcow
stderr_like "…with the nearest name" "did you mean 'qcow2'"
exits 3 "an unknown rev" image -o "$tmp/a" nowhere
sed 's/disk:/disc:/' "$tmp/spec.yaml" >"$tmp/bad.yaml"
exits 3 "a misspelt key" "$ashlar" image --repo "$repo" --spec "$tmp/bad.yaml" -o "$tmp/a"
stderr_like "…with its place and the right one" "bad\.yaml:2:1: .*did you mean 'disk'"
sed 's/1GiB/300MiB/' "$tmp/spec.yaml" >"$tmp/small.yaml"
exits 3 "a disk that is too small" "$ashlar" image --repo "$repo" --spec "$tmp/small.yaml" -o "$tmp/a"
stderr_like "…with what it takes" "disk\.size is 300MiB, but .* needs [0-9]+MiB"
mkdir "$tmp/full"
if mount -t tmpfs -o size=4m tmpfs "$tmp/full" 2>/dev/null; then
	at_exit+=("umount '$tmp/full'")
	exits 7 "a full disk" image -o "$tmp/full"
	stderr_like "…with what it takes" "has 4\.[0-9] MB free, about .* are needed"
	empty "…of which nothing is left" "$(ls -A "$tmp/full")"
else
	skip "a full disk" "no tmpfs can be mounted"
fi
rm "$tree/usr/lib/systemd/boot/efi/systemd-boot$efi.efi"
ostree commit --repo="$repo" -b host/no-loader --tree=dir="$tree" >/dev/null
exits 3 "a commit without boot loader" image -o "$tmp/a" host/no-loader
stderr_like "…with the package to add" "systemd-boot-efi"
ok "…of which a tar can be made" image -o "$tmp/b" -f tar host/no-loader
exits 2 "several refs and none named" image -o "$tmp/a"
stderr_like "…with the refs there are" "host/no-loader, host/tiny"
is "what was there is untouched" "$(contents)" "$before"

done_testing
