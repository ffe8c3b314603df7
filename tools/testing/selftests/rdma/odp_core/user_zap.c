// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariants 2 and 3: when invalidate_range_start() returns no CPU uses the range,
 * that range and no other is zapped, and it sleeps only if the range is blockable.
 */
#include "user.h"

/* as many as the core looks at: ODP_YOUNG_MAX */
#define YOUNG_MAX	1024

static int register_filled(char **memory, int pages)
{
	int umem, i;

	*memory = map_memory(pages * PAGE);
	for (i = 0; i < pages; i++)
		memset(*memory + i * PAGE, i + 1, PAGE);
	umem = umem_register(*memory, pages * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, *memory, pages * PAGE, ODP_TEST_WRITE), 0);
	return umem;
}

#define COPY_MS	200

/*
 * A copy that takes long, and a notifier that comes meanwhile; both return when
 * they were done. True if they overlapped.
 */
static bool copy_and_notify(int umem, char *memory)
{
	struct odp_test_cmd access = {
		.umem = umem,
		.start = (unsigned long)memory,
		.len = 64,
		.flags = ODP_TEST_WRITE,
		.buf = (unsigned long)memory + 4 * PAGE,
		.ms = COPY_MS,
	}, start = {
		.start = (unsigned long)memory,
		.len = PAGE,
	};
	unsigned long long asked;
	struct job job;
	bool met;

	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	job_start(&job, ODP_TEST_ACCESS, access);
	sleep_ms(COPY_MS / 4);
	asked = now_ms();
	CHECK_EQ(cmd(ODP_TEST_NOTIFY_START, &start), 0);
	CHECK_EQ(notify_end(memory, PAGE), 0);
	if (job_join(&job) == -EAGAIN)
		return false;
	CHECK_EQ(job.ret, 0);
	/* the kernel's ktime_get_ns() is CLOCK_MONOTONIC */
	met = job.cmd.at > asked * 1000000 && job_done(&job, 0);
	if (met)
		CHECK(start.at >= job.cmd.at);
	return met;
}

static void copies_are_waited_for(void)
{
	int umem, tries, met = 0;
	char *memory;

	umem = register_filled(&memory, 8);
	for (tries = 0; tries < 50 && met < 3; tries++)
		met += copy_and_notify(umem, memory);
	CHECK(met >= 3);
}

static void runs_before_zap(void)
{
	char *memory, byte;
	struct notifier n;
	struct job fault;
	int umem;

	memory = map_memory(4 * PAGE);
	umem = umem_register(memory, 4 * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
	hold(ODP_TEST_STARTED, HUNG_MS);
	notifier_begin_nowait(&n, memory, 2 * PAGE);
	CHECK_EQ(reached(ODP_TEST_STARTED), 0);

	/* nothing is zapped yet, and nothing can be published any more */
	CHECK_EQ(umem_read(umem, memory, &byte, 1), 0);
	hold(ODP_TEST_WAITING, HUNG_MS);
	fault_start(&fault, umem, memory + PAGE, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	let_go(ODP_TEST_STARTED);
	let_go(ODP_TEST_WAITING);
	notifier_end(&n);
	CHECK_EQ(job_join(&fault), 0);
}

static void check_pages(int umem, const char *memory, int pages,
			const bool *zapped)
{
	char byte;
	int i;

	for (i = 0; i < pages; i++) {
		test_at("page %d", i);
		if (zapped[i]) {
			CHECK_EQ(umem_read(umem, memory + i * PAGE, &byte, 1),
				 -EAGAIN);
			continue;
		}
		CHECK_EQ(umem_read(umem, memory + i * PAGE, &byte, 1), 0);
		CHECK_EQ(byte, i + 1);
	}
}

static void the_range_is_zapped(void)
{
	bool zapped[8] = { [2] = true, [3] = true, [4] = true };
	struct odp_test_state state;
	char *memory;
	int umem;

	umem = register_filled(&memory, 8);
	/* parts of pages are whole pages of the notifier's */
	notify(memory + 2 * PAGE, 3 * PAGE);
	check_pages(umem, memory, 8, zapped);
	state = umem_state(umem);
	CHECK_EQ(state.page_invalidations, 3);
	CHECK_EQ(state.mapped, 5);
	CHECK_EQ(state.zaps, 1);
	CHECK_EQ(state.zap_start, (unsigned long)memory + 2 * PAGE);
	CHECK_EQ(state.zap_end, (unsigned long)memory + 5 * PAGE);

	/* outside: nothing; across the border: what is inside */
	notify(memory + 8 * PAGE, PAGE);
	CHECK_EQ(umem_state(umem).zaps, 1);
	notify(memory - 4 * PAGE, 5 * PAGE);
	zapped[0] = true;
	check_pages(umem, memory, 8, zapped);
	CHECK_EQ(umem_state(umem).zap_start, (unsigned long)memory);
	CHECK_EQ(umem_state(umem).zap_end, (unsigned long)memory + PAGE);

	/* end is exclusive, and may be the last address */
	notify(NULL, EVERYWHERE);
	CHECK_EQ(umem_state(umem).mapped, 0);
	CHECK_EQ(umem_state(umem).page_invalidations, 8);
	CHECK_EQ(umem_state(umem).bad_zaps, 0);
}

static void across_leaves(void)
{
	char *memory = map_memory(3 * LEAF), byte;
	unsigned long at;
	int umem;

	memset(memory, 7, 3 * LEAF);
	umem = umem_register(memory + 100, 3 * LEAF - 200, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, memory + 100, 3 * LEAF - 200, 0), 0);
	CHECK_EQ(umem_state(umem).mapped, 3 * 512);
	CHECK_EQ(umem_state(umem).leaves, 3);
	notify(memory + LEAF - PAGE, LEAF + 2 * PAGE);
	CHECK_EQ(umem_state(umem).page_invalidations, 512 + 2);
	for (at = 100; at < 3 * LEAF - 200; at += PAGE)
		CHECK_EQ(umem_read(umem, memory + at, &byte, 1),
			 at / PAGE >= 511 && at / PAGE < 1025 ? -EAGAIN : 0);
}

static void not_blockable(void)
{
	char *memory;
	int umem, i;

	umem = register_filled(&memory, 4);
	for (i = 0; i < 10; i++) {
		CHECK_EQ(umem_fault(umem, memory, 4 * PAGE, 0), 0);
		CHECK_EQ(notify_start(memory, 4 * PAGE, ODP_TEST_NON_BLOCKABLE),
			 0);
		CHECK_EQ(notify_end(memory, 4 * PAGE), 0);
	}
	CHECK_EQ(umem_state(umem).page_invalidations, 40);
	CHECK_EQ(umem_state(umem).bad_zaps, 0);
}

static int young(const char *at, size_t len, unsigned int flags)
{
	struct odp_test_cmd c = {
		.start = (unsigned long)at,
		.len = len,
		.flags = flags,
	};

	return cmd(ODP_TEST_YOUNG, &c);
}

static void used_is_young(void)
{
	char *memory, byte;
	int umem;

	umem = register_filled(&memory, 4);
	CHECK_EQ(young(memory, PAGE, 0), 1);
	CHECK_EQ(young(memory, 4 * PAGE, ODP_TEST_CLEAR), 1);
	CHECK_EQ(young(memory, 4 * PAGE, ODP_TEST_CLEAR), 0);
	CHECK_EQ(umem_read(umem, memory + PAGE, &byte, 1), 0);
	CHECK_EQ(young(memory, PAGE, 0), 0);
	CHECK_EQ(young(memory + PAGE, PAGE, 0), 1);
	CHECK_EQ(young(memory + PAGE, PAGE, ODP_TEST_CLEAR), 1);
	CHECK_EQ(young(memory, 4 * PAGE, ODP_TEST_CLEAR), 0);
	CHECK_EQ(umem_state(umem).mapped, 4);
}

/* It is asked under a lock: a program may not have it look at any number of umems. */
static void many_umems(void)
{
	char *memory = map_memory(PAGE);
	unsigned int i;

	for (i = 0; i < YOUNG_MAX; i++)
		CHECK(umem_register(memory, PAGE, 0) >= 0);
	CHECK_EQ(young(memory, PAGE, 0), 0);
	CHECK_EQ(young(memory, PAGE, ODP_TEST_CLEAR), 0);
	CHECK(umem_register(memory, PAGE, 0) >= 0);
	CHECK_EQ(young(memory, PAGE, 0), 1);
	CHECK_EQ(young(memory, PAGE, ODP_TEST_CLEAR), 1);
}

const struct test zap_tests[] = {
	{ "a notifier waits for copies", copies_are_waited_for },
	{ "a notifier counts before it zaps", runs_before_zap },
	{ "a notifier zaps its range and no more", the_range_is_zapped },
	{ "a range across leaves is zapped", across_leaves },
	{ "a non-blockable notifier does not sleep", not_blockable },
	{ "pages in use are young", used_is_young },
	{ "pages of very many umems are taken to be in use", many_umems },
	{}
};
