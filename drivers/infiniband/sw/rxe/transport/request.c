// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Accounting for the packets of all kinds of requests. */
#include "obj/send_queue.h"
#include "transport/request.h"

/* No acknowledgment will come: a request is complete once it is sent. */
static void rxe_sent_unreliably(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;

	sq->una_psn = sq->psn;
	sq->progress = jiffies;
	if (sq->next != sq->done)
		rxe_sq_complete(qp, IB_WC_SUCCESS);
}

/**
 * rxe_requester_sent - account for packets that were made and committed
 * @qp: the sender
 * @wqe: the request that they are part of; may be complete after this
 * @psns: that they take, from the send queue's next one on
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_requester_sent(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 psns)
{
	struct rxe_sq *sq = &qp->sq;
	u32 last = rxe_psn_add(sq->psn, psns - 1);

	lockdep_assert_held(&qp->sq.lock);
	if (sq->sent_psn == sq->una_psn)
		rxe_sq_note_progress(sq);
	else if (sq->psn == sq->una_psn)
		sq->progress = jiffies;
	sq->psn = rxe_psn_add(last, 1);
	if (rxe_psn_diff(sq->psn, sq->sent_psn) > 0)
		sq->sent_psn = sq->psn;
	if (last == wqe->last_psn)
		sq->next++;

	if (rxe_is_reliable(qp))
		rxe_sq_arm_timer(qp);
	/*
	 * Retransmit singly: the path may be losing GSO aggregates. Send
	 * datagrams now: after the completion the user may destroy the address
	 * handle, which has the path.
	 */
	if (sq->retries != qp->attr.retry_cnt || rxe_is_datagram(qp))
		rxe_tx_flush(&sq->tx);
	if (!rxe_is_reliable(qp))
		rxe_sent_unreliably(qp);
}

/**
 * rxe_requester_send - send the packet that was made, and account for it
 * @qp: the sender
 * @wqe: the request that it is part of; may be complete after this
 * @psns: that it takes, from the send queue's next one on
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_requester_send(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 psns)
{
	rxe_tx_commit(&qp->sq.tx);
	rxe_requester_sent(qp, wqe, psns);
}

/**
 * rxe_requester_expect - account for a packet that is going to be answered
 * @qp: the sender, after rxe_may_ask()
 * @bth: the packet, with all its headers, which are complete after this
 * @psns: that it takes: one for each packet of the answer
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_requester_expect(struct rxe_qp *qp, struct rxe_bth *bth, u32 psns)
{
	struct rxe_sq *sq = &qp->sq;

	lockdep_assert_held(&qp->sq.lock);
	sq->rd_outstanding++;
	sq->ack_psn = rxe_psn_add(sq->psn, psns - 1);
	bth->apsn |= cpu_to_be32(RXE_BTH_ACK_REQ);
	rxe_tx_headers_done(&sq->tx);
}

/**
 * rxe_requester_ask - send a packet without data that is going to be answered
 * @qp: the sender, after rxe_may_ask()
 * @wqe: the request that it is part of
 * @bth: the packet, with all its headers
 * @psns: that it takes: one for each packet of the answer
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_requester_ask(struct rxe_qp *qp, struct rxe_swqe *wqe,
		       struct rxe_bth *bth, u32 psns)
{
	rxe_requester_expect(qp, bth, psns);
	rxe_requester_send(qp, wqe, psns);
}
