# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Boots one guest, shows the output of its command, and returns its status. For a
# guest that hangs, panics or dies there is a message, its console is kept, and the
# status is not zero.

most_tries=3	# boots, while the command has not started
guest_failed=125	# the exit status when it is not the command's own
qemu_args=()	# arguments that add_test_devices adds
# Flags of an emulated processor, to add or remove; in the environment, as
# GUEST_CMDLINE, for processes that boot one guest of two.
: "${GUEST_CPU=}"

# guest_limits KERNEL: defaults of the user's variables. A guest is slow if it has to
# be emulated, and far slower with the checks of a kernel that is built here. On rt
# each interrupt and each wait for a lock takes switches between threads.
guest_limits()
{
	if is_built "$1"; then
		: "${BOOT_LIMIT:=600}" "${TIME_LIMIT:=10800}" "${LIMIT_FACTOR:=4}"
	fi
	case $1 in
	debug)
		# KASAN keeps an eighth for itself, and what was freed for a while
		: "${MEM:=4096}"
		;;
	rt)
		: "${LIMIT_FACTOR:=2}"
		;;
	esac
	# of each storm; "make test-all" has ten minutes
	: "${STORM_SECONDS:=20}"
	: "${CPUS:=2}" "${MEM:=2048}" "${LIMIT_FACTOR:=1}"
	: "${BOOT_LIMIT:=180}"	# seconds to the start of the command
	: "${TIME_LIMIT:=1800}"	# seconds for the command
	# seconds without a line from the command, unless it sets another limit by a line
	# "@@ quiet SECONDS"
	: "${QUIET_LIMIT:=600}"
}

# Whether KVM works here. A /dev/kvm alone proves nothing: one may exist that starts
# firmware and never a kernel.
has_kvm()
{
	grep -qwE 'svm|vmx' /proc/cpuinfo && [ -w /dev/kvm ]
}

accelerator()
{
	if has_kvm; then
		printf '%s\n' -accel kvm -cpu host
	else
		printf '%s\n' -accel tcg,thread=multi -cpu "max$GUEST_CPU"
	fi
}

# The clocksource watchdog takes a busy host's delays for a TSC that is off. To
# turn the TSC off the kernel patches its own text, and emulated processors now
# and then run into a breakpoint of that after it is gone: an int3 oops.
emulation_cmdline()
{
	has_kvm || printf 'tsc=reliable\n'
}

# Switch off what only emulation makes slow: clearing memory at allocation, and
# copying by string instructions.
tuned_cmdline="init_on_alloc=0"
tuned_cpu=",-erms"

# tune_emulation: do so if the processor is emulated
tune_emulation()
{
	has_kvm || {
		GUEST_CMDLINE="$tuned_cmdline ${GUEST_CMDLINE-}"
		GUEST_CPU=$tuned_cpu
	}
}

# Tests make and remove links and namespaces all the time. Each removal waits for about
# ten grace periods of RCU, one after the other, and these take long where CPUs take
# turns: have the kernel hurry. What it does against leaks of processors has nothing to
# do with the driver, and slows each system call.
quick_cmdline="rcupdate.rcu_expedited=1 mitigations=off"

# Whether the guest of $share measures, which has to run as a user's kernel does: the
# two guests of "make bench" are booted as those of tests.
measures()
{
	grep -qs 'exec bench/' "$share/cmd"
}

# tune_for_tests KERNEL: "make test-all" (LONG_TESTS) and kernels built here, as debug,
# run without all that, as a mistake may show with grace periods of full length only.
tune_for_tests()
{
	[ "${LONG_TESTS-}" != yes ] && ! is_built "$1" || return 0
	tune_emulation
	measures || GUEST_CMDLINE="$quick_cmdline ${GUEST_CMDLINE-}"
}

# add_test_devices: devices for tests, in qemu_args, GUEST_CMDLINE and $share/env: a
# disk, persistent memory, and two equal memory nodes, between which the kernel
# moves no page by itself.
add_test_devices()
{
	truncate -s 4G "$share/disk"
	qemu_args=(-drive "file=$(qemu_path "$share")/disk,format=raw,if=virtio,cache=unsafe")
	GUEST_CMDLINE="numa=fake=2 numa_balancing=disable ${GUEST_CMDLINE-}"
	echo "export SCRATCH_DEV=/dev/vda" >>"$share/env"
	# Persistent memory is cut out of the guest's memory.
	[ "$MEM" -ge 2048 ] || return 0
	GUEST_CMDLINE="memmap=64M!1G $GUEST_CMDLINE"
	echo "export SCRATCH_PMEM=/dev/pmem0" >>"$share/env"
}

kernel_image()
{
	if is_built "$1"; then
		printf '%s/vmlinuz\n' "$(built_kernel_dir "$1")"
	else
		printf '%s/boot/vmlinuz-%s\n' "$root" "$(kernel_release "$1")"
	fi
}

# The modules without which a guest does not reach its root, as paths in the
# Debian root, in the order in which they are to be inserted.
boot_modules()
{
	local release module

	# Kernels built here have them built in.
	! is_built "$1" || return 0
	release=$(kernel_release "$1")
	for module in virtio_pci 9p 9pnet_virtio overlay; do
		in_root "$root" modprobe -S "$release" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# make_initramfs KERNEL: busybox and those modules, as $share/initramfs.
make_initramfs()
{
	local work=$share/initramfs.d path

	mkdir -p "$work"/{bin,modules,proc,sys,dev,lower,rw,newroot}
	cp "$root/bin/busybox" "$work/bin/"
	install -m 755 "$vm_dir/initramfs_init" "$work/init"
	for path in $(boot_modules "$1"); do
		cp "$root$path" "$work/modules/"
		case $path in
		*.xz)
			xz -d "$work/modules/${path##*/}"
			;;
		esac
		path=${path##*/}
		printf '%s\n' "${path%.xz}"
	done >"$work/modules/order"
	in_root "$root" --bind "$work" /mnt sh -c \
		'cd /mnt && find . | cpio --quiet -o -H newc | gzip -1' \
		>"$share/initramfs"
	rm -r "$work"
}

# new_share KERNEL: a private directory for one guest: its input and output.
new_share()
{
	mkdir -p "$cache/guests"
	share=$(mktemp -d "$cache/guests/$1.XXXXXX")
	mkdir "$share/out"
	# Read by uid 0 in the guest only, but tests may drop privileges.
	chmod 755 "$share"
	cp -r "$vm_dir/../guest" "$share/"
	cp "$vm_dir/limits" "$share/guest/"
	make_initramfs "$1"
}

# A path in QEMU's own syntax.
qemu_path()
{
	printf '%s' "${1//,/,,}"
}

start_qemu()
{
	local name=$1 accel

	shift
	mapfile -t accel < <(accelerator)
	exec qemu-system-x86_64 -machine q35 "${accel[@]}" \
		-smp "$CPUS" -m "$MEM" -display none -no-reboot -nodefaults \
		-kernel "$(kernel_image "$name")" -initrd "$share/initramfs" \
		-append "console=ttyS0 panic=-1 net.ifnames=0 $(emulation_cmdline) ${GUEST_CMDLINE-}" \
		-serial "file:$share/console.log" \
		-virtfs "local,path=$(qemu_path "$root"),mount_tag=root,security_model=none,readonly=on,multidevs=remap" \
		-virtfs "local,path=$(qemu_path "$share"),mount_tag=share,security_model=none,multidevs=remap" \
		"$@"
}

# No guest outlives the harness, however that ends.
qemu_pid=
kill_qemu()
{
	[ -n "$qemu_pid" ] || return 0
	kill -KILL "$qemu_pid" 2>/dev/null || true
	wait "$qemu_pid" 2>/dev/null || true
	qemu_pid=
}

# Read the command's output as it comes. Sets verdict to ended, boot (nothing
# of the command had started when time ran out), hung or quiet.
watch_guest()
{
	local fd=$1 line part='' began=$SECONDS last=$SECONDS started='' ret

	verdict=
	quiet_limit=$QUIET_LIMIT
	while [ -z "$verdict" ]; do
		ret=0
		IFS= read -r -t 2 -u "$fd" line || ret=$?
		if [ "$ret" -gt 128 ]; then
			part+=$line
		elif [ "$ret" -ne 0 ]; then
			[ -z "$part$line" ] || printf '%s\n' "$part$line"
			verdict=ended
			break
		else
			line=$part$line
			part=
			last=$SECONDS
			if [ -z "$started" ]; then
				[ "$line" = "@@ started" ] || continue
				started=yes
				began=$SECONDS
				continue
			fi
			if [[ $line =~ ^@@\ quiet\ ([0-9]+)$ ]]; then
				quiet_limit=${BASH_REMATCH[1]}
				continue
			fi
			printf '%s\n' "$line"
		fi
		if [ -z "$started" ]; then
			[ $((SECONDS - began)) -lt "$BOOT_LIMIT" ] || verdict=boot
		elif [ $((SECONDS - began)) -ge "$TIME_LIMIT" ]; then
			verdict=hung
		elif [ $((SECONDS - last)) -ge "$quiet_limit" ]; then
			verdict=quiet
		fi
	done
	[ -n "$started" ] || verdict=boot
}

# keep_console NAME: move the console to the logs, which survive the run.
keep_console()
{
	mkdir -p "$cache/logs"
	console=$cache/logs/console-$1-$(date +%Y%m%d-%H%M%S)-$$.log
	cp "$share/console.log" "$console" 2>/dev/null || : >"$console"
	# Keep the newest fifty.
	find "$cache/logs" -name 'console-*.log' -printf '%T@ %p\0' |
		sort -zrn | tail -zn +51 | cut -zd ' ' -f 2- | xargs -0r rm -f
}

guest_trouble()
{
	say "guest $1: $2"
	tail -n 25 "$share/console.log" 2>/dev/null | sed 's/^/    /' >&2
	say "guest $1: console kept in $console"
}

# boot_once KERNEL [qemu arguments...]
boot_once()
{
	local name=$1 fd

	shift
	: >"$share/console.log"
	rm -f "$share/out/status"
	# A fifo rather than a process substitution, to know QEMU's own pid.
	rm -f "$share/output"
	mkfifo "$share/output"
	(start_qemu "$name" -chardev stdio,id=out,signal=off \
		-serial chardev:out "$@") \
		>"$share/output" 2>"$share/qemu.log" </dev/null &
	qemu_pid=$!
	exec {fd}<"$share/output"
	watch_guest "$fd"
	exec {fd}<&-
	kill_qemu
}

# run_guest KERNEL [qemu arguments...]: boot with $share; the exit status is
# the command's.
run_guest()
{
	local name=$1 try status

	for ((try = 1; try <= most_tries; try++)); do
		boot_once "$@"
		[ "$verdict" = boot ] || break
		keep_console "$name"
		[ ! -s "$share/qemu.log" ] || cat "$share/qemu.log" >&2
		guest_trouble "$name" "died or hung early in its boot, before anything of the command had started"
		[ "$try" = "$most_tries" ] || say "guest $name: booting it again"
	done
	[ "$verdict" != boot ] || return "$guest_failed"
	keep_console "$name"
	case $verdict in
	hung)
		guest_trouble "$name" "not done after $TIME_LIMIT s, killed"
		return "$guest_failed"
		;;
	quiet)
		guest_trouble "$name" "no output for $quiet_limit s, killed"
		return "$guest_failed"
		;;
	esac
	if ! status=$(cat "$share/out/status" 2>/dev/null); then
		guest_trouble "$name" "died (panic or crash) before its command had ended"
		return "$guest_failed"
	fi
	return "$status"
}

# interactive_guest KERNEL: a shell on this terminal.
interactive_guest()
{
	local ret=0

	: >"$share/console.log"
	say "Ctrl-A X ends the guest, as does leaving its shell; kernel messages: dmesg"
	start_qemu_interactive "$1" || ret=$?
	keep_console "$1"
	return "$ret"
}

start_qemu_interactive()
(
	start_qemu "$1" -chardev stdio,id=out,mux=on,signal=off \
		-serial chardev:out -mon chardev=out
)
