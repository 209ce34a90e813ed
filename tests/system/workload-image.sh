#!/bin/bash
# needs: root skopeo umoci docker-registry jq ostree setcap python3
# SPDX-License-Identifier: Apache-2.0
# Images of workloads: from layouts, archives and a real registry into the repository, and out of it again.
. tests/lib/tap.sh
. tests/lib/registry.bash

image_host
registry_image "$tmp/img"
umoci unpack --image "$tmp/img:two" "$tmp/want" >/dev/null 2>&1
store=$root/sysroot/ostree/repo

# ---- a layout -------------------------------------------------------------------------------------

ok "a layout is imported" worker image-import "{\"kind\":\"oci-dir\",\"location\":\"$tmp/img\",\"tag\":\"two\"}"
commit=$(jq -r .commit <<<"$answer")
is "… both layers were unpacked" "$(jq .unpacked <<<"$answer")" 2
is "… what it says of how it is run comes along" "$(jq -c '[.config.entrypoint, .config.command, .config.environment, .config.user, .config.directory, .config.labels]' <<<"$answer")" \
	'[["/usr/bin/true"],["--version"],["GREETING=hello"],"web","/var",["a=b"]]'
like "… and what was left out" "$(jq -r .notes <<<"$answer")" '^2 devices, pipes or sockets \('
ok "it is checked out" worker image-checkout "{\"commit\":\"$commit\"}"
tree=$(jq -r .path <<<"$answer")
empty "… as umoci unpacks it: content, modes, owners, attributes, hard links" "$(image_same "$tmp/want/rootfs" "$tree")"
ok "… devices and pipes are not there" test ! -e "$tree/null" -a ! -e "$tree/pipe"
ok "… a file is the one of the repository" test "$(stat -c %h "$tree/usr/lib/numbers")" -ge 2
is "… nobody but root can get there" "$(stat -c '%a %u' "$root/sysroot/ostree/workload" "$store/objects" | tr '\n' ' ')" "700 0 750 0 "
ok "… the repository is sound" ostree --repo="$store" fsck -q
ok "checked out again, it is the same" worker image-checkout "{\"commit\":\"$commit\"}"
ok "imported again, it is found" worker image-import "{\"kind\":\"oci-dir\",\"location\":\"$tmp/img\",\"tag\":\"two\"}"
is "… with nothing unpacked, the same commit" "$(jq -r '"\(.unpacked) \(.commit)"' <<<"$answer")" "0 $commit"
ok "a second image that shares a layer" worker image-import "{\"kind\":\"oci-dir\",\"location\":\"$tmp/img\",\"tag\":\"base\"}"
is "… unpacks nothing" "$(jq .unpacked <<<"$answer")" 0
base=$(jq -r .commit <<<"$answer")
ok "they are listed" worker image-list '{}'
is "… shared files count once" "$(jq '[.images[].own_bytes] as [$a, $b] | (.images | map(.bytes) | add) - .bytes > 0 and ($a + $b < .bytes)' <<<"$answer")" true

# ---- an archive -----------------------------------------------------------------------------------

skopeo copy -q "oci:$tmp/img:two" "docker-archive:$tmp/two.tar:some/name:v2"
ok "an archive of docker save is imported" worker image-import "{\"kind\":\"docker-archive\",\"location\":\"$tmp/two.tar\",\"tag\":\"v2\"}"
is "… its layers are known" "$(jq .unpacked <<<"$answer")" 0
ok "… and the tree is the same" test "$(ostree --repo="$store" ls -C "$(jq -r .commit <<<"$answer")" / | head -n 1 | awk '{print $5, $6}')" = \
	"$(ostree --repo="$store" ls -C "$commit" / | head -n 1 | awk '{print $5, $6}')"
exits 1 "a tag that it does not have is refused" worker image-import "{\"kind\":\"docker-archive\",\"location\":\"$tmp/two.tar\",\"tag\":\"v3\"}"

# ---- cleaning -------------------------------------------------------------------------------------

ok "what no definition needs goes" worker image-clean "{\"keep\":[\"$base\"]}"
ok "… the checkout too" test ! -e "$tree"
is "… one image and its layer stay" "$(ostree --repo="$store" refs | sed 's,/[0-9a-f]*$,,' | sort | uniq -c | xargs)" \
	"1 ashlar/oci/image 1 ashlar/oci/layer"
ok "… whole" ostree --repo="$store" fsck -q
ok "all of it goes" worker image-clean '{"keep":[]}'
is "… no file is left of it" "$(find "$store/objects" -type f | wc -l)" 0

# ---- at any instant -------------------------------------------------------------------------------

import="{\"kind\":\"oci-dir\",\"location\":\"$tmp/img\",\"tag\":\"two\"}"
# killed POINT VERB JSON: the process dies there; given again, it ends well, and nothing half-done is left.
killed()
{
	(ASHLAR_FAULT=$1:kill worker "$2" "$3") 2>/dev/null
	is "killed at $1" $? 137
	ok "… given again it ends" worker "$2" "$3"
	empty "… and leaves nothing behind" "$(find "$store/tmp" "$root/sysroot/ostree/workload" -maxdepth 1 -name '*ashlar-staged' -o -maxdepth 1 -name '.*.tmp')"
	ok "… the repository is sound" ostree --repo="$store" fsck -q
}
for point in image-begin image-layers image-staged image-committed image-refs; do
	worker image-clean '{"keep":[]}'
	killed $point image-import "$import"
done
for point in image-checkout-begin image-checkout-temp image-checkout-named; do
	worker image-clean "{\"keep\":[]}"
	worker image-import "$import"
	killed $point image-checkout "{\"commit\":\"$commit\"}"
	empty "… the tree is whole" "$(image_same "$tmp/want/rootfs" "$root/sysroot/ostree/workload/$commit")"
done
for point in image-clean-hidden image-clean-refs image-clean-prune; do
	worker image-import "$import"
	worker image-checkout "{\"commit\":\"$commit\"}"
	killed $point image-clean '{"keep":[]}'
	is "… no file is left of it" "$(find "$store/objects" "$root/sysroot/ostree/workload" -type f | wc -l)" 0
done

# ---- a registry -----------------------------------------------------------------------------------

registry_start open
open=$registry
# Docker's own media types, gzip, and OCI's with zstd.
skopeo copy -q --dest-tls-verify=false -f v2s2 "oci:$tmp/img:two" "docker://$open/some/app:1"
skopeo copy -q --dest-tls-verify=false "oci:$tmp/img:base" "docker://$open/some/app:base"
skopeo copy -q --dest-tls-verify=false --dest-compress-format zstd --dest-force-compress-format "oci:$tmp/img:two" "docker://$open/some/zstd:1" 2>/dev/null ||
	skopeo copy -q --dest-tls-verify=false --dest-compress --dest-compress-format zstd "oci:$tmp/img:two" "docker://$open/some/zstd:1"

# order NAME TAG DIGEST [MORE OF THE ENDPOINT [ENDPOINTS BEFORE IT]]
order()
{
	jq -nc --arg l "$registry/$1" --arg t "$2" --arg d "$3" --arg u "http://$registry" --argjson m "${4:-{\}}" --argjson b "${5:-[]}" \
		'{location: $l, tag: $t, digest: $d, endpoints: ($b + [{url: $u} + $m])}'
}

served()
{
	grep -c 'GET /v2/.*blobs' "$tmp/registry-$1/log"
}

ok "an image is pulled by its tag" fetch "$(order some/app 1 "")"
digest=$(jq -r .digest <<<"$answer")
is "… the digest is the registry's" "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$open/some/app:1")"
ok "… and imported" worker image-import "{\"kind\":\"oci\",\"location\":\"$open/some/app\",\"digest\":\"$digest\"}"
ok "… and checked out" worker image-checkout "{\"commit\":\"$(jq -r .commit <<<"$answer")\"}"
empty "… as umoci unpacks it" "$(image_same "$tmp/want/rootfs" "$(jq -r .path <<<"$answer")")"
empty "… nothing of it stays in staging" "$(find "$root/var/lib/ashlar-link" -type f)"
before=$(served open)
ok "pulled again, by digest" fetch "$(order some/app "" "$digest")"
is "… nothing is asked for" "$(served open)" "$before"
ok "an image that shares its layer" fetch "$(order some/app base "")"
is "… costs its config alone" "$(($(served open) - before))" 1
ok "… and unpacks nothing" worker image-import "{\"kind\":\"oci\",\"location\":\"$open/some/app\",\"digest\":\"$(jq -r .digest <<<"$answer")\"}"
is "… of it" "$(jq .unpacked <<<"$answer")" 0
ok "clean" worker image-clean '{"keep":[]}'
ok "layers in zstd are pulled" fetch "$(order some/zstd 1 "")"
ok "… and imported" worker image-import "{\"kind\":\"oci\",\"location\":\"$open/some/zstd\",\"digest\":\"$(jq -r .digest <<<"$answer")\"}"
is "… to the same commit's tree" "$(jq .unpacked <<<"$answer")" 2
ok "clean" worker image-clean '{"keep":[]}'
exits 1 "what is not there is said to be gone" fetch "$(order some/app none "")"
is "… with its word" "$word" gone

# ---- several machines -----------------------------------------------------------------------------

# An index of two: ours and one of another architecture, which must not be taken.
umoci config --image "$tmp/img:two" --tag other --architecture s390x
skopeo copy -q --dest-tls-verify=false "oci:$tmp/img:other" "docker://$open/multi/app:s390x"
skopeo copy -q --dest-tls-verify=false "oci:$tmp/img:two" "docker://$open/multi/app:ours"
arch=$(dpkg --print-architecture)
for tag in s390x ours; do
	curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$open/v2/multi/app/manifests/$tag" >"$tmp/$tag.json"
done
jq -nc --arg a "sha256:$(sha256sum <"$tmp/s390x.json" | cut -c1-64)" --arg b "sha256:$(sha256sum <"$tmp/ours.json" | cut -c1-64)" \
	--argjson n "$(stat -c %s "$tmp/s390x.json")" --argjson m "$(stat -c %s "$tmp/ours.json")" --arg arch "$arch" \
	'{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
	  {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $a, size: $n, platform: {os: "linux", architecture: "s390x"}},
	  {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $b, size: $m, platform: {os: "linux", architecture: $arch}}]}' >"$tmp/index.json"
curl -s -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$tmp/index.json" "http://$open/v2/multi/app/manifests/all"
ok "of an index for several machines" fetch "$(order multi/app all "")"
is "… the index's digest is said" "$(jq -r .digest <<<"$answer")" "sha256:$(sha256sum <"$tmp/index.json" | cut -c1-64)"
ok "… this machine's image is imported" worker image-import "{\"kind\":\"oci\",\"location\":\"$open/multi/app\",\"digest\":\"$(jq -r .digest <<<"$answer")\"}"
is "… by its manifest" "$(jq -r .digest <<<"$answer")" "sha256:$(sha256sum <"$tmp/ours.json" | cut -c1-64)"
exits 1 "an image of another machine alone is refused" fetch "$(order multi/app s390x "")"
is "… as no image for this host" "$word" image
ok "clean" worker image-clean '{"keep":[]}'

# ---- who may --------------------------------------------------------------------------------------

registry_start basic basic
skopeo copy -q --dest-tls-verify=false --dest-creds host:secret "oci:$tmp/img:two" "docker://$registry/private/app:1"
exits 1 "without a password the registry denies" fetch "$(order private/app 1 "")"
is "… and it is said so" "$word" denied
exits 1 "… with a wrong one too" fetch "$(order private/app 1 "" '{"username":"host","password":"wrong"}')"
is "… denied" "$word" denied
ok "with the password it is pulled" fetch "$(order private/app 1 "" '{"username":"host","password":"secret"}')"
ok "clean" worker image-clean '{"keep":[]}'

registry_start token token
skopeo copy -q --dest-tls-verify=false --dest-creds host:secret "oci:$tmp/img:two" "docker://$registry/private/app:1"
skopeo copy -q --dest-tls-verify=false --dest-creds host:secret "oci:$tmp/img:two" "docker://$registry/public/app:1"
exits 1 "without a token the registry denies" fetch "$(order private/app 1 "")"
is "… as it should" "$word" denied
exits 1 "the password is not told to a token server that nobody named" fetch "$(order private/app 1 "" '{"username":"host","password":"secret"}')"
like "… it is said how to allow it" "$(jq -r .text <<<"$answer")" "$token_host.*token-hosts"
ok "with it named, a token is had and the image pulled" fetch "$(order private/app 1 "" "{\"username\":\"host\",\"password\":\"secret\",\"token_hosts\":[\"$token_host\"]}")"
ok "clean" worker image-clean '{"keep":[]}'
ok "a public image is pulled with nobody's token" fetch "$(order public/app 1 "")"
ok "clean" worker image-clean '{"keep":[]}'

# ---- mirrors, redirects, broken downloads -----------------------------------------------------------

# Between us and the open registry: PORT/break ends each blob once after half of it, PORT/away sends for blobs to another
# port, where what headers came is written down, PORT/wrong has other bytes.
python3 - "$open" "$tmp/seen" >"$tmp/proxy-log" 2>&1 <<'END' &
import http.server, re, sys, threading, urllib.error, urllib.request
target, seen = sys.argv[1:3]
broken = set()
class Away(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(seen, "a") as file:
            file.write("%s %s\n" % (self.path, self.headers.get("Authorization", "nothing")))
        relay(self, self.path)
    def log_message(self, *args): pass
def relay(self, path, wrong=False, half=False):
    request = urllib.request.Request("http://" + target + path)
    for name in ("Accept", "Range"):
        if name in self.headers:
            request.add_header(name, self.headers[name])
    try:
        reply = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        reply = error
    body = reply.read()
    if wrong:
        body = body[:-1] + b"X"
    self.send_response(reply.status)
    for name in ("Content-Type", "Content-Range"):
        if reply.headers.get(name):
            self.send_header(name, reply.headers[name])
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    self.wfile.write(body[:len(body) // 2] if half else body)
    if half:
        self.wfile.flush()
        self.close_connection = True
class Handler(Away):
    def do_GET(self):
        with open(seen, "a") as file:
            file.write("%s range=%s\n" % (self.path, self.headers.get("Range", "")))
        how, path = re.match(r"/([a-z]+)(/.*)", self.path).groups()
        blob = "/blobs/" in path
        if how == "away" and self.headers.get("Authorization") is None:
            self.send_response(401); self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0"); self.end_headers()
        elif how == "away" and blob:
            self.send_response(307); self.send_header("Location", "http://127.0.0.1:%d%s" % (away.server_port, path))
            self.send_header("Content-Length", "0"); self.end_headers()
        else:
            half = how == "break" and blob and self.path not in broken
            broken.add(self.path)
            relay(self, path, how == "wrong" and blob, half)
away = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Away)
threading.Thread(target=away.serve_forever, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("proxy on 127.0.0.1:%d." % server.server_port, flush=True)
server.serve_forever()
END
at_exit+=("kill $!")
proxy=$(registry_port "$tmp/proxy-log" 'proxy on \([0-9.:]*\)\.')
registry=$open
export ASHLAR_FETCH_PAUSE_MS=10

ok "a mirror is asked first" fetch "$(order some/app 1 "" '{}' "[{\"url\":\"http://$proxy/plain\"}]")"
like "… by its prefix" "$(cat "$tmp/seen")" '^/plain/v2/some/app/blobs/sha256:'
ok "clean" worker image-clean '{"keep":[]}'
ok "one that is not there is passed over" fetch "$(order some/app 1 "" '{}' '[{"url":"http://127.0.0.1:1"}]')"
ok "clean" worker image-clean '{"keep":[]}'
ok "one with other bytes is passed over" fetch "$(order some/app 1 "$digest" '{}' "[{\"url\":\"http://$proxy/wrong\"}]")"
ok "… and what was pulled is right" worker image-import "{\"kind\":\"oci\",\"location\":\"$open/some/app\",\"digest\":\"$digest\"}"
ok "clean" worker image-clean '{"keep":[]}'
exits 1 "with nobody else it fails" fetch "$(jq -c '.endpoints = .endpoints[:1]' <<<"$(order some/app 1 "$digest" '{}' "[{\"url\":\"http://$proxy/wrong\"}]")")"
is "… as other bytes" "$word" mismatch
ok "clean" worker image-clean '{"keep":[]}'
: >"$tmp/seen"
ok "downloads that break off are gone on with" fetch "$(jq -c '.endpoints = .endpoints[:1]' <<<"$(order some/app 1 "" '{}' "[{\"url\":\"http://$proxy/break\"}]")")"
like "… from where they broke off" "$(cat "$tmp/seen")" 'blobs/sha256:[0-9a-f]* range=bytes=[1-9][0-9]*-$'
ok "clean" worker image-clean '{"keep":[]}'
: >"$tmp/seen"
ok "blobs that lie elsewhere are fetched there" fetch "$(jq -c '.endpoints = .endpoints[:1]' <<<"$(order some/app 1 "" '{}' "[{\"url\":\"http://$proxy/away\",\"username\":\"host\",\"password\":\"secret\"}]")")"
like "… where the password does not come along" "$(grep '^/v2/' "$tmp/seen")" 'nothing'
unlike "… with no request" "$(grep '^/v2/' "$tmp/seen")" 'Basic'
ok "clean" worker image-clean '{"keep":[]}'
exits 2 "without TLS nothing but this machine is asked" fetch '{"location":"registry.example.org/a","tag":"1","endpoints":[{"url":"http://registry.example.org"}]}'

done_testing
