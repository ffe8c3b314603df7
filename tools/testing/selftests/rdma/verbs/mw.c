// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory windows: a key gives access to the range that it was bound to, to nothing
 * else, and no longer than until it is invalidated.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

#define SIZE	(256 * 1024)
/* of the window, in the memory of end b */
#define START	10000
#define LEN	100000
#define REMOTE	(IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
		 IBV_ACCESS_REMOTE_ATOMIC)
#define OWNER	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_MW_BIND)

/**
 * struct windowed - a connection, and a window on memory of one end
 * @pair: the connection; end b has the window, end a uses it
 * @from: of end a
 * @to: of end b
 * @mw: the window
 * @rkey: the key of the last bind
 * @base: address of the first byte of @to for peers
 */
struct windowed {
	struct pair pair;
	struct buf from;
	struct buf to;
	struct ibv_mw *mw;
	uint32_t rkey;
	uint64_t base;
};

static void up(struct windowed *w, enum ibv_mw_type type, int access)
{
	struct pair_config config = {};

	pair_up(&w->pair, &config);
	buf_get(&w->from, &w->pair.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&w->to, &w->pair.hosts[1], SIZE, access);
	w->mw = ibv_alloc_mw(w->pair.hosts[1].pd, type);
	CHECK(w->mw);
	w->rkey = w->mw->rkey;
	w->base = (uintptr_t)w->to.addr;
}

/* a new connection, as the last one has failed */
static void again(struct windowed *w)
{
	struct pair_config config = {};

	end_destroy(&w->pair.a);
	end_destroy(&w->pair.b);
	connect_ends(&w->pair.a, &w->pair.hosts[0], &w->pair.b,
		     &w->pair.hosts[1], &config);
}

static void down(struct windowed *w)
{
	CHECK_EQ(ibv_dealloc_mw(w->mw), 0);
	buf_put(&w->from);
	buf_put(&w->to);
	pair_down(&w->pair);
}

static struct ibv_mw_bind_info range(struct windowed *w, size_t start,
				     size_t len, int access)
{
	struct ibv_mw_bind_info info = {
		.mr = w->to.mr,
		.addr = (uintptr_t)w->to.addr + start,
		.length = len,
		.mw_access_flags = access,
	};

	return info;
}

/* type 1, by its own call */
static void bind_1(struct windowed *w, size_t start, size_t len, int access)
{
	struct ibv_mw_bind bind = {
		.wr_id = 5,
		.send_flags = IBV_SEND_SIGNALED,
		.bind_info = range(w, start, len, access),
	};

	CHECK_EQ(ibv_bind_mw(w->pair.b.qp, w->mw, &bind), 0);
	CHECK_EQ(wait_ok(w->pair.b.send_cq).opcode, IBV_WC_BIND_MW);
	w->rkey = w->mw->rkey;
}

static void post_bind(struct windowed *w, struct ibv_mw_bind_info info)
{
	struct ibv_send_wr wr = {
		.wr_id = 6,
		.opcode = IBV_WR_BIND_MW,
		.send_flags = IBV_SEND_SIGNALED,
		.bind_mw = {
			.mw = w->mw,
			.rkey = ibv_inc_rkey(w->rkey),
			.bind_info = info,
		},
	};

	post_send(&w->pair.b, &wr);
}

/* type 2, by a send request */
static void bind_2(struct windowed *w, size_t start, size_t len, int access)
{
	post_bind(w, range(w, start, len, access));
	CHECK_EQ(wait_ok(w->pair.b.send_cq).opcode, IBV_WC_BIND_MW);
	w->rkey = ibv_inc_rkey(w->rkey);
}

static void post_invalidate(struct end *end, enum ibv_wr_opcode opcode,
			    uint32_t rkey)
{
	struct ibv_send_wr wr = {
		.wr_id = 7,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.invalidate_rkey = rkey,
	};

	post_send(end, &wr);
}

/* an operation of end a on @offset of the memory of end b */
static void post_use(struct windowed *w, enum ibv_wr_opcode opcode,
		     size_t offset, size_t len, uint32_t rkey)
{
	struct ibv_sge sge = buf_sge(&w->from, 0, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};

	if (opcode == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		wr.wr.atomic.remote_addr = w->base + offset;
		wr.wr.atomic.rkey = rkey;
		wr.wr.atomic.compare_add = 1;
	} else {
		wr.wr.rdma.remote_addr = w->base + offset;
		wr.wr.rdma.rkey = rkey;
	}
	post_send(&w->pair.a, &wr);
}

static void use(struct windowed *w, enum ibv_wr_opcode opcode, size_t offset,
		size_t len)
{
	post_use(w, opcode, offset, len, w->rkey);
	wait_ok(w->pair.a.send_cq);
}

/* The operation is refused, moves nothing, and ends the connection. */
static void refused_by(struct windowed *w, enum ibv_wr_opcode opcode,
		       size_t offset, size_t len, uint32_t rkey)
{
	test_at("opcode %d at %zu, %zu bytes", opcode, offset, len);
	memset(w->to.addr, 0x11, SIZE);
	memset(w->from.addr, 0x22, SIZE);
	post_use(w, opcode, offset, len, rkey);
	wait_status(w->pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	check_bytes(w->to.addr, SIZE, 0x11);
	check_bytes(w->from.addr, SIZE, 0x22);
}

static void refused(struct windowed *w, enum ibv_wr_opcode opcode,
		    size_t offset, size_t len)
{
	refused_by(w, opcode, offset, len, w->rkey);
	again(w);
}

static void use_all(struct windowed *w, unsigned int seed)
{
	test_at("window, %u", seed);
	memset(w->to.addr, 0x11, SIZE);
	buf_drop(&w->to);
	fill_pattern(w->from.addr, LEN, seed);
	use(w, IBV_WR_RDMA_WRITE, START, LEN);
	check_pattern(w->to.addr + START, LEN, seed);
	check_bytes(w->to.addr + START + LEN, SIZE - START - LEN,
		    w->to.access & IBV_ACCESS_ON_DEMAND ? 0 : 0x11);
	memset(w->from.addr, 0, LEN);
	use(w, IBV_WR_RDMA_READ, START, LEN);
	check_pattern(w->from.addr, LEN, seed);
	*(uint64_t *)(w->to.addr + START) = 41;
	use(w, IBV_WR_ATOMIC_FETCH_AND_ADD, START, 8);
	CHECK_EQ(*(uint64_t *)(w->to.addr + START), 42);
	CHECK_EQ(*(uint64_t *)w->from.addr, 41);
}

static void type_1_of(int access)
{
	struct windowed w;
	uint32_t before;

	up(&w, IBV_MW_TYPE_1, access);
	refused(&w, IBV_WR_RDMA_WRITE, START, 8);
	bind_1(&w, START, LEN, REMOTE);
	use_all(&w, 1);
	refused(&w, IBV_WR_RDMA_WRITE, START - 1, 8);
	refused(&w, IBV_WR_RDMA_WRITE, START, LEN + 1);
	refused(&w, IBV_WR_RDMA_READ, START + LEN, 1);
	/* a window of type 1 is for all queue pairs of the protection domain */
	use_all(&w, 2);

	/* bound anew: the previous key is void, and so are its rights */
	before = w.rkey;
	bind_1(&w, START, LEN, IBV_ACCESS_REMOTE_READ);
	refused_by(&w, IBV_WR_RDMA_READ, START, 8, before);
	again(&w);
	refused(&w, IBV_WR_RDMA_WRITE, START, 8);
	refused(&w, IBV_WR_ATOMIC_FETCH_AND_ADD, START, 8);
	use(&w, IBV_WR_RDMA_READ, START, LEN);

	bind_1(&w, 0, 0, 0);
	refused(&w, IBV_WR_RDMA_READ, START, 8);
	bind_1(&w, START, LEN, REMOTE);
	use_all(&w, 3);
	down(&w);
}

static void type_1(void)
{
	type_1_of(OWNER);
	type_1_of(OWNER | IBV_ACCESS_ON_DEMAND);
}

static void type_2_of(int access)
{
	struct pair_config config = {};
	struct windowed w, other;
	struct ibv_wc wc;

	up(&w, IBV_MW_TYPE_2, access);
	bind_2(&w, START, LEN, REMOTE);
	use_all(&w, 1);

	/* a window of type 2 is for the peer of one queue pair */
	other = w;
	connect_ends(&other.pair.a, &w.pair.hosts[0], &other.pair.b,
		     &w.pair.hosts[1], &config);
	refused_by(&other, IBV_WR_RDMA_WRITE, START, 8, w.rkey);
	end_destroy(&other.pair.a);
	end_destroy(&other.pair.b);
	use_all(&w, 2);

	/* its owner invalidates the key, and binds another */
	post_invalidate(&w.pair.b, IBV_WR_LOCAL_INV, w.rkey);
	CHECK_EQ(wait_ok(w.pair.b.send_cq).opcode, IBV_WC_LOCAL_INV);
	bind_2(&w, START, LEN, REMOTE);
	use_all(&w, 3);
	refused_by(&w, IBV_WR_RDMA_WRITE, START, 8, w.rkey - 1);
	again(&w);

	/* its queue pair is gone, and the key with it */
	refused(&w, IBV_WR_RDMA_READ, START, 8);
	CHECK_EQ(ibv_dealloc_mw(w.mw), 0);
	w.mw = ibv_alloc_mw(w.pair.hosts[1].pd, IBV_MW_TYPE_2);
	w.rkey = w.mw->rkey;
	bind_2(&w, START, LEN, REMOTE);
	use_all(&w, 4);

	/* the peer invalidates the key, by a send with invalidate */
	post_recv(&w.pair.b, &w.to, 0, 100, 9);
	post_invalidate(&w.pair.a, IBV_WR_SEND_WITH_INV, w.rkey);
	CHECK_EQ(wait_ok(w.pair.a.send_cq).opcode, IBV_WC_SEND);
	wc = wait_ok(w.pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, 9);
	CHECK(wc.wc_flags & IBV_WC_WITH_INV);
	CHECK_EQ(wc.invalidated_rkey, w.rkey);
	refused_by(&w, IBV_WR_RDMA_READ, START, 8, w.rkey);
	down(&w);
}

static void type_2(void)
{
	type_2_of(OWNER);
	type_2_of(OWNER | IBV_ACCESS_ON_DEMAND);
}

static void zero_based(void)
{
	struct windowed w;

	up(&w, IBV_MW_TYPE_2, OWNER | IBV_ACCESS_ON_DEMAND);
	bind_2(&w, START, LEN, REMOTE | IBV_ACCESS_ZERO_BASED);
	w.base = -(uint64_t)START;
	use_all(&w, 1);
	w.base = 0;
	refused_by(&w, IBV_WR_RDMA_WRITE, LEN - 7, 8, w.rkey);
	again(&w);
	w.base = (uintptr_t)w.to.addr;
	refused_by(&w, IBV_WR_RDMA_WRITE, START, 8, w.rkey);
	down(&w);
}

/* a window on the whole address space, at memory that is mapped later */
static void on_implicit(void)
{
	struct pair_config config = {};
	struct windowed w;

	pair_up(&w.pair, &config);
	buf_get(&w.from, &w.pair.hosts[0], SIZE, ALL_ACCESS);
	w.mw = ibv_alloc_mw(w.pair.hosts[1].pd, IBV_MW_TYPE_2);
	CHECK(w.mw);
	w.rkey = w.mw->rkey;
	w.to.access = OWNER | IBV_ACCESS_ON_DEMAND;
	w.to.mr = ibv_reg_mr(w.pair.hosts[1].pd, NULL, SIZE_MAX, w.to.access);
	CHECK(w.to.mr);
	w.to.len = SIZE;
	w.to.addr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(w.to.addr != MAP_FAILED);
	w.base = (uintptr_t)w.to.addr;
	bind_2(&w, START, LEN, REMOTE);
	use_all(&w, 1);
	refused_by(&w, IBV_WR_RDMA_WRITE, 0, 8, w.rkey);
	down(&w);
}

static void bind_fails(struct windowed *w, struct ibv_mw_bind_info info)
{
	test_at("bind %#lx, %lu bytes, access %#x", (unsigned long)info.addr,
		(unsigned long)info.length, info.mw_access_flags);
	post_bind(w, info);
	wait_status(w->pair.b.send_cq, IBV_WC_MW_BIND_ERR);
	CHECK_EQ(end_state(&w->pair.b), IBV_QPS_ERR);
	again(w);
}

static void binds_refused(void)
{
	struct ibv_mw_bind_info info;
	struct host other_pd;
	struct windowed w;
	struct buf buf;

	up(&w, IBV_MW_TYPE_2, OWNER);
	bind_fails(&w, range(&w, START, SIZE - START + 1, REMOTE));
	bind_fails(&w, range(&w, -1, 10, REMOTE));
	bind_fails(&w, range(&w, START, 0, REMOTE));
	bind_fails(&w, range(&w, START, LEN, IBV_ACCESS_ON_DEMAND));
	bind_fails(&w, range(&w, START, LEN, 1 << 30));

	/* regions that may not be bound, or not with these rights */
	info = range(&w, START, LEN, REMOTE);
	buf_get(&buf, &w.pair.hosts[1], SIZE, ALL_ACCESS);
	info.mr = buf.mr;
	info.addr = (uintptr_t)buf.addr;
	bind_fails(&w, info);
	buf_put(&buf);
	buf_get(&buf, &w.pair.hosts[1], SIZE, IBV_ACCESS_MW_BIND);
	info.mr = buf.mr;
	info.addr = (uintptr_t)buf.addr;
	bind_fails(&w, info);
	buf_put(&buf);
	other_pd = w.pair.hosts[1];
	other_pd.pd = ibv_alloc_pd(other_pd.ctx);
	CHECK(other_pd.pd);
	buf_get(&buf, &other_pd, SIZE, OWNER);
	info.mr = buf.mr;
	info.addr = (uintptr_t)buf.addr;
	bind_fails(&w, info);
	buf_put(&buf);
	CHECK_EQ(ibv_dealloc_pd(other_pd.pd), 0);

	/* a window that is bound already */
	bind_2(&w, START, LEN, REMOTE);
	bind_fails(&w, range(&w, START, LEN, REMOTE));
	down(&w);
}

static void invalidation_fails(struct windowed *w, uint32_t rkey)
{
	post_invalidate(&w->pair.b, IBV_WR_LOCAL_INV, rkey);
	wait_status(w->pair.b.send_cq, IBV_WC_MW_BIND_ERR);
	again(w);
	post_recv(&w->pair.b, &w->to, 0, 100, 9);
	post_invalidate(&w->pair.a, IBV_WR_SEND_WITH_INV, rkey);
	wait_status(w->pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	wait_status(w->pair.b.recv_cq, IBV_WC_WR_FLUSH_ERR);
	again(w);
}

static void invalidations_refused(void)
{
	struct windowed w;

	up(&w, IBV_MW_TYPE_2, OWNER | IBV_ACCESS_REMOTE_WRITE);
	/* not bound; nothing; a region */
	invalidation_fails(&w, w.rkey);
	invalidation_fails(&w, w.rkey ^ 0x100);
	invalidation_fails(&w, w.to.mr->rkey);
	use(&w, IBV_WR_RDMA_WRITE, 0, 0);
	do_one(&w.pair.a, IBV_WR_RDMA_WRITE, buf_sge(&w.from, 0, 8), &w.to, 0);
	/* a key of another queue pair: invalidation_fails() makes new ones */
	bind_2(&w, START, LEN, REMOTE);
	again(&w);
	invalidation_fails(&w, w.rkey);
	down(&w);

	up(&w, IBV_MW_TYPE_1, OWNER);
	bind_1(&w, START, LEN, REMOTE);
	invalidation_fails(&w, w.rkey);
	use_all(&w, 1);
	down(&w);
}

static void region_stays_of(int access)
{
	struct windowed w;

	up(&w, IBV_MW_TYPE_1, access);
	bind_1(&w, START, LEN, REMOTE);
	CHECK_EQ(ibv_dereg_mr(w.to.mr), EBUSY);
	use_all(&w, 1);
	/* with the window its key goes, and its reference to the region */
	CHECK_EQ(ibv_dealloc_mw(w.mw), 0);
	refused(&w, IBV_WR_RDMA_WRITE, START, 8);
	w.mw = ibv_alloc_mw(w.pair.hosts[1].pd, IBV_MW_TYPE_1);
	down(&w);
}

static void region_stays(void)
{
	region_stays_of(OWNER);
	region_stays_of(OWNER | IBV_ACCESS_ON_DEMAND);
}

/* A window older than its region still holds that when the process ends. */
static void left_bound(void)
{
	struct windowed w;

	up(&w, IBV_MW_TYPE_1, OWNER | IBV_ACCESS_ON_DEMAND);
	CHECK_EQ(ibv_dereg_mr(w.to.mr), 0);
	w.to.mr = ibv_reg_mr(w.pair.hosts[1].pd, w.to.addr, SIZE, w.to.access);
	CHECK(w.to.mr);
	bind_1(&w, START, LEN, REMOTE);
	use_all(&w, 1);
	_exit(0);
}

static void process_ends(void)
{
	struct resources before;
	int status;
	pid_t pid;

	resources_get(&before);
	pid = fork();
	if (!pid)
		left_bound();
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	resources_check(&before);
}

/*
 * Local requests complete in their turn, once each, however often the requests
 * before them are retransmitted.
 */
static void in_turn(const char *netem)
{
	unsigned int i, round;
	struct windowed w;
	struct ibv_wc wc;

	up(&w, IBV_MW_TYPE_2, OWNER);
	set_netem(netem);
	for (round = 0; round < 40; round++) {
		for (i = 0; i < 3; i++)
			post_recv(&w.pair.a, &w.from, 0, 5000, i);
		post_one(&w.pair.b, IBV_WR_SEND, buf_sge(&w.to, 0, 5000), NULL, 0);
		post_bind(&w, range(&w, START, LEN, REMOTE));
		post_one(&w.pair.b, IBV_WR_SEND, buf_sge(&w.to, 0, 5000), NULL, 0);
		w.rkey = ibv_inc_rkey(w.rkey);
		post_one(&w.pair.b, IBV_WR_SEND, buf_sge(&w.to, 0, 5000), NULL, 0);
		post_invalidate(&w.pair.b, IBV_WR_LOCAL_INV, w.rkey);
		for (i = 0; i < 5; i++) {
			wc = wait_ok(w.pair.b.send_cq);
			CHECK_EQ(wc.opcode, i == 1 ? IBV_WC_BIND_MW :
					    i == 4 ? IBV_WC_LOCAL_INV :
						     IBV_WC_SEND);
		}
		for (i = 0; i < 3; i++)
			CHECK_EQ(wait_ok(w.pair.a.recv_cq).wr_id, i);
	}
	set_netem(NULL);
	down(&w);
}

static void order(void)
{
	struct ibv_sge sge;
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
	};
	struct windowed w;

	/* the request before it is unsignalled, and has to be acknowledged */
	up(&w, IBV_MW_TYPE_2, OWNER);
	sge = buf_sge(&w.to, 0, 5000);
	post_recv(&w.pair.a, &w.from, 0, 5000, 1);
	post_send(&w.pair.b, &wr);
	bind_2(&w, START, LEN, REMOTE);
	wait_ok(w.pair.a.recv_cq);
	use_all(&w, 1);
	down(&w);

	in_turn("delay 1ms");
	in_turn("loss 5%");
}

/* Nothing is written through a window once its owner has invalidated it. */
static void taken_back(int access)
{
	unsigned char *snapshot = malloc(SIZE);
	unsigned int round, i;
	struct windowed w;
	struct ibv_wc wc;

	up(&w, IBV_MW_TYPE_2, access);
	for (round = 0; round < 60; round++) {
		buf_drop(&w.to);
		bind_2(&w, 0, SIZE, REMOTE);
		memset(w.from.addr, round + 1, SIZE);
		for (i = 0; i < 4; i++)
			post_use(&w, IBV_WR_RDMA_WRITE, 0, SIZE, w.rkey);
		usleep(round * 20);
		post_invalidate(&w.pair.b, IBV_WR_LOCAL_INV, w.rkey);
		wc = wait_cqe(w.pair.b.send_cq);
		memcpy(snapshot, w.to.addr, SIZE);
		for (i = 0; i < 4; i++)
			wait_cqe(w.pair.a.send_cq);
		CHECK(!memcmp(snapshot, w.to.addr, SIZE));
		/* flushed: a write had failed before, as the window was gone */
		CHECK(wc.status == IBV_WC_SUCCESS);
		if (end_state(&w.pair.a) != IBV_QPS_RTS)
			again(&w);
	}
	down(&w);
	free(snapshot);
}

static void races(void)
{
	taken_back(OWNER);
	taken_back(OWNER | IBV_ACCESS_ON_DEMAND);
}

static const struct test tests[] = {
	{ "windows of type 1, pinned and on demand", type_1 },
	{ "windows of type 2, pinned and on demand", type_2 },
	{ "zero-based windows", zero_based },
	{ "a window on the whole address space", on_implicit },
	{ "binds that are refused", binds_refused },
	{ "invalidations that are refused", invalidations_refused },
	{ "a region with windows stays", region_stays },
	{ "a process ends with windows bound", process_ends },
	{ "binds and invalidations complete in order", order },
	{ "an invalidated window gives no access", races },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
