# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# make bench: this driver and the kernel's own in one guest, in turn, then as peers
# in two guests, and a report. See bench.py and bench_peers.py for the rows, and
# bench_report.py for the report. Features that only emulation makes slow are
# switched off for both drivers.

# tune yes|no: how the next guests boot
tune()
{
	GUEST_CMDLINE=$user_cmdline
	GUEST_CPU=
	[ "$1" = no ] || tune_emulation
	export GUEST_CMDLINE GUEST_CPU
}

# keep_figures NAME DIR: also those of a run that failed
keep_figures()
{
	[ ! -e "$share/out/figures.csv" ] ||
		cp "$share/out/figures.csv" "$2/$1.csv"
}

# bench_boot NAME: run bench.py in a guest; its figures become NAME.csv. Adds NAME
# to failed if it does not end well.
bench_boot()
{
	without_broken=yes
	prepare "$KERNEL"
	cat >>"$share/env" <<-ENV
		export RXE=none QUICK=${QUICK-} PAIRS=${PAIRS-}
		export ROWS=$(printf %q "${ROWS-}") DRIVERS="${DRIVERS-}"
		export LIMIT_KO=/rxe-odp/rxe_limit.ko
	ENV
	echo 'exec bench/bench.py /share/out/figures.csv' >"$share/cmd"
	say "booting a guest with $(kernel_version "$KERNEL") ($1), $((SECONDS / 60)) min after the beginning"
	run_guest "$KERNEL" || failed+=" $1"
	keep_figures "$1" "$bench_dir"
	rm -rf "$share"
}

# cmd_bench_peers DIR: run bench_peers.py in two guests, which load their drivers
# by themselves; its figures become DIR/peers.csv.
cmd_bench_peers()
{
	local dir=$1 share_of

	: "${MEM:=1024}"
	export MEM
	prepare_pair "$KERNEL" none "$KERNEL" none
	for share_of in "$share" "$share2"; do
		printf 'export PAIRS=%s ROWS=%q\n' "${PAIRS-}" "${ROWS-}" >>"$share_of/env"
		cat >"$share_of/cmd" <<-CMD
			exec bench/bench_peers.py /share/out/figures.csv
		CMD
	done
	boot_pair "$KERNEL" "$KERNEL" "$(kernel_version "$KERNEL") (peers)"
	keep_figures peers "$dir"
	[ "${statuses[ours]}${statuses[peer]}" = 00 ]
}

about_bench()
{
	local how="software emulation of two CPUs; tuned: $tuned_cmdline -cpu max$tuned_cpu"

	! has_kvm || how="hardware virtualisation, two CPUs"
	cat <<-ABOUT
		date        $(date -u +%Y-%m-%d)
		processor   $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs
		guest       $how
		kernel      $(kernel_version "$KERNEL")
		drivers     ours $(git -c safe.directory="$tree" -C "$tree" describe --always --dirty 2>/dev/null), and that kernel's own
		turns       ${PAIRS:-as many as bench.py has by itself} of each, medians
	ABOUT
}

# The boots to do: those that BOOTS names, or all.
chosen_boots()
{
	if [ -n "${BOOTS-}" ]; then
		echo "$BOOTS"
	elif [ -n "${QUICK-}" ]; then
		echo tuned
	else
		has_kvm && echo tuned peers || echo tuned stock peers
	fi
}

cmd_bench()
{
	local boot failed='' user_cmdline=${GUEST_CMDLINE-}

	: "${KERNEL:=newest}" "${TIME_LIMIT:=14400}"
	export KERNEL
	TOPOLOGY=none
	install_host_packages
	need_root_dir
	bench_dir=$cache/bench/$(date +%Y%m%d-%H%M%S)
	mkdir -p "$bench_dir"
	about_bench >"$bench_dir/about.txt"
	for boot in $(chosen_boots); do
		tune yes
		case $boot in
		tuned)
			bench_boot tuned
			;;
		stock)
			tune no
			# one column of the report: the main rows, three turns at most
			PAIRS=$((${PAIRS:-3} < 3 ? PAIRS : 3)) QUICK=1 bench_boot stock
			;;
		peers)
			"$0" bench-peers "$bench_dir" || failed+=" peers"
			;;
		esac
	done
	say "measured for $((SECONDS / 60)) min"
	# Report all figures, also after a failure.
	in_root "$root" --bind "$tree" /mnt/tree --bind "$bench_dir" /mnt/bench \
		python3 "/mnt/tree/$selftests/bench/bench_report.py" /mnt/bench
	say "the report: $bench_dir/report.html"
	[ -z "$failed" ] || die "did not end well:$failed"
}
