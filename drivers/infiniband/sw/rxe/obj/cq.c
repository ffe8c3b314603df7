// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <rdma/uverbs_ioctl.h>

#include "base/dev.h"
#include "base/rule.h"
#include "obj/cq.h"
#include "obj/moderation.h"
#include "obj/ring.h"

/* completions that are copied at a time when a queue is resized */
#define RXE_CQ_COPY		256

/* IBV_WC_WITH_INV: the only flag set here whose value differs in libibverbs */
#define RXE_UVERBS_WC_WITH_INV	BIT(3)

static size_t rxe_wc_size(const struct ib_udata *udata)
{
	return udata ? sizeof(struct ib_uverbs_wc) : sizeof(struct ib_wc);
}

static int rxe_check_cq(struct ib_device *ibdev,
			const struct ib_cq_init_attr *attr)
{
	if (attr->flags)
		return rxe_refuse(ibdev, -EOPNOTSUPP,
				  "create CQ: flags %#x are not supported",
				  attr->flags);
	if (!attr->cqe || attr->cqe > RXE_MAX_CQE)
		return rxe_refuse(ibdev, -EINVAL,
				  "create CQ: %u completions are not 1 to %u",
				  attr->cqe, RXE_MAX_CQE);
	if (attr->comp_vector >= ibdev->num_comp_vectors)
		return rxe_refuse(ibdev, -EINVAL,
				  "create CQ: vector %u is not below %d",
				  attr->comp_vector, ibdev->num_comp_vectors);
	return 0;
}

/* A program needs to be told where its ring is. */
static int rxe_check_cq_response(struct ib_device *ibdev,
				 const struct ib_udata *udata, size_t size)
{
	if (udata && udata->outlen < size)
		return rxe_refuse(ibdev, -EINVAL,
				  "create or resize CQ: %zu bytes for the response are too few",
				  udata->outlen);
	return 0;
}

/**
 * rxe_create_cq - ib_device_ops.create_cq
 * @ibcq: allocated by the core
 * @attr: what the user asks for
 * @udata: the program's; it gets what it needs to map the ring. NULL: the user
 *	   is in the kernel
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
		  struct ib_udata *udata)
{
	struct rxe_create_cq_resp resp = {};
	struct rxe_cq *cq = to_rcq(ibcq);
	int err;

	err = rxe_check_cq(ibcq->device, attr);
	if (!err)
		err = rxe_check_cq_response(ibcq->device, udata, sizeof(resp));
	if (err)
		return err;

	mutex_init(&cq->resize_lock);
	spin_lock_init(&cq->lock);
	cq->ring = rxe_ring_create(attr->cqe, rxe_wc_size(udata), udata,
				   &resp.mi);
	if (IS_ERR(cq->ring))
		return rxe_refuse(ibcq->device, PTR_ERR(cq->ring),
				  "create CQ: no ring for %u completions: %ld",
				  attr->cqe, PTR_ERR(cq->ring));

	err = udata ? ib_copy_to_udata(udata, &resp, sizeof(resp)) : 0;
	if (err) {
		rxe_ring_destroy(cq->ring);
		return err;
	}

	rxe_moderation_init(cq);
	ibcq->cqe = cq->ring->mask;
	return 0;
}

/**
 * rxe_cq_waiting - count completions that the user has yet to take
 * @cq: the queue
 *
 * Context: the queue's lock is held.
 * Return: their number, by the user's own index.
 */
u32 rxe_cq_waiting(const struct rxe_cq *cq)
{
	lockdep_assert_held(&cq->lock);
	return cq->ring->mask - rxe_ring_space(cq->ring, cq->producer);
}

/* The completion at @first goes to slot 0 of the new ring, and so on. */
static void rxe_cq_copy(struct rxe_ring *to, const struct rxe_ring *from,
			u32 first, u32 begin, u32 end)
{
	u32 i;

	for (i = begin; i < end; i++)
		memcpy(rxe_ring_slot(to, i), rxe_ring_slot(from, first + i),
		       1UL << to->slot_shift);
}

/* @copied completions are in the new ring already, and few are not. */
static int rxe_cq_switch(struct rxe_cq *cq, struct rxe_ring *to, u32 first,
			 u32 copied)
{
	u32 waiting = rxe_cq_waiting(cq);
	u32 end = cq->producer - first;

	lockdep_assert_held(&cq->lock);
	if (waiting > to->mask)
		return -EINVAL;

	if (!rxe_broken(cq_moved))
		rxe_cq_copy(to, cq->ring, first, copied, end);
	rxe_ring_produce(to, end);
	/* some may have been taken since the first was copied */
	rxe_ring_consume(to, end - waiting);
	cq->ring = to;
	cq->producer = end;
	cq->ibcq.cqe = to->mask;
	return 0;
}

/*
 * Completions that wait are copied without the lock, under which interrupts are
 * disabled, but for the last few. More may come meanwhile, behind them; each costs
 * its QP more than the copy of one.
 */
static int rxe_cq_move(struct rxe_cq *cq, struct rxe_ring *to)
{
	struct rxe_ring *from = cq->ring;
	u32 first, copied = 0;
	int err;

	lockdep_assert_held(&cq->resize_lock);
	spin_lock_irq(&cq->lock);
	first = cq->producer - rxe_cq_waiting(cq);
	while (cq->producer - first - copied > RXE_CQ_COPY) {
		/* those up to the producer are complete, as the lock shows */
		spin_unlock_irq(&cq->lock);
		rxe_cq_copy(to, from, first, copied, copied + RXE_CQ_COPY);
		copied += RXE_CQ_COPY;
		cond_resched();
		spin_lock_irq(&cq->lock);
	}
	/* users of a ring hold this lock: none stays in the old one */
	err = rxe_cq_switch(cq, to, first, copied);
	spin_unlock_irq(&cq->lock);

	return err;
}

/**
 * rxe_resize_cq - ib_device_ops.resize_cq
 * @ibcq: the queue, in use meanwhile
 * @cqe: completions that it is to hold
 * @udata: the program's; it gets what it needs to map the new ring. NULL: the
 *	   user is in the kernel
 *
 * Context: may sleep.
 * Return: 0; -EINVAL: more completions are waiting; another errno.
 */
int rxe_resize_cq(struct ib_cq *ibcq, rxe_cqe_t cqe, struct ib_udata *udata)
{
	struct rxe_resize_cq_resp resp = {};
	struct rxe_cq *cq = to_rcq(ibcq);
	struct rxe_ring *ring, *old;
	int err;

	err = rxe_check_cq_response(ibcq->device, udata, sizeof(resp));
	if (err)
		return err;
	if (cqe < 1 || cqe > RXE_MAX_CQE)
		return rxe_refuse(ibcq->device, -EINVAL,
				  "resize CQ: %u completions are not 1 to %u",
				  cqe, RXE_MAX_CQE);

	ring = rxe_ring_create(cqe, rxe_wc_size(udata), udata, &resp.mi);
	if (IS_ERR(ring))
		return rxe_refuse(ibcq->device, PTR_ERR(ring),
				  "resize CQ: no ring for %u completions: %ld",
				  cqe, PTR_ERR(ring));

	err = udata ? ib_copy_to_udata(udata, &resp, sizeof(resp)) : 0;
	if (err)
		goto destroy_ring;

	/* resizes that race each destroy another ring */
	mutex_lock(&cq->resize_lock);
	old = cq->ring;
	err = rxe_cq_move(cq, ring);
	mutex_unlock(&cq->resize_lock);
	if (err) {
		err = rxe_refuse(ibcq->device, err,
				 "resize CQ: more completions wait than %u",
				 cqe);
		goto destroy_ring;
	}

	rxe_ring_destroy(old);
	return 0;

destroy_ring:
	rxe_ring_destroy(ring);
	return err;
}

/**
 * rxe_destroy_cq - ib_device_ops.destroy_cq
 * @ibcq: no QP completes to it
 * @udata: unused
 *
 * Context: may sleep.
 * Return: 0.
 */
int rxe_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata)
{
	struct rxe_cq *cq = to_rcq(ibcq);
	struct rxe_ring *ring = cq->ring;

	rxe_moderation_end(cq);
	/* the core may still show the queue: see restrack.c */
	spin_lock_irq(&cq->lock);
	cq->ring = NULL;
	spin_unlock_irq(&cq->lock);
	rxe_ring_destroy(ring);
	return 0;
}

/**
 * rxe_req_notify_cq - ib_device_ops.req_notify_cq
 * @ibcq: the queue
 * @flags: for which completion to raise the next event (IBTA 11.4.2.2)
 *
 * Context: any.
 * Return: with IB_CQ_REPORT_MISSED_EVENTS, whether completions are there
 * already; else 0.
 */
int rxe_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags flags)
{
	struct rxe_cq *cq = to_rcq(ibcq);
	unsigned long irq;
	int missed = 0;

	spin_lock_irqsave(&cq->lock, irq);
	/* armed for any completion: do not narrow it to solicited ones */
	if (cq->armed != IB_CQ_NEXT_COMP)
		cq->armed = flags & IB_CQ_SOLICITED_MASK;
	if (flags & IB_CQ_REPORT_MISSED_EVENTS)
		missed = rxe_ring_space(cq->ring, cq->producer) !=
			 cq->ring->mask;
	spin_unlock_irqrestore(&cq->lock, irq);

	return missed;
}

/**
 * rxe_poll_cq - ib_device_ops.poll_cq
 * @ibcq: a queue of the kernel's
 * @num: completions to be taken at most
 * @wc: filled with them
 *
 * Context: any.
 * Return: how many were taken; -EINVAL: the queue is a program's.
 */
int rxe_poll_cq(struct ib_cq *ibcq, int num, struct ib_wc *wc)
{
	struct rxe_cq *cq = to_rcq(ibcq);
	unsigned long irq;
	u32 at;
	int n;

	if (ibcq->uobject)
		return -EINVAL;

	spin_lock_irqsave(&cq->lock, irq);
	at = cq->ring->buf->consumer_index;
	for (n = 0; n < num && rxe_ring_filled(cq->ring, at); n++, at++)
		memcpy(&wc[n], rxe_ring_slot(cq->ring, at), sizeof(*wc));
	rxe_ring_consume(cq->ring, at);
	spin_unlock_irqrestore(&cq->lock, irq);

	return n;
}

static void rxe_cq_raise_overrun(struct rxe_cq *cq)
{
	struct ib_event event = {
		.device = cq->ibcq.device,
		.event = IB_EVENT_CQ_ERR,
		.element.cq = &cq->ibcq,
	};

	if (cq->ibcq.event_handler)
		cq->ibcq.event_handler(&event, cq->ibcq.cq_context);
}

static struct ib_uverbs_wc rxe_wc_to_uverbs(const struct ib_wc *wc)
{
	struct ib_uverbs_wc uwc = {
		.wr_id = wc->wr_id,
		.status = wc->status,
		.opcode = wc->opcode,
		.byte_len = wc->byte_len,
		.qp_num = wc->qp->qp_num,
		.src_qp = wc->src_qp,
		.wc_flags = wc->wc_flags & (IB_WC_GRH | IB_WC_WITH_IMM),
		.port_num = wc->port_num,
	};
	if (wc->wc_flags & IB_WC_WITH_INVALIDATE) {
		uwc.wc_flags |= RXE_UVERBS_WC_WITH_INV;
		uwc.ex.invalidate_rkey = wc->ex.invalidate_rkey;
	} else {
		uwc.ex.imm_data = wc->ex.imm_data;
	}
	return uwc;
}

static void rxe_cq_add(struct rxe_cq *cq, const struct ib_wc *wc)
{
	void *slot = rxe_ring_slot(cq->ring, cq->producer);
	struct ib_uverbs_wc uwc;

	if (cq->ibcq.uobject) {
		uwc = rxe_wc_to_uverbs(wc);
		memcpy(slot, &uwc, sizeof(uwc));
	} else {
		memcpy(slot, wc, sizeof(*wc));
	}
	rxe_ring_produce(cq->ring, ++cq->producer);
}

/**
 * rxe_cq_post - complete a work request
 * @cq: the queue
 * @wc: the completion
 * @solicited: whether it raises an event of a queue that is armed for solicited
 *	       ones; errors always do
 *
 * Context: any; under locks of a QP, none of which completion handlers take.
 * Return: false: the queue is overrun, and the completion is lost. Its user
 * gets IB_EVENT_CQ_ERR; the QP is to enter the error state
 * (IBTA 11.6.3.1).
 */
bool rxe_cq_post(struct rxe_cq *cq, const struct ib_wc *wc,
		 bool solicited)
{
	bool notify, raise_overrun = false;
	unsigned long irq;

	if (wc->status != IB_WC_SUCCESS)
		solicited = true;

	spin_lock_irqsave(&cq->lock, irq);
	if ((cq->overrun || !rxe_ring_space(cq->ring, cq->producer)) &&
	    !rxe_broken(cq_overrun)) {
		raise_overrun = !cq->overrun;
		cq->overrun = true;
		spin_unlock_irqrestore(&cq->lock, irq);
		if (raise_overrun)
			rxe_cq_raise_overrun(cq);
		return false;
	}

	rxe_cq_add(cq, wc);
	notify = cq->armed == IB_CQ_NEXT_COMP ||
		 (cq->armed == IB_CQ_SOLICITED &&
		  (solicited || rxe_broken(solicited)));
	if (notify && rxe_cq_hold_event(cq, wc->status != IB_WC_SUCCESS))
		notify = false;
	if (notify)
		cq->armed = 0;
	spin_unlock_irqrestore(&cq->lock, irq);

	if (notify && cq->ibcq.comp_handler)
		cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
	return true;
}
