#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Two hosts on one Ethernet, one with our driver and one, the peer, with the
# kernel's own: run this on both, as cable_lib.sh says.

set -u

cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR
. ./cable_lib.sh

# The peer's memory is pinned: on-demand memory of the kernel's own driver ignores
# the offset within a page, up to 7.3.
rc_peer()
{
	if [ "$ROLE" = ours ]; then
		from_ktap "$1" ./rc_peer listen "$CABLE_ADDR" "${@:2}"
	else
		from_ktap "$1" ./rc_peer connect "$CABLE_PEER" pinned "${@:2}"
	fi
}

# meet SERVER NAME PATTERN COMMAND...: each on a port of its own, so that the two
# sides stay in step; the client, which may be early, has to print the pattern.
meet()
{
	local name="$2, server $1" status=0
	local command=("${@:4}" -p $((18700 + KTAP_TESTNO)))

	if [ "$ROLE" = "$1" ]; then
		timeout 180 "${command[@]}" >"$output" 2>&1 || status=$?
	else
		for _ in {1..150}; do
			status=0
			timeout 180 "${command[@]}" "$CABLE_PEER" \
				>"$output" 2>&1 || status=$?
			grep -qi "couldn't connect" "$output" || break
			sleep 0.1
		done
	fi
	if [ "$status" -eq 0 ] &&
		{ [ "$ROLE" = "$1" ] || grep -qE "$3" "$output"; }; then
		ktap_test_pass "$name"
	else
		tail -n 5 "$output" | sed 's/^/# /'
		ktap_test_fail "$name"
	fi
}

# perftest SERVER TOOL [OPTION...]: the table's one line has bytes, iterations,
# figures. Some servers have none. An ACK timeout of four seconds, not 67 ms: one of
# the guests may stand still for that long.
perftest()
{
	meet "$1" "${*:2}" '^ [0-9]+ +200 ' "${@:2}" -F -u 20 -x "$gid" -n 200
}

# pingpong SERVER SERVICE GID [OPTION...]: with its data checked
pingpong()
{
	meet "$1" "ibv_$2_pingpong ${*:4}, GID $3" 'iters in' \
		"ibv_$2_pingpong" -d rxe0 -g "$3" -c -n 100 "${@:4}"
}

all_pingpongs()
{
	local index

	for index in "$gid" "$gid6"; do
		pingpong "$1" rc "$index" -s 9000 -m 4096
		pingpong "$1" uc "$index" -s 9000 -m 1024
		pingpong "$1" ud "$index" -s 1000
	done
}

# perftest 4.5 has --odp for these only, whatever the device supports.
all_perftest()
{
	local tool odp=()

	[ "$ROLE" != ours ] || odp=(--odp)
	for tool in ib_write_bw ib_read_bw ib_send_bw ib_read_lat ib_send_lat \
		ib_write_lat; do
		perftest "$1" "$tool" "${odp[@]}"
	done
	perftest "$1" ib_atomic_bw
	perftest "$1" ib_atomic_lat
	perftest "$1" ib_write_bw -c UC
	perftest "$1" ib_send_bw -c UC
	perftest "$1" ib_send_lat -c UD
}

# The full path MTU, and an address of the other family.
ip link set eth0 mtu 4200
ip addr add "fd01::${CABLE_ADDR##*.}/64" dev eth0 nodad
gid=$(../lib/two_hosts.sh gid rxe0 "$CABLE_ADDR")
gid6=$(../lib/two_hosts.sh gid rxe0 "fd01::${CABLE_ADDR##*.}")

rc_peer "on-demand"
rc_peer "pinned" pinned
for server in ours peer; do
	all_perftest "$server"
	all_pingpongs "$server"
done

tc qdisc add dev eth0 root netem loss 1% 2>&1 | sed 's/^/# /'
rc_peer "with packets lost" lossy
tc qdisc del dev eth0 root

finished
