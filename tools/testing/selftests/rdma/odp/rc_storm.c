// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Full traffic on one CPU beside an invalidation storm on the other: all data
 * is right, and nothing fails. STORM_SECONDS sets how long; by default five
 * minutes. NUMA balancing, the kernel's own storm, is switched on.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define SECONDS		300
#define SLOTS		16
#define SLOT_SIZE	65536
#define SIZE		(SLOTS * SLOT_SIZE)
#define WORDS		(SIZE / sizeof(uint64_t))
#define PAGE		4096
#define BALANCING	"/proc/sys/kernel/numa_balancing"

/**
 * struct field - one side's memory: a shared file's, so that discarded pages come
 *		  back with their content
 * @fd: the file
 * @buf: the mapping that peers use and the storm invalidates
 * @view: a mapping that is left alone
 */
struct field {
	int fd;
	struct buf buf;
	uint64_t *view;
};

static struct field fields[2];
static bool over;
static unsigned long invalidations;

static void *map(int fd, void *at)
{
	void *addr = mmap(at, SIZE, PROT_READ | PROT_WRITE,
			  MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

static void field_up(struct field *field, struct host *host, bool implicit)
{
	field->fd = memfd_create("storm", 0);
	CHECK(field->fd >= 0);
	CHECK_EQ(ftruncate(field->fd, SIZE), 0);
	field->view = map(field->fd, NULL);
	field->buf = (struct buf) {
		.addr = map(field->fd, NULL),
		.len = SIZE,
		.access = ODP_ACCESS,
	};
	field->buf.mr = ibv_reg_mr(host->pd, implicit ? NULL : field->buf.addr,
				   implicit ? SIZE_MAX : SIZE, ODP_ACCESS);
	CHECK(field->buf.mr);
}

/* Each call's notifier covers the whole range, however few pages are present. */
static void *run_storm(void *arg)
{
	unsigned int seed = 1, first, n;
	struct field *field;

	run_on(1);
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		field = &fields[draw(&seed, 2)];
		first = draw(&seed, SIZE / PAGE);
		n = 1 + draw(&seed, SIZE / PAGE - first);
		if (draw(&seed, 16))
			CHECK_EQ(madvise(field->buf.addr + first * PAGE,
					 n * PAGE, MADV_DONTNEED), 0);
		else
			map(field->fd, field->buf.addr);
		invalidations++;
	}
	return NULL;
}

static void fill(uint64_t *words, uint64_t round)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		words[i] = round << 32 | i;
}

static void check(const uint64_t *words, uint64_t round)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		CHECK_EQ(words[i], round << 32 | i);
}

static void run_round(struct pair *pair, uint64_t round)
{
	bool read = round % 3 == 2, send = round % 3 == 1;
	int source = read, i;

	fill(fields[source].view, round);
	for (i = 0; send && i < SLOTS; i++)
		post_recv(&pair->b, &fields[1].buf, i * SLOT_SIZE,
			  SLOT_SIZE, i);
	for (i = 0; i < SLOTS; i++)
		post_one(&pair->a, read ? IBV_WR_RDMA_READ :
				  send ? IBV_WR_SEND : IBV_WR_RDMA_WRITE,
			 buf_sge(&fields[0].buf, i * SLOT_SIZE, SLOT_SIZE),
			 &fields[1].buf, i * SLOT_SIZE);
	for (i = 0; i < SLOTS; i++)
		wait_ok(pair->a.send_cq);
	for (i = 0; send && i < SLOTS; i++)
		CHECK_EQ(wait_ok(pair->b.recv_cq).wr_id, i);
	check(fields[!source].view, round);
}

static unsigned int seconds(void)
{
	const char *text = getenv("STORM_SECONDS");

	return text ? atoi(text) : SECONDS;
}

static void storm(bool implicit)
{
	unsigned long long end = now_ms() + seconds() * 1000ULL, said = 0;
	bool balanced = !access(BALANCING, W_OK);
	struct pair_config config = {};
	unsigned long long faults;
	char balancing[2] = "0";
	struct pair pair;
	uint64_t round = 0;
	pthread_t thread;
	FILE *file;

	run_on(0);
	if (balanced) {
		file = fopen(BALANCING, "r");
		CHECK(file);
		CHECK_EQ(fread(balancing, 1, 1, file), 1);
		fclose(file);
		write_file(BALANCING, "1");
	}
	pair_up(&pair, &config);
	field_up(&fields[0], &pair.hosts[0], implicit);
	field_up(&fields[1], &pair.hosts[1], implicit);
	faults = counter_sum("page_faults");
	CHECK(!pthread_create(&thread, NULL, run_storm, NULL));
	for (; round <= 2 || now_ms() < end; round++) {
		test_at("round %lu", (unsigned long)round);
		run_round(&pair, round);
		if (now_ms() < said + 60000 || now_ms() > end)
			continue;
		said = now_ms();
		printf("# %llu s to go\n", (end - said) / 1000);
		fflush(stdout);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	CHECK(!pthread_join(thread, NULL));
	faults = counter_sum("page_faults") - faults;
	printf("# %lu MiB, %lu invalidations, %llu page faults\n",
	       (unsigned long)(round * SIZE >> 20), invalidations, faults);
	/* more faults than the first touch of all pages takes */
	CHECK(faults > 2 * SIZE / PAGE);
	buf_put(&fields[0].buf);
	buf_put(&fields[1].buf);
	pair_down(&pair);
	if (balanced)
		write_file(BALANCING, balancing);
}

static void storm_explicit(void)
{
	storm(false);
}

static void storm_implicit(void)
{
	storm(true);
}

static const struct test tests[] = {
	{ "an invalidation storm, explicit regions", storm_explicit, 3600 },
	{ "an invalidation storm, the whole address space", storm_implicit,
	  3600 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
