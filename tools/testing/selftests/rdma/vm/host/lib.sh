# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Shared by all parts of the harness: paths, messages, locks, and
# running a command inside the Debian root.

# This directory. Beside it are guest, which each guest gets a copy of, and selftest.
vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$vm_dir/../../../../../.." && pwd)
selftests=tools/testing/selftests/rdma
: "${RXE_ODP_CACHE:=${XDG_CACHE_HOME:-$HOME/.cache}/rxe-odp}"
cache=$RXE_ODP_CACHE

say()
{
	printf '== %s\n' "$*" >&2
}

die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# with_lock NAME COMMAND...: two runs at a time must not build the same thing.
with_lock()
{
	local lock=$cache/$1.lock fd ret=0

	shift
	mkdir -p "$cache"
	exec {fd}>"$lock"
	if ! flock -n "$fd"; then
		say "waiting for another run that holds $lock"
		flock "$fd"
	fi
	# Not a condition: errexit stays in force inside the subshell. The
	# lock's descriptor is closed there, or a daemon would keep the lock.
	set +e
	(
		exec {fd}>&-
		set -e
		"$@"
	)
	ret=$?
	set -e
	exec {fd}>&-
	return "$ret"
}

# progress FILE COMMAND...: run a long command with its output in FILE, and a
# line a minute while it still runs. On failure show the end of FILE. Not to
# be used in a condition: errexit has to be in force in COMMAND.
progress()
(
	file=$1
	next=60
	ret=0
	shift
	# A process group of its own, to end all of it when this is ended.
	set -m
	"$@" >"$file" 2>&1 </dev/null &
	pid=$!
	set +m
	trap 'kill -TERM -- "-$pid"; exit 130' INT TERM HUP
	SECONDS=0
	while kill -0 "$pid" 2>/dev/null; do
		sleep 1
		if ((SECONDS >= next)); then
			say "  still at it after ${next} s: $(tail -n 1 "$file" | cut -c 1-60)"
			next=$((next + 60))
		fi
	done
	wait "$pid" || ret=$?
	if [ "$ret" -ne 0 ]; then
		tail -n 30 "$file" >&2
		say "failed (exit status $ret); the whole output is in $file"
	fi
	exit "$ret"
)

# in_root ROOT [--bind FROM TO]... COMMAND...: run in the Debian root, in a
# mount namespace of its own, so that nothing stays mounted afterwards.
in_root()
{
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --propagation private bash -euc '
		root=$1
		shift
		mount --bind "$root" "$root"
		mount -t proc proc "$root/proc"
		mount -t sysfs -o ro sysfs "$root/sys"
		mount --rbind /dev "$root/dev"
		while [ "${1-}" = --bind ]; do
			mkdir -p "$root$3"
			mount --bind "$2" "$root$3"
			shift 3
		done
		exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
			"$@"
	' in_root "$@"
}
