# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The Debian 12 root: everything that Debian provides (user land, compiler,
# kernels with their modules and headers) in one cached directory. Modules and
# tests are built in it and guests boot from it, so the host needs little. In it
# are what newer Debians have: rdma-core, and a kernel with its compiler.

suite=bookworm

# Kernels by the name that make's KERNELS= takes, and Debian's meta packages
# which say what the newest of that series is called. "newest" is Debian 13's
# backport, whose modules Debian 12's compiler cannot build; nor those of Debian
# 13's own, "6.12-deb13", which is the same 6.12 from another compiler, and is
# tested with LONG_TESTS. "rt" is the PREEMPT_RT kernel that a user of Debian 12 gets
# who does not ask for a version, of 6.1; it is tested where it is named.
kernel_names="6.1 6.12 newest"
long_kernel_names="$kernel_names 6.12-deb13"
declare -A kernel_meta=([6.1]=amd64 [6.12]=6.12-amd64 [rt]=rt-amd64)

root_hash()
{
	cat "$vm_dir/packages" "$vm_dir/root.sh" | sha256sum | cut -c 1-12
}

root_dir()
{
	printf '%s/root-%s\n' "$cache" "$(root_hash)"
}

# Programs the host itself must have; all else is inside the root.
install_host_packages()
{
	local need=()

	command -v debootstrap >/dev/null || need+=(debootstrap)
	command -v qemu-system-x86_64 >/dev/null || need+=(qemu-system-x86)
	command -v flock >/dev/null || need+=(util-linux)
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		need+=(debian-archive-keyring)
	[ "${#need[@]}" -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		die "this host lacks ${need[*]}, and has no apt-get to install them"
	say "installing on this host: ${need[*]}"
	mkdir -p "$cache/logs"
	progress "$cache/logs/apt-update.log" apt-get update
	DEBIAN_FRONTEND=noninteractive progress "$cache/logs/apt-install.log" \
		apt-get install -y --no-install-recommends "${need[@]}"
}

# The mirror this host is set up with, by the label in its Release file.
host_mirror()
{
	command -v apt-get >/dev/null || return 0
	# shellcheck disable=SC2016 # apt's own format
	apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s,^$1 \(http[^ ]*[^/]\)/*\$,\1,p" | head -n 1
}

write_apt_config()
{
	local root=$1 mirror security

	mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
	security=$(host_mirror Debian-Security)
	: "${security:=${mirror%/}-security}"
	cat >"$root/etc/apt/sources.list" <<-LIST
		deb $mirror $suite main
		deb $mirror $suite-updates main
		deb $security $suite-security main
	LIST
	{
		apt-config dump |
			grep -E '^Acquire::(https?::.*proxy|Check-)' -i || true
		echo 'Acquire::Languages "none";'
	} >"$root/etc/apt/apt.conf.d/90harness"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
}

# The kernel that a meta package stands for, e.g. 6.1.0-56-amd64.
meta_release()
{
	# shellcheck disable=SC2016 # dpkg-query's own format
	in_root "$1" dpkg-query -W -f '${Depends}\n' \
		"linux-image-${kernel_meta[$2]}" |
		sed -n 's/^linux-image-\([^ ,]*\).*/\1/p' | grep .
}

# add_rxe_selftests ROOT VERSION: the kernel's own, which test the driver that
# takes the place of the kernel's.
add_rxe_selftests()
{
	local source=linux-source-${2%.*}

	in_root "$1$newest_kernel_root" sh -euc '
		cd /tmp
		apt-get download "$1"
	' download "$source"
	in_root "$1" sh -euc '
		cd "$1"
		mkdir selftests
		dpkg-deb --fsys-tarfile "tmp/$2"_*.deb |
			tar -xO "./usr/src/$2.tar.xz" |
			tar -C selftests --strip-components=4 -xJ --wildcards \
				"$2/tools/testing/selftests/rdma/*" \
				"$2/tools/testing/selftests/kselftest/*"
		rm "tmp/$2"_*.deb
	' unpack "$newest_kernel_root" "$source"
}

# The kernels of Debian 13, in a root of its own that is just enough to build
# modules; perl is what warnings about kernel-doc take.
newest_kernel_suite=trixie
newest_kernel_root=/opt/newest-kernel

# add_kernel_of_13 ROOT NAME RELEASE: guests find it where they look for others
add_kernel_of_13()
{
	echo "$3" >"$1/etc/kernels/$2"
	ln -s "../../..$newest_kernel_root/usr/lib/modules/$3" \
		"$1/usr/lib/modules/"
	ln -s "..$newest_kernel_root/boot/vmlinuz-$3" "$1/boot/"
}

add_kernels_of_13()
{
	local root=$1 new=$1$newest_kernel_root mirror=$2 own newest

	: "${mirror:=http://deb.debian.org/debian}"
	debootstrap --variant=minbase --include=gcc,make,kmod,perl \
		"$newest_kernel_suite" "$new" "$mirror"
	cp "$root/etc/apt/apt.conf.d/90harness" "$new/etc/apt/apt.conf.d/"
	echo "deb $mirror $newest_kernel_suite-backports main" \
		>>"$new/etc/apt/sources.list"
	in_root "$new" env INITRD=No sh -euc '
		apt-get update
		apt-get install -y --no-install-recommends \
			linux-image-amd64 linux-headers-amd64
		ls /usr/lib/modules >/own-kernel
		apt-get install -y --no-install-recommends \
			-t "$1-backports" linux-image-amd64 linux-headers-amd64
		ls /usr/lib/modules | grep -vxFf /own-kernel >/newest-kernel
		apt-get clean
	' install "$newest_kernel_suite"
	own=$(cat "$new/own-kernel")
	newest=$(cat "$new/newest-kernel")
	add_kernel_of_13 "$root" 6.12-deb13 "$own"
	add_kernel_of_13 "$root" newest "$newest"
	add_rxe_selftests "$root" "${newest%%+*}"
}

# The kernel's own selftest helpers, checkpatch and coccicheck are taken
# from Debian's source package, not copied into this tree.
add_source_tools()
{
	local root=$1

	in_root "$root" bash -euc '
		mkdir -p /usr/src/kselftest
		tar -C /usr/src/kselftest --strip-components=1 \
			-xJf /usr/src/linux-source-6.12.tar.xz \
			--wildcards --no-wildcards-match-slash \
			linux-source-6.12/tools/scripts \
			"linux-source-6.12/tools/testing/selftests/*.*" \
			"linux-source-6.12/tools/testing/selftests/kselftest/*" \
			linux-source-6.12/scripts/checkpatch.pl \
			linux-source-6.12/scripts/coccicheck \
			linux-source-6.12/scripts/coccinelle \
			linux-source-6.12/scripts/const_structs.checkpatch \
			linux-source-6.12/scripts/spelling.txt
	'
}

# A newer rdma-core than Debian 12's, for its python tests and its provider, which
# knows more of what the driver can do. Debian 12's debootstrap does not know the
# suite by its name.
newest_suite=forky
newest_root=/opt/rdma-core

add_newest_rdma_core()
{
	local new=$1$newest_root mirror=$2

	debootstrap --variant=minbase \
		--include=ibverbs-providers,iproute2,python3-pyverbs,rdma-core \
		"$newest_suite" "$new" \
		"${mirror:-http://deb.debian.org/debian}" sid
	cp -r "$new/usr/share/doc/rdma-core/tests" "$new/"
	gunzip "$new/tests/"*.gz
	rm -rf "$new/var/cache/apt/archives/"*.deb
}

build_root()
{
	local root=$1 mirror packages name

	mirror=$(host_mirror Debian)
	debootstrap --variant=minbase "$suite" "$root" ${mirror:+"$mirror"}
	write_apt_config "$root"
	in_root "$root" apt-get update
	packages=$(grep -v '^#' "$vm_dir/packages")
	for name in "${!kernel_meta[@]}"; do
		packages+=" linux-image-${kernel_meta[$name]}"
		packages+=" linux-headers-${kernel_meta[$name]}"
	done
	# Guests boot from an initramfs of the harness's own: no other is made.
	# shellcheck disable=SC2086 # a list of words
	in_root "$root" env INITRD=No apt-get install -y \
		--no-install-recommends $packages linux-source-6.12
	mkdir "$root/etc/kernels"
	for name in "${!kernel_meta[@]}"; do
		meta_release "$root" "$name" >"$root/etc/kernels/$name"
	done
	add_source_tools "$root"
	in_root "$root" apt-get clean
	add_newest_rdma_core "$root" "$mirror"
	add_kernels_of_13 "$root" "$mirror"
}

# Build beside and rename: a root that is there is whole.
make_root()
{
	local root=$1 new

	[ ! -d "$root" ] || return 0
	new=$cache/root-new
	rm -rf "$new"
	mkdir -p "$new" "$cache/logs"
	say "making the Debian 12 root in $root (once; some minutes)"
	progress "$cache/logs/root.log" build_root "$new"
	mv "$new" "$root"
}

need_root_dir()
{
	root=$(root_dir)
	[ -d "$root" ] || with_lock root make_root "$root"
}

# kernel_version NAME: the release, for people; kernels built here know their own.
kernel_version()
{
	if is_built "$1"; then
		built_kernel_release "$1"
	else
		kernel_release "$1"
	fi
}

# kernel_release NAME: what uname -r says in a guest of that name.
kernel_release()
{
	cat "$root/etc/kernels/$1" 2>/dev/null || die "no kernel named $1"
}
