#!/bin/bash
# needs: root ostree jq mkfs.ext4 losetup strace gcc
# SPDX-License-Identifier: Apache-2.0
# ashlar-worker while the disk fails: ENOSPC and EIO from one system call, any of those that change or sync
# something, chosen at random (SEED, FAULTS); then writes that do half of what they are asked, or are interrupted,
# and a disk that fills up on the way. What boots is whole all the time, and the next run ends well.
. tests/lib/tap.sh
. tests/lib/disk.sh
at_exit+=(undisk)

faults=${FAULTS:-32}
RANDOM=${SEED:-1}
diag "FAULTS=$faults SEED=${SEED:-1}"
noticed=0
calls=write,pwrite64,fsync,fdatasync,syncfs,renameat,renameat2,linkat,symlinkat,mkdirat,openat,unlinkat
calls+=,copy_file_range,ftruncate,fallocate,fchmod,fchown,fsetxattr,ioctl

tree 1
release 1 "['quiet']"
tree 2
release 2 "['quiet', 'lsm=a']"
one=${commit_of[1]} two=${commit_of[2]}
doc2=$(document 2)
mkdir -p "$tmp/empty"
disk 64M || skip_all "no loop devices"
stage_objects 2
strace -o "$tmp/trace" true 2>/dev/null || skip_all "strace cannot trace here"

# fail_somewhere COUNT VERB JSON WANTED…: what may boot, the last of them in the end.
fail_somewhere()
{
	local count=$1 verb=$2 json=$3 line call nth error choice code failed=0 bad=0
	local -a trace
	shift 3
	keep_disk
	printf '%s' "$json" | strace -f -qq -e trace="$calls" -o "$tmp/trace" \
		"$worker" --root "$host" "$verb" >"$tmp/out" 2>&1
	mapfile -t trace < <(grep -oE '^[0-9]+ +[a-z0-9_]+\(' "$tmp/trace" | grep -oE '[a-z0-9_]+\($' | tr -d '(' |
		awk '{n[$1]++; print $1, n[$1]}')
	for ((i = 0; i < count; i++)); do
		restore_disk
		line=${trace[$(((RANDOM * 32768 + RANDOM) % ${#trace[@]}))]}
		call=${line% *} nth=${line#* }
		[ $((RANDOM % 2)) = 0 ] && error=ENOSPC || error=EIO
		code=0
		printf '%s' "$json" | timeout 120 strace -f -qq -e trace="$call" -o /dev/null \
			-e inject="$call:error=$error:when=$nth" \
			"$worker" --root "$host" "$verb" >"$tmp/out" 2>&1 || code=$?
		[ "$code" -eq 0 ] || failed=$((failed + 1))
		[ "$code" -le 1 ] || {
			bad=$((bad + 1))
			diag "$verb: $error from $call $nth: ended with $code"
		}
		choice=$(boot_choice)
		if [[ " $* " != *" $choice "* ]]; then
			bad=$((bad + 1))
			diag "$verb: $error from $call $nth: $choice"
			continue
		fi
		# A success must be one, in spite of the error.
		if ! job "$verb" "$json" >/dev/null || choice=$(boot_choice) && [ "$choice" != "${*: -1}" ]; then
			bad=$((bad + 1))
			diag "$verb: $error from $call $nth, then again: $choice $answer"
		fi
	done
	is "$verb: $count errors, none that matters" "$bad" 0
	noticed=$((noticed + failed))
	restore_disk
}

# short_job VERB JSON HOW: with tests/lib/preload/short-shim.c; in $cut the calls that were, in $written the bytes.
short_job()
{
	local code=0
	printf '%s' "$2" | timeout 120 env LD_PRELOAD="$tmp/short.so" SHORT_SHIM="$3" SHORT_SHIM_LOG="$tmp/cut" \
		"$worker" --root "$host" "$1" >"$tmp/job" 2>"$tmp/job.err" || code=$?
	read -r cut written <"$tmp/cut"
	[ "$3" != short ] || tail -n 1 "$tmp/job"
	return "$code"
}

# short_and_full VERB JSON COUNT WANTED…: what may boot, the last of them in the end.
short_and_full()
{
	local verb=$1 json=$2 count=$3 choice all i code bad=0 failed=0
	shift 3
	keep_disk
	ok "$verb: writes and reads that do half, or are interrupted" short_job "$verb" "$json" short
	is "$verb: …come to the same" "$(boot_choice)" "${*: -1}"
	ok "$verb: …and were there ($cut)" test "$cut" -gt 5
	all=$written
	for ((i = 0; i < count; i++)); do
		restore_disk
		code=0
		short_job "$verb" "$json" "full:$((all * i / count))" || code=$?
		if [ "$code" -ne 0 ]; then
			failed=$((failed + 1))
			grep -q 'No space left' "$tmp/job" || {
				bad=$((bad + 1))
				diag "$verb: full after $((all * i / count)) of $all: $code, $(tail -n 1 "$tmp/job")"
			}
		fi
		choice=$(boot_choice)
		[[ " $* " == *" $choice "* ]] || {
			bad=$((bad + 1))
			diag "$verb: full after $((all * i / count)): $choice"
		}
		if ! job "$verb" "$json" >/dev/null || choice=$(boot_choice) && [ "$choice" != "${*: -1}" ]; then
			bad=$((bad + 1))
			diag "$verb: full after $((all * i / count)), then again: $choice $answer"
		fi
	done
	is "$verb: full at $count points, said, and well when there is room" "$bad" 0
	ok "$verb: it was full ($failed)" test "$failed" -ge $((count - 1))
	restore_disk
}

ok "a disk that does half compiles" gcc -shared -fPIC -O2 -D_GNU_SOURCE -o "$tmp/short.so" \
	tests/lib/preload/short-shim.c -ldl
import2="{\"release\":$doc2,\"method\":\"objects\",\"delta\":null}"
fail_somewhere $((faults / 4)) import "$import2" "$one"
short_and_full import "$import2" 6 "$one"
ok "import" job import "$import2"
deploy2="{\"release\":$doc2,\"tries\":3}"
fail_somewhere $((faults / 2)) deploy "$deploy2" "$one" "$two"
short_and_full deploy "$deploy2" 8 "$one" "$two"
ok "deploy" job deploy "$deploy2"
fail_somewhere $((faults / 8)) switch "{\"commit\":\"$one\"}" "$two" "$one"
fail_somewhere $((faults / 8)) clean '{"keep":[]}' "$two" "$one"
# Some hit what libraries do for themselves (locales, modules of GIO) and is not missed.
ok "errors were noticed ($noticed)" test $((noticed * 3)) -ge "$faults"
ok "the repository is sound" ostree --repo="$host/sysroot/ostree/repo" fsck --quiet

done_testing
