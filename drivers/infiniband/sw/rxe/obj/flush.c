// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Requests of a queue pair that has failed complete with an error. */
#include "base/rule.h"
#include "base/work.h"
#include "obj/flush.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/send_queue.h"

/* requests flushed under one hold of a queue's lock */
#define RXE_FLUSH_BUDGET	256
#define RXE_FLUSH_DELAY_MIN	msecs_to_jiffies(10)
#define RXE_FLUSH_DELAY_MAX	msecs_to_jiffies(1000)

/*
 * A program posts receives without a system call: in the error state this work
 * polls the rings, so that those are flushed too.
 */
static void rxe_qp_flush(struct work_struct *work)
{
	struct rxe_qp *qp = container_of(to_delayed_work(work), struct rxe_qp,
					 flush);
	bool flushed = false;

	if (rxe_broken(flush))
		return;

	spin_lock_bh(&qp->sq.lock);
	if (qp->state == IB_QPS_ERR || qp->state == IB_QPS_SQE)
		flushed |= rxe_sq_flush(qp, RXE_FLUSH_BUDGET);
	spin_unlock_bh(&qp->sq.lock);

	spin_lock_bh(&qp->rq.lock);
	if (qp->state == IB_QPS_ERR)
		flushed |= rxe_rq_flush(qp, RXE_FLUSH_BUDGET);
	spin_unlock_bh(&qp->rq.lock);

	if (READ_ONCE(qp->state) != IB_QPS_ERR)
		return;

	if (flushed)
		qp->flush_delay = 0;
	else
		qp->flush_delay = clamp(2 * qp->flush_delay,
					RXE_FLUSH_DELAY_MIN,
					RXE_FLUSH_DELAY_MAX);
	queue_delayed_work(rxe_wq, &qp->flush, qp->flush_delay);
}

/**
 * rxe_qp_flush_sqe - complete what was posted behind a request that failed
 * @qp: the QP, which is about to leave the SQE state; in others nothing is done
 *
 * All that was posted before this call completes with an error, in batches,
 * each under one hold of the lock.
 *
 * Context: may sleep.
 */
void rxe_qp_flush_sqe(struct rxe_qp *qp)
{
	u32 left = qp->cap.max_send_wr;
	bool flushed;

	do {
		spin_lock_bh(&qp->sq.lock);
		flushed = qp->state == IB_QPS_SQE &&
			  rxe_sq_flush(qp, RXE_FLUSH_BUDGET);
		spin_unlock_bh(&qp->sq.lock);
		cond_resched();
		left -= min_t(u32, left, RXE_FLUSH_BUDGET);
	} while (flushed && left);
}

/**
 * rxe_flush_init - get ready to flush a QP's requests
 * @qp: the QP
 *
 * Context: any.
 */
void rxe_flush_init(struct rxe_qp *qp)
{
	INIT_DELAYED_WORK(&qp->flush, rxe_qp_flush);
}
