#!/bin/bash
# needs: jq
# SPDX-License-Identifier: Apache-2.0
# ashlar-tuf against a server that does to it what tests/lib/tuf-attack.h lists, and what only a server can
# do: it must take what is good, refuse the rest, and say why in one word.
. tests/lib/tap.sh

tools=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}
tuf=$ashlar_bin/ashlar-tuf
mkdir "$tmp/www"
mkfifo "$tmp/httpd-stdin"
"$tools/httpd" --faults "$tmp/faults" --log "$tmp/log" "$tmp/www" <"$tmp/httpd-stdin" >"$tmp/port" &
exec 9>"$tmp/httpd-stdin"
at_exit+=('exec 9>&-')
while ! [ -s "$tmp/port" ]; do sleep 0.02; done
base=http://127.0.0.1:$(cat "$tmp/port")

# setup CASE: a new client that trusts the first root of the case's repository.
setup()
{
	rm -rf "$tmp/www/r" "$tmp/client"
	: >"$tmp/faults"
	mkdir -p "$tmp/client/out"
	"$tools/tuf-make" "$1" "$tmp/www/r"
	"$tuf" --metadata-dir "$tmp/client/md" init "$tmp/www/r/before/1.root.json"
}

# visit WHEN [TARGET…]: refresh, or download.
visit()
{
	local when=$1 targets=() target
	shift
	for target; do targets+=(--target-name "$target"); done
	if [ $# -eq 0 ]; then
		"$tuf" --metadata-dir "$tmp/client/md" --metadata-url "$base/r/$when" refresh
	else
		"$tuf" --metadata-dir "$tmp/client/md" --metadata-url "$base/r/$when/" \
			"${targets[@]}" --target-base-url "$base/r/$when/targets" \
			--target-dir "$tmp/client/out" download
	fi
}

versions()
{
	(cd "$tmp/client/md" && jq -r '"\(.signed._type) \(.signed.version)"' ./*.json | sort | xargs)
}

while read -r name word target; do
	setup "$name"
	ok "$name: a good repository first" visit before
	cp "$tmp/client/md/targets.json" "$tmp/believed"
	args=()
	[ "$target" = - ] || args=("$target")
	if [ "$word" = - ]; then
		ok "$name: is taken" visit after "${args[@]}"
		continue
	fi
	exits 1 "$name: is refused" visit after "${args[@]}"
	stderr_like "$name: the word is '$word'" "^ashlar-tuf: .* \\[$word\\]$"
	[ "$target" = - ] || continue
	ok "$name: targets are those of before" cmp "$tmp/client/md/targets.json" "$tmp/believed"
done < <("$tools/tuf-make")

# The update itself: what is trusted afterwards, what was fetched, where the target lies.
setup delegated
ok "first visit" visit before file.txt team/tool
is "two targets lie side by side" "$(cd "$tmp/client/out" && echo ./*)" "./file.txt ./team%2Ftool"
is "with what was signed" "$(cat "$tmp/client/out/team%2Ftool")" "the tool"
is "trusted metadata under unversioned names" "$(cd "$tmp/client/md" && echo ./*)" \
	"./root.json ./snapshot.json ./targets.json ./team.json ./timestamp.json"
: >"$tmp/log"
ok "second visit" visit before file.txt team/tool
is "asks only whether there is anything new" "$(cut -d' ' -f1,2 "$tmp/log")" \
	"/r/before/2.root.json 404
/r/before/timestamp.json 200"
echo other >"$tmp/client/out/file.txt"
ok "a target that was changed here" visit before file.txt
is "is fetched again" "$(cat "$tmp/client/out/file.txt")" "the file"
ok "update" visit after team/tool
is "what is trusted now" "$(versions)" "root 1 snapshot 4 targets 2 targets 4 timestamp 4"

# What a server does rather than a repository.
for file in 2.root.json timestamp.json 4.snapshot.json 4.targets.json; do
	setup update
	ok "endless $file: a good repository first" visit before
	echo "/r/after/$file endless 0" >"$tmp/faults"
	exits 1 "endless $file: is refused" visit after
	stderr_like "endless $file: the word is 'too-big'" ' \[too-big\]$'
done
setup update
echo '/r/before/targets/* endless 0' >"$tmp/faults"
exits 1 "an endless target is refused" visit before file.txt
empty "and not kept" "$(ls "$tmp/client/out")"
echo '/r/before/timestamp.json wrong 0' >"$tmp/faults"
exits 1 "a byte of the timestamp is another on its way" visit before
stderr_like "which is no metadata" ' \[syntax\]$'
echo '/r/before/2.root.json status 403' >"$tmp/faults"
exits 1 "a root that may not be looked at is no end of the chain" visit before

# What is given on the command line.
exits 1 "a root that is none" "$tuf" --metadata-dir "$tmp/none" init /etc/passwd
ok "leaves nothing" test ! -e "$tmp/none"
exits 1 "no root" "$tuf" --metadata-dir "$tmp/client" --metadata-url "$base/r/before" refresh
stderr_like "is said" ' \[no-root\]$'
exits 1 "unknown command" "$tuf" --metadata-dir "$tmp/none" sing
exits 1 "nothing to do" "$tuf"
ok "version" "$tuf" --version
ok "help" "$tuf" --help

done_testing
