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
	"[.. | objects | select(has(\"properties\")) | .properties | length] | add == $(grep -cE '^	*\*[a-z-]+\* \(' "$tmp/keys")"

exits 2 "no other thing has a schema" "$ashlar" schema host.yaml

done_testing
