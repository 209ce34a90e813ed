#!/bin/bash
# needs: root python3 ip bridge jq nft
# SPDX-License-Identifier: Apache-2.0
# Networks of workloads: the table of docs/workload-networks.md, in namespaces that are made here and go with the test.
. tests/lib/tap.sh

mkdir -p "$tmp/ns" "$tmp/root/etc/ashlar"
for name in host world; do
	touch "$tmp/ns/$name"
	unshare --net="$tmp/ns/$name" ip link set lo up
	at_exit+=("umount $tmp/ns/$name")
done
at_exit+=("umount $tmp/root/run/ashlar/netns/*")
host=(nsenter --net="$tmp/ns/host")
world=(nsenter --net="$tmp/ns/world")
export ASHLAR_NET=$ashlar_bin/ashlar-net

# The host is on a network with the world, by a bridge, so that workloads can be bridged to it.
"${host[@]}" ip link add up0 type veth peer name up1
"${host[@]}" ip link set up1 netns "$tmp/ns/world" 2>/dev/null ||
	"${host[@]}" ip link set up1 netns "$(
		nsenter --net="$tmp/ns/world" sleep 60 >/dev/null &
		echo $!
	)"
"${host[@]}" ip link add br0 type bridge
"${host[@]}" ip link set up0 master br0 up
"${host[@]}" ip link set br0 up
"${host[@]}" ip address add 198.51.100.2/24 dev br0
"${host[@]}" ip route add default via 198.51.100.1
"${world[@]}" ip link set up1 up
"${world[@]}" ip address add 198.51.100.1/24 dev up1
# It knows the way to the workloads, and tries.
"${world[@]}" ip route add 10.213.0.0/16 via 198.51.100.2
cat >"$tmp/root/etc/ashlar/network.yaml" <<'END'
bridged:
  - {instance: br1, address: 198.51.100.11/24, gateway: 198.51.100.1}
  - {instance: br2, address: 198.51.100.12/24, gateway: 198.51.100.1}
END

# The host's own firewall, as it is in the image; of the programs that it names none is here.
sed '/skuid/d; /^include/d' manifests/files/firewall.nft >"$tmp/firewall.nft"
sed '/skuid/d' data/firewall/workload.nft >>"$tmp/firewall.nft"
cat >>"$tmp/firewall.nft" <<'END'
add rule inet ashlar service_in meta l4proto { tcp, udp } th dport { 53, 7000-7099 } accept
add rule inet ashlar service_out meta l4proto { tcp, udp, icmp } accept
END
ok "the host's firewall is loaded" "${host[@]}" nft -f "$tmp/firewall.nft"

# steps STEP…: each prints what it has seen.
steps()
{
	local word name
	while read -r word name; do
		case $word in
		pass) pass "$name" ;;
		*) fail "$name" ;;
		esac
	done < <(python3 tests/lib/workload-net.py "$tmp" "$@" || echo "fail the steps $* end")
}

mkdir -p "$tmp/root/etc"
echo "nameserver 198.51.100.1" >"$tmp/root/etc/resolv.conf"

steps matrix
steps isolated
steps spoof
steps publish
steps egress
steps names
steps limits
steps drift
steps churn

done_testing
