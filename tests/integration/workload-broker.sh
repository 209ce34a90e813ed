#!/bin/bash
# needs: jq cmp python3
# SPDX-License-Identifier: Apache-2.0
# Calls between workloads by the broker: its policy, its limits, what a caller can and cannot do. The programs of
# the providers run here without a wall; tests/system/workload.sh has them in theirs.
. tests/lib/tap.sh

root=$tmp/root
mkdir -p "$tmp/bin" "$root/etc/ashlar/policy.d" "$root"/run/ashlar/workload/{web,mailer,signer,idle}/channel
cp "$ashlar_bin/ashlar-broker" "$tmp/bin"
cat >"$tmp/bin/ashlar-launch" <<'END'
#!/bin/bash
[ "$1" = exec ] || exit 99
shift
while [[ $1 == --setenv=* ]]; do
	export "${1#--setenv=}"
	shift
done
echo "$1" >>"${0%/*}/dirs"
shift 2
exec "$@"
END
cat >"$tmp/sign" <<'END'
#!/bin/bash
echo "for $ASHLAR_CALLER +$ASHLAR_ARGUMENT"
cat
echo "a word" >&2
exit 7
END
chmod +x "$tmp/bin/ashlar-launch" "$tmp/sign"

instance() # NAME REQUIRES PROVIDES…
{
	local name=$1 requires=$2
	shift 2
	jq -cn --arg name "$name" --arg dir "/run/ashlar/workload/$name" --argjson requires "$requires" \
		--argjson provides "$1" \
		'{instance: $name, workload: ($name | sub("@.*"; "")), dir: $dir, requires: $requires, provides: $provides}'
}
services=$(jq -cn --arg sign "$tmp/sign" '[
	{name: "sign.Text", command: [$sign]}, {name: "echo.Back", command: ["/bin/cat"]},
	{name: "wait.Long", command: ["/bin/sleep", "60"]}, {name: "talk.Much", command: ["/bin/head", "-c", "3000000", "/dev/zero"]}]')
{
	instance web '["sign.Text","echo.Back","wait.Long","talk.Much","not.There"]' '[]'
	instance mailer '["sign.Text"]' '[]'
	instance idle '[]' '[]'
	instance signer '[]' "$services"
} | jq -cs '{instances: .}' >"$root/run/ashlar/broker.json"
cat >"$root/etc/ashlar/policy.d/50-all.policy" <<'END'
sign.Text+secret web * deny
sign.Text web @default allow target=signer
sign.Text web signer allow
sign.Text mailer signer ask
echo.Back web signer allow
wait.Long web signer allow
talk.Much web signer allow
not.There web signer allow
END
"$tmp/bin/ashlar-broker" --root "$root" 2>"$tmp/log" &
broker=$!
at_exit+=("kill $broker")
wait_until()
{
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" && return
		sleep 0.05
	done
	return 1
}
ok "a socket for each that requires something" wait_until test -S "$root/run/ashlar/workload/mailer/channel/broker.sock"
ok "none for who requires nothing" test ! -e "$root/run/ashlar/workload/idle/channel/broker.sock"

# call WORKLOAD ARGUMENTS…: $out, $err, $code
call()
{
	local who=$1
	shift
	"$ashlar_bin/ashlar-call" --socket "$root/run/ashlar/workload/$who/channel/broker.sock" "$@" >"$tmp/answer" 2>"$tmp/words"
	code=$?
}

call web sign.Text signer <<<"a letter"
is "input, argument and caller arrive; output comes back" "$(cat "$tmp/answer")" $'for web +\na letter'
is "standard error comes back apart" "$(cat "$tmp/words")" "a word"
is "the exit code is the program's" "$code" 7
is "it ran in the provider's instance" "$(tail -1 "$tmp/bin/dirs")" "$root/run/ashlar/workload/signer"
call web sign.Text+mail <<<"x"
is "a call that names nobody goes where the policy says" "$(head -1 "$tmp/answer")" "for web +mail"

call web sign.Text+secret signer </dev/null
is "a denied argument" "$code: $(cat "$tmp/words")" "125: ashlar-call: refused: web may not call sign.Text"
call web not.There signer </dev/null
is "a service that nobody provides" "$(cat "$tmp/words")" "ashlar-call: refused: signer does not run, or does not provide not.There"
call mailer echo.Back signer </dev/null
is "what a definition does not require" "$(cat "$tmp/words")" "ashlar-call: refused: mailer does not say that it requires echo.Back"

head -c 5000000 /dev/urandom >"$tmp/big"
call web echo.Back signer <"$tmp/big"
ok "five megabytes go there and back" cmp "$tmp/big" "$tmp/answer"
call web talk.Much signer <"$tmp/big"
is "a program that talks and does not listen" "$code: $(stat -c %s "$tmp/answer")" "0: 3000000"

# The owner decides.
"$ashlar_bin/ashlar-call" --socket "$root/run/ashlar/workload/mailer/channel/broker.sock" sign.Text signer <<<"x" \
	>"$tmp/asked" 2>&1 &
asked=$!
pending()
{
	ls "$root/run/ashlar/pending/"*.json >"$tmp/pending" 2>/dev/null
}
ok "a call that has to be asked for waits" wait_until pending
is "and says who wants what" "$(jq -r '"\(.source) \(.service) \(.target)"' <"$(cat "$tmp/pending")")" "mailer sign.Text signer"
id=$(basename "$(cat "$tmp/pending")" .json)
echo allow >"$root/run/ashlar/pending/$id.answer"
wait "$asked"
is "allowed, it goes on" "$?: $(grep -c 'for mailer' "$tmp/asked")" "7: 1"
is "nothing stays of it" "$(ls "$root/run/ashlar/pending")" ""
"$ashlar_bin/ashlar-call" --socket "$root/run/ashlar/workload/mailer/channel/broker.sock" sign.Text signer </dev/null \
	>"$tmp/asked" 2>&1 &
asked=$!
wait_until pending
echo deny >"$root/run/ashlar/pending/$(basename "$(cat "$tmp/pending")" .json).answer"
wait "$asked"
is "denied, it does not" "$?" 125

# Nothing that a caller sends is believed.
send() # BYTES
{
	printf '%b' "$1" >"$tmp/bytes"
	python3 - "$root/run/ashlar/workload/web/channel/broker.sock" "$tmp/bytes" <<-'END'
		import socket, sys
		with socket.socket(socket.AF_UNIX) as s:
		    s.settimeout(20)
		    s.connect(sys.argv[1])
		    s.sendall(open(sys.argv[2], "rb").read())
		    s.shutdown(socket.SHUT_WR)
		    print(b"".join(iter(lambda: s.recv(4096), b""))[8:].decode())
	END
}
is "bytes that are no frame" "$(send 'GET / HTTP/1.1\r\n\r\n')" "that is no frame"
is "a frame that is no call" "$(send '\02\0\0\0\0\0\0\0')" "the first frame is no call"
is "a path as a service" "$(send '\01\0\0\0\010\0\0\0../../\0\0')" "the first frame is no call"
is "a call that breaks off" "$(send '\01\0\0\0\010')" "no call came"
calls=()
for _ in $(seq 40); do
	"$ashlar_bin/ashlar-call" --socket "$root/run/ashlar/workload/web/channel/broker.sock" wait.Long signer \
		</dev/null >/dev/null 2>&1 &
	calls+=($!)
done
children()
{
	pgrep -c -P "$broker"
}
many()
{
	[ "$(children)" -ge 32 ]
}
ok "many calls at once" wait_until many
sleep 0.3
is "of one instance no more than its share" "$(children)" 32
call mailer sign.Text+x nobody </dev/null
is "another one's calls go on" "$(cat "$tmp/words")" "ashlar-call: refused: mailer may not call sign.Text"
kill "${calls[@]}" 2>/dev/null
none()
{
	[ "$(children)" -eq 0 ]
}
ok "what nobody waits for any more is ended" wait_until none

echo 'sign.Text web signer oops' >"$root/etc/ashlar/policy.d/10-broken.policy"
call web sign.Text signer </dev/null
is "with a policy that cannot be read nothing may be called" "$code: $(cat "$tmp/words")" \
	"125: ashlar-call: refused: the host could not carry the call"
ok "the log says where it is wrong" grep -q '10-broken.policy:1: action .oops.' "$tmp/log"
rm "$root/etc/ashlar/policy.d/10-broken.policy"

jq -c '.instances |= map(select(.instance != "web"))' "$root/run/ashlar/broker.json" >"$tmp/new"
mv "$tmp/new" "$root/run/ashlar/broker.json"
gone()
{
	[ ! -e "$root/run/ashlar/workload/web/channel/broker.sock" ]
}
ok "who is no longer there has no socket any more" wait_until gone
done_testing
