// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariant 8: the cost follows the touched pages, and is charged to their owner.
 */
#include <sys/stat.h>

#include "memory.h"
#include "user.h"

/* a part of the address space without other mappings */
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
		CHECK(now_ms() < began + HUNG_MS * limit_factor());
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
		/* the leaf is in use again before it is freed */
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

/* Only present pages are published: without a new page, leaf, or look-up of each. */
static void present_only(void)
{
	char *memory = map_memory(4 * LEAF), byte;
	int umem, begun;

	umem = umem_register(memory, 4 * LEAF, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	memory[3 * PAGE] = 3;
	memory[4 * PAGE] = 4;
	memory[LEAF + 100 * PAGE] = 5;
	begun = passed(ODP_TEST_BEGUN);
	CHECK_EQ(umem_fault(umem, memory, 4 * LEAF,
			    ODP_TEST_PREFETCH | ODP_TEST_PRESENT), 0);
	CHECK(passed(ODP_TEST_BEGUN) - begun <= 8);
	CHECK_EQ(umem_state(umem).mapped, 3);
	CHECK_EQ(umem_state(umem).page_prefetch, 3);
	CHECK_EQ(umem_state(umem).leaves, 2);
	CHECK_EQ(umem_read(umem, memory + 4 * PAGE, &byte, 1), 0);
	CHECK_EQ(byte, 4);
	CHECK_EQ(umem_read(umem, memory + LEAF + 100 * PAGE, &byte, 1), 0);
	CHECK_EQ(byte, 5);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EAGAIN);
}

/* Two pages, with eight million empty leaves between them. */
static void present_across_a_hole(void)
{
	char *first = map_at(FAR), *last = map_at(FAR + VAST - PAGE);
	int umem = umem_register(FAR, VAST, ODP_TEST_WRITE), begun;

	CHECK(umem >= 0);
	first[0] = 1;
	last[0] = 2;
	begun = passed(ODP_TEST_BEGUN);
	CHECK_EQ(umem_fault(umem, FAR, VAST, ODP_TEST_PRESENT), 0);
	CHECK(passed(ODP_TEST_BEGUN) - begun <= 4);
	CHECK_EQ(umem_state(umem).mapped, 2);
	CHECK_EQ(umem_state(umem).leaves, 2);
}

#define GROUP		"/sys/fs/cgroup/odp_core"
#define CHARGED		400

static void leave_group(void)
{
	write_file("/sys/fs/cgroup/cgroup.procs", "0");
	rmdir(GROUP);
}

static void enter_group(void)
{
	if (access("/sys/fs/cgroup/cgroup.subtree_control", W_OK))
		skip("no control groups");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	CHECK(!mkdir(GROUP, 0755) || errno == EEXIST);
	write_file(GROUP "/cgroup.procs", "0");
}

static unsigned long group_page_tables(void)
{
	unsigned long bytes = -1UL;
	char line[128];
	FILE *file;

	file = fopen(GROUP "/memory.stat", "r");
	CHECK(file);
	while (fgets(line, sizeof(line), file) &&
	       sscanf(line, "pagetables %lu", &bytes) != 1)
		;
	fclose(file);
	CHECK(bytes != -1UL);
	return bytes;
}

/* A kernel thread has the mm make a page table for each page. */
static void owner_is_charged(void)
{
	char *memory = map_memory(CHARGED * LEAF);
	struct odp_test_cmd c = {};
	unsigned long before;
	int umem, i;

	umem = umem_register(memory, CHARGED * LEAF, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	enter_group();
	before = group_page_tables();
	for (i = 0; i < CHARGED; i++) {
		c = (struct odp_test_cmd) {
			.umem = umem,
			.start = (unsigned long)memory + i * LEAF,
			.len = 1,
			.ms = HUNG_MS * limit_factor(),
		};
		CHECK_EQ(cmd(ODP_TEST_FAULT_ASYNC, &c), 0);
		CHECK_EQ(cmd(ODP_TEST_JOIN, &c), 0);
	}
	/* memcg sums up per-CPU counts with a delay */
	for (i = 0; i < 100 * (int)limit_factor() &&
	     group_page_tables() < before + CHARGED * PAGE; i++)
		sleep_ms(100);
	before = group_page_tables() - before;
	leave_group();
	CHECK(before >= CHARGED * PAGE);
}

const struct test sparse_tests[] = {
	{ "a vast umem costs only its touched pages", vast },
	{ "empty leaves and no others are freed", empty_leaves },
	{ "a fault that fails leaves no leaf", failed_fault },
	{ "present pages are found without an allocation", present_only },
	{ "present pages are found across a hole", present_across_a_hole },
	{ "a fault's allocations are charged to the owner", owner_is_charged },
	{}
};
