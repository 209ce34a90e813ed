# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# After tap.sh: a message bus of the test's own, with the policy that is installed on hosts, and a
# stand-in for ashlard. Both end with the test.
# shellcheck disable=SC2154

fake_host1=build/release/tests/lib/fake-host1

# bus_start [SED-SCRIPT]: sets DBUS_SYSTEM_BUS_ADDRESS. The script changes the policy.
bus_start()
{
	mkdir -p "$tmp/bus"
	chmod 755 "$tmp" "$tmp/bus"
	sed "${1:-}" data/org.ashlar.Host1.conf >"$tmp/bus/host1.conf"
	cp data/org.ashlar.Workload1.conf "$tmp/bus/workload1.conf"
	# What the system bus has for everybody, and all users of this machine may come.
	cat >"$tmp/bus/bus.conf" <<-END
		<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
		 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
		<busconfig>
		<listen>unix:path=$tmp/bus/socket</listen><auth>EXTERNAL</auth>
		<policy context="default">
		<allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
		<allow send_requested_reply="true" send_type="method_return"/>
		<allow send_requested_reply="true" send_type="error"/>
		<allow receive_type="method_call"/><allow receive_type="method_return"/>
		<allow receive_type="error"/><allow receive_type="signal"/>
		<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
		</policy>
		<include>$tmp/bus/host1.conf</include>
		<include>$tmp/bus/workload1.conf</include>
		</busconfig>
	END
	dbus-daemon --config-file="$tmp/bus/bus.conf" --fork --print-address=1 --print-pid=1 \
		>"$tmp/bus/started" 2>"$tmp/bus/log" || return
	DBUS_SYSTEM_BUS_ADDRESS=$(sed -n 1p "$tmp/bus/started")
	export DBUS_SYSTEM_BUS_ADDRESS
	bus_pid=$(sed -n 2p "$tmp/bus/started")
	at_exit+=("kill $bus_pid")
}

# fake_start DIR: ashlard, as tests/lib/fake-host1.c says; returns when it has the name.
fake_start()
{
	local word
	exec {fake_out}< <(exec "$fake_host1" "$1" 2>&1)
	fake_pid=$!
	at_exit+=("kill $fake_pid")
	read -r word <&"$fake_out"
	[ "$word" = ready ]
}

# fake_stop: and waits until it is gone.
fake_stop()
{
	kill "$fake_pid" 2>/dev/null
	cat <&"$fake_out" >/dev/null
	exec {fake_out}<&-
}

# ago SECONDS, ahead SECONDS: an instant as ashlard writes it.
ago()
{
	date -u -d "-$1 seconds" +%Y-%m-%dT%H:%M:%SZ
}

ahead()
{
	date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ
}
