#!/bin/bash
# needs: root jq ostree openssl python3
# SPDX-License-Identifier: Apache-2.0
# Images that mean harm: refused with a word, or harmless; and of what was refused nothing is left on the host.
. tests/lib/tap.sh
. tests/lib/registry.bash

image_host
store=$root/sysroot/ostree/repo
mkdir -p "$tmp/canary"
echo untouched >"$tmp/canary/file"
truncate -s 100G "$tmp/sparse-file"
tar -C "$tmp" --sparse -cf "$tmp/sparse.tar" sparse-file
truncate -s 3000000 "$tmp/holes"
printf middle | dd of="$tmp/holes" bs=1 seek=1000000 conv=notrunc status=none
printf end >>"$tmp/holes"
tar -C "$tmp" --sparse --format=gnu -cf "$tmp/holes-gnu.tar" holes
tar -C "$tmp" --sparse --format=pax -cf "$tmp/holes-pax.tar" holes

# Each is a layout $tmp/h/NAME. Made by hand: no program of good will makes them.
python3 - "$tmp" "$(dpkg --print-architecture)" <<'END'
import gzip, hashlib, io, json, os, sys, tarfile
tmp, arch = sys.argv[1:3]
canary = tmp + "/canary"

def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()

class Layout:
    def __init__(self, name):
        self.path = tmp + "/h/" + name
        os.makedirs(self.path + "/blobs/sha256")
        open(self.path + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
    def blob(self, data):
        open(self.path + "/blobs/sha256/" + digest(data)[7:], "wb").write(data)
        return {"digest": digest(data), "size": len(data)}
    def index(self, *entries):
        open(self.path + "/index.json", "w").write(json.dumps({"schemaVersion": 2, "manifests": list(entries)}))

def tar(*entries):
    """Entries: (name, kind, what) or a TarInfo with bytes, or bytes as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            if isinstance(entry, tuple) and isinstance(entry[0], tarfile.TarInfo):
                info, data = entry
            else:
                name, kind, what = entry
                info, data = tarfile.TarInfo(name), b""
                info.type = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE,
                             "h": tarfile.LNKTYPE, "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE,
                             "p": tarfile.FIFOTYPE}[kind]
                if kind in "lh":
                    info.linkname = what
                elif kind == "f":
                    data = what
                    info.size = len(data)
                elif kind in "cb":
                    info.devmajor, info.devminor = what
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()

def info(name, data=b"x", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for key, value in fields.items():
        setattr(entry, key, value)
    return (entry, data)

def image(name, *tars, packed=None, diff_ids=None, layers=None, config=None, manifest=None):
    layout = Layout(name)
    packed = packed or [gzip.compress(data, 1) for data in tars]
    descriptors = [dict(layout.blob(data), mediaType="application/vnd.oci.image.layer.v1.tar+gzip") for data in packed]
    document = {"architecture": arch, "os": "linux", "config": {},
                "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest(data) for data in tars]}}
    document.update(config or {})
    about = layout.blob(json.dumps(document).encode())
    about["mediaType"] = "application/vnd.oci.image.config.v1+json"
    whole = {"schemaVersion": 2, "config": about, "layers": layers(descriptors) if layers else descriptors}
    whole.update(manifest or {})
    entry = dict(layout.blob(json.dumps(whole).encode()), mediaType="application/vnd.oci.image.manifest.v1+json")
    layout.index(entry)
    return layout, descriptors, entry

good = tar(("etc/", "d", None), ("etc/x", "f", b"x"))
image("good", good)
# Paths.
image("absolute", tar(("/etc/abs", "f", b"abs"), ("//usr//./b", "f", b"b")))
image("dots", tar(("../../../../../../..%s/out" % canary, "f", b"out")))
image("dots-inside", tar(("a/b/../../../out", "f", b"out")))
image("deep", tar(("d/" * 101 + "f", "f", b"x")))
image("long-name", tar(("n" * 300, "f", b"x")))
image("long-path", tar(("/".join(["n" * 200] * 30), "f", b"x")))
image("root-is-a-link", tar((".", "l", canary)))
image("below-a-file", tar(("a", "f", b"x"), ("a/b", "f", b"y")))
raw = tarfile.TarInfo("x")
bad_name = bytearray(raw.tobuf(tarfile.USTAR_FORMAT))
bad_name[0] = 0xff
bad_name[148:156] = b"        "
bad_name[148:156] = b"%06o\0 " % sum(bad_name)
image("not-utf8", bytes(bad_name) + bytes(1024))
# Links.
image("write-through", tar(("evil", "l", canary), ("evil/out", "f", b"out"), ("evil/file", "f", b"changed")))
image("write-through-layers", tar(("evil", "l", canary)), tar(("evil/out", "f", b"out"), ("evil/.wh.file", "f", b"")))
image("write-through-dots", tar(("evil", "l", "../" * 30 + canary[1:]), ("evil/out", "f", b"out")))
image("link-loop", tar(("a", "l", "b"), ("b", "l", "a"), ("a/x", "f", b"x")))
image("link-loop-layers", tar(("a", "l", "b"), ("b", "l", "a")), tar(("a/x", "f", b"x")))
image("link-onto-itself", tar(("a/l", "l", "/"), ("a/f", "f", b"1")), tar(("a/l/a", "f", b"file")))
image("hard-link-out", tar(("shadow", "h", "/etc/shadow")))
image("hard-link-dots", tar(("shadow", "h", "../../../../etc/shadow")))
image("hard-link-through", tar(("evil", "l", "/"), ("canary", "h", "evil" + canary + "/file")))
image("hard-link-dir", tar(("d/", "d", None), ("e", "h", "d")))
# What is no file.
image("devices", tar(("dev/sda", "b", (8, 0)), ("dev/mem", "c", (1, 1)), ("pipe", "p", None), ("etc/x", "f", b"x")))
image("device-over-file", tar(("etc/x", "f", b"x")), tar(("etc/x", "c", (0, 0))))
# Whiteouts.
image("whiteout-nothing", tar(("a/.wh.", "f", b"")))
image("whiteout-dots", tar(("a/.wh...", "f", b"")))
image("whiteout-marks", tar((".wh..wh..ln.x", "l", "/etc/shadow"), (".wh..wh..imp", "f", b""), ("f", "f", b"x")))
# Owners, attributes.
image("owner", tar(info("x", uid=4294967295)))
image("owner-negative", tar(info("x", pax_headers={"uid": "-7"})))
image("attributes", tar(info("x", pax_headers={"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.security.selinux": "s",
                                                 "SCHILY.xattr.user.fine": "yes", "SCHILY.xattr.security.capability": "short"})))
image("attributes-large", tar(info("x", pax_headers={"SCHILY.xattr.user.a": "y" * 5000})))
image("header-large", tar(info("x", pax_headers={"comment": "y" * (3 << 20)})))
# Sizes.
huge = tarfile.TarInfo("huge")
huge.size = 1 << 40
image("huge-file", huge.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
image("sparse", open(tmp + "/sparse.tar", "rb").read())
image("bomb", tar(("zeros", "f", bytes(64 << 20))))
image("bomb-padding", tar(("x", "f", b"x")) + bytes(64 << 20))
template = bytearray(tarfile.TarInfo("0000000").tobuf(tarfile.USTAR_FORMAT))
template[148:156] = b"        "
base, rest = sum(template) - sum(b"0000000"), bytes(template[156:])
middle = bytes(template[7:148])
many = b"".join(b"%s%s%06o\0 %s" % (n, middle, base + sum(n), rest) for n in (b"%07d" % i for i in range(500010)))
image("many-files", many + bytes(1024))
# Not what was named.
layout, layers, _ = image("wrong-digest", good)
at = layout.path + "/blobs/sha256/" + layers[0]["digest"][7:]
data = bytearray(open(at, "rb").read())
data[-9] ^= 1
open(at, "wb").write(data)
layout, layers, _ = image("longer", good)
open(layout.path + "/blobs/sha256/" + layers[0]["digest"][7:], "ab").write(b"more")
image("shorter", good, layers=lambda l: [dict(l[0], size=l[0]["size"] + 5)])
image("wrong-size", good, layers=lambda l: [dict(l[0], size=l[0]["size"] - 5)])
layout, layers, entry = image("wrong-manifest", good)
with open(layout.path + "/blobs/sha256/" + entry["digest"][7:], "ab") as file:
    file.write(b" ")
image("wrong-diff-id", good, diff_ids=[digest(b"else")])
image("cut-gzip", good, packed=[gzip.compress(tar(("x", "f", os.urandom(100000))))[:50000]])
image("no-tar", os.urandom(5000), packed=[os.urandom(5000)])
layout, layers, _ = image("missing", good)
os.unlink(layout.path + "/blobs/sha256/" + layers[0]["digest"][7:])
for name in ("blob-link", "blob-pipe"):
    layout, layers, _ = image(name, good)
    at = layout.path + "/blobs/sha256/" + layers[0]["digest"][7:]
    os.unlink(at)
    os.symlink("/etc/passwd", at) if name == "blob-link" else os.mkfifo(at)
# Documents.
image("two-kinds", good, manifest={"manifests": []})
image("schema-1", good, manifest={"schemaVersion": 1})
image("foreign", good, layers=lambda l: [dict(l[0], mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                                               urls=["http://127.0.0.1:9/"])])
image("too-few-layers", good, diff_ids=[digest(good)] * 2)
image("too-many-layers", good, layers=lambda l: l * 200, diff_ids=[digest(good)] * 200)
image("huge-layer", good, layers=lambda l: [dict(l[0], size=1 << 50)])
image("manifest-large", good, manifest={"annotations": {"a": "y" * (5 << 20)}})
image("deep-json", good, manifest={"annotations": json.loads("[" * 50 + "]" * 50)})
image("digest-path", good, layers=lambda l: [dict(l[0], digest="sha256:../../../../../etc/passwd")])
image("sha512", good, layers=lambda l: [dict(l[0], digest="sha512:" + "0" * 128)])
image("directory", good, config={"config": {"WorkingDir": "/proc/self/fd/8"}})
image("directory-dots", good, config={"config": {"WorkingDir": "/a/../proc/self/fd/8"}})
image("other-machine", good, config={"architecture": "pdp11"})
# What tars can say, and programs of good will seldom do.
lower = tar(("d/", "d", None), ("d/a", "f", b"lower"), ("d/b", "f", b"gone"), ("s", "l", "d/a"), ("keep", "f", b"kept"))
image("whiteout-up", lower, tar(("d/../.wh.keep", "f", b"")))
image("whiteout-path", lower, tar((".wh.d/../keep", "f", b"")))
image("opaque-twice", lower, tar(("d/.wh..wh..opq", "f", b""), ("d/c", "f", b"upper"), ("d/.wh..wh..opq", "f", b""),
                                ("d/.wh.c", "f", b"")))
image("hard-links", lower, tar(("h1", "h", "d/a"), ("h2", "h", "s"), ("l", "l", "h1"), ("h3", "h", "l"), ("d/a", "f", b"newer")))
image("hard-link-early", tar(("h", "h", "x"), ("x", "f", b"later")))
image("dir-file-dir", tar(("d/", "d", None), ("d/x", "f", b"x"), ("d", "f", b"file"), ("d/", "d", None), ("d/y", "f", b"y"),
                          ("f", "f", b"1"), ("f", "l", "d"), ("f", "f", b"2")))
image("names", tar(("n" * 255, "f", b"x"), ("/".join("m" * 200 for _ in range(20)), "f", b"y")))
image("name-256", tar(("n" * 256, "f", b"x")))
image("times", tar(info("a", pax_headers={"mtime": "-9000000000000000000"}), info("b", pax_headers={"mtime": "9" * 30}),
                   info("c", mtime=-1), info("d", pax_headers={"mtime": "nan", "atime": "x"})))
image("modes", tar(info("suid", mode=0o6755), info("odd", mode=0o7777777), ("t/", "d", None)))
image("pax-size", tar(info("x", pax_headers={"size": "1099511627776"})) + bytes(2048))
image("pax-size-negative", tar(info("x", pax_headers={"size": "-1"})))
image("pax-size-over", tar(info("x", b"y" * 1000, pax_headers={"size": "512"}), ("z", "f", b"z")))
image("holes-gnu", open(tmp + "/holes-gnu.tar", "rb").read())
image("holes-pax", open(tmp + "/holes-pax.tar", "rb").read())
# Compression.
cut = [good[i:i + 7] for i in range(0, len(good), 7)]
image("members", good, packed=[b"".join(gzip.compress(piece) for piece in cut)])
image("members-bomb", good, packed=[gzip.compress(bytes(1 << 20)) * 64])
def zstd(data, window):
    return (b"\x28\xb5\x2f\xfd\0" + bytes([(window - 10) << 3]) + ((len(data) << 3) | 1).to_bytes(3, "little") + data)
as_zstd = lambda l: [dict(l[0], mediaType="application/vnd.oci.image.layer.v1.tar+zstd")]
image("zstd", good, packed=[zstd(good, 17)], layers=as_zstd)
image("zstd-window", good, packed=[zstd(good, 41)], layers=as_zstd)
image("zstd-window-31", good, packed=[zstd(good, 31)], layers=as_zstd)
image("zstd-frames", good, packed=[b"".join(zstd(piece, 17) for piece in cut)], layers=as_zstd)
image("trailing", good, packed=[gzip.compress(good) + b"no gzip at all" * 100])
image("trailing-zstd", good, packed=[zstd(good, 17) + b"no zstd at all" * 100], layers=as_zstd)
image("large", tar(("etc/", "d", None), ("etc/x", "f", os.urandom(300000))))
image("xz", good, packed=[__import__("lzma").compress(good)])
# Documents, again.
layout, layers, entry = image("wrong-config", good)
manifest = json.load(open(layout.path + "/blobs/sha256/" + entry["digest"][7:]))
at = layout.path + "/blobs/sha256/" + manifest["config"]["digest"][7:]
text = open(at).read()
open(at, "w").write(text.replace("linux", "linuy"))
layout, layers, entry = image("no-machine", good)
layout.index(dict(entry, platform={"os": "linux", "architecture": "s390x"}), dict(entry, platform={"os": "windows", "architecture": arch}))
layout, layers, entry = image("indices", good)
for _ in range(5):
    text = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    entry = dict(layout.blob(text), mediaType="application/vnd.oci.image.index.v1+json")
layout.index(entry)
END

before=$(cd "$tmp/canary" && find . -printf '%p %s %m %T@\n' | sort)
import()
{
	worker image-import "{\"kind\":\"oci-dir\",\"location\":\"$tmp/h/$1\"}"
}

left()
{
	find "$store/objects" -type f | wc -l
	find "$store/tmp" -name 'staging-*'
	ostree --repo="$store" refs
}

# refused NAME WORD REGEX: and nothing is left of it.
refused()
{
	import "$1"
	is "$1 is refused" "$word" "$2"
	like "… it is said why" "$diag_text" "$3"
	is "… nothing is left" "$(left)" "0"
}

refused dots image "'\.\.'"
refused dots-inside image "'\.\.'"
refused deep image "100 deep"
refused long-name image "255 bytes"
refused long-path image "4095 bytes"
refused root-is-a-link image "root of an image"
refused below-a-file image "'a/b': .*no directory"
refused not-utf8 image "UTF-8|usable name"
refused link-loop image "more links"
refused link-loop-layers image "more links"
refused hard-link-out image "hard link to 'etc/shadow', which is no file"
refused hard-link-dots image "'\.\.'"
refused hard-link-through image "no file in the image"
refused hard-link-dir image "no file in the image"
refused whiteout-nothing image "whiteout of no name"
refused whiteout-dots image "whiteout of no name"
refused owner image "owner"
refused owner-negative image "owner"
refused attributes-large image "extended attributes"
refused header-large image "."
refused huge-file image "may have"
refused sparse image "may have"
refused many-files image "more than 500000 files"
export ASHLAR_IMAGE_MAX_BYTES=20000000
refused bomb image "may have"
refused bomb-padding image "may have"
unset ASHLAR_IMAGE_MAX_BYTES
refused wrong-digest corrupt "not the one that was named"
refused longer corrupt "."
refused shorter corrupt "bytes"
refused wrong-size corrupt "."
refused wrong-manifest corrupt "digest|bytes"
refused wrong-diff-id image "unpacked layer has the digest"
refused cut-gzip image "."
refused no-tar image "."
refused missing missing "not there"
refused blob-link corrupt "."
refused blob-pipe corrupt "."
refused two-kinds image "both an index and a manifest"
refused schema-1 image "schema 1"
refused foreign image "lies elsewhere"
refused too-few-layers image "names 2 layers"
refused too-many-layers image "128 are the most"
refused huge-layer image "are the most"
refused manifest-large image "."
refused deep-json image "deep"
refused digest-path image "no SHA-256 digest"
refused sha512 image "no SHA-256 digest"
refused directory image "kernel's"
refused directory-dots image "'\.\.'"
refused other-machine image "pdp11"
refused indices image "indices in indices"
refused whiteout-up image "layer [0-9a-f]{12}: 'd/../.wh.keep': .*'\.\.'"
refused whiteout-path image "'\.\.'"
refused hard-link-early image "'h' is a hard link to 'x', which is no file"
refused name-256 image "255 bytes"
refused pax-size image "layer [0-9a-f]{12}: 'x'.* may have"
refused pax-size-negative image "."
refused pax-size-over image "."
export ASHLAR_IMAGE_MAX_BYTES=20000000
refused members-bomb image "may have"
unset ASHLAR_IMAGE_MAX_BYTES
refused zstd-window image "layer [0-9a-f]{12}: .*damaged archive"
refused zstd-window-31 image "layer [0-9a-f]{12}: .*damaged archive"
refused xz image "layer [0-9a-f]{12}: "
refused wrong-config corrupt "has the digest"
refused no-machine image "no image for linux/.*linux/s390x"

# What is taken is harmless: it stays inside.
taken()
{
	ok "$1 is taken" import "$1"
	notes=$(jq -r '.notes // ""' <<<"$answer")
	worker image-checkout "{\"commit\":\"$(jq -r .commit <<<"$answer")\"}"
	tree=$(jq -r .path <<<"$answer")
}

taken absolute
is "… its paths are inside" "$(cat "$tree/etc/abs" "$tree/usr/b")" absb
taken write-through
is "… it wrote inside" "$(cat "$tree$tmp/canary/out" "$tree$tmp/canary/file")" outchanged
taken write-through-layers
is "… so did the layer above" "$(cat "$tree$tmp/canary/out")" out
taken write-through-dots
is "… the root is the end of .." "$(cat "$tree$tmp/canary/out")" out
taken link-onto-itself
is "… a directory that went while it was written to" "$(cat "$tree/a")" file
taken devices
is "… without them" "$(find "$tree" -mindepth 1 | sed "s,$tree/,," | sort | tr '\n' ' ')" "etc etc/x "
like "… which is said" "$notes" "^3 devices, pipes or sockets \(dev/sda, dev/mem, pipe\)"
taken device-over-file
ok "… what was below it is gone" test ! -e "$tree/etc/x"
taken whiteout-marks
is "… our marks are nobody else's" "$(ls -A "$tree")" f
taken attributes
is "… those of the host are left out" "$(python3 -c 'import os, sys; print(os.listxattr(sys.argv[1]))' "$tree/x")" "['user.fine']"
like "… which is said" "$notes" "3 extended attributes"
taken opaque-twice
is "… nothing of below is left, and what the layer itself has stays" "$(ls -A "$tree/d")" c
taken hard-links
is "… a file of below as it was, or a link" "$(cat "$tree/h1" "$tree/d/a") $(readlink "$tree/h2" "$tree/h3" | xargs)" "lowernewer d/a h1"
is "… one file" "$(stat -c %i "$tree/h1")" "$(stat -c %i "$tree/l" -L)"
taken dir-file-dir
is "… the last word counts" "$(ls "$tree/d") $(cat "$tree/f")" "y 2"
taken names
is "… as long as there can be" "$(find "$tree" -type f -printf '%P\n' | awk '{ print length }' | sort -n | xargs)" "255 4019"
taken times
is "… which nobody keeps" "$(stat -c %Y "$tree/a" "$tree/b" "$tree/c" "$tree/d" | sort -u)" 0
taken modes
is "… as they are" "$(stat -c %a "$tree/suid" "$tree/odd" | xargs)" "6755 7777"
taken holes-gnu
ok "… with its holes" cmp "$tree/holes" "$tmp/holes"
taken holes-pax
ok "… with its holes" cmp "$tree/holes" "$tmp/holes"
taken members
is "… all of them" "$(cat "$tree/etc/x")" x
taken zstd
is "… which is understood" "$(cat "$tree/etc/x")" x
taken zstd-frames
is "… all of them" "$(cat "$tree/etc/x")" x
taken trailing-zstd
is "… what is behind it is nobody's" "$(cat "$tree/etc/x")" x
taken trailing
is "… what is behind it is nobody's" "$(find "$tree" -type f -exec cat {} +)" x
worker image-clean '{"keep":[]}'

# ---- a registry that means harm -------------------------------------------------------------------

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
python3 tests/lib/registry-hostile.py "$tmp/h" "$tmp/seen" "$tmp/cert.pem" "$tmp/key.pem" >"$tmp/registry-log" 2>&1 &
at_exit+=("kill $!")
registry=$(registry_port "$tmp/registry-log" 'registry on \([0-9.:]*\)\.')
tls=$(registry_port "$tmp/registry-log" 'tls on \([0-9.:]*\)\.')
staging=$root/var/lib/ashlar-link
digest=$(jq -r '.manifests[0].digest' "$tmp/h/large/index.json")
export ASHLAR_FETCH_PAUSE_MS=10 ASHLAR_FETCH_TRIES=2

# pull URL [DIGEST [MORE OF THE ENDPOINT]]: the image "large"; without a digest by its tag.
pull()
{
	rm -rf "$staging/oci"
	: >"$tmp/seen"
	fetch "$(jq -nc --arg l "$registry/large" --arg u "$1" --arg d "${2-}" --argjson m "${3:-{\}}" \
		'{location: $l, tag: "1", digest: $d, endpoints: [{url: $u} + $m]}')"
}

# What has a blob's name in staging and not its digest.
forged()
{
	(cd "$staging/oci/blobs/sha256" 2>/dev/null && find . -type f ! -name '*.part' -printf '%f  %f\n' | sha256sum -c --quiet 2>/dev/null)
}

# no_pull WHAT WORD REGEX HOW [DIGEST [MORE]]: it fails so, and of what was wrong nothing is left.
no_pull()
{
	local url=http://$registry/$4
	[[ $4 != https:* ]] || url=https://$tls/${4#https:}
	exits 1 "$1" pull "$url" "${@:5}"
	is "… the word" "$word" "$2"
	like "… why" "$(jq -r .text <<<"$answer")" "$3"
	empty "… nothing that is not what its name says is left" "$(forged)"
}

no_document()
{
	no_pull "$@"
	empty "… nor anything else" "$(find "$staging" -type f)"
}

no_document "a redirect to itself" failed 'from one place to the next' loop
no_document "one that leads further and further" failed 'from one place to the next' chain
no_pull "a blob's redirect to itself" failed 'redirect' loop-blob
no_document "a redirect to a file" failed 'where we do not go' file
no_pull "a blob's redirect to a file" failed '[Pp]rotocol.*file' file-blob
certificate=$(jq -nc --rawfile ca "$tmp/cert.pem" '{ca: $ca}')
ok "with TLS it is pulled" pull "https://$tls/plain" "" "$certificate"
no_document "a redirect to where there is no TLS" failed 'where we do not go' https:http "" "$certificate"
unlike "… which is not asked" "$(cat "$tmp/seen")" '^away'
no_pull "a blob's redirect to where there is no TLS" failed '[Pp]rotocol.*http' https:http-blob "" "$certificate"
unlike "… which is not asked" "$(cat "$tmp/seen")" '^away'

ok "who is sent elsewhere for manifests and blobs pulls them there" pull "http://$registry/bearer"
is "… where the token does not come along" "$(awk '$1 == "away" { print $4 }' "$tmp/seen" | sort | uniq -c | xargs)" "3 -"
like "… but to the registry" "$(cat "$tmp/seen")" '^registry GET .*/blobs/.* Bearer_t0ken -'
ok "with a password too" pull "http://$registry/basic" "" '{"username":"host","password":"secret"}'
is "… which does not come along" "$(awk '$1 == "away" { print $4 }' "$tmp/seen" | sort | uniq -c | xargs)" "3 -"

no_document "a manifest that breaks off" offline . half
no_document "one that is half of itself" image . cut
no_document "… by its digest" mismatch 'has the digest' cut "$digest"
no_document "a manifest by its digest that is another" mismatch 'has the digest' forged "$digest"
no_document "a page in place of a manifest" image . html
no_document "a manifest of another kind" image 'schema 1' other
no_document "a manifest without end" too-big 'allowed' endless
no_pull "a blob with more behind it" mismatch 'more than the expected|instead of' more-blob
no_pull "a blob of less" mismatch 'instead of' less-blob
no_pull "a length that is not the layer's" mismatch 'more than the expected' long-blob
no_pull "a blob without end" mismatch 'more than the expected' endless-blob

# pulled WHAT HOW: and it is the image.
pulled()
{
	ok "$1" pull "http://$registry/$2" "$digest"
	is "… it was gone on with" "$(grep -c 'blobs/.* bytes=[1-9][0-9]*-$' "$tmp/seen")" 2
	ok "… the image is right" worker image-import "{\"kind\":\"oci\",\"location\":\"$registry/large\",\"digest\":\"$digest\"}"
	worker image-clean '{"keep":[]}'
}
pulled "a server that breaks off and knows no ranges" again
pulled "one that begins at the front and says that it goes on" liar

taken good
is "the host is as it was" "$(cd "$tmp/canary" && find . -printf '%p %s %m %T@\n' | sort)" "$before"
ok "the repository is sound" ostree --repo="$store" fsck -q

done_testing
