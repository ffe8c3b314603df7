// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Programs whose memory is never there, by a userfaultfd that nobody answers,
 * hold up themselves and nobody else, and hold no more memory than is theirs.
 */
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

/* above what any one queue of work has workers for */
#define STUCK		560
/* more than a connection may have under way, and what that is at least */
#define MESSAGE		(320 * 1024)
#define UNDER_WAY	(256 * 1024)
/* of the machine's memory, for all that waits on a device */
#define SHARE		32

/**
 * struct crowd - connections whose receiving memory is not there
 * @hosts: the devices
 * @n: how many connections
 * @pairs: their ends
 * @from: memory that is there
 * @to: memory that is not, @each bytes for each
 * @each: bytes
 * @uffd: who would have to answer
 */
struct crowd {
	struct host hosts[2];
	int n;
	struct pair *pairs;
	struct buf from;
	struct buf to;
	size_t each;
	int uffd;
};

static void crowd_up(struct crowd *crowd, int n, size_t each)
{
	struct pair_config config = { .depth = 2, .rnr_timer = 31 };
	int i;

	host_open(&crowd->hosts[0], 0);
	host_open(&crowd->hosts[1], 1);
	crowd->n = n;
	crowd->each = each;
	crowd->pairs = calloc(n, sizeof(*crowd->pairs));
	CHECK(crowd->pairs);
	buf_get(&crowd->from, &crowd->hosts[0], each, ALL_ACCESS);
	buf_get(&crowd->to, &crowd->hosts[1], n * each, ODP_ACCESS);
	crowd->uffd = miss_pages(crowd->to.addr, crowd->to.len);
	fill_pattern(crowd->from.addr, each, 3);
	for (i = 0; i < n; i++) {
		connect_ends(&crowd->pairs[i].a, &crowd->hosts[0],
			     &crowd->pairs[i].b, &crowd->hosts[1], &config);
		post_one(&crowd->pairs[i].a, IBV_WR_RDMA_WRITE,
			 buf_sge(&crowd->from, 0, each), &crowd->to, i * each);
	}
}

static void crowd_down(struct crowd *crowd)
{
	int i;

	for (i = 0; i < crowd->n; i++) {
		end_destroy(&crowd->pairs[i].a);
		end_destroy(&crowd->pairs[i].b);
	}
	buf_put(&crowd->from);
	buf_put(&crowd->to);
	host_close(&crowd->hosts[0]);
	host_close(&crowd->hosts[1]);
}

static void be_stuck(int ready)
{
	unsigned long long parked = counter_of(1, "parked");
	struct crowd crowd;

	crowd_up(&crowd, STUCK, 4096);
	while (counter_of(1, "parked") < parked + STUCK)
		sleep_ms(10);
	CHECK_EQ(write(ready, "", 1), 1);
	pause();
}

/* Others go on, its end is no trouble, and nothing of it is left. */
static void never_answered(void)
{
	struct resources before;
	int ready[2], i;
	char byte;
	pid_t pid;

	resources_get(&before);
	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		be_stuck(ready[1]);
		_exit(0);
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	for (i = 0; i < 10; i++)
		check_works();
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	resources_check(&before);
	check_works();
}

/*
 * What does not fit in is refused for the time being, and comes when the memory
 * does.
 */
static void bounded_memory(void)
{
	unsigned long long bound, waiting, most = 0;
	struct uffdio_range range;
	struct crowd crowd;
	int i;

	bound = (unsigned long long)sysconf(_SC_PHYS_PAGES) *
		sysconf(_SC_PAGESIZE) / SHARE;
	if (bound > 100 << 20)
		skip("so much memory that hundreds of connections cannot fill it");
	crowd_up(&crowd, bound / UNDER_WAY * 4 / 3, MESSAGE);
	/* it fills up, and stays as it is while they try again and again */
	for (i = 0; i < 100 || most < bound - bound / 10; i++) {
		waiting = counter_of(1, "parked_bytes");
		/* each processor may have been about to add one more packet */
		CHECK(waiting <= bound + 65536);
		if (waiting > most)
			most = waiting;
	}
	printf("# %llu KiB of %llu\n", most >> 10, bound >> 10);
	for (i = 0; i < crowd.n; i++)
		check_idle(crowd.pairs[i].a.send_cq);

	range.start = (uintptr_t)crowd.to.addr;
	range.len = crowd.to.len;
	CHECK_EQ(ioctl(crowd.uffd, UFFDIO_UNREGISTER, &range), 0);
	for (i = 0; i < crowd.n; i++) {
		test_at("connection %d", i);
		wait_ok(crowd.pairs[i].a.send_cq);
		check_pattern(crowd.to.addr + i * MESSAGE, MESSAGE, 3);
	}
	CHECK_EQ(counter_of(1, "parked_bytes"), 0);
	crowd_down(&crowd);
}

static const struct test tests[] = {
	{ "faults that are never answered", never_answered, 240 },
	{ "memory of parked packets is bounded", bounded_memory, 240 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
