# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
# A real registry on loopback, images made by umoci, and a host that pulls them. After tests/lib/tap.sh:
#
#	registry_start NAME [none|basic|token]     $registry is HOST:PORT; user "host", password "secret"
#	registry_image LAYOUT                      an image with all that layers can say, tags base and two
#	image_host                                 $root: a sysroot and a staging directory
#	worker VERB JSON                           its answer is in $answer, words of an error in $word
#	fetch JSON                                 ashlar-fetch image
#	image_same DIR DIR                         what differs between two trees

registry_start()
{
	local dir=$tmp/registry-$1 auth=${2:-none}
	mkdir -p "$dir"
	{
		printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n' "$dir/data"
		printf 'http: {addr: "127.0.0.1:0"}\n'
		case $auth in
		basic)
			# shellcheck disable=SC2016
			perl -e 'print "host:", crypt("secret", q($2y$05$abcdefghijklmnopqrstuu)), "\n"' >"$dir/htpasswd"
			printf 'auth: {htpasswd: {realm: test, path: %s}}\n' "$dir/htpasswd"
			;;
		token)
			registry_tokens "$dir"
			printf 'auth: {token: {realm: "http://%s/token", service: test, issuer: test, rootcertbundle: %s}}\n' \
				"$token_host" "$dir/cert.pem"
			;;
		esac
	} >"$dir/config.yml"
	OTEL_TRACES_EXPORTER=none docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 &
	at_exit+=("kill $!")
	registry=$(registry_port "$dir/log" 'listening on \([0-9.:]*\)')
}

# The address that a server says in its log when it listens.
registry_port()
{
	local i at
	for ((i = 0; i < 300; i++)); do
		at=$(sed -n "s/.*$2.*/\1/p" "$1" 2>/dev/null | head -n 1)
		[ -z "$at" ] || break
		sleep 0.1
	done
	echo "$at"
}

# Gives tokens for "host", "secret" to pull and push; others may pull what is called public/….
registry_tokens()
{
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null
	python3 - "$1" >"$1/token-log" 2>&1 <<'END' &
import base64, http.server, json, sys, time, urllib.parse
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
where = sys.argv[1]
key = serialization.load_pem_private_key(open(where + "/key.pem", "rb").read(), None)
cert = x509.load_pem_x509_certificate(open(where + "/cert.pem", "rb").read())
der = base64.b64encode(cert.public_bytes(serialization.Encoding.DER)).decode()
b64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        basic = self.headers.get("Authorization", "")
        known = basic == "Basic " + base64.b64encode(b"host:secret").decode()
        if basic and not known:
            self.send_response(401); self.end_headers(); return
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":", 2)
            actions = actions.split(",") if known else ["pull"] if name.startswith("public/") else []
            access.append({"type": kind, "name": name, "actions": actions})
        now = int(time.time())
        claims = {"iss": "test", "sub": "host", "aud": query["service"][0], "exp": now + 300, "nbf": now - 30,
                  "iat": now, "jti": str(now), "access": access}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        part = b64(json.dumps(head).encode()) + b"." + b64(json.dumps(claims).encode())
        token = part + b"." + b64(key.sign(part, padding.PKCS1v15(), hashes.SHA256()))
        body = json.dumps({"token": token.decode(), "expires_in": 300}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("token server on 127.0.0.1:%d." % server.server_port, flush=True)
server.serve_forever()
END
	at_exit+=("kill $!")
	token_host=$(registry_port "$1/token-log" 'token server on \([0-9.:]*\)\.')
}

# With umoci, as a user would: what the second layer changes is found by umoci itself.
registry_image()
{
	local layout=$1 base=$tmp/base two=$tmp/two
	umoci init --layout "$layout"
	umoci new --image "$layout:base"
	umoci unpack --image "$layout:base" "$base" >/dev/null 2>&1
	(
		cd "$base/rootfs" || exit
		umask 022
		mkdir -p usr/bin usr/lib etc var/d/e opaque/x deep/1/2/3 d2f empty
		ln -s usr/bin bin
		ln -s /nowhere/at/all dangling
		printf 'root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n' >etc/passwd
		printf 'root:x:0:\nweb:x:1001:\n' >etc/group
		cp /bin/true usr/bin/true
		setcap cap_net_raw+ep usr/bin/true
		chmod 4755 usr/bin/true
		cp /bin/true usr/bin/suid
		chmod 4755 usr/bin/suid
		ln usr/bin/suid usr/bin/hard
		python3 -c 'import os; os.setxattr("etc/passwd", "user.note", b"\0any bytes\xff")'
		seq 30000 >usr/lib/numbers
		truncate -s 3M usr/lib/sparse
		# The last that is hashed before it is written, and the first that is not.
		seq 200000 | head -c $((1 << 20)) >usr/lib/mib
		seq 200000 | head -c $(((1 << 20) + 1)) >usr/lib/mib-and-one
		echo x >var/d/e/f
		chown 1234:65534 var/d/e var/d/e/f
		chmod 2770 var/d/e
		echo y >opaque/x/y
		echo gone >gone
		echo 1 >d2f/1
		echo file >f2d
		echo kept >"a name with ünïcode and blanks"
		: >nothing
		: >empty/nothing
		mkfifo pipe
		mknod null c 1 3
	)
	umoci repack --image "$layout:base" "$base" >/dev/null 2>&1
	umoci config --image "$layout:base" --config.entrypoint /usr/bin/true --config.cmd --version \
		--config.env GREETING=hello --config.user web --config.workingdir /var --config.label a=b
	umoci unpack --image "$layout:base" "$two" >/dev/null 2>&1
	(
		cd "$two/rootfs" || exit
		rm -r gone d2f f2d opaque
		echo "a file now" >d2f
		mkdir f2d opaque
		echo 2 >f2d/2
		echo z >opaque/z
		echo new >usr/bin/new
		chmod 700 var
		chown 77:88 deep/1/2
		rm usr/bin/hard
		ln -s true usr/bin/hard
	)
	umoci repack --image "$layout:two" "$two" >/dev/null 2>&1
}

image_host()
{
	root=$tmp/root
	mkdir -p "$root"/{sysroot/ostree,efi,proc,var/lib/ashlar-link}
	echo quiet >"$root/proc/cmdline"
	ostree --repo="$root/sysroot/ostree/repo" init --mode=bare
}

worker()
{
	answer=$(timeout 300 "$ashlar_bin/ashlar-worker" --root "$root" "$1" <<<"$2" 2>"$tmp/worker-err")
	local code=$?
	answer=$(tail -n 1 <<<"$answer")
	word=$(jq -r '.error.word // ""' <<<"$answer" 2>/dev/null)
	[ -z "$word" ] || diag_text=$(jq -r .error.text <<<"$answer")
	answer=$(jq -c .result <<<"$answer" 2>/dev/null)
	return $code
}

fetch()
{
	answer=$(timeout 300 "$ashlar_bin/ashlar-fetch" --staging "$root/var/lib/ashlar-link" --sysroot "$root/sysroot" image <<<"$1")
	local code=$?
	answer=$(tail -n 1 <<<"$answer" | jq -c .result)
	word=$(jq -r '.word // ""' <<<"$answer")
	return $code
}

# Devices, pipes and times are not compared; links are by what they lead to, hard links by who shares a file.
image_same()
{
	python3 - "$1" "$2" <<'END'
import os, stat, sys
def scan(root):
    out, inodes = {}, {}
    for where, dirs, files in os.walk(root):
        for name in dirs + files + ["."]:
            path = where if name == "." else os.path.join(where, name)
            rel, st = os.path.relpath(path, root), os.lstat(path)
            kind = stat.S_IFMT(st.st_mode)
            if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                continue
            attributes = sorted((a, os.getxattr(path, a, follow_symlinks=False))
                                for a in os.listxattr(path, follow_symlinks=False))
            content = os.readlink(path) if kind == stat.S_IFLNK else ""
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = file.read()
                inodes.setdefault(st.st_ino, []).append(rel)
            out[rel] = (oct(st.st_mode), st.st_uid, st.st_gid, attributes, content)
    return out, inodes
a, shared = scan(sys.argv[1])
b, ours = scan(sys.argv[2])
if not a:
    print("nothing to compare")
for path in sorted(set(a) | set(b)):
    if a.get(path) != b.get(path):
        print(path, str(a.get(path))[:120], str(b.get(path))[:120])
where = {path: inode for inode, paths in ours.items() for path in paths}
for paths in shared.values():
    if len({where.get(path) for path in paths}) != 1:
        print("no longer one file:", paths)
END
}
