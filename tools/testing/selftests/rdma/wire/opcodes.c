// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Traffic with each opcode of the services, over IPv4 and IPv6, but for flush and
 * atomic write, for which librxe of Debian 12 has no requests. For dissect.py,
 * which captures it.
 */
#include <endian.h>
#include <errno.h>
#include <stdint.h>

#include "pair.h"

#define MTU	IBV_MTU_256
#define ONE	100
#define MANY	(256 * 3 + 7)
#define LEN	8192
#define QKEY	0x1234

/**
 * struct traffic - a connection, and memory at both ends
 * @pair: the connection
 * @from: of end a
 * @to: of end b
 * @config: of @pair
 */
struct traffic {
	struct pair pair;
	struct buf from;
	struct buf to;
	struct pair_config config;
};

static void up(struct traffic *t, enum ibv_qp_type type, bool ipv6)
{
	int access = type == IBV_QPT_UC ? UC_ACCESS : ALL_ACCESS;

	memset(t, 0, sizeof(*t));
	t->config.type = type;
	t->config.ipv6 = ipv6;
	t->config.mtu = MTU;
	/* 10 ms: long enough for the sender to ask only a few times */
	t->config.rnr_timer = 20;
	pair_up(&t->pair, &t->config);
	buf_get(&t->from, &t->pair.hosts[0], LEN, access);
	buf_get(&t->to, &t->pair.hosts[1], LEN, access | IBV_ACCESS_MW_BIND);
	fill_pattern(t->from.addr, LEN, 1);
}

static void down(struct traffic *t)
{
	buf_put(&t->from);
	buf_put(&t->to);
	pair_down(&t->pair);
}

/* requests that host a has posted, and that succeed */
static unsigned int sends;

/* @extra: immediate data, or a key to be invalidated */
static void post(struct traffic *t, enum ibv_wr_opcode opcode, size_t len,
		 uint32_t extra)
{
	struct ibv_sge sge = buf_sge(&t->from, 0, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(extra),
		.wr.rdma.remote_addr = (uintptr_t)t->to.addr,
		.wr.rdma.rkey = t->to.mr->rkey,
	};

	if (opcode == IBV_WR_SEND_WITH_INV)
		wr.invalidate_rkey = extra;
	post_send(&t->pair.a, &wr);
}

static void receives(struct traffic *t, enum ibv_wr_opcode opcode, size_t len,
		     uint32_t extra)
{
	sends += opcode != IBV_WR_RDMA_WRITE_WITH_IMM;
	post_recv(&t->pair.b, &t->to, 0, LEN, 1);
	post(t, opcode, len, extra);
	wait_ok(t->pair.a.send_cq);
	wait_ok(t->pair.b.recv_cq);
}

static void writes(struct traffic *t, size_t len)
{
	struct ibv_sge sge = buf_sge(&t->from, 0, len);

	do_one(&t->pair.a, IBV_WR_RDMA_WRITE, sge, &t->to, 0);
	receives(t, IBV_WR_RDMA_WRITE_WITH_IMM, len, 0x11223344);
	receives(t, IBV_WR_SEND, len, 0);
	receives(t, IBV_WR_SEND_WITH_IMM, len, 0x55667788);
}

static void send_with_invalidate(struct traffic *t, size_t len)
{
	struct ibv_mw *mw = ibv_alloc_mw(t->pair.hosts[1].pd, IBV_MW_TYPE_2);
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_BIND_MW,
		.send_flags = IBV_SEND_SIGNALED,
		.bind_mw = {
			.mw = mw,
			.bind_info = {
				.mr = t->to.mr,
				.addr = (uintptr_t)t->to.addr,
				.length = LEN,
				.mw_access_flags = IBV_ACCESS_REMOTE_WRITE,
			},
		},
	};

	CHECK(mw);
	wr.bind_mw.rkey = ibv_inc_rkey(mw->rkey);
	post_send(&t->pair.b, &wr);
	wait_ok(t->pair.b.send_cq);
	receives(t, IBV_WR_SEND_WITH_INV, len, wr.bind_mw.rkey);
	CHECK_EQ(ibv_dealloc_mw(mw), 0);
}

static void atomic(struct traffic *t, enum ibv_wr_opcode opcode)
{
	struct ibv_sge sge = buf_sge(&t->from, 0, 8);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic.remote_addr = (uintptr_t)t->to.addr,
		.wr.atomic.rkey = t->to.mr->rkey,
		.wr.atomic.compare_add = 0x0102030405060708,
		.wr.atomic.swap = 0x1112131415161718,
	};

	post_send(&t->pair.a, &wr);
	wait_ok(t->pair.a.send_cq);
}

/* The receiver posts a receive only once it has sent an RNR NAK. */
static void not_ready(struct traffic *t)
{
	unsigned long long before = counter_of(1, "send_rnr_err");

	sends++;
	post(t, IBV_WR_SEND, ONE, 0);
	while (counter_of(1, "send_rnr_err") == before)
		sleep_ms(1);
	post_recv(&t->pair.b, &t->to, 0, LEN, 1);
	wait_ok(t->pair.a.send_cq);
	wait_ok(t->pair.b.recv_cq);
}

static void reliable(bool ipv6)
{
	struct traffic t;

	up(&t, IBV_QPT_RC, ipv6);
	writes(&t, ONE);
	writes(&t, MANY);
	send_with_invalidate(&t, ONE);
	send_with_invalidate(&t, MANY);
	do_one(&t.pair.a, IBV_WR_RDMA_READ, buf_sge(&t.from, 0, ONE), &t.to, 0);
	do_one(&t.pair.a, IBV_WR_RDMA_READ, buf_sge(&t.from, 0, MANY), &t.to, 0);
	atomic(&t, IBV_WR_ATOMIC_CMP_AND_SWP);
	atomic(&t, IBV_WR_ATOMIC_FETCH_AND_ADD);
	not_ready(&t);
	t.to.mr->rkey ^= 0xff00;
	post(&t, IBV_WR_RDMA_WRITE, ONE, 0);
	wait_status(t.pair.a.send_cq, IBV_WC_REM_ACCESS_ERR);
	t.to.mr->rkey ^= 0xff00;
	down(&t);
}

static void unreliable(bool ipv6)
{
	struct traffic t;

	up(&t, IBV_QPT_UC, ipv6);
	writes(&t, ONE);
	writes(&t, MANY);
	down(&t);
}

static struct ibv_ah *address(const struct traffic *t)
{
	const struct host *hosts = t->pair.hosts;
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = hosts[1].gids[t->config.ipv6].gid,
			.sgid_index = hosts[0].gids[t->config.ipv6].index,
			.hop_limit = 64,
		},
	};
	struct ibv_ah *ah;
	int tries = 0;

	/* a neighbour is given one second to answer, as in end_to_rtr() */
	do {
		ah = ibv_create_ah(hosts[0].pd, &attr);
	} while (!ah && errno == ETIMEDOUT && tries++ < 10);
	CHECK(ah);
	return ah;
}

static void datagram(struct traffic *t, struct ibv_ah *ah,
		     enum ibv_wr_opcode opcode)
{
	struct ibv_sge sge = buf_sge(&t->from, 0, ONE);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(0x99aabbcc),
		.wr.ud = {
			.ah = ah,
			.remote_qpn = t->pair.b.qp->qp_num,
			.remote_qkey = QKEY,
		},
	};

	sends++;
	post_recv(&t->pair.b, &t->to, 0, LEN, 1);
	post_send(&t->pair.a, &wr);
	wait_ok(t->pair.a.send_cq);
	wait_ok(t->pair.b.recv_cq);
}

static void datagrams(bool ipv6)
{
	struct traffic t = { .config = {
		.type = IBV_QPT_UD,
		.qkey = QKEY,
		.ipv6 = ipv6,
	} };
	struct ibv_ah *ah;

	pair_up(&t.pair, &t.config);
	buf_get(&t.from, &t.pair.hosts[0], LEN, ALL_ACCESS);
	buf_get(&t.to, &t.pair.hosts[1], LEN, ALL_ACCESS);
	ah = address(&t);
	datagram(&t, ah, IBV_WR_SEND);
	datagram(&t, ah, IBV_WR_SEND_WITH_IMM);
	CHECK_EQ(ibv_destroy_ah(ah), 0);
	down(&t);
}

int main(void)
{
	unsigned long long before = counter_of(0, "rdma_sends");
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		reliable(ipv6);
		unreliable(ipv6);
		datagrams(ipv6);
	}
	CHECK_EQ(counter_of(0, "rdma_sends") - before, sends);
	return 0;
}
