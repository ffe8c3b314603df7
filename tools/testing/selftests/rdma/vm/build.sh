# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Builds the driver and the selftests for one kernel, inside the Debian root,
# in a copy of the tree that only this tree and this kernel use: the tree
# itself stays clean and objects of two kernels never meet.

# What a build needs of the tree.
build_parts=(Makefile drivers include tools)

build_dir()
{
	printf '%s/build/%s/%s\n' "$cache" \
		"$(printf '%s' "$tree" | sha256sum | cut -c 1-12)" "$1"
}

# kernel_headers NAME: sets headers, where the chroot finds that kernel's.
kernel_headers()
{
	if [ "$1" = debug ]; then
		headers=/mnt/debug
		headers_bind=(--bind "$(debug_kernel_dir)/build" /mnt/debug)
	else
		headers=/usr/src/linux-headers-$(kernel_release "$1")
		headers_bind=()
	fi
}

compile()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	in_root "$root" --bind "$tree" /mnt/tree --bind "$1" /mnt/build \
		"${headers_bind[@]}" bash -euc '
		kdir=$1
		modules=$2
		make_args=$3
		shift 3
		cd /mnt/tree
		rsync -a --delete --exclude "*.o" --exclude "*.ko" --exclude "*.mod" \
			--exclude "*.mod.c" --exclude ".*.cmd" --exclude modules.order \
			--exclude Module.symvers "$@" /mnt/build/src/
		cd /mnt/build/src
		for module in $modules; do
			make -j"$(nproc)" -C "$kdir" M="$PWD/$module" W=1 \
				$make_args modules
			cp "$module"/*.ko /mnt/build/out/
		done
		tests=tools/testing/selftests/rdma
		if [ -e $tests/Makefile ]; then
			mkdir -p /mnt/build/obj
			make -j"$(nproc)" -C $tests KDIR="$kdir" \
				KSFT=/usr/src/kselftest/tools/testing/selftests \
				OUTPUT=/mnt/build/obj \
				INSTALL_PATH=/mnt/build/out/tests install
		fi
		install -D -m 755 -t /mnt/build/out/tests $tests/two_hosts.sh
	' compile "$headers" "$modules" "${make_args-}" \
		"${build_parts[@]}"
}

build_locked()
{
	local dir=$1 name=$2 part parts=() modules= module

	mkdir -p "$dir/src"
	rm -rf "$dir/out"
	mkdir -p "$dir/out/tests"
	for part in "${build_parts[@]}"; do
		[ ! -e "$tree/$part" ] || parts+=("$part")
	done
	build_parts=("${parts[@]}")
	[ "${RXE:-ours}" != ours ] || modules=drivers/infiniband/sw/rxe
	for module in $selftests/odp_core; do
		[ ! -e "$tree/$module/Kbuild" ] && [ ! -e "$tree/$module/Makefile" ] ||
			modules+=" $module"
	done
	kernel_headers "$name"
	if ! compile "$dir" >"$dir/log" 2>&1; then
		grep -iE -A 6 'error|warning|\*\*\*' "$dir/log" | head -n 80 >&2
		die "build for $name failed; the whole output is in $dir/log"
	fi
	# Show warnings again next time, when their objects would be up to date.
	if grep -iE -A 6 'warning:' "$dir/log" >&2; then
		rm -rf "$dir/src" "$dir/obj"
		[ -z "${STRICT-}" ] || die "build for $name gave warnings"
	fi
	cp -a "$dir/out/." "$3/"
}

# build_for NAME DEST: build, and put the products into DEST, which no other
# run changes.
build_for()
{
	local dir

	dir=$(build_dir "$1")
	mkdir -p "$dir" "$2"
	say "building for $1 ($(kernel_version "$1"))"
	with_lock "build-$(basename "$(dirname "$dir")")-$1" \
		build_locked "$dir" "$1" "$2"
}
