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
# two_hosts.sh strangers     have hosta forget hostb's addresses, and get no answer
#                            when it asks; neighbours: as before, and what waited
#                            for an answer is lost
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
macs=([1]=02:00:00:00:00:01 [2]=02:00:00:00:00:02)

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# host_up NAMESPACE NETDEV NUMBER
host_up()
{
	ip -n "$1" -batch - <<-END
		link set lo up
		link set $2 up
		addr add 10.0.0.$3/24 dev $2
		addr add fd00::$3/64 dev $2 nodad
	END
}

# know NAMESPACE NETDEV NUMBER: tell a host the other's address, for good, and wait
# until it sends. A link that came up just now loses what it is to send for a
# moment, and the stack repeats the question for an address after a second: that
# is all the time that the core gives a queue pair or an address handle.
know()
{
	local i link

	for ((i = 0; i < 250 * ${LIMIT_FACTOR:-1}; i++)); do
		link=$(ip -n "$1" -batch - <<-END
			neigh replace 10.0.0.$3 lladdr ${macs[$3]} dev $2 nud permanent
			neigh replace fd00::$3 lladdr ${macs[$3]} dev $2 nud permanent
			link show dev $2
		END
		)
		[[ $link == *" qdisc noop "* ]] || return 0
		sleep 0.02
	done
	die "$2 does not come up"
}

neighbours()
{
	know hosta va 2
	know hostb vb 1
}

# hosta forgets hostb's addresses, and what waits to be sent to them.
forget()
{
	ip -n hosta neigh flush dev va nud all
}

strangers()
{
	ip -n hostb link set vb arp off
	forget
}

# The address in the form that sysfs writes GIDs in.
gid_of()
{
	local left right words zeros=(0 0 0 0 0 0 0 0)

	case $1 in
	*::*)
		IFS=: read -ra left <<<"${1%%::*}"
		IFS=: read -ra right <<<"${1#*::}"
		words=("${left[@]}" "${zeros[@]:${#left[@]}+${#right[@]}}" "${right[@]}")
		;;
	*:*)
		IFS=: read -ra words <<<"$1"
		;;
	*)
		# shellcheck disable=SC2183 # four words on purpose
		IFS=. read -ra words <<<"$1"
		printf '0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x\n' \
			"${words[@]}"
		return
		;;
	esac
	printf '%04x:%04x:%04x:%04x:%04x:%04x:%04x:%04x\n' "${words[@]/#/0x}"
}

gid_index()
{
	local port=/sys/class/infiniband/$1/ports/1 want gid type i=0

	want=$(gid_of "$2")
	# There are a thousand: no process for each, and no more than it takes.
	while { read -r gid <"$port/gids/$i"; } 2>/dev/null; do
		# An unset entry's type cannot be read.
		if [ "$gid" = "$want" ] &&
			{ read -r type <"$port/gid_attrs/types/$i"; } 2>/dev/null &&
			[ "$type" = "RoCE v2" ]; then
			printf '%s\n' "$i"
			return
		fi
		i=$((i + 1))
	done
	die "$1 has no RoCE v2 GID for $2"
}

up()
{
	ip netns add hosta
	ip netns add hostb
	plug
}

plug()
{
	ip link add va address "${macs[1]}" mtu "$MTU" netns hosta type veth \
		peer name vb address "${macs[2]}" mtu "$MTU" netns hostb
	host_up hosta va 1
	host_up hostb vb 2
	neighbours
	ip netns exec hosta rdma link add rxe0 type rxe netdev va
	ip netns exec hostb rdma link add rxe1 type rxe netdev vb
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
strangers)
	strangers
	;;
neighbours)
	forget
	ip -n hostb link set vb arp on
	neighbours
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
	die "usage: ${0##*/} up|down|plug|strangers|neighbours|mtu BYTES|netem [ARG...]|together N|offload FEATURE on|off...|gid DEVICE ADDRESS"
	;;
esac
