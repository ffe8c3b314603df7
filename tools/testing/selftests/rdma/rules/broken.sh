#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Do the driver's tests notice a broken driver? A test build of the driver can break
# each of the rules in base/rule.h. With a rule broken, its test must fail; with all
# rules kept again, it must pass. The test build is BROKEN_KO, or where make -C module
# puts it. It replaces the loaded driver, which is RXE_KO, or the one that modprobe
# finds. Needs root.
#
# broken.sh                        checks this for all rules; with TURN, for one of each
#                                  folder
# broken.sh RULE...                for these rules
# broken.sh --rules                lists the rules
# broken.sh --break RULE PROGRAM [NAME...]
#                                  the tests of a program, or those with these names,
#                                  with that rule broken; a program is named by its
#                                  folder, too: wire/wire_gsi.py

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}" "${BROKEN_KO:=module/rdma_rxe.ko}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

param=/sys/module/rdma_rxe/parameters/broken
# A broken rule mostly shows in an event that never comes, so wait for a short time
# only. The same limit holds with all rules kept. A host that stands still for longer
# makes a test fail then, so those that fail get more tries.
export HUNG_SECONDS=4
most_tries=3
had_hosts=
had_driver=
loaded=

# test_for RULE: sets program and name to the test of the rule. Others may fail, too.
test_for()
{
	case $1 in
	icrc)
		set -- wire/wire_garbage.py "a bad ICRC"
		;;
	transport_version | partition | peer_address)
		set -- wire/wire_garbage.py \
			"malformed packets, and packets of other connections"
		;;
	payload_size)
		set -- wire/wire_garbage.py "payloads too large"
		;;
	service)
		set -- wire/wire_responder.py "opcodes of other services"
		;;
	own_address)
		set -- wire/wire_gsi.py "datagrams to other addresses of the host"
		;;
	programs_sockets)
		set -- wire/wire_origin.py \
			"an ordinary user's packets to a connection of the same host"
		;;
	netns)
		set -- net/links "equal addresses in two namespaces"
		;;
	incoming_domain)
		set -- net/arrivals \
			"packets of VRFs with the same addresses stay apart"
		;;
	incoming_scope)
		set -- net/arrivals "two netdevs with the same link-local addresses"
		;;
	mcast_netdev)
		set -- net/arrivals "a group with queue pairs at two netdevs"
		;;
	mcast_join)
		set -- net/mcast "datagrams to IPv4 and IPv6 groups"
		;;
	opcode_sequence | payload_length | dma_length)
		set -- wire/wire_responder.py "wrong requests"
		;;
	receive_length)
		set -- verbs/rc_errors "a receive request that is too short"
		;;
	psn_ahead)
		set -- wire/wire_responder.py \
			"requests ahead of the expected PSN"
		;;
	psn_behind)
		set -- wire/wire_responder.py "duplicate sends and writes"
		;;
	atomic_again)
		set -- wire/wire_responder.py "duplicate atomics"
		;;
	read_again)
		set -- wire/wire_responder.py "duplicate reads"
		;;
	ack_after_data)
		set -- wire/wire_responder.py \
			"answers to requests from the backlog"
		;;
	rnr_nak)
		set -- wire/wire_responder.py "messages without a receive request"
		;;
	immediate)
		set -- verbs/rc_data "send with immediate, all path MTUs"
		;;
	invalidate | window_qp)
		set -- verbs/mw "windows of type 2, pinned and on demand"
		;;
	flush_persistent)
		set -- wire/wire_placement.py "wrong flushes"
		;;
	atomic_write_length)
		set -- wire/wire_placement.py "wrong atomic writes"
		;;
	comm_established)
		set -- verbs/rc_data "the communication established event"
		;;
	parked_bytes)
		set -- wire/wire_responder.py \
			"too many requests while memory is faulted in"
		;;
	parked_copied)
		set -- odp/backlog "packets that wait take what is counted"
		;;
	borrowed_copied)
		set -- net/watch "rdma resource shows what queue pairs wait for"
		;;
	borrowed_room)
		set -- odp/backlog "packets of many faults that sleep are charged"
		;;
	parked_charged)
		set -- odp/backlog "packets that wait are charged to the program"
		;;
	wait_qkey)
		set -- odp/backlog "datagrams with a wrong Q_Key do not wait"
		;;
	wait_once)
		set -- wire/wire_responder.py \
			"requests behind a gap while memory is faulted in"
		;;
	wait_due)
		set -- wire/wire_requester.py \
			"responses to nothing while memory is faulted in"
		;;
	device_bytes)
		set -- odp/rc_fair "memory of parked packets of all programs is bounded"
		;;
	program_share)
		set -- odp/rc_fair "a program whose packets wait for ever leaves room"
		;;
	fault_ahead)
		set -- odp/parked \
			"a message does not wait for the page behind its end"
		;;
	uc_loss)
		set -- verbs/uc "UC while packets are lost"
		;;
	qkey)
		set -- verbs/ud "Q_Keys"
		;;
	datagram_length)
		set -- verbs/ud "datagrams that are dropped"
		;;
	read_credit)
		set -- wire/wire_requester.py "the credit of reads and atomics"
		;;
	window)
		set -- wire/wire_requester.py \
			"the window of unacknowledged packets"
		;;
	fence)
		set -- wire/wire_requester.py "a fence behind a read"
		;;
	go_back)
		set -- wire/wire_requester.py "NAKs of sequence errors"
		;;
	cpu_share)
		set -- verbs/cpu_share "a stream of two queue pairs beside a task that computes"
		;;
	flow_limit)
		set -- net/flows "packets of a device in the network are bounded"
		;;
	retry_parked)
		set -- wire/wire_requester.py \
			"no answer while a later message is faulted in"
		;;
	unparked)
		set -- wire/wire_requester.py \
			"repetitions while a later message is faulted in"
		;;
	retries)
		set -- wire/wire_requester.py "progress restores the retries"
		;;
	ack_timeout)
		set -- verbs/rc_errors "a peer that does not answer"
		;;
	rnr | rnr_timer | rnr_retries)
		set -- wire/wire_requester.py "RNR NAKs"
		;;
	response_due)
		set -- wire/wire_requester.py "acknowledgments"
		;;
	response_valid)
		set -- wire/wire_requester.py "bad responses"
		;;
	implied_nak)
		set -- wire/wire_requester.py "a read's response is overtaken"
		;;
	sqd)
		set -- verbs/rc_data "a send queue that is drained"
		;;
	sq_drained)
		set -- verbs/rc_data "a send queue that is drained late"
		;;
	datagram_size | ah_pd)
		set -- verbs/ud "a send that fails, and recovery from SQE"
		;;
	key | pd | rights | enabled)
		set -- verbs/rc_errors "wrong requests, pinned memory"
		;;
	key_reuse)
		set -- verbs/rc_lifetimes \
			"numbers of destroyed queue pairs and regions are not reused soon"
		;;
	bounds)
		set -- verbs/rc_errors "a region that ends within a page"
		;;
	window_key | window_rights | window_bounds)
		set -- verbs/mw "windows of type 1, pinned and on demand"
		;;
	bind_right)
		set -- verbs/mw "binds that are refused"
		;;
	bound_region)
		set -- verbs/mw "a region with windows stays"
		;;
	foreign_memory)
		set -- verbs/rereg "a forked child changes its parent's region"
		;;
	sge_bound | inline_bound)
		set -- verbs/rc_rings "wrong requests in the ring"
		;;
	object_max)
		set -- verbs/limits "as many objects as the device announces"
		;;
	handle_max)
		set -- verbs/limits "as many queue pairs as there are numbers for"
		;;
	mcast_qps)
		set -- net/mcast \
			"as many queue pairs in a group as the device announces"
		;;
	source_address)
		set -- verbs/ud "datagrams, all lengths, pinned and on demand"
		;;
	fetch_once)
		set -- verbs/rc_rings "a receive that changes while it is taken"
		;;
	address_vector)
		set -- verbs/rc_errors "an address vector that is refused"
		;;
	cq_moved)
		set -- verbs/cq "a CQ is resized while completions wait"
		;;
	queue_charged)
		set -- verbs/queues "queues are charged to the program"
		;;
	solicited)
		set -- verbs/rc_data \
			"completion events, unsolicited and solicited"
		;;
	cq_overrun)
		set -- verbs/rc_errors "a completion queue that overruns"
		;;
	srq_limit)
		set -- verbs/srq "the SRQ limit event"
		;;
	last_wqe)
		set -- verbs/srq "one queue pair of an SRQ fails"
		;;
	flush_rate)
		set -- verbs/rc_rings \
			"a receive ring filled again and again in the error state"
		;;
	fault_turns)
		set -- odp/fault_threads \
			"threads of a program with faults that nobody serves"
		;;
	fault_nowait)
		set -- odp/fault_threads \
			"memory that is there, beside faults that nobody serves"
		;;
	abandoned)
		set -- odp/parked "the number of abandoned faults is bounded"
		;;
	flush)
		set -- verbs/rc_errors "a receive request with a wrong key"
		;;
	path_mtu | transition)
		set -- verbs/rc_errors "state transitions that are refused"
		;;
	*)
		set -- "" ""
		;;
	esac
	program=$1
	name=$2
}

bail_out()
{
	echo "Bail out! $1"
	exit 1
}

load()
{
	if [ ! -e "$BROKEN_KO" ] || [ "$(id -u)" -ne 0 ]; then
		ktap_print_header
		ktap_skip_all "needs root and $BROKEN_KO"
		exit "$KSFT_SKIP"
	fi
	[ ! -e /sys/class/infiniband/rxe0 ] || had_hosts=yes
	[ ! -e /sys/module/rdma_rxe ] || had_driver=yes
	# tests make their hosts by themselves
	../lib/two_hosts.sh down
	[ -z "$had_driver" ] || rmmod rdma_rxe ||
		bail_out "the loaded driver cannot be unloaded"
	loaded=yes
	insmod "$BROKEN_KO" || bail_out "$BROKEN_KO does not load"
}

load_driver()
{
	if [ -n "${RXE_KO-}" ]; then
		insmod "$RXE_KO"
	else
		modprobe rdma_rxe
	fi
}

put_back()
{
	../lib/two_hosts.sh down
	rmmod rdma_rxe || return
	[ -z "$had_driver" ] || load_driver || return
	[ -z "$had_hosts" ] || ../lib/two_hosts.sh up
}

# Restore driver and hosts, however the script ends.
finish()
{
	local status=$?

	trap - EXIT
	if [ -n "$loaded" ] && ! put_back; then
		echo "# the driver could not be loaded again"
		status=1
	fi
	exit "$status"
}

all_rules()
{
	sed 's/\[none\]//' "$param"
}

# run_program PROGRAM [NAME...]
run_program()
{
	../lib/two_hosts.sh down
	(cd "../$(dirname "$1")" && "./$(basename "$1")" "${@:2}")
}

run_broken()
{
	echo "$1" >"$param" || return
	run_program "${@:2}"
	echo none >"$param"
}

# results: the result lines of KTAP, without their numbers, each failed one followed by
# the last diagnostics before it
results()
{
	awk '/^# / {
			before = last
			last = substr($0, 3)
		}
		/^(not )?ok / {
			sub(/ [0-9]+ /, " ")
			sub(/ +$/, "")
			print
			if (/^not/)
				print "#", before " [" last "]"
			before = last = ""
		}'
}

# run_whole PROGRAM NAME...: results with all rules kept, of the last try
run_whole()
{
	local try said

	for ((try = 0; try < most_tries; try++)); do
		said=$(run_program "$@" | results)
		grep -q '^not ok' <<<"$said" || break
	done
	printf '%s\n' "$said"
}

# break_rules PROGRAM RULE...: results of its tests for these rules: with each rule
# broken, as rule=name, and then with none. Programs in python start slowly: they run
# once, and break rules by themselves. Others have fresh hosts for each rule.
break_rules()
{
	local of=$1 program name rule broken=() whole

	for rule in "${@:2}"; do
		test_for "$rule"
		broken+=("$rule=$name")
	done
	mapfile -t whole < <(printf '%s\n' "${broken[@]#*=}" | sort -u)
	if [[ $of == *.py ]]; then
		run_program "$of" "${broken[@]}" | results
		run_whole "$of" "${whole[@]}"
		return
	fi
	for name in "${broken[@]}"; do
		rule=${name%%=*}
		run_broken "$rule" "$of" "${name#*=}" | results |
			sed -E "s/^(not )?ok /&$rule=/"
	done
	run_whole "$of" "${whole[@]}"
}

# check_rule RULE NAME RESULTS
check_rule()
{
	local told="a broken rule is noticed: $1"

	if grep -qxF "ok $2 # SKIP" <<<"$3"; then
		ktap_test_skip "$told"
	elif grep -qxF "not ok $1=$2" <<<"$3" && grep -qxF "ok $2" <<<"$3"; then
		grep -xF -A 1 "not ok $1=$2" <<<"$3" | tail -n 1
		ktap_test_pass "$told"
	else
		grep -F -A 1 "$2" <<<"$3" | sed 's/^/# /'
		ktap_test_fail "$told"
	fi
}

# The first rule of each folder: in "make test", which sets TURN, these stand for all.
# Programs of net and odp take a minute each.
first_rules()
{
	local rule program name folder
	local -A seen=()

	for rule in $(all_rules); do
		test_for "$rule"
		case ${program:=none} in
		net/* | odp/*)
			continue
			;;
		esac
		folder=${program%/*}
		[ -n "${seen[$folder]-}" ] || echo "$rule"
		seen[$folder]=yes
	done
}

# run RULE...
run()
{
	local rule of program name found began
	local -A rules_of

	ktap_print_header
	ktap_set_plan "$#"
	for rule; do
		test_for "$rule"
		rules_of[${program:-none}]+="$rule "
	done
	for of in $(printf '%s\n' "${!rules_of[@]}" | sort); do
		began=$SECONDS
		# shellcheck disable=SC2086 # words
		found=$(break_rules "$of" ${rules_of[$of]} 2>/dev/null)
		for rule in ${rules_of[$of]}; do
			test_for "$rule"
			check_rule "$rule" "$name" "$found"
		done
		echo "# $of: $((SECONDS - began)) s"
	done
	ktap_finished
}

trap finish EXIT
trap 'exit 143' INT TERM HUP

load
case ${1-} in
--rules)
	all_rules
	;;
--break)
	run_broken "${@:2}"
	;;
*)
	# shellcheck disable=SC2046 # words
	[ "$#" -gt 0 ] || set -- $(if [ -n "${TURN-}" ]; then first_rules; else all_rules; fi)
	run "$@"
	;;
esac
