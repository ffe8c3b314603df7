// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queues as deep as the device announces: they take all requests, wrap round, and
 * are charged to the program, whose memcg limit makes creation fail.
 */
#include <errno.h>
#include <rdma/rdma_user_rxe.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

/* as the kernel's own driver has it, on which programs may rely */
#define DEPTH		0x100000
#define CQ_DEPTH	8192
#define CHUNK		512
#define WORD		sizeof(unsigned long long)
/* words of memory; each receive request names one, in turn */
#define WORDS		4096

static struct ibv_cq *new_cq(struct host *host)
{
	struct ibv_cq *cq = ibv_create_cq(host->ctx, CQ_DEPTH, NULL, NULL, 0);

	CHECK(cq);
	return cq;
}

/* a queue pair of its own; NULL, and errno, if it is refused */
static struct ibv_qp *try_qp(struct host *host, unsigned int send,
			     unsigned int recv, struct ibv_srq *srq)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = new_cq(host),
		.recv_cq = new_cq(host),
		.srq = srq,
		.qp_type = IBV_QPT_RC,
		.cap = {
			.max_send_wr = send,
			.max_recv_wr = recv,
			.max_send_sge = 1,
			.max_recv_sge = 1,
			.max_inline_data = WORD,
		},
	};
	struct ibv_qp *qp = ibv_create_qp(host->pd, &attr);
	int err = errno;

	if (qp) {
		CHECK(attr.cap.max_send_wr >= send);
		CHECK(srq || attr.cap.max_recv_wr >= recv);
		return qp;
	}
	CHECK_EQ(ibv_destroy_cq(attr.send_cq), 0);
	CHECK_EQ(ibv_destroy_cq(attr.recv_cq), 0);
	errno = err;
	return NULL;
}

static void destroy_qp(struct ibv_qp *qp)
{
	struct ibv_cq *send_cq = qp->send_cq, *recv_cq = qp->recv_cq;

	CHECK_EQ(ibv_destroy_qp(qp), 0);
	CHECK_EQ(ibv_destroy_cq(send_cq), 0);
	CHECK_EQ(ibv_destroy_cq(recv_cq), 0);
}

static struct ibv_qp *new_qp(struct host *host, unsigned int send,
			     unsigned int recv, struct ibv_srq *srq)
{
	struct ibv_qp *qp = try_qp(host, send, recv, srq);

	CHECK(qp);
	return qp;
}

static struct ibv_srq *try_srq(struct host *host, unsigned int depth)
{
	struct ibv_srq_init_attr attr = {
		.attr = { .max_wr = depth, .max_sge = 1 },
	};

	return ibv_create_srq(host->pd, &attr);
}

static void refused_qp(struct host *host, unsigned int send,
		       unsigned int recv)
{
	CHECK(!try_qp(host, send, recv, NULL));
	CHECK_EQ(errno, EINVAL);
}

static int resize(struct ibv_srq *srq, unsigned int depth)
{
	struct ibv_srq_attr attr = { .max_wr = depth };

	return ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR);
}

static void limits(void)
{
	struct ibv_device_attr attr;
	struct host host;
	struct ibv_srq *srq;

	host_open(&host, 0);
	CHECK_EQ(ibv_query_device(host.ctx, &attr), 0);
	CHECK_EQ(attr.max_qp_wr, DEPTH);
	CHECK_EQ(attr.max_srq_wr, DEPTH);
	/* no QP is refused reads for those of others */
	CHECK_EQ(attr.max_res_rd_atom, attr.max_qp * attr.max_qp_rd_atom);

	destroy_qp(new_qp(&host, DEPTH, 1, NULL));
	destroy_qp(new_qp(&host, 1, DEPTH, NULL));
	refused_qp(&host, DEPTH + 1, 1);
	refused_qp(&host, 1, DEPTH + 1);
	refused_qp(&host, 0xffffffff, 1);
	refused_qp(&host, 1, 0xffffffff);
	refused_qp(&host, 0x80000000, 0x80000000);

	CHECK(!try_srq(&host, DEPTH + 1));
	CHECK_EQ(errno, EINVAL);
	CHECK(!try_srq(&host, 0xffffffff));
	CHECK_EQ(errno, EINVAL);
	srq = try_srq(&host, 1);
	CHECK(srq);
	CHECK_EQ(resize(srq, DEPTH), 0);
	CHECK_EQ(resize(srq, DEPTH + 1), EINVAL);
	CHECK_EQ(ibv_destroy_srq(srq), 0);
	host_close(&host);
}

/**
 * struct deep - a connection with deep queues
 * @hosts: the sending one, and the receiving one
 * @from: the end that sends
 * @to: the end that receives
 * @srq: its shared receive queue, or NULL
 * @words: memory of the receiver
 * @sent: number of the next message
 * @posted: number of the next receive request
 * @received: number of the next one to be filled
 */
struct deep {
	struct host hosts[2];
	struct end from;
	struct end to;
	struct ibv_srq *srq;
	struct buf words;
	unsigned long long sent;
	unsigned long long posted;
	unsigned long long received;
};

static const struct pair_config deep_config;

static void end_of(struct end *end, struct host *host, struct ibv_qp *qp)
{
	end->host = host;
	end->qp = qp;
	end->send_cq = qp->send_cq;
	end->recv_cq = qp->recv_cq;
}

static void deep_up(struct deep *deep, bool shared)
{
	memset(deep, 0, sizeof(*deep));
	host_open(&deep->hosts[0], 0);
	host_open(&deep->hosts[1], 1);
	if (shared) {
		deep->srq = try_srq(&deep->hosts[1], DEPTH);
		CHECK(deep->srq);
	}
	end_of(&deep->from, &deep->hosts[0],
	       new_qp(&deep->hosts[0], DEPTH, 1, NULL));
	end_of(&deep->to, &deep->hosts[1],
	       new_qp(&deep->hosts[1], 1, shared ? 1 : DEPTH, deep->srq));
	buf_get(&deep->words, &deep->hosts[1], WORDS * WORD,
		ALL_ACCESS);
}

static void deep_down(struct deep *deep)
{
	destroy_qp(deep->from.qp);
	destroy_qp(deep->to.qp);
	if (deep->srq)
		CHECK_EQ(ibv_destroy_srq(deep->srq), 0);
	buf_put(&deep->words);
	host_close(&deep->hosts[0]);
	host_close(&deep->hosts[1]);
}

static void get_ready(struct end *end, struct end *peer)
{
	end_to_rtr(end, peer->qp->qp_num, &peer->host->gids[0].gid,
		   &deep_config);
	end_to_rts(end, &deep_config);
}

static void connect_deep(struct deep *deep)
{
	end_to_init(&deep->from, &deep_config);
	end_to_init(&deep->to, &deep_config);
	get_ready(&deep->from, &deep->to);
	get_ready(&deep->to, &deep->from);
}

/* requests that were posted and not received are forgotten */
static void disconnect_deep(struct deep *deep)
{
	end_to_reset(&deep->from);
	end_to_reset(&deep->to);
	if (!deep->srq)
		deep->received = deep->posted;
}

/* messages of a word, their number; only the last one is signalled */
static void post_sends(struct deep *deep, unsigned int n)
{
	struct ibv_send_wr wrs[CHUNK] = {};
	struct ibv_sge sges[CHUNK];
	unsigned long long words[CHUNK];
	unsigned int i, now;

	for (; n; n -= now) {
		now = n < CHUNK ? n : CHUNK;
		for (i = 0; i < now; i++) {
			words[i] = deep->sent++;
			sges[i] = (struct ibv_sge) {
				.addr = (uintptr_t)&words[i],
				.length = WORD,
			};
			wrs[i].next = i + 1 < now ? &wrs[i + 1] : NULL;
			wrs[i].sg_list = &sges[i];
			wrs[i].num_sge = 1;
			wrs[i].opcode = IBV_WR_SEND;
			wrs[i].send_flags = IBV_SEND_INLINE;
		}
		if (now == n)
			wrs[now - 1].send_flags |= IBV_SEND_SIGNALED;
		post_send(&deep->from, wrs);
	}
}

static void post_recvs(struct deep *deep, unsigned int n)
{
	struct ibv_recv_wr wrs[CHUNK] = {}, *bad;
	struct ibv_sge sges[CHUNK];
	unsigned int i, now;

	for (; n; n -= now) {
		now = n < CHUNK ? n : CHUNK;
		for (i = 0; i < now; i++) {
			wrs[i].wr_id = deep->posted++;
			sges[i] = buf_sge(&deep->words,
					  wrs[i].wr_id % WORDS * WORD, WORD);
			wrs[i].next = i + 1 < now ? &wrs[i + 1] : NULL;
			wrs[i].sg_list = &sges[i];
			wrs[i].num_sge = 1;
		}
		if (deep->srq)
			CHECK_EQ(ibv_post_srq_recv(deep->srq, wrs, &bad), 0);
		else
			CHECK_EQ(ibv_post_recv(deep->to.qp, wrs, &bad), 0);
	}
}

/* @n messages arrive, each in the request whose turn it is */
static void exchange(struct deep *deep, unsigned int n)
{
	const unsigned long long *words = (const void *)deep->words.addr;
	unsigned int i, now;
	struct ibv_wc wc;
	unsigned long long first;

	for (; n; n -= now) {
		now = n < CHUNK ? n : CHUNK;
		first = deep->sent;
		post_sends(deep, now);
		for (i = 0; i < now; i++) {
			wc = wait_ok(deep->to.recv_cq);
			CHECK_EQ(wc.wr_id, deep->received);
			CHECK_EQ(wc.byte_len, WORD);
			CHECK_EQ(words[deep->received++ % WORDS], first + i);
		}
		wait_ok(deep->from.send_cq);
	}
}

/* The receiver is not there yet: all that is posted stays, until the reset. */
static void fill_send_queue(struct deep *deep, unsigned int n)
{
	struct pair_config patient = deep_config;

	patient.timeout = 31;
	end_to_init(&deep->from, &deep_config);
	end_to_rtr(&deep->from, deep->to.qp->qp_num,
		   &deep->hosts[1].gids[0].gid, &deep_config);
	end_to_rts(&deep->from, &patient);
	post_sends(deep, n);
	check_idle(deep->from.send_cq);
	end_to_reset(&deep->from);
}

static void fill_recv_queue(struct deep *deep, unsigned int n)
{
	end_to_init(&deep->to, &deep_config);
	post_recvs(deep, n);
	end_to_reset(&deep->to);
	deep->received = deep->posted;
}

static void deep_queues(void)
{
	struct deep deep;

	deep_up(&deep, false);
	fill_send_queue(&deep, DEPTH);
	connect_deep(&deep);
	post_recvs(&deep, DEPTH);
	exchange(&deep, 2 * WORDS);
	disconnect_deep(&deep);

	/* up to shortly before the rings' ends, twice the depth, and across */
	test_at("across the rings' ends");
	fill_send_queue(&deep, DEPTH - 3 * WORDS);
	fill_recv_queue(&deep, DEPTH - WORDS);
	connect_deep(&deep);
	post_recvs(&deep, 2 * WORDS);
	exchange(&deep, 2 * WORDS);
	deep_down(&deep);
}

static void deep_srq(void)
{
	struct deep deep;

	deep_up(&deep, true);
	connect_deep(&deep);
	post_recvs(&deep, DEPTH);
	exchange(&deep, WORDS);
	/* resize with a million requests queued, which keep their places */
	CHECK_EQ(resize(deep.srq, DEPTH / 2 - 1), EINVAL);
	exchange(&deep, WORDS);
	CHECK_EQ(resize(deep.srq, DEPTH), 0);
	exchange(&deep, WORDS);
	post_recvs(&deep, WORDS);
	exchange(&deep, WORDS);
	deep_down(&deep);
}

/* A request that waits for the peer, and many local ones behind it. */
static void many_local(void)
{
	struct ibv_mw_bind bind = {
		.bind_info = { .mw_access_flags = IBV_ACCESS_REMOTE_READ },
	};
	struct pair_config config = { .depth = 4096 };
	struct buf buf, in;
	struct pair pair;
	struct ibv_mw *mw;
	int i;

	pair_up(&pair, &config);
	buf_get(&buf, &pair.hosts[0], 4096,
		ALL_ACCESS | IBV_ACCESS_MW_BIND);
	buf_get(&in, &pair.hosts[1], 4096, ALL_ACCESS);
	fill_pattern(buf.addr, 100, 1);
	mw = ibv_alloc_mw(pair.hosts[0].pd, IBV_MW_TYPE_1);
	CHECK(mw);
	bind.bind_info.mr = buf.mr;
	bind.bind_info.addr = (uintptr_t)buf.addr;
	bind.bind_info.length = 4096;

	post_one(&pair.a, IBV_WR_SEND, buf_sge(&buf, 0, 100), NULL, 0);
	for (i = 0; i < 4000; i++) {
		bind.wr_id = i;
		bind.send_flags = i % 1000 == 999 ? IBV_SEND_SIGNALED : 0;
		CHECK_EQ(ibv_bind_mw(pair.a.qp, mw, &bind), 0);
	}
	check_idle(pair.a.send_cq);
	post_recv(&pair.b, &in, 0, 100, 1);
	wait_ok(pair.b.recv_cq);
	CHECK_EQ(wait_ok(pair.a.send_cq).opcode, IBV_WC_SEND);
	for (i = 0; i < 4; i++)
		CHECK_EQ(wait_ok(pair.a.send_cq).wr_id, 1000 * i + 999);
	check_pattern(in.addr, 100, 1);
	CHECK_EQ(ibv_dealloc_mw(mw), 0);
	buf_put(&buf);
	buf_put(&in);
	pair_down(&pair);
}

static unsigned long charged(void)
{
	return group_read("memory.current", "");
}

/* the ring that program and driver share: slots, and their size, are powers of two */
static unsigned long recv_ring_size(void)
{
	size_t entry = sizeof(struct rxe_recv_wqe) + sizeof(struct rxe_sge);
	size_t slot = 1;

	while (slot < entry)
		slot *= 2;
	return 2UL * DEPTH * slot;
}

static void charges(void)
{
	unsigned long before, during, size = recv_ring_size();
	struct host host;
	struct ibv_srq *srq;
	struct ibv_qp *qp;

	host_open(&host, 0);
	group_own("queues");
	before = charged();
	qp = new_qp(&host, 1, DEPTH, NULL);
	during = charged();
	printf("# a queue of %lu bytes: charged %lu, then %lu\n", size, before,
	       during);
	CHECK(during - before >= size);
	CHECK(during - before < size + size / 8 + (8 << 20));
	srq = try_srq(&host, DEPTH);
	CHECK(srq);
	CHECK(charged() - before >= 2 * size);

	/* uncharged in the end */
	CHECK_EQ(ibv_destroy_srq(srq), 0);
	destroy_qp(qp);
	UNTIL(charged() <= before + size / 4);
	host_close(&host);
}

static void limited(void)
{
	struct host host;
	struct ibv_srq *srq;
	struct ibv_qp *qp;

	host_open(&host, 0);
	group_own("queues");
	group_write("memory.max", "33554432");
	CHECK(!try_qp(&host, 1, DEPTH, NULL));
	CHECK_EQ(errno, ENOMEM);
	CHECK(!try_qp(&host, DEPTH, 1, NULL));
	CHECK_EQ(errno, ENOMEM);
	CHECK(!try_srq(&host, DEPTH));
	CHECK_EQ(errno, ENOMEM);
	srq = try_srq(&host, 64);
	CHECK(srq);
	CHECK_EQ(resize(srq, DEPTH), ENOMEM);
	CHECK_EQ(group_read("memory.events", "oom_kill "), 0);

	/* queues that fit the limit can still be created */
	qp = new_qp(&host, 1024, 1024, NULL);
	CHECK_EQ(resize(srq, 1024), 0);
	destroy_qp(qp);
	CHECK_EQ(ibv_destroy_srq(srq), 0);
	host_close(&host);
}

static const struct test tests[] = {
	{ "the limits are those that the device announces", limits },
	{ "a million requests in send and receive queues", deep_queues },
	{ "a million requests in a shared receive queue", deep_srq },
	{ "many local requests behind one that waits for the peer",
	  many_local },
	{ "queues are charged to the program", charges },
	{ "queues beyond the memcg limit", limited },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
