// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "base/dev.h"
#include "base/handle.h"
#include "wait/anchor.h"
#include "wait/fault.h"
#include "wait/flow.h"

static atomic_t rxe_anchors;

/**
 * rxe_anchor_create - make a QP's anchor
 * @dev: the QP's device
 * @backlog: its program's packets that wait
 * @faulter: the workers of its program; NULL: it has none
 *
 * Context: may sleep.
 * Return: the anchor with one reference, the QP's, or NULL: no memory.
 */
struct rxe_anchor *rxe_anchor_create(struct rxe_dev *dev,
				     struct rxe_share *backlog,
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
	anchor->dev = dev;
	anchor->in_flight = rxe_in_flight_get(dev->in_flight);
	anchor->backlog = backlog;
	if (faulter)
		anchor->faulter = rxe_fault_queue_get(faulter);
	for (i = 0; i < RXE_FLOW_NUM; i++) {
		anchor->flows[i].anchor = anchor;
		anchor->flows[i].cpu = -1;
	}
	return anchor;
}

/**
 * rxe_anchor_attach - let late events find the QP
 * @anchor: the QP's anchor
 * @handle: of the QP
 *
 * Context: may sleep.
 */
void rxe_anchor_attach(struct rxe_anchor *anchor, struct rxe_handle *handle)
{
	spin_lock_irq(&anchor->lock);
	anchor->handle = handle;
	anchor->qpn = handle->number;
	spin_unlock_irq(&anchor->lock);
}

/**
 * rxe_anchor_detach - let no late event find the QP any more
 * @anchor: the QP's anchor
 *
 * Context: may sleep. The caller cancels work that was queued before.
 */
void rxe_anchor_detach(struct rxe_anchor *anchor)
{
	spin_lock_irq(&anchor->lock);
	anchor->handle = NULL;
	spin_unlock_irq(&anchor->lock);
}

/**
 * rxe_anchor_put - drop a reference to an anchor
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
	rxe_in_flight_put(anchor->in_flight);
	kfree(anchor);
	if (atomic_dec_and_test(&rxe_anchors))
		wake_up_var(&rxe_anchors);
}

/**
 * rxe_anchors_wait - wait until no late event is under way
 *
 * Before the module is unloaded: packets that are freed call rxe_skb_free(), and
 * faults that end return to their worker. A queue of the network, or the server of
 * a fault, may never let go. The wait cannot be killed: the kernel has no way back
 * for a module whose exit has begun. Nor would it help to hold the module for all
 * that is late: each unload right after traffic would fail instead of waiting a
 * moment. So the log says what this waits for.
 *
 * Context: may sleep, for as long as others like; no QP is left.
 */
void rxe_anchors_wait(void)
{
	while (!wait_var_event_timeout(&rxe_anchors, !atomic_read(&rxe_anchors),
				       RXE_UNLOAD_PATIENCE))
		pr_warn("unloading waits for %d queue pairs that are gone: for their packets in queues of the network, or for page faults that nobody serves (%u faults)\n",
			atomic_read(&rxe_anchors), rxe_faults_asleep());
	/* the last one may be on its way out of rxe_skb_free() */
	synchronize_rcu();
}

/**
 * rxe_anchor_hold_qp - take a reference to the QP
 * @anchor: held by the caller
 *
 * Context: any.
 * Return: the QP's handle, to be given back by rxe_handle_put(); NULL if the QP
 * is gone or going.
 */
struct rxe_handle *rxe_anchor_hold_qp(struct rxe_anchor *anchor)
{
	struct rxe_handle *handle;
	unsigned long irq;

	spin_lock_irqsave(&anchor->lock, irq);
	handle = anchor->handle;
	if (handle && !rxe_handle_hold(handle))
		handle = NULL;
	spin_unlock_irqrestore(&anchor->lock, irq);

	return handle;
}
