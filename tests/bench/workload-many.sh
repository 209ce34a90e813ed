#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench-workload [MANY=100]: so many workloads at once, a command that says a word and waits for SIGTERM, in one
# read-only tree: ours beside plain systemd-nspawn. One JSON object a row on stdout; all of them in
# out/bench/workload-many.json.
#
#	start_ms    from the first call to the last one's word, by the number of them
#	pss_kb      proportional memory of all their processes (launcher, command), by the number of them
#	stop_ms     from SIGTERM to all of the calls until the last one has ended, by the number of them
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C.UTF-8 SYSTEMD_NSPAWN_LOCK=0
many=${MANY:-100}
out=$PWD/out/bench
work=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-bench-workload.XXXXXX")
pids=()
finish()
{
	[ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null || true
	rm -rf --one-file-system "$work"
}
trap finish EXIT
root=$work/root
mkdir -p "$out" "$root"/{bin,etc,usr,dev,proc,sys,run,tmp}
: >"$root/etc/os-release"
cat >"$work/wait.c" <<'END'
#include <signal.h>
#include <unistd.h>
int main(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, 0);
	return write(1, "up\n", 3) == 3 && sigwait(&set, &got) == 0 ? 0 : 1;
}
END
gcc -O2 -static -s -o "$root/bin/wait" "$work/wait.c"

# prepare CLASS N: what the call is given
prepare()
{
	mkdir -p "$work/$1-$2"
	jq -n --arg name "$1-$2" --arg class "$1" --arg dir "$work/$1-$2" --arg root "$root" --arg cache "$work/cache" \
		--argjson base $((1310720 + $2 * 65536)) '{instance: $name, dir: $dir, root: $root, cache: $cache,
		isolation: $class, command: ["/bin/wait"], environment: ["PATH=/bin"], uid_base: $base,
		disk_bytes: 1048576, tasks: 64, descriptors: 256}' >"$work/$1-$2/launch.json"
}

# start CLASS N: as this shell, which the caller has put into the background
start()
{
	[ "$1" = nspawn ] || exec build/bin/ashlar-launch "$work/$1-$2"
	exec systemd-nspawn -q --register=no --keep-unit --read-only --private-network --link-journal=no \
		--resolv-conf=off --timezone=off --console=pipe --kill-signal=SIGTERM -M "many$2" -D "$root" /bin/wait
}

# memory: PSS in kB of the processes in $pids and all below them
memory()
{
	local all=" ${pids[*]} " new=1 stat pid rest parent
	while [ $new -gt 0 ]; do
		new=0
		for stat in /proc/[0-9]*/stat; do
			{ read -r pid rest <"$stat"; } 2>/dev/null || continue
			rest=${rest##*) }
			parent=${rest#* }
			parent=${parent%% *}
			if [[ $all != *" $pid "* && $all == *" $parent "* ]]; then
				all+="$pid " new=1
			fi
		done
	done
	for pid in $all; do
		cat "/proc/$pid/smaps_rollup" 2>/dev/null || true
	done | awk '/^Pss:/ {sum += $2} END {print sum}'
}

# said NUMBER: waits for so many words
said()
{
	for _ in {1..6000}; do
		[ "$(cat "$work"/words-* 2>/dev/null | grep -c '^up$')" -lt "$1" ] || return 0
		read -rt 0.02 <> <(:) || :
	done
	echo "only $(cat "$work"/words-* | grep -c '^up$') of $1 began: $(cat "$work"/err-* | tail -n 1)" >&2
	return 1
}

row()
{
	local class=$1 number=$2 before started stopped pss i
	rm -f "$work"/words-* "$work"/err-*
	pids=()
	for ((i = 0; i < number; i++)); do prepare "$class" "$i"; done
	before=${EPOCHREALTIME/./}
	for ((i = 0; i < number; i++)); do
		start "$class" "$i" >"$work/words-$i" 2>"$work/err-$i" </dev/null &
		pids+=($!)
	done
	said "$number"
	started=$((${EPOCHREALTIME/./} - before))
	pss=$(memory)
	before=${EPOCHREALTIME/./}
	kill -TERM "${pids[@]}"
	wait "${pids[@]}" || true
	stopped=$((${EPOCHREALTIME/./} - before))
	pids=()
	jq -cn --arg row "$class" --argjson n "$number" --argjson s $started --argjson e $stopped --argjson p "$pss" \
		'{row: $row, workloads: $n, start_ms: ($s / $n / 10 | round / 100), stop_ms: ($e / $n / 10 | round / 100),
		pss_kb: ($p / $n | round)}'
}

rows=(container sandbox nspawn)
for class in "${rows[@]}"; do
	# Filters are built once, before.
	row "$class" 1 >/dev/null
done
for class in "${rows[@]}"; do row "$class" "$many"; done | tee "$out/workload-many.json"
