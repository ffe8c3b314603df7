# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# make bench: this driver and the kernel's own in one guest, in turn, and what
# came of it. See bench.py for what is measured, and bench_report.py for the
# report. What only emulation makes slow is switched off for both drivers.

# bench_boot NAME: run bench.py in a guest; its figures become NAME.csv.
bench_boot()
{
	prepare "$KERNEL"
	cat >>"$share/env" <<-ENV
		export RXE=none QUICK=${QUICK-} PAIRS=${PAIRS-}
		export ROWS="${ROWS-}" DRIVERS="${DRIVERS-}"
		export LIMIT_KO=/rxe-odp/rxe_limit.ko
	ENV
	echo 'exec ./bench.py /share/out/figures.csv' >"$share/cmd"
	say "booting a guest with $(kernel_version "$KERNEL") ($1)"
	run_guest "$KERNEL" || die "the bench did not end well"
	cp "$share/out/figures.csv" "$bench_dir/$1.csv"
	rm -rf "$share"
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

cmd_bench()
{
	: "${KERNEL:=newest}" "${TIME_LIMIT:=14400}"
	TOPOLOGY=none
	install_host_packages
	need_root_dir
	bench_dir=$cache/bench/$(date +%Y%m%d-%H%M%S)
	mkdir -p "$bench_dir"
	about_bench >"$bench_dir/about.txt"
	tune_emulation
	bench_boot tuned
	if [ -z "${QUICK-}" ] && ! has_kvm; then
		GUEST_CMDLINE=${GUEST_CMDLINE#"$tuned_cmdline "}
		guest_cpu=
		QUICK=1 bench_boot stock
	fi
	in_root "$root" --bind "$tree" /mnt/tree --bind "$bench_dir" /mnt/bench \
		python3 "/mnt/tree/$selftests/bench_report.py" /mnt/bench
	say "the report: $bench_dir/report.html"
}
