# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tools/*-deb.sh BIN DIR VERSION have in common: . tools/deb.bash
#
#	begin NAME          a new, empty package
#	programs WHERE NAME…    put MODE FILE WHERE
#	pack SUMMARY DEPENDS    → DIR/NAME_VERSION_ARCH.deb, and the link DIR/NAME_ARCH.deb
#
# The same sources give the same bytes: times are SOURCE_DATE_EPOCH, owners root, modes what is said here.
# A file that has not changed is left alone, so that nothing is built again for it.
umask 022
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1767225600}

bin=$1 dir=$2 version=$3
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$dir"

# What Debian calls the package of a library: in trixie, then in bookworm.
package_of()
{
	case $1 in
	ld-linux* | libc.so.6 | libm.so.6) ;;
	libarchive.so.13) echo "libarchive13t64 | libarchive13" ;;
	libcurl-gnutls.so.4) echo "libcurl3t64-gnutls | libcurl3-gnutls" ;;
	libgnutls.so.30) echo "libgnutls30t64 | libgnutls30" ;;
	libglib-2.0.so.0 | libgobject-2.0.so.0 | libgio-2.0.so.0) echo "libglib2.0-0t64 | libglib2.0-0" ;;
	libjson-glib-1.0.so.0) echo libjson-glib-1.0-0 ;;
	libostree-1.so.1) echo libostree-1-1 ;;
	libsystemd.so.0) echo libsystemd0 ;;
	libyaml-0.so.2) echo libyaml-0-2 ;;
	libmicrohttpd.so.12) echo "libmicrohttpd12t64 | libmicrohttpd12" ;;
	libpq.so.5) echo libpq5 ;;
	libsqlite3.so.0) echo libsqlite3-0 ;;
	libargon2.so.1) echo libargon2-1 ;;
	libz.so.1) echo zlib1g ;;
	libseccomp.so.2) echo libseccomp2 ;;
	libnftables.so.1) echo libnftables1 ;;
	libmnl.so.0) echo libmnl0 ;;
	libldns.so.3) echo "libldns3t64 | libldns3" ;;
	*)
		echo "deb: no package is known for $1; add it to tools/deb.bash" >&2
		return 1
		;;
	esac
}

# depends FILE…: of what the programs are linked with.
depends()
{
	local libc sonames soname
	libc=$(objdump -T "$@" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
	echo "libc6 (>= ${libc#GLIBC_})"
	sonames=$(objdump -p "$@" | sed -n 's/^ *NEEDED *//p' | sort -u)
	for soname in $sonames; do
		package_of "$soname" || return
	done | sort -u
}

# put MODE FILE WHERE
put()
{
	install -D -m "$1" "$2" "$root$3/$(basename "$2")"
}

# begin NAME: a new, empty package.
begin()
{
	name=$1
	root=$work/$name
	mkdir -p "$root/DEBIAN"
}

# programs WHERE NAME…
programs()
{
	local where=$1 program
	shift
	for program; do
		put 755 "$bin/$program" "$where"
		strip --strip-unneeded --remove-section=.comment "$root$where/$program"
		elves+=("$root$where/$program")
	done
}

# pack SUMMARY DEPENDS
pack()
{
	local made=$work/$name.deb file=${name}_${version}_$arch.deb libraries
	libraries=$(depends "${elves[@]}")
	cat >"$root/DEBIAN/control" <<-END
		Package: $name
		Version: $version
		Architecture: $arch
		Maintainer: Ashlar <root@localhost>
		Section: admin
		Priority: optional
		Depends: $(sed 's/$/,/' <<<"$libraries" | tr '\n' ' ')$2
		Description: $1
	END
	mkdir -p "$root/usr/share/doc/$name"
	cat >"$root/usr/share/doc/$name/copyright" <<-END
		Format: copyright-format/1.0
		Upstream-Name: ashlar

		Files: *
		Copyright: the authors of Ashlar
		License: Apache-2.0
		 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
	END
	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$made" >/dev/null
	cmp -s "$made" "$dir/$file" || { mv "$made" "$dir/$file.new" && mv "$dir/$file.new" "$dir/$file"; }
	ln -sfn "$file" "$dir/${name}_$arch.deb"
	elves=()
}

elves=()
# shellcheck disable=SC2034
units=/usr/lib/systemd/system
