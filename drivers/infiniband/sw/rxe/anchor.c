// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "anchor.h"
#include "qp.h"

/*
 * Nobody tells a sender that a queue below it is full: veth's backlog holds
 * 1000 packets a CPU and drops the rest in silence. All QPs that have packets
 * under way share RXE_IN_FLIGHT_ALL.
 */
#define RXE_IN_FLIGHT_ALL	512
#define RXE_IN_FLIGHT_MAX	64
#define RXE_IN_FLIGHT_MIN	4

static atomic_t rxe_busy_anchors;

/**
 * rxe_anchor_create - make a QP's anchor
 * @qp: the QP
 *
 * Context: may sleep.
 * Return: the anchor with one reference, the QP's, or NULL: no memory.
 */
struct rxe_anchor *rxe_anchor_create(struct rxe_qp *qp)
{
	struct rxe_anchor *anchor = kzalloc(sizeof(*anchor), GFP_KERNEL_ACCOUNT);

	if (!anchor)
		return NULL;

	refcount_set(&anchor->refs, 1);
	spin_lock_init(&anchor->lock);
	anchor->qp = qp;
	rxe_faults_init(anchor);
	return anchor;
}

/**
 * rxe_anchor_detach - let no late event find the QP any more
 * @anchor: the QP's anchor
 *
 * Context: may sleep. Work that was queued before is the caller's to cancel.
 */
void rxe_anchor_detach(struct rxe_anchor *anchor)
{
	spin_lock_irq(&anchor->lock);
	anchor->qp = NULL;
	spin_unlock_irq(&anchor->lock);
}

struct rxe_anchor *rxe_anchor_get(struct rxe_anchor *anchor)
{
	refcount_inc(&anchor->refs);
	return anchor;
}

void rxe_anchor_put(struct rxe_anchor *anchor)
{
	if (refcount_dec_and_test(&anchor->refs))
		kfree(anchor);
}

/**
 * rxe_anchor_get_qp - find the QP
 * @anchor: held by the caller
 *
 * Context: any.
 * Return: the QP, to be given back by rxe_handle_put() of its handle; NULL if
 * it is gone or going.
 */
struct rxe_qp *rxe_anchor_get_qp(struct rxe_anchor *anchor)
{
	struct rxe_qp *qp;
	unsigned long irq;

	spin_lock_irqsave(&anchor->lock, irq);
	qp = anchor->qp;
	if (qp && !rxe_handle_hold(qp->handle))
		qp = NULL;
	spin_unlock_irqrestore(&anchor->lock, irq);

	return qp;
}

static int rxe_anchor_limit(void)
{
	int busy = atomic_read(&rxe_busy_anchors);

	return clamp(RXE_IN_FLIGHT_ALL / max(busy, 1), RXE_IN_FLIGHT_MIN,
		     RXE_IN_FLIGHT_MAX);
}

static void rxe_anchor_unblock(struct rxe_anchor *anchor)
{
	unsigned long irq;

	spin_lock_irqsave(&anchor->lock, irq);
	if (anchor->qp)
		queue_work(rxe_wq, &anchor->qp->work);
	spin_unlock_irqrestore(&anchor->lock, irq);
}

/* Runs wherever a packet is freed, under locks of ours too. */
static void rxe_skb_free(struct sk_buff *skb)
{
	struct rxe_anchor *anchor = skb_shinfo(skb)->destructor_arg;
	int left = atomic_dec_return(&anchor->in_flight);

	if (!left)
		atomic_dec(&rxe_busy_anchors);

	/* the decrement is a full barrier: see rxe_anchor_may_send() */
	if (test_bit(0, &anchor->blocked) && left <= rxe_anchor_limit() / 2 &&
	    test_and_clear_bit(0, &anchor->blocked))
		rxe_anchor_unblock(anchor);

	rxe_anchor_put(anchor);
}

/**
 * rxe_anchor_skb - count a packet as in flight until it is freed
 * @anchor: of the QP that sends it
 * @skb: the packet; its destructor is taken
 *
 * Context: BH disabled.
 */
void rxe_anchor_skb(struct rxe_anchor *anchor, struct sk_buff *skb)
{
	skb_shinfo(skb)->destructor_arg = rxe_anchor_get(anchor);
	skb->destructor = rxe_skb_free;
	if (atomic_inc_return(&anchor->in_flight) == 1)
		atomic_inc(&rxe_busy_anchors);
}

/**
 * rxe_anchor_may_send - ask for leave to send one more packet
 * @anchor: of the QP that wants to
 *
 * Context: BH disabled.
 * Return: false: too much is in flight, and the QP's work will be queued when
 * enough of it has left.
 */
bool rxe_anchor_may_send(struct rxe_anchor *anchor)
{
	int limit = rxe_anchor_limit();

	if (atomic_read(&anchor->in_flight) < limit)
		return true;

	set_bit(0, &anchor->blocked);
	/*
	 * Either we see the last decrement here, or rxe_skb_free() sees the
	 * bit after it. The low-water mark must be looked at, not the limit:
	 * the packet that would wake us may be freed already.
	 */
	smp_mb__after_atomic();
	if (atomic_read(&anchor->in_flight) > limit / 2)
		return false;

	clear_bit(0, &anchor->blocked);
	return true;
}
