// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Acknowledgments, and refusals: IBTA volume 1, 9.7.5. */
#include "base/trace.h"
#include "mem/access.h"
#include "transport/ack.h"

/**
 * rxe_aeth_smsn - put an AETH together
 * @qp: the responder
 * @syndrome: ACK or NAK
 *
 * Context: the receive queue's lock is held.
 * Return: the AETH's only word.
 */
__be32 rxe_aeth_smsn(const struct rxe_qp *qp, u8 syndrome)
{
	lockdep_assert_held(&qp->rq.lock);
	return cpu_to_be32((u32)syndrome << 24 | qp->rq.msn);
}

/**
 * rxe_send_aeth - send a response that is an AETH and nothing more
 * @qp: the responder
 * @opcode: of the response
 * @syndrome: ACK or NAK
 * @psn: of the response
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_send_aeth(struct rxe_qp *qp, u8 opcode, u8 syndrome, u32 psn)
{
	struct rxe_tx *tx = &qp->rq.tx;
	struct rxe_aeth *aeth;
	struct rxe_bth *bth;

	lockdep_assert_held(&qp->rq.lock);
	bth = rxe_tx_begin(tx, &qp->path, opcode, psn, 0);
	/* no memory: as if the network had lost it, the requester asks again */
	if (!bth)
		return;

	aeth = (struct rxe_aeth *)(bth + 1);
	aeth->smsn = rxe_aeth_smsn(qp, syndrome);
	rxe_tx_headers_done(tx);
	rxe_tx_commit(tx);
}

/**
 * rxe_defer_ack - send an acknowledgment once all before it is answered
 * @rq: the receive queue
 * @psn: of the request; the last of several counts
 *
 * The requester has repeated a request that waits, and now asks for an
 * acknowledgment; or it has repeated an earlier one that is answered first.
 *
 * Context: the receive queue's lock is held.
 */
void rxe_defer_ack(struct rxe_rq *rq, u32 psn)
{
	lockdep_assert_held(&rq->lock);
	if (!rq->ack_deferred || rxe_psn_diff(psn, rq->deferred_psn) > 0)
		rq->deferred_psn = psn;
	rq->ack_deferred = true;
}

/* Make the deferred acknowledgment due, once all before it is answered. */
static void rxe_note_deferred_ack(struct rxe_rq *rq)
{
	if (!rq->ack_deferred || rxe_owes_answer(rq) ||
	    rxe_psn_diff(rq->deferred_psn, rq->epsn) >= 0)
		return;

	rq->ack_deferred = false;
	rxe_note_ack_due(rq, rxe_psn_add(rq->epsn, -1));
}

/**
 * rxe_acknowledge_progress - acknowledge all executed requests, unasked
 * @rq: the receive queue
 *
 * Nothing is sent if an earlier request has yet to be answered.
 *
 * Context: the receive queue's lock is held; rxe_responder_flush() sends it.
 */
void rxe_acknowledge_progress(struct rxe_rq *rq)
{
	lockdep_assert_held(&rq->lock);
	if (!rxe_owes_answer(rq))
		rxe_note_ack_due(rq, rxe_psn_add(rq->epsn, -1));
}

/**
 * rxe_send_ack - acknowledge, or refuse
 * @qp: the responder
 * @syndrome: ACK or NAK
 * @psn: the last PSN acknowledged, or the one refused
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_send_ack(struct rxe_qp *qp, u8 syndrome, u32 psn)
{
	lockdep_assert_held(&qp->rq.lock);
	/* this one says all that the one due would */
	qp->rq.ack_due = false;
	/* the peer takes none ahead of a missing answer: defer another */
	if (syndrome == RXE_SYN_ACK_UNLIMITED && rxe_has_redo(&qp->rq))
		rxe_defer_ack(&qp->rq, psn);
	rxe_send_aeth(qp, IB_OPCODE_RC_ACKNOWLEDGE, syndrome, psn);
}

/**
 * rxe_send_nak - refuse a request, or have those that are missing repeated
 * @qp: the responder
 * @syndrome: of the NAK
 * @psn: of the request that is refused, or of the first that is missing
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_send_nak(struct rxe_qp *qp, u8 syndrome, u32 psn)
{
	trace_rxe_nak_sent(rxe_qp_dev(qp), qp->ibqp.qp_num, syndrome, psn);
	rxe_send_ack(qp, syndrome, psn);
}

/**
 * rxe_send_rnr_nak - have the requester wait
 * @qp: the responder
 * @timer: for how long, as coded
 * @psn: of the request that it then repeats
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_send_rnr_nak(struct rxe_qp *qp, u8 timer, u32 psn)
{
	rxe_count(rxe_qp_dev(qp), RXE_STAT_SENT_RNR);
	trace_rxe_rnr_nak_sent(rxe_qp_dev(qp), qp->ibqp.qp_num, timer, psn);
	rxe_send_ack(qp, RXE_SYN_RNR_NAK | timer, psn);
}

/**
 * rxe_responder_flush - end a run: send what has gathered
 * @qp: the responder
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_flush(struct rxe_qp *qp)
{
	lockdep_assert_held(&qp->rq.lock);
	rxe_note_deferred_ack(&qp->rq);
	rxe_send_due_ack(qp);
	rxe_key_release(&qp->rq.hold);
	rxe_tx_flush(&qp->rq.tx);
}

/**
 * rxe_responder_fail - refuse a request for good
 * @qp: the responder; it enters the error state
 * @syndrome: why
 * @psn: of the request
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_fail(struct rxe_qp *qp, u8 syndrome, u32 psn)
{
	lockdep_assert_held(&qp->rq.lock);
	rxe_send_nak(qp, syndrome, psn);
	rxe_qp_fail(qp, syndrome == RXE_SYN_NAK_REM_ACCESS ?
			IB_EVENT_QP_ACCESS_ERR : IB_EVENT_QP_REQ_ERR);
}
