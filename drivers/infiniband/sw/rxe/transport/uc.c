// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The responder of the unreliable connection service: IBTA volume 1, 9.8.2. */
#include "base/pkt.h"
#include "base/rule.h"
#include "base/wire.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "transport/response.h"
#include "transport/uc.h"

/* Drops the rest of the message, too: without a beginning it is not valid. */
static void rxe_uc_drop(struct rxe_qp *qp, const struct rxe_pkt *pkt,
			enum rxe_stat why)
{
	rxe_count_drop(rxe_qp_dev(qp), why, qp->ibqp.qp_num, pkt->psn, 1);
	qp->rq.message = RXE_MESSAGE_NONE;
}

/**
 * rxe_uc_process - take a packet of an unreliable connection
 * @qp: the receiver
 * @pkt: the packet
 *
 * A packet that cannot be taken is dropped, with the message that it is part
 * of. A receive request that was being filled serves the next message.
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0; -EAGAIN: the packet has to wait for memory.
 */
int rxe_uc_process(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	enum rxe_stat why = RXE_STAT_RCVD_DROPS;
	int err;

	lockdep_assert_held(&qp->rq.lock);
	/* a first packet begins anew, whatever was lost before it */
	if (pkt->op->flags & RXE_OP_START)
		rq->message = RXE_MESSAGE_NONE;
	else if (pkt->psn != rq->epsn && !rxe_broken(uc_loss))
		goto drop;
	if (!rxe_request_valid(qp, pkt))
		goto drop;

	rxe_raise_comm_established(qp);
	err = pkt->op->flags & RXE_OP_SEND ? rxe_respond_send(qp, pkt) :
					     rxe_respond_write(qp, pkt);
	switch (err) {
	case 0:
		rxe_responder_advance(qp, pkt);
		return 0;
	case -EAGAIN:
		return err;
	case RXE_SYN_RNR_NAK:
		why = RXE_STAT_OUT_OF_BUFFER;
		break;
	case RXE_SYN_NAK_REM_OP:
		/* the receive request is at fault, and has completed so */
		if (pkt->op->flags & RXE_OP_SEND)
			rxe_qp_fail(qp, -1);
		break;
	}
drop:
	rxe_uc_drop(qp, pkt, why);
	return 0;
}
