// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariant 8: the cost follows what is touched. And a fault comes to its end
 * although notifiers come and come.
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

#define ENOUGH	60

/**
 * struct pest - a thread that takes a page away each time it is told to
 * @memory: the page
 * @asked: how often it was told
 * @done: how often it has
 */
struct pest {
	char *memory;
	int asked;
	int done;
};

static void *pest_run(void *arg)
{
	struct pest *pest = arg;

	for (;;) {
		if (__atomic_load_n(&pest->asked, __ATOMIC_ACQUIRE) ==
		    pest->done) {
			sleep_ms(1);
			continue;
		}
		madvise(pest->memory, PAGE, MADV_DONTNEED);
		__atomic_store_n(&pest->done, pest->done + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static bool pest_bites(struct pest *pest)
{
	unsigned long long end = now_ms() + 2000 * limit_factor();
	int asked = pest->asked + 1;

	__atomic_store_n(&pest->asked, asked, __ATOMIC_RELEASE);
	while (__atomic_load_n(&pest->done, __ATOMIC_ACQUIRE) != asked) {
		if (now_ms() > end)
			return false;
		sleep_ms(1);
	}
	return true;
}

/* A program discards the page each time that it has been looked up. */
static void comes_to_its_end(void)
{
	struct pest pest = { .memory = map_memory(PAGE) };
	pthread_t thread;
	struct job fault;
	int umem, times;

	umem = umem_register(pest.memory, PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	CHECK(!pthread_create(&thread, NULL, pest_run, &pest));
	hold(ODP_TEST_LOOKED_UP, 20000);
	fault_start(&fault, umem, pest.memory, PAGE, ODP_TEST_WRITE);
	for (times = 0; times < ENOUGH; times++) {
		CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
		/* shut out, it cannot come until the page is published */
		if (!pest_bites(&pest))
			break;
		next(ODP_TEST_LOOKED_UP);
		/* for the next look-up, not for this one that is leaving */
		while (umem_state(umem).retries <= (unsigned int)times)
			sleep_ms(1);
	}
	CHECK(times < ENOUGH);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
}

const struct test sparse_tests[] = {
	{ "a vast umem costs what is touched of it", vast },
	{ "empty leaves are freed, and only those", empty_leaves },
	{ "a fault that fails leaves no leaf", failed_fault },
	{ "a fault that keeps losing comes to its end", comes_to_its_end },
	{}
};
