#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Tests that move data in every way, with and without each offload of the netdevs
# that changes how packets travel. Needs root, rdma_rxe and ethtool.

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

log=$(mktemp)

finish()
{
	../lib/two_hosts.sh down 2>/dev/null
	rm "$log"
}

# run PROGRAM FEATURE on|off...: on hosts of its own, whose counters it looks at
run()
{
	../lib/two_hosts.sh down && ../lib/two_hosts.sh up &&
		../lib/two_hosts.sh offload "${@:2}" && ../verbs/"$1"
} >"$log" 2>&1

# with NAME FEATURE on|off...
with()
{
	local name=$1 program

	for program in rc_data uc ud; do
		if run $program "${@:2}"; then
			ktap_test_pass "$name: $program"
		else
			grep -v '^ok' "$log" | tail -n 20 | sed 's/^/# /'
			ktap_test_fail "$name: $program"
		fi
	done
}

ktap_print_header
trap finish EXIT
if ! command -v ethtool >/dev/null || [ ! -e /sys/module/rdma_rxe ]; then
	ktap_skip_all "needs rdma_rxe and ethtool"
	exit "$KSFT_SKIP"
fi
if [ "${LONG_TESTS-}" = yes ]; then
	ktap_set_plan 15
else
	ktap_set_plan 6
fi

with "GRO" gro on
with "no UDP segmentation, GRO" tx-udp-segmentation off gro on
if [ "${LONG_TESTS-}" = yes ]; then
	with "no UDP segmentation" tx-udp-segmentation off
	with "no segmentation at all" gso off tx-udp-segmentation off
	with "no checksums, no scattered packets" tx off sg off
fi

ktap_finished
