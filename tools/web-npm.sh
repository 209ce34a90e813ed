#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tools/web-npm.sh [tests]: the packages that the fleet's page is made of into build/node_modules, in just the versions
# that fleet/web/package-lock.json names; with 'tests' also what drives a browser. Does nothing when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=fleet/web/package-lock.json stamp=build/node_modules/.ashlar
omit=(--omit=dev)
[ "${1-}" != tests ] || omit=()
if cmp -s "$lock" "$stamp" && { [ "${1-}" != tests ] || [ -d build/node_modules/puppeteer-core ]; }; then
	exit 0
fi
# What is there for the tests stays for them.
[ ! -d build/node_modules/puppeteer-core ] || omit=()
mkdir -p build
cp fleet/web/package.json "$lock" build/
echo "deps: fetching the page's packages (npm)"
npm ci --prefix build "${omit[@]}" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
cp "$lock" "$stamp"
