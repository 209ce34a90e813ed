# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2046
# A published directory, signed by hand, so that a test can sign anything: nothing of ours is used but
# the form of the documents. For shell tests, after tests/lib/tap.sh; needs jq, openssl, ostree.
#
#	pub_init DIR                $pub: empty repository, keys root targets snapshot timestamp
#	tree N                      $tmp/tree-N, a small tree; commits differ in a few files
#	commit N                    commits it to $pub/repo; $commit
#	release VERSION COMMIT [JQ [JQ]]    a release document as target; the first jq program edits the
#	                            document, the second the custom part
#	recall VERSION TO
#	delta FROM TO               a static delta, in one file; for the releases that come after it
#	sign_root, sign_targets, sign_snapshot, sign_timestamp      write the role's next version
#	publish                     all but the root
#	key NAME                    makes a key
#
# Who signs a role, and how many must: $keys_ROLE (names), $threshold_ROLE. Versions: $version_ROLE (the
# next one). Expiry: $expires_ROLE. What is signed can be edited: $edit_ROLE, a jq program. $sign_as_ROLE:
# names that sign in place of $keys_ROLE.

# Names of keys are words, and lists of them are meant to be split.
# shellcheck disable=SC2034,SC2154,SC2046,SC2012
keydir=$tmp/keys
mkdir -p "$keydir"

hex()
{
	od -An -v -tx1 | tr -d ' \n'
}

key()
{
	local public
	[ -e "$keydir/$1.pem" ] && return
	openssl genpkey -algorithm ed25519 -out "$keydir/$1.pem" 2>/dev/null
	public=$(openssl pkey -in "$keydir/$1.pem" -pubout -outform DER | tail -c 32 | hex)
	printf '{"keytype":"ed25519","keyval":{"public":"%s"},"scheme":"ed25519"}' "$public" \
		>"$keydir/$1.json"
	sha256sum <"$keydir/$1.json" | cut -c1-64 | tr -d '\n' >"$keydir/$1.id"
}

# sign FILE NAME…: standard input, signed by these keys. Canonical JSON is what 'jq -cSj' prints, as long as
# there is nothing in it to escape.
sign()
{
	local out=$1 name signatures=''
	shift
	cat >"$tmp/signed"
	for name; do
		openssl pkeyutl -sign -rawin -inkey "$keydir/$name.pem" -in "$tmp/signed" -out "$tmp/sig"
		signatures+=${signatures:+,}$(printf '{"keyid":"%s","sig":"%s"}' \
			"$(cat "$keydir/$name.id")" "$(hex <"$tmp/sig")")
	done
	printf '{"signatures":[%s],"signed":%s}' "$signatures" "$(cat "$tmp/signed")" >"$out.new"
	mv "$out.new" "$out"
}

pub_init()
{
	local role
	pub=$1
	for role in root targets snapshot timestamp; do
		key $role
		declare -g "keys_$role=$role" "threshold_$role=1" "version_$role=1" "edit_$role=." \
			"sign_as_$role=" "expires_$role=2090-01-01T00:00:00Z"
	done
	mkdir -p "$pub/metadata" "$pub/targets"
	[ -e "$pub/repo" ] || ostree --repo="$pub/repo" init --mode=archive
	echo '{}' >"$tmp/targets.json"
	echo '[]' >"$tmp/deltas.json"
}

of()
{
	local variable=$1_$2
	printf %s "${!variable}"
}

# signers ROLE
signers()
{
	local as
	as=$(of sign_as "$1")
	printf %s "${as:-$(of keys "$1")}"
}

# role_json ROLE JQ ARGUMENT…: what all roles have in common, then the program, which is given the arguments, then
# what $edit_ROLE says. One jq for all of it: each takes 40 ms to begin.
role_json()
{
	jq -cSjn --arg type "$1" --arg expires "$(of expires "$1")" --argjson version "$(of version "$1")" "${@:3}" \
		'{"_type": $type, spec_version: "1.0.34", version: $version, expires: $expires} | '"$2 | $(of edit "$1")"
}

next_version()
{
	local variable=version_$1
	declare -g "$variable=$((${!variable} + 1))"
}

sign_root()
{
	local role name keys='{}' roles='{}'
	for role in root targets snapshot timestamp; do
		local ids='[]'
		for name in $(of keys $role); do
			keys=$(jq -c --arg id "$(cat "$keydir/$name.id")" --slurpfile key "$keydir/$name.json" \
				'.[$id] = $key[0]' <<<"$keys")
			ids=$(jq -c --arg id "$(cat "$keydir/$name.id")" '. + [$id]' <<<"$ids")
		done
		roles=$(jq -c --arg role $role --argjson ids "$ids" --argjson n "$(of threshold $role)" \
			'.[$role] = {keyids: $ids, threshold: $n}' <<<"$roles")
	done
	role_json root '. + {consistent_snapshot: true, keys: $keys, roles: $roles}' --argjson keys "$keys" \
		--argjson roles "$roles" |
		sign "$pub/metadata/$(of version root).root.json" $(signers root)
	next_version root
}

sign_targets()
{
	targets_file=$pub/metadata/$(of version targets).targets.json
	role_json targets '.targets = $targets[0]' --slurpfile targets "$tmp/targets.json" |
		sign "$targets_file" $(signers targets)
	next_version targets
}

# sign_about ROLE FILE VERSION OUT: a role that names one file.
sign_about()
{
	role_json "$1" '.meta = {($name): {version: $about, length: $length, hashes: {sha256: $sha256}}}' \
		--arg name "$(sed 's/.*[/.]\([a-z]*\.json\)$/\1/' <<<"$2")" --argjson about "$3" \
		--argjson length "$(stat -c %s "$2")" --arg sha256 "$(sha256sum "$2" | cut -c1-64)" |
		sign "$4" $(signers "$1")
	next_version "$1"
}

sign_snapshot()
{
	snapshot_file=$pub/metadata/$(of version snapshot).snapshot.json
	sign_about snapshot "$targets_file" $(($(of version targets) - 1)) "$snapshot_file"
}

sign_timestamp()
{
	sign_about timestamp "$snapshot_file" $(($(of version snapshot) - 1)) "$pub/metadata/timestamp.json"
}

publish()
{
	sign_targets
	sign_snapshot
	sign_timestamp
}

# ---- content ----

tree()
{
	local dir=$tmp/tree-$1 i
	mkdir -p "$dir/usr/bin" "$dir/usr/lib/many"
	head -c 200000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 >"$dir/usr/bin/same" 2>/dev/null
	for i in {1..40}; do echo "file $i of tree $(((i % 4 == 0) * $1))" >"$dir/usr/lib/many/$i"; done
	echo "release $1" >"$dir/usr/lib/os-release"
	ln -sfn same "$dir/usr/bin/link"
}

commit()
{
	tree "$1"
	commit=$(ostree --repo="$pub/repo" commit --branch="n$1" --tree="dir=$tmp/tree-$1" --owner-uid=0 \
		--owner-gid=0 --no-xattrs --timestamp='2026-01-01 00:00:00 +0000' -s "release $1")
}

delta()
{
	local path
	ostree --repo="$pub/repo" static-delta generate --inline --min-fallback-size=0 --from="$1" --to="$2" \
		>/dev/null 2>&1
	path=$(cd "$pub/repo" && find deltas -name superblock -printf '%T@ %p\n' | sort -rn | sed -n '1s/^[^ ]* //p')
	jq -c --arg from "$1" --arg path "$path" --arg sha256 "$(sha256sum "$pub/repo/$path" | cut -c1-64)" \
		--argjson bytes "$(stat -c %s "$pub/repo/$path")" \
		'. + [{from: $from, path: $path, sha256: $sha256, bytes: $bytes, objects: 20,
			"object-bytes": 5000}]' "$tmp/deltas.json" >"$tmp/deltas.new"
	mv "$tmp/deltas.new" "$tmp/deltas.json"
}

# target PATH FILE CUSTOM
target()
{
	local sha256 location
	sha256=$(sha256sum "$2" | cut -c1-64)
	location=$pub/targets/$(dirname "$1")/$sha256.$(basename "$1")
	mkdir -p "$(dirname "$location")"
	cp "$2" "$location"
	jq -c --arg path "$1" --arg sha256 "$sha256" --argjson length "$(stat -c %s "$2")" \
		--argjson custom "$3" '.[$path] = {length: $length, hashes: {sha256: $sha256},
			custom: $custom}' "$tmp/targets.json" >"$tmp/targets.new"
	mv "$tmp/targets.new" "$tmp/targets.json"
	target_file=$location
}

# The path is of the host that $release_name, $release_variant and $release_arch say.
release()
{
	local name=${release_name:-host} variant=${release_variant:-} arch=${release_arch:-amd64}
	local archive largest
	archive=$(find "$pub/repo/objects" -type f -printf '%s\n' | awk '{n += $1} END {print n}')
	largest=$(find "$pub/repo/objects" -type f -printf '%s\n' | sort -n | tail -n 1)
	jq -n --arg name "$name" --arg variant "$variant" --arg arch "$arch" --arg version "$1" \
		--arg commit "$2" --argjson archive "$archive" --argjson largest "$largest" \
		--slurpfile deltas "$tmp/deltas.json" \
		'{type: "ashlar-release", format: 1, name: $name, variant: $variant, architecture: $arch,
		version: $version, commit: $commit, "replaces-min": "", created: "2026-10-01T10:00:00Z",
		size: {bytes: 400000, inodes: 60, "boot-bytes": 0, "archive-bytes": $archive,
		"largest-object-bytes": $largest}, deltas: $deltas[0], notes: ""}' | jq "${3:-.}" >"$tmp/document"
	target "host/$name${variant:+-$variant}/$arch/$1.json" "$tmp/document" \
		"$(jq -nc --arg version "$1" --arg commit "$2" '{kind: "release", version: $version,
			"replaces-min": "", commit: $commit}' | jq -c "${4:-.}")"
}

recall()
{
	jq -n --arg version "$1" --arg to "$2" '{type: "ashlar-recall", format: 1, name: "host", variant: "",
		architecture: "amd64", version: $version, to: $to, reason: "it is bad",
		created: "2026-10-02T10:00:00Z"}' >"$tmp/document"
	target "host/host/amd64/recall/$1.json" "$tmp/document" \
		"$(jq -nc --arg version "$1" --arg to "$2" '{kind: "recall", version: $version, to: $to}')"
}

# ---- a server, and a host ----

# serve [DIRECTORY]: $url; $faults and $log are its files.
serve()
{
	faults=$tmp/faults log=$tmp/log
	: >"$faults"
	: >"$log"
	coproc HTTPD { build/release/tests/lib/httpd --faults "$faults" --log "$log" "$1"; }
	read -r port <&"${HTTPD[0]}"
	url=http://127.0.0.1:$port
	# shellcheck disable=SC2154
	at_exit+=("kill $HTTPD_PID")
}

# host_init DIR: a host that trusts $pub's first root and runs nothing of it.
host_init()
{
	host=$1
	rm -rf "$host"
	mkdir -p "$host/usr/lib/ashlar" "$host/var/lib/ashlar-link" "$host/sysroot/ostree/repo/objects" \
		"$host/efi"
	cp "$pub/metadata/1.root.json" "$host/usr/lib/ashlar/root.json"
	host_json='{"name":"host","variant":"","arch":"amd64","version":"1.0","commit":"","bad":{},
		"wanted":null,"now":1790000000}'
	order_extra='{}'
}

# fetch ORDER-JQ: ashlar-fetch carries out the order; $result is its result.
fetch()
{
	jq -nc --arg url "$url" --argjson host "$host_json" --argjson extra "$order_extra" \
		'{id: 1, url: $url, ca: "", rate_limit: 0, proxy: "", root_version: 0} + $host + $extra | '"$1" \
		>"$tmp/order"
	no_proxy=127.0.0.1 "$ashlar_bin/ashlar-fetch" --staging "$host/var/lib/ashlar-link" \
		--sysroot "$host/sysroot" --root-json "$host/usr/lib/ashlar/root.json" \
		<"$tmp/order" >"$tmp/fetched"
	fetch_code=$?
	result=$(jq -c 'select(.result) | .result' "$tmp/fetched")
}

check()
{
	fetch '.verb = "check"'
}

# worker VERB INPUT: $answer is the result or error.
worker()
{
	"$ashlar_bin/ashlar-worker" --root "$host" "$1" <<<"$2" >"$tmp/worked" 2>"$tmp/worker.err"
	worker_code=$?
	answer=$(jq -c 'select(.result or .error)' "$tmp/worked")
}

verify()
{
	worker verify "$(jq -c '. + {staging: "/var/lib/ashlar-link"}' <<<"$host_json")"
	document=$(jq -c '.result.release // empty' <<<"$answer")
}

# fetch_release METHOD: what 'verify' chose, into staging.
fetch_release()
{
	jq -c '{release: ., method: "'"$1"'", delta: (.deltas[0] // null)}' <<<"$document" >"$tmp/extra"
	order_extra=$(cat "$tmp/extra")
	fetch '.verb = "fetch"'
	order_extra={}
}
