# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The kernels with checks, built from Debian's linux-source and cached by what they
# were built from. Their build trees are kept to build the modules against.

debug_source=linux-source-6.12

# Each has its checks in NAME.config, beside guest.config.
built_kernel_names="debug kcsan"

# is_built NAME: whether that kernel is one of these
is_built()
{
	[[ " $built_kernel_names " == *" $1 "* ]]
}

# built_config NAME: its configuration, but for what that selects
built_config()
{
	cat "$vm_dir/guest.config" "$vm_dir/$1.config"
}

# built_kernel_dir NAME
built_kernel_dir()
{
	printf '%s/%s-%s\n' "$cache" "$1" "$(
		{
			built_config "$1"
			cat "$vm_dir/debug_kernel.sh"
			in_root "$root" dpkg-query -W "$debug_source" gcc-12
		} | sha256sum | cut -c 1-12
	)"
}

# built_kernel_release NAME
built_kernel_release()
{
	cat "$(built_kernel_dir "$1")/release"
}

# check_config FRAGMENT CONFIG: a configuration drops what it cannot have without a word.
check_config()
{
	local missing

	missing=$(grep '^CONFIG_' "$1" | grep -vxFf "$2" || true)
	if [ -n "$missing" ]; then
		printf 'options that did not take effect:\n%s\n' "$missing"
		return 1
	fi
}

# compile_kernel NAME DIR
compile_kernel()
{
	local new=$2

	mkdir -p "$new/build"
	built_config "$1" >"$new/fragment"
	echo "unpacking the source"
	in_root "$root" --bind "$new" /mnt/new tar -C /mnt/new/build \
		--strip-components=1 -xJf "/usr/src/$debug_source.tar.xz"
	in_root "$root" --bind "$new/build" /mnt/debug --bind "$new" /mnt/new \
		make -C /mnt/debug KCONFIG_ALLCONFIG=/mnt/new/fragment allnoconfig
	check_config "$new/fragment" "$new/build/.config"
	in_root "$root" --bind "$new/build" /mnt/debug bash -euc '
		cd /mnt/debug
		nice make -j"$(nproc)" bzImage modules
		make -s kernelrelease >release
		make modules_install INSTALL_MOD_PATH=/mnt/debug/staging
		find . -name "*.o" -not -path "./scripts/*" -not -path "./tools/*" \
			-delete
		rm -f vmlinux vmlinux.unstripped .tmp_vmlinux*
	'
	mv "$new/build/release" "$new/release"
	cp "$new/build/arch/x86/boot/bzImage" "$new/vmlinuz"
	mv "$new/build/staging/lib/modules/$(cat "$new/release")" "$new/modules"
	rm -f "$new/modules/build" "$new/modules/source"
}

# make_kernel NAME DIR
make_kernel()
{
	local new=$cache/$1-new

	[ ! -d "$2" ] || return 0
	rm -rf "$new"
	mkdir -p "$new" "$cache/logs"
	say "building the $1 kernel in $2 (once; ten minutes and more)"
	progress "$cache/logs/$1-kernel.log" compile_kernel "$1" "$new"
	mv "$new" "$2"
}

# need_built_kernel NAME
need_built_kernel()
{
	local dir

	dir=$(built_kernel_dir "$1")
	[ -d "$dir" ] || with_lock "$1" make_kernel "$1" "$dir"
}
