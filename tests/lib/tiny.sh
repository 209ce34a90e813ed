# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Builds that take a second, for shell tests; after tests/lib/tap.sh and tests/lib/archive.sh:
#
#	tiny_init                       $debs, a directory of packages, with the package tiny-base in it
#	new_files                       empties $files
#	tiny NAME VERSION [FIELD]...    a package of what is in $files ($files/DEBIAN: its scripts)
#	manifest LINE...                $tmp/tiny.yaml, a workload of the packages in $debs
#	build [OPTION]...               'ashlar build' of it, with the cache $cache, to the repository $repo
#	relock [PACKAGE]...             'ashlar lock --update' of it
#	commit_of                       the commit of the last build
#	cat_file PATH                   of the last build
#
# tiny-base is made of this machine's own shell, dpkg and a few tools, with the libraries that they need:
# enough to run maintainer scripts, and no network.

# shellcheck disable=SC2154
debs=$tmp/debs
files=$tmp/files
cache=$tmp/cache
repo=$tmp/repo

tiny_programs=(sh dpkg dpkg-deb dpkg-query dpkg-split dpkg-trigger dpkg-maintscript-helper tar diff rm
	cat chmod chown cp id ln ls mkdir mknod mv sleep stat touch truncate true)

new_files()
{
	rm -rf "$files"
	mkdir -p "$files/DEBIAN"
}

# copy_program PATH: with its libraries, as the merged /usr has them.
copy_program()
{
	local path to
	for path in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ )]*'); do
		to=$files/usr/${path#/}
		to=${to/usr\/usr\//usr\/}
		[ -e "$to" ] || install -D -m 755 "$path" "$to"
	done
}

tiny_init()
{
	local name
	mkdir -p "$debs" "$tmp/deb"
	new_files
	for name in "${tiny_programs[@]}" ldconfig start-stop-daemon; do
		copy_program "$(PATH=/usr/sbin:/usr/bin:/sbin:/bin type -P "$name")"
	done
	for name in bin sbin lib lib64; do
		mkdir -p "$files/usr/$name"
		ln -s "usr/$name" "$files/$name"
	done
	mkdir -p "$files/etc" "$files/var/log" "$files/usr/share/base" "$files/usr/lib/systemd/system"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n' \
		>"$files/etc/passwd"
	printf 'root:x:0:\nadm:x:4:\nnogroup:x:65534:\n' >"$files/etc/group"
	printf 'NAME=Tiny\nID=tiny\n' >"$files/usr/lib/os-release"
	echo "of the base" >"$files/usr/share/base/text"
	tiny tiny-base 1 'Essential: yes'
}

# The newest version replaces the file of an older one.
tiny()
{
	deb_extra=$files deb_file "$debs/$1.deb" "$@"
	new_files
}

# script NAME: standard input becomes the maintainer script NAME of the next package.
script()
{
	{
		echo '#!/bin/sh'
		echo 'set -e'
		cat
	} >"$files/DEBIAN/$1"
	chmod 755 "$files/DEBIAN/$1"
}

manifest()
{
	{
		echo 'kind: workload'
		echo 'repositories:'
		echo '  - path: debs'
		printf '%s\n' "$@"
	} >"$tmp/tiny.yaml"
}

# shellcheck disable=SC2317
build()
{
	local code=0
	"$ashlar" build --json --cache "$cache" --repo "$repo" "$tmp/tiny.yaml" "$@" >"$tmp/built" ||
		code=$?
	cat "$tmp/built"
	return $code
}

# shellcheck disable=SC2317
relock()
{
	"$ashlar" lock --cache "$cache" "$tmp/tiny.yaml" --update "$@"
}

commit_of()
{
	grep -o '"commit":"[0-9a-f]*"' "$tmp/built" | cut -d'"' -f4
}

imported()
{
	grep -o '"imported":[0-9]*' "$tmp/built" | cut -d: -f2
}

cat_file()
{
	ostree --repo="$repo" cat "$(commit_of)" "$1"
}

# list_file PATH: mode, owner, group, size and path, as ostree prints them.
list_file()
{
	ostree --repo="$repo" ls "$(commit_of)" "$1"
}
