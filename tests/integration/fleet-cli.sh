#!/bin/bash
# needs: jq openssl zsh fish
# SPDX-License-Identifier: Apache-2.0
# ashlar-fleet against a running ashlar-fleetd: log in, ask, change, follow; exit codes and what is said.
. tests/lib/tap.sh

fleetd=$(realpath "$ashlar_bin/ashlar-fleetd")
fleet=$(realpath "$ashlar_bin/ashlar-fleet")
dir=$tmp/fleet
export HOME=$tmp/home XDG_CONFIG_HOME=$tmp/home/.config TZ=UTC
unset ASHLAR_FLEET_URL ASHLAR_FLEET_TOKEN ASHLAR_FLEET_CA
mkdir -p "$HOME"

# ---- what it says of itself ----

page=docs/man/ashlar-fleet.1.scd
mapfile -t verbs < <("$fleet" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z-]* \{0,1\}[a-z-]*\)  *[A-Z].*/\1/p' | sed 's/ *$//')
missing='' wide=''
for verb in "${verbs[@]}"; do
	grep -qx "## $verb" $page || missing+=" '$verb'"
	section=$(awk -v name="$verb" '/^## / {inside = ($0 == "## " name)} inside' $page)
	# shellcheck disable=SC2086 # words
	"$fleet" $verb --help >"$tmp/help"
	[ "$(wc -L <"$tmp/help")" -le 80 ] || wide+=" '$verb'"
	for option in $(grep -oE '(^|[ ,])--[a-z][a-z-]*' "$tmp/help" | sort -u); do
		case $option in --help | --json | --quiet) continue ;; esac
		grep -qF -- "$option" <<<"$section" || missing+=" '$verb' $option"
	done
done
ok "there are many commands" test ${#verbs[@]} -ge 70
empty "each, and each of its options, is in the manual" "$missing"
empty "help fits 80 columns" "$wide"
ok "completion is printed" "$fleet" completion bash
cp "$tmp/out" "$tmp/completion"
# complete_words WORD…: what is offered for the last of them.
complete_words()
{
	bash -c '. "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ashlar_fleet
		echo "${COMPREPLY[*]}"' - "$tmp/completion" "$@"
}
is "of a first word" "$(complete_words ashlar-fleet roll)" rollouts
is "of a second" "$(complete_words ashlar-fleet rollouts sta)" start
is "of the options of both" "$(complete_words ashlar-fleet rollouts start --can)" --canaries
is "of the options of one" "$(complete_words ashlar-fleet hosts --col)" --columns

ok "for zsh" "$fleet" completion zsh
cp "$tmp/out" "$tmp/completion.zsh"
zsh_words()
{
	zsh -fc '_describe() { print -l -- "${(P@)2}" }; _files() { : }; . $1; shift
		words=("$@") CURRENT=$# PREFIX=${@[-1]}; _ashlar_fleet' - "$tmp/completion.zsh" "$@"
}
like "with what it is for" "$(zsh_words ashlar-fleet roll)" '^rollouts:List rollouts$'
like "of a second word" "$(zsh_words ashlar-fleet rollouts sta)" '^start:'
like "of the options" "$(zsh_words ashlar-fleet rollouts start --can)" '^--canaries:'
ok "for fish" "$fleet" completion fish
cp "$tmp/out" "$tmp/completion.fish"
fish_words()
{
	fish --no-config -c 'source $argv[1]; complete -C "$argv[2]"' "$tmp/completion.fish" "$1"
}
is "with what it is for" "$(fish_words 'ashlar-fleet rollo')" $'rollouts\tList rollouts'
like "of a second word" "$(fish_words 'ashlar-fleet rollouts sta')" '^start'
like "of the options" "$(fish_words 'ashlar-fleet rollouts start --can')" '^--canaries'
exits 2 "for another one" "$fleet" completion csh

# ---- without a server ----

exits 7 "nobody logged in" "$fleet" hosts
like "it says what to do" "$(cat "$tmp/err")" "ashlar-fleet login"
exits 2 "an unknown verb" "$fleet" hosst
like "with the one that was meant" "$(cat "$tmp/err")" "did you mean 'hosts'"
exits 2 "a verb of two words and too few arguments" "$fleet" rollouts start 1.0
like "it is named whole" "$(cat "$tmp/err")" "rollouts start"
ok "simulate needs no server" "$fleet" simulate --hosts 500 --runs 3 --fails 0.3 --json
is "a bad release is stopped" "$(jq -c '.items[0] | [.stopped, .exposed <= 16]' "$tmp/out")" '[1,true]'
cp "$tmp/out" "$tmp/first"
ok "again" "$fleet" simulate --hosts 500 --runs 3 --fails 0.3 --json
is "the same seed gives the same" "$(cat "$tmp/out")" "$(cat "$tmp/first")"
exits 2 "a share above one" "$fleet" simulate --fails 7

# ---- log in ----

mkdir -p "$dir"
echo 'ddi: {enabled: true}' >"$dir/fleetd.yaml"
"$fleetd" serve "$dir" --listen 127.0.0.1:0 --json >"$tmp/started" 2>"$tmp/log" &
pid=$!
at_exit+=("kill $pid")
for ((i = 0; i < 300; i++)); do
	[ -s "$tmp/started" ] && break
	kill -0 $pid 2>/dev/null || break
	sleep 0.1
done
url=https://localhost:$(jq -r .port "$tmp/started")
token=$(jq -r .token "$tmp/started")
ca=$(jq -r .ca_sha256 "$tmp/started")

printf '%s\n' "$token" >"$tmp/token"
exits 5 "a server of an unknown authority is not believed" "$fleet" login "$url" --token-file "$tmp/token"
exits 5 "nor one with another fingerprint" "$fleet" login "$url" --token-file "$tmp/token" \
	--fingerprint "${ca//[0-9]/0}"
echo "nonsense" >"$tmp/wrong"
exits 1 "a wrong token is refused" "$fleet" login "$url" --token-file "$tmp/wrong" --ca "$dir/ca.pem"
exits 7 "and nothing was kept" "$fleet" hosts
ok "by the authority's file" "$fleet" login "$url" --token-file "$tmp/token" --ca "$dir/ca.pem"
rm "$XDG_CONFIG_HOME/ashlar/fleet.json"
ok "by the authority's fingerprint" "$fleet" login "$url" --fingerprint "$ca" --token-file "$tmp/token"
is "what is kept is for nobody else" "$(stat -c %a "$XDG_CONFIG_HOME/ashlar/fleet.json")" 600
ok "whoami" "$fleet" whoami
like "says the role" "$(cat "$tmp/out")" 'role +admin'
exits 6 "a server that is not there" env ASHLAR_FLEET_URL=https://127.0.0.1:1 ASHLAR_FLEET_TOKEN=a.b "$fleet" hosts
exits 7 "another server does not get this one's token" env ASHLAR_FLEET_URL=https://127.0.0.1:1 "$fleet" hosts

# ---- ask ----

for verb in hosts groups\ version tokens releases channels policies rollouts events locks audit users \
	api-tokens webhooks ddi-targets ddi-modules overview overview\ timeline export; do
	# shellcheck disable=SC2086 # words
	ok "$verb" "$fleet" $verb
	# shellcheck disable=SC2086 # words
	ok "$verb --json" "$fleet" $verb --json
	ok "... is JSON" jq -e . "$tmp/out"
done
exits 3 "a host that is not there" "$fleet" host 00000000
exits 3 "a rollout that is not there" "$fleet" rollouts show nothing
exits 3 "a selector that is none" "$fleet" hosts 'site ='
exits 2 "a column that is none" "$fleet" hosts --columns name,colour
ok "the audit log is whole" "$fleet" audit verify

# ---- change ----

ok "a join token" "$fleet" tokens add --note rack --label site=bern --uses 3 --expires 1h
like "its secret alone is printed" "$(cat "$tmp/out")" '^[0-9a-zA-Z]+\.[0-9a-zA-Z]+$'
id=$(cut -d. -f1 "$tmp/out")
ok "it is listed" "$fleet" tokens
like "with its label" "$(cat "$tmp/out")" "$id.*site=bern"
ok "and revoked" "$fleet" tokens revoke "$id"
is "as the list shows" "$("$fleet" tokens --json | jq -r --arg id "$id" '.items[] | select(.id == $id) | .revoked_at > 0')" true

ok "a user" bash -c "echo 'a long enough password' | '$fleet' users add ann --role operator --password"
ok "changed" "$fleet" users set ann --role viewer
is "as the list shows" "$("$fleet" users --json | jq -r '.items[] | select(.name == "ann") | .role')" viewer

# Who has a password and no token.
# told LINES PROGRAM…: on standard input.
told()
{
	printf '%s\n' "$1" | "${@:2}"
}
cp "$XDG_CONFIG_HOME/ashlar/fleet.json" "$tmp/admin.json"
exits 7 "a token has no password" told $'one\ntwo' "$fleet" password
exits 1 "a wrong password" told 'not this one' "$fleet" login "$url" --name ann --ca "$dir/ca.pem"
ok "log in by name" told 'a long enough password' "$fleet" login "$url" --name ann --ca "$dir/ca.pem"
like "whoami" "$("$fleet" whoami)" 'name +ann'
is "what is kept is for nobody else" "$(stat -c %a "$XDG_CONFIG_HOME/ashlar/fleet.json")" 600
is "... and has no password in it" "$(grep -c 'long enough' "$XDG_CONFIG_HOME/ashlar/fleet.json")" 0
cp "$XDG_CONFIG_HOME/ashlar/fleet.json" "$tmp/ann.json"
exits 1 "a viewer changes nothing" "$fleet" tokens add
exits 1 "one's own password, without the old one" told $'no idea\na still longer password' "$fleet" password
exits 3 "a short one" told $'a long enough password\nshort' "$fleet" password
ok "one's own password" told $'a long enough password\na still longer password' "$fleet" password
ok "goes on with the new one" "$fleet" whoami
exits 1 "other sessions have ended" env XDG_CONFIG_HOME="$tmp/other" bash -c "mkdir -p '$tmp/other/ashlar' &&
	cp '$tmp/ann.json' '$tmp/other/ashlar/fleet.json' && '$fleet' whoami"
like "... and it says what to do" "$(cat "$tmp/err")" "ashlar-fleet login"
cp "$XDG_CONFIG_HOME/ashlar/fleet.json" "$tmp/ann.json"
ok "logout" "$fleet" logout
cp "$tmp/ann.json" "$XDG_CONFIG_HOME/ashlar/fleet.json"
exits 1 "ends the session for the server too" "$fleet" whoami
exits 1 "the old password is none" told 'a long enough password' "$fleet" login "$url" --name ann --ca "$dir/ca.pem"
cp "$tmp/admin.json" "$XDG_CONFIG_HOME/ashlar/fleet.json"
ok "the user is removed" "$fleet" users remove ann

ok "an API token for a viewer" "$fleet" api-tokens add --role viewer --note page
viewer=$(cat "$tmp/out")
ok "it reads" env ASHLAR_FLEET_TOKEN="$viewer" "$fleet" hosts
exits 1 "and changes nothing" env ASHLAR_FLEET_TOKEN="$viewer" "$fleet" tokens add
ok "revoked" "$fleet" api-tokens revoke "${viewer%%.*}"
exits 1 "it is refused" env ASHLAR_FLEET_TOKEN="$viewer" "$fleet" hosts
like "and says what to do" "$(cat "$tmp/err")" "ashlar-fleet login"

ok "a policy" "$fleet" policies set night --selector 'site = bern' --window '02:00-05:00 Europe/Zurich' --poll 10m
like "is listed" "$("$fleet" policies)" 'night.*02:00-05:00 Europe/Zurich'
ok "its note is changed" "$fleet" policies set night --note quiet --reason "to be nice"
is "... and nothing else" "$("$fleet" policies show night --json | jq -c '[.selector, .windows, .poll, .note]')" \
	'["site = bern",["02:00-05:00 Europe/Zurich"],600,"quiet"]'
like "the reason is in the audit log" "$("$fleet" audit)" 'policy:?night.*to be nice'
exits 3 "a window that is none" "$fleet" policies set night --selector all --window sometimes
ok "a lock group" "$fleet" locks set rack1 --slots 2 --lease 30m
is "is listed" "$("$fleet" locks --json | jq -r '.items[] | select(.group == "rack1") | .slots')" 2
ok "it is paused" "$fleet" locks set rack1 --paused "a fire"
like "... and nothing else changes" "$("$fleet" locks show rack1 | xargs)" 'slots 2 lease 1800 paused a fire'
exits 2 "a slot is taken away only with a reason" "$fleet" locks release rack1 host
ok "removed" "$fleet" locks remove rack1
ok "a webhook" "$fleet" webhooks add https://127.0.0.1:9/hook --kind rollout.halted
ok "listed" "$fleet" webhooks
hook=$("$fleet" webhooks --json | jq -r '.items[0].id')
ok "paused" "$fleet" webhooks pause "$hook"
ok "resumed" "$fleet" webhooks resume "$hook"
ok "removed" "$fleet" webhooks remove "$hook"

# ---- devices that speak DDI ----

ok "a device" "$fleet" ddi-targets add panel-1
like "its token alone is printed" "$(cat "$tmp/out")" '^[0-9a-f]{32}$'
ok "a module" "$fleet" ddi-modules add firmware 1.1 --type os
module=$(cat "$tmp/out")
mkdir -p "$dir/content/ddi/upload"
echo hello >"$dir/content/ddi/upload/panel.swu"
ok "a file for it" "$fleet" ddi-modules file "$module" panel.swu
like "is told by its hash" "$(cat "$tmp/out")" "sha256 +$(echo hello | sha256sum | cut -d' ' -f1)"
like "is listed with its module" "$("$fleet" ddi-modules show "$module")" "panel\\.swu +6 "
like "the device" "$("$fleet" ddi-targets show panel-1)" "id +panel-1"
exits 3 "one that is not there" "$fleet" ddi-modules file "$module" other.swu
exits 2 "a module that is no number" "$fleet" ddi-actions start panel-1 panel 1.1 firmware
ok "an action" "$fleet" ddi-actions start panel-1 panel 1.1 "$module" --kind soft --weight 5 --reason "a new panel"
action=$(cat "$tmp/out")
like "is listed" "$("$fleet" ddi-actions panel-1)" " *$action +panel +1\.1 +running +yes +soft"
ok "is forced" "$fleet" ddi-actions force panel-1 "$action"
is "... which shows" "$("$fleet" ddi-actions show panel-1 "$action" --json | jq -r .kind)" forced
ok "is cancelled" "$fleet" ddi-actions cancel panel-1 "$action"
ok "is ended without the device" "$fleet" ddi-actions quit panel-1 "$action"
like "... which shows" "$("$fleet" ddi-actions show panel-1 "$action")" 'state +cancel'
ok "the device goes" "$fleet" ddi-targets remove panel-1

# ---- settings out and in ----

ok "export" "$fleet" export
cp "$tmp/out" "$tmp/settings.yaml"
ok "what was exported changes nothing" "$fleet" import "$tmp/settings.yaml" --dry-run
ok "a policy goes" "$fleet" policies remove night
exits 8 "now it would change something" "$fleet" import "$tmp/settings.yaml" --dry-run
ok "import" "$fleet" import "$tmp/settings.yaml"
like "the policy is there again" "$("$fleet" policies)" night
printf '%s\n' 'format: 1' 'webhooks:' '  - {url: "http://127.0.0.1:9/imported", kinds: [ddi.*]}' 'hosts:' \
	"  - {id: $(printf '%064d' 7), labels: {a: b}}" >"$tmp/hook.yaml"
ok "an import makes a webhook" "$fleet" import "$tmp/hook.yaml"
like "... and shows its secret, this once" "$(tr '\n' ' ' <"$tmp/out")" 'imported +[0-9a-f]{64}'
like "... and says whose labels it left out" "$(cat "$tmp/err")" '1 host is named that is not of this fleet'

# ---- rollouts: nobody there to take it ----

exits 3 "a release that is not there" "$fleet" rollouts start 9.9.9 all --yes
exits 2 "a budget that is none" "$fleet" rollouts start 9.9.9 all --budget site
exits 2 "a time that is none" "$fleet" rollouts start 9.9.9 all --soak soon

# ---- the stream ----

"$fleet" events --follow --kind policy.changed >"$tmp/stream" 2>&1 &
follower=$!
at_exit+=("kill $follower 2>/dev/null")
for ((i = 0; i < 100 && $(grep -c . "$tmp/stream") < 2; i++)); do
	"$fleet" policies set "stream$i" --selector none >/dev/null 2>&1
	sleep 0.2
done
like "events --follow shows what happens" "$(tail -1 "$tmp/stream")" 'policy.changed'
kill -INT $follower
wait $follower
is "and ends by Ctrl-C" $? 130

is "the token is in no log" "$(grep -c "${token#*.}" "$tmp/log")" 0
ok "logout" "$fleet" logout
exits 7 "forgets it" "$fleet" hosts

done_testing
