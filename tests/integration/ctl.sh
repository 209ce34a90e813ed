#!/bin/bash
# needs: root dbus-daemon dbus-send busctl jq setpriv
# SPDX-License-Identifier: Apache-2.0
# ashlarctl against a stand-in for ashlard, over a bus with the installed policy.
. tests/lib/tap.sh
. tests/lib/bus.sh

ctl=$(realpath "$ashlar_bin/ashlarctl")
export TZ=UTC
fake=$tmp/fake
new=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
old=fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210

# status_of STATE [JQ]: the status in that state, changed by JQ.
status_of()
{
	jq -nc --arg state "$1" --arg new "$new" --arg old "$old" --arg since "$(ago 7300)" \
		--arg check "$(ago 310)" --arg expires "$(ahead 864030)" '{
		state: $state, since: $since, detail: "next check 14:05",
		booted: {commit: $new, version: "1.4.0", name: "host", variant: "debug", arch: "amd64"},
		verdict: "good",
		deployments: [
			{commit: $new, version: "1.4.0", booted: true, good: true},
			{commit: $old, version: "1.3.0", good: true, pinned: true}],
		source: {url: "https://updates.example/host", last_check: $check, last_success: $check,
			expires: $expires},
		space: {root_free: 1200000000, root: 4000000000, esp_free: 300000000, esp: 500000000}
		} | '"${2:-.}"
}

reset_fake()
{
	rm -rf "$fake"
	mkdir "$fake"
	status_of idle >"$fake/GetStatus.json"
	for method in Check Update Rollback Bundle; do
		echo '{"text":"looking for a release"}' >"$fake/$method.json"
	done
	echo '{"events":[]}' >"$fake/GetHistory.json"
	echo '{"verdict":"good","checks":[]}' >"$fake/GetHealth.json"
	echo '{"answer":"up to date","running":{"version":"1.4.0"}}' >"$fake/Why.json"
}

ok "a bus" bus_start 's/user="ashlar-link"/user="games"/'

# ---- nobody there ----

exits 7 "without ashlard: an environment that is not right" "$ctl" status
stderr_like "which says what is missing" 'ashlard is not running'
exits 7 "without a bus" env DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent "$ctl" status
exits 2 "a missing argument is a usage error" "$ctl" pin
exits 2 "an argument that cannot be meant is refused before anybody is asked" "$ctl" pin 'a b'
exits 2 "an unknown verb" "$ctl" stauts
stderr_like "gets a suggestion" "'status'"

reset_fake
ok "a stand-in for ashlard" fake_start "$fake"

# ---- reports ----

ok "status" "$ctl" status
stdout_like "begins with the state" '^idle, since 2 h ago \(.*\): next check 14:05$'
stdout_like "what runs" '^  running +1\.4\.0  host-debug amd64  0123456789ab$'
stdout_like "the verdict" '^  health +good$'
stdout_like "deployments, the running one marked" '^▸ +1\.4\.0 +0123456789ab +running, good$'
stdout_like "and the pinned one" '^ +1\.3\.0 +fedcba987654 +good, pinned$'
stdout_like "the source" '^  source +https://updates\.example/host$'
stdout_like "when it was asked" '^  checked +5 min ago'
stdout_like "until when its word counts" '^  expires +in 10 d'
stdout_like "free space" '^  free +1\.2 GB of 4\.0 GB on the root file system, 300 MB of 500 MB on the ESP$'
ok "status --json" "$ctl" status --json
is "is ashlard's own answer" "$(cat "$tmp/out")" "$(cat "$fake/GetStatus.json")"

status_of trial '.verdict = "pending" | .verdict_reason = "web has not passed"
	| .trial = {version: "1.4.0", deadline: "'"$(ahead 330)"'"} | .deployments[0].tries_left = 2
	| .source.last_error = "no route\u001b[31m" | .source.word = "offline"
	| .failed = [{commit: "'$old'", version: "1.5.0", kind: "bad", reason: "web failed", at: "'"$(ago 172900)"'"}]' \
	>"$fake/GetStatus.json"
ok "status in a trial" "$ctl" status
stdout_like "until when it may last" '^  trial +1\.4\.0; has to be healthy in 5 min'
stdout_like "what is missing" '^  health +pending: web has not passed$'
stdout_like "tries" 'running, good, 2 tries left'
stdout_like "what failed" '^ +1\.5\.0 +fedcba987654 +2 d ago .* bad: web failed$'
stdout_like "the source's error, without its control characters" 'failed: no route\?\[31m \(last success 5 min ago'
status_of idle >"$fake/GetStatus.json"

jq -nc --arg since "$(ago 65)" '{verdict: "degraded", reason: "dns fails", checks: [
	{name: "web", kind: "http", class: "required", target: "http://127.0.0.1/", passing: true, since: $since},
	{name: "dns", kind: "dns", class: "wanted", target: "a.example", passing: false, text: "no address"},
	{name: "new", kind: "tcp", class: "wanted", target: "[::1]:80", passing: null}]}' >"$fake/GetHealth.json"
exits 8 "health: anything but good is a no" "$ctl" health
stdout_like "the verdict first" '^degraded: dns fails$'
stdout_like "what passes" '^✓  web  required  http http://127\.0\.0\.1/  6[0-9] s ago'
stdout_like "what fails, and what it said" '^✗  dns  wanted .*no address$'
stdout_like "what has not run" '^–  new '
exits 8 "health --json: the same" "$ctl" health --json
is "with ashlard's own answer" "$(cat "$tmp/out")" "$(cat "$fake/GetHealth.json")"
echo '{"verdict":"good","checks":[]}' >"$fake/GetHealth.json"
ok "health: good" "$ctl" health

jq -nc --arg at "$(ago 130)" '{events: [
	{id: 1, at: $at, event: "offered", version: "1.4.0", text: "by the source"},
	{id: 2, at: $at, event: "good", version: "1.4.0"}]}' >"$fake/GetHistory.json"
ok "history" "$ctl" history -n 7
is "newest last" "$(sed 's/([^)]*)/()/' "$tmp/out")" "2 min ago ()  offered  1.4.0  by the source
2 min ago ()  good     1.4.0"
is "asks for as many as wanted" "$(tail -n 1 "$fake/calls")" "GetHistory 7"
exits 2 "no more than there may be" "$ctl" history -n 10001

jq -nc '{answer: "waiting", blocker: "no window is open", because: "it is the newest that was good here",
	running: {version: "1.4.0"}, conditions: [
	{condition: "source is set", met: true}, {condition: "window is open", met: false, text: "next Sat 02:00"},
	{condition: "space", met: null}],
	refused: [{version: "1.5.0", reason: "bad", text: "web failed"}]}' >"$fake/Why.json"
ok "why" "$ctl" why
is "the answer first, then the conditions" "$(cat "$tmp/out")" "waiting: no window is open
  runs 1.4.0, it is the newest that was good here

✓  source is set
✗  window is open  next Sat 02:00
–  space

releases that are not taken:
✗  1.5.0  bad  web failed"

for verb in status health history why; do
	ok "$verb: an answer without any member is shown" env FAKE=1 "$ctl" "$verb" --json
done
echo '{}' >"$fake/Why.json"
ok "why of an ashlard that says nothing" "$ctl" why
echo '[1]' >"$fake/Why.json"
exits 1 "an answer that is no object is an error" "$ctl" why

# ---- orders ----

reset_fake
echo '{"text":"fetching 1.5.0"}' >"$fake/Update.json"
ok "update returns at once" "$ctl" update 1.5.0
is "with ashlard's words" "$(cat "$tmp/out")" "fetching 1.5.0"
is "the version goes through" "$(tail -n 1 "$fake/calls")" "Update 1.5.0"
ok "update --json" "$ctl" update --json
is "is ashlard's own answer" "$(cat "$tmp/out")" '{"text":"fetching 1.5.0"}'
ok "bundle with a relative path" bash -c "cd '$tmp' && exec '$ctl' bundle x.bundle"
is "becomes absolute" "$(tail -n 1 "$fake/calls")" "Bundle $tmp/x.bundle"
for line in "pin 1.3.0" "unpin 1.3.0" "forgive all"; do
	# shellcheck disable=SC2086
	ok "$line" "$ctl" $line
	is "$line goes through" "$(tail -n 1 "$fake/calls" | tr '[:upper:]' '[:lower:]')" "$line"
done
ok "pin --json" "$ctl" pin --json 1.3.0
is "prints an object" "$(jq -r .text "$tmp/out")" "pinned: 1.3.0"

echo "WRONG_STATE trial: wait until it is decided, or roll back" >"$fake/Update.error"
exits 1 "an order in the wrong state fails" "$ctl" update
stderr_like "with the reason" '^ashlarctl: trial: wait until it is decided, or roll back$'
exits 1 "the same as JSON" "$ctl" update --json
is "on standard error" "$(jq -r .text "$tmp/err" | tail -n 1)" \
	"trial: wait until it is decided, or roll back"

# The host looks for a release by itself just then.
echo "WRONG_STATE checking: wait until it has ended" >"$fake/Rollback.error"
status_of checking >"$fake/GetStatus.json"
{
	sleep 1
	rm "$fake/Rollback.error"
	status_of idle >"$fake/GetStatus.json"
} &
ok "an order during a check waits for its end" "$ctl" rollback
wait $!

# waits NAME EXIT VERB…: 'ashlarctl VERB --wait', with what $fake has.
waits()
{
	local name=$1 code=$2
	shift 2
	exits "$code" "$name" timeout 60 "$ctl" "$@" --wait
}

reset_fake
status_of checking >"$fake/checking"
status_of idle >"$fake/idle"
printf 'status checking\nstate checking\nstatus idle\nstate idle\n' >"$fake/Check.script"
status_of checking >"$fake/GetStatus.json"
waits "check --wait: nothing newer is fine" 0 check
is "and said" "$(cat "$tmp/out")" "nothing newer than 1.4.0"

fake_stop
reset_fake
fake_start "$fake"
status_of checking >"$fake/GetStatus.json"
status_of idle '.source.last_error = "the server does not answer" | .source.word = "timeout"' >"$fake/idle"
printf 'state checking\nstatus idle\nstate idle\n' >"$fake/Check.script"
waits "check --wait: a source that does not answer" 6 check
stderr_like "with its reason" 'the server does not answer'

fake_stop
reset_fake
fake_start "$fake"
status_of checking >"$fake/GetStatus.json"
status_of idle '.source.last_error = "signature of root" | .source.word = "untrusted"' >"$fake/idle"
printf 'status idle\nstate idle\n' >"$fake/Check.script"
waits "check --wait: what cannot be believed" 5 check

fake_stop
reset_fake
fake_start "$fake"
status_of checking >"$fake/GetStatus.json"
status_of fetching '.target = {version: "1.5.0", bytes: 1000000, done: 400000, method: "delta"}' >"$fake/fetching"
status_of deploying '.target = {version: "1.5.0"}' >"$fake/deploying"
status_of rebooting '.target = {version: "1.5.0"}' >"$fake/rebooting"
cat >"$fake/Update.script" <<-'END'
	event {"event":"offered","version":"1.5.0"}
	status fetching
	state fetching
	event {"event":"fetch-failed","version":"1.5.0","text":"delta","word":"delta"}
	status deploying
	state deploying
	status rebooting
	state rebooting
END
waits "update --wait: until it reboots, over a failure on the way" 0 update
is "and says so" "$(cat "$tmp/out")" "rebooting into 1.5.0"
stderr_like "events are told" 'offered 1\.5\.0'

# ends_idle NAME EXIT EVENT VERB…: an order after which it is idle again, having told EVENT.
ends_idle()
{
	local name=$1 code=$2 event=$3 verb=$4
	shift 3
	fake_stop
	reset_fake
	fake_start "$fake"
	status_of checking >"$fake/GetStatus.json"
	status_of idle >"$fake/idle"
	printf '%s\nstatus idle\nstate idle\n' "${event:+event $event}" >"$fake/${verb^}.script"
	waits "$name" "$code" "$@"
}

ends_idle "update --wait: no space is an environment that is not right" 7 \
	'{"event":"fetch-failed","text":"12 MB are missing","word":"space"}' update
stderr_like "with the figures" '12 MB are missing'
ends_idle "update --wait: a release that was bad is refused" 8 \
	'{"event":"refused","version":"1.5.0","text":"it was bad","word":"bad"}' update
ends_idle "update --wait: bytes that do not match" 5 \
	'{"event":"fetch-failed","text":"hash","word":"mismatch"}' update
ends_idle "update --wait: nothing newer" 0 '' update
ends_idle "update --wait VERSION: that it did not come is a failure" 1 '' update 1.9.0
ends_idle "update --wait VERSION: it runs already" 0 '' update 1.4.0
ends_idle "bundle --wait: a bundle of another's key" 5 \
	'{"event":"refused","text":"signature","word":"untrusted"}' bundle /x
ends_idle "rollback --wait: that it did not reboot is a failure" 1 '' rollback
ends_idle "update --wait: an event that cannot be read changes nothing" 0 '{"event":' update

fake_stop
reset_fake
fake_start "$fake"
status_of checking >"$fake/GetStatus.json"
status_of idle '.failed = [{version: "1.9.0", kind: "bad", reason: "web failed"}]' >"$fake/idle"
printf 'status idle\nstate idle\n' >"$fake/Update.script"
waits "update --wait VERSION: what was bad is not taken again" 8 update 1.9.0
stderr_like "with the reason" '1\.9\.0 is not taken again: web failed'

fake_stop
reset_fake
fake_start "$fake"
status_of returning '.target = {version: "1.3.0"}' >"$fake/returning"
printf 'status returning\nstate returning\n' >"$fake/Rollback.script"
status_of deploying >"$fake/GetStatus.json"
waits "rollback --wait" 0 rollback 1.3.0
is "says where to" "$(cat "$tmp/out")" "returning into 1.3.0"
is "the target goes through" "$(tail -n 1 "$fake/calls")" "Rollback 1.3.0"

# ashlard is restarted in the middle: nobody has to begin anew.
reset_fake
status_of fetching >"$fake/GetStatus.json"
fake_stop
fake_start "$fake"
printf 'quit\n' >"$fake/Update.script"
"$ctl" update --wait >"$tmp/waiting" 2>&1 &
waiting=$!
cat <&"$fake_out" >/dev/null
status_of rebooting '.target = {version: "1.5.0"}' >"$fake/GetStatus.json"
fake_start "$fake"
ok "--wait outlives a restart of ashlard" wait $waiting
like "and sees the end" "$(tail -n 1 "$tmp/waiting")" 'rebooting into 1\.5\.0'

reset_fake
status_of fetching >"$fake/GetStatus.json"
exits 130 "Ctrl-C ends waiting" timeout --preserve-status -s INT 2 "$ctl" update --wait
stderr_like "and says that the update goes on" 'what was begun goes on'

# ---- who may ----

reset_fake
as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
cp "$ctl" "$tmp/ashlarctl"
for verb in status health history why; do
	ok "anybody may ask for $verb" "${as[@]}" "$tmp/ashlarctl" "$verb"
done
for line in check update rollback "pin 1" "unpin 1" "forgive all" "bundle /x"; do
	# shellcheck disable=SC2086
	exits 7 "but only root: $line" "${as[@]}" "$tmp/ashlarctl" $line
	stderr_like "and it says so" 'needs root'
done
# call METHOD ARGUMENTS…: as that user, past ashlarctl.
call()
{
	busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.ashlar.Host1 /org/ashlar/Host1 \
		org.ashlar.Host1 "$@" 2>&1
}
export -f call
for args in Check "Update s ''" "Rollback s ''" "Pin s 1" "Unpin s 1" "Forgive s all" "Bundle s /x" \
	"OrderDone ts 1 {}" "OrderProgress ttt 1 2 3"; do
	like "the bus keeps strangers from $args" "$("${as[@]}" bash -c "call $args")" 'Access denied'
done
empty "nothing of it reached ashlard" "$(grep -vE '^(Get|Why)' "$fake/calls")"
# send METHOD ARGUMENTS…: by dbus-send, which prints who refused.
send()
{
	setpriv --reuid=games --regid=games --clear-groups dbus-send --print-reply \
		--bus="$DBUS_SYSTEM_BUS_ADDRESS" --dest=org.ashlar.Host1 /org/ashlar/Host1 \
		"org.ashlar.Host1.$1" "${@:2}" 2>&1
}
like "the downloader's user gets through the bus" "$(send OrderDone uint64:1 string:{})" \
	'OrderDone is not for user 5'
like "but not to what is root's" "$(send Update string:)" 'Rejected send message'
unlike "root gets through" "$(call OrderProgress ttt 1 2 3)" .
exits 1 "no stranger takes the name" "${as[@]}" "$fake_host1" "$fake"

done_testing
