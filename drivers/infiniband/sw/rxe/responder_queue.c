// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How requests come to the responder, and how they wait. */
#include "anchor.h"
#include "backlog.h"
#include "fault.h"
#include "pkt.h"
#include "qp.h"
#include "read_response.h"
#include "responder.h"

/* what a parked QP may hold: above the window of the usual requester */
#define RXE_PENDING_REQUESTS	(4U << 20)
/* 1.28 ms, as coded: who has lost patience need not ask every 10 microseconds */
#define RXE_CALM_RNR_TIMER	14
/* bytes processed under one hold of the lock, before others get a turn */
#define RXE_RESPONDER_BUDGET	(256 << 10)
/* bytes sent meanwhile, where more is to be answered */
#define RXE_ANSWERS_BUDGET	(200 << 10)
/* as many as the smallest packets count for */
#define RXE_RESPONDER_COST	(4 << 10)

static bool rxe_responder_busy(const struct rxe_rq *rq)
{
	return rq->parked || rq->read.active || !rxe_backlog_empty(&rq->pending);
}

/* PSNs that a request takes: a read, those of its response. */
static u32 rxe_request_psns(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_reth *reth = rxe_pkt_eth(pkt);

	if (!(pkt->op->flags & RXE_OP_READ))
		return 1;
	return max_t(u32, DIV_ROUND_UP_ULL(be32_to_cpu(reth->len), qp->mtu), 1);
}

/* The PSN after what is being worked on: of a read that is repeated, its own. */
static u32 rxe_worked_psn(const struct rxe_qp *qp)
{
	const struct rxe_read *read = &qp->rq.read;
	u32 psns;

	if (!read->active)
		return qp->rq.epsn;

	psns = max_t(u32, DIV_ROUND_UP(read->resid, qp->mtu), 1);
	return rxe_psn_add(read->psn, psns);
}

/* The PSN after what is worked on, or waits behind that without a gap. */
static u32 rxe_held_psn(const struct rxe_qp *qp)
{
	const struct rxe_rq *rq = &qp->rq;
	u32 worked = rxe_worked_psn(qp);

	if (rxe_backlog_empty(&rq->pending) ||
	    rxe_psn_diff(rq->pending_psn, worked) < 0)
		return worked;
	return rq->pending_psn;
}

static void rxe_queue_requests(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_batch *batch = rxe_batch(skb);
	u32 held = rxe_held_psn(qp);
	struct rxe_rq *rq = &qp->rq;
	u32 first = batch->next;
	struct rxe_pkt pkt;

	/* what comes again begins a run of its own, of which we hold so much */
	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_psn_diff(pkt.psn, held) <= 0)
			held = rxe_psn_add(pkt.psn, rxe_request_psns(qp, &pkt));
		rxe_pkt_done(&pkt);
	}
	batch->next = first;
	rq->pending_psn = held;
	rxe_backlog_add(qp->dev, &rq->pending, skb);
}

static void rxe_calm_at(struct rxe_qp *qp, u32 psn)
{
	u8 timer = qp->attr.min_rnr_timer;

	/* 0 is the longest */
	if (timer && timer < RXE_CALM_RNR_TIMER)
		timer = RXE_CALM_RNR_TIMER;
	rxe_send_rnr_nak(qp, timer, psn);
}

/*
 * The requester has lost patience. A NAK makes it wait for us without spending
 * its retries, and acknowledges all before it: it says so at the request that
 * waits, and at one before that whose answer is missed. The rest of what comes
 * with those needs none.
 */
static void rxe_calm(struct rxe_qp *qp, const struct rxe_pkt *pkt, u32 waiting)
{
	bool answered = !(pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE));
	int diff = rxe_psn_diff(pkt->psn, waiting);

	if (!diff || (diff < 0 && answered))
		rxe_calm_at(qp, pkt->psn);
}

/* The first of a batch are repeated, of what waits: there is no need of them. */
static bool rxe_calm_repeated(struct rxe_qp *qp, struct sk_buff *skb,
			      u32 waiting)
{
	u32 held = rxe_held_psn(qp);
	struct rxe_rq *rq = &qp->rq;
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_psn_diff(pkt.psn, held) >= 0 ||
		    (!rq->parked && rxe_psn_diff(pkt.psn, waiting) < 0))
			return false;
		rxe_calm(qp, &pkt, waiting);
		rxe_pkt_done(&pkt);
	}
	return true;
}

/* Requests that wait, or are behind one that does. */
static void rxe_defer(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_rq *rq = &qp->rq;
	u32 waiting = rq->read.active ? rq->read.psn : rq->epsn;

	if (rxe_is_reliable(qp) && rxe_calm_repeated(qp, skb, waiting)) {
		consume_skb(skb);
		return;
	}

	if (rxe_backlog_has_room(qp->dev, &rq->pending, skb,
				 RXE_PENDING_REQUESTS)) {
		rxe_queue_requests(qp, skb);
		return;
	}

	if (rxe_is_reliable(qp))
		rxe_calm_at(qp, waiting);
	else
		rxe_count(qp->dev, RXE_STAT_RCVD_DROPS);
	kfree_skb(skb);
}

/* Process a packet, and those that can be taken with it; false: it parks. */
static bool rxe_process_next(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	if (rxe_responder_take_run(qp, pkt))
		return true;

	qp->rq.parked = rxe_responder_process(qp, pkt) == -EAGAIN;
	if (!qp->rq.parked)
		rxe_pkt_done(pkt);
	return !qp->rq.parked;
}

/* Process what has come; false: the rest of it has to wait. */
static bool rxe_process_batch(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_rq *rq = &qp->rq;
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_responder_busy(rq))
			return false;
		if (!rxe_process_next(qp, &pkt)) {
			rxe_count(qp->dev, RXE_STAT_PARKED);
			return false;
		}
		rxe_read_continue(qp);
	}
	return true;
}

/*
 * Requests that wait say that the requester has, or is going to have, enough to
 * do; or else see RXE_TX_FIRST.
 */
static void rxe_begin_turn(struct rxe_rq *rq)
{
	bool more = !in_serving_softirq() && !rxe_backlog_empty(&rq->pending);

	rq->turn_end = rq->tx.made + (more ? RXE_ANSWERS_BUDGET : RXE_TX_FIRST);
}

/**
 * rxe_responder_rcv - requests came
 * @qp: the QP they are for, held
 * @skb: the batch; consumed
 *
 * Context: BH disabled, under RCU.
 */
void rxe_responder_rcv(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_rq *rq = &qp->rq;

	spin_lock(&rq->lock);
	rxe_begin_turn(rq);
	if (rxe_process_batch(qp, skb))
		consume_skb(skb);
	else
		rxe_defer(qp, skb);
	rxe_responder_flush(qp);
	spin_unlock(&rq->lock);
}

static void rxe_process_pending(struct rxe_qp *qp)
{
	int budget = RXE_RESPONDER_BUDGET;
	struct rxe_rq *rq = &qp->rq;
	struct sk_buff *skb;
	struct rxe_pkt pkt;

	while (!rq->parked) {
		if (!rxe_read_continue(qp))
			return;
		skb = rxe_backlog_peek(&rq->pending);
		if (!skb)
			return;
		if (!rxe_pkt_next(&pkt, skb)) {
			rxe_backlog_consume(qp->dev, &rq->pending);
			continue;
		}
		if (budget <= 0) {
			queue_delayed_work(rxe_wq, &rq->work, 0);
			return;
		}
		rxe_process_next(qp, &pkt);
		budget -= max_t(u32, rxe_batch(skb)->next - pkt.offset,
				RXE_RESPONDER_COST);
	}
}

/**
 * rxe_responder_run - answer what waits to be answered
 * @qp: the QP
 *
 * Context: BH disabled, the receive queue's lock is held. After a batch the
 * rest is left to the queue's work.
 */
void rxe_responder_run(struct rxe_qp *qp)
{
	rxe_begin_turn(&qp->rq);
	rxe_process_pending(qp);
	rxe_responder_flush(qp);
}

/**
 * rxe_responder_resume - go on after a page fault
 * @qp: the QP
 * @err: of the fault
 *
 * Context: process.
 */
void rxe_responder_resume(struct rxe_qp *qp, int err)
{
	struct rxe_flow *flow = &qp->anchor->flows[RXE_FLOW_RESPONSES];
	struct rxe_rq *rq = &qp->rq;

	spin_lock_bh(&rq->lock);
	if (rq->parked) {
		rq->parked = false;
		qp->anchor->faults[RXE_FAULT_RESPONDER].err = err;
		if (rxe_flow_is_here(flow))
			rxe_responder_run(qp);
		else
			rxe_flow_continue(flow);
	}
	spin_unlock_bh(&rq->lock);
}
