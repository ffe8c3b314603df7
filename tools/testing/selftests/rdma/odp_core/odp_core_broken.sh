#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Do the ODP core's tests notice a broken core? The test module can break each
# rule that the core keeps. With a rule broken, its test must fail.
#
# odp_core_broken.sh          checks this for each rule
# odp_core_broken.sh --all    runs all tests for each rule, and shows which fail
#                             (takes minutes; damage of one may fail others)

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

# A broken rule mostly shows in an event that never comes: wait for a short time only.
export HUNG_SECONDS=5

# The test of a rule. Others may fail, too.
test_for()
{
	case $1 in
	count)
		echo "nothing is published while a notifier runs"
		;;
	sequence)
		echo "nothing is published that was looked up before a notifier"
		;;
	dying)
		echo "nothing is published for a umem that is being destroyed"
		;;
	dead)
		echo "nothing is published once the mm is gone"
		;;
	exclude_copies)
		echo "a notifier waits for copies"
		;;
	non_blockable)
		echo "a non-blockable notifier does not sleep"
		;;
	no_pin)
		echo "no page is pinned"
		;;
	write_lookup)
		echo "a page to be written is looked up for writing"
		;;
	wake)
		echo "a fault sleeps until the last notifier ends"
		;;
	wake_only)
		echo "only a notifier over its pages wakes a fault"
		;;
	range)
		echo "a notifier elsewhere does not prevent publication"
		;;
	own)
		echo "the look-up's own copy-on-write loses no page"
		;;
	one_page)
		echo "a copy-on-write within several pages has them looked up again"
		;;
	overflow)
		echo "more notifiers than slots"
		;;
	completion)
		echo "destruction waits for a notifier"
		;;
	sparse)
		echo "a vast umem costs only its touched pages"
		;;
	empty_leaf)
		echo "empty leaves and no others are freed"
		;;
	progress | goes_first)
		echo "a fault that keeps losing comes to its end"
		;;
	patience)
		echo "a notifier is held back for a while only"
		;;
	outlast)
		echo "a fault outlasts notifiers that overlap"
		;;
	holds_back_lookups)
		echo "a notifier of a look-up is not held back"
		;;
	charge)
		echo "a fault's allocations are charged to the owner"
		;;
	present)
		echo "present pages are found without an allocation"
		;;
	young)
		echo "pages in use are young"
		;;
	esac
}

# failures RULE [NAME...]: the names of tests that fail with it broken
failures()
{
	./odp_core.sh --break "$@" 2>&1 |
		sed -n 's/^not ok [0-9]* \(.*\)/\1/p'
}

show_all()
{
	local rule

	for rule in $rules; do
		echo "rule $rule broken:"
		failures "$rule" | sed 's/^/   fails: /'
	done
}

run()
{
	local rule name

	ktap_print_header
	ktap_set_plan "$(wc -w <<<"$rules")"
	for rule in $rules; do
		name=$(test_for "$rule")
		if [ -n "$name" ] && [ "$(failures "$rule" "$name")" = "$name" ]; then
			ktap_test_pass "a broken rule is noticed: $rule"
		else
			ktap_test_fail "a broken rule is noticed: $rule"
		fi
	done
	ktap_finished
}

rules=$(./odp_core.sh --rules) || {
	status=$?
	printf '%s\n' "$rules"
	exit "$status"
}
rules=${rules/none /}

case ${1-} in
--all)
	show_all
	;;
*)
	run
	;;
esac
