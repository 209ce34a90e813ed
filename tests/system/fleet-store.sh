#!/bin/bash
# needs: root mount curl jq openssl
# SPDX-License-Identifier: Apache-2.0
# The fleet's database when things go wrong: full and read-only disks, damaged files, killed servers, PostgreSQL that
# goes away and comes back, two servers on one PostgreSQL. What was acknowledged is there; what went wrong is said.
. tests/lib/tap.sh
. tests/lib/postgres.bash

built=${ashlar_bin%/bin}
[ "$built" = "$PWD/build" ] && built=$PWD/build/release
load=$built/tests/lib/fleet-store-load

# until COMMAND…: it succeeds, within a minute.
until_ok()
{
	local i
	for ((i = 0; i < 3000; i++)); do
		"$@" && return
		sleep 0.02
	done
	return 1
}

# lines FILE AT-LEAST
lines()
{
	[ "$(wc -l <"$1")" -ge "$2" ]
}

says()
{
	grep -q "$2" "$1" 2>/dev/null
}

# begin NAME ADDRESS VERB [ARGUMENT]: in the background; its output in $tmp/NAME.out and .err, its id in pid[NAME].
declare -A pid=()
begin()
{
	"$load" "$2" "${@:3}" >>"$tmp/$1.out" 2>>"$tmp/$1.err" &
	pid[$1]=$!
	at_exit+=("kill -9 ${pid[$1]}")
}

# finish NAME [SIGNAL]: and what it ended with
finish()
{
	local code=0
	kill "-${2:-TERM}" "${pid[$1]}" 2>/dev/null
	{ wait "${pid[$1]}"; } 2>/dev/null || code=$?
	return $code
}

# more NAME COUNT: so many lines more than now
more()
{
	until_ok lines "$tmp/$1.out" $(($(wc -l <"$tmp/$1.out") + $2))
}

# ---- SQLite: killed

db=sqlite:$tmp/kill.db
kills=${ASHLAR_KILLS:-15}
: >"$tmp/kill.out"
acknowledged=0
for ((i = 1; i <= kills; i++)); do
	begin kill "$db" write "$i"
	more kill $((RANDOM % 3000 + 1)) || fail "kill $i: it writes" "$(cat "$tmp/kill.err")"
	finish kill KILL
	# The last line may be cut: it was not read to its end by anybody.
	[ -z "$(tail -c 1 "$tmp/kill.out")" ] || sed -i '$d' "$tmp/kill.out"
done
acknowledged=$(wc -l <"$tmp/kill.out")
ok "killed $kills times under load, the database is whole and has every event that was acknowledged" \
	"$load" "$db" check "$tmp/kill.out"
stdout_like "... and they were many" "^$acknowledged acknowledged, 0 missing"

# ---- SQLite: full, read-only, damaged

mkdir "$tmp/small"
mount -t tmpfs -o size=6m,mode=700 tmpfs "$tmp/small"
at_exit+=("umount -l '$tmp/small'")
db=sqlite:$tmp/small/fleet.db
begin full "$db" write full
until_ok says "$tmp/full.err" FULL
is "a full disk is said" "$(cut -d' ' -f1 "$tmp/full.err" | sort -u)" FULL
like "... with the file's name" "$(cat "$tmp/full.err")" "small/fleet.db"
mount -o remount,size=64m "$tmp/small"
ok "... and with room again it goes on" more full 2000
finish full
ok "... with every event that was acknowledged" "$load" "$db" check "$tmp/full.out"

ok "a backup" "$load" "$db" backup "$tmp/small/backup"
cp "$tmp/small/backup" "$tmp/backup"
mount -o remount,ro "$tmp/small"
exits 1 "a database on a read-only file system is refused" "$load" "$db" check
stderr_like "... and it is said so" "^FULL .*read-only"
exits 1 "a new one, too" "$load" "sqlite:$tmp/small/new.db" check
stderr_like "... likewise" "^FULL .*[Rr]ead-only"
ok "a backup on a read-only file system can be restored" \
	"$load" "sqlite:$tmp/restored.db" restore "$tmp/small/backup"
mount -o remount,rw "$tmp/small"
rm "$tmp/small"/*
dd if=/dev/zero of="$tmp/small/filler" bs=16k status=none 2>/dev/null
exits 1 "a backup onto a full disk fails" "$load" "sqlite:$tmp/restored.db" backup "$tmp/small/copy"
stderr_like "... and says so" "^FULL .*small/copy"
is "... and leaves nothing" "$(echo "$tmp/small"/*)" "$tmp/small/filler"

# Bytes in the middle of pages, all over the file, as a bad disk has them.
cp "$tmp/backup" "$tmp/bad.db"
pages=$(($(stat -c %s "$tmp/bad.db") / 4096))
for ((i = 2; i < pages; i += 7)); do
	head -c 200 /dev/urandom | dd of="$tmp/bad.db" bs=1 seek=$((i * 4096)) conv=notrunc status=none
done
exits 1 "a damaged database is found" "$load" "sqlite:$tmp/bad.db" check
stderr_like "... and what to do is said" "^CORRUPT .*bad.db.*damaged.*ashlar-fleetd restore"
cp "$tmp/backup" "$tmp/head.db"
head -c 100 /dev/urandom | dd of="$tmp/head.db" conv=notrunc status=none
exits 1 "so is one that is none any more" "$load" "sqlite:$tmp/head.db" write x
stderr_like "... at its opening" "^CORRUPT .*head.db.*restore"
exits 1 "a damaged backup is not restored" "$load" "sqlite:$tmp/again.db" restore "$tmp/bad.db"
ok "the good one is" "$load" "sqlite:$tmp/again.db" restore "$tmp/backup"
ok "... and has what was acknowledged" "$load" "sqlite:$tmp/again.db" check "$tmp/full.out"

# ---- PostgreSQL

if [ -z "$postgres_bin" ] && [ "${ASH_MUST_RUN:-}" != 1 ]; then
	skip "PostgreSQL" "needs postgresql"
	done_testing
fi
postgres_need
ok "a PostgreSQL of the test's own" postgres_init "max_connections = 40"
ok "... starts" postgres_start
export ASH_TEST_POSTGRES=${postgres#postgres:}
for test in db db-copy writer event audit retention operator release overview export webhook; do
	ok "test-$test over PostgreSQL" timeout 120 "$built/tests/unit/test-$test"
	like "... really" "$(cat "$tmp/out")" "^ok [0-9]+ /$test/postgres/"
done

# Two servers write, a third process listens; the database crashes and comes back.
begin one "$postgres" write one
begin two "$postgres" write two
until_ok lines "$tmp/one.out" 1
begin follow "$postgres" follow
begin lead "$postgres" lead scheduler
until_ok says "$tmp/lead.out" leads
begin second "$postgres" lead scheduler
until_ok says "$tmp/second.out" waits
ok "both write" more one 500
for mode in immediate fast immediate; do
	: >"$tmp/one.err"
	ok "PostgreSQL ends ($mode)" postgres_stop "$mode"
	ok "... which is said as LOST" until_ok says "$tmp/one.err" "^LOST PostgreSQL: "
	is "... and as nothing else" "$(cut -d' ' -f1 "$tmp/one.err" | sort -u)" LOST
	ok "... it starts again" postgres_start
	ok "... and one goes on" more one 500
	ok "... and the other" more two 500
done
finish one
finish two
ok "nothing that was acknowledged is lost" "$load" "$postgres" check "$tmp/one.out"
ok "... by the other neither" "$load" "$postgres" check "$tmp/two.out"
ok "the end of the events" "$load" "$postgres" end
{ wait "${pid[follow]}"; } 2>/dev/null
like "who listened all the time heard every event, in order" "$(cat "$tmp/follow.out")" \
	'^heard ([0-9]+) of \1$'

# One leads at a time: each says "leads" only when the other cannot.
leads_now()
{
	[ "$(tail -n 1 "$tmp/$1.out")" = leads ]
}
one_leads()
{
	[ "$(tail -qn 1 "$tmp/lead.out" "$tmp/second.out" | sort | xargs)" = "leads waits" ]
}
ok "one of two leads" until_ok one_leads
leader=lead other=second
leads_now lead || leader=second other=lead
finish "$leader" KILL
ok "when it is killed, the other does" until_ok leads_now "$other"
begin third "$postgres" lead scheduler
until_ok says "$tmp/third.out" waits
is "... and nobody else" "$(cat "$tmp/third.out")" waits
begin apart "$postgres" lead another
ok "what has another name is led apart" until_ok leads_now apart

ok "a backup of PostgreSQL" "$load" "$postgres" backup "$tmp/postgres.backup"
ok "... is restored into SQLite" "$load" "sqlite:$tmp/from-postgres.db" restore "$tmp/postgres.backup"
ok "... with all that was acknowledged" "$load" "sqlite:$tmp/from-postgres.db" check "$tmp/one.out"

# ---- the server on them: it says that it is not well, and finds out by itself that it is again

. tests/lib/fleet.bash
. tests/lib/fleet-hosts.bash
# well STATUS: of /healthz
well()
{
	api GET /healthz
	[ "$status" = "$1" ]
}
mkdir "$tmp/tight"
mount -t tmpfs -o size=3m,mode=700 tmpfs "$tmp/tight"
at_exit+=("umount -l '$tmp/tight'")
ok "a server on a small disk" fleet_start "$tmp/tight/fleet"
ok "a host joins" hosts_join 1 '{"site":"bern"}'
ok "... and is heard" hosts_round
cat /dev/zero >"$tmp/tight/fill" 2>/dev/null
hosts_round 1
like "on a full disk it is told that nothing was taken" "$(cat "$hosts/1.answer")" '"kind":"storage"'
ok "... and the server is not well" until_ok well 503
rm "$tmp/tight/fill"
ok "with room it is again, with nobody there" until_ok well 200
ok "... and the host is heard" hosts_round
fleet_stop

postgres_sql 'CREATE DATABASE served'
hosts_forget
fleet_token='' fleet_listen=''
ok "a server on PostgreSQL" fleet_start "$tmp/served" "database: \"${postgres/dbname=postgres/dbname=served}\""
ok "a host joins" hosts_join 1 '{"site":"bern"}'
postgres_stop immediate
ok "PostgreSQL ends, and the server is not well, with nobody there" until_ok well 503
hosts_round 1
like "... who comes is told to come again" "$(cat "$hosts/1.answer")" '"kind":"(storage|database)"'
ok "it starts again" postgres_start
ok "... and the server is well" until_ok well 200
ok "... and the host is heard" hosts_round
fleet_stop
done_testing
