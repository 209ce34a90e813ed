#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# crash-check.sh FILE: for tests/system/power-cut.sh, is this disk one that a machine can boot from? Plays
# firmware, boot loader and initramfs, and compares all that would run with what was built. $CRASH holds
# what is expected; see there. The last line is the verdict.
set -u
file=$1
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-crash.XXXXXX")
export tmp
# shellcheck disable=SC2034
ashlar_bin=${ASH_BIN:-$PWD/build/bin}
# shellcheck source=tests/lib/agent.bash
. tests/lib/agent.bash
# shellcheck source=tests/lib/other-boot.bash
. tests/lib/other-boot.bash
host=$tmp/host
repo=$host/sysroot/ostree/repo
loops=()

leave()
{
	umount -q "$host/efi" "$host" 2>/dev/null || umount -lq "$host/efi" "$host" 2>/dev/null
	[ ${#loops[@]} -eq 0 ] || losetup -d "${loops[@]}"
	rm -rf --one-file-system "$tmp"
}
trap leave EXIT

verdict()
{
	echo "${*//$'\n'/; }"
	case $* in bad*) exit 1 ;; esac
	exit 0
}

# tree_sums DIRECTORY: every file of a deployment but what is the host's own.
tree_sums()
{
	(cd "$1" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum &&
		find . -path ./etc -prune -o -type l -printf '%p %l\n' | LC_ALL=C sort)
}

etc_sums()
{
	(cd "$1/etc" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
}

mkdir -p "$host"
read -r esp_start esp_size root_start root_size <"$CRASH/layout"
loops+=("$(losetup -f --show -o "$root_start" --sizelimit "$root_size" "$file")")
mount -o "${CRASH_MOUNT:-noatime}" "${loops[0]}" "$host" 2>"$tmp/err" || verdict "bad: the root cannot be mounted: $(cat "$tmp/err")"
loops+=("$(losetup -f --show -o "$esp_start" --sizelimit "$esp_size" "$file")")
mount "${loops[1]}" "$host/efi" 2>"$tmp/err" || verdict "bad: the ESP cannot be mounted: $(cat "$tmp/err")"

# All that a ref names, by its bytes. A commit without one is put aside meanwhile: libostree names the objects of
# a transaction in no order, so it may lack some, which the next import brings; fsck would ask for them.
sound()
{
	local path name result=0
	mkdir "$tmp/aside"
	for path in "$repo"/objects/??/*.commit; do
		name=${path#"$repo/objects/"}
		name=${name/\//}
		grep -qx "${name%.commit}" "$tmp/named" || mv "$path" "$tmp/aside/$name"
	done
	ostree --repo="$repo" fsck -q >"$tmp/fsck" 2>&1 || result=$?
	for path in "$tmp"/aside/*.commit; do
		[ ! -e "$path" ] || mv "$path" "$repo/objects/$(basename "$path" | sed 's,^..,&/,')"
	done
	rmdir "$tmp/aside"
	return "$result"
}

judge()
{
	loader_boot
	[ -n "$booted" ] || verdict "bad: nothing boots$1: $(ls "$host/efi/loader/entries")"
	which=
	for name in old new; do
		[ "$booted" != "$(cat "$CRASH/$name.commit")" ] || which=$name
	done
	[ -n "$which" ] || verdict "bad: $booted boots$1"
	deployment=$(readlink -f "$host/sysroot/ostree/by-commit/$booted".*)
	tree_sums "$deployment" >"$tmp/sums" 2>&1
	cmp -s "$tmp/sums" "$CRASH/$which.sums" ||
		verdict "bad: the $which deployment differs$1: $(diff "$tmp/sums" "$CRASH/$which.sums" | head -n 2)"
	etc_sums "$deployment" >"$tmp/etc" 2>&1
	cmp -s "$tmp/etc" "$CRASH/$which.etc" ||
		verdict "bad: /etc of the $which deployment differs$1: $(diff "$tmp/etc" "$CRASH/$which.etc" | head -n 2)"
	find "$repo/refs" -type f -exec cat {} + >"$tmp/named"
	grep -qx "$booted" "$tmp/named" || verdict "bad: no ref names the $which deployment$1"
	sound || verdict "bad: the repository, with the $which deployment$1: $(tail -n 1 "$tmp/fsck")"
}

other_boot "$repo"
judge ""
first=$which
number=${file##*-}
if [ "$first" = old ] && [ -z "${CRASH_NO_RETRY:-}" ] && ((10#${number%.raw} % 4 == 0)); then
	# The next update works, whatever the last one left behind.
	"$CRASH/update" "$host" >"$tmp/update" 2>&1 || verdict "bad: the next update fails: $(tail -n 1 "$tmp/update")"
	judge " after the next update"
	[ "$which" = new ] || verdict "bad: the next update leads to the $which deployment"
fi
verdict "$first"
