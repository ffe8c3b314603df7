// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Errors get their errno, or their completion code on the side that the
 * specification names, and everything else of the device goes on.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "pair.h"

#define SIZE		65536
#define MAX_MSG		0x80000000U

/* fails with either of two errnos, as kernels differ */
static void check_refused(const void *object, int one, int other)
{
	CHECK(!object);
	CHECK(errno == one || errno == other);
}

static void reg_mr_refused(struct host *host, void *addr, size_t len,
			   int access, int one, int other)
{
	test_at("addr %p, length %#zx, access %#x", addr, len, access);
	check_refused(ibv_reg_mr(host->pd, addr, len, access), one, other);
}

static void registrations(void)
{
	void *kernel = (void *)0xffff888000000000UL;
	/* the last page of the largest address space, and beyond it */
	void *last = (void *)0xfffffffffff000UL;
	struct host host;
	struct buf buf;
	int odp, i;

	host_open(&host, 0);
	for (i = 0; i < 2; i++) {
		odp = i ? IBV_ACCESS_ON_DEMAND : 0;
		buf_get(&buf, &host, SIZE, ALL_ACCESS | odp);
		reg_mr_refused(&host, buf.addr, 0, odp, EINVAL, EINVAL);
		reg_mr_refused(&host, buf.addr, SIZE, odp | 1 << 14, EINVAL,
			       EOPNOTSUPP);
		reg_mr_refused(&host, buf.addr, SIZE,
			       odp | IBV_ACCESS_REMOTE_WRITE, EINVAL, EINVAL);
		reg_mr_refused(&host, buf.addr, SIZE,
			       odp | IBV_ACCESS_REMOTE_ATOMIC, EINVAL, EINVAL);
		reg_mr_refused(&host, buf.addr, -1UL - 4096, odp, EINVAL,
			       EFAULT);
		reg_mr_refused(&host, kernel, SIZE, odp, EFAULT, EINVAL);
		reg_mr_refused(&host, last, SIZE, odp, EFAULT, EINVAL);
		buf_put(&buf);
	}
	/* nearly the whole address space, and all of it in one piece */
	reg_mr_refused(&host, NULL, SIZE_MAX - 1, IBV_ACCESS_ON_DEMAND, EFAULT,
		       EINVAL);
	reg_mr_refused(&host, (void *)1, SIZE_MAX - 1, IBV_ACCESS_ON_DEMAND,
		       EFAULT, EINVAL);
	reg_mr_refused(&host, NULL, SIZE_MAX, 0, EFAULT, EINVAL);
	/* unmapped memory cannot be pinned */
	buf.addr = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	CHECK(buf.addr != MAP_FAILED);
	CHECK_EQ(munmap(buf.addr, SIZE), 0);
	reg_mr_refused(&host, buf.addr, SIZE, 0, EFAULT, EFAULT);
	host_close(&host);
	test_at("the end");
	check_works();
}

static void queues(void)
{
	struct ibv_device_attr attr;
	struct ibv_qp_init_attr good = {
		.cap = { .max_send_wr = 4, .max_recv_wr = 4,
			 .max_send_sge = 1, .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	}, bad;
	struct host host;
	struct ibv_qp *qp;
	struct ibv_cq *cq;

	host_open(&host, 0);
	CHECK_EQ(ibv_query_device(host.ctx, &attr), 0);
	check_refused(ibv_create_cq(host.ctx, 0, NULL, NULL, 0), EINVAL, EINVAL);
	check_refused(ibv_create_cq(host.ctx, attr.max_cqe + 1, NULL, NULL, 0),
		      EINVAL, EINVAL);
	check_refused(ibv_create_cq(host.ctx, 10, NULL, NULL, 1 << 20), EINVAL,
		      EINVAL);
	cq = ibv_create_cq(host.ctx, attr.max_cqe, NULL, NULL, 0);
	CHECK(cq);
	good.send_cq = cq;
	good.recv_cq = cq;

#define REFUSED(field, value, one, other)				\
do {									\
	bad = good;							\
	bad.field = value;						\
	test_at("%s = %ld", #field, (long)(value));			\
	check_refused(ibv_create_qp(host.pd, &bad), one, other);	\
} while (0)

	REFUSED(cap.max_send_wr, attr.max_qp_wr + 1, EINVAL, EINVAL);
	REFUSED(cap.max_recv_wr, attr.max_qp_wr + 1, EINVAL, EINVAL);
	REFUSED(cap.max_send_sge, attr.max_sge + 1, EINVAL, EINVAL);
	REFUSED(cap.max_recv_sge, attr.max_sge + 1, EINVAL, EINVAL);
	REFUSED(cap.max_inline_data, 1 << 20, EINVAL, EINVAL);
	REFUSED(qp_type, 77, EINVAL, EOPNOTSUPP);
#undef REFUSED

	test_at("limits themselves");
	bad = good;
	bad.cap.max_send_wr = attr.max_qp_wr;
	bad.cap.max_recv_wr = attr.max_qp_wr;
	qp = ibv_create_qp(host.pd, &bad);
	CHECK(qp);
	CHECK(bad.cap.max_send_wr >= (unsigned int)attr.max_qp_wr);
	CHECK_EQ(ibv_destroy_cq(cq), EBUSY);
	CHECK_EQ(ibv_dealloc_pd(host.pd), EBUSY);
	CHECK_EQ(ibv_destroy_qp(qp), 0);
	CHECK_EQ(ibv_destroy_cq(cq), 0);
	host_close(&host);
	check_works();
}

static int modify(struct end *end, struct ibv_qp_attr attr, int mask)
{
	return ibv_modify_qp(end->qp, &attr, mask);
}

static struct ibv_qp_attr rtr_attr(struct end *end, struct end *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = peer->qp->qp_num,
		.rq_psn = 0xfffff0,
		.max_dest_rd_atomic = 4,
		.min_rnr_timer = 1,
		.ah_attr = {
			.is_global = 1,
			.port_num = 1,
			.grh.dgid = peer->host->gids[0].gid,
			.grh.sgid_index = end->host->gids[0].index,
			.grh.hop_limit = 64,
		},
	};

	return attr;
}

#define RTR_MASK	(IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | \
			 IBV_QP_DEST_QPN | IBV_QP_RQ_PSN | \
			 IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER)

/* Each wrong step is refused and changes nothing: the right ones then work. */
static void transitions(void)
{
	struct ibv_qp_attr init = { .qp_state = IBV_QPS_INIT, .port_num = 1 };
	int init_mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			IBV_QP_ACCESS_FLAGS;
	struct pair_config config = {};
	struct ibv_device_attr device;
	struct ibv_port_attr port;
	struct buf local, remote;
	struct ibv_qp_attr attr;
	struct pair p = {};
	int i;

	host_open(&p.hosts[0], 0);
	host_open(&p.hosts[1], 1);
	CHECK_EQ(ibv_query_device(p.hosts[0].ctx, &device), 0);
	CHECK_EQ(ibv_query_port(p.hosts[0].ctx, 1, &port), 0);
	end_create(&p.a, &p.hosts[0], &config);
	end_create(&p.b, &p.hosts[1], &config);

	for (i = IBV_QPS_RTR; i <= IBV_QPS_SQE; i++) {
		attr = (struct ibv_qp_attr) { .qp_state = i };
		CHECK_EQ(modify(&p.a, attr, IBV_QP_STATE), EINVAL);
	}
	CHECK_EQ(modify(&p.a, init, init_mask & ~IBV_QP_PORT), EINVAL);
	attr = init;
	attr.port_num = 2;
	CHECK_EQ(modify(&p.a, attr, init_mask), EINVAL);
	attr = init;
	attr.pkey_index = 1;
	CHECK_EQ(modify(&p.a, attr, init_mask), EINVAL);
	attr = init;
	attr.qp_access_flags = 1 << 16;
	CHECK(modify(&p.a, attr, init_mask));
	CHECK_EQ(end_state(&p.a), IBV_QPS_RESET);
	end_to_init(&p.a, &config);
	end_to_init(&p.b, &config);

#define REFUSED(field, value)						\
do {									\
	attr = rtr_attr(&p.a, &p.b);					\
	attr.field = value;						\
	test_at("%s = %ld", #field, (long)(value));			\
	CHECK(modify(&p.a, attr, RTR_MASK));				\
	CHECK_EQ(end_state(&p.a), IBV_QPS_INIT);			\
} while (0)

	REFUSED(qp_state, IBV_QPS_RTS);
	REFUSED(path_mtu, 0);
	REFUSED(path_mtu, 6);
	REFUSED(path_mtu, port.active_mtu + 1);
	REFUSED(max_dest_rd_atomic, 255);
	REFUSED(min_rnr_timer, 32);
	REFUSED(ah_attr.port_num, 2);
	REFUSED(ah_attr.is_global, 0);
	REFUSED(ah_attr.grh.sgid_index, 200);
#undef REFUSED
	test_at("RTS");
	end_to_rtr(&p.a, p.b.qp->qp_num, &p.hosts[1].gids[0].gid, &config);
	attr = (struct ibv_qp_attr) { .qp_state = IBV_QPS_RTS };
	CHECK_EQ(modify(&p.a, attr, IBV_QP_STATE), EINVAL);
	attr.timeout = 32;
	CHECK_EQ(modify(&p.a, attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			IBV_QP_MAX_QP_RD_ATOMIC), EINVAL);
	attr.timeout = 14;
	attr.max_rd_atomic = device.max_qp_init_rd_atom < 255 ?
			     device.max_qp_init_rd_atom + 1 : 255;
	CHECK_EQ(modify(&p.a, attr, IBV_QP_STATE | IBV_QP_TIMEOUT |
			IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			IBV_QP_MAX_QP_RD_ATOMIC), EINVAL);
	CHECK_EQ(end_state(&p.a), IBV_QPS_RTR);

	test_at("the right steps");
	end_to_rtr(&p.b, p.a.qp->qp_num, &p.hosts[0].gids[0].gid, &config);
	end_to_rts(&p.a, &config);
	end_to_rts(&p.b, &config);
	buf_get(&local, &p.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &p.hosts[1], SIZE, ALL_ACCESS);
	fill_pattern(local.addr, SIZE, 8);
	do_one(&p.a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, SIZE), &remote, 0);
	check_pattern(remote.addr, SIZE, 8);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&p);
}

/**
 * struct trial - a connection on which one thing is to go wrong
 * @pair: the connection
 * @local: of the end that posts
 * @remote: of its peer
 */
struct trial {
	struct pair pair;
	struct buf local;
	struct buf remote;
};

static void trial_up(struct trial *t, const struct pair_config *config, int odp)
{
	int access = odp ? ODP_ACCESS : ALL_ACCESS;

	pair_up(&t->pair, config);
	buf_get(&t->local, &t->pair.hosts[0], SIZE, access);
	buf_get(&t->remote, &t->pair.hosts[1], SIZE, access);
	memset(t->local.addr, 0x11, SIZE);
	memset(t->remote.addr, 0x22, SIZE);
}

static void trial_down(struct trial *t)
{
	buf_put(&t->local);
	buf_put(&t->remote);
	pair_down(&t->pair);
}

/*
 * The oldest request fails with @status. Requests posted before that, and after,
 * are flushed.
 */
static void check_fails(struct trial *t, enum ibv_wc_status status)
{
	struct end *a = &t->pair.a;
	struct ibv_wc wc;

	post_recv(a, &t->local, 0, 100, 50);
	post_one(a, IBV_WR_SEND, buf_sge(&t->local, 0, 1), NULL, 0);
	wc = wait_status(a->send_cq, status);
	CHECK_EQ(wc.wr_id, 0x1234);
	CHECK_EQ(wc.qp_num, a->qp->qp_num);
	wait_status(a->send_cq, IBV_WC_WR_FLUSH_ERR);
	CHECK_EQ(wait_status(a->recv_cq, IBV_WC_WR_FLUSH_ERR).wr_id, 50);
	CHECK_EQ(end_state(a), IBV_QPS_ERR);
	post_recv(a, &t->local, 0, 100, 51);
	post_one(a, IBV_WR_SEND, buf_sge(&t->local, 0, 1), NULL, 0);
	wait_status(a->send_cq, IBV_WC_WR_FLUSH_ERR);
	CHECK_EQ(wait_status(a->recv_cq, IBV_WC_WR_FLUSH_ERR).wr_id, 51);
	check_idle(a->send_cq);
	check_idle(a->recv_cq);
}

/**
 * struct wrong - a request that is to fail
 * @name: what is wrong with it
 * @opcode: the operation
 * @remote_access: rights of the region that it names, if not all
 * @local_access: rights of the region that its data is in, if not all
 * @offset: in the remote region
 * @len: bytes
 * @local_offset: in the local region
 * @key_bits: wrong bits of the remote key
 * @lkey_bits: wrong bits of the local key
 * @other_pd: the regions are of another protection domain: 1 remote, 2 local
 * @gone: the regions are deregistered: 1 remote, 2 local
 * @no_access: the peer's queue pair grants nothing
 * @status: the requester's completion code
 */
struct wrong {
	const char *name;
	enum ibv_wr_opcode opcode;
	int remote_access;
	int local_access;
	long offset;
	size_t len;
	long local_offset;
	unsigned int key_bits;
	unsigned int lkey_bits;
	int other_pd;
	int gone;
	bool no_access;
	enum ibv_wc_status status;
};

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define FA	IBV_WR_ATOMIC_FETCH_AND_ADD
#define CS	IBV_WR_ATOMIC_CMP_AND_SWP
#define S	IBV_WR_SEND
#define REM	IBV_WC_REM_ACCESS_ERR
#define LOC	IBV_WC_LOC_PROT_ERR
#define LW	IBV_ACCESS_LOCAL_WRITE
#define RW	IBV_ACCESS_REMOTE_WRITE
#define RR	IBV_ACCESS_REMOTE_READ
#define RA	IBV_ACCESS_REMOTE_ATOMIC

static const struct wrong wrongs[] = {
	{ "write, key of nothing", W, .len = 8, .key_bits = 0x7fff00,
	  .status = REM },
	{ "write, old key", W, .len = 8, .key_bits = 1, .status = REM },
	{ "write, region gone", W, .len = 8, .gone = 1, .status = REM },
	{ "write, other PD", W, .len = 8, .other_pd = 1, .status = REM },
	{ "write, one byte beyond", W, .offset = SIZE - 7, .len = 8,
	  .status = REM },
	{ "write, one byte before", W, .offset = -1, .len = 8, .status = REM },
	{ "write, end wraps round", W, .offset = -8, .len = 8, .status = REM },
	{ "write, later packet beyond", W, .offset = SIZE - 5000, .len = 5001,
	  .status = REM },
	{ "write, no right", W, .remote_access = LW | RR | RA, .len = 8,
	  .status = REM },
	{ "write, QP grants nothing", W, .len = 8, .no_access = true,
	  .status = IBV_WC_REM_INV_REQ_ERR },
	{ "write, lkey of nothing", W, .len = 8, .lkey_bits = 0x7fff00,
	  .status = LOC },
	{ "write, local region gone", W, .len = 8, .gone = 2, .status = LOC },
	{ "write, local other PD", W, .len = 8, .other_pd = 2, .status = LOC },
	{ "write, beyond local region", W, .len = 8, .local_offset = SIZE - 7,
	  .status = LOC },
	{ "write, later packet beyond local region", W, .len = 9000,
	  .local_offset = SIZE - 8999, .status = LOC },
	{ "read, key of nothing", R, .len = 8, .key_bits = 0x7fff00,
	  .status = REM },
	{ "read, no right", R, .remote_access = LW | RW | RA, .len = 8,
	  .status = REM },
	{ "read, one byte beyond", R, .offset = SIZE - 9000, .len = 9001,
	  .status = REM },
	{ "read, QP grants nothing", R, .len = 8, .no_access = true,
	  .status = IBV_WC_REM_INV_REQ_ERR },
	{ "read, into read-only region", R, .local_access = RR, .len = 8,
	  .status = LOC },
	{ "read, beyond local region", R, .len = 9000,
	  .local_offset = SIZE - 8999, .status = LOC },
	{ "atomic, key of nothing", FA, .len = 8, .key_bits = 0x7fff00,
	  .status = REM },
	{ "atomic, no right", CS, .remote_access = LW | RW | RR, .len = 8,
	  .status = REM },
	{ "atomic, beyond", FA, .offset = SIZE, .len = 8, .status = REM },
	{ "atomic, QP grants nothing", CS, .len = 8, .no_access = true,
	  .status = IBV_WC_REM_INV_REQ_ERR },
	{ "atomic, into read-only region", CS, .local_access = RR, .len = 8,
	  .status = LOC },
	{ "send, lkey of nothing", S, .len = 8, .lkey_bits = 0x7fff00,
	  .status = LOC },
	{ "send, beyond local region", S, .len = 8, .local_offset = SIZE - 7,
	  .status = LOC },
};

/* Give a region other rights, or another owner, or none. */
static struct ibv_pd *spoil(struct host *host, struct buf *buf, int odp,
			    int access, bool other_pd, bool gone)
{
	struct ibv_pd *pd = host->pd, *other = NULL;

	if (!access && !other_pd && !gone)
		return NULL;
	CHECK_EQ(ibv_dereg_mr(buf->mr), 0);
	if (other_pd) {
		other = ibv_alloc_pd(host->ctx);
		CHECK(other);
		pd = other;
	}
	buf->mr = ibv_reg_mr(pd, buf->addr, SIZE,
			     (access ? access : ALL_ACCESS) |
			     (odp ? IBV_ACCESS_ON_DEMAND : 0));
	CHECK(buf->mr);
	return other;
}

static void try_wrong(const struct wrong *w, int odp)
{
	struct pair_config config = { .no_access = w->no_access };
	struct ibv_mr remote_mr, *really;
	struct buf remote, gone = {};
	struct ibv_pd *pds[2];
	struct ibv_sge sge;
	struct trial t;
	int i;

	test_at("%s, %s", w->name, odp ? "ODP" : "pinned");
	trial_up(&t, &config, odp);
	pds[0] = spoil(&t.pair.hosts[0], &t.local, odp, w->local_access,
		       w->other_pd == 2, w->gone == 2);
	pds[1] = spoil(&t.pair.hosts[1], &t.remote, odp, w->remote_access,
		       w->other_pd == 1, w->gone == 1);
	remote = t.remote;
	remote_mr = *remote.mr;
	remote_mr.rkey ^= w->key_bits;
	remote.mr = &remote_mr;
	sge = buf_sge(&t.local, w->local_offset, w->len);
	sge.lkey ^= w->lkey_bits;
	if (w->gone) {
		gone = w->gone == 1 ? t.remote : t.local;
		CHECK_EQ(ibv_dereg_mr(gone.mr), 0);
	}

	post_recv(&t.pair.b, &t.remote, 0, w->gone == 1 ? 0 : SIZE, 7);
	if (w->opcode == FA || w->opcode == CS) {
		struct ibv_send_wr wr = {
			.wr_id = 0x1234,
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = w->opcode,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.atomic.remote_addr =
				(uintptr_t)remote.addr + w->offset,
			.wr.atomic.rkey = remote_mr.rkey,
		};

		post_send(&t.pair.a, &wr);
	} else {
		post_one(&t.pair.a, w->opcode, sge, &remote, w->offset);
	}
	if (w->gone == 2) {
		/* check_fails() needs a region */
		t.local.mr = ibv_reg_mr(t.pair.hosts[0].pd, t.local.addr, SIZE,
					ALL_ACCESS);
		CHECK(t.local.mr);
	}
	if (w->other_pd == 2) {
		really = t.local.mr;
		t.local.mr = ibv_reg_mr(t.pair.hosts[0].pd, t.local.addr, SIZE,
					ALL_ACCESS);
		CHECK(t.local.mr);
		CHECK_EQ(ibv_dereg_mr(really), 0);
	}
	check_fails(&t, w->status);

	/* The responder that refused is in the error state and has flushed. */
	if (w->status == REM || w->status == IBV_WC_REM_INV_REQ_ERR) {
		CHECK_EQ(wait_status(t.pair.b.recv_cq,
				     IBV_WC_WR_FLUSH_ERR).wr_id, 7);
		CHECK_EQ(end_state(&t.pair.b), IBV_QPS_ERR);
	}
	if (w->len == 8 && w->opcode != R)
		check_bytes(t.remote.addr, SIZE, 0x22);
	if (w->opcode == R)
		check_bytes(t.local.addr, 8, 0x11);

	if (w->gone == 1) {
		t.remote.mr = ibv_reg_mr(t.pair.hosts[1].pd, t.remote.addr,
					 SIZE, ALL_ACCESS);
		CHECK(t.remote.mr);
	}
	buf_put(&t.local);
	buf_put(&t.remote);
	for (i = 0; i < 2; i++)
		if (pds[i])
			CHECK_EQ(ibv_dealloc_pd(pds[i]), 0);
	pair_down(&t.pair);
}

static void wrong_requests(int odp)
{
	unsigned int i;

	for (i = 0; i < NUM(wrongs); i++)
		try_wrong(&wrongs[i], odp);
	test_at("the end");
	check_works();
}

static void wrong_requests_pinned(void)
{
	wrong_requests(0);
}

static void wrong_requests_odp(void)
{
	wrong_requests(1);
}

/*
 * The connection is as it was: the address that is refused is of both families. That
 * of a group needs nobody to be asked.
 */
static void address_refused(void)
{
	union ibv_gid group = { .raw = { 0xff, 0x0e, [15] = 1 } };
	struct pair_config config = { .timeout = 14 };
	struct ibv_qp_attr attr;
	struct trial t;

	trial_up(&t, &config, 0);
	do_one(&t.pair.a, W, buf_sge(&t.local, 0, 8), &t.remote, 0);
	attr = (struct ibv_qp_attr) { .qp_state = IBV_QPS_SQD };
	CHECK_EQ(modify(&t.pair.a, attr, IBV_QP_STATE), 0);
	attr = rtr_attr(&t.pair.a, &t.pair.b);
	attr.qp_state = IBV_QPS_SQD;
	attr.ah_attr.grh.dgid = group;
	attr.ah_attr.grh.traffic_class = 8;
	CHECK_EQ(modify(&t.pair.a, attr, IBV_QP_STATE | IBV_QP_AV), EINVAL);
	CHECK_EQ(end_state(&t.pair.a), IBV_QPS_SQD);

	attr = (struct ibv_qp_attr) { .qp_state = IBV_QPS_RTS };
	CHECK_EQ(modify(&t.pair.a, attr, IBV_QP_STATE), 0);
	memset(t.local.addr, 0x33, SIZE);
	do_one(&t.pair.a, W, buf_sge(&t.local, 0, SIZE), &t.remote, 0);
	check_bytes(t.remote.addr, SIZE, 0x33);
	memset(t.remote.addr, 0x44, SIZE);
	do_one(&t.pair.b, W, buf_sge(&t.remote, 0, SIZE), &t.local, 0);
	check_bytes(t.local.addr, SIZE, 0x44);
	trial_down(&t);
}

/* A region ends at its last byte, not at the end of its last page. */
static void ends_within_page(void)
{
	size_t len = SIZE - 100;
	struct pair_config config = {};
	struct buf part;
	struct trial t;
	int odp;

	for (odp = 0; odp < 2; odp++) {
		test_at("%s", odp ? "ODP" : "pinned");
		trial_up(&t, &config, odp);
		buf_reg(&part, &t.pair.hosts[1], t.remote.addr, len,
			odp ? ODP_ACCESS : ALL_ACCESS);
		do_one(&t.pair.a, W, buf_sge(&t.local, 0, 8), &part, len - 8);
		check_bytes(t.remote.addr + len - 8, 8, 0x11);
		post_one(&t.pair.a, W, buf_sge(&t.local, 0, 8), &part, len - 7);
		check_fails(&t, REM);
		check_bytes(t.remote.addr + len, 100, 0x22);
		CHECK_EQ(ibv_dereg_mr(part.mr), 0);
		trial_down(&t);
	}
}

/* No byte is moved, so no key is checked: IBTA 9.7.4.1.2, 9.4.3. */
static void no_length_no_key(void)
{
	struct pair_config config = {};
	struct trial t;
	struct ibv_mr mr;
	struct buf nowhere;

	trial_up(&t, &config, 1);
	nowhere = t.remote;
	mr = *t.remote.mr;
	mr.rkey ^= 0x7fff00;
	nowhere.mr = &mr;
	do_one(&t.pair.a, W, buf_sge(&t.local, 0, 0), &nowhere, 1UL << 50);
	do_one(&t.pair.a, R, buf_sge(&t.local, 0, 0), &nowhere, 1UL << 50);
	trial_down(&t);
}

static void recv_too_short(void)
{
	static const size_t lens[] = { 101, 5000, SIZE };
	struct pair_config config = {};
	struct trial t;
	unsigned int i;

	for (i = 0; i < NUM(lens); i++) {
		test_at("%zu bytes into 100", lens[i]);
		trial_up(&t, &config, 1);
		post_recv(&t.pair.b, &t.remote, 0, 100, 1);
		post_recv(&t.pair.b, &t.remote, 0, 100, 2);
		post_one(&t.pair.a, S, buf_sge(&t.local, 0, lens[i]), NULL, 0);
		check_fails(&t, IBV_WC_REM_INV_REQ_ERR);
		CHECK_EQ(wait_status(t.pair.b.recv_cq,
				     IBV_WC_LOC_LEN_ERR).wr_id, 1);
		CHECK_EQ(wait_status(t.pair.b.recv_cq,
				     IBV_WC_WR_FLUSH_ERR).wr_id, 2);
		check_bytes(t.remote.addr + 100, SIZE - 100, 0x22);
		trial_down(&t);
	}
}

static void recv_wrong_key(void)
{
	struct pair_config config = {};
	struct buf wrong;
	struct ibv_mr mr;
	struct trial t;

	trial_up(&t, &config, 1);
	wrong = t.remote;
	mr = *t.remote.mr;
	mr.lkey ^= 0x7fff00;
	wrong.mr = &mr;
	post_recv(&t.pair.b, &wrong, 0, 100, 1);
	post_one(&t.pair.a, S, buf_sge(&t.local, 0, 100), NULL, 0);
	check_fails(&t, IBV_WC_REM_OP_ERR);
	wait_status(t.pair.b.recv_cq, IBV_WC_LOC_PROT_ERR);
	check_bytes(t.remote.addr, SIZE, 0x22);
	trial_down(&t);
}

static void too_long(void)
{
	struct pair_config config = {};
	struct ibv_sge sges[4];
	struct ibv_send_wr wr = {
		.wr_id = 0x1234,
		.sg_list = sges,
		.num_sge = 4,
		.opcode = W,
		.send_flags = IBV_SEND_SIGNALED,
	};
	struct trial t;
	int i, n;

	for (n = 2; n <= 4; n++) {
		trial_up(&t, &config, 1);
		for (i = 0; i < 4; i++) {
			sges[i] = buf_sge(&t.local, 0, 0);
			/* 2^31 + 1; sums that overflow 32 bits too */
			sges[i].length = i < n - 1 ? MAX_MSG : i == n - 1;
		}
		wr.wr.rdma.remote_addr = (uintptr_t)t.remote.addr;
		wr.wr.rdma.rkey = t.remote.mr->rkey;
		post_send(&t.pair.a, &wr);
		check_fails(&t, IBV_WC_LOC_LEN_ERR);
		check_bytes(t.remote.addr, SIZE, 0x22);
		trial_down(&t);
	}
}

/* No receive request: the requester retries rnr_retry times. */
static void no_receive(void)
{
	struct pair_config config = { .rnr_retry = 3, .rnr_timer = 10 };
	struct trial t;

	trial_up(&t, &config, 0);
	post_one(&t.pair.a, S, buf_sge(&t.local, 0, 8), NULL, 0);
	check_fails(&t, IBV_WC_RNR_RETRY_EXC_ERR);
	trial_down(&t);

	config.rnr_retry = 0;
	trial_up(&t, &config, 0);
	post_one(&t.pair.a, S, buf_sge(&t.local, 0, 8), NULL, 0);
	sleep_ms(50);
	check_idle(t.pair.a.send_cq);
	post_recv(&t.pair.b, &t.remote, 0, 8, 1);
	wait_ok(t.pair.a.send_cq);
	wait_ok(t.pair.b.recv_cq);
	check_bytes(t.remote.addr, 8, 0x11);
	trial_down(&t);
}

/* A peer that does not answer: it never existed, or failed meanwhile. */
static void no_answer(void)
{
	struct pair_config config = { .timeout = 8 };
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };
	struct trial t;
	int i;

	for (i = 0; i < 3; i++) {
		test_at("case %d", i);
		config.no_retry = i == 2;
		trial_up(&t, &config, 1);
		if (i == 1)
			end_to_error(&t.pair.b);
		else
			CHECK_EQ(modify(&t.pair.b, reset, IBV_QP_STATE), 0);
		post_one(&t.pair.a, W, buf_sge(&t.local, 0, SIZE), &t.remote, 0);
		check_fails(&t, IBV_WC_RETRY_EXC_ERR);
		check_bytes(t.remote.addr, SIZE, 0x22);
		trial_down(&t);
	}
	check_works();
}

/*
 * The first packets wait three seconds for the neighbour. Their seven
 * retransmissions must not wait as long each.
 */
static void no_neighbour(void)
{
	struct pair_config config = { .timeout = 8 };
	unsigned long long began;
	struct trial t;

	trial_up(&t, &config, 1);
	two_hosts("strangers");
	began = now_ms();
	post_one(&t.pair.a, W, buf_sge(&t.local, 0, SIZE), &t.remote, 0);
	check_fails(&t, IBV_WC_RETRY_EXC_ERR);
	CHECK(now_ms() - began < 20000 * limit_factor());
	two_hosts("neighbours");
	check_bytes(t.remote.addr, SIZE, 0x22);
	trial_down(&t);
	check_works();
}

/* More outstanding reads than the responder has resources for. */
static void too_many_reads(void)
{
	struct pair_config few = { .rd_atomic = 1 }, many = { .rd_atomic = 16 };
	struct pair p;
	struct buf local, remote;
	struct ibv_wc wc;
	int i;

	host_open(&p.hosts[0], 0);
	host_open(&p.hosts[1], 1);
	end_create(&p.a, &p.hosts[0], &many);
	end_create(&p.b, &p.hosts[1], &few);
	end_to_init(&p.a, &many);
	end_to_init(&p.b, &few);
	end_to_rtr(&p.a, p.b.qp->qp_num, &p.hosts[1].gids[0].gid, &many);
	end_to_rtr(&p.b, p.a.qp->qp_num, &p.hosts[0].gids[0].gid, &few);
	end_to_rts(&p.a, &many);
	end_to_rts(&p.b, &few);
	buf_get(&local, &p.hosts[0], SIZE, ODP_ACCESS);
	buf_get(&remote, &p.hosts[1], SIZE, ODP_ACCESS);
	fill_pattern(remote.addr, SIZE, 3);
	for (i = 0; i < 16; i++)
		post_one(&p.a, R, buf_sge(&local, 0, SIZE), &remote, 0);
	/* executed in turn or refused, but never wrong */
	for (i = 0; i < 16; i++) {
		wc = wait_cqe(p.a.send_cq);
		CHECK(wc.status == IBV_WC_SUCCESS ||
		      wc.status == IBV_WC_REM_INV_REQ_ERR ||
		      wc.status == IBV_WC_WR_FLUSH_ERR);
		if (wc.status == IBV_WC_SUCCESS)
			check_pattern(local.addr, SIZE, 3);
	}
	buf_put(&local);
	buf_put(&remote);
	pair_down(&p);
	check_works();
}

/* A completion queue that is not polled fails its own queue pairs only. */
static void cq_overrun(void)
{
	struct pair_config config = { .depth = 64 };
	struct ibv_cq *small, *old;
	enum ibv_event_type type;
	struct trial t;
	int i;

	trial_up(&t, &config, 0);
	end_destroy(&t.pair.a);
	end_destroy(&t.pair.b);
	end_create(&t.pair.a, &t.pair.hosts[0], &config);
	end_create(&t.pair.b, &t.pair.hosts[1], &config);
	old = t.pair.a.send_cq;
	small = ibv_create_cq(t.pair.hosts[0].ctx, 1, NULL, NULL, 0);
	CHECK(small);
	CHECK_EQ(ibv_destroy_qp(t.pair.a.qp), 0);
	t.pair.a.qp = ibv_create_qp(t.pair.hosts[0].pd,
				    &(struct ibv_qp_init_attr) {
		.send_cq = small,
		.recv_cq = t.pair.a.recv_cq,
		.cap = { 64, 64, 1, 1, 0 },
		.qp_type = IBV_QPT_RC,
	});
	CHECK(t.pair.a.qp);
	end_to_init(&t.pair.a, &config);
	end_to_init(&t.pair.b, &config);
	end_to_rtr(&t.pair.a, t.pair.b.qp->qp_num,
		   &t.pair.hosts[1].gids[0].gid, &config);
	end_to_rtr(&t.pair.b, t.pair.a.qp->qp_num,
		   &t.pair.hosts[0].gids[0].gid, &config);
	end_to_rts(&t.pair.a, &config);
	end_to_rts(&t.pair.b, &config);
	for (i = 0; i < small->cqe + 10; i++)
		post_one(&t.pair.a, W, buf_sge(&t.local, 0, 8), &t.remote, 0);
	type = next_async_event(&t.pair.hosts[0]);
	CHECK(type == IBV_EVENT_CQ_ERR || type == IBV_EVENT_QP_FATAL);
	t.pair.a.send_cq = old;
	CHECK_EQ(ibv_destroy_qp(t.pair.a.qp), 0);
	CHECK_EQ(ibv_destroy_cq(small), 0);
	check_works();
}

static const struct test tests[] = {
	{ "registrations that are refused", registrations },
	{ "queue sizes that are refused", queues },
	{ "state transitions that are refused", transitions },
	{ "wrong requests, pinned memory", wrong_requests_pinned },
	{ "wrong requests, ODP memory", wrong_requests_odp },
	{ "an address vector that is refused", address_refused },
	{ "a region that ends within a page", ends_within_page },
	{ "requests without length need no key", no_length_no_key },
	{ "a receive request that is too short", recv_too_short },
	{ "a receive request with a wrong key", recv_wrong_key },
	{ "messages that are too long", too_long },
	{ "messages without a receive request", no_receive },
	{ "a peer that does not answer", no_answer },
	{ "a peer whose address does not resolve", no_neighbour },
	{ "more reads than the responder takes", too_many_reads },
	{ "a completion queue that overruns", cq_overrun },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
