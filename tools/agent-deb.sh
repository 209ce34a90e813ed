#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/agent-deb.sh BIN DIR VERSION: packs the host's programs, as they are in BIN, and what belongs to
# them into DIR/ashlar-agent_VERSION_ARCH.deb and DIR/ashlar-link_VERSION_ARCH.deb ('make deb'). The links
# ashlar-agent_ARCH.deb and ashlar-link_ARCH.deb lead to the newest: manifests/layers/agent.yaml has them.
#
# The same sources give the same bytes: times are SOURCE_DATE_EPOCH, owners root, modes what is said here.
# A file that has not changed is left alone, so that nothing is built again for it.
set -euo pipefail
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
	*)
		echo "agent-deb: no package is known for $1; add it to tools/agent-deb.sh" >&2
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
units=/usr/lib/systemd/system

begin ashlar-agent
programs /usr/lib/ashlar ashlard ashlar-worker ashlar-check ashlar-provision
programs /usr/bin ashlarctl
for unit in ashlard.service ashlard-retry.timer ashlar-agent-failed.service ashlar-deadline.timer \
	ashlar-deadline.service ashlar-provision.service; do
	put 644 "data/systemd/$unit" $units
done
put 644 data/org.ashlar.Host1.conf /usr/share/dbus-1/system.d
put 644 agent/org.ashlar.Host1.xml /usr/share/dbus-1/interfaces
put 644 data/tmpfiles/ashlar-agent.conf /usr/lib/tmpfiles.d
mkdir -p "$root/usr/share/bash-completion/completions"
"$bin/ashlarctl" completion bash >"$root/usr/share/bash-completion/completions/ashlarctl"
pack "updates and health of an Ashlar host" "systemd, dbus-broker | dbus"

begin ashlar-link
programs /usr/lib/ashlar ashlar-link ashlar-fetch ashlar-checkin
put 644 data/systemd/ashlar-link.service $units
put 644 data/sysusers/ashlar-link.conf /usr/lib/sysusers.d
put 644 data/tmpfiles/ashlar-link.conf /usr/lib/tmpfiles.d
put 644 data/firewall/link.nft /usr/lib/ashlar/firewall.d
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
[ "$1" != configure ] || systemd-sysusers ashlar-link.conf
END
chmod 755 "$root/DEBIAN/postinst"
pack "downloads for the agent of an Ashlar host" "ashlar-agent (= $version), systemd, ca-certificates"
