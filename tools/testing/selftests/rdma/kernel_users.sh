#!/bin/bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# What the kernel itself does over RDMA: disks by NVMe over Fabrics and SRP, a
# file system by NFS. What was written is read back, on both sides. Needs root,
# rdma_rxe, fio and nfs-utils.

cd "$(dirname "$0")" || exit 1
: "${KSFT:=$(realpath ..)}"
# shellcheck source=/dev/null
. "$KSFT/kselftest/ktap_helpers.sh"

dir=$(mktemp -d)
hosts_are_ours=
nvmet=/sys/kernel/config/nvmet
target=/sys/kernel/config/target
ram=/dev/ram0
ram_kib=65536
uuid=10ab8bb3-5e55-4c5b-9a5c-6d0a0e2c6d6e
# block devices live in the first net namespace, on a link that is theirs
addr=10.1.0.1
link=rxe_disks

limited()
{
	timeout $((120 * ${LIMIT_FACTOR:-1})) "$@"
}

# eventually COMMAND...: true before half a minute is over
eventually()
{
	for _ in $(seq $((60 * ${LIMIT_FACTOR:-1}))); do
		"$@" && return
		sleep 0.5
	done
	return 1
}

set_up()
{
	if [ ! -e /sys/class/infiniband/rxe0 ]; then
		hosts_are_ours=yes
		./two_hosts.sh up >/dev/null 2>&1 || return
	fi
	mountpoint -q /sys/kernel/config ||
		mount -t configfs configfs /sys/kernel/config || return
	modprobe brd rd_nr=1 rd_size=$ram_kib || return
	ip link add disks0 type veth peer name disks1 &&
		ip addr add "$addr/24" dev disks0 &&
		ip link set disks0 up && ip link set disks1 up &&
		rdma link add "$link" type rxe netdev disks0
}

finish()
{
	ip link delete disks0
	modprobe -r brd
	[ -z "$hosts_are_ours" ] || ./two_hosts.sh down
	rm -r "$dir"
} 2>/dev/null

# put TEXT FILE
put()
{
	printf '%s' "$1" >"$2"
}

nvme_disk()
{
	local file

	for file in /sys/block/nvme*/device/subsysnqn; do
		[ "$(cat "$file" 2>/dev/null)" = disks ] || continue
		file=${file#/sys/block/}
		# a path of several to a disk is no disk itself
		[ -b "/dev/${file%%/*}" ] || continue
		printf '/dev/%s' "${file%%/*}"
		return
	done
}

nvme_disk_is_there()
{
	[ -b "$(nvme_disk)" ]
}

nvme_up()
{
	modprobe -a nvmet-rdma nvme-rdma &&
		mkdir -p $nvmet/subsystems/disks/namespaces/1 $nvmet/ports/1 &&
		put 1 $nvmet/subsystems/disks/attr_allow_any_host &&
		put $ram $nvmet/subsystems/disks/namespaces/1/device_path &&
		put 1 $nvmet/subsystems/disks/namespaces/1/enable &&
		put rdma $nvmet/ports/1/addr_trtype &&
		put ipv4 $nvmet/ports/1/addr_adrfam &&
		put $addr $nvmet/ports/1/addr_traddr &&
		put 4420 $nvmet/ports/1/addr_trsvcid &&
		ln -s $nvmet/subsystems/disks $nvmet/ports/1/subsystems/ &&
		limited tee /dev/nvme-fabrics >/dev/null <<-END &&
			transport=rdma,traddr=$addr,trsvcid=4420,nqn=disks,hostid=$uuid,hostnqn=nqn.2014-08.org.nvmexpress:uuid:$uuid
		END
		eventually nvme_disk_is_there
}

nvme_down()
{
	local file

	for file in /sys/class/nvme/*/subsysnqn; do
		[ "$(cat "$file" 2>/dev/null)" != disks ] ||
			limited tee "${file%/*}/delete_controller" <<<1 >/dev/null
	done
	rm -f $nvmet/ports/1/subsystems/disks
	rmdir $nvmet/ports/1 &&
		put 0 $nvmet/subsystems/disks/namespaces/1/enable &&
		rmdir $nvmet/subsystems/disks/namespaces/1 \
			$nvmet/subsystems/disks
}

# Written in random order, with many under way, and each block verified.
verify_blocks()
{
	limited fio --name=verify --filename="$1" --direct=1 --rw=randwrite \
		--bs="$2" --size="$3" --iodepth=16 --ioengine=libaio \
		--verify=crc32c --do_verify=1 --verify_fatal=1 >"$dir/log" 2>&1
}

verify_disk()
{
	verify_blocks "$1" 4k 4m && verify_blocks "$1" 60k 30m &&
		verify_blocks "$1" 1m 32m
}

# same_disk DISK: what it has is what its other side has
same_disk()
{
	sync
	blockdev --flushbufs "$ram"
	cmp -n $((32 << 20)) "$1" "$ram" >"$dir/log" 2>&1
}

# file_system DISK: files outlive their mount
file_system()
{
	local disk=$1

	mkdir -p "$dir/mnt"
	head -c 20000000 /dev/urandom >"$dir/data"
	{
		limited mkfs.ext4 -qF "$disk" &&
			mount "$disk" "$dir/mnt" &&
			limited cp "$dir/data" "$dir/mnt/" &&
			umount "$dir/mnt" &&
			blockdev --flushbufs "$disk" &&
			mount "$disk" "$dir/mnt" &&
			limited cmp "$dir/data" "$dir/mnt/data"
	} >"$dir/log" 2>&1
	set -- $?
	umount "$dir/mnt"
	return "$1"
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

# The requests under way fail or wait, and nothing is left of them.
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
			echo rdma 20049 >/proc/fs/nfsd/portlist &&
			exec sleep infinity" >"$dir/server" 2>&1 &
	nfs_pid=$!
	limited ip netns exec hosta bash -c "
		until mount -t nfs -o vers=4.2,proto=rdma,port=20049 \
			10.0.0.2:/ '$dir/nfs'; do
			sleep 1
		done && grep -q 'proto=rdma' /proc/mounts &&
		head -c 20000000 /dev/urandom >'$dir/data' &&
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

srp_disk()
{
	local disk

	for disk in /sys/block/sd*; do
		grep -qs LIO-ORG "$disk/device/vendor" || continue
		printf '/dev/%s' "${disk##*/}"
		return
	done
}

srp_disk_is_there()
{
	[ -b "$(srp_disk)" ]
}

srp_portal()
{
	local guid

	guid=$(cut -d : -f 5-8 "/sys/class/infiniband/$link/ports/1/gids/0")
	echo "$target/srpt/$guid/$guid"
}

srp_up()
{
	local guid core=$target/core/iblock_1/ram portal

	modprobe -a target_core_iblock sd_mod ib_srpt ib_srp &&
		mkdir -p $target/srpt &&
		put 5555 $target/srpt/discovery_auth/rdma_cm_port || return
	guid=$(cat /sys/module/ib_srpt/parameters/srpt_service_guid)
	portal=$(srp_portal)
	mkdir -p "$core" && put "udev_path=$ram" "$core/control" &&
		put 1 "$core/enable" && mkdir -p "$portal/lun/lun_0" &&
		ln -s "$core" "$portal/lun/lun_0/" &&
		put 1 "$portal/enable" &&
		mkdir -p "$portal/acls/$addr/lun_0" &&
		ln -s "$portal/lun/lun_0" "$portal/acls/$addr/lun_0/" &&
		limited tee "/sys/class/infiniband_srp/srp-$link-1/add_target" <<-END &&
			id_ext=${guid#0x},ioc_guid=${guid#0x},dest=$addr:5555
		END
		eventually srp_disk_is_there
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
		"$portal/lun/lun_0" "$portal" "${portal%/*}" \
		$target/core/iblock_1/ram $target/core/iblock_1
	modprobe -r ib_srp ib_srpt
}

srp()
{
	srp_up >"$dir/log" 2>&1 && verify_disk "$(srp_disk)" &&
		same_disk "$(srp_disk)" && file_system "$(srp_disk)"
	set -- $?
	srp_down >/dev/null 2>&1
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

ktap_set_plan 5
verdict "NVMe over Fabrics, each block verified" nvme_over_fabrics
verdict "a file system over NVMe" nvme_file_system
verdict "NVMe's link is deleted under load" nvme_link_deleted
verdict "NFS over RDMA" nfs_over_rdma
verdict "SRP, and a file system over it" srp
ktap_finished
