# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The test "install": make install and make uninstall, for each kernel, in the root
# that its modules are built in. They write to a copy of that kernel's modules
# directory, over which the root's own kernel/ is mounted: the root stays unchanged.

# new_modules_dir FROM TO: that copy
new_modules_dir()
{
	mkdir -p "$2/kernel"
	find "$1" -mindepth 1 -maxdepth 1 ! -name kernel -exec cp -a -t "$2" {} +
}

# new_install_tree DEST: the files of this tree that it takes, with the new module
new_install_tree()
{
	mkdir -p "$1"
	cp -a "$tree/Makefile" "$tree/drivers" "$tree/packaging" "$1/"
	cp "$share/build/rdma_rxe.ko" "$1/drivers/infiniband/sw/rxe/"
}

# Debian 13's root is just enough to build modules; it lacks xz.
add_xz()
{
	[ "$modules_in" != / ] || return 0
	mkdir "$share/bin"
	cp "$root/usr/bin/xz" "$share/bin/"
	binds+=(--bind "$share/bin" "$modules_in/usr/local/bin")
}

# run_install_test KERNEL: print KTAP
run_install_test()
{
	local release modules

	release=$(kernel_release "$1")
	kernel_headers "$1" "$share"
	modules=$modules_in/usr/lib/modules/$release
	new_modules_dir "$root$modules" "$share/modules"
	new_install_tree "$share/src"
	add_xz
	cp "$vm_dir/install_test.sh" "$vm_dir/root_lib.sh" "$share/"
	in_root "$root" --bind "$vm_dir" /mnt/vm --bind "$share" /mnt/build \
		python3 /mnt/vm/signing_key.py /mnt/build/key.pem /mnt/build/cert.der
	in_root "$root" --bind "$share" /mnt/build "${binds[@]}" \
		--bind "$root$modules/kernel" /mnt/kernel \
		--bind "$share/modules" "$modules" \
		--bind "$root/mnt/kernel" "$modules/kernel" \
		chroot "$modules_in" env KDIR="$headers" RELEASE="$release" \
		PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash /mnt/build/install_test.sh
}

# new_host_test KERNEL NAME: the share of a test without a guest
new_host_test()
{
	mkdir -p "$cache/guests" "$cache/logs"
	share=$(mktemp -d "$cache/guests/$2-$1.XXXXXX")
}

# account_for_host_test KERNEL NAME RESULTS COMMAND...: by the KTAP that it prints
account_for_host_test()
{
	local log=$cache/logs/$2-$1.log status=0 passed failed skipped reasons

	results=$3
	"${@:4}" >"$log" 2>&1 || status=$?
	sed 's/^/    /' "$log"
	read -r passed failed skipped reasons < <(awk -v "status=$status" \
		-f "$vm_dir/../guest/ktap.awk" "$log")
	account "$1" "$2" "$passed" "$failed" "$skipped" "$reasons"
	[ "$failed" -eq 0 ] || say "FAIL $2 on $1: $reasons"
	say "$2 on $1: $passed passed, $failed failed, $skipped skipped"
}

# cmd_test_install KERNEL RESULTS
cmd_test_install()
{
	install_host_packages
	need_root_dir
	new_host_test "$1" install
	STRICT=1 build_for "$1" "$share/build"
	account_for_host_test "$1" install "$2" run_install_test "$1"
}
