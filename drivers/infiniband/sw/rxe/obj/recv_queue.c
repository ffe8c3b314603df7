// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/slab.h>

#include "base/rule.h"
#include "obj/cq.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/ring.h"
#include "obj/rwqe.h"
#include "obj/srq.h"

/**
 * rxe_rq_create - make a QP's receive queue
 * @qp: the QP; its capabilities are set to what is granted
 * @init: what the program asks for, within the device's limits
 * @udata: the program's; NULL: the user is in the kernel
 * @mi: filled with what the program passes to mmap(), where there is a ring
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_rq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init,
		  struct ib_udata *udata, struct mminfo *mi)
{
	u32 max_sge = init->srq ? to_rsrq(init->srq)->max_sge :
				  init->cap.max_recv_sge;
	struct rxe_rq *rq = &qp->rq;
	struct rxe_ring *ring;

	rq->wqe = kzalloc(struct_size(rq->wqe, sge, max_t(u32, max_sge, 1)),
			  GFP_KERNEL_ACCOUNT);
	if (!rq->wqe)
		return -ENOMEM;

	if (!init->srq) {
		ring = rxe_ring_create(init->cap.max_recv_wr,
				       rxe_rwqe_slot_size(max_sge), udata, mi);
		if (IS_ERR(ring)) {
			kfree(rq->wqe);
			return PTR_ERR(ring);
		}
		ring->lock = &rq->lock;
		rq->ring = ring;
		qp->cap.max_recv_wr = ring->mask;
		qp->cap.max_recv_sge = max_sge;
	}

	spin_lock_init(&rq->lock);
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
	rxe_direction_destroy(&qp->rq.responder);
	kfree(qp->rq.resources);
	kfree(qp->rq.wqe);
	rxe_ring_destroy(qp->rq.ring);
}

static void rxe_rq_abandon(struct rxe_qp *qp)
{
	qp->rq.read.active = false;
	qp->rq.redo_psn = qp->rq.redo_end;
	qp->rq.ack_deferred = false;
	rxe_abandon(&qp->rq.responder);
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

	lockdep_assert_held(&qp->rq.lock);
	rxe_rq_abandon(qp);
	if (rq->ring) {
		rq->head += rxe_ring_filled(rq->ring, rq->head);
		rxe_ring_consume(rq->ring, rq->head);
	}
	rq->last_wqe_told = false;
	rq->wqe_busy = false;
	rq->message = RXE_MESSAGE_NONE;
	rq->nak_sent = false;
	rq->repeats = 0;
	rq->msn = 0;
	/* the way to RTR brings others */
	rq->num_resources = 0;
}

/**
 * rxe_rq_fetch - get a request to fill: the one under way, or the next
 * @qp: the QP
 *
 * Context: the receive queue's lock is held.
 * Return: false: the program has posted none.
 */
bool rxe_rq_fetch(struct rxe_qp *qp)
{
	struct rxe_rq *rq = &qp->rq;

	lockdep_assert_held(&qp->rq.lock);
	if (rq->wqe_busy)
		return true;

	if (qp->ibqp.srq)
		rq->wqe_busy = rxe_srq_fetch(to_rsrq(qp->ibqp.srq), rq->wqe);
	else
		rq->wqe_busy = rxe_rwqe_take(rq->wqe, rq->ring, &rq->head,
					     qp->cap.max_recv_sge);
	return rq->wqe_busy;
}

/**
 * rxe_rq_complete - complete the request that is being filled
 * @qp: the QP
 * @wc: all but its wr_id and qp_num
 * @solicited: the sender asked for an event
 *
 * Context: the receive queue's lock is held.
 */
void rxe_rq_complete(struct rxe_qp *qp, struct ib_wc *wc,
		     bool solicited)
{
	lockdep_assert_held(&qp->rq.lock);
	wc->wr_id = qp->rq.wqe->wr_id;
	wc->qp = &qp->ibqp;
	wc->port_num = 1;
	qp->rq.wqe_busy = false;
	if (!rxe_cq_post(to_rcq(qp->ibqp.recv_cq), wc, solicited))
		rxe_qp_fail(qp, IB_EVENT_QP_FATAL);
}

/* IBTA 11.6.3.1: the program waits for this event to destroy the QP. */
static void rxe_rq_tell_last_wqe(struct rxe_qp *qp)
{
	struct ib_event event = {
		.device = qp->ibqp.device,
		.event = IB_EVENT_QP_LAST_WQE_REACHED,
		.element.qp = &qp->ibqp,
	};

	qp->rq.last_wqe_told = true;
	if (qp->ibqp.event_handler)
		qp->ibqp.event_handler(&event, qp->ibqp.qp_context);
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

	lockdep_assert_held(&qp->rq.lock);
	rxe_rq_abandon(qp);
	/* requests of a shared queue are left to the other QPs */
	while (budget-- &&
	       (rq->wqe_busy || (!qp->ibqp.srq && rxe_rq_fetch(qp)))) {
		struct ib_wc wc = { .status = IB_WC_WR_FLUSH_ERR };

		rxe_rq_complete(qp, &wc, false);
		flushed = true;
	}
	if (qp->ibqp.srq && !rq->last_wqe_told && !rxe_broken(last_wqe))
		rxe_rq_tell_last_wqe(qp);
	return flushed;
}
