// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Receive queues that several queue pairs share: messages take requests in the
 * order of posting, and a queue pair that fails leaves the rest to the others.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pair.h"

#define PEERS	3
#define SLOT	8192

/**
 * struct shared - connections whose receiving ends share one queue
 * @hosts: the sending one, and the receiving one
 * @pd: the queue's, which is not that of the queue pairs
 * @srq: the queue
 * @from: ends that send
 * @to: ends that receive
 * @out: memory of the senders
 * @in: memory of the receivers, a slot for each request
 */
struct shared {
	struct host hosts[2];
	struct ibv_pd *pd;
	struct ibv_srq *srq;
	struct end from[PEERS];
	struct end to[PEERS];
	struct buf out;
	struct buf in;
};

static struct ibv_srq *create_srq(struct ibv_pd *pd, unsigned int max_wr,
				  unsigned int max_sge)
{
	struct ibv_srq_init_attr attr = {
		.attr = { .max_wr = max_wr, .max_sge = max_sge },
	};
	struct ibv_srq *srq = ibv_create_srq(pd, &attr);

	if (srq) {
		CHECK(attr.attr.max_wr >= max_wr);
		CHECK(attr.attr.max_sge >= max_sge);
	}
	return srq;
}

static void connect_one(struct shared *shared, int i, enum ibv_qp_type type)
{
	struct pair_config config = { .type = type };
	struct end *from = &shared->from[i], *to = &shared->to[i];

	end_create(from, &shared->hosts[0], &config);
	config.srq = shared->srq;
	end_create(to, &shared->hosts[1], &config);
	end_to_init(from, &config);
	end_to_init(to, &config);
	end_to_rtr(from, to->qp->qp_num, &shared->hosts[1].gids[0].gid, &config);
	end_to_rtr(to, from->qp->qp_num, &shared->hosts[0].gids[0].gid, &config);
	end_to_rts(from, &config);
	end_to_rts(to, &config);
}

static void shared_up(struct shared *shared, enum ibv_qp_type type, int access,
		      unsigned int max_wr)
{
	struct host in_pd;
	int i;

	host_open(&shared->hosts[0], 0);
	host_open(&shared->hosts[1], 1);
	shared->pd = ibv_alloc_pd(shared->hosts[1].ctx);
	CHECK(shared->pd);
	shared->srq = create_srq(shared->pd, max_wr, 2);
	CHECK(shared->srq);
	for (i = 0; i < PEERS; i++)
		connect_one(shared, i, type);
	buf_get(&shared->out, &shared->hosts[0], PEERS * SLOT, access);
	in_pd = shared->hosts[1];
	in_pd.pd = shared->pd;
	buf_get(&shared->in, &in_pd, 64 * SLOT, access);
}

static void shared_down(struct shared *shared)
{
	int i;

	for (i = 0; i < PEERS; i++) {
		end_destroy(&shared->from[i]);
		end_destroy(&shared->to[i]);
	}
	buf_put(&shared->out);
	buf_put(&shared->in);
	CHECK_EQ(ibv_destroy_srq(shared->srq), 0);
	CHECK_EQ(ibv_dealloc_pd(shared->pd), 0);
	host_close(&shared->hosts[0]);
	host_close(&shared->hosts[1]);
}

static int try_post(struct shared *shared, unsigned int slot)
{
	struct ibv_sge sges[2] = {
		buf_sge(&shared->in, slot * SLOT, 100),
		buf_sge(&shared->in, slot * SLOT + 100, SLOT - 100),
	};
	struct ibv_recv_wr wr = {
		.wr_id = slot,
		.sg_list = sges,
		.num_sge = 2,
	}, *bad;

	return ibv_post_srq_recv(shared->srq, &wr, &bad);
}

static void post(struct shared *shared, unsigned int slot)
{
	CHECK_EQ(try_post(shared, slot), 0);
}

/* send a message from one of the peers, and check the slot whose turn it is */
static void move(struct shared *shared, int peer, unsigned int slot,
		 size_t len, unsigned int seed)
{
	struct ibv_wc wc;

	test_at("peer %d, slot %u, %zu bytes", peer, slot, len);
	fill_pattern(shared->out.addr + peer * SLOT, len, seed);
	do_one(&shared->from[peer], IBV_WR_SEND,
	       buf_sge(&shared->out, peer * SLOT, len), NULL, 0);
	wc = wait_ok(shared->to[peer].recv_cq);
	CHECK_EQ(wc.wr_id, slot);
	CHECK_EQ(wc.byte_len, len);
	CHECK_EQ(wc.qp_num, shared->to[peer].qp->qp_num);
	check_pattern(shared->in.addr + slot * SLOT, len, seed);
	check_bytes(shared->in.addr + slot * SLOT + len, SLOT - len, 0);
	memset(shared->in.addr + slot * SLOT, 0, len);
}

static void data_of(enum ibv_qp_type type, int access)
{
	struct shared shared;
	unsigned int i;

	shared_up(&shared, type, access, 16);
	for (i = 0; i < 8; i++)
		post(&shared, i);
	for (i = 0; i < 200; i++) {
		buf_drop(&shared.in);
		buf_drop(&shared.out);
		move(&shared, i % PEERS, i % 8, i * 41 % SLOT, i);
		post(&shared, i % 8);
	}
	for (i = 0; i < PEERS; i++)
		check_idle(shared.to[i].recv_cq);
	shared_down(&shared);
}

static void data(void)
{
	data_of(IBV_QPT_RC, ALL_ACCESS);
	data_of(IBV_QPT_RC, ODP_ACCESS);
	data_of(IBV_QPT_UC, ODP_ACCESS);
}

/* an empty queue is no error: the sender waits */
static void empty(void)
{
	unsigned long long rnr = counter_sum("send_rnr_err");
	struct shared shared;

	shared_up(&shared, IBV_QPT_RC, ODP_ACCESS, 16);
	fill_pattern(shared.out.addr, SLOT, 1);
	post_one(&shared.from[0], IBV_WR_SEND, buf_sge(&shared.out, 0, SLOT),
		 NULL, 0);
	while (counter_sum("send_rnr_err") < rnr + 3)
		sleep_ms(1);
	check_idle(shared.from[0].send_cq);
	post(&shared, 5);
	CHECK_EQ(wait_ok(shared.to[0].recv_cq).wr_id, 5);
	wait_ok(shared.from[0].send_cq);
	check_pattern(shared.in.addr + 5 * SLOT, SLOT, 1);
	shared_down(&shared);
}

static int modify(struct shared *shared, int mask, unsigned int max_wr,
		  unsigned int limit)
{
	struct ibv_srq_attr attr = { .max_wr = max_wr, .srq_limit = limit };

	return ibv_modify_srq(shared->srq, &attr, mask);
}

static struct ibv_srq_attr query(struct shared *shared)
{
	struct ibv_srq_attr attr;

	CHECK_EQ(ibv_query_srq(shared->srq, &attr), 0);
	return attr;
}

static void limits(void)
{
	struct shared shared;
	unsigned int i;

	shared_up(&shared, IBV_QPT_RC, ALL_ACCESS, 16);
	for (i = 0; i < 6; i++)
		post(&shared, i);
	CHECK_EQ(modify(&shared, IBV_SRQ_LIMIT, 0, 5), 0);
	CHECK_EQ(query(&shared).srq_limit, 5);
	move(&shared, 0, 0, 10, 1);
	no_async_event(&shared.hosts[1]);
	/* four are left: the event is raised once */
	move(&shared, 1, 1, 10, 1);
	expect_async_event(&shared.hosts[1], IBV_EVENT_SRQ_LIMIT_REACHED);
	CHECK_EQ(query(&shared).srq_limit, 0);
	move(&shared, 2, 2, 10, 1);
	no_async_event(&shared.hosts[1]);
	CHECK_EQ(modify(&shared, IBV_SRQ_LIMIT, 0, 3), 0);
	move(&shared, 2, 3, 10, 1);
	expect_async_event(&shared.hosts[1], IBV_EVENT_SRQ_LIMIT_REACHED);
	CHECK_EQ(modify(&shared, IBV_SRQ_LIMIT, 0, 10000), EINVAL);
	shared_down(&shared);
}

/* Requests in the queue keep their turn when it is resized. */
static void sizes(void)
{
	static const unsigned int sizes[] = { 60, 8, 40, 7, 100 };
	unsigned int next = 0, last = 0, i, n;
	struct shared shared;

	shared_up(&shared, IBV_QPT_RC, ODP_ACCESS, 10);
	for (i = 0; i < NUM(sizes); i++) {
		for (; last - next < 7; last++)
			post(&shared, last % 64);
		CHECK_EQ(modify(&shared, IBV_SRQ_MAX_WR, sizes[i], 0), 0);
		CHECK(query(&shared).max_wr >= sizes[i]);
		for (n = 0; n < 5; n++, next++)
			move(&shared, n % PEERS, next % 64, 500, next);
	}
	for (; last - next < 7; last++)
		post(&shared, last % 64);
	CHECK_EQ(modify(&shared, IBV_SRQ_MAX_WR, 3, 0), EINVAL);
	CHECK_EQ(modify(&shared, IBV_SRQ_MAX_WR, 1 << 24, 0), EINVAL);
	for (; next != last; next++)
		move(&shared, 0, next % 64, 500, next);

	/* the queue holds as many as it says, and no more */
	n = query(&shared).max_wr;
	for (i = 0; i < n; i++)
		post(&shared, i % 64);
	CHECK_EQ(try_post(&shared, 0), ENOMEM);
	shared_down(&shared);
}

/* One queue pair fails; the requests left are for the others. */
static void one_fails(void)
{
	struct shared shared;
	int i;

	shared_up(&shared, IBV_QPT_RC, ALL_ACCESS, 16);
	for (i = 0; i < 4; i++)
		post(&shared, i);
	end_to_error(&shared.to[0]);
	expect_async_event(&shared.hosts[1], IBV_EVENT_QP_LAST_WQE_REACHED);
	check_idle(shared.to[0].recv_cq);
	for (i = 0; i < 4; i++)
		move(&shared, 1 + i % 2, i, 700, i);

	/* the middle of a message is not the end of its request */
	for (i = 0; i < 3; i++)
		post(&shared, i);
	post_one(&shared.from[1], IBV_WR_SEND, buf_sge(&shared.out, 0, SLOT + 1),
		 NULL, 0);
	wait_status(shared.to[1].recv_cq, IBV_WC_LOC_LEN_ERR);
	wait_status(shared.from[1].send_cq, IBV_WC_REM_INV_REQ_ERR);
	expect_async_event(&shared.hosts[1], IBV_EVENT_QP_REQ_ERR);
	expect_async_event(&shared.hosts[1], IBV_EVENT_QP_LAST_WQE_REACHED);
	memset(shared.in.addr, 0, SLOT);
	move(&shared, 2, 1, 700, 9);
	move(&shared, 2, 2, 700, 9);
	shared_down(&shared);
}

static void refused(void)
{
	struct host host;

	host_open(&host, 0);
	CHECK(!create_srq(host.pd, 1 << 24, 1));
	CHECK_EQ(errno, EINVAL);
	CHECK(!create_srq(host.pd, 16, 1000));
	CHECK_EQ(errno, EINVAL);
	host_close(&host);
}

static const struct test tests[] = {
	{ "messages of several peers into an SRQ", data },
	{ "an empty SRQ", empty },
	{ "the SRQ limit event", limits },
	{ "an SRQ is resized while requests wait", sizes },
	{ "one queue pair of an SRQ fails", one_fails },
	{ "SRQ sizes that are refused", refused },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
