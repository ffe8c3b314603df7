# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Two guests on one Ethernet cable: one with our driver, one with the kernel's
# own rdma_rxe, and maybe another kernel. Each runs guest_interop.sh in its role.

cable_guest_env()
{
	guest_env "$1"
	printf 'export RXE=%q TOPOLOGY=cable ROLE=%q\n' "$2" "$2"
	printf 'export CABLE_ADDR=%q CABLE_PEER=%q\n' "$3" "$4"
}

# A process of its own, so that ending it ends its guest.
# cable_guest KERNEL ROLE SHARE SOCKET
cmd_cable_guest()
{
	local mac=52:54:00:00:00:01 server=on

	share=$3
	keep_share=yes
	need_root_dir
	guest_limits "$1"
	if [ "$2" = intree ]; then
		mac=52:54:00:00:00:02
		server=off
	fi
	most_tries=1
	run_guest "$1" \
		-netdev "stream,id=cable,server=$server,addr.type=unix,addr.path=$4" \
		-device "virtio-net-pci,netdev=cable,mac=$mac"
}

# Start the guest of a role, its output marked with the role's name. Sets
# pids[ROLE].
start_cable_guest()
{
	"$0" cable-guest "$1" "$2" "$3" "$4" > >(sed -u "s/^/    $2: /") 2>&1 &
	pids[$2]=$!
}

end_pair()
{
	local pid

	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
}

# wait_for_pair: sets statuses[ROLE]. When one guest has failed the other has
# nobody to talk to: it gets half a minute.
wait_for_pair()
{
	local role deadline=

	statuses=()
	while [ "${#statuses[@]}" -lt 2 ]; do
		sleep 1
		for role in ours intree; do
			[ -z "${statuses[$role]-}" ] || continue
			kill -0 "${pids[$role]}" 2>/dev/null && continue
			statuses[$role]=0
			wait "${pids[$role]}" || statuses[$role]=$?
			[ "${statuses[$role]}" -eq 0 ] || deadline=$((SECONDS + 30))
		done
		if [ -n "$deadline" ] && [ "$SECONDS" -ge "$deadline" ]; then
			say "one guest has failed: ending the other"
			end_pair
			deadline=
		fi
	done
}

# run_pair KERNEL PEER SHARE_OURS SHARE_INTREE
run_pair()
{
	local cable

	cable=$(mktemp -d /tmp/rxe-odp.XXXXXX)
	say "booting two guests on one cable: $(kernel_version "$1"), and the kernel's own driver on $(kernel_version "$2")"
	start_cable_guest "$1" ours "$3" "$cable/socket"
	while [ ! -S "$cable/socket" ] && kill -0 "${pids[ours]}" 2>/dev/null; do
		sleep 0.2
	done
	start_cable_guest "$2" intree "$4" "$cable/socket"
	wait_for_pair
	rm -r "$cable"
}

nothing_started()
{
	[ ! -e "$1/out/started" ] && [ ! -e "$2/out/started" ]
}

# cmd_test_interop KERNEL PEER RESULTS: PEER is the kernel of the peer
cmd_test_interop()
{
	local kernel=$1 peer=$2 first try role

	results=$3
	declare -gA pids=() statuses=()
	: "${MEM:=1024}"
	TOPOLOGY=cable STRICT=1 prepare "$kernel"
	cable_guest_env "$kernel" ours 10.0.1.1 10.0.1.2 >"$share/env"
	first=$share
	new_share "$peer"
	share2=$share
	share=$first
	RXE=intree STRICT=1 build_for "$peer" "$share2/build"
	cable_guest_env "$peer" intree 10.0.1.2 10.0.1.1 >"$share2/env"
	echo 'exec bash /share/guest_interop.sh' | tee "$first/cmd" >"$share2/cmd"
	for try in 1 2 3; do
		run_pair "$kernel" "$peer" "$first" "$share2"
		nothing_started "$first" "$share2" || break
		[ "$try" = 3 ] || say "neither guest had begun: trying again"
	done
	for role in ours intree; do
		[ "$role" = ours ] && share=$first || share=$share2
		if [ -e "$share/out/interop.result" ]; then
			account "$kernel" "interop-$role-$peer" "$(cat "$share/out/interop.result")"
		else
			account_failure "$kernel" "interop-$role-$peer" \
				"the guest failed (exit status ${statuses[$role]})"
		fi
	done
	share=$first
}
