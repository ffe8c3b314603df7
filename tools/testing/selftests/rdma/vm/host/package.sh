# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The test "package": make deb, and the package's life with each kernel, in an overlay
# over the root of the Debian that has the kernel: the root stays unchanged. DKMS,
# lintian and the like are in a layer between them, made once: no other test needs them.

package_tools="debhelper dh-dkms dkms dpkg-dev lintian systemd"

package_tools_dir()
{
	printf '%s/package-%s\n' "$cache" \
		"$({ root_hash; echo "$package_tools"; } | sha256sum | cut -c 1-12)"
}

# package_system KERNEL: the system that the kernel is in, as a path in the root
package_system()
{
	case $1 in
	newest | 6.12-deb13)
		echo "$newest_kernel_root"
		;;
	*)
		echo /
		;;
	esac
}

# in_overlay LOWER DIR [--bind FROM TO]... COMMAND...: in_root() over LOWER, a list of
# directories. What is written stays in DIR/upper. All of them are paths in the cache, as
# a colon or a comma in an absolute one would end it.
in_overlay()
{
	local lower=$1 dir=$2

	shift 2
	mkdir -p "$cache/$dir/upper" "$cache/$dir/work" "$cache/$dir/root"
	export -f in_root
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --propagation private bash -euc '
		cd "$1"
		mount -t overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" \
			overlay "$3/root"
		root=$1/$3/root
		shift 3
		in_root "$root" "$@"
	' in_overlay "$cache" "$lower" "$dir" "$@"
}

add_package_tools()
{
	local system

	for system in / "$newest_kernel_root"; do
		# shellcheck disable=SC2086 # a list of words
		in_overlay "${root#"$cache/"}$system" "$1$system" sh -euc '
			apt-get update
			apt-get install -y --no-install-recommends "$@"
			apt-get clean
		' install $package_tools
	done
}

# Build beside and rename: what is there is whole.
make_package_tools()
{
	[ ! -d "$1" ] || return 0
	rm -rf "$cache/package-new"
	mkdir -p "$cache/package-new" "$cache/logs"
	say "installing $package_tools beside the Debian root (once; some minutes)"
	progress "$cache/logs/package-tools.log" add_package_tools package-new
	mv "$cache/package-new" "$1"
}

# A tree as from a tarball, without git, at a path with a blank.
new_package_tree()
{
	mkdir -p "$1"
	(
		cd "$tree"
		tree_files | while IFS= read -r file; do
			[ ! -e "$file" ] || printf '%s\0' "$file"
		done | xargs -0 cp -a --parents -t "$1"
	)
}

# run_package_test KERNEL: print KTAP
run_package_test()
{
	local tools system

	tools=$(package_tools_dir)
	system=$(package_system "$1")
	new_package_tree "$share/a tree"
	cp "$vm_dir"/package_test.sh "$vm_dir"/package_link.sh "$vm_dir"/root_lib.sh "$share/"
	in_overlay "${tools#"$cache/"}${system%/}/upper:${root#"$cache/"}$system" \
		"${share#"$cache/"}/overlay" --bind "$share" /mnt/build \
		env RELEASE="$(kernel_release "$1")" bash /mnt/build/package_test.sh
}

# cmd_test_package KERNEL RESULTS
cmd_test_package()
{
	local tools

	install_host_packages
	need_root_dir
	tools=$(package_tools_dir)
	[ -d "$tools" ] || with_lock package make_package_tools "$tools"
	new_host_test "$1" package
	account_for_host_test "$1" package "$2" run_package_test "$1"
}
