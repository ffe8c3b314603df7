# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# In the guest: run a test program, sum up its KTAP, check the kernel's log.
# The result of a test is left in /share/out/NAME.result (see ktap.awk) as soon
# as it is known, so that the host can tell in which test a guest died.

: "${TEST_LIMIT:=900}"
splats=/tmp/splats
grep -v '^#' /share/guest/splats >"$splats"
our_modules=$(find /rxe-odp -name '*.ko' -printf '%f|')rdma_rxe
our_modules=${our_modules//.ko/}

# The time limit of a test in seconds; LIMIT_FACTOR is for slow kernels. With
# LONG_TESTS some have a hundred rounds instead of three, see rounds_of().
limit_of()
{
	local limit

	limit=$(awk -v name="$1" -v long="${LONG_TESTS-}" '$1 == name {
		print $2 * ($3 == "rounds" && long == "yes" ? 34 : 1)
	}' /share/guest/limits)
	echo $((${limit:-$TEST_LIMIT} * ${LIMIT_FACTOR:-1}))
}

# The kernel's log since the test named $1 began: all of it when the ring has
# lost the beginning.
log_since()
{
	dmesg | awk -v mark="harness: starts $1" '
		substr($0, length($0) - length(mark) + 1) == mark { n = 0; next }
		{ line[++n] = $0 }
		END { for (i = 1; i <= n; i++) print line[i] }'
}

# Drop reports of vmalloc() for tests whose allocations fail on purpose, and those of the
# kernel's tracer, which warns where it has no memory for a module's events.
without_failures()
{
	awk '/ (fail_nth|mcast): vmalloc error: / { report = "</TASK>" }
		/-\[ cut here \]-/ { cut = $0 "\n"; next }
		cut && /WARNING: .* at kernel\/trace\/trace_events\.c:/ {
			report = "-[ end trace "
			cut = ""
		}
		{ printf "%s", cut; cut = "" }
		!report { print }
		report && index($0, report) { report = "" }
		END { printf "%s", cut }'
}

# Drop reports of the OOM killer for a control group: a test has reached the limit
# it set. Keep all other reports of the OOM killer.
without_limits()
{
	awk '/ invoked oom-killer: / { report = ""; held = 1; limit = 0 }
		/Memory cgroup stats for / { limit = 1 }
		!held { print }
		held { report = report $0 "\n" }
		held && /[Oo]ut of memory/ {
			if (!limit)
				printf "%s", report
			held = 0
		}
		END { if (held) printf "%s", report }'
}

# Drop KCSAN's reports of races that are entirely of others' code.
without_others_races()
{
	awk -v ours="$our_modules" -f /share/guest/races.awk
}

# makes_its_own TEST: whether it takes no notice of the two hosts, as all of its links
# are its own
makes_its_own()
{
	case $1 in
	arrivals | contexts | kernel_selftests.sh | links | paths)
		return 0
		;;
	esac
	return 1
}

# fresh_hosts TEST: none for one that makes its own
fresh_hosts()
{
	[ "${TOPOLOGY-}" = two_hosts ] || return 0
	two_hosts.sh down || return
	makes_its_own "$1" || two_hosts.sh up
}

# run_file FILE LIMIT LOG: run a test in a session of its own, showing its
# output as it comes. Processes that it leaves running are killed at its end.
run_file()
{
	local pid tail status=0

	setsid timeout --kill-after=10 "$2" "$1" </dev/null >>"$3" 2>&1 &
	pid=$!
	tail -n +1 -s 0.2 -f --pid="$pid" "$3" | sed -u 's/^/    /' &
	tail=$!
	wait "$pid" || status=$?
	pkill -KILL --session "$pid"
	wait "$tail"
	return "$status"
}

# program_of TEST: its file, in one of the folders of tests
program_of()
{
	printf '%s\n' ./*/"$1"
}

# run_one NAME FILE
run_one()
{
	local name=$1 log=/tmp/$1.log limit status=0 began=$SECONDS
	local passed failed skipped reasons

	limit=$(limit_of "$name")
	# the host waits for a silent guest as long as the test may take
	echo "@@ quiet $((limit + 60 * ${LIMIT_FACTOR:-1}))"
	: >"$log"
	echo "harness: starts $name" >/dev/kmsg
	if fresh_hosts "$name" >>"$log" 2>&1; then
		run_file "$2" "$limit" "$log" || status=$?
	else
		echo "# two_hosts.sh up failed" >>"$log"
		sed 's/^/    /' "$log"
		status=1
	fi
	read -r passed failed skipped reasons < <(awk -v "status=$status" \
		-v "limit=$limit" -f /share/guest/ktap.awk "$log")
	check_log "$name"
	cp "$log" /share/out/
	verdict "$name" "$passed" "$failed" "$skipped" $((SECONDS - began)) \
		"$reasons"
}

# check_log NAME: count splats in the kernel's log as a failure, in the caller's
# variables.
check_log()
{
	local first

	log_since "$1" | without_failures | without_limits | without_others_races \
		>/tmp/kernel.log
	first=$(grep -m 1 -E -f "$splats" /tmp/kernel.log) || return 0
	failed=$((failed + 1))
	reasons+="${reasons:+; }kernel log: $first"
	tail -n 120 /tmp/kernel.log | sed 's/^/    | /'
	cp /tmp/kernel.log "/share/out/$1.kernel.log"
}

# verdict NAME PASSED FAILED SKIPPED SECONDS REASONS
verdict()
{
	local word=pass

	[ "$2" -gt 0 ] || word=skip
	[ "$3" -eq 0 ] || word=FAIL
	echo "$2 $3 $4 $6" >"/share/out/$1.new"
	mv "/share/out/$1.new" "/share/out/$1.result"
	echo "$word $1: $2 passed, $3 failed, $4 skipped ($5 s)${6:+: $6}"
}
