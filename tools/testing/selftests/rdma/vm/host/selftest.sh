# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The harness's test of itself: programs that fail in every way that the harness
# must notice, run by the same code in a guest.

# NAME PASSED FAILED SKIPPED, in the order in which they are run.
expected_results()
{
	cat <<-LIST
		passes 1 0 1
		fails 1 1 0
		skips 0 0 1
		no_plan 1 1 0
		stops_short 1 1 0
		crashes 1 1 0
		hangs 1 1 0
		leaves_child 1 0 0
		splat 1 1 0
		race 1 1 0
		others_race 1 0 0
		panics 0 1 0
		after_panic 1 0 0
	LIST
}

# The guest itself: the status of its command, and a guest that is silent, exceeds
# its time limit, or never starts its command.
check_guest()
{
	local what=$1 want=$2 command=$3 words=${4-} ret=0

	echo "$command" >"$share/cmd"
	run_guest 6.1 >"$share/said" 2>&1 || ret=$?
	if [ "$ret" -eq "$want" ] &&
		{ [ -z "$words" ] || grep -qF -- "$words" "$share/said"; }; then
		echo "pass harness: $what"
		account 6.1 "harness" 1 0 0
	else
		cat "$share/said"
		account_failure 6.1 "harness" "$what: exit status $ret, not $want${words:+ and \"$words\"}"
	fi
}

cmd_test_harness()
{
	local outer=$1 got name want

	results=$(mktemp "$cache/results.XXXXXX")
	install_host_packages
	need_root_dir
	TOPOLOGY=none
	RXE=none
	TEST_LIMIT=5
	guest_limits 6.1
	new_share 6.1
	# a cache may have such a path
	mv "$share" "$share, of a, b"
	share+=", of a, b"
	mkdir -p "$share/build/tests"
	cp -r "$vm_dir/../selftest" "$share/build/tests/"
	guest_env 6.1 >"$share/env"
	mapfile -t names < <(expected_results | cut -d ' ' -f 1)
	say "testing the harness itself: the failures that follow are intended"
	run_tests 6.1 "${names[@]}" 2>&1 | sed 's/^/    /'
	got=$results
	results=$outer
	while read -r name want; do
		if grep -qE "^6\.1 $name $want( |\$)" "$got"; then
			account 6.1 "harness" 1 0 0
			echo "pass harness: $name"
		else
			account_failure 6.1 "harness" "$name: $(grep "^6.1 $name " "$got"), not $want"
		fi
	done < <(expected_results)
	rm "$got"
	check_guest "the exit status of a guest's command is returned" 3 'exit 3'
	QUIET_LIMIT=5 check_guest "a quiet guest is ended" 125 'sleep 1000'
	QUIET_LIMIT=120 check_guest "a guest is ended after the silence that it has announced" 125 \
		'echo "@@ quiet 5"; sleep 1000' "no output for 5 s"
	TIME_LIMIT=5 check_guest "an endless guest is ended" 125 \
		'while sleep 1; do echo on and on; done'
	BOOT_LIMIT=1 check_guest "a guest that does not boot is ended" 125 'exit 0'
}
