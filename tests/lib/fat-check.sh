#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fat-check.sh FILE: what would a machine boot from this FAT? "old" or "new", with the kernel and initramfs of that
# release ($CRASH/boot: lines "COMMIT old|new KERNEL INITRAMFS"); anything else is bad.
entries=$("${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}/fat-boot" "$1" 0 2>&1)
read -r _ name _ commit _ kernel initramfs < <(grep '^entry' <<<"$entries")
which=$(sed -n "s/^$commit \([a-z]*\) $kernel $initramfs$/\1/p" "$CRASH/boot" 2>/dev/null)
if [ -z "$name" ] || [ -z "$which" ]; then
	echo "bad: ${name:-no entry}: ${entries//$'\n'/; }"
	exit 1
fi
echo "$which"
