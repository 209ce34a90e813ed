#!/bin/bash
# needs: apt gpgv /usr/bin/time
# SPDX-License-Identifier: Apache-2.0
# 'ashlar lock' against the archive that this machine's apt uses: its signatures, its size, and apt's
# own choice of packages.
. tests/lib/tap.sh

ref="linux-image-cloud-amd64 systemd systemd-sysv systemd-resolved systemd-container dbus dracut ostree
ostree-boot nftables ca-certificates udev iproute2 libcurl4t64 zstd apt"
wanted=${ref//$'\n'/ }
echo "packages: [${wanted// /, }]" >"$tmp/host.yaml"

ok "the reference set is locked" "$ashlar" lock --arch amd64 --cache "$tmp/cache" "$tmp/host.yaml"
sed -n 's/^ *- {name: \([^,]*\),.*/\1/p' "$tmp/host.lock" >"$tmp/ours"
like "with a sensible number of packages" "$(wc -l <"$tmp/ours")" '^1[5-9][0-9]$'
unlike "no server is named" "$(cat "$tmp/host.lock")" '://'

# apt, on the same indices, with nothing installed: the same packages but for those that apt's notion
# of "important" adds to essential ones.
suites=$(sed -n 's/.*suite: \([^,}]*\)}.*/\1/p' "$tmp/host.lock" | sort -u)
apt_dir=$tmp/apt
mkdir -p "$apt_dir"/{lists/partial,cache/archives/partial,etc/preferences.d}
: >"$apt_dir/status"
while read -r uri suite; do
	case $suite in
	*-backports*) continue ;;
	*-updates) suite=trixie-updates ;;
	*-security) suite=trixie-security ;;
	*) suite=trixie ;;
	esac
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
done < <(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(ORIGIN)' 'Created-By: Packages' |
	sed -n 's/ Debian$//p' | sort -u) | sort -u >"$apt_dir/sources.list"
apt_options=(-o Dir::State="$apt_dir" -o Dir::State::status="$apt_dir/status"
	-o Dir::State::lists="$apt_dir/lists" -o Dir::Cache="$apt_dir/cache"
	-o Dir::Etc="$apt_dir/etc" -o Dir::Etc::sourcelist="$apt_dir/sources.list"
	-o Dir::Etc::sourceparts=- -o APT::Architecture=amd64 -o APT::Architectures=amd64
	-o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none)
ok "apt reads the same archive ($(xargs <<<"$suites"))" apt-get "${apt_options[@]}" -q update
# shellcheck disable=SC2086
ok "apt chooses" apt-get "${apt_options[@]}" -s install $ref '?essential'
sed -n 's/^Inst \([^ ]*\) .*/\1/p' "$tmp/out" | sort -u >"$tmp/apts"
is "ashlar chooses the same packages" "$(diff "$tmp/apts" <(sort "$tmp/ours"))" ""

# ---- from the cache

rm "$tmp/host.lock"
ok "again, from the cache" /usr/bin/time -f '%M' "$ashlar" lock --offline --arch amd64 \
	--cache "$tmp/cache" "$tmp/host.yaml"
peak=$(tail -n 1 "$tmp/err")
ok "in less than 200 MB of memory (${peak} kB)" test "$peak" -lt 200000

done_testing
