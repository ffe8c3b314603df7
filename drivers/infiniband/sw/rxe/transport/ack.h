/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Acknowledgments and NAKs of the responder. */
#ifndef RXE_ACK_H
#define RXE_ACK_H

#include <linux/types.h>

#include "base/wire.h"
#include "obj/qp.h"

__be32 rxe_aeth_smsn(const struct rxe_qp *qp, u8 syndrome);
void rxe_send_aeth(struct rxe_qp *qp, u8 opcode, u8 syndrome, u32 psn);

void rxe_defer_ack(struct rxe_rq *rq, u32 psn);
void rxe_acknowledge_progress(struct rxe_rq *rq);

void rxe_send_ack(struct rxe_qp *qp, u8 syndrome, u32 psn);
void rxe_send_nak(struct rxe_qp *qp, u8 syndrome, u32 psn);
void rxe_send_rnr_nak(struct rxe_qp *qp, u8 timer, u32 psn);

void rxe_responder_flush(struct rxe_qp *qp);
void rxe_responder_fail(struct rxe_qp *qp, u8 syndrome, u32 psn);

/**
 * rxe_has_redo - check whether repeated requests wait to be answered again
 * @rq: the receive queue
 *
 * Context: the receive queue's lock is held.
 * Return: true if some do.
 */
static inline bool rxe_has_redo(const struct rxe_rq *rq)
{
	lockdep_assert_held(&rq->lock);
	return rq->redo_psn != rq->redo_end;
}

/**
 * rxe_owes_answer - check whether a request that was taken is not answered yet
 * @rq: the receive queue
 *
 * An acknowledgment of all executed requests would be ahead of that answer.
 *
 * Context: the receive queue's lock is held.
 * Return: true if one is not.
 */
static inline bool rxe_owes_answer(const struct rxe_rq *rq)
{
	lockdep_assert_held(&rq->lock);
	return rq->read.active || rxe_has_redo(rq);
}

/**
 * rxe_note_ack_due - have rxe_responder_flush() send an acknowledgment
 * @rq: the receive queue
 * @psn: the last PSN acknowledged
 *
 * One does for all packets that are processed together.
 *
 * Context: the receive queue's lock is held.
 */
static inline void rxe_note_ack_due(struct rxe_rq *rq, u32 psn)
{
	lockdep_assert_held(&rq->lock);
	rq->ack_due = true;
	rq->ack_psn = psn;
}

/**
 * rxe_send_due_ack - send the acknowledgment that is due, if one is
 * @qp: the responder
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
static inline void rxe_send_due_ack(struct rxe_qp *qp)
{
	lockdep_assert_held(&qp->rq.lock);
	if (qp->rq.ack_due)
		rxe_send_ack(qp, RXE_SYN_ACK_UNLIMITED, qp->rq.ack_psn);
}

#endif
