# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What tests have in common that run on two hosts on one Ethernet at once, with
# ROLE (ours or peer), CABLE_ADDR, CABLE_PEER, and rxe0 on eth0. Each host tells
# its own side's results.

: "${ROLE:?}" "${CABLE_ADDR:?}" "${CABLE_PEER:?}"

output=$(mktemp)
trap 'rm -f "$output"' EXIT
count=0
failed=0

# result ok|"not ok" NAME
result()
{
	count=$((count + 1))
	[ "$1" = ok ] || failed=$((failed + 1))
	echo "$1 $count $2"
}

# from_ktap NAME COMMAND...: the results of a KTAP program among ours.
from_ktap()
{
	local name=$1 line

	"${@:2}" >"$output" 2>&1
	while read -r line; do
		case $line in
		"ok "*)
			result ok "$name: ${line#ok * }"
			;;
		"not ok "*)
			result "not ok" "$name: ${line#not ok * }"
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
	[ -z "$line" ] || result "not ok" "$name: a proper end"
}

finished()
{
	echo "1..$count"
	[ "$failed" -eq 0 ]
}
