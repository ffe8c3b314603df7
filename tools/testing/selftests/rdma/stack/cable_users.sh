#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Kernel users between two hosts on one Ethernet: RDS, which uses RDMA nowhere else,
# and NVMe over Fabrics, the disk on one host and the file system on the other. Run
# this on both, as cable_lib.sh says.

set -u

cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR
. ./cable_lib.sh
# shellcheck source-path=SCRIPTDIR
. ./disk_lib.sh

dir=$(mktemp -d)
trap 'rm -rf "$output" "$dir"' EXIT

# together: wait until the other host is here, too; it may be at a disk
together()
{
	local side=(connect "$CABLE_PEER")

	[ "$ROLE" != ours ] || side=(listen "$CABLE_ADDR")
	../lib/rendezvous.py "${side[@]}" 18690 $((300 * ${LIMIT_FACTOR:-1})) \
		>>"$dir/meeting" 2>&1
}

rds()
{
	if [ "$ROLE" = ours ]; then
		from_ktap RDS ./rds_peer.py listen "$CABLE_ADDR" "$CABLE_PEER"
	else
		from_ktap RDS ./rds_peer.py connect "$CABLE_ADDR" "$CABLE_PEER"
	fi
}

serves()
{
	{ ram_disk 65536 && nvme_target_up "$CABLE_ADDR"; } >"$dir/log" 2>&1
	set -- $?
	together || set -- 1
	together || set -- 1
	nvme_target_down
	modprobe -r brd
	return "$1"
}

uses()
{
	local status=1

	together || return
	if nvme_connect "$CABLE_PEER" >"$dir/log" 2>&1; then
		verify_disk "$(nvme_disk)" && file_system "$(nvme_disk)"
		status=$?
	fi
	nvme_disconnect
	together && return "$status"
}

# nvme SERVER
nvme()
{
	local what=uses

	[ "$ROLE" != "$1" ] || what=serves
	if "$what"; then
		ktap_test_pass "NVMe over Fabrics, server $1"
	else
		tail -n 20 "$dir/log" "$dir/meeting" | sed 's/^/# /'
		ktap_test_fail "NVMe over Fabrics, server $1"
	fi
}

rds
nvme ours
nvme peer
finished
