// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * CQ moderation: an event that is due is held back until so many completions
 * have come, or for so long. ibv_modify_cq(3) describes it; the specification
 * does not.
 */
#include "base/compat.h"
#include "obj/cq.h"
#include "obj/moderation.h"
#include "obj/ring.h"

static bool rxe_cq_moderates(const struct rxe_cq *cq)
{
	return cq->moderate_count || cq->moderate_period;
}

static bool rxe_cq_held_enough(const struct rxe_cq *cq)
{
	return cq->held && (!rxe_cq_moderates(cq) ||
			    (cq->moderate_count &&
			     cq->held >= cq->moderate_count));
}

static void rxe_cq_start_timer(struct rxe_cq *cq)
{
	if (cq->moderate_period)
		hrtimer_start(&cq->timer,
			      ns_to_ktime((u64)cq->moderate_period *
					  NSEC_PER_USEC),
			      HRTIMER_MODE_REL_SOFT);
}

/**
 * rxe_cq_hold_event - hold an event back where moderation asks for it
 * @cq: the queue, its lock held; the event was asked for, and is due
 * @failed: the completion is of a request that failed
 *
 * Not where no more completions may come: after a failure, or when the queue
 * has no room for another.
 *
 * Context: any.
 * Return: true: it is held back.
 */
bool rxe_cq_hold_event(struct rxe_cq *cq, bool failed)
{
	lockdep_assert_held(&cq->lock);
	if (!rxe_cq_moderates(cq))
		return false;

	cq->held++;
	if (failed || rxe_cq_held_enough(cq) ||
	    !rxe_ring_space(cq->ring, cq->producer)) {
		cq->held = 0;
		return false;
	}
	if (cq->held == 1)
		rxe_cq_start_timer(cq);
	return true;
}

/* Raise the held event, unless another completion has raised it meanwhile. */
static void rxe_cq_raise_held(struct rxe_cq *cq, bool due)
{
	unsigned long irq;

	spin_lock_irqsave(&cq->lock, irq);
	due = cq->held && (due || rxe_cq_held_enough(cq));
	if (due) {
		cq->held = 0;
		cq->armed = 0;
	}
	spin_unlock_irqrestore(&cq->lock, irq);

	if (due && cq->ibcq.comp_handler)
		cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
}

static enum hrtimer_restart rxe_cq_timeout(struct hrtimer *timer)
{
	rxe_cq_raise_held(container_of(timer, struct rxe_cq, timer), true);
	return HRTIMER_NORESTART;
}

/**
 * rxe_moderation_init - set up the timer of held events
 * @cq: a queue that is being made
 *
 * Context: any.
 */
void rxe_moderation_init(struct rxe_cq *cq)
{
	hrtimer_setup(&cq->timer, rxe_cq_timeout, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_SOFT);
}

/**
 * rxe_moderation_end - stop the timer of held events
 * @cq: a queue that nothing completes to any more
 *
 * Context: may sleep.
 */
void rxe_moderation_end(struct rxe_cq *cq)
{
	hrtimer_cancel(&cq->timer);
}

/**
 * rxe_modify_cq - ib_device_ops.modify_cq
 * @ibcq: the queue
 * @count: completions that raise an event; 0: their number does not
 * @period: microseconds from the first of them until one is raised; 0: time
 *	    does not raise one. Both 0: each completion raises one
 *
 * A completion in error raises one at once, and so does one that fills the queue.
 *
 * Context: process.
 * Return: 0.
 */
int rxe_modify_cq(struct ib_cq *ibcq, u16 count, u16 period)
{
	struct rxe_cq *cq = to_rcq(ibcq);

	spin_lock_irq(&cq->lock);
	cq->moderate_count = count;
	cq->moderate_period = period;
	if (cq->held)
		rxe_cq_start_timer(cq);
	spin_unlock_irq(&cq->lock);

	/* the completions so far may be enough */
	rxe_cq_raise_held(cq, false);
	return 0;
}
