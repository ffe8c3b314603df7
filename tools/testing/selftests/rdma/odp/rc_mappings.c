// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand memory of every kind, and all changes that a kernel makes to memory
 * by itself: peers read and write the same data as the CPU.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define SIZE	STREAM_SIZE
#define PAGES	(SIZE / PAGE_BYTES)

static void *map(int flags, int fd)
{
	void *addr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

static void *anonymous(void)
{
	return map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void *anonymous_shared(void)
{
	return map(MAP_SHARED | MAP_ANONYMOUS, -1);
}

static void *heap(void)
{
	void *addr = malloc(SIZE);

	CHECK(addr);
	return addr;
}

static void *program_break(void)
{
	void *addr = sbrk(SIZE);

	CHECK(addr != (void *)-1);
	return addr;
}

static void *data_segment(void)
{
	static unsigned char data[SIZE] = { 1 };

	return data;
}

static int memory_file(void)
{
	int fd = memfd_create("mapping", 0);

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, SIZE), 0);
	return fd;
}

static void *memfd_shared(void)
{
	return map(MAP_SHARED, memory_file());
}

static void *memfd_private(void)
{
	return map(MAP_PRIVATE, memory_file());
}

static void *posix_shared(void)
{
	int fd = shm_open("/rc_mappings", O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0);
	CHECK_EQ(shm_unlink("/rc_mappings"), 0);
	CHECK_EQ(ftruncate(fd, SIZE), 0);
	return map(MAP_SHARED, fd);
}

static void *system_v_shared(void)
{
	int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
	void *addr = shmat(id, NULL, 0);

	CHECK(addr != (void *)-1);
	CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
	return addr;
}

static void *transparent_huge(void)
{
	void *addr = map_aligned(HUGE_BYTES);

	madvise(addr, HUGE_BYTES, MADV_HUGEPAGE);
	return addr;
}

static const struct {
	const char *name;
	void *(*get)(void);
} kinds[] = {
	{ "anonymous", anonymous },
	{ "anonymous, shared", anonymous_shared },
	{ "heap", heap },
	{ "program break", program_break },
	{ "data segment", data_segment },
	{ "file, shared", memfd_shared },
	{ "file, private", memfd_private },
	{ "POSIX shared memory", posix_shared },
	{ "System V shared memory", system_v_shared },
	{ "transparent huge page", transparent_huge },
};

static void use_both_ways(struct pair *pair, const char *name,
			  unsigned char *memory)
{
	static const enum ibv_wr_opcode opcodes[] = { W, R };
	unsigned char *other = anonymous();
	struct buf near, far, *source, *sink;
	unsigned int i, swapped;

	for (i = 0; i < NUM(opcodes); i++)
		for (swapped = 0; swapped < 2; swapped++) {
			test_at("%s, opcode %d, %u", name, opcodes[i], swapped);
			buf_reg(&near, &pair->hosts[0],
				swapped ? other : memory, SIZE,
				ODP_ACCESS);
			buf_reg(&far, &pair->hosts[1],
				swapped ? memory : other, SIZE,
				ODP_ACCESS);
			source = opcodes[i] == R ? &far : &near;
			sink = opcodes[i] == R ? &near : &far;
			fill_pattern(source->addr, SIZE, 2 * i + swapped);
			do_one(&pair->a, opcodes[i], buf_sge(&near, 5, SIZE - 11),
			       &far, 5);
			CHECK(!memcmp(source->addr + 5, sink->addr + 5,
				      SIZE - 11));
			CHECK_EQ(ibv_dereg_mr(near.mr), 0);
			CHECK_EQ(ibv_dereg_mr(far.mr), 0);
		}
	CHECK_EQ(munmap(other, SIZE), 0);
}

static void all_kinds(void)
{
	const struct pair_config config = {};
	unsigned char stack[SIZE];
	struct pair pair;
	unsigned int i;

	pair_up(&pair, &config);
	for (i = 0; i < NUM(kinds); i++)
		use_both_ways(&pair, kinds[i].name, kinds[i].get());
	use_both_ways(&pair, "stack", stack);
	pair_down(&pair);
}

/* A peer's write to a private mapping does not change the file. */
static void private_file(void)
{
	int fd = memory_file();
	unsigned char *view = map(MAP_SHARED, fd);
	struct stream s;

	fill_pattern(view, SIZE, 1);
	stream_up_on(&s, W, anonymous(), map(MAP_PRIVATE, fd));
	/* the driver has the file's own pages before it writes */
	do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	check_pattern(s.local.addr, SIZE, 1);
	fill_pattern(s.local.addr, SIZE, 2);
	do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE / 2), &s.remote, 0);
	check_pattern(s.remote.addr, SIZE / 2, 2);
	check_pattern(view, SIZE, 1);
	/* pages that were not written to still follow the file */
	fill_pattern(view, SIZE, 3);
	do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	check_pattern(s.local.addr, SIZE / 2, 2);
	CHECK(!memcmp(s.local.addr + SIZE / 2, view + SIZE / 2, SIZE / 2));
	stream_down(&s);
}

/* A hole in a file is zero, also in its mappings. */
static void holes(void)
{
	int fd = memory_file(), round;
	struct stream s;

	stream_up_on(&s, W, anonymous(), map(MAP_SHARED, fd));
	for (round = 0; round < 4; round++) {
		fill_pattern(s.local.addr, SIZE, round);
		do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
		if (round % 2)
			CHECK_EQ(madvise(s.remote.addr, SIZE, MADV_REMOVE), 0);
		else
			CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE |
					   FALLOC_FL_KEEP_SIZE, 0, SIZE), 0);
		do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
		check_bytes(s.local.addr, SIZE, 0);
	}
	/* beyond the end of the file accesses fail, without a signal */
	CHECK_EQ(ftruncate(fd, SIZE / 2), 0);
	do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE / 2), &s.remote, 0);
	post_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	wait_status(s.pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	stream_down(&s);
}

/* A region may be larger than its mapping, which may grow. */
static void growing(void)
{
	unsigned char *memory = anonymous();
	struct stream s;

	stream_up_on(&s, W, anonymous(), memory);
	CHECK_EQ(munmap(memory + SIZE / 2, SIZE / 2), 0);
	fill_pattern(s.local.addr, SIZE, 1);
	do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE / 2), &s.remote, 0);
	CHECK(mremap(memory, SIZE / 2, SIZE, 0) == memory);
	check_bytes(memory + SIZE / 2, SIZE / 2, 0);
	do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	check_pattern(memory, SIZE, 1);
	CHECK(mremap(memory, SIZE, SIZE / 2, 0) == memory);
	do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE / 2), &s.remote, 0);
	post_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	wait_status(s.pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	stream_down(&s);
}

/* A peer's write to a page under MADV_FREE keeps reclaim from dropping it. */
static void free_until_written(void)
{
	size_t i, left = 0;
	struct stream s;

	need_swap();
	stream_up(&s, W);
	fill_pattern(s.local.addr, SIZE, 1);
	memset(s.remote.addr, 7, SIZE);
	do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	check_bytes(s.local.addr, SIZE, 7);
	fill_pattern(s.local.addr, SIZE, 1);
	CHECK_EQ(madvise(s.remote.addr, SIZE, MADV_FREE), 0);
	do_one(&s.pair.a, W, buf_sge(&s.local, 0, SIZE / 2), &s.remote, 0);
	page_out(s.remote.addr, SIZE);
	check_pattern(s.remote.addr, SIZE / 2, 1);
	for (i = SIZE / 2; i < SIZE; i++)
		left += s.remote.addr[i] == 7;
	CHECK_EQ(left % PAGE_BYTES, 0);
	stream_down(&s);
	scratch_free();
}

/*
 * Change both sides' memory while numbered messages go through it. Returns how
 * many pages the driver's own tables have lost by it.
 */
static unsigned long long disturb(void *source, void *sink,
				  void (*once)(void *addr), unsigned int rounds)
{
	static const enum ibv_wr_opcode opcodes[] = { W, R };
	unsigned long long before = counter_sum("page_invalidations");
	unsigned int i, round;
	struct stream s;

	for (i = 0; i < NUM(opcodes); i++) {
		stream_up_on(&s, opcodes[i], source, sink);
		s.versions = true;
		stream_start(&s);
		for (round = 0; round < rounds; round++) {
			test_at("opcode %d, round %u", opcodes[i], round);
			once(source);
			once(sink);
			stream_pass(&s, 1);
		}
		stream_stop(&s);
		stream_down(&s);
	}
	return counter_sum("page_invalidations") - before;
}

/* Pages in use by peers are not reclaimed, so only some of them go. */
static void swap_once(void *addr)
{
	CHECK_EQ(madvise(addr, SIZE, MADV_PAGEOUT), 0);
}

/* All pages are swapped out, between messages and during them. */
static void swap_all(enum ibv_wr_opcode opcode, void *source, void *sink)
{
	struct stream s;
	int round;

	stream_up_on(&s, opcode, source, sink);
	for (round = 0; round < 5; round++) {
		test_at("opcode %d, round %d", opcode, round);
		fill_pattern(source, SIZE, round);
		page_out(source, SIZE);
		do_one(&s.pair.a, opcode, buf_sge(&s.local, 0, SIZE), &s.remote,
		       0);
		page_out(sink, SIZE);
		check_pattern(sink, SIZE, round);
	}
	stream_down(&s);
	disturb(source, sink, swap_once, 20);
}

static void swapped(void)
{
	need_swap();
	swap_all(W, anonymous(), anonymous());
	swap_all(R, anonymous(), anonymous());
	swap_all(W, anonymous_shared(), memfd_shared());
	swap_all(R, memfd_shared(), anonymous_shared());
	scratch_free();
}

/* move each page to the node where it is not */
static void migrate_once(void *addr)
{
	int to[PAGES], at[PAGES];
	void *pages[PAGES];
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		pages[i] = addr + i * PAGE_BYTES;
	if (syscall(SYS_move_pages, 0, PAGES, pages, NULL, at, 0))
		skip("no page migration");
	for (i = 0; i < PAGES; i++)
		to[i] = at[i] == 0;
	/* pages that are busy are not moved */
	CHECK(syscall(SYS_move_pages, 0, PAGES, pages, to, at, 1 << 1) >= 0);
}

static void migrated(void)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		skip("one memory node only");
	CHECK(disturb(anonymous(), anonymous(), migrate_once, 50) >= 50);
	CHECK(disturb(anonymous_shared(), memfd_shared(), migrate_once, 50) >= 50);
}

static unsigned int collapses;

/* A huge page splits, and khugepaged collapses it again, elsewhere. */
static void split_and_collapse_once(void *addr)
{
	CHECK_EQ(madvise(addr + 3 * PAGE_BYTES, PAGE_BYTES, MADV_COLD), 0);
	/* fails while pages are in use */
	collapses += !madvise(addr, HUGE_BYTES, MADV_COLLAPSE);
}

static void split_and_collapsed(void)
{
	unsigned char *memory = transparent_huge();

	memory[0] = 1;
	if (madvise(memory, HUGE_BYTES, MADV_COLLAPSE))
		skip("no huge page is free");
	CHECK(disturb(memory, transparent_huge(), split_and_collapse_once,
		      30) >= 30);
	CHECK(collapses >= 10);
}

/* memory of which every other page is free again */
static void *make_gaps(size_t len)
{
	unsigned char *memory = map_aligned(len);
	size_t at;

	small_pages(memory, len);
	memset(memory, 1, len);
	for (at = 0; at < len; at += 2 * PAGE_BYTES)
		CHECK_EQ(madvise(memory + at, PAGE_BYTES, MADV_DONTNEED), 0);
	return memory;
}

static void compact_once(void *addr)
{
	write_file("/proc/sys/vm/compact_memory", "1");
}

/* Compaction moves scattered pages together. */
static void compacted(void)
{
	const size_t len = 32UL << 20;
	unsigned long long moved = 0;
	unsigned int tries;
	void *memory;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		skip("no compaction");
	for (tries = 0; !moved; tries++) {
		CHECK(tries < 20);
		memory = make_gaps(len);
		moved = disturb(anonymous(), anonymous(), compact_once, 2);
		CHECK_EQ(munmap(memory, len), 0);
	}
}

static void set_ksm(const char *run)
{
	write_file("/sys/kernel/mm/ksm/run", run);
}

static bool all_merged(const unsigned char *memory)
{
	unsigned long first = page_frame(memory);
	unsigned int i;

	for (i = 1; i < PAGES; i++)
		if (page_frame(memory + i * PAGE_BYTES) != first)
			return false;
	return first;
}

static void wait_merged(unsigned char *memory)
{
	unsigned long long end = now_ms() + 60000 * limit_factor();

	while (!all_merged(memory)) {
		CHECK(now_ms() < end);
		sleep_ms(10);
	}
}

/* KSM merges equal pages; a write breaks the sharing again. */
static void merged(void)
{
	unsigned char *memory = anonymous();
	unsigned int round, at;
	struct stream s;

	if (madvise(memory, SIZE, MADV_MERGEABLE))
		skip("no KSM");
	stream_up_on(&s, W, anonymous(), memory);
	set_ksm("1");
	for (round = 0; round < 6; round++) {
		test_at("round %u", round);
		memset(memory, round + 1, SIZE);
		/* the driver has all pages before they are merged */
		do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
		wait_merged(memory);
		do_one(&s.pair.a, R, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
		check_bytes(s.local.addr, SIZE, round + 1);

		at = (round * 7 + 2) * PAGE_BYTES;
		fill_pattern(s.local.addr + at, PAGE_BYTES, round);
		do_one(&s.pair.a, W, buf_sge(&s.local, at, PAGE_BYTES), &s.remote,
		       at);
		check_pattern(memory + at, PAGE_BYTES, round);
		check_bytes(memory, at, round + 1);
		check_bytes(memory + at + PAGE_BYTES, SIZE - at - PAGE_BYTES,
			    round + 1);
	}
	set_ksm("0");
	stream_down(&s);
}

static const struct test tests[] = {
	{ "memory of all kinds", all_kinds },
	{ "a private mapping of a file", private_file },
	{ "holes in a file, and its end", holes },
	{ "a mapping that grows and shrinks", growing },
	{ "pages under MADV_FREE that are written again", free_until_written },
	{ "pages that are swapped out and in", swapped },
	{ "pages that move to another node", migrated },
	{ "huge pages that split and form again", split_and_collapsed },
	{ "pages that compaction moves", compacted },
	{ "equal pages that KSM merges", merged },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
