// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/cpumask.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "base/rule.h"
#include "base/work.h"
#include "wait/anchor.h"
#include "wait/flow.h"

/*
 * A queue in the network that is full drops packets without telling the sender:
 * veth's backlog holds 1000 for each CPU, of all devices. So the flows of a device
 * share RXE_IN_FLIGHT_ALL, and each may have as many as it leaves free: n flows that
 * send all they can have 1/(n + 1) each. Packets that are stuck take their own
 * places only, and those of other devices none. A queue that several devices share
 * is not bounded by this: it may drop some packets, which are sent again.
 */
#define RXE_IN_FLIGHT_ALL	512
#define RXE_IN_FLIGHT_MAX	64
#define RXE_IN_FLIGHT_MIN	4

/**
 * rxe_in_flight_create - begin to count the packets of a device
 *
 * Context: may sleep.
 * Return: the count with one reference, the device's, or NULL: no memory.
 */
struct rxe_in_flight *rxe_in_flight_create(void)
{
	struct rxe_in_flight *all = kzalloc(sizeof(*all), GFP_KERNEL);

	if (all)
		refcount_set(&all->refs, 1);
	return all;
}

/**
 * rxe_in_flight_put - drop a reference to a device's count
 * @all: held by the caller; or NULL
 *
 * Context: any.
 */
void rxe_in_flight_put(struct rxe_in_flight *all)
{
	if (all && refcount_dec_and_test(&all->refs))
		kfree(all);
}

static int rxe_flow_limit(const struct rxe_flow *flow)
{
	int free = RXE_IN_FLIGHT_ALL -
		   atomic_read(&flow->anchor->in_flight->skbs);

	if (rxe_broken(flow_limit))
		return INT_MAX;
	return clamp(free, RXE_IN_FLIGHT_MIN, RXE_IN_FLIGHT_MAX);
}

/**
 * rxe_flow_is_here - check whether a flow's packets are sent on this CPU
 * @flow: the flow
 *
 * Context: BH disabled, the lock of the queue that sends is held.
 * Return: true if the queue may go on here, without rxe_flow_continue().
 */
bool rxe_flow_is_here(const struct rxe_flow *flow)
{
	lockdep_assert_in_softirq();
	rxe_flow_assert_held(flow);
	return flow->cpu < 0 || flow->cpu == smp_processor_id();
}

/**
 * rxe_flow_continue - queue the work of the queue that sends
 * @flow: of a QP that may be gone; it has a CPU
 *
 * The work is to run on the flow's CPU. But the workqueue keeps a work that is
 * queued while it runs on its current CPU: from another one it is queued by a
 * timer on the flow's CPU, unless that is offline, and would not run the timer.
 *
 * Context: any, not preemptible if the flow's own work may be the caller.
 */
void rxe_flow_continue(struct rxe_flow *flow)
{
	struct rxe_anchor *anchor = flow->anchor;
	int cpu = READ_ONCE(flow->cpu);
	struct delayed_work *work = flow->work;
	unsigned long irq;
	bool keeps_cpu;

	spin_lock_irqsave(&anchor->lock, irq);
	if (anchor->handle) {
		keeps_cpu = current_work() == &work->work &&
			    cpu != smp_processor_id() && cpu_online(cpu);
		queue_delayed_work_on(cpu, rxe_wq, work, keeps_cpu ? 1 : 0);
	}
	spin_unlock_irqrestore(&anchor->lock, irq);
}

/* The skb destructor: called in any context, even under the driver's locks. */
static void rxe_skb_free(struct sk_buff *skb)
{
	struct rxe_flow *flow = skb_shinfo(skb)->destructor_arg;
	int left;

	/* see rxe_anchors_wait() */
	rcu_read_lock();
	atomic_dec(&flow->anchor->in_flight->skbs);
	left = atomic_dec_return(&flow->in_flight);

	/* the decrement is a full barrier: see rxe_flow_may_send() */
	if (test_bit(0, &flow->blocked) && left <= rxe_flow_limit(flow) / 2 &&
	    test_and_clear_bit(0, &flow->blocked))
		rxe_flow_continue(flow);

	rxe_anchor_put(flow->anchor);
	rcu_read_unlock();
}

/**
 * rxe_flow_add - count a packet as in flight until it is freed
 * @flow: the flow that it is sent in
 * @skb: the packet; its destructor is taken
 *
 * Context: BH disabled, after rxe_flow_may_send() on the same CPU, or a packet
 * for which order does not matter.
 */
void rxe_flow_add(struct rxe_flow *flow, struct sk_buff *skb)
{
	lockdep_assert_in_softirq();
	rxe_anchor_get(flow->anchor);
	skb_shinfo(skb)->destructor_arg = flow;
	skb->destructor = rxe_skb_free;
	atomic_inc(&flow->in_flight);
	atomic_inc(&flow->anchor->in_flight->skbs);
}

/*
 * Move the flow to this CPU, if no packet can overtake another one, which would
 * look like a loss to the peer. The packets of the old CPU must have left its
 * queues, and have @arrived: the IP layer calls the destructor of a packet to
 * the same host before that is processed.
 */
static bool rxe_flow_claim_cpu(struct rxe_flow *flow, bool arrived)
{
	int cpu = smp_processor_id();

	if (flow->cpu == cpu)
		return true;
	/* an offline CPU has given its queues away, and runs no work */
	if (flow->cpu >= 0 && cpu_online(flow->cpu) &&
	    (!arrived || atomic_read(&flow->in_flight)))
		return false;

	WRITE_ONCE(flow->cpu, cpu);
	return true;
}

/**
 * rxe_flow_may_send - move a flow to this CPU, and check its limit
 * @flow: the flow that is to send one more packet
 * @arrived: the peer is known to have all packets sent before
 *
 * Context: BH disabled, the lock of the queue that sends is held.
 * Return: true if the packet may be sent; false: not on this CPU, or not now:
 * the queue's work is or will be queued, to try again.
 */
bool rxe_flow_may_send(struct rxe_flow *flow, bool arrived)
{
	int limit = rxe_flow_limit(flow);

	lockdep_assert_in_softirq();
	rxe_flow_assert_held(flow);
	if (!rxe_flow_claim_cpu(flow, arrived)) {
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
