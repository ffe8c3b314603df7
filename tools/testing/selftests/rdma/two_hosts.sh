#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Two hosts on one machine: net namespaces hosta and hostb, joined by a veth
# pair, each with an rxe link. Needs root and a loaded rdma_rxe.
#
#   hosta: va, 10.0.0.1/24, fd00::1/64, rxe0
#   hostb: vb, 10.0.0.2/24, fd00::2/64, rxe1
#
# two_hosts.sh up            make them; MTU=... sets the netdevs' MTU (1500)
# two_hosts.sh down          remove them
# two_hosts.sh plug          make the veth pair and the links again, when all
#                            that is left is the namespaces
# two_hosts.sh mtu BYTES     change the MTU of both netdevs
# two_hosts.sh netem ARG...  have both netdevs lose, delay, duplicate, reorder or
#                            corrupt what they send, as tc-netem(8) says; no ARG:
#                            not any more
# two_hosts.sh together N    have both netdevs take N packets at once at most; 1:
#                            what netem does is done to each packet by itself
# two_hosts.sh offload FEATURE on|off...
#                            have both netdevs do so, as ethtool(8) says
# two_hosts.sh gid DEV ADDR  print the index of the RoCE v2 GID of an address
#
# Run things in them by "ip netns exec hosta ...". The rdma subsystem stays in
# its shared mode, so both devices are seen everywhere.

set -eu

: "${MTU:=1500}"

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# host NAMESPACE NETDEV NUMBER DEVICE
host_up()
{
	ip -n "$1" -batch - <<-END
		link set lo up
		link set $2 mtu $MTU up
		addr add 10.0.0.$3/24 dev $2
		addr add fd00::$3/64 dev $2 nodad
	END
	ip netns exec "$1" rdma link add "$4" type rxe netdev "$2"
}

# The address in the form that sysfs writes GIDs in.
gid_of()
{
	case $1 in
	*:*)
		python3 -c 'import ipaddress, sys
print(ipaddress.ip_address(sys.argv[1]).exploded)' "$1"
		;;
	*)
		# shellcheck disable=SC2046,SC2183 # four words on purpose
		printf '0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x\n' \
			$(printf '%s' "$1" | tr . ' ')
		;;
	esac
}

gid_index()
{
	local port=/sys/class/infiniband/$1/ports/1 want i

	want=$(gid_of "$2")
	# There are a thousand: a process for each would take half a minute.
	for i in $(cd "$port/gids" && grep -lxF "$want" -- *); do
		# An unset entry's type cannot be read.
		case $(cat "$port/gid_attrs/types/$i" 2>/dev/null) in
		"RoCE v2")
			printf '%s\n' "$i"
			return
			;;
		esac
	done
	die "$1 has no RoCE v2 GID for $2"
}

up()
{
	ip netns add hosta
	ip netns add hostb
	plug
}

# know NAMESPACE ADDRESS: resolve a neighbour. A link that came up just now may
# lose the first question, which the stack repeats after a second: that is all the
# time that the core gives a queue pair or an address handle.
know()
{
	for _ in $(seq $((100 * ${LIMIT_FACTOR:-1}))); do
		ip netns exec "$1" bash -c "echo >/dev/udp/$2/9" 2>/dev/null || true
		! ip -n "$1" neigh show "$2" | grep -q lladdr || return 0
		sleep 0.05
	done
	die "$1 does not find $2"
}

plug()
{
	ip link add va netns hosta type veth peer name vb netns hostb
	host_up hosta va 1 rxe0
	host_up hostb vb 2 rxe1
	know hosta 10.0.0.2
	know hosta fd00::2
	know hostb 10.0.0.1
	know hostb fd00::1
}

down()
{
	local ns dev

	for dev in rxe0 rxe1; do
		[ ! -e "/sys/class/infiniband/$dev" ] || rdma link delete "$dev"
	done
	for ns in hosta hostb; do
		[ ! -e "/run/netns/$ns" ] || ip netns delete "$ns"
	done
}

# netem NAMESPACE NETDEV ARG...
netem()
{
	if [ "$#" -gt 2 ]; then
		tc -n "$1" qdisc replace dev "$2" root netem "${@:3}"
	else
		tc -n "$1" qdisc del dev "$2" root
	fi
}

case ${1-} in
up)
	up
	;;
down)
	down
	;;
plug)
	plug
	;;
mtu)
	ip -n hosta link set va mtu "${2:?bytes}"
	ip -n hostb link set vb mtu "$2"
	;;
together)
	ip -n hosta link set va gso_max_segs "${2:?packets}"
	ip -n hostb link set vb gso_max_segs "$2"
	;;
netem)
	shift
	netem hosta va "$@"
	netem hostb vb "$@"
	;;
offload)
	shift
	ip netns exec hosta ethtool -K va "$@"
	ip netns exec hostb ethtool -K vb "$@"
	;;
gid)
	gid_index "${2:?device}" "${3:?address}"
	;;
*)
	die "usage: ${0##*/} up|down|plug|mtu BYTES|netem [ARG...]|together N|offload FEATURE on|off...|gid DEVICE ADDRESS"
	;;
esac
