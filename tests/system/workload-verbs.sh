#!/bin/bash
# needs: root dbus-daemon busctl jq ostree busybox patch
# SPDX-License-Identifier: Apache-2.0
# ashlarctl workload …, by somebody who makes mistakes: what is refused, with which code and words; what --json prints;
# whoever records and goes away.
. tests/lib/tap.sh
. tests/lib/workload.bash

# definition NAME VERSION [LINE…]: $tmp/NAME.yaml
definition()
{
	local name=$1 version=$2
	shift 2
	cat >"$tmp/$name.yaml" <<-END2
		workload: $name
		version: $version
		image: oci-dir:$tmp/image
		isolation: sandbox
		resources: {cpu: 0.1, memory: 32MiB}
		restart: {first: 100ms, longest: 500ms, budget: 3, within: 10min}
		health: {soak: 1s, deadline: 30s}
	END2
	printf '%s\n' "$@" >>"$tmp/$name.yaml"
}

# json NAME VERB…: prints one JSON object, and nothing else.
json()
{
	local name=$1
	shift
	"$ctl" workload "$@" --json >"$tmp/json" 2>"$tmp/err"
	is "$name is one object" "$(jq -s 'map(type) | join(" ")' -r "$tmp/json")" object
}

soon() { local end=$((SECONDS + 20)); while ((SECONDS < end)); do "$@" && return; command sleep 0.1; done; return 1; }
records() { [ "$(workload_field "$1" .recording)" = "$2" ]; }

ok "a host" workload_host
workload_image "$tmp/image" 'echo started; while :; do sleep 1; done'
ok "ashlar-workloadd" workload_begin

# ---- instances ----
definition many 1.0.0 'instances: 2' 'volumes: [{name: data, path: /data, size: 4MiB}]'
ok "two instances" "$ctl" workload run --timeout 30 "$tmp/many.yaml"
for verb in stop start remove "remove --volumes" forgive "train --for 1s"; do
	# shellcheck disable=SC2086
	exits 2 "$verb is not for one of them" "$ctl" workload $verb many@2
	like "which is said" "$(cat "$tmp/err")" "'many@2' is one instance"
done
is "both run" "$(workload_field many '[.instances[].state] | join(" ")')" "running running"
ok "its volumes are there" test -e "$host/var/lib/ashlar/volume/many@2/data.img"
ok "status takes one" "$ctl" workload status many@2
exits 1 "but none that is not there" "$ctl" workload status many@3
like "and says so" "$(cat "$tmp/err")" "no instance 'many@3'"

# ---- words that do not belong there ----
exits 2 "a file has its version" "$ctl" workload run "$tmp/many.yaml" 2.0.0
exits 2 "and its name" "$ctl" workload run --name other "$tmp/many.yaml"
exits 2 "no time is no time-out" "$ctl" workload stop --timeout 0 many
exits 2 "no lines are none" "$ctl" workload logs -n 0 many
exits 2 "and there is a most" "$ctl" workload logs -n 1001 many

# ---- diff ----
definition wide 2.0.0 'network: nat'
exits 8 "diff of two files that differ" "$ctl" workload diff "$tmp/many.yaml" "$tmp/wide.yaml"
exits 8 "with --json too" "$ctl" workload diff --json "$tmp/many.yaml" "$tmp/wide.yaml"
ok "which parses" jq -e '.["is-wider"]' "$tmp/out"
echo 'foo: 1' >>"$tmp/wide.yaml"
exits 3 "diff of a file with a mistake" "$ctl" workload diff "$tmp/many.yaml" "$tmp/wide.yaml"
like "names the file" "$(cat "$tmp/err")" "$tmp/wide.yaml:9:1: unknown key 'foo'"

# ---- parameters ----
mkdir -p "$host/etc/ashlar/parameters.d"
definition tuned 1.0.0 'parameters: [{name: level, type: choice, choices: [low, high]}]'
echo 'level: middle' >"$host/etc/ashlar/parameters.d/tuned.yaml"
exits 3 "a value that is none" "$ctl" workload run "$tmp/tuned.yaml"
like "what it may be, and where it is" "$(cat "$tmp/err")" "one of: low, high; .*parameters.d/tuned.yaml"
echo '- level' >"$host/etc/ashlar/parameters.d/tuned.yaml"
exits 3 "values that are no map" "$ctl" workload run "$tmp/tuned.yaml"

# ---- more than the disk has ----
definition many 2.0.0 'instances: 2' 'volumes: [{name: data, path: /data, size: 9000GiB}]'
exits 1 "a volume that no disk holds is refused" "$ctl" workload run "$tmp/many.yaml"
like "with figures" "$(cat "$tmp/err")" "volumes: no room for .*TB more; .*GB are free"
is "before anything is stopped" "$(workload_field many '"\(.version) \(.failed | length)"')" "1.0.0 0"
ok "remove" "$ctl" workload remove --volumes many

# ---- those who wait for each other ----
definition left 1.0.0 'after: [right]'
definition right 1.0.0 'after: [left]'
definition lower 1.0.0 'scope: system' 'after: [right]'
for name in left right lower; do "$ctl" workload run --no-wait "$tmp/$name.yaml"; done
says() { [[ "$(workload_field "$1" .text)" =~ $2 ]]; }
ok "a circle is called one" soon says left "'right', which waits for 'left' itself"
ok "and one of scopes too" soon says lower "'right' has scope 'user'"
"$ctl" workload run "$tmp/left.yaml" >"$tmp/out" 2>"$tmp/err" &
command sleep 1
kill -TERM $!
wait $!
is "who waits and is ended says that it was interrupted" "$?" 130
like "in these words" "$(tail -1 "$tmp/err")" "interrupted"
exits 1 "time is up" "$ctl" workload run --timeout 1 "$tmp/left.yaml"
like "and what it waited for is said" "$(cat "$tmp/err")" "not there after 1 s: after: waits for 'right'"
for name in left right lower; do "$ctl" workload remove "$name" >"$tmp/out" 2>&1; done

# ---- training ----
# A check is a program of its own, whose calls are to be recorded too.
definition web 1.0.0 'system-calls:' '  add: [io_uring_setup]' 'summary: behind it'
sed -i 's|^health:.*|health: {soak: 1s, deadline: 60s, checks: [{name: list, command: [/bin/ls, /], interval: 1s, timeout: 20s}]}|' \
	"$tmp/web.yaml"
ok "web" "$ctl" workload run --timeout 30 "$tmp/web.yaml"
ok "train" "$ctl" workload train --for 1s web
mv "$tmp/out" "$tmp/patch"
cp "$host/etc/ashlar/workloads.d/web.yaml" "$tmp/patched.yaml"
ok "what it prints is a diff" patch --quiet "$tmp/patched.yaml" "$tmp/patch"
is "of the whole key" "$(grep -c 'system-calls\|io_uring' "$tmp/patched.yaml")" 1
like "and of nothing else" "$(cat "$tmp/patched.yaml")" "summary: behind it"
ok "which is a definition" "$ctl" workload run --timeout 30 "$tmp/patched.yaml"
ok "it works with it" "$ctl" workload status web
like "with what its check calls" "$(cat "$tmp/patch")" '^\+ +- getdents64$'
is "the filter is the list" "$(jq '.calls_only | length > 5' "$host/run/ashlar/workload/web/launch.json")" true

recorded() { jq .is_recording "$host/run/ashlar/workload/web/launch.json"; }
"$ctl" workload train --for 1h web >"$tmp/out" 2>&1 &
trainer=$!
ok "it records" soon records web true
like "status says so" "$("$ctl" workload status web)" "recording .*its system calls"
workload_until running web
kill -9 "$trainer"
wait "$trainer" 2>/dev/null
workload_kill
ok "the daemon ends, and begins again" workload_begin
ok "recording does not outlive both" soon records web false
workload_until running web
is "the filter is there again" "$(recorded)" false
busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.ashlar.Workload1 /org/ashlar/Workload1 \
	org.ashlar.Workload1 Train s '{"name":"web","recording":true,"seconds":5}' >"$tmp/out" 2>"$tmp/err" ||
	diag "$(cat "$tmp/err")"
ok "it records again" soon records web true
ok "for as long as was said" soon records web false
workload_until running web
is "and has its filter then" "$(recorded)" false

# ---- what it prints is anything ----
log=$host/var/log/ashlar/web.log
printf 'before\0behind\twide\033]0;title\a\377\n%s\nlast\n' "$(head -c 400000 /dev/zero | tr '\0' '\001')" >>"$log"
ok "logs of odd bytes" "$ctl" workload logs -n 1000 web
is "end with the last line" "$(tail -n 1 "$tmp/out")" last
json "what is too much for one answer" logs -n 1000 web
printf 'before\0behind\twide\033]0;title\a\377\n' >>"$log"
ok "logs" "$ctl" workload logs -n 1 web
cp "$tmp/out" "$tmp/once"
like "have what is behind a NUL" "$(cat "$tmp/once")" '^before.behind wide'
is "and tell a terminal nothing" "$(tr -d '\n' <"$tmp/once" | grep -acP '[\x00-\x1f]')" 0
"$ctl" workload logs -f -n 1 web >"$tmp/followed" &
follower=$!
ok "logs -f says the same" soon cmp -s "$tmp/once" "$tmp/followed"
kill -INT "$follower"
wait "$follower"
is "until it is interrupted" "$?" 130
exits 2 "what has no end is no object" "$ctl" workload logs -f --json web

# ---- what programs read ----
json list list
json status status web
json report report web
json graph graph
json logs logs web
json required required
is "which says yes or no" "$(jq .ready "$tmp/json")" true
json pending pending
json train train --for 1s web
is "with the calls" "$(jq '.calls | length > 5' "$tmp/json")" true
is "and what was refused" "$(jq '.refused | type' -r "$tmp/json")" array
json restart restart web
json stop stop web
json start start web
json run run "$tmp/patched.yaml"
json remove remove web

# ---- a volume that was larger ----
definition kept 1.0.0 'volumes: [{name: data, path: /data, size: 8MiB}]'
ok "a volume" "$ctl" workload run --timeout 30 "$tmp/kept.yaml"
sed -i 's/8MiB/4MiB/; s/version: 1/version: 2/' "$tmp/kept.yaml"
ok "which the next version asks for smaller" "$ctl" workload run --timeout 30 "$tmp/kept.yaml"
is "status says what it holds" "$(workload_field kept '.volumes[0] | "\(.size) \(.asked)"')" "8388608 4194304"
like "in words, too" "$("$ctl" workload status kept)" '^volumes +data of kept at /data, 8.0.MiB; none shrinks to .* 4.0.MiB$'

# ---- a secret that is none ----
mkdir -p "$host/etc/ashlar/secrets/token"
definition secretive 1.0.0 'secrets: [{name: token, path: /run/token}]'
"$ctl" workload run --no-wait "$tmp/secretive.yaml"
ok "a directory is no secret" soon says secretive "'token': /etc/ashlar/secrets/token is not a file"
is "which is no crash" "$(workload_field secretive '"\(.state) \(.restarts)"')" "waiting 0"
rmdir "$host/etc/ashlar/secrets/token"
echo word >"$host/etc/ashlar/secrets/token"
ok "with a file there it goes on" workload_until running secretive

# ---- names that nobody has ----
exits 1 "a name that is not there" "$ctl" workload status secretiv
like "the next one to it is named" "$(cat "$tmp/err")" "no workload 'secretiv' on this host .did you mean 'secretive'"
exits 2 "a word that is no command" "$ctl" workload statsu
like "the next one to it, and all" "$(cat "$tmp/err")" "no command 'statsu' .did you mean 'status'.*; there are: answer, .* train;"
mkdir -p "$host/var/lib/ashlar/workload/signed/foreign"
busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" call org.ashlar.Workload1 /org/ashlar/Workload1 \
	org.ashlar.Workload1 Reload s '{}' >"$tmp/out" 2>"$tmp/err" || diag "$(cat "$tmp/err")"
exits 8 "what has no definition is not ready" "$ctl" workload status foreign
like "which is its state" "$(cat "$tmp/out")" "^state +no definition"
like "and why" "$(cat "$tmp/out")" "^why +no signed definition of it has come"
is "for programs, too" "$(workload_field foreign .state)" undefined
"$ctl" workload remove foreign >"$tmp/out" 2>&1

# ---- an image does not take another's place ----
exits 1 "an image of a name that is there" "$ctl" workload run --timeout 30 "oci-dir:$tmp/image" --name kept
like "is refused, with both ways out" "$(cat "$tmp/err")" 'already \(/etc/ashlar/workloads.d/kept.yaml\): .* --name, .* --replace'
is "and the other runs" "$(workload_field kept '"\(.version) \(.state)"')" "2.0.0 running"
ok "with another name it runs" "$ctl" workload run --no-wait "oci-dir:$tmp/image" --name fresh
ok "once more it is the same" "$ctl" workload run --no-wait "oci-dir:$tmp/image" --name fresh
ok "--replace means it" "$ctl" workload run --no-wait "oci-dir:$tmp/image" --name kept --replace
unlike "it is the image's now" "$(cat "$host/etc/ashlar/workloads.d/kept.yaml")" volumes
exits 2 "which is not for files" "$ctl" workload run --replace "$tmp/kept.yaml"
for name in kept secretive fresh; do "$ctl" workload remove --volumes "$name" >"$tmp/out" 2>&1; done

# ---- an image has a name ----
exits 1 "what ashlar build made is called as its manifest" \
	"$ctl" workload run --timeout 1 ostree:workload/hello/amd64
is "hello" "$("$ctl" workload list --json | jq -r '.workloads[].name')" hello
"$ctl" workload remove hello >"$tmp/out" 2>&1

done_testing
