#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Are the driver's tests any good? A build of the driver can break each of the
# rules that base/rule.h names. With a rule broken, the test that is there for it
# must fail; with all of them whole again, it must pass. That driver is BROKEN_KO, or
# where make -C module builds it, and takes the place of the one that is loaded, which
# is RXE_KO, or what modprobe finds. Needs root.
#
# broken.sh                        that, for all rules
# broken.sh RULE...                for these
# broken.sh --rules                what can be broken
# broken.sh --break RULE PROGRAM [NAME...]
#                                  the tests of a program, or those with these names,
#                                  with that rule broken; a program is named by its
#                                  folder, too: wire/wire_gsi.py

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}" "${BROKEN_KO:=module/rdma_rxe.ko}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

param=/sys/module/rdma_rxe/parameters/broken
# A broken rule mostly shows in something that does not come. It is not waited for any
# longer when all rules are whole: no test fails for being slow only.
export HUNG_SECONDS=4
had_hosts=
had_driver=
loaded=

# test_for RULE: sets program and name to the test that is there for it. Others may
# fail too.
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
	netns)
		set -- net/links "equal addresses in other namespaces"
		;;
	mcast_join)
		set -- net/mcast "datagrams to groups, of IPv4 and IPv6"
		;;
	opcode_sequence | payload_length | dma_length)
		set -- wire/wire_responder.py "wrong requests"
		;;
	receive_length)
		set -- verbs/rc_errors "a receive that is too short"
		;;
	psn_ahead)
		set -- wire/wire_responder.py "requests that come too early"
		;;
	psn_behind)
		set -- wire/wire_responder.py "sends and writes that come again"
		;;
	atomic_again)
		set -- wire/wire_responder.py "atomics that come again"
		;;
	read_again)
		set -- wire/wire_responder.py "reads that come again"
		;;
	ack_after_data)
		set -- wire/wire_responder.py "answers to requests that have waited"
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
		set -- verbs/rc_data "the event of a first packet"
		;;
	parked_bytes)
		set -- wire/wire_responder.py \
			"too many requests while memory is faulted in"
		;;
	fault_ahead)
		set -- odp/parked "a page behind a message's end"
		;;
	uc_loss)
		set -- verbs/uc "packets are lost"
		;;
	qkey)
		set -- verbs/ud "Q_Keys"
		;;
	datagram_length)
		set -- verbs/ud "datagrams that nobody takes"
		;;
	read_credit)
		set -- wire/wire_requester.py "reads and atomics at once"
		;;
	window)
		set -- wire/wire_requester.py "more packets than may be under way"
		;;
	fence)
		set -- wire/wire_requester.py "a fence behind a read"
		;;
	go_back)
		set -- wire/wire_requester.py "NAKs for sequence errors"
		;;
	retries)
		set -- wire/wire_requester.py "retries"
		;;
	ack_timeout)
		set -- verbs/rc_errors "a peer that does not answer"
		;;
	rnr | rnr_timer | rnr_retries)
		set -- wire/wire_requester.py "the receiver is not ready"
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
		set -- verbs/ud "a send that fails, and the way back"
		;;
	key | pd | rights | enabled)
		set -- verbs/rc_errors "wrong requests, pinned memory"
		;;
	key_reuse)
		set -- verbs/rc_lifetimes \
			"numbers of queue pairs and regions that are gone"
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
	queue_charged)
		set -- verbs/queues "queues are charged to the program"
		;;
	solicited)
		set -- verbs/rc_data "completion events, solicited ones too"
		;;
	cq_overrun)
		set -- verbs/rc_errors "a completion queue that overruns"
		;;
	srq_limit)
		set -- verbs/srq "the limit event"
		;;
	last_wqe)
		set -- verbs/srq "one queue pair fails"
		;;
	flush)
		set -- verbs/rc_errors "a receive with a wrong key"
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
		bail_out "the driver that is loaded does not go"
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

# Whatever ended us, all is as it was.
finish()
{
	local status=$?

	trap - EXIT
	if [ -n "$loaded" ] && ! put_back; then
		echo "# the driver that was loaded is not there again"
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

# results: the lines of KTAP that tell results, without their numbers, and behind those
# that failed what was said last
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

# break_rules PROGRAM RULE...: results of its tests for these, with each of them broken
# as rule=name, and then with none. Programs in python take long to begin: they run
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
		run_program "$of" "${broken[@]}" "${whole[@]}" | results
		return
	fi
	for name in "${broken[@]}"; do
		rule=${name%%=*}
		run_broken "$rule" "$of" "${name#*=}" | results |
			sed -E "s/^(not )?ok /&$rule=/"
	done
	run_program "$of" "${whole[@]}" | results
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
	[ "$#" -gt 0 ] || set -- $(all_rules)
	run "$@"
	;;
esac
