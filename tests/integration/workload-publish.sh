#!/bin/bash
# needs: root ostree jq
# SPDX-License-Identifier: Apache-2.0
# A definition from its file to a host: judged, pinned, signed under its own role, fetched, verified, recalled.
. tests/lib/tap.sh
. tests/lib/commit.sh
. tests/lib/publication.sh

# ---- set-up ---------------------------------------------------------------------------------------
mkdir -p "$www" "$tmp/image/usr/bin" "$tmp/host/usr/lib/ashlar" "$tmp/host/var/lib/ashlar-link"
echo hello >"$tmp/image/usr/bin/hello"
make_commit host/example/amd64 "$tmp/image" 1.0 "['ro']" "$(package hello 1.0)" >/dev/null
host_commit=$(ostree --repo="$repo" rev-parse host/example/amd64)
ostree --repo="$repo" commit --branch=workload/hello/amd64 --no-bindings \
	--add-metadata-string=ashlar.kind=workload --add-metadata-string=ashlar.name=hello \
	--add-metadata-string=ashlar.architecture=amd64 \
	--add-metadata-string=version=1.0 --add-metadata="ashlar.packages=@aa{ss} []" "$tmp/image" >/dev/null
image=$(ostree --repo="$repo" rev-parse workload/hello/amd64)
"$ashlar" key make "$keys" --no-passphrase -q >/dev/null 2>&1
cp "$keys/root.json" "$tmp/host/usr/lib/ashlar/root.json"
hex=$(printf '0123456789abcdef%.0s' 1 2 3 4)

# definition NAME VERSION IMAGE [LINE]…: $tmp/NAME-VERSION.yaml
definition()
{
	local file=$tmp/$1-$2.yaml
	printf '%s\n' "workload: $1" "version: $2" "image: $3" "${@:4}" >"$file"
	echo "$file"
}

workload_release()
{
	"$ashlar" workload release --keys "$keys" --repo "$repo" --publication "$pub" "$@"
}

# fetch NAME VERSION [NAME VERSION]…: what ashlar-link does with ashlard's order.
fetch()
{
	jq -nc --arg url "$url/pub" --argjson now "$(date +%s)" '{id: 1, verb: "check", url: $url, name: "host",
		variant: "", arch: "amd64", version: "", commit: "", now: $now,
		workloads: [$ARGS.positional | _nwise(2) | {name: .[0], version: .[1]}]}' --args "$@" |
		"$ashlar_bin/ashlar-fetch" --staging "$tmp/host/var/lib/ashlar-link" \
			--sysroot "$tmp/host/sysroot" --root-json "$tmp/host/usr/lib/ashlar/root.json"
}

# verify NAME VERSION [NAME VERSION]…: $tmp/out has what ashlar-worker says.
verify()
{
	jq -nc --argjson now "$(date +%s)" '{now: $now,
		wanted: [$ARGS.positional | _nwise(2) | {name: .[0], version: .[1]}]}' --args "$@" |
		"$ashlar_bin/ashlar-worker" --root "$tmp/host" workload-verify
}
# says FILTER: of the first that was wanted
says()
{
	jq -rc ".result.workloads[0] | $1" "$tmp/out"
}
signed=$tmp/host/var/lib/ashlar/workload/signed

# ---- lint -----------------------------------------------------------------------------------------
wrong=$(definition wrong 1.0 ostree:workload/hello/amd64 'system-calls: {add: [opennat]}')
right=$(definition right 1.0 ostree:workload/hello/amd64)
exits 3 "a mistake is an error" "$ashlar" workload lint "$wrong" "$right"
like "and called one, with its place" "$(cat "$tmp/err")" "^ashlar: $wrong:4:22: .*no system call 'opennat' \(did you mean 'openat'"
unlike "not a warning" "$(cat "$tmp/err")" warning
like "the others are judged all the same" "$(cat "$tmp/out")" '^[^ ]*right-1.0.yaml: right 1.0,'
exits 2 "lint has no other name" "$ashlar" workload lnit "$right"
stderr_like "which is told" "no command 'lnit' \(did you mean 'lint'"

# ---- release --------------------------------------------------------------------------------------
file=$(definition hello 1.0 ostree:workload/hello/amd64)
exits 3 "an image that names no commit is refused" workload_release "$file"
stderr_like "and both ways out are told" '@COMMIT, or give --pin'
exits 3 "so is a tag" workload_release "$(definition tagged 1.0 oci:registry.example/web:latest)"
stderr_like "with its reason" 'names no digest'
exits 3 "and what lies on the host" workload_release "$(definition local 1.0 oci-dir:/srv/image)"
exits 3 "a commit that is no workload" workload_release \
	"$(definition hello 0.1 "ostree:host/example/amd64@$host_commit")"
stderr_like "is called what it is" "kind: host"
exits 3 "a definition that is wrong" workload_release "$(definition hello 0.2 "oci:registry.example/web@sha256:$hex" \
	'network: {mode: none, publish: ["80:80"]}')"
stderr_like "by place and reason" 'hello-0.2.yaml:4:33: .network.publish.: in mode none'

ok "--pin writes down what the ref is now" workload_release --pin "$file" --json
is "which is told" "$(jq -r .image "$tmp/out")" "ostree:workload/hello/amd64@$image"
empty "nothing is signed by that" "$(ls "$pub/metadata")"
ok "an image of a registry needs no repository" workload_release "$(definition web 2.0 \
	"oci:registry.example/web@sha256:$hex")"
ok "publish" publish --json
is "says what" "$(jq -rc '[.workloads[].path]' "$tmp/out")" \
	'["workload/hello/1.0.json","workload/web/2.0.json"]'
ok "the image is in the publication" ostree --repo="$pub/repo" show "$image"
is "under the name of the version" "$(ostree --repo="$pub/repo" refs)" workload/hello/1.0
ok "with what is in it" test -s "$pub/sbom/$image.packages.json"
is "the top-level role names none of them" \
	"$(jq -c '.signed.targets' "$pub"/metadata/*.targets.json)" '{}'

ok "the same again is no failure" workload_release --pin "$file"
stdout_like "and is known" 'published already'
definition hello 1.0 "ostree:workload/hello/amd64@$image" "summary: Another" >/dev/null
exits 3 "another content under a version that is published" workload_release "$file"
exits 3 "nor does 1.00 come to be beside 1.0" workload_release \
	"$(definition hello 1.00 "ostree:workload/hello/amd64@$image")"

# ---- a host ---------------------------------------------------------------------------------------
serve
ok "a host fetches what it was ordered to" fetch hello "" web 2.0 nothing ""
is "and no more than the two" "$(find "$tmp/host/var/lib/ashlar-link/targets" -type f | wc -l)" 2
ok "it verifies them" verify hello "" web 2.0 nothing ""
is "each by itself" "$(jq -rc '.result.workloads | map([.name, .version, .word])' "$tmp/out")" \
	'[["hello","1.0",null],["web","2.0",null],["nothing",null,"not-found"]]'
is "what is there now is what was signed, byte for byte" "$(sha256sum <"$signed/hello/1.0.json" | cut -d' ' -f1)" \
	"$(says .sha256)"
is "and nobody else's" "$(stat -c %a "$signed/hello" "$signed/hello/1.0.json" | xargs)" "700 600"
is "the image in it is pinned" "$(jq -r .image "$signed/hello/1.0.json")" \
	"ostree:workload/hello/amd64@$image"
is "what is signed of the image's size comes with it" \
	"$(says '[.image.commit, (.image.size."largest-object-bytes" > 0)] | join(" ")')" "$image true"
# With that the image itself can be had: fetched, proven, and there.
mkdir -p "$tmp/host/sysroot/ostree" "$tmp/host/efi" "$tmp/host/proc"
: >"$tmp/host/proc/cmdline"
ostree --repo="$tmp/host/sysroot/ostree/repo" init --mode=bare
says '{release: .image, method: "objects", delta: null}' >"$tmp/import"
jq -c --arg url "$url/pub" '. + {id: 2, verb: "fetch", url: $url}' "$tmp/import" |
	"$ashlar_bin/ashlar-fetch" --staging "$tmp/host/var/lib/ashlar-link" --sysroot "$tmp/host/sysroot" \
		--root-json "$tmp/host/usr/lib/ashlar/root.json" >"$tmp/fetched"
is "the image is fetched" "$(jq -c 'select(.result) | .result.ok' "$tmp/fetched")" true
ok "imported" "$BASH" -c '"$1/ashlar-worker" --root "$2/host" import <"$2/import"' - "$ashlar_bin" "$tmp"
ok "and whole" ostree --repo="$tmp/host/sysroot/ostree/repo" fsck
ok "again" verify hello ""
is "it is not new" "$(says .is_new)" false

# Wider, as people want to hear before they publish.
definition hello 1.1 "ostree:workload/hello/amd64@$image" 'network: {mode: nat, egress: ["*"]}' >/dev/null
ok "a version that may touch more" workload_release "$tmp/hello-1.1.yaml" --json
is "is told apart" "$(jq -c '[.wider, ."wider-than"]' "$tmp/out")" '[true,"1.0"]'
exits 8 "diff says no" "$ashlar" workload diff "$tmp/hello-1.0.yaml" "$tmp/hello-1.1.yaml"
stdout_like "and what" '^\+ egress .*everything  << wider'
ok "the other way round it is fine" "$ashlar" workload diff "$tmp/hello-1.1.yaml" "$tmp/hello-1.0.yaml"
publish -q >/dev/null

# ---- nothing in staging is believed ---------------------------------------------------------------
staging=$tmp/host/var/lib/ashlar-link
ok "the next version" fetch hello ""
document=$(find "$staging/targets" -name '*.1.1.json')
cp "$document" "$tmp/good"
sed -i 's/"egress":\["\*"\]/"egress":["+"]/' "$document"
ok "with another byte" verify hello ""
is "it is not taken" "$(says '[.version, .word]')" '[null,"untrusted"]'
ok "and the old one stays" test -e "$signed/hello/1.0.json"
rm "$document"
mkfifo "$document"
ok "a pipe in its place does not block" timeout 10 "$BASH" -c "$(declare -f verify)"'; ashlar_bin=$1 tmp=$2 verify hello ""' - \
	"$ashlar_bin" "$tmp"
is "and is not taken" "$(says .word)" untrusted
rm "$document"
ok "without the document" verify hello ""
is "it is missing" "$(says .word)" missing
cp "$tmp/good" "$document"
ok "the true one" verify hello ""
is "is taken" "$(says '[.version, .is_new]')" '["1.1",true]'

# Signed by keys that the root does not delegate to.
"$ashlar" key make "$tmp/others" --no-passphrase -q >/dev/null 2>&1
cp -a "$staging" "$tmp/staging"
others=$www/others
"$ashlar" workload release --keys "$tmp/others" --repo "$repo" --publication "$others" \
	"$(definition hello 9.0 "ostree:workload/hello/amd64@$image")" -q >/dev/null
"$ashlar" publish --keys "$tmp/others" "$others" -q >/dev/null
cp "$others"/metadata/1.workloads.json "$staging/metadata/$(basename "$(ls "$staging"/metadata/*.workloads.json)")"
rm "$tmp/host/var/lib/ashlar/tuf/workloads.json"
exits 1 "a list that other keys signed" verify hello ""
stdout_like "is untrusted" '"word":"untrusted"'
cp "$others"/metadata/*.json "$staging/metadata/"
exits 1 "all metadata of others" verify hello ""
stdout_like "too" '"word":"untrusted"'
rm -rf "$staging"
mv "$tmp/staging" "$staging"
ok "with ours it goes on" verify hello ""

# ---- recall ---------------------------------------------------------------------------------------
exits 3 "a version that there is not" "$ashlar" recall --keys "$keys" --workload hello "$pub" 7
stderr_like "those that there are are named" 'there are: 1.0, 1.1'
exits 2 "reasons and the like are for hosts" "$ashlar" recall --keys "$keys" --workload hello --to 1.0 "$pub" 1.1
mkdir "$tmp/some"
cp "$keys"/*.json "$keys"/workloads-*.pem "$keys"/snapshot-*.pem "$keys"/timestamp-*.pem "$tmp/some"
chmod 700 "$tmp/some"
ok "recalled, without the key of the releases" "$ashlar" recall --keys "$tmp/some" --workload hello "$pub" 1.1
exits 3 "and never published again" workload_release "$tmp/hello-1.1.yaml"
stderr_like "for ever" 'was recalled, for ever'
ok "the host hears of it" fetch hello ""
ok "..." verify hello ""
is "it does not go back by itself, and knows what is gone" "$(says '[.word, .gone]')" '["lower",["1.1"]]'
ok "which is not there to be started" test ! -e "$signed/hello/1.1.json"
ok "named," fetch hello 1.0
ok "..." verify hello 1.0
is "the lower one is taken" "$(says '[.version, .word]')" '["1.0",null]'
ok "the recalled one" verify hello 1.1
is "is not signed any more" "$(says .word)" not-found

# By the way of a check for the host itself, as ashlard does it.
jq -nc --argjson now "$(date +%s)" '{now: $now, name: "host", variant: "", arch: "amd64", version: "", commit: "",
	workloads: [{name: "hello", version: "1.0"}]}' |
	"$ashlar_bin/ashlar-worker" --root "$tmp/host" verify >"$tmp/verify"
is "the verb verify takes them too" "$(jq -c '.result | [.release, .workloads[0].version]' "$tmp/verify")" '[null,"1.0"]'

# ---- without a network ----------------------------------------------------------------------------
exits 2 "a bundle of nothing" "$ashlar" bundle "$pub" -o "$tmp/bundle"
exits 3 "of a workload that there is not" "$ashlar" bundle "$pub" --workload hello=9 -o "$tmp/bundle"
ok "workloads go into a file" "$ashlar" bundle "$pub" --workload hello --workload web=2.0 -o "$tmp/bundle"
stderr_like "that an image of a registry is not in it is told" '1 of the workloads'
is "definitions, and the image's objects once" "$(tar tf "$tmp/bundle" | grep -c '^targets/workload/') \
$(tar tf "$tmp/bundle" | sed -n 's,^repo/objects/.*\.\([a-z]*\)$,\1,p' | sort | uniq -c | xargs)" \
	"2 1 commit 1 dirmeta 3 dirtree 1 filez"
far=$tmp/far
mkdir -p "$far/usr/lib/ashlar" "$far/proc" "$far/efi" "$far/sysroot/ostree"
cp "$keys/root.json" "$far/usr/lib/ashlar/root.json"
: >"$far/proc/cmdline"
ostree --repo="$far/sysroot/ostree/repo" init --mode=bare
far() { "$ashlar_bin/ashlar-worker" --root "$far" "$1" <<<"$2"; }
ok "a host takes it" far bundle "$(jq -nc --arg path "$tmp/bundle" '{path: $path}')"
ok "verifies what it wants" far workload-verify "$(jq -nc --argjson now "$(date +%s)" \
	'{now: $now, staging: "/var/lib/ashlar/bundle", wanted: [{name: "hello", version: ""}, {name: "web", version: ""}]}')"
is "all of it" "$(jq -c '.result.workloads | map([.name, .version, .word])' "$tmp/out")" \
	'[["hello","1.0",null],["web","2.0",null]]'
says '{release: .image, method: "objects", delta: null, staging: "/var/lib/ashlar/bundle"}' >"$tmp/import"
far import "$(cat "$tmp/import")" >/dev/null
is "and has the image" "$(ostree --repo="$far/sysroot/ostree/repo" ls -R "$image" | grep -c hello)" 1

# ---- old states go --------------------------------------------------------------------------------
ok "publish --prune" publish --prune --keep 1
is "keeps what is signed, and the image of it" \
	"$(find "$pub/targets/workload/hello" -type f -printf "%f\n" | cut -d. -f2-) $(ostree --repo="$pub/repo" rev-parse workload/hello/1.0)" \
	"1.0.json $image"
ok "which is whole" ostree --repo="$pub/repo" fsck

exits 1 "an order that is none" verify "../x" ""
done_testing
