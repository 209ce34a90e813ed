#!/bin/bash
# needs: root nspawn dpkg-deb ostree unshare
# SPDX-License-Identifier: Apache-2.0
# Ctrl-C, kill -9, a full disk, two builds at once: the cache still works, and the next build gives what
# it would have given.
. tests/lib/tap.sh
. tests/lib/archive.sh
. tests/lib/tiny.sh

tiny_init
script preinst <<'END'
mkdir -p /etc/slow
echo preinst >/etc/slow/preinst
END
script postinst <<'END'
sleep 0.2
echo postinst >/etc/slow/postinst
END
mkdir -p "$files/usr/share/slow"
head -c 3000000 /dev/urandom >"$files/usr/share/slow/data"
tiny slow 1
manifest 'packages: [slow]' 'hostname: tiny' 'postprocess:' '  - content: |' '      sleep 0.1' \
	'      echo done >/etc/slow/postprocess'

ok "a build" build
expected=$(commit_of)
steps=$(grep -oP '"event":"step","step":"\K[^"]*' "$tmp/err" | awk '!seen[$0]++' | xargs)
is "by these steps" "$steps" "index load solve import assemble configure finish"
rm -r "$cache"

# ---- Ctrl-C and kill -9 in every step

declare -A ended=([INT]=0 [KILL]=0)

# ended_at SIGNAL STEP SECONDS: a build with an empty cache is sent the signal that long after STEP begins.
ended_at()
{
	local pid code=0
	rm -rf "$cache" "$repo" "$tmp/tiny.lock"
	: >"$tmp/events"
	"$ashlar" build --json --cache "$cache" --repo "$repo" "$tmp/tiny.yaml" >"$tmp/out" 2>"$tmp/events" &
	pid=$!
	while ! grep -q "\"step\":\"$2\"" "$tmp/events" && kill -0 "$pid" 2>/dev/null; do
		sleep 0.005
	done
	sleep "$3"
	kill "-$1" "$pid"
	{ wait "$pid"; } 2>/dev/null || code=$?
	case $1:$code in
	INT:130 | KILL:137)
		pass "SIG$1 $3 s into $2"
		ended[$1]=$((ended[$1] + 1))
		;;
	# It was over, or nearly.
	*:0) pass "SIG$1 $3 s into $2, too late" ;;
	*) fail "SIG$1 $3 s into $2" "exit code $code: $(cat "$tmp/events")" ;;
	esac
	[ "$1" = KILL ] || empty "... leaves nothing in scratch/" "$(ls -A "$cache/scratch" 2>/dev/null)"
}

recovers()
{
	ok "... the next build ends well" build
	is "... with the commit that was expected" "$(commit_of)" "$expected"
	empty "... and clears up" "$(ls -A "$cache/scratch")"
	empty "... nothing still runs" "$(pgrep -af -- "-D $cache" || true)"
}

for signal in INT KILL; do
	for step in $steps; do
		ended_at "$signal" "$step" 0
		recovers
	done
	for delay in 0.05 0.15 0.3; do
		ended_at "$signal" configure "$delay"
		recovers
	done
done
for delay in 0.01 0.02 0.04; do
	ended_at KILL import "$delay"
	recovers
	ended_at KILL finish "$delay"
	recovers
done
ok "Ctrl-C ended most of these builds" test "${ended[INT]}" -ge 5
ok "kill -9 too" test "${ended[KILL]}" -ge 7
ok "the cache is sound" ostree --repo="$cache/repo" fsck --quiet
empty "nothing is still mounted" "$(grep -F "$tmp" /proc/mounts)"

# ---- two builds at once

# both REPO REPO
both()
{
	local first second
	rm -rf "$cache" "$tmp/tiny.lock"
	"$ashlar" build --json --cache "$cache" --repo "$1" "$tmp/tiny.yaml" >"$tmp/out1" 2>"$tmp/err1" &
	first=$!
	"$ashlar" build --json --cache "$cache" --repo "$2" "$tmp/tiny.yaml" >"$tmp/out2" 2>"$tmp/err2" &
	second=$!
	ok "the first of two builds at once" wait $first
	[ -s "$tmp/out1" ] || diag "$(cat "$tmp/err1")"
	ok "the second" wait $second
	[ -s "$tmp/out2" ] || diag "$(cat "$tmp/err2")"
	like "gives what was expected" "$(cat "$tmp/out1")" "\"commit\":\"$expected\""
	like "both do" "$(cat "$tmp/out2")" "\"commit\":\"$expected\""
}

both "$tmp/repo1" "$tmp/repo2"
rm -rf "$tmp/repo1"
both "$tmp/repo1" "$tmp/repo1"
ok "the shared cache is sound" ostree --repo="$cache/repo" fsck --quiet
ok "the shared output is" ostree --repo="$tmp/repo1" fsck --quiet

# ---- a full disk

mkdir "$tmp/small"
# shellcheck disable=SC2317
# full SIZE COMMAND…: with a file system of that size on $tmp/small, in a mount namespace of its own.
full()
{
	unshare -m bash -c '
		mount -t tmpfs -o "size=$1,mode=755" none "$2/small" || exit 99
		ashlar=$3 tmp=$2 small=$2/small
		build() { "$ashlar" build --json --cache "$small/cache" --repo "$small/repo" "$tmp/tiny.yaml"; }
		eval "$4"' - "$1" "$tmp" "$ashlar" "$2"
}

# Downloads need the packages' size once, the import once more.
need_kb=$(du -sk "$debs" | cut -f1)
for percent in 10 75 120 170; do
	exits 7 "a disk of $percent % of the packages" full $((need_kb * percent / 100))k build
	like "... says that it is full" "$(grep '"event":"error"' "$tmp/err")" \
		'[Nn]o space left'
done
# shellcheck disable=SC2016
ok "a disk that was full and is no more" full "${need_kb}k" 'build >/dev/null 2>&1 && exit 98
	mount -o remount,size=400M "$small" && build &&
	ostree --repo="$small/cache/repo" fsck --quiet && test -z "$(ls -A "$small/cache/scratch")"'
like "gives what was expected" "$(cat "$tmp/out")" "\"commit\":\"$expected\""

done_testing
