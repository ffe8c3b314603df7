// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How a responder takes packets of sends and writes, of any service. */
#include "base/pkt.h"
#include "base/rule.h"
#include "base/wire.h"
#include "mem/access.h"
#include "obj/recv_queue.h"
#include "obj/rwqe.h"
#include "transport/ack.h"
#include "transport/response.h"
#include "transport/run.h"

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
		.src_qp = be32_to_cpu(qp->path.peer_qpn),
	};

	if (pkt->op->flags & RXE_OP_WRITE)
		wc.opcode = IB_WC_RECV_RDMA_WITH_IMM;
	if (pkt->op->flags & RXE_OP_INV) {
		wc.wc_flags = IB_WC_WITH_INVALIDATE;
		wc.ex.invalidate_rkey = rxe_invalidated_rkey(pkt);
	}
	if ((pkt->op->flags & RXE_OP_IMM) && !rxe_broken(immediate)) {
		wc.wc_flags = IB_WC_WITH_IMM;
		wc.ex.imm_data = rxe_pkt_imm(pkt);
	}

	rxe_count(rxe_qp_dev(qp), RXE_STAT_RDMA_RECVS);
	rxe_rq_complete(qp, &wc, pkt->solicited);
}

/**
 * rxe_receive_access - the access that a packet needs to a receive request's memory
 * @qp: the responder
 *
 * A shared request's memory belongs to the PD of the shared queue: IBTA 10.2.9.
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

/* The packet behind @pkt, if it has come; @pkt waits in @backlog, if any. */
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
 * How many bytes of a send have come, from a packet on. Only their memory is
 * faulted in ahead: the rest of the receive request may never be written.
 */
static u32 rxe_send_ahead(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_backlog *backlog = &qp->rq.responder.backlog;
	u32 len = pkt->payload_len;
	struct rxe_pkt pkts[2];
	int i = 0;

	/* a packet that has just come is behind all that wait */
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

/* Store a packet of a send; -EAGAIN: it has to wait for memory. */
static int rxe_store_send(struct rxe_qp *qp, void *arg, bool try)
{
	const struct rxe_pkt *pkt = arg;
	struct rxe_access access = rxe_receive_access(qp);
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	const struct rxe_rwqe *wqe = qp->rq.wqe;
	u32 offset = qp->rq.offset;

	/* look through the packets only for a fault */
	if (try)
		access.dir = NULL;
	else
		access.ahead = rxe_broken(fault_ahead) ?
				       wqe->length - offset :
				       rxe_send_ahead(qp, pkt);
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
	int err;

	lockdep_assert_held(&qp->rq.lock);
	if (!rxe_rq_fetch(qp))
		return rxe_broken(rnr_nak) ? 0 : RXE_SYN_RNR_NAK;

	if (pkt->op->flags & RXE_OP_START)
		rq->offset = 0;
	if ((u64)rq->offset + pkt->payload_len > rq->wqe->length &&
	    !rxe_broken(receive_length)) {
		/* only a reliable sender learns of it, and stops */
		if (rxe_is_reliable(qp))
			rxe_fail_receive(qp, IB_WC_LOC_LEN_ERR);
		return RXE_SYN_NAK_INV_REQ;
	}

	err = rxe_try_then_park(rxe_store_send, qp, (void *)pkt);
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

	rq->offset += pkt->payload_len;
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
	/* without data the key is not checked: IBTA 9.7.4.1.5 */
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

	lockdep_assert_held(&qp->rq.lock);
	if (pkt->op->flags & RXE_OP_START) {
		err = rxe_begin_write(qp, pkt);
		if (err)
			return err;
	}

	rest = rq->write_len - rq->offset;
	if ((pkt->op->flags & RXE_OP_END ? pkt->payload_len != rest :
					   pkt->payload_len >= rest) &&
	    !rxe_broken(dma_length))
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

	if (rxe_broken(enabled))
		return true;
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

	lockdep_assert_held(&qp->rq.lock);
	if ((pkt->op->flags & RXE_OP_UNSUPPORTED) ||
	    !rxe_request_enabled(qp, pkt))
		return false;
	if ((pkt->op->flags & RXE_OP_START ? in != RXE_MESSAGE_NONE :
					     in != rxe_message_of(pkt)) &&
	    !rxe_broken(opcode_sequence))
		return false;
	if (!(pkt->op->flags & RXE_OP_PAYLOAD) || rxe_broken(payload_length))
		return true;
	if (!(pkt->op->flags & RXE_OP_END))
		return pkt->payload_len == qp->mtu;
	if (!(pkt->op->flags & RXE_OP_START) && !pkt->payload_len)
		return false;
	return pkt->payload_len <= qp->mtu;
}

/**
 * rxe_responder_advance - account for a packet of a send or a write
 * @qp: the responder
 * @pkt: the packet
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_responder_advance(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;

	lockdep_assert_held(&qp->rq.lock);
	/* of UC, which may have lost some before it */
	rq->epsn = pkt->psn;
	rxe_rq_advance(rq, 1);
	rq->message = rxe_message_of(pkt);
	if (pkt->op->flags & RXE_OP_END) {
		rq->message = RXE_MESSAGE_NONE;
		rq->msn = (rq->msn + 1) & RXE_PSN_MASK;
		if (pkt->op->flags & (RXE_OP_SEND | RXE_OP_IMM))
			rxe_complete_receive(qp, pkt);
	}
	if (pkt->ack_req && rxe_is_reliable(qp))
		rxe_note_ack_due(rq, pkt->psn);
}

/**
 * rxe_raise_comm_established - raise IB_EVENT_COMM_EST at the first packet
 * @qp: the responder
 *
 * IBTA 11.6.3.1: tells a program that has yet to move on to RTS.
 *
 * Context: the receive queue's lock is held.
 */
void rxe_raise_comm_established(struct rxe_qp *qp)
{
	struct ib_event event = {
		.device = qp->ibqp.device,
		.event = IB_EVENT_COMM_EST,
		.element.qp = &qp->ibqp,
	};

	lockdep_assert_held(&qp->rq.lock);
	if (qp->state != IB_QPS_RTR || qp->comm_established ||
	    rxe_broken(comm_established))
		return;

	qp->comm_established = true;
	if (qp->ibqp.event_handler)
		qp->ibqp.event_handler(&event, qp->ibqp.qp_context);
}
