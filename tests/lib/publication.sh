# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A publication and a reader of it, for shell tests; after tests/lib/tap.sh and tests/lib/commit.sh.

# shellcheck disable=SC2154
keys=$tmp/keys
www=$tmp/www
pub=$www/pub
tuf=$ashlar_bin/ashlar-tuf

# tree_commit VERSION: a small host with a kernel; each version has another file. Prints the commit.
tree_commit()
{
	local dir=$tmp/tree
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir/usr/lib/modules/6.1" "$dir/usr/bin"
		head -c 300000 /dev/urandom >"$dir/usr/lib/modules/6.1/vmlinuz"
		head -c 100000 /dev/urandom >"$dir/usr/lib/modules/6.1/initramfs.img"
		seq 1 50000 >"$dir/usr/bin/tool"
		ln -s tool "$dir/usr/bin/link"
	fi
	echo "version $1" >>"$dir/usr/bin/tool"
	make_commit host/example/amd64 "$dir" "$1" "['ro']" "$(package tool "$1")"
}

# release REV [OPTION]…, publish [OPTION]…: into $pub with the keys $keys.
release()
{
	"$ashlar" release --keys "$keys" --repo "$repo" --publication "$pub" "$@"
}
publish()
{
	"$ashlar" publish --keys "$keys" "$pub" "$@"
}

# serve: starts the server of $www, sets $url and logs requests to $tmp/requests.
serve()
{
	coproc HTTPD { build/release/tests/lib/httpd --log "$tmp/requests" "$www" 2>/dev/null; }
	local port
	read -r -u "${HTTPD[0]}" port
	# shellcheck disable=SC2034
	url=http://127.0.0.1:$port
	at_exit+=("kill $HTTPD_PID")
}

# reader DIR [ROOT]: a host that trusts the root of $keys, or the file ROOT.
reader()
{
	rm -rf "$1"
	mkdir -p "$1"
	"$tuf" --metadata-dir "$1" init "${2:-$keys/root.json}"
}

# refresh DIR [PUBLICATION]
refresh()
{
	"$tuf" --metadata-dir "$1" --metadata-url "$url/${2:-pub}/metadata" refresh
}

# download DIR TARGET [PUBLICATION]: to DIR/targets
download()
{
	mkdir -p "$1/targets"
	"$tuf" --metadata-dir "$1" --metadata-url "$url/${3:-pub}/metadata" --target-name "$2" \
		--target-base-url "$url/${3:-pub}/targets" --target-dir "$1/targets" download
}
