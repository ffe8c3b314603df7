#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Programs of the distribution, unmodified, between the two hosts: those of the
# connection manager and of rdma-core, libfabric, UCX and MPI. Those that can verify
# their data do. Needs root, rdma_rxe and the programs.

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

dir=$(mktemp -d)
hosts_are_ours=
# a process in each host: its files in /proc tell of the host's sockets
declare -A stays=()
# what listens in a host, and how often: before the server, and now
declare -Ai others=() found=()

finish()
{
	[ "${#stays[@]}" -eq 0 ] ||
		{ kill "${stays[@]}" && wait "${stays[@]}"; } 2>/dev/null
	[ -z "$hosts_are_ours" ] || ../lib/two_hosts.sh down
	rm -r "$dir"
}

# stay_in NAMESPACE: with a process, until finish()
stay_in()
{
	ip netns exec "$1" sleep infinity >/dev/null 2>&1 &
	stays[$1]=$!
	until [ "/proc/$!/ns/net" -ef "/run/netns/$1" ]; do
		kill -0 $! || return
		sleep 0.1
	done 2>/dev/null
}

need_hosts()
{
	modprobe rdma_ucm || return
	if [ ! -e /sys/class/infiniband/rxe0 ]; then
		hosts_are_ours=yes
		../lib/two_hosts.sh up >/dev/null 2>&1 || return
	fi
	stay_in hosta && stay_in hostb
}

exec_on()
{
	exec timeout $((300 * ${LIMIT_FACTOR:-1})) ip netns exec "$@"
}

on()
{
	(exec_on "$@")
}

# listeners NAMESPACE ARRAY: counts those of TCP and of the connection manager, by
# what is told of them. No process is started but rdma(8): this is done again and
# again, and each takes an emulated processor a tenth of a second.
# shellcheck disable=SC2004 # the array's keys are text
listeners()
{
	local -n count=$2
	local file lines line address state

	count=()
	for file in "/proc/${stays[$1]}/net/"tcp{,6}; do
		mapfile -t lines <"$file"
		for line in "${lines[@]}"; do
			read -r _ address _ state _ <<<"$line"
			[[ $state != 0A || $address == *:0000 ]] ||
				count[$address]+=1
		done
	done
	while read -r line; do
		[[ $line != *"state LISTEN"* ]] || count[$line]+=1
	done < <(exec rdma resource show cm_id)
}

# is_ready NAMESPACE: there is a listener that was not there before the server, or
# the server has said that it has joined. Those of the kernel's stay long.
is_ready()
{
	local listener said

	listeners "$1" found
	for listener in "${!found[@]}"; do
		[ "${found[$listener]}" -le "${others[$listener]-0}" ] || return 0
	done
	mapfile -t said <"$dir/server"
	[[ ${said[*]} == *joined* ]]
}

# between SERVER CLIENT: command lines, run in hostb and hosta, or where
# server_on and client_on say
between()
{
	local server i status=0

	: >"$dir/server"
	listeners "${server_on:-hostb}" others
	# shellcheck disable=SC2086 # command lines
	# the program itself, not a shell that waits for it, so that a signal ends it
	exec_on "${server_on:-hostb}" $1 >"$dir/server" 2>&1 &
	server=$!
	for ((i = 0; i < 300 * ${LIMIT_FACTOR:-1}; i++)); do
		is_ready "${server_on:-hostb}" && break
		kill -0 $server 2>/dev/null || break
		sleep 0.1
	done
	# shellcheck disable=SC2086
	on "${client_on:-hosta}" $2 >"$dir/client" 2>&1 || status=$?
	if [ -n "${server_stays-}" ] || [ "$status" -ne 0 ]; then
		kill $server
	fi
	wait $server || [ -n "${server_stays-}" ] || status=1
	return "$status"
} 2>/dev/null

# verdict NAME COMMAND...: shows the command's output if it fails
verdict()
{
	local name=$1

	shift
	if ! command -v "${needs:-true}" >/dev/null; then
		ktap_test_skip "$name: no $needs here"
	elif "$@"; then
		ktap_test_pass "$name"
	else
		tail -n 20 "$dir/server" "$dir/client" | sed 's/^/# /'
		ktap_test_fail "$name"
	fi
}

# ping ADDRESS OF THE SERVER, AND AS THE CLIENT CALLS IT
ping_between()
{
	between "rping -s -a $1 -V -S 5000 -C 20" \
		"rping -c -a ${2:-$1} -V -S 5000 -C 20"
}

# link_local NAMESPACE NETDEV: the address, once it may be used
link_local()
{
	local address

	for _ in $(seq $((100 * ${LIMIT_FACTOR:-1}))); do
		address=$(ip -n "$1" -6 -o addr show dev "$2" scope link -tentative |
			sed -n 's/.*inet6 \([^/]*\).*/\1/p')
		[ -z "$address" ] || break
		sleep 0.1
	done
	printf '%s\n' "$address"
}

# ping_link_local NETDEV OF HOSTA, AND OF HOSTB
ping_link_local()
{
	local address

	link_local hosta "$1" >/dev/null
	address=$(link_local hostb "$2")
	ping_between "$address%$2" "$address%$1"
}

# Both hosts get a VLAN, whose addresses the devices take over.
vlan_up()
{
	local host=hosta dev=va address=10.7.0.1

	modprobe 8021q
	for _ in 1 2; do
		ip -n $host link add link $dev name $dev.7 type vlan id 7 &&
			ip -n $host addr add $address/24 dev $dev.7 &&
			ip -n $host link set $dev.7 up || return
		host=hostb dev=vb address=10.7.0.2
	done
	gids_there rxe0 10.7.0.1 rxe1 10.7.0.2
}

# Wait until the devices have these addresses: DEVICE ADDRESS...
gids_there()
{
	while [ "$#" -gt 0 ]; do
		for _ in $(seq 50); do
			../lib/two_hosts.sh gid "$1" "$2" && break
			sleep 0.2
		done
		shift 2
	done >/dev/null 2>&1
}

# Another pair of netdevs, in hosta a port of a bridge, in hostb one of a bond;
# the links are on the bridge and on the bond.
ports_up()
{
	modprobe -a bridge bonding
	ip link add pa netns hosta type veth peer name pb netns hostb &&
		ip -n hosta -batch - <<-END && ip -n hostb -batch - <<-END &&
			link add br0 type bridge
			link set pa master br0 up
			link set br0 up
			addr add 10.9.0.1/24 dev br0
		END
			link add bond0 type bond mode active-backup
			link set pb master bond0
			link set bond0 up
			addr add 10.9.0.2/24 dev bond0
		END
		ip netns exec hosta rdma link add rxe_a type rxe netdev br0 &&
		ip netns exec hostb rdma link add rxe_b type rxe netdev bond0
	gids_there rxe_a 10.9.0.1 rxe_b 10.9.0.2
}

ports_down()
{
	rdma link delete rxe_a
	rdma link delete rxe_b
	ip -n hosta link delete pa
	ip -n hosta link delete br0
	ip -n hostb link delete bond0
}

vlan_down()
{
	ip -n hosta link delete va.7
	ip -n hostb link delete vb.7
}

tunnel_up()
{
	local host=hosta dev=tun_a number=1 link=rxe_a

	modprobe tun
	python3 ./tun_relay.py hosta=tun_a hostb=tun_b >"$dir/relay" 2>&1 &
	relay=$!
	for _ in $(seq 50); do
		grep -q ready "$dir/relay" && break
		sleep 0.1
	done
	for _ in 1 2; do
		ip -n $host addr add 10.8.0.$number/24 dev $dev &&
			ip -n $host link set $dev up &&
			ip netns exec $host rdma link add $link type rxe netdev $dev ||
			return
		host=hostb dev=tun_b number=2 link=rxe_b
	done
}

# A tunnel's netdevs have no hardware address. The connection manager of kernels
# up to 6.12 does not know them.
tunnel()
{
	local status

	tunnel_up >"$dir/client" 2>&1 &&
		between "ibv_rc_pingpong -c -n 50 -d rxe_b
				-g $(../lib/two_hosts.sh gid rxe_b 10.8.0.2)" \
			"ibv_rc_pingpong -c -n 50 -d rxe_a
				-g $(../lib/two_hosts.sh gid rxe_a 10.8.0.1) 10.8.0.2"
	status=$?
	[ "$status" -eq 0 ] || cat "$dir/relay" >>"$dir/client"
	# with the process the netdevs go, and with them the links
	kill "$relay"
	return "$status"
}

copied()
{
	head -c 3000000 /dev/urandom >"$dir/data"
	server_stays=yes between rcopy \
		"rcopy $dir/data 10.0.0.2:$dir/copy" &&
		cmp "$dir/data" "$dir/copy"
}

# A fifth of the messages and of the receives that it has by itself: these are posted
# anew, and their ring wraps, just as often.
pingpong()
{
	local how="-n 200 -r 100 -c"

	between "ibv_$1_pingpong $how -d rxe1 -g $(../lib/two_hosts.sh gid rxe1 "$2")" \
		"ibv_$1_pingpong $how -d rxe0
			-g $(../lib/two_hosts.sh gid rxe0 "$3") 10.0.0.2"
}

# libfabric takes the first device of any namespace by default
fabric()
{
	between "env FI_VERBS_IFACE=vb FI_VERBS_DEVICE_NAME=rxe1
			fi_pingpong -p verbs -e $1 -c -I 20" \
		"env FI_VERBS_IFACE=va FI_VERBS_DEVICE_NAME=rxe0
			fi_pingpong -p verbs -e $1 -c -I 20 10.0.0.2"
}

# Over IPv6: UCX of Debian 12 takes no datagram from a software device over IPv4.
ucx()
{
	local env="UCX_TLS=$1 UCX_NET_DEVICES=rxe"

	between "env ${env}1:1 UCX_IB_GID_INDEX=$(../lib/two_hosts.sh gid rxe1 fd00::2)
			ucx_perftest" \
		"env ${env}0:1 UCX_IB_GID_INDEX=$(../lib/two_hosts.sh gid rxe0 fd00::1)
			ucx_perftest -t $2 -s $3 -n 200 -w 10 10.0.0.2"
}

two_ranks()
{
	on hosta env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
		UCX_TLS=rc,self UCX_NET_DEVICES=rxe0:1 \
		UCX_IB_GID_INDEX="$(../lib/two_hosts.sh gid rxe0 fd00::1)" \
		mpirun -n 2 --oversubscribe --mca pml ucx \
		python3 -m mpi4py.bench ringtest -n 65536 -l 20 \
		>"$dir/client" 2>&1
}

qperf_all()
{
	server_stays=yes between "qperf" "qperf -t 1 -cm 1 10.0.0.2
		rc_bw rc_lat rc_rdma_write_bw rc_rdma_read_bw rc_compare_swap_mr
		rc_fetch_add_mr rc_rdma_write_poll_lat"
}

# The sender to the group and its member have counted the packets.
multicast_counted()
{
	local counters=ports/1/hw_counters

	[ "$(cat "/sys/class/infiniband/rxe0/$counters/sent_mcast_pkts")" -gt 0 ] &&
		[ "$(cat "/sys/class/infiniband/rxe1/$counters/rcvd_mcast_pkts")" -gt 0 ]
}

connection_manager()
{
	verdict "rping over IPv4" ping_between 10.0.0.2
	verdict "rping over IPv6" ping_between fd00::2
	verdict "rping over link-local addresses" \
		ping_link_local va vb
	server_on=hosta verdict "rping to the same host" ping_between 10.0.0.1
	vlan_up
	verdict "rping over a VLAN" ping_between 10.7.0.2
	verdict "rping over a VLAN's link-local addresses" \
		ping_link_local va.7 vb.7
	vlan_down
	ports_up
	verdict "rping between a bridge and a bond" ping_between 10.9.0.2
	verdict "udaddy between a bridge and a bond" \
		between "udaddy -C 20" "udaddy -s 10.9.0.2 -C 20"
	ports_down
	verdict "ucmatose" between "ucmatose -C 20 -S 5000" \
		"ucmatose -s 10.0.0.2 -C 20 -S 5000"
	verdict "udaddy" between "udaddy -C 20" "udaddy -s 10.0.0.2 -C 20"
	verdict "mckey" between "stdbuf -oL mckey -m 239.1.1.1 -b 10.0.0.2" \
		"mckey -m 239.1.1.1 -b 10.0.0.1 -s"
	verdict "multicast packets are counted" multicast_counted
	verdict "rdma_server and rdma_client" \
		between rdma_server "rdma_client -s 10.0.0.2"
	verdict "rdma_xserver and rdma_xclient" \
		between rdma_xserver "rdma_xclient -s 10.0.0.2"
	verdict "rstream" between "rstream -T v -I 10 -C 10 -S 50000" \
		"rstream -T v -I 10 -C 10 -S 50000 -s 10.0.0.2"
	verdict "riostream" between "riostream -T v -I 10 -C 10 -S 50000" \
		"riostream -T v -I 10 -C 10 -S 50000 -s 10.0.0.2"
	verdict "rcopy" copied
	server_stays=yes verdict "cmtime" between "cmtime -b 10.0.0.2" \
		"cmtime -b 10.0.0.1 -s 10.0.0.2 -c 50"
}

verbs()
{
	local service

	for service in rc uc ud srq; do
		verdict "ibv_${service}_pingpong over IPv4" \
			pingpong $service 10.0.0.2 10.0.0.1
		verdict "ibv_${service}_pingpong over IPv6" \
			pingpong $service fd00::2 fd00::1
	done
	verdict "ibv_rc_pingpong through a tunnel" tunnel
	needs=qperf
	verdict "qperf" qperf_all
	needs=fi_pingpong
	verdict "libfabric, messages" fabric msg
	verdict "libfabric, datagrams" fabric dgram
	needs=ucx_perftest
	verdict "UCX over RC, tagged" ucx rc tag_bw 100000
	verdict "UCX over RC, puts" ucx rc ucp_put_bw 100000
	verdict "UCX over UD" ucx ud_verbs tag_bw 10000
	needs=mpirun
	verdict "two ranks of MPI" two_ranks
}

ktap_print_header
trap finish EXIT
if ! command -v rping >/dev/null || ! need_hosts; then
	ktap_skip_all "needs root, rdma_rxe and rdma-core's programs"
	exit "$KSFT_SKIP"
fi

ktap_set_plan 34
connection_manager
verbs
ktap_finished
