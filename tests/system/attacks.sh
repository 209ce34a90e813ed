#!/bin/bash
# needs: root jq openssl ostree
# SPDX-License-Identifier: Apache-2.0
# Whoever has the network, the server, or some of the keys, against ashlar-fetch and ashlar-worker: the
# table of attacks on updates, row by row. For each: refused by the downloader, refused again by the
# verifier that sees what was left in staging, and an honest refresh works afterwards.
# shellcheck disable=SC2034,SC2154,SC2046,SC1090,SC1091
. tests/lib/tap.sh
. tests/lib/tuf.sh

export ASHLAR_FETCH_STALL_S=1 ASHLAR_FETCH_PAUSE_MS=10 ASHLAR_FETCH_TRIES=1
state_of=('targets_file' 'snapshot_file' 'version_' 'edit_' 'sign_as_' 'expires_' 'keys_' 'threshold_')

save()
{
	local prefix
	rm -rf "$tmp/saved-$1"
	mkdir "$tmp/saved-$1"
	cp -a "$pub/metadata" "$pub/targets" "$tmp/targets.json" "$tmp/saved-$1"
	for prefix in "${state_of[@]}"; do
		eval "declare -p \${!$prefix*}"
	done | sed 's/^declare --/declare -g --/' >"$tmp/saved-$1/variables"
}

restore()
{
	rm -rf "$pub/metadata" "$pub/targets"
	cp -a "$tmp/saved-$1/metadata" "$tmp/saved-$1/targets" "$pub"
	cp "$tmp/saved-$1/targets.json" "$tmp"
	# shellcheck source=/dev/null
	. "$tmp/saved-$1/variables"
}

# attack NAME: an honest repository, and a host that has seen it.
attack()
{
	name=$1
	: >"$faults"
	restore honest
	host_init "$tmp/host"
	rm -rf "$host"
	cp -a "$tmp/host-honest" "$host"
	document=$honest_document
	: >"$log"
}

word_of_result()
{
	jq -r 'if .ok then "ok" else [.word, .why // empty] | join(" ") end' <<<"$result"
}

word_of_answer()
{
	jq -r 'if .result then "ok" else .error | [.word, .why // empty] | join(" ") end' <<<"$answer"
}

# refused WORDS [REGEX]: by both; the text says why.
refused()
{
	check
	is "$name: refused" "$(word_of_result)" "$1"
	[ -z "${2:-}" ] || like "$name: with the reason" "$(jq -r .text <<<"$result")" "$2"
	verify
	is "$name: and by the verifier" "$(word_of_answer)" "${3:-$1}"
	healed
}

# healed: what the honest publisher signs next is taken. Its versions are beyond those of the attacks, in which
# real keys may have signed.
healed()
{
	: >"$faults"
	restore healed
	check
	verify
	is "$name: then an honest one is taken" "$(word_of_result) $(word_of_answer) $(jq -r .version <<<"$document")" \
		"ok ok 1.1"
}

pub_init "$tmp/pub"
sign_root
commit 1
one=$commit
commit 2
two=$commit
release 1.0 "$one"
publish
save old
delta "$one" "$two"
release 1.1 "$two"
publish
publish
save honest
version_targets=20 version_snapshot=20 version_timestamp=20
publish
save healed
restore honest
commit 3
three=$commit
serve "$pub"

host_init "$tmp/host"
staging=$host/var/lib/ashlar-link
check
verify
honest_document=$document
is "a host sees the honest release" "$(jq -r .version <<<"$document")" 1.1
cp -a "$host" "$tmp/host-honest"

# evil: a release 6.6 that nobody should take.
evil()
{
	release 6.6 "$three" "$@"
}

# ---- arbitrary install ----

attack "a byte of a signature"
sign_timestamp
sed -i 's/"sig":"\(.\)/"sig":"\1\1/; s/"sig":"\(.\)./"sig":"\1/' "$pub/metadata/timestamp.json"
sed -i 's/"sig":"\(..\)0/"sig":"\1g/; s/"sig":"\(..\)[1-9a-f]/"sig":"\10/; s/"sig":"\(..\)g/"sig":"\11/' \
	"$pub/metadata/timestamp.json"
refused "untrusted signature" timestamp

attack "a byte of the timestamp"
sed -i 's/"expires":"2090/"expires":"2091/' "$pub/metadata/timestamp.json"
refused "untrusted signature"

attack "a byte of the snapshot"
publish
sed -i 's/"expires":"2090/"expires":"2091/' "$snapshot_file"
refused "untrusted hash" snapshot

attack "a byte of the targets"
evil
publish
sed -i 's/"version":"6.6/"version":"6.7/' "$targets_file"
refused "untrusted hash" targets

attack "the right role with the wrong key"
key thief
sign_as_targets=thief
evil
publish
refused "untrusted signature" targets

attack "the wrong key under the right name"
cp "$keydir/targets.id" "$keydir/thief.id"
sign_as_targets=thief
evil
publish
refused "untrusted signature"

attack "no signature at all"
evil
publish
jq -c '.signatures = []' "$targets_file" >"$tmp/unsigned"
cp "$tmp/unsigned" "$targets_file"
sign_snapshot
sign_timestamp
refused "untrusted signature"

for role in root targets snapshot timestamp; do
	attack "one key twice for a threshold of two ($role)"
	key "${role}2"
	declare "keys_$role=$role ${role}2" "threshold_$role=2"
	[ $role = root ] && sign_as_root="root root"
	sign_root
	[ $role = root ] || declare "sign_as_$role=$role $role"
	evil
	publish
	check
	like "$name: refused" "$(word_of_result)" '^untrusted (signature|syntax)$'
	verify
	like "$name: and by the verifier" "$(word_of_answer)" '^untrusted (signature|syntax)$'
	[ $role = root ] || {
		declare "sign_as_$role="
		publish
		check
		verify
		is "$name: with both it is taken" "$(word_of_answer) $(jq -r .version <<<"$document")" "ok 6.6"
	}
done

attack "a target that nobody signed"
evil
cp "$tmp/saved-honest/targets.json" "$tmp"
publish
check
verify
is "$name: it is not even looked at" "$(word_of_answer) $(jq -r .version <<<"$document")" "ok 1.1"

attack "a byte of the release document"
evil
publish
sed -i 's/"version": "6.6"/"version": "6.8"/' "$target_file"
check
is "$name: refused" "$(word_of_result)" "untrusted hash"
cp "$target_file" "$tmp/evil-document"
mkdir -p "$staging/targets/host/host/amd64"
cp "$target_file" "$staging/targets/host/host/amd64/"
verify
is "$name: and by the verifier" "$(word_of_answer)" "untrusted hash"
healed

# ---- rollback ----

attack "last month's whole repository"
restore old
refused "untrusted rollback" "lower than"

attack "an old snapshot under a new timestamp"
version_snapshot=2
snapshot_file=$pub/metadata/1.snapshot.json
sign_timestamp
refused "untrusted rollback" snapshot

attack "targets dropped from the snapshot"
edit_snapshot='.meta = {"other.json": .meta["targets.json"]}'
publish
check
like "$name: refused" "$(word_of_result)" '^untrusted (rollback|syntax)$'
verify
like "$name: and by the verifier" "$(word_of_answer)" '^untrusted (rollback|syntax)$'
healed

attack "older targets under a new snapshot"
version_targets=2
targets_file=$pub/metadata/1.targets.json
sign_snapshot
sign_timestamp
refused "untrusted rollback" targets

attack "the same version of the timestamp with other content"
evil
version_timestamp=$((version_timestamp - 1))
publish
check
verify
is "$name: the one that is known stays" "$(word_of_answer) $(jq -r .version <<<"$document")" "ok 1.1"
healed

attack "ashlard's memory is put back, not the downloader's"
cp -a "$host/var/lib/ashlar/tuf" "$tmp/old-tuf"
sign_timestamp
check
verify
rm -rf "$host/var/lib/ashlar/tuf"
cp -a "$tmp/old-tuf" "$host/var/lib/ashlar/tuf"
check
verify
is "$name: both go on" "$(word_of_result) $(word_of_answer)" "ok ok"

# ---- freeze, and clocks ----

for role in root targets snapshot timestamp; do
	attack "expired: $role"
	declare "expires_$role=2026-08-01T00:00:00Z"
	[ $role = root ] && sign_root
	publish
	check
	is "$name: refused" "$(word_of_result)" "untrusted expired"
	verify
	is "$name: and by the verifier" "$(word_of_answer)" "untrusted expired"
	like "$name: with what the clock says" "$(jq -r .error.text <<<"$answer")" \
		"$role.*clock says 2026-09-2.*the clock is wrong"
	if [ $role = root ]; then
		# A root cannot be taken back: the next one is what heals.
		expires_root=2090-01-01T00:00:00Z
		sign_root
		check
		verify
		is "$name: then the next root is taken" "$(word_of_answer)" ok
	else
		healed
	fi
done
for now in 0 2105000000; do
	attack "the clock says $now"
	host_json=$(jq -c ".now = $now" <<<"$host_json")
	check
	verify
	is "$name: nothing ends" "$(word_of_result) $(word_of_answer)" "ok ok"
done
attack "the clock is years ahead"
host_json=$(jq -c '.now = 4102444800' <<<"$host_json")
check
is "$name: refused" "$(word_of_result)" "untrusted expired"
verify
is "$name: and by the verifier" "$(word_of_answer)" "untrusted expired"
host_json=$(jq -c '.now = 1790000000' <<<"$host_json")
healed

# ---- mix and match ----

attack "the targets of another time under their new name"
evil
publish
cp "$pub/metadata/1.targets.json" "$targets_file"
refused "untrusted hash"

attack "a snapshot of another time under its new name"
publish
cp "$pub/metadata/1.snapshot.json" "$snapshot_file"
refused "untrusted hash"

attack "two honest documents exchanged"
release 1.2 "$two"
cp "$target_file" "$tmp/other"
release 1.3 "$two"
cp "$tmp/other" "$target_file"
publish
check
is "$name: refused" "$(word_of_result)" "untrusted hash"
healed

# ---- endless data ----

# sent_little: the server got rid of no more than the sockets' buffers hold.
sent_little()
{
	local i sent=''
	# What the other side has closed is noticed with the next write.
	for ((i = 0; i < 100 && ${#sent} == 0; i++)); do
		sent=$(awk '$2 == "sent" {print $3}' "$log")
		[ -n "$sent" ] || read -rt 0.05 <>"$tmp/never" || true
	done
	ok "$name: and left early ($sent bytes)" test "${sent:-99999999}" -lt 12000000
}
mkfifo "$tmp/never"

for fault in "endless 0" "chunked 0" "sparse 3221225472"; do
	attack "a timestamp that does not end: $fault"
	echo "/metadata/timestamp.json $fault" >"$faults"
	check
	is "$name: refused" "$(word_of_result)" "untrusted too-big"
	sent_little
	healed
done

attack "a timestamp that is padded"
sign_timestamp
head -c 20000 /dev/zero | tr '\0' ' ' >>"$pub/metadata/timestamp.json"
check
is "$name: refused" "$(word_of_result)" "untrusted too-big"
cp "$pub/metadata/timestamp.json" "$staging/metadata"
verify
is "$name: and by the verifier" "$(word_of_answer)" "untrusted too-big"
healed

attack "a snapshot that is longer than was signed"
publish
echo >>"$snapshot_file"
check
like "$name: refused" "$(word_of_result)" '^untrusted (hash|too-big)$'
cp "$snapshot_file" "$staging/metadata"
verify
like "$name: and by the verifier" "$(word_of_answer)" '^untrusted (hash|too-big)$'
healed

attack "a document of 3 GiB"
evil
publish
echo "/targets/* sparse 3221225472" >"$faults"
check
is "$name: refused" "$(word_of_result)" "too-big"
sent_little
healed

attack "a document that is said to be large"
edit_targets='.targets |= with_entries(.value.length = 3221225472)'
evil
publish
check
is "$name: refused" "$(word_of_result)" "untrusted document"
healed

# ---- slow, silent, gone ----

for fault in "drip 1" "drip 20" "stall 0" "stall 300" "hole 0"; do
	attack "a server that is slow: $fault"
	sign_timestamp
	echo "/metadata/timestamp.json $fault" >"$faults"
	began=$SECONDS
	check
	is "$name: it is left" "$(word_of_result)" slow
	ok "$name: soon" test $((SECONDS - began)) -le 15
	healed
done
attack "drops for longer than an order may take"
publish
echo "/metadata/*.snapshot.json drip 200" >"$faults"
ASHLAR_FETCH_DEADLINE_S=1 ASHLAR_FETCH_STALL_S=60 check
is "$name: the order ends" "$(word_of_result)" timeout
healed
for path in '/metadata/2.root.json' '/metadata/*.snapshot.json' '/metadata/*.targets.json' '/targets/*'; do
	attack "a black hole at $path"
	evil
	publish
	echo "$path hole 0" >"$faults"
	check
	is "$name: it is left" "$(word_of_result)" slow
	healed
done

# ---- keys ----

attack "rotated keys"
for role in targets snapshot timestamp; do
	key "new-$role"
	declare "keys_$role=new-$role"
done
sign_root
key new-root
keys_root=new-root sign_as_root="root new-root"
sign_root
release 1.2 "$two"
publish
check
verify
is "$name: followed by both" "$(word_of_result) $(word_of_answer) $(jq -r .version <<<"$document") $(jq .result.tuf.root <<<"$answer")" \
	"ok ok 1.2 3"
sign_as_timestamp=timestamp
sign_timestamp
check
is "$name: the old timestamp key is worth nothing" "$(word_of_result)" "untrusted signature"

attack "a root that the old keys did not sign"
key new-root
keys_root=new-root
sign_root
refused "untrusted signature" 2.root

attack "a root that leaves out a version"
version_root=3
sign_root
mv "$pub/metadata/3.root.json" "$pub/metadata/2.root.json"
refused "untrusted version"

attack "one of two keys that are needed is stolen"
key targets2
key targets3
keys_targets="targets targets2 targets3" threshold_targets=2
sign_root
sign_as_targets=targets2
evil
publish
check
is "$name: refused" "$(word_of_result)" "untrusted signature"
verify
is "$name: and by the verifier" "$(word_of_answer)" "untrusted signature"
sign_as_targets="targets targets3"
publish
check
verify
is "$name: with the second it is taken" "$(jq -r .version <<<"$document")" 6.6

attack "the timestamp's key is stolen"
key thief2
sign_as_snapshot=thief2
evil
publish
refused "untrusted signature" snapshot

attack "fast-forward"
version_timestamp=2147483647 version_snapshot=2147483647
publish
check
verify
is "$name: taken, as it is signed" "$(word_of_answer)" ok
restore honest
check
is "$name: then no honest one is" "$(word_of_result)" "untrusted rollback"
key fresh-timestamp
key fresh-snapshot
keys_timestamp=fresh-timestamp keys_snapshot=fresh-snapshot
sign_root
release 1.2 "$two"
publish
check
verify
is "$name: until the keys are exchanged" \
	"$(word_of_result) $(word_of_answer) $(jq -r .version <<<"$document") $(jq .result.tuf.timestamp <<<"$answer")" \
	"ok ok 1.2 4"

attack "a chain of 300 roots"
for ((i = 2; i <= 300; i++)); do
	jq -cSj ".signed | .version = $i" "$pub/metadata/1.root.json" | tee "$tmp/signed" | sign "$tmp/x" root
	mv "$tmp/x" "$pub/metadata/$i.root.json"
done
: >"$log"
check
is "$name: the first run goes so far" "$(word_of_result) $(grep -c root.json "$log")" "ok 256"
verify
is "$name: as does the verifier" "$(word_of_answer) $(jq .result.tuf.root <<<"$answer")" "ok 257"
order_extra='{"root_version":257}'
check
verify
is "$name: the second goes on" "$(word_of_answer) $(jq .result.tuf.root <<<"$answer")" "ok 300"
rm -rf "$host/var/lib/ashlar/tuf"
order_extra='{"root_version":1}'
check
verify
is "$name: a verifier that is behind gets the chain" "$(word_of_answer) $(jq .result.tuf.root <<<"$answer")" "ok 257"

attack "an image with a later root than is trusted"
key img
keys_timestamp=img keys_snapshot=img keys_targets=img keys_root=img sign_as_root="img root"
version_root=7
sign_root
cp "$pub/metadata/7.root.json" "$host/usr/lib/ashlar/root.json"
publish
check
verify
is "$name: it is taken without the chain" "$(word_of_answer) $(jq .result.tuf.root <<<"$answer")" "ok 7"
cp "$pub/metadata/1.root.json" "$host/usr/lib/ashlar/root.json"
check
verify
is "$name: and kept when an older image runs" "$(word_of_answer) $(jq .result.tuf.root <<<"$answer")" "ok 7"
rm "$host/usr/lib/ashlar/root.json"
verify
is "$name: an image without a root trusts nobody" "$(word_of_answer)" "no-root"

# ---- wrong host ----

for what in release_arch=arm64 release_variant=debug release_name=other; do
	attack "for another host: $what"
	declare "$what"
	release 6.6 "$three"
	unset "${what%%=*}"
	publish
	check
	verify
	is "$name: not looked at" "$(word_of_answer) $(jq -r .version <<<"$document")" "ok 1.1"
done
while read -r words edit; do
	attack "a document that says something else: $edit"
	evil "$edit"
	publish
	check
	verify
	is "$name: refused" "$(word_of_answer)" "${words/,/ }"
	healed
done <<'END'
wrong-arch .architecture="arm64"
wrong-variant .variant="debug"
untrusted,document .name="other"
untrusted,document .version="1.9"
untrusted,document .commit="0000000000000000000000000000000000000000000000000000000000000000"
untrusted,document ."replaces-min"="0.5"
untrusted,document .format=2
untrusted,document .size.bytes=-1
untrusted,document .deltas[0].path="deltas/../../../../etc/passwd"
END

attack "a downgrade"
host_json=$(jq -c '.version = "2.0"' <<<"$host_json")
check
verify
is "$name: without a recall there is none" \
	"$(word_of_answer) $(jq -c '[.result.release, (.result.refusals[0] | .reason)]' <<<"$answer")" \
	'ok [null,"lower"]'
recall 2.0 1.1
publish
check
verify
is "$name: with one it is" \
	"$(word_of_answer) $(jq -c '[.result.release.version, .result.is_recall]' <<<"$answer")" 'ok ["1.1",true]'
jq '.to = "1.0"' "$tmp/document" >"$tmp/lie"
target host/host/amd64/recall/2.0.json "$tmp/lie" '{"kind":"recall","version":"2.0","to":"1.1"}'
publish
check
verify
is "$name: a recall that disagrees with itself is none" "$(word_of_answer)" "untrusted document"

attack "a release that failed here"
host_json=$(jq -c --arg commit "$two" '.bad[$commit] = "bad"' <<<"$host_json")
check
verify
is "$name: not taken again" \
	"$(jq -c '[.result.release.version, (.result.refusals[] | select(.version == "1.1") | .reason)]' <<<"$answer")" \
	'[null,"bad"]'

# ---- content ----

# content NAME KIND: a host that is about to fetch release 1.1, and an object of it of that kind.
content()
{
	attack "$1"
	object=$(cd "$pub/repo/objects" && find . -newer "$tmp/keys/root.pem" -name "*.$2" -size "${3:-+0}" |
		sed 's/^\.\///' | sort | while read -r path; do
			in_release "$path" && echo "$path"
		done | head -n 1)
	rm -rf "$tmp/kept"
	cp "$pub/repo/objects/$object" "$tmp/kept"
}

in_release()
{
	grep -qx "${1/\//}" "$tmp/objects-of-two"
}
ostree --repo="$tmp/two" init --mode=archive
ostree --repo="$tmp/two" pull-local "$pub/repo" "$two" >/dev/null
(cd "$tmp/two/objects" && find . -type f | sed 's/^\.\///; s/\///') >"$tmp/objects-of-two"

# content_refused WORDS: by the downloader; nothing of that name stays; an honest one is fetched then.
content_refused()
{
	fetch_release objects
	is "$name: refused" "$(word_of_result)" "$1"
	ok "$name: it has no name in staging" test ! -e "$staging/repo/objects/$object"
	cp "$tmp/kept" "$pub/repo/objects/$object"
	: >"$faults"
	fetch_release objects
	is "$name: then the honest one is fetched" "$(word_of_result)" ok
}

for kind in commit dirtree dirmeta filez; do
	content "a byte of a $kind" $kind
	printf '\377' | dd of="$pub/repo/objects/$object" bs=1 seek=$(($(stat -c %s "$tmp/kept") - 3)) \
		conv=notrunc status=none
	content_refused mismatch
done

content "a byte of a file's header" filez
printf '\001' | dd of="$pub/repo/objects/$object" bs=1 seek=20 conv=notrunc status=none
content_refused mismatch

content "a file's content that is cut off" filez +90k
head -c 1000 "$tmp/kept" >"$pub/repo/objects/$object"
content_refused mismatch

content "a bomb in a file" filez
# The header of the object, then deflate that unpacks to 300 MB of zeros.
length=$((16#$(head -c 4 "$tmp/kept" | hex)))
{
	head -c $((8 + length)) "$tmp/kept"
	head -c 300000000 /dev/zero | gzip -9n | tail -c +11 | head -c -8
} >"$pub/repo/objects/$object"
size=$(stat -c %s "$pub/repo/objects/$object")
document=$(jq -c --argjson size "$size" '.size["largest-object-bytes"] = $size' <<<"$document")
content_refused too-big

for fault in "chunked 0" "endless 0" "sparse 3221225472"; do
	content "an object that does not end: $fault" filez
	echo "/repo/objects/$object $fault" >"$faults"
	: >"$log"
	content_refused too-big
	sent_little
done

content "a tree that does not end" dirtree
echo "/repo/objects/$object chunked 0" >"$faults"
content_refused too-big

content "all objects are padded" filez
edit='.size["archive-bytes"] = 1000 | .size["largest-object-bytes"] = 300000000'
document=$(jq -c "$edit" <<<"$document")
echo "/repo/objects/*.filez sparse 200000000" >"$faults"
fetch_release objects
is "$name: more than all of them can have is not read" "$(word_of_result)" too-big
ok "$name: nor kept" test "$(du -sm "$staging" | cut -f1)" -lt 3

attack "very many tiny objects"
mkdir "$tmp/tiny"
for ((i = 0; i < 400; i++)); do echo $i >"$tmp/tiny/$i"; done
tiny=$(ostree --repo="$pub/repo" commit --branch=tiny --tree="dir=$tmp/tiny" --owner-uid=0 --owner-gid=0 \
	--no-xattrs)
document=$(jq -c --arg commit "$tiny" '.commit = $commit | .size.inodes = 5' <<<"$document")
fetch_release objects
is "$name: not more than the release has" "$(word_of_result)" too-big
ok "$name: and none is left" test "$(find "$staging/repo" -name '*.filez' | wc -l)" -eq 0

attack "a delta that was exchanged"
path=$(jq -r '.deltas[0].path' <<<"$document")
echo "/repo/$path wrong 0" >"$faults"
fetch_release delta
is "$name: refused, and objects may do" "$(word_of_result)" delta
echo "/repo/$path sparse 3221225472" >"$faults"
: >"$log"
fetch_release delta
is "$name: longer: refused" "$(word_of_result)" delta
sent_little
: >"$faults"
fetch_release objects
is "$name: they do" "$(word_of_result)" ok

# ---- ashlar-link itself is taken over: it can put what it likes into staging ----

attack "a link in staging"
cp "$staging/metadata/timestamp.json" "$tmp/elsewhere"
ln -sf "$tmp/elsewhere" "$staging/metadata/timestamp.json"
verify
is "$name: not followed" "$(word_of_answer)" missing
rm "$staging/metadata/timestamp.json"
mkfifo "$staging/metadata/timestamp.json"
verify
is "$name: nor a pipe waited for" "$(word_of_answer)" missing
rm "$staging/metadata/timestamp.json"
mkdir "$staging/metadata/timestamp.json"
verify
is "$name: nor a directory read" "$(word_of_answer)" missing
mv "$staging/metadata" "$tmp/metadata-elsewhere"
ln -s "$tmp/metadata-elsewhere" "$staging/metadata"
verify
is "$name: nor a directory's link followed" "$(word_of_answer)" missing
mv "$staging" "$tmp/staging-elsewhere"
ln -s "$tmp/staging-elsewhere" "$staging"
verify
like "$name: nor staging's own" "$(word_of_answer)" "^(missing|failed)$"
rm "$staging"
verify
is "$name: without staging nothing is believed" "$(word_of_answer)" missing
mkdir "$staging"
healed
worker verify "$(jq -c '. + {staging: "/etc"}' <<<"$host_json")"
is "staging is one of two places" "$(word_of_answer)" failed

# ---- one file ----

# bundle_of DIR: a bundle with what is in there.
bundle_of()
{
	(cd "$1" && echo 1 >ashlar-bundle && tar -cf "$tmp/file.bundle" --owner=0 --group=0 ashlar-bundle \
		$(find . -mindepth 2 \( -type f -o -type l \) -printf '%P\n' | sort))
}

unbundle()
{
	worker bundle "$(jq -nc --arg path "${1:-$tmp/file.bundle}" '{path: $path}')"
}

attack "a bundle"
fetch_release objects
rm -rf "$tmp/inside"
mkdir "$tmp/inside"
cp -a "$staging/metadata" "$staging/targets" "$tmp/inside"
mkdir "$tmp/inside/repo"
cp -a "$staging/repo/objects" "$tmp/inside/repo"
bundle_of "$tmp/inside"
rm -rf "$host/var/lib/ashlar" "$staging"
unbundle
is "$name: unpacked" "$(word_of_answer)" ok
worker verify "$(jq -c '. + {staging: "/var/lib/ashlar/bundle"}' <<<"$host_json")"
is "$name: verified" "$(jq -r .result.release.version <<<"$answer")" 1.1
ok "$name: with all its objects" diff -r "$tmp/inside/repo/objects" "$host/var/lib/ashlar/bundle/repo/objects"
sed -i 's/"expires":"2090/"expires":"2091/' "$host/var/lib/ashlar/bundle/metadata/"*.targets.json
rm -rf "$host/var/lib/ashlar/tuf"
worker verify "$(jq -c '. + {staging: "/var/lib/ashlar/bundle"}' <<<"$host_json")"
is "$name: but only what is signed" "$(word_of_answer)" "untrusted hash"

# bundle_refused NAME REGEX: and nothing is left of it.
bundle_refused()
{
	unbundle
	is "a bundle with $1: refused" "$(word_of_answer)" failed
	like "a bundle with $1: for that" "$(jq -r .error.text <<<"$answer")" "$2"
	ok "a bundle with $1: nothing is left" test ! -e "$host/var/lib/ashlar/bundle" -a \
		! -e "$host/var/lib/ashlar/bundle.new" -a ! -e /tmp/ash-evil
}

ln -s /tmp "$tmp/inside/metadata/9.x.json"
bundle_of "$tmp/inside"
bundle_refused "a link" "9.x.json.*no place"
rm "$tmp/inside/metadata/9.x.json"
for path in metadata/evil.sh repo/config repo/objects/aa/bb.filez deltas/x.delta targets/x.txt \
	repo/objects/../../x.json; do
	bundle_of "$tmp/inside"
	tar -C "$tmp" -rPf "$tmp/file.bundle" --transform="s|^elsewhere\$|$path|" elsewhere
	bundle_refused "a file called $path" 'no place'
done
bundle_of "$tmp/inside"
tar -C "$tmp" -rPf "$tmp/file.bundle" --transform='s|^elsewhere$|/tmp/ash-evil|' elsewhere
bundle_refused "an absolute path" 'no place'
bundle_of "$tmp/inside"
tar -C "$tmp/inside" -rf "$tmp/file.bundle" metadata/timestamp.json
bundle_refused "a name twice" 'twice'
head -c 600000 /dev/zero >"$tmp/inside/metadata/9.big.json"
truncate -s 6M "$tmp/inside/metadata/9.big.json"
bundle_of "$tmp/inside"
bundle_refused "large metadata" 'larger'
rm "$tmp/inside/metadata/9.big.json"
tar -C "$tmp/inside" -cf "$tmp/file.bundle" metadata
bundle_refused "no first line" "not a file made by 'ashlar bundle'"
bundle_of "$tmp/inside"
truncate -s 100000 "$tmp/file.bundle"
bundle_refused "its end cut off" .
: >"$tmp/file.bundle"
bundle_refused "nothing in it" .
unbundle "$tmp/never"
is "a pipe is no bundle" "$(word_of_answer)" failed
unbundle "$tmp/not-there"
is "nor is nothing" "$(word_of_answer)" failed

empty "nothing that was refused came into a repository" "$(find "$host/sysroot" -type f)"

done_testing
