// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Threads beside the calls of a hostile process: one writes into its rings, one takes
 * away the memory that it registers; and its end by SIGKILL.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ktap_test.h"
#include "memory.h"
#include "world.h"

static __thread sigjmp_buf missed;
static __thread bool touching;
static bool stop;
static pthread_t threads[2];

static void on_fault(int number)
{
	if (__atomic_load_n(&touching, __ATOMIC_SEQ_CST))
		siglongjmp(missed, 1);
	/* elsewhere it is an error of ours */
	signal(number, SIG_DFL);
}

bool touch_safely(void (*touch)(void *arg), void *arg)
{
	if (sigsetjmp(missed, 1)) {
		__atomic_store_n(&touching, false, __ATOMIC_SEQ_CST);
		return false;
	}
	/* the signal's handler, in this thread, sees each in its place */
	__atomic_store_n(&touching, true, __ATOMIC_SEQ_CST);
	touch(arg);
	__atomic_store_n(&touching, false, __ATOMIC_SEQ_CST);
	return true;
}

/**
 * struct thread - one of the two
 * @w: of the process; only its rings are used
 * @random: state of its own random numbers
 * @dies: it ends the process, after a while
 */
struct thread {
	struct world *w;
	uint64_t random;
	bool dies;
};

static struct thread scribbler, shaker;

static void scribble(void *arg)
{
	struct thread *t = arg;
	struct ring *ring = &t->w->rings[rnd(&t->random) % RINGS];
	struct rxe_queue_buf *buf = __atomic_load_n(&ring->buf, __ATOMIC_ACQUIRE);
	size_t words = ring->size / 4;
	uint32_t *index;

	if (!buf || words * 4 < sizeof(*buf))
		return;
	switch (rnd(&t->random) % 8) {
	case 0:
		buf->log2_elem_size = odd_number(&t->random);
		buf->index_mask = odd_number(&t->random);
		break;
	case 1:
	case 2:
		index = rnd(&t->random) % 2 ? &buf->producer_index :
					      &buf->consumer_index;
		*index = one_in(&t->random, 2) ? odd_number(&t->random) :
						 *index + rnd(&t->random) % 5 - 2;
		break;
	default:
		((uint32_t *)buf)[rnd(&t->random) % words] = odd_number(&t->random);
	}
	count_deed(DEED_SCRIBBLE, true);
}

static void *scribble_on(void *arg)
{
	struct thread *t = arg;
	int n;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (n = 0; n < 8; n++)
			touch_safely(scribble, t);
		usleep(200 + rnd(&t->random) % 800);
	}
	return NULL;
}

static const int advices[] = {
	MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_COLD,
	MADV_PAGEOUT, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE,
	MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTFORK, MADV_DOFORK,
	MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_WILLNEED, MADV_SEQUENTIAL,
};

void arena_map(uint64_t *random, const struct world *w)
{
	int flags = MAP_FIXED | MAP_NORESERVE | MAP_ANONYMOUS, fd = -1;
	int prot = PROT_READ | PROT_WRITE;
	unsigned char *at;
	size_t len;
	bool done;

	at = arena_range(random, &len);
	switch (rnd(random) % 8) {
	case 0:
		fd = memfd_create("arena", MFD_CLOEXEC);
		flags = MAP_FIXED | (one_in(random, 2) ? MAP_SHARED : MAP_PRIVATE);
		/* the end of what is mapped may be beyond that of the file */
		if (fd < 0 || ftruncate(fd, rnd(random) % (2 * len)))
			return;
		break;
	case 1:
		flags |= MAP_SHARED;
		break;
	case 2:
		flags |= MAP_PRIVATE;
		prot = rnd(random) % 4;
		break;
	default:
		flags |= MAP_PRIVATE;
	}
	done = mmap(at, len, prot, flags, fd, 0) == at;
	count_deed(DEED_MAP, done);
	if (fd >= 0)
		close(fd);
}

static void shake(struct thread *t)
{
	unsigned char *at, *to;
	size_t len, other;

	at = arena_range(&t->random, &len);
	switch (rnd(&t->random) % 8) {
	case 0:
		count_deed(DEED_UNMAP, !munmap(at, len));
		break;
	case 1:
		count_deed(DEED_MPROTECT, !mprotect(at, len, rnd(&t->random) % 4));
		break;
	case 2:
		to = arena_range(&t->random, &other);
		count_deed(DEED_MREMAP,
			   mremap(at, len, other, MREMAP_MAYMOVE | MREMAP_FIXED, to) ==
				   to);
		break;
	case 3:
	case 4:
	case 5:
		arena_map(&t->random, t->w);
		break;
	default:
		count_deed(DEED_MADVISE,
			   !madvise(at, len, advices[rnd(&t->random) % NUM(advices)]));
	}
}

static void *shake_on(void *arg)
{
	struct thread *t = arg;
	unsigned int left = 20 + rnd(&t->random) % 400;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (!t->w->calm)
			shake(t);
		usleep(500 + rnd(&t->random) % 1500);
		if (t->dies && !left--)
			kill(getpid(), SIGKILL);
	}
	return NULL;
}

void shake_start(struct world *w, uint64_t seed, bool dies)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	stop = false;
	scribbler = (struct thread) { w, seed ^ 1 };
	shaker = (struct thread) { w, seed ^ 2, dies };
	if (!w->calm)
		CHECK_EQ(pthread_create(&threads[0], NULL, scribble_on, &scribbler), 0);
	CHECK_EQ(pthread_create(&threads[1], NULL, shake_on, &shaker), 0);
}

void shake_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	if (!scribbler.w->calm)
		pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
}
