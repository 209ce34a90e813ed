#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-update [RUNS=5] [BENCH_ROWS="U D M W T R"]: what an update costs, beside its peers, in one go.
# Prints tables; leaves every single reading in out/bench/update.json. What takes long and is the same
# each time (trees, repositories, full images) stays in out/bench/update for the next run; BENCH_FRESH=1
# makes it anew.
#
#	U  bytes that a host has to fetch: a round of security fixes (U), and that with a new kernel (K)
#	D  time and memory to make a delta, and to apply it
#	M  memory: resident and idle, and the most during an update
#	W  what an idle host does: wake-ups, bytes written
#	T  from "a release is offered" to "ready to reboot"
#	R  from a health check that fails to the reboot that goes back
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8 TMPDIR
umask 022

runs=${RUNS:-5}
rows=${BENCH_ROWS:-U D M W T R}
out=$PWD/out/bench
kept=$out/update
work=$out/work-update
results=$out/update.json
ashlar_bin=$PWD/build/bin
ashlar=$ashlar_bin/ashlar
tools=$PWD/build/release/tests/bench
TMPDIR=$work/tmp
tmp=$work
at_exit=()

say()
{
	printf '%s  %s\n' "$(date +%T)" "$*" >&2
}

diag()
{
	say "$*"
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

# quietly COMMAND…: not measured; its words only when it fails.
quietly()
{
	"$@" >"$work/quiet" 2>&1 || {
		tail -n 40 "$work/quiet" >&2
		die "this failed: $*"
	}
}

# put ROW WHAT WHO FIELD=NUMBER…: one reading.
put()
{
	local row=$1 what=$2 who=$3 load field
	local -a fields=()
	shift 3
	load=$(cut -d' ' -f1 /proc/loadavg)
	for field in "$@"; do
		fields+=(--argjson "${field%%=*}" "${field#*=}")
	done
	jq -cn --arg row "$row" --arg what "$what" --arg who "$who" --argjson load "$load" "${fields[@]}" \
		'$ARGS.named' >>"$results"
}

# record ROW WHAT WHO COMMAND…: its time, CPU and memory. Nothing written before is left to be written now.
record()
{
	local row=$1 what=$2 who=$3
	shift 3
	sync
	say "row $row, $what: $who"
	if ! "$tools/measure" -o "$work/reading" "$@" >"$work/stdout" 2>"$work/stderr"; then
		tail -n 40 "$work/stderr" >&2
		die "row $row, $what, $who: the command failed"
	fi
	put "$row" "$what" "$who" "wall=$(jq .wall "$work/reading")" \
		"cpu=$(jq '.user + .sys' "$work/reading")" "peak_kb=$(jq .peak_kb "$work/reading")"
}

size()
{
	stat -c %s "$1"
}

# ---- what is compared ----------------------------------------------------------------------------

# shellcheck source=tests/bench/update-trees.bash
. tests/bench/update-trees.bash
# shellcheck source=tests/bench/update-wire.bash
. tests/bench/update-wire.bash
# shellcheck source=tests/bench/update-host.bash
. tests/bench/update-host.bash

report()
{
	echo
	echo "Measured by 'make bench-update RUNS=$runs${BENCH_ROWS:+ BENCH_ROWS=\"$BENCH_ROWS\"}' on" \
		"$(date -u +%F) ($(git describe --always --dirty 2>/dev/null || echo 'no git'))."
	echo "$(nproc) processors, Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME");" \
		"ostree $(dpkg-query -W -f '${Version}' ostree), rauc $(dpkg-query -W -f '${Version}' rauc)," \
		"casync $(dpkg-query -W -f '${Version}' casync)."
	jq -rs -f tests/bench/update-report.jq "$results"
}

clean_up()
{
	local i
	for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do
		eval "${at_exit[i]}" >/dev/null 2>&1 || true
	done
	at_exit=()
	[ -n "${BENCH_KEEP:-}" ] || rm -rf --one-file-system "$work"
}

main()
{
	local run what
	[ "$(id -u)" -eq 0 ] || die "it needs root: sudo make bench-update"
	[[ $runs =~ ^[1-9][0-9]?$ ]] || die "RUNS is a number from 1 to 99"
	for host in "$work/host" "$work/host-2"; do
		! findmnt "$host" >/dev/null || umount "$host"
	done
	host=$work/host
	rm -rf --one-file-system "$work"
	[ -z "${BENCH_FRESH:-}" ] || rm -rf --one-file-system "$kept"
	mkdir -p "$TMPDIR" "$kept"
	: >"$results"
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	prepare_trees
	prepare_releases
	! has_row M || row_m
	! has_row W || start_w
	for ((run = 1; run <= runs; run++)); do
		for what in U K; do
			make_deltas "$what" "$run"
			! has_row D || apply_deltas "$what"
		done
	done
	! has_row U || row_u
	if has_row T || has_row R || has_row M; then
		prepare_t
		for ((run = 1; run <= runs; run++)); do
			row_t U
			row_t K
		done
	fi
	! has_row W || end_w
	report | tee "$out/update.txt"
	say "every reading: ${results#"$PWD"/}"
}

main
