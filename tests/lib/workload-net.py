# SPDX-License-Identifier: Apache-2.0
"""Packets for tests/system/workload-net.sh: who reaches whom, in namespaces that the test has made.

    workload-net.py DIR STEP…     DIR/ns/host, DIR/ns/world; DIR/root is ashlar-net's; prints "pass NAME", "fail NAME"

Sockets belong to the namespace that they were made in, so one process holds all ends. What has to arrive is
waited for; what must not is looked for when all else of the same step has arrived, and after it a packet
that has to: nothing is decided by a clock.
"""
import ctypes
import fcntl
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

base, steps = sys.argv[1], sys.argv[2:]
root = base + "/root"
net = os.environ["ASHLAR_NET"]
libc = ctypes.CDLL(None, use_errno=True)
PATIENCE = 20
PORT = 7000


def check(name, good, words=""):
    print(("pass " if good else "fail ") + name, flush=True)
    if not good:
        print("# " + str(words)[:2000], file=sys.stderr)


def enter(name):
    path = f"{base}/ns/{name}" if name in ("host", "world") else f"{root}/run/ashlar/netns/{name}"
    with open(path) as f:
        if libc.setns(f.fileno(), 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns " + path)


def run(where, *argv, text=None, good=(0,)):
    enter(where)
    r = subprocess.run(argv, input=text, capture_output=True, text=True)
    enter("host")
    if good and r.returncode not in good:
        raise SystemExit(f"{argv}: {r.returncode}: {r.stderr}{r.stdout}")
    return r


def tool(verb, document=None, good=(0,)):
    return run("host", net, verb, "--root", root, text=document and json.dumps(document), good=good)


def instance(name, mode, **more):
    return {"instance": name, "mode": mode, **{k.replace("_", "-"): v for k, v in more.items()}}


ALL = [{"target": "*"}]
links = {}


def apply(*instances):
    answer = json.loads(tool("apply", {"instances": list(instances)}).stdout)
    links.clear()
    links.update({link["instance"]: link for link in answer["links"]})


def address(name):
    if name == "world":
        return "198.51.100.1"
    if name == "host":
        return "198.51.100.2"
    return links[name]["address"].split("/")[0]


def mac(name):
    return bytes.fromhex(links[name]["mac"].replace(":", ""))


def local6(name):
    m = mac(name)
    return "fe80::%x:%xff:fe%02x:%x" % ((m[0] ^ 2) << 8 | m[1], m[2], m[3], m[4] << 8 | m[5])


def sock(where, family, kind, proto=0):
    enter(where)
    s = socket.socket(family, kind, proto)
    s.setblocking(False)
    enter("host")
    return s


# ---- everybody to everybody ----

class Matrix:
    """Tries are sent at once; each carries its name, and arrivals are noted by that."""

    def __init__(self, nodes):
        self.nodes, self.got, self.wanted, self.keep, self.listeners = nodes, set(), set(), [], []
        for node in nodes:
            for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    try:
                        s = sock(node, family, kind)
                    except OSError:
                        continue
                    if family == socket.AF_INET6:
                        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind((any_address, PORT))
                    if kind == socket.SOCK_STREAM:
                        s.listen(256)
                    elif family == socket.AF_INET and node in links:
                        enter(node)
                        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.1.1") + socket.inet_aton(address(node)))
                        enter("host")
                    self.listeners.append((node, s))

    def tcp(self, source, target, to, scope=0):
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        s = sock(source, family, socket.SOCK_STREAM)
        name = (source, target, "tcp6" if family == socket.AF_INET6 else "tcp")
        enter(source)
        try:
            s.connect((to, PORT) if family == socket.AF_INET else (to, PORT, 0, scope))
        except BlockingIOError:
            self.keep.append((name, s))
        except OSError:
            pass
        enter("host")

    def udp(self, source, target, to, scope=0):
        family = socket.AF_INET6 if ":" in to else socket.AF_INET
        s = sock(source, family, socket.SOCK_DGRAM)
        kind = "udp6" if family == socket.AF_INET6 else "multicast" if to.startswith("239") else "udp"
        enter(source)
        try:
            if kind == "multicast":
                s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address(source)))
            s.sendto(repr((source, target, kind)).encode(), (to, PORT) if family == socket.AF_INET else (to, PORT, 0, scope))
        except OSError:
            pass
        enter("host")

    def icmp(self, source, target, to):
        s = sock(source, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        ident = len(self.keep) + 1
        body = struct.pack("!BBHHH", 8, 0, 0, ident, 1)
        total = sum(struct.unpack("!4H", body))
        total = (total & 0xffff) + (total >> 16)
        try:
            s.sendto(body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:], (to, 0))
        except OSError:
            return
        self.keep.append(((source, target, "icmp", ident), s))

    def arp(self, source, target, to):
        s = sock(source, socket.AF_PACKET, socket.SOCK_RAW, 0)
        enter(source)
        s.bind(("eth0", 0x0806))
        enter("host")
        own = mac(source)
        s.send(b"\xff" * 6 + own + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + own + socket.inet_aton(address(source)) + b"\0" * 6 + socket.inet_aton(to))
        self.keep.append(((source, target, "arp", to), s))

    def look(self):
        for node, s in self.listeners:
            try:
                while True:
                    if s.type == socket.SOCK_STREAM:
                        self.keep.append((None, s.accept()[0]))
                    else:
                        data = eval(s.recv(200))
                        self.got.add((data[0], node, data[2]))
            except OSError:
                pass
        for name, s in self.keep:
            if name is None:
                continue
            try:
                if name[2] in ("tcp", "tcp6"):
                    s.getpeername()  # fails until it is connected
                    self.got.add(name)
                elif name[2] == "icmp":
                    while True:
                        data = s.recv(2000)[20:]
                        if data[0] == 0 and struct.unpack("!H", data[4:6])[0] == name[3]:
                            self.got.add(name[:3])
                else:
                    while True:
                        data = s.recv(2000)
                        if data[20:22] == b"\0\2" and data[28:32] == socket.inet_aton(name[3]):
                            self.got.add(name[:3])
            except OSError:
                pass

    def settle(self, wanted):
        until = time.monotonic() + PATIENCE
        self.look()
        while not wanted <= self.got and time.monotonic() < until:
            time.sleep(0.05)
            self.look()
        # Once round for what is on its way though it should not be: the queue of a namespace is in order.
        time.sleep(0.3)
        self.look()


def index_of(where, device):
    enter(where)
    n = socket.if_nametoindex(device)
    enter("host")
    return n


def group(name):
    """Networks on which everybody sees everybody, frames and all."""
    mode, network = modes[name]
    return {"natnet": "n" + network, "internal": "i" + network, "hostonly": "h" + network, "bridged": "lan"}.get(mode, name)


modes = {}
isolated = set()


def reaches(source, target, kind):
    if source in isolated and target in isolated and group(source) == group(target):
        return False
    lan = {"host", "world"} | {n for n in modes if modes[n][0] == "bridged"}
    if kind in ("tcp", "udp", "icmp"):
        if source in lan and target in lan:
            return True
        if source in modes and target in modes and group(source) == group(target):
            return True
        if "host" in (source, target):
            other = target if source == "host" else source
            return modes.get(other, ("",))[0] == "hostonly"
        return target in lan and source in modes and modes[source][0] in ("nat", "natnet", "provider")
    if source in modes and target in modes:
        return group(source) == group(target)
    return False


def step_matrix():
    everybody("", [
        instance("nat1", "nat", egress=ALL), instance("nat2", "nat", egress=ALL),
        instance("na1", "natnet", network="a", egress=ALL), instance("na2", "natnet", network="a", egress=ALL),
        instance("nb1", "natnet", network="b", egress=ALL),
        instance("int1", "internal"), instance("int2", "internal"), instance("inx1", "internal", network="x"),
        instance("ho1", "hostonly"), instance("ho2", "hostonly"),
        instance("br1", "bridged", network="br0"), instance("br2", "bridged", network="br0"),
        instance("vpn", "nat", egress=ALL),
        instance("cl1", "provider", provider="vpn", egress=ALL), instance("cl2", "provider", provider="vpn", egress=ALL),
        instance("deep", "provider", provider="cl1", egress=ALL),
    ])
    # The host's own services behind the addresses that a workload can name.
    closed = Matrix([])
    for source in ("nat1", "na1", "int1", "cl1"):
        for to in ("10.213.0.1", "198.51.100.2", links[source].get("gateway") or "10.213.0.1", "169.254.169.254"):
            closed.tcp(source, to, to)
            closed.icmp(source, to, to)
    closed.settle(set())
    check("neither the host's services nor the metadata address are reached", not closed.got, closed.got)


def step_isolated():
    """Members of one network that do not see each other; one that is not isolated sees all, as do gateway and world."""
    more = {"isolated": True}
    everybody("isolated: ", [
        instance("na1", "natnet", network="a", egress=ALL), instance("na2", "natnet", network="a", egress=ALL, **more),
        instance("na3", "natnet", network="a", egress=ALL, **more),
        instance("int1", "internal", **more), instance("int2", "internal", **more),
        instance("ho1", "hostonly", **more), instance("ho2", "hostonly", **more),
        instance("br1", "bridged", network="br0", **more), instance("br2", "bridged", network="br0", **more),
    ])
    # Around the bridge: a frame to the gateway with a packet for the other.
    run("host", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    gateway = bytes.fromhex(link_of(link_of(links["na2"]["interface"])["master"])["address"].replace(":", ""))
    heard = sock("na3", socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    for source in ("na2", "na1"):
        s = sock(source, socket.AF_PACKET, socket.SOCK_RAW, 0)
        enter(source)
        s.bind(("eth0", 0))
        enter("host")
        body = b"\0\7\0\7\0\x0c\0\0" + source.encode() + b"!"
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0, socket.inet_aton(address(source)), socket.inet_aton(address("na3")))
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
        s.send(gateway + mac(source) + b"\x08\0" + head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:] + body)
    frames, until = b"", time.monotonic() + PATIENCE
    while b"na1!" not in frames and time.monotonic() < until:
        try:
            frames += heard.recv(2000)
        except BlockingIOError:
            time.sleep(0.05)
    check("isolated: the gateway carries nothing from one to the other", b"na1!" in frames and b"na2!" not in frames, frames)
    run("host", "bridge", "link", "set", "dev", links["na2"]["interface"], "isolated", "off")
    seen = drift()
    tool("repair")
    rest = drift()
    check("isolated: a port that is let loose is seen and repaired", "link" in [d["kind"] for d in seen] and rest == [], f"seen {seen} left {rest}")
    isolated.clear()
    modes.clear()
    tool("clear")
    run("host", "sysctl", "-q", "-w", "net.ipv4.ip_forward=0")


def link_of(device):
    return json.loads(run("host", "ip", "-j", "link", "show", "dev", device).stdout)[0]


def everybody(prefix, wanted):
    """All of them, the host and the world, each to each."""
    apply(*wanted)
    modes.clear()
    isolated.update(w["instance"] for w in wanted if w.get("isolated"))
    modes.update({w["instance"]: (w["mode"], w.get("network", "")) for w in wanted})
    nodes = list(modes) + ["host", "world"]
    matrix = Matrix(nodes)
    tried = set()
    for source in nodes:
        for target in nodes:
            if source == target:
                continue
            to = address(target)
            if target == "host" and modes.get(source, ("",))[0] == "hostonly":
                to = "10.213.0.1"
            for kind in ("tcp", "udp", "icmp"):
                getattr(matrix, kind)(source, target, to)
                tried.add((source, target, kind))
            if source in links and target in links:
                # The gateway is asked for as a matter of course.
                if links[source].get("gateway") != to:
                    matrix.arp(source, target, to)
                    tried.add((source, target, "arp"))
                scope = index_of(source, "eth0")
                matrix.tcp(source, target, local6(target), scope)
                matrix.udp(source, target, local6(target), scope)
                tried |= {(source, target, kind) for kind in ("tcp6", "udp6", "multicast")}
        if source in links:
            matrix.udp(source, "", "239.1.1.1")
            if modes[source][0] != "bridged":
                # The host's other address is nobody's business on this link.
                matrix.arp(source, "host", "198.51.100.2")
                tried.add((source, "host", "arp"))
    wanted = {t for t in tried if reaches(*t)}
    matrix.settle(wanted)
    for kind in ("tcp", "udp", "icmp", "arp", "tcp6", "udp6", "multicast"):
        mine = {t for t in tried if t[2] == kind}
        missing, extra = (wanted - matrix.got) & mine, (matrix.got - wanted) & mine
        check(f"{prefix}{kind}: {len(mine)} pairs, {len(mine & wanted)} reach each other and no others do", not missing and not extra and mine & wanted,
              f"missing {sorted(missing)} extra {sorted(extra)}")



# ---- tools for one conversation ----

class Servers:
    """TCP and UDP servers that say back what they hear, and from whom."""

    def __init__(self):
        self.socks, self.stop = [], False
        self.heard = {}
        threading.Thread(target=self.loop, daemon=True).start()

    def add(self, where, to, port, kind=socket.SOCK_STREAM):
        s = sock(where, socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((to, port))
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        self.socks.append((where, s))

    def loop(self):
        talking = []
        while not self.stop:
            time.sleep(0.01)
            for where, s in list(self.socks):
                try:
                    if s.type == socket.SOCK_STREAM:
                        c, peer = s.accept()
                        c.setblocking(False)
                        talking.append((where, peer, c))
                    else:
                        data, peer = s.recvfrom(2000)
                        s.sendto(f"{where} {peer[0]}".encode(), peer)
                except OSError:
                    pass
            for item in list(talking):
                where, peer, c = item
                try:
                    data = c.recv(65536)
                    if not data:
                        talking.remove(item)
                        c.close()
                        continue
                    self.heard[where] = self.heard.get(where, 0) + len(data)
                    if data.startswith(b"who"):
                        c.send(f"{where} {peer[0]}".encode())
                except BlockingIOError:
                    pass
                except OSError:
                    talking.remove(item)


def ask(where, to, port, kind=socket.SOCK_STREAM, patience=5.0):
    """What the server says ("WHERE SOURCE"); "" when nobody does."""
    s = sock(where, socket.AF_INET, kind)
    s.settimeout(patience)
    enter(where)
    try:
        s.connect((to, port))
        enter("host")
        s.send(b"who")
        return s.recv(200).decode()
    except OSError:
        return ""
    finally:
        enter("host")
        s.close()


# Where nothing is to come, there is nothing to wait for: a drop is counted, or this is long enough.
NOT = 0.7


def counters():
    """Packets that each rule with a comment has counted, in the host's namespace."""
    out = json.loads(run("host", "nft", "-j", "list", "ruleset").stdout)["nftables"]
    found = {}
    for item in out:
        rule = item.get("rule", {})
        if rule.get("table") != "ashlar_workload":
            continue
        packets = sum(e["counter"]["packets"] for e in rule["expr"] if "counter" in e)
        name = rule.get("comment") or rule["chain"]
        found[name] = found.get(name, 0) + packets
    return found


def step_spoof():
    apply(instance("web", "nat", egress=ALL), instance("peer", "natnet", egress=ALL), instance("other", "natnet", egress=ALL),
          instance("br1", "bridged", network="br0"), instance("vpn", "nat", egress=ALL), instance("cl1", "provider", provider="vpn", egress=ALL))
    catch = sock("world", socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))

    def frame(who, source_mac, ether, payload, to=b"\xff" * 6):
        s = sock(who, socket.AF_PACKET, socket.SOCK_RAW, 0)
        enter(who)
        s.bind(("eth0", 0))
        enter("host")
        s.send(to + source_mac + struct.pack("!H", ether) + payload)

    def ip(source, to, proto=17, body=b"\0\7\0\7\0\x0c\0\0SPOO"):
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 1, 0, 64, proto, 0, socket.inet_aton(source), socket.inet_aton(to))
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
        return head[:10] + struct.pack("!H", ~total & 0xffff) + head[12:] + body

    def arp(op, own_mac, own, to):
        return struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + own_mac + socket.inet_aton(own) + b"\0" * 6 + socket.inet_aton(to)

    wrong = b"\x02\xee\0\0\0\1"
    before = counters()
    cases = [
        ("web: not its address", "web", mac("web"), 0x800, ip("10.213.9.9", "198.51.100.1")),
        ("web: not its address", "web", mac("web"), 0x800, ip("198.51.100.2", "198.51.100.1")),
        ("web: not its MAC", "web", wrong, 0x800, ip(address("web"), "198.51.100.1")),
        ("web: ARP", "web", mac("web"), 0x806, arp(2, mac("web"), "10.213.0.1", "10.213.0.1")),
        ("web: ARP", "web", mac("web"), 0x806, arp(1, wrong, address("web"), "10.213.0.1")),
        ("web: other", "web", mac("web"), 0x86dd, b"\x60" + b"\0" * 39),
        ("web: other", "web", mac("web"), 0x8100, b"\0\5\x08\0" + ip(address("web"), "198.51.100.1")),
        ("br1: other", "br1", mac("br1"), 0x8100, b"\0\5\x08\0" + ip(address("br1"), "198.51.100.1")),
        ("br1: other", "br1", mac("br1"), 0x88a8, b"\0\5\x08\0" + ip(address("br1"), "198.51.100.1")),
        ("web: never", "web", mac("web"), 0x800, ip(address("web"), "169.254.169.254")),
        ("web: never", "web", mac("web"), 0x800, ip(address("web"), "127.0.0.1")),
        ("peer: not its address", "peer", mac("peer"), 0x800, ip(address("other"), "198.51.100.1")),
        ("peer: not its MAC", "peer", mac("other"), 0x800, ip(address("peer"), address("other"))),
        ("peer: ARP", "peer", mac("peer"), 0x806, arp(2, mac("peer"), address("other"), address("other"))),
        ("peer: ARP", "peer", mac("peer"), 0x806, arp(2, mac("peer"), "10.213.0.1", address("other"))),
        ("peer: DHCP server", "peer", mac("peer"), 0x800, ip(address("peer"), "255.255.255.255", 17, b"\0\x43\0\x44\0\x0c\0\0SPOO")),
        ("peer: router", "peer", mac("peer"), 0x86dd, b"\x60\0\0\0\0\x10\x3a\xff" + socket.inet_pton(socket.AF_INET6, local6("peer")) + socket.inet_pton(socket.AF_INET6, "ff02::1") + b"\x86" + b"\0" * 15),
        ("peer: neighbour", "peer", mac("peer"), 0x86dd, b"\x60\0\0\0\0\x18\x3a\xff" + socket.inet_pton(socket.AF_INET6, local6("peer")) + socket.inet_pton(socket.AF_INET6, "ff02::1") + b"\x88" + b"\0" * 7 + socket.inet_pton(socket.AF_INET6, local6("other"))),
        ("peer: not its address", "peer", mac("peer"), 0x86dd, b"\x60\0\0\0\0\x08\x3a\xff" + socket.inet_pton(socket.AF_INET6, local6("other")) + socket.inet_pton(socket.AF_INET6, "ff02::1") + b"\x80" + b"\0" * 7),
        ("br1: not its address", "br1", mac("br1"), 0x800, ip("198.51.100.1", "198.51.100.1")),
        ("br1: not its MAC", "br1", wrong, 0x800, ip("198.51.100.11", "198.51.100.1")),
        ("br1: ARP", "br1", mac("br1"), 0x806, arp(2, mac("br1"), "198.51.100.1", "198.51.100.2")),
    ]
    for name, who, source, ether, payload in cases:
        frame(who, source, ether, payload)
    # What comes last and is as it should be arrives: then so would have all else.
    s = sock("web", socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"HONEST", ("198.51.100.1", 7))
    after, wanted = counters(), {}
    for case in cases:
        wanted[case[0]] = wanted.get(case[0], 0) + 1
    seen = b""
    until = time.monotonic() + PATIENCE
    while b"HONEST" not in seen and time.monotonic() < until:
        try:
            seen += catch.recv(2000)
        except OSError:
            time.sleep(0.01)
            after = counters()
    bad = {n: (after.get(n, 0) - before.get(n, 0), c) for n, c in wanted.items() if after.get(n, 0) - before.get(n, 0) < c}
    check(f"{len(cases)} frames with a wrong address, MAC, ARP or neighbour are dropped and counted", not bad, bad)
    check("none of them is seen outside, what is honest is", b"SPOO" not in seen and b"HONEST" in seen, seen)


def step_publish():
    servers = Servers()
    web = instance("web", "nat", publish=[{"host-port": 7080, "port": 80}, {"host-port": 7053, "port": 53, "protocol": "udp"}])
    local = instance("local", "natnet", publish=[{"address": "127.0.0.1", "host-port": 7081, "port": 80}])
    outer = instance("outer", "nat", publish=[{"address": "198.51.100.2", "host-port": 7082, "port": 80}])
    behind = instance("behind", "provider", provider="vpn", publish=[{"host-port": 7083, "port": 80}])
    rest = [instance("vpn", "nat", egress=ALL), instance("nat1", "nat", egress=ALL)]
    apply(web, local, outer, behind, *rest)
    for name in ("web", "local", "outer", "behind"):
        servers.add(name, "0.0.0.0", 80)
    servers.add("web", "0.0.0.0", 53, socket.SOCK_DGRAM)
    h = "198.51.100.2"
    check("world → published port", ask("world", h, 7080) == "web 198.51.100.1")
    check("... by UDP", ask("world", h, 7053, socket.SOCK_DGRAM) == "web 198.51.100.1")
    check("... through a provider", ask("world", h, 7083).startswith("behind "))
    check("... at one address", ask("world", h, 7082) == "outer 198.51.100.1")
    check("host → published port at 127.0.0.1", ask("host", "127.0.0.1", 7080) == "web 10.213.0.1")
    check("... that is published nowhere else", ask("host", "127.0.0.1", 7081) == "local 10.213.0.1")
    check("... and at its own address", ask("host", h, 7080).startswith("web "))
    shut = [("world", h, 7081), ("host", "127.0.0.1", 7082), ("world", h, 80), ("world", address("web"), 80), ("nat1", h, 7080), ("nat1", "10.213.0.1", 7080), ("nat1", address("web"), 80), ("vpn", address("behind"), 80)]
    got = [(w, t, p) for w, t, p in shut if ask(w, t, p, patience=NOT)]
    check("nobody else reaches a published port, nor one that is not", not got, got)
    r = tool("apply", {"instances": [web, instance("two", "nat", publish=[{"address": h, "host-port": 7080, "port": 1}])]}, good=None)
    check("two that want the same port are both named", r.returncode == 3 and "'web'" in r.stderr and "'two'" in r.stderr and "7080" in r.stderr, r.stderr)
    web["publish"] = []
    apply(web, local, outer, behind, *rest)
    check("what is published no more is not reached", not ask("world", h, 7080, patience=NOT) and ask("world", h, 7082))
    servers.stop = True


def step_egress():
    servers = Servers()
    run("world", "ip", "address", "replace", "192.0.2.1/32", "dev", "lo")
    run("world", "ip", "address", "replace", "203.0.113.5/32", "dev", "lo")
    for port in (7001, 7002):
        servers.add("world", "0.0.0.0", port)
    servers.add("world", "203.0.113.5", 7003, socket.SOCK_DGRAM)
    web = instance("web", "nat", egress=[{"target": "192.0.2.0/24", "port": 7001}, {"target": "*", "port": 7003, "protocol": "udp"}], connections=3)
    apply(web, instance("shut", "nat"))
    check("egress to an address and port", ask("web", "192.0.2.1", 7001) == "world 198.51.100.2")
    check("... to one UDP port of all", ask("web", "203.0.113.5", 7003, socket.SOCK_DGRAM) == "world 198.51.100.2")
    tries = [("web", "192.0.2.1", 7002), ("web", "203.0.113.5", 7001), ("shut", "192.0.2.1", 7001)]
    got = [t for t in tries if ask(*t, patience=NOT)]
    check("to nothing else, and to nothing at all without egress", not got, got)
    check("each drop is counted", counters()["web: egress"] >= 2 and counters()["shut: egress"] >= 1, counters())
    open_now = []
    for _ in range(6):
        s = sock("web", socket.AF_INET, socket.SOCK_STREAM)
        try:
            s.connect(("192.0.2.1", 7001))
        except OSError:
            pass
        open_now.append(s)
    time.sleep(NOT)

    def is_connected(s):
        try:
            s.getpeername()
            return True
        except OSError:
            return False

    count = sum(map(is_connected, open_now))
    check("no more connections than it may have", 1 <= count <= 3 and counters()["web: connections"] >= 3, (count, counters()))
    for s in open_now:
        s.close()

    # A rule is taken away, and put back, under a transfer; another's goes on all the time.
    wide = instance("wide", "nat", egress=ALL)
    web["connections"] = 0
    apply(web, instance("shut", "nat"), wide)
    flows = {}
    for who in ("web", "wide"):
        s = sock(who, socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(5)
        enter(who)
        s.connect(("192.0.2.1", 7001))
        enter("host")
        s.setblocking(False)
        flows[who] = s

    def pump(who):
        """Bytes that are acknowledged: what is left to send, goes down."""
        s = flows[who]
        try:
            while True:
                s.send(b"x" * 65536)
        except OSError:
            pass
        return struct.unpack("i", fcntl.ioctl(s, 0x5411, b"\0" * 4))[0]

    def moves(who, patience):
        until = time.monotonic() + patience
        start = pump(who)
        sent = 0
        while time.monotonic() < until:
            time.sleep(0.02)
            left = struct.unpack("i", fcntl.ioctl(flows[who], 0x5411, b"\0" * 4))[0]
            if left < start:
                return True
            start, sent = pump(who), sent + 1
        return False

    check("both transfers run", moves("web", 5) and moves("wide", 5))
    egress, web["egress"] = web["egress"], []
    apply(web, instance("shut", "nat"), wide)
    pump("web")
    time.sleep(0.2)
    check("a rule that is taken away ends its transfer", not moves("web", 1))
    check("... and no other's", moves("wide", 5))
    web["egress"] = egress
    apply(web, instance("shut", "nat"), wide)
    check("put back, it goes on", moves("web", PATIENCE))
    servers.stop = True


# ---- names ----

class Zone:
    """A resolver of the world: name → [addresses], ttl."""

    def __init__(self, names):
        self.names, self.asked = names, []
        self.s = sock("world", socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind(("198.51.100.1", 53))
        self.s.setblocking(True)
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            data, peer = self.s.recvfrom(4096)
            name, at = [], 12
            while data[at]:
                name.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            question = data[12:at + 5]
            name = ".".join(name)
            self.asked.append(name)
            addresses, ttl = self.names.get(name, ([], 0))
            body = b"".join(b"\xc0\x0c\0\1\0\1" + struct.pack("!IH", ttl, 4) + socket.inet_aton(a) for a in addresses)
            self.s.sendto(data[:2] + struct.pack("!HHHHH", 0x8180 if addresses else 0x8183, 1, len(addresses), 0, 0) + question + body, peer)


def resolve(who, name, kind=1, stream=False, server=None):
    """(code, addresses, ttl); None when there is no answer."""
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    query = struct.pack("!HHHHHH", 4242, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    server = server or links[who]["nameservers"][0]
    for _ in range(3):
        s = sock(who, socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        s.settimeout(6)
        enter(who)
        try:
            s.connect((server, 53))
            enter("host")
            s.send(struct.pack("!H", len(query)) + query if stream else query)
            data = s.recv(4096)
            if stream:
                data = data[2:]
        except OSError:
            continue
        finally:
            enter("host")
            s.close()
        count = struct.unpack("!H", data[6:8])[0]
        found, at, ttl = [], 12 + len(labels) + 5, 0
        for _ in range(count):
            while data[at] and data[at] < 0xc0:
                at += 1 + data[at]
            at += 2 if data[at] >= 0xc0 else 1
            what, _, ttl, size = struct.unpack("!HHIH", data[at:at + 10])
            if what == 1:
                found.append(socket.inet_ntoa(data[at + 10:at + 14]))
            at += 10 + size
        return data[3] & 15, sorted(found), ttl
    return None


def resolve_in_one_breath(who, names):
    """Asks by TCP for all of @names before it reads: the ids of the answers, as libc does it for A and AAAA."""
    text = b""
    for number, name in enumerate(names):
        labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
        query = struct.pack("!HHHHHH", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)
        text += struct.pack("!H", len(query)) + query
    s = sock(who, socket.AF_INET, socket.SOCK_STREAM)
    s.settimeout(PATIENCE)
    enter(who)
    ids = []
    try:
        s.connect((links[who]["nameservers"][0], 53))
        enter("host")
        s.sendall(text)
        stream = s.makefile("rb")
        for _ in names:
            size, number = struct.unpack("!HH", stream.read(4))
            stream.read(size - 2)
            ids.append(number)
    except (OSError, struct.error):
        pass
    finally:
        enter("host")
        s.close()
    return ids


def step_names():
    servers = Servers()
    for a in ("192.0.2.1", "192.0.2.2", "203.0.113.5"):
        run("world", "ip", "address", "replace", a + "/32", "dev", "lo")
    servers.add("world", "0.0.0.0", 7001)
    zone = Zone({"example.org": (["192.0.2.1"], 1), "evil.example": (["169.254.169.254", "10.213.0.1", "127.0.0.1", "192.0.2.1"], 60), "else.example": (["192.0.2.2"], 60)})
    named = [{"target": "example.org", "port": 7001}, {"target": "evil.example"}]
    apply(instance("a@1", "natnet", network="back"), instance("a@2", "natnet", network="back"), instance("db", "natnet", network="back", names=["sql.local"]),
          instance("far", "natnet", network="other"), instance("in1", "internal"), instance("in2", "internal"),
          instance("web", "nat", egress=named), instance("shut", "nat"), instance("open", "nat", egress=ALL),
          instance("vpn", "nat", egress=named), instance("cl1", "provider", provider="vpn", egress=named + [{"target": "vpn", "port": 7005}]))
    names = subprocess.Popen([net, "names", "--root", root, "--user", "nobody"], stdout=subprocess.DEVNULL, preexec_fn=lambda: libc.prctl(1, 15))
    try:
        until = time.monotonic() + PATIENCE
        while resolve("db", "a") is None and time.monotonic() < until:
            pass
        check("members by their workload's name", resolve("db", "a") == (0, sorted([address("a@1"), address("a@2")]), 5), resolve("db", "a"))
        check("... by instance, in any letters, and by the names that they have", resolve("db", "A@2")[1] == [address("a@2")] and resolve("a@1", "sql.local")[1] == [address("db")])
        check("... on an internal network too, and by TCP", resolve("in1", "in2")[1] == [address("in2")] and resolve("in1", "in2", stream=True)[1] == [address("in2")])
        got = resolve_in_one_breath("open", ["example.org"] * 4)
        check("... and several questions at once", got == [0, 1, 2, 3], got)
        check("... no IPv6 address, and no error", resolve("db", "a", 28)[:2] == (0, []))
        check("a client finds its provider", resolve("cl1", "vpn")[1] == [address("vpn")])
        refused = [resolve(w, n) for w, n in (("far", "db"), ("db", "far"), ("web", "db"), ("shut", "example.org"), ("web", "else.example"), ("in1", "example.org"))]
        check("all else is refused", all(r and r[0] == 5 for r in refused), refused)
        check("... and not asked for outside", "else.example" not in zone.asked and "db" not in zone.asked, zone.asked)
        check("an address that was not asked for by name is not reached", not ask("web", "192.0.2.1", 7001, patience=NOT))
        r = resolve("web", "example.org")
        check("a name of the egress", r == (0, ["192.0.2.1"], 5), r)
        check("... is reached when it is answered", ask("web", "192.0.2.1", 7001) == "world 198.51.100.2")
        held = sock("web", socket.AF_INET, socket.SOCK_STREAM)
        held.settimeout(10)
        enter("web")
        held.connect(("192.0.2.1", 7001))
        enter("host")
        check("... by who has asked alone", not ask("vpn", "192.0.2.1", 7001, patience=NOT))
        check("... at the port that it has alone", not ask("web", "192.0.2.1", 7002, patience=NOT))
        r = resolve("web", "evil.example")
        check("addresses that nobody may reach are taken out", r == (0, ["192.0.2.1"], 60), r)
        check("with egress to all, all is asked for", resolve("open", "else.example")[1] == ["192.0.2.2"])
        r = resolve("cl1", "example.org")
        check("through a provider, whose egress has it too", r and r[1] == ["192.0.2.1"] and ask("cl1", "192.0.2.1", 7001).startswith("world "), r)
        servers.add("vpn", "0.0.0.0", 7005)
        servers.add("vpn", "0.0.0.0", 7006)
        check("a service of the provider that the egress names, and no other", ask("cl1", address("vpn"), 7005).startswith("vpn") and not ask("cl1", address("vpn"), 7006, patience=NOT))
        zone.names["example.org"] = (["203.0.113.5"], 1)
        r = resolve("web", "example.org")
        check("the address changes, and the rules with it", r[1] == ["203.0.113.5"] and ask("web", "203.0.113.5", 7001).startswith("world "), r)
        apply(*[instance("web", "nat", egress=named[:1]), instance("new", "nat", egress=ALL)])
        check("what was answered is reached after other changes", ask("web", "203.0.113.5", 7001).startswith("world "))
        until = time.monotonic() + PATIENCE
        while ask("web", "192.0.2.1", 7001, patience=0.3) and time.monotonic() < until:
            pass
        check("the old address is not reached when its time is up", time.monotonic() < until)
        held.send(b"who")
        check("... but a connection that was made goes on", held.recv(100).decode().startswith("world "))
        check("who is new is answered", (resolve("new", "else.example") or (9, []))[1] == ["192.0.2.2"])
        who = run("host", "ps", "-o", "user=", "--ppid", str(names.pid)).stdout.split()
        check("what reads the packets is not root", who == ["nobody"], who)
    finally:
        names.terminate()
        try:
            names.wait(10)
        except subprocess.TimeoutExpired:
            names.kill()
    check("it ends when it is told to", names.returncode == 0, names.returncode)
    servers.stop = True


# ---- changes ----

def left_over():
    return {
        "links": [x for x in run("host", "ip", "-o", "link").stdout.splitlines() if "ashw" in x],
        "routes": [x for x in run("host", "ip", "route", "show", "table", "all").stdout.splitlines() if "10.213." in x],
        "tables": [x for x in run("host", "nft", "list", "tables").stdout.splitlines() if "ashlar_workload" in x],
        "spaces": os.listdir(root + "/run/ashlar/netns"),
        "forward": [open_in("host", "/proc/sys/net/ipv4/ip_forward")] if open_in("host", "/proc/sys/net/ipv4/ip_forward") != "0" else [],
        "notes": [n for n in os.listdir(root + "/run/ashlar/net") if n not in ("lock", "text-host", "listing-host")],
    }


def open_in(where, path):
    enter(where)
    try:
        with open(path) as f:
            return f.read().strip()
    finally:
        enter("host")


def drift():
    return json.loads(tool("check", good=(0, 8)).stdout)["drift"]


def step_drift():
    wanted = [instance("web", "nat", egress=ALL, publish=[{"host-port": 7080, "port": 80}]), instance("db", "natnet"), instance("vpn", "nat", egress=ALL), instance("cl1", "provider", provider="vpn", egress=ALL)]
    apply(*wanted)
    first = {n: links[n]["address"] for n in links}
    check("nothing has drifted", drift() == [], drift())
    interface = links["web"]["interface"]
    chain = "from_" + interface[4:]
    harm = [
        ("a rule that is gone", "host", ["nft", "flush", "chain", "inet", "ashlar_workload", chain], "rule"),
        ("a rule that was added", "host", ["nft", "insert", "rule", "inet", "ashlar_workload", "forward", "accept"], "rule"),
        ("an element that was added", "host", ["nft", "add", "element", "inet", "ashlar_workload", "published", "{ 10.213.1.1 . 6 . 22 }"], "rule"),
        ("tables that are gone", "host", ["nft", "flush", "ruleset"], "rule"),
        ("rules in a provider that are gone", "vpn", ["nft", "flush", "ruleset"], "rule"),
        ("a link that is down", "host", ["ip", "link", "set", interface, "down"], "link"),
        ("a link that is gone", "host", ["ip", "link", "del", interface], "link"),
        ("a link that was added", "host", ["ip", "link", "add", "ashw1", "type", "bridge"], "link"),
        ("a route that is gone", "host", ["ip", "route", "del", address("web")], "link"),
        ("an address that is gone", "db", ["ip", "address", "flush", "dev", "eth0"], "link"),
        ("forwarding that was switched off", "host", ["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"], "setting"),
    ]
    for name, where, command, kind in harm:
        run(where, *command)
        seen = drift()
        tool("repair")
        rest = drift()
        check(f"{name}: seen and repaired", kind in [d["kind"] for d in seen] and rest == [], f"seen {seen} left {rest}")
        if "flush ruleset" in " ".join(command) and where == "host":
            run("host", "nft", "-f", base + "/firewall.nft")
    before = counters()
    s = sock("web", socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"x", ("192.0.2.77", 9))
    apply(*wanted)
    check("addresses are the same, and what was counted stays, when the same is applied again", first == {n: links[n]["address"] for n in links} and sum(counters().values()) > sum(before.values()))
    tool("clear")
    over = left_over()
    check("clear leaves nothing", not any(over.values()), over)
    run("host", "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    apply(*wanted)
    tool("clear")
    check("a host that forwarded before goes on", open_in("host", "/proc/sys/net/ipv4/ip_forward") == "1")
    run("host", "sysctl", "-q", "-w", "net.ipv4.ip_forward=0")


def step_limits():
    """How long a megabyte takes at the least: however slow this machine is, it is never less."""
    rate, total = 400_000, 1_000_000
    apply(instance("slow", "nat", egress=ALL, bandwidth=rate), instance("sister", "nat", egress=ALL))
    listener = sock("world", socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", 7090))
    listener.listen(4)
    listener.settimeout(PATIENCE)

    def pair(who):
        client = sock(who, socket.AF_INET, socket.SOCK_STREAM)
        client.settimeout(PATIENCE)
        enter(who)
        client.connect(("198.51.100.1", 7090))
        enter("host")
        server = listener.accept()[0]
        server.settimeout(PATIENCE)
        return client, server

    def seconds(source, target):
        sender = threading.Thread(target=source.sendall, args=(bytes(total),), daemon=True)
        begin, count = time.monotonic(), 0
        sender.start()
        while count < total:
            count += len(target.recv(65536))
        return time.monotonic() - begin

    least = total / rate * 0.7
    client, server = pair("slow")
    up, down = seconds(client, server), seconds(server, client)
    check("what leaves has the bandwidth that was granted", up >= least, (up, least))
    check("... and so has what arrives", down >= least, (down, least))
    other, at = pair("sister")
    both = threading.Thread(target=seconds, args=(client, server), daemon=True)
    both.start()
    free = seconds(other, at)
    check("... but nobody beside it", both.is_alive(), free)
    both.join(PATIENCE)
    apply(instance("slow", "nat", egress=ALL), instance("sister", "nat", egress=ALL))
    drifted = drift()
    check("a limit that is taken away is gone", drifted == [] and "tbf" not in run("host", "tc", "qdisc", "show", "dev", links["slow"]["interface"]).stdout, drifted)
    tool("clear")
    listener.close()


def some_network(rng, count):
    """Instances of all modes, as a daemon might want them."""
    found = []
    for n in rng.sample(range(30), count):
        name, mode = f"w{n}", rng.choice(["nat", "nat", "natnet", "internal", "hostonly", "bridged", "provider", "none", "host"])
        providers = [x["instance"] for x in found if x["mode"] in ("nat", "natnet") and not x.get("vm")]
        if mode == "provider" and not providers:
            mode = "nat"
        item = instance(name, mode)
        if mode in ("natnet", "internal", "hostonly"):
            item["network"] = rng.choice(["", "a", "b"])
        if mode == "bridged":
            item["network"] = "br0"
        if mode == "provider":
            item["provider"] = rng.choice(providers)
        if mode in ("nat", "natnet", "provider"):
            item["egress"] = rng.choice([[], ALL, [{"target": "example.org", "port": 443}]])
            item["publish"] = rng.choice([[], [{"host-port": 8000 + n, "port": 10000 + n}]])
            item["vm"] = rng.random() < 0.15
            item["connections"] = rng.choice([0, 100])
        item["bandwidth"] = rng.choice([0, 0, 1000000])
        found.append(item)
    return found


def step_churn():
    rng = random.Random(int(os.environ.get("ASHLAR_SEED", "5")))
    rounds = int(os.environ.get("ASHLAR_ROUNDS", "20"))
    pool, bad, changes = [], [], 0
    while changes < 200:
        fresh = some_network(rng, rng.randrange(1, 9))
        changes += len({x["instance"] for x in fresh} ^ {x["instance"] for x in pool})
        pool = fresh
        apply(*pool)
    left = drift()
    check(f"{changes} adds and removes: what is there is what is wanted", left == [], left)
    apply()
    over = left_over()
    check("... and nothing stays when nothing is wanted", not any(over.values()), over)
    lan = run("host", "ip", "-o", "link", "show", "master", "br0").stdout
    check("what is the host's own was not touched", "up0" in lan and "ashlar" in run("host", "nft", "list", "tables").stdout, lan)

    # Killed at any point, a next apply is right; killed twice too.
    for n in range(rounds):
        pool = some_network(rng, rng.randrange(1, 7))
        for _ in range(rng.randrange(1, 3)):
            enter("host")
            p = subprocess.Popen([net, "apply", "--root", root], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            p.stdin.write(json.dumps({"instances": pool}).encode())
            p.stdin.close()
            time.sleep(rng.random() * 0.06)
            p.kill()
            p.wait()
        apply(*pool)
        left = drift()
        if left:
            bad.append((n, left))
    check(f"{rounds} kills in the middle, each repaired by the next apply", not bad, bad)
    tool("clear")
    over = left_over()
    check("... and nothing is left of them", not any(over.values()), over)


for step in steps:
    globals()["step_" + step]()
