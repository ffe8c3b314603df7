// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand memory backed by a disk: files, whose content has to be on the disk
 * after msync(), persistent memory, and swap, with a region larger than RAM.
 * SCRATCH_DEV and SCRATCH_PMEM name the disks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define SIZE	STREAM_SIZE
#define MIB	(1024 * 1024UL)

/**
 * struct disk - a file system with one file
 * @device: block device
 * @options: mount options
 * @dir: where
 * @file: the file, of SIZE bytes
 */
struct disk {
	const char *device;
	const char *options;
	char dir[30];
	int file;
};

static char *path_of(const struct disk *disk)
{
	static char path[40];

	snprintf(path, sizeof(path), "%s/file", disk->dir);
	return path;
}

static void disk_mount(struct disk *disk)
{
	command("mount -t ext4 -o %s %s %s", disk->options, disk->device,
		disk->dir);
	disk->file = open(path_of(disk), O_RDWR | O_CREAT, 0600);
	CHECK(disk->file >= 0);
	CHECK_EQ(ftruncate(disk->file, SIZE), 0);
}

static void disk_unmount(struct disk *disk)
{
	CHECK_EQ(close(disk->file), 0);
	command("umount %s", disk->dir);
}

static void disk_up(struct disk *disk, const char *device, const char *options)
{
	if (!device)
		skip("no disk to write to");
	if (device == scratch("SCRATCH_DEV"))
		scratch_free();
	disk->device = device;
	disk->options = options;
	snprintf(disk->dir, sizeof(disk->dir), "/tmp/rc_storage.XXXXXX");
	CHECK(mkdtemp(disk->dir));
	command("umount -q %s || true", device);
	/* blocks of a page, as DAX requires */
	command("mkfs.ext4 -q -F -b 4096 %s", device);
	disk_mount(disk);
}

static void disk_down(struct disk *disk)
{
	disk_unmount(disk);
	CHECK_EQ(rmdir(disk->dir), 0);
}

static void *map_file(const struct disk *disk, int flags)
{
	void *addr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, disk->file,
			  0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

static void *anonymous(size_t len)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

/* Check the file's content on the disk, with the page cache dropped. */
static void check_on_disk(struct disk *disk, unsigned int seed)
{
	unsigned char *content = anonymous(SIZE);

	disk_unmount(disk);
	disk_mount(disk);
	CHECK_EQ(pread(disk->file, content, SIZE, 0), SIZE);
	check_pattern(content, SIZE, seed);
	CHECK_EQ(munmap(content, SIZE), 0);
}

/* A peer writes the file twice; msync() cleans its pages in between. */
static void written_and_synced(struct disk *disk)
{
	unsigned char *memory = map_file(disk, MAP_SHARED);
	unsigned int round;
	struct stream s;

	stream_up_on(&s, W, anonymous(SIZE), memory);
	for (round = 0; round < 4; round++) {
		test_at("round %u", round);
		fill_pattern(s.local.addr, SIZE, round);
		do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
		CHECK_EQ(msync(memory, SIZE, MS_SYNC), 0);
	}
	stream_down(&s);
	CHECK_EQ(munmap(memory, SIZE), 0);
	check_on_disk(disk, 3);
}

/* Read from an uncached file: as the source of a read and of a write. */
static void read_from_disk(struct disk *disk)
{
	static const enum ibv_wr_opcode opcodes[] = { R, W };
	unsigned char *memory, *sink;
	struct stream s;
	unsigned int i;

	for (i = 0; i < NUM(opcodes); i++) {
		disk_unmount(disk);
		disk_mount(disk);
		memory = map_file(disk, MAP_SHARED);
		sink = anonymous(SIZE);
		stream_up_on(&s, opcodes[i], memory, sink);
		do_one(&s.pair.a, opcodes[i], buf_sge(&s.local, 0, SIZE),
		       &s.remote, 0);
		check_pattern(sink, SIZE, 3);
		stream_down(&s);
		CHECK_EQ(munmap(memory, SIZE), 0);
	}
}

/* Messages come while the file is synced, and its pages are reclaimed. */
static void synced_in_traffic(struct disk *disk)
{
	unsigned char *memory = map_file(disk, MAP_SHARED);
	unsigned long long felt;
	struct stream s;
	int round;

	stream_up_on(&s, W, anonymous(SIZE), memory);
	s.versions = true;
	felt = counter_sum("page_invalidations");
	stream_start(&s);
	for (round = 0; round < 30; round++) {
		CHECK_EQ(msync(memory, SIZE, MS_SYNC), 0);
		CHECK_EQ(madvise(memory, SIZE, MADV_PAGEOUT), 0);
		stream_pass(&s, 1);
	}
	stream_stop(&s);
	CHECK(counter_sum("page_invalidations") - felt >= 30);
	fill_pattern(s.local.addr, SIZE, 5);
	do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	CHECK_EQ(msync(memory, SIZE, MS_SYNC), 0);
	stream_down(&s);
	CHECK_EQ(munmap(memory, SIZE), 0);
	check_on_disk(disk, 5);
}

static void private_stays_private(struct disk *disk)
{
	unsigned char *memory = map_file(disk, MAP_PRIVATE);
	struct stream s;
	size_t at;

	stream_up_on(&s, W, anonymous(SIZE), memory);
	do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	check_pattern(s.local.addr, SIZE, 5);
	/* the driver's copy-on-write keeps the rest of each page */
	for (at = 0; at < SIZE; at += PAGE_BYTES)
		do_one(&s.pair.a, W, buf_sge(&s.local, at, 8), &s.remote, at + 8);
	CHECK_EQ(msync(memory, SIZE, MS_SYNC), 0);
	for (at = 0; at < SIZE; at += PAGE_BYTES)
		memcpy(s.local.addr + at + 8, s.local.addr + at, 8);
	CHECK(!memcmp(memory, s.local.addr, SIZE));
	stream_down(&s);
	CHECK_EQ(munmap(memory, SIZE), 0);
	check_on_disk(disk, 5);
}

/* The file is truncated while the peer writes to it. */
static void truncated(struct disk *disk)
{
	unsigned char *memory = map_file(disk, MAP_SHARED);
	struct stream s;

	stream_up_on(&s, W, anonymous(SIZE), memory);
	stream_start(&s);
	stream_pass(&s, 1);
	CHECK_EQ(ftruncate(disk->file, SIZE / 2), 0);
	stream_join(&s);
	CHECK_EQ(s.status, IBV_WC_REM_ACCESS_ERR);
	stream_down(&s);
	CHECK_EQ(munmap(memory, SIZE), 0);
	CHECK_EQ(ftruncate(disk->file, SIZE), 0);
}

static void use_disk(struct disk *disk)
{
	written_and_synced(disk);
	read_from_disk(disk);
	synced_in_traffic(disk);
	private_stays_private(disk);
	truncated(disk);
}

static void file_on_disk(void)
{
	struct disk disk;

	disk_up(&disk, scratch("SCRATCH_DEV"), "defaults");
	use_disk(&disk);
	disk_down(&disk);
}

static bool is_dax(const struct disk *disk)
{
	struct statx status;

	CHECK_EQ(syscall(SYS_statx, disk->file, "", AT_EMPTY_PATH,
			 STATX_BASIC_STATS, &status), 0);
	return status.stx_attributes & STATX_ATTR_DAX;
}

/* Persistent memory: the file's blocks are mapped by DAX, without a copy. */
static void file_on_pmem(void)
{
	struct disk disk;

	disk_up(&disk, scratch("SCRATCH_PMEM"), "dax=always");
	CHECK(is_dax(&disk));
	use_disk(&disk);
	disk_down(&disk);
}

/* On a full disk a hole gets no page: an error. */
static void disk_full(void)
{
	unsigned char *memory;
	struct stream s;
	struct disk disk;

	disk_up(&disk, scratch("SCRATCH_PMEM"), "defaults");
	command("dd if=/dev/zero of=%s/filler bs=64k 2>/dev/null || sync",
		disk.dir);
	memory = map_file(&disk, MAP_SHARED);
	stream_up_on(&s, W, anonymous(SIZE), memory);
	fill_pattern(s.local.addr, SIZE, 1);
	post_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	wait_status(s.pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	stream_down(&s);
	CHECK_EQ(munmap(memory, SIZE), 0);
	disk_down(&disk);
}

/*
 * A peer fills a region, message after message, and reads it back; little of it is
 * in memory at any time.
 */
static void fill_and_read_back(size_t len)
{
	const struct pair_config config = { .mtu = IBV_MTU_4096, .timeout = 20 };
	struct buf message, memory;
	struct pair pair;
	size_t at;

	set_mtu(4200);
	pair_up(&pair, &config);
	buf_get(&message, &pair.hosts[0], MIB, ALL_ACCESS);
	buf_reg(&memory, &pair.hosts[1], anonymous(len), len, ODP_ACCESS);
	for (at = 0; at < len; at += MIB) {
		test_at("write %zu MiB", at / MIB);
		fill_pattern(message.addr, MIB, at / MIB);
		do_one(&pair.a, W, buf_sge(&message, 0, MIB), &memory, at);
	}
	for (at = 0; at < len; at += MIB) {
		test_at("read %zu MiB", at / MIB);
		do_one(&pair.a, R, buf_sge(&message, 0, MIB), &memory, at);
		check_pattern(message.addr, MIB, at / MIB);
	}
	buf_put(&memory);
	buf_put(&message);
	pair_down(&pair);
}

#define GROUP	"/sys/fs/cgroup/rc_storage"

static void need_groups(void)
{
	if (access("/sys/fs/cgroup/cgroup.subtree_control", W_OK))
		skip("no control groups");
}

static void enter_group(const char *memory_max)
{
	char pid[20];

	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	CHECK(!mkdir(GROUP, 0755) || errno == EEXIST);
	write_file(GROUP "/memory.max", memory_max);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_file(GROUP "/cgroup.procs", pid);
}

static unsigned long group_value(const char *name)
{
	unsigned long value;
	char path[80];
	FILE *file;

	snprintf(path, sizeof(path), GROUP "/%s", name);
	file = fopen(path, "r");
	CHECK(file);
	CHECK_EQ(fscanf(file, "%lu", &value), 1);
	fclose(file);
	return value;
}

static void leave_group(void)
{
	char pid[20];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_file("/sys/fs/cgroup/cgroup.procs", pid);
	CHECK_EQ(rmdir(GROUP), 0);
}

static void above_the_limit(void)
{
	need_groups();
	need_swap();
	enter_group("32M");
	fill_and_read_back(96 * MIB);
	/* nothing is pinned, so the peak stayed within the limit */
	CHECK(group_value("memory.peak") <= 33 * MIB);
	leave_group();
	scratch_free();
}

static void need_time(void)
{
	if (!getenv("LONG_TESTS"))
		skip("takes minutes: LONG_TESTS=yes");
}

static unsigned long memory_of_machine(void)
{
	return sysconf(_SC_PHYS_PAGES) * PAGE_BYTES;
}

static void more_than_there_is(void)
{
	need_time();
	need_swap();
	fill_and_read_back((memory_of_machine() / 8 * 9) & -MIB);
	scratch_free();
}

/*
 * Memory that only peers use, beside memory that the CPU sweeps again and again,
 * both together above the memcg limit: aging has to tell reclaim that the former
 * is young. How well reclaim does is the kernel's affair, so this shows a figure
 * first of all; without aging by the driver it was a quarter on 6.12.
 */
static void hot_stays(void)
{
	const size_t hot = 24 * MIB, cold = 96 * MIB, step = 4 * MIB;
	const struct pair_config config = { .mtu = IBV_MTU_4096 };
	const unsigned int passes = 60;
	unsigned long long faults;
	unsigned char *scanned = anonymous(cold);
	struct buf message, memory;
	struct pair pair;
	unsigned int pass;
	size_t at;

	need_time();
	need_groups();
	need_swap();
	set_mtu(4200);
	pair_up(&pair, &config);
	enter_group("40M");
	buf_get(&message, &pair.hosts[0], MIB, ALL_ACCESS);
	buf_get(&memory, &pair.hosts[1], hot, ODP_ACCESS);
	fill_pattern(memory.addr, hot, 1);
	faults = counter_sum("page_faults");
	for (pass = 0; pass < passes; pass++) {
		test_at("pass %u", pass);
		for (at = 0; at < hot; at += MIB)
			do_one(&pair.a, R, buf_sge(&message, 0, MIB), &memory,
			       at);
		memset(scanned + pass * step % cold, pass, step);
	}
	faults = counter_sum("page_faults") - faults;
	printf("# %llu %% of the accesses to pages in use were faults\n",
	       faults * 100 / (passes * hot / PAGE_BYTES));
	CHECK(faults < passes * hot / PAGE_BYTES / 5);
	buf_put(&memory);
	buf_put(&message);
	pair_down(&pair);
	leave_group();
	scratch_free();
}

static const struct test tests[] = {
	{ "a file on a disk", file_on_disk },
	{ "a file in persistent memory", file_on_pmem },
	{ "a disk that is full", disk_full },
	{ "a region larger than its control group's limit",
	  above_the_limit, 300 },
	{ "a region larger than the memory", more_than_there_is, 1800 },
	{ "reclaim of pages that peers use", hot_stays, 300 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
