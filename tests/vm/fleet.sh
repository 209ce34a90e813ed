#!/bin/bash
# needs: root vm apt jq qemu-img mke2fs
# SPDX-License-Identifier: Apache-2.0
# timeout: 3600
# 'make demo' as a test: a fleet server, virtual machines that join by themselves, a release that reaches them
# all, and one that is broken, which stops by itself and is left by those that took it.
#
# ASHLAR_DEMO_HOSTS=N: machines (default 3). 'make check-vm-long'; not in 'make check'.
. tests/lib/tap.sh

export ASHLAR_DEMO_CACHE=build/test/cache
ok "the demonstration runs to its end" tools/demo.sh --hosts "${ASHLAR_DEMO_HOSTS:-3}" --dir "$tmp/demo" --port 0
[ "$test_failed" -eq 0 ] || diag "$(tail -n 60 "$tmp/out")" "$(tail -n 20 "$tmp/demo/fleetd.log" 2>/dev/null)"
sum()
{
	jq -r "$1" "$tmp/demo/summary.json" 2>/dev/null
}
is "every host joined" "$(sum .hosts)" "${ASHLAR_DEMO_HOSTS:-3}"
is "the second release reached all of them" "$(sum .finished_rollouts)" 1
like "the third was stopped" "$(sum .third.state)" '^(halted|paused)$'
like "…by the failures of those that were first" "$(sum .third.failures)" '^[12]$'
# It goes out to two first.
[ "${ASHLAR_DEMO_HOSTS:-3}" -le 2 ] ||
	ok "…and not all hosts had it" [ "$(sum .third.offered)" -lt "${ASHLAR_DEMO_HOSTS:-3}" ]
is "all are back" "$(sum .hosts_on_2)" "${ASHLAR_DEMO_HOSTS:-3}"
done_testing
