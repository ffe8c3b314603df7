# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Two guests on one Ethernet cable: one with our driver, and its peer, with the
# kernel's own rdma_rxe or ours, and maybe another kernel. Each runs guest/cable.sh
# in its role.

# cable_guest_env KERNEL ROLE RXE ADDRESS PEER
cable_guest_env()
{
	guest_env "$1"
	printf 'export RXE=%q TOPOLOGY=cable ROLE=%q\n' "$3" "$2"
	printf 'export CABLE_ADDR=%q CABLE_PEER=%q\n' "$4" "$5"
	echo "export SCRATCH_PMEM=/dev/pmem0"
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
	if [ "$2" = peer ]; then
		mac=52:54:00:00:00:02
		server=off
	fi
	most_tries=1
	tune_for_tests "$1"
	# cut out of the guest's memory, as in add_test_devices
	GUEST_CMDLINE="memmap=32M!512M ${GUEST_CMDLINE-}"
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

# wait_for_pair: sets statuses[ROLE]. When one guest has failed, the other one has
# no peer: it is ended after half a minute.
wait_for_pair()
{
	local role deadline=

	statuses=()
	while [ "${#statuses[@]}" -lt 2 ]; do
		sleep 1
		for role in ours peer; do
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

# run_pair KERNEL PEER SHARE SHARE_OF_PEER
run_pair()
{
	local cable

	rm -rf "$3"/out/* "$4"/out/*
	cable=$(mktemp -d /tmp/rxe-odp.XXXXXX)
	start_cable_guest "$1" ours "$3" "$cable/socket"
	while [ ! -S "$cable/socket" ] && kill -0 "${pids[ours]}" 2>/dev/null; do
		sleep 0.2
	done
	start_cable_guest "$2" peer "$4" "$cable/socket"
	wait_for_pair
	rm -r "$cable"
}

both_booted()
{
	[ -e "$share/out/booted" ] && [ -e "$share2/out/booted" ]
}

# collect_pair NAME KERNEL SHARE ROLE TEST...: account for each test of a side
collect_pair()
{
	local test

	for test in "${@:5}"; do
		if [ -e "$3/out/$test.result" ]; then
			account "$2" "$test-$4-$1" "$(cat "$3/out/$test.result")"
		else
			account_failure "$2" "$test-$4-$1" \
				"the guest failed (exit status ${statuses[$4]})"
		fi
	done
}

# prepare_pair KERNEL RXE PEER RXE_OF_PEER: sets share and share2, with each side's
# driver (ours, intree; none: the command is to load one).
prepare_pair()
{
	local first

	declare -gA pids=() statuses=()
	TOPOLOGY=cable
	without_broken=yes
	STRICT=1 RXE=${2/none/ours} prepare "$1"
	cable_guest_env "$1" ours "$2" 10.0.1.1 10.0.1.2 >"$share/env"
	first=$share
	new_share "$3"
	share2=$share
	share=$first
	STRICT=1 RXE=${4/none/ours} build_for "$3" "$share2/build"
	cable_guest_env "$3" peer "$4" 10.0.1.2 10.0.1.1 >"$share2/env"
}

# boot_pair KERNEL PEER WHAT: run the command of share and share2, again if a guest
# has not started it (no out/booted): the other one's run is void then.
boot_pair()
{
	local try

	for try in 1 2 3; do
		say "booting two guests on one cable: $3"
		run_pair "$1" "$2" "$share" "$share2"
		! both_booted || break
		[ "$try" = 3 ] || say "a guest has not booted: trying again"
	done
}

# cmd_test_cable KERNEL PEER RXE RESULTS TEST...: PEER is the kernel of the peer,
# RXE its driver: ours or intree
cmd_test_cable()
{
	local kernel=$1 peer=$2 rxe=$3

	results=$4
	shift 4
	: "${MEM:=1024}"
	prepare_pair "$kernel" ours "$peer" "$rxe"
	printf '%s\n' "$@" | tee "$share/tests" >"$share2/tests"
	echo 'exec bash /share/guest/cable.sh' | tee "$share/cmd" >"$share2/cmd"
	boot_pair "$kernel" "$peer" \
		"$(kernel_version "$kernel"), and $rxe on $(kernel_version "$peer")"
	collect_pair "$rxe-$peer" "$kernel" "$share" ours "$@"
	collect_pair "$rxe-$peer" "$kernel" "$share2" peer "$@"
}
