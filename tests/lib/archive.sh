# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A little Debian archive for shell tests, served by tests/lib/httpd; after tests/lib/tap.sh:
#
#	archive_init                          key, empty archive, server: $archive, $archive_uri, $keyring
#	deb NAME VERSION [FIELD: VALUE]...    a package into the pool
#	publish                               suite trixie: Packages, Release, InRelease; with the
#	                                      lines in $release_fields
#	apt_sources                           ASHLAR_APT_ROOT with this archive as the machine's source
#
# $archive_faults and $archive_log are the server's files, see tests/lib/httpd.c.

# shellcheck disable=SC2154
archive=$tmp/archive
keyring=$tmp/keyring.gpg
archive_faults=$tmp/faults
archive_log=$tmp/requests
archive_arch=$(dpkg --print-architecture)
release_fields=${release_fields:-}
export no_proxy=127.0.0.1 ASHLAR_FETCH_PAUSE_MS=5

archive_init()
{
	local httpd=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}/httpd
	mkdir -p "$archive/pool" "$tmp/deb" "$tmp/gpg"
	chmod 700 "$tmp/gpg"
	: >"$archive_faults"
	: >"$archive_log"
	archive_key "$tmp/gpg" "$keyring"
	mkfifo "$tmp/httpd-stdin"
	"$httpd" --faults "$archive_faults" --log "$archive_log" "$archive" \
		<"$tmp/httpd-stdin" >"$tmp/httpd-port" &
	# The server ends when this descriptor is closed.
	exec 9>"$tmp/httpd-stdin"
	at_exit+=("exec 9>&-" "GNUPGHOME=$tmp/gpg gpgconf --kill all")
	while ! [ -s "$tmp/httpd-port" ]; do sleep 0.02; done
	archive_uri=http://127.0.0.1:$(cat "$tmp/httpd-port")
}

# archive_key HOME FILE: a new signing key, its public half in FILE.
archive_key()
{
	mkdir -p "$1"
	chmod 700 "$1"
	GNUPGHOME=$1 gpg --batch --quiet --passphrase '' --quick-generate-key \
		'Test archive <archive@test.invalid>' ed25519 sign never 2>"$tmp/gpg.log" || cat "$tmp/gpg.log" >&2
	GNUPGHOME=$1 gpg --batch --quiet --export >"$2"
}

# deb_file FILE NAME VERSION [FIELD: VALUE]...; what is in the directory $deb_extra is part of it.
deb_file()
{
	local file=$1 name=$2 version=$3
	shift 3
	rm -rf "$tmp/deb/root"
	mkdir -p "$tmp/deb/root/DEBIAN" "$tmp/deb/root/usr/share/$name"
	echo "$name $version" >"$tmp/deb/root/usr/share/$name/about"
	{
		echo "Package: $name"
		echo "Version: $version"
		[[ "$*" == *Architecture:* ]] || echo "Architecture: all"
		echo "Maintainer: Test archive <archive@test.invalid>"
		echo "Description: test package $name"
		printf '%s\n' "$@"
	} | grep . >"$tmp/deb/root/DEBIAN/control"
	[ -z "${deb_extra:-}" ] || cp -a "$deb_extra/." "$tmp/deb/root/"
	dpkg-deb --root-owner-group -Znone -b "$tmp/deb/root" "$file" >/dev/null
}

deb()
{
	deb_file "$archive/pool/$1_${2#*:}_all.deb" "$@"
}

publish()
{
	local dir=$archive/dists/trixie
	rm -rf "$dir"
	mkdir -p "$dir/main/binary-$archive_arch"
	(cd "$archive" && dpkg-scanpackages -m pool 2>/dev/null) >"$dir/main/binary-$archive_arch/Packages"
	xz -k "$dir/main/binary-$archive_arch/Packages"
	{
		echo "Origin: Debian"
		echo "Label: Debian"
		echo "Suite: stable"
		echo "Codename: trixie"
		echo "Date: $(date -u '+%a, %d %b %Y %H:%M:%S UTC')"
		echo "Architectures: all $archive_arch"
		echo "No-Support-for-Architecture-all: Packages"
		echo "Components: main"
		[ -z "$release_fields" ] || echo "$release_fields"
		echo "SHA256:"
		(cd "$dir" && find . -name 'Packages*' -printf '%P %s\n' | sort | while read -r path size; do
			echo " $(sha256sum "$path" | cut -d' ' -f1) $size $path"
		done)
	} >"$dir/Release"
	sign_release "$dir" "$tmp/gpg"
}

# sign_release DIRECTORY GNUPGHOME
sign_release()
{
	GNUPGHOME=$2 gpg --batch --yes --quiet --clearsign -o "$1/InRelease" "$1/Release"
}

apt_sources()
{
	export ASHLAR_APT_ROOT=$tmp/apt
	mkdir -p "$ASHLAR_APT_ROOT/etc/apt/sources.list.d"
	cat >"$ASHLAR_APT_ROOT/etc/apt/sources.list.d/debian.sources" <<-END
	Types: deb
	URIs: $archive_uri
	Suites: bookworm
	Components: main
	Signed-By: $keyring
	END
}
