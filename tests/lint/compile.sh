#!/bin/bash
# needs: clang
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh

# The makefile that runs this test has variables of its own for its children.
unset MAKEFLAGS MAKELEVEL MFLAGS FLAVOR CC

ok "clang has nothing to say against any source" nice make -j2 FLAVOR=debug CC=clang check-syntax
ok "every header compiles alone" nice make -j2 check-headers
empty "nothing is left to do the second time" "$(make all tests 2>&1 | grep -E "CC|LINK")"

done_testing
