#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# check_kernel.sh HEADERS: for "make", says in one line why the driver cannot be built
# for a kernel, where the compiler would say it in hundreds. What a kernel needs is in
# dkms.conf, by which DKMS passes over a kernel.

set -eu

kernel_source_dir=$1
kernelver=$(sed -n 's/^#define UTS_RELEASE "\(.*\)".*/\1/p' \
	"$kernel_source_dir/include/generated/utsrelease.h")
config=$kernel_source_dir/include/config/auto.conf

die()
{
	echo "error: kernel $kernelver $*: rxe-odp cannot be built for it" >&2
	exit 1
}

# shellcheck disable=SC2034 # for dkms.conf
dkms_tree=
# shellcheck source-path=SCRIPTDIR source=dkms.conf
. "$(dirname "$0")/dkms.conf"

[[ $kernelver =~ $BUILD_EXCLUSIVE_KERNEL ]] || die "is too old, 6.1 is needed"
grep -qs '^CONFIG_INFINIBAND=[ym]' "$config" ||
	die "has no RDMA (CONFIG_INFINIBAND)"
for name in $BUILD_EXCLUSIVE_CONFIG; do
	grep -q "^$name=[ym]" "$config" || die "is configured without $name"
done
