#!/bin/bash
# needs: dbus-daemon busctl python3
# SPDX-License-Identifier: Apache-2.0
# The description of the D-Bus interface, what is really offered, ashlarctl and its manual agree.
. tests/lib/tap.sh
. tests/lib/bus.sh

unset MAKEFLAGS MAKELEVEL MFLAGS FLAVOR CC
ok "ashlarctl and a stand-in for ashlard" nice make -j2 "$fake_host1" build/bin/ashlarctl
ctl=build/bin/ashlarctl
page=docs/man/ashlarctl.1.scd
xml=agent/org.ashlar.Host1.xml

# interface: members of org.ashlar.Host1 in XML on standard input, one a line, sorted.
interface()
{
	python3 -c '
import sys, xml.etree.ElementTree as tree
for interface in tree.parse(sys.stdin).getroot().iter("interface"):
    if interface.get("name") != "org.ashlar.Host1":
        continue
    for member in interface:
        if member.tag not in ("method", "signal", "property"):
            continue
        args = ["%s %s %s" % (a.get("direction", "out"), a.get("type"), a.get("name"))
                for a in member.findall("arg")]
        print(member.tag, member.get("name"), member.get("type", ""), member.get("access", ""),
              ", ".join(args))' | LC_ALL=C sort
}

mkdir "$tmp/fake"
ok "a bus" bus_start
ok "somebody who serves" fake_start "$tmp/fake"
offered=$(busctl --address="$DBUS_SYSTEM_BUS_ADDRESS" introspect --xml-interface org.ashlar.Host1 \
	/org/ashlar/Host1 | interface)
like "something is offered" "$offered" '^method GetStatus'
is "what is offered is what is described" "$offered" "$(interface <"$xml")"

# Every method for people has a verb, by its name without Get.
ok "ashlarctl --help" "$ctl" --help
verbs=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$tmp/out" | sort -u | grep -vx workload)
workload_verbs=$(sed -n 's/^  \(workload [a-z]*\) .*/\1/p' "$tmp/out" | sort)
methods=$(sed -n 's/.*<method name="\(Get\)\{0,1\}\([A-Za-z]*\)".*/\2/p' "$xml" |
	grep -vE '^(Order|Fleet)' | tr '[:upper:]' '[:lower:]' | sort)
is "every method has a verb, and the other way round" "$verbs" "$methods"
is "the manual has each verb" \
	"$(sed -n 's/^## \([a-z]*\)$/\1/p' $page | grep -vxE 'completion|workload' | sort)" "$verbs"
missing=
for verb in $verbs; do
	ok "$verb --help" "$ctl" "$verb" --help
	ok "$verb: help fits 80 columns" test "$(wc -L <"$tmp/out")" -le 80
	section=$(awk -v name="$verb" '/^#/ {inside = ($0 == "## " name || $0 == "# COMMON OPTIONS")} inside' $page)
	"$ctl" "$verb" --help >"$tmp/help"
	for option in $(grep -oE '(^|[ ,])--[a-z][a-z-]*' "$tmp/help" | sort -u); do
		grep -qF -- "*$option*" <<<"$section" || missing+=" $verb:$option"
	done
done
empty "every option is in the manual" "$missing"
section=$(awk '/^#/ {inside = ($0 == "## workload" || $0 == "# COMMON OPTIONS")} inside' $page)
missing=
while read -r verb; do
	# shellcheck disable=SC2086
	ok "$verb --help" "$ctl" $verb --help
	ok "$verb: help fits 80 columns" test "$(wc -L <"$tmp/out")" -le 80
	cp "$tmp/out" "$tmp/help"
	grep -qF -- "*ashlarctl $verb*" <<<"$section" || missing+=" '$verb'"
	for option in $(grep -oE '(^|[ ,])--[a-z][a-z-]*' "$tmp/help" | sort -u); do
		grep -qF -- "*$option*" <<<"$section" || missing+=" $verb:$option"
	done
done <<<"$workload_verbs"
empty "every verb of workloads, with its options, is in the manual" "$missing"

# The policy names members of the interface, and all that strangers may not call is left out of theirs.
empty "the policy names nothing that is not there" \
	"$(sed -n 's/.*send_member="\([A-Za-z]*\)".*/\1/p' data/org.ashlar.Host1.conf |
		grep -vxE 'Get|GetAll' | while read -r member; do
		grep -q "<method name=\"$member\"" "$xml" || echo "$member"
	done)"
ok "completion is printed" "$ctl" completion bash
ok "completion is bash" bash -n "$tmp/out"

done_testing
