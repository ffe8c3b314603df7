// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Two queue pairs of the kernel's, on two devices, connected. */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <rdma/ib_cache.h>

#include "fast_reg.h"

#define PAIR_PORT	1
/* a request that takes longer counts as hung */
#define PAIR_PATIENCE	(60 * HZ)

static void end_close(struct end *end)
{
	if (!IS_ERR_OR_NULL(end->qp))
		ib_destroy_qp(end->qp);
	if (!IS_ERR_OR_NULL(end->cq))
		ib_free_cq(end->cq);
	if (!IS_ERR_OR_NULL(end->pd))
		ib_dealloc_pd(end->pd);
	end->qp = NULL;
	end->cq = NULL;
	end->pd = NULL;
}

static int end_open(struct end *end)
{
	struct ib_qp_init_attr init = {
		.cap = {
			.max_send_wr = 4,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
		.sq_sig_type = IB_SIGNAL_ALL_WR,
		.qp_type = IB_QPT_RC,
	};

	end->pd = ib_alloc_pd(end->dev, 0);
	if (IS_ERR(end->pd))
		return PTR_ERR(end->pd);

	end->cq = ib_alloc_cq(end->dev, NULL, 16, 0, IB_POLL_DIRECT);
	if (IS_ERR(end->cq))
		return PTR_ERR(end->cq);

	init.send_cq = end->cq;
	init.recv_cq = end->cq;
	end->qp = ib_create_qp(end->pd, &init);
	return PTR_ERR_OR_ZERO(end->qp);
}

static int end_modify(struct end *end, struct ib_qp_attr *attr, int mask)
{
	return ib_modify_qp(end->qp, attr, mask | IB_QP_STATE);
}

static int end_reset(struct end *end)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RESET };
	struct ib_wc wc;
	int err;

	err = end_modify(end, &attr, 0);
	while (ib_poll_cq(end->cq, 1, &wc) > 0)
		;
	return err;
}

static int end_init(struct end *end)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT,
		.port_num = PAIR_PORT,
		.qp_access_flags = IB_ACCESS_REMOTE_READ |
				   IB_ACCESS_REMOTE_WRITE,
	};

	return end_modify(end, &attr, IB_QP_PKEY_INDEX | IB_QP_PORT |
				      IB_QP_ACCESS_FLAGS);
}

static int end_rtr(struct end *end, const struct end *other)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTR,
		.path_mtu = IB_MTU_1024,
		.dest_qp_num = other->qp->qp_num,
		.max_dest_rd_atomic = 4,
		.min_rnr_timer = 1,
	};
	union ib_gid gid;
	int err;

	err = rdma_query_gid(other->dev, PAIR_PORT, other->gid_index, &gid);
	if (err)
		return err;

	attr.ah_attr.type = rdma_ah_find_type(end->dev, PAIR_PORT);
	rdma_ah_set_port_num(&attr.ah_attr, PAIR_PORT);
	rdma_ah_set_grh(&attr.ah_attr, &gid, 0, end->gid_index, 64, 0);
	return end_modify(end, &attr, IB_QP_AV | IB_QP_PATH_MTU |
				      IB_QP_DEST_QPN | IB_QP_RQ_PSN |
				      IB_QP_MAX_DEST_RD_ATOMIC |
				      IB_QP_MIN_RNR_TIMER);
}

static int end_rts(struct end *end)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTS,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 4,
	};

	return end_modify(end, &attr, IB_QP_TIMEOUT | IB_QP_RETRY_CNT |
				      IB_QP_RNR_RETRY | IB_QP_SQ_PSN |
				      IB_QP_MAX_QP_RD_ATOMIC);
}

/**
 * pair_connect - connect the queue pairs, or do it again after an error
 * @pair: open
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int pair_connect(struct pair *pair)
{
	struct end *target = &pair->target, *peer = &pair->peer;
	int err;

	err = end_reset(target) ?: end_reset(peer);
	err = err ?: end_init(target) ?: end_init(peer);
	err = err ?: end_rtr(target, peer) ?: end_rtr(peer, target);
	return err ?: end_rts(target) ?: end_rts(peer);
}

/**
 * pair_close - destroy what pair_open() has made
 * @pair: also one that it has failed to make
 *
 * Context: may sleep.
 */
void pair_close(struct pair *pair)
{
	if (pair->bytes)
		ib_dma_unmap_single(pair->peer.dev, pair->addr, PEER_BYTES,
				    DMA_BIDIRECTIONAL);
	kfree(pair->bytes);
	pair->bytes = NULL;
	end_close(&pair->peer);
	end_close(&pair->target);
}

/**
 * pair_open - make two queue pairs, and connect them
 * @pair: with both devices
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; pair_close() is to follow in any case.
 */
int pair_open(struct pair *pair)
{
	int err;

	err = end_open(&pair->target) ?: end_open(&pair->peer);
	if (err)
		return err;

	pair->bytes = kmalloc(PEER_BYTES, GFP_KERNEL);
	if (!pair->bytes)
		return -ENOMEM;
	pair->addr = ib_dma_map_single(pair->peer.dev, pair->bytes, PEER_BYTES,
				       DMA_BIDIRECTIONAL);
	return pair_connect(pair);
}

/**
 * end_do - post a request, and wait for its completion
 * @end: to whose send queue
 * @wr: the request
 *
 * Context: may sleep.
 * Return: enum ib_wc_status, or a negative errno: it was not taken, or does not
 * complete.
 */
int end_do(struct end *end, const struct ib_send_wr *wr)
{
	unsigned long until = jiffies + PAIR_PATIENCE;
	struct ib_wc wc;
	int err;

	err = ib_post_send(end->qp, wr, NULL);
	if (err)
		return err;

	while (!ib_poll_cq(end->cq, 1, &wc)) {
		if (time_after(jiffies, until))
			return -ETIMEDOUT;
		usleep_range(20, 50);
	}
	return wc.status;
}

/**
 * pair_access - have the peer access memory of the target's
 * @pair: connected
 * @opcode: IB_WR_RDMA_WRITE or IB_WR_RDMA_READ
 * @mr: the region
 * @addr: where, as the region calls it
 * @len: bytes of @pair->bytes
 *
 * Context: may sleep.
 * Return: as end_do().
 */
int pair_access(struct pair *pair, enum ib_wr_opcode opcode,
		const struct ib_mr *mr, u64 addr, u32 len)
{
	struct ib_sge sge = {
		.addr = pair->addr,
		.length = len,
		.lkey = pair->peer.pd->local_dma_lkey,
	};
	struct ib_rdma_wr wr = {
		.wr = {
			.opcode = opcode,
			.sg_list = &sge,
			.num_sge = 1,
		},
		.remote_addr = addr,
		.rkey = mr->rkey,
	};

	return end_do(&pair->peer, &wr.wr);
}
