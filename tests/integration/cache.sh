#!/bin/bash
# needs: root ostree jq flock
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh

cache=$tmp/cache
# shellcheck disable=SC2317
cached()
{
	"$ashlar" cache "$@" --cache "$cache"
}

ok "a cache that is not there holds nothing" cached show
ok "and has nothing to remove" cached prune
ok "nor does it come to be" test ! -e "$cache"

mkdir -p "$cache"/{debs,index,scratch/build-1/x}
ostree --repo="$cache/repo" init --mode=bare
mkdir "$tmp/tree"
# ref NAME DAYS: a commit with a file of its own, last used so many days ago.
ref()
{
	head -c 100000 /dev/urandom >"$tmp/tree/file"
	ostree --repo="$cache/repo" commit --branch="$1" "$tmp/tree" >/dev/null
	touch -d "$2 days ago" "$cache/repo/refs/heads/$1"
}
ref deb/bash/1 40
ref deb/bash/2 3
for day in {1..12}; do ref "stage/kernel/$day" "$day"; done
for day in 50 60 70; do ref "stage/finished/$day" "$day"; done
for day in 3 40; do
	head -c 50000 /dev/zero >"$cache/debs/bash_$day.deb"
	touch -d "$day days ago" "$cache/debs/bash_$day.deb"
done
touch -d '3 days ago' "$cache/debs/bash_5.deb.part"
touch "$cache/debs/bash_6.deb.part"
touch -d '90 days ago' "$cache/index/Packages"

ok "show" cached show
stdout_like "imported packages" '^ +2 +imported packages$'
ok "show --json" cached show --json
is "names the parts" "$(jq -r '[.parts[] | .name + "=" + (.count | tostring)] | join(" ")' "$tmp/out" |
	sed 's/repo=[0-9]*/repo=n/')" \
	"repo=n repo deb=2 repo stage/finished=3 repo stage/kernel=12 debs=4 index=1 scratch=0"
is "their bytes" "$(jq '.parts[] | select(.name == "debs") | .bytes > 100000' "$tmp/out")" true

ok "prune" cached prune --json
cp "$tmp/out" "$tmp/pruned"
is "says what went" "$(jq -c '[.refs, .debs]' "$tmp/pruned")" '[4,1]'
is "and how much" "$(jq '.bytes > 400000' "$tmp/pruned")" true
is "old packages go, old steps but for some, and steps beyond the newest" \
	"$(ostree --repo="$cache/repo" refs | sort | xargs)" \
	"deb/bash/2 stage/finished/50 stage/finished/60 stage/kernel/1 stage/kernel/10$(printf ' stage/kernel/%s' {2..9})"
is "objects with no ref go" "$(find "$cache/repo/objects" -name '*.commit' | wc -l)" 13
is "downloads by their age" "$(cd "$cache/debs" && echo *)" "bash_3.deb bash_6.deb.part"
ok "the indices stay" test -e "$cache/index/Packages"
ok "what killed builds left goes" test ! -e "$cache/scratch/build-1"

# A build has it open: pruning waits, and says so.
exec 9<"$cache/lock"
flock -s 9
"$ashlar" cache prune --cache "$cache" --keep-days 2 >"$tmp/wait.out" 2>"$tmp/wait.err" 9<&- &
pid=$!
timeout 20 sh -c "until grep -q waiting '$tmp/wait.err'; do :; done"
like "prune waits for builds" "$(cat "$tmp/wait.err")" "another ashlar is using $cache, waiting"
ok "and takes nothing meanwhile" test -e "$cache/debs/bash_3.deb"
exec 9<&-
ok "then it goes on" wait $pid
ok "with the days that were asked for" test ! -e "$cache/debs/bash_3.deb"

ok "prune --all" cached prune --all
is "leaves the lock alone" "$(cd "$cache" && echo *)" "lock"

mkdir -p "$cache/repo"
echo broken >"$cache/repo/config"
exits 1 "a broken repository cannot be pruned" cached prune
stderr_like "but the way out is named" 'prune --all'
ok "which works" cached prune --all
exits 2 "another verb" cached clean
exits 2 "days below zero" cached prune --keep-days=-1

done_testing
