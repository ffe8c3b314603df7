// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How requests come to the responder, and how they wait. */
#include "base/pkt.h"
#include "base/work.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "transport/ack.h"
#include "transport/read_response.h"
#include "transport/responder.h"
#include "transport/responder_queue.h"
#include "transport/run.h"
#include "wait/anchor.h"
#include "wait/backlog.h"
#include "wait/direction.h"

/* what a parked QP may hold: above the window of the usual requester */
#define RXE_PENDING_REQUESTS	(4U << 20)
/* 1.28 ms, as coded: who has lost patience need not ask every 10 microseconds */
#define RXE_LONG_RNR_TIMER	14
/* bytes processed under one hold of the lock, before others get a turn */
#define RXE_RESPONDER_BUDGET	(256 << 10)
/* bytes sent meanwhile, where more is to be answered */
#define RXE_ANSWERS_BUDGET	(200 << 10)
/* as many as the smallest packets count for */
#define RXE_RESPONDER_COST	(4 << 10)

static bool rxe_responder_busy(const struct rxe_rq *rq)
{
	return rq->responder.parked || rq->read.active ||
	       !rxe_backlog_empty(&rq->responder.backlog);
}

/* Of what is not answered in full yet, but for what is answered again. */
static u32 rxe_waiting_psn(const struct rxe_rq *rq)
{
	return rq->read.active ? rq->read.psn : rq->epsn;
}

/* PSNs that a request takes: a read, those of its response. */
static u32 rxe_request_psns(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_reth *reth = rxe_pkt_eth(pkt);

	if (!(pkt->op->flags & RXE_OP_READ))
		return 1;
	return max_t(u32, DIV_ROUND_UP_ULL(be32_to_cpu(reth->len), qp->mtu), 1);
}

static bool rxe_is_answered(const struct rxe_pkt *pkt)
{
	return !(pkt->op->flags & (RXE_OP_SEND | RXE_OP_WRITE));
}

static bool rxe_psns_within(u32 psn, u32 end, u32 from, u32 to)
{
	return rxe_psn_diff(psn, from) >= 0 && rxe_psn_diff(end, to) <= 0;
}

/* The PSN after the new requests that wait, without a gap. */
static u32 rxe_pending_psn(const struct rxe_rq *rq)
{
	/* after a NAK they are dropped when their turn comes */
	if (rxe_backlog_empty(&rq->responder.backlog) || rq->nak_sent ||
	    rxe_psn_diff(rq->pending_psn, rq->epsn) < 0)
		return rq->epsn;
	return rq->pending_psn;
}

static bool rxe_being_read(const struct rxe_qp *qp, u32 psn, u32 end)
{
	const struct rxe_read *read = &qp->rq.read;
	u32 psns = max_t(u32, DIV_ROUND_UP(read->resid, qp->mtu), 1);

	return read->active && rxe_psns_within(psn, end, read->psn,
					       rxe_psn_add(read->psn, psns));
}

/* Whether a request is worked on, or waits: it need not wait once more. */
static bool rxe_is_held(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_rq *rq = &qp->rq;
	u32 psn = pkt->psn;
	u32 end = rxe_psn_add(psn, rxe_request_psns(qp, pkt));

	if (rxe_psn_diff(psn, rq->epsn) >= 0)
		return rxe_psn_diff(psn, rxe_pending_psn(rq)) < 0;
	return rxe_being_read(qp, psn, end) ||
	       rxe_psns_within(psn, end, rq->redo_psn, rq->redo_end);
}

/*
 * The requester repeats what waits, from @psn on. One that repeats all of it comes
 * by two PSNs: that of what is answered again, and that of the request that waits;
 * after a time-out ours repeats the first packet only, which may be at either. So a
 * repetition begins where the PSN is not behind the last one.
 *
 * If another request waited the last time, the requester is told of those in
 * between: they may have asked for no acknowledgment, and it would use its retries
 * up while the responder goes on, if slowly.
 */
static void rxe_count_repetition(struct rxe_rq *rq, u32 psn)
{
	u32 waiting = rxe_waiting_psn(rq);

	if (rq->repeated_psn != waiting) {
		if (rq->repeats)
			rxe_acknowledge_progress(rq);
		rq->repeated_psn = waiting;
		rq->repeats = 0;
	}
	if (rq->repeats < U8_MAX &&
	    (!rq->repeats || rxe_psn_diff(psn, rq->repeat_psn) <= 0))
		rq->repeats++;
	rq->repeat_psn = psn;
}

static void rxe_send_long_rnr_nak(struct rxe_qp *qp, u32 psn)
{
	u8 timer = qp->attr.min_rnr_timer;

	/* 0 is the longest */
	if (timer && timer < RXE_LONG_RNR_TIMER)
		timer = RXE_LONG_RNR_TIMER;
	rxe_send_rnr_nak(qp, timer, psn);
}

/*
 * How often the requester may repeat what waits before it is told to wait: it may
 * have no retries for RNR NAKs, and the NAK would be the end of it. But when the
 * others are used up the NAK is all that can keep it waiting. It is taken to have
 * as many as this end, or all that there may be where this end has yet to be told;
 * of the last two, or half of a few, each gets a NAK, as one may be lost.
 */
static int rxe_tolerated_repeats(const struct rxe_qp *qp)
{
	int retries = qp->attr.retry_cnt ?: RXE_MAX_RETRY;

	return max(retries / 2, retries - 2);
}

/*
 * The requester asks again for what is under way, and held: for as long as it is
 * likely to ask once more that is all. Then an RNR NAK makes it wait without
 * spending its retries, and acknowledges all before it. It is sent at the request
 * that waits, and at those before that whose answer is missed. The rest of what
 * comes with those needs none.
 */
static void rxe_handle_held_repeat(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	u32 waiting = rxe_waiting_psn(rq);
	int diff = rxe_psn_diff(pkt->psn, waiting);
	bool redo = rxe_has_redo(rq) && pkt->psn == rq->redo_psn;

	if (!diff || redo)
		rxe_count_repetition(rq, pkt->psn);
	if (rq->repeated_psn == waiting && rq->repeats > rxe_tolerated_repeats(qp) &&
	    (!diff || redo || (diff < 0 && rxe_is_answered(pkt))))
		rxe_send_long_rnr_nak(qp, pkt->psn);
}

static void rxe_note_pending(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	u32 end = rxe_psn_add(pkt->psn, rxe_request_psns(qp, pkt));
	u32 pending = rxe_pending_psn(rq);

	if (rxe_psn_diff(pkt->psn, rq->epsn) < 0) {
		if (pkt->psn != rq->redo_end)
			rq->redo_psn = pkt->psn;
		rq->redo_end = end;
		rxe_handle_held_repeat(qp, pkt);
		return;
	}
	if (rxe_psn_diff(pkt->psn, pending) <= 0 &&
	    rxe_psn_diff(end, pending) > 0)
		pending = end;
	rq->pending_psn = pending;
}

static void rxe_queue_requests(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_batch *batch = rxe_batch(skb);
	struct rxe_rq *rq = &qp->rq;
	u32 first = batch->next;
	struct rxe_pkt pkt;

	/* those that a NAK had dropped do not wait any more */
	if (rxe_backlog_empty(&rq->responder.backlog))
		rq->pending_psn = rq->epsn;
	rxe_backlog_add(qp->dev, &rq->responder.backlog, skb);
	/* nobody repeats anything */
	if (!rxe_is_reliable(qp))
		return;
	while (rxe_pkt_next(&pkt, skb)) {
		rxe_note_pending(qp, &pkt);
		rxe_pkt_done(&pkt);
	}
	batch->next = first;
}

/* A request was processed, maybe a repeated one: that waits no more. */
static void rxe_note_redone(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	u32 end;

	if (!rxe_has_redo(rq))
		return;

	end = rxe_psn_add(pkt->psn, rxe_request_psns(qp, pkt));
	if (rxe_psn_diff(pkt->psn, rq->epsn) < 0 &&
	    rxe_psns_within(pkt->psn, end, rq->redo_psn, rq->redo_end))
		rq->redo_psn = end;
}

static void rxe_acknowledge_one(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	rxe_count(qp->dev, RXE_STAT_DUP_REQUEST);
	if (pkt->ack_req || (pkt->op->flags & RXE_OP_END))
		rxe_note_ack_due(&qp->rq, pkt->psn);
}

/*
 * A message that was taken long ago is acknowledged at once, with all that was
 * executed since; or alone, where something behind it has yet to be answered, and
 * not at all behind that.
 */
static bool rxe_acknowledge_repeated(struct rxe_qp *qp,
				     const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;

	if (rxe_psn_diff(pkt->psn, rxe_waiting_psn(rq)) >= 0 ||
	    rxe_is_answered(pkt) ||
	    (rxe_has_redo(rq) && rxe_psn_diff(pkt->psn, rq->redo_psn) >= 0))
		return false;

	if (rxe_owes_answer(rq))
		rxe_acknowledge_one(qp, pkt);
	else
		rxe_responder_repeat(qp, pkt);
	return true;
}

/* The first of a batch are repeated, and there is no need for them to wait. */
static bool rxe_absorb_repeats(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_is_held(qp, &pkt)) {
			if (pkt.ack_req)
				rxe_defer_ack(&qp->rq, pkt.psn);
			rxe_handle_held_repeat(qp, &pkt);
		} else if (!rxe_acknowledge_repeated(qp, &pkt)) {
			return false;
		}
		rxe_pkt_done(&pkt);
	}
	return true;
}

/* Requests that wait, or are behind one that does: since they came, or @before. */
static void rxe_defer(struct rxe_qp *qp, struct sk_buff *skb, bool before)
{
	struct rxe_rq *rq = &qp->rq;

	if (before && rxe_is_reliable(qp) && rxe_absorb_repeats(qp, skb)) {
		consume_skb(skb);
		return;
	}

	if (rxe_backlog_has_room(qp->dev, &rq->responder.backlog, skb,
				 RXE_PENDING_REQUESTS)) {
		rxe_queue_requests(qp, skb);
		return;
	}

	if (rxe_is_reliable(qp))
		rxe_send_long_rnr_nak(qp, rxe_waiting_psn(rq));
	else
		rxe_count(qp->dev, RXE_STAT_RCVD_DROPS);
	kfree_skb(skb);
}

/* Do what a packet asks for, or @many; -EAGAIN: it has to wait for memory. */
static __always_inline int rxe_process(struct rxe_qp *qp, void *arg, bool many)
{
	const struct rxe_pkt *pkt = arg;

	if (many)
		return rxe_responder_take_run(qp, pkt) ? 0 : -EAGAIN;
	if (rxe_responder_process(qp, pkt) == -EAGAIN)
		return -EAGAIN;

	rxe_note_redone(qp, pkt);
	rxe_pkt_done(pkt);
	return 0;
}

/* Process what has come; false: the rest of it has to wait. */
static bool rxe_process_batch(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_rq *rq = &qp->rq;
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_responder_busy(rq))
			return false;
		if (rxe_many_or_one(rxe_process, qp, &pkt) == -EAGAIN)
			return false;
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
	bool more = !in_serving_softirq() &&
		    !rxe_backlog_empty(&rq->responder.backlog);

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
	bool busy;

	lockdep_assert_in_softirq();
	spin_lock(&rq->lock);
	rxe_begin_turn(rq);
	busy = rxe_responder_busy(rq);
	if (rxe_process_batch(qp, skb))
		consume_skb(skb);
	else
		rxe_defer(qp, skb, busy);
	rxe_responder_flush(qp);
	spin_unlock(&rq->lock);
}

static void rxe_process_pending(struct rxe_qp *qp)
{
	int budget = RXE_RESPONDER_BUDGET;
	struct rxe_rq *rq = &qp->rq;
	struct sk_buff *skb;
	struct rxe_pkt pkt;

	while (!rq->responder.parked) {
		if (!rxe_read_continue(qp))
			return;
		skb = rxe_backlog_peek(&rq->responder.backlog);
		if (!skb)
			return;
		if (!rxe_pkt_next(&pkt, skb)) {
			rxe_backlog_consume(qp->dev,
					    &rq->responder.backlog);
			continue;
		}
		if (budget <= 0) {
			queue_delayed_work(rxe_wq, &rq->responder.work, 0);
			return;
		}
		rxe_many_or_one(rxe_process, qp, &pkt);
		budget -= max_t(u32, rxe_batch(skb)->next - pkt.offset,
				RXE_RESPONDER_COST);
	}
}

/* Answer what waits to be answered; after a batch the rest is left to the work. */
static void rxe_responder_continue(struct rxe_direction *dir)
{
	struct rxe_qp *qp = container_of(dir, struct rxe_qp, rq.responder);

	rxe_begin_turn(&qp->rq);
	rxe_process_pending(qp);
	rxe_responder_flush(qp);
}

const struct rxe_direction_ops rxe_responder_ops = {
	.run = rxe_responder_continue,
};
