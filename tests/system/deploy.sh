#!/bin/bash
# needs: root ostree jq mkfs.ext4 losetup
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2012,SC2011,SC2317,SC2016
# ashlar-worker on a disk of its own: releases come, boot, are left, go.
. tests/lib/tap.sh
. tests/lib/disk.sh
at_exit+=(undisk)

tree 1
release 1 "['quiet']"
tree 2
echo new >"$tmp/tree/usr/etc/added"
echo "changed by 2" >"$tmp/tree/usr/etc/net/lan"
release 2 "['quiet', 'lsm=a']"
tree 3
release 3 "['quiet']"
tree 4
echo "no kernel" >"$tmp/tree/usr/lib/modules/6.1/vmlinuz"
release 4 "['quiet']"
one=${commit_of[1]} two=${commit_of[2]} three=${commit_of[3]}
doc2=$(document 2 1)
doc3=$(document 3 2)
doc4=$(document 4 1)
mkdir -p "$tmp/empty"
disk 128M || skip_all "no loop devices"

is "the boot loader boots version 1" "$(boot_choice)" "$one"

# ---- what is there

ok "inspect" job inspect '{}'
is "... says what runs" "$(jq -r .result.booted <<<"$answer")" "$one"
is "... its version" "$(jq -r '.result.deployments[0].version' <<<"$answer")" 1
is "... that its entry is not counted" "$(jq -r '.result.deployments[0].tries_left' <<<"$answer")" -1
is "... and the free space" "$(jq '.result.root.free_bytes > 1000000 and .result.esp.bytes > 0' <<<"$answer")" true

# ---- a kernel that the boot loader could not start, and would not count on after

keep_disk
stage_objects 4
ok "import of a release whose kernel is none" job import "{\"release\":$doc4,\"method\":\"objects\",\"delta\":null}"
exits 1 "... it is not deployed" job deploy "{\"release\":$doc4,\"tries\":3}"
is "... which is the release's fault" "$(jq -r .error.word <<<"$(tail -n 1 "$tmp/job")")" kernel
like "... with the reason" "$(jq -r .error.text <<<"$(tail -n 1 "$tmp/job")")" "no kernel that the firmware would start"
is "... still nothing else boots" "$(boot_choice)" "$one"
restore_disk

# ---- version 2, by objects

# Changes of this host in /etc.
etc1=$trees/$one.0/etc
echo "mine" >"$etc1/changes"
echo "0123456789abcdef0123456789abcdef" >"$etc1/machine-id"
rm "$etc1/stays"
mkdir -p "$etc1/own/deep"
echo "own" >"$etc1/own/deep/file"
chmod 600 "$etc1/own/deep/file"
ln -s ../changes "$etc1/own/link"
setfattr -n user.note -v x "$etc1/changes" 2>/dev/null || true

ok "plan for version 2" job plan "{\"release\":$doc2}"
is "... by delta" "$(jq -r .result.method <<<"$answer")" delta
stage_objects 2
ok "import of its objects" job import "{\"release\":$doc2,\"method\":\"objects\",\"delta\":null}"
is "... brings all" "$(jq '.result.objects > 10' <<<"$answer")" true
ok "... that the repository can prove" ostree --repo="$host/sysroot/ostree/repo" fsck --quiet
is "... still nothing else boots" "$(boot_choice)" "$one"
ok "plan again" job plan "{\"release\":$doc2}"
is "... nothing is to be fetched" "$(jq -r '.result.method, .result.bytes' <<<"$answer" | xargs)" "present 0"
ok "deploy" job deploy "{\"release\":$doc2,\"tries\":3}"
is "... names its entry" "$(jq -r .result.entry <<<"$answer")" "ashlar-00000001-${two:0:8}+3.conf"
is "... which boots next" "$(boot_choice)" "$two"
is "... with its own arguments and the machine's" \
	"$(sed -n 's/^options //p' "$entries/ashlar-00000001-${two:0:8}+3.conf")" \
	"root=PARTLABEL=ashlar-root ro quiet lsm=a console=ttyS0 ostree=/ostree/by-commit/$two.0"
etc2=$trees/$two.0/etc
is "/etc: what the host changed stays" "$(cat "$etc2/changes")" mine
is "/etc: the machine's id" "$(cat "$etc2/machine-id")" 0123456789abcdef0123456789abcdef
is "/etc: what the release changed comes" "$(cat "$etc2/net/lan")" "changed by 2"
is "/etc: what the release added too" "$(cat "$etc2/added")" new
ok "/etc: what was removed is away" test ! -e "$etc2/stays"
is "/etc: what the host added" "$(cat "$etc2/own/deep/file" && stat -c %a "$etc2/own/deep/file")" "own
600"
is "/etc: a link as it is" "$(readlink "$etc2/own/link")" ../changes
echo "later" >"$etc2/changes"
is "/etc: is no hard link to the other" "$(cat "$etc1/changes")" mine
is "the tree is immutable" "$(lsattr -d "$trees/$two.0" | cut -c5)" i
ok "deploy once more" job deploy "{\"release\":$doc2,\"tries\":3}"
is "... changes nothing" "$(cat "$etc2/changes") $(ls "$entries" | wc -l)" "later 2"
ok "check of what was deployed" job check "{\"commit\":\"$two\"}"
is "... finds nothing" "$(jq -c .result.bad <<<"$answer")" '[]'

# ---- verdicts

boots "$two"
mv "$entries/ashlar-00000001-${two:0:8}+3.conf" "$entries/ashlar-00000001-${two:0:8}+2-1.conf"
ok "bless" job bless "{\"commit\":\"$two\"}"
ok "... takes the counter away" test -e "$entries/ashlar-00000001-${two:0:8}.conf"
ok "bless again" job bless "{\"commit\":\"$two\"}"
is "... version 2 boots" "$(boot_choice)" "$two"

# ---- back and forth

ok "switch to version 1" job switch "{\"commit\":\"$one\"}"
is "... it boots" "$(boot_choice)" "$one"
is "... by one entry alone" "$(grep -l "$one" "$entries"/*.conf | wc -l)" 1
is "... with the /etc that it had" "$(cat "$etc1/changes")" mine
ok "switch again" job switch "{\"commit\":\"$one\"}"
is "... is the same entry" "$(jq -r .result.entry <<<"$answer")" "ashlar-00000002-${one:0:8}.conf"
boots "$one"
ok "and back to version 2" job switch "{\"commit\":\"$two\"}"
is "... it boots" "$(boot_choice)" "$two"
exits 1 "a switch to what is not deployed" job switch "{\"commit\":\"$three\"}"
like "... says so" "$answer" '"word":"missing"'
boots "$two"

# ---- version 3, by delta

stage_delta 3 2
ok "update to version 3" update 3 2 "$doc3"
is "... boots next" "$(boot_choice)" "$three"
ok "... all of it is sound" ostree --repo="$host/sysroot/ostree/repo" fsck --quiet
ok "condemn it" job condemn "{\"commit\":\"$three\"}"
is "... version 2 boots" "$(boot_choice)" "$two"
ok "... no tries are left" test -e "$entries/ashlar-00000004-${three:0:8}+0.conf"
ok "deploy it once more" job deploy "{\"release\":$doc3,\"tries\":2}"
is "... it boots again" "$(boot_choice)" "$three"
ok "... with two tries" ls "$entries/"*"${three:0:8}+2.conf"
ok "condemn it again" job condemn "{\"commit\":\"$three\"}"

# ---- cleaning

mkdir -p "$host/efi/ashlar/0123456789abcdef" "$trees/.$one.7.tmp/usr"
ln -s nowhere "$host/sysroot/ostree/by-commit/$one.9"
: >"$entries/ashlar-00000009-01234567.conf.tmp"
: >"$staging/x.part"
mkdir -p "$staging/metadata"
ok "clean, keeping version 1" job clean "{\"keep\":[\"$one\"],\"staging\":true}"
# How much cannot be said here: the ESP is a directory of this machine's own disk.
is "... says how much it freed" "$(jq '.result.bytes >= 0' <<<"$answer")" true
is "... two trees stay" "$(ls -A "$trees" | xargs -n1 | sort)" "$(printf '%s.0\n' "$one" "$two" | sort)"
is "... two entries" "$(ls -A "$entries" | wc -l)" 2
is "... two directories on the ESP" "$(ls "$host/efi/ashlar" | wc -l)" 2
is "... two links" "$(ls -A "$host/sysroot/ostree/by-commit" | wc -l)" 2
is "... the downloader's metadata" "$(ls "$staging")" metadata
ok "... the repository is sound" ostree --repo="$host/sysroot/ostree/repo" fsck --quiet
is "... without the commit that went" "$(ostree --repo="$host/sysroot/ostree/repo" refs | sort | xargs)" \
	"ashlar/deployed/$two host/example"
ok "clean, keeping nothing" job clean '{"keep":[]}'
is "... what runs stays" "$(ls "$trees") $(boot_choice)" "$two.0 $two"
exits 1 "condemning the last one" job condemn "{\"commit\":\"$two\"}"
like "... is refused" "$answer" '"word":"no-fallback".*no other deployment could boot'
is "... it boots" "$(boot_choice)" "$two"

# ---- damage is found

boots "$two"
chattr -i "$trees/$two.0"
# Through the hard link: the object is broken as well.
echo x >>"$trees/$two.0/usr/share/same"
rm "$trees/$two.0/usr/share/empty"
echo y >"$trees/$two.0/usr/share/extra"
ok "check of a damaged deployment" job check "{\"commit\":\"$two\"}"
like "... names the object" "$(jq -r '.result.bad[]' <<<"$answer")" '^[0-9a-f]{2}/[0-9a-f]{62}\.file$'
like "... what is missing" "$(jq -r '.result.bad[]' <<<"$answer")" '^usr/share/empty$'
like "... what is too much" "$(jq -r '.result.bad[]' <<<"$answer")" '^usr/share/extra: not in the commit$'

# ---- staging is not believed

# hostile NAME WORD TEXT COMMAND…: with version 2 staged and the command run upon it, import fails by that
# word; nothing is imported, and with sound objects it succeeds.
hostile()
{
	local name=$1 word=$2 text=$3
	shift 3
	restore_disk
	stage_objects 2
	"$@"
	exits 1 "staging: $name" timeout 60 bash -c \
		"printf '%s' '{\"release\":$doc2,\"method\":\"objects\",\"delta\":null}' |
		'$worker' --root '$host' import"
	stdout_like "... is refused as '$word'" "\"word\":\"$word\""
	stdout_like "... in words" "$text"
	unlike "... nothing is marked as imported" "$(ostree --repo="$host/sysroot/ostree/repo" refs)" deployed
	rm -rf "$staging/repo"
	stage_objects 2
	ok "... and is forgotten with sound objects" \
		job import "{\"release\":$doc2,\"method\":\"objects\",\"delta\":null}"
}

# object PATH: of version 2, where it is staged
object()
{
	local hex
	hex=$(ostree --repo="$releases" ls -C v2 "$1" | awk '{print $5}')
	echo "$staging/repo/objects/${hex:0:2}/${hex:2}.filez"
}

flip()
{
	local file
	file=$(object /usr/bin/program)
	printf '\x55' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 3)) conv=notrunc 2>/dev/null
}

instead()
{
	local file
	file=$(object /usr/bin/program)
	rm "$file"
	case $1 in
	fifo) mkfifo "$file" ;;
	link) ln -s /etc/shadow "$file" ;;
	device) mknod "$file" c 1 5 ;;
	dir) mkdir "$file" ;;
	sparse) truncate -s 1T "$file" ;;
	empty) : >"$file" ;;
	other) cp "$(object /usr/share/same)" "$file" ;;
	gone) ;;
	esac
}

# A header that promises a terabyte, and content that would be one.
bomb()
{
	local file header
	file=$(object /usr/bin/program)
	header=$(head -c 8 "$file" | od -An -tx1 | tr -d ' \n')
	{
		head -c 8 "$file"
		printf '\x00\x00\x01\x00\x00\x00\x00\x00'
		tail -c +17 "$file"
	} >"$file.new"
	mv "$file.new" "$file"
	[ -n "$header" ]
}

commit_object()
{
	echo "$staging/repo/objects/${two:0:2}/${two:2}.commit"
}

undisk
disk 128M
keep_disk
hostile "a flipped byte" corrupt "" flip
for kind in fifo link device dir sparse empty other; do
	hostile "a $kind for an object" corrupt "" instead $kind
done
hostile "an object that is not there" missing "not in staging" instead gone
hostile "a promise of a terabyte" corrupt "unpacks to" bomb
# A new file: what is staged may be a hard link of what was released.
hostile "a commit that is none" corrupt "" eval 'file=$(commit_object); rm "$file"; echo x >"$file"'
hostile "a link for a directory" missing "" eval 'mv "$staging/repo" "$staging/r"; ln -s r "$staging/repo"'

restore_disk
stage_delta 2 1
printf 'x' | dd of="$(echo "$staging"/deltas/*)" bs=1 seek=1000 conv=notrunc 2>/dev/null
delta_of_1="{\"from\":\"$one\"}"
exits 1 "a delta with a flipped byte" job import "{\"release\":$doc2,\"method\":\"delta\",\"delta\":$delta_of_1}"
like "... is not parsed" "$answer" '"word":"corrupt".*is not what was signed'
empty "... and is gone" "$(ls "$staging/deltas")"
echo x >"$tmp/deltas/$two-$one.bad"
cp "$tmp/deltas/$two-$one.bad" "$staging/deltas/$two-$one.delta"
bad=$(jq -c --arg h "$(sha256sum <"$tmp/deltas/$two-$one.bad" | cut -c1-64)" \
	'.deltas[0].sha256 = $h | .deltas[0].bytes = 2' <<<"$doc2")
exits 1 "a delta that is signed and is none" job import "{\"release\":$bad,\"method\":\"delta\",\"delta\":$delta_of_1}"
like "... asks for objects" "$answer" '"word":"delta"'
stage_objects 2
ok "... which come" job import "{\"release\":$doc2,\"method\":\"objects\",\"delta\":null}"

for change in name:untrusted version:untrusted variant:wrong-variant architecture:wrong-arch; do
	restore_disk
	stage_objects 2
	other=$(jq -c ".\"${change%:*}\" = \"other1\"" <<<"$doc2")
	exits 1 "a commit with another ${change%:*} than was signed" \
		job import "{\"release\":$other,\"method\":\"objects\",\"delta\":null}"
	like "... is refused" "$answer" "\"word\":\"${change#*:}\""
done

# ---- no room

# state: all that the disk has, but for times.
state()
{
	(cd "$host" && find efi sysroot -printf '%p %y %m %s %l\n' | sort)
}

undisk
disk 128M
before=$(state)
avail=$(df --output=avail -k "$host/sysroot" | tail -1)
fallocate -l $((avail - 3000))K "$host/sysroot/filler"
exits 1 "plan on a full root" job plan "{\"release\":$doc2}"
like "... tells the figures" "$answer" 'root needs [0-9.]+ MB \([0-9]+ bytes\) and [0-9]+ inodes, has [0-9.]+ [kM]B and [0-9]+ inodes: free [0-9.]+ [kM]B'
like "... by its word" "$answer" '"word":"space"'
rm "$host/sysroot/filler"
is "... and changes nothing" "$(state)" "$before"
big=$(jq -c '.size."boot-bytes" = 99000000000000' <<<"$doc2")
exits 1 "plan on a full ESP" job plan "{\"release\":$big}"
like "... names the ESP" "$answer" 'the ESP needs 99.*has .*: free '
disk 128M -N 200
ino=$(df --output=iavail "$host/sysroot" | tail -1)
mkdir "$host/sysroot/filler"
for ((i = 0; i < ino - 40; i++)); do : >"$host/sysroot/filler/$i"; done
exits 1 "plan without inodes" job plan "{\"release\":$doc2}"
like "... tells how many" "$answer" 'and [0-9]+ inodes, has .* and [0-9]+ inodes: free [0-9]+ inodes'

# ---- kill -9 at every step

all_points=$(grep -ho 'ASH_FAULT("[^"]*")' agent/*.c | sed 's/.*("\(.*\)")/\1/' | sort -u)
undisk
disk 128M
stage_objects 2
stage_objects 3
keep_disk

# cut_everywhere POINTS VERB JSON WANTED…: with a fault at each point that the regex names, then again
# without: the boot loader always boots one of the wanted, and what is there in the end is always the same.
cut_everywhere()
{
	local points verb=$2 json=$3 point kind end='' now code choice hits=0
	points=$(grep -E "^($1)" <<<"$all_points")
	shift 3
	for point in $points; do
		for kind in kill enospc; do
			restore_disk
			code=0
			printf '%s' "$json" | ASHLAR_FAULT=$point:$kind "$worker" --root "$host" "$verb" \
				>"$tmp/out" 2>/dev/null || code=$?
			[ "$code" -ne 0 ] || continue
			hits=$((hits + 1))
			choice=$(boot_choice)
			[[ " $* " == *" $choice "* ]] || {
				fail "$verb: $kind at $point: what boots then" "$choice"
				continue
			}
			job "$verb" "$json" >/dev/null || {
				fail "$verb: again after $kind at $point" "$answer"
				continue
			}
			choice=$(boot_choice)
			now=$(state | grep -v ' sysroot/ostree/repo/\|^sysroot/ostree/repo' | sed 's/ashlar-[0-9]*-/ashlar-N-/')
			[ -n "$end" ] || end=$now
			if [ "$choice" = "${*: -1}" ] && [ "$now" = "$end" ]; then
				pass "$verb: $kind at $point, then again"
			else
				fail "$verb: $kind at $point, then again" "boots $choice
$(diff <(echo "$end") <(echo "$now"))"
			fi
		done
	done
	ok "$verb: cut off $hits times" test "$hits" -ge "$(wc -w <<<"$points")"
}

import2="{\"release\":$doc2,\"method\":\"objects\",\"delta\":null}"
cut_everywhere "import-[^d]" import "$import2" "$one"
restore_disk
job import "$import2" >/dev/null
keep_disk
cut_everywhere "deploy-[^l]|deploy-link|etc-|esp-[rt]" deploy "{\"release\":$doc2,\"tries\":3}" "$one" "$two"
restore_disk
job deploy "{\"release\":$doc2,\"tries\":3}" >/dev/null
keep_disk
cut_everywhere esp-entry-renamed bless "{\"commit\":\"$two\"}" "$two"
cut_everywhere esp-entry-renamed condemn "{\"commit\":\"$two\"}" "$two" "$one"
cut_everywhere "switch-|esp-[rt]" switch "{\"commit\":\"$one\"}" "$two" "$one"
cut_everywhere "clean-|esp-removed" clean '{"keep":[]}' "$two" "$one"

done_testing
