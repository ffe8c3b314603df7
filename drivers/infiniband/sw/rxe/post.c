// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Posting of work requests. A program fills its ring and rings the doorbell:
 * its call sends what can be sent. Kernel users post in any context, under
 * locks that disable interrupts and that their completion handlers may take:
 * the queue's work sends what they post.
 */
#include "base/work.h"
#include "egress/ah.h"
#include "mem/mr.h"
#include "obj/flush.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/rwqe.h"
#include "obj/send_queue.h"
#include "transport/requester.h"
#include "post.h"

static int rxe_doorbell(struct rxe_qp *qp)
{
	bool flush = false;
	int err = 0;

	spin_lock_bh(&qp->sq.lock);
	switch (qp->state) {
	case IB_QPS_RTS:
	case IB_QPS_SQD:
		if (!rxe_requester_should_batch(qp))
			rxe_requester_begin(qp);
		break;
	case IB_QPS_SQE:
	case IB_QPS_ERR:
		flush = true;
		break;
	default:
		rxe_sq_reset(qp);
		err = -EINVAL;
	}
	spin_unlock_bh(&qp->sq.lock);

	/* a program flushes its failed QP in its own time */
	if (flush)
		rxe_flush_sends(qp);
	return err;
}

/* Set the operands of the opcode: all but the data. */
static void rxe_swqe_set_target(struct rxe_swqe *wqe,
				const struct ib_send_wr *wr, bool datagram)
{
	switch (wr->opcode) {
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		wqe->remote_addr = atomic_wr(wr)->remote_addr;
		wqe->rkey = atomic_wr(wr)->rkey;
		wqe->compare_add = atomic_wr(wr)->compare_add;
		wqe->swap = atomic_wr(wr)->swap;
		break;
	case IB_WR_RDMA_READ:
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
		wqe->remote_addr = rdma_wr(wr)->remote_addr;
		wqe->rkey = rdma_wr(wr)->rkey;
		break;
	case IB_WR_LOCAL_INV:
	case IB_WR_SEND_WITH_INV:
		wqe->rkey = wr->ex.invalidate_rkey;
		break;
	case IB_WR_REG_MR:
		wqe->reg.mr = to_rmr(reg_wr(wr)->mr);
		wqe->reg.key = reg_wr(wr)->key;
		wqe->reg.access = reg_wr(wr)->access;
		break;
	default:
		if (datagram) {
			wqe->ud.ah = to_rah(ud_wr(wr)->ah);
			wqe->ud.qpn = ud_wr(wr)->remote_qpn;
			wqe->ud.qkey = ud_wr(wr)->remote_qkey;
		}
	}
}

static bool rxe_swqe_set_inline(const struct rxe_qp *qp, struct rxe_swqe *wqe,
				const struct ib_send_wr *wr)
{
	const struct ib_sge *sge;
	int i;

	for (i = 0; i < wr->num_sge; i++) {
		sge = &wr->sg_list[i];
		if (sge->length > qp->cap.max_inline_data - wqe->length)
			return false;
		memcpy(wqe->inline_data + wqe->length,
		       (void *)(uintptr_t)sge->addr, sge->length);
		wqe->length += sge->length;
	}
	return true;
}

static bool rxe_swqe_set_data(const struct rxe_qp *qp, struct rxe_swqe *wqe,
			      const struct ib_send_wr *wr)
{
	u64 length = 0;
	int i;

	wqe->num_sge = 0;
	wqe->length = 0;
	if (rxe_swqe_is_local(wqe))
		return true;
	if (wr->num_sge > qp->cap.max_send_sge)
		return false;
	if (wqe->flags & IB_SEND_INLINE)
		return rxe_swqe_set_inline(qp, wqe, wr);

	wqe->num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++) {
		wqe->sge[i].addr = wr->sg_list[i].addr;
		wqe->sge[i].length = wr->sg_list[i].length;
		wqe->sge[i].lkey = wr->sg_list[i].lkey;
		length += wr->sg_list[i].length;
	}
	wqe->length = min_t(u64, length, U32_MAX);
	return !rxe_swqe_is_atomic(wqe) || length == sizeof(u64);
}

static int rxe_post_one(struct rxe_qp *qp, const struct ib_send_wr *wr)
{
	struct rxe_sq *sq = &qp->sq;
	struct rxe_swqe *wqe;
	bool data_ok;

	/* pairs with rxe_sq_give_back(): the place is ours to fill */
	if (sq->posted - smp_load_acquire(&sq->done) >= sq->mask)
		return -ENOMEM;

	wqe = rxe_sq_wqe(sq, sq->posted);
	wqe->wr_id = wr->wr_id;
	wqe->opcode = wr->opcode;
	wqe->flags = wr->send_flags;
	wqe->imm = wr->ex.imm_data;
	wqe->numbered = false;
	wqe->executed = false;
	wqe->error = 0;
	rxe_swqe_set_target(wqe, wr, rxe_is_datagram(qp));
	data_ok = rxe_swqe_set_data(qp, wqe, wr);
	if (rxe_swqe_check(qp, wqe, data_ok) != IB_WC_SUCCESS)
		return -EINVAL;

	/* pairs with rxe_sq_filled(): a reader of the index sees the request */
	smp_store_release(&sq->posted, sq->posted + 1);
	return 0;
}

static int rxe_post_list(struct rxe_qp *qp, const struct ib_send_wr *wr,
			 const struct ib_send_wr **bad_wr)
{
	struct rxe_sq *sq = &qp->sq;
	unsigned long irq;
	int err = 0;

	spin_lock_irqsave(&sq->post_lock, irq);
	for (; wr && !err; wr = wr->next) {
		err = rxe_post_one(qp, wr);
		if (err)
			*bad_wr = wr;
	}
	spin_unlock_irqrestore(&sq->post_lock, irq);

	return err;
}

static bool rxe_state_flushes(enum ib_qp_state state)
{
	return state == IB_QPS_SQE || state == IB_QPS_ERR;
}

/**
 * rxe_post_send - ib_device_ops.post_send
 * @ibqp: the QP
 * @wr: of a kernel user; NULL: a program's requests are in its ring
 * @bad_wr: set to the first request that was not taken
 *
 * Context: any; process for a program's QP.
 * Return: 0; -EINVAL: a request is wrong, or the QP's state allows none, and
 * those in a program's ring are dropped (IBTA 10.8.2: an immediate error);
 * -ENOMEM: the queue is full.
 */
int rxe_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr,
		  const struct ib_send_wr **bad_wr)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	int err;

	if (!wr && !rxe_is_kernel(qp))
		return rxe_doorbell(qp);
	if (!rxe_is_kernel(qp) || READ_ONCE(qp->state) < IB_QPS_RTS) {
		*bad_wr = wr;
		return -EINVAL;
	}

	err = rxe_post_list(qp, wr, bad_wr);
	/* either we see the error state, or its flush sees what was posted */
	smp_mb();
	if (rxe_state_flushes(READ_ONCE(qp->state)))
		rxe_flush_again(qp);
	else
		queue_delayed_work(rxe_wq, &qp->sq.requester.work, 0);
	return err;
}

/**
 * rxe_post_recv - ib_device_ops.post_recv
 * @ibqp: a QP of the kernel's; a program has a ring for that
 * @wr: the requests
 * @bad_wr: set to the first that was not taken
 *
 * Context: any.
 * Return: 0; -EINVAL: this QP or its state takes none, or a request is wrong;
 * -ENOMEM: the queue is full.
 */
int rxe_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr,
		  const struct ib_recv_wr **bad_wr)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	int err;

	if (!rxe_is_kernel(qp) || !qp->rq.ring ||
	    READ_ONCE(qp->state) == IB_QPS_RESET) {
		*bad_wr = wr;
		return -EINVAL;
	}

	err = rxe_rwqe_post(qp->rq.ring, qp->cap.max_recv_sge, wr, bad_wr);
	/* as in rxe_post_send() */
	smp_mb();
	if (READ_ONCE(qp->state) == IB_QPS_ERR)
		rxe_flush_again(qp);
	return err;
}
