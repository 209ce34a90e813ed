#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-builder [RUNS=5] [BENCH_ROWS="1 3 4"]: the builder's figures, beside its peers', in one go.
# The peer's run and ours alternate. Prints tables; leaves every single reading in out/bench/builder.json,
# and with BENCH_KEEP=1 all that it worked on in out/bench/work.
#
#	1  a whole build with nothing cached but the .debs: mmdebstrap + ostree commit, ashlar, ashlar
#	   with dracut; with it memory (6), the import's use of processors (7), and the time of each step
#	2  the rebuild after one package changed, solving included
#	3  the rebuild after a file of the manifest changed
#	4  nothing changed
#	5  solving with an index that is cached, and with one that has to be parsed
#	8  the reference host against the peer's tree: sizes, and boot in an equal machine
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8 TMPDIR
umask 022

runs=${RUNS:-5}
rows=${BENCH_ROWS:-1 2 3 4 5 8}
out=$PWD/out/bench
work=$out/work
results=$out/builder.json
ashlar=$PWD/build/bin/ashlar
tools=$PWD/build/release/tests/bench
changed_package=zstd
TMPDIR=$work/tmp

say()
{
	printf '%s  %s\n' "$(date +%T)" "$*" >&2
}

die()
{
	echo "bench: $*" >&2
	exit 1
}

has_row()
{
	[[ " $rows " == *" $1 "* ]]
}

# ---- readings ------------------------------------------------------------------------------------

# record ROW WHO RUN COMMAND…: one reading. Nothing that was written before is left to be written now.
record()
{
	local row=$1 who=$2 run=$3 load
	shift 3
	sync
	load=$(cut -d' ' -f1 /proc/loadavg)
	say "row $row, run $run: $who"
	if ! "$tools/measure" -o "$work/reading" -e "$work/events" "$@" >"$work/stdout"; then
		cut -f2 "$work/events" | tail -n 40 >&2
		die "row $row, $who: the command failed"
	fi
	jq -c --arg row "$row" --arg who "$who" --argjson run "$run" --argjson load "$load" \
		'{row: $row, who: $who, run: $run, load: $load} + .' "$work/reading" >>"$results"
}

# record_steps ROW WHO RUN: what the last reading's events say of its steps. A step lasts until it is
# done, or else until the next begins; what lies between steps is called "other".
record_steps()
{
	jq -cnR --arg row "$1" --arg who "$2" --argjson run "$3" \
		--slurpfile reading "$work/reading" '
		def close($at): if .step == null then . else
			.steps += [{row: $row, who: $who, run: $run, step: .step,
				wall: ($at[0] - .from[0]), own: ($at[1] - .from[1]),
				children: ($at[2] - .from[2])}] end
			| .from = $at | .step = null;
		def other: if .step == null then .step = "other" else . end;
		$reading[0] as $whole
		| reduce (inputs | split("\t") | {
			at: (.[0] | split(" ") | map(tonumber)), event: (.[1] | fromjson? // {})
		}) as $line ({from: [0, 0, 0], step: "other", steps: []};
			if $line.event.event == "step" then
				other | close($line.at) | .step = $line.event.step
			elif $line.event.event == "done" then close($line.at)
			else . end)
		| other | close([$whole.wall, $whole.own, $whole.user + $whole.sys - $whole.own])
		| [.steps | group_by(.step)[] | .[0] + {wall: (map(.wall) | add),
			own: (map(.own) | add), children: (map(.children) | add)}][]' \
		"$work/events" >>"$results"
}

# record_size WHAT WHO BYTES
record_size()
{
	jq -cn --arg what "$1" --arg who "$2" --argjson bytes "$3" \
		'{row: "8", what: $what, who: $who, bytes: $bytes}' >>"$results"
}

# ---- what both sides get -------------------------------------------------------------------------

# This machine's sources of Debian, moved to trixie: as ashlar does it.
write_sources()
{
	local codename target
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
		sort -u | while IFS='|' read -r origin suite uri; do
		target=${suite/#$codename/trixie}
		[ "$origin" = Debian ] || continue
		case $target in
		trixie | trixie-updates | trixie-security) echo "deb $uri $target main" ;;
		esac
	done >"$work/sources"
	grep -q ' trixie main$' "$work/sources" || die "this machine has no apt source of Debian"
}

build()
{
	local manifest=$1 cache=$2 repo=$3
	shift 3
	"$ashlar" build --json --cache "$cache" --repo "$repo" "$@" "$manifest"
}

# quietly COMMAND…: not measured; its words only when it fails.
quietly()
{
	"$@" >"$work/quiet" 2>&1 || {
		tail -n 40 "$work/quiet" >&2
		die "this failed: $*"
	}
}

# NAME VERSION ARCH SHA256 of every package in a lock.
locked_packages()
{
	sed -nE 's/^  - \{name: ([^,]+), *version: "?([^",]+)"?, *arch: ([a-z0-9]+),.* sha256: "?([0-9a-f]{64})"?,.*/\1 \2 \3 \4/p' "$1"
}

deb_in_cache()
{
	echo "$work/cache/debs/${1}_${2//:/%}_${3}_${4:0:16}.deb"
}

prepare()
{
	say "preparing: lock, .debs, one build that is not measured"
	cp tests/bench/ref.yaml tests/bench/ref-dracut.yaml "$work/"
	write_sources
	quietly "$ashlar" lock --cache "$work/cache" -o "$work/ref.lock" "$work/ref.yaml"
	quietly build "$work/ref.yaml" "$work/cache" "$work/repo" --locked --lock "$work/ref.lock"
	locked_packages "$work/ref.lock" >"$work/packages"
	mkdir "$work/peer-debs"
	while read -r name version arch hash; do
		ln "$(deb_in_cache "$name" "$version" "$arch" "$hash")" \
			"$work/peer-debs/${name}_${version//:/%3a}_$arch.deb"
	done <"$work/packages"
	peer_packages=$(cut -d' ' -f1 "$work/packages" | paste -sd,)
	[ "$(wc -l <"$work/packages")" -eq "$(grep -c "^  - {name:" "$work/ref.lock")" ] ||
		die "a package line of the lock was not understood"
	say "$(wc -l <"$work/packages") packages, $(du -sh "$work/peer-debs" | cut -f1) of .debs"
}

peer()
{
	rm -rf --one-file-system "$work/peer-tree" "$work/peer-repo"
	"$@" tests/bench/peer.sh "$work/peer-tree" "$work/peer-repo" "$work/peer-debs" \
		"$peer_packages" "$work/sources"
}

# The comparison is only fair between equal sets; what differs is told, in the table's notes as well.
compare_sets()
{
	dpkg-query --admindir="$work/peer-tree/var/lib/dpkg" -W -f '${Package} ${Version}\n' |
		sort >"$work/peer-set"
	cut -d' ' -f1,2 "$work/packages" | sort >"$work/our-set"
	if cmp -s "$work/peer-set" "$work/our-set"; then
		say "both sides have the same packages"
		return
	fi
	say "the sets differ (<: the peer's, >: ours):"
	diff "$work/peer-set" "$work/our-set" | grep '^[<>]' | tee "$out/set-differences" >&2 || true
}

# ---- rows 1 to 5 ---------------------------------------------------------------------------------

# whole NAME WHO RUN: from the .debs alone.
whole()
{
	rm -rf --one-file-system "$work/cold"
	mkdir -m 700 "$work/cold"
	cp -al "$work/cache/debs" "$work/cold/debs"
	record 1 "$2" "$3" "$ashlar" build --json --cache "$work/cold" --repo "$work/cold/out" \
		--locked --lock "$work/ref.lock" "$work/$1.yaml"
	record_steps 1 "$2" "$3"
}

row_1()
{
	peer record 1 "mmdebstrap + ostree commit" "$1"
	[ "$1" != 1 ] || compare_sets
	whole ref "ashlar" "$1"
	whole ref-dracut "ashlar, dracut" "$1"
	rm -rf --one-file-system "$work/cold"
}

# A higher version of a real package, another one for every run.
prepare_2()
{
	local name version arch hash run root=$work/repack
	read -r name version arch hash < <(grep "^$changed_package " "$work/packages")
	for ((run = 1; run <= runs; run++)); do
		rm -rf "$root"
		dpkg-deb -R "$(deb_in_cache "$name" "$version" "$arch" "$hash")" "$root"
		sed -i "s/^Version: .*/Version: $version+bench$run/" "$root/DEBIAN/control"
		echo "bench $run" >>"$root/usr/share/doc/$name/copyright"
		dpkg-deb --root-owner-group -Zxz -b "$root" "$work/changed-$run.deb" >/dev/null
		printf '%s\n' 'include: [ref.yaml]' "debs: [changed-$run.deb]" \
			"packages: [\"$name=$version+bench$run\"]" >"$work/changed-$run.yaml"
	done
	rm -rf "$root"
}

row_2()
{
	cp "$work/ref.lock" "$work/changed.lock"
	record 2 "ashlar" "$1" "$ashlar" build --json --cache "$work/cache" --repo "$work/repo" \
		--lock "$work/changed.lock" "$work/changed-$1.yaml"
	record_steps 2 "ashlar" "$1"
	grep -q "+bench$1\b" "$work/changed.lock" || die "row 2: the changed package was not taken"
}

row_3()
{
	printf '%s\n' 'include: [ref.yaml]' 'files:' \
		"  - {path: /etc/bench, content: \"$1 $RANDOM $SECONDS\"}" >"$work/file.yaml"
	record 3 "ashlar" "$1" "$ashlar" build --json --cache "$work/cache" --repo "$work/repo" \
		--locked --lock "$work/ref.lock" "$work/file.yaml"
	record_steps 3 "ashlar" "$1"
}

row_4()
{
	quietly build "$work/ref.yaml" "$work/cache" "$work/repo" --locked --lock "$work/ref.lock"
	record 4 "ashlar" "$1" "$ashlar" build --json --cache "$work/cache" --repo "$work/repo" \
		--locked --lock "$work/ref.lock" "$work/ref.yaml"
}

# The plain index of trixie in a repository on this machine, so that no network is in the figures.
prepare_5()
{
	local archive=$work/archive uri index
	uri=$(sed -n 's/^deb \(.*[^/]\)\/* trixie main$/\1/p' "$work/sources" | head -n 1)
	index=$archive/dists/trixie/main/binary-amd64/Packages
	mkdir -p "$(dirname "$index")"
	quietly /usr/lib/apt/apt-helper download-file \
		"$uri/dists/trixie/main/binary-amd64/Packages.xz" "$index.xz"
	xz -d "$index.xz"
	printf '%s\n' 'Origin: bench' 'Suite: trixie' 'Codename: trixie' 'Architectures: amd64' \
		'Components: main' 'SHA256:' \
		" $(sha256sum <"$index" | cut -c1-64) $(stat -c %s "$index") main/binary-amd64/Packages" \
		>"$archive/dists/trixie/Release"
	{
		sed '/^packages:/,$d' "$work/ref.yaml"
		echo 'repositories:'
		echo "  - {name: plain, uri: \"file://$archive\", trusted: true}"
		sed -n '/^packages:/,$p' "$work/ref.yaml"
	} >"$work/solve.yaml"
	solve quietly
}

solve()
{
	rm -f "$work/solve.lock"
	"$@" "$ashlar" lock --json --cache "$work/solve-cache" -o "$work/solve.lock" \
		"$work/solve.yaml"
}

row_5()
{
	record 5 "libsolv, parsing only" "$1" "$tools/parse-index" \
		"$work/archive/dists/trixie/main/binary-amd64/Packages"
	find "$work/solve-cache" -name '*.solv' -delete
	solve record 5 "ashlar lock, parsing" "$1"
	solve record 5 "ashlar lock, cached" "$1"
}

# ---- all -----------------------------------------------------------------------------------------

# shellcheck source=tests/bench/builder-host.bash
. tests/bench/builder-host.bash

report()
{
	echo
	echo "Measured by 'make bench-builder RUNS=$runs${BENCH_ROWS:+ BENCH_ROWS=\"$BENCH_ROWS\"}' on" \
		"$(date -u +%F) ($(git describe --always --dirty 2>/dev/null || echo 'no git'))."
	echo "$(nproc) processors, Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME");" \
		"mmdebstrap $(dpkg-query -W -f '${Version}' mmdebstrap), ostree" \
		"$(dpkg-query -W -f '${Version}' ostree)."
	[ ! -s "$out/set-differences" ] || sed '1i The sets differ (<: the peer, >: ours):' "$out/set-differences"
	jq -rs -f tests/bench/builder-report.jq "$results"
	[ ! -s "$out/host-bytes.txt" ] || {
		printf '\nWhat the bytes of the reference host are for; all of it is in %s:\n\n' \
			"${out#"$PWD"/}/host-bytes.txt"
		grep -v ' 0\.[0-4] %' "$out/host-bytes.txt" | sed 's/^./    &/'
	}
}

clean_up()
{
	[ -z "${BENCH_KEEP:-}" ] || return 0
	rm -rf --one-file-system "$work"
}

main()
{
	local run row
	[ "$(id -u)" -eq 0 ] || die "it needs root: sudo make bench-builder"
	[[ $runs =~ ^[1-9][0-9]?$ ]] || die "RUNS is a number from 1 to 99"
	BENCH_KEEP='' clean_up
	mkdir -p "$TMPDIR"
	rm -f "$results" "$out"/set-differences "$out"/host-bytes.txt
	: >"$results"
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	prepare
	for row in 2 5 8; do
		if has_row $row; then
			"prepare_$row"
		fi
	done
	for ((run = 1; run <= runs; run++)); do
		for row in 1 2 3 4 5 8; do
			if has_row $row; then
				"row_$row" "$run"
			fi
		done
	done
	report | tee "$out/builder.txt"
	say "every reading: ${results#"$PWD"/}"
}

main
