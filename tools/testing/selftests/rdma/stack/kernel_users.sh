#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Users of RDMA in the kernel: disks by NVMe over Fabrics, SRP and iSER, a file
# system by NFS. Data is read back and verified, on both sides. Needs root,
# rdma_rxe, fio, nfs-utils and open-iscsi.

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ../..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"
# shellcheck source-path=SCRIPTDIR
. ./disk_lib.sh

dir=$(mktemp -d)
hosts_are_ours=
target=/sys/kernel/config/target
core=$target/core/iblock_1/ram
iqn=iqn.2026-11.rxe-odp:disks
tpg=$target/iscsi/$iqn/tpgt_1
# block devices live in the first net namespace, on a link of their own
addr=10.1.0.1
link=rxe_disks

set_up()
{
	if [ ! -e /sys/class/infiniband/rxe0 ]; then
		hosts_are_ours=yes
		../lib/two_hosts.sh up >/dev/null 2>&1 || return
	fi
	ram_disk 65536 || return
	ip link add disks0 type veth peer name disks1 &&
		ip addr add "$addr/24" dev disks0 &&
		ip link set disks0 up && ip link set disks1 up &&
		rdma link add "$link" type rxe netdev disks0
}

finish()
{
	ip link delete disks0
	modprobe -r brd
	[ -z "$hosts_are_ours" ] || ../lib/two_hosts.sh down
	rm -r "$dir"
} 2>/dev/null

nvme_up()
{
	nvme_target_up $addr && nvme_connect $addr
}

nvme_down()
{
	nvme_disconnect
	nvme_target_down
}

nvme_over_fabrics()
{
	nvme_up >"$dir/log" 2>&1 && verify_disk "$(nvme_disk)" &&
		same_disk "$(nvme_disk)"
}

nvme_file_system()
{
	file_system "$(nvme_disk)"
}

# The requests under way fail or wait, and nothing leaks.
nvme_link_deleted()
{
	local disk fio

	disk=$(nvme_disk)
	limited fio --name=load --filename="$disk" --direct=1 --rw=randrw \
		--bs=64k --size=32m --iodepth=16 --ioengine=libaio \
		--allow_file_create=0 \
		--time_based --runtime=15 >"$dir/log" 2>&1 &
	fio=$!
	sleep 3
	limited rdma link delete "$link" >"$dir/log" 2>&1 || return
	nvme_down >"$dir/log" 2>&1 || return
	limited tail --pid=$fio -f /dev/null || return
	limited rdma link add "$link" type rxe netdev disks0 &&
		nvme_over_fabrics
	set -- $?
	nvme_down
	return "$1"
}

nfs_server()
{
	ip netns exec hostb "$@"
}

nfs_up()
{
	modprobe -a nfsd rpcrdma nfs || return
	mkdir -p "$dir/export" "$dir/nfs" /var/lib/nfs/v4recovery
	mount -t tmpfs tmpfs "$dir/export" || return
	echo "$dir/export *(rw,fsid=0,no_root_squash,insecure,no_subtree_check)" \
		>"$dir/exports"
	nfs_server bash -c "
		mount -t nfsd nfsd /proc/fs/nfsd
		mount --bind '$dir/exports' /etc/exports
		echo 10 >/proc/fs/nfsd/nfsv4gracetime
		echo 10 >/proc/fs/nfsd/nfsv4leasetime
		rpc.mountd -N 2 -N 3 -V 4 && exportfs -a &&
			rpc.nfsd -N 3 -V 4.2 2 &&
			echo rdma 20049 >/proc/fs/nfsd/portlist || exit
		# There was no server before whose clients could want their locks back:
		# do not wait for them. If this fails, the grace time above passes.
		echo Y >/proc/fs/nfsd/v4_end_grace
		exec sleep infinity" >"$dir/server" 2>&1 &
	nfs_pid=$!
	limited ip netns exec hosta bash -c "
		until mount -t nfs -o vers=4.2,proto=rdma,port=20049 \
			10.0.0.2:/ '$dir/nfs'; do
			sleep 1
		done && grep -q 'proto=rdma' /proc/mounts &&
		head -c 6000000 /dev/urandom >'$dir/data' &&
		cp '$dir/data' '$dir/nfs/' && sync -f '$dir/nfs/data' &&
		echo 3 >/proc/sys/vm/drop_caches &&
		cmp '$dir/data' '$dir/nfs/data' && umount '$dir/nfs'"
}

nfs_down()
{
	nfs_server bash -c "mount -t nfsd nfsd /proc/fs/nfsd
		rpc.nfsd 0; exportfs -ua; pkill rpc.mountd"
	kill "$nfs_pid"
	umount "$dir/export"
}

nfs_over_rdma()
{
	nfs_up >"$dir/log" 2>&1 && cmp "$dir/data" "$dir/export/data"
	set -- $?
	nfs_down >/dev/null 2>&1
	return "$1"
}

# The RAM disk as SCSI targets know it.
core_up()
{
	modprobe -a target_core_iblock sd_mod && mkdir -p "$core" &&
		put "udev_path=$ram" "$core/control" && put 1 "$core/enable"
}

core_down()
{
	rmdir "$core" "${core%/*}"
}

scsi_disk()
{
	local disk

	for disk in /sys/block/sd*; do
		grep -qs LIO-ORG "$disk/device/vendor" || continue
		printf '/dev/%s' "${disk##*/}"
		return
	done
}

scsi_disk_is_there()
{
	[ -b "$(scsi_disk)" ]
}

# verify_scsi_disk: all tests of such a disk
verify_scsi_disk()
{
	local disk

	disk=$(scsi_disk)
	verify_disk "$disk" && same_disk "$disk" && file_system "$disk"
}

srp_portal()
{
	local guid

	guid=$(cut -d : -f 5-8 "/sys/class/infiniband/$link/ports/1/gids/0")
	echo "$target/srpt/$guid/$guid"
}

srp_up()
{
	local guid portal

	modprobe -a ib_srpt ib_srp && core_up && mkdir -p $target/srpt &&
		put 5555 $target/srpt/discovery_auth/rdma_cm_port || return
	guid=$(cat /sys/module/ib_srpt/parameters/srpt_service_guid)
	portal=$(srp_portal)
	mkdir -p "$portal/lun/lun_0" &&
		ln -s "$core" "$portal/lun/lun_0/" &&
		put 1 "$portal/enable" &&
		mkdir -p "$portal/acls/$addr/lun_0" &&
		ln -s "$portal/lun/lun_0" "$portal/acls/$addr/lun_0/" &&
		limited tee "/sys/class/infiniband_srp/srp-$link-1/add_target" <<-END &&
			id_ext=${guid#0x},ioc_guid=${guid#0x},dest=$addr:5555
		END
		eventually scsi_disk_is_there
}

srp_down()
{
	local host portal

	portal=$(srp_portal)
	for host in /sys/class/srp_remote_ports/*/delete; do
		[ ! -e "$host" ] || put 1 "$host"
	done
	put 0 "$portal/enable"
	rm -f "$portal/acls/$addr/lun_0/lun_0" "$portal/lun/lun_0/ram"
	rmdir "$portal/acls/$addr/lun_0" "$portal/acls/$addr" \
		"$portal/lun/lun_0" "$portal" "${portal%/*}"
	core_down
	modprobe -r ib_srp ib_srpt
}

srp()
{
	srp_up >"$dir/log" 2>&1 && verify_scsi_disk
	set -- $?
	srp_down >/dev/null 2>&1
	return "$1"
}

iser_target_up()
{
	modprobe -a iscsi_target_mod ib_isert && core_up &&
		mkdir -p "$tpg/np/$addr:3260" "$tpg/lun/lun_0" &&
		put 1 "$tpg/np/$addr:3260/iser" &&
		ln -s "$core" "$tpg/lun/lun_0/" &&
		put 0 "$tpg/attrib/authentication" &&
		put 1 "$tpg/attrib/generate_node_acls" &&
		put 0 "$tpg/attrib/demo_mode_write_protect" &&
		put 1 "$tpg/enable"
}

iser_target_down()
{
	put 0 "$tpg/enable"
	rm -f "$tpg/lun/lun_0/ram"
	rmdir "$tpg/lun/lun_0" "$tpg/np/$addr:3260" "$tpg" "${tpg%/*}"
	core_down
	modprobe -r ib_iser ib_isert
}

on_node()
{
	limited iscsiadm -m node -T $iqn -p "$addr:3260,1" "$@"
}

iser_up()
{
	iser_target_up && modprobe ib_iser || return
	echo "InitiatorName=iqn.2026-11.rxe-odp:initiator" \
		>"$dir/initiatorname"
	mkdir -p /run/lock/iscsi
	# iscsid ends its whole process group when it ends
	setsid iscsid -f -i "$dir/initiatorname" &
	iscsid=$!
	on_node -I iser -o new &&
		on_node -o update -n node.session.auth.authmethod -v None &&
		on_node --login && eventually scsi_disk_is_there
}

iser_down()
{
	on_node --logout
	on_node -o delete
	kill "$iscsid"
	iser_target_down
}

# Check that the session is of iSER, not of TCP.
iser()
{
	iser_up >"$dir/log" 2>&1 &&
		limited iscsiadm -m session | grep -q ^iser: &&
		verify_scsi_disk
	set -- $?
	iser_down >/dev/null 2>&1
	return "$1"
}

# verdict NAME COMMAND
verdict()
{
	if "$2"; then
		ktap_test_pass "$1"
		return
	fi
	head -n 30 "$dir/log" | sed 's/^/# /'
	ktap_test_fail "$1"
}

ktap_print_header
trap finish EXIT
if ! command -v fio >/dev/null || ! modprobe -qn nvmet-rdma ||
	! set_up 2>"$dir/log"; then
	sed 's/^/# /' "$dir/log"
	ktap_skip_all "needs fio, nvmet-rdma, and an rxe link"
	exit "$KSFT_SKIP"
fi

ktap_set_plan 6
verdict "NVMe over Fabrics, each block verified" nvme_over_fabrics
verdict "a file system over NVMe" nvme_file_system
verdict "NVMe's link is deleted under load" nvme_link_deleted
verdict "NFS over RDMA" nfs_over_rdma
verdict "SRP, and a file system over it" srp
verdict "iSER, and a file system over it" iser
ktap_finished
