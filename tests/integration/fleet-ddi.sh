#!/bin/bash
# needs: curl jq openssl cpio python3
# SPDX-License-Identifier: Apache-2.0
# hawkBit's Direct Device Integration: what its clients ask and are told, and SWUpdate as one of them.
. tests/lib/tap.sh
. tests/lib/fleet.bash

ok "a server starts" fleet_start "$tmp/fleet" "ddi: {enabled: true, gateway_token: gateway-secret-1}" "poll: 2h"
base=/DEFAULT/controller/v1

# dev METHOD PATH [JSON [CURL-OPTION…]]: as the device $who with $auth
who=dev1
auth="GatewayToken gateway-secret-1"
dev()
{
	local token=$fleet_token
	fleet_token=
	api "$1" "$base/$who$2" "${3:-}" -H "Authorization: $auth" "${@:4}"
	fleet_token=$token
}
dev_is()
{
	dev "${@:3}"
	is "$1" "$status ${body:+$(jq -r '.text // ""' <<<"$body" 2>/dev/null)}" "$2 ${body:+$(jq -r '.text // ""' <<<"$body" 2>/dev/null)}"
}
feedback()
{
	dev POST "/$1/feedback" "{\"id\":\"$2\",\"time\":\"20260101T000000\",\"status\":{\"execution\":\"$3\",\"result\":{\"finished\":\"$4\",\"progress\":{\"cnt\":1,\"of\":2}},\"details\":[\"${5:-said}\"]}}"
	echo "$status"
}

# ---- who ----

auth="GatewayToken wrong"
dev_is "a wrong gateway token" 401 GET ""
is "…and nothing is said" "$body" ""
auth="TargetToken x"
dev_is "a token of nobody" 401 GET ""
auth="GatewayToken gateway-secret-1"
dev_is "the gateway's token registers a device" 200 GET ""
is "…which sleeps as the settings say" "$(jq -r .config.polling.sleep <<<"$body")" 02:00:00
is "…and is asked for its attributes by an absolute link" "$(jq -r '._links.configData.href' <<<"$body")" \
	"$fleet_url$base/dev1/configData"
api_is "a device of its own token" 200 POST /v1/ddi/targets '{"id":"dev 2"}'
token=$(jq -r .token <<<"$body")
who=dev%202 auth="TargetToken $token"
dev_is "…comes in with it" 200 GET ""
who=dev1
dev_is "…as itself alone" 401 GET ""
auth="GatewayToken gateway-secret-1"

# ---- attributes ----

dev_is "attributes" 200 PUT /configData '{"mode":"merge","data":{"hw":"rev1","os":"a"},"status":{"x":1}}'
dev_is "…merged, null removes" 200 PUT /configData '{"data":{"os":null,"serial":"7"}}'
api GET /v1/ddi/targets
is "…are shown" "$(jq -c '.items[] | select(.id == "dev1") | .attributes' <<<"$body")" '{"hw":"rev1","serial":"7"}'
dev GET ""
is "…and not asked for again" "$(jq -r '._links.configData' <<<"$body")" null
dev_is "replaced" 200 PUT /configData '{"mode":"replace","data":{"a":"b"}}'
dev_is "removed" 200 PUT /configData '{"mode":"remove","data":{"a":"b"}}'
dev_is "a mode that is none" 400 PUT /configData '{"mode":"x","data":{}}'
dev_is "a value that is no text" 400 PUT /configData '{"data":{"a":1}}'
dev_is "too many" 429 PUT /configData "{\"data\":{$(seq -f '"k%g":"v"' -s , 101)}}"
dev PUT /configData "" --data '{"data":{}}' -H 'Content-Type: text/plain'
is "another content type" "$status" 415
who=nobody
dev_is "a device that never polled" 404 PUT /configData '{"data":{}}'
who=dev1

# ---- something to install ----

mkdir -p "$tmp/fleet/content/ddi/upload"
head -c 3000 /dev/urandom >"$tmp/fleet/content/ddi/upload/a.raucb"
api_is "a module" 200 POST /v1/ddi/modules '{"name":"one firmware","version":"1.0.79","type":"os"}'
module=$(jq .id <<<"$body")
api_is "…twice" 409 POST /v1/ddi/modules '{"name":"one firmware","version":"1.0.79","type":"os"}'
api_is "…with a file" 200 POST "/v1/ddi/modules/$module/artifacts" '{"filename":"a.raucb"}'
api_is "…that is not there" 404 POST "/v1/ddi/modules/$module/artifacts" '{"filename":"b.raucb"}'
api_is "…that lies elsewhere" 400 POST "/v1/ddi/modules/$module/artifacts" '{"filename":"../../ca.key"}'
# assign [JSON-MEMBERS]: id in $action
assign()
{
	api POST /v1/ddi/targets/dev1/actions "{\"name\":\"set\",\"version\":\"1\",\"modules\":[$module]${1:+,$1}}"
	action=$(jq .id <<<"$body")
}
assign
dev GET ""
link=$(jq -r '._links.deploymentBase.href' <<<"$body")
like "a poll has the link" "$link" "^$fleet_url$base/dev1/deploymentBase/$action\?c="
dev GET "/deploymentBase/$action?c=1&actionHistory=10"
is "the deployment" "$(jq -c '[.id, .deployment.download, .deployment.update, .deployment.chunks[0].part, .deployment.chunks[0].artifacts[0].size]' <<<"$body")" \
	"[\"$action\",\"forced\",\"forced\",\"os\",3000]"
is "…its hash" "$(jq -r '.deployment.chunks[0].artifacts[0].hashes.sha1' <<<"$body")" \
	"$(sha1sum <"$tmp/fleet/content/ddi/upload/a.raucb" | cut -d' ' -f1)"
file=$(jq -r '.deployment.chunks[0].artifacts[0]._links.download.href' <<<"$body")
file=${file#"$fleet_url$base/dev1"}
dev GET "/deploymentBase/$action?actionHistory=10"
is "looking twice is noted once" "$(jq '.actionHistory.messages | length' <<<"$body")" 1
dev GET "$file"
ok "the artifact is what it was" cmp "$tmp/body" "$tmp/fleet/content/ddi/upload/a.raucb"
dev GET "$file" "" -r 10-19
is "…in parts" "$status $(wc -c <"$tmp/body")" "206 10"
dev GET "$file" "" -r 5000-
is "…not behind its end" "$status" 416
dev GET "$file" "" -H 'If-Match: "0000"'
is "…if it is still that one" "$status" 412
dev HEAD "$file"
is "HEAD has no body" "$status" 200
dev GET "$file.MD5SUM"
is "its sum" "$body" "$(md5sum <"$tmp/fleet/content/ddi/upload/a.raucb" | cut -d' ' -f1)  a.raucb"
who=dev%202 auth="TargetToken $token"
dev_is "another device has no part in it" 404 GET "$file"
dev_is "…nor in the action" 404 GET "/deploymentBase/$action"
who=dev1 auth="GatewayToken gateway-secret-1"

is "it goes on" "$(feedback "deploymentBase/$action" "$action" proceeding none)" 200
is "it is done" "$(feedback "deploymentBase/$action" "$action" closed success)" 200
is "…once" "$(feedback "deploymentBase/$action" "$action" closed success)" 410
dev_is "…and no deployment any more" 404 GET "/deploymentBase/$action"
dev GET ""
is "a poll has what is installed, and asks for attributes" "$(jq -c '._links | keys' <<<"$body")" '["configData","installedBase"]'
dev_is "…in the deployment's form" 200 GET "/installedBase/$action"
dev_is "what the device says it runs is recorded" 201 PUT /installedBase '{"name":"ds","version":"9"}'
dev_is "…or so already" 200 PUT /installedBase '{"name":"ds","version":"9"}'
is "feedback on nothing" "$(feedback deploymentBase/999 999 closed success)" 404
assign
dev_is "feedback that is none" 400 POST "/deploymentBase/$action/feedback" '{"status":{"execution":"dancing","result":{"finished":"none"}}}'
is "a failure" "$(feedback "deploymentBase/$action" "$action" closed failure 'no room')" 200
api GET "/v1/ddi/targets/dev1/actions/$action"
is "…is one" "$(jq -r .state <<<"$body")" error
like "…with the reason" "$body" 'no room'

# ---- cancelling, and its races ----

assign
api_is "an action can be cancelled" 204 POST "/v1/ddi/targets/dev1/actions/$action/cancel"
dev GET ""
is "…the poll says so, and nothing else" "$(jq -c '._links | keys - ["installedBase","configData"]' <<<"$body")" '["cancelAction"]'
dev_is "…the deployment is gone" 404 GET "/deploymentBase/$action"
dev_is "…the order has the id" 200 GET "/cancelAction/$action"
is "…" "$(jq -r .cancelAction.stopId <<<"$body")" "$action"
is "the device cannot" "$(feedback "cancelAction/$action" "$action" rejected none)" 200
dev_is "…so it goes on" 200 GET "/deploymentBase/$action"
is "…and there is nothing to cancel" "$(feedback "cancelAction/$action" "$action" closed success)" 405
api POST "/v1/ddi/targets/dev1/actions/$action/cancel"
is "it is done before it hears of the cancellation: that wins" "$(feedback "deploymentBase/$action" "$action" closed success)" 200
api GET "/v1/ddi/targets/dev1/actions/$action"
is "…finished" "$(jq -r .state <<<"$body")" finished
assign
api POST "/v1/ddi/targets/dev1/actions/$action/cancel"
is "cancelled" "$(feedback "cancelAction/$action" "$action" closed success)" 200
dev_is "…is not installed" 404 GET "/installedBase/$action"
assign
first=$action
assign
dev GET ""
is "a new action cancels the one before" "$(jq -r '._links.cancelAction.href' <<<"$body")" "$fleet_url$base/dev1/cancelAction/$first"
feedback "cancelAction/$first" "$first" closed success >/dev/null
dev GET ""
like "…and comes then" "$(jq -r '._links.deploymentBase.href' <<<"$body")" "/$action\?"
api_is "ended without the device" 204 POST "/v1/ddi/targets/dev1/actions/$action/quit"

# ---- what nobody should send ----

dev_raw()
{
	as "" api "$1" "$2" "${3:-}" -H "Authorization: $auth"
}
while read -r wanted method path; do
	dev_raw "$method" "$path" "$([ "$method" = GET ] || echo '{}')"
	is "$method $path" "$status" "$wanted"
done <<END
404 GET /OTHER/controller/v1/dev1
404 GET /default/controller/v1/dev1
404 GET $base/dev1/nothing
404 GET $base/dev1/deploymentBase/0
404 GET $base/dev1/deploymentBase/-1
404 GET $base/dev1/deploymentBase/9223372036854775807
404 GET $base/dev1/deploymentBase/9223372036854775808
404 GET $base/dev1/deploymentBase/99999999999999999999999999
404 GET $base/dev1/deploymentBase/1e3
404 GET $base/dev1/deploymentBase/0x1
404 GET $base/dev1/installedBase/x
404 GET $base/dev1/cancelAction/18446744073709551617
404 GET $base/dev1/confirmationBase/nothing
404 GET $base/dev1/softwaremodules/99999999999999999999/artifacts
404 GET $base/dev1/softwaremodules/1/artifacts/..%2F..%2Fca.key
404 GET $base/dev1/softwaremodules/1/artifacts/%2e%2e
405 POST $base/dev1
405 DELETE $base/dev1
405 POST $base/dev1/configData
405 PUT $base/dev1/deploymentBase/1/feedback
405 POST $base/dev1/installedBase
405 DELETE $base/dev1/softwaremodules/1/artifacts/a.raucb
400 GET $base/$(printf 'x%.0s' {1..257})
400 GET $base/a%0ab
400 POST $base/dev1/deploymentBase/1/feedback
400 POST $base/dev1/deploymentBase/99999999999999999999/feedback
END
dev GET "/deploymentBase/1?actionHistory=99999999999999999999"
is "more history than there are numbers" "$status" 404
assign
dev_is "a body of another action's id is this one's, as the path says" 200 POST "/deploymentBase/$action/feedback" \
	'{"id":999,"status":{"execution":"proceeding","result":{"finished":"none","progress":{"cnt":-1,"of":0}},"code":-7}}'
dev GET "/deploymentBase/$action?actionHistory=99999999999999999999&c=x"
is "whatever it asks of the history" "$status" 200
for json in '{"status":null}' '{"status":{"execution":7,"result":{"finished":"none"}}}' '{"status":{"execution":"closed","result":[]}}' \
	'{"status":{"execution":"closed","result":{"finished":"none"},"details":"text"}}' \
	'{"status":{"execution":"closed","result":{"finished":"none"},"details":[1]}}'; do
	dev_is "feedback that is none: $json" 400 POST "/deploymentBase/$action/feedback" "$json"
done
api_is "a module that is a text" 400 POST /v1/ddi/targets/dev1/actions '{"name":"s","version":"1","modules":["1"]}'
api_is "a module that is no whole number" 400 POST /v1/ddi/targets/dev1/actions '{"name":"s","version":"1","modules":[1e300]}'
api_is "actions of a device that there is not" 404 GET /v1/ddi/targets/nobody/actions
api_is "a file that would be another one's sum" 400 POST "/v1/ddi/modules/$module/artifacts" '{"filename":"a.raucb.MD5SUM"}'

# A device that reads and operators who cancel, at the same time: what was cancelled stays so.
race()
{
	local n
	for n in $(seq 8); do
		printf '%s\n' next "url = \"$fleet_url$base/dev1/deploymentBase/$action\"" "header = \"Authorization: $auth\"" \
			"cacert = \"$fleet_ca\"" silent "output = /dev/null"
		[ "$n" != 4 ] || printf '%s\n' next "url = \"$fleet_url/v1/ddi/targets/dev1/actions/$action/$1\"" "request = POST" \
			"header = \"Authorization: Bearer $fleet_token\"" "cacert = \"$fleet_ca\"" silent "output = /dev/null"
	done | sed 1d >"$tmp/race"
	curl -Z --parallel-immediate --config "$tmp/race" 2>/dev/null
	api GET "/v1/ddi/targets/dev1/actions/$action"
	jq -r '[.state, .active] | map(tostring) | join(" ")' <<<"$body"
}
lost=
for _ in $(seq 10); do
	assign '"beside":true'
	[ "$(race cancel)" = "canceling true" ] || lost+="cancel: $body "
	[ "$(race quit)" = "canceled false" ] || lost+="quit: $body "
done
empty "an action that is read while it is cancelled is cancelled" "$lost"
# The device's end and the operator's cancellation: one of the two, and then nothing more.
mixed=
for _ in $(seq 5); do
	assign '"beside":true'
	feedback "deploymentBase/$action" "$action" closed success >"$tmp/first" &
	api POST "/v1/ddi/targets/dev1/actions/$action/cancel"
	wait $!
	[ "$(cat "$tmp/first")" = 200 ] || mixed+="closed: $(cat "$tmp/first") "
	api GET "/v1/ddi/targets/dev1/actions/$action"
	[ "$(jq -r .state <<<"$body")" = finished ] || mixed+="$body "
	again=$(feedback "deploymentBase/$action" "$action" closed failure)
	[ "$again" = 410 ] || mixed+="again: $again "
	again=$(feedback "cancelAction/$action" "$action" closed success)
	[ "$again" = 405 ] || mixed+="cancelled after: $again "
done
empty "what the device has done wins, whichever came first" "$mixed"
# However much it has said, its end is heard.
assign
python3 - "$tmp/fleet/fleet.db" "$action" <<'END'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
db.executemany("INSERT INTO ddi_status (action, at, state) VALUES (?, 1, 'proceeding')", [(int(sys.argv[2]),)] * 1000)
db.commit()
END
is "a device that has said too much is told so" "$(feedback "deploymentBase/$action" "$action" proceeding none)" 429
is "…but can end it" "$(feedback "deploymentBase/$action" "$action" closed success)" 200
api GET '/v1/ddi/targets/dev1/actions?limit=1000'
for action in $(jq '.items[] | select(.active).id' <<<"$body"); do
	api POST "/v1/ddi/targets/dev1/actions/$action/quit"
done

# ---- kinds, windows, confirmations ----

assign '"kind":"soft"'
dev GET "/deploymentBase/$action"
is "soft" "$(jq -r '.deployment.update' <<<"$body")" attempt
dev GET ""
soft=$(jq -r '._links.deploymentBase.href' <<<"$body")
api POST "/v1/ddi/targets/dev1/actions/$action/force"
dev GET ""
unlike "forced has another link" "$(jq -r '._links.deploymentBase.href' <<<"$body")" "^${soft//\?/\\?}\$"
api POST "/v1/ddi/targets/dev1/actions/$action/quit"
assign '"kind":"download-only"'
dev GET "/deploymentBase/$action"
is "download only" "$(jq -r '.deployment | "\(.download) \(.update)"' <<<"$body")" "forced skip"
feedback "deploymentBase/$action" "$action" downloaded none >/dev/null
api GET "/v1/ddi/targets/dev1/actions/$action"
is "…is finished when it is downloaded" "$(jq -r .state <<<"$body")" finished
assign "\"schedule\":\"$(date -u -d '+3 hours' +%H:%M)-$(date -u -d '+4 hours' +%H:%M)\""
dev GET ""
is "outside of its window there is no link" "$(jq -r '._links.deploymentBase' <<<"$body")" null
like "…and the device sleeps less" "$(jq -r .config.polling.sleep <<<"$body")" '^0[01]:'
api POST "/v1/ddi/targets/dev1/actions/$action/quit"
api_is "a window that is none" 400 POST /v1/ddi/targets/dev1/actions \
	"{\"name\":\"s\",\"version\":\"1\",\"modules\":[$module],\"schedule\":\"at noon\"}"
assign '"needs_confirmation":true'
dev GET ""
like "what needs a confirmation asks for it" "$(jq -r '._links.confirmationBase.href' <<<"$body")" "/confirmationBase/$action\?"
dev_is "…the deployment is not shown" 404 GET "/deploymentBase/$action"
dev GET "/confirmationBase/$action"
is "…but what it would be" "$(jq -r '.confirmation.update' <<<"$body")" forced
dev_is "denied: it waits" 200 POST "/confirmationBase/$action/feedback" '{"confirmation":"denied","details":["not today"]}'
dev_is "confirmed" 200 POST "/confirmationBase/$action/feedback" '{"confirmation":"confirmed"}'
dev_is "…once" 404 POST "/confirmationBase/$action/feedback" '{"confirmation":"confirmed"}'
dev_is "…goes on" 200 GET "/deploymentBase/$action"
feedback "deploymentBase/$action" "$action" closed success >/dev/null
dev_is "…closed" 410 POST "/confirmationBase/$action/feedback" '{"confirmation":"confirmed"}'
dev_is "all are confirmed from now on" 200 POST /confirmationBase/activateAutoConfirm
dev_is "…already" 409 POST /confirmationBase/activateAutoConfirm
dev GET /confirmationBase
is "…said" "$(jq .autoConfirm.active <<<"$body")" true
assign '"needs_confirmation":true'
dev_is "…so this one is" 200 GET "/deploymentBase/$action"
dev_is "no longer" 200 POST /confirmationBase/deactivateAutoConfirm
api POST "/v1/ddi/targets/dev1/actions/$action/quit"
api_is "an unknown module" 404 POST /v1/ddi/targets/dev1/actions '{"name":"s","version":"1","modules":[999]}'
unlike "no secret is in the log" "$(cat "$fleet_log")" "gateway-secret-1|$token"

# ---- a real client ----

if ! command -v swupdate >/dev/null; then
	[ -z "${ASH_MUST_RUN:-}" ] || fail "swupdate is here"
	done_testing
fi
# An update of one file, signed as Debian's swupdate asks for.
mkdir "$tmp/swu"
echo "seven" >"$tmp/swu/payload"
cat >"$tmp/swu/sw-description" <<-END
	software = {
		version = "7.0";
		hardware-compatibility: [ "1.0" ];
		files: ({
			filename = "payload";
			path = "$tmp/installed";
			sha256 = "$(sha256sum <"$tmp/swu/payload" | cut -d' ' -f1)";
		});
	};
END
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tmp/signer.key" -out "$tmp/signer.pem" -subj /CN=test -days 2 \
	-addext extendedKeyUsage=emailProtection >/dev/null 2>&1
openssl cms -sign -binary -nosmimecap -in "$tmp/swu/sw-description" -out "$tmp/swu/sw-description.sig" -outform DER \
	-signer "$tmp/signer.pem" -inkey "$tmp/signer.key"
(cd "$tmp/swu" && printf 'sw-description\nsw-description.sig\npayload\n' | cpio -o -H crc --quiet) \
	>"$tmp/fleet/content/ddi/upload/seven.swu"
api POST /v1/ddi/modules '{"name":"seven","version":"7.0","type":"os"}'
module=$(jq .id <<<"$body")
api POST "/v1/ddi/modules/$module/artifacts" '{"filename":"seven.swu"}'
assign
# client [OPTION]: until COMMAND holds, or for long enough
client()
{
	local until=$((SECONDS + 80))
	timeout 90 swupdate -l 5 -M -m -H board:1.0 -k "$tmp/signer.pem" -u \
		"-t DEFAULT -u $fleet_url -i dev1 -g gateway-secret-1 -p 5 -x $1" >"$tmp/swupdate.log" 2>&1 &
	local pid=$!
	while [ "$SECONDS" -lt "$until" ] && kill -0 "$pid" 2>/dev/null && ! "${@:2}"; do
		sleep 0.5
	done
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	"${@:2}"
}
# shellcheck disable=SC2317
has_ended()
{
	api GET "/v1/ddi/targets/dev1/actions/$action"
	[ "$(jq .active <<<"$body")" = false ]
}
ok "SWUpdate installs it" client "" grep -q seven "$tmp/installed" || diag "$(tail -n 40 "$tmp/swupdate.log")"
# After its reboot it is told that what it tried runs.
ok "…and says how it went, started again" client "-c 2" has_ended || diag "$(tail -n 40 "$tmp/swupdate.log")"
is "…well" "$(jq -r .state <<<"$body")" finished
done_testing
