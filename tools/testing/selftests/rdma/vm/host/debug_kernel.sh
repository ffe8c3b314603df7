# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The debug kernel, built from Debian's linux-source and cached by what it was
# built from. Its build tree is kept to build the modules against.

debug_source=linux-source-6.12

debug_kernel_dir()
{
	printf '%s/debug-%s\n' "$cache" "$(
		{
			cat "$vm_dir/debug.config" "$vm_dir/debug_kernel.sh"
			in_root "$root" dpkg-query -W "$debug_source" gcc-12
		} | sha256sum | cut -c 1-12
	)"
}

debug_kernel_release()
{
	cat "$(debug_kernel_dir)/release"
}

# The kernel's configuration drops what it cannot have without a word.
check_config()
{
	local missing

	missing=$(grep '^CONFIG_' "$vm_dir/debug.config" |
		grep -vxFf "$1" || true)
	if [ -n "$missing" ]; then
		printf 'options that did not take effect:\n%s\n' "$missing"
		return 1
	fi
}

compile_debug_kernel()
{
	local new=$1

	mkdir -p "$new/build"
	cp "$vm_dir/debug.config" "$new/fragment"
	echo "unpacking the source"
	in_root "$root" --bind "$new" /mnt/new tar -C /mnt/new/build \
		--strip-components=1 -xJf "/usr/src/$debug_source.tar.xz"
	in_root "$root" --bind "$new/build" /mnt/debug --bind "$new" /mnt/new \
		make -C /mnt/debug KCONFIG_ALLCONFIG=/mnt/new/fragment allnoconfig
	check_config "$new/build/.config"
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

make_debug_kernel()
{
	local dir=$1 new=$cache/debug-new

	[ ! -d "$dir" ] || return 0
	rm -rf "$new"
	mkdir -p "$new" "$cache/logs"
	say "building the debug kernel in $dir (once; ten minutes and more)"
	progress "$cache/logs/debug-kernel.log" compile_debug_kernel "$new"
	mv "$new" "$dir"
}

need_debug_kernel()
{
	local dir

	dir=$(debug_kernel_dir)
	[ -d "$dir" ] || with_lock debug make_debug_kernel "$dir"
}
