#!/bin/bash
# needs: root nspawn dpkg-deb dpkg-scanpackages gpg gpgv xz ar ostree setpriv unshare
# SPDX-License-Identifier: Apache-2.0
# What can go wrong with 'ashlar build': each case says what, ends with its documented code, and leaves
# a cache with which the next good build succeeds. ('ashlar lock' alone: tests/integration/lock.sh.)
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/tiny.sh

tiny_init
new_files
script postinst <<'END'
echo configured >/usr/share/good/state
END
mkdir -p "$files/usr/share/good"
head -c 300000 /dev/urandom >"$files/usr/share/good/data"
tiny good 1

good_manifest=$(printf '%s\n' 'packages: [good]')
manifest "$good_manifest"
ok "a good build" build
good_commit=$(commit_of)

# still_good WHAT: the cache has not suffered.
still_good()
{
	manifest "$good_manifest"
	rm -f "$tmp/tiny.lock"
	ok "after $1: a good build" build
	is "... gives what it gave" "$(commit_of)" "$good_commit"
}

# message: of the last run, from the event on stderr.
message_like()
{
	like "$1" "$(grep '"event":"error"' "$tmp/err")" "$2"
}

# ---- the manifest

manifest 'packages: [good]' 'hostnam: x'
exits 3 "a misspelt key" build
message_like "with position and suggestion" 'tiny\.yaml:5:1: .*hostnam.*hostname'
manifest 'packages: [god]'
exits 4 "an unknown package" build
message_like "with the nearest name" "there is no package 'god' \(did you mean 'good'"
tiny needy 1 'Depends: good (>= 2)'
manifest 'packages: [needy]'
exits 4 "an unsatisfiable set" build
message_like "is explained" 'needy 1 needs good \(>= 2\), but only good 1 is available'
rm "$debs/needy.deb"
manifest 'packages: [good]'
sed -i 's/^kind: .*/kind: host/' "$tmp/tiny.yaml"
exits 3 "a host without a kernel" build
message_like "says what to add" 'a host needs a kernel: add one to packages:.*or say kind: workload'
still_good "wrong manifests"
ok "a lock that is in the way" rm "$tmp/tiny.lock"
exits 3 "--locked without a lock" build --locked
message_like "says what to run" "the lock is missing \(run 'ashlar lock "

# ---- no root

chmod 711 "$tmp"
install -m 755 "$ashlar" "$ashlar_bin/ashlar-initrd" -D -t "$tmp/bin"
manifest "$good_manifest"
exits 7 "without root" setpriv --reuid=65534 --regid=65534 --clear-groups \
	"$tmp/bin/ashlar" build --json --cache "$cache" --repo "$repo" "$tmp/tiny.yaml"
message_like "and why it is needed" 'needs root: .*sudo'

# ---- a cache that cannot be one

exits 7 "a cache whose path an overlay cannot have" "$ashlar" build --json --cache "$tmp/a,b" \
	--repo "$repo" "$tmp/tiny.yaml"
message_like "... is named" "cannot be the build directory: its path holds"
echo x >"$tmp/no-directory"
exits 1 "a cache that is a file" "$ashlar" build --json --cache "$tmp/no-directory" --repo "$repo" \
	"$tmp/tiny.yaml"
message_like "... is named" "opening the cache: .*no-directory"

# ---- scripts

script postinst <<'END'
echo "these are the last words"
exit 3
END
tiny broken-postinst 1
script preinst <<'END'
echo "not today" >&2
exit 4
END
tiny broken-preinst 1
script postinst <<'END'
echo x >/ashlar/configure
END
tiny writes-outside 1
manifest 'packages: [good, broken-postinst]'
exits 1 "a postinst that fails" build
message_like "with its last words" 'these are the last words.*broken-postinst.*exit status 3'
manifest 'packages: [good, broken-preinst]'
exits 1 "a preinst that fails" build
message_like "with its name" 'not today.*the preinst script of broken-preinst failed with code 4'
manifest 'packages: [good, writes-outside]'
exits 1 "a script that writes to what is bound into the sandbox" build
message_like "cannot" 'Read-only file system'
manifest 'packages: [good]' 'postprocess:' '  - name: tidy' '    content: |' \
	'      echo about to fail' '      exit 9'
exits 1 "a postprocess script that fails" build
message_like "with its name and words" 'postprocess: .*about to fail.*tidy failed with code 9'
still_good "failing scripts"
empty "nothing is left in scratch/" "$(ls -A "$cache/scratch")"

# ---- packages that no one should unpack

# raw_deb NAME TAR-OPTION… -- FILE…: a .deb whose data.tar is made by tar with these options.
raw_deb()
{
	local name=$1 dir=$tmp/raw
	shift
	rm -rf "$dir/out"
	mkdir -p "$dir/out" "$dir/control"
	printf '%s\n' "Package: $name" "Version: 1" "Architecture: all" \
		"Maintainer: Test archive <archive@test.invalid>" "Description: nasty" \
		>"$dir/control/control"
	echo 2.0 >"$dir/out/debian-binary"
	tar -C "$dir/control" -cf "$dir/out/control.tar" ./control
	tar -C "$dir/data" -cPf "$dir/out/data.tar" "$@"
	(cd "$dir/out" && rm -f "$debs/$name.deb" &&
		ar rcS "$debs/$name.deb" debian-binary control.tar data.tar)
}

mkdir -p "$tmp/raw/data/usr"
echo text >"$tmp/raw/data/usr/file"
ln "$tmp/raw/data/usr/file" "$tmp/raw/data/usr/second"
ln -s / "$tmp/raw/data/link"
mkdir "$tmp/raw/data/through"
echo text >"$tmp/raw/data/through/passwd"
mknod "$tmp/raw/data/usr/device" b 7 0
mkfifo "$tmp/raw/data/usr/pipe"

# refused NAME WHAT REGEX
refused()
{
	manifest "packages: [$1]"
	exits 5 "$2" build
	message_like "... is named" "$1 1: .*$3"
	rm "$debs/$1.deb"
}

raw_deb nasty-dotdot --transform='s,^usr/file,../../evil,' usr/file
refused nasty-dotdot "a .deb with ../" "the path '\.\./\.\./evil' leads out"
raw_deb nasty-inner --transform='s,^usr/file,usr/x/../../../evil,' usr/file
refused nasty-inner "... in the middle" "leads out"
raw_deb nasty-absolute --transform="s,^usr/file,$tmp/evil," usr/file
refused nasty-absolute "with an absolute path" "absolute path '$tmp/evil'"
raw_deb nasty-device usr/device
refused nasty-device "with a device" "'usr/device' is a device"
raw_deb nasty-pipe usr/pipe
refused nasty-pipe "with a pipe" "'usr/pipe' is a device, pipe or socket"
raw_deb nasty-hardlink --transform='flags=h;s,^usr/file,../../../../etc/passwd,' usr/file usr/second
refused nasty-hardlink "with a hard link out of it" "leads out of the package"
raw_deb nasty-hardlink2 --transform='flags=h;s,^usr/file,etc/passwd,' usr/file usr/second
refused nasty-hardlink2 "with a hard link to a file of another" "no earlier file of this package"
raw_deb nasty-through --transform='s,^through,link,' link through
refused nasty-through "with a file below its own link" "is not a directory"
raw_deb nasty-root --transform='flags=r;s,^link$,./,' link
refused nasty-root "with a link for its root" "its root '.*' is not a directory"
empty "nothing of these was written" "$(find / /tmp /var/tmp "$tmp" -maxdepth 1 -name 'evil*')"

# bomb NAME FILE-IN-CONTROL BYTES
raw_deb bomb usr/file
(cd "$tmp/raw/out" && truncate -s 64M ../control/md5sums && tar -C ../control -c ./control ./md5sums |
	xz -0 >control.tar.xz && rm -f "$debs/bomb.deb" ../control/md5sums &&
	ar rcS "$debs/bomb.deb" debian-binary control.tar.xz data.tar)
manifest 'packages: [bomb]'
exits 5 "a control archive that unpacks to 64 MiB from $(stat -c %s "$debs/bomb.deb") bytes" build
message_like "... is named" "bomb\.deb.*larger than the [0-9]+ bytes that are allowed"
rm "$debs/bomb.deb"
head -c 2000 "$debs/good.deb" >"$debs/half.deb"
exits 5 "half a .deb" build
message_like "... is named" 'half\.deb'
echo "no archive at all" >"$debs/half.deb"
exits 5 "a text file" build
message_like "... is named" 'half\.deb'
rm "$debs/half.deb"
still_good "nasty packages"

# ---- the archive

archive_init
cp "$debs"/good.deb "$debs"/tiny-base.deb "$archive/pool/"
publish
archive_manifest()
{
	printf '%s\n' 'kind: workload' 'repositories:' "  - uri: $archive_uri" '    suites: [trixie]' \
		'    components: [main]' "    keyring: $keyring" 'packages: [good]' >"$tmp/tiny.yaml"
}
# fresh: nothing of the archive is in the cache, a lock is beside the manifest.
fresh()
{
	rm -rf "$tmp/cache2" "$tmp/tiny.lock"
	: >"$archive_faults"
	cache=$tmp/cache2
	archive_manifest
	ok "a lock" "$ashlar" lock --cache "$cache" "$tmp/tiny.yaml"
	: >"$archive_log"
}
# recovers WHAT: with the same cache, and the archive as it should be.
recovers()
{
	: >"$archive_faults"
	ok "after $1: a build with the same cache" build
	is "... gives what it gave" "$(commit_of)" "$good_commit"
	ok "... and the cache is sound" ostree --repo="$cache/repo" fsck --quiet
}

fresh
ok "a build from an archive" build
good_commit=$(commit_of)

fresh
echo "/pool/good.deb wrong 0" >"$archive_faults"
exits 5 "a package that is not what the lock says" build
message_like "... is named" 'fetching good 1 .*has the SHA-256'
recovers "a hash mismatch"

fresh
echo "/pool/* truncate 5000" >"$archive_faults"
ok "truncated downloads" build
like "are resumed" "$(cat "$archive_log")" '/pool/good\.deb 206 5000'
is "... to the same" "$(commit_of)" "$good_commit"

fresh
echo "/pool/good.deb stall 5000" >"$archive_faults"
ASHLAR_FETCH_STALL_S=1 ASHLAR_FETCH_TRIES=1 exits 6 "a server that stalls" build
message_like "... is named" 'fetching good 1 .*stalled'
: >"$archive_log"
recovers "a stall"
like "... from where it stopped" "$(cat "$archive_log")" '/pool/good\.deb 206 5000'

fresh
mv "$archive/pool/good.deb" "$tmp/"
exits 6 "a package that is gone from the archive" build
message_like "... is named, with what to run" "fetching good 1 .*404.*\(run 'ashlar lock --update'"
mv "$tmp/good.deb" "$archive/pool/"
recovers "a package was gone"

fresh
rm "$tmp/tiny.lock" "$cache/index" -r
release_fields="Valid-Until: Mon, 02 Jan 2023 10:00:00 UTC" publish
exits 5 "an expired Release file" build
message_like "says so" 'expired on 2023-01-02'
publish
sed -i 's/^Label: Debian/Label: Debiam/' "$archive/dists/trixie/InRelease"
exits 5 "a bad signature" build
message_like "says so" 'was altered'
publish
recovers "a bad archive"

# ---- what lies in the cache

deb=$(echo "$cache"/debs/good_1_*)
rm -rf "$cache/repo"
truncate -s 5000 "$deb"
: >"$archive_log"
ok "a package that was damaged in the cache" build
like "is downloaded again" "$(cat "$archive_log")" '/pool/good\.deb 200'
is "... to the same" "$(commit_of)" "$good_commit"

done_testing
