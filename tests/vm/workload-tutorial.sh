#!/bin/bash
# needs: root vm apt script curl
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
# docs/workload-tutorial.md, followed by somebody who does what it says as it is written: from nothing to a web service that is
# signed, confined, updated, and rolled back.
. tests/lib/tap.sh
. tests/lib/document.bash

ok "a copy of the tree" document_begin docs/workload-tutorial.md
document_follow "## 1. The programs"
document_follow "## 2. Keys, and a host that trusts them"
document_follow "## 3. The service"
like "the report says what it may touch" "$(cat "$tmp/out")" 'publish +port 8080/tcp of the host'
document_follow "## 4. Signed and published"
document_follow "## 5. The host, and the service on it"
is "the page is there" "$(cat "$tmp/out")" "This is version 1."

document_wants["ashlarctl workload exec web -- /usr/bin/busybox wget -T 3 -O - http://10.0.2.2:8001/"]=1
document_follow "## 6. Confined"
document_host 60 "ashlarctl workload status web"
like "it is signed" "$host_out" 'signed'
like "it is a container" "$host_out" 'container'
document_host 60 "ashlarctl workload exec web -- /usr/bin/busybox id"
like "its user is its own" "$host_out" 'uid=1000'
document_host 60 "ashlarctl workload exec web -- /usr/bin/busybox wget -T 3 -O - http://10.0.2.2:8001/"
unlike "nobody is reached from it" "$host_out" 'Directory listing'

document_follow "## 7. An update"
is "the new page is there" "$(cat "$tmp/out")" "This is version 2."

document_wants["build/bin/ashlar workload diff web-2.yaml web.yaml"]=8
document_wants["ashlarctl workload run web"]=8
document_follow "## 8. A bad update, and the way back"
document_host 60 "ashlarctl workload status web"
like "the old version runs" "$host_out" '1\.1\.0'
like "the bad one is remembered, and why" "$host_out" '1\.2\.0.*page'
is "its page is there" "$(curl -s http://127.0.0.1:8080/)" "This is version 2."
like "what is wider is told" "$("$ashlar" workload diff "$document_tree/web-2.yaml" "$document_tree/web.yaml")" 'egress.*wider'
[ "$test_failed" -eq 0 ] || diag "$(document_shown 0 | tail -n 60)"
done_testing
