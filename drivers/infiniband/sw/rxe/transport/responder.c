// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The responder: IBTA volume 1, 9.7.4. */
#include "base/pkt.h"
#include "base/rule.h"
#include "base/wire.h"
#include "mem/access.h"
#include "mem/mw.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/rwqe.h"
#include "transport/ack.h"
#include "transport/placement.h"
#include "transport/read_response.h"
#include "transport/responder.h"
#include "transport/response.h"
#include "transport/uc.h"
#include "transport/ud.h"

static int rxe_respond(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	if (!rxe_request_valid(qp, pkt))
		return RXE_SYN_NAK_INV_REQ;
	if (pkt->op->flags & RXE_OP_SEND)
		return rxe_respond_send(qp, pkt);
	if (pkt->op->flags & RXE_OP_WRITE)
		return rxe_respond_write(qp, pkt);
	if (pkt->op->flags & RXE_OP_READ)
		return rxe_respond_read(qp, pkt);
	if (pkt->op->flags & RXE_OP_FLUSH)
		return rxe_respond_flush(qp, pkt);
	if (pkt->op->flags & RXE_OP_ATOMIC_WRITE)
		return rxe_respond_atomic_write(qp, pkt);
	return rxe_respond_atomic(qp, pkt);
}

/**
 * rxe_responder_repeat - answer a request again
 * @qp: the responder
 * @pkt: the request, which was executed before
 *
 * IBTA 9.7.5.1.5: it is acknowledged or answered, and not executed; only a read
 * reads memory anew.
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_repeat(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	lockdep_assert_held(&qp->rq.lock);
	rxe_count(rxe_qp_dev(qp), RXE_STAT_DUP_REQUEST);
	if (pkt->op->flags & RXE_OP_READ)
		rxe_repeat_read(qp, pkt);
	else if (pkt->op->flags & RXE_OP_ATOMIC)
		rxe_repeat_atomic(qp, pkt);
	else if (pkt->op->flags & (RXE_OP_FLUSH | RXE_OP_ATOMIC_WRITE))
		rxe_repeat_placement(qp, pkt);
	else if (pkt->ack_req || (pkt->op->flags & RXE_OP_END))
		rxe_note_ack_due(&qp->rq, rxe_psn_add(qp->rq.epsn, -1));
}

/**
 * rxe_note_nak - tell that a request gets a NAK, and has to come again
 * @rq: the receive queue
 *
 * Requests that wait behind it are dropped when their turn comes.
 *
 * Context: the receive queue's lock is held.
 */
void rxe_note_nak(struct rxe_rq *rq)
{
	lockdep_assert_held(&rq->lock);
	rq->nak_sent = true;
	rq->pending_psn = rq->epsn;
}

static void rxe_out_of_sequence(struct rxe_qp *qp, u32 psn)
{
	rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_OUT_OF_SEQ_REQUEST,
		       qp->ibqp.qp_num, psn, 1);
	if (qp->rq.nak_sent)
		return;

	rxe_note_nak(&qp->rq);
	rxe_send_nak(qp, RXE_SYN_NAK_PSN_SEQ, qp->rq.epsn);
}

static bool rxe_responder_live(const struct rxe_qp *qp)
{
	return qp->state == IB_QPS_RTR || qp->state == IB_QPS_RTS ||
	       qp->state == IB_QPS_SQD || qp->state == IB_QPS_SQE;
}

/* Copy packets of a message, none of them its first or last. */
static int rxe_store_run(struct rxe_qp *qp, const struct rxe_pkt *pkt, u32 len)
{
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	struct rxe_access access = rxe_receive_access(qp);
	struct rxe_rq *rq = &qp->rq;

	/* a fault or an error is left to the packet that it is in */
	if (pkt->op->flags & RXE_OP_SEND) {
		access.dir = NULL;
		return rxe_sgl_access(&access, rq->wqe->sge, rq->wqe->num_sge,
				      rq->offset, len, rxe_copy_payload,
				      &payload);
	}

	access = rxe_responder_access(qp, IB_ACCESS_REMOTE_WRITE);
	access.dir = NULL;
	access.key = rq->write_rkey;
	access.iova = rq->write_va + rq->offset;
	access.len = len;
	return rxe_mr_access(&access, rxe_copy_payload, &payload);
}

/**
 * rxe_responder_take_run - take packets of one message with one access to memory
 * @qp: the responder
 * @pkt: the first, which is the next of its batch
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: true: they are done with; false: nothing has changed, and @pkt is to be
 * processed by itself.
 */
bool rxe_responder_take_run(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	u64 rest;
	u32 n;

	lockdep_assert_held(&qp->rq.lock);
	if ((pkt->op->flags & (RXE_OP_START | RXE_OP_END)) ||
	    !(pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE)) ||
	    !rxe_responder_live(qp) || pkt->psn != rq->epsn ||
	    !rxe_request_valid(qp, pkt))
		return false;

	rest = pkt->op->flags & RXE_OP_SEND ? rq->wqe->length : rq->write_len;
	rest -= rq->offset;
	n = rxe_pkts_alike(pkt);
	/* something is left for the last packet */
	if (n < 2 || n * pkt->payload_len >= rest ||
	    rxe_store_run(qp, pkt, n * pkt->payload_len))
		return false;

	rq->nak_sent = false;
	rq->offset += n * pkt->payload_len;
	rxe_rq_advance(rq, n);
	rxe_pkts_done(pkt, n);
	return true;
}

static int rxe_rc_process(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	int err, diff;

	/* responses come in the order of their requests: IBTA 9.7.5.1 */
	if (!(pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE)))
		rxe_send_due_ack(qp);

	diff = rxe_psn_diff(pkt->psn, rq->epsn);
	if (diff > 0 && !rxe_broken(psn_ahead)) {
		rxe_out_of_sequence(qp, pkt->psn);
		return 0;
	}
	if (diff < 0 && !rxe_broken(psn_behind)) {
		rxe_responder_repeat(qp, pkt);
		return 0;
	}

	rq->nak_sent = false;
	rxe_raise_comm_established(qp);
	if (rxe_broken(ack_after_data) && pkt->ack_req)
		rxe_send_ack(qp, RXE_SYN_ACK_UNLIMITED, pkt->psn);

	err = rxe_respond(qp, pkt);
	switch (err) {
	case 0:
		if (pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE))
			rxe_responder_advance(qp, pkt);
		return 0;
	case -EAGAIN:
		return err;
	case RXE_SYN_RNR_NAK:
		rxe_note_nak(rq);
		rxe_send_rnr_nak(qp, qp->attr.min_rnr_timer, pkt->psn);
		return 0;
	default:
		rxe_count(rxe_qp_dev(qp), RXE_STAT_REFUSED_REQUEST);
		rxe_responder_fail(qp, err, pkt->psn);
		return 0;
	}
}

/**
 * rxe_responder_process - execute a request
 * @qp: the responder
 * @pkt: the packet
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0; -EAGAIN: the packet has to wait for memory.
 */
int rxe_responder_process(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	lockdep_assert_held(&qp->rq.lock);
	if (!rxe_responder_live(qp)) {
		rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_RCVD_NOT_READY,
			       qp->ibqp.qp_num, pkt->psn, 1);
		return 0;
	}

	switch (qp->service) {
	case IB_OPCODE_UC:
		return rxe_uc_process(qp, pkt);
	case IB_OPCODE_UD:
		return rxe_ud_process(qp, pkt);
	default:
		return rxe_rc_process(qp, pkt);
	}
}
