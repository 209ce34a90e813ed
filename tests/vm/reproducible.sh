#!/bin/bash
# needs: root nspawn apt
# SPDX-License-Identifier: Apache-2.0
# The reference host, built twice from its lock: the same commit, and the same raw image byte for byte.
# Slow: every package is downloaded and configured.
. tests/lib/tap.sh

# shellcheck disable=SC2317
# build_in DIRECTORY CACHE THREADS: commit and image of a copy of the manifests there.
build_in()
{
	mkdir -p "$1"
	cp -r manifests images "$1/"
	(cd "$1" && "$ashlar" build --json --locked --cache "$2" --repo repo --threads "$3" \
		manifests/host.yaml >commit &&
		"$ashlar" image --repo repo --spec images/host.yaml --format raw --output . \
			>/dev/null)
}

one=$tmp/one
two="$tmp/two, elsewhere"
ok "the host is built" build_in "$one" "$tmp/cache-one" 1
mkdir -p "$tmp/cache-two"
mv "$tmp/cache-one/debs" "$tmp/cache-two/"
rm -rf "$tmp/cache-one"
ok "and again: another directory, umask, environment, number of threads" bash -c "
	$(declare -f build_in)
	umask 077
	export ashlar='$ashlar' HOME=/nowhere TZ=Pacific/Kiritimati LC_ALL=tr_TR.UTF-8 SOURCE_DATE_EPOCH=1
	"'build_in "$1" "$2" 4' - "$two" "$tmp/cache-two"
is "the commit is the same" "$(cat "$two/commit")" "$(cat "$one/commit")"
like "... and one" "$(cat "$one/commit")" '"commit":"[0-9a-f]{64}"'
ok "the raw image is the same, byte for byte" cmp "$one/host.raw" "$two/host.raw"

done_testing
