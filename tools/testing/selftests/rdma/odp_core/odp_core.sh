#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The tests of the ODP core alone, by its test module: ODP_CORE_KO, or where
# make -C module builds it. Needs root.
#
# odp_core.sh [--break RULE] [NAME...]   all tests, or those with these names,
#                                        with one of the core's rules broken
# odp_core.sh --rules                    what can be broken

cd "$(dirname "$0")" || exit 1
: "${ODP_CORE_KO:=module/odp_core_test.ko}"
rule_param=/sys/module/odp_core_test/parameters/break_rule
ksm=$(cat /sys/kernel/mm/ksm/run 2>/dev/null)
zram=
loaded=

bail_out()
{
	echo "Bail out! $1"
	exit 1
}

load()
{
	if [ ! -e "$ODP_CORE_KO" ] || [ "$(id -u)" -ne 0 ]; then
		echo "1..0 # SKIP needs root and $ODP_CORE_KO"
		exit 4
	fi
	insmod "$ODP_CORE_KO" || bail_out "$ODP_CORE_KO does not load"
	loaded=yes
}

# Add swap, if there is none. Tests skip without.
add_swap()
{
	[ "$(wc -l </proc/swaps)" -eq 1 ] || return 0
	modprobe zram num_devices=1 2>/dev/null || return 0
	zram=$(cat /sys/class/zram-control/hot_add) || return 0
	echo 64M >"/sys/block/zram$zram/disksize" &&
		mkswap -q "/dev/zram$zram" && swapon "/dev/zram$zram"
} 2>/dev/null

remove_swap()
{
	[ -n "$zram" ] || return 0
	swapoff "/dev/zram$zram" 2>/dev/null
	echo "$zram" >/sys/class/zram-control/hot_remove
}

# Leave nothing behind, however the script ends.
finish()
{
	local status=$?

	trap - EXIT
	remove_swap
	[ -z "$ksm" ] || [ -z "$loaded" ] || echo "$ksm" >/sys/kernel/mm/ksm/run
	if [ -n "$loaded" ] && ! rmmod odp_core_test; then
		echo "# the module cannot be unloaded"
		status=1
	fi
	exit "$status"
}

trap finish EXIT
trap 'exit 143' INT TERM HUP

load
case ${1-} in
--rules)
	tr -d '[]' <"$rule_param"
	exit
	;;
--break)
	echo "$2" >"$rule_param" || bail_out "no rule $2"
	shift 2
	;;
esac
add_swap
./odp_core_tests "$@"
