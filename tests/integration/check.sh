#!/bin/bash
# needs: perl
# SPDX-License-Identifier: Apache-2.0
# ashlar-check against servers and files that are well and that are not.
. tests/lib/tap.sh

check=$ashlar_bin/ashlar-check
tools=${ASH_TEST_TOOLS:-$PWD/build/release/tests/lib}

# says CODE NAME LINE ARGUMENT…: ends so, and prints just this line.
says()
{
	local code=$1 name=$2 line=$3
	shift 3
	exits "$code" "$name" "$check" "$@"
	is "  and says what was seen" "$(cat "$tmp/out")" "$line"
}

# serve: an HTTP server for $tmp/www; sets $server_pid, $port.
mkdir "$tmp/www"
echo fine >"$tmp/www/health"
head -c 3000000 /dev/zero >"$tmp/www/large"
mkfifo "$tmp/httpd-stdin"
"$tools/httpd" --faults "$tmp/faults" --log "$tmp/log" "$tmp/www" \
	<"$tmp/httpd-stdin" >"$tmp/httpd-port" &
server_pid=$!
at_exit+=("kill -CONT $server_pid; kill $server_pid")
exec 9>"$tmp/httpd-stdin"
while ! [ -s "$tmp/httpd-port" ]; do sleep 0.02; done
port=$(cat "$tmp/httpd-port")
url=http://127.0.0.1:$port

# raw ANSWER: one that answers whatever it is asked with just these bytes (printf); sets $raw_port.
raw()
{
	rm -f "$tmp/raw-port"
	# shellcheck disable=SC2016
	ANSWER=$(printf "%b_" "$1") perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 5) or die;
		open(my $f, ">", "$ARGV[0].new"); print $f $s->sockport; close $f;
		rename("$ARGV[0].new", $ARGV[0]); chop($ENV{ANSWER});
		while (my $c = $s->accept) { print $c $ENV{ANSWER}; $c->flush; shutdown($c, 1);
			1 while sysread($c, my $b, 4096); close $c }' "$tmp/raw-port" 9>&- &
	at_exit+=("kill $!")
	while ! [ -s "$tmp/raw-port" ]; do sleep 0.02; done
	raw_port=$(cat "$tmp/raw-port")
}

# ---- http

says 0 "http: 200 passes" "$url/health: 200" http "$url/health"
says 0 "only the status is waited for" "$url/large: 200" http "$url/large"
says 1 "404 fails" "$url/nothing: 404" http "$url/nothing"
echo '/health status 503 0' >"$tmp/faults"
says 1 "503 fails" "$url/health: 503" http "$url/health"
is "it was asked once" "$(grep -c '^/health 503' "$tmp/log")" 1
echo '/health endless 0' >"$tmp/faults"
says 0 "a body without an end does not matter" "$url/health: 200" http "$url/health"
rm "$tmp/faults"
raw 'HTTP/1.1 302 Found\r\nLocation: /health\r\nContent-Length: 0\r\n\r\n'
says 1 "a redirect is not followed" "http://127.0.0.1:$raw_port/: 302" http "http://127.0.0.1:$raw_port/"
raw 'SSH-2.0-example\r\n'
exits 1 "something that does not speak HTTP fails" "$check" http "http://127.0.0.1:$raw_port/"
like "  and is named" "$(cat "$tmp/out")" "^http://127\.0\.0\.1:$raw_port/: "
exits 1 "https to a server without TLS fails" "$check" http "https://127.0.0.1:$port/health"
export http_proxy=http://127.0.0.1:1 HTTP_PROXY=http://127.0.0.1:1
says 0 "no proxy comes between" "$url/health: 200" http "$url/health"
unset http_proxy HTTP_PROXY

# ---- tcp

says 0 "tcp: a listener passes" "127.0.0.1:$port: connected" tcp "127.0.0.1:$port"
says 0 "by name too" "localhost:$port: connected" tcp "localhost:$port"

# Stopped, the kernel still takes connections for it.
kill -STOP $server_pid
says 1 "a server that hangs fails in time" "$url/health: no answer within 300 ms" \
	--timeout 300ms http "$url/health"
says 0 "though it can be connected to" "127.0.0.1:$port: connected" tcp "127.0.0.1:$port"
kill -CONT $server_pid

kill $server_pid
wait $server_pid
says 1 "tcp: nobody there" "127.0.0.1:$port: Connection refused" tcp "127.0.0.1:$port"
exits 1 "http: nobody there" "$check" http "$url/health"
is "one line" "$(wc -l <"$tmp/out")" 1

# ---- dns

exits 0 "dns: a name with an address" "$check" dns localhost
like "  which is shown" "$(cat "$tmp/out")" '^localhost: (127\.0\.0\.1|::1)$'
exits 1 "a name without" "$check" --timeout 3s dns nothing.invalid
like "  is named" "$(cat "$tmp/out")" '^nothing\.invalid: .'

# ---- file and space

touch "$tmp/ready"
ln -s nothing "$tmp/dangling"
says 0 "file: exists" "$tmp/ready: exists" file "$tmp/ready"
says 0 "a directory too" "$tmp: exists" file "$tmp"
says 1 "does not" "$tmp/nothing: No such file or directory" file "$tmp/nothing"
says 1 "a link to nothing does not" "$tmp/dangling: No such file or directory" file "$tmp/dangling"
long=/$(printf 'x%.0s' {1..240})/$(printf 'y%.0s' {1..240})
exits 1 "a long path" "$check" file "$long"
is "is cut to a line of 200 bytes" "$(wc -c <"$tmp/out")" 201

exits 0 "space: some is free" "$check" space "$tmp" 1 1
like "  and how much" "$(cat "$tmp/out")" "^$tmp: .*B free$"
exits 1 "not so much" "$check" space "$tmp" 9000000000000000000 0
like "  and how much there is" "$(cat "$tmp/out")" "^$tmp: .*B free, 9000 PB wanted$"
inodes=$(stat -f -c %c "$tmp")
if [ "$inodes" -gt 0 ]; then
	exits 1 "nor so many inodes" "$check" space "$tmp" 0 9000000000000000000
	like "  and how many there are" "$(cat "$tmp/out")" 'inodes free, 9000000000000000000 wanted$'
else
	exits 0 "without a table of inodes there are enough" "$check" space "$tmp" 0 9000000000000000000
fi
exits 1 "of a place that is not there" "$check" space "$tmp/nothing" 1 1

# ---- words

for words in '' 'http' 'http a b' 'ping 127.0.0.1' 'unit a.service' 'command /bin/true' 'tcp localhost' \
	'http localhost' 'http file:///etc/passwd' 'file etc/passwd' 'file /etc/../x' 'space /var' \
	'space /var 1M 1' 'space /var -1 1' '--timeout' '--timeout 5 file /' '--timeout 0s file /' \
	'--timeout 2h file /' '--fast file /'; do
	# shellcheck disable=SC2086
	exits 2 "usage: '$words'" "$check" $words
	empty "  says nothing on standard output" "$(cat "$tmp/out")"
done
ok "--help" "$check" --help
stdout_like "is help" '^Usage: ashlar-check'
ok "help fits 80 columns" test "$(wc -L <"$tmp/out")" -le 80
ok "--version" "$check" --version
stdout_like "is a version" '^ashlar-check [0-9]'

done_testing
