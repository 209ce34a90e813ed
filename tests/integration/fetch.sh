#!/bin/bash
# needs: jq openssl ostree
# SPDX-License-Identifier: Apache-2.0
# ashlar-fetch against a server that is honest, and one that has bad days. Malice is tests/system/attacks.sh.
# shellcheck disable=SC2034,SC2154
. tests/lib/tap.sh
. tests/lib/tuf.sh

export ASHLAR_FETCH_STALL_S=1 ASHLAR_FETCH_PAUSE_MS=10 ASHLAR_FETCH_TRIES=1
pub_init "$tmp/pub"
sign_root
commit 1
one=$commit
commit 2
two=$commit
delta "$one" "$two"
release 1.1 "$two"
publish
serve "$pub"
host_init "$tmp/host"
staging=$host/var/lib/ashlar-link
document=$(jq -c . "$tmp/document")

check
is "check" "$fetch_code $(jq -c .ok <<<"$result")" "0 true"
is "leaves what a verifier needs" "$(cd "$staging" && find metadata targets -type f | sort | xargs)" \
	"metadata/1.snapshot.json metadata/1.targets.json metadata/timestamp.json targets/host/host/amd64/$(basename "$target_file")"
: >"$log"
check
is "a second check asks for the next root and the timestamp alone" "$(cut -d' ' -f1 "$log" | sort | xargs)" \
	"/metadata/2.root.json /metadata/timestamp.json"
rm -rf "$staging/metadata"
: >"$log"
check
ok "metadata that went away is there again" test -e "$staging/metadata/1.snapshot.json"
is "without asking for it" "$(wc -l <"$log")" 2

# ---- objects ----

fetch_release objects
is "objects" "$fetch_code $(jq -c .ok <<<"$result")" "0 true"
ostree --repo="$tmp/copy" init --mode=bare-user
ok "libostree takes them" ostree --repo="$tmp/copy" pull-local "$staging/repo" "$two"
ok "they are whole" ostree --repo="$tmp/copy" fsck
ok "the tree is the one that was committed" ostree --repo="$tmp/copy" checkout -U "$two" "$tmp/out-tree"
ok "to the last byte" diff -r --no-dereference "$tmp/tree-2" "$tmp/out-tree"
: >"$log"
fetch_release objects
is "again: nothing is fetched" "$(wc -l <"$log")" 0

# What the running host has is not fetched.
rm -rf "$staging/repo"
mkdir -p "$host/sysroot/ostree"
rm -rf "$host/sysroot/ostree/repo"
ostree --repo="$host/sysroot/ostree/repo" init --mode=bare-user
ostree --repo="$host/sysroot/ostree/repo" pull-local "$pub/repo" "$one" >/dev/null
: >"$log"
fetch_release objects
is "with the old release there: only what is new" \
	"$(cut -d' ' -f1 "$log" | sed 's/.*\.//' | sort | uniq -c | xargs)" "1 commit 4 dirtree 11 filez"
ok "which is enough" ostree --repo="$host/sysroot/ostree/repo" pull-local "$staging/repo" "$two"

# A connection that is cut: what was whole stays.
rm -rf "$staging/repo" "$host/sysroot/ostree/repo"
victim=$(cd "$pub/repo/objects" && find . -name '*.filez' -size +90k | sed 's/^\.//')
echo "/repo/objects$victim truncate 1000" >"$faults"
: >"$log"
fetch_release objects
is "a connection that is cut fails" "$(jq -r '[.word, .retry] | join(" ")' <<<"$result")" "offline true"
had=$(find "$staging/repo/objects" -type f | wc -l)
ok "what was whole stays, but for what was under way" test "$had" -ge $(($(wc -l <"$log") - 8)) -a "$had" -gt 5
: >"$log"
fetch_release objects
is "and only the rest is fetched" "$fetch_code $(wc -l <"$log")" \
	"0 $(($(find "$staging/repo/objects" -type f | wc -l) - had))"
: >"$faults"

# Another release: what it does not share goes.
echo old >"$staging/deltas.left"
commit 3
release 1.2 "$commit"
publish
check
document=$(jq -c . "$tmp/document")
fetch_release objects
is "the next release" "$fetch_code" 0
is "leaves nothing of the one before" "$(find "$staging/repo/objects" -name '*.commit' | wc -l)" 1
ostree --repo="$tmp/copy3" init --mode=bare-user
ok "and is whole" ostree --repo="$tmp/copy3" pull-local "$staging/repo" "$commit"
host_json=$(jq -c '.version = "1.2"' <<<"$host_json")
check
ok "when there is nothing to take, staging is empty" test ! -e "$staging/repo"
host_json=$(jq -c '.version = "1.0"' <<<"$host_json")

# ---- deltas ----

release 1.3 "$two"
document=$(jq -c . "$tmp/document")
path=$(jq -r '.deltas[0].path' <<<"$document")
fetch_release delta
is "a delta" "$fetch_code" 0
is "is the published file" "$(sha256sum <"$staging/deltas/$two-$one.delta")" "$(sha256sum <"$pub/repo/$path")"
rm "$staging/deltas/"*
echo "/repo/$path truncate 500" >"$faults"
fetch_release delta
is "cut off" "$(jq -r .word <<<"$result")" offline
: >"$log"
fetch_release delta
is "it is resumed" "$fetch_code $(cut -d' ' -f2,3 "$log")" "0 206 500"
rm "$staging/deltas/"*
echo "/repo/$path status 404 0" >"$faults"
fetch_release delta
is "a delta that is gone: objects may do" "$(jq -r '[.word, .retry] | join(" ")' <<<"$result")" "delta false"
echo "/repo/$path wrong 0" >"$faults"
fetch_release delta
is "one that was exchanged too" "$(jq -r .word <<<"$result")" delta
is "of which nothing stays" "$(find "$staging/deltas" -type f)" ""
: >"$faults"
fetch_release objects
is "and they do" "$fetch_code" 0

# ---- rules ----

rm -rf "$staging/repo"
order_extra='{"rate_limit":100000}'
began=$(date +%s%N)
jq -c '{release: ., method: "objects", delta: null, rate_limit: 100000}' <<<"$document" >"$tmp/extra"
order_extra=$(cat "$tmp/extra")
fetch '.verb = "fetch"'
took=$((($(date +%s%N) - began) / 1000000))
bytes=$(jq .bytes <<<"$result")
ok "the rate limit holds ($bytes bytes in $took ms)" test "$took" -ge $((bytes * 1000 / 100000 - 600))
ok "and progress is told" grep -q '"progress":{"done":' "$tmp/fetched"
order_extra='{}'

ok "it stays small" test "$(ldd "$ashlar_bin/ashlar-fetch" | grep -cE 'libostree|libarchive|libsystemd')" -eq 0
host_json=$(jq -c '.now = 4000000000' <<<"$host_json")
check
is "expired" "$(jq -r '[.word, .why] | join(" ")' <<<"$result")" "untrusted expired"
host_json=$(jq -c '.now = 1790000000' <<<"$host_json")
url=http://127.0.0.1:1
check
is "nobody there" "$fetch_code $(jq -r '[.word, .retry] | join(" ")' <<<"$result")" "1 offline true"
url=file://$pub
check
is "another scheme is no order" "$fetch_code" 2
url=http://127.0.0.1:$port
echo "/metadata/timestamp.json redirect file://$pub/metadata/timestamp.json" >"$faults"
check
is "nor a redirect to one" "$fetch_code $(jq -r .word <<<"$result")" "1 failed"
echo "/metadata/timestamp.json status 404 0" >"$faults"
check
is "gone" "$(jq -r .word <<<"$result")" gone
echo "/metadata/timestamp.json status 503 0" >"$faults"
check
is "a server in trouble" "$(jq -r .word <<<"$result")" http
echo "/metadata/timestamp.json stall 10" >"$faults"
check
is "slow" "$(jq -r .word <<<"$result")" slow
: >"$faults"
for order in '' '{}' '[]' '{"id":1,"verb":"rm"}' '{"id":1,"verb":"fetch","url":"http://x"}' \
	'{"id":1,"verb":"none"' '{"id":-1,"verb":"none"}'; do
	"$ashlar_bin/ashlar-fetch" --staging "$staging" <<<"$order" >"$tmp/fetched"
	is "not an order: $order" "$? $(jq -r .result.word "$tmp/fetched")" "2 failed"
done
exits 0 "an order for nothing" sh -c "echo '{\"id\":7,\"verb\":\"none\"}' |
	'$ashlar_bin/ashlar-fetch' --staging '$staging'"
exits 2 "options are checked" "$ashlar_bin/ashlar-fetch" --no-such
check
is "after all that, a check is fine" "$fetch_code" 0

done_testing
