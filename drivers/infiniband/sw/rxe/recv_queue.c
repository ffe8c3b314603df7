// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/slab.h>

#include "cq.h"
#include "qp.h"
#include "recv_queue.h"
#include "ring.h"

/**
 * rxe_rq_create - make a QP's receive queue
 * @qp: the QP; its capabilities are set to what is granted
 * @init: what the program asks for, within the device's limits
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_rq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init)
{
	u32 max_sge = max_t(u32, init->cap.max_recv_sge, 1);
	struct rxe_rq *rq = &qp->rq;

	rq->ring = rxe_ring_create(init->cap.max_recv_wr,
				   struct_size((struct rxe_recv_wqe *)NULL,
					       dma.sge, max_sge));
	if (!rq->ring)
		return -ENOMEM;

	rq->wqe = kzalloc(struct_size(rq->wqe, sge, max_sge),
			  GFP_KERNEL_ACCOUNT);
	if (!rq->wqe) {
		rxe_ring_destroy(rq->ring);
		return -ENOMEM;
	}

	qp->cap.max_recv_wr = rq->ring->mask;
	qp->cap.max_recv_sge = init->cap.max_recv_sge;
	spin_lock_init(&rq->lock);
	skb_queue_head_init(&rq->pending);
	return 0;
}

/**
 * rxe_rq_destroy - the counterpart of rxe_rq_create()
 * @qp: the QP; no packet or work reaches it any more
 *
 * Context: may sleep.
 */
void rxe_rq_destroy(struct rxe_qp *qp)
{
	skb_queue_purge(&qp->rq.pending);
	kfree(qp->rq.resources);
	kfree(qp->rq.wqe);
	rxe_ring_destroy(qp->rq.ring);
}

static void rxe_rq_abandon(struct rxe_rq *rq)
{
	rq->read.active = false;
	rq->parked = false;
	rq->pending_len = 0;
	__skb_queue_purge(&rq->pending);
}

/**
 * rxe_rq_reset - forget all requests: the QP enters the reset state
 * @qp: the QP
 *
 * Context: the receive queue's lock is held.
 */
void rxe_rq_reset(struct rxe_qp *qp)
{
	struct rxe_rq *rq = &qp->rq;

	rxe_rq_abandon(rq);
	rq->head += rxe_ring_filled(rq->ring, rq->head);
	rxe_ring_consume(rq->ring, rq->head);
	rq->wqe_busy = false;
	rq->message = RXE_MESSAGE_NONE;
	rq->nak_sent = false;
	rq->msn = 0;
	if (rq->num_resources)
		memset(rq->resources, 0,
		       rq->num_resources * sizeof(*rq->resources));
}

/**
 * rxe_rq_fetch - take the next request out of the program's ring
 * @qp: the QP; none is being filled
 *
 * Each byte of the slot is copied once; the copy is what is checked and used.
 *
 * Context: the receive queue's lock is held.
 * Return: false: the program has posted none.
 */
bool rxe_rq_fetch(struct rxe_qp *qp)
{
	const struct rxe_recv_wqe *slot;
	struct rxe_rq *rq = &qp->rq;
	struct rxe_rwqe *wqe = rq->wqe;
	u32 i;

	if (!rxe_ring_filled(rq->ring, rq->head))
		return false;

	slot = rxe_ring_slot(rq->ring, rq->head);
	wqe->wr_id = READ_ONCE(slot->wr_id);
	wqe->num_sge = min(READ_ONCE(slot->dma.num_sge), qp->cap.max_recv_sge);
	memcpy(wqe->sge, slot->dma.sge, wqe->num_sge * sizeof(*wqe->sge));
	/* the lengths summed are those that will be used: not the program's */
	barrier_data(wqe->sge);

	wqe->length = 0;
	for (i = 0; i < wqe->num_sge; i++)
		wqe->length += wqe->sge[i].length;

	rxe_ring_consume(rq->ring, ++rq->head);
	rq->wqe_busy = true;
	return true;
}

/**
 * rxe_rq_complete - complete the request that is being filled
 * @qp: the QP
 * @wc: all but its wr_id and qp_num
 * @solicited: the sender asked for an event
 *
 * Context: the receive queue's lock is held.
 */
void rxe_rq_complete(struct rxe_qp *qp, struct ib_uverbs_wc *wc,
		     bool solicited)
{
	wc->wr_id = qp->rq.wqe->wr_id;
	wc->qp_num = qp->ibqp.qp_num;
	wc->port_num = 1;
	qp->rq.wqe_busy = false;
	if (!rxe_cq_post(to_rcq(qp->ibqp.recv_cq), wc, solicited))
		rxe_qp_fail(qp, IB_EVENT_QP_FATAL);
}

/**
 * rxe_rq_flush - complete requests with an error: the QP failed
 * @qp: the QP
 * @budget: requests at most; a program can post as fast as we complete
 *
 * Context: the receive queue's lock is held.
 * Return: whether any was completed.
 */
bool rxe_rq_flush(struct rxe_qp *qp, int budget)
{
	struct rxe_rq *rq = &qp->rq;
	bool flushed = false;

	rxe_rq_abandon(rq);
	while (budget-- && (rq->wqe_busy || rxe_rq_fetch(qp))) {
		struct ib_uverbs_wc wc = { .status = IB_WC_WR_FLUSH_ERR };

		rxe_rq_complete(qp, &wc, false);
		flushed = true;
	}
	return flushed;
}
