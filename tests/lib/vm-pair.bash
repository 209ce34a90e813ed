# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154
# Two releases of the reference host that differ in files and a package, an image of the first, and the
# server that has the second: for tests of what happens on the way. Sourced behind tests/lib/vm-update.bash.
#
#	pair_begin        $image, $old, $new (commits), $releases_url
#	pair_settled NAME VERSION SECONDS
#
# They are made once and kept in build/test/pair, for as long as what they are made of stays the same.

pair=build/test/pair

pair_stamp()
{
	cat build/deb/*.deb build/probe build/bin/ashlar build/bin/ashlar-initrd tests/vm/*.yaml tests/lib/vm-*.bash \
		manifests/*.yaml manifests/layers/*.yaml images/*.yaml | sha256sum
}

pair_make()
{
	local mark="  - {path: /usr/lib/ashlar-test/mark"
	releases_begin || return
	release_build 1.0.0 "files:" "$mark, content: one}" &&
		release_image 1.0.0 &&
		release_build 2.0.0 "packages: [iproute2]" "files:" "$mark, content: two}" &&
		release_publish 1.0.0 && release_publish 2.0.0 || return
	echo "${commits[1.0.0]} ${commits[2.0.0]}" >"$tmp/commits"
	rm -rf $pair
	mkdir -p $pair
	cp -a "$tmp"/{keys,published,repo,images,commits} $pair/ && pair_stamp >$pair/stamp
}

pair_begin()
{
	mkdir -p build/test
	(
		flock 9
		pair_stamp | cmp -s - $pair/stamp || pair_make 9>&- || exit
		rm -rf "${tmp:?}"/{keys,published,repo,images,httpd.in}
		cp -a $pair/{keys,published,images,commits} "$tmp/" && cp -al $pair/repo "$tmp/repo"
	) 9>build/test/pair.lock || return
	read -r old new <"$tmp/commits"
	# The metadata of days ago has expired.
	"$ashlar" publish --quiet --keys "$tmp/keys" "$tmp/published" >/dev/null || return
	releases_serve || return
	image=$tmp/images/update.qcow2
}

# pair_settled NAME VERSION SECONDS: it runs that version and has judged it good
pair_settled()
{
	status_until "$1" "$3" \
		".booted.version == \"$2\" and .verdict == \"good\" and .state == \"idle\" and (.trial | not)"
}
