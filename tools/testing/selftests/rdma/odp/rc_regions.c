// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand registrations of every kind: the whole address space, an iova that
 * differs from the address, overlapping regions, prefetch; and what rdma(8) and
 * traces show of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"
#include "tracing.h"

#define PAGE		4096UL
#define PAGES		64
#define SIZE		(PAGES * PAGE)
#define HUGE_PAGE	(2UL << 20)

#define W		IBV_WR_RDMA_WRITE
#define R		IBV_WR_RDMA_READ

static unsigned char *map(size_t len)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

/* The device announces what works, and nothing else. */
static void capabilities(void)
{
	uint32_t ud = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV |
		      IBV_ODP_SUPPORT_SRQ_RECV;
	uint32_t uc = ud | IBV_ODP_SUPPORT_WRITE;
	uint32_t rc = uc | IBV_ODP_SUPPORT_READ | IBV_ODP_SUPPORT_ATOMIC;
	struct ibv_device_attr_ex attr;
	struct host host;

	host_open(&host, 0);
	CHECK_EQ(ibv_query_device_ex(host.ctx, NULL, &attr), 0);
	CHECK_EQ(attr.odp_caps.general_caps,
		 IBV_ODP_SUPPORT | IBV_ODP_SUPPORT_IMPLICIT);
	/* flush and atomic write, if the kernel has them; bits of later headers */
	if (attr.device_cap_flags_ex & 1ULL << 40)
		rc |= 1 << 6 | 1 << 7;
	CHECK_EQ(attr.odp_caps.per_transport_caps.rc_odp_caps, rc);
	CHECK_EQ(attr.odp_caps.per_transport_caps.uc_odp_caps, uc);
	CHECK_EQ(attr.odp_caps.per_transport_caps.ud_odp_caps, ud);
	CHECK_EQ(attr.xrc_odp_caps, 0);
	host_close(&host);
}

/**
 * struct whole - a connection whose sides have regions of the address space
 * @pair: the connection
 * @local: region of the whole address space
 * @remote: the same of the other side
 */
struct whole {
	struct pair pair;
	struct buf local;
	struct buf remote;
};

static void whole_reg(struct buf *buf, struct host *host, int access)
{
	buf_reg(buf, host, NULL, SIZE_MAX, access | IBV_ACCESS_ON_DEMAND);
}

static void whole_up(struct whole *w)
{
	struct pair_config config = {};

	pair_up(&w->pair, &config);
	whole_reg(&w->local, &w->pair.hosts[0], ALL_ACCESS);
	whole_reg(&w->remote, &w->pair.hosts[1], ALL_ACCESS);
}

static void whole_down(struct whole *w)
{
	CHECK_EQ(ibv_dereg_mr(w->local.mr), 0);
	CHECK_EQ(ibv_dereg_mr(w->remote.mr), 0);
	pair_down(&w->pair);
}

/* The buffers are mapped after the registration, as is the stack's part. */
static void whole_moves(struct whole *w)
{
	unsigned char *from = map(SIZE), *to = map(SIZE);
	unsigned char stack[3 * PAGE];
	struct end *a = &w->pair.a, *b = &w->pair.b;
	size_t at = 77, len = SIZE - 200;

	fill_pattern(from, SIZE, 1);
	do_one(a, W, buf_sge(&w->local, (uintptr_t)from + at, len), &w->remote,
	       (uintptr_t)to + at);
	check_bytes(to, at, 0);
	CHECK(!memcmp(to + at, from + at, len));
	check_bytes(to + at + len, SIZE - at - len, 0);

	fill_pattern(to, SIZE, 2);
	do_one(a, R, buf_sge(&w->local, (uintptr_t)from, SIZE), &w->remote,
	       (uintptr_t)to);
	check_pattern(from, SIZE, 2);

	memset(stack, 0, sizeof(stack));
	post_recv(b, &w->remote, (uintptr_t)stack, sizeof(stack), 1);
	do_one(a, IBV_WR_SEND,
	       buf_sge(&w->local, (uintptr_t)from, sizeof(stack)), NULL, 0);
	wait_ok(b->recv_cq);
	check_pattern(stack, sizeof(stack), 2);

	CHECK_EQ(munmap(from, SIZE), 0);
	CHECK_EQ(munmap(to, SIZE), 0);
}

static void whole_atomic(struct whole *w)
{
	uint64_t *word = (uint64_t *)map(PAGE), *found = word + 100;
	struct ibv_sge sge = buf_sge(&w->local, (uintptr_t)found, 8);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic.remote_addr = (uintptr_t)word,
		.wr.atomic.rkey = w->remote.mr->rkey,
		.wr.atomic.compare_add = 5,
	};

	*word = 37;
	post_send(&w->pair.a, &wr);
	wait_ok(w->pair.a.send_cq);
	CHECK_EQ(*found, 37);
	CHECK_EQ(*word, 42);
	CHECK_EQ(munmap(word, PAGE), 0);
}

static void implicit(void)
{
	struct whole w;
	int round;

	whole_up(&w);
	for (round = 0; round < 10; round++) {
		test_at("round %d", round);
		whole_moves(&w);
		whole_atomic(&w);
	}
	whole_down(&w);
}

/* A peer's access fails at addresses where the program's own would. */
static void implicit_nowhere(void)
{
	static const uint64_t nowhere[] = {
		0, 8, PAGE * 3, 0x00007ffffffff000, 0x0000800000000000,
		0xffff888000000000, 0xffffffffffffff00, UINT64_MAX,
	};
	unsigned char *gone = map(PAGE), *from = map(PAGE);
	struct whole w;
	unsigned int i;

	CHECK_EQ(munmap(gone, PAGE), 0);
	for (i = 0; i <= NUM(nowhere); i++) {
		uint64_t addr = i ? nowhere[i - 1] : (uintptr_t)gone;

		test_at("%#lx", (unsigned long)addr);
		whole_up(&w);
		post_one(&w.pair.a, W, buf_sge(&w.local, (uintptr_t)from, 64),
			 &w.remote, addr);
		wait_status(w.pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
		whole_down(&w);
		whole_up(&w);
		post_one(&w.pair.a, W, buf_sge(&w.local, addr, 64), &w.remote,
			 (uintptr_t)from);
		wait_status(w.pair.a.send_cq, IBV_WC_LOC_PROT_ERR);
		whole_down(&w);
	}
	CHECK_EQ(munmap(from, PAGE), 0);
}

/* A region of the whole address space has rights as any other. */
static void implicit_rights(void)
{
	unsigned char *to = map(PAGE), *from = map(PAGE);
	struct whole w;

	memset(to, 3, PAGE);
	whole_up(&w);
	CHECK_EQ(ibv_dereg_mr(w.remote.mr), 0);
	whole_reg(&w.remote, &w.pair.hosts[1], IBV_ACCESS_REMOTE_READ);
	do_one(&w.pair.a, R, buf_sge(&w.local, (uintptr_t)from, PAGE), &w.remote,
	       (uintptr_t)to);
	check_bytes(from, PAGE, 3);
	post_one(&w.pair.a, W, buf_sge(&w.local, (uintptr_t)from, 64), &w.remote,
		 (uintptr_t)to);
	wait_status(w.pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	whole_down(&w);
	CHECK_EQ(munmap(from, PAGE), 0);
	CHECK_EQ(munmap(to, PAGE), 0);
}

/* Peers know the memory by addresses that differ in every bit but the page's. */
static void other_addresses(void)
{
	static const uint64_t iovas[] = {
		0, 0x100000, 0x5555555555555000, 0xaaaaaaaaaaaaa000,
		0xffffffffffff0000 - SIZE, 0x7ffffffff000 - SIZE / 2,
	};
	struct pair_config config = {};
	unsigned char *memory = map(SIZE), *from = map(SIZE);
	size_t cut = 123, len = SIZE - 500;
	struct buf local, remote = {};
	struct pair pair;
	unsigned int i;

	pair_up(&pair, &config);
	buf_reg(&local, &pair.hosts[0], from, SIZE, ODP_ACCESS);
	for (i = 0; i < NUM(iovas); i++) {
		test_at("%#lx", (unsigned long)iovas[i]);
		memset(memory, 0xa5, SIZE);
		remote.mr = ibv_reg_mr_iova(pair.hosts[1].pd, memory + cut, len,
					    iovas[i] + cut, ODP_ACCESS);
		CHECK(remote.mr);
		fill_pattern(from, SIZE, i);
		do_one(&pair.a, W, buf_sge(&local, 0, len), &remote,
		       iovas[i] + cut);
		check_bytes(memory, cut, 0xa5);
		check_pattern(memory + cut, len, i);
		check_bytes(memory + cut + len, SIZE - cut - len, 0xa5);
		do_one(&pair.a, R, buf_sge(&local, 0, 3 * PAGE), &remote,
		       iovas[i] + cut + 5 * PAGE + 1);
		CHECK(!memcmp(from, memory + cut + 5 * PAGE + 1, 3 * PAGE));
		CHECK_EQ(ibv_dereg_mr(remote.mr), 0);
	}
	CHECK_EQ(ibv_dereg_mr(local.mr), 0);
	pair_down(&pair);
}

/* Regions over the same memory, one of them pinned, see each other's bytes. */
static void overlapping(void)
{
	struct pair_config config = {};
	unsigned char *memory = map(SIZE), *from = map(SIZE);
	struct buf local, regions[4];
	struct pair pair;
	unsigned int i;

	pair_up(&pair, &config);
	buf_reg(&local, &pair.hosts[0], from, SIZE, ODP_ACCESS);
	buf_reg(&regions[0], &pair.hosts[1], memory, SIZE, ODP_ACCESS);
	buf_reg(&regions[1], &pair.hosts[1], memory + 10, SIZE - 20,
		ODP_ACCESS);
	buf_reg(&regions[2], &pair.hosts[1], memory, SIZE, ALL_ACCESS);
	whole_reg(&regions[3], &pair.hosts[1], ALL_ACCESS);
	for (i = 0; i < 12; i++) {
		struct buf *to = &regions[i % 4], *back = &regions[i / 3];
		unsigned char *at = memory + PAGE + i;

		test_at("%u to %u", i % 4, i / 3);
		fill_pattern(from, SIZE / 2, i);
		do_one(&pair.a, W, buf_sge(&local, 0, SIZE / 2), to,
		       at - to->addr);
		check_pattern(at, SIZE / 2, i);
		memset(from, 0, SIZE / 2);
		do_one(&pair.a, R, buf_sge(&local, 0, SIZE / 2), back,
		       at - back->addr);
		check_pattern(from, SIZE / 2, i);
	}
	for (i = 0; i < 4; i++)
		CHECK_EQ(ibv_dereg_mr(regions[i].mr), 0);
	CHECK_EQ(ibv_dereg_mr(local.mr), 0);
	pair_down(&pair);
}

#define READ		IBV_ADVISE_MR_ADVICE_PREFETCH
#define WRITE		IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE
/* rdma-core 44 has no name for it */
#define PRESENT		2
#define FLUSH		IBV_ADVISE_MR_FLAG_FLUSH

/**
 * struct counts - counters of a host
 * @faults: pages that an access missed
 * @prefetch: pages that were prefetched
 */
struct counts {
	unsigned long long faults;
	unsigned long long prefetch;
};

static struct counts counts_of(int which)
{
	return (struct counts) {
		.faults = counter_of(which, "page_faults"),
		.prefetch = counter_of(which, "page_prefetch"),
	};
}

static void check_counts(int which, struct counts before,
			 unsigned long long faults, unsigned long long prefetch)
{
	struct counts now = counts_of(which);

	CHECK_EQ(now.faults - before.faults, faults);
	CHECK_EQ(now.prefetch - before.prefetch, prefetch);
}

/* Wait for an asynchronous advice. */
static void wait_prefetched(int which, struct counts before,
			    unsigned long long prefetch)
{
	UNTIL(counts_of(which).prefetch - before.prefetch >= prefetch);
}

/* Prefetch all PAGES of hostb's memory; returns the counters before that. */
static struct counts prefetched(struct ibv_pd *pd, unsigned int advice,
				const struct ibv_sge *sges, uint32_t num,
				bool wait)
{
	struct counts before = counts_of(1);

	CHECK_EQ(try_advise_mr(pd, advice, wait ? FLUSH : 0, sges, num), 0);
	if (!wait)
		wait_prefetched(1, before, PAGES);
	return before;
}

/* register memory with an iova that differs from its address */
static void reg_at(struct buf *buf, struct host *host, void *memory,
		   uint64_t iova)
{
	buf->addr = (void *)iova;
	buf->mr = ibv_reg_mr_iova(host->pd, memory, SIZE, iova, ODP_ACCESS);
	CHECK(buf->mr);
}

/* Prefetched pages cost no fault, for the access that they were advised for. */
static void prefetch(bool whole, bool wait)
{
	struct pair_config config = {};
	unsigned char *memory = map(SIZE);
	struct buf local, remote;
	struct ibv_sge sges[2];
	struct counts before;
	struct pair pair;
	size_t base;

	small_pages(memory, SIZE);
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	if (whole)
		whole_reg(&remote, &pair.hosts[1], ALL_ACCESS);
	else
		reg_at(&remote, &pair.hosts[1], memory, 0x5555555555555000);
	base = whole ? (uintptr_t)memory : 0;
	fill_pattern(local.addr, SIZE, 4);

	/* two pieces, which share a page */
	sges[0] = buf_sge(&remote, base, SIZE / 2 + 100);
	sges[1] = buf_sge(&remote, base + SIZE / 2 + 100, SIZE / 2 - 100);
	before = prefetched(pair.hosts[1].pd, WRITE, sges, 2, wait);
	do_one(&pair.a, W, buf_sge(&local, 0, SIZE), &remote, base);
	check_counts(1, before, 0, PAGES);
	check_pattern(memory, SIZE, 4);

	/* advised for reading: a read misses nothing, a write misses all */
	CHECK_EQ(madvise(memory, SIZE, MADV_DONTNEED), 0);
	before = prefetched(pair.hosts[1].pd, READ, sges, 2, wait);
	do_one(&pair.a, R, buf_sge(&local, 0, SIZE), &remote, base);
	check_counts(1, before, 0, PAGES);
	check_bytes(local.addr, SIZE, 0);
	do_one(&pair.a, W, buf_sge(&local, 0, SIZE), &remote, base);
	check_counts(1, before, PAGES, PAGES);

	CHECK_EQ(ibv_dereg_mr(remote.mr), 0);
	buf_put(&local);
	pair_down(&pair);
	CHECK_EQ(munmap(memory, SIZE), 0);
}

static void prefetch_explicit(void)
{
	prefetch(false, true);
	prefetch(false, false);
}

static void prefetch_implicit(void)
{
	prefetch(true, true);
	prefetch(true, false);
}

/* Only pages that the CPU has present are prefetched; none is faulted in. */
static void prefetch_present(void)
{
	unsigned char *memory = map(SIZE), present[PAGES];
	struct pair_config config = {};
	struct buf local, remote;
	struct counts before;
	struct ibv_sge sge;
	struct pair pair;
	int i;

	small_pages(memory, SIZE);
	/* a hole in the middle, which does not end the advice */
	CHECK_EQ(munmap(memory + 40 * PAGE, PAGE), 0);
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_reg(&remote, &pair.hosts[1], memory, SIZE, ODP_ACCESS);
	for (i = 0; i < PAGES; i += 4)
		if (i != 40)
			memset(memory + i * PAGE, i, PAGE);
	before = counts_of(1);
	sge = buf_sge(&remote, 0, SIZE);
	CHECK_EQ(try_advise_mr(pair.hosts[1].pd, PRESENT, FLUSH, &sge, 1), 0);
	check_counts(1, before, 0, PAGES / 4 - 1);
	for (i = 0; i < PAGES; i++) {
		if (i == 40)
			continue;
		CHECK_EQ(mincore(memory + i * PAGE, PAGE, present), 0);
		CHECK_EQ(present[0] & 1, i % 4 == 0);
	}
	for (i = 0; i < PAGES; i += 4) {
		if (i == 40)
			continue;
		do_one(&pair.a, R, buf_sge(&local, 0, PAGE), &remote, i * PAGE);
		check_bytes(local.addr, PAGE, i);
	}
	check_counts(1, before, 0, PAGES / 4 - 1);
	CHECK_EQ(ibv_dereg_mr(remote.mr), 0);
	buf_put(&local);
	pair_down(&pair);
}

#define NOTHING		(512UL << 20)

/*
 * Unmapped ranges are skipped, not looked up page by page; and an advice over a
 * large range with few present pages ends soon.
 */
static void prefetch_little(void)
{
	unsigned char *memory = map(NOTHING);
	struct counts before;
	struct host host;
	struct ibv_sge sge;
	struct buf odp;
	unsigned long n;

	small_pages(memory, NOTHING);
	memory[0] = 1;
	memory[NOTHING - 1] = 1;
	host_open(&host, 1);
	buf_reg(&odp, &host, memory, NOTHING, ODP_ACCESS);
	sge = buf_sge(&odp, 0, NOTHING);
	before = counts_of(1);
	CHECK_EQ(try_advise_mr(host.pd, PRESENT, FLUSH, &sge, 1), 0);
	check_counts(1, before, 0, 2);

	CHECK_EQ(munmap(memory + PAGE, NOTHING - 2 * PAGE), 0);
	if (!look_ups_begin())
		skip("no kprobes in this kernel");
	n = look_ups();
	CHECK_EQ(try_advise_mr(host.pd, PRESENT, FLUSH, &sge, 1), 0);
	n = look_ups() - n;
	look_ups_end();
	printf("# %lu look-ups for %lu MiB of nothing\n", n, NOTHING >> 20);
	CHECK(n <= 64);
	/* splitting the mapping may have zapped pages beside the cut */
	CHECK(counter_of(1, "page_prefetch") <= before.prefetch + 4);
	buf_put(&odp);
	host_close(&host);
}

/* An asynchronous advice does not wait for userfaultfd. */
static void prefetch_late(void)
{
	unsigned char *memory = map(SIZE);
	int uffd = miss_pages(memory, SIZE);
	struct counts before;
	struct host host;
	struct ibv_sge sge;
	struct buf odp;

	host_open(&host, 1);
	buf_reg(&odp, &host, memory, SIZE, ODP_ACCESS);
	before = counts_of(1);
	sge = buf_sge(&odp, 0, SIZE);
	CHECK_EQ(try_advise_mr(host.pd, READ, 0, &sge, 1), 0);
	check_counts(1, before, 0, 0);
	/* from now on the kernel provides the page */
	CHECK_EQ(close(uffd), 0);
	wait_prefetched(1, before, PAGES);
	buf_put(&odp);
	host_close(&host);
}

static void prefetch_refused(void)
{
	unsigned char *memory = map(SIZE);
	struct buf odp, pinned, read_only;
	struct host host, other;
	struct ibv_sge list[2], sge;
	struct counts before;

	host_open(&host, 0);
	host_open(&other, 1);
	buf_reg(&odp, &host, memory, SIZE, ODP_ACCESS);
	buf_reg(&pinned, &host, memory, SIZE, ALL_ACCESS);
	buf_reg(&read_only, &host, memory, SIZE,
		IBV_ACCESS_ON_DEMAND | IBV_ACCESS_REMOTE_READ);
	CHECK_EQ(madvise(memory, SIZE, MADV_DONTNEED), 0);
	before = counts_of(0);

#define REFUSED(err, pd, advice, flags, change)				\
do {									\
	sge = buf_sge(&odp, 0, SIZE);					\
	change;								\
	/* the good SGE before it is not begun either */			\
	list[0] = buf_sge(&odp, 0, PAGE);				\
	list[1] = sge;							\
	test_at("%s", #change);						\
	CHECK_EQ(try_advise_mr(pd, advice, flags, list, 2), err);	\
} while (0)

	REFUSED(EOPNOTSUPP, host.pd, 77, FLUSH, sge.length = PAGE);
	REFUSED(EINVAL, host.pd, READ, 1 << 5, sge.length = PAGE);
	REFUSED(EFAULT, host.pd, READ, FLUSH, sge.addr += 1);
	REFUSED(EFAULT, host.pd, READ, 0, sge.addr = 8);
	REFUSED(EFAULT, host.pd, READ, FLUSH, sge.lkey ^= 0x7fff00);
	REFUSED(ENOENT, host.pd, READ, FLUSH, sge.lkey ^= 1);
	REFUSED(EINVAL, host.pd, READ, FLUSH, sge.lkey = pinned.mr->lkey);
	REFUSED(EPERM, host.pd, WRITE, 0, sge.lkey = read_only.mr->lkey);
	check_counts(0, before, 0, 0);
#undef REFUSED

	/* another protection domain of the same program */
	{
		struct ibv_pd *pd = ibv_alloc_pd(host.ctx);

		CHECK(pd);
		sge = buf_sge(&odp, 0, SIZE);
		CHECK_EQ(try_advise_mr(pd, READ, FLUSH, &sge, 1), EPERM);
		CHECK_EQ(ibv_dealloc_pd(pd), 0);
	}
	/* unmapped memory: only a synchronous call gets the error */
	CHECK_EQ(munmap(memory + SIZE / 2, SIZE / 2), 0);
	sge = buf_sge(&odp, 0, SIZE);
	CHECK_EQ(try_advise_mr(host.pd, READ, FLUSH, &sge, 1), EFAULT);
	CHECK_EQ(try_advise_mr(host.pd, READ, 0, &sge, 1), 0);
	CHECK_EQ(ibv_dereg_mr(odp.mr), 0);
	CHECK_EQ(ibv_dereg_mr(pinned.mr), 0);
	CHECK_EQ(ibv_dereg_mr(read_only.mr), 0);
	host_close(&host);
	host_close(&other);
}

/* As many as are needed, for as long as the test runs. */
static void reserve_huge_pages(const char *number)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "w");

	if (!file)
		skip("no huge pages can be reserved");
	fputs(number, file);
	fclose(file);
}

static void hugetlb(void)
{
	int access = ODP_ACCESS | IBV_ACCESS_HUGETLB;
	struct pair_config config = {};
	struct buf local, remote;
	unsigned char *memory;
	struct pair pair;

	reserve_huge_pages("8");
	memory = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (memory == MAP_FAILED)
		skip("no huge pages are free");
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], 2 * HUGE_PAGE, ALL_ACCESS);
	/* memory of small pages is refused */
	CHECK(!ibv_reg_mr(pair.hosts[1].pd, map(PAGE), PAGE, access));
	CHECK_EQ(errno, EINVAL);
	CHECK(!ibv_reg_mr(pair.hosts[1].pd, memory, 2 * HUGE_PAGE,
			  ALL_ACCESS | IBV_ACCESS_HUGETLB));
	buf_reg(&remote, &pair.hosts[1], memory, 2 * HUGE_PAGE, access);
	fill_pattern(local.addr, 2 * HUGE_PAGE, 3);
	do_one(&pair.a, W, buf_sge(&local, 0, 2 * HUGE_PAGE), &remote, 0);
	check_pattern(memory, 2 * HUGE_PAGE, 3);
	CHECK_EQ(madvise(memory, HUGE_PAGE, MADV_DONTNEED), 0);
	do_one(&pair.a, R, buf_sge(&local, 0, 2 * HUGE_PAGE), &remote, 0);
	check_bytes(local.addr, HUGE_PAGE, 0);
	CHECK(!memcmp(local.addr + HUGE_PAGE, memory + HUGE_PAGE, HUGE_PAGE));
	CHECK_EQ(ibv_dereg_mr(remote.mr), 0);
	buf_put(&local);
	pair_down(&pair);
	CHECK_EQ(munmap(memory, 2 * HUGE_PAGE), 0);
	reserve_huge_pages("0");
}

/* Does a line of "rdma WHAT show mr" have @expected? */
static bool rdma_shows(const char *what, const char *expected)
{
	char command[80], line[1000];
	bool found = false;
	FILE *pipe;

	snprintf(command, sizeof(command), "rdma %s show mr", what);
	pipe = popen(command, "r");
	CHECK(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		found |= !!strstr(line, expected);
		if (!found)
			printf("# %s", line);
	}
	CHECK_EQ(pclose(pipe), 0);
	return found;
}

static void shown(void)
{
	struct pair_config config = {};
	struct buf local, remote, whole;
	struct pair pair;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	small_pages(remote.addr, SIZE);
	do_one(&pair.a, W, buf_sge(&local, 0, 3 * PAGE), &remote, PAGE);
	CHECK_EQ(madvise(remote.addr, 2 * PAGE, MADV_DONTNEED), 0);
	CHECK(rdma_shows("statistic", "page_faults 3 page_invalidations 1 "));
	CHECK(rdma_shows("statistic", " page_prefetch 0 page_fault_retries 0 "));
	CHECK(rdma_shows("statistic", " pages_mapped 2"));
	whole_reg(&whole, &pair.hosts[1], ALL_ACCESS);
	CHECK(rdma_shows("-dd resource", "odp explicit"));
	CHECK(rdma_shows("-dd resource", "odp implicit"));
	CHECK_EQ(ibv_dereg_mr(whole.mr), 0);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

/* The trace events of one fault: park, publication, resume, invalidation. */
static void traced(void)
{
	char qpn[40], addr[40], end[80];
	struct pair_config config = {};
	struct buf local, remote;
	struct pair pair;

	trace_begin();
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	small_pages(remote.addr, SIZE);
	snprintf(qpn, sizeof(qpn), "qpn=%#x ", pair.b.qp->qp_num);
	snprintf(addr, sizeof(addr), "addr=%#lx ",
		 (unsigned long)remote.addr + PAGE);
	snprintf(end, sizeof(end), "start=%#lx end=%#lx zapped=3",
		 (unsigned long)remote.addr,
		 (unsigned long)remote.addr + SIZE);

	trace_write(TRACING "events/rdma_odp/enable", "1");
	trace_write(TRACING "events/rdma_rxe/enable", "1");
	trace_write(TRACING "trace", "");
	do_one(&pair.a, W, buf_sge(&local, 0, 3 * PAGE), &remote, PAGE);
	CHECK_EQ(madvise(remote.addr, SIZE, MADV_DONTNEED), 0);
	trace_write(TRACING "events/rdma_odp/enable", "0");
	trace_write(TRACING "events/rdma_rxe/enable", "0");

	CHECK_EQ(trace_lines("rxe_park:", qpn), 1);
	CHECK_EQ(trace_lines("rxe_park:", "ahead=12288 write"), 1);
	CHECK_EQ(trace_lines("odp_fault:", addr), 1);
	CHECK_EQ(trace_lines("odp_fault:", "flags=write"), 1);
	CHECK_EQ(trace_lines("odp_publish:", addr), 1);
	CHECK_EQ(trace_lines("odp_publish:", "pages=3 added=3"), 1);
	CHECK_EQ(trace_lines("rxe_resume:", qpn), 1);
	CHECK_EQ(trace_lines("rxe_resume:", "responder err=0"), 1);
	CHECK_EQ(trace_lines("odp_invalidate:", end), 1);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static bool over;

static void *discard(void *page)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		CHECK_EQ(madvise(page, PAGE, MADV_DONTNEED), 0);
	return NULL;
}

/* Each counted look-up that lost to a notifier has a trace event. */
static void traced_retries(void)
{
	unsigned long long end = now_ms() + 30000 * limit_factor(), retries;
	struct pair_config config = {};
	struct buf local, remote;
	struct pair pair;
	pthread_t thread;
	char addr[40];

	trace_begin();
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], PAGE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], PAGE, ODP_ACCESS);
	snprintf(addr, sizeof(addr), "addr=%#lx ", (unsigned long)remote.addr);
	retries = counter_of(1, "page_fault_retries");
	trace_write(TRACING "events/rdma_odp/odp_retry/enable", "1");
	trace_write(TRACING "trace", "");
	CHECK(!pthread_create(&thread, NULL, discard, remote.addr));
	do {
		CHECK(now_ms() < end);
		do_one(&pair.a, W, buf_sge(&local, 0, PAGE), &remote, 0);
	} while (!trace_lines("odp_retry:", addr));
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	CHECK(!pthread_join(thread, NULL));
	trace_write(TRACING "events/rdma_odp/odp_retry/enable", "0");
	CHECK_EQ(counter_of(1, "page_fault_retries") - retries,
		 trace_lines("odp_retry:", addr));
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static const struct test tests[] = {
	{ "announced on-demand capabilities", capabilities },
	{ "a region of the whole address space", implicit },
	{ "unmapped addresses in a region of the whole address space",
	  implicit_nowhere },
	{ "a read-only region of the whole address space", implicit_rights },
	{ "regions that peers know by other addresses", other_addresses },
	{ "overlapping regions", overlapping },
	{ "prefetch, explicit regions", prefetch_explicit },
	{ "prefetch, the whole address space", prefetch_implicit },
	{ "prefetch of present pages", prefetch_present },
	{ "prefetch of few present pages", prefetch_little },
	{ "prefetch of pages that userfaultfd provides late",
	  prefetch_late },
	{ "prefetch that is refused", prefetch_refused },
	{ "regions of huge pages", hugetlb },
	{ "regions in the output of rdma(8)", shown },
	{ "trace events of faults and invalidations", traced },
	{ "trace events of lost look-ups", traced_retries },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
