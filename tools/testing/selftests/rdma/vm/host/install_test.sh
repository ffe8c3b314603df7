#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Test make install and make uninstall, in a root with the headers KDIR and the
# modules of the kernel RELEASE. Prints KTAP. See install.sh.

set -u

tree=/mnt/build/src
modules=/lib/modules/$RELEASE
updates=$modules/updates
nothing=/mnt/build/nothing
export KDIR
: >"$nothing"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/root_lib.sh"

# listing [all]: the files of the modules directory, to see that none was added or
# changed; depmod's own files are new each time.
listing()
{
	find "$modules" -path "$modules/kernel" -prune -o -type f \
		-not -name 'modules.*' -printf '%P %s %T@\n' | sort
	[ "${1-}" != all ] ||
		find "$modules" -maxdepth 1 -name 'modules.*' -printf '%P %s %T@\n' |
		sort
}

# fails_with WORDS TARGET [VAR=VALUE]...: make fails with a one-line message (and
# make's own line), and has changed no file
fails_with()
{
	local words=$1 before

	shift
	before=$(listing all)
	! make_tree "$@" || wrong "it did not fail" || return
	grep -qF -- "$words" "$said" || wrong "it does not say: $words" || return
	[ "$(grep -cv "^make: \*\*\* \[Makefile:[0-9]*: [a-z]*\] Error 1" "$said")" = 1 ] ||
		wrong "it says more than a line" || return
	[ "$(listing all)" = "$before" ] || wrong "it has changed the modules directory"
}

installs()
{
	make_tree install || wrong "exit status $?" || return
	! grep -iE 'ssl|error|warning|signing_key' "$said" ||
		wrong "that alarms" || return
	[[ $(taken) == "$updates"/rdma_rxe.ko* ]] ||
		wrong "modprobe takes $(taken)"
}

# as the kernel's own modules are
compressed_alike()
{
	local own

	own=$(echo "$modules"/kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko*)
	[ "$(ls "$updates")" = "${own##*/}" ] ||
		wrong "there is $(ls "$updates"), the kernel's own is ${own##*/}"
}

is_small()
{
	local size

	size=$(stat -c %s "$updates"/rdma_rxe.ko*) || return
	[ "$size" -lt 1000000 ] || wrong "$size bytes"
}

has_version()
{
	local version want

	want=$(sed -n 's/^#define RXE_VERSION "\(.*\)"$/\1/p' \
		"$tree/drivers/infiniband/sw/rxe/version.h")
	version=$(modinfo -k "$RELEASE" -F version rdma_rxe)
	[ "${version:-none}" = "$want" ] ||
		wrong "modinfo says ${version:-nothing}, version.h ${want:-nothing}"
}

# Files as an installation with another compression leaves them.
replaces_others()
{
	local file=$updates/rdma_rxe.ko

	touch "$file" "$file.gz" "$file.zst" "$file.xz"
	make_tree install || wrong "exit status $?" || return
	compressed_alike || return
	[[ $(taken) == "$updates"/rdma_rxe.ko* ]] || wrong "modprobe takes $(taken)"
}

uninstalls()
{
	local file=$updates/rdma_rxe.ko

	touch "$file" "$file.gz" "$file.zst" "$file.xz"
	make_tree uninstall || wrong "exit status $?" || return
	is_own "$(taken)" || wrong "modprobe takes $(taken)" || return
	[ "$(listing)" = "$first" ] || wrong "something is left: $(listing)"
}

# without headers, as when they were removed before
uninstalls_without_headers()
{
	KDIR=/mnt/build/gone/$RELEASE/build make_tree uninstall ||
		wrong "exit status $?" || return
	is_own "$(taken)" || wrong "modprobe takes $(taken)"
}

# A tree with the kernel's rdma_rxe, and all that it depends on.
path="/mnt/build/a tree"

new_tree()
{
	mkdir -p "$path$modules"
	cp "$modules"/modules.{builtin,builtin.modinfo,order} "$path$modules/"
	modprobe -S "$RELEASE" --show-depends rdma_rxe |
		sed -n 's/^insmod \([^ ]*\).*/\1/p' |
		xargs cp --parents -t "$path"
}

installs_elsewhere()
{
	local before

	before=$(listing all)
	make_tree install INSTALL_MOD_PATH="$path" || wrong "exit status $?" || return
	[[ $(taken -d "$path") == "$path$updates"/rdma_rxe.ko* ]] ||
		wrong "modprobe takes $(taken -d "$path")" || return
	[ "$(listing all)" = "$before" ] || wrong "it has changed $modules" || return
	make_tree uninstall INSTALL_MOD_PATH="$path" ||
		wrong "exit status $?" || return
	is_own "$(taken -d "$path")" || wrong "modprobe takes $(taken -d "$path")"
}

# As where a package is made.
stages()
{
	local stage=/mnt/build/stage files

	make_tree install INSTALL_MOD_PATH=$stage || wrong "exit status $?" || return
	files=$(find "$stage" -type f)
	[[ $files == "$stage$updates"/rdma_rxe.ko* ]] || wrong "there is $files"
}

signs()
{
	local signer

	make_tree install INSTALL_MOD_PATH="$path" SIGN_KEY=/mnt/build/key.pem \
		SIGN_CERT=/mnt/build/cert.der || wrong "exit status $?" || return
	signer=$(modinfo -F signer "$path$updates"/rdma_rxe.ko*)
	[ "$signer" = "rxe-odp test" ] || wrong "signed by ${signer:-nobody}"
}

# Headers as of a kernel that somebody has built: they come with a key.
signs_by_the_kernels_key()
{
	local headers=/mnt/build/with_key signer key

	key=$(sed -n 's/^CONFIG_MODULE_SIG_KEY=//p' "$KDIR/include/config/auto.conf" |
		tr -d '"')
	mkdir -p "$headers/certs" "$headers/${key%/*}"
	cp -a "$KDIR"/include "$headers/"
	ln -s "$(readlink -f "$KDIR/scripts")" "$headers/scripts"
	cp /mnt/build/key.pem "$headers/$key"
	cp /mnt/build/cert.der "$headers/certs/signing_key.x509"
	make_tree install KDIR="$headers" INSTALL_MOD_PATH="$path" ||
		wrong "exit status $?" || return
	signer=$(modinfo -F signer "$path$updates"/rdma_rxe.ko*)
	[ "$signer" = "rxe-odp test" ] || wrong "signed by ${signer:-nobody}"
}

no_key()
{
	fails_with "cannot read /mnt/build/none" install SIGN_KEY=/mnt/build/none \
		SIGN_CERT=/mnt/build/cert.der
}

no_headers()
{
	fails_with "no kernel headers in /mnt/build/none" install \
		KDIR=/mnt/build/none &&
		fails_with "no kernel headers in /mnt/build/none" modules \
			KDIR=/mnt/build/none
}

not_built()
{
	local ko=$tree/drivers/infiniband/sw/rxe/rdma_rxe.ko status

	mv "$ko" "$ko.away"
	fails_with "run make first" install
	status=$?
	mv "$ko.away" "$ko"
	return "$status"
}

# built for another kernel than that of KDIR
other_kernel()
{
	local headers=/mnt/build/other

	mkdir -p "$headers/include/generated"
	cp -r "$KDIR/include/config" "$headers/include/"
	echo '#define UTS_RELEASE "1.2.3"' >"$headers/include/generated/utsrelease.h"
	fails_with "is built for $RELEASE, not for 1.2.3" install KDIR="$headers"
}

# A module of DKMS's, which has the same priority as the one that would be installed
packaged()
{
	local status

	mkdir -p "$updates/dkms"
	touch "$updates/dkms/rdma_rxe.ko.xz"
	fails_with "DKMS has put $updates/dkms/rdma_rxe.ko.xz there" install
	status=$?
	rm -r "$updates/dkms"
	rmdir "$updates" 2>/dev/null
	return "$status"
}

# make_for RELEASE CONFIG LINE WORDS: for headers of another release, whose configuration
# is without CONFIG and has LINE, make says WORDS
make_for()
{
	local headers=/mnt/build/for

	rm -rf "$headers"
	mkdir -p "$headers/include/generated" "$headers/include/config"
	echo "#define UTS_RELEASE \"$1\"" >"$headers/include/generated/utsrelease.h"
	{
		grep -v "^$2=" "$KDIR/include/config/auto.conf"
		echo "${3-}"
	} >"$headers/include/config/auto.conf"
	fails_with "kernel $1 $4" modules KDIR="$headers"
}

unfit_kernels()
{
	make_for 6.0.19 none '' "is too old, 6.1 is needed: rxe-odp cannot" &&
		make_for 5.10.0-30-amd64 none '' "is too old" &&
		make_for 6.1.0-1-cloud-amd64 CONFIG_INFINIBAND '' "has no RDMA" &&
		make_for 6.12.1 CONFIG_NET_UDP_TUNNEL '' "is configured without CONFIG_NET_UDP_TUNNEL" &&
		make_for 6.18.3-rt CONFIG_PREEMPT_RT_NEEDS_BH_LOCK CONFIG_PREEMPT_RT=y \
			"is configured without CONFIG_PREEMPT_RT_NEEDS_BH_LOCK"
}

# The program is hidden by a file that cannot be run.
missing()
{
	local file status

	file=$(readlink -f "$(command -v "$program")")
	mount --bind "$nothing" "$file"
	fails_with "$program not found" install
	status=$?
	umount "$file"
	return "$status"
}

if ! is_own "$(taken)"; then
	echo "Bail out! modprobe takes $(taken) before anything"
	exit 1
fi
first=$(listing)
# kmod is depmod and modinfo
programs="depmod strip"
case $(echo "$modules"/kernel/drivers/infiniband/sw/rxe/rdma_rxe.ko*) in
*.xz)
	programs+=" xz"
	;;
esac

for program in $programs; do
	check "nothing is written without $program" missing
done
check "no headers: one line" no_headers
check "nothing built: one line" not_built
check "another kernel's module is not installed" other_kernel
check "a key that is not there: one line" no_key
check "a kernel that the driver does not build for: one line" unfit_kernels
check "a module of DKMS's: one line" packaged
check "make install: modprobe takes the driver" installs
check "the module is compressed as the kernel's own" compressed_alike
check "the module is small" is_small
check "modinfo knows the module's version" has_version
check "files of other compressions are replaced" replaces_others
check "make uninstall: modprobe takes the kernel's own" uninstalls
check "make uninstall without headers" uninstalls_without_headers
new_tree
check "INSTALL_MOD_PATH with a blank, a whole tree" installs_elsewhere
check "INSTALL_MOD_PATH with nothing in it" stages
check "signed with a key of the user's" signs
check "signed with the kernel's key" signs_by_the_kernels_key
echo "1..$number"
