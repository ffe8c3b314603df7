# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Runs the selftests on each kernel and sums their results.

# A guest that dies takes one test with it; the others get another guest.
most_boots=4

# Of all tests in a guest, one a line; boot and module_unload are guest/tests.sh's.
test_names()
{
	local names

	names=$(make -s -C "$tree/$selftests" list-tests) || return
	[ -n "$names" ] || return
	printf '%s\n' boot "$names" module_unload
}

# account KERNEL TEST PASSED FAILED SKIPPED REASONS
account()
{
	printf '%s\n' "$*" >>"$results"
}

account_failure()
{
	say "FAIL $2 on $1: $3"
	account "$1" "$2" 0 1 0 "$3"
}

# collect KERNEL TEST...: account for the tests that have a result; sets rest
# to those that have none.
collect()
{
	local kernel=$1 name

	shift
	rest=()
	for name; do
		if [ -e "$share/out/$name.result" ]; then
			account "$kernel" "$name" "$(cat "$share/out/$name.result")"
		else
			rest+=("$name")
		fi
	done
}

keep_logs()
{
	logs=$cache/logs/test-$1-$(date +%Y%m%d-%H%M%S)-$$
	mkdir -p "$logs"
	find "$share/out" -name '*.log' -exec cp {} "$logs/" \;
	say "logs of the tests on $1: $logs"
}

# run_tests KERNEL TEST...: the caller's $share is built and ready.
run_tests()
{
	local kernel=$1 boots=0 died

	shift
	rest=("$@")
	echo 'exec bash /share/guest/tests.sh' >"$share/cmd"
	while [ "${#rest[@]}" -gt 0 ]; do
		if [ "$boots" -ge "$most_boots" ]; then
			for died in "${rest[@]}"; do
				account_failure "$kernel" "$died" \
					"not run: $boots guests died before it"
			done
			break
		fi
		boots=$((boots + 1))
		printf '%s\n' "${rest[@]}" >"$share/tests"
		say "booting a guest with $(kernel_version "$kernel") for ${#rest[@]} tests"
		run_guest "$kernel" "${qemu_args[@]}" || true
		collect "$kernel" "${rest[@]}"
		[ "${#rest[@]}" -gt 0 ] || break
		account_failure "$kernel" "${rest[0]}" \
			"the guest failed in this test; console: $console"
		rest=("${rest[@]:1}")
	done
	keep_logs "$kernel"
}

# Runs as a process of its own for each kernel, so that a failure is final.
cmd_test_kernel()
{
	local kernel=$1 names

	results=$2
	mapfile -t names < <(printf '%s\n' "${@:3}")
	# For all tests together; the guest sees to the limits of each.
	: "${TOPOLOGY:=two_hosts}" "${TIME_LIMIT:=10800}"
	[[ " ${names[*]} " == *" broken.sh "* ]] || without_broken=yes
	STRICT=1 prepare "$kernel"
	add_test_devices
	tune_for_tests "$kernel"
	run_tests "$kernel" "${names[@]}"
}

summary()
{
	local bad

	bad=$(awk '$4 > 0' "$1")
	if [ -n "$bad" ]; then
		say "failed:"
		printf '%s\n' "$bad" | while read -r kernel name _ _ _ reasons; do
			printf '   %s on %s%s\n' "$name" "$kernel" \
				"${reasons:+: $reasons}" >&2
		done
	fi
	awk '{ p += $3; f += $4; s += $5 }
		END { printf "%d passed, %d failed, %d skipped\n", p, f, s
		      exit f > 0 || p == 0 }' "$1"
}

# part NAME COMMAND...: a part of the run that must account for itself; if it
# ends before it has, that is a failure.
part()
{
	local name=$1

	shift
	"$0" "$@" || account_failure "$name" harness \
		"this part of the run could not be done (see above)"
}

# The tests to run: all, or those in TESTS. "harness" is the harness's own test,
# "install" and "package" those of make install and make deb, which take no guest, the latter
# some minutes; cable_tests are those of two guests on a cable, the first of them the quick
# one.
# Tests take turns only where every kernel gets its own: not where TESTS or KERNELS
# says what is to run, and not with LONG_TESTS.
cable_tests="interop cable_users"

choose_tests()
{
	local all name

	all=$(test_names) || die "no list of tests"
	chosen=()
	on_cable=()
	with_harness=
	with_install=
	with_package=
	take_turns=
	if [ -z "${TESTS-}" ]; then
		mapfile -t chosen <<<"$all"
		[ -n "${KERNELS-}" ] || [ "${LONG_TESTS-}" = yes ] || {
			take_turns=yes
			check_turns
		}
		on_cable=(interop)
		[ "${LONG_TESTS-}" != yes ] || read -ra on_cable <<<"$cable_tests"
		with_harness=yes
		with_install=yes
		[ "${LONG_TESTS-}" != yes ] || with_package=yes
		return 0
	fi
	for name in $TESTS; do
		case $name in
		interop | cable_users)
			on_cable+=("$name")
			;;
		harness | install | package)
			declare -g "with_$name=yes"
			;;
		*)
			chosen+=("$name")
			;;
		esac
	done
}

# The newest first: it has most tests, and two kernels at a time are done soonest so.
default_kernels()
{
	local names=$kernel_names

	[ "${LONG_TESTS-}" != yes ] || names=$long_kernel_names
	# shellcheck disable=SC2086 # words
	printf '%s\n' $names | tac
}

# turns [KERNEL]: the tests in the file turns, all or those of a kernel
turns()
{
	awk -v kernel="${1-}" '!/^#/ && (kernel == "" || $2 == kernel) { print $1 }' \
		"$vm_dir/turns"
}

# A test with a wrong name in turns would run nowhere.
check_turns()
{
	local name kernel

	grep -v '^#' "$vm_dir/turns" | while read -r name kernel; do
		[[ " ${chosen[*]} " == *" $name "* ]] || die "turns: no test $name"
		[[ " $kernel_names " == *" $kernel "* ]] ||
			die "turns: no kernel $kernel"
	done
}

# tests_on KERNEL: those of the chosen tests that are run there, one a line
tests_on()
{
	if [ -n "$take_turns" ]; then
		printf '%s\n' "${chosen[@]}" |
			grep -vxFf <(turns | grep -vxFf <(turns "$1"))
	else
		printf '%s\n' "${chosen[@]}"
	fi
}

# The debug kernel is slow, and slow to build: with DEBUG_WITHIN it is tested only
# if the run is likely to end within so many seconds after its beginning.
# DEBUG_TESTS names its tests, which take DEBUG_NEED seconds.
debug_fits()
{
	local need=${DEBUG_NEED:-14400}

	[ -d "$(built_kernel_dir debug)" ] || need=$((need + 1200))
	if [ $((SECONDS + need)) -le "$DEBUG_WITHIN" ]; then
		say "going on with the debug kernel, likely done in $((need / 60)) min"
		return 0
	fi
	say "leaving the debug kernel out: $((SECONDS / 60)) min gone, it needs $((need / 60)) more of $((DEBUG_WITHIN / 60)); make test-debug runs it"
	return 1
}

# test_on KERNEL TEST...
test_on()
{
	part "$1" test-kernel "$1" "$results" "${@:2}"
}

# The modules of kernels built here are not installed anywhere.
test_install_on()
{
	! is_built "$1" || return 0
	[ -z "$with_install" ] || part "$1" test-install "$1" "$results"
	[ -z "$with_package" ] || part "$1" test-package "$1" "$results"
}

# The peers' kernels are the oldest and the newest. Ours on the newest meets the oldest;
# all of ours meet both, and our own driver, where it may take long.
test_cable_on()
{
	local peer peers=

	! is_built "$1" || return 0
	[ "$1" != newest ] || peers=6.1
	[ "${LONG_TESTS-}" != yes ] || peers="6.1 newest"
	for peer in ${PEERS:-$peers}; do
		part "$1" test-cable "$1" "$peer" intree "$results" "${on_cable[@]}"
	done
	[ "${LONG_TESTS-}" != yes ] ||
		part "$1" test-cable "$1" "$1" ours "$results" cable_users
}

# all_on KERNEL TURN: all that is chosen, on a kernel
all_on()
{
	local names

	test_install_on "$1"
	[ "${#chosen[@]}" -eq 0 ] || {
		mapfile -t names < <(tests_on "$1")
		TURN=${take_turns:+$2} test_on "$1" "${names[@]}"
	}
	[ "${#on_cable[@]}" -eq 0 ] || test_cable_on "$1"
	return 0
}

# 6.12 has had all tests: check the build by another compiler, and data
few_on()
{
	test_install_on "$1"
	test_on "$1" boot rc_data rc_regions module_unload
}

# noted COMMAND KERNEL [ARGUMENT...]: leaves a note that the command has come to its end
noted()
{
	"$@"
	echo "$2" >>"$results.ended"
}

# beside COMMAND KERNEL [ARGUMENT...]: as many of these at a time as AT_ONCE says,
# with the kernel before each line; one at a time: here, and as it is
beside()
{
	if [ "${AT_ONCE:-1}" -eq 1 ]; then
		"$@"
		return
	fi
	while [ "$(jobs -pr | wc -l)" -ge "$AT_ONCE" ]; do
		wait -n || true
	done
	begun+=("$2")
	# Each in a process group of its own, see finish().
	set -m
	noted "$@" 2>&1 </dev/null | sed -u "s/^/$2 | /" &
	set +m
}

# A command that did not come to its end has lost results.
wait_beside()
{
	local kernel

	wait
	for kernel in "${begun[@]}"; do
		grep -qsxF "$kernel" "$results.ended" ||
			account_failure "$kernel" harness \
				"the tests did not come to their end (see above)"
	done
	rm -f "$results.ended"
}

cmd_test()
{
	local kernel turn=0 status=0 begun=()

	choose_tests
	install_host_packages
	need_root_dir
	results=$(mktemp "$cache/results.XXXXXX")
	[ -z "$with_harness" ] || {
		part host test-host "$results"
		part 6.1 test-harness "$results"
	}
	for kernel in ${KERNELS:-$(default_kernels)}; do
		beside all_on "$kernel" "$turn"
		turn=$(((turn + 1) % 3))
	done
	[ -z "$take_turns" ] || beside few_on 6.12-deb13
	wait_beside
	if [ -n "${DEBUG_WITHIN-}" ] && debug_fits; then
		[ -z "${DEBUG_TESTS-}" ] || read -ra chosen <<<"$DEBUG_TESTS"
		test_on debug "${chosen[@]}"
	fi
	say "done after $((SECONDS / 60)) min"
	summary "$results" || status=$?
	rm "$results"
	return "$status"
}
