// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariants 4 and 5 against reclaim, swap, KSM and khugepaged: the mm can take
 * each page, as none is pinned, and loses no data that a umem has written.
 */
#include "memory.h"
#include "user.h"

#define PAGES		32

static void check_gone(int umem, const char *memory)
{
	char byte;
	int i;

	for (i = 0; i < PAGES; i++)
		CHECK_EQ(umem_read(umem, memory + i * PAGE, &byte, 1), -EAGAIN);
}

static void swapped_out(void)
{
	char *memory = map_memory(PAGES * PAGE), *at, byte;
	int umem = umem_writable(memory, PAGES * PAGE), round, i;

	need_swap();
	for (round = 0; round < 6; round++) {
		test_at("round %d", round);
		for (i = 0; i < PAGES; i++) {
			byte = round + i;
			at = memory + i * PAGE + i;
			CHECK_EQ(umem_put(umem, at, &byte, 1), 0);
		}
		page_out(memory, PAGES * PAGE);
		check_gone(umem, memory);
		/* reading only leaves a clean page, with a copy in the swap */
		for (i = 0; i < PAGES; i++) {
			at = memory + i * PAGE + i;
			if (round % 2)
				CHECK_EQ(umem_get(umem, at, &byte, 1), 0);
			else
				byte = *at;
			CHECK_EQ(byte, round + i);
		}
	}
	CHECK_EQ(umem_state(umem).bad_zaps, 0);
}

/* A umem's write to a page under MADV_FREE keeps reclaim from dropping it. */
static void free_until_written(void)
{
	char *memory = map_memory(PAGES * PAGE), byte = 2;
	int umem = umem_writable(memory, PAGES * PAGE), i;

	need_swap();
	memset(memory, 1, PAGES * PAGE);
	CHECK_EQ(umem_fault(umem, memory, PAGES * PAGE, ODP_TEST_WRITE), 0);
	CHECK_EQ(madvise(memory, PAGES * PAGE, MADV_FREE), 0);
	check_gone(umem, memory);
	for (i = 0; i < PAGES; i += 2)
		CHECK_EQ(umem_put(umem, memory + i * PAGE, &byte, 1), 0);
	page_out(memory, PAGES * PAGE);
	for (i = 0; i < PAGES; i++) {
		CHECK_EQ(umem_get(umem, memory + i * PAGE, &byte, 1), 0);
		CHECK_EQ(byte, memory[i * PAGE]);
		if (i % 2)
			CHECK(!byte || byte == 1);
		else
			CHECK_EQ(byte, 2);
	}
}

/* KSM merges equal pages into one, which is read-only. */
static void merged(void)
{
	unsigned long long end = now_ms() + 60000 * limit_factor();
	char *memory = map_memory(2 * PAGE), byte;
	int umem = umem_writable(memory, 2 * PAGE);

	if (madvise(memory, 2 * PAGE, MADV_MERGEABLE))
		skip("no KSM");
	memset(memory, 5, 2 * PAGE);
	CHECK_EQ(umem_fault(umem, memory, 2 * PAGE, ODP_TEST_WRITE), 0);
	write_file("/sys/kernel/mm/ksm/run", "1");
	while (page_frame(memory) != page_frame(memory + PAGE)) {
		CHECK(now_ms() < end);
		sleep_ms(20);
	}
	write_file("/sys/kernel/mm/ksm/run", "0");
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EAGAIN);
	CHECK_EQ(umem_read(umem, memory + PAGE, &byte, 1), -EAGAIN);

	CHECK_EQ(umem_get(umem, memory, &byte, 1), 0);
	CHECK_EQ(byte, 5);
	byte = 6;
	CHECK_EQ(umem_write(umem, memory, &byte, 1), -EAGAIN);
	CHECK_EQ(umem_put(umem, memory, &byte, 1), 0);
	CHECK_EQ(memory[0], 6);
	CHECK_EQ(memory[PAGE], 5);
	CHECK_EQ(umem_get(umem, memory + PAGE, &byte, 1), 0);
	CHECK_EQ(byte, 5);
}

/* khugepaged collapses small pages into a huge one, elsewhere. */
static void collapsed(void)
{
	char *memory = map_memory(LEAF), byte;
	int umem = umem_writable(memory, LEAF), tries, i;

	for (i = 0; i < 512; i++) {
		byte = i;
		CHECK_EQ(umem_put(umem, memory + i * PAGE + i, &byte, 1), 0);
	}
	CHECK_EQ(umem_state(umem).mapped, 512);
	if (madvise(memory, LEAF, MADV_HUGEPAGE))
		skip("no transparent huge pages");
	for (tries = 0; madvise(memory, LEAF, MADV_COLLAPSE); tries++) {
		if (errno == EINVAL || tries == 100)
			skip("no huge page is free");
		sleep_ms(10);
	}
	CHECK_EQ(umem_state(umem).mapped, 0);
	for (i = 0; i < 512; i++) {
		CHECK_EQ(umem_get(umem, memory + i * PAGE + i, &byte, 1), 0);
		CHECK_EQ(byte, (char)i);
		byte = i + 1;
		CHECK_EQ(umem_put(umem, memory + i * PAGE + i, &byte, 1), 0);
		CHECK_EQ(memory[i * PAGE + i], (char)(i + 1));
	}
}

const struct test reclaim_tests[] = {
	{ "pages that are swapped out and back in", swapped_out },
	{ "pages under MADV_FREE that are written again", free_until_written },
	{ "pages that KSM merges", merged },
	{ "pages that become a huge one", collapsed },
	{}
};
