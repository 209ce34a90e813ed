#!/bin/bash
# needs: root ostree jq strace
# SPDX-License-Identifier: Apache-2.0
# Keys, releases, publications and bundles, and a reader that follows them over HTTP.
. tests/lib/tap.sh
. tests/lib/commit.sh
. tests/lib/publication.sh

mkdir -p "$www"
v1=$(tree_commit 1.0)
v2=$(tree_commit 1.1)
v3=$(tree_commit 1.2)

# ---- keys -----------------------------------------------------------------------------------------
echo "correct horse" >"$tmp/passphrase"
echo "wrong horse" >"$tmp/other"
ok "keys are made" "$ashlar" key make "$tmp/locked" --root-keys 2 --passphrase-file "$tmp/passphrase"
is "private keys are nobody else's" "$(stat -c %a "$tmp"/locked/*.pem | sort -u)" 600
is "nor is their directory" "$(stat -c %a "$tmp/locked")" 700
is "and they are encrypted" "$(grep -L 'BEGIN ENCRYPTED PRIVATE KEY' "$tmp"/locked/*.pem)" ""
is "a key for each role" "$(cd "$tmp/locked" && printf '%s\n' *.pem | sed 's/-.*//' | sort | xargs)" \
	"root root snapshot targets timestamp workloads"
exits 3 "they are not made again" "$ashlar" key make "$tmp/locked" --no-passphrase
stderr_like "and the message names the way out" 'ashlar key rotate'
exits 3 "a wrong passphrase" "$ashlar" key extend "$tmp/locked" --passphrase-file "$tmp/other"
stderr_like "is called one" 'wrong passphrase'
exits 3 "no passphrase at all" "$ashlar" key extend "$tmp/locked"
stderr_like "says how to give one" 'passphrase-file'
ok "it can be given by the environment" env ASHLAR_KEY_PASSPHRASE_FILE="$tmp/passphrase" \
	"$ashlar" key extend "$tmp/locked" --expiry 30d
ok "show" "$ashlar" key show "$tmp/locked" --json
is "the root is at version 2, and two keys sign it" \
	"$(jq -c '[.version, .roles.root.threshold, (.roles.root.keys | length)]' "$tmp/out")" '[2,2,2]'
cp -a "$tmp/locked" "$tmp/twice"
"$ashlar" key rotate "$tmp/twice" timestamp --passphrase-file "$tmp/passphrase" >"$tmp/one" 2>&1 &
ok "two that change the keys at once" "$ashlar" key rotate "$tmp/twice" snapshot --passphrase-file "$tmp/passphrase"
ok "  ..." wait $!
is "make a root each, and none is lost" "$("$ashlar" key show "$tmp/twice" --json |
	jq -c '[.version, ([.roles[].keys[].file] | all)]') $(comm -3 <(cd "$tmp/locked" && printf '%s\n' *.pem) \
	<(cd "$tmp/twice" && printf '%s\n' *.pem) | sed 's/-.*//' | xargs)" '[4,true] snapshot timestamp'
mkdir "$tmp/apart"
cp "$tmp"/locked/*.root.json "$tmp/apart"
exits 3 "without workloads.json" "$ashlar" key show "$tmp/apart"
stderr_like "it is told where that comes from" 'workloads.json: it is not there \(copy it'
mkdir "$tmp/safe"
mv "$tmp"/locked/root-*.pem "$tmp/safe"
exits 3 "without the root's keys" "$ashlar" key extend "$tmp/locked" --passphrase-file "$tmp/passphrase"
stderr_like "their files are named" 'root-[0-9a-f]{8}\.pem'
ok "they may lie elsewhere" "$ashlar" key extend "$tmp/locked" --keys "$tmp/safe" \
	--passphrase-file "$tmp/passphrase"
exits 2 "a role that there is not" "$ashlar" key rotate "$tmp/locked" admin

"$ashlar" key make "$keys" --no-passphrase -q >/dev/null

# ---- releases -------------------------------------------------------------------------------------
exits 2 "without keys no release" "$ashlar" release "$v1" --repo "$repo" --publication "$pub"
exits 3 "an impossible version" release "$v1" --version 1_0
exits 3 "lower than what it may replace" release "$v1" --replaces-min 1.0
stderr_like "which is told" 'cannot replace 1.0 and later'
ok "a release" release "$v1" --notes $'first\n"quoted"' --json
is "with its sizes" "$(jq -r '."boot-bytes"' "$tmp/out")" 400000
empty "nothing is published by that" "$(ls "$pub/metadata")"
is "what is in it lies beside it" "$(jq -c '.packages[] | [.name, .version, .arch]' "$pub/sbom/$v1.packages.json")" \
	'["tool","1.0",null]'
for format in spdx cyclonedx; do
	"$ashlar" sbom "$v1" --repo "$repo" --format $format -o "$tmp/$format" -q
	ok "with the bill of materials that 'sbom' prints: $format" cmp "$tmp/$format" "$pub/sbom/$v1.$format.json"
done
exits 3 "so there is nothing to bundle" "$ashlar" bundle "$pub" 1.0 -o "$tmp/none"
ok "publish" publish
serve
ok "a reader begins" reader "$tmp/host"
ok "and reads" refresh "$tmp/host"
ok "and fetches the document" download "$tmp/host" host/example/amd64/1.0.json
document=$(find "$tmp/host/targets" -type f)
is "which names the commit" "$(jq -r .commit "$document")" "$v1"
is "and has the notes" "$(jq -r .notes "$document")" $'first\n"quoted"'
is "archive-bytes are what the objects weigh" "$(jq '.size."archive-bytes"' "$document")" \
	"$(find "$pub/repo/objects" -type f -printf '%s\n' | awk '{n += $1} END {print n}')"
ok "the same release again is no failure" release "$v1"
stdout_like "and is known" 'published already'
exits 3 "the same version with another commit is" release "$v2" --version 1.0
stderr_like "which is refused by name" "$(printf 'release 1.0 .* commit %.12s' "$v1")"
exits 3 "nor does 1.00 come to be beside 1.0" release "$v2" --version 1.00

ok "two more releases" release "$v2"
ok "  ..." release "$v3" --replaces-min 1.0
ok "published at once" publish --json
is "with deltas from all below" "$(jq -c '[.releases[].deltas | length]' "$tmp/out")" '[1,2]'
ok "the reader sees them" refresh "$tmp/host"
ok "fetches the newest" download "$tmp/host" host/example/amd64/1.2.json
cp "$(find "$tmp/host/targets" -name '*1.2.json')" "$tmp/1.2.json"
sums=$(jq -r '.deltas[] | "\(.sha256)  \(.path)"' "$tmp/1.2.json")
ok "the deltas are the ones in the document" bash -c "cd '$pub/repo' && sha256sum -c <<<'$sums'"
is "and as large" "$(jq -r '.deltas[] | "\(.bytes) \(.path)"' "$tmp/1.2.json")" \
	"$(jq -r '.deltas[].path' "$tmp/1.2.json" | (cd "$pub/repo" && xargs stat -c '%s %n'))"
is "smaller than what they replace" "$(jq '[.deltas[] | .bytes < ."object-bytes"] | all' "$tmp/1.2.json")" true

# ---- plain ostree -----------------------------------------------------------------------------------
ostree --repo="$tmp/plain" init --mode=bare-user
ostree --repo="$tmp/plain" remote add --no-gpg-verify there "$url/pub/repo"
ok "ostree pulls the first release" ostree --repo="$tmp/plain" pull there host/example/amd64/1.0
ok "a delta is all that it lacks for the newest" ostree --repo="$tmp/plain" static-delta apply-offline \
	"$pub/repo/$(jq -r ".deltas[] | select(.from == \"$v1\").path" "$tmp/1.2.json")"
ok "the commit is whole" ostree --repo="$tmp/plain" refs --create=newest "$v3"
ok "  ..." ostree --repo="$tmp/plain" fsck
ok "and with deltas by HTTP" ostree --repo="$tmp/plain" pull --require-static-deltas there \
	host/example/amd64/1.2
is "to the same commit" "$(ostree --repo="$tmp/plain" rev-parse there:host/example/amd64/1.2)" "$v3"

# ---- recalls ----------------------------------------------------------------------------------------
exits 3 "what is not published cannot be recalled" \
	"$ashlar" recall "$pub" 2.0 --keys "$keys" --reason x
stderr_like "and what there is, is listed" 'there are: 1\.2, 1\.1, 1\.0'
exits 3 "nor can it lead to what is not" "$ashlar" recall "$pub" 1.2 --to 0.9 --keys "$keys" --reason x
exits 3 "nor to itself" "$ashlar" recall "$pub" 1.2 --to 1.2 --keys "$keys" --reason x
exits 2 "nor without a reason" "$ashlar" recall "$pub" 1.2 --keys "$keys"
exits 2 "nor with an empty one" "$ashlar" recall "$pub" 1.2 --keys "$keys" --reason " "
exits 3 "nor in what is no publication" "$ashlar" recall "$tmp/mistyped" 1.2 --keys "$keys" --reason x
exits 3 "…where nothing is renewed either" "$ashlar" publish "$tmp/mistyped" --keys "$keys"
stderr_like "which is told" 'is no publication'
ok "…and nothing is made" test ! -e "$tmp/mistyped"
exits 3 "nor among what is another's" "$ashlar" publish "$keys" --keys "$keys"
ok "…which stays as it was" test ! -e "$keys/metadata"
ok "a recall" "$ashlar" recall "$pub" 1.2 --to 1.0 --keys "$keys" --reason "eats disks"
ok "is seen" download "$tmp/host" host/example/amd64/recall/1.2.json
is "with where to and why" "$(jq -c '[.version, .to, .reason]' "$(find "$tmp/host/targets" -name '*recall*1.2.json')")" \
	'["1.2","1.0","eats disks"]'
exits 3 "no other leads to what is recalled" "$ashlar" recall "$pub" 1.1 --to 1.2 --keys "$keys" --reason x

# ---- bundles ----------------------------------------------------------------------------------------
ok "a bundle" "$ashlar" bundle "$pub" 1.2 -o "$tmp/full.bundle"
is "begins with its name" "$(tar tf "$tmp/full.bundle" | head -n 1)" ashlar-bundle
is "and its format" "$(tar xOf "$tmp/full.bundle" ashlar-bundle)" 1
mkdir "$www/unpacked"
tar xf "$tmp/full.bundle" -C "$www/unpacked"
ok "a reader finds all in it" reader "$tmp/alone"
ok "  metadata" refresh "$tmp/alone" unpacked
ok "  the document" download "$tmp/alone" host/example/amd64/1.2.json unpacked
ok "  and the recall" download "$tmp/alone" host/example/amd64/recall/1.2.json unpacked
printf '[core]\nrepo_version=1\nmode=archive-z2\n' >"$www/unpacked/repo/config"
mkdir -p "$www"/unpacked/repo/{refs/heads,refs/remotes,tmp}
ok "  and every object" ostree --repo="$www/unpacked/repo" fsck
is "its objects are the commit's" "$(cd "$www/unpacked/repo" && find objects -name '*.commit')" \
	"objects/${v3:0:2}/${v3:2}.commit"
ok "a bundle for hosts with 1.1" "$ashlar" bundle "$pub" 1.2 --from 1.1 -o "$tmp/delta.bundle"
cp "$tmp/err" "$tmp/warning"
is "holds the delta and no object" "$(tar tf "$tmp/delta.bundle" | grep -vE '^(ashlar-bundle$|metadata/|targets/)')" \
	"deltas/$v3-$v2.delta"
is "which is the published one" "$(tar xOf "$tmp/delta.bundle" "deltas/$v3-$v2.delta" | sha256sum | cut -d' ' -f1)" \
	"$(jq -r ".deltas[] | select(.from == \"$v2\").sha256" "$tmp/1.2.json")"
like "and who bundles what is recalled is told" "$(cat "$tmp/warning")" 'will not take 1\.2 from it'
ok "with --full also the objects" "$ashlar" bundle "$pub" 1.2 --from 1.1 --full -o "$tmp/both.bundle"
is "all of them" "$(tar tf "$tmp/both.bundle" | grep -c '^repo/objects/')" \
	"$(tar tf "$tmp/full.bundle" | grep -c '^repo/objects/')"
ok "the same bundle is the same bytes" "$ashlar" bundle "$pub" 1.2 -o "$tmp/again.bundle"
ok "  ..." cmp "$tmp/full.bundle" "$tmp/again.bundle"
ok "a bundle of what hosts take" "$ashlar" bundle "$pub" 1.0 --from 1.2 -o "$tmp/recalled.bundle"
empty "is no cause for a warning" "$(cat "$tmp/err")"
ok "a bundle of an older release" "$ashlar" bundle "$pub" 1.0 -o "$tmp/older.bundle"
stderr_like "names the one that hosts take" 'they choose 1\.1'
mkfifo "$tmp/fifo"
ln -s /dev/null "$tmp/null"
for what in fifo null; do
	exits 2 "a bundle does not take the place of what is no file: $what" "$ashlar" bundle "$pub" 1.2 -o "$tmp/$what"
done
ok "…which is there still" test -p "$tmp/fifo" -a -L "$tmp/null"
exits 3 "of an unknown version there is none" "$ashlar" bundle "$pub" 7 -o "$tmp/none"

# ---- renewal and rotation ---------------------------------------------------------------------------
mkdir "$tmp/online"
cp "$keys"/*.json "$keys"/snapshot-*.pem "$keys"/timestamp-*.pem "$tmp/online"
version_of()
{
	jq .signed.version "$1"
}
before=$(version_of "$pub/metadata/timestamp.json")
ok "two keys are enough to renew" "$ashlar" publish --keys "$tmp/online" "$pub"
is "the timestamp" "$(version_of "$pub/metadata/timestamp.json")" $((before + 1))
ok "which readers take" refresh "$tmp/host"
release "$v3" --version 1.3 >/dev/null
exits 3 "for a release they are not enough" "$ashlar" publish --keys "$tmp/online" "$pub"
stderr_like "and the key is named" 'targets-[0-9a-f]{8}\.pem'
is "nothing happened" "$(version_of "$pub/metadata/timestamp.json")" $((before + 1))
ok "with all keys it is published" publish
"$ashlar" publish --keys "$keys" "$pub" --targets-expiry 90d >/dev/null
ok "aging lists are renewed by who can" "$ashlar" publish --keys "$keys" "$pub" --targets-expiry 300d
exits 0 "and told by who cannot" "$ashlar" publish --keys "$tmp/online" "$pub" --targets-expiry 2000d
stderr_like "with the days that are left" 'expires in [0-9]+ days'

cp "$keys/root.json" "$tmp/old-root.json"
for role in timestamp snapshot targets workloads root; do
	ok "new keys: $role" "$ashlar" key rotate "$keys" "$role" --no-passphrase
	ok "$role: published" publish
	ok "$role: the reader follows" refresh "$tmp/host"
	ok "$role: also one with the first root" reader "$tmp/late" "$tmp/old-root.json"
	ok "$role:   ..." refresh "$tmp/late"
done
"$ashlar" key rotate "$keys" timestamp --no-passphrase -q >/dev/null
"$ashlar" key rotate "$keys" root --no-passphrase -q >/dev/null
ok "several at once" publish
ok "the reader follows those too" refresh "$tmp/host"
is "to the newest root" "$(version_of "$tmp/host/root.json")" "$(version_of "$keys/root.json")"
ok "old keys can go then" bash -c "cd '$keys' && '$ashlar' key show . --json >'$tmp/show' &&
	for f in *.pem; do grep -q \"\$f\" '$tmp/show' || rm \"\$f\"; done"
ok "  publishing goes on" publish
ok "  and reading" refresh "$tmp/host"
exits 5 "a directory of keys that is behind is refused" "$ashlar" publish --keys "$tmp/online" "$pub"

# ---- what is not ours -------------------------------------------------------------------------------
exits 5 "another's keys are refused" "$ashlar" publish --keys "$tmp/locked" "$pub"
stderr_like "as such" 'published with other keys'
cp -a "$pub" "$tmp/tampered"
newest=$(find "$tmp/tampered/metadata" -name '*.targets.json' | sort -V | tail -n 1)
sed -i 's/"version":"1.1"/"version":"9.1"/' "$newest"
exits 5 "a list that someone changed is not signed again" \
	"$ashlar" publish --keys "$keys" "$tmp/tampered"
"$ashlar" key make "$tmp/short" --no-passphrase --expiry 1s -q >/dev/null
until [ "$("$ashlar" key show "$tmp/short" --json 2>/dev/null | jq '."seconds-left"')" -le 0 ]; do
	:
done
mkdir "$tmp/short-pub"
exits 5 "an expired root signs nothing" "$ashlar" publish --keys "$tmp/short" "$tmp/short-pub"
stderr_like "and says what to do" 'ashlar key extend'

# ---- interrupted ------------------------------------------------------------------------------------
# Killed at each of the system calls that change names, and at each sync: whoever reads then sees the
# old state or the new one, and the next run completes it. The same run brings two new roots, which
# take effect at another instant than the timestamp that their keys sign.
"$ashlar" key rotate "$keys" timestamp --no-passphrase -q >/dev/null
"$ashlar" key rotate "$keys" root --no-passphrase -q >/dev/null
v4=$(tree_commit 1.4)
release "$v4" >/dev/null
calls=rename,renameat,renameat2,linkat,unlink,unlinkat,fsync,fdatasync,syncfs
cp -a "$pub" "$www/try"
strace -f -qq -e trace=$calls -o "$tmp/trace" "$ashlar" publish --keys "$keys" "$www/try" >/dev/null 2>&1
mapfile -t instants < <(sed -nE 's/^[0-9]+ +([a-z0-9]+)\(.*/\1/p' "$tmp/trace" | sort | uniq -c |
	while read -r count call; do
		seq -f "$call %g" "$count"
	done)
ok "publishing has instants to be killed at" test "${#instants[@]}" -gt 10
wrong='' unfinished='' seen_old=0 seen_new=0 killed=0
for instant in "${instants[@]}"; do
	rm -rf "$www/try" "$tmp/kill"
	cp -a "$pub" "$www/try"
	{
		strace -f -qq -e trace="${instant% *}" -e inject="${instant% *}:signal=KILL:when=${instant#* }" \
			-o "$tmp/trace" "$ashlar" publish --keys "$keys" "$www/try"
	} >"$tmp/out" 2>&1 || killed=$((killed + 1))
	cp -a "$tmp/host" "$tmp/kill"
	refresh "$tmp/kill" try 2>"$tmp/err" || wrong+="$instant: refresh $(cat "$tmp/err")"$'\n'
	if download "$tmp/kill" host/example/amd64/1.4.json try 2>/dev/null; then
		seen_new=$((seen_new + 1))
	elif jq -e '.signed.targets["host/example/amd64/1.4.json"]' "$tmp/kill/targets.json" >/dev/null; then
		wrong+="$instant: listed and not there"$'\n'
	else
		seen_old=$((seen_old + 1))
	fi
	if ! "$ashlar" publish --keys "$keys" "$www/try" >/dev/null 2>"$tmp/err" ||
		! download "$tmp/kill" host/example/amd64/1.4.json try 2>>"$tmp/err" ||
		[ -n "$(ls "$www/try/pending")" ]; then
		unfinished+="$instant: $(cat "$tmp/err")"$'\n'
	fi
done
empty "no reader saw half" "$wrong"
empty "each was completed by the next run" "$unfinished"
is "every kill hit" "$killed" "${#instants[@]}"
ok "some before ($seen_old) and some behind ($seen_new) the instant" \
	test "$seen_old" -gt 0 -a "$seen_new" -gt 0

# ---- a draft that was overtaken ----------------------------------------------------------------------
ok "all is published" publish
release "$v1" --version 1.6 >/dev/null
draft=$(find "$pub/pending" -type f)
cp "$draft" "$tmp/draft"
ok "published" publish
sed "s/$v1/$v2/" "$tmp/draft" >"$draft"
exits 3 "a draft of a version that has another commit by now" publish
stderr_like "is refused with the way out" 'removing its file from .*/pending'
rm "$draft"

# ---- pruning ----------------------------------------------------------------------------------------
touch "$pub/sbom/0000.spdx.json"
ok "pruning" publish --prune --keep 1
is "leaves one snapshot" "$(find "$pub/metadata" -name '*.snapshot.json' | wc -l)" 1
is "and one list" "$(find "$pub/metadata" -name '*.targets.json' | wc -l)" 1
is "and what is in the releases that are left" "$(find "$pub/sbom" -name '*.spdx.json' | wc -l)" \
	"$(find "$pub/targets" -name '*.json' ! -path '*/recall/*' -exec jq -r .commit {} + | sort -u | wc -l)"
ok "all roots" test "$(find "$pub/metadata" -name '*.root.json' | wc -l)" -gt 5
ok "a new reader reads" reader "$tmp/new" "$tmp/old-root.json"
ok "  all" refresh "$tmp/new"
ok "  documents" download "$tmp/new" host/example/amd64/1.0.json
ok "  and objects" ostree --repo="$pub/repo" fsck

done_testing
