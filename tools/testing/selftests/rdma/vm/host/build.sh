# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Builds the driver and the selftests for one kernel, inside the Debian root,
# in a copy of the tree that only this tree and this kernel use: the tree
# itself stays clean and objects of two kernels never meet.

build_dir()
{
	printf '%s/build/%s/%s\n' "$cache" \
		"$(printf '%s' "$tree" | sha256sum | cut -c 1-12)" "$1"
}

# kernel_headers NAME DIR: sets headers, the kernel's headers in the chroot;
# modules_in, the root inside it in which modules are built; and binds, the bind
# mounts that this takes. DIR is the build directory.
kernel_headers()
{
	modules_in=/
	binds=()
	if is_built "$1"; then
		headers=/mnt/debug
		binds=(--bind "$(built_kernel_dir "$1")/build" /mnt/debug)
		return
	fi
	case $1 in
	newest | 6.12-deb13)
		modules_in=$newest_kernel_root
		binds=(--bind "$2" "$modules_in/mnt/build"
			--bind /proc "$modules_in/proc")
		;;
	esac
	headers=/usr/src/linux-headers-$(kernel_release "$1")
}

# With without_broken the driver's test build is left out: it is the whole driver once
# more, for broken.sh only.
compile()
{
	local driver='' test_modules='' module

	[ "${RXE:-ours}" != ours ] || driver=drivers/infiniband/sw/rxe
	for module in odp_core/module verbs/fast_reg bench/rxe_limit; do
		[ ! -e "$tree/$selftests/$module/Kbuild" ] ||
			test_modules+=" $selftests/$module"
	done
	in_root "$root" --bind "$tree" /mnt/tree --bind "$1" /mnt/build \
		"${binds[@]}" env KDIR="$headers" MODULES_IN="$modules_in" \
		DRIVER="$driver" TEST_MODULES="$test_modules" \
		MAKE_ARGS="${make_args-}" \
		STRICT="${STRICT-}" WITHOUT_BROKEN="${without_broken-}" \
		bash "/mnt/tree/$selftests/vm/host/compile.sh"
}

# build_locked DIR NAME DEST
build_locked()
{
	local dir=$1 log=$1/log

	rm -rf "$dir/out"
	kernel_headers "$2" "$dir"
	if ! compile "$dir" >"$log" 2>&1; then
		grep -iE -A 6 'error|warning|\*\*\*' "$log" | head -n 80 >&2
		die "build for $2 failed; the whole output is in $log"
	fi
	if grep '^@@ does not build' "$log" >&2; then
		say "the guest will lack that; why is in $log"
	fi
	# Show warnings again next time, when their objects would be up to date.
	if grep -iE -A 6 'warning:' "$log" >&2; then
		rm -rf "$dir/src" "$dir/obj"
		[ -z "${STRICT-}" ] || die "build for $2 gave warnings"
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
