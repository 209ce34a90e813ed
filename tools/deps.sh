#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/deps.sh SET…: installs what is missing, by package name. One dpkg-query when nothing is.
# Sets: image (build and boot a host), demo, check (run the tests), bench (peers to compare with), tidy.
set -euo pipefail

# shellcheck source=/dev/null
. /etc/os-release
arch=$(dpkg --print-architecture)

case ${ID:-}:${VERSION_ID:-} in
debian:12) clang=14 ;;
debian:13) clang=19 ;;
*)
	echo "deps: Debian 12 and 13 are supported; this is ${PRETTY_NAME:-unknown}" >&2
	exit 1
	;;
esac

case $arch in
amd64) qemu=(qemu-system-x86 qemu-utils ovmf) ;;
arm64) qemu=(qemu-system-arm qemu-utils qemu-efi-aarch64) ;;
riscv64) qemu=(qemu-system-misc qemu-utils) ;;
ppc64el) qemu=(qemu-system-ppc qemu-utils) ;;
*) qemu=(qemu-system-misc qemu-utils) ;;
esac

packages=()
for set in "$@"; do
	case $set in
	image)
		packages+=(gcc libc6-dev make pkg-config libglib2.0-dev libostree-dev libsolv-dev
			libsolvext-dev libarchive-dev libcurl4-gnutls-dev libyaml-dev
			libjson-glib-dev libgnutls28-dev libmicrohttpd-dev libsqlite3-dev libpq-dev libargon2-dev libsystemd-dev libext2fs-dev
			libseccomp-dev libnftables-dev libmnl-dev libldns-dev scdoc ca-certificates gpgv
			debian-archive-keyring systemd-container fdisk mtools dosfstools e2fsprogs
			"${qemu[@]}")
		;;
	check)
		packages+=(clang clang-format "libclang-rt-$clang-dev" shellcheck codespell
			gnupg dpkg-dev dbus python3-cryptography time apt-utils jq perl ostree libcap2-bin python3-jsonschema
			strace faketime postgresql chromium swupdate cpio openssl curl
			python3 testssl.sh skopeo umoci docker-registry iproute2 nftables procps runsc
			kmod zsh fish)
		;;
	demo) packages+=(jq) ;;
	bench)
		packages+=(mmdebstrap ostree squashfs-tools erofs-utils casync rauc rauc-service jq zstd
			xz-utils dbus curl openssl nginx-light postgresql procps bubblewrap crun podman)
		;;
	tidy) packages+=(clang-tidy cppcheck gcovr) ;;
	*)
		echo "deps: unknown set '$set'" >&2
		exit 2
		;;
	esac
done

# Node and npm fetch what the page of the fleet server is made of. Where they come from somewhere else, Debian's would
# only stand in their way.
command -v npm >/dev/null || packages+=(nodejs npm)
web()
{
	local set
	for set in "$@"; do
		[ "$set" != image ] || "$(dirname "$0")/web-npm.sh"
		[ "$set" != check ] || "$(dirname "$0")/web-npm.sh" tests
	done
}

# Trixie's kernel dies of double faults under QEMU 7.2, so QEMU has to be 10 at least.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "${packages[@]}" \
	2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
	version=$(sed -n "s/^installed $package //p" <<<"$installed" | head -n 1)
	if [ -z "$version" ]; then
		missing+=("$package")
	elif [[ $package == qemu-* && $package != qemu-efi-* ]] &&
		dpkg --compare-versions "$version" lt 1:10; then
		missing+=("$package")
	fi
done
if [ ${#missing[@]} -eq 0 ]; then
	web "$@"
	exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: these packages are missing: ${missing[*]}" >&2
	echo "deps: run it as root to install them (sudo make …)" >&2
	exit 1
fi

say()
{
	echo "deps: $*"
}

export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -q -y -o Dpkg::Use-Pty=0 -o APT::Update::Error-Mode=any)
say "refreshing the package lists"
"${apt[@]}" update </dev/null >/dev/null

# Bookworm's own QEMU is 7.2. Backports come from wherever this machine's bookworm comes from, and
# are taken for QEMU alone: apt gives backports a low priority by itself.
from_backports=()
if [ "$VERSION_ID" = 12 ]; then
	for package in "${missing[@]}"; do
		[[ " ${qemu[*]} " != *" $package "* ]] || from_backports+=("$package")
	done
fi
if [ ${#from_backports[@]} -gt 0 ]; then
	targets=$(apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)' \
		'Created-By: Packages')
	if ! grep -q '|bookworm-backports|' <<<"$targets"; then
		uri=$(sed -n 's/^Debian|bookworm|//p' <<<"$targets" | head -n 1)
		if [ -z "$uri" ]; then
			say "this machine has no apt source for Debian bookworm" >&2
			exit 1
		fi
		source=/etc/apt/sources.list.d/ashlar-backports.sources
		say "adding $source (bookworm-backports, for QEMU 10)"
		cat >"$source" <<-END
			# Added by ashlar's 'make deps' for QEMU 10.
			Types: deb
			URIs: $uri
			Suites: bookworm-backports
			Components: main
			Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
		END
		"${apt[@]}" update </dev/null >/dev/null
	fi
	say "installing from bookworm-backports: ${from_backports[*]}"
	"${apt[@]}" install --no-install-recommends -t bookworm-backports "${from_backports[@]}" \
		</dev/null >/dev/null
fi

rest=()
for package in "${missing[@]}"; do
	[[ " ${from_backports[*]-} " == *" $package "* ]] || rest+=("$package")
done
if [ ${#rest[@]} -gt 0 ]; then
	say "installing: ${rest[*]}"
	"${apt[@]}" install --no-install-recommends "${rest[@]}" </dev/null >/dev/null
fi
web "$@"
say "all there"
