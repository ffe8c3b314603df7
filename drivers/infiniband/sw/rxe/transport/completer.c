// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Responses, and what they complete: IBTA volume 1, 9.7.5 to 9.7.8. */
#include "base/compat.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "base/trace.h"
#include "base/wire.h"
#include "base/work.h"
#include "mem/access.h"
#include "obj/cq.h"
#include "obj/qp.h"
#include "obj/send_queue.h"
#include "transport/completer.h"
#include "transport/read_request.h"
#include "transport/requester.h"
#include "transport/run.h"
#include "wait/anchor.h"
#include "wait/direction.h"

/* bytes that may wait: more than rxe_window_open() lets be requested */
#define RXE_PARKED_RESPONSES	(8U << 20)
/* bytes of them completed under one hold of the lock, before others get a turn */
#define RXE_COMPLETER_BUDGET	(256 << 10)
/* bytes that a batch of them counts for at least */
#define RXE_COMPLETER_COST	(4 << 10)
/* ACK timeouts until the peer is late for a requester that waits for memory itself */
#define RXE_PARKED_PATIENCE	4
/* responses in a row, out of order, that mean that a repetition was lost */
#define RXE_GAP_REPEATS		3

/* IBTA table 45, in units of 10 microseconds */
static const u32 rxe_rnr_delay[32] = {
	65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192,
	256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288,
	16384, 24576, 32768, 49152,
};

/* The peer does not get, or does not answer, what is sent. */
static void rxe_retry(struct rxe_qp *qp, enum rxe_again why)
{
	if (!qp->sq.retries && !rxe_broken(retries)) {
		rxe_count(rxe_qp_dev(qp), RXE_STAT_RETRY_EXCEEDED);
		trace_rxe_retries_exceeded(rxe_qp_dev(qp), qp->ibqp.qp_num, why,
					   qp->sq.una_psn);
		rxe_sq_fail(qp, IB_WC_RETRY_EXC_ERR);
		return;
	}
	qp->sq.retries--;
	qp->sq.progress = jiffies;
	rxe_requester_go_back(qp, why);
}

/*
 * Whether a response behind a missing one shows that the repeated request was
 * lost, too. Responses come in the order of their requests: those to requests
 * from before the repetition go on from the highest PSN so far, those to the
 * repetition start again below it. A response that was overtaken, or came
 * twice, looks like the latter; three in a row do not, nor does the last of all
 * that is under way, behind which no other would come. A response to a request
 * that was first sent after the repetition leaves no doubt.
 */
static bool rxe_repetition_lost(struct rxe_sq *sq, u32 psn)
{
	if (rxe_psn_diff(psn, sq->gap_sent_psn) >= 0)
		return true;
	if (rxe_psn_diff(psn, sq->gap_psn) > 0) {
		sq->gap_psn = psn;
		sq->gap_repeats = 0;
		return false;
	}
	return ++sq->gap_repeats >= RXE_GAP_REPEATS ||
	       rxe_psn_add(psn, 1) == sq->sent_psn;
}

/*
 * A response with @psn implies that an earlier one is missing (IBTA 9.7.5.1.2:
 * an implied NAK). All that follow it imply so, too: only the first causes a
 * retry, or the rest of one read would use the retries up, and then one that
 * shows that the repetition was lost. An acknowledgment does not show that, as
 * each repeated request may get one for all.
 *
 * The last retry is left to the ACK timer, where there is one: a network that
 * reorders does not end the connection.
 */
static void rxe_retry_gap(struct rxe_qp *qp, u32 psn, bool ack)
{
	struct rxe_sq *sq = &qp->sq;

	/* this end has lost it: rxe_request_dropped() asks again, and spends no retry */
	if (sq->response_dropped)
		return;
	if (sq->gap_retried &&
	    (ack || !rxe_repetition_lost(sq, psn) ||
	     (qp->attr.timeout && sq->retries < 2)))
		return;
	/* retrying already: nothing was sent since the requester went back */
	if (sq->psn == sq->una_psn)
		return;

	sq->gap_retried = true;
	sq->gap_repeats = 0;
	sq->gap_psn = psn;
	sq->gap_sent_psn = sq->sent_psn;
	rxe_retry(qp, RXE_AGAIN_GAP);
}

static void rxe_set_una(struct rxe_qp *qp, u32 psn)
{
	struct rxe_sq *sq = &qp->sq;

	sq->una_psn = psn;
	sq->probing = false;
	sq->gap_retried = false;
	/* acknowledged while going back: do not repeat what the peer has */
	if (rxe_psn_diff(sq->psn, psn) < 0) {
		rxe_requester_unpark(sq);
		sq->psn = psn;
		sq->next = sq->done;
	}
	rxe_sq_reset_retries(qp);
}

static struct rxe_swqe *rxe_oldest(const struct rxe_sq *sq)
{
	struct rxe_swqe *wqe;

	if (sq->done == sq->fetched)
		return NULL;

	wqe = rxe_sq_wqe(sq, sq->done);
	return wqe->numbered ? wqe : NULL;
}

/*
 * All PSNs before @psn are acknowledged. False: one of them is a read or an
 * atomic whose response is missing, which implies a NAK (IBTA 9.7.5.1.2,
 * coalesced acknowledgment).
 */
static bool rxe_acknowledge(struct rxe_qp *qp, u32 psn)
{
	struct rxe_sq *sq = &qp->sq;
	u32 una = sq->una_psn;
	struct rxe_swqe *wqe;
	bool missing = false;

	while (rxe_psn_diff(psn, una) > 0) {
		wqe = rxe_oldest(sq);
		if (!wqe)
			break;
		missing = rxe_swqe_is_answered(wqe) &&
			  !rxe_broken(implied_nak);
		if (missing)
			break;
		if (rxe_psn_diff(psn, wqe->last_psn) <= 0) {
			una = psn;
			break;
		}
		una = rxe_psn_add(wqe->last_psn, 1);
		rxe_sq_complete(qp, IB_WC_SUCCESS);
	}

	if (una != sq->una_psn)
		rxe_set_una(qp, una);
	return !missing;
}

static void rxe_handle_rnr_nak(struct rxe_qp *qp, u8 timer, u32 psn)
{
	struct rxe_sq *sq = &qp->sq;

	rxe_count(rxe_qp_dev(qp), RXE_STAT_RCVD_RNR);
	trace_rxe_rnr_nak_rcvd(rxe_qp_dev(qp), qp->ibqp.qp_num, timer, psn);
	if (sq->rnr_waiting || rxe_broken(rnr))
		return;

	if (qp->attr.rnr_retry != RXE_MAX_RETRY && !rxe_broken(rnr_retries)) {
		if (!sq->rnr_retries) {
			rxe_count(rxe_qp_dev(qp), RXE_STAT_RNR_RETRY_EXCEEDED);
			trace_rxe_retries_exceeded(rxe_qp_dev(qp),
						   qp->ibqp.qp_num,
						   RXE_AGAIN_RNR, psn);
			rxe_sq_fail(qp, IB_WC_RNR_RETRY_EXC_ERR);
			return;
		}
		sq->rnr_retries--;
	}

	rxe_requester_go_back(qp, RXE_AGAIN_RNR);
	sq->rnr_waiting = true;
	sq->probing = true;
	/* the peer has answered; RNR NAKs have a count of their own */
	sq->retries = qp->attr.retry_cnt;
	rxe_sq_note_progress(sq);
	hrtimer_start(&sq->rnr_timer,
		      ns_to_ktime(rxe_broken(rnr_timer) ?
					  0 : rxe_rnr_delay[timer] * 10000ULL),
		      HRTIMER_MODE_REL_SOFT);
}

static void rxe_handle_nak(struct rxe_qp *qp, u8 syndrome, u32 psn)
{
	trace_rxe_nak_rcvd(rxe_qp_dev(qp), qp->ibqp.qp_num, syndrome, psn);
	switch (syndrome) {
	case RXE_SYN_NAK_PSN_SEQ:
		rxe_count(rxe_qp_dev(qp), RXE_STAT_RCVD_SEQ_ERR);
		rxe_retry(qp, RXE_AGAIN_NAK);
		break;
	case RXE_SYN_NAK_INV_REQ:
		rxe_sq_fail(qp, IB_WC_REM_INV_REQ_ERR);
		break;
	case RXE_SYN_NAK_REM_ACCESS:
		rxe_sq_fail(qp, IB_WC_REM_ACCESS_ERR);
		break;
	case RXE_SYN_NAK_REM_OP:
		rxe_sq_fail(qp, IB_WC_REM_OP_ERR);
		break;
	}
}

static u8 rxe_syndrome(const struct rxe_pkt *pkt)
{
	const struct rxe_aeth *aeth = rxe_pkt_eth(pkt);

	return be32_to_cpu(aeth->smsn) >> 24;
}

static void rxe_complete_ack(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	u8 syndrome = rxe_syndrome(pkt);
	u32 psn = pkt->psn;
	bool ack = (syndrome & RXE_SYN_TYPE_MASK) == RXE_SYN_ACK;

	/* a NAK acknowledges all before it */
	if (!rxe_acknowledge(qp, ack ? rxe_psn_add(psn, 1) : psn)) {
		rxe_retry_gap(qp, psn, true);
		return;
	}

	if ((syndrome & RXE_SYN_TYPE_MASK) == RXE_SYN_RNR_NAK)
		rxe_handle_rnr_nak(qp, syndrome & RXE_SYN_VALUE_MASK, psn);
	else if ((syndrome & RXE_SYN_TYPE_MASK) == RXE_SYN_NAK)
		rxe_handle_nak(qp, syndrome, psn);
}

static struct rxe_access rxe_completer_access(struct rxe_qp *qp)
{
	return (struct rxe_access) {
		.pd = qp->ibqp.pd,
		.rights = IB_ACCESS_LOCAL_WRITE,
		.dir = &qp->sq.completer,
		.hold = &qp->sq.hold,
	};
}

static int rxe_store_response(struct rxe_qp *qp, const struct rxe_swqe *wqe,
			      const struct rxe_pkt *pkt, u32 offset)
{
	struct rxe_access access = rxe_completer_access(qp);
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	struct rxe_atmack atmack;
	u64 orig;

	access.ahead = wqe->length - offset;
	if (!rxe_swqe_is_atomic(wqe))
		return rxe_sgl_access(&access, wqe->sge, wqe->num_sge, offset,
				      pkt->payload_len,
				      rxe_copy_payload, &payload);

	memcpy(&atmack, rxe_pkt_eth(pkt) + sizeof(struct rxe_aeth),
	       sizeof(atmack));
	orig = be64_to_cpu(atmack.orig);
	payload = rxe_payload_of(&orig, sizeof(orig));
	return rxe_sgl_access(&access, wqe->sge, wqe->num_sge, 0, sizeof(orig),
			      rxe_copy_payload, &payload);
}

/* Whether @psn is the last that one request packet asked for. */
static bool rxe_ends_request(const struct rxe_qp *qp,
			     const struct rxe_swqe *wqe, u32 psn)
{
	u32 index = rxe_psn_diff(psn, wqe->first_psn);

	return psn == wqe->last_psn ||
	       (index + 1) % (RXE_READ_CHUNK / qp->mtu) == 0;
}

/*
 * Whether a response with the expected PSN has the expected kind and length:
 * IBTA 9.7.6.1. For reads RXE_OP_START is not checked: after going back,
 * responses to the request before may come too.
 */
static bool rxe_response_valid(const struct rxe_qp *qp,
			       const struct rxe_swqe *wqe,
			       const struct rxe_pkt *pkt)
{
	u32 offset = rxe_psn_diff(pkt->psn, wqe->first_psn) * qp->mtu;

	if (rxe_broken(response_valid))
		return true;
	if (pkt->op->flags & RXE_OP_ATOMIC)
		return rxe_swqe_is_atomic(wqe);
	if (wqe->opcode == IB_WR_FLUSH || wqe->opcode == IB_WR_ATOMIC_WRITE)
		return (pkt->op->flags & RXE_OP_START) &&
		       (pkt->op->flags & RXE_OP_END) && !pkt->payload_len;
	return rxe_swqe_is_read(wqe) &&
	       !(pkt->op->flags & RXE_OP_END) ==
		       !rxe_ends_request(qp, wqe, pkt->psn) &&
	       pkt->payload_len == min(wqe->length - offset, qp->mtu);
}

static void rxe_drop_response(struct rxe_qp *qp, u32 psn)
{
	rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_UNEXPECTED_RESPONSE,
		       qp->ibqp.qp_num, psn, 1);
}

/* -EAGAIN: the response has to wait for memory. */
static int rxe_complete_response(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	u32 psn = pkt->psn;
	struct rxe_sq *sq = &qp->sq;
	struct rxe_swqe *wqe;
	u32 offset;
	int err;

	if (!rxe_acknowledge(qp, psn)) {
		rxe_drop_response(qp, psn);
		rxe_retry_gap(qp, psn, false);
		return 0;
	}

	wqe = rxe_oldest(sq);
	if (!wqe || psn != sq->una_psn) {
		rxe_drop_response(qp, psn);
		return 0;
	}

	if (!rxe_response_valid(qp, wqe, pkt)) {
		rxe_sq_fail(qp, IB_WC_BAD_RESP_ERR);
		return 0;
	}

	offset = rxe_psn_diff(psn, wqe->first_psn) * qp->mtu;
	err = rxe_store_response(qp, wqe, pkt, offset);
	if (err == -EAGAIN)
		return err;
	if (err) {
		rxe_sq_fail(qp, rxe_access_status(err));
		return 0;
	}

	if (rxe_ends_request(qp, wqe, psn) && sq->rd_outstanding)
		sq->rd_outstanding--;
	if (psn == wqe->last_psn)
		rxe_sq_complete(qp, IB_WC_SUCCESS);
	rxe_set_una(qp, rxe_psn_add(psn, 1));
	return 0;
}

/*
 * Store responses to one read with one access to memory, none of them the last
 * that a request packet asked for. False: nothing has changed, and @pkt is to
 * be completed by itself.
 */
static bool rxe_complete_run(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	u32 psn = pkt->psn, n, i, index;
	struct rxe_payload payload;
	struct rxe_access access;
	struct rxe_swqe *wqe;

	if (pkt->opcode != IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE ||
	    psn != qp->sq.una_psn)
		return false;
	wqe = rxe_oldest(&qp->sq);
	if (!wqe || !rxe_response_valid(qp, wqe, pkt))
		return false;

	index = rxe_psn_diff(psn, wqe->first_psn);
	n = rxe_pkts_alike(pkt);
	for (i = 1; i < n; i++)
		if (rxe_ends_request(qp, wqe, rxe_psn_add(psn, i)))
			return false;
	if (n < 2)
		return false;

	payload = rxe_pkt_payload(pkt);
	access = rxe_completer_access(qp);
	access.dir = NULL;
	if (rxe_sgl_access(&access, wqe->sge, wqe->num_sge, index * qp->mtu,
			   n * qp->mtu, rxe_copy_payload, &payload))
		return false;

	rxe_set_una(qp, rxe_psn_add(psn, n));
	rxe_pkts_done(pkt, n);
	return true;
}

static bool rxe_completer_live(const struct rxe_qp *qp)
{
	return qp->state == IB_QPS_RTS || qp->state == IB_QPS_SQD;
}

/* Neither a late duplicate, nor an answer to what was never requested. */
static bool rxe_response_due(const struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	if (rxe_broken(response_due))
		return rxe_completer_live(qp);
	return rxe_completer_live(qp) &&
	       rxe_psn_diff(pkt->psn, qp->sq.una_psn) >= 0 &&
	       rxe_psn_diff(pkt->psn, qp->sq.sent_psn) < 0;
}

/* Complete a packet, or @try a run of them; -EAGAIN: it waits for memory. */
static __always_inline int rxe_complete(struct rxe_qp *qp, void *arg, bool try)
{
	const struct rxe_pkt *pkt = arg;
	int err = 0;

	/* a response when rxe_rcv() looked: see rxe_is_request() */
	if (unlikely(!(pkt->op->flags & RXE_OP_RESPONSE))) {
		rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_RCVD_DROPS,
			       qp->ibqp.qp_num, pkt->psn, 1);
		rxe_pkt_done(pkt);
		return 0;
	}
	if (try)
		return rxe_complete_run(qp, pkt) ? 0 : -EAGAIN;

	if (pkt->opcode == IB_OPCODE_RC_ACKNOWLEDGE)
		rxe_complete_ack(qp, pkt);
	else
		err = rxe_complete_response(qp, pkt);
	if (err != -EAGAIN)
		rxe_pkt_done(pkt);
	return err;
}

static void rxe_check_drained(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;
	struct ib_event event = {
		.device = qp->ibqp.device,
		.event = IB_EVENT_SQ_DRAINED,
		.element.qp = &qp->ibqp,
	};

	if (qp->state != IB_QPS_SQD || !sq->draining ||
	    (rxe_oldest(sq) && !rxe_broken(sq_drained)))
		return;

	sq->draining = false;
	if (qp->attr.en_sqd_async_notify && qp->ibqp.event_handler)
		qp->ibqp.event_handler(&event, qp->ibqp.qp_context);
}

/**
 * rxe_completer_progress - go on with the send queue, and tell if it is drained
 * @qp: the QP
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_completer_progress(struct rxe_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	rxe_requester_run(qp);
	rxe_check_drained(qp);
}

/* A response that is not due will not be: it answers nothing that was sent. */
static bool rxe_response_may_wait(const struct rxe_pkt *pkt, void *arg)
{
	struct rxe_qp *qp = arg;

	if (rxe_response_due(qp, pkt) || rxe_broken(wait_due))
		return true;

	rxe_drop_response(qp, pkt->psn);
	return false;
}

/* Responses wait, so that those that come have to wait behind them. */
static bool rxe_completer_busy(const struct rxe_sq *sq)
{
	return sq->completer.parked || !rxe_backlog_empty(&sq->completer.backlog);
}

static void rxe_defer_responses(struct rxe_qp *qp, struct sk_buff *skb)
{
	rxe_count(rxe_qp_dev(qp), RXE_STAT_ACK_DEFERRED);
	if (rxe_backlog_add_some(rxe_qp_dev(qp), &qp->sq.completer.backlog, skb,
				 RXE_PARKED_RESPONSES, rxe_response_may_wait, qp)) {
		consume_skb(skb);
	} else {
		qp->sq.response_dropped = true;
		kfree_skb(skb);
	}
}

/*
 * All responses that waited have been completed, but for some that were dropped: ask for
 * these again. The gap that one leaves does not show where it was the last, and the ACK
 * timer does not run with a timeout of 0.
 */
static void rxe_request_dropped(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;

	if (!sq->response_dropped || rxe_completer_busy(sq))
		return;
	sq->response_dropped = false;
	/* not if nothing has been sent since the requester went back */
	if (rxe_completer_live(qp) && sq->psn != sq->una_psn)
		rxe_requester_go_back(qp, RXE_AGAIN_DROPPED);
}

/* Complete a batch; false: the rest of it has to wait. */
static bool rxe_complete_batch(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_pkt pkt;

	while (rxe_pkt_next(&pkt, skb)) {
		if (!rxe_response_due(qp, &pkt)) {
			rxe_drop_response(qp, pkt.psn);
			rxe_pkt_done(&pkt);
		} else if (rxe_try_then_park(rxe_complete, qp, &pkt) == -EAGAIN) {
			return false;
		}
	}
	return true;
}

/**
 * rxe_completer_rcv - receive responses
 * @qp: the QP they are for, held
 * @skb: the batch; consumed
 *
 * Context: BH disabled, under RCU.
 */
void rxe_completer_rcv(struct rxe_qp *qp, struct sk_buff *skb)
{
	struct rxe_sq *sq = &qp->sq;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	spin_lock(&sq->lock);
	if (rxe_completer_busy(sq)) {
		rxe_defer_responses(qp, skb);
		goto unlock;
	}
	if (rxe_complete_batch(qp, skb))
		consume_skb(skb);
	else
		rxe_defer_responses(qp, skb);
	rxe_completer_progress(qp);
unlock:
	rxe_key_release(&sq->hold);
	spin_unlock(&sq->lock);
}

static void rxe_requester_continue(struct rxe_direction *dir)
{
	rxe_completer_progress(container_of(dir, struct rxe_qp, sq.requester));
}

/*
 * Complete responses that waited, then go on with the send queue. The work goes
 * on once the budget is spent.
 */
static void rxe_completer_continue(struct rxe_direction *dir)
{
	struct rxe_qp *qp = container_of(dir, struct rxe_qp, sq.completer);
	int budget = RXE_COMPLETER_BUDGET;
	struct sk_buff *skb;

	/* a work that was queued before may find it parked */
	while (!dir->parked && (skb = rxe_backlog_peek(&dir->backlog))) {
		if (budget <= 0) {
			queue_delayed_work(rxe_wq, &dir->work, 0);
			break;
		}
		budget -= max_t(u32, skb->len, RXE_COMPLETER_COST);
		if (!rxe_complete_batch(qp, skb))
			break;
		rxe_backlog_consume(&dir->backlog);
	}
	rxe_request_dropped(qp);
	rxe_completer_progress(qp);
	rxe_key_release(&qp->sq.hold);
}

/* The peer was not late meanwhile: this end waited for memory. */
static void rxe_requester_wait_over(struct rxe_direction *dir)
{
	struct rxe_sq *sq = container_of(dir, struct rxe_sq, requester);

	sq->unpark_due = false;
	rxe_sq_note_progress(sq);
}

static void rxe_completer_wait_over(struct rxe_direction *dir)
{
	rxe_sq_note_progress(container_of(dir, struct rxe_sq, completer));
}

static void rxe_completer_dropped(struct rxe_direction *dir)
{
	container_of(dir, struct rxe_sq, completer)->response_dropped = true;
}

const struct rxe_direction_ops rxe_requester_ops = {
	.run = rxe_requester_continue,
	.wait_over = rxe_requester_wait_over,
};

const struct rxe_direction_ops rxe_completer_ops = {
	.run = rxe_completer_continue,
	.wait_over = rxe_completer_wait_over,
	.dropped = rxe_completer_dropped,
};

/* Whether the peer has been asked for an acknowledgment that has not come. */
static bool rxe_awaits_ack(const struct rxe_sq *sq)
{
	return rxe_psn_diff(sq->ack_psn, sq->una_psn) >= 0;
}

/**
 * rxe_ack_timeout - the local ACK timer fired
 * @timer: of a send queue
 *
 * Context: softirq.
 */
void rxe_ack_timeout(struct timer_list *timer)
{
	struct rxe_sq *sq = timer_container_of(sq, timer, timer);
	struct rxe_qp *qp = container_of(sq, struct rxe_qp, sq);
	unsigned long timeout, patience;

	spin_lock(&sq->lock);
	if (!rxe_completer_live(qp) || rxe_broken(ack_timeout))
		goto unlock;
	if (sq->unpark_due)
		rxe_requester_unpark(sq);

	/* the peer is not late while we wait, or have packets queued here */
	if (sq->rnr_waiting || rxe_completer_busy(sq) ||
	    (sq->requester.parked &&
	     (!rxe_awaits_ack(sq) || rxe_broken(retry_parked))))
		rxe_sq_note_progress(sq);
	else if (atomic_read(&qp->anchor->flows[RXE_FLOW_REQUESTS].in_flight) &&
		 time_before(jiffies, sq->queued_until))
		sq->progress = jiffies;

	timeout = rxe_ack_timeout_jiffies(qp);
	/* the peer's memory may be missing, too, and nothing else could be sent */
	patience = sq->requester.parked ? RXE_PARKED_PATIENCE * timeout : timeout;
	/* sent_psn, not psn: also if nothing was sent since going back */
	if (qp->attr.timeout && sq->sent_psn != sq->una_psn) {
		if (time_after_eq(jiffies, sq->progress + patience)) {
			/*
			 * Nothing has come back at all. If the path or the peer
			 * is overloaded, repeating the whole windows of all
			 * connections keeps it overloaded.
			 */
			sq->probing = true;
			rxe_retry(qp, RXE_AGAIN_TIMEOUT);
		}
		/* a requester that goes on meanwhile is as patient as ever */
		if (rxe_completer_live(qp))
			mod_timer(&sq->timer, timeout +
				  (sq->requester.parked ? jiffies : sq->progress));
	}
	rxe_completer_progress(qp);
unlock:
	spin_unlock(&sq->lock);
}

/**
 * rxe_rnr_timeout - the RNR timer fired: the peer may be ready by now
 * @timer: of a send queue
 *
 * Context: softirq.
 * Return: HRTIMER_NORESTART.
 */
enum hrtimer_restart rxe_rnr_timeout(struct hrtimer *timer)
{
	struct rxe_sq *sq = container_of(timer, struct rxe_sq, rnr_timer);
	struct rxe_qp *qp = container_of(sq, struct rxe_qp, sq);

	spin_lock(&sq->lock);
	if (sq->rnr_waiting) {
		sq->rnr_waiting = false;
		rxe_completer_progress(qp);
	}
	spin_unlock(&sq->lock);

	return HRTIMER_NORESTART;
}
