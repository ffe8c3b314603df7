# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Shared by tests that run on two hosts on one Ethernet at once, with ROLE (ours or
# peer), CABLE_ADDR, CABLE_PEER, and rxe0 on eth0. Each host prints the results of
# its own side.

: "${KSFT:=$(realpath ../..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"
: "${ROLE:?}" "${CABLE_ADDR:?}" "${CABLE_PEER:?}"

output=$(mktemp)
trap 'rm -f "$output"' EXIT
ktap_print_header

# from_ktap NAME COMMAND...: the results of a KTAP program among ours.
from_ktap()
{
	local name=$1 line

	"${@:2}" >"$output" 2>&1
	while read -r line; do
		case $line in
		"ok "*)
			ktap_test_pass "$name: ${line#ok * }"
			;;
		"not ok "*)
			ktap_test_fail "$name: ${line#not ok * }"
			;;
		"# Totals"*)
			line=
			break
			;;
		*)
			echo "# $line"
			;;
		esac
	done <"$output"
	[ -z "$line" ] || ktap_test_fail "$name: the program ends with its totals"
}

# The number of results depends on the other host, too: the plan comes last.
finished()
{
	ktap_set_plan $((KTAP_TESTNO - 1))
	ktap_finished
}
