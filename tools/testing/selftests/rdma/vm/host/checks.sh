# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Check the user's variables before anything is made or started: a wrong value is
# an error at once, which lists the valid ones.

# those of make test-debug, and all: as root.sh and debug_kernel.sh have them
debug_kernel_names="$built_kernel_names rt"
all_kernel_names="$long_kernel_names $debug_kernel_names"

# check_words NAME VALUE...: a list of some of these values
check_words()
{
	local name=$1 word words

	shift
	[ -n "${!name-}" ] || return 0
	read -ra words <<<"${!name//$'\n'/ }"
	[ "${#words[@]}" -gt 0 ] || die "$name is blank; there are: $*"
	for word in "${words[@]}"; do
		[[ " $* " == *" $word "* ]] ||
			die "$name=${!name}: there is no $word; there are: $*"
	done
}

# check_word NAME VALUE...: one of them
check_word()
{
	check_words "$@"
	[[ ${!1-} != *[[:space:]]* ]] ||
		die "$1=${!1}: only one is taken; there are: ${*:2}"
}

# check_number NAME LEAST MOST UNIT
check_number()
{
	[ -n "${!1-}" ] || return 0
	[[ ${!1} =~ ^(0|[1-9][0-9]{0,8})$ ]] && ((${!1} >= $2 && ${!1} <= $3)) ||
		die "$1=${!1}: a number from $2 to $3 is needed${4:+ ($4)}"
}

# The memory of the host in MiB: a guest with more does not start, or brings it down.
host_memory()
{
	awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo
}

check_expression()
{
	local status=0

	grep -E -e "${!1-}" /dev/null 2>/dev/null || status=$?
	[ "$status" -lt 2 ] ||
		die "$1=${!1}: a regular expression is needed, for rows as the report names them"
}

# check_arguments COMMAND
check_arguments()
{
	local name names kernels=$all_kernel_names

	[ "$1" != test-debug ] || kernels=$debug_kernel_names
	check_cache
	# shellcheck disable=SC2086 # lists of words
	{
		check_word KERNEL $kernels
		check_words KERNELS $all_kernel_names
		check_words PEERS $long_kernel_names
	}
	check_word RXE ours intree none
	check_word TOPOLOGY none two_hosts
	# a guest boots with 512, its root in an overlay in memory
	check_number MEM 512 "$(host_memory)" MiB
	check_number CPUS 1 255
	check_number AT_ONCE 1 8
	check_number LIMIT_FACTOR 1 16
	# 1280 is the least MTU of IPv6, which the hosts use
	check_number MTU 1280 65535 bytes
	for name in TIME_LIMIT QUIET_LIMIT BOOT_LIMIT DEBUG_NEED DEBUG_WITHIN; do
		check_number "$name" 1 999999 seconds
	done
	# the storms' own time limit has to outlast it, see limits
	check_number STORM_SECONDS 1 800 seconds
	check_word LONG_TESTS yes
	check_word QUICK 1
	check_number PAIRS 1 1000
	check_expression ROWS
	check_words DRIVERS ours intree
	check_words BOOTS tuned stock peers
	names=$(test_names) || die "no list of tests"
	names=${names//$'\n'/ }
	# shellcheck disable=SC2086 # lists of words
	{
		check_words TESTS harness install package $cable_tests $names
		check_words DEBUG_TESTS $names
	}
}
