#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who may include whom, who may include what is foreign, and how things are called.
. tests/lib/tap.sh

# room_arrows ROOM ALLOWED (a regex of rooms): quoted includes of the room that point elsewhere.
room_arrows()
{
	[ -d "$1" ] || return 0
	grep -rnE --include='*.[ch]' '^#include "' "$1" | grep -vE "#include \"($2)/"
}

empty "lib/ includes only lib/" "$(room_arrows lib 'lib')"
for room in builder agent fleet; do
	empty "$room/ includes only $room/ and lib/" "$(room_arrows $room "$room|lib")"
done

# seam NAME HEADER-REGEX FILE-REGEX: only these files may include the library.
seam()
{
	local users
	users=$(grep -rlE --include='*.[ch]' "^#include [<\"]($2)[>\"]" lib builder agent fleet 2>/dev/null)
	empty "$1 is included only by $3" "$(grep -vE "^($3)$" <<<"$users")"
}

seam libsolv 'solv/.*' 'builder/solve(-[a-z]+)?\.c'
seam libarchive 'archive(_entry)?\.h' 'lib/archive\.c'
seam curl 'curl/.*' 'lib/fetch(-[a-z]+)?\.c'
seam libostree 'ostree.*\.h' 'builder/repo(-[a-z]+)?\.[ch]|agent/ostree(-[a-z]+)?\.[ch]'
seam GnuTLS 'gnutls/.*' 'lib/(crypto|x509)\.c|fleet/http(-[a-z]+)?\.[ch]'
seam libyaml 'yaml\.h' 'lib/yaml\.c'
seam libsystemd 'systemd/.*' 'agent/bus(-[a-z]+)?\.[ch]|fleet/ashlar-fleetd\.c'
seam libmicrohttpd 'microhttpd\.h' 'fleet/http(-[a-z]+)?\.[ch]'
seam SQLite 'sqlite3\.h' 'fleet/store/sqlite\.c'
seam libpq 'libpq.*\.h' 'fleet/store/postgres\.c'
seam argon2 'argon2\.h' 'fleet/password\.c'
seam libseccomp 'seccomp\.h' 'agent/workload/filter(-[a-z]+)?\.c'
seam libnftables 'nftables/.*' 'agent/workload/net(-[a-z]+)?\.c'
seam libmnl 'libmnl/.*' 'agent/workload/net(-[a-z]+)?\.c'
seam ldns 'ldns/.*' 'agent/workload/names\.c'
seam ext2fs '(ext2fs|et)/.*' 'builder/ext4\.c'
for room in builder agent fleet; do
	users=$(grep -rlE '^#include <ostree' $room 2>/dev/null | sed 's/[-.][a-z]*\(\.[ch]\)\{0,1\}$//' | sort -u | wc -l)
	ok "$room/ has one seam to libostree at most" test "$users" -le 1
done

archives=$(find build/release -maxdepth 1 -name '*.a')
ok "there are archives to look at" test -n "$archives"
# shellcheck disable=SC2086
empty "symbols that are not static begin with ash_" \
	"$(nm -A --defined-only --extern-only $archives 2>/dev/null |
		awk 'NF >= 3 && $NF !~ /^ash_/')"
empty "types in headers begin with Ash" \
	"$(grep -rnE --include='*.h' '^(} |typedef [^(]* \*?)[A-Za-z0-9_]+;' lib builder agent fleet \
		2>/dev/null | grep -vE '(} |[ *])Ash[A-Za-z0-9]*;')"

code=$(find lib builder agent fleet -name '*.[ch]' 2>/dev/null | sort)
# in_code REGEX: where it stands in C code, comments not counted as far as a line shows them.
in_code()
{
	# shellcheck disable=SC2086
	grep -nE -- "$1" $code | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/\*|\*|//)'
}
empty "errors are made by lib/error.c alone" \
	"$(in_code '\bg_(set_error|error_new)[a-z_]*\(' | grep -v '^lib/error\.c:')"
empty "nothing below main() ends the process" \
	"$(in_code '(^|[^_[:alnum:]])(exit|quick_exit|die)\(' | grep -vE '^agent/(initrd|workload/(enter|guest))')"
empty "quarks have underscores (clang-format breaks hyphens)" \
	"$(in_code 'G_DEFINE_QUARK\(' | grep -vE 'G_DEFINE_QUARK\([a-z0-9_]+, [a-z0-9_]+\)')"
empty "no critical-and-continue in place of an assertion" "$(in_code '\bg_return_(val_)?if_fail\(')"
empty "no shell is asked to run anything" "$(in_code '(^|[^_[:alnum:]])(system|popen)\(')"

done_testing
