// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The packets of sends and writes: IBTA volume 1, 9.4.1 and 9.4.3. */
#include "base/wire.h"
#include "mem/access.h"
#include "obj/qp.h"
#include "obj/send_queue.h"
#include "transport/message.h"
#include "transport/request.h"
#include "transport/run.h"
#include "wait/direction.h"

/**
 * struct rxe_message_run - packets of one message, made in one access to memory
 * @run: how they are made
 * @qp: the sender
 * @wqe: the request
 * @psn: of the packet that is made; those before it, from the send queue's next
 *	 PSN on, are complete and not accounted for
 * @ack_req: that packet asks for an acknowledgment
 * @alike: how many follow that differ from it in PSN and data only
 */
struct rxe_message_run {
	struct rxe_tx_run run;
	struct rxe_qp *qp;
	struct rxe_swqe *wqe;
	u32 psn;
	bool ack_req;
	u32 alike;
};

/* Whether another request follows that will send a packet. */
static bool rxe_more_waiting(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;

	if (sq->next + 1 == sq->fetched && !rxe_sq_fetch(qp))
		return false;
	return !rxe_swqe_is_local(rxe_sq_wqe(sq, sq->next + 1));
}

static bool rxe_wants_ack(struct rxe_qp *qp, const struct rxe_swqe *wqe,
			  u32 psn)
{
	struct rxe_sq *sq = &qp->sq;

	if (!rxe_is_reliable(qp))
		return false;
	if (sq->probing)
		return true;
	if (rxe_psn_diff(psn, sq->ack_psn) >= RXE_ACK_INTERVAL)
		return true;
	return psn == wqe->last_psn &&
	       (sq->signal_all || (wqe->flags & IB_SEND_SIGNALED) ||
		!rxe_more_waiting(qp));
}

static u8 rxe_send_opcode(const struct rxe_swqe *wqe, bool first, bool last)
{
	if (!last)
		return first ? IB_OPCODE_RC_SEND_FIRST :
			       IB_OPCODE_RC_SEND_MIDDLE;

	switch (wqe->opcode) {
	case IB_WR_SEND_WITH_IMM:
		return first ? IB_OPCODE_RC_SEND_ONLY_WITH_IMMEDIATE :
			       IB_OPCODE_RC_SEND_LAST_WITH_IMMEDIATE;
	case IB_WR_SEND_WITH_INV:
		return first ? IB_OPCODE_RC_SEND_ONLY_WITH_INVALIDATE :
			       IB_OPCODE_RC_SEND_LAST_WITH_INVALIDATE;
	default:
		return first ? IB_OPCODE_RC_SEND_ONLY : IB_OPCODE_RC_SEND_LAST;
	}
}

static u8 rxe_write_opcode(const struct rxe_swqe *wqe, bool first, bool last)
{
	bool imm = wqe->opcode == IB_WR_RDMA_WRITE_WITH_IMM;

	if (first && last)
		return imm ? IB_OPCODE_RC_RDMA_WRITE_ONLY_WITH_IMMEDIATE :
			     IB_OPCODE_RC_RDMA_WRITE_ONLY;
	if (last)
		return imm ? IB_OPCODE_RC_RDMA_WRITE_LAST_WITH_IMMEDIATE :
			     IB_OPCODE_RC_RDMA_WRITE_LAST;
	return first ? IB_OPCODE_RC_RDMA_WRITE_FIRST :
		       IB_OPCODE_RC_RDMA_WRITE_MIDDLE;
}

static void rxe_message_set_headers(struct rxe_message_run *m,
				    struct rxe_bth *bth, bool first, bool last)
{
	const struct rxe_opcode *op = &rxe_opcodes[bth->opcode];
	const struct rxe_swqe *wqe = m->wqe;
	void *at = bth + 1;
	struct rxe_reth *reth;

	if (m->ack_req)
		bth->apsn |= cpu_to_be32(RXE_BTH_ACK_REQ);
	if (last && (wqe->flags & IB_SEND_SOLICITED) &&
	    wqe->opcode != IB_WR_RDMA_WRITE)
		bth->flags |= RXE_BTH_SE;

	if (first && (op->flags & RXE_OP_WRITE)) {
		reth = at;
		reth->va = cpu_to_be64(wqe->remote_addr);
		reth->rkey = cpu_to_be32(wqe->rkey);
		reth->len = cpu_to_be32(wqe->length);
		at += sizeof(*reth);
	}
	if (op->flags & RXE_OP_IMM)
		((struct rxe_immdt *)at)->imm = wqe->imm;
	if (op->flags & RXE_OP_INV)
		((struct rxe_ieth *)at)->rkey = cpu_to_be32(wqe->rkey);
}

/* Packets like this middle one, until one asks for an acknowledgment. */
static u32 rxe_message_alike(const struct rxe_message_run *m)
{
	u32 left = rxe_psn_diff(m->wqe->last_psn, m->psn) - 1;
	u32 since_ack = rxe_psn_diff(m->psn, m->qp->sq.ack_psn);

	if (!rxe_is_reliable(m->qp))
		return left;
	return min(left, RXE_ACK_INTERVAL - 1 - since_ack);
}

static bool rxe_message_begin(struct rxe_message_run *m)
{
	const struct rxe_swqe *wqe = m->wqe;
	struct rxe_qp *qp = m->qp;
	struct rxe_sq *sq = &qp->sq;
	u32 offset = rxe_psn_diff(m->psn, wqe->first_psn) * qp->mtu;
	bool first = m->psn == wqe->first_psn;
	bool last = m->psn == wqe->last_psn;
	bool write = wqe->opcode == IB_WR_RDMA_WRITE ||
		     wqe->opcode == IB_WR_RDMA_WRITE_WITH_IMM;
	struct rxe_bth *bth;
	u8 opcode;

	opcode = write ? rxe_write_opcode(wqe, first, last) :
			 rxe_send_opcode(wqe, first, last);
	m->run.left = min(wqe->length - offset, qp->mtu);
	bth = rxe_tx_begin(&sq->tx, &qp->path, opcode | qp->service, m->psn,
			   m->run.left);
	if (!bth)
		return false;

	m->ack_req = rxe_wants_ack(qp, wqe, m->psn);
	m->alike = first || last || m->ack_req ? 0 : rxe_message_alike(m);
	rxe_message_set_headers(m, bth, first, last);
	rxe_tx_headers_done(&sq->tx);
	return true;
}

static void rxe_message_end(struct rxe_message_run *m)
{
	rxe_tx_commit(m->run.tx);
	if (m->ack_req)
		m->qp->sq.ack_psn = m->psn;
	m->psn = rxe_psn_add(m->psn, 1);
}

static bool rxe_message_next(struct rxe_tx_run *run)
{
	struct rxe_message_run *m =
		container_of(run, struct rxe_message_run, run);
	u32 psn = rxe_psn_add(m->psn, 1);

	if (m->alike && rxe_tx_begin_alike(run->tx, psn)) {
		m->alike--;
		m->psn = psn;
		run->left = m->qp->mtu;
		return true;
	}

	rxe_message_end(m);
	return rxe_message_begin(m);
}

/*
 * How many packets to make, the one that was begun included. Retransmit singly:
 * the path may be losing GSO aggregates.
 */
static u32 rxe_message_packets(const struct rxe_qp *qp,
			       const struct rxe_swqe *wqe, u32 budget)
{
	const struct rxe_sq *sq = &qp->sq;
	u32 packets = rxe_psn_diff(wqe->last_psn, sq->psn) + 1;
	u32 window = RXE_WINDOW - rxe_psn_diff(sq->psn, sq->una_psn);

	if (sq->probing || sq->retries != qp->attr.retry_cnt)
		return 1;
	packets = min3(packets, window, rxe_tx_packets_left(&sq->tx));
	packets = min(packets, min(budget, RXE_TX_RUN) / qp->mtu);
	return max(packets, 1U);
}

/**
 * struct rxe_message_turn - what may be sent of a message now
 * @wqe: the request
 * @budget: bytes at most; a single packet may exceed it
 */
struct rxe_message_turn {
	struct rxe_swqe *wqe;
	u32 budget;
};

/* Send the next packet; on @try as many as can leave together. */
static int rxe_message_send(struct rxe_qp *qp, void *arg, bool try)
{
	const struct rxe_message_turn *turn = arg;
	struct rxe_swqe *wqe = turn->wqe;
	u32 offset = rxe_psn_diff(qp->sq.psn, wqe->first_psn) * qp->mtu;
	struct rxe_access access = rxe_requester_access(qp, 0);
	struct rxe_message_run m = {
		.run.tx = &qp->sq.tx,
		.run.next = rxe_message_next,
		.qp = qp,
		.wqe = wqe,
		.psn = qp->sq.psn,
	};
	u32 len, packets;
	int err;

	if (!rxe_message_begin(&m))
		return -ENOMEM;

	access.ahead = wqe->length - offset;
	if (try)
		access.dir = NULL;
	packets = rxe_message_packets(qp, wqe, try ? turn->budget : 0);
	len = min(wqe->length - offset, packets * qp->mtu);
	if (wqe->flags & IB_SEND_INLINE)
		err = rxe_tx_run_copy(wqe->inline_data + offset, len, &m.run);
	else
		err = rxe_sgl_access(&access, wqe->sge, wqe->num_sge, offset,
				     len, rxe_tx_run_copy, &m.run);
	if (err)
		rxe_tx_cancel(m.run.tx);
	else
		rxe_message_end(&m);

	packets = rxe_psn_diff(m.psn, qp->sq.psn);
	if (packets)
		rxe_requester_sent(qp, wqe, packets);
	return err;
}

/**
 * rxe_request_message - send packets of a send or a write
 * @qp: the sender; its window is open
 * @wqe: the request, numbered
 * @budget: bytes at most; a single packet may exceed it
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: as rxe_mr_access(), or -ENOMEM. Packets that were sent before an error
 * are accounted for.
 */
int rxe_request_message(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 budget)
{
	struct rxe_message_turn turn = { .wqe = wqe, .budget = budget };

	lockdep_assert_held(&qp->sq.lock);
	return rxe_try_then_park(rxe_message_send, qp, &turn);
}
