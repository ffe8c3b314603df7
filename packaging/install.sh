#!/bin/sh
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# install.sh install|uninstall: for "make install" and "make uninstall". Puts
# the built module where modprobe takes it instead of the kernel's own, stripped,
# signed where there is a key, and compressed as that kernel's modules are.
#
# Kbuild's modules_install is not enough: it complains of the key that a kernel's
# headers come without, cannot be given a certificate, leaves depmod out where there
# is no System.map, and takes no path with a blank. Nor does its kernelrelease, which
# on Debian's 6.1 is not the release. The variables are kbuild's: KDIR,
# INSTALL_MOD_PATH, CROSS_COMPILE, STRIP; and SIGN_KEY and SIGN_CERT, the two files
# (or a PKCS#11 URI and a file) to sign with, e.g. those of DKMS.

set -eu

module=rdma_rxe
top=$(cd "$(dirname "$0")/.." && pwd)
built=$top/drivers/infiniband/sw/rxe/$module.ko
# depmod of kmod is there, where "su" does not look
PATH=$PATH:/usr/sbin:/sbin

die()
{
	echo "error: $*" >&2
	exit 1
}

# need PROGRAM PACKAGE
need()
{
	[ -x "$(command -v "$1")" ] ||
		die "$1 not found (Debian: package $2); nothing was changed"
}

# config NAME: the value of CONFIG_NAME in the kernel's configuration
config()
{
	sed -n "s/^CONFIG_$1=//p" "$KDIR/include/config/auto.conf" | tr -d '"'
}

# The release, as uname -r has it. A kernel whose headers are gone still says it by
# the path that they were at.
release()
{
	header=$KDIR/include/generated/utsrelease.h
	path=${KDIR%/build}
	if [ -r "$header" ]; then
		sed -n 's/^#define UTS_RELEASE "\(.*\)".*/\1/p' "$header"
	elif [ "$path" != "$KDIR" ]; then
		echo "${path##*/}"
	fi
}

# The suffix of the kernel's compressed modules, or nothing. Since 6.12
# a kernel may be able to read compressed modules and have none.
suffix()
{
	[ "$(config MODULE_COMPRESS)" != y ] ||
		[ "$(config MODULE_COMPRESS_ALL)" = y ] || return 0
	[ "$(config MODULE_COMPRESS_GZIP)" != y ] || echo .gz
	[ "$(config MODULE_COMPRESS_XZ)" != y ] || echo .xz
	[ "$(config MODULE_COMPRESS_ZSTD)" != y ] || echo .zst
}

# compress FILE SUFFIX: as kbuild does
compress()
{
	case $2 in
	.gz)
		gzip -n -f "$1"
		;;
	.xz)
		xz --check=crc32 --lzma2=dict=1MiB -f "$1"
		;;
	.zst)
		zstd --rm -f -q "$1"
		;;
	esac
}

need_compressor()
{
	case $1 in
	.gz)
		need gzip gzip
		;;
	.xz)
		need xz xz-utils
		;;
	.zst)
		need zstd zstd
		;;
	esac
}

is_key()
{
	case $1 in
	pkcs11:*)
		;;
	*)
		[ -r "$1" ]
		;;
	esac
}

# Sets SIGN_KEY and SIGN_CERT: the user's, else the kernel's own, which exists only
# where the kernel was built.
find_key()
{
	if [ -n "${SIGN_KEY-}${SIGN_CERT-}" ]; then
		[ -n "${SIGN_KEY:+${SIGN_CERT-}}" ] ||
			die "SIGN_KEY= and SIGN_CERT= go together; nothing was changed"
		is_key "$SIGN_KEY" || die "SIGN_KEY: cannot read $SIGN_KEY; nothing was changed"
		[ -r "$SIGN_CERT" ] || die "SIGN_CERT: cannot read $SIGN_CERT; nothing was changed"
	elif [ "$(config MODULE_SIG_ALL)" = y ]; then
		SIGN_KEY=$(config MODULE_SIG_KEY)
		is_key "$SIGN_KEY" || SIGN_KEY=$KDIR/$SIGN_KEY
		SIGN_CERT=$KDIR/certs/signing_key.x509
		if ! is_key "$SIGN_KEY" || [ ! -r "$SIGN_CERT" ]; then
			SIGN_KEY=
		fi
	fi
	[ -z "${SIGN_KEY-}" ] || [ -x "$KDIR/scripts/sign-file" ] ||
		die "$KDIR has no scripts/sign-file to sign with; nothing was changed"
}

# writable DIR: whether it can be written, or made
writable()
{
	dir=$1
	while [ ! -e "$dir" ]; do
		dir=$(dirname "$dir")
	done
	[ -w "$dir" ] || die "cannot write $dir: this takes root; nothing was changed"
}

check_module()
{
	[ -e "$built" ] || die "$built is not there: run make first"
	for_release=$(modinfo -F vermagic "$built")
	for_release=${for_release%% *}
	[ "$for_release" = "$release" ] ||
		die "the module is built for $for_release, not for $release: make clean, then make KDIR=$KDIR"
}

# Both have the same priority in depmod's search order.
check_package()
{
	for file in "$updates/dkms/$module".ko*; do
		[ ! -e "$file" ] ||
			die "DKMS has put $file there: remove the package first (rxe-odp-dkms); nothing was changed"
	done
}

# remove_others [NAME]: all files of the module but NAME
remove_others()
{
	for file in "$updates/$module".ko "$updates/$module".ko.*; do
		[ "$file" = "$updates/${1-}" ] || rm -f "$file"
	done
}

# Where a package is made there is no kernel, and nothing to index.
has_kernel()
{
	[ -e "$modules/modules.order" ]
}

run_depmod()
{
	has_kernel || return 0
	depmod ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} "$release"
}

# modprobe goes by modules.dep: nobody is to load another driver and not know.
check_dep()
{
	has_kernel || return 0
	taken=$(sed -n "s|^\(\([^:]*/\)*$module\.ko[^:]*\):.*|\1|p" \
		"$modules/modules.dep")
	[ "$taken" = "updates/$name" ] ||
		die "modprobe would take $modules/$taken: remove it, or see depmod.d(5)"
}

do_install()
{
	name=$module.ko$(suffix)
	check_package
	need depmod kmod
	need modinfo kmod
	need "$strip" binutils
	need_compressor "${name#"$module.ko"}"
	find_key
	check_module
	writable "$updates"

	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	"$strip" --strip-debug -o "$work/$module.ko" "$built"
	[ -z "${SIGN_KEY-}" ] ||
		"$KDIR/scripts/sign-file" "$(config MODULE_SIG_HASH)" \
			"$SIGN_KEY" "$SIGN_CERT" "$work/$module.ko"
	compress "$work/$module.ko" "${name#"$module.ko"}"
	mkdir -p "$updates"
	# depmod passes by a name that does not end like a module's
	install -m 644 "$work/$name" "$updates/$name.new"
	mv "$updates/$name.new" "$updates/$name"
	remove_others "$name"
	run_depmod
	check_dep
	echo "installed $updates/$name, $([ -n "${SIGN_KEY-}" ] || printf 'not ')signed"
}

do_uninstall()
{
	need depmod kmod
	writable "$updates"
	remove_others
	rmdir "$updates" 2>/dev/null || true
	run_depmod
	echo "no $module in $updates any more"
}

release=$(release)
[ -n "$release" ] || die "no kernel headers in $KDIR"
modules=${INSTALL_MOD_PATH-}/lib/modules/$release
updates=$modules/updates
strip=${STRIP:-${CROSS_COMPILE-}strip}

case ${1-} in
install | uninstall)
	"do_$1"
	;;
*)
	die "usage: ${0##*/} install|uninstall"
	;;
esac
