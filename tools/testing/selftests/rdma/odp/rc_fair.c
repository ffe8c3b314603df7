// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Programs whose memory never comes, by a userfaultfd without a handler, delay
 * themselves and no other program, and hold a bounded amount of memory.
 */
#define _GNU_SOURCE
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

/* more faults than a workqueue has workers for */
#define STUCK		560
/* more than a connection may have under way, and the least that it may */
#define MESSAGE		(320 * 1024)
#define UNDER_WAY	(256 * 1024)
/* 1/SHARE of RAM is the bound for parked packets of a device */
#define SHARE		32
/* a program's part of what is left: 3/4, of its control group's, of its user's */
#define ALONE(left)	((left) * 27 / 64)
/* who take all together but for 4% */
#define USERS		6
/* what others write, into pages that come */
#define COLD		(4 << 20)
#define COLD_WRITE	16384

/**
 * struct crowd - connections whose receiving memory is not there
 * @hosts: the devices
 * @n: how many connections
 * @pairs: their ends
 * @from: memory that is present
 * @to: memory that is missing, @each bytes for each
 * @each: bytes
 * @uffd: the userfaultfd, without a handler
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
	struct pair_config config = {
		.depth = 2,
		.rnr_timer = 31,
		/*
		 * After a time-out one packet at a time leaves until one is
		 * acknowledged, and none is: a CPU that stands still for some seconds
		 * must not cause one.
		 */
		.timeout = 22,
	};
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

/* Other connections go on, the program can end, and nothing leaks. */
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

/* Programs that have ended hold theirs until their last worker has returned. */
static void none_waits(void)
{
	UNTIL(!counter_of(1, "parked_bytes"));
}

static unsigned long long device_bound(void)
{
	unsigned long long bound;

	bound = (unsigned long long)sysconf(_SC_PHYS_PAGES) *
		sysconf(_SC_PAGESIZE) / SHARE;
	if (bound > 200 << 20)
		skip("so much memory that hundreds of connections cannot fill it");
	return bound;
}

/* Connections that would like to have a third more wait than may. */
static void crowd_fill(struct crowd *crowd, unsigned long long bytes)
{
	crowd_up(crowd, bytes / UNDER_WAY * 4 / 3, MESSAGE);
}

/* No write has ended: those that are refused try again, and none gives up. */
static void crowd_check_waits(struct crowd *crowd)
{
	int i;

	for (i = 0; i < crowd->n; i++)
		check_idle(crowd->pairs[i].a.send_cq);
}

/*
 * Packets beyond the bound get an RNR NAK, and come again when the memory is
 * there.
 */
static void bounded_memory(void)
{
	unsigned long long bound = ALONE(device_bound()), waiting, most = 0;
	unsigned long long refused = counter_of(1, "parked_refused");
	struct uffdio_range range;
	struct crowd crowd;
	int i;

	crowd_fill(&crowd, bound);
	/* it fills up, and stays as it is while they try again and again */
	for (i = 0; i < 100 || most < bound - bound / 10; i++) {
		waiting = counter_of(1, "parked_bytes");
		CHECK(waiting <= bound);
		if (waiting > most)
			most = waiting;
	}
	printf("# %llu KiB of %llu\n", most >> 10, bound >> 10);
	CHECK(counter_of(1, "parked_refused") > refused);
	crowd_check_waits(&crowd);

	range.start = (uintptr_t)crowd.to.addr;
	range.len = crowd.to.len;
	CHECK_EQ(ioctl(crowd.uffd, UFFDIO_UNREGISTER, &range), 0);
	for (i = 0; i < crowd.n; i++) {
		test_at("connection %d", i);
		wait_ok(crowd.pairs[i].a.send_cq);
		check_pattern(crowd.to.addr + i * MESSAGE, MESSAGE, 3);
	}
	/* the last answer leaves before the packet is freed */
	none_waits();
	crowd_down(&crowd);
}

/* Wait a moment, in which a process must not end. */
static void check_alive(pid_t pid)
{
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	sleep_ms(10);
}

/*
 * A process that has all waiting that it can get, for as long as it lives, and would
 * like to have @times as much. What others have may still grow: then it gets less, and
 * all together have more.
 */
static pid_t fill_up(uid_t user, unsigned int times)
{
	unsigned long long bound = device_bound(), granted, waiting;
	struct crowd crowd;
	pid_t pid;

	waiting = counter_of(1, "parked_bytes");
	CHECK(waiting <= bound);
	granted = ALONE(bound - waiting);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		/* the effective one stays, and may all that it could */
		CHECK_EQ(setresuid(user, -1, -1), 0);
		crowd_fill(&crowd, times * granted);
		for (;;) {
			crowd_check_waits(&crowd);
			sleep_ms(100);
		}
	}
	while (counter_of(1, "parked_bytes") < waiting + granted / 8 * 7)
		check_alive(pid);
	return pid;
}

static void end_all(pid_t *pids, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		kill(pids[i], SIGKILL);
		CHECK_EQ(waitpid(pids[i], NULL, 0), pids[i]);
	}
	none_waits();
}

/* Users that take what they can: each gets less than the one before. */
static void bounded_device(void)
{
	unsigned long long bound = device_bound(), waiting = 0;
	pid_t pids[USERS];
	int i;

	none_waits();
	for (i = 0; i < USERS; i++) {
		test_at("user %d, %llu KiB wait", i, waiting >> 10);
		pids[i] = fill_up(1000 + i, 2);
		waiting = counter_of(1, "parked_bytes");
		CHECK(waiting <= bound);
	}
	printf("# %llu KiB of %llu\n", waiting >> 10, bound >> 10);
	CHECK(waiting >= bound / 8 * 7);
	end_all(pids, USERS);
	check_works();
}

/* Writes into pages that are not there, by a peer that is told to wait once only. */
static void cold_writes(void)
{
	struct pair_config config = {
		.rnr_retry = 1 + 1,
		.rnr_timer = 1,
		/* a CPU that stands still for a while uses no retries up */
		.timeout = 19,
	};
	struct buf from, to;
	struct pair pair;
	size_t at;
	int i;

	pair_up(&pair, &config);
	buf_get(&from, &pair.hosts[0], COLD, ALL_ACCESS);
	buf_get(&to, &pair.hosts[1], COLD, ODP_ACCESS);
	fill_pattern(from.addr, COLD, 5);
	for (i = 0; i < 1024; i++) {
		at = (size_t)i * COLD_WRITE % COLD;
		test_at("write %d", i);
		if (!at)
			buf_drop(&to);
		do_one(&pair.a, IBV_WR_RDMA_WRITE,
		       buf_sge(&from, at, COLD_WRITE), &to, at);
	}
	check_pattern(to.addr, COLD, 5);
	buf_put(&from);
	buf_put(&to);
	pair_down(&pair);
}

/*
 * A program has all waiting that it can get, for ever. Others of the same user and
 * control group, and those of other users, have room.
 */
static void room_for_others(void)
{
	const uid_t users[] = { getuid(), 1000 };
	unsigned long long refused;
	unsigned int i;
	pid_t pid;

	none_waits();
	for (i = 0; i < NUM(users); i++) {
		test_at("user %u: filling up", users[i]);
		/*
		 * It would have a third more if it got more; that many connections
		 * ask again and again, which costs a slow host its time.
		 */
		pid = fill_up(users[i], 1);
		test_at("user %u: refused", users[i]);
		refused = counter_of(1, "parked_refused");
		while (counter_of(1, "parked_refused") < refused + 50)
			check_alive(pid);
		cold_writes();
		end_all(&pid, 1);
	}
}

static const struct test tests[] = {
	{ "faults that are never answered", never_answered, 240 },
	{ "memory of parked packets is bounded", bounded_memory, 240 },
	{ "memory of parked packets of all programs is bounded", bounded_device, 600 },
	{ "a program whose packets wait for ever leaves room", room_for_others, 600 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
