#!/bin/bash
# needs: dpkg-deb dpkg-scanpackages gpg gpgv xz
# SPDX-License-Identifier: Apache-2.0
# 'ashlar lock' against a little archive of its own.
. tests/lib/tap.sh
. tests/lib/archive.sh

archive_init
deb base 1.0 'Essential: yes'
deb web 1.0 'Depends: libweb (>= 1), mta'
deb libweb 1.5
deb postfix 3 'Provides: mta' 'Priority: extra'
deb exim 4 'Provides: mta'
deb old 1
deb needs-new 1 'Depends: libweb (>= 2)'
deb fights 1 'Conflicts: libweb'
publish
apt_sources

# The manifest's name is that of the lock. manifest TEXT…
manifest()
{
	printf '%s\n' "$@" >"$tmp/host.yaml"
}

# shellcheck disable=SC2317
lock()
{
	"$ashlar" lock --cache "$tmp/cache" "$tmp/host.yaml" "$@"
}

names()
{
	grep -oP '^ +- \{name: \K[^,]*' "$tmp/host.lock" | xargs
}

version_of()
{
	grep -oP "^ +- \{name: $1,.*version: \"?\K[^\", ]*" "$tmp/host.lock"
}

fresh()
{
	rm -rf "$tmp/cache" "$tmp/host.lock"
	: >"$archive_faults"
	: >"$archive_log"
}

# ---- it works

manifest 'packages: [web]'
ok "a manifest is locked" lock
is "with what it needs, the essential, apt's choice" "$(names)" "base exim libweb web"
stdout_like "what was added is said" '^added libweb 1.5$'
like "the inherited origin has a label, no URI" "$(grep 'id:' "$tmp/host.lock")" \
	'\{id: debian, kind: inherited, label: Debian, suite: trixie\}'
unlike "no server is named" "$(cat "$tmp/host.lock")" '127\.0\.0\.1'

: >"$archive_log"
ok "again" lock
stdout_like "nothing changes" 'unchanged'
empty "nothing is asked for" "$(cat "$archive_log")"

cp "$tmp/host.lock" "$tmp/before"
rm "$tmp/host.lock"
ok "a new lock" lock
ok "is the same, byte for byte" cmp "$tmp/before" "$tmp/host.lock"
is "the Release file alone was looked at" "$(cat "$archive_log")" "/dists/trixie/InRelease 200 0"

rm "$tmp/host.lock"
: >"$archive_log"
ok "offline, from the cache" lock --offline
empty "nothing is asked for" "$(cat "$archive_log")"
ok "JSON" lock --json --update
like "is one object" "$(cat "$tmp/out")" '^\{"lock":".*host\.lock","packages":4,"changes":\[\]\}$'

for solv in "$tmp"/cache/index/*/*.solv; do truncate -s -100 "$solv"; done
rm "$tmp/host.lock"
ok "a truncated cache file is made again" lock
ok "with the same result" cmp "$tmp/before" "$tmp/host.lock"
for solv in "$tmp"/cache/index/*/*.solv; do
	printf 'x' | dd of="$solv" bs=1 seek=300 conv=notrunc status=none
done
rm "$tmp/host.lock"
ok "a damaged one too" lock
ok "with the same result" cmp "$tmp/before" "$tmp/host.lock"

# ---- updates

deb web 1.1 'Depends: libweb (>= 1), mta'
deb libweb 1.6
publish
manifest 'packages: [web, old]'
exits 8 "--check: the lock would change" lock --check
ok "and is not written" cmp "$tmp/before" "$tmp/host.lock"
ok "something more is asked for" lock
is "it comes" "$(names)" "base exim libweb old web"
is "the rest keeps its version" "$(version_of web) $(version_of libweb)" "1.0 1.5"
ok "--update libweb" lock --update libweb
is "moves libweb only" "$(version_of web) $(version_of libweb)" "1.0 1.6"
stdout_like "and says so" '^changed libweb 1.5 -> 1.6$'
ok "--update" lock --update
is "moves all" "$(version_of web) $(version_of libweb)" "1.1 1.6"
exits 2 "--update of what is not there" lock --update nothing
exits 2 "packages without --update" lock libweb
manifest 'packages: [web]'
ok "less is asked for" lock
stdout_like "what goes is said" '^removed old 1$'
ok "--check: all is well" lock --check

# ---- pins, versions, exclusions

manifest 'packages: [web]' 'pins:' '  - {package: libweb, version: "1.5"}'
ok "a pin" lock
is "holds" "$(version_of libweb)" "1.5"
manifest 'packages: [web]' 'pins:' '  - {package: libweb, version: "9.*"}'
exits 4 "a pin that nothing fits" lock
stderr_like "says what there is" "host.yaml:3:.*no version of 'libweb' fits.*; there is 1\.[56] "
manifest 'packages: ["libweb (<< 1.6)"]'
ok "a version is asked for" lock --update
is "and comes" "$(version_of libweb)" "1.5"
manifest 'packages: ["libweb (>= 7)"]'
exits 4 "a version that is not there" lock
stderr_like "says what there is" "host.yaml:1:.*no 'libweb' is >= 7; there is"
manifest 'packages: [web]' 'exclude: [exim]'
ok "an excluded provider" lock --update
is "gives way to another" "$(names)" "base libweb postfix web"
manifest 'packages: [web]' 'exclude: [libweb]'
exits 4 "an excluded package that is needed" lock
stderr_like "with the chain" "host.yaml:1:.*: web → libweb"
stderr_like "and where it was excluded" "host.yaml:2:.*'libweb' is excluded, but needed"

# ---- what cannot be

manifest 'packages: [webb]'
exits 4 "an unknown package" lock
stderr_like "with the nearest name and the position" \
	"host.yaml:1:[0-9]+: there is no package 'webb' \(did you mean 'web'"
manifest 'packages: [needs-new]'
exits 4 "an unsatisfiable dependency" lock
stderr_like "explained" "needs-new 1 needs libweb \(>= 2\), but only libweb 1\.6 is available"
manifest 'packages: [web, fights]'
exits 4 "a conflict" lock
stderr_like "explained" "fights 1 cannot be together with libweb 1\.6"
stderr_like "with what was asked for" "host.yaml:1:[0-9]+: 'fights' is asked for"

# ---- what cannot be believed

manifest 'packages: [web]'
fresh
archive_key "$tmp/gpg2" "$tmp/other.gpg"
sign_release "$archive/dists/trixie" "$tmp/gpg2"
exits 5 "a signature by an unknown key" lock
stderr_like "names key and keyring" "signed by [0-9A-F]+, which is not in the keyring '$keyring'"
publish
sed -i 's/^Label: Debian/Label: Debiam/' "$archive/dists/trixie/InRelease"
exits 5 "an altered Release file" lock
stderr_like "says so" "was altered"
cp "$archive/dists/trixie/Release" "$archive/dists/trixie/InRelease"
exits 5 "an unsigned one" lock
stderr_like "says so" "not signed"
rm "$archive/dists/trixie/InRelease"
GNUPGHOME=$tmp/gpg gpg --batch --yes --quiet --detach-sign --armor \
	-o "$archive/dists/trixie/Release.gpg" "$archive/dists/trixie/Release"
ok "Release with Release.gpg" lock
fresh
echo "Extra: yes" >>"$archive/dists/trixie/Release"
exits 5 "which was altered" lock
release_fields="Valid-Until: Mon, 02 Jan 2023 10:00:00 UTC" publish
exits 5 "an expired one" lock
stderr_like "says so" "expired on 2023-01-02"
publish
sed -i 's/^Codename: .*/Codename: forky/; s/^Suite: .*/Suite: testing/' "$archive/dists/trixie/Release"
sign_release "$archive/dists/trixie" "$tmp/gpg"
exits 5 "one for another suite" lock
stderr_like "says which" "is for suite 'testing' \(forky\), not 'trixie'"
publish
echo "/*Packages.xz wrong 0" >"$archive_faults"
exits 5 "an index that is not what Release names" lock
stderr_like "says so" "not the file that the Release file names"
empty "and nothing of it is kept" "$(find "$tmp/cache" -name '*.solv' -o -name '*.packages*')"

# ---- a bad network

fresh
publish
echo "/*Packages.xz truncate 100" >"$archive_faults"
ok "a truncated download" lock
like "is resumed" "$(cat "$archive_log")" "Packages.xz 206 100"
fresh
echo "* stall 10" >"$archive_faults"
ASHLAR_FETCH_STALL_S=1 ASHLAR_FETCH_TRIES=1 exits 6 "a server that stalls" lock
stderr_like "says so" "stalled"
fresh
echo "/*Packages.xz stall 100" >"$archive_faults"
"$ashlar" lock --cache "$tmp/cache" "$tmp/host.yaml" >/dev/null 2>"$tmp/err" &
pid=$!
# What came is on the disk: the client waits for the rest.
for ((i = 0; i < 500; i++)); do
	[ -n "$(find "$tmp/cache" -name '*.part' -size +0 2>/dev/null)" ] && break
	sleep 0.02
done
kill -INT $pid
wait $pid
is "Ctrl-C while the server stalls" $? 130
like "the partial file stays" "$(find "$tmp/cache" -name '*.part')" part
: >"$archive_faults"
ok "the next run" lock
like "goes on from there" "$(tail -n 1 "$archive_log")" "Packages.xz 206 100"
fresh
echo "* status 500 2" >"$archive_faults"
ok "a server that fails twice" lock
fresh
exits 6 "offline without a cache" lock --offline
cat >"$ASHLAR_APT_ROOT/etc/apt/sources.list" <<-END
deb [signed-by=$keyring] http://127.0.0.1:1/debian bookworm main
deb $archive_uri/other bookworm main
deb-src $archive_uri bookworm main
deb $archive_uri bookworm-backports main
END
ok "a source that does not answer and was never seen is left out" lock
stderr_like "with a note" "sources.list:1: .*leaving it out"
echo "deb [signed-by=$keyring] $archive_uri/third bookworm main" \
	>"$ASHLAR_APT_ROOT/etc/apt/sources.list"
lists=$ASHLAR_APT_ROOT/var/lib/apt/lists
mkdir -p "$lists"
printf 'Origin: Somebody\nSuite: bookworm\n' \
	>"$lists/${archive_uri#http://}_third_dists_bookworm_Release"
fresh
ok "a source that apt knows to be another's is left out" lock
stderr_like "with a note" "sources.list:1: 'bookworm' is not Debian's"
unlike "and never asked" "$(cat "$archive_log")" third
rm -r "$lists" "$ASHLAR_APT_ROOT/etc/apt/sources.list"

fresh
publish
sed -i 's/^Origin: .*/Origin: Somebody/' "$archive/dists/trixie/Release"
sign_release "$archive/dists/trixie" "$tmp/gpg"
exits 3 "a foreign archive is not inherited" lock
stderr_like "with a note" "not an archive of Debian"

# ---- repositories of the manifest

fresh
rm -r "${ASHLAR_APT_ROOT:?}/etc"
publish
exits 3 "no sources at all" lock
manifest 'packages: [web]' 'repositories:' "  - uri: $archive_uri" '    suites: [trixie]' \
	'    components: [main]' "    keyring: $keyring"
ok "a repository of the manifest" lock
like "is named in the lock" "$(cat "$tmp/host.lock")" "uri: \"?$archive_uri"
sed -i 's/components: .*/components: [main, extra]/' "$tmp/host.yaml"
exits 5 "a component that is not there" lock
stderr_like "with those that are" "no component 'extra'.*components: main"

mkdir -p "$tmp/flat"
deb_file "$tmp/flat/web.deb" web 2.0 'Depends: base'
deb_file "$tmp/flat/base.deb" base 2.0 'Essential: yes'
manifest 'packages: [web]' 'repositories:' "  - path: flat"
fresh
ok "a directory of .debs" lock
is "is a repository" "$(names) $(version_of web)" "base web 2.0"
mkdir -p "$archive/flat"
cp "$tmp"/flat/*.deb "$archive/flat/"
(cd "$archive/flat" && dpkg-scanpackages -m . 2>/dev/null >Packages)
manifest 'packages: [web]' 'repositories:' "  - uri: $archive_uri/flat" '    suites: ["./"]' \
	'    trusted: true'
fresh
ok "a flat repository without a Release file" lock
like "with paths below it" "$(cat "$tmp/host.lock")" 'path: web\.deb'
(cd "$archive/flat" && {
	echo "Origin: Somebody"
	echo "SHA256:"
	echo " $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) Packages"
} >Release)
sign_release "$archive/flat" "$tmp/gpg"
manifest 'packages: [web]' 'repositories:' "  - uri: $archive_uri/flat" '    suites: ["./"]' \
	"    keyring: $keyring"
fresh
ok "a signed flat repository" lock

deb_file "$tmp/local.deb" local 1.0 'Depends: web'
manifest 'debs: [local.deb]' 'repositories:' "  - path: flat"
fresh
ok "a local .deb" lock
is "is installed with what it needs" "$(names)" "base local web"
like "and named relative to the lock" "$(cat "$tmp/host.lock")" 'path: local\.deb'
deb_file "$tmp/local.deb" web 99.0
manifest 'packages: [web]' 'debs: [local.deb]' 'repositories:' "  - path: flat"
ok "a .deb given by hand" lock
like "wins over the version that was locked" "$(cat "$tmp/host.lock")" 'name: web, +version: "?99\.0"?'
echo broken >"$tmp/local.deb"
exits 5 "a broken one" lock
stderr_like "is named" "local.deb"

done_testing
