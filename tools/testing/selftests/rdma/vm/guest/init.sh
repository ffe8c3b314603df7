#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Process 1 of the guest, in the Debian root: set the machine up, load the
# driver that was asked for, run the command of /share, hand its exit status
# back, switch off. ttyS0 is the console, ttyS1 the command's own line.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root TERM=${TERM:-vt100} LC_ALL=C.UTF-8
export ODP_CORE_KO=/rxe-odp/odp_core_test.ko RXE_KO=/rxe-odp/rdma_rxe.ko
export FAST_REG_KO=/rxe-odp/rdma_fast_reg.ko
export BROKEN_KO=/rxe-odp/broken/rdma_rxe.ko
export RDMA_CORE_ROOT=/opt/rdma-core
export KSFT=/usr/src/kselftest/tools/testing/selftests
export RXE_SELFTESTS=/opt/newest-kernel/selftests/rdma
# Variables from the host: RXE, TOPOLOGY, MTU, INTERACTIVE and others.
# shellcheck source=/dev/null
. /share/env
console=/dev/ttyS0
line=/dev/ttyS1

set_up_machine()
{
	mount -t tmpfs tmpfs /tmp
	mount -t tmpfs tmpfs /run
	mkdir -p /dev/pts /dev/shm /dev/hugepages
	mount -t devpts -o gid=5,mode=620 devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t debugfs debugfs /sys/kernel/debug
	mount -t hugetlbfs hugetlbfs /dev/hugepages
	ln -sf /proc/self/fd /dev/fd
	hostname "${GUEST_NAME:-guest}"
	ip link set lo up
	# Lose no message of a test: send all to the console.
	dmesg --console-level debug
	sysctl -q kernel.printk_ratelimit=0 kernel.panic_on_oops=0
	bear_stops
	quick_namespaces
}

# A busy host may stop a guest for 20 seconds and more, which its kernel takes for a CPU that
# hangs, or a netdev that is never let go. What is wrong in earnest lasts longer.
bear_stops()
{
	local factor=${LIMIT_FACTOR:-1}

	# the watchdog's maximum is 60, and it waits for twice as long
	sysctl -q kernel.watchdog_thresh=$((factor > 3 ? 60 : 20 * factor)) \
		net.core.netdev_unregister_timeout_secs=$((60 * factor))
	echo $((60 * factor)) >/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
}

# Tests make hundreds of net namespaces. Once a module of tunnels is loaded, each gets
# netdevs of it that no test uses, and has to remove them at its end. A link-local
# address waits a second or two for another host that has it. By the last of these new
# namespaces take over what IPv6 has here: otherwise they begin with its defaults.
quick_namespaces()
{
	sysctl -q net.core.fb_tunnels_only_for_init_net=2 \
		net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.core.devconf_inherit_init_net=1
}

# A kernel that the harness has built is not in the root; its modules come with the share.
find_modules()
{
	local release

	release=$(uname -r)
	if [ -d /share/modules ] && [ ! -d "/lib/modules/$release" ]; then
		ln -s /share/modules "/lib/modules/$release"
	fi
}

# Disks for tests, if the host has attached some.
find_disks()
{
	[ -z "${SCRATCH_DEV-}" ] || modprobe virtio_blk
	[ -z "${SCRATCH_PMEM-}" ] || modprobe -a nd_e820 nd_pmem
}

load_driver()
{
	local module=/rxe-odp/rdma_rxe.ko dep

	modprobe -a ib_core ib_uverbs rdma_ucm veth
	case ${RXE:-ours} in
	none)
		return 0
		;;
	intree)
		# Its CRC32 is looked up by name in the crypto API.
		modprobe crc32_generic 2>/dev/null
		modprobe rdma_rxe
		return
		;;
	esac
	for dep in $(modinfo -F depends "$module" | tr , ' ') \
		$(modinfo -F softdep "$module" | sed 's/pre://;s/post:.*//'); do
		modprobe "$dep" || echo "guest: $dep does not load"
	done
	insmod "$module" || return
	# O: built out of tree, so not the kernel's own of the same name.
	grep -q O /sys/module/rdma_rxe/taint || {
		echo "guest: the loaded rdma_rxe is not ours"
		return 1
	}
}

set_up_hosts()
{
	case ${TOPOLOGY:-none} in
	two_hosts)
		two_hosts.sh up
		;;
	cable)
		modprobe virtio_net
		ip link set eth0 mtu "${MTU:-1500}" up
		ip addr add "$CABLE_ADDR/24" dev eth0
		# without a driver this would load the kernel's own
		[ "${RXE:-ours}" = none ] ||
			rdma link add rxe0 type rxe netdev eth0
		;;
	esac
}

run_command()
{
	cd /rxe-odp/tests 2>/dev/null || cd /root || return
	if [ -n "${INTERACTIVE-}" ]; then
		setsid --ctty --wait bash -l <>"$line" >&0 2>&1
	else
		setsid --wait bash /share/cmd </dev/null >"$line" 2>&1
	fi
}

main()
{
	local status

	set_up_machine
	find_modules
	find_disks
	mkdir /rxe-odp
	cp -a /share/build/. /rxe-odp/ 2>/dev/null
	PATH=$(printf '%s:' /rxe-odp/tests/*)$PATH
	if [ -n "${INTERACTIVE-}" ]; then
		stty -F "$line" sane ${ROWS:+rows "$ROWS"} ${COLS:+cols "$COLS"}
	else
		stty -F "$line" raw -echo
	fi
	: >/share/out/booted
	echo "@@ started" >"$line"
	echo "harness: starts boot" >/dev/kmsg
	if { load_driver && set_up_hosts; } >"$line" 2>&1; then
		run_command
		status=$?
	else
		echo "guest: set-up failed" >"$line"
		status=124
	fi
	sync
	echo "$status" >/share/out/status.new
	mv /share/out/status.new /share/out/status
}

main </dev/null >"$console" 2>&1
sync
umount /share 2>/dev/null
echo o >/proc/sysrq-trigger
sleep 60
