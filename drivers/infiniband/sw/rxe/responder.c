// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The responder: IBTA volume 1, 9.7.4, and what other services share with it. */
#include "access.h"
#include "anchor.h"
#include "compat.h"
#include "cq.h"
#include "direction.h"
#include "mw.h"
#include "pkt.h"
#include "placement.h"
#include "qp.h"
#include "read_response.h"
#include "recv_queue.h"
#include "responder.h"
#include "rwqe.h"
#include "uc.h"
#include "ud.h"
#include "wire.h"

/**
 * rxe_aeth_smsn - what an AETH says
 * @qp: the responder
 * @syndrome: ACK or NAK
 *
 * Context: the receive queue's lock is held.
 * Return: the AETH's only word.
 */
__be32 rxe_aeth_smsn(const struct rxe_qp *qp, u8 syndrome)
{
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

	bth = rxe_tx_begin(tx, &qp->path, opcode, psn, 0);
	/* as if the network had lost it: the requester asks again */
	if (!bth)
		return;

	aeth = (struct rxe_aeth *)(bth + 1);
	aeth->smsn = rxe_aeth_smsn(qp, syndrome);
	rxe_tx_headers_done(tx);
	rxe_tx_commit(tx);
}

/* One acknowledgment does for all packets that are processed together. */
static void rxe_owe_ack(struct rxe_rq *rq, u32 psn)
{
	rq->ack_due = true;
	rq->ack_psn = psn;
}

/**
 * rxe_expect_ack - send an acknowledgment when all before it is answered
 * @rq: the receive queue
 * @psn: of the request; the last of several counts
 *
 * For a requester that has repeated a request which waits, and now asks for an
 * acknowledgment; or that has asked once more for what comes before the request.
 *
 * Context: the receive queue's lock is held.
 */
void rxe_expect_ack(struct rxe_rq *rq, u32 psn)
{
	if (!rq->ack_expected || rxe_psn_diff(psn, rq->expected_psn) > 0)
		rq->expected_psn = psn;
	rq->ack_expected = true;
}

/* Once nothing is left that has to be answered before. */
static void rxe_owe_expected_ack(struct rxe_rq *rq)
{
	if (!rq->ack_expected || rq->read.active ||
	    rq->redo_psn != rq->redo_end ||
	    rxe_psn_diff(rq->expected_psn, rq->epsn) >= 0)
		return;

	rq->ack_expected = false;
	rxe_owe_ack(rq, rxe_psn_add(rq->epsn, -1));
}

/**
 * rxe_acknowledge_progress - acknowledge all that has been done, unasked
 * @rq: the receive queue
 *
 * Unless something has to be answered before.
 *
 * Context: the receive queue's lock is held; rxe_responder_flush() sends it.
 */
void rxe_acknowledge_progress(struct rxe_rq *rq)
{
	if (!rq->read.active && rq->redo_psn == rq->redo_end)
		rxe_owe_ack(rq, rxe_psn_add(rq->epsn, -1));
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
	/* which says all that one that is due would */
	qp->rq.ack_due = false;
	/* the peer takes none ahead of what it misses: see rxe_expect_ack() */
	if (syndrome == RXE_SYN_ACK_UNLIMITED &&
	    qp->rq.redo_psn != qp->rq.redo_end)
		rxe_expect_ack(&qp->rq, psn);
	rxe_send_aeth(qp, IB_OPCODE_RC_ACKNOWLEDGE, syndrome, psn);
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
	rxe_count(qp->dev, RXE_STAT_SENT_RNR);
	rxe_send_ack(qp, RXE_SYN_RNR_NAK | timer, psn);
}

static void rxe_pay_ack(struct rxe_qp *qp)
{
	if (qp->rq.ack_due)
		rxe_send_ack(qp, RXE_SYN_ACK_UNLIMITED, qp->rq.ack_psn);
}

/**
 * rxe_responder_flush - end a run: send what has gathered
 * @qp: the responder
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_flush(struct rxe_qp *qp)
{
	rxe_owe_expected_ack(&qp->rq);
	rxe_pay_ack(qp);
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
	rxe_send_ack(qp, syndrome, psn);
	rxe_qp_fail(qp, syndrome == RXE_SYN_NAK_REM_ACCESS ?
			IB_EVENT_QP_ACCESS_ERR : IB_EVENT_QP_REQ_ERR);
}

/**
 * rxe_fail_receive - complete a receive request that is itself at fault
 * @qp: the responder; a request is being filled
 * @status: what is wrong with it
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_fail_receive(struct rxe_qp *qp, enum ib_wc_status status)
{
	struct ib_wc wc = { .status = status };

	rxe_rq_complete(qp, &wc, false);
}

static u32 rxe_invalidated_rkey(const struct rxe_pkt *pkt)
{
	const struct rxe_ieth *ieth = rxe_pkt_eth(pkt);

	return be32_to_cpu(ieth->rkey);
}

static void rxe_complete_receive(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct ib_wc wc = {
		.status = IB_WC_SUCCESS,
		.opcode = IB_WC_RECV,
		.byte_len = qp->rq.offset,
		.src_qp = qp->attr.dest_qp_num,
	};

	if (pkt->op->flags & RXE_OP_WRITE)
		wc.opcode = IB_WC_RECV_RDMA_WITH_IMM;
	if (pkt->op->flags & RXE_OP_INV) {
		wc.wc_flags = IB_WC_WITH_INVALIDATE;
		wc.ex.invalidate_rkey = rxe_invalidated_rkey(pkt);
	}
	if (pkt->op->flags & RXE_OP_IMM) {
		wc.wc_flags = IB_WC_WITH_IMM;
		wc.ex.imm_data = rxe_pkt_imm(pkt);
	}

	rxe_count(qp->dev, RXE_STAT_RDMA_RECVS);
	rxe_rq_complete(qp, &wc, pkt->solicited);
}

/**
 * rxe_responder_access - what a peer's request asks of memory
 * @qp: the responder
 * @rights: of struct rxe_access
 *
 * Return: the access, but for its key, iova and lengths.
 */
struct rxe_access rxe_responder_access(struct rxe_qp *qp, int rights)
{
	return (struct rxe_access) {
		.pd = qp->ibqp.pd,
		.qpn = qp->ibqp.qp_num,
		.rights = rights,
		.dir = &qp->rq.responder,
		.hold = &qp->rq.hold,
	};
}

/**
 * rxe_receive_access - what a receive request's memory has to allow
 * @qp: the responder
 *
 * The memory of shared requests is of the shared queue's PD: IBTA 10.2.9.
 *
 * Return: the access, but for its key, iova and lengths.
 */
struct rxe_access rxe_receive_access(struct rxe_qp *qp)
{
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_LOCAL_WRITE);

	if (qp->ibqp.srq)
		access.pd = qp->ibqp.srq->pd;
	return access;
}

/* The packet behind one, if it is there; with a backlog if the one is of that. */
static bool rxe_pkt_behind(const struct rxe_pkt *pkt,
			   const struct rxe_backlog *backlog,
			   struct rxe_pkt *behind)
{
	u32 offset = pkt->offset + pkt->len;
	struct sk_buff *skb = pkt->skb;

	if (offset < rxe_batch(skb)->end)
		return rxe_pkt_parse(behind, skb, offset);
	skb = backlog ? rxe_backlog_behind(backlog, skb) : NULL;
	return skb && rxe_pkt_next(behind, skb);
}

/*
 * How much of a send there is from a packet on: what has come says that the memory
 * is going to be written, that of the receive request behind it is not.
 */
static u32 rxe_send_ahead(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_backlog *backlog = &qp->rq.responder.backlog;
	u32 len = pkt->payload_len;
	struct rxe_pkt pkts[2];
	int i = 0;

	/* what has just come is behind all that waits */
	if (pkt->skb != rxe_backlog_peek(backlog))
		backlog = NULL;

	while (!(pkt->op->flags & RXE_OP_END) && pkt->payload_len == qp->mtu &&
	       len < RXE_FAULT_BATCH &&
	       rxe_pkt_behind(pkt, backlog, &pkts[i])) {
		if (pkts[i].psn != rxe_psn_add(pkt->psn, 1) ||
		    (pkts[i].op->flags & (RXE_OP_SEND | RXE_OP_START)) !=
			    RXE_OP_SEND)
			break;
		pkt = &pkts[i];
		len += pkt->payload_len;
		i = !i;
	}
	return len;
}

/* Store a packet of a send; -EAGAIN: memory is missing, and @dir, if any, parks. */
static int rxe_store_send(struct rxe_qp *qp, const struct rxe_pkt *pkt,
			  u32 offset, struct rxe_direction *dir)
{
	struct rxe_access access = rxe_receive_access(qp);
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	const struct rxe_rwqe *wqe = qp->rq.wqe;

	access.dir = dir;
	/* packets are looked through for a fault only */
	if (dir)
		access.ahead = rxe_send_ahead(qp, pkt);
	return rxe_sgl_access(&access, wqe->sge, wqe->num_sge, offset,
			      pkt->payload_len, rxe_copy_payload, &payload);
}

/**
 * rxe_respond_send - take a packet of a send
 * @qp: the responder
 * @pkt: the packet, valid in its place
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0; -EAGAIN: it waits for memory; or a NAK's syndrome, why it cannot
 * be taken. RXE_SYN_NAK_REM_OP: the receive request is at fault, and completed.
 */
int rxe_respond_send(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	u32 offset;
	int err;

	if (!rxe_rq_fetch(qp))
		return RXE_SYN_RNR_NAK;

	offset = pkt->op->flags & RXE_OP_START ? 0 : rq->offset;
	if ((u64)offset + pkt->payload_len > rq->wqe->length) {
		/* only here does the sender learn of it, and stop */
		if (rxe_is_reliable(qp))
			rxe_fail_receive(qp, IB_WC_LOC_LEN_ERR);
		return RXE_SYN_NAK_INV_REQ;
	}

	err = rxe_store_send(qp, pkt, offset, NULL);
	if (err == -EAGAIN)
		err = rxe_store_send(qp, pkt, offset, &rq->responder);
	if (err == -EAGAIN)
		return err;
	if (err) {
		rxe_fail_receive(qp, rxe_access_status(err));
		return RXE_SYN_NAK_REM_OP;
	}

	if ((pkt->op->flags & RXE_OP_INV) &&
	    rxe_invalidate(qp->ibqp.pd, qp->ibqp.qp_num,
			   rxe_invalidated_rkey(pkt)))
		return RXE_SYN_NAK_REM_ACCESS;

	rq->offset = offset + pkt->payload_len;
	return 0;
}

static int rxe_begin_write(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_REMOTE_WRITE);
	const struct rxe_reth *reth = rxe_pkt_eth(pkt);
	struct rxe_rq *rq = &qp->rq;

	rq->offset = 0;
	rq->write_va = be64_to_cpu(reth->va);
	rq->write_rkey = be32_to_cpu(reth->rkey);
	rq->write_len = be32_to_cpu(reth->len);
	if (rq->write_len > RXE_MAX_MSG)
		return RXE_SYN_NAK_INV_REQ;

	access.key = rq->write_rkey;
	access.iova = rq->write_va;
	access.len = rq->write_len;
	/* no data, no key: IBTA 9.7.4.1.5 */
	if (access.len && rxe_mr_check(&access))
		return RXE_SYN_NAK_REM_ACCESS;
	return 0;
}

/**
 * rxe_respond_write - take a packet of an RDMA write
 * @qp: the responder
 * @pkt: the packet, valid in its place
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: as rxe_respond_send().
 */
int rxe_respond_write(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_REMOTE_WRITE);
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	struct rxe_rq *rq = &qp->rq;
	u32 rest;
	int err;

	if (pkt->op->flags & RXE_OP_START) {
		err = rxe_begin_write(qp, pkt);
		if (err)
			return err;
	}

	rest = rq->write_len - rq->offset;
	if (pkt->op->flags & RXE_OP_END ? pkt->payload_len != rest :
					  pkt->payload_len >= rest)
		return RXE_SYN_NAK_INV_REQ;
	if ((pkt->op->flags & RXE_OP_IMM) && !rxe_rq_fetch(qp))
		return RXE_SYN_RNR_NAK;
	if (!pkt->payload_len)
		return 0;

	access.key = rq->write_rkey;
	access.iova = rq->write_va + rq->offset;
	access.len = pkt->payload_len;
	access.ahead = rest;
	err = rxe_mr_access(&access, rxe_copy_payload, &payload);
	if (err == -EAGAIN)
		return err;
	if (err)
		return rxe_access_syndrome(err);

	rq->offset += pkt->payload_len;
	return 0;
}

static enum rxe_message rxe_message_of(const struct rxe_pkt *pkt)
{
	if (pkt->op->flags & RXE_OP_SEND)
		return RXE_MESSAGE_SEND;
	if (pkt->op->flags & RXE_OP_WRITE)
		return RXE_MESSAGE_WRITE;
	return RXE_MESSAGE_NONE;
}

static bool rxe_request_enabled(const struct rxe_qp *qp,
				const struct rxe_pkt *pkt)
{
	int access = qp->attr.qp_access_flags;

	if (pkt->op->flags & (RXE_OP_WRITE | RXE_OP_ATOMIC_WRITE))
		return access & IB_ACCESS_REMOTE_WRITE;
	if (pkt->op->flags & RXE_OP_FLUSH)
		return access & IB_ACCESS_FLUSH_GLOBAL;
	if (pkt->op->flags & RXE_OP_READ)
		return access & IB_ACCESS_REMOTE_READ;
	if (pkt->op->flags & RXE_OP_ATOMIC)
		return access & IB_ACCESS_REMOTE_ATOMIC;
	return true;
}

/**
 * rxe_request_valid - whether a packet may come now
 * @qp: the responder of a connection
 * @pkt: the packet
 *
 * IBTA 9.7.4.1.2 to 9.7.4.1.6: opcode sequence, support, and length.
 *
 * Context: the receive queue's lock is held.
 * Return: true if it may.
 */
bool rxe_request_valid(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	enum rxe_message in = qp->rq.message;

	if ((pkt->op->flags & RXE_OP_UNSUPPORTED) ||
	    !rxe_request_enabled(qp, pkt))
		return false;
	if (pkt->op->flags & RXE_OP_START ? in != RXE_MESSAGE_NONE :
					    in != rxe_message_of(pkt))
		return false;
	if (!(pkt->op->flags & RXE_OP_PAYLOAD))
		return true;
	if (!(pkt->op->flags & RXE_OP_END))
		return pkt->payload_len == qp->mtu;
	if (!(pkt->op->flags & RXE_OP_START) && !pkt->payload_len)
		return false;
	return pkt->payload_len <= qp->mtu;
}

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
 * rxe_responder_advance - a packet of a send or a write has been taken
 * @qp: the responder
 * @pkt: the packet
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_advance(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;

	rq->epsn = rxe_psn_add(pkt->psn, 1);
	rq->message = rxe_message_of(pkt);
	if (pkt->op->flags & RXE_OP_END) {
		rq->message = RXE_MESSAGE_NONE;
		rq->msn = (rq->msn + 1) & RXE_PSN_MASK;
		if (pkt->op->flags & (RXE_OP_SEND | RXE_OP_IMM))
			rxe_complete_receive(qp, pkt);
	}
	if (pkt->ack_req && rxe_is_reliable(qp))
		rxe_owe_ack(rq, pkt->psn);
}

/**
 * rxe_responder_repeat - answer a request again
 * @qp: the responder
 * @pkt: the request, which was executed before
 *
 * IBTA 9.7.5.1.5: it is acknowledged, or answered as it was, not executed.
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_repeat(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	rxe_count(qp->dev, RXE_STAT_DUP_REQUEST);
	if (pkt->op->flags & RXE_OP_READ)
		rxe_repeat_read(qp, pkt);
	else if (pkt->op->flags & RXE_OP_ATOMIC)
		rxe_repeat_atomic(qp, pkt);
	else if (pkt->op->flags & (RXE_OP_FLUSH | RXE_OP_ATOMIC_WRITE))
		rxe_repeat_placement(qp, pkt);
	else if (pkt->ack_req || (pkt->op->flags & RXE_OP_END))
		rxe_owe_ack(&qp->rq, rxe_psn_add(qp->rq.epsn, -1));
}

static void rxe_out_of_sequence(struct rxe_qp *qp)
{
	rxe_count(qp->dev, RXE_STAT_OUT_OF_SEQ_REQUEST);
	if (qp->rq.nak_sent)
		return;

	qp->rq.nak_sent = true;
	rxe_send_ack(qp, RXE_SYN_NAK_PSN_SEQ, qp->rq.epsn);
}

/**
 * rxe_comm_established - the first packet of a connection has come
 * @qp: the responder
 *
 * IBTA 11.6.3.1: for the program that has yet to move on to RTS.
 *
 * Context: the receive queue's lock is held.
 */
void rxe_comm_established(struct rxe_qp *qp)
{
	struct ib_event event = {
		.device = qp->ibqp.device,
		.event = IB_EVENT_COMM_EST,
		.element.qp = &qp->ibqp,
	};

	if (qp->state != IB_QPS_RTR || qp->comm_established)
		return;

	qp->comm_established = true;
	if (qp->ibqp.event_handler)
		qp->ibqp.event_handler(&event, qp->ibqp.qp_context);
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

	/* what is missing, or wrong, is so for one of them: see there */
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
	rq->epsn = rxe_psn_add(pkt->psn, n);
	rxe_pkts_done(pkt, n);
	return true;
}

static int rxe_rc_process(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	int err, diff;

	/* responses come in the order of their requests: IBTA 9.7.5.1 */
	if (!(pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE)))
		rxe_pay_ack(qp);

	diff = rxe_psn_diff(pkt->psn, rq->epsn);
	if (diff > 0) {
		rxe_out_of_sequence(qp);
		return 0;
	}
	if (diff < 0) {
		rxe_responder_repeat(qp, pkt);
		return 0;
	}

	rq->nak_sent = false;
	rxe_comm_established(qp);

	err = rxe_respond(qp, pkt);
	switch (err) {
	case 0:
		if (pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE))
			rxe_responder_advance(qp, pkt);
		return 0;
	case -EAGAIN:
		return err;
	case RXE_SYN_RNR_NAK:
		rq->nak_sent = true;
		rxe_send_rnr_nak(qp, qp->attr.min_rnr_timer, pkt->psn);
		return 0;
	default:
		rxe_responder_fail(qp, err, pkt->psn);
		return 0;
	}
}

/**
 * rxe_responder_process - do what a request asks for
 * @qp: the responder
 * @pkt: the packet
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0; -EAGAIN: the packet has to wait for memory.
 */
int rxe_responder_process(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	if (!rxe_responder_live(qp))
		return 0;

	switch (qp->service) {
	case IB_OPCODE_UC:
		return rxe_uc_process(qp, pkt);
	case IB_OPCODE_UD:
		return rxe_ud_process(qp, pkt);
	default:
		return rxe_rc_process(qp, pkt);
	}
}
