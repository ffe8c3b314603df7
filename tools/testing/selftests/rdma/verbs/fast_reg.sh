#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The tests of fast registration, by their module: FAST_REG_KO, or where
# make -C fast_reg builds it. Needs root and rdma_rxe.

cd "$(dirname "$0")" || exit 1
: "${FAST_REG_KO:=fast_reg/rdma_fast_reg.ko}"
hosts_are_ours=
loaded=

bail_out()
{
	echo "Bail out! $1"
	exit 1
}

finish()
{
	local status=$?

	trap - EXIT
	if [ -n "$loaded" ] && ! rmmod rdma_fast_reg; then
		echo "# the module cannot be unloaded"
		status=1
	fi
	[ -z "$hosts_are_ours" ] || ../lib/two_hosts.sh down
	exit "$status"
}

trap finish EXIT
trap 'exit 143' INT TERM HUP

if [ ! -e "$FAST_REG_KO" ] || [ "$(id -u)" -ne 0 ]; then
	echo "1..0 # SKIP needs root and $FAST_REG_KO"
	exit 4
fi
if [ ! -e /sys/class/infiniband/rxe0 ]; then
	hosts_are_ours=yes
	../lib/two_hosts.sh up || bail_out "the two hosts cannot be made"
fi
insmod "$FAST_REG_KO" \
	peer=rxe0 "peer_gid=$(../lib/two_hosts.sh gid rxe0 10.0.0.1)" \
	target=rxe1 "target_gid=$(../lib/two_hosts.sh gid rxe1 10.0.0.2)" ||
	bail_out "$FAST_REG_KO does not load"
loaded=yes
cat /dev/rdma_fast_reg || bail_out "the tests could not run"
