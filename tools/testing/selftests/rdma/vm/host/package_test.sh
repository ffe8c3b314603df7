#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Test make deb and the package, in a system of which everything may be changed, with
# DKMS, lintian, and the kernel RELEASE and its headers. Prints KTAP. See package.sh.

# It takes no arguments, taken() does.
# shellcheck disable=SC2119

set -u

tree="/mnt/build/a tree"
modules=/lib/modules/$RELEASE
dkms=$modules/updates/dkms
link=/usr/libexec/rxe-odp/rxe-link
unit_links=/etc/systemd/system/sys-subsystem-net-devices-eth0.device.wants
# kernels that are not there: without RDMA, and the newest of all, without headers
unfit=6.1.0-1-cloud-amd64
newest=99.0.0-amd64
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/root_lib.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/package_link.sh"

# Paths of all files; those of dpkg, DKMS and depmod that any package changes left out.
all_files()
{
	find / -xdev \( -path /mnt -o -path /tmp -o -path /run -o -path /var/log \
		-o -path /var/cache -o -path /var/lib/dpkg -o -path '/var/lib/dkms/mok.*' \) \
		-prune -o -print |
		grep -vx '.*/modules\.\(dep\|alias\|symbols\|devname\|softdep\|weakdep\|builtin\)[.a-z]*' |
		sort
}

# The kernel's own modules, with size and time
own_modules()
{
	find "$modules/" -name '*.ko*' -printf '%P %s %T@\n' | sort
}

is_ours()
{
	[[ $1 == "$dkms"/rdma_rxe.ko* ]]
}

version_of_tree()
{
	sed -n 's/^#define RXE_VERSION "\(.*\)"$/\1/p' \
		"$tree/drivers/infiniband/sw/rxe/version.h"
}

# has_version VERSION: the module that modprobe takes
has_version()
{
	local version

	is_ours "$(taken)" || wrong "modprobe takes $(taken)" || return
	version=$(modinfo -k "$RELEASE" -F version rdma_rxe)
	[ "$version" = "$1" ] || wrong "modinfo says ${version:-nothing}, not $1"
}

says()
{
	[ "$(grep -cF -- "$1" "$said")" = 1 ] || wrong "it does not say once: $1"
}

is_configured()
{
	[ "$(dpkg-query -W -f '${db:Status-Abbrev}' rxe-odp-dkms)" = "ii " ] ||
		wrong "the package is not configured"
}

# leave_one_kernel: RELEASE, and kernels as the tests need them
leave_one_kernel()
{
	local dir

	for dir in /usr/lib/modules/*; do
		[ "${dir##*/}" = "$RELEASE" ] || rm -rf "$dir"
	done
	rm -f /boot/config-*
	mkdir -p "/lib/modules/$unfit/build/include/config" "/lib/modules/$newest"
	touch "/boot/config-$RELEASE" "/boot/config-$newest"
	grep -v '^CONFIG_INFINIBAND=' "$modules/build/.config" \
		>"/lib/modules/$unfit/build/.config"
	touch "/lib/modules/$unfit/modules.order" "/lib/modules/$newest/modules.order"
}

# make_deb DIR: make deb, and move what it has made there
make_deb()
{
	make_tree deb || wrong "exit status $?" || return
	rm -rf "$1"
	mv "$tree/build" "$1"
}

old=/mnt/build/old
new=/mnt/build/new

# The module of the old package does nothing, and is built at once.
makes_old()
{
	local driver="$tree/drivers/infiniband/sw/rxe"

	mv "$driver" "$driver.away"
	mkdir "$driver"
	echo '#define RXE_VERSION "0.0.1"' >"$driver/version.h"
	echo 'obj-m := rdma_rxe.o' >"$driver/Kbuild"
	cat >"$driver/rdma_rxe.c" <<-'SOURCE'
		#include <linux/module.h>
		#include "version.h"
		MODULE_DESCRIPTION("for a test");
		MODULE_LICENSE("GPL");
		MODULE_VERSION(RXE_VERSION);
	SOURCE
	make_deb "$old"
	rm -r "$driver"
	mv "$driver.away" "$driver"
	[ -e "$old/rxe-odp-dkms_0.0.1_all.deb" ] || wrong "there is no package"
}

makes_new()
{
	local version

	version=$(version_of_tree)
	make_deb "$new" || return
	[ "$(echo "$new"/*.deb "$new"/*.dsc)" = \
		"$new/rxe-odp-dkms_${version}_all.deb $new/rxe-odp_$version.dsc" ] ||
		wrong "there is $(ls "$new")" || return
	[ "$(dpkg-deb -f "$new"/*.deb Version)" = "$version" ] || wrong "another version"
}

# of the binary and the source package, which the .changes file names
is_clean()
{
	(cd "$new" && lintian --tag-display-limit 0 ./*.changes) >"$said" 2>&1 ||
		wrong "lintian's exit status is $?" || return
	! grep '^[EW]:' "$said" || wrong "lintian complains"
}

# Debian's tools make the same from the source package alone.
source_is_whole()
{
	local built=/mnt/build/from_source

	mkdir -p "$built"
	(
		cd "$built" &&
			dpkg-source -x "$new"/*.dsc source &&
			cd source && dpkg-buildpackage -d -us -uc -b
	) >"$said" 2>&1 || wrong "exit status $?" || return
	cmp "$new"/*.deb "$built"/*.deb || wrong "it is not the same package"
}

needs_tools()
{
	local file status

	file=$(command -v dh_dkms)
	mount --bind /dev/null "$file"
	make_tree deb
	status=$?
	umount "$file"
	[ "$status" != 0 ] || wrong "it did not fail" || return
	says "error: dh_dkms not found (Debian: package dh-dkms); nothing was made" || return
	[ ! -e "$tree/build" ] || wrong "there is build/"
}

# The first installation, the kernel's headers come later.
installs_without_headers()
{
	local status

	mv "$modules/build" "$modules/build.away"
	dpkg -i "$old"/*.deb >"$said" 2>&1
	status=$?
	mv "$modules/build.away" "$modules/build"
	[ "$status" = 0 ] || wrong "exit status $status" || return
	is_configured || return
	is_own "$(taken)" || wrong "modprobe takes $(taken)" || return
	says "rxe-odp-dkms: not built for $RELEASE, whose headers are not installed"
}

passes_by()
{
	says "rxe-odp-dkms: not built for $unfit, which is too old or has no RDMA" || return
	! dkms build -m rxe-odp -v "$1" -k "$unfit" >"$said" 2>&1 ||
		wrong "it was built for $unfit" || return
	! dkms status -m rxe-odp -k "$unfit" | grep "$unfit" || wrong "DKMS has it for $unfit"
}

unfit_kernel_is_passed_by()
{
	cp /mnt/build/first_said "$said"
	passes_by 0.0.1
}

hook_builds()
{
	/etc/kernel/postinst.d/dkms "$RELEASE" "/boot/vmlinuz-$RELEASE" >"$said" 2>&1 ||
		wrong "exit status $?" || return
	has_version 0.0.1
}

# The kernel is neither the running one nor the newest: Debian 12's DKMS leaves it to the
# package.
upgrades()
{
	mkdir -p /mnt/build/uname
	cat >/mnt/build/uname/uname <<-STUB
		#!/bin/sh
		[ "\$*" = -r ] && echo $newest || exec /usr/bin/uname "\$@"
	STUB
	chmod +x /mnt/build/uname/uname
	PATH=/mnt/build/uname:$PATH dpkg -i "$new"/*.deb >"$said" 2>&1 ||
		wrong "exit status $?" || return
	is_configured || return
	has_version "$(version_of_tree)" || return
	! dkms status | grep -F 0.0.1 || wrong "DKMS has the old version still"
}

names_kernels_without_headers()
{
	cp /mnt/build/upgrade_said "$said"
	says "rxe-odp-dkms: not built for $newest, whose headers are not installed"
}

# A module of make install has the same priority without depmod.d's line, and
# the order in which depmod finds the two decides.
goes_before_installed()
{
	local file=$modules/updates/$own_name

	mkdir -p "$modules/updates"
	cp "/mnt/build/$own_name" "$file"
	dpkg -i "$old"/*.deb >"$said" 2>&1 || wrong "exit status $?" || return
	says "rxe-odp-dkms: warning: $file is there, by make install" || return
	has_version 0.0.1 || return
	mv "$dkms" "$modules/dkms.away"
	rm -rf "$modules/updates"
	mkdir "$modules/updates"
	mv "$modules/dkms.away" "$dkms"
	cp "/mnt/build/$own_name" "$file"
	depmod "$RELEASE"
	has_version 0.0.1 || return
	dpkg -r rxe-odp-dkms >"$said" 2>&1 || wrong "exit status $?" || return
	[ "$(taken)" = "$file" ] || wrong "modprobe takes $(taken)" || return
	rm "$file"
	rmdir "$modules/updates"
	depmod "$RELEASE"
}

make_install_refuses()
{
	! make_tree install KDIR="$modules/build" || wrong "it did not fail" || return
	says "error: DKMS has put $(taken) there: remove the package first"
}

is_signed()
{
	local signer

	signer=$(modinfo -k "$RELEASE" -F signer rdma_rxe)
	[[ $signer == *[Dd][Kk][Mm][Ss]* ]] || wrong "signed by ${signer:-nobody}"
}

# compressed as the kernel's own are, and without what a debugger needs
is_small()
{
	local file size

	file=$(taken)
	size=$(stat -c %s "$file")
	[ "${file##*/}" = "$own_name" ] || wrong "$file, not $own_name" || return
	[ "$size" -lt 1000000 ] || wrong "$size bytes"
}

service_verifies()
{
	systemd-analyze verify rxe@eth0.service >"$said" 2>&1 || wrong "exit status $?" ||
		return
	[ ! -s "$said" ] || wrong "it complains"
}

service_is_enabled()
{
	systemctl enable rxe@eth0.service >"$said" 2>&1 || wrong "exit status $?" || return
	[ -L "$unit_links/rxe@eth0.service" ] || wrong "no link in $unit_links"
}

removes()
{
	dpkg -r rxe-odp-dkms >"$said" 2>&1 || wrong "exit status $?" || return
	is_own "$(taken)" || wrong "modprobe takes $(taken)" || return
	[ "$(own_modules)" = "$modules_before" ] || wrong "the modules are not as before"
}

purges()
{
	dpkg -P rxe-odp-dkms >"$said" 2>&1 || wrong "exit status $?" || return
	all_files >/mnt/build/after
	diff /mnt/build/before /mnt/build/after >>"$said" || wrong "something is left, or gone"
}

if ! is_own "$(taken)"; then
	echo "Bail out! modprobe takes $(taken) before anything"
	exit 1
fi
own_name=$(basename "$(taken)")
leave_one_kernel
check "make deb without dh-dkms: one line" needs_tools
check "make deb of another version" makes_old
check "make deb" makes_new
check "lintian finds nothing in the packages" is_clean
check "the source package makes the same package" source_is_whole
depmod "$RELEASE"
all_files >/mnt/build/before
modules_before=$(own_modules)
check "without headers the package says so, and is configured" installs_without_headers
cp "$said" /mnt/build/first_said
check "a kernel without RDMA is passed by" unfit_kernel_is_passed_by
check "the hook of a kernel's package builds the module" hook_builds
check "an upgrade: modprobe takes the new module, on any kernel" upgrades
cp "$said" /mnt/build/upgrade_said
check "an upgrade names a kernel without headers" names_kernels_without_headers
check "make install refuses beside the package" make_install_refuses
check "the module is signed with DKMS's key" is_signed
check "the module is small, and compressed as the kernel's own" is_small
check "systemd-analyze finds nothing in the service" service_verifies
check "systemctl enable ties the service to the netdev" service_is_enabled
test_link
cp "$(taken)" /mnt/build/
check "without the package: modprobe takes the kernel's own" removes
check "the package's module goes before that of make install" goes_before_installed
check "nothing is left of a purged package" purges
echo "1..$number"
