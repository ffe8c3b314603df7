# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The cache directory, which the user may name. The harness works in it as root and
# removes files from it, so it has to be the harness's own: made by it, or found
# empty. A marker in it says so. Every run holds the marker's lock, shared.

marker=.rxe-odp-cache

# Whether the harness puts an entry of that name into its cache.
is_cache_entry()
{
	case $1 in
	"$marker" | root-new | package-new | debug-new | kcsan-new | build | guests | logs | bench | \
		root.lock | package.lock | debug.lock | kcsan.lock | build-*.lock | results.??????)
		;;
	root-* | package-* | debug-* | kcsan-*)
		[[ ${1#*-} =~ ^[0-9a-f]{12}$ ]]
		;;
	*)
		false
		;;
	esac
}

# find_strangers: sets strangers to the entries of the cache that are not ours
find_strangers()
{
	local path

	strangers=()
	while IFS= read -r -d '' path; do
		is_cache_entry "$path" || strangers+=("$path")
	done < <(find "$cache/" -mindepth 1 -maxdepth 1 -printf '%P\0' | sort -z)
}

# Nothing but the marker says so: others may have files of the same names.
is_own_cache()
{
	[ -f "$cache/$marker" ]
}

is_empty()
{
	[ -z "$(find "$cache/" -mindepth 1 -maxdepth 1 -print -quit)" ]
}

# Advice for a directory without a marker.
about_marker()
{
	printf '%s' "if all of root-*, package-*, debug-*, kcsan-*, build, guests, logs, bench, results.* and *.lock in it is the harness's, say so by touch '$cache/$marker'"
}

check_cache_path()
{
	[[ $cache == /* && $cache != *$'\n'* ]] ||
		die "RXE_ODP_CACHE=$cache: a path that begins with / is needed, without newlines"
	[ ! -e "$cache" ] || [ -d "$cache" ] ||
		die "RXE_ODP_CACHE=$cache: not a directory"
}

check_cache()
{
	check_cache_path
	[ ! -d "$cache" ] || is_own_cache || is_empty ||
		die "RXE_ODP_CACHE=$cache: there are other files in it, and no $marker: name a directory that is empty or not there yet; $(about_marker)"
}

# lock_cache shared|exclusive: until all processes of this run have ended, as they
# inherit the descriptor
lock_cache()
{
	exec {cache_fd}<"$cache/$marker"
	flock -n "--$1" "$cache_fd" &&
		[ "$cache/$marker" -ef "/dev/fd/$cache_fd" ]
}

# Make the cache, and mark it as the harness's, unless it is marked already.
need_cache()
{
	check_cache
	mkdir -p "$cache"
	[ -e "$cache/$marker" ] ||
		echo "The cache of rxe-odp's harness: make distclean removes it." \
			>"$cache/$marker"
	lock_cache shared || die "$cache is being removed by make distclean: try again"
}

# A mount in it, e.g. of /home in the root, would lose its files. mountinfo has octal
# numbers for blanks.
has_mounts()
{
	local real

	real=$(readlink -f "$cache")/
	DIR=${real// /'\040'} awk 'index($5, ENVIRON["DIR"]) == 1 { found = 1 }
		END { exit !found }' /proc/self/mountinfo
}

# Only what the harness has put there, and the directory if nothing else is in it.
cmd_clean()
{
	local path

	check_cache_path
	[ -e "$cache" ] || return 0
	is_own_cache ||
		die "$cache has no $marker: nothing was removed; $(about_marker)"
	lock_cache exclusive ||
		die "another run uses $cache: nothing was removed"
	! has_mounts || die "something is mounted in $cache: nothing was removed"
	say "removing $cache"
	while IFS= read -r -d '' path; do
		! is_cache_entry "$path" || [ "$path" = "$marker" ] ||
			rm -rf -- "${cache:?}/$path"
	done < <(find "$cache/" -mindepth 1 -maxdepth 1 -printf '%P\0')
	find_strangers
	if [ "${#strangers[@]}" -gt 0 ]; then
		say "left there, as others have put it: ${strangers[*]}"
		return 0
	fi
	rm -f "$cache/$marker"
	[ -L "$cache" ] || rmdir "$cache"
}
