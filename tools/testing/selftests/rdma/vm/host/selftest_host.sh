# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The harness's test of itself that takes no guest: that it refuses what it cannot
# do before it has made or started anything, and that make distclean removes the
# harness's own files and no others.

# host_result NAME WHY: passed if nothing was wrong
host_result()
{
	if [ -z "$2" ]; then
		echo "pass harness: $1"
		account host harness 1 0 0
	else
		account_failure host harness "$1: $2"
	fi
}

# run_vm [NAME=VALUE...] COMMAND...: the harness with another cache and, should it
# go on, a debootstrap that fails; its output in $said
run_vm()
{
	said=$(env PATH="$share/bin:$PATH" RXE_ODP_CACHE="$fresh" \
		"${@:1:$# - 1}" "$0" "${@: -1}" 2>&1 </dev/null)
}

# refuses NAME VALUE WORDS: the error names variable and value, and has these words
refuses()
{
	local why=

	if run_vm "$1=$2" test; then
		why="it was taken"
	elif [[ $said != "error: $1"* || $said != *"$3"* || $said == *$'\n'* ]]; then
		why="it says: $said"
	elif [ -e "$fresh" ]; then
		why="something was made before"
	fi
	host_result "$1=$2 is refused" "$why"
}

# Variables that are numbers, each with what is none of its values.
refuses_numbers()
{
	local name value

	while read -r name value; do
		refuses "$name" "$value" "a number from "
	done <<-LIST
		MEM 2G
		MEM 256
		MEM 99999999
		CPUS 0
		CPUS two
		MTU 1279
		MTU 65536
		TIME_LIMIT 1h
		QUIET_LIMIT 0
		BOOT_LIMIT -1
		STORM_SECONDS 3600
		PAIRS 0
		DEBUG_NEED 1.5
		DEBUG_WITHIN 010
	LIST
}

refuses_words()
{
	local name value there

	while IFS=: read -r name value there; do
		refuses "$name" "$value" "$there"
	done <<-LIST
		KERNEL:6.2:there are: 6.1 6.12 newest 6.12-deb13 debug
		KERNEL:../x:there are: 6.1 6.12 newest 6.12-deb13 debug
		KERNEL:6.1 6.12:only one
		KERNELS:6.1,6.12:there are: 6.1 6.12 newest 6.12-deb13 debug
		KERNELS: :blank
		PEERS:debug:there are: 6.1 6.12 newest 6.12-deb13
		TESTS:rc_data none_such:there is no none_such; there are: harness install interop
		DEBUG_TESTS:harness:there are: boot
		RXE:our:there are: ours intree none
		TOPOLOGY:ring:there are: none two_hosts
		LONG_TESTS:1:there are: yes
		QUICK:0:there are: 1
		ROWS:(:regular expression
		DRIVERS:mine:there are: ours intree
		BOOTS:all:there are: tuned stock peers
		RXE_ODP_CACHE:cache:begins with /
	LIST
}

# With values that are right the harness comes to debootstrap, and not before.
takes_what_is_right()
{
	local why=

	if run_vm MEM=1024 CPUS=2 MTU=4200 TIME_LIMIT=60 QUIET_LIMIT=60 \
		BOOT_LIMIT=60 STORM_SECONDS=600 PAIRS=3 DEBUG_NEED=600 \
		DEBUG_WITHIN=3300 KERNEL=6.12-deb13 KERNELS="6.1 debug" \
		PEERS=newest TESTS="harness rc_data boot" DEBUG_TESTS=rc_odp \
		RXE=intree TOPOLOGY=two_hosts LONG_TESTS=yes QUICK=1 \
		ROWS='^ib_.*\(odp\)|x' DRIVERS=ours BOOTS="tuned peers" test; then
		why="it ends well without a root"
	elif [[ $said != *"making the Debian 12 root"* ]]; then
		why="it says: $said"
	elif [ ! -f "$fresh/$marker" ]; then
		why="the cache has no marker"
	fi
	rm -rf "$fresh"
	host_result "values that are right are taken" "$why"
}

# fill_cache DIR: what a run leaves
fill_cache()
{
	mkdir -p "$1"/{root-0123456789ab/etc,debug-0123456789ab,root-new,build,guests,logs,bench}
	touch "$1"/{root.lock,debug.lock,build-0123456789ab-6.1.lock,results.aBcDeF,build/x}
}

# whats_in DIR
whats_in()
{
	[ ! -d "$1/" ] || find "$1/" -printf '%P\n' | sort
}

# keeps NAME WORDS COMMAND [VAR=VALUE...]: it fails, says so, and changes nothing
keeps()
{
	local before why=

	before=$(whats_in "$fresh")
	if run_vm "${@:4}" "$3"; then
		why="it did not fail: $said"
	elif [[ $said != *"$2"* ]]; then
		why="it says: $said"
	fi
	[ "$before" = "$(whats_in "$fresh")" ] || why+=" something was changed"
	host_result "$1" "$why"
}

# leaves NAME LIST: make distclean leaves these
leaves()
{
	local why=

	run_vm clean || why="it fails: $said"
	[ "$(whats_in "$fresh")" = "$2" ] || why+=" left: $(whats_in "$fresh")"
	host_result "$1" "$why"
}

removes_what_is_its_own()
{
	fill_cache "$fresh"
	touch "$fresh/$marker"
	leaves "distclean removes the cache" ""

	fill_cache "$fresh"
	leaves "distclean removes a cache of before there was a marker" ""

	fill_cache "$fresh"
	mkdir "$fresh/root-of-a-tree"
	touch "$fresh"/{"$marker",thesis.tex,.profile,root-of-a-tree/x}
	leaves "distclean leaves others' files in the cache" "$(printf '%s\n' "" \
		"$marker" .profile root-of-a-tree root-of-a-tree/x thesis.tex | sort)"
	rm -rf "$fresh"

	fill_cache "$share/elsewhere"
	touch "$share/elsewhere/$marker"
	ln -s "$share/elsewhere" "$fresh"
	leaves "distclean empties a cache behind a link" ""
	rm -rf "$fresh" "$share/elsewhere"
}

removes_nothing_else()
{
	local fd

	mkdir -p "$fresh/build" "$fresh/logs"
	touch "$fresh"/{thesis.tex,build/x}
	keeps "distclean leaves a directory without a marker" "nothing was removed" clean
	keeps "a run takes no directory with others' files in it" "other files" run
	rm "$fresh/thesis.tex"
	keeps "build and logs alone make no cache" "nothing was removed" clean
	fill_cache "$fresh"
	touch "$fresh/thesis.tex"
	keeps "a cache's files beside others' make no cache" "nothing was removed" clean
	rm "$fresh/thesis.tex"

	touch "$fresh/$marker"
	exec {fd}<"$fresh/$marker"
	flock --shared "$fd"
	keeps "distclean leaves a cache that another run uses" "another run" clean
	flock --exclusive "$fd"
	keeps "a run does without a cache that distclean removes" "try again" run
	exec {fd}<&-

	rm -rf "$fresh"
}

# In a mount namespace of its own, so that nothing stays mounted.
leaves_what_is_mounted()
{
	local why=

	fill_cache "$fresh"
	touch "$fresh/$marker"
	mkdir "$fresh/root-0123456789ab/home"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount --propagation private env RXE_ODP_CACHE="$fresh" bash -c '
		mount --bind "$1" "$2/root-0123456789ab/home" && ! "$3" clean
	' mounted "$share/bin" "$fresh" "$0" >"$share/said" 2>&1 ||
		why="it did not fail"
	[ -e "$share/bin/debootstrap" ] || why+=" a file in the mount is gone"
	grep -q "is mounted in" "$share/said" || why+=" it says: $(cat "$share/said")"
	rm -rf "$fresh"
	host_result "distclean leaves a cache in which something is mounted" "$why"
}

# Consoles are removed by their age, and nothing else with them.
keeps_fifty_consoles()
(
	why=
	cache="$share/a b"
	mkdir -p "$cache/logs"
	touch "$share/a" "$cache"/logs/console-{1..60}.log
	keep_console 6.1
	[ -e "$share/a" ] || why="a file beside the cache is gone"
	[ "$(find "$cache/logs" -type f | wc -l)" = 50 ] ||
		why+=" not 50 consoles are left"
	host_result "a cache's path may have blanks" "$why"
)

# A driver of two layers and what is on top, as it is to be.
make_layers()
{
	rm -rf "$share/driver"
	mkdir -p "$share/driver"/{low,high}
	cd "$share/driver"
	printf '\t%s.o \\\n' low/a high/b top >Kbuild
	printf 'int a(int n);\nstatic inline int\nc(int n)\n' >low/a.h
	printf '#include "low/a.h"\nint a(int n)\n' >low/a.c
	printf '#include "low/a.h"\nstruct s *b(struct s *s,\n\tint n);\n' >high/b.h
	printf '#include "high/b.h"\nstruct s *b(struct s *s,\n' >high/b.c
	printf '#include "high/b.h"\n#include "low/a.h"\n' >top.c
}

# layers_notice NAME FILE LINE WORDS: with that line more, it is said so
layers_notice()
(
	why=
	make_layers
	check_layers . */*.[ch] top.c >said || why="as it is to be it says: $(cat said)"
	echo "$3" >>"$2"
	! check_layers . */*.[ch] top.c >said || why+=" it says nothing"
	grep -qF -- "$4" said || why+=" it says: $(cat said)"
	host_result "make check refuses $1" "$why"
)

refuses_layers()
{
	layers_notice "an include of a higher layer" low/a.c '#include "high/b.h"' \
		"low/a.c:3: includes high/b.h"
	layers_notice "an include of what is on top" high/b.h '#include "top.h"' \
		"high/b.h:4: includes top.h"
	layers_notice "headers in a circle" low/a.h '#include "low/a.h"' \
		"low/a.h low/a.h"
	layers_notice "a header that declares another's function" high/b.h \
		'void d(void);' "high/b.h:4: d() is not defined by high/b.c"
	layers_notice "a folder that is no layer" low/a.c '#include "none/n.h"' \
		"none/n.h: no layer"
}

cmd_test_host()
{
	local fresh said=

	results=$1
	mkdir -p "$cache/guests"
	share=$(mktemp -d "$cache/guests/host.XXXXXX")
	fresh="$share/a cache"
	mkdir "$share/bin"
	printf '#!/bin/sh\nexit 1\n' >"$share/bin/debootstrap"
	chmod +x "$share/bin/debootstrap"
	refuses_numbers
	refuses_words
	takes_what_is_right
	removes_what_is_its_own
	removes_nothing_else
	leaves_what_is_mounted
	keeps_fifty_consoles
	refuses_layers
}
