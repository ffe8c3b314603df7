# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# For package_test.sh: rxe-link in each state, with a sysfs of files, and with rdma,
# modprobe and modinfo that are scripts, which do there what the kernel would.

stubs=/mnt/build/stubs

write_stub()
{
	cat >"$stubs/$1"
	chmod +x "$stubs/$1"
}

# A program fails with what is in $stubs/fails-PROGRAM.
make_stubs()
{
	mkdir -p "$stubs"
	write_stub rdma <<-'STUB'
		#!/bin/sh
		echo "rdma $*" >>/mnt/build/stubs/calls
		cat /mnt/build/stubs/fails-rdma >&2 2>/dev/null && exit 1
		case $1$2 in
		linkadd)
			mkdir "/sys/class/infiniband/$3"
			echo "$7" >"/sys/class/infiniband/$3/parent"
			;;
		linkdelete)
			rm -r "/sys/class/infiniband/$3"
			;;
		esac
	STUB
	write_stub modprobe <<-'STUB'
		#!/bin/sh
		cat /mnt/build/stubs/fails-modprobe >&2 2>/dev/null && exit 1
		[ ! -e /sys/module/rdma_rxe ] || exit 0
		mkdir -p /sys/module/rdma_rxe
		version=$(modinfo -F version rdma_rxe)
		[ -z "$version" ] || echo "$version" >/sys/module/rdma_rxe/version
	STUB
	write_stub modinfo <<-'STUB'
		#!/bin/sh
		cat /mnt/build/stubs/installed 2>/dev/null || true
	STUB
}

# A host with a netdev, a VLAN and rxe-odp 1.2.3, and nothing loaded
new_host()
{
	find /sys -mindepth 1 -delete
	rm -f "$stubs"/fails-* "$stubs/calls"
	mkdir -p /sys/module /sys/class/infiniband/mlx5_0 /sys/class/net/{eth0,my-eth,eth0.5}
	touch /sys/class/net/{eth0,my-eth}/uevent
	echo DEVTYPE=vlan >/sys/class/net/eth0.5/uevent
	echo 1.2.3 >"$stubs/installed"
}

run_link()
{
	PATH=$stubs:$PATH "$link" "$@" >"$said" 2>&1
}

refuses_with()
{
	local words=$1

	shift
	! run_link "$@" || wrong "it did not fail" || return
	says "$words" || return
	[ "$(wc -l <"$said")" = 1 ] || wrong "it says more than a line"
}

# is_link NAME NETDEV
is_link()
{
	[ "$(cat "/sys/class/infiniband/$1/parent" 2>/dev/null)" = "$2" ] ||
		wrong "no link $1 on $2: $(ls /sys/class/infiniband)"
}

adds()
{
	local name

	new_host
	for name in eth0 my-eth; do
		run_link add "$name" || wrong "exit status $?" || return
		is_link "rxe_$name" "$name" || return
		says "rxe-odp 1.2.3 is loaded" || return
	done
}

adds_once()
{
	new_host
	mkdir /sys/class/infiniband/rxe0
	echo eth0 >/sys/class/infiniband/rxe0/parent
	run_link add eth0 || wrong "exit status $?" || return
	says "eth0 has a link already: rxe0" || return
	[ ! -e "$stubs/calls" ] || wrong "it called $(cat "$stubs/calls")"
}

deletes()
{
	new_host
	run_link add eth0 && run_link add my-eth && run_link delete my-eth ||
		wrong "exit status $?" || return
	is_link rxe_eth0 eth0 || return
	[ ! -e /sys/class/infiniband/rxe_my-eth ] || wrong "my-eth has its link still" || return
	run_link delete my-eth || wrong "once more: exit status $?"
}

# a link that an administrator has given another name
deletes_renamed()
{
	new_host
	run_link add eth0 && mv /sys/class/infiniband/{rxe_eth0,other} && run_link delete eth0 ||
		wrong "exit status $?" || return
	[ ! -e /sys/class/infiniband/other ] || wrong "the link is there still"
}

refusals()
{
	new_host
	refuses_with "error: there is no netdev eth7" add eth7 &&
		refuses_with "error: eth0.5 is a VLAN" add eth0.5 &&
		refuses_with "error: usage: rxe-link add NETDEV" add &&
		refuses_with "error: usage: rxe-link add NETDEV" &&
		refuses_with "error: usage: rxe-link add NETDEV" none eth0 || return
	[ ! -e /sys/module/rdma_rxe ] || wrong "it has loaded the module"
}

failures()
{
	new_host
	echo "modprobe: FATAL: Module rdma_rxe not found" >"$stubs/fails-modprobe"
	refuses_with "error: cannot load rdma_rxe: modprobe: FATAL: Module" add eth0 || return
	echo "modprobe: ERROR: could not insert: Key was rejected by service" \
		>"$stubs/fails-modprobe"
	refuses_with "by service: the firmware has to know the key (mokutil" add eth0 || return
	rm "$stubs/fails-modprobe"
	echo "error: Operation not permitted" >"$stubs/fails-rdma"
	# the other line says which driver is loaded
	! run_link add eth0 || wrong "add did not fail" || return
	says "error: cannot add rxe_eth0: error: Operation not permitted" || return
	rm "$stubs/fails-rdma"
	run_link add eth0
	echo "error: Device or resource busy" >"$stubs/fails-rdma"
	refuses_with "error: cannot delete rxe_eth0: error: Device" delete eth0
}

# rdma is hidden by a file that cannot be run, where there is one.
no_rdma()
{
	local file status

	new_host
	mv "$stubs/rdma" "$stubs/rdma.away"
	file=$(command -v rdma) && mount --bind /dev/null "$(readlink -f "$file")"
	refuses_with "error: rdma not found (Debian: package iproute2)" add eth0
	status=$?
	[ -z "$file" ] || umount "$(readlink -f "$file")"
	mv "$stubs/rdma.away" "$stubs/rdma"
	return "$status"
}

# loaded VERSION INSTALLED WORDS: it says so; a link is added all the same
loaded()
{
	new_host
	mkdir /sys/module/rdma_rxe
	[ -z "$1" ] || echo "$1" >/sys/module/rdma_rxe/version
	rm "$stubs/installed"
	[ -z "$2" ] || echo "$2" >"$stubs/installed"
	refuses_with "$3" check || return
	run_link add eth0 || wrong "exit status $?" || return
	says "$3" || return
	is_link rxe_eth0 eth0
}

other_drivers()
{
	loaded "" 1.2.3 "warning: the kernel's own rdma_rxe is loaded, though rxe-odp 1.2.3 is installed" &&
		loaded "" "" "warning: the kernel's own rdma_rxe is loaded: rxe-odp is not built for" &&
		loaded 1.2.2 1.2.3 "warning: rxe-odp 1.2.2 is loaded, though rxe-odp 1.2.3 is installed" &&
		loaded 1.2.2 "" "warning: rxe-odp 1.2.2 is loaded, though the kernel's own rdma_rxe is"
}

nothing_loaded()
{
	new_host
	refuses_with "rdma_rxe is not loaded; modprobe would load rxe-odp 1.2.3" check || return
	rm "$stubs/installed"
	refuses_with "modprobe would load the kernel's own" check || return
	new_host
	run_link add eth0
	run_link check || wrong "check: exit status $?"
}

# systemd takes the priority from the line's beginning
tells_the_journal()
{
	new_host
	mkdir /sys/module/rdma_rxe
	JOURNAL_STREAM=8:1 run_link add eth0 || wrong "exit status $?" || return
	grep -q "^<4>warning: the kernel's own" "$said" || wrong "no priority"
}

test_link()
{
	make_stubs
	mount -t tmpfs tmpfs /sys
	check "a link for a netdev" adds
	check "a netdev that has a link keeps it" adds_once
	check "the netdev's link is deleted, and no other" deletes
	check "a link by another name is deleted" deletes_renamed
	check "what has no link: one line, and nothing is loaded" refusals
	check "what modprobe and rdma say is passed on" failures
	check "without rdma: one line" no_rdma
	check "another driver than the installed: one line" other_drivers
	check "rxe-link check" nothing_loaded
	check "warnings have their priority in the journal" tells_the_journal
	umount /sys
}
