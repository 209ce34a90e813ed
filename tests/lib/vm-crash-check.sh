#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# vm-crash-check.sh FILE: for tests/vm/power-cut.sh, is this disk one that a machine can boot from? Plays
# firmware, boot loader and initramfs, and compares all that would run with what was built. $CRASH holds
# what is expected; see there. The last line is the verdict: "old" or "new", then what else is to be said
# ("swap": the new one is on trial; short, shared, tables, passed: see tests/lib/fat-boot.c; fsck:…: what
# fsck.vfat would complain of).
set -u
file=$1
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-crash.XXXXXX")
tools=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}
loops=()
remarks=

# shellcheck disable=SC2317
leave()
{
	umount -q "$tmp/root" "$tmp/var" 2>/dev/null || umount -lq "$tmp/root" "$tmp/var" 2>/dev/null
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

# at LABEL: start and size of a partition, in bytes
at()
{
	jq -r --arg n "$1" '.partitiontable.partitions[] | select(.name == $n) | "\(.start * 512) \(.size * 512)"' "$tmp/table"
}

# mounted LABEL DIRECTORY
mounted()
{
	local start size
	read -r start size < <(at "$1") || return
	mkdir -p "$2"
	loops+=("$(losetup -f --show -o "$start" --sizelimit "$size" "$file")")
	mount -o noatime "${loops[-1]}" "$2" 2>"$tmp/err"
}

sfdisk -J "$file" >"$tmp/table" 2>"$tmp/err" || verdict "bad: the partition table: $(cat "$tmp/err")"
read -r esp esp_size < <(at ashlar-esp) || verdict "bad: there is no ESP"

# ---- the boot loader ---------------------------------------------------------------------------------
"$tools/fat-boot" "$file" "$esp" >"$tmp/boot" 2>&1 || verdict "bad: the ESP: $(tail -n 1 "$tmp/boot")"
remarks=$(sed -n 's/^note \([a-z]*\).*/\1/p' "$tmp/boot" | sort -u | tr '\n' ' ')

# whole COMMIT KERNEL INITRAMFS: are they what was built?
whole()
{
	[ -e "$CRASH/$1.boot" ] && [ "$2 $3" = "$(tr '\n' ' ' <"$CRASH/$1.boot" | sed 's/ $//')" ]
}
read -r _ entry tries commit serial kernel initramfs < <(grep '^entry' "$tmp/boot") ||
	verdict "bad: no entry is offered: $(tr '\n' ';' <"$tmp/boot")"
whole "$commit" "$kernel" "$initramfs" || verdict "bad: kernel or initramfs of $entry ($commit)"
which=$(sed -n "s/^$commit //p" "$CRASH/commits")
# While the first is on trial there is another that would be the next.
if [ "$tries" -ge 0 ]; then
	read -r _ next _ other _ kernel initramfs < <(grep '^entry' "$tmp/boot" | grep -v " $commit ") ||
		verdict "bad: nothing to fall back to from $entry"
	whole "$other" "$kernel" "$initramfs" || verdict "bad: kernel or initramfs of $next, to which $entry falls back"
	remarks+="swap "
fi

# What fsck would say; no machine runs it, so that it must not matter.
if [ "${CRASH_PART:-}" = esp ]; then
	dd if="$file" of="$tmp/esp" bs=1M skip=$((esp / 1048576)) count=$((esp_size / 1048576)) conv=sparse status=none
	fsck.vfat -n "$tmp/esp" >"$tmp/fsck" 2>&1
	for word in share "bad short" orphan unused "free cluster"; do
		! grep -qi "$word" "$tmp/fsck" || remarks+="fsck:${word// /-} "
	done
	rm -f "$tmp/esp"
fi

# ---- root --------------------------------------------------------------------------------------------
# Not as the machine would, but so that the journal is played back, which it would.
mounted ashlar-root "$tmp/root" || verdict "bad: the root cannot be mounted: $(cat "$tmp/err")"
root=$tmp/root
# check_tree COMMIT SERIAL: what the link leads to is the commit, file by file
check_tree()
{
	local tree
	tree=$(readlink -e "$root/ostree/by-commit/$1.$2") || verdict "bad: the link of $1.$2 leads nowhere"
	# All files are links to objects, which are hashed below; the names are compared. Empty ones may be
	# files of their own.
	(cd "$root/ostree/repo/objects" && find . -name "*.file" -printf "%i\t%P\n") |
		sed "s,/,,; s,\.file\$,," >"$tmp/objects"
	(cd "$tree" && find . -path ./etc -prune -o -type f -printf "%i\t%s\t%m\t%P\n") |
		awk -F '\t' 'NR == FNR {object[$1] = $2; next}
			{print $4 "\t" ($2 == 0 ? "empty " $3 : $1 in object ? object[$1] : "no object")}' \
			"$tmp/objects" - | LC_ALL=C sort >"$tmp/files"
	cmp -s "$tmp/files" "$CRASH/$1.files" ||
		verdict "bad: the files of $1: $(diff "$tmp/files" "$CRASH/$1.files" | head -n 3 | tr '\n' ';')"
	(cd "$tree" && find . -path ./etc -prune -o -type l -printf '%P -> %l\n') | LC_ALL=C sort >"$tmp/links"
	cmp -s "$tmp/links" "$CRASH/$1.links" ||
		verdict "bad: the links of $1: $(diff "$tmp/links" "$CRASH/$1.links" | head -n 3 | tr '\n' ';')"
	# Nothing of /etc is cut short: an empty file there is one in the release, or the machine's own.
	(cd "$tree/etc" && find . -type f -empty -printf '%P\n') | while read -r name; do
		[ ! -s "$tree/usr/etc/$name" ] || echo "$name"
	done >"$tmp/empty"
	[ ! -s "$tmp/empty" ] || verdict "bad: /etc of $1: $(head -n 3 "$tmp/empty" | tr '\n' ' ') empty"
}
check_tree "$commit" "$serial"
if [ "$tries" -ge 0 ]; then
	check_tree "$other" "$(sed -n "s/^entry [^ ]* [^ ]* $other \([0-9]*\) .*/\1/p" "$tmp/boot" | head -n 1)"
fi
# What is told of the ESP alone had no effect on root's files; their names are enough.
[ "${CRASH_PART:-}" = esp ] || ostree --repo="$root/ostree/repo" fsck -q >"$tmp/fsck" 2>&1 ||
	verdict "bad: the repository: $(tail -n 1 "$tmp/fsck")"

# ---- /var --------------------------------------------------------------------------------------------
if [ -n "$(at ashlar-var)" ]; then
	mounted ashlar-var "$tmp/var" || verdict "bad: /var cannot be mounted: $(cat "$tmp/err")"
	state=$tmp/var/lib/ashlar/state.json
	[ ! -e "$state" ] || jq -e .state "$state" >/dev/null 2>"$tmp/err" || verdict "bad: state.json: $(cat "$tmp/err")"
else
	remarks+="no-var "
fi
verdict "$which${remarks:+ (${remarks% })}"
