#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In each of two guests on one cable: run the tests named in /share/tests, in the
# role that ROLE says (ours or peer), with CABLE_ADDR and CABLE_PEER.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/check.sh"

TEST_LIMIT=600
while read -r name <&3; do
	run_one "$name" "$(program_of "$name.sh")"
	[ -e "/share/out/$name.result" ] || exit
done 3</share/tests
