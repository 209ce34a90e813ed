#!/bin/bash
# needs: jq
# SPDX-License-Identifier: Apache-2.0
# The table in builder/schema.c is what the manual and the JSON Schema say.
. tests/lib/tap.sh

ok "schema --man succeeds" "$ashlar" schema --man
cp "$tmp/out" "$tmp/keys"
sed -n '/^; keys: /,/^; end of keys$/p' docs/man/manifest.5.scd | sed '1d;$d' >"$tmp/page"
ok "manifest.5.scd holds the keys as 'ashlar schema --man' prints them" \
	diff -u "$tmp/page" "$tmp/keys"

ok "schema succeeds" "$ashlar" schema
cp "$tmp/out" "$tmp/schema.json"
ok "it is JSON" jq -e . "$tmp/schema.json"

# query NAME FILTER: the filter is true of the schema.
query()
{
	ok "$1" jq -e "$2" "$tmp/schema.json"
}
query "it says which draft it follows" '.["$schema"] | endswith("draft/2020-12/schema")'
query "every map with keys refuses others" \
	'[.. | objects | select(has("properties")) | .additionalProperties == false] | all and length > 10'
query "every key is described" \
	'[.. | objects | select(has("properties")) | .properties[] | has("description")] | all'
query "what a map requires is among its keys" \
	'[.. | objects | select(has("required")) | (.required - (.properties | keys)) == []] | all'
query "every reference leads somewhere" \
	'. as $s | [.. | objects | .["$ref"]? // empty | ltrimstr("#/") | split("/")] |
	 length >= 2 and all(. as $p | $s | getpath($p) != null)'
query "a file has a path" '.properties.files.items.required == ["path"]'
query "a variant has no version" '.["$defs"].variant.properties | has("version") | not'
query "a variant has architectures" '.["$defs"].variant.properties | has("architectures")'
query "an architecture has none" '.["$defs"].architecture.properties | has("architectures") | not'

# The patterns are those that parsing uses; try them from outside as well.
# pattern NAME PATH TEXT: is TEXT what the pattern at PATH lets through?
pattern()
{
	query "$1" "$2.pattern as \$p | \"$3\" | test(\$p)"
}
pattern "a package passes" .properties.packages.items 'nginx (>= 1.26)'
pattern "a variable passes" .properties.packages.items '${web}'
query "an upper-case package does not" \
	'.properties.packages.items.pattern as $p | "Nginx" | test($p) | not'
query "a path with '..' does not" \
	'.properties.files.items.properties.path.pattern as $p | "/etc/../x" | test($p) | not'

# ---- workloads ------------------------------------------------------------------------------------
ok "schema --man workload" "$ashlar" schema --man workload
cp "$tmp/out" "$tmp/keys"
sed -n '/^; keys: /,/^; end of keys$/p' docs/man/workload.5.scd | sed '1d;$d' >"$tmp/page"
ok "workload.5.scd holds the keys as it prints them" diff -u "$tmp/page" "$tmp/keys"
ok "schema workload" "$ashlar" schema workload
cp "$tmp/out" "$tmp/schema.json"
query "every map with keys refuses others" \
	'[.. | objects | select(has("properties")) | .additionalProperties == false] | all and length > 10'
query "every key is described" \
	'[.. | objects | select(has("properties")) | .properties[] | has("description")] | all'
query "what a map requires is among its keys" \
	'[.. | objects | select(.required | type == "array") | (.required - (.properties | keys)) == []] | all'
query "a network is a word too" '.properties.network.anyOf[0].enum | contains(["nat", "host"])'
pattern "an image passes" .properties.image 'ostree:workload/hello/amd64'
query "one of nobody's does not" '.properties.image.pattern as $p | "nginx:latest" | test($p) | not'
query "the page has as many keys as the schema" \
	"del(.properties.health.properties) | [.. | objects | select(has(\"properties\")) | .properties | length] | add == $(grep -cE '^	*\*[a-z-]+\* \(' "$tmp/keys")"

# What editors say, and what is said in the end: the schema never refuses what is right, and what it can know is wrong
# it refuses. A word (good; bad; late: only reading it all tells), and what is added to a definition.
cat >"$tmp/table" <<'END'
good {}
good {"resources": {"cpu": 0.5, "memory": "64MiB", "disk": 67108864}}
good {"network": "nat", "isolation": {"class": "vm", "at-least": "hardware"}}
good {"network": {"mode": "nat", "publish": ["8080:80", "127.0.0.1:53:53/udp"], "egress": ["192.0.2.0/24:443", "*"]}}
good {"health": {"soak": "1s", "deadline": "10s", "checks": [{"name": "web", "http": "http://127.0.0.1:80/", "class": "wanted"}]}}
good {"health": {"checks": [{"name": "a", "command": ["/bin/x"], "timeout": "1s", "interval": "2s", "failures": 1}]}}
good {"parameters": [{"name": "n", "type": "int", "min": 1, "max": 5, "default": 3}], "environment": {"A": "${n}", "B": 1}}
good {"user": 1000, "system-calls": {"only": ["read"]}, "heartbeat": {"every": "30s"}, "instances": 64}
bad {"health": {"checks": [{"name": "a", "command": "/bin/x"}]}}
bad {"health": {"checks": [{"name": "a", "file": "/x", "class": "maybe"}]}}
bad {"health": {"checks": [{"file": "/x"}]}}
bad {"health": {"checks": [{"name": "a", "htp": "http://x/"}]}}
bad {"health": {"soak": "10"}}
bad {"instances": 65}
bad {"network": {"mode": "nat", "publish": ["[::1]:53:53/udp"]}}
bad {"instances": "2"}
bad {"instances": 1.5}
bad {"isolaton": "vm"}
bad {"isolation": "docker"}
bad {"isolation": {"at-least": "none"}}
bad {"resources": {"memory": -1}}
bad {"resources": {"memory": "64MB"}}
bad {"resources": {"memory": true}}
bad {"resources": {"cpu": "50%"}}
bad {"restart": {"first": 1}}
bad {"restart": "always"}
bad {"heartbeat": {}}
bad {"boot": "yes"}
bad {"command": "/bin/x"}
bad {"command": []}
bad {"volumes": [{"name": "data", "path": "data", "size": "1MiB"}]}
bad {"volumes": [{"name": "data", "path": "/data"}]}
bad {"secrets": [{"name": "../shadow", "path": "/x"}]}
bad {"capabilities": ["CAP_CHOWN"]}
bad {"environment": {"A-B": "x"}}
bad {"version": null}
late {"after": ["web"]}
late {"disposable": true}
late {"resources": {"memory": "1MiB"}}
late {"capabilities": ["sys_module"]}
late {"devices": ["/dev/sda"]}
END
cat >"$tmp/judge.py" <<'END'
import json, sys
import jsonschema
schema, table, where = sys.argv[1:]
validator = jsonschema.Draft202012Validator(json.load(open(schema)))
for number, line in enumerate(open(table)):
    word, text = line.split(" ", 1)
    document = {"workload": "web", "version": "1.0.0", "image": "oci:registry.example/web:1"} | json.loads(text)
    json.dump(document, open(f"{where}/{number}.yaml", "w"))
    print(word, number, "good" if validator.is_valid(document) else "bad")
END
mkdir "$tmp/documents"
if python3 -c 'import jsonschema' 2>/dev/null; then
	ok "a validator reads the schema" python3 "$tmp/judge.py" "$tmp/schema.json" "$tmp/table" "$tmp/documents"
	cp "$tmp/out" "$tmp/judged"
	while read -r word number verdict; do
		want="$word $word"
		[ "$word" != late ] || want="bad good"
		read=bad
		"$ashlar" workload lint "$tmp/documents/$number.yaml" >/dev/null 2>&1 && read=good
		[ "$read $verdict" = "$want" ] ||
			echo "$read when read, $verdict by the schema: $(sed -n "$((number + 1))p" "$tmp/table")"
	done <"$tmp/judged" >"$tmp/differ"
	empty "the schema and who reads agree" "$(cat "$tmp/differ")"
else
	skip "the schema and who reads agree" "needs python3-jsonschema"
fi

exits 2 "no other thing has a schema" "$ashlar" schema host.yaml

done_testing
