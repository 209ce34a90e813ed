#!/bin/bash
# needs: root apt ostree qemu-img
# SPDX-License-Identifier: Apache-2.0
# The reference host, built as a user would, and once more in every other way there is: other directory,
# cache, umask, environment, number of threads. The same commit, and the same raw image, byte for byte.
#
# What it makes in build/test stays: the tests in machines boot it.
. tests/lib/tap.sh

dir=build/test
manifest=manifests/host.yaml
mkdir -p "$dir"
rm -rf "$dir/out" "$dir/tree" "$dir/repo"

# A lock of today: the archive forgets old versions.
ok "the host can be locked" "$ashlar" lock "$manifest" --output "$dir/host.lock" --update \
	--cache "$dir/cache"
ok "the host can be built" "$ashlar" build "$manifest" --locked --lock "$dir/host.lock" \
	--cache "$dir/cache" --repo "$dir/repo"
read -r ref commit _ <"$tmp/out"
like "it says ref and commit" "$ref $commit" '^host/host/[a-z0-9]+ [0-9a-f]{64}$'
ok "an image can be made" "$ashlar" image "$ref" --repo "$dir/repo" --output "$dir/out" \
	--format raw --format qcow2 --format kernel
[ -e "$dir/out/host.qcow2" ] || fail "the link host.qcow2 is there" "$(ls -l "$dir/out")"
ok "the commit can be checked out" ostree --repo="$dir/repo" checkout "$commit" "$dir/tree"
ok "the repository is whole" ostree --repo="$dir/repo" fsck -q

# ---- once more, otherwise -------------------------------------------------------------------------

other=$(mktemp -d /var/tmp/ash-test-other.XXXXXX)
at_exit+=("rm -rf '$other'")
mkdir -p "$other/a/cache"
cp -al "$dir/cache/debs" "$other/a/cache/debs" 2>/dev/null || cp -a "$dir/cache/debs" "$other/a/cache/debs"
cp -r manifests "$other/a/m"
mkdir -p "$other/a/build"
cp -r build/deb "$other/a/build/deb"
otherwise=(env -i "PATH=$PATH" HOME=/nowhere USER=somebody LANG=tr_TR.UTF-8 LC_ALL=C TZ=Asia/Tokyo
	SOURCE_DATE_EPOCH=1000000000 "TMPDIR=$other")
root=$PWD
sleep 1
cd "$other" || exit
umask 077
ok "the host can be built elsewhere" "${otherwise[@]}" "$ashlar_bin/ashlar" build a/m/host.yaml --locked \
	--lock "$root/$dir/host.lock" --cache a/cache --repo a/repo --threads 1
read -r _ again _ <"$tmp/out"
is "the same lock gives the same commit" "$again" "$commit"
ok "an image can be made there" "${otherwise[@]}" "$ashlar_bin/ashlar" image "$again" --repo a/repo \
	--output b --spec "$root/images/host.yaml" --format raw
cd "$root" || exit
umask 022
ok "the raw images are the same, byte for byte" cmp "$dir"/out/host.raw "$other"/b/host.raw

# ---- what it is like ------------------------------------------------------------------------------

ok "nothing is found wrong with the tree" "$ashlar" lint "$commit" --repo "$dir/repo" \
	--cache "$dir/cache"
ok "its packages can be listed" "$ashlar" sbom "$commit" --repo "$dir/repo" --output "$tmp/sbom.json"
ok "it does not differ from itself" "$ashlar" diff "$ref" "$commit" --repo "$dir/repo"
rm -f "$dir"/out/*.raw
done_testing
