#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-workload's row "image" [RUNS=5]: from a registry on loopback to a tree that can be run, beside skopeo and
# umoci, in one go; and what a second image that shares its large layer costs. Prints a table; each reading goes to
# out/bench/workload-image.json. IMAGE=DIR keeps the images there, for the next time. Needs root, and the packages of `make bench-deps`.
#
# Neither side has anything of the image before, and both have read it before (page cache). The peers do not sync what they
# write; ours is on the disk, under a name, when it says so. For a fair look at the work alone the table has
# processor time too.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8
umask 022
runs=${RUNS:-5}
ashlar_bin=${ASH_BIN:-$PWD/build/bin}
mkdir -p out/bench
results=$PWD/out/bench/workload-image.json
tmp=$(mktemp -d "${BENCH_DIR:-/var/tmp}/ash-bench.XXXXXX")
at_exit=()
cleanup()
{
	local command
	for command in "${at_exit[@]}"; do
		eval "$command" >/dev/null 2>&1 || true
	done
	rm -rf --one-file-system "$tmp"
}
trap cleanup EXIT
# shellcheck source=tests/lib/registry.bash
. tests/lib/registry.bash
set +u

# ---- the images: a large layer of this machine's own files, and a small one on it ---------------------

image=${IMAGE:-$tmp}
make_images()
{
	umoci init --layout "$image/img"
	umoci new --image "$image/img:base"
	umoci unpack --image "$image/img:base" "$image/base"
	mkdir -p "$image/base/rootfs"
	(cd / && tar -cf - usr/lib/python3* usr/share/perl usr/share/perl5 usr/share/doc) | tar -C "$image/base/rootfs" -xf -
	umoci repack --image "$image/img:base" "$image/base"
	umoci unpack --image "$image/img:base" "$image/app"
	mkdir -p "$image/app/rootfs/srv"
	seq 200000 >"$image/app/rootfs/srv/app"
	umoci repack --image "$image/img:app" "$image/app"
}
if [ ! -e "$image/img" ]; then
	mkdir -p "$image"
	make_images >/dev/null 2>&1
fi
files=$(find "$image/app/rootfs" | wc -l)
bytes=$(du -sb "$image/app/rootfs" | cut -f1)
registry_start bench
for tag in base app; do
	skopeo copy -q --dest-tls-verify=false "oci:$image/img:$tag" "docker://$registry/bench:$tag"
done
packed=$(du -sb "$image/img/blobs" | cut -f1)

# ---- both ways ----------------------------------------------------------------------------------------

# For how long each of the programs ran is among the readings.
step()
{
	echo "$EPOCHREALTIME" >>"$tmp/steps"
}

peer()
{
	step
	skopeo copy -q --src-tls-verify=false "docker://$registry/bench:$1" "oci:$2/layout:$1"
	step
	umoci unpack --image "$2/layout:$1" "$2/tree-$1" >/dev/null 2>&1
	step
}

ours()
{
	root=$2
	step
	fetch "{\"location\":\"$registry/bench\",\"tag\":\"$1\",\"endpoints\":[{\"url\":\"http://$registry\"}]}"
	step
	worker image-import "{\"kind\":\"oci\",\"location\":\"$registry/bench\",\"digest\":\"$(jq -r .digest <<<"$answer")\"}"
	step
	worker image-checkout "{\"commit\":\"$(jq -r .commit <<<"$answer")\"}"
	step
	jq -er .path <<<"$answer" >"$tmp/path"
}

# timed WHO TAG DIRECTORY: seconds and processor seconds (of what it starts; not of the registry).
timed()
{
	local TIMEFORMAT='%R %U %S' times before after
	sync -f "$3"
	: >"$tmp/steps"
	before=$(du -s --block-size=1 "$3" | cut -f1)
	times=$({ time "$1" "$2" "$3" >&2; } 2>&1 >/dev/null | tail -n 1)
	after=$(du -s --block-size=1 "$3" | cut -f1)
	# shellcheck disable=SC2086
	set -- "$1" "$2" "$((after - before))" $times
	jq -nc --arg who "$1" --arg tag "$2" --argjson written "$3" --argjson wall "$4" --argjson user "$5" --argjson sys "$6" \
		--argjson load "$(cut -d' ' -f1 /proc/loadavg)" \
		--argjson steps "$(jq -sc '[range(1; length) as $i | .[$i] - .[$i - 1] | . * 1000 | round / 1000]' "$tmp/steps")" \
		'{who: $who, tag: $tag, wall: $wall, steps: $steps, cpu: ($user + $sys), written: $written, load: $load}' >>"$results"
}

: >"$results"
for ((run = 0; run <= runs; run++)); do
	# The first is for the caches.
	[ "$run" -ne 1 ] || : >"$results"
	# Nothing is removed in between: ext4 looks long for inodes that were not in use a moment ago.
	at=$tmp/run-$run
	mkdir -p "$at/peer" "$at/ours"/{sysroot/ostree,efi,proc,var/lib/ashlar-link}
	echo quiet >"$at/ours/proc/cmdline"
	ostree --repo="$at/ours/sysroot/ostree/repo" init --mode=bare
	for tag in base app; do
		timed peer $tag "$at/peer"
		timed ours $tag "$at/ours"
		# Who makes another tree is compared with nobody.
		if [ "$run" -eq 0 ] && [ -n "$(image_same "$at/peer/tree-$tag/rootfs" "$(cat "$tmp/path")" | tee "$tmp/differs")" ]; then
			head -n 20 "$tmp/differs" >&2
			exit 1
		fi
	done
done

echo "An image of $files files, $bytes bytes, $packed packed; medians of $runs."
jq -rs '
	def median: sort | .[(length - 1) / 2 | floor];
	def of($who; $tag; f): map(select(.who == $who and .tag == $tag) | f) | median;
	def round2: . * 100 | round / 100;
	. as $all |
	(["base", "pull and unpack"], ["app", "second image, same large layer"]) as [$tag, $name] |
	"\($name): ours \($all | of("ours"; $tag; .wall)) s (cpu \($all | of("ours"; $tag; .cpu) | round2)), skopeo + umoci \($all | of("peer"; $tag; .wall)) s (cpu \($all | of("peer"; $tag; .cpu) | round2)): \(($all | of("ours"; $tag; .wall)) / ($all | of("peer"; $tag; .wall)) | round2) of the time; on the disk \($all | of("ours"; $tag; .written)) bytes more against \($all | of("peer"; $tag; .written))"
' "$results"
