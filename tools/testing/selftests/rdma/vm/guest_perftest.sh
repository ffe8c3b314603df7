#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In the guest, what "make run" shows: Debian's own perftest with --odp between
# the two hosts, then the page faults and invalidations that it took.

set -eu

: "${SIZE:=65536}" "${ITERATIONS:=1000}"

counter()
{
	cat "/sys/class/infiniband/$1/ports/1/hw_counters/$2"
}

# between PROGRAM ARGUMENTS...: the server in hostb, the client in hosta
between()
{
	local server status=0

	printf '\n### %s\n' "$*"
	ip netns exec hostb "$@" -d rxe1 -x "$gid1" >/tmp/server.log 2>&1 &
	server=$!
	# The server's side channel is there once its port listens.
	for _ in $(seq 100); do
		[ -z "$(ip netns exec hostb ss -Hltn 'sport = 18515')" ] || break
		sleep 0.1
	done
	timeout 300 ip netns exec hosta "$@" -d rxe0 -x "$gid0" 10.0.0.2 ||
		status=$?
	if [ "$status" -ne 0 ]; then
		kill "$server" 2>/dev/null || true
	fi
	wait "$server" || status=$?
	if [ "$status" -ne 0 ]; then
		printf '### FAILED (%s); the server said:\n' "$status"
		cat /tmp/server.log
	fi
	return "$status"
}

gid0=$(two_hosts.sh gid rxe0 10.0.0.1)
gid1=$(two_hosts.sh gid rxe1 10.0.0.2)
failed=0
for program in ib_write_bw ib_read_bw ib_send_bw; do
	between "$program" --odp -F -s "$SIZE" -n "$ITERATIONS" ||
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
