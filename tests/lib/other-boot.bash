# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# other_boot REPO: what is staged there was staged by another boot. libostree goes on with what its own boot has staged, which is
# whole then; of what a power cut left nothing may be taken, and the machine that plays one has one boot id all the time.

other_boot()
{
	local path this
	this=$(cat /proc/sys/kernel/random/boot_id)
	for path in "$1/tmp/staging-$this-"*; do
		[ ! -e "$path" ] || mv "$path" "${path/staging-$this-/staging-00000000-0000-0000-0000-000000000000-}"
	done
}
