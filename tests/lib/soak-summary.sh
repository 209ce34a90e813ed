#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# soak-summary.sh DIRECTORY: what all runs of 'make soak' have shown that left their verdicts there, as
# lines of JSON; the last is the sum. A rate of bad states above `bound` is excluded at 95 %.
set -eu
cd "$1"
if [ -e states.jsonl ]; then
	jq -c -n '
		def sum: {states: length, old: map(select(.verdict | startswith("old"))) | length,
			new: map(select(.verdict | startswith("new"))) | length,
			bad: map(select(.verdict | test("^(old|new)") | not)) | length,
			swap: map(select(.verdict | test("swap"))) | length}
			| . + {bound: (if .states == 0 then 1 elif .bad > 0 then .bad / .states else 3 / .states end)};
		[inputs | select(.verdict)] | (group_by(.recording)[] | {recording: .[0].recording} + sum),
			({recording: "all"} + sum)' states.jsonl
fi
if [ -e kills.jsonl ]; then
	jq -c -n '[inputs] | {machines: length, kills: map(.kills) | add, lost: map(select(.lost)) | length}
		| . + {bound: (if .kills > 0 then 3 / .kills else 1 end)}' kills.jsonl
fi
