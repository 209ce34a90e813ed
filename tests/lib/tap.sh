# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For shell tests, run from the root of the tree; a test begins with
#
#	#!/bin/bash
#	# needs: root vm jq          (on line 2: root, vm, kvm, apt, nspawn, or programs)
#	. tests/lib/tap.sh
#
# and ends with `done_testing`. $tmp is a directory of its own that goes when the test ends, $ashlar
# the program under test, $ashlar_bin the directory it is in. What a test needs and this machine lacks
# is a skip, or a failure where ASH_MUST_RUN=1.

set -u
export LC_ALL=C.UTF-8
ashlar_bin=${ASH_BIN:-$PWD/build/bin}
# shellcheck disable=SC2034
ashlar=$ashlar_bin/ashlar
test_count=0
test_failed=0
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/ash-test.XXXXXX")
at_exit=()

# at_exit+=("command") runs, last first, before $tmp goes.
tap_cleanup()
{
	local i
	for ((i = ${#at_exit[@]} - 1; i >= 0; i--)); do
		eval "${at_exit[i]}" >/dev/null 2>&1
	done
	rm -rf --one-file-system "$tmp"
}
trap tap_cleanup EXIT
trap 'exit 130' INT TERM

# On standard error, which prove lets through.
diag()
{
	sed 's/^/# /' <<<"$*" >&2
}

pass()
{
	test_count=$((test_count + 1))
	echo "ok $test_count - $1"
}

fail()
{
	test_count=$((test_count + 1))
	test_failed=$((test_failed + 1))
	echo "not ok $test_count - $1"
	shift
	[ $# -eq 0 ] || diag "$@"
}

skip()
{
	test_count=$((test_count + 1))
	echo "ok $test_count - $1 # SKIP $2"
}

# ok NAME COMMAND…: the command succeeds. Its output is in $tmp/out and $tmp/err.
ok()
{
	exits 0 "$@"
}

# exits CODE NAME COMMAND…: the command ends with just that exit code.
exits()
{
	local want=$1 name=$2 got=0
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null || got=$?
	if [ "$got" -eq "$want" ]; then
		pass "$name"
	else
		fail "$name" "exit code $got, wanted $want: $(cut -c1-200 <<<"$*")
$(tail -n 20 "$tmp/out" "$tmp/err")"
	fi
}

# is NAME GOT WANTED
is()
{
	if [ "$2" = "$3" ]; then
		pass "$1"
	else
		fail "$1" "got:    $2
wanted: $3"
	fi
}

# like NAME TEXT REGEX (extended)
like()
{
	if grep -Eq -- "$3" <<<"$2"; then
		pass "$1"
	else
		fail "$1" "no match for /$3/ in:
$2"
	fi
}

# unlike NAME TEXT REGEX
unlike()
{
	if grep -Eq -- "$3" <<<"$2"; then
		fail "$1" "unwanted match for /$3/ in:
$2"
	else
		pass "$1"
	fi
}

# empty NAME TEXT: nothing was found; what was found is the diagnosis.
empty()
{
	if [ -z "$2" ]; then
		pass "$1"
	else
		fail "$1" "$2"
	fi
}

# stderr_like NAME REGEX, stdout_like NAME REGEX: about the last ok or exits.
stderr_like()
{
	like "$1" "$(cat "$tmp/err")" "$2"
}

stdout_like()
{
	like "$1" "$(cat "$tmp/out")" "$2"
}

done_testing()
{
	echo "1..$test_count"
	exit $((test_failed > 0))
}

skip_all()
{
	if [ "${ASH_MUST_RUN:-}" = 1 ]; then
		fail "this test can run" "$1"
		done_testing
	fi
	echo "1..0 # SKIP $1"
	exit 0
}

qemu_system()
{
	case $(uname -m) in
	x86_64) echo qemu-system-x86_64 ;;
	aarch64) echo qemu-system-aarch64 ;;
	*) echo "qemu-system-$(uname -m)" ;;
	esac
}

has_need()
{
	case $1 in
	root) [ "$(id -u)" -eq 0 ] ;;
	nspawn) [ "$(id -u)" -eq 0 ] && command -v systemd-nspawn ;;
	kvm) grep -Eq '^flags.* (vmx|svm)' /proc/cpuinfo && [ -w /dev/kvm ] ;;
	vm) [ "$("$(qemu_system)" --version | sed -n 's/.*version \([0-9]*\).*/\1/p')" -ge 10 ] ;;
	apt) apt-get indextargets --format '$(ORIGIN)' 'Created-By: Packages' | grep -qx Debian ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

for need in $(sed -n '2s/^# needs://p' "$0"); do
	has_need "$need" || skip_all "needs $need"
done
