// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "base/order.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "base/wire.h"
#include "base/work.h"
#include "mem/access.h"
#include "obj/qp.h"
#include "transport/ack.h"
#include "transport/read_response.h"
#include "transport/response.h"
#include "transport/run.h"
#include "wait/anchor.h"
#include "wait/direction.h"
#include "wait/flow.h"

static struct rxe_resource *rxe_new_resource(struct rxe_qp *qp,
					     enum rxe_resource_kind kind,
					     u32 psns)
{
	struct rxe_rq *rq = &qp->rq;
	struct rxe_resource *res;

	res = &rq->resources[rq->next_resource];
	rq->next_resource = (rq->next_resource + 1) % rq->num_resources;
	res->kind = kind;
	res->first = rq->expected;
	res->psns = psns;
	return res;
}

/*
 * Find the request that a repeated one repeats, and which of its PSNs is the first that
 * is asked for again. The PSN alone does not tell: it may have come round since.
 */
static struct rxe_resource *rxe_find_resource(struct rxe_qp *qp,
					      enum rxe_resource_kind kind,
					      u32 psn, u64 *nth)
{
	struct rxe_rq *rq = &qp->rq;
	u64 first = rq->expected + rxe_psn_diff(psn, rq->epsn);
	struct rxe_resource *res;

	for (res = rq->resources; res < rq->resources + rq->num_resources; res++) {
		*nth = first - res->first;
		if (res->kind == kind && *nth < res->psns)
			return res;
	}
	return NULL;
}

static void rxe_request_done(struct rxe_qp *qp, u32 psns)
{
	struct rxe_rq *rq = &qp->rq;

	rxe_rq_advance(rq, psns);
	rq->msn = (rq->msn + 1) & RXE_PSN_MASK;
}

static void rxe_begin_read(struct rxe_qp *qp, const struct rxe_reth *reth,
			   u32 psn)
{
	rxe_order_loads();
	qp->rq.read = (struct rxe_read) {
		.active = true,
		.rkey = be32_to_cpu(reth->rkey),
		.va = be64_to_cpu(reth->va),
		.resid = be32_to_cpu(reth->len),
		.psn = psn,
	};
}

static u8 rxe_read_opcode(bool first, bool last)
{
	if (first)
		return last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY :
			      IB_OPCODE_RC_RDMA_READ_RESPONSE_FIRST;
	return last ? IB_OPCODE_RC_RDMA_READ_RESPONSE_LAST :
		      IB_OPCODE_RC_RDMA_READ_RESPONSE_MIDDLE;
}

/**
 * struct rxe_read_run - responses to one read, made in one access to memory
 * @run: how they are made
 * @qp: the responder; its rq.read describes the packet that is made
 */
struct rxe_read_run {
	struct rxe_tx_run run;
	struct rxe_qp *qp;
};

static bool rxe_read_packet_begin(struct rxe_read_run *r)
{
	struct rxe_read *read = &r->qp->rq.read;
	u32 len = min(read->resid, r->qp->mtu);
	u8 opcode = rxe_read_opcode(!read->started, len == read->resid);
	struct rxe_tx *tx = r->run.tx;
	struct rxe_aeth *aeth;
	struct rxe_bth *bth;

	bth = rxe_tx_begin(tx, &r->qp->path, opcode, read->psn, len);
	if (!bth)
		return false;

	if (rxe_opcodes[opcode].flags & RXE_OP_ACK) {
		aeth = (struct rxe_aeth *)(bth + 1);
		aeth->smsn = rxe_aeth_smsn(r->qp, RXE_SYN_ACK_UNLIMITED);
	}
	rxe_tx_headers_done(tx);
	r->run.left = len;
	return true;
}

static void rxe_read_advance(struct rxe_read *read, u32 len)
{
	read->started = true;
	read->va += len;
	read->resid -= len;
	read->psn = rxe_psn_add(read->psn, 1);
	read->active = read->resid;
}

static void rxe_read_packet_end(struct rxe_read_run *r)
{
	struct rxe_read *read = &r->qp->rq.read;

	rxe_read_advance(read, min(read->resid, r->qp->mtu));
	rxe_tx_commit(r->run.tx);
	/* Retransmit singly: the path may be losing GSO aggregates. */
	if (read->repeated)
		rxe_tx_flush(r->run.tx);
}

static bool rxe_read_packet_next(struct rxe_tx_run *run)
{
	struct rxe_read_run *r = container_of(run, struct rxe_read_run, run);
	struct rxe_read *read = &r->qp->rq.read;
	u32 mtu = r->qp->mtu;

	/* this packet and the next are both in the middle */
	if (read->started && read->resid > 2 * mtu &&
	    rxe_tx_begin_alike(run->tx, rxe_psn_add(read->psn, 1))) {
		rxe_read_advance(read, mtu);
		run->left = mtu;
		return true;
	}

	rxe_read_packet_end(r);
	return rxe_read_packet_begin(r);
}

static u32 rxe_read_packets(const struct rxe_qp *qp, u32 budget)
{
	u32 packets = min(budget, RXE_TX_RUN) / qp->mtu;

	if (qp->rq.read.repeated)
		return 1;
	return max(min(packets, rxe_tx_packets_left(&qp->rq.tx)), 1U);
}

/* Send the next response; on @try as many as can leave together. */
static int rxe_read_send(struct rxe_qp *qp, void *arg, bool try)
{
	int budget = *(const int *)arg;
	struct rxe_read *read = &qp->rq.read;
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_REMOTE_READ);
	struct rxe_read_run r = {
		.run.tx = &qp->rq.tx,
		.run.next = rxe_read_packet_next,
		.qp = qp,
	};
	int err = 0;

	if (!rxe_read_packet_begin(&r))
		return -ENOMEM;

	access.key = read->rkey;
	access.iova = read->va;
	access.len = min(read->resid,
			 rxe_read_packets(qp, try ? budget : 0) * qp->mtu);
	access.ahead = read->resid;
	if (try)
		access.dir = NULL;
	if (access.len)
		err = rxe_mr_access(&access, rxe_tx_run_copy, &r.run);
	if (err)
		rxe_tx_cancel(r.run.tx);
	else
		rxe_read_packet_end(&r);
	return err;
}

/**
 * rxe_read_continue - send responses of the read that is being answered
 * @qp: the responder
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: true: no read is left; false: it goes on later.
 */
bool rxe_read_continue(struct rxe_qp *qp)
{
	struct rxe_rq *rq = &qp->rq;
	int budget, err;

	lockdep_assert_held(&qp->rq.lock);
	while (rq->read.active) {
		/* the requester moves when it has all answers, and we follow */
		if (!rxe_flow_may_send(&qp->anchor->flows[RXE_FLOW_RESPONSES],
				       true))
			return false;
		budget = rq->turn_end - rq->tx.made;
		if (budget <= 0) {
			queue_delayed_work(rxe_wq, &qp->rq.responder.work, 0);
			return false;
		}

		err = rxe_try_then_park(rxe_read_send, qp, &budget);
		switch (err) {
		case 0:
			break;
		case -EAGAIN:
			return false;
		case -ENOMEM:
			/* counted, and asked for again: as if the network had lost it */
			rq->read.active = false;
			break;
		default:
			rq->read.active = false;
			rxe_responder_fail(qp, rxe_access_syndrome(err),
					   rq->read.psn);
		}
	}
	return true;
}

/**
 * rxe_respond_read - execute a read request
 * @qp: the responder
 * @pkt: the request, with the expected PSN
 *
 * Context: the receive queue's lock is held.
 * Return: 0: rxe_read_continue() sends the data; or a NAK code.
 */
int rxe_respond_read(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_reth *reth = rxe_pkt_eth(pkt);
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_REMOTE_READ);
	struct rxe_resource *res;
	u32 psns;

	lockdep_assert_held(&qp->rq.lock);
	access.key = be32_to_cpu(reth->rkey);
	access.iova = be64_to_cpu(reth->va);
	access.len = be32_to_cpu(reth->len);
	if (access.len > RXE_MAX_MSG || !qp->rq.num_resources)
		return RXE_SYN_NAK_INV_REQ;
	if (access.len && rxe_mr_check(&access))
		return RXE_SYN_NAK_REM_ACCESS;

	psns = max_t(u32, DIV_ROUND_UP(access.len, qp->mtu), 1);
	res = rxe_new_resource(qp, RXE_RESOURCE_READ, psns);
	res->va = access.iova;
	res->len = access.len;
	rxe_begin_read(qp, reth, qp->rq.epsn);
	rxe_request_done(qp, psns);
	return 0;
}

/**
 * rxe_repeat_read - answer a read request again
 * @qp: the responder
 * @pkt: the request; it may ask for the rest of the original one only
 *
 * IBTA 9.7.5.1.5: memory is read anew. A request for anything but a part of a
 * remembered read is dropped.
 *
 * Context: the receive queue's lock is held.
 */
void rxe_repeat_read(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_reth *reth = rxe_pkt_eth(pkt);
	u32 psn = pkt->psn;
	struct rxe_resource *res;
	u64 nth, offset;

	lockdep_assert_held(&qp->rq.lock);
	res = rxe_find_resource(qp, RXE_RESOURCE_READ, psn, &nth);
	if (!res)
		return;

	offset = nth * qp->mtu;
	if ((be64_to_cpu(reth->va) != res->va + offset ||
	     offset + be32_to_cpu(reth->len) > res->len) &&
	    !rxe_broken(read_again))
		return;

	rxe_begin_read(qp, reth, psn);
	qp->rq.read.repeated = true;
}

static void rxe_send_atomic_ack(struct rxe_qp *qp, u32 psn, u64 orig)
{
	struct rxe_tx *tx = &qp->rq.tx;
	struct rxe_atmack *atmack;
	struct rxe_aeth *aeth;
	struct rxe_bth *bth;

	bth = rxe_tx_begin(tx, &qp->path, IB_OPCODE_RC_ATOMIC_ACKNOWLEDGE, psn,
			   0);
	/* no memory: as if the network had lost it, the requester asks again */
	if (!bth)
		return;

	aeth = (struct rxe_aeth *)(bth + 1);
	aeth->smsn = rxe_aeth_smsn(qp, RXE_SYN_ACK_UNLIMITED);
	atmack = (struct rxe_atmack *)(aeth + 1);
	atmack->orig = cpu_to_be64(orig);
	rxe_tx_headers_done(tx);
	rxe_tx_commit(tx);
}

struct rxe_atomic {
	bool swap;
	u64 compare;
	u64 swap_add;
	u64 orig;
};

static int rxe_do_atomic(void *kaddr, size_t len, void *arg)
{
	struct rxe_atomic *atomic = arg;

	/* in a window, an aligned address may be unaligned in memory */
	if (len != sizeof(u64) || !IS_ALIGNED((unsigned long)kaddr, len))
		return -EINVAL;

	if (atomic->swap)
		atomic->orig = cmpxchg64((u64 *)kaddr, atomic->compare,
					 atomic->swap_add);
	else
		atomic->orig = atomic64_fetch_add(atomic->swap_add, kaddr);
	return 0;
}

/**
 * rxe_respond_atomic - execute an atomic request
 * @qp: the responder
 * @pkt: the request, with the expected PSN
 *
 * One CPU instruction changes the memory, so that it is atomic against
 * programs, too (IB_ATOMIC_GLOB).
 *
 * Context: the receive queue's lock is held.
 * Return: 0, -EAGAIN: the request waits for memory, or a NAK code.
 */
int rxe_respond_atomic(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_atmeth *atmeth = rxe_pkt_eth(pkt);
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_REMOTE_ATOMIC);
	struct rxe_atomic atomic = {
		.swap = pkt->opcode == IB_OPCODE_RC_COMPARE_SWAP,
		.compare = be64_to_cpu(atmeth->compare),
		.swap_add = be64_to_cpu(atmeth->swap_add),
	};
	struct rxe_resource *res;
	int err;

	lockdep_assert_held(&qp->rq.lock);
	access.key = be32_to_cpu(atmeth->rkey);
	access.iova = be64_to_cpu(atmeth->va);
	access.len = sizeof(u64);
	if (!IS_ALIGNED(access.iova, sizeof(u64)) || !qp->rq.num_resources)
		return RXE_SYN_NAK_INV_REQ;

	rxe_order_loads();
	err = rxe_mr_access(&access, rxe_do_atomic, &atomic);
	if (err == -EINVAL)
		return RXE_SYN_NAK_INV_REQ;
	if (err)
		return err == -EAGAIN ? err : rxe_access_syndrome(err);

	res = rxe_new_resource(qp, RXE_RESOURCE_ATOMIC, 1);
	res->orig = atomic.orig;
	rxe_request_done(qp, 1);
	rxe_send_atomic_ack(qp, pkt->psn, atomic.orig);
	return 0;
}

/**
 * rxe_repeat_atomic - answer an atomic request again
 * @qp: the responder
 * @pkt: the request
 *
 * IBTA 9.7.5.1.5: the saved result is sent, nothing is executed.
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_repeat_atomic(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	u32 psn = pkt->psn;
	struct rxe_resource *res;
	u64 nth;

	lockdep_assert_held(&qp->rq.lock);
	res = rxe_find_resource(qp, RXE_RESOURCE_ATOMIC, psn, &nth);
	if (res && rxe_broken(atomic_again))
		rxe_respond_atomic(qp, pkt);
	else if (res)
		rxe_send_atomic_ack(qp, psn, res->orig);
}

static void rxe_send_placement_ack(struct rxe_qp *qp, u32 psn)
{
	rxe_send_aeth(qp, IB_OPCODE_RC_RDMA_READ_RESPONSE_ONLY,
		      RXE_SYN_ACK_UNLIMITED, psn);
}

/**
 * rxe_answer_placement - answer a flush or an atomic write that was executed
 * @qp: the responder
 * @psn: of the request, the expected one
 *
 * IBTA A19: the response is that of a read of no bytes.
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_answer_placement(struct rxe_qp *qp, u32 psn)
{
	lockdep_assert_held(&qp->rq.lock);
	rxe_new_resource(qp, RXE_RESOURCE_PLACEMENT, 1);
	rxe_request_done(qp, 1);
	rxe_send_placement_ack(qp, psn);
}

/**
 * rxe_repeat_placement - answer a flush or an atomic write again
 * @qp: the responder
 * @pkt: the request
 *
 * Nothing is executed: what was written may have been overwritten since.
 *
 * Context: BH disabled, the receive queue's lock is held.
 */
void rxe_repeat_placement(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	u32 psn = pkt->psn;
	u64 nth;

	lockdep_assert_held(&qp->rq.lock);
	if (rxe_find_resource(qp, RXE_RESOURCE_PLACEMENT, psn, &nth))
		rxe_send_placement_ack(qp, psn);
}
