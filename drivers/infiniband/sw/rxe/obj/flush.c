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
/*
 * Time from one pass of the work to the next, when all has been flushed that was
 * posted before the failure: a program can make a ring look full at any time, and
 * so has no more than the budget flushed at once.
 */
#define RXE_FLUSH_DELAY_MIN	msecs_to_jiffies(10)
#define RXE_FLUSH_DELAY_MAX	msecs_to_jiffies(1000)

static bool rxe_flush_pass_sends(struct rxe_qp *qp)
{
	bool flushed = false;

	spin_lock_bh(&qp->sq.lock);
	if ((qp->state == IB_QPS_ERR || qp->state == IB_QPS_SQE) &&
	    !rxe_broken(flush))
		flushed = rxe_sq_flush(qp, RXE_FLUSH_BUDGET);
	spin_unlock_bh(&qp->sq.lock);

	return flushed;
}

static bool rxe_flush_pass_receives(struct rxe_qp *qp)
{
	bool flushed = false;

	spin_lock_bh(&qp->rq.lock);
	if (qp->state == IB_QPS_ERR && !rxe_broken(flush))
		flushed = rxe_rq_flush(qp, RXE_FLUSH_BUDGET);
	spin_unlock_bh(&qp->rq.lock);

	return flushed;
}

static unsigned long rxe_flush_delay(const struct rxe_qp *qp, bool flushed)
{
	if (!flushed)
		return clamp(2 * qp->flush_delay, RXE_FLUSH_DELAY_MIN,
			     RXE_FLUSH_DELAY_MAX);
	if (rxe_is_kernel(qp) || atomic_read(&qp->flush_passes) > 0)
		return 0;
	return rxe_broken(flush_rate) ? 0 : RXE_FLUSH_DELAY_MIN;
}

/*
 * A program posts receives without a system call: in the error state this work
 * polls the rings, so that those are flushed too.
 */
static void rxe_flush_work(struct work_struct *work)
{
	struct rxe_qp *qp = container_of(to_delayed_work(work), struct rxe_qp,
					 flush);
	bool sends = rxe_flush_pass_sends(qp);
	bool flushed = rxe_flush_pass_receives(qp) || sends;

	if (flushed)
		atomic_dec(&qp->flush_passes);
	/* in SQE each post has a doorbell: nothing comes that has to be polled for */
	if (READ_ONCE(qp->state) != IB_QPS_ERR && !sends)
		return;

	qp->flush_delay = rxe_flush_delay(qp, flushed);
	queue_delayed_work(rxe_flush_wq, &qp->flush, qp->flush_delay);
}

/**
 * rxe_flush_again - have the work flush requests that were posted just now
 * @qp: the QP, which has failed
 *
 * Context: any.
 */
void rxe_flush_again(struct rxe_qp *qp)
{
	mod_delayed_work(rxe_flush_wq, &qp->flush, 0);
}

/**
 * rxe_flush_begin - have the work flush the requests of a QP that fails
 * @qp: the QP, which has entered the ERR or SQE state
 *
 * Context: the lock of either queue is held.
 */
void rxe_flush_begin(struct rxe_qp *qp)
{
	rxe_qp_assert_held(qp);
	/* as many as both queues can hold, one pass for each that is short */
	atomic_set(&qp->flush_passes,
		   (qp->cap.max_send_wr + qp->cap.max_recv_wr) /
			   RXE_FLUSH_BUDGET + 2);
	rxe_flush_again(qp);
}

static void rxe_flush_all(struct rxe_qp *qp, u32 left,
			  bool (*pass)(struct rxe_qp *qp))
{
	while (pass(qp) && left) {
		left -= min_t(u32, left, RXE_FLUSH_BUDGET);
		cond_resched();
	}
}

/**
 * rxe_flush_sends - complete send requests of a QP that has failed
 * @qp: the QP; if it is not in the ERR or SQE state nothing is done
 *
 * All that was posted before this call completes with an error, in batches,
 * each under one hold of the lock: in the context of who has posted.
 *
 * Context: may sleep.
 */
void rxe_flush_sends(struct rxe_qp *qp)
{
	rxe_flush_all(qp, qp->cap.max_send_wr, rxe_flush_pass_sends);
}

/**
 * rxe_flush_receives - the same for receive requests
 * @qp: the QP; if it is not in the ERR state nothing is done
 *
 * Context: may sleep.
 */
void rxe_flush_receives(struct rxe_qp *qp)
{
	rxe_flush_all(qp, qp->cap.max_recv_wr, rxe_flush_pass_receives);
}

/**
 * rxe_flush_init - get ready to flush a QP's requests
 * @qp: the QP
 *
 * Context: any.
 */
void rxe_flush_init(struct rxe_qp *qp)
{
	INIT_DELAYED_WORK(&qp->flush, rxe_flush_work);
}
