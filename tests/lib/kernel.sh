# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# kernel_head: prints the 512 bytes that a kernel of this machine begins with, as far as agent/boot-kernel.h
# looks: the firmware would take it for an EFI program. What follows is the test's own.

kernel_head()
{
	local machine='\x64\x86'
	[ "$(uname -m)" != aarch64 ] || machine='\x64\xaa'
	{
		printf 'MZ'
		head -c 58 /dev/zero
		printf '\x40\0\0\0PE\0\0%b\1\0' "$machine"
		head -c 12 /dev/zero
		# The optional header has 112 bytes; at 68 the subsystem. Then one section, empty.
		printf '\x70\0\0\0'
		head -c 68 /dev/zero
		printf '\x0a\0'
		head -c 512 /dev/zero
	} | head -c 512
}
