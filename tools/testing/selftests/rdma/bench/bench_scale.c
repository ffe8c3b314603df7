// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The cost of many objects: the rate of small writes alone, beside a thousand idle
 * connections, and beside ten and a hundred thousand memory regions; the memory
 * that each object takes; and two busy queue pairs that share a region, against
 * two with one each. For bench.py, on any driver that has on-demand paging.
 * Prints "name value", a line each.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pair.h"

#define CONNECTIONS	1000
#define SOME_REGIONS	10000
#define MANY_REGIONS	100000
#define REGION		4096UL

#define SMALL		8
#define SMALL_WRITES	20000
#define LARGE		(64 * 1024UL)
#define LARGE_WRITES	1000
#define AT_ONCE		32
/* each is measured so often, and the best one counts */
#define ROUNDS		3

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* the kernel's MemAvailable, in bytes */
static double available(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	double kib = 0;

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lf", &kib) == 1)
			break;
	fclose(file);
	CHECK(kib > 0);
	return kib * 1024;
}

/* @ends write in turn, each into its region, AT_ONCE under way */
static double per_second(struct end *ends, const struct buf *locals,
			 const struct buf *remotes, unsigned int num,
			 size_t len, unsigned int writes)
{
	double began = seconds();
	unsigned int i;

	for (i = 0; i < writes + AT_ONCE; i++) {
		if (i >= AT_ONCE)
			wait_ok(ends[i % num].send_cq);
		if (i < writes)
			post_one(&ends[i % num], IBV_WR_RDMA_WRITE,
				 buf_sge(&locals[i % num], 0, len),
				 &remotes[i % num], 0);
	}
	return writes / (seconds() - began);
}

static double best_of(struct end *ends, const struct buf *locals,
		      const struct buf *remotes, unsigned int num,
		      size_t len, unsigned int writes)
{
	double rate, best = 0;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		rate = per_second(ends, locals, remotes, num, len, writes);
		if (rate > best)
			best = rate;
	}
	return best;
}

static void print_small(struct pair *pair, const struct buf *local,
			const struct buf *remote, const char *name)
{
	printf("%s %.0f\n", name, best_of(&pair->a, local, remote, 1, SMALL,
					  SMALL_WRITES));
}

static void among_connections(struct pair *pair, const struct buf *local,
			      const struct buf *remote)
{
	struct end *ends = calloc(2 * CONNECTIONS, sizeof(*ends));
	struct pair_config config = { .depth = 16 };
	double before = available();
	int i;

	CHECK(ends);
	for (i = 0; i < CONNECTIONS; i++)
		connect_ends(&ends[2 * i], &pair->hosts[0], &ends[2 * i + 1],
			     &pair->hosts[1], &config);
	printf("bytes_per_qp_and_its_cqs %.0f\n",
	       (before - available()) / (2 * CONNECTIONS));
	print_small(pair, local, remote, "write_8b_per_s_1000_connections");
	for (i = 0; i < 2 * CONNECTIONS; i++)
		end_destroy(&ends[i]);
	free(ends);
}

static void among_regions(struct pair *pair, const struct buf *local,
			  const struct buf *remote)
{
	struct buf *bufs = calloc(MANY_REGIONS, sizeof(*bufs));
	void *addr = aligned_alloc(REGION, REGION);
	double before;
	int i;

	CHECK(bufs);
	CHECK(addr);
	before = available();
	for (i = 0; i < MANY_REGIONS; i++) {
		buf_reg(&bufs[i], &pair->hosts[1], addr, REGION,
			ODP_ACCESS);
		if (i + 1 == SOME_REGIONS)
			print_small(pair, local, remote,
				    "write_8b_per_s_10000_regions");
	}
	printf("bytes_per_idle_region %.0f\n",
	       (before - available()) / MANY_REGIONS);
	print_small(pair, local, remote, "write_8b_per_s_100000_regions");
	for (i = 0; i < MANY_REGIONS; i++)
		CHECK_EQ(ibv_dereg_mr(bufs[i].mr), 0);
	free(addr);
	free(bufs);
}

static void print_two(struct end *ends, const struct buf *locals,
		      const struct buf *remotes, const char *name)
{
	double rate = best_of(ends, locals, remotes, 2, LARGE, LARGE_WRITES);

	printf("%s %.1f\n", name, rate * LARGE / (1 << 20));
}

static void two_queue_pairs(struct pair *pair)
{
	struct buf locals[2], remotes[2], shared[2];
	struct pair_config config = {};
	struct end ends[2], peer;
	int i;

	ends[0] = pair->a;
	connect_ends(&ends[1], &pair->hosts[0], &peer, &pair->hosts[1], &config);
	for (i = 0; i < 2; i++) {
		buf_get(&locals[i], &pair->hosts[0], LARGE, ODP_ACCESS);
		buf_get(&remotes[i], &pair->hosts[1], LARGE, ODP_ACCESS);
		shared[i] = remotes[0];
	}
	print_two(ends, locals, remotes, "two_qps_two_regions_mib_per_s");
	print_two(ends, locals, shared, "two_qps_one_region_mib_per_s");
	for (i = 0; i < 2; i++) {
		buf_put(&locals[i]);
		buf_put(&remotes[i]);
	}
	end_destroy(&ends[1]);
	end_destroy(&peer);
}

int main(void)
{
	struct pair_config config = {};
	struct buf local, remote;
	struct pair pair;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], REGION, ODP_ACCESS);
	buf_get(&remote, &pair.hosts[1], REGION, ODP_ACCESS);
	print_small(&pair, &local, &remote, "write_8b_per_s_alone");
	among_connections(&pair, &local, &remote);
	among_regions(&pair, &local, &remote);
	two_queue_pairs(&pair);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
	return 0;
}
