#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In the guest, for "make run": Debian's own perftest with --odp between
# the two hosts, then the page faults and invalidations that it took.

set -eu

# perftest_lib.sh finds two_hosts.sh here
cd lib
# shellcheck source-path=SCRIPTDIR/../../lib
. ./perftest_lib.sh

: "${SIZE:=65536}" "${ITERATIONS:=1000}"

counter()
{
	cat "/sys/class/infiniband/$1/ports/1/hw_counters/$2"
}

# show PROGRAM ARG...: with the command line, as on a terminal
show()
{
	local status=0

	printf '\n### %s\n' "$*"
	between /tmp/server.log "$@" || status=$?
	if [ "$status" -ne 0 ]; then
		printf '### FAILED (%s); the server said:\n' "$status"
		cat /tmp/server.log
	fi
	return "$status"
}

failed=0
for program in ib_write_bw ib_read_bw ib_send_bw; do
	show "$program" --odp -F -s "$SIZE" -n "$ITERATIONS" ||
		failed=$((failed + 1))
done

printf '\n### page faults and invalidations that this took\n'
for device in rxe0 rxe1; do
	printf '%s  page_faults %s  page_invalidations %s\n' "$device" \
		"$(counter "$device" page_faults)" \
		"$(counter "$device" page_invalidations)"
done
printf '\n### rdma statistic show\n'
rdma statistic show link rxe0/1
rdma statistic show link rxe1/1
exit "$failed"
