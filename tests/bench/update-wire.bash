# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Of update.sh: rows U and D. What is published, by us and by OSTree as it is, and what that weighs.
# shellcheck disable=SC2154

# release STATE: $work/pub-STATE has "old" and STATE, and is not published yet.
release()
{
	quietly "$ashlar" release --json --repo "$kept/repo" --keys "$work/keys" \
		--publication "$work/pub-$1" "${commits[$1]}"
}

prepare_releases()
{
	quietly "$ashlar" key make --no-passphrase "$work/keys"
	release old
	quietly "$ashlar" publish --keys "$work/keys" "$work/pub-old"
}

make_deltas()
{
	local state=$1 run=$2 dir=$work/pub-$1
	rm -rf --one-file-system "$dir"
	cp -a "$work/pub-old" "$dir"
	release "$state"
	record D "make, $state" "ashlar publish" \
		"$ashlar" publish --json --quiet --keys "$work/keys" "$dir"
	jq '.releases[] | select(.deltas | length > 0) | .deltas[0]' "$work/stdout" >"$work/$state.delta.json"
	[ "$(jq .bytes "$work/$state.delta.json")" -gt 0 ] || die "$state: no delta was published"
	if has_row D || { has_row U && [ "$run" = 1 ]; }; then
		record D "make, $state" "ostree, unprepared tree" ostree --repo="$peers/repo" static-delta \
			generate --min-fallback-size=0 --inline --filename="$work/peer-$state.delta" \
			--from="${peer_commits[old]}" --to="${peer_commits[$state]}"
	fi
}

# The release document of STATE, as one line.
document()
{
	grep -rlF "${commits[$1]}" "$work/pub-$1/targets" | while read -r file; do
		jq -c --arg commit "${commits[$1]}" 'select(.commit? == $commit)' "$file"
	done
}

delta_file()
{
	echo "$work/pub-$1/repo/$(jq -r .path "$work/$1.delta.json")"
}

apply_deltas()
{
	local state=$1 document
	document=$(document "$state")
	host_fresh
	mkdir -p "$host/var/lib/ashlar-link/deltas"
	cp "$(delta_file "$state")" \
		"$host/var/lib/ashlar-link/deltas/${commits[$state]}-${commits[old]}.delta"
	jq -nc --argjson release "$document" \
		'{release: $release, method: "delta", delta: $release.deltas[0]}' >"$work/input"
	record D "apply, $state" "ashlar-worker import" \
		"$ashlar_bin/ashlar-worker" --root "$host" import <"$work/input"
	host_gone
	disk_fresh
	ostree --repo="$host/sysroot/repo" init --mode=bare
	quietly ostree --repo="$host/sysroot/repo" pull-local --disable-fsync "$peers/repo" old
	record D "apply, $state" "ostree, unprepared tree" ostree --repo="$host/sysroot/repo" \
		static-delta apply-offline "$work/peer-$state.delta"
	host_gone
}

# OSTree's delta of our tree as 'static-delta generate' makes it when nothing is said.
delta_by_default()
{
	local state=$1 name=${commits[old]}-${commits[$1]} fallback
	rm -rf "$kept/repo/deltas"
	quietly ostree --repo="$kept/repo" static-delta generate --from="${commits[old]}" --to="${commits[$state]}"
	fallback=$(ostree --repo="$kept/repo" static-delta show "$name" |
		sed -n 's/^Total Fallback Size: \([0-9]*\).*/\1/p')
	put U "$state" "ostree delta by default, ashlar's tree" \
		"bytes=$(($(find "$kept/repo/deltas" -type f -printf '%s\n' |
			awk '{ n += $1 } END { printf "%.0f\n", n }') + ${fallback:-0}))"
	rm -rf "$kept/repo/deltas"
}

row_u()
{
	local state name bytes requests
	for state in U K; do
		say "row U, $state"
		put U "$state" "ashlar delta" "bytes=$(jq .bytes "$work/$state.delta.json")" requests=1
		put U "$state" "ashlar plain pull" "bytes=$(jq '."object-bytes"' "$work/$state.delta.json")" \
			"requests=$(jq .objects "$work/$state.delta.json")"
		put U "$state" "ostree delta, unprepared tree" "bytes=$(size "$work/peer-$state.delta")" requests=1
		delta_by_default "$state"
		while read -r name bytes requests; do
			[[ $name != *-$state ]] ||
				put U "$state" "${name%-*}, unprepared tree" "bytes=$bytes" "requests=$requests"
		done <"$peers/bytes"
	done
	quietly ostree --repo="$peers/repo" static-delta generate --min-fallback-size=0 --inline \
		--filename="$work/anew.delta" --from="${peer_commits[old]}" --to="${peer_commits[anew]}"
	put U U "ostree delta, unprepared tree, initramfs anew" "bytes=$(size "$work/anew.delta")" requests=1
}
