#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In each of two guests on one cable: run the interoperation test in the role
# that ROLE says (ours or intree), with CABLE_ADDR and CABLE_PEER.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/guest_check.sh"

: >/share/out/started
TEST_LIMIT=600
run_one interop ./interop.sh
[ -e /share/out/interop.result ]
