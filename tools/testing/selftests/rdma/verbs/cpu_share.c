// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The data path, or page faults, and a task that computes, on one CPU, each have their
 * part of it.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define CPU		0
#define QPS		2
#define DEPTH		4
#define MESSAGE		(256 * 1024)
#define PREFETCH	(4 << 20)
#define WINDOW_MS	1000
#define ROUNDS		5
#define TRIES		3
/* percent of the CPU, a third but for what sharing costs */
#define LEAST		30
#define OFFLINE		6
#define ONLINE		"/sys/devices/system/cpu/cpu1/online"

/* what the program has done: messages, or prefetches; shared */
static unsigned long *done;

struct writer {
	struct pair pair;
	struct buf from;
	struct buf to;
};

static void write_next(struct writer *w)
{
	post_one(&w->pair.a, IBV_WR_RDMA_WRITE, buf_sge(&w->from, 0, MESSAGE),
		 &w->to, 0);
}

static void writer_up(struct writer *w)
{
	const struct pair_config config = { .channel = true };
	int i;

	pair_up(&w->pair, &config);
	buf_get(&w->from, &w->pair.hosts[0], MESSAGE, ALL_ACCESS);
	buf_get(&w->to, &w->pair.hosts[1], MESSAGE, ALL_ACCESS);
	CHECK_EQ(ibv_req_notify_cq(w->pair.a.send_cq, 0), 0);
	for (i = 0; i < DEPTH; i++)
		write_next(w);
}

/* All completions that there are, each with another write. */
static void write_more(struct writer *w)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(w->pair.a.send_cq, 1, &wc)) {
		CHECK_EQ(wc.status, IBV_WC_SUCCESS);
		__atomic_fetch_add(done, 1, __ATOMIC_RELAXED);
		write_next(w);
	}
}

static void writer_event(struct writer *w)
{
	struct ibv_cq *cq;
	void *context;

	CHECK_EQ(ibv_get_cq_event(w->pair.a.send_channel, &cq, &context), 0);
	ibv_ack_cq_events(cq, 1);
	CHECK_EQ(ibv_req_notify_cq(cq, 0), 0);
	write_more(w);
}

/* Writes of QPS connections: it sleeps while none completes. */
static void stream(int ready)
{
	struct pollfd fds[QPS];
	struct writer w[QPS];
	int i;

	run_on(CPU);
	for (i = 0; i < QPS; i++) {
		writer_up(&w[i]);
		fds[i].fd = w[i].pair.a.send_channel->fd;
		fds[i].events = POLLIN;
	}
	CHECK_EQ(write(ready, "", 1), 1);
	for (;;) {
		CHECK(poll(fds, QPS, -1) > 0);
		for (i = 0; i < QPS; i++)
			if (fds[i].revents)
				writer_event(&w[i]);
	}
}

/* Pages are faulted in, and discarded: it sleeps while they are. */
static void prefetch(int ready)
{
	struct ibv_sge sge;
	struct host host;
	struct buf buf;

	run_on(CPU);
	host_open(&host, 0);
	buf_get(&buf, &host, PREFETCH, ODP_ACCESS);
	sge = buf_sge(&buf, 0, PREFETCH);
	CHECK_EQ(write(ready, "", 1), 1);
	for (;;) {
		CHECK_EQ(try_advise_mr(host.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
				       IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1), 0);
		__atomic_fetch_add(done, 1, __ATOMIC_RELAXED);
		buf_drop(&buf);
	}
}

static void compute(int ready)
{
	run_on(CPU);
	CHECK_EQ(write(ready, "", 1), 1);
	for (;;)
		;
}

static pid_t start(void (*run)(int ready))
{
	int ready;
	pid_t pid = fork_ready(&ready);

	if (!pid) {
		run(ready);
		_exit(1);
	}
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	return pid;
}

static unsigned long long cpu_ms(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
	CHECK_EQ(clock_gettime(clock, &used), 0);
	return used.tv_sec * 1000ULL + used.tv_nsec / 1000000;
}

/* Let processes go on for a while; the part that the first has had of the CPU, in percent. */
static unsigned int run_for(const pid_t *pids, int n)
{
	unsigned long long began = now_ms(), used = cpu_ms(*pids);
	unsigned long before = *done;
	int i;

	for (i = 0; i < n; i++)
		CHECK_EQ(kill(pids[i], SIGCONT), 0);
	sleep_ms(WINDOW_MS);
	used = cpu_ms(*pids) - used;
	began = now_ms() - began;
	for (i = 0; i < n; i++)
		CHECK_EQ(kill(pids[i], SIGSTOP), 0);
	printf("# %lu messages, the task %llu of %llu ms\n", *done - before,
	       used, began);
	/* what the streams have under way ends */
	sleep_ms(200);
	return used * 100 / began;
}

static void run_pid_on(pid_t pid, unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	CHECK_EQ(sched_setaffinity(pid, sizeof(cpus), &cpus), 0);
}

static int by_value(const void *a, const void *b)
{
	return *(const unsigned int *)a - *(const unsigned int *)b;
}

static void start_both(pid_t *pids, void (*one)(int ready),
		       void (*other)(int ready))
{
	/* the parent asks from another CPU */
	run_on(CPU + 1);
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(done != MAP_FAILED);
	pids[0] = start(one);
	pids[1] = start(other);
}

static void end_both(const pid_t *pids)
{
	int i;

	for (i = 0; i < 2; i++) {
		kill(pids[i], SIGKILL);
		CHECK_EQ(waitpid(pids[i], NULL, 0), pids[i]);
	}
}

/*
 * What is not the task's is the program's, as its work is never done, and what works and
 * softirqs do for it. By the CPU's time, as what is done in it depends on the host.
 */
static unsigned int part_beside(void (*run)(int ready))
{
	unsigned int part[ROUNDS], i;
	pid_t pids[2];

	start_both(pids, compute, run);
	for (i = 0; i < ROUNDS; i++)
		part[i] = run_for(pids, 2);
	end_both(pids);
	CHECK(*done);
	qsort(part, ROUNDS, sizeof(*part), by_value);
	printf("# the task has %u%%\n", part[ROUNDS / 2]);
	return part[ROUNDS / 2];
}

/*
 * On a slow host a work takes more at once than it gives back, and what the host takes
 * away is counted as somebody's time: not in each of some tries.
 */
static void beside_computation(void (*run)(int ready))
{
	unsigned int tries, part;

	for (tries = 1;; tries++) {
		part = part_beside(run);
		if (part >= LEAST && part <= 100 - LEAST)
			return;
		CHECK(tries < TRIES);
	}
}

static void beside_writes(void)
{
	beside_computation(stream);
}

static void beside_prefetches(void)
{
	beside_computation(prefetch);
}

/*
 * The works of a CPU that goes offline run on another one, and wait for tasks there,
 * as that one's own do. All go on when it is back.
 */
static void cpu_offline(void)
{
	unsigned long messages;
	pid_t pids[2];
	int i;

	if (access(ONLINE, W_OK))
		skip("no CPU can be taken offline");
	write_file(ONLINE, "1");
	start_both(pids, compute, stream);
	for (i = 0; i < 2; i++)
		CHECK_EQ(kill(pids[i], SIGCONT), 0);
	for (i = 0; i < OFFLINE; i++) {
		test_at("round %d", i);
		write_file(ONLINE, "0");
		sleep_ms(300);
		write_file(ONLINE, "1");
		/* the stream's packets go by either CPU */
		run_pid_on(pids[1], i);
		messages = __atomic_load_n(done, __ATOMIC_RELAXED);
		UNTIL(__atomic_load_n(done, __ATOMIC_RELAXED) >
		      messages + 2 * QPS * DEPTH);
	}
	end_both(pids);
	check_works();
}

static const struct test tests[] = {
	{ "a stream of two queue pairs beside a task that computes",
	  beside_writes },
	{ "prefetches beside a task that computes", beside_prefetches },
	{ "a stream beside a task that computes, while a CPU goes and comes",
	  cpu_offline, OFFLINE * 60 + 60 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
