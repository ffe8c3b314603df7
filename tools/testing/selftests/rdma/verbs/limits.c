// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A device has as many objects of each kind as it announces, and who makes them pays
 * for them. The announced numbers are out of reach: the driver's test build lowers them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define MOST_FILE	"/sys/module/rdma_rxe/parameters/most"
/* what limits are lowered to; the kernel itself has some objects of a device */
#define MOST		40
#define OF_KERNEL	8
#define MEM		4096

/**
 * struct maker - what objects are made of
 * @host: of the device
 * @cq: for queue pairs
 * @mem: for regions
 */
struct maker {
	struct host host;
	struct ibv_cq *cq;
	void *mem;
};

static void maker_up(struct maker *maker, int which)
{
	host_open(&maker->host, which);
	maker->cq = ibv_create_cq(maker->host.ctx, 1, NULL, NULL, 0);
	CHECK(maker->cq);
	maker->mem = mmap(NULL, MEM, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(maker->mem != MAP_FAILED);
	memset(maker->mem, 1, MEM);
}

static void maker_down(struct maker *maker)
{
	CHECK_EQ(ibv_destroy_cq(maker->cq), 0);
	CHECK_EQ(munmap(maker->mem, MEM), 0);
	host_close(&maker->host);
}

static void *make_pd(struct maker *maker)
{
	return ibv_alloc_pd(maker->host.ctx);
}

static int end_pd(void *pd)
{
	return ibv_dealloc_pd(pd);
}

static void *make_cq(struct maker *maker)
{
	return ibv_create_cq(maker->host.ctx, 1, NULL, NULL, 0);
}

static int end_cq(void *cq)
{
	return ibv_destroy_cq(cq);
}

static void *make_srq(struct maker *maker)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 1, .max_sge = 1 } };

	return ibv_create_srq(maker->host.pd, &attr);
}

static int end_srq(void *srq)
{
	return ibv_destroy_srq(srq);
}

static void *make_qp(struct maker *maker)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = maker->cq,
		.recv_cq = maker->cq,
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = 1,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
	};

	return ibv_create_qp(maker->host.pd, &attr);
}

static int end_qp(void *qp)
{
	return ibv_destroy_qp(qp);
}

static void *make_mr(struct maker *maker)
{
	return ibv_reg_mr(maker->host.pd, maker->mem, MEM,
			  IBV_ACCESS_ON_DEMAND);
}

static int end_mr(void *mr)
{
	return ibv_dereg_mr(mr);
}

static void *make_mw(struct maker *maker)
{
	return ibv_alloc_mw(maker->host.pd, IBV_MW_TYPE_2);
}

static int end_mw(void *mw)
{
	return ibv_dealloc_mw(mw);
}

/* to a group, whose address need not be asked for */
static void *make_ah(struct maker *maker)
{
	struct ibv_ah_attr attr = {
		.port_num = 1,
		.is_global = 1,
		.grh = {
			.sgid_index = maker->host.gids[1].index,
			.dgid.raw = { 0xff, 0x0e, [15] = 1 },
		},
	};

	return ibv_create_ah(maker->host.pd, &attr);
}

static int end_ah(void *ah)
{
	return ibv_destroy_ah(ah);
}

/**
 * struct kind - a kind of objects
 * @name: for reports
 * @max: where the device announces how many it may have
 * @make: NULL and errno: refused
 * @end: destroys one; returns an errno
 * @charged: bytes that the program pays for one at least: a page for each ring
 */
static const struct kind {
	const char *name;
	size_t max;
	void *(*make)(struct maker *maker);
	int (*end)(void *object);
	long charged;
} kinds[] = {
#define MAX(field)	offsetof(struct ibv_device_attr, field)
	{ "protection domains", MAX(max_pd), make_pd, end_pd },
	{ "completion queues", MAX(max_cq), make_cq, end_cq, 4096 },
	{ "shared receive queues", MAX(max_srq), make_srq, end_srq,
	  4096 },
	{ "queue pairs", MAX(max_qp), make_qp, end_qp, 2 * 4096 },
	{ "regions", MAX(max_mr), make_mr, end_mr, 512 },
	{ "windows", MAX(max_mw), make_mw, end_mw },
	{ "address handles", MAX(max_ah), make_ah, end_ah },
};

static const struct kind *const queue_pairs = &kinds[3];

/* as many as there can be, for want of resources; up to @max */
static unsigned int fill(struct maker *maker, const struct kind *kind,
			 void **objects, unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max; n++) {
		objects[n] = kind->make(maker);
		if (objects[n])
			continue;
		CHECK_EQ(errno, ENOMEM);
		break;
	}
	return n;
}

static void empty(const struct kind *kind, void **objects, unsigned int n)
{
	while (n--)
		CHECK_EQ(kind->end(objects[n]), 0);
}

static int announced(struct host *host, const struct kind *kind)
{
	struct ibv_device_attr_ex attr;

	CHECK_EQ(ibv_query_device_ex(host->ctx, NULL, &attr), 0);
	return *(int *)((char *)&attr.orig_attr + kind->max);
}

/* Run something where limits are low; they are not when it has ended. */
static void with_low_limits(void (*run)(void))
{
	char text[20];
	int status;
	pid_t pid;

	if (access(MOST_FILE, W_OK))
		skip("needs the driver's test build: see rules/broken.sh");

	snprintf(text, sizeof(text), "%d", MOST);
	write_file(MOST_FILE, text);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		run();
		fflush(stdout);
		_exit(0);
	}
	CHECK(pid < 0 || waitpid(pid, &status, 0) == pid);
	write_file(MOST_FILE, "4294967295");
	CHECK(pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fill_each(void)
{
	void *objects[MOST + 1];
	const struct kind *kind;
	struct maker maker;
	unsigned int n;

	maker_up(&maker, 0);
	for (kind = kinds; kind < kinds + NUM(kinds); kind++) {
		test_at("%s", kind->name);
		CHECK_EQ(announced(&maker.host, kind), MOST);
		n = fill(&maker, kind, objects, MOST + 1);
		printf("# %u %s\n", n, kind->name);
		CHECK(n <= MOST);
		CHECK(n >= MOST - OF_KERNEL);

		/* for one that goes there may be another, and no more */
		CHECK_EQ(kind->end(objects[n / 2]), 0);
		objects[n / 2] = kind->make(&maker);
		CHECK(objects[n / 2]);
		CHECK(!kind->make(&maker));
		empty(kind, objects, n);
		CHECK_EQ(fill(&maker, kind, objects, MOST + 1), n);
		empty(kind, objects, n);
	}
	maker_down(&maker);
}

static void limits(void)
{
	with_low_limits(fill_each);
}

/* Their numbers are unique on the host: two devices have as many as one. */
static void fill_both(void)
{
	void *objects[2][MOST + 1];
	struct maker makers[2];
	unsigned int n[2];
	int i;

	for (i = 0; i < 2; i++) {
		maker_up(&makers[i], i);
		n[i] = fill(&makers[i], queue_pairs, objects[i], MOST + 1);
		printf("# %u queue pairs of %s\n", n[i], i ? "hostb" : "hosta");
	}
	CHECK_EQ(n[0] + n[1], MOST);
	for (i = 0; i < 2; i++) {
		empty(queue_pairs, objects[i], n[i]);
		maker_down(&makers[i]);
	}
}

static void numbers(void)
{
	with_low_limits(fill_both);
}

/* bytes, by a word of /proc/meminfo */
static long host_bytes(const char *word)
{
	char line[200];
	long kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, word, strlen(word)))
			kib = strtol(line + strlen(word), NULL, 10);
	fclose(file);
	return kib * 1024;
}

/* Memory of its control group that is not that of processes. */
static long charged(void)
{
	return group_read("memory.current", "") - host_bytes("AnonPages:");
}

/* Memory of the host that is neither free nor that of processes and files. */
static long held(void)
{
	return -(host_bytes("MemFree:") + host_bytes("Cached:") +
		 host_bytes("Buffers:") + host_bytes("AnonPages:"));
}

#define MANY	4096
/* what CPUs have taken out of the group's account beforehand */
#define SLACK	(1024 * 1024L)

/* The figures of the host are shown only: others change them, too. */
static void charges(void)
{
	static void *objects[MANY];
	long before, held_before, paid;
	const struct kind *kind;
	struct maker maker;

	group_own("limits");
	maker_up(&maker, 0);
	for (kind = kinds; kind < kinds + NUM(kinds); kind++) {
		test_at("%s", kind->name);
		/* caches are full after that */
		CHECK_EQ(fill(&maker, kind, objects, MANY), MANY);
		empty(kind, objects, MANY);
		held_before = held();
		before = charged();
		CHECK_EQ(fill(&maker, kind, objects, MANY), MANY);
		paid = charged() - before;
		printf("# %s: %ld bytes each, of %ld that the host has less\n",
		       kind->name, paid / MANY, (held() - held_before) / MANY);
		CHECK(paid >= MANY * kind->charged - SLACK);
		empty(kind, objects, MANY);
	}
	maker_down(&maker);
}

static const struct test tests[] = {
	{ "objects are charged to the program", charges, 300 },
	{ "as many objects as the device announces", limits },
	{ "as many queue pairs as there are numbers for", numbers },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
