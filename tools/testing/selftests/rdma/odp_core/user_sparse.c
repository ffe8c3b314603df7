// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariant 8: the cost follows what is touched.
 */
#include "user.h"

/* a part of the address space that nothing is mapped in, but for our pages */
#define FAR	((char *)0x100000000000UL)
#define VAST	0x100000000000UL

static char *map_at(char *at)
{
	char *page = mmap(at, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			  -1, 0);

	CHECK(page == at);
	return page;
}

static void vast(void)
{
	unsigned long long began;
	int umem, i;
	char byte;

	umem = umem_register(FAR, VAST, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK_EQ(umem_state(umem).leaves, 0);
	for (i = 0; i < 4; i++) {
		*map_at(FAR + i * (VAST / 4)) = i;
		CHECK_EQ(umem_fault(umem, FAR + i * (VAST / 4), PAGE, 0), 0);
		CHECK_EQ(umem_read(umem, FAR + i * (VAST / 4), &byte, 1), 0);
		CHECK_EQ(byte, i);
	}
	CHECK_EQ(umem_state(umem).leaves, 4);

	/*
	 * Eight million places for leaves, four leaves: a thousand walks are
	 * over at once, or last for many minutes.
	 */
	began = now_ms();
	for (i = 0; i < 1000; i++) {
		notify(FAR, VAST);
		CHECK(now_ms() < began + 20000 * limit_factor());
	}
	CHECK_EQ(umem_state(umem).mapped, 0);
	CHECK_EQ(umem_state(umem).page_invalidations, 4);
	CHECK_EQ(umem_reap(umem), 0);
	CHECK_EQ(umem_state(umem).leaves, 0);
}

static void empty_leaves(void)
{
	char *memory = map_memory(2 * LEAF), byte;
	int umem = umem_register(memory, 2 * LEAF, ODP_TEST_WRITE), i;

	CHECK(umem >= 0);
	for (i = 0; i < 20; i++) {
		memory[0] = i;
		CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
		notify(memory, PAGE);
		/* in use again before it is freed */
		CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
		CHECK_EQ(umem_reap(umem), 0);
		CHECK_EQ(umem_read(umem, memory, &byte, 1), 0);
		CHECK_EQ(byte, i);
		CHECK_EQ(umem_state(umem).leaves, 1);
		notify(memory, PAGE);
		CHECK_EQ(umem_reap(umem), 0);
		CHECK_EQ(umem_state(umem).leaves, 0);
	}
}

static void failed_fault(void)
{
	int umem = umem_register(FAR, VAST, 0), i;

	CHECK(umem >= 0);
	for (i = 0; i < 20; i++)
		CHECK_EQ(umem_fault(umem, FAR + i * LEAF, PAGE, 0), -EFAULT);
	CHECK_EQ(umem_reap(umem), 0);
	CHECK_EQ(umem_state(umem).leaves, 0);
}

const struct test sparse_tests[] = {
	{ "a vast umem costs what is touched of it", vast },
	{ "empty leaves are freed, and only those", empty_leaves },
	{ "a fault that fails leaves no leaf", failed_fault },
	{}
};
