// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Accesses to new pages while other threads of the program discard, unmap or
 * fork: each gets its page within a bounded number of look-ups, and waits no
 * longer than a program's own accesses might. The time that an access may take is
 * compared with that of the same ones beside as many threads that only compute.
 *
 * A busy host stalls its guest now and then. So two processes of a real-time
 * priority, one on each CPU, wake up all the time, and time in which they could
 * not is not the access's.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"
#include "tracing.h"

#define W		IBV_WR_RDMA_WRITE
#define LEN		8
#define ACCESSES	200
#define SIZE		(1024 * 1024 * 1024UL)
#define PIECE		(64UL << 20)
/* faults, and look-ups that are lost, for each place of one access */
#define LOST_MOST	16
/* the same where other memory changes: none, but for what an access repeats by chance */
#define LOST_ELSEWHERE	1
/* look-ups: one that goes first takes two; and perhaps once more, asleep */
#define LOOK_UPS_MOST	(2 * LOST_MOST)
/* the longest access against the longest beside threads that compute */
#define TIMES_MOST	20
/* the least that is taken for that: a tick, in which it depends on luck */
#define TICK_US		4000
#define TRIES		3
/* after so long a twentieth of the accesses is enough */
#define ENOUGH_MS	3000
#define ENOUGH		(ACCESSES / TIMES_MOST)
/* a beat is late after so long */
#define BEAT_US		2000
#define LATE_US		(2 * BEAT_US)
#define CPUS		2
#define COUNTERS	"/sys/class/infiniband/rxe%d/ports/1/hw_counters/%s"

static const unsigned int numbers[] = { 1, 2, 4 };

/* all are atomic */
static bool over;
static unsigned int begun;
static unsigned long rounds;

/* memory that is accessed, and other memory of the program */
static unsigned char *memory, *other;

static bool go_on(void)
{
	__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	return !__atomic_load_n(&over, __ATOMIC_RELAXED);
}

static void begin(void)
{
	__atomic_add_fetch(&begun, 1, __ATOMIC_RELEASE);
}

static void *compute(void *arg)
{
	begin();
	while (go_on())
		;
	return NULL;
}

static void *discard(void *arg)
{
	begin();
	while (go_on())
		CHECK_EQ(madvise(arg, SIZE, MADV_DONTNEED), 0);
	return NULL;
}

static void *discard_same(void *arg)
{
	return discard(memory);
}

static void *discard_other(void *arg)
{
	return discard(other);
}

static unsigned char *map(size_t len)
{
	unsigned char *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);

	CHECK(addr != MAP_FAILED);
	small_pages(addr, len);
	return addr;
}

/* a page in each page table */
static void touch(unsigned char *addr, size_t len)
{
	size_t at;

	for (at = 0; at < len; at += HUGE_BYTES)
		addr[at] = 1;
}

static void *unmap_other(void *arg)
{
	unsigned char *piece;

	begin();
	while (go_on()) {
		piece = map(PIECE);
		touch(piece, PIECE);
		CHECK_EQ(munmap(piece, PIECE), 0);
	}
	return NULL;
}

static void end_child(pid_t child)
{
	CHECK_EQ(kill(child, SIGKILL), 0);
	CHECK_EQ(waitpid(child, NULL, 0), child);
}

/* Each child lives until the next: the memory is always shared with one. */
static void *fork_children(void *arg)
{
	pid_t child, last = 0;

	begin();
	while (go_on()) {
		child = fork();
		CHECK(child >= 0);
		if (!child)
			for (;;)
				pause();
		if (last)
			end_child(last);
		last = child;
	}
	if (last)
		end_child(last);
	return NULL;
}

/**
 * struct disturbance - the work of other threads
 * @name: for people
 * @run: function of one thread
 * @stride: from the page of one access to that of the next
 * @other: they discard other memory
 * @elsewhere: they change no memory that is accessed
 * @present: the CPU has the accessed pages mapped
 */
struct disturbance {
	const char *name;
	void *(*run)(void *arg);
	size_t stride;
	bool other;
	bool elsewhere;
	bool present;
};

static const struct disturbance discards_same = {
	"discard the same memory", discard_same, HUGE_BYTES,
};

static const struct disturbance discards_other = {
	"discard other memory", discard_other, PAGE_BYTES, .other = true,
	.elsewhere = true,
};

static const struct disturbance unmaps_other = {
	"unmap other memory", unmap_other, PAGE_BYTES, .elsewhere = true,
};

static const struct disturbance forks = {
	"fork", fork_children, PAGE_BYTES, .present = true,
};

/**
 * struct place - source and sink of the accesses
 * @pair: end a writes
 * @local: source of the writes
 * @remote: for end b's memory
 * @gathers: the accesses are to @local, in two pieces
 * @stride: from one access to the next
 * @next: number of the next access, which is to a new page
 */
struct place {
	struct pair pair;
	struct buf local;
	struct buf remote;
	bool gathers;
	size_t stride;
	unsigned long next;
};

static size_t next_offset(struct place *place)
{
	size_t at = place->next++ * place->stride;

	return at % SIZE + at / SIZE * PAGE_BYTES;
}

static unsigned long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

/**
 * struct beat - a process that wakes up all the time, on one CPU
 * @last: when it last did
 * @stalled: how long it could not, in all
 * @pid: its number
 *
 * Times are in microseconds, and atomic.
 */
static struct beat {
	unsigned long long last;
	unsigned long long stalled;
	pid_t pid;
} *beats;

static unsigned long long late(unsigned long long last, unsigned long long now)
{
	return now > last + LATE_US ? now - last - LATE_US : 0;
}

static void beat(struct beat *beat, unsigned int cpu)
{
	const struct sched_param param = { .sched_priority = 1 };
	unsigned long long now, stalled = 0;

	run_on(cpu);
	CHECK_EQ(sched_setscheduler(0, SCHED_FIFO, &param), 0);
	beat->last = now_us();
	for (;;) {
		usleep(BEAT_US);
		now = now_us();
		stalled += late(beat->last, now);
		__atomic_store_n(&beat->stalled, stalled, __ATOMIC_RELEASE);
		__atomic_store_n(&beat->last, now, __ATOMIC_RELEASE);
	}
}

static void beats_begin(void)
{
	unsigned int i;
	pid_t pid;

	beats = mmap(NULL, CPUS * sizeof(*beats), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(beats != MAP_FAILED);
	for (i = 0; i < CPUS; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			beat(&beats[i], i);
		/* not the child, which shares it */
		beats[i].pid = pid;
		UNTIL(__atomic_load_n(&beats[i].last, __ATOMIC_ACQUIRE));
	}
}

static void beats_end(void)
{
	unsigned int i;

	for (i = 0; i < CPUS; i++)
		end_child(beats[i].pid);
}

/* How long one CPU or the other has not run so far. */
static unsigned long long stalled_us(void)
{
	unsigned long long last, sum = 0;
	unsigned int i;

	for (i = 0; i < CPUS; i++) {
		last = __atomic_load_n(&beats[i].last, __ATOMIC_ACQUIRE);
		sum += late(last, now_us()) +
		       __atomic_load_n(&beats[i].stalled, __ATOMIC_ACQUIRE);
	}
	return sum;
}

/* The counter's current value: see set_lifespan(). */
static unsigned long long counter_now(int which, const char *counter)
{
	unsigned long long value;
	char name[100];
	FILE *file;

	snprintf(name, sizeof(name), COUNTERS, which, counter);
	file = fopen(name, "r");
	CHECK(file);
	CHECK_EQ(fscanf(file, "%llu", &value), 1);
	fclose(file);
	return value;
}

/*
 * Retried look-ups, and faults: of these an access needs one. The core caches counters
 * until the next tick at least, as of the accesses before.
 */
static unsigned long long lost_now(void)
{
	usleep(2 * TICK_US);
	return counter_now(0, "page_fault_retries") + counter_now(0, "parked") +
	       counter_now(1, "page_fault_retries") + counter_now(1, "parked");
}

/* set for how many milliseconds the core caches counters */
static void set_lifespan(const char *ms)
{
	char name[100];
	int which;

	for (which = 0; which < 2; which++) {
		snprintf(name, sizeof(name), COUNTERS, which, "lifespan");
		write_file(name, ms);
	}
}

/**
 * struct figures - what accesses have cost
 * @accesses: how many there were
 * @longest: in microseconds, without those in which a CPU did not run
 * @lost: the most look-ups and faults that were lost for one of them
 * @look_ups: the most that were made for one of them
 * @rounds: that the other threads have made
 */
struct figures {
	unsigned int accesses;
	unsigned long long longest;
	unsigned long long lost;
	unsigned long look_ups;
	unsigned long rounds;
};

static void post_from(struct place *place, size_t at)
{
	struct ibv_sge sges[] = {
		buf_sge(&place->local, at, LEN),
		buf_sge(&place->local, (at + SIZE / 2) % SIZE, LEN),
	};
	struct ibv_send_wr wr = {
		.opcode = W,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = sges,
		.num_sge = NUM(sges),
		.wr.rdma.remote_addr = (uintptr_t)place->remote.addr,
		.wr.rdma.rkey = place->remote.mr->rkey,
	};

	post_send(&place->pair.a, &wr);
}

/* Sleep until the write is done: polling would be one more computing thread. */
static void write_to(struct place *place, size_t at)
{
	struct end *a = &place->pair.a;
	struct ibv_cq *cq;
	void *context;

	CHECK_EQ(ibv_req_notify_cq(a->send_cq, 0), 0);
	if (place->gathers)
		post_from(place, at);
	else
		post_one(a, W, buf_sge(&place->local, 0, LEN), &place->remote,
			 at);
	CHECK_EQ(ibv_get_cq_event(a->send_channel, &cq, &context), 0);
	ibv_ack_cq_events(cq, 1);
	wait_ok(a->send_cq);
}

static void access_one(struct place *place, struct figures *figures)
{
	unsigned long long lost = lost_now(), stalled = stalled_us();
	unsigned long made = look_ups();
	unsigned long long began = now_us(), took;

	write_to(place, next_offset(place));
	took = now_us() - began;
	stalled = stalled_us() - stalled;
	took -= stalled < took ? stalled : took;
	made = look_ups() - made;
	lost = lost_now() - lost;
	if (lost)
		lost--;
	if (took > figures->longest)
		figures->longest = took;
	if (lost > figures->lost)
		figures->lost = lost;
	if (made > figures->look_ups)
		figures->look_ups = made;
	figures->accesses++;
}

/* accesses while @n threads run */
static struct figures beside(struct place *place, void *(*run)(void *arg),
			     unsigned int n)
{
	unsigned long long end;
	struct figures figures = {};
	pthread_t threads[4];
	unsigned int i;

	CHECK(n <= NUM(threads));
	over = false;
	begun = 0;
	rounds = 0;
	for (i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, run, NULL), 0);
	UNTIL(__atomic_load_n(&begun, __ATOMIC_ACQUIRE) == n);
	end = now_ms() + ENOUGH_MS * limit_factor();
	while (figures.accesses < ENOUGH ||
	       (figures.accesses < ACCESSES && now_ms() < end))
		access_one(place, &figures);
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	figures.rounds = rounds;
	return figures;
}

/* Whether accesses took no longer beside @disturbance than they may. */
static bool in_time(struct place *place, const struct disturbance *disturbance,
		    unsigned int n)
{
	unsigned int places = place->gathers ? 2 : 1;
	unsigned long long lost_most = disturbance->elsewhere ? LOST_ELSEWHERE :
							       LOST_MOST * places;
	struct figures alone = beside(place, compute, n);
	struct figures disturbed = beside(place, disturbance->run, n);
	unsigned long long most = TIMES_MOST * (alone.longest > TICK_US ?
						alone.longest : TICK_US);

	printf("# %u threads %s, %lu times: at most %lu look-ups, %llu lost;\n",
	       n, disturbance->name, disturbed.rounds, disturbed.look_ups,
	       disturbed.lost);
	printf("#   longest of %u accesses %llu us, of %u beside as many that compute %llu us\n",
	       disturbed.accesses, disturbed.longest, alone.accesses,
	       alone.longest);
	fflush(stdout);
	/* these are counted, and the host has no part in it */
	CHECK(disturbed.lost <= lost_most);
	CHECK(disturbed.look_ups <= LOOK_UPS_MOST * places);
	return disturbed.longest <= most;
}

/* What is too slow by chance is not so twice in three times. */
static bool bounded(struct place *place, const struct disturbance *disturbance,
		    unsigned int n)
{
	unsigned int tries, slow;

	test_at("%u threads %s", n, disturbance->name);
	slow = !in_time(place, disturbance, n);
	for (tries = 1; slow && tries < TRIES; tries++)
		slow += !in_time(place, disturbance, n);
	return slow < 2;
}

static void check_bounded(struct place *place,
			  const struct disturbance *disturbance)
{
	bool counted = look_ups_begin(), all_bounded = true;
	unsigned int i;

	set_lifespan("0");
	beats_begin();
	for (i = 0; i < NUM(numbers); i++)
		all_bounded &= bounded(place, disturbance, numbers[i]);
	beats_end();
	set_lifespan("10");
	if (counted)
		look_ups_end();
	CHECK(all_bounded);
}

static void makes_progress(const struct disturbance *disturbance, bool implicit)
{
	struct place place = { .stride = disturbance->stride };
	const struct pair_config config = { .channel = true };

	pair_up(&place.pair, &config);
	buf_get(&place.local, &place.pair.hosts[0], PAGE_BYTES,
		ALL_ACCESS);
	memory = map(SIZE);
	if (disturbance->present)
		memset(memory, 1,
		       2 * TRIES * NUM(numbers) * ACCESSES * PAGE_BYTES);
	if (disturbance->other) {
		other = map(SIZE);
		touch(other, SIZE);
	}
	place.remote = (struct buf) { .addr = memory, .len = SIZE };
	place.remote.mr = ibv_reg_mr(place.pair.hosts[1].pd,
				     implicit ? NULL : memory,
				     implicit ? SIZE_MAX : SIZE, ODP_ACCESS);
	CHECK(place.remote.mr);
	check_bounded(&place, disturbance);
	CHECK_EQ(ibv_dereg_mr(place.remote.mr), 0);
	buf_put(&place.local);
	pair_down(&place.pair);
}

/* An access to two places; each is discarded while the other is faulted in. */
static void gathered(void)
{
	struct place place = { .gathers = true, .stride = HUGE_BYTES };
	const struct pair_config config = { .channel = true };

	pair_up(&place.pair, &config);
	memory = map(SIZE);
	buf_reg(&place.local, &place.pair.hosts[0], memory, SIZE,
		ODP_ACCESS);
	buf_get(&place.remote, &place.pair.hosts[1], PAGE_BYTES,
		ALL_ACCESS);
	check_bounded(&place, &discards_same);
	buf_put(&place.remote);
	CHECK_EQ(ibv_dereg_mr(place.local.mr), 0);
	pair_down(&place.pair);
}

static void discarded_explicit(void)
{
	makes_progress(&discards_same, false);
}

static void discarded_implicit(void)
{
	makes_progress(&discards_same, true);
}

static void others_discarded_explicit(void)
{
	makes_progress(&discards_other, false);
}

static void others_discarded_implicit(void)
{
	makes_progress(&discards_other, true);
}

static void unmapped_explicit(void)
{
	makes_progress(&unmaps_other, false);
}

static void unmapped_implicit(void)
{
	makes_progress(&unmaps_other, true);
}

static void forked_explicit(void)
{
	makes_progress(&forks, false);
}

static void forked_implicit(void)
{
	makes_progress(&forks, true);
}

static const struct test tests[] = {
	{ "faults progress while the region is discarded", discarded_explicit },
	{ "faults of an implicit region progress while it is discarded",
	  discarded_implicit },
	{ "faults progress while two places of an access are discarded",
	  gathered },
	{ "faults progress while other memory is discarded",
	  others_discarded_explicit },
	{ "faults of an implicit region progress while other memory is discarded",
	  others_discarded_implicit },
	{ "faults progress while other memory is unmapped", unmapped_explicit },
	{ "faults of an implicit region progress while other memory is unmapped",
	  unmapped_implicit },
	{ "faults progress while the program forks", forked_explicit },
	{ "faults of an implicit region progress while the program forks",
	  forked_implicit },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
