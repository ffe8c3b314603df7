// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The interval tree against a model that looks at every umem, and everything
 * at once against the pattern in shared memory.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "user.h"

#define PAGES	64
#define UMEMS	24
#define STEPS	4000

/**
 * struct model - expected state of a umem
 * @umem: its number, or -1
 * @first: its first page
 * @pages: how many
 * @published: which of the arena's pages it has
 * @invalidations: how many it has lost
 * @zaps: notifiers that met it
 * @zap_start: first byte that the last of them took away
 * @zap_end: behind the last byte
 */
struct model {
	int umem;
	int first;
	int pages;
	bool published[PAGES];
	unsigned long invalidations;
	unsigned long zaps;
	unsigned long zap_start;
	unsigned long zap_end;
};

/* compare a umem's counters, and one of its pages, with the model */
static void check_model(const struct model *m, char *arena, unsigned int *seed)
{
	struct odp_test_state state = umem_state(m->umem);
	unsigned long published = 0;
	int i, page, err;
	char *at, byte;

	for (i = 0; i < PAGES; i++)
		published += m->published[i];
	CHECK_EQ(state.mapped, published);
	CHECK_EQ(state.page_invalidations, m->invalidations);
	CHECK_EQ(state.zaps, m->zaps);
	CHECK_EQ(state.zap_start, m->zap_start);
	CHECK_EQ(state.zap_end, m->zap_end);
	CHECK_EQ(state.bad_zaps, 0);

	page = m->first + draw(seed, m->pages);
	/* the middle of a page belongs to the umem in any case */
	at = arena + page * PAGE + PAGE / 2;
	if (!m->published[page]) {
		CHECK_EQ(umem_read(m->umem, at, &byte, 1), -EAGAIN);
		return;
	}
	/* but for the moment in which the reaper sees that the leaf is in use */
	UNTIL((err = umem_read(m->umem, at, &byte, 1)) != -EAGAIN);
	CHECK_EQ(err, 0);
	CHECK_EQ(byte, page);
}

static void model_register(struct model *m, char *arena, unsigned int *seed)
{
	size_t cut = draw(seed, PAGE / 2);

	memset(m, 0, sizeof(*m));
	m->first = draw(seed, PAGES);
	m->pages = 1 + draw(seed, PAGES - m->first);
	/* any part of a page makes it the umem's */
	m->umem = umem_register(arena + m->first * PAGE + cut,
				m->pages * PAGE - 2 * cut, 0);
	CHECK(m->umem >= 0);
}

static void model_fault(struct model *m, char *arena, unsigned int *seed)
{
	int first = draw(seed, m->pages), n, i;

	n = 1 + draw(seed, m->pages - first);
	CHECK_EQ(umem_fault(m->umem, arena + (m->first + first) * PAGE +
			    PAGE / 2, (n - 1) * PAGE + 1, 0), 0);
	for (i = 0; i < n; i++)
		m->published[m->first + first + i] = true;
}

static void model_notify(struct model *models, char *arena, unsigned int *seed)
{
	int first = draw(seed, PAGES), n = 1 + draw(seed, PAGES - first), i, j;
	int zap_first, zap_end;
	struct model *m;

	notify(arena + first * PAGE, n * PAGE);
	for (i = 0; i < UMEMS; i++) {
		m = &models[i];
		if (m->umem < 0 || m->first + m->pages <= first ||
		    first + n <= m->first)
			continue;
		zap_first = first > m->first ? first : m->first;
		zap_end = first + n < m->first + m->pages ? first + n :
			  m->first + m->pages;
		m->zaps++;
		m->zap_start = (unsigned long)arena + zap_first * PAGE;
		m->zap_end = (unsigned long)arena + zap_end * PAGE;
		for (j = zap_first; j < zap_end; j++) {
			m->invalidations += m->published[j];
			m->published[j] = false;
		}
	}
}

static void tree_against_model(void)
{
	static struct model models[UMEMS];
	char *arena = map_memory(PAGES * PAGE), *again = getenv("SEED");
	unsigned int seed = again ? strtoul(again, NULL, 0) : now_ms();
	struct model *m;
	int step, i;

	for (i = 0; i < PAGES; i++)
		memset(arena + i * PAGE, i, PAGE);
	for (i = 0; i < UMEMS; i++)
		models[i].umem = -1;
	/* SEED=... of the environment repeats the run */
	printf("# seed %u\n", seed);
	for (step = 0; step < STEPS; step++) {
		test_at("step %d", step);
		m = &models[draw(&seed, UMEMS)];
		if (m->umem < 0) {
			model_register(m, arena, &seed);
		} else if (!draw(&seed, 8)) {
			CHECK_EQ(umem_destroy(m->umem), 0);
			m->umem = -1;
		} else if (draw(&seed, 2)) {
			model_fault(m, arena, &seed);
		} else {
			model_notify(models, arena, &seed);
		}
		for (i = 0; i < UMEMS; i++)
			if (models[i].umem >= 0)
				check_model(&models[i], arena, &seed);
	}
}

#define STORM_MS	5000
#define THREADS		5

/**
 * struct storm - state shared by the threads
 * @memory: a shared file's, whose data outlives what is done to the mapping;
 *	    each long holds its offset
 * @umem: all of it
 * @brief: a umem of a part of it, which may be gone
 * @brief_at: where that begins
 * @fd: the file
 * @over: time to stop
 * @accesses: that were made, and were right
 */
static struct storm {
	char *memory;
	int umem;
	int brief;
	char *brief_at;
	int fd;
	bool over;
	unsigned long accesses;
} storm;

static bool over(void)
{
	return __atomic_load_n(&storm.over, __ATOMIC_ACQUIRE);
}

/* Read data, write it back, and check that it is the pattern. */
static void *storm_access(void *arg)
{
	unsigned int seed = (unsigned long)arg, i;
	unsigned long buf[1024];
	size_t at, len;
	int err;

	while (!over()) {
		at = draw(&seed, PAGES * PAGE / sizeof(long) - 1024);
		len = 1 + draw(&seed, 1024);
		err = umem_read(storm.umem, storm.memory + at * sizeof(long),
				buf, len * sizeof(long));
		if (!err) {
			for (i = 0; i < len; i++)
				CHECK_EQ(buf[i], at + i);
			err = umem_write(storm.umem,
					 storm.memory + at * sizeof(long), buf,
					 len * sizeof(long));
		}
		if (!err) {
			__atomic_fetch_add(&storm.accesses, 1,
					   __ATOMIC_RELAXED);
			continue;
		}
		CHECK_EQ(err, -EAGAIN);
		err = umem_fault(storm.umem, storm.memory + at * sizeof(long),
				 len * sizeof(long), ODP_TEST_WRITE);
		/* where the page was unmapped or protected at that moment */
		CHECK(!err || err == -EFAULT);
	}
	return NULL;
}

/* Through umems that are being destroyed. */
static void *storm_brief(void *arg)
{
	unsigned long word;
	char *at;
	int err;

	while (!over()) {
		at = __atomic_load_n(&storm.brief_at, __ATOMIC_ACQUIRE);
		err = umem_read(__atomic_load_n(&storm.brief, __ATOMIC_ACQUIRE),
				at, &word, sizeof(word));
		if (!err)
			CHECK_EQ(word, (at - storm.memory) / sizeof(long));
		else
			CHECK(err == -EAGAIN || err == -EFAULT);
	}
	return NULL;
}

static void *storm_mapping(void *arg)
{
	unsigned int seed = (unsigned long)arg, first, n;
	char *at;

	while (!over()) {
		first = draw(&seed, PAGES);
		n = 1 + draw(&seed, PAGES - first);
		at = storm.memory + first * PAGE;
		switch (draw(&seed, 4)) {
		case 0:
			CHECK_EQ(madvise(at, n * PAGE, MADV_DONTNEED), 0);
			break;
		case 1:
			CHECK_EQ(mprotect(at, n * PAGE, PROT_READ), 0);
			CHECK_EQ(mprotect(at, n * PAGE, PROT_READ | PROT_WRITE),
				 0);
			break;
		case 2:
			CHECK(mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, storm.fd,
				   first * PAGE) == at);
			break;
		case 3:
			CHECK_EQ(munmap(at, n * PAGE), 0);
			CHECK(mmap(at, n * PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, storm.fd,
				   first * PAGE) == at);
			break;
		}
	}
	return NULL;
}

static void *storm_registration(void *arg)
{
	unsigned int seed = (unsigned long)arg, first, n;
	char byte;
	int umem;

	while (!over()) {
		first = draw(&seed, PAGES);
		n = 1 + draw(&seed, PAGES - first);
		umem = umem_register(storm.memory + first * PAGE, n * PAGE,
				     ODP_TEST_WRITE);
		CHECK(umem >= 0);
		__atomic_store_n(&storm.brief, umem, __ATOMIC_RELEASE);
		__atomic_store_n(&storm.brief_at, storm.memory + first * PAGE,
				 __ATOMIC_RELEASE);
		if (!umem_fault(umem, storm.memory + first * PAGE, n * PAGE,
				ODP_TEST_WRITE) &&
		    !umem_read(umem, storm.memory + first * PAGE, &byte, 1))
			CHECK_EQ((unsigned char)byte, first * 512 % 256);
		CHECK_EQ(umem_destroy(umem), 0);
	}
	return NULL;
}

static void all_at_once(void)
{
	void *(*const run[])(void *) = {
		storm_access, storm_access, storm_brief, storm_mapping,
		storm_registration,
	};
	unsigned long i, *word;
	pthread_t threads[THREADS];

	storm.fd = memfd_create("storm", 0);
	CHECK(storm.fd >= 0);
	CHECK_EQ(ftruncate(storm.fd, PAGES * PAGE), 0);
	storm.memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED, storm.fd, 0);
	CHECK(storm.memory != MAP_FAILED);
	word = (unsigned long *)storm.memory;
	for (i = 0; i < PAGES * PAGE / sizeof(long); i++)
		word[i] = i;
	storm.umem = umem_register(storm.memory, PAGES * PAGE, ODP_TEST_WRITE);
	CHECK(storm.umem >= 0);
	storm.brief = storm.umem;
	storm.brief_at = storm.memory;
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, run[i],
				      (void *)(i + 1)));
	sleep_ms(STORM_MS);
	__atomic_store_n(&storm.over, true, __ATOMIC_RELEASE);
	for (i = 0; i < THREADS; i++)
		CHECK(!pthread_join(threads[i], NULL));
	CHECK(storm.accesses > 0);
	for (i = 0; i < PAGES * PAGE / sizeof(long); i++)
		CHECK_EQ(word[i], i);
	printf("# %lu accesses, %llu faults, %llu invalidations, %llu retries\n",
	       storm.accesses, umem_state(storm.umem).page_faults,
	       umem_state(storm.umem).page_invalidations,
	       umem_state(storm.umem).retries);
}

const struct test storm_tests[] = {
	{ "the interval tree agrees with a search of all umems",
	  tree_against_model },
	{ "concurrent faults, copies, mappings and registrations",
	  all_at_once },
	{}
};
