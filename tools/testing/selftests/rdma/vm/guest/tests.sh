#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In the guest: run the tests named in /share/tests one by one, each on freshly
# made hosts.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/check.sh"

# The log has to name this driver's version: the kernel's own has none.
check_says_which()
{
	local version

	[ "${RXE:-ours}" = ours ] || return 0
	version=$(cat /sys/module/rdma_rxe/version)
	log_since boot | grep -qF "rdma_rxe: rxe-odp ${version:-none}, " || {
		failed=$((failed + 1))
		reasons+="${reasons:+; }the log does not say which driver was loaded"
	}
}

# Test "boot": the driver is loaded; the log has to be clean.
run_boot()
{
	local passed=1 failed=0 reasons=

	check_log boot
	check_says_which
	[ "$failed" -eq 0 ] || passed=0
	verdict boot "$passed" "$failed" 0 "$SECONDS" "$reasons"
}

# Test "module_unload", the last one: the driver unloads, with a clean log.
run_unload()
{
	cat >/tmp/module_unload <<-TEST
		#!/bin/bash
		echo "1..1"
		two_hosts.sh down && rmmod rdma_rxe && [ ! -e /sys/module/rdma_rxe ] ||
			printf 'not '
		echo "ok 1 module_unload"
	TEST
	chmod +x /tmp/module_unload
	run_one module_unload /tmp/module_unload
}

while read -r name <&3; do
	case $name in
	boot)
		run_boot
		;;
	module_unload)
		run_unload
		;;
	*)
		run_one "$name" "$(program_of "$name")"
		;;
	esac
done 3</share/tests
