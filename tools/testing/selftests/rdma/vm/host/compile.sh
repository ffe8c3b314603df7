#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In the Debian root: take the tree from /mnt/tree to /mnt/build/src, build it
# there against the kernel headers KDIR, put the products into /mnt/build/out.
# DRIVER and TEST_MODULES are directories of modules, MAKE_ARGS goes to kbuild,
# which runs in the root MODULES_IN.

set -eu

export KSFT=/usr/src/kselftest/tools/testing/selftests KDIR
jobs=$(nproc)
tests=tools/testing/selftests/rdma
out=/mnt/build/out

cd /mnt/tree
mkdir -p /mnt/build/src /mnt/build/obj $out/tests
parts=()
for part in Makefile drivers include tools; do
	[ ! -e $part ] || parts+=("$part")
done
# Do not copy objects, which were built for some other kernel, and do not delete
# those of earlier builds here, which save time. What has changed is as new as its copy: a
# file that was edited while its last object was being built is older than that.
rsync -a --no-times --checksum --delete --exclude '*.o' --exclude '*.ko' --exclude '*.mod' \
	--exclude '*.mod.c' --exclude '.*.cmd' --exclude modules.order \
	--exclude Module.symvers "${parts[@]}" /mnt/build/src/

# build_module DIR [DEST]: into DEST of what comes out
build_module()
{
	# shellcheck disable=SC2086 # a list of words
	chroot "$MODULES_IN" make -j"$jobs" -C "$KDIR" M="$PWD/$1" W=1 \
		$MAKE_ARGS modules &&
		install -m 644 -D -t "$out/${2-}" "$1"/*.ko
}

build_tests()
{
	make -j"$jobs" -C $tests OUTPUT=/mnt/build/obj \
		INSTALL_PATH=$out/tests install
}

# may_fail WHAT COMMAND...: without STRICT a guest may boot without WHAT.
may_fail()
{
	"${@:2}" && return 0
	[ -z "$STRICT" ] || exit 1
	echo "@@ does not build: $1"
}

cd /mnt/build/src
if [ -n "$DRIVER" ]; then
	build_module "$DRIVER"
	[ -n "$WITHOUT_BROKEN" ] || [ ! -e $tests/rules/module/Kbuild ] ||
		may_fail $tests/rules/module \
			build_module $tests/rules/module broken
fi
for module in $TEST_MODULES; do
	may_fail "$module" build_module "$module"
done
[ ! -e $tests/Makefile ] || may_fail $tests build_tests
# files that "make run" needs even if the tests do not build
install -m 755 -D -t $out/tests/lib $tests/lib/{two_hosts,perftest_lib}.sh
