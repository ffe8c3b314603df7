// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How the responder receives requests, and how they wait. */
#include "base/compat.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "base/work.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "transport/ack.h"
#include "transport/read_response.h"
#include "transport/responder.h"
#include "transport/responder_queue.h"
#include "transport/run.h"
#include "transport/ud.h"
#include "wait/anchor.h"
#include "wait/backlog.h"
#include "wait/direction.h"

/* bytes that a parked QP may hold: more than the window of a usual requester */
#define RXE_PENDING_REQUESTS	(4U << 20)
/* 1.28 ms, as coded: a parked responder need not be asked every 10 us */
#define RXE_LONG_RNR_TIMER	14
/* bytes processed under one hold of the lock, before others get a turn */
#define RXE_RESPONDER_BUDGET	(256 << 10)
/* bytes sent under one hold, if more requests wait to be answered */
#define RXE_ANSWERS_BUDGET	(200 << 10)
/* bytes that a packet counts for at least */
#define RXE_RESPONDER_COST	(4 << 10)

static bool rxe_responder_busy(const struct rxe_rq *rq)
{
	return rq->responder.parked || rq->read.active ||
	       !rxe_backlog_empty(&rq->responder.backlog);
}

/* PSN of the oldest request not yet answered in full, duplicates aside. */
static u32 rxe_waiting_psn(const struct rxe_rq *rq)
{
	return rq->read.active ? rq->read.psn : rq->epsn;
}

/* PSNs that a request takes; a read takes those of its response. */
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
	if (rxe_backlog_empty(&rq->responder.backlog) ||
	    (rq->nak_sent && rxe_broken(wait_once)) ||
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

/* Whether a request is in progress, or waits: it is not queued once more. */
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
 * The requester repeats requests that wait, from @psn on. A repetition of all of
 * them passes two PSNs: that of a duplicate that is answered again, and that of
 * the new request that waits. After a timeout our requester repeats one packet
 * only, at either PSN. So a repetition begins where the PSN is not after the
 * last one.
 *
 * If another request waited the last time, acknowledge those in between: they
 * may not have asked for it, and the requester would use its retries up while
 * the responder makes progress, if slowly.
 */
static void rxe_count_repetition(struct rxe_rq *rq, u32 psn)
{
	u32 waiting = rxe_waiting_psn(rq);

	if (rq->counted_psn != waiting) {
		if (rq->repeats)
			rxe_acknowledge_progress(rq);
		rq->counted_psn = waiting;
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

	/* code 0 is the longest delay */
	if (timer && timer < RXE_LONG_RNR_TIMER)
		timer = RXE_LONG_RNR_TIMER;
	rxe_send_rnr_nak(qp, timer, psn);
}

/*
 * How often the requester may repeat a request that waits before it gets an RNR
 * NAK. Its rnr_retry may be 0: then the NAK ends the connection. But once its
 * retry_cnt is used up, only an RNR NAK keeps it waiting. The requester is taken
 * to have the retry_cnt of this QP, or the maximum if that is not set yet. Each
 * of its last two repetitions, or of the second half of a few, gets a NAK, as
 * one may be lost.
 */
static int rxe_tolerated_repeats(const struct rxe_qp *qp)
{
	int retries = qp->attr.retry_cnt ?: RXE_MAX_RETRY;

	return max(retries / 2, retries - 2);
}

/*
 * The requester repeats a request that is held. It is ignored while the requester
 * is likely to have retries left. Then an RNR NAK makes the requester wait without
 * spending them, and acknowledges all requests before. It is sent at the PSN of
 * the request that waits, and of earlier ones whose answer the requester misses;
 * the other packets of the repetition get none.
 */
static void rxe_handle_held_repeat(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	u32 waiting = rxe_waiting_psn(rq);
	int diff = rxe_psn_diff(pkt->psn, waiting);
	bool redo = rxe_has_redo(rq) && pkt->psn == rq->redo_psn;

	if (!diff || redo)
		rxe_count_repetition(rq, pkt->psn);
	if (rq->counted_psn == waiting && rq->repeats > rxe_tolerated_repeats(qp) &&
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

/*
 * Requests of a connection wait all or not at all: whatever is wrong with one, its
 * turn decides what the requester is told. Returns false where there is no room.
 */
static bool rxe_queue_requests(struct rxe_qp *qp, struct sk_buff *skb)
{
	const struct rxe_batch *batch = rxe_batch(skb);
	u32 offset = batch->next, end = batch->end;
	struct rxe_rq *rq = &qp->rq;
	struct rxe_pkt pkt;

	/* requests dropped after a NAK do not wait any more */
	if (rxe_backlog_empty(&rq->responder.backlog))
		rq->pending_psn = rq->epsn;
	if (!rxe_backlog_add(rxe_qp_dev(qp), &rq->responder.backlog, skb, offset, end,
			     RXE_PENDING_REQUESTS))
		return false;
	/* unreliable: no requester repeats */
	if (!rxe_is_reliable(qp))
		return true;

	/* not by rxe_pkt_next(): the batch itself may be what waits */
	for (; offset < end && rxe_pkt_parse(&pkt, skb, offset); offset += pkt.len)
		rxe_note_pending(qp, &pkt);
	return true;
}

/* Whether a datagram may wait: one with a wrong Q_Key is counted, and dropped. */
static bool rxe_datagram_may_wait(const struct rxe_pkt *pkt, void *qp)
{
	return rxe_broken(wait_qkey) || rxe_ud_has_qkey(qp, pkt);
}

static bool rxe_queue_datagrams(struct rxe_qp *qp, struct sk_buff *skb)
{
	return rxe_backlog_add_some(rxe_qp_dev(qp), &qp->rq.responder.backlog, skb,
				    RXE_PENDING_REQUESTS, rxe_datagram_may_wait,
				    qp);
}

/* A request was processed: if it is a duplicate that waited, it no longer does. */
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
	rxe_count(rxe_qp_dev(qp), RXE_STAT_DUP_REQUEST);
	if (pkt->ack_req || (pkt->op->flags & RXE_OP_END))
		rxe_note_ack_due(&qp->rq, pkt->psn);
}

/*
 * Acknowledge a duplicate send or write at once, with all that was executed
 * since. If a later request has yet to be answered, the acknowledgment is for
 * the duplicate alone; a duplicate behind that request gets none.
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

/* Take the duplicates at the head of a batch; true: nothing is left to wait. */
static bool rxe_absorb_repeats(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_is_held(qp, &pkt)) {
			rxe_count(rxe_qp_dev(qp), RXE_STAT_DUP_REQUEST);
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

/* Queue a batch; @before: the responder was busy when the batch came. */
static void rxe_defer(struct rxe_qp *qp, struct sk_buff *skb, bool before)
{
	if (before && rxe_is_reliable(qp) && rxe_absorb_repeats(qp, skb)) {
		consume_skb(skb);
		return;
	}

	if (rxe_is_datagram(qp) ? rxe_queue_datagrams(qp, skb) :
				  rxe_queue_requests(qp, skb)) {
		consume_skb(skb);
		return;
	}

	if (rxe_is_reliable(qp))
		rxe_send_long_rnr_nak(qp, rxe_waiting_psn(&qp->rq));
	else
		/* traced as what had no room */
		rxe_count(rxe_qp_dev(qp), RXE_STAT_RCVD_DROPS);
	kfree_skb(skb);
}

/*
 * What rxe_rcv() has looked at may have changed: pages that a program has spliced into
 * a socket are still its own.
 */
static bool rxe_is_request(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	return !(pkt->op->flags & RXE_OP_RESPONSE) &&
	       (rxe_service(pkt->opcode) == qp->service || rxe_broken(service));
}

/* Execute a packet, or @try a run of them; -EAGAIN: it waits for memory. */
static __always_inline int rxe_process(struct rxe_qp *qp, void *arg, bool try)
{
	const struct rxe_pkt *pkt = arg;

	if (unlikely(!rxe_is_request(qp, pkt))) {
		rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_RCVD_DROPS,
			       qp->ibqp.qp_num, pkt->psn, 1);
		rxe_pkt_done(pkt);
		return 0;
	}
	if (try)
		return rxe_responder_take_run(qp, pkt) ? 0 : -EAGAIN;
	if (rxe_responder_process(qp, pkt) == -EAGAIN)
		return -EAGAIN;

	rxe_note_redone(qp, pkt);
	rxe_pkt_done(pkt);
	return 0;
}

/* Process a batch; false: the rest of it has to wait. */
static bool rxe_process_batch(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_rq *rq = &qp->rq;
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (rxe_responder_busy(rq))
			return false;
		if (rxe_try_then_park(rxe_process, qp, &pkt) == -EAGAIN)
			return false;
		rxe_read_continue(qp);
	}
	return true;
}

/*
 * While requests wait, the requester has enough responses to work on: send many
 * in one turn. Else send the first ones early: see RXE_TX_FIRST.
 */
static void rxe_begin_turn(struct rxe_rq *rq)
{
	bool more = !in_serving_softirq() &&
		    !rxe_backlog_empty(&rq->responder.backlog);

	rq->turn_end = rq->tx.made + (more ? RXE_ANSWERS_BUDGET : RXE_TX_FIRST);
}

/**
 * rxe_responder_rcv - receive requests
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
	lockdep_assert_in_rcu_read_lock();
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
			rxe_backlog_consume(&rq->responder.backlog);
			continue;
		}
		if (budget <= 0) {
			queue_delayed_work(rxe_wq, &rq->responder.work, 0);
			return;
		}
		rxe_try_then_park(rxe_process, qp, &pkt);
		budget -= max_t(u32, rxe_batch(skb)->next - pkt.offset,
				RXE_RESPONDER_COST);
	}
}

/* Answer requests that wait; the work goes on once the budget is spent. */
static void rxe_responder_continue(struct rxe_direction *dir)
{
	struct rxe_qp *qp = container_of(dir, struct rxe_qp, rq.responder);

	rxe_begin_turn(&qp->rq);
	rxe_process_pending(qp);
	rxe_responder_flush(qp);
}

/*
 * There was no room for some packets that waited. Requests of a connection wait all or
 * not at all; those that were executed before, and wait to be answered again, come first.
 */
static void rxe_responder_dropped(struct rxe_direction *dir)
{
	struct rxe_qp *qp = container_of(dir, struct rxe_qp, rq.responder);
	struct rxe_rq *rq = &qp->rq;
	u32 psn = rxe_waiting_psn(rq);

	if (!rxe_is_reliable(qp)) {
		/* traced as what had no room */
		rxe_count(rxe_qp_dev(qp), RXE_STAT_RCVD_DROPS);
		return;
	}

	rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_PARKED_REFUSED,
		       qp->ibqp.qp_num, psn, skb_queue_len(&dir->backlog.skbs));
	rxe_backlog_purge(&dir->backlog);
	if (rxe_has_redo(rq)) {
		if (rxe_psn_diff(rq->redo_psn, psn) < 0)
			psn = rq->redo_psn;
		rq->redo_psn = rq->redo_end;
		rq->ack_deferred = false;
	}
	/* those behind, which are on their way, get no NAK of their own */
	rxe_note_nak(rq);
	rxe_send_long_rnr_nak(qp, psn);
	rxe_responder_flush(qp);
}

const struct rxe_direction_ops rxe_responder_ops = {
	.run = rxe_responder_continue,
	.dropped = rxe_responder_dropped,
};
