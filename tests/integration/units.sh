#!/bin/bash
# needs: systemd-analyze
# SPDX-License-Identifier: Apache-2.0
# The units of the host's programs: systemd understands them, and they are as closed as docs/host.md says.
. tests/lib/tap.sh

# exposure UNIT: in tenths, as --threshold counts
exposure()
{
	systemd-analyze security --offline=yes "data/systemd/$1" 2>/dev/null |
		sed -n 's/.*Overall exposure level for .*: \([0-9]*\)\.\([0-9]\) .*/\1\2/p'
}

at_most()
{
	local name=$1 got=$2 limit=$3
	if [ "${got:-999}" -le "$limit" ]; then
		pass "$name"
	else
		fail "$name" "it is ${got:-unknown} tenths, wanted at most $limit"
	fi
}

at_most "ashlard's exposure is at most 2.5" "$(exposure ashlard.service)" 25
at_most "ashlar-link's exposure is at most 1.5" "$(exposure ashlar-link.service)" 15
at_most "ashlar-provision's exposure is at most 5" "$(exposure ashlar-provision.service)" 50
like "ashlard has no network" "$(cat data/systemd/ashlard.service)" '^PrivateNetwork=yes$'
like "ashlar-link has no capability" "$(cat data/systemd/ashlar-link.service)" '^CapabilityBoundingSet=$'

# What is there to be started exists where a host has it; what systemd 252 does not know yet is said so.
mkdir -p "$tmp/root/usr/lib/systemd/system" "$tmp/root/usr/lib/ashlar" "$tmp/root/usr/bin"
cp data/systemd/* "$tmp/root/usr/lib/systemd/system"
for program in ashlard ashlar-link ashlar-provision ashlar-workloadd ashlar-net; do
	printf '\177ELF' >"$tmp/root/usr/lib/ashlar/$program"
done
for program in systemctl kill ashlar-fleetd; do
	printf '\177ELF' >"$tmp/root/usr/bin/$program"
done
ln -s usr/bin "$tmp/root/bin"
chmod 755 "$tmp"/root/usr/lib/ashlar/* "$tmp"/root/usr/bin/*
for unit in data/systemd/*; do
	empty "$(basename "$unit") is understood" "$(systemd-analyze verify --man=no --recursive-errors=no \
		--root="$tmp/root" "/usr/lib/systemd/system/$(basename "$unit")" 2>&1 |
		grep -vE "Unknown key '?(RestartSteps|RestartMaxDelaySec|ImportCredential)|Unknown key name '(RestartSteps|RestartMaxDelaySec|ImportCredential)")"
done
done_testing
