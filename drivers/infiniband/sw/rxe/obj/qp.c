// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Queue pairs: their numbers, and the error states. */
#include "base/trace.h"
#include "obj/flush.h"
#include "obj/qp.h"

struct rxe_handle_table rxe_qps;

/**
 * rxe_qp_enter_error - enter the error state, and have all requests flushed
 * @qp: the QP
 *
 * Context: the lock of either queue is held.
 * Return: the state before: of two queues that fail at once, one finds IB_QPS_ERR.
 */
enum ib_qp_state rxe_qp_enter_error(struct rxe_qp *qp)
{
	enum ib_qp_state old;

	rxe_qp_assert_held(qp);
	old = xchg(&qp->state, IB_QPS_ERR);
	rxe_flush_begin(qp);
	return old;
}

/**
 * rxe_qp_fail - enter the error state, after something has gone wrong
 * @qp: the QP
 * @event: the asynchronous event that tells the program why, or -1
 *
 * Context: the lock of either queue is held.
 */
void rxe_qp_fail(struct rxe_qp *qp, int event)
{
	struct ib_event ib_event = {
		.device = qp->ibqp.device,
		.event = event,
		.element.qp = &qp->ibqp,
	};
	enum ib_qp_state old;

	rxe_qp_assert_held(qp);
	if (READ_ONCE(qp->state) == IB_QPS_ERR)
		return;

	old = rxe_qp_enter_error(qp);
	if (old == IB_QPS_ERR)
		return;
	trace_rxe_state(rxe_qp_dev(qp), qp->ibqp.qp_num, old, IB_QPS_ERR,
			RXE_BY_ERROR);
	if (event >= 0 && qp->ibqp.event_handler)
		qp->ibqp.event_handler(&ib_event, qp->ibqp.qp_context);
}

/**
 * rxe_qp_fail_sq - fail the send queue, after a request has failed
 * @qp: the QP
 *
 * IBTA 10.3.1.6: a reliable connection is broken by it; of other services the
 * receive queue goes on.
 *
 * Context: the send queue's lock is held.
 */
void rxe_qp_fail_sq(struct rxe_qp *qp)
{
	enum ib_qp_state old;

	lockdep_assert_held(&qp->sq.lock);
	if (rxe_is_reliable(qp)) {
		rxe_qp_fail(qp, -1);
		return;
	}

	/* the receive queue may enter IB_QPS_ERR at the same time, and wins */
	old = cmpxchg(&qp->state, IB_QPS_RTS, IB_QPS_SQE);
	if (old == IB_QPS_SQD)
		old = cmpxchg(&qp->state, IB_QPS_SQD, IB_QPS_SQE);
	if (old == IB_QPS_RTS || old == IB_QPS_SQD)
		trace_rxe_state(rxe_qp_dev(qp), qp->ibqp.qp_num, old,
				IB_QPS_SQE, RXE_BY_ERROR);
	rxe_flush_begin(qp);
}

/**
 * rxe_qp_set_handle - give a QP its number
 * @qp: the QP
 * @handle: which is published after this
 *
 * Context: may sleep.
 */
void rxe_qp_set_handle(struct rxe_qp *qp, struct rxe_handle *handle)
{
	qp->handle = handle;
	qp->ibqp.qp_num = handle->number;
	rxe_anchor_attach(qp->anchor, handle);
}
