#!/bin/bash
# needs: clang
# SPDX-License-Identifier: Apache-2.0
. tests/lib/tap.sh

# The makefile that runs this test has variables of its own for its children.
unset MAKEFLAGS MAKELEVEL MFLAGS FLAVOR CC

ok "everything compiles with clang, without a warning" \
	nice make -j2 FLAVOR=debug CC=clang all tests
ok "every header compiles alone" nice make -j2 check-headers
empty "nothing is left to do the second time" "$(make FLAVOR=debug CC=clang all tests 2>&1 | grep -E "CC|LINK")"

done_testing
