#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The kernel's own selftests for rxe, with this driver in the place of the
# kernel's: they load it by its name. RXE_SELFTESTS is their directory, RXE_KO
# the module. Needs root; removes the two hosts of the other tests.

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}"
: "${RXE_SELFTESTS:=$KSFT/rdma}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

log=$(mktemp)

# Have modprobe take our file by the driver's name, by a rule in a file of its own,
# as depmod takes minutes on an emulated processor.
rule=/run/modprobe.d/rxe-under-test.conf
install_driver()
{
	local deps

	[ -n "${RXE_KO-}" ] || return 0
	deps=$(modinfo -F depends "$RXE_KO" | tr , ' ')
	mkdir -p "${rule%/*}" &&
		echo "install rdma_rxe modprobe -a $deps && insmod $RXE_KO" >"$rule"
}

# Check that modprobe takes the module under test, not the kernel's.
is_under_test()
{
	modprobe rdma_rxe && grep -q O /sys/module/rdma_rxe/taint
}

# Lines that fail because of the kernel's core, by number: before 7.3 device names
# are unique over all net namespaces.
core_fails()
{
	case $1 in
	rxe_netns_names.sh)
		[ "$(printf '%s\n' 7.3 "$(uname -r)" | sort -V | head -n 1)" = 7.3 ] ||
			echo "1 2 6"
		;;
	esac
}

fails_as_the_core_does()
{
	local is

	is=$(sed -n 's/^not ok \([0-9]*\).*/\1/p' "$log" | xargs)
	[ -n "$is" ] && [ "$is" = "$(core_fails "$1")" ]
}

run()
{
	local name=${1##*/} status=0

	# The selftests need the driver unloaded at first; they leave it loaded.
	modprobe -r rdma_rxe
	modprobe tun
	timeout $((300 * ${LIMIT_FACTOR:-1})) "$1" >"$log" 2>&1 || status=$?
	sed 's/^/# /' "$log"
	if [ "$status" -eq 0 ]; then
		ktap_test_pass "$name"
	elif [ "$status" -eq 4 ]; then
		ktap_test_skip "$name"
	elif fails_as_the_core_does "$name"; then
		ktap_test_pass "$name, but for lines that need a newer core"
	else
		ktap_test_fail "$name"
	fi
}

ktap_print_header
tests=("$RXE_SELFTESTS"/rxe_*.sh)
if [ ! -e "${tests[0]}" ]; then
	ktap_skip_all "the kernel's selftests for rxe are not there"
	exit 4
fi
../lib/two_hosts.sh down
modprobe -r rdma_rxe
if ! install_driver || ! is_under_test; then
	ktap_skip_all "the driver cannot be installed"
	exit 4
fi
ktap_set_plan "${#tests[@]}"
for test in "${tests[@]}"; do
	run "$test"
done
modprobe rdma_rxe
rm -f "$log" "$rule"
ktap_finished
