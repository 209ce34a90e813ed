#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# workload-crash-check.sh FILE: for tests/system/workload-power-cut.sh, does the host on this disk come up with one
# whole version of its workload, and with what that had written? $CRASH holds what is expected. The last line is
# the verdict.
set -u
file=$1
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-crash.XXXXXX")
export LC_ALL=C.UTF-8 tmp
ashlar_bin=${ASH_BIN:-$PWD/build/bin}
at_exit=()
# shellcheck source=tests/lib/workload.bash
. tests/lib/workload.bash
# shellcheck source=tests/lib/other-boot.bash
. tests/lib/other-boot.bash
loop=

leave()
{
	local i
	workload_end
	for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do eval "${at_exit[i]}"; done
	umount -q "$host" || umount -lq "$host"
	[ -z "$loop" ] || losetup -d "$loop"
	rm -rf --one-file-system "$tmp"
} >/dev/null 2>&1
trap leave EXIT

verdict()
{
	echo "${*//$'\n'/; }"
	case $* in bad*) exit 1 ;; esac
	exit 0
}

mkdir -p "$host"
loop=$(losetup -f --show "$file")
mount -o noatime "$loop" "$host" 2>"$tmp/err" || verdict "bad: it cannot be mounted: $(cat "$tmp/err")"
other_boot "$host/sysroot/ostree/repo"
libexec=$CRASH/libexec
rm -rf "$host/run"
mkdir "$host/run"
echo "boot-$$" >"$host/proc/sys/kernel/random/boot_id"
bus_start ""
workload_begin "" || verdict "bad: the daemon does not begin: $(tail -n 2 "$tmp/workloadd.log")"
wanted=$(cat "$host/var/lib/ashlar/workload/pinned/web" 2>&1)
case $wanted in
1.0.0) which=old ;;
2.0.0) which=new ;;
*) verdict "bad: the version that is wanted is '$wanted'" ;;
esac
# It is waited for as long as something goes on: a wait with a reason is none.
idle=0
for _ in $(seq 100); do
	now=$(workload_field web '"\(.version) \(.phase) \(.ready) \(.state) \(.text != null)"')
	case $now in
	*" true") idle=$((idle + 1)) ;;
	*" waiting "* | *" failed "* | *" stopped "* | "") idle=$((idle + 1)) ;;
	*) idle=0 ;;
	esac
	if [ "${now#"$wanted up true "}" != "$now" ] || [ "$idle" -ge 6 ]; then break; fi
	command sleep 0.2
done
now=${now% * *}
[ "$now" = "$wanted up true" ] || verdict "bad: '$now', wanted $wanted: $(workload_field web .text); $(tail -n 3 "$tmp/workloadd.log")"
"$ctl" workload exec web -- /bin/busybox sha256sum /srv/big >"$tmp/big" 2>&1
[ "$(cut -d ' ' -f 1 "$tmp/big")" = "$(cat "$CRASH/$which.big")" ] || verdict "bad: the image of $wanted: $(cat "$tmp/big")"
"$ctl" workload exec web -- /bin/cat /data/log >"$tmp/log" 2>&1
[ "$(head -n 1 "$tmp/log")" = 1.0.0 ] || verdict "bad: the volume: $(head -n 3 "$tmp/log")"
verdict $which
