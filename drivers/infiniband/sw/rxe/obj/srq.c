// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Shared receive queues: IBTA volume 1, 10.2.9. */
#include <linux/uaccess.h>
#include <rdma/uverbs_ioctl.h>

#include "base/dev.h"
#include "base/rule.h"
#include "obj/ring.h"
#include "obj/rwqe.h"
#include "obj/srq.h"

/* requests that are copied at a time when a queue is resized */
#define RXE_SRQ_COPY	256

static int rxe_check_srq(struct ib_device *ibdev,
			 const struct ib_srq_init_attr *init,
			 const struct ib_udata *udata)
{
	if (init->srq_type != IB_SRQT_BASIC)
		return rxe_refuse(ibdev, -EOPNOTSUPP,
				  "create SRQ: type %d is not supported",
				  init->srq_type);
	if (!init->attr.max_wr || init->attr.max_wr > RXE_MAX_SRQ_WR ||
	    init->attr.max_sge > RXE_MAX_SGE)
		return rxe_refuse(ibdev, -EINVAL,
				  "create SRQ: max_wr %u is not 1 to %u, or max_sge %u is over %u",
				  init->attr.max_wr, RXE_MAX_SRQ_WR,
				  init->attr.max_sge, RXE_MAX_SGE);
	if (udata && udata->outlen < sizeof(struct rxe_create_srq_resp))
		return rxe_refuse(ibdev, -EINVAL,
				  "create SRQ: %zu bytes for the response are too few",
				  udata->outlen);
	return 0;
}

/**
 * rxe_create_srq - ib_device_ops.create_srq
 * @ibsrq: allocated by the core
 * @init: what the user asks for; set to what it gets
 * @udata: the program's; it gets what it needs to map the ring. NULL: the user
 *	   is in the kernel
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init,
		   struct ib_udata *udata)
{
	struct rxe_create_srq_resp resp = {};
	struct rxe_srq *srq = to_rsrq(ibsrq);
	int err;

	err = rxe_check_srq(ibsrq->device, init, udata);
	if (err)
		return err;

	mutex_init(&srq->resize_lock);
	spin_lock_init(&srq->lock);
	srq->max_sge = init->attr.max_sge;
	srq->ring = rxe_ring_create(init->attr.max_wr,
				    rxe_rwqe_slot_size(srq->max_sge), udata,
				    &resp.mi);
	if (IS_ERR(srq->ring))
		return rxe_refuse(ibsrq->device, PTR_ERR(srq->ring),
				  "create SRQ: no ring for %u requests: %ld",
				  init->attr.max_wr, PTR_ERR(srq->ring));
	srq->ring->lock = &srq->lock;

	err = udata ? ib_copy_to_udata(udata, &resp, sizeof(resp)) : 0;
	if (err) {
		rxe_ring_destroy(srq->ring);
		return err;
	}

	init->attr.max_wr = srq->ring->mask;
	return 0;
}

static void rxe_srq_copy(struct rxe_ring *to, const struct rxe_ring *from,
			 u32 head, u32 begin, u32 end)
{
	u32 i;

	for (i = begin; i < end; i++)
		memcpy(rxe_ring_slot(to, i), rxe_ring_slot(from, head + i),
		       1UL << to->slot_shift);
}

/*
 * Copy the requests that wait, from @head on, but for the last few. The QPs that
 * share the queue go on taking them meanwhile; the program posts none.
 */
static int rxe_srq_copy_most(struct rxe_ring *to, const struct rxe_ring *from,
			     u32 head, u32 *copied)
{
	u32 waiting;

	for (*copied = 0;; *copied += RXE_SRQ_COPY) {
		waiting = rxe_ring_filled(from, head);
		if (waiting > to->mask)
			return -EINVAL;
		if (waiting <= *copied + RXE_SRQ_COPY)
			return 0;
		rxe_srq_copy(to, from, head, *copied, *copied + RXE_SRQ_COPY);
		cond_resched();
	}
}

/*
 * Requests that wait in the old ring become the first in the new one: the one
 * at @head goes to slot 0. @copied of them are there already.
 */
static int rxe_srq_switch(struct rxe_srq *srq, struct rxe_ring *to, u32 head,
			  u32 copied)
{
	struct rxe_ring *from = srq->ring;
	/* the program may write any index: copy no more than one batch */
	u32 end = min(rxe_ring_filled(from, head), copied + RXE_SRQ_COPY);
	u32 taken = srq->head - head;

	if (max(end, taken) > to->mask || srq->limit > to->mask)
		return -EINVAL;

	rxe_srq_copy(to, from, head, copied, end);
	rxe_ring_produce(to, max(end, taken));
	rxe_ring_consume(to, taken);
	srq->ring = to;
	srq->head = taken;
	return 0;
}

static int rxe_srq_move(struct rxe_srq *srq, struct rxe_ring *to)
{
	u32 head, copied;
	int err;

	spin_lock_bh(&srq->lock);
	head = srq->head;
	spin_unlock_bh(&srq->lock);

	err = rxe_srq_copy_most(to, srq->ring, head, &copied);
	if (err)
		return err;

	/* users of a ring hold this lock: none stays in the old one */
	spin_lock_bh(&srq->lock);
	err = rxe_srq_switch(srq, to, head, copied);
	spin_unlock_bh(&srq->lock);

	return err;
}

static int rxe_srq_check_size(struct rxe_srq *srq, u32 max_wr,
			      const struct ib_udata *udata)
{
	struct ib_device *ibdev = srq->ibsrq.device;

	/* kernel users post without the lock under which a ring is replaced */
	if (!udata)
		return rxe_refuse(ibdev, -EOPNOTSUPP,
				  "modify SRQ: one of the kernel's is not resized");
	if (!max_wr || max_wr > RXE_MAX_SRQ_WR)
		return rxe_refuse(ibdev, -EINVAL,
				  "modify SRQ: max_wr %u is not 1 to %u",
				  max_wr, RXE_MAX_SRQ_WR);
	return 0;
}

static int rxe_srq_resize(struct rxe_srq *srq, struct ib_srq_attr *attr,
			  struct ib_udata *udata)
{
	struct rxe_modify_srq_cmd cmd;
	struct rxe_ring *ring, *old;
	struct mminfo mi = {};
	int err;

	err = rxe_srq_check_size(srq, attr->max_wr, udata);
	if (err)
		return err;

	err = ib_copy_from_udata(&cmd, udata, sizeof(cmd));
	if (err)
		return err;

	ring = rxe_ring_create(attr->max_wr, rxe_rwqe_slot_size(srq->max_sge),
			       udata, &mi);
	if (IS_ERR(ring))
		return rxe_refuse(srq->ibsrq.device, PTR_ERR(ring),
				  "modify SRQ: no ring for %u requests: %ld",
				  attr->max_wr, PTR_ERR(ring));
	ring->lock = &srq->lock;

	if (copy_to_user(u64_to_user_ptr(cmd.mmap_info_addr), &mi,
			 sizeof(mi))) {
		err = -EFAULT;
		goto destroy_ring;
	}

	/* resizes that race each destroy another ring */
	mutex_lock(&srq->resize_lock);
	old = srq->ring;
	err = rxe_srq_move(srq, ring);
	mutex_unlock(&srq->resize_lock);
	if (err) {
		err = rxe_refuse(srq->ibsrq.device, err,
				 "modify SRQ: more requests wait, or its limit is more, than %u",
				 attr->max_wr);
		goto destroy_ring;
	}

	rxe_ring_destroy(old);
	return 0;

destroy_ring:
	rxe_ring_destroy(ring);
	return err;
}

static int rxe_srq_set_limit(struct rxe_srq *srq, u32 limit)
{
	int err = 0;

	spin_lock_bh(&srq->lock);
	if (limit > srq->ring->mask)
		err = -EINVAL;
	else
		srq->limit = limit;
	spin_unlock_bh(&srq->lock);

	if (err)
		return rxe_refuse(srq->ibsrq.device, err,
				  "modify SRQ: limit %u is over its size", limit);
	return 0;
}

/**
 * rxe_modify_srq - ib_device_ops.modify_srq
 * @ibsrq: the queue
 * @attr: a new size, a limit, or both
 * @mask: which of the two
 * @udata: the program's; it gets what it needs to map a new ring
 *
 * Context: may sleep.
 * Return: 0; -EINVAL: more requests are waiting, or the limit is beyond the
 * queue's size; another errno.
 */
int rxe_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr,
		   enum ib_srq_attr_mask mask, struct ib_udata *udata)
{
	struct rxe_srq *srq = to_rsrq(ibsrq);
	int err = 0;

	if (mask & ~(IB_SRQ_MAX_WR | IB_SRQ_LIMIT))
		return rxe_refuse(ibsrq->device, -EINVAL,
				  "modify SRQ: attributes %#x are not supported",
				  mask);
	if ((mask & IB_SRQ_MAX_WR) && (mask & IB_SRQ_LIMIT) &&
	    attr->srq_limit > attr->max_wr)
		return rxe_refuse(ibsrq->device, -EINVAL,
				  "modify SRQ: limit %u is over max_wr %u",
				  attr->srq_limit, attr->max_wr);
	if (mask & IB_SRQ_MAX_WR)
		err = rxe_srq_resize(srq, attr, udata);
	if (err || !(mask & IB_SRQ_LIMIT))
		return err;
	return rxe_srq_set_limit(srq, attr->srq_limit);
}

/**
 * rxe_query_srq - ib_device_ops.query_srq
 * @ibsrq: the queue
 * @attr: filled
 *
 * Context: process.
 * Return: 0.
 */
int rxe_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr)
{
	struct rxe_srq *srq = to_rsrq(ibsrq);

	spin_lock_bh(&srq->lock);
	attr->max_wr = srq->ring->mask;
	attr->max_sge = srq->max_sge;
	attr->srq_limit = srq->limit;
	spin_unlock_bh(&srq->lock);

	return 0;
}

/**
 * rxe_post_srq_recv - ib_device_ops.post_srq_recv
 * @ibsrq: a queue of the kernel's
 * @wr: the requests
 * @bad_wr: set to the first that was not taken
 *
 * Context: any.
 * Return: 0 or a negative errno.
 */
int rxe_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad_wr)
{
	struct rxe_srq *srq = to_rsrq(ibsrq);

	/* a program has a ring for that */
	if (ibsrq->uobject) {
		*bad_wr = wr;
		return -EINVAL;
	}
	return rxe_rwqe_post(srq->ring, srq->max_sge, wr, bad_wr);
}

/**
 * rxe_destroy_srq - ib_device_ops.destroy_srq
 * @ibsrq: the queue; no QP uses it any more
 * @udata: unused
 *
 * Context: may sleep.
 * Return: 0.
 */
int rxe_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata)
{
	struct rxe_srq *srq = to_rsrq(ibsrq);
	struct rxe_ring *ring = srq->ring;

	/* the core may still show the queue: see restrack.c */
	spin_lock_bh(&srq->lock);
	srq->ring = NULL;
	spin_unlock_bh(&srq->lock);
	rxe_ring_destroy(ring);
	return 0;
}

static void rxe_srq_raise_limit(struct rxe_srq *srq)
{
	struct ib_event event = {
		.device = srq->ibsrq.device,
		.event = IB_EVENT_SRQ_LIMIT_REACHED,
		.element.srq = &srq->ibsrq,
	};

	if (srq->ibsrq.event_handler)
		srq->ibsrq.event_handler(&event, srq->ibsrq.srq_context);
}

/**
 * rxe_srq_fetch - take the next request out of the program's ring
 * @srq: the queue
 * @wqe: filled with it, the caller's; has room for the queue's @max_sge
 *
 * Context: BH disabled.
 * Return: false: the program has posted none.
 */
bool rxe_srq_fetch(struct rxe_srq *srq, struct rxe_rwqe *wqe)
{
	bool fetched, low = false;

	lockdep_assert_in_softirq();
	spin_lock(&srq->lock);
	fetched = rxe_rwqe_take(wqe, srq->ring, &srq->head, srq->max_sge);
	if (srq->limit && rxe_ring_filled(srq->ring, srq->head) < srq->limit) {
		srq->limit = 0;
		low = true;
	}
	spin_unlock(&srq->lock);

	if (low && !rxe_broken(srq_limit))
		rxe_srq_raise_limit(srq);
	return fetched;
}
