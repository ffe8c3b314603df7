// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/cpumask.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "anchor.h"
#include "fault.h"
#include "qp.h"
#include "work.h"

/*
 * Nobody tells a sender that a queue below it is full: veth's backlog holds
 * 1000 packets a CPU and drops the rest in silence. All flows that have
 * packets under way share RXE_IN_FLIGHT_ALL.
 */
#define RXE_IN_FLIGHT_ALL	512
#define RXE_IN_FLIGHT_MAX	64
#define RXE_IN_FLIGHT_MIN	4

static atomic_t rxe_busy_flows;
static atomic_t rxe_anchors;

/**
 * rxe_anchor_create - make a QP's anchor
 * @qp: the QP
 * @faulter: the workers of its program; NULL: it has none
 *
 * Context: may sleep.
 * Return: the anchor with one reference, the QP's, or NULL: no memory.
 */
struct rxe_anchor *rxe_anchor_create(struct rxe_qp *qp,
				     struct rxe_fault_queue *faulter)
{
	struct rxe_anchor *anchor;
	int i;

	anchor = kzalloc(sizeof(*anchor), GFP_KERNEL_ACCOUNT);
	if (!anchor)
		return NULL;

	atomic_inc(&rxe_anchors);
	refcount_set(&anchor->refs, 1);
	spin_lock_init(&anchor->lock);
	anchor->qp = qp;
	if (faulter)
		anchor->faulter = rxe_fault_queue_get(faulter);
	for (i = 0; i < RXE_FLOW_NUM; i++)
		anchor->flows[i].anchor = anchor;
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

/**
 * rxe_anchor_get - hold an anchor
 * @anchor: held by the caller in some way already
 *
 * Context: any.
 * Return: @anchor.
 */
struct rxe_anchor *rxe_anchor_get(struct rxe_anchor *anchor)
{
	refcount_inc(&anchor->refs);
	return anchor;
}

/**
 * rxe_anchor_put - let an anchor go
 * @anchor: held by the caller
 *
 * Context: any.
 */
void rxe_anchor_put(struct rxe_anchor *anchor)
{
	if (!refcount_dec_and_test(&anchor->refs))
		return;

	if (anchor->faulter)
		rxe_fault_queue_put(anchor->faulter);
	kfree(anchor);
	if (atomic_dec_and_test(&rxe_anchors))
		wake_up_var(&rxe_anchors);
}

/**
 * rxe_anchors_wait - wait until no late event is under way
 *
 * Packets that are freed later would run code that is not there any more.
 *
 * Context: may sleep; no QP is left.
 */
void rxe_anchors_wait(void)
{
	wait_var_event(&rxe_anchors, !atomic_read(&rxe_anchors));
	/* the last one may be on its way out of rxe_skb_free() */
	synchronize_rcu();
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

static int rxe_flow_limit(void)
{
	int busy = atomic_read(&rxe_busy_flows);

	return clamp(RXE_IN_FLIGHT_ALL / max(busy, 1), RXE_IN_FLIGHT_MIN,
		     RXE_IN_FLIGHT_MAX);
}

/**
 * rxe_flow_is_here - ask whether a flow's packets are sent on this CPU
 * @flow: the flow
 *
 * Context: BH disabled, the lock of the queue that sends is held.
 * Return: true if the queue may go on here, without rxe_flow_continue().
 */
bool rxe_flow_is_here(const struct rxe_flow *flow)
{
	return flow->cpu == smp_processor_id();
}

/**
 * rxe_flow_continue - have the queue whose flow it is go on
 * @flow: of a QP that may be gone
 *
 * By its work, where the flow's packets are sent. A work that is queued while it
 * runs is kept on its CPU: from the wrong one it has to come by way of a timer,
 * which a CPU that is gone would not run.
 *
 * Context: any, not preemptible if the flow's own work may be the caller.
 */
void rxe_flow_continue(struct rxe_flow *flow)
{
	struct rxe_anchor *anchor = flow->anchor;
	int cpu = READ_ONCE(flow->cpu);
	struct delayed_work *work;
	struct rxe_qp *qp;
	unsigned long irq;
	bool keeps_cpu;

	spin_lock_irqsave(&anchor->lock, irq);
	qp = anchor->qp;
	if (qp) {
		work = flow == &anchor->flows[RXE_FLOW_REQUESTS] ?
			       &qp->sq.requester.work : &qp->rq.responder.work;
		keeps_cpu = current_work() == &work->work &&
			    cpu != smp_processor_id() && cpu_online(cpu);
		queue_delayed_work_on(cpu, rxe_wq, work, keeps_cpu ? 1 : 0);
	}
	spin_unlock_irqrestore(&anchor->lock, irq);
}

/* Runs wherever a packet is freed, under locks of ours too. */
static void rxe_skb_free(struct sk_buff *skb)
{
	struct rxe_flow *flow = skb_shinfo(skb)->destructor_arg;
	int left;

	/* see rxe_anchors_wait() */
	rcu_read_lock();
	left = atomic_dec_return(&flow->in_flight);
	if (!left)
		atomic_dec(&rxe_busy_flows);

	/* the decrement is a full barrier: see rxe_flow_may_send() */
	if (test_bit(0, &flow->blocked) && left <= rxe_flow_limit() / 2 &&
	    test_and_clear_bit(0, &flow->blocked))
		rxe_flow_continue(flow);

	rxe_anchor_put(flow->anchor);
	rcu_read_unlock();
}

/**
 * rxe_flow_add - count a packet as in flight until it is freed
 * @flow: that it is sent in
 * @skb: the packet; its destructor is taken
 *
 * Context: BH disabled, after rxe_flow_may_send() on the same CPU, or a packet
 * for which order does not matter.
 */
void rxe_flow_add(struct rxe_flow *flow, struct sk_buff *skb)
{
	rxe_anchor_get(flow->anchor);
	skb_shinfo(skb)->destructor_arg = flow;
	skb->destructor = rxe_skb_free;
	if (atomic_inc_return(&flow->in_flight) == 1)
		atomic_inc(&rxe_busy_flows);
}

/*
 * A packet that overtakes another looks like a loss to the peer. What was sent
 * on another CPU has to leave that one's queues before this one may send, and
 * to have @arrived: the IP layer frees a packet of the same host while it has
 * yet to be processed.
 */
static bool rxe_flow_on_this_cpu(struct rxe_flow *flow, bool arrived)
{
	int cpu = smp_processor_id();

	if (flow->cpu == cpu)
		return true;
	/* a CPU that is gone has given its queues away, and does no work */
	if (cpu_online(flow->cpu) &&
	    (!arrived || atomic_read(&flow->in_flight)))
		return false;

	WRITE_ONCE(flow->cpu, cpu);
	return true;
}

/**
 * rxe_flow_may_send - ask for leave to send one more packet
 * @flow: that it would be sent in
 * @arrived: the peer is known to have all that was sent before
 *
 * Context: BH disabled, the lock of the queue that sends is held.
 * Return: false: not here, or not now; the queue's work is or will be queued
 * where and when it may.
 */
bool rxe_flow_may_send(struct rxe_flow *flow, bool arrived)
{
	int limit = rxe_flow_limit();

	if (!rxe_flow_on_this_cpu(flow, arrived)) {
		rxe_flow_continue(flow);
		return false;
	}

	if (atomic_read(&flow->in_flight) < limit)
		return true;

	set_bit(0, &flow->blocked);
	/*
	 * Either we see the last decrement here, or rxe_skb_free() sees the
	 * bit after it. The low-water mark must be looked at, not the limit:
	 * the packet that would wake us may be freed already.
	 */
	smp_mb__after_atomic();
	if (atomic_read(&flow->in_flight) > limit / 2)
		return false;

	clear_bit(0, &flow->blocked);
	return true;
}
