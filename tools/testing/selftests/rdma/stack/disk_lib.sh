# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Disks of the kernel over RDMA: NVMe's target and initiator, and tests of a disk.
# The caller has dir, a directory of its own, where log has the output of the last
# program.

nvmet=/sys/kernel/config/nvmet
ram=/dev/ram0
uuid=10ab8bb3-5e55-4c5b-9a5c-6d0a0e2c6d6e

# ram_disk KIB: the RAM disk behind the disks
ram_disk()
{
	mountpoint -q /sys/kernel/config ||
		mount -t configfs configfs /sys/kernel/config || return
	modprobe brd rd_nr=1 rd_size="$1"
}

limited()
{
	timeout $((120 * ${LIMIT_FACTOR:-1})) "$@"
}

# eventually COMMAND...: succeeds within half a minute
eventually()
{
	for _ in $(seq $((60 * ${LIMIT_FACTOR:-1}))); do
		"$@" && return
		sleep 0.5
	done
	return 1
}

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
		# skip a path of a multipath disk
		[ -b "/dev/${file%%/*}" ] || continue
		printf '/dev/%s' "${file%%/*}"
		return
	done
}

nvme_disk_is_there()
{
	[ -b "$(nvme_disk)" ]
}

# nvme_target_up ADDRESS: the RAM disk, to whoever connects
nvme_target_up()
{
	modprobe -a nvmet-rdma &&
		mkdir -p $nvmet/subsystems/disks/namespaces/1 $nvmet/ports/1 &&
		put 1 $nvmet/subsystems/disks/attr_allow_any_host &&
		put $ram $nvmet/subsystems/disks/namespaces/1/device_path &&
		put 1 $nvmet/subsystems/disks/namespaces/1/enable &&
		put rdma $nvmet/ports/1/addr_trtype &&
		put ipv4 $nvmet/ports/1/addr_adrfam &&
		put "$1" $nvmet/ports/1/addr_traddr &&
		put 4420 $nvmet/ports/1/addr_trsvcid &&
		ln -s $nvmet/subsystems/disks $nvmet/ports/1/subsystems/
}

nvme_target_down()
{
	rm -f $nvmet/ports/1/subsystems/disks
	rmdir $nvmet/ports/1 &&
		put 0 $nvmet/subsystems/disks/namespaces/1/enable &&
		rmdir $nvmet/subsystems/disks/namespaces/1 \
			$nvmet/subsystems/disks
}

# nvme_connect ADDRESS
nvme_connect()
{
	modprobe -a nvme-rdma &&
		limited tee /dev/nvme-fabrics >/dev/null <<-END &&
			transport=rdma,traddr=$1,trsvcid=4420,nqn=disks,hostid=$uuid,hostnqn=nqn.2014-08.org.nvmexpress:uuid:$uuid
		END
		eventually nvme_disk_is_there
}

nvme_disconnect()
{
	local file

	for file in /sys/class/nvme/*/subsysnqn; do
		[ "$(cat "$file" 2>/dev/null)" != disks ] ||
			limited tee "${file%/*}/delete_controller" <<<1 >/dev/null
	done
}

# verify_disk DISK: written in random order, with many under way, and each block
# verified; in blocks of three sizes, one after the other, by one fio, as that takes
# long to start.
verify_disk()
{
	limited fio --filename="$1" --direct=1 --rw=randwrite --iodepth=16 \
		--ioengine=libaio --verify=crc32c --do_verify=1 --verify_fatal=1 \
		--name=small --stonewall --bs=4k --size=2m \
		--name=odd --stonewall --bs=60k --size=9m \
		--name=large --stonewall --bs=1m --size=12m >"$dir/log" 2>&1
}

# same_disk DISK: its data is that of the RAM disk
same_disk()
{
	sync
	blockdev --flushbufs "$ram"
	cmp -n $((12 << 20)) "$1" "$ram" >"$dir/log" 2>&1
}

# file_system DISK: files outlive their mount
file_system()
{
	local disk=$1

	mkdir -p "$dir/mnt"
	head -c 6000000 /dev/urandom >"$dir/data"
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

