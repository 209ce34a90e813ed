#!/bin/bash
# needs: root vm apt jq script
# SPDX-License-Identifier: Apache-2.0
# timeout: 3600
# docs/updates.md, followed by somebody who does what it says as it is written: from a key to the first release, a second
# one, a third that is broken, and the return.
. tests/lib/tap.sh
. tests/lib/document.bash

export ASHLAR_KEY_PASSPHRASE_FILE=$tmp/passphrase
echo "a passphrase for a test" >"$ASHLAR_KEY_PASSPHRASE_FILE"

# says JQ: of the host's status
says()
{
	document_host 120 "ashlarctl status --json" >/dev/null && jq -r "$1" <<<"$host_out" 2>/dev/null
}

# It has judged what it runs. It may reboot meanwhile.
# shellcheck disable=SC2317
settled()
{
	local end=$((SECONDS + 900))
	until [ "$(says 'select(.state == "idle" and (.trial | not)) | .verdict')" = good ]; do
		((SECONDS < end)) || return 1
		sleep 5
	done
}
document_leaves["ashlarctl update --wait"]=settled
document_leaves["ashlarctl rollback"]=settled

ok "a copy of the tree" document_begin docs/updates.md
document_follow "## Keys"
document_follow "## A host that trusts them"
document_follow "## The first release"
ok "the host finds its release good" settled
is "…which is the first" "$(says .booted.version)" 1.0.0
document_follow "## The second release"
is "it went back and forth, and runs the second" "$(says .booted.version)" 1.1.0
document_follow "## A third release that is broken, and the return"
is "it is back" "$(says .booted.version)" 1.1.0
is "…and remembers why" "$(says '.failed[] | select(.version == "1.2.0") | .kind')" bad
document_host 60 "ashlarctl why"
like "…which is told" "$host_out" '1\.2\.0.*no-such\.service|no-such\.service'
document_host 60 "ashlarctl check --wait"
document_host 60 "ashlarctl why"
like "the recall is told too" "$host_out" 'recalled'
[ "$test_failed" -eq 0 ] || diag "$(document_shown 0 | tail -n 60)"
done_testing
