// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A fault comes to its end within a bounded number of look-ups, whatever other
 * threads do to the memory; and it delays these for a bounded time.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "memory.h"
#include "user.h"

#define HOLD_MS		HUNG_MS
/* where the fault may want a lock of the task that is held back, and waits as long */
#define LOCKED_HOLD_MS	200
/* ODP_LOST_MAX and ODP_FIRST_TRIES of the core */
#define LOST_MAX	4
#define FIRST_TRIES	4
/* ODP_SLOTS */
#define SLOTS		64

static void wait_passed(enum odp_test_point point, int times)
{
	UNTIL(passed(point) >= times);
}

/*
 * Have the fault, which looks up one page, lose so often that it goes first; it is
 * held after the look-up that it makes then.
 */
static void lose(int umem, const char *page)
{
	unsigned int i;

	for (i = 0; i < LOST_MAX; i++) {
		CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
		notify(page, PAGE);
		next(ODP_TEST_LOOKED_UP);
		/* hold the next look-up, not the one that is leaving */
		UNTIL(umem_state(umem).retries > i);
	}
	CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
}

static void *wait_for_all(void *barrier)
{
	pthread_barrier_wait(barrier);
	return NULL;
}

/*
 * A fault that goes first holds the mmap_lock for reading, also while the test
 * holds the fault. Threads that start then cannot map a stack: map them before.
 */
static void make_stacks(void)
{
	pthread_barrier_t barrier;
	pthread_t threads[3];
	unsigned int i;

	CHECK(!pthread_barrier_init(&barrier, NULL, NUM(threads)));
	for (i = 0; i < NUM(threads); i++)
		CHECK(!pthread_create(&threads[i], NULL, wait_for_all,
				      &barrier));
	for (i = 0; i < NUM(threads); i++)
		CHECK(!pthread_join(threads[i], NULL));
}

static int register_page(char **memory)
{
	make_stacks();
	*memory = map_memory(4 * PAGE);
	return umem_writable(*memory, 4 * PAGE);
}

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
	unsigned long long end = now_ms() + 1000 * limit_factor();
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
	unsigned int times;
	pthread_t thread;
	struct job fault;
	int umem;

	umem = umem_writable(pest.memory, PAGE);
	CHECK(!pthread_create(&thread, NULL, pest_run, &pest));
	patience(HOLD_MS);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, pest.memory, PAGE, ODP_TEST_WRITE);
	for (times = 0; times <= LOST_MAX; times++) {
		CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
		/* the discard is held back until the page is published */
		if (!pest_bites(&pest))
			break;
		next(ODP_TEST_LOOKED_UP);
		UNTIL(umem_state(umem).retries > times);
	}
	CHECK_EQ(times, LOST_MAX);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(umem_state(umem).retries, LOST_MAX);
}

/* A notifier that is held back goes on after ODP_PATIENCE; the fault tries again. */
static void held_back_for_a_while(void)
{
	struct notifier n;
	struct job fault;
	char *memory;
	int umem;

	umem = register_page(&memory);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	lose(umem, memory);
	/* returns when the notifier's start has */
	notifier_begin(&n, memory, PAGE);
	CHECK(!job_done(&fault, 0));
	notifier_end(&n);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
	CHECK(umem_state(umem).retries > LOST_MAX);
}

/* Notifiers elsewhere, non-blockable ones, and those without a hold do not wait. */
static void others_are_not_held_back(void)
{
	int umem, held_back = passed(ODP_TEST_HELD_BACK);
	struct job fault;
	char *memory;

	umem = register_page(&memory);
	notify(memory, PAGE);
	patience(HOLD_MS);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	lose(umem, memory);
	notify(memory + PAGE, 3 * PAGE);
	notify(memory - PAGE, PAGE);
	CHECK_EQ(notify_start(memory, PAGE, ODP_TEST_NON_BLOCKABLE), 0);
	CHECK_EQ(notify_end(memory, PAGE), 0);
	CHECK_EQ(passed(ODP_TEST_HELD_BACK), held_back);
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
}

/* Nor does the notifier of a look-up's own task: here, of its copy-on-write. */
static void look_ups_are_not_held_back(void)
{
	int umem, other, child, looked_up;
	struct job fault, writing;
	unsigned long long end;
	char *memory;

	umem = register_page(&memory);
	other = umem_writable(memory, PAGE);
	memory[0] = 1;
	child = share_with_child();
	patience(HOLD_MS);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, 0);
	lose(umem, memory);

	looked_up = passed(ODP_TEST_LOOKED_UP);
	fault_start(&writing, other, memory, PAGE, ODP_TEST_WRITE);
	/* at once, long before the notifier's wait is over */
	end = now_ms() + HOLD_MS / 2 * limit_factor();
	while (passed(ODP_TEST_LOOKED_UP) == looked_up) {
		CHECK(now_ms() < end);
		sleep_ms(10);
	}
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(job_join(&writing), 0);
	end_child(child);
}

/* A running notifier delays both, until both go first and wait for it. */
static void two_go_first(void)
{
	int umems[2], looked_up, waiting, i;
	struct job faults[2];
	struct notifier n;
	char *memory;

	umems[0] = register_page(&memory);
	umems[1] = umem_writable(memory, PAGE);
	memory[0] = 1;
	patience(HOLD_MS);
	looked_up = passed(ODP_TEST_LOOKED_UP);
	waiting = passed(ODP_TEST_WAITING);
	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	for (i = 0; i < 2; i++)
		fault_start(&faults[i], umems[i], memory, PAGE, ODP_TEST_WRITE);
	for (i = 1; i <= LOST_MAX; i++) {
		wait_passed(ODP_TEST_LOOKED_UP, looked_up + 2 * i);
		notifier_begin(&n, memory, PAGE);
		let_go(ODP_TEST_LOOKED_UP);
		wait_passed(ODP_TEST_WAITING, waiting + 2 * i);
		if (i < LOST_MAX)
			hold(ODP_TEST_LOOKED_UP, HOLD_MS);
		notifier_end(&n);
	}
	for (i = 0; i < 2; i++) {
		CHECK_EQ(job_join(&faults[i]), 0);
		CHECK_EQ(umem_state(umems[i]).retries, LOST_MAX);
	}
}

/* A fault that goes first and waits for a notifier which does not end. */
static int waits_going_first(char **memory, struct job *fault,
			     struct notifier *n)
{
	int umem = register_page(memory), i;

	hold(ODP_TEST_LOOKED_UP, HOLD_MS);
	fault_start(fault, umem, *memory, PAGE, ODP_TEST_WRITE);
	for (i = 0; i < LOST_MAX; i++) {
		CHECK_EQ(reached(ODP_TEST_LOOKED_UP), 0);
		if (i < LOST_MAX - 1)
			notify(*memory, PAGE);
		else
			notifier_begin(n, *memory, PAGE);
		if (i == LOST_MAX - 1)
			hold(ODP_TEST_WAITING, HOLD_MS);
		next(ODP_TEST_LOOKED_UP);
		UNTIL(umem_state(umem).retries > (unsigned int)i);
	}
	let_go(ODP_TEST_LOOKED_UP);
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	let_go(ODP_TEST_WAITING);
	CHECK(!job_done(fault, 100));
	return umem;
}

static void destroyed_while_first(void)
{
	struct notifier n;
	struct job fault;
	char *memory;
	int umem;

	umem = waits_going_first(&memory, &fault, &n);
	CHECK_EQ(umem_destroy(umem), 0);
	CHECK_EQ(job_join(&fault), -EFAULT);
	notifier_end(&n);
}

/* Release ends the fault and the notifier that it holds back. */
static void released_while_first(void)
{
	struct odp_test_cmd c = {};
	struct notifier n, held;
	int held_back;
	struct job fault;
	char *memory;

	patience(100000);
	held_back = passed(ODP_TEST_HELD_BACK);
	waits_going_first(&memory, &fault, &n);
	notifier_begin_nowait(&held, memory, 2 * PAGE);
	wait_passed(ODP_TEST_HELD_BACK, held_back + 1);
	CHECK_EQ(cmd(ODP_TEST_RELEASE, &c), 0);
	CHECK_EQ(job_join(&fault), -EFAULT);
	notifier_end(&held);
	notifier_end(&n);
}

#define LONG_MS		1000

/**
 * struct relay - notifiers of which one runs at any time
 * @page: that they run over
 * @starts: how many have started
 * @over: time to stop
 */
static struct relay {
	char *page;
	int starts;
	bool over;
} relay;

static bool relieved(int start)
{
	return __atomic_load_n(&relay.starts, __ATOMIC_ACQUIRE) != start ||
	       __atomic_load_n(&relay.over, __ATOMIC_ACQUIRE);
}

/* Each notifier runs until another one has started, or for LONG_MS. */
static void *relay_run(void *arg)
{
	unsigned long long end;
	int start;

	while (!__atomic_load_n(&relay.over, __ATOMIC_ACQUIRE)) {
		CHECK_EQ(notify_start(relay.page, PAGE, 0), 0);
		start = __atomic_add_fetch(&relay.starts, 1, __ATOMIC_ACQ_REL);
		end = now_ms() + LONG_MS;
		while (!relieved(start) && now_ms() < end)
			sleep_ms(1);
		CHECK_EQ(notify_end(relay.page, PAGE), 0);
	}
	return NULL;
}

/*
 * They run far longer than ODP_PATIENCE, so no look-up would ever begin if it did
 * not hold them back for as long as it has waited.
 */
static void overlapping(void)
{
	pthread_t threads[2];
	struct job fault;
	unsigned int i;
	int umem;

	umem = register_page(&relay.page);
	for (i = 0; i < NUM(threads); i++)
		CHECK(!pthread_create(&threads[i], NULL, relay_run, NULL));
	UNTIL(__atomic_load_n(&relay.starts, __ATOMIC_ACQUIRE));
	fault_start(&fault, umem, relay.page, PAGE, ODP_TEST_WRITE);
	CHECK_EQ(job_join(&fault), 0);
	__atomic_store_n(&relay.over, true, __ATOMIC_RELEASE);
	for (i = 0; i < NUM(threads); i++)
		CHECK(!pthread_join(threads[i], NULL));
}

/* Only the end of a notifier over its page wakes a fault that waits. */
static void woken_by_its_own(void)
{
	struct notifier n;
	struct job fault;
	int umem, woken, i;
	char *memory;

	umem = register_page(&memory);
	notifier_begin(&n, memory, PAGE);
	woken = passed(ODP_TEST_WOKEN);
	fault_start(&fault, umem, memory, PAGE, ODP_TEST_WRITE);
	/* the fault checks before it queues itself, and after */
	wait_passed(ODP_TEST_WOKEN, woken + 2);
	for (i = 0; i < 10; i++) {
		notify(memory + PAGE, PAGE);
		sleep_ms(20);
	}
	CHECK_EQ(passed(ODP_TEST_WOKEN), woken + 2);
	notifier_end(&n);
	CHECK_EQ(job_join(&fault), 0);
	CHECK_EQ(passed(ODP_TEST_WOKEN), woken + 3);
}

/* Notifiers without a slot count as one that covers all of their ranges. */
static void more_than_slots(void)
{
	struct notifier n[SLOTS], more[2];
	struct job fault;
	char *memory;
	int umem, i;

	memory = map_memory(8 * PAGE);
	umem = umem_writable(memory, 8 * PAGE);
	for (i = 0; i < SLOTS; i++)
		notifier_begin(&n[i], memory + 6 * PAGE, PAGE);
	CHECK_EQ(umem_fault(umem, memory, 6 * PAGE, 0), 0);
	notifier_begin(&more[0], memory, PAGE);
	notifier_begin(&more[1], memory + 4 * PAGE, PAGE);
	CHECK_EQ(umem_fault(umem, memory + 5 * PAGE, PAGE, ODP_TEST_WRITE), 0);

	hold(ODP_TEST_WAITING, HOLD_MS);
	fault_start(&fault, umem, memory, PAGE, 0);
	CHECK_EQ(reached(ODP_TEST_WAITING), 0);
	let_go(ODP_TEST_WAITING);
	notifier_end(&more[0]);
	CHECK(!job_done(&fault, 100));
	notifier_end(&more[1]);
	CHECK_EQ(job_join(&fault), 0);
	for (i = 0; i < SLOTS; i++)
		notifier_end(&n[i]);
	CHECK_EQ(umem_fault(umem, memory, 8 * PAGE, 0), 0);
}

#define SIEGE_PAGES	24
#define SIEGE_LEN	(512 * LEAF)
#define SIEGE_THREADS	4

/**
 * struct siege - threads that take memory away again and again
 * @memory: its first pages are faulted in
 * @len: all of it
 * @fd: the file that it maps, or the userfaultfd of @other
 * @other: where pages are moved to
 * @patience: how long they are held back, in ms
 * @turn: take it away once
 * @over: time to stop
 */
static struct siege {
	char *memory;
	size_t len;
	int fd;
	char *other;
	unsigned int patience;
	void (*turn)(void);
	bool over;
} siege;

static void discard(void)
{
	CHECK(!madvise(siege.memory, siege.len, MADV_DONTNEED));
}

static void discard_pages(void)
{
	CHECK(!madvise(siege.memory, SIEGE_PAGES * PAGE, MADV_DONTNEED));
}

static void free_lazily(void)
{
	CHECK(!madvise(siege.memory, SIEGE_PAGES * PAGE, MADV_FREE));
}

static void fork_once(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (!child)
		_exit(0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
}

static void protect(void)
{
	CHECK(!mprotect(siege.memory, siege.len, PROT_READ | PROT_WRITE | PROT_EXEC));
	CHECK(!mprotect(siege.memory, siege.len, PROT_READ | PROT_WRITE));
}

static void punch(void)
{
	CHECK(!fallocate(siege.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 0, siege.len));
}

static void map_elsewhere(void)
{
	char *at = map_memory(4 * LEAF);

	memset(at, 1, 16 * PAGE);
	CHECK(!munmap(at, 4 * LEAF));
}

/* 6.8: pages change their place with the lock of a mapping only */
struct move_pages {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 moved;
};

#define MOVE_PAGES	_IOWR(UFFDIO, 0x05, struct move_pages)
#define MOVE_HOLES	0x2

static int move_pages(void)
{
	struct move_pages move = {
		.dst = (unsigned long)siege.other,
		.src = (unsigned long)siege.memory,
		.len = SIEGE_PAGES * PAGE,
		.mode = MOVE_HOLES,
	};

	return ioctl(siege.fd, MOVE_PAGES, &move) ? errno : 0;
}

static void move_away(void)
{
	/* fails while a page is in use */
	move_pages();
	CHECK(!madvise(siege.other, SIEGE_PAGES * PAGE, MADV_DONTNEED));
}

static void *siege_run(void *arg)
{
	while (!__atomic_load_n(&siege.over, __ATOMIC_ACQUIRE))
		siege.turn();
	return NULL;
}

/* Each fault takes a bounded number of look-ups. */
static void stand(int umem, int *look_ups)
{
	char *at = siege.memory;
	int i, before;

	for (i = 0; i < SIEGE_PAGES; i++, at += PAGE) {
		before = passed(ODP_TEST_LOOKED_UP);
		CHECK_EQ(umem_fault(umem, at, 1, ODP_TEST_WRITE), 0);
		before = passed(ODP_TEST_LOOKED_UP) - before;
		*look_ups = before > *look_ups ? before : *look_ups;
		CHECK(before <= LOST_MAX + FIRST_TRIES);
	}
}

static void besiege(const char *what, void (*turn)(void), int num)
{
	pthread_t threads[SIEGE_THREADS];
	int umem, whole, i, look_ups = 0;

	test_at("%d threads %s", num, what);
	siege.turn = turn;
	siege.over = false;
	umem = umem_writable(siege.memory, siege.len);
	whole = umem_writable(NULL, WHOLE);
	/* a guest's clock goes on while its CPUs are preempted */
	patience(siege.patience);
	for (i = 0; i < num; i++)
		CHECK(!pthread_create(&threads[i], NULL, siege_run, NULL));
	for (i = 0; i < 2; i++) {
		stand(umem, &look_ups);
		stand(whole, &look_ups);
	}
	__atomic_store_n(&siege.over, true, __ATOMIC_RELEASE);
	for (i = 0; i < num; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK_EQ(umem_destroy(umem), 0);
	CHECK_EQ(umem_destroy(whole), 0);
	printf("# %d threads %s: up to %d look-ups for a page\n", num, what,
	       look_ups);
}

static void under_discards(void)
{
	int num;

	siege.patience = HOLD_MS;
	siege.len = SIEGE_LEN;
	siege.memory = map_memory(siege.len);
	for (num = 1; num <= SIEGE_THREADS; num *= 2) {
		besiege("discard a gigabyte", discard, num);
		besiege("discard the pages", discard_pages, num);
		besiege("free the pages lazily", free_lazily, num);
	}
}

/* As under_mappings(). */
static void under_forks(void)
{
	siege.patience = LOCKED_HOLD_MS;
	siege.len = 4 * LEAF;
	siege.memory = map_memory(siege.len);
	memset(siege.memory, 1, SIEGE_PAGES * PAGE);
	besiege("fork", fork_once, 1);
	besiege("fork", fork_once, 2);
}

/* Who is held back holds the mmap_lock for writing, which the fault wants. */
static void under_mappings(void)
{
	siege.patience = LOCKED_HOLD_MS;
	siege.len = 4 * LEAF;
	siege.memory = map_memory(siege.len);
	besiege("protect", protect, 2);
	besiege("map and unmap other memory", map_elsewhere, 2);
}

/* A fault waits for the thread that punches, and holds it back: both bounded. */
static void under_holes(void)
{
	siege.patience = LOCKED_HOLD_MS;
	siege.len = 4 * LEAF;
	siege.fd = memfd_create("siege", 0);
	CHECK(siege.fd >= 0);
	CHECK_EQ(ftruncate(siege.fd, siege.len), 0);
	siege.memory = mmap(NULL, siege.len, PROT_READ | PROT_WRITE, MAP_SHARED,
			    siege.fd, 0);
	CHECK(siege.memory != MAP_FAILED);
	besiege("punch holes", punch, 1);
	besiege("punch holes", punch, 2);
}

static void under_moves(void)
{
	siege.patience = HOLD_MS;
	siege.len = 4 * LEAF;
	siege.memory = map_memory(siege.len);
	siege.other = map_memory(siege.len);
	siege.fd = miss_pages(siege.other, siege.len);
	siege.memory[0] = 1;
	if (move_pages())
		skip("pages cannot be moved");
	besiege("move pages away", move_away, 1);
	besiege("move pages away", move_away, 2);
}

const struct test progress_tests[] = {
	{ "a fault that keeps losing comes to its end", comes_to_its_end },
	{ "a notifier is held back for a while only", held_back_for_a_while },
	{ "notifiers elsewhere are not held back", others_are_not_held_back },
	{ "a notifier of a look-up is not held back",
	  look_ups_are_not_held_back },
	{ "a fault outlasts notifiers that overlap", overlapping },
	{ "two faults go first over one page", two_go_first },
	{ "destruction while a fault goes first", destroyed_while_first },
	{ "release while a fault goes first", released_while_first },
	{ "only a notifier over its pages wakes a fault", woken_by_its_own },
	{ "more notifiers than slots", more_than_slots },
	{ "few look-ups beside threads that discard", under_discards },
	{ "few look-ups beside threads that fork", under_forks },
	{ "few look-ups beside threads that map", under_mappings },
	{ "few look-ups beside threads that punch holes", under_holes },
	{ "few look-ups beside threads that move pages", under_moves },
	{}
};
