#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# perftest, unmodified, between the two hosts: each program with pinned memory
# and with memory that is paged on demand, from 2 bytes to 8 MiB, at each MTU,
# over IPv4 and IPv6, in both directions at once and with several queue pairs; and
# how much it pins, or may pin. Needs root, rdma_rxe and perftest.
#
# All sizes take long on an emulated machine, where perftest itself takes a second for
# each: without LONG_TESTS a third of the runs have all sizes, and the others one. With
# TURN (0, 1 or 2) a third of the programs have one run each.

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"
# shellcheck source-path=SCRIPTDIR
. ../lib/perftest_lib.sh

dir=$(mktemp -d)
hosts_are_ours=
iterations=5
# An ACK timeout of a second, not 67 ms: slow machines stand still for that long.
common=(-F -u 18)
sizes=$(for i in $(seq 23); do echo $((1 << i)); done)

# Three paths, so that each program has each MTU and either family.
paths=("1500 4" "4200 6" "9000 4")
bandwidth=(ib_write_bw ib_read_bw ib_send_bw)
latency=(ib_write_lat ib_read_lat ib_send_lat)
ways=("" "-b" "-q 8")

finish()
{
	[ -z "$hosts_are_ours" ] || ../lib/two_hosts.sh down
	rm -r "$dir"
}

need_hosts()
{
	[ -e /sys/class/infiniband/rxe0 ] && return 0
	hosts_are_ours=yes
	../lib/two_hosts.sh up >/dev/null 2>&1
}

use_path()
{
	../lib/two_hosts.sh mtu "$1"
	case $2 in
	4)
		server_addr=10.0.0.2
		client_addr=10.0.0.1
		;;
	6)
		server_addr=fd00::2
		client_addr=fd00::1
		;;
	esac
}

# verdict NAME COMMAND...: shows the command's output if it fails
verdict()
{
	local name=$1

	if "${@:2}"; then
		ktap_test_pass "$name"
		return
	fi
	tail -n 8 "$dir"/client "$dir"/server | sed 's/^/# /'
	ktap_test_fail "$name"
}

has_all_sizes()
{
	[ "$(awk '/^ [0-9]/ { print $1 }' "$dir/client")" = "$sizes" ]
}

all_sizes()
{
	between "$dir/server" "$@" "${common[@]}" -a -n "$iterations" >"$dir/client" 2>&1 &&
		has_all_sizes
}

# one_size BYTES COMMAND...
one_size()
{
	between "$dir/server" "${@:2}" "${common[@]}" >"$dir/client" 2>&1 &&
		grep -qE "^ $1 +[0-9]+ " "$dir/client"
}

middle_size()
{
	one_size 65536 "$@" -s 65536 -n 20
}

atomic_size()
{
	one_size 8 "$@" -n 200
}

# sizes_in_turn PATH PROGRAM: their numbers; says what is to be done. Of each program
# one path is in a third, and not always done in the same way. In a turn a third of
# the programs have one path each.
sizes_in_turn()
{
	if [ -n "${TURN-}" ]; then
		[ $(($2 % 3)) -ne "$TURN" ] || [ $(($2 / 3 % 3)) -ne "$1" ] ||
			echo all_sizes
	elif [ "${LONG_TESTS-}" = yes ] || [ $((($1 + 2 * $2) % 3)) -eq 0 ]; then
		echo all_sizes
	else
		echo middle_size
	fi
}

# over PATH COMMAND PROGRAM ARG...
over()
{
	local mtu family

	read -r mtu family <<<"$1"
	use_path "$mtu" "$family"
	verdict "${*:3}, MTU $mtu, IPv$family, ${2//_/ }" "${@:2}"
}

# Sizes, way and path change from program to program.
run_matrix()
{
	local odp program i way how n=0

	for odp in "" --odp; do
		for program in "${bandwidth[@]}" "${latency[@]}"; do
			for i in 0 1 2; do
				how=$(sizes_in_turn $i $n)
				way=
				[ $((n % 6)) -ge 3 ] || way=${ways[(i + n) % 3]}
				# shellcheck disable=SC2086 # words
				[ -z "$how" ] ||
					over "${paths[i]}" "$how" "$program" $odp $way
			done
			n=$((n + 1))
		done
	done
}

# perftest 4.5 refuses atomics with --odp, whatever the device supports.
run_atomics()
{
	local i

	for i in ${TURN:-0 1 2}; do
		# shellcheck disable=SC2086 # words
		over "${paths[i]}" atomic_size ib_atomic_bw ${ways[i]}
		over "${paths[i]}" atomic_size ib_atomic_lat
	done
}

packets()
{
	cat /sys/class/infiniband/rxe1/ports/1/hw_counters/rcvd_pkts
}

# Wait until messages are sent.
wait_for_traffic()
{
	local began

	began=$(packets)
	for _ in $(seq $((300 * ${LIMIT_FACTOR:-1}))); do
		[ "$(packets)" -lt $((began + 1000)) ] || return 0
		sleep 0.1
	done
	return 1
}

# locked PID: what it has pinned and locked, in KiB
locked()
{
	awk '/^Vm(Pin|Lck):/ { kib += $2 } END { print kib + 0 }' \
		"/proc/$1/status"
}

pinned()
{
	[ "$(locked "$1")" -gt 0 ]
}

not_pinned()
{
	[ "$(locked "$1")" -eq 0 ]
}

# both_are pinned|not_pinned PROGRAM ARG...: whether this is true of the memory of
# both processes
both_are()
{
	local how=$1 client status=1 pids pid

	shift
	start_server "$dir/server" "$@" || return
	run_client "$@" >"$dir/client" 2>&1 &
	client=$!
	if wait_for_traffic; then
		status=0
		pids=$(pgrep -x "$1")
		[ "$(wc -w <<<"$pids")" -eq 2 ] || status=1
		for pid in $pids; do
			"$how" "$pid" || status=1
		done
	fi
	pkill -KILL -x "$1"
	wait "$client" "$server_pid"
	return "$status"
} 2>/dev/null

# A user who may lock nothing.
as_user()
(
	run_by=(prlimit --memlock=0 setpriv --reuid 65534 --regid 65534
		--clear-groups)
	between "$dir/server" "$@" >"$dir/client" 2>&1
)

refused_as_user()
{
	! as_user "$@" && grep -q "Couldn't allocate MR" "$dir/server"
} 2>/dev/null

run_pins()
{
	local forever=("${common[@]}" -s 65536 -n 10000000)

	use_path 1500 4
	verdict "on-demand memory is not pinned" \
		both_are not_pinned ib_write_bw "${forever[@]}" --odp
	verdict "pinned memory is seen as pinned" \
		both_are pinned ib_write_bw "${forever[@]}"
	verdict "a user who may lock nothing can page on demand" \
		as_user ib_write_bw "${common[@]}" -n 100 --odp
	verdict "a user who may lock nothing cannot pin" \
		refused_as_user ib_write_bw "${common[@]}" -n 100
}

trap finish EXIT
if ! command -v ib_write_bw >/dev/null || ! need_hosts; then
	ktap_print_header
	ktap_skip_all "needs root, rdma_rxe and perftest"
	exit 4
fi
ktap_print_header
if [ -n "${TURN-}" ]; then
	ktap_set_plan $((2 * 6 / 3 + 2 + 4))
else
	ktap_set_plan $(((2 * 6 + 2) * ${#paths[@]} + 4))
fi
run_matrix
run_atomics
run_pins
ktap_finished
