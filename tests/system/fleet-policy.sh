#!/bin/bash
# needs: curl jq openssl
# SPDX-License-Identifier: Apache-2.0
# Windows come from policies: a host is told those of its own, and told again when they change.
. tests/lib/tap.sh
. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash

ok "a server starts" fleet_start "$tmp/fleet" "poll: 1min"
ok "two hosts of bern join" hosts_join 2 '{"site":"bern"}'
ok "…and one of geneva" hosts_join 1 '{"site":"geneva"}'

# told HOST: its windows into $seen, "-" when it is told nothing new
told()
{
	hosts_round "$1" >/dev/null
	seen=$(jq -r 'if has("release") then .windows // [] | join(" ") else "-" end' "$hosts/$1.answer")
}
# told_soon NAME HOST WINDOWS
told_soon()
{
	local until=$((SECONDS + 60))
	seen=
	while [ $SECONDS -lt "$until" ]; do
		told "$2"
		[ "$seen" != "$3" ] || break
		sleep 0.5
	done
	is "$1" "$seen" "$3"
}
hosts_round
told 1
told 1
is "nothing is said of windows where there is no policy" "$seen" "-"
hosts_round
api_is "a policy for bern" 200 PUT /v1/policies/bern '{"selector":"site = bern","windows":["Sat 02:00-05:00 Europe/Zurich"]}'
told_soon "its hosts hear of it" 1 "Sat 02:00-05:00 Europe/Zurich"
told_soon "…each" 2 "Sat 02:00-05:00 Europe/Zurich"
told 3
is "…and geneva's hears nothing" "$seen" "-"
told 1
is "…nor do they again" "$seen" "-"
api_is "the windows change" 200 PUT /v1/policies/bern '{"selector":"site = bern","windows":["03:00-04:00"]}'
told_soon "…for those" 2 "03:00-04:00"
api_is "the selector changes" 200 PUT /v1/policies/bern '{"selector":"site = geneva","windows":["03:00-04:00"]}'
told_soon "…the one that it has now hears of it" 3 "03:00-04:00"
told_soon "…those that it has no more hear that they may at any time" 1 ""
api_is "it is removed" 204 DELETE /v1/policies/bern
told_soon "…and that is heard" 3 ""
done_testing
