// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The requester of the connected services: IBTA volume 1, 9.7.3 and 9.8.2. */
#include <linux/sched/clock.h>

#include "base/rule.h"
#include "base/trace.h"
#include "base/wire.h"
#include "base/work.h"
#include "mem/access.h"
#include "mem/kernel_mr.h"
#include "mem/mw.h"
#include "obj/qp.h"
#include "obj/send_queue.h"
#include "transport/message.h"
#include "transport/placement.h"
#include "transport/read_request.h"
#include "transport/request.h"
#include "transport/requester.h"
#include "transport/ud.h"
#include "wait/anchor.h"
#include "wait/direction.h"
#include "wait/flow.h"

/* bytes sent in softirq context; see rxe_requester_run() */
#define RXE_SOFTIRQ_BUDGET	(4 << 10)
/* bytes sent under one hold of the lock, before others get a turn */
#define RXE_REQUESTER_BUDGET	(72 << 10)
/* turns of RXE_TX_FIRST bytes while the peer has nothing to do */
#define RXE_FIRST_TURNS		3
/* bytes that a request counts for at least */
#define RXE_REQUEST_COST	64
/*
 * PSNs of responses that may be under way when more are requested. A responder
 * may send all at once, and a netdev's queue has room for a thousand.
 */
#define RXE_READ_WINDOW		512
/* small requests that wait for an acknowledgment, to leave in one batch */
#define RXE_GATHER_MAX		32
#define RXE_GATHER_LEN		512
/* PSNs that are under way meanwhile, so that the peer has something to do */
#define RXE_GATHER_PSNS		4
/* how long a packet may be queued on a busy host, in jiffies */
#define RXE_QUEUED_AT_MOST	msecs_to_jiffies(100)

static void rxe_number_wqe(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	u32 psns = 1;

	if (rxe_swqe_is_local(wqe))
		psns = 0;
	else if (!rxe_swqe_is_atomic(wqe) && wqe->length)
		psns = DIV_ROUND_UP(wqe->length, qp->mtu);

	wqe->first_psn = qp->sq.psn;
	wqe->last_psn = rxe_psn_add(wqe->first_psn, psns - 1);
	wqe->numbered = true;
}

/* IBTA 10.8.3.3: a fence waits for the reads and atomics before it. */
static bool rxe_wqe_may_start(struct rxe_qp *qp, const struct rxe_swqe *wqe)
{
	if (qp->state == IB_QPS_SQD && !rxe_broken(sqd))
		return false;
	return !(wqe->flags & IB_SEND_FENCE) || !qp->sq.rd_outstanding ||
	       rxe_broken(fence);
}

static struct rxe_swqe *rxe_requester_next(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;
	struct rxe_swqe *wqe;

	if (sq->next == sq->fetched && !rxe_sq_fetch(qp))
		return NULL;

	wqe = rxe_sq_wqe(sq, sq->next);
	if (wqe->error || wqe->numbered)
		return wqe;
	if (!rxe_wqe_may_start(qp, wqe))
		return NULL;

	rxe_number_wqe(qp, wqe);
	return wqe;
}

/*
 * The last packet asked for no acknowledgment, since a later one was to ask;
 * now none follows. Go back to it: sent again, it asks.
 */
static bool rxe_resend_for_ack(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;
	u32 last = rxe_psn_add(sq->psn, -1);

	if (sq->psn == sq->una_psn || rxe_psn_diff(last, sq->ack_psn) <= 0)
		return false;

	if (sq->next == sq->fetched ||
	    !rxe_sq_wqe(sq, sq->next)->numbered ||
	    rxe_sq_wqe(sq, sq->next)->first_psn == sq->psn)
		sq->next--;
	while (rxe_swqe_is_local(rxe_sq_wqe(sq, sq->next)))
		sq->next--;
	sq->psn = last;
	sq->ack_psn = rxe_psn_add(last, -RXE_ACK_INTERVAL);
	return true;
}

static int rxe_request(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 budget)
{
	if (rxe_is_datagram(qp))
		return rxe_ud_request(qp, wqe);

	switch (wqe->opcode) {
	case IB_WR_RDMA_READ:
		return rxe_request_read(qp, wqe);
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return rxe_request_atomic(qp, wqe);
	case IB_WR_FLUSH:
		return rxe_request_flush(qp, wqe);
	case IB_WR_ATOMIC_WRITE:
		return rxe_request_atomic_write(qp, wqe);
	default:
		return rxe_request_message(qp, wqe, budget);
	}
}

static bool rxe_window_open(const struct rxe_qp *qp,
			    const struct rxe_swqe *wqe)
{
	int window = rxe_swqe_is_read(wqe) ? RXE_READ_WINDOW : RXE_WINDOW;
	const struct rxe_sq *sq = &qp->sq;

	/* one packet: a whole window may be lost time and again */
	if (sq->probing)
		return sq->psn == sq->una_psn;
	return rxe_psn_diff(sq->psn, sq->una_psn) < window ||
	       rxe_broken(window);
}

static int rxe_execute_locally(struct rxe_qp *qp, const struct rxe_swqe *wqe)
{
	switch (wqe->opcode) {
	case IB_WR_BIND_MW:
		return rxe_mw_bind(qp->ibqp.pd, qp->ibqp.qp_num, &wqe->bind);
	case IB_WR_REG_MR:
		return rxe_mr_register(qp->ibqp.pd, &wqe->reg);
	default:
		return rxe_invalidate(qp->ibqp.pd, qp->ibqp.qp_num, wqe->rkey);
	}
}

/* Execute a local request: it is done then, or has failed. */
static void rxe_execute(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	struct rxe_sq *sq = &qp->sq;
	int err = 0;

	if (!wqe->executed)
		err = rxe_execute_locally(qp, wqe);
	if (err) {
		wqe->error = IB_WC_MW_BIND_ERR;
		return;
	}

	wqe->executed = true;
	sq->next++;
	if (sq->next - sq->done == 1)
		rxe_sq_complete(qp, IB_WC_SUCCESS);
}

/*
 * Whether the peer has all that was sent; without acknowledgments: whether that
 * was some time ago. See rxe_flow_may_send().
 */
static bool rxe_all_arrived(const struct rxe_qp *qp)
{
	const struct rxe_sq *sq = &qp->sq;

	if (!rxe_is_reliable(qp))
		return time_after(jiffies, sq->progress + RXE_QUEUED_AT_MOST);
	return sq->psn == sq->una_psn;
}

/*
 * There is no memory for a packet: try again after 1, 2, 4 ms and so on, as some may
 * become free. In the end the request of a program fails, as it does without memory for
 * its pages. One of the kernel's may be what frees memory, as that of a swap device:
 * it is tried for as long as it takes. Returns whether the request has failed.
 */
static bool rxe_wait_for_memory(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	struct rxe_sq *sq = &qp->sq;
	unsigned int delay = RXE_NO_MEMORY_MS;

	if (sq->no_memory_made != sq->tx.made) {
		sq->no_memory_made = sq->tx.made;
		sq->no_memory_tries = 0;
	}
	/* tries that something else brings about do not count */
	if (!sq->no_memory_tries ||
	    time_after_eq(jiffies, sq->no_memory_until)) {
		if (1 << sq->no_memory_tries <= RXE_NO_MEMORY_MS) {
			delay = 1 << sq->no_memory_tries++;
		} else if (qp->anchor->faulter) {
			sq->no_memory_tries = 0;
			wqe->error = IB_WC_LOC_QP_OP_ERR;
			return true;
		}
		sq->no_memory_until = jiffies + msecs_to_jiffies(delay);
	}
	rxe_sq_run_within(qp, sq->no_memory_until - jiffies);
	return false;
}

/* Send something; false: there is nothing to send, or it has to wait. */
static bool rxe_requester_step(struct rxe_qp *qp, u32 budget)
{
	struct rxe_sq *sq = &qp->sq;
	struct rxe_swqe *wqe;
	int err;

	if (sq->requester.parked || sq->rnr_waiting)
		return false;

	wqe = rxe_requester_next(qp);
	if (!wqe)
		return qp->state == IB_QPS_SQD && rxe_resend_for_ack(qp);

	if (wqe->error) {
		/* errors come in order: after those ahead have completed */
		if (sq->next != sq->done)
			return rxe_resend_for_ack(qp);
		rxe_sq_fail(qp, wqe->error);
		return false;
	}

	if (rxe_swqe_is_local(wqe)) {
		/* request an acknowledgment: one completes all of them */
		if (sq->next - sq->done >= RXE_LOCAL_AHEAD)
			return rxe_resend_for_ack(qp);
		rxe_execute(qp, wqe);
		return true;
	}

	if (!rxe_window_open(qp, wqe) ||
	    !rxe_flow_may_send(&qp->anchor->flows[RXE_FLOW_REQUESTS],
			       rxe_all_arrived(qp)))
		return false;

	err = rxe_request(qp, wqe, budget);
	switch (err) {
	case 0:
		return true;
	case -EBUSY:
	case -EAGAIN:
		return false;
	case -ENOMEM:
		return rxe_wait_for_memory(qp, wqe);
	case -ENXIO:
		wqe->error = IB_WC_LOC_QP_OP_ERR;
		return true;
	default:
		wqe->error = rxe_access_status(err);
		return true;
	}
}

/**
 * rxe_requester_should_batch - whether posted requests should wait for more
 * @qp: the QP; its user has posted something
 *
 * While the peer has enough to do, small requests gather, and leave in one
 * batch when the requester next runs: at the acknowledgment that is under way,
 * or after a jiffy.
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: true if they should; false: call rxe_requester_begin().
 */
bool rxe_requester_should_batch(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;
	const struct rxe_swqe *wqe;

	lockdep_assert_held(&qp->sq.lock);
	if (!rxe_is_reliable(qp) ||
	    rxe_psn_diff(sq->psn, sq->una_psn) < RXE_GATHER_PSNS ||
	    rxe_psn_diff(sq->ack_psn, sq->una_psn) < 0)
		return false;

	while (sq->fetched - sq->next < RXE_GATHER_MAX) {
		wqe = rxe_sq_fetch(qp);
		if (!wqe) {
			rxe_sq_run_within(qp, 1);
			return true;
		}
		if (wqe->length > RXE_GATHER_LEN)
			return false;
	}
	return false;
}

/* Send up to @budget bytes; false: there may be more. */
static bool rxe_requester_turn(struct rxe_qp *qp, int budget)
{
	struct rxe_tx *tx = &qp->sq.tx;
	u32 made;

	while (budget > 0) {
		made = tx->made;
		if ((qp->state != IB_QPS_RTS && qp->state != IB_QPS_SQD) ||
		    !rxe_requester_step(qp, budget))
			break;
		budget -= max_t(u32, tx->made - made, RXE_REQUEST_COST);
	}
	rxe_key_release(&qp->sq.hold);
	rxe_tx_flush(tx);

	return budget > 0;
}

/**
 * rxe_requester_run - send what may be sent
 * @qp: the QP
 *
 * The queue's work sends what exceeds the budget. In softirq context that is
 * most of it: a receiver on another CPU of this machine is notified only when
 * all softirqs have run here, and would be idle until then.
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_requester_run(struct rxe_qp *qp)
{
	bool softirq = in_serving_softirq();

	lockdep_assert_held(&qp->sq.lock);
	/* the work that is queued will send it */
	if (softirq && delayed_work_pending(&qp->sq.requester.work))
		return;

	if (!rxe_requester_turn(qp, softirq ? RXE_SOFTIRQ_BUDGET :
					      RXE_REQUESTER_BUDGET))
		queue_delayed_work(rxe_wq, &qp->sq.requester.work, 0);
}

/**
 * rxe_requester_begin - send what may be sent, after a program has posted
 * @qp: the QP
 *
 * While nothing is under way the first packets leave early: the peer works on
 * them while the next are made.
 *
 * Context: process; the send queue's lock is held, and dropped between turns.
 */
void rxe_requester_begin(struct rxe_qp *qp)
	__must_hold(&qp->sq.lock)
{
	struct rxe_sq *sq = &qp->sq;
	int turns = sq->psn == sq->una_psn ? RXE_FIRST_TURNS : 0;
	u64 began;

	lockdep_assert_held(&sq->lock);
	while (turns--) {
		if (rxe_requester_turn(qp, RXE_TX_FIRST))
			return;
		/* let softirqs run */
		spin_unlock_bh(&sq->lock);
		spin_lock_bh(&sq->lock);
	}
	began = local_clock();
	rxe_requester_run(qp);
	rxe_work_account(began);
}

/**
 * rxe_requester_unpark - do not wait for memory of later requests any more
 * @sq: has something else to send, or to repeat
 *
 * If that may not be now, as too many faults are abandoned already, the ACK timer asks
 * again.
 *
 * Context: BH disabled, the send queue's lock is held.
 */
void rxe_requester_unpark(struct rxe_sq *sq)
{
	lockdep_assert_held(&sq->lock);
	rxe_try_unpark(&sq->requester);
	sq->unpark_due = sq->requester.parked;
}

/**
 * rxe_requester_go_back - begin again at the oldest unacknowledged PSN
 * @qp: the QP
 * @why: the reason
 *
 * Context: the send queue's lock is held.
 */
void rxe_requester_go_back(struct rxe_qp *qp, enum rxe_again why)
{
	struct rxe_sq *sq = &qp->sq;

	lockdep_assert_held(&qp->sq.lock);
	rxe_count(rxe_qp_dev(qp), RXE_STAT_RETRANSMIT);
	trace_rxe_retransmit(rxe_qp_dev(qp), qp->ibqp.qp_num, why, sq->una_psn,
			     rxe_psn_add(sq->sent_psn, -1),
			     why == RXE_AGAIN_RNR ? sq->rnr_retries :
						    sq->retries);
	if (rxe_broken(go_back))
		return;
	/* a retransmission need not wait for memory of later requests */
	if (sq->psn != sq->una_psn)
		rxe_requester_unpark(sq);
	sq->next = sq->done;
	sq->psn = sq->una_psn;
	sq->ack_psn = rxe_psn_add(sq->una_psn, -1);
	sq->rd_outstanding = 0;
}
