# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# For the tests that run in a root, install_test.sh and package_test.sh, with the tree in
# $tree and the modules of the kernel RELEASE. They print KTAP; before a test that has
# failed, what the commands said, which is in the file $said.

said=/mnt/build/said

number=0

ok()
{
	number=$((number + 1))
	echo "ok $number $1"
}

not_ok()
{
	number=$((number + 1))
	sed 's/^/# /' "$said"
	echo "# $2"
	echo "not ok $number $1"
}

# check NAME FUNCTION: the function prints its error as the last line
check()
{
	local why

	: >"$said"
	if why=$("$2"); then
		ok "$1"
	else
		not_ok "$1" "${why##*$'\n'}"
	fi
}

# wrong WORD...: print an error, and fail
wrong()
{
	echo "$*"
	return 1
}

# make_tree TARGET [VAR=VALUE]...: make, its output in $said
make_tree()
{
	make --no-print-directory -C "$tree" "$@" >"$said" 2>&1
}

# taken [MODPROBE-OPTION...]: the file that modprobe would load
taken()
{
	modprobe -S "$RELEASE" "$@" --show-depends rdma_rxe |
		sed -n 's,^insmod \(.*/rdma_rxe\.ko[^ ]*\) *$,\1,p'
}

is_own()
{
	[[ $1 == */kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko* ]]
}
