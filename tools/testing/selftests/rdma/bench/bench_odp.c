// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The speed of page faults: the first touch of memory by a peer's writes and
 * reads, and by the CPU; the first byte after an invalidation; and the throughput
 * while pages are taken away. For bench.py, on any driver that has on-demand
 * paging. Prints "name value", a line each. Data is not verified: tests do that.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "memory.h"
#include "pair.h"

#define PAGE		4096UL
#define MIB		(1024 * 1024UL)
#define COLD_SIZE	(256 * MIB)
#define MESSAGE		MIB
/* messages under way */
#define DEPTH		4
#define WARM_SIZE	(16 * MIB)
#define SMALL_MESSAGE	(64 * 1024UL)
#define WARM_NS		500000000ULL
#define SAMPLES		200

static unsigned long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void *cold_memory(void)
{
	void *addr = mmap(NULL, COLD_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(addr != MAP_FAILED);
	/* small pages, whatever the host's policy of huge ones */
	small_pages(addr, COLD_SIZE);
	return addr;
}

static void print_pages(const char *name, unsigned long long ns)
{
	printf("%s %.0f\n", name, COLD_SIZE / PAGE * 1e9 / ns);
}

static void by_the_cpu(void)
{
	unsigned long long began;
	char *addr = cold_memory();

	began = now_ns();
	memset(addr, 1, COLD_SIZE);
	print_pages("cold_memset_pages_per_s", now_ns() - began);
	CHECK_EQ(munmap(addr, COLD_SIZE), 0);
}

static void by_a_peer(struct pair *pair, enum ibv_wr_opcode opcode,
		      const char *name)
{
	struct buf local, remote;
	unsigned long long began;
	size_t at;
	int i;

	buf_get(&local, &pair->hosts[0], MESSAGE, ALL_ACCESS);
	buf_reg(&remote, &pair->hosts[1], cold_memory(), COLD_SIZE,
		ODP_ACCESS);
	memset(local.addr, 1, MESSAGE);
	began = now_ns();
	for (at = 0; at < COLD_SIZE; at += MESSAGE) {
		if (at >= DEPTH * MESSAGE)
			wait_ok(pair->a.send_cq);
		post_one(&pair->a, opcode, buf_sge(&local, 0, MESSAGE), &remote,
			 at);
	}
	for (i = 0; i < DEPTH; i++)
		wait_ok(pair->a.send_cq);
	print_pages(name, now_ns() - began);
	buf_put(&local);
	buf_put(&remote);
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a;
	unsigned long long y = *(const unsigned long long *)b;

	return x < y ? -1 : x > y;
}

/* One page is written to, taken away, and written to again. */
static void first_bytes(struct pair *pair)
{
	unsigned long long warm[SAMPLES], cold[SAMPLES], began;
	struct buf local, remote;
	int i;

	buf_get(&local, &pair->hosts[0], PAGE, ALL_ACCESS);
	buf_get(&remote, &pair->hosts[1], PAGE, ODP_ACCESS);
	memset(local.addr, 1, PAGE);
	for (i = 0; i < SAMPLES; i++) {
		began = now_ns();
		do_one(&pair->a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 8),
		       &remote, 0);
		warm[i] = now_ns() - began;
		buf_drop(&remote);
		began = now_ns();
		do_one(&pair->a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 8),
		       &remote, 0);
		cold[i] = now_ns() - began;
	}
	qsort(warm, SAMPLES, sizeof(*warm), compare);
	qsort(cold, SAMPLES, sizeof(*cold), compare);
	printf("first_byte_warm_us %.1f\n", warm[SAMPLES / 2] / 1e3);
	printf("first_byte_cold_us %.1f\n", cold[SAMPLES / 2] / 1e3);
	buf_put(&local);
	buf_put(&remote);
}

/**
 * struct thief - takes single pages away
 * @buf: memory that loses pages
 * @per_second: pages
 * @over: the thread is to end
 */
struct thief {
	const struct buf *buf;
	unsigned long per_second;
	bool over;
};

/* Take as many pages as are due, also if late. */
static void *steal(void *arg)
{
	struct thief *thief = arg;
	unsigned long long began = now_ns();
	unsigned long taken = 0, due;
	unsigned int state = 1;

	/* the CPU of hostb, see bench.py */
	run_on(1);
	while (!__atomic_load_n(&thief->over, __ATOMIC_ACQUIRE)) {
		due = (now_ns() - began) * thief->per_second / 1000000000ULL;
		while (taken < due) {
			CHECK_EQ(madvise(thief->buf->addr +
					 draw(&state, WARM_SIZE / PAGE) * PAGE,
					 PAGE, MADV_DONTNEED), 0);
			taken++;
		}
		sleep_ms(1);
	}
	return NULL;
}

static void under_theft(struct pair *pair, unsigned int percent)
{
	struct buf local, remote;
	unsigned long long began;
	unsigned long bytes = 0;
	struct thief thief = {
		.buf = &remote,
		.per_second = WARM_SIZE / PAGE * percent / 100,
	};
	pthread_t thread;
	size_t at;

	buf_get(&local, &pair->hosts[0], SMALL_MESSAGE, ALL_ACCESS);
	buf_get(&remote, &pair->hosts[1], WARM_SIZE, ODP_ACCESS);
	memset(local.addr, 1, SMALL_MESSAGE);
	for (at = 0; at < WARM_SIZE; at += SMALL_MESSAGE)
		do_one(&pair->a, IBV_WR_RDMA_WRITE,
		       buf_sge(&local, 0, SMALL_MESSAGE), &remote, at);
	CHECK_EQ(pthread_create(&thread, NULL, steal, &thief), 0);
	began = now_ns();
	while (now_ns() - began < WARM_NS) {
		at = bytes % WARM_SIZE;
		do_one(&pair->a, IBV_WR_RDMA_WRITE,
		       buf_sge(&local, 0, SMALL_MESSAGE), &remote, at);
		bytes += SMALL_MESSAGE;
	}
	printf("write_mib_per_s_%u_percent_taken %.1f\n", percent,
	       bytes * 1e9 / (now_ns() - began) / MIB);
	__atomic_store_n(&thief.over, true, __ATOMIC_RELEASE);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	buf_put(&local);
	buf_put(&remote);
}

/* the largest that fits the netdev's MTU */
static enum ibv_mtu path_mtu(void)
{
	struct ibv_port_attr port;
	struct host host;

	host_open(&host, 0);
	CHECK_EQ(ibv_query_port(host.ctx, 1, &port), 0);
	host_close(&host);
	return port.active_mtu;
}

int main(void)
{
	static const unsigned int percents[] = { 0, 1, 10, 50 };
	struct pair_config config = { .mtu = path_mtu() };
	struct pair pair;
	unsigned int i;

	pair_up(&pair, &config);
	by_the_cpu();
	by_a_peer(&pair, IBV_WR_RDMA_WRITE, "cold_write_pages_per_s");
	by_a_peer(&pair, IBV_WR_RDMA_READ, "cold_read_pages_per_s");
	first_bytes(&pair);
	for (i = 0; i < NUM(percents); i++)
		under_theft(&pair, percents[i]);
	pair_down(&pair);
	return 0;
}
