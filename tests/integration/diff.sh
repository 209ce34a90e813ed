#!/bin/bash
# needs: root ostree jq qemu-img mformat sfdisk
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh
. tests/lib/commit.sh

mkdir -p "$tmp/a/usr/bin" "$tmp/a/usr/share/old"
head -c 100000 /dev/zero >"$tmp/a/usr/bin/tool"
echo same >"$tmp/a/usr/same"
echo gone >"$tmp/a/usr/share/old/file"
ln -s same "$tmp/a/usr/link"
cp -a "$tmp/a" "$tmp/b"
head -c 250000 /dev/zero >"$tmp/b/usr/bin/tool"
chmod 4755 "$tmp/b/usr/bin/tool"
rm -r "$tmp/b/usr/share/old"
ln -snf other "$tmp/b/usr/link"
echo new >"$tmp/b/usr/new"

a=$(make_commit host/a "$tmp/a" 1 "['ro', 'quiet']" \
	"$(package bash 5.2 arch amd64)" "$(package nano 8 arch amd64)" "$(package libx 1 arch i386)")
b=$(make_commit host/b "$tmp/b" 2 "['ro', 'debug']" \
	"$(package bash 5.3 arch amd64)" "$(package htop 3 arch all)" "$(package libx 1 arch i386)")

ok "a commit does not differ from itself" "$ashlar" diff host/a "$a" --repo "$repo"
stdout_like "and says so" 'do not differ'
exits 8 "commits that differ" "$ashlar" diff host/a host/b --repo "$repo"
stdout_like "version" '^  ~ version +1 -> 2$'
stdout_like "an argument more" '^  \+ debug$'
stdout_like "an argument less" '^  - quiet$'
stdout_like "packages are counted" '^Packages: 1 added, 1 removed, 1 changed$'
stdout_like "a package more" '^  \+ htop +3$'
stdout_like "a package less" '^  - nano +8$'
stdout_like "a package changed" '^  ~ bash +5\.2 -> 5\.3$'
stdout_like "files are counted" '^Files: 1 added, 2 removed, 2 changed; 100 kB -> 250 kB \(\+150 kB\)$'
stdout_like "grown, with its new mode" '^  ~ +\+150 kB  /usr/bin/tool  \(mode [0-9]+ -> mode 4755\)$'
stdout_like "a link's target" '/usr/link  \(same -> other\)$'
unlike "the same package of another architecture is no change" "$(cat "$tmp/out")" libx

exits 8 "as JSON" "$ashlar" diff host/a host/b --repo "$repo" --json
cp "$tmp/out" "$tmp/diff.json"
is "JSON: kinds" "$(jq -r '.a.kind + " " + .b.commit' "$tmp/diff.json")" "commit $b"
is "JSON: packages" "$(jq -c '[.packages[] | [.package, .from, .to]]' "$tmp/diff.json")" \
	'[["bash","5.2","5.3"],["htop",null,"3"],["nano","8",null]]'
is "JSON: bytes" "$(jq -c '.files[] | select(.path == "/usr/bin/tool") | [."from-bytes", ."to-bytes"]' \
	"$tmp/diff.json")" '[100000,250000]'

# Many files: the largest come first, the rest on demand.
cp -a "$tmp/a" "$tmp/c"
for i in {1..15}; do head -c $((i * 1000)) /dev/zero >"$tmp/c/usr/f$i"; done
make_commit host/c "$tmp/c" 1 "['ro', 'quiet']" "$(package bash 5.2 arch amd64)" \
	"$(package nano 8 arch amd64)" "$(package libx 1 arch i386)" >"$tmp/c.commit"
exits 8 "many files" "$ashlar" diff host/a host/c --repo "$repo"
is "the largest" "$(grep -A1 ^Files "$tmp/out" | tail -n 1)" '  +  +15.0 kB  /usr/f15'
stdout_like "the rest is counted" 'and 5 more; --files'
exits 8 "all of them" "$ashlar" diff host/a host/c --repo "$repo" --files
is "are printed" "$(grep -c '^  + .*/usr/f' "$tmp/out")" 15

# Manifests.
cat >"$tmp/a.yaml" <<END
name: example
version: "1"
packages: [bash, nano]
END
sed 's/"1"/"2"/; s/nano/nano (>= 8), htop/' "$tmp/a.yaml" >"$tmp/b.yaml"
ok "a manifest does not differ from itself" "$ashlar" diff "$tmp/a.yaml" "$tmp/a.yaml"
exits 8 "manifests that differ" "$ashlar" diff "$tmp/a.yaml" "$tmp/b.yaml"
stdout_like "in a setting" '^  ~ version +1 -> 2$'
stdout_like "in a package" '^  \+ htop$'
exits 8 "a manifest and a commit" "$ashlar" diff "$tmp/b.yaml" host/a --repo "$repo"
stdout_like "asked for, and not there" '^  - htop$'
unlike "there, and not asked for, is no difference" "$(cat "$tmp/out")" libx

# Locks.
lock()
{
	cat <<-END
		ashlar-lock: 1
		suite: trixie
		architecture: amd64
		inputs: $(printf '0%.0s' {1..64})
		origins:
		  - {id: debian, kind: inherited, label: Debian, suite: trixie}
		packages:
	END
	while [ $# -gt 0 ]; do
		echo "  - {name: $1, version: \"$2\", arch: amd64, sha256: $(printf '1%.0s' {1..64})," \
			"size: 1, origin: debian, path: pool/$1.deb}"
		shift 2
	done
}
lock bash 5.2 nano 8 >"$tmp/a.lock"
lock bash 5.3 nano 8 >"$tmp/b.lock"
if "$ashlar" diff "$tmp/a.lock" "$tmp/a.lock" >"$tmp/out" 2>"$tmp/err"; then
	pass "a lock does not differ from itself"
else
	fail "a lock does not differ from itself" "$(cat "$tmp/err")"
fi
exits 8 "locks that differ" "$ashlar" diff "$tmp/a.lock" "$tmp/b.lock"
stdout_like "in a version" '^  ~ bash +5\.2 -> 5\.3$'
exits 8 "a lock and a commit" "$ashlar" diff "$tmp/a.lock" host/a --repo "$repo"
stdout_like "what the lock lacks" '^  \+ libx:i386 +1$'

# A disk image, as far as its boot entry goes.
truncate -s 40M "$tmp/a.raw"
printf 'label: gpt\nstart=2048, size=65536, type=C12A7328-F81F-11D2-BA4B-00C04FC93EC5\n' |
	sfdisk -q "$tmp/a.raw" >/dev/null 2>&1
mformat -i "$tmp/a.raw@@1M" -T 65536 -h 16 -s 32 ::
mmd -i "$tmp/a.raw@@1M" ::/loader ::/loader/entries
printf 'title x\noptions root=x ostree=/ostree/by-commit/%s.0 ro\n' "$b" >"$tmp/entry"
mcopy -i "$tmp/a.raw@@1M" "$tmp/entry" ::/loader/entries/ashlar-2-12345678.conf
qemu-img convert -c -O qcow2 "$tmp/a.raw" "$tmp/a.qcow2"
for format in raw qcow2; do
	ok "$format: an image is the commit it boots" "$ashlar" diff "$tmp/a.$format" host/b --repo "$repo"
	exits 8 "$format: and no other" "$ashlar" diff host/a "$tmp/a.$format" --repo "$repo"
done
head -c 2000000 /dev/zero >"$tmp/none.raw"
exits 3 "a file that is no disk" "$ashlar" diff "$tmp/none.raw" host/b --repo "$repo"
stderr_like "is called that" 'no GUID partition table'
exits 3 "no such commit" "$ashlar" diff host/none host/b --repo "$repo"
exits 3 "no repository" "$ashlar" diff host/a host/b --repo "$tmp/none"

done_testing
