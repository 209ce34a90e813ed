#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/web.sh NODE_MODULES OUT: what the fleet's page consists of, flat, each file beside its .gz, and the list of it
# for glib-compile-resources. Nothing is bundled: modules import each other by name, and the two of them that name a
# package are told the file instead.
set -euo pipefail
modules=$1 out=$2
rm -rf "$out"
mkdir -p "$out"

cp fleet/web/*.mjs fleet/web/*.js fleet/web/*.css fleet/web/*.svg "$out"
cp "$modules/preact/dist/preact.mjs" "$out/preact.mjs"
sed 's|from"preact"|from"./preact.mjs"|' "$modules/preact/hooks/dist/hooks.mjs" >"$out/hooks.mjs"
cp "$modules/htm/dist/htm.mjs" "$out/htm.mjs"
cp "$modules/uplot/dist/uPlot.esm.js" "$out/uplot.mjs"
cp "$modules/uplot/dist/uPlot.min.css" "$out/uplot.css"
# Maps of the sources are not here to be asked for.
sed -i '/^\/\/# sourceMappingURL=/d' "$out"/*.mjs
if grep -lE "([}*] ?from|^import) ?[\"'][^.]" "$out"/*.mjs >&2; then
	echo "web: these import something that is no file of the page" >&2
	exit 1
fi

build=$(cd "$out" && cat -- * "$OLDPWD/fleet/web/index.html" | sha256sum | cut -c 1-16)
preload=
for file in "$out"/*.mjs; do
	preload+="<link rel=\"modulepreload\" href=\"/web/$build/${file##*/}\">\\n"
done
sed -e "s|@BUILD@|$build|g" -e "s|@PRELOAD@|$preload|" fleet/web/index.html >"$out/index.html"

gzip -9nk "$out"/*
echo "$build" >"$out/build"
files=("$out"/*)
{
	echo '<?xml version="1.0" encoding="UTF-8"?>'
	echo '<gresources><gresource prefix="/org/ashlar/web">'
	for file in "${files[@]}"; do
		echo "<file>${file##*/}</file>"
	done
	echo '</gresource></gresources>'
} >"$out/web.gresource.xml.new"
mv "$out/web.gresource.xml.new" "$out/web.gresource.xml"
