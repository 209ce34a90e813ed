# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
# A PostgreSQL of the test's own below $tmp, for tests that source tests/lib/tap.sh first; it runs as user postgres,
# reachable by its socket alone, and ends with the test. 'postgres' is its address as ashlar-fleetd takes it.

postgres_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
postgres_dir=$tmp/postgres
postgres="postgres:host=$postgres_dir user=postgres dbname=postgres"

# Skips the test, or fails it in ASH_MUST_RUN, when there is no PostgreSQL.
postgres_need()
{
	[ "$(id -u)" -eq 0 ] || skip_all "needs root, to be user postgres"
	[ -n "$postgres_bin" ] || skip_all "needs postgresql"
	getent passwd postgres >/dev/null || skip_all "needs the user postgres"
}

as_postgres()
{
	(cd / && setpriv --reuid=postgres --regid=postgres --clear-groups -- env -i PATH=/usr/bin:/bin LC_ALL=C "$@")
}

# postgres_init [SETTING…]: 'fsync=off' and the like.
postgres_init()
{
	chmod a+x "$tmp"
	install -d -o postgres "$postgres_dir"
	as_postgres "$postgres_bin/initdb" -D "$postgres_dir/data" -A trust -E UTF8 --no-locale -N >/dev/null || return
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$postgres_dir'"
		printf '%s\n' "$@"
	} >>"$postgres_dir/data/postgresql.conf"
	at_exit+=("postgres_stop immediate")
}

postgres_start()
{
	as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir/data" -l "$postgres_dir/log" -w -t 60 start \
		>/dev/null 9>&-
}

# postgres_stop [smart|fast|immediate]; immediate is what a crash leaves.
postgres_stop()
{
	as_postgres "$postgres_bin/pg_ctl" -D "$postgres_dir/data" -w -t 60 -m "${1:-fast}" stop >/dev/null
}

postgres_sql()
{
	psql -qtAX -h "$postgres_dir" -U postgres -c "$1" postgres
}
