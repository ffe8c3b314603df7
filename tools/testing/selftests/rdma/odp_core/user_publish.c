// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invariants 1, 4 and 5: when an entry may be published, with which rights, and
 * that nothing is pinned. The fault is held between its look-up and its
 * publication; the event that must prevent publication happens there.
 */
#include <sys/wait.h>

#include "memory.h"
#include "user.h"

#define HOLD_MS	HUNG_MS

/* the byte that a umem reads */
static int read_value(int umem, const char *at)
{
	int value = 0;

	CHECK_EQ(umem_read(umem, at, &value, sizeof(value)), 0);
	return value;
}

static void write_value(char *at, int value)
{
	__atomic_store_n((int *)at, value, __ATOMIC_RELAXED);
}

static int register_pages(char **memory, int pages)
{
	int umem;

	*memory = map_memory(pages * PAGE);
	umem = umem_register(*memory, pages * PAGE, ODP_TEST_WRITE);
	CHECK(umem >= 0);
	return umem;
}

static void notifier_comes(void)
{
	struct notifier n;
	struct job fault;
	char *memory, c;
	int umem;

	umem = register_pages(&memory, 4);
	write_value(memory, 1);
	hold(ODP_TEST_WAITING, HOLD_MS);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);

	notifier_begin(&n, memory, PAGE);
	let_go(ODP_TEST_LOOKED_UP);
	/* the fault has not published, and waits for the notifier */
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	CHECK_EQ(umem_read(umem, memory, &c, 1), -EAGAIN);
	CHECK_EQ(umem_state(umem).mapped, 0);
	let_go(ODP_TEST_WAITING);
	notifier_end(&n);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(read_value(umem, memory), 1);
	CHECK(umem_state(umem).retries > 0);
}

static void notifier_came(void)
{
	struct job fault;
	char *memory;
	int umem;

	umem = register_pages(&memory, 4);
	write_value(memory, 1);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);

	/* the page that it has found does not belong to the program any more */
	CHECK_EQ(madvise(memory, PAGE, MADV_DONTNEED), 0);
	write_value(memory, 2);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(read_value(umem, memory), 2);
	write_value(memory, 3);
	CHECK_EQ(read_value(umem, memory), 3);
	CHECK(umem_state(umem).retries > 0);
}

/* A fault neither waits for notifiers over other pages, nor loses to them. */
static void notifiers_elsewhere(int umem, char *memory)
{
	struct notifier n;
	struct job fault;

	write_value(memory, 5);
	notifier_begin(&n, memory + PAGE, 3 * PAGE);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
	notify(memory + PAGE, PAGE);
	CHECK_EQ(madvise(memory + 2 * PAGE, 16 * PAGE, MADV_DONTNEED), 0);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(umem_state(umem).retries, 0);
	notifier_end(&n);
	CHECK_EQ(read_value(umem, memory), 5);
}

static void notifier_elsewhere(void)
{
	char *memory = map_memory(32 * PAGE);

	notifiers_elsewhere(umem_writable(memory, PAGE), memory);
	notifiers_elsewhere(umem_writable(memory + 4 * PAGE, 8 * PAGE),
			    memory + 4 * PAGE);
	/* an implicit one: the whole address space */
	notifiers_elsewhere(umem_writable(NULL, WHOLE), memory + 12 * PAGE);
}

static void own_copy(void)
{
	int umem, child, looked_up;
	char *memory;

	umem = register_pages(&memory, 4);
	memset(memory, 1, 4 * PAGE);
	child = share_with_child();
	looked_up = passed(ODP_TEST_LOOKED_UP);
	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	CHECK_EQ(passed(ODP_TEST_LOOKED_UP) - looked_up, 1);
	CHECK_EQ(umem_state(umem).retries, 0);
	write_value(memory, 2);
	CHECK_EQ(read_value(umem, memory), 2);
	end_child(child);
}

/*
 * A look-up of several pages does count its own notifiers: reclaim for the copy of
 * one page could have taken another page, found before, away.
 */
static void own_copies(void)
{
	int umem, child;
	char *memory;

	umem = register_pages(&memory, 4);
	memset(memory, 1, 4 * PAGE);
	child = share_with_child();
	CHECK_EQ(umem_fault(umem, memory, 4 * PAGE, ODP_TEST_WRITE), 0);
	CHECK(umem_state(umem).retries > 0);
	CHECK_EQ(umem_state(umem).mapped, 4);
	end_child(child);
}

static void destruction_comes(void)
{
	struct odp_test_cmd c = {};
	struct job fault, destroy;
	char *memory;
	int umem;

	umem = register_pages(&memory, 4);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	hold(ODP_TEST_DYING, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
	c.umem = umem;
	job_start(&destroy, ODP_TEST_DESTROY, c);
	CHECK_EQ(reached(ODP_TEST_DYING), 0);

	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), -EFAULT);
	CHECK_EQ(umem_state(umem).page_faults, 0);
	let_go(ODP_TEST_DYING);
	CHECK_EQ(job_join(&destroy), 0);
	CHECK_EQ(umem_state(umem).mapped, 0);
}

static void release_comes(void)
{
	struct odp_test_cmd c = {};
	char *memory, byte;
	int umem;

	umem = register_pages(&memory, 4);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	c = (struct odp_test_cmd) {
		.umem = umem,
		.start = (unsigned long)memory,
		.len = PAGE,
		.flags = ODP_TEST_WRITE,
		.ms = HUNG_MS * limit_factor(),
	};
	CHECK_EQ(cmd(ODP_TEST_FAULT_ASYNC, &c), 0);
	CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
	CHECK_EQ(cmd(ODP_TEST_RELEASE, &c), 0);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(cmd(ODP_TEST_JOIN, &c), -EFAULT);
	CHECK_EQ(umem_read(umem, memory, &byte, 1), -EFAULT);
	CHECK_EQ(umem_state(umem).page_faults, 0);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), -EFAULT);
}

static void no_pins(void)
{
	struct odp_test_cmd c = {};
	int umem, before, i;
	char *memory;

	umem = register_pages(&memory, 1);
	write_value(memory, 1);
	c.umem = umem;
	c.start = (unsigned long)memory;
	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	before = cmd(ODP_TEST_PAGE_REFS, &c);
	for (i = 0; i < 50; i++) {
		notify(memory, PAGE);
		CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	}
	/* the mm's own caches may hold references for a while */
	CHECK(cmd(ODP_TEST_PAGE_REFS, &c) <= before + 2);
	CHECK(before <= 4);
}

/* A look-up marks no page as used: only accesses do, or reclaim counts one twice. */
static void not_referenced(void)
{
	char *memory;
	int umem;

	umem = register_pages(&memory, 2);
	write_value(memory, 1);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
	CHECK(!page_referenced(memory));
	CHECK_EQ(umem_fault(umem, memory + PAGE, PAGE, ODP_TEST_WRITE), 0);
	CHECK(!page_referenced(memory + PAGE));
}

/* Shared with a child, a page is copied before it is written, as by the CPU. */
static void written_page_is_ours(void)
{
	int value = 2, status, umem;
	char *memory;
	pid_t child;
	int fds[2];

	umem = register_pages(&memory, 1);
	write_value(memory, 1);
	CHECK_EQ(pipe(fds), 0);
	child = fork();
	if (!child) {
		close(fds[1]);
		CHECK_EQ(read(fds[0], &status, 1), 0);
		_exit(*(int *)memory);
	}
	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	CHECK_EQ(umem_write(umem, memory, &value, sizeof(value)), 0);
	CHECK_EQ(__atomic_load_n((int *)memory, __ATOMIC_RELAXED), 2);
	close(fds[1]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 1);
}

static void read_is_not_write(void)
{
	int value = 9, umem;
	char *memory;

	umem = register_pages(&memory, 2);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
	CHECK_EQ(read_value(umem, memory), 0);
	CHECK_EQ(umem_write(umem, memory, &value, sizeof(value)), -EAGAIN);
	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), 0);
	CHECK_EQ(umem_write(umem, memory, &value, sizeof(value)), 0);
	CHECK_EQ(__atomic_load_n((int *)memory, __ATOMIC_RELAXED), 9);

	umem = umem_register(memory, 2 * PAGE, 0);
	CHECK(umem >= 0);
	CHECK_EQ(umem_fault(umem, memory, PAGE, ODP_TEST_WRITE), -EFAULT);
	CHECK_EQ(umem_fault(umem, memory, PAGE, 0), 0);
	CHECK_EQ(umem_write(umem, memory, &value, sizeof(value)), -EFAULT);
	CHECK_EQ(read_value(umem, memory), 9);
}

const struct test publish_tests[] = {
	{ "nothing is published while a notifier runs", notifier_comes },
	{ "nothing is published that was looked up before a notifier",
	  notifier_came },
	{ "a notifier elsewhere does not prevent publication",
	  notifier_elsewhere },
	{ "the look-up's own copy-on-write loses no page", own_copy },
	{ "a copy-on-write within several pages has them looked up again",
	  own_copies },
	{ "nothing is published for a umem that is being destroyed",
	  destruction_comes },
	{ "nothing is published once the mm is gone", release_comes },
	{ "no page is pinned", no_pins },
	{ "no page is marked as referenced", not_referenced },
	{ "a page to be written is looked up for writing",
	  written_page_is_ours },
	{ "a page looked up for reading is not written", read_is_not_write },
	{}
};
