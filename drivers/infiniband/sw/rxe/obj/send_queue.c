// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/mm.h>

#include "base/rule.h"
#include "base/wire.h"
#include "obj/cq.h"
#include "obj/ring.h"
#include "obj/send_queue.h"

static const enum ib_wc_opcode rxe_send_wc_opcodes[] = {
	[IB_WR_RDMA_WRITE] = IB_WC_RDMA_WRITE,
	[IB_WR_RDMA_WRITE_WITH_IMM] = IB_WC_RDMA_WRITE,
	[IB_WR_SEND] = IB_WC_SEND,
	[IB_WR_SEND_WITH_IMM] = IB_WC_SEND,
	[IB_WR_RDMA_READ] = IB_WC_RDMA_READ,
	[IB_WR_ATOMIC_CMP_AND_SWP] = IB_WC_COMP_SWAP,
	[IB_WR_ATOMIC_FETCH_AND_ADD] = IB_WC_FETCH_ADD,
	[IB_WR_FLUSH] = IB_WC_FLUSH,
	[IB_WR_ATOMIC_WRITE] = IB_WC_ATOMIC_WRITE,
	[IB_WR_SEND_WITH_INV] = IB_WC_SEND,
	[IB_WR_BIND_MW] = IB_WC_BIND_MW,
	[IB_WR_LOCAL_INV] = IB_WC_LOCAL_INV,
	[IB_WR_REG_MR] = IB_WC_REG_MR,
};

/* requests that a service has: IBTA volume 1, table 38 */
#define RXE_UD_REQUESTS	(BIT_ULL(IB_WR_SEND) | BIT_ULL(IB_WR_SEND_WITH_IMM))
#define RXE_UC_REQUESTS	(RXE_UD_REQUESTS | BIT_ULL(IB_WR_RDMA_WRITE) |	\
			 BIT_ULL(IB_WR_RDMA_WRITE_WITH_IMM) |		\
			 BIT_ULL(IB_WR_BIND_MW) |			\
			 BIT_ULL(IB_WR_LOCAL_INV) | BIT_ULL(IB_WR_REG_MR))
#define RXE_RC_REQUESTS	(RXE_UC_REQUESTS | BIT_ULL(IB_WR_RDMA_READ) |	\
			 BIT_ULL(IB_WR_ATOMIC_CMP_AND_SWP) |		\
			 BIT_ULL(IB_WR_ATOMIC_FETCH_AND_ADD) |		\
			 BIT_ULL(IB_WR_SEND_WITH_INV) |			\
			 BIT_ULL(IB_WR_FLUSH) | BIT_ULL(IB_WR_ATOMIC_WRITE))
/* requests that only programs, or only kernel users, are able to describe */
#define RXE_USER_ONLY	(BIT_ULL(IB_WR_BIND_MW) | BIT_ULL(IB_WR_FLUSH) | \
			 BIT_ULL(IB_WR_ATOMIC_WRITE))
#define RXE_KERNEL_ONLY	BIT_ULL(IB_WR_REG_MR)

/**
 * rxe_sq_create - make a QP's send queue
 * @qp: the QP; its capabilities are set to what is granted
 * @init: what the program asks for, within the device's limits
 * @udata: the program's; NULL: the user is in the kernel
 * @mi: filled with what the program passes to mmap()
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_sq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init,
		  struct ib_udata *udata, struct mminfo *mi)
{
	struct rxe_sq *sq = &qp->sq;
	struct rxe_ring *ring;
	size_t data;

	data = max_t(size_t, init->cap.max_send_sge * sizeof(struct rxe_sge),
		     init->cap.max_inline_data);
	data = max_t(size_t, data, sizeof(struct rxe_sge));
	sq->mask = roundup_pow_of_two(init->cap.max_send_wr + 1) - 1;
	qp->cap.max_send_wr = sq->mask;
	if (udata) {
		ring = rxe_ring_create(sq->mask,
				       sizeof(struct rxe_send_wqe) + data,
				       udata, mi);
		if (IS_ERR(ring))
			return PTR_ERR(ring);
		sq->ring = ring;
		/* a slot's size is a power of two: inline data gets the rest */
		data = (1UL << ring->slot_shift) - sizeof(struct rxe_send_wqe);
		data = min_t(size_t, data, RXE_MAX_INLINE);
		sq->mask = min_t(u32, sq->mask, RXE_SQ_COPIES - 1);
	}

	sq->wqe_size = ALIGN(sizeof(struct rxe_swqe) + data, sizeof(u64));
	sq->wqes = kvcalloc(sq->mask + 1, sq->wqe_size, RXE_QUEUE_GFP);
	if (!sq->wqes) {
		rxe_ring_destroy(sq->ring);
		return -ENOMEM;
	}

	qp->cap.max_send_sge = init->cap.max_send_sge;
	qp->cap.max_inline_data = data;
	sq->signal_all = init->sq_sig_type == IB_SIGNAL_ALL_WR;
	spin_lock_init(&sq->lock);
	spin_lock_init(&sq->post_lock);
	return 0;
}

/**
 * rxe_sq_destroy - the counterpart of rxe_sq_create()
 * @qp: the QP; no packet, timer or work reaches it any more
 *
 * Context: may sleep.
 */
void rxe_sq_destroy(struct rxe_qp *qp)
{
	rxe_direction_destroy(&qp->sq.completer);
	rxe_direction_destroy(&qp->sq.requester);
	kvfree(qp->sq.wqes);
	rxe_ring_destroy(qp->sq.ring);
}

/**
 * rxe_sq_filled - count requests that the user has posted and that are not fetched
 * @sq: the send queue
 *
 * Context: the send queue's lock is held.
 * Return: their number; a program may write any.
 */
u32 rxe_sq_filled(const struct rxe_sq *sq)
{
	lockdep_assert_held(&sq->lock);
	if (sq->ring)
		return rxe_ring_filled(sq->ring, sq->fetched);
	/* pairs with rxe_post_one(): the request is there */
	return smp_load_acquire(&sq->posted) - sq->fetched;
}

/* Tell the user that the places of all requests before @done are free again. */
static void rxe_sq_give_back(struct rxe_sq *sq, u32 done)
{
	/* pairs with rxe_post_one(): our reads of these places are over */
	smp_store_release(&sq->done, done);
	if (sq->ring)
		rxe_ring_consume(sq->ring, done);
}

/**
 * rxe_sq_reset - forget all requests: the QP enters the reset state
 * @qp: the QP
 *
 * Context: the send queue's lock is held.
 */
void rxe_sq_reset(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;

	lockdep_assert_held(&qp->sq.lock);
	sq->fetched += rxe_sq_filled(sq);
	sq->next = sq->fetched;
	rxe_sq_give_back(sq, sq->fetched);

	sq->rd_outstanding = 0;
	sq->draining = false;
	sq->rnr_waiting = false;
	sq->probing = false;
	sq->unpark_due = false;
	sq->no_memory_tries = 0;
	sq->gap_retried = false;
	sq->response_dropped = false;
	rxe_abandon(&sq->requester);
	rxe_abandon(&sq->completer);
}

static bool rxe_swqe_copy_inline(struct rxe_qp *qp, struct rxe_swqe *wqe,
				 const struct rxe_send_wqe *slot)
{
	wqe->num_sge = 0;
	wqe->length = READ_ONCE(slot->dma.length);
	if (wqe->length > qp->cap.max_inline_data) {
		if (!rxe_broken(inline_bound))
			return false;
		wqe->length = qp->cap.max_inline_data;
	}

	memcpy(wqe->inline_data, slot->dma.inline_data, wqe->length);
	return true;
}

static bool rxe_swqe_copy_sges(struct rxe_qp *qp, struct rxe_swqe *wqe,
			       const struct rxe_send_wqe *slot)
{
	u32 num_sge = READ_ONCE(slot->dma.num_sge);
	u64 length = 0;
	u32 i;

	if (num_sge > qp->cap.max_send_sge) {
		if (!rxe_broken(sge_bound))
			return false;
		num_sge = qp->cap.max_send_sge;
	}

	wqe->num_sge = num_sge;
	memcpy(wqe->sge, slot->dma.sge, num_sge * sizeof(*wqe->sge));
	/* sum the copied lengths: the ring is not read a second time */
	barrier_data(wqe->sge);
	for (i = 0; i < num_sge; i++)
		length += wqe->sge[i].length;

	if (rxe_swqe_is_atomic(wqe)) {
		wqe->length = sizeof(u64);
		return length >= sizeof(u64);
	}
	wqe->length = min_t(u64, length, U32_MAX);
	return true;
}

static u64 rxe_requests_of(u8 service)
{
	switch (service) {
	case IB_OPCODE_UD:
		return RXE_UD_REQUESTS;
	case IB_OPCODE_UC:
		return RXE_UC_REQUESTS;
	default:
		return RXE_RC_REQUESTS;
	}
}

static bool rxe_swqe_allowed(const struct rxe_qp *qp,
			     const struct rxe_swqe *wqe)
{
	u64 requests = rxe_requests_of(qp->service) &
		       ~(rxe_is_kernel(qp) ? RXE_USER_ONLY : RXE_KERNEL_ONLY);

	return wqe->opcode < ARRAY_SIZE(rxe_send_wc_opcodes) &&
	       (requests & BIT_ULL(wqe->opcode));
}

/* Copy the operands of the opcode: all but the data. */
static void rxe_swqe_copy_target(struct rxe_swqe *wqe,
				 const struct rxe_send_wr *wr)
{
	switch (wqe->opcode) {
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		wqe->remote_addr = wr->wr.atomic.remote_addr;
		wqe->rkey = wr->wr.atomic.rkey;
		wqe->compare_add = wr->wr.atomic.compare_add;
		wqe->swap = wr->wr.atomic.swap;
		break;
	case IB_WR_FLUSH:
		wqe->remote_addr = rxe_wr_flush(wr)->remote_addr;
		wqe->rkey = rxe_wr_flush(wr)->rkey;
		wqe->flush.type = rxe_wr_flush(wr)->type;
		wqe->flush.level = rxe_wr_flush(wr)->level;
		break;
	case IB_WR_BIND_MW:
		wqe->bind = (struct rxe_bind) {
			.addr = wr->wr.mw.addr,
			.length = wr->wr.mw.length,
			.lkey = wr->wr.mw.mr_lkey,
			.mw_rkey = wr->wr.mw.mw_rkey,
			.rkey = wr->wr.mw.rkey,
			.access = wr->wr.mw.access,
		};
		break;
	case IB_WR_LOCAL_INV:
	case IB_WR_SEND_WITH_INV:
		wqe->rkey = wr->ex.invalidate_rkey;
		break;
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
		wqe->ud.ah_num = wr->wr.ud.ah_num;
		wqe->ud.qpn = wr->wr.ud.remote_qpn;
		wqe->ud.qkey = wr->wr.ud.remote_qkey;
		break;
	default:
		wqe->remote_addr = wr->wr.rdma.remote_addr;
		wqe->rkey = wr->wr.rdma.rkey;
	}
}

/* A datagram is one packet. */
static u32 rxe_max_message(const struct rxe_qp *qp)
{
	if (!rxe_is_datagram(qp))
		return RXE_MAX_MSG;
	return ib_mtu_enum_to_int(rxe_dev_mtu(rxe_qp_dev(qp)));
}

/* Copy the scatter-gather list, or what the opcode has in its place. */
static bool rxe_swqe_copy_data(struct rxe_qp *qp, struct rxe_swqe *wqe,
			       const struct rxe_send_wqe *slot)
{
	switch (wqe->opcode) {
	case IB_WR_FLUSH:
		wqe->num_sge = 0;
		wqe->length = 0;
		wqe->flush.length = READ_ONCE(slot->dma.length);
		return !(wqe->flags & IB_SEND_INLINE);
	case IB_WR_ATOMIC_WRITE:
		wqe->num_sge = 0;
		wqe->length = sizeof(u64);
		memcpy(wqe->inline_data, slot->dma.inline_data, sizeof(u64));
		return true;
	default:
		if (wqe->flags & IB_SEND_INLINE)
			return rxe_swqe_copy_inline(qp, wqe, slot);
		return rxe_swqe_copy_sges(qp, wqe, slot);
	}
}

/**
 * rxe_swqe_check - check a request as far as is possible before its turn
 * @qp: the QP
 * @wqe: the request
 * @data_ok: the description of its data is valid
 *
 * Context: any.
 * Return: IB_WC_SUCCESS, or what is wrong with it.
 */
u8 rxe_swqe_check(const struct rxe_qp *qp, const struct rxe_swqe *wqe,
		  bool data_ok)
{
	if (!rxe_swqe_allowed(qp, wqe) || !data_ok)
		return IB_WC_LOC_QP_OP_ERR;
	if (wqe->length > rxe_max_message(qp) &&
	    !(rxe_broken(datagram_size) && wqe->length <= RXE_MAX_PAYLOAD))
		return IB_WC_LOC_LEN_ERR;
	if (!rxe_swqe_is_answered(wqe))
		return IB_WC_SUCCESS;
	if (!qp->attr.max_rd_atomic)
		return IB_WC_LOC_QP_OP_ERR;
	/* the answer needs memory to go to */
	if ((wqe->flags & IB_SEND_INLINE) &&
	    (rxe_swqe_is_read(wqe) || rxe_swqe_is_atomic(wqe)))
		return IB_WC_LOC_QP_OP_ERR;
	return IB_WC_SUCCESS;
}

/*
 * Take a request out of the program's ring. The slot is copied, each byte once,
 * and the copy is what is checked: the program can write to the slot at any
 * time. Requests that are wrong are kept, to fail in their turn.
 */
static void rxe_sq_copy(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;
	struct rxe_swqe *wqe = rxe_sq_wqe(sq, sq->fetched);
	const struct rxe_send_wqe *slot;
	struct rxe_send_wr wr;
	bool data_ok;

	slot = rxe_ring_slot(sq->ring, sq->fetched);
	memcpy(&wr, &slot->wr, sizeof(wr));
	barrier_data(&wr);

	wqe->wr_id = wr.wr_id;
	wqe->opcode = wr.opcode;
	wqe->flags = wr.send_flags;
	wqe->imm = wr.ex.imm_data;
	wqe->numbered = false;
	wqe->executed = false;
	rxe_swqe_copy_target(wqe, &wr);
	data_ok = rxe_swqe_copy_data(qp, wqe, slot);
	wqe->error = rxe_swqe_check(qp, wqe, data_ok);
}

/**
 * rxe_sq_fetch - take the next request that the user has posted
 * @qp: the QP
 *
 * Context: the send queue's lock is held.
 * Return: the request, or NULL: there is none.
 */
struct rxe_swqe *rxe_sq_fetch(struct rxe_qp *qp)
{
	struct rxe_sq *sq = &qp->sq;

	lockdep_assert_held(&qp->sq.lock);
	if (sq->fetched - sq->done >= sq->mask || !rxe_sq_filled(sq))
		return NULL;
	if (sq->ring)
		rxe_sq_copy(qp);
	return rxe_sq_wqe(sq, sq->fetched++);
}

static struct ib_wc rxe_swqe_wc(struct rxe_qp *qp, const struct rxe_swqe *wqe,
				enum ib_wc_status status)
{
	struct ib_wc wc = {
		.wr_id = wqe->wr_id,
		.status = status,
		.qp = &qp->ibqp,
	};

	if (status == IB_WC_SUCCESS) {
		wc.opcode = rxe_send_wc_opcodes[wqe->opcode];
		wc.byte_len = wqe->length;
	}
	return wc;
}

static void rxe_sq_complete_one(struct rxe_qp *qp, enum ib_wc_status status)
{
	struct rxe_sq *sq = &qp->sq;
	const struct rxe_swqe *wqe = rxe_sq_wqe(sq, sq->done);
	bool silent = status == IB_WC_SUCCESS && !sq->signal_all &&
		      !(wqe->flags & IB_SEND_SIGNALED);
	struct ib_wc wc;

	if (status == IB_WC_SUCCESS &&
	    rxe_send_wc_opcodes[wqe->opcode] == IB_WC_SEND)
		rxe_count(rxe_qp_dev(qp), RXE_STAT_RDMA_SENDS);
	if (!silent)
		wc = rxe_swqe_wc(qp, wqe, status);

	/* before the CQE: its reader may rely on the free place */
	rxe_sq_give_back(sq, sq->done + 1);
	if ((s32)(sq->next - sq->done) < 0)
		sq->next = sq->done;

	if (!silent && !rxe_cq_post(to_rcq(qp->ibqp.send_cq), &wc, false))
		rxe_qp_fail(qp, IB_EVENT_QP_FATAL);
}

/**
 * rxe_sq_complete - complete the oldest request
 * @qp: the QP; it has one
 * @status: IB_WC_SUCCESS, or what the program gets to see
 *
 * Context: the send queue's lock is held.
 */
void rxe_sq_complete(struct rxe_qp *qp, enum ib_wc_status status)
{
	struct rxe_sq *sq = &qp->sq;

	lockdep_assert_held(&qp->sq.lock);
	rxe_sq_complete_one(qp, status);
	if (status != IB_WC_SUCCESS)
		return;

	/* local requests that are executed wait only for those ahead of them */
	while (sq->done != sq->fetched && rxe_sq_wqe(sq, sq->done)->executed)
		rxe_sq_complete_one(qp, status);
}

/**
 * rxe_sq_flush - complete requests with an error: the QP failed
 * @qp: the QP
 * @budget: requests at most; a program can post as fast as we complete
 *
 * Context: the send queue's lock is held.
 * Return: whether any was completed.
 */
bool rxe_sq_flush(struct rxe_qp *qp, int budget)
{
	struct rxe_sq *sq = &qp->sq;
	u32 done = sq->done;

	lockdep_assert_held(&qp->sq.lock);
	sq->rd_outstanding = 0;
	rxe_abandon(&sq->requester);
	rxe_abandon(&sq->completer);

	while (budget-- && (sq->done != sq->fetched || rxe_sq_fetch(qp)))
		rxe_sq_complete_one(qp, IB_WC_WR_FLUSH_ERR);
	return sq->done != done;
}

/**
 * rxe_sq_arm_timer - start the ACK timer, unless it runs
 * @qp: the QP
 *
 * No packet moves a running timer: when it fires, it looks at the time of the
 * last progress.
 *
 * Context: the send queue's lock is held.
 */
void rxe_sq_arm_timer(struct rxe_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	if (qp->attr.timeout && !timer_pending(&qp->sq.timer))
		mod_timer(&qp->sq.timer, jiffies + rxe_ack_timeout_jiffies(qp));
}

/**
 * rxe_sq_run_within - have the requester run within some jiffies
 * @qp: the QP
 * @ticks: how many; 0 is one, too
 *
 * The ACK timer runs it, which this does not delay.
 *
 * Context: the send queue's lock is held.
 */
void rxe_sq_run_within(struct rxe_qp *qp, unsigned long ticks)
{
	lockdep_assert_held(&qp->sq.lock);
	timer_reduce(&qp->sq.timer, jiffies + max(ticks, 1UL));
}

/**
 * rxe_sq_fail - fail the oldest request, and with it the send queue
 * @qp: the QP
 * @status: of the request; all others are flushed
 *
 * Context: the send queue's lock is held.
 */
void rxe_sq_fail(struct rxe_qp *qp, enum ib_wc_status status)
{
	lockdep_assert_held(&qp->sq.lock);
	if (qp->sq.done != qp->sq.fetched)
		rxe_sq_complete(qp, status);
	rxe_qp_fail_sq(qp);
}
