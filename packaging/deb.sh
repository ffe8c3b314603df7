#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# deb.sh: for "make deb". Puts the Debian package and its source package into build/.
# debian/ lives in packaging/, and the version in version.h: the source package gets
# its debian/ and its changelog in a copy of the tree. That is elsewhere, as Debian's
# tools take no path with a blank.

set -eu

tree=$(cd "$(dirname "$0")/.." && pwd)
build=$tree/build

die()
{
	echo "error: $*" >&2
	exit 1
}

need()
{
	[ -x "$(command -v "$1")" ] ||
		die "$1 not found (Debian: package $2); nothing was made"
}

# Not of a repository that has the tree in it, which knows nothing of its files.
our_git()
{
	[ -e .git ] && git -c safe.directory="$tree" "$@" 2>/dev/null
}

# The tree's files, by what git knows; of a tree without git, all but what "make" makes.
files()
{
	our_git ls-files -z ||
		find . \( -path ./.git -o -path ./build -o -name __pycache__ \) -prune -o \
			-type f ! -name '*.o' ! -name '*.ko' ! -name '*.a' ! -name '*.mod' \
			! -name '*.mod.c' ! -name '.*.cmd' ! -name '.*.d' \
			! -name Module.symvers ! -name modules.order -print0
}

# Of the last change, so that the same tree makes the same package.
date_of_tree()
{
	our_git log -1 --format=%ct ||
		stat -c %Y drivers/infiniband/sw/rxe/version.h
}

write_changelog()
{
	cat <<-CHANGELOG
		rxe-odp ($version) unstable; urgency=medium

		  * Version $version.

		 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(date -R -u -d "@$SOURCE_DATE_EPOCH")
	CHANGELOG
}

cd "$tree"
need dpkg-buildpackage dpkg-dev
need dh debhelper
need dh_dkms dh-dkms
version=$(sed -n 's/^#define RXE_VERSION "\(.*\)"$/\1/p' drivers/infiniband/sw/rxe/version.h)
[ -n "$version" ] || die "no RXE_VERSION in version.h"
: "${SOURCE_DATE_EPOCH:=$(date_of_tree)}"
export SOURCE_DATE_EPOCH

mkdir -p "$build"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/rxe-odp-$version
mkdir "$stage"
files | while IFS= read -r -d '' file; do
	[ ! -e "$file" ] || printf '%s\0' "$file"
done | xargs -0 cp -P --parents -t "$stage"
cd "$stage"
mv packaging/debian debian
write_changelog >debian/changelog
# -d: what it needs was looked for above; nothing is compiled, so not build-essential
dpkg-buildpackage -d -us -uc >"$work/log" 2>&1 || {
	cat "$work/log" >&2
	die "dpkg-buildpackage failed"
}
find "$work" -maxdepth 1 -name 'rxe-odp*_*' -exec mv -t "$build" {} +
echo "made build/rxe-odp-dkms_${version}_all.deb and build/rxe-odp_$version.dsc"
