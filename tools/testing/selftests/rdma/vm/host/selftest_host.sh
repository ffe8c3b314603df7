# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# The harness's test of itself without a guest: it refuses wrong values before it
# makes or starts anything, and make distclean removes the harness's own files and
# no others.

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

# refuses NAME VALUE WORDS [COMMAND]: the error has variable, value, and these words
refuses()
{
	local why=

	if run_vm "$1=$2" "${4-test}"; then
		why="it was taken"
	elif [[ $said != "error: $1"* || $said != *"$3"* || $said == *$'\n'* ]]; then
		why="it says: $said"
	elif [ -e "$fresh" ]; then
		why="something was made before"
	fi
	host_result "$1=$2 is refused" "$why"
}

# Variables that are numbers, each with invalid values.
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
		AT_ONCE 9
		LIMIT_FACTOR 0
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
		KERNEL:6.2:there are: 6.1 6.12 newest 6.12-deb13 debug kcsan rt
		KERNEL:../x:there are: 6.1 6.12 newest 6.12-deb13 debug kcsan rt
		KERNEL:6.1 6.12:only one
		KERNELS:6.1,6.12:there are: 6.1 6.12 newest 6.12-deb13 debug kcsan rt
		KERNELS: :blank
		PEERS:debug:there are: 6.1 6.12 newest 6.12-deb13
		TESTS:rc_data none_such:there is no none_such; there are: harness install package interop
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
	refuses KERNEL 6.1 "there are: debug kcsan rt" test-debug
	refuses KERNEL "debug kcsan" "only one" test-debug
}

# With valid values the harness starts debootstrap.
takes_what_is_right()
{
	local why=

	if run_vm MEM=1024 CPUS=2 MTU=4200 TIME_LIMIT=60 QUIET_LIMIT=60 \
		BOOT_LIMIT=60 AT_ONCE=2 LIMIT_FACTOR=2 STORM_SECONDS=600 PAIRS=3 DEBUG_NEED=600 \
		DEBUG_WITHIN=3300 KERNEL=6.12-deb13 KERNELS="6.1 debug kcsan rt" \
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
	host_result "valid values are accepted" "$why"
}

# fill_cache DIR: the files that a run leaves
fill_cache()
{
	mkdir -p "$1"/{root-0123456789ab/etc,root-new,build,guests,logs,bench}
	mkdir -p "$1"/{debug,kcsan}-{0123456789ab,new}
	touch "$1"/{root,debug,kcsan,build-0123456789ab-6.1}.lock
	touch "$1"/{results.aBcDeF,build/x}
}

# whats_in DIR
whats_in()
{
	[ ! -d "$1/" ] || find "$1/" -printf '%P\n' | sort
}

# keeps NAME WORDS COMMAND [VAR=VALUE...]: it fails with WORDS, and changes no file
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
	keeps "a directory with only build and logs is no cache" "nothing was removed" clean
	fill_cache "$fresh"
	keeps "a directory with a cache's files and no marker is no cache" "nothing was removed" \
		clean
	keeps "a run takes no directory with a cache's files and no marker" "no $marker" run

	touch "$fresh/$marker"
	exec {fd}<"$fresh/$marker"
	flock --shared "$fd"
	keeps "distclean leaves a cache that another run uses" "another run" clean
	flock --exclusive "$fd"
	keeps "a run fails while distclean removes its cache" "try again" run
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

# A correct driver of two layers, and a top folder.
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

# layers_notice NAME FILE LINE WORDS: with that line added, the error has WORDS
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
	layers_notice "an include of the top folder" high/b.h '#include "top.h"' \
		"high/b.h:4: includes top.h"
	layers_notice "headers in a circle" low/a.h '#include "low/a.h"' \
		"low/a.h low/a.h"
	layers_notice "a header that declares another's function" high/b.h \
		'void d(void);' "high/b.h:4: d() is not defined by high/b.c"
	layers_notice "a folder that is no layer" low/a.c '#include "none/n.h"' \
		"none/n.h: no layer"
}

# A correct source file.
make_source()
{
	rm -rf "$share/source"
	mkdir "$share/source"
	cat >"$share/source/a.c" <<-SOURCE
		/**
		 * a - do nothing
		 * @n: unused
		 *
		 * Return: 0.
		 */
		int a(int n)
		{
			return 0;
		}
		$(printf 'int of_100_columns;\t/* %070d */' 0)
	SOURCE
}

# source_notice NAME LINES WORDS CHECK...: with those lines added, the error has WORDS
source_notice()
(
	why=
	make_source
	tree=$share/source
	said=$("${@:4}" 2>&1) || why="as it is to be it says: $said"
	printf '%s\n' "$2" >>"$tree/a.c"
	! said=$("${@:4}" 2>&1) || why+=" it says nothing"
	[[ $said == *"$3"* ]] || why+=" it says: $said"
	host_result "make check refuses $1" "$why"
)

refuses_comments()
{
	source_notice "kernel-doc that lacks an argument" \
		$'/**\n * b - do nothing\n */\nvoid b(int n)\n{\n}' "'n' not described" \
		check_kernel_doc a.c
	source_notice "a comment over 100 columns" "$(printf '/* %095d */' 0)" \
		"a.c:12: a comment over 100 columns" check_width a.c
	source_notice "a comment behind code over 100 columns" \
		"$(printf 'int b;\t\t\t/* %071d */' 0)" \
		"a.c:12: a comment over 100 columns" check_width a.c
	source_notice "what coccicheck warns of" \
		'void b(void *p) { if (p) kfree(p); }' "a.c:12" \
		check_semantics . free/ifnullfree
}

# Kernels beside each other: the tests of one die, those of others come to their end.
ends_badly()
{
	echo "begins on $1"
	exit 3
}

ends_well()
{
	sleep 0.3
}

loses_no_results()
{
	local why= lost

	lost=$(
		results=$share/beside begun=() AT_ONCE=2
		beside ends_badly 6.1
		beside ends_well 6.12
		beside ends_well newest
		wait_beside 2>/dev/null
		cat "$results"
	)
	if [[ $lost != *"6.1 | begins on 6.1"* ]]; then
		why="no line with its kernel: $lost"
	elif [ "$(grep -c '^[^ ]* harness 0 1 0' <<<"$lost")" -ne 1 ] ||
		[[ $lost != *"6.1 harness 0 1 0"* ]]; then
		why="results: $lost"
	fi
	host_result "beside each other, a kernel whose tests die has failed" "$why"
}

# race_report: of KCSAN, of others' code
race_report()
{
	cat <<-REPORT | sed 's/^|/[   61.203125] /'
		|==================================================================
		|BUG: KCSAN: data-race in tick_nohz_stop_tick / tick_sched_do_timer
		|
		|write to 0xffffffff82c0a628 of 4 bytes by interrupt on cpu 0:
		| tick_sched_do_timer+0x5d/0x90
		| asm_sysvec_apic_timer_interrupt+0x1a/0x20
		| rxe_poll_cq+0x101/0x2b0 [rdma_rxe]
		|
		|read to 0xffffffff82c0a628 of 4 bytes by task 488 on cpu 1:
		| tick_nohz_stop_tick+0x10/0x20
		| do_idle+0x89/0xd0
		|
		|value changed: 0x00000001 -> 0xffffffff
		|
		|Reported by Kernel Concurrency Sanitizer on:
		|CPU: 1 UID: 0 PID: 488 Comm: rc_data Tainted: G           O       6.12.9 #1
		|Tainted: [O]=OOT_MODULE
		|Hardware name: QEMU Standard PC, BIOS 1.16.2 04/01/2014
		|Workqueue: rxe rxe_work [rdma_rxe]
		|==================================================================
	REPORT
}

# race_stays NAME WORDS SED-SCRIPT: of the report, changed by the script, what has WORDS
# stays; without WORDS nothing of it
race_stays()
{
	local why='' left

	left=$(race_report | sed "$3" |
		awk -v ours="odp_core_test|rdma_rxe" -f "$vm_dir/../guest/races.awk")
	if [ -z "$2" ]; then
		! grep -q "BUG:\|bytes by" <<<"$left" || why="left: $left"
	else
		grep -qF -- "$2" <<<"$left" || why="left: $left"
	fi
	host_result "$1" "$why"
}

drops_others_races()
{
	race_stays "a race of others' code is dropped" "" ""
	race_stays "a race whose first stack names our module stays" "BUG: KCSAN" \
		's/\(tick_sched_do_timer.*\)$/\1 [rdma_rxe]/'
	race_stays "a race whose second stack names our module stays" "BUG: KCSAN" \
		's/\(do_idle.*\)$/\1 [odp_core_test]/'
	race_stays "a race of our code with one that is not known stays" "BUG: KCSAN" \
		'4,8d
		s/read to/race at unknown origin, with read to/
		s/\(do_idle.*\)$/\1 [rdma_rxe]/'
	race_stays "a race of another module is dropped" "" \
		's/\(do_idle.*\)$/\1 [not_rdma_rxe]/'
	race_stays "a report of a race without its end stays" "BUG: KCSAN" '15,$d'
	race_stays "such a report stays if another one follows" "BUG: KCSAN" '15,19d'
	race_stays "a warning within a report of a race stays" "WARNING: CPU: 0" \
		'6a [   61.203126] WARNING: CPU: 0 PID: 1 at mm/slub.c:1'
	race_stays "what comes after a report of a race stays" "BUG: Bad page" \
		'$a [   61.203127] BUG: Bad page state'
}

cmd_test_host()
{
	local fresh said=

	results=$1
	need_root_dir
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
	refuses_comments
	loses_no_results
	drops_others_races
}
