// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <rdma/odp_umem.h>

#include "base/dev.h"
#include "base/rule.h"
#include "base/work.h"
#include "wait/anchor.h"
#include "wait/direction.h"
#include "wait/fault.h"
#include "wait/flow.h"

#define CREATE_TRACE_POINTS
#include "wait/trace.h"

/*
 * limit of a program's abandoned faults that are still under way: those that it
 * waits for may have the other half of its turns to sleep
 */
#define RXE_ABANDONED_MAX	(RXE_ASLEEP_PROGRAM / 2)
/* limit of those of one QP that it has gone on without */
#define RXE_UNPARKED_MAX	2
/* how long to wait until some of them end, as those that wait for a disk do */
#define RXE_ABANDONED_WAIT	msecs_to_jiffies(1000)

/* places of one access that are held together when tasks take pages away */
#define RXE_PLACES	4

/**
 * struct rxe_place - memory that an access has missed
 * @umem: held
 * @addr: user address
 * @need: bytes
 * @flags: of odp_umem_fault()
 * @hold: keeps the pages until the access has been made
 */
struct rxe_place {
	struct odp_umem *umem;
	unsigned long addr;
	size_t need;
	unsigned int flags;
	struct odp_hold hold;
};

/**
 * struct rxe_fault - a page fault
 * @job: the worker's
 * @refs: its direction's, until that abandons it, and its worker's
 * @dir: its direction, part of a QP that may be gone: found by @anchor
 * @anchor: the QP's, held
 * @missed: where the access missed; its memory is held until the worker is done
 * @ahead: bytes that are known to be accessed from there on
 * @lost: the pages were faulted in, and taken away before the access
 * @abandoned: no direction waits for it
 * @unparked: its QP has gone on without it
 * @places: earlier misses of the direction, since it last ran without one
 * @num_places: number of @places in use
 *
 * The direction uses it, under its lock, while no worker does; but @places and
 * @num_places belong to the worker, and grow while that runs the direction.
 */
struct rxe_fault {
	struct rxe_fault_job job;
	refcount_t refs;
	struct rxe_direction *dir;
	struct rxe_anchor *anchor;
	struct rxe_place missed;
	size_t ahead;
	bool lost;
	bool abandoned;
	bool unparked;
	struct rxe_place places[RXE_PLACES];
	unsigned int num_places;
};

static void rxe_fault_put(struct rxe_fault *fault)
{
	if (!refcount_dec_and_test(&fault->refs))
		return;

	if (fault->abandoned) {
		atomic_dec(&fault->anchor->faulter->abandoned);
		/* before wake_up_var() looks for those that wait until there are less */
		smp_mb__after_atomic();
		wake_up_var(&fault->anchor->faulter->abandoned);
	}
	if (fault->unparked)
		atomic_dec(&fault->anchor->unparked);
	rxe_anchor_put(fault->anchor);
	kfree(fault);
}

static int rxe_fault_place(struct rxe_place *place, unsigned int nowait,
			   struct odp_hold *hold)
{
	return odp_umem_fault(place->umem, place->addr, place->need,
			      place->flags | nowait, hold);
}

/*
 * Other tasks take pages away: fault in, under their holds, all places where
 * the access has missed. Only an error at the place that it missed last counts.
 */
static int rxe_fault_all_places(struct rxe_fault *fault, unsigned int nowait)
{
	unsigned int i;

	for (i = 0; i < fault->num_places; i++)
		if (rxe_fault_place(&fault->places[i], nowait,
				    &fault->places[i].hold) == -EBUSY)
			return -EBUSY;
	return rxe_fault_place(&fault->missed, nowait, &fault->missed.hold);
}

/* @nowait: ODP_FAULT_NOWAIT, or 0 */
static int rxe_fault_try(struct rxe_fault *fault, unsigned int nowait)
{
	struct rxe_place *missed = &fault->missed;
	int err = -EAGAIN;

	if (unlikely(fault->lost))
		return rxe_fault_all_places(fault, nowait);

	if (fault->ahead > missed->need)
		err = odp_umem_fault(missed->umem, missed->addr, fault->ahead,
				     missed->flags | nowait | ODP_FAULT_TRY,
				     NULL);
	/*
	 * The pages ahead are optional: they may be beyond a hole, be taken away
	 * by other tasks, or take a wait that the first ones do not take. Only
	 * the bytes that the access needs decide.
	 */
	if (err)
		err = rxe_fault_place(missed, nowait, NULL);
	return err;
}

/*
 * Without memory for the pages, retry: some may become free. In the end the
 * access fails with an error of its own: see rxe_access_status(). -EBUSY: this
 * takes a worker that may sleep.
 */
static int rxe_fault_pages(struct rxe_fault *fault, bool may_sleep)
{
	unsigned int ms = 1;
	int err;

	if (READ_ONCE(fault->abandoned))
		return -ECANCELED;
	if (!may_sleep) {
		err = rxe_fault_try(fault, ODP_FAULT_NOWAIT);
		return err == -ENOMEM ? -EBUSY : err;
	}
	while ((err = rxe_fault_try(fault, 0)) == -ENOMEM) {
		if (ms > RXE_NO_MEMORY_MS || READ_ONCE(fault->abandoned))
			return -ENOBUFS;
		msleep(ms);
		ms *= 2;
	}
	/* only a fault that is not to wait ends so */
	return err == -EBUSY ? -EFAULT : err;
}

/* What waits now may wait for long. */
static void rxe_copy_borrowed(struct rxe_direction *dir)
{
	if (!rxe_backlog_copy_borrowed(dir->anchor->dev, &dir->backlog))
		dir->ops->dropped(dir);
}

static void rxe_direction_run(struct rxe_direction *dir)
{
	dir->ops->run(dir);
	/* a fault is not what the rest waits for: the peer, or the network, may be */
	if (!dir->parked || rxe_backlog_borrows_long(&dir->backlog))
		rxe_copy_borrowed(dir);
}

/*
 * Let the direction that waits for the fault make the same access again: on the
 * CPU of its flow, so that its packets stay in order. But after an error it
 * runs right here, so that only the access that missed gets the error. Returns
 * whether it has parked again.
 */
static bool rxe_resume(struct rxe_direction *dir, const struct rxe_fault *fault,
		       int err)
{
	bool parked = false;

	spin_lock_bh(dir->lock);
	/* an abandoned fault: the direction may wait for another one by now */
	if (dir->fault != fault)
		goto unlock;

	trace_rxe_resume(dir, fault->missed.umem, fault->missed.addr,
			 fault->missed.need, err);
	if (err == -ENOBUFS)
		rxe_count(dir->anchor->dev, RXE_STAT_FAULT_NO_MEMORY);
	dir->parked = false;
	dir->backlog.untried = false;
	if (dir->ops->wait_over)
		dir->ops->wait_over(dir);

	if (!err && dir->flow && !rxe_flow_is_here(dir->flow)) {
		rxe_flow_continue(dir->flow);
		goto unlock;
	}
	dir->resumed = true;
	dir->err = err;
	rxe_direction_run(dir);
	dir->resumed = false;
	parked = dir->parked;
unlock:
	spin_unlock_bh(dir->lock);
	return parked;
}

static void rxe_hold_place(struct rxe_place *place)
{
	odp_umem_hold(&place->hold, place->umem, place->addr, place->need);
}

/* Make room for rxe_remember_place(), which must not sleep. */
static void rxe_drop_oldest_place(struct rxe_fault *fault)
{
	unsigned int i;

	odp_umem_put(fault->places[0].umem);
	fault->num_places--;
	for (i = 0; i < fault->num_places; i++)
		fault->places[i] = fault->places[i + 1];
}

static void rxe_forget_places(struct rxe_fault *fault)
{
	while (fault->num_places)
		odp_umem_put(fault->places[--fault->num_places].umem);
}

/* Returns 0 or -EBUSY, and whether the direction has parked again. */
static int rxe_fault_finish(struct rxe_fault *fault, bool may_sleep,
			    bool *parked)
{
	int err = rxe_fault_pages(fault, may_sleep);
	struct rxe_handle *qp;

	if (err == -EBUSY)
		return err;
	qp = rxe_anchor_hold_qp(fault->anchor);
	if (!qp)
		return 0;

	/* the direction may start its next fault with the same object */
	*parked = rxe_resume(fault->dir, fault, err);
	rxe_handle_put(qp);
	return 0;
}

/*
 * The pages were taken away before the access: hold them until it is made. Tasks that
 * take pages away are held back for some milliseconds only, so this must not wait for a
 * CPU as long as faults may at their ordinary priority.
 */
static int rxe_fault_finish_held(struct rxe_fault *fault, bool may_sleep,
				 bool *parked)
{
	unsigned int i, held = fault->num_places;
	long nice = task_nice(current);
	int err;

	set_user_nice(current, MIN_NICE);
	rxe_hold_place(&fault->missed);
	for (i = 0; i < held; i++)
		rxe_hold_place(&fault->places[i]);
	err = rxe_fault_finish(fault, may_sleep, parked);
	for (i = 0; i < held; i++)
		odp_umem_unhold(&fault->places[i].hold);
	odp_umem_unhold(&fault->missed.hold);
	set_user_nice(current, nice);
	return err;
}

/* The fault sleeps, or waits until it may: for as long as its memory's owner likes. */
static void rxe_fault_prepare_to_sleep(struct rxe_fault *fault)
{
	struct rxe_direction *dir = fault->dir;
	struct rxe_handle *qp = rxe_anchor_hold_qp(fault->anchor);

	if (!qp)
		return;
	spin_lock_bh(dir->lock);
	if (dir->fault == fault)
		rxe_copy_borrowed(dir);
	spin_unlock_bh(dir->lock);
	rxe_handle_put(qp);
}

static bool rxe_fault_run(struct rxe_fault_job *job, bool may_sleep)
{
	struct rxe_fault *fault = container_of(job, struct rxe_fault, job);
	struct odp_umem *umem = fault->missed.umem;
	bool parked = false;
	int err;

	if (unlikely(fault->num_places == RXE_PLACES))
		rxe_drop_oldest_place(fault);
	if (may_sleep)
		rxe_fault_prepare_to_sleep(fault);
	err = unlikely(fault->lost) ?
		      rxe_fault_finish_held(fault, may_sleep, &parked) :
		      rxe_fault_finish(fault, may_sleep, &parked);
	if (err) {
		rxe_fault_prepare_to_sleep(fault);
		return false;
	}

	if (!parked && fault->num_places)
		rxe_forget_places(fault);
	odp_umem_put(umem);
	rxe_fault_put(fault);
	return true;
}

static void rxe_direction_work(struct work_struct *work)
{
	struct rxe_direction *dir = container_of(to_delayed_work(work),
						 struct rxe_direction, work);
	u64 began = local_clock();

	spin_lock_bh(dir->lock);
	rxe_direction_run(dir);
	spin_unlock_bh(dir->lock);
	rxe_work_end(began);
}

/**
 * rxe_direction_init - initialise a direction
 * @dir: the direction
 * @anchor: of its QP
 * @kind: which one
 * @lock: its queue's
 * @ops: its queue's
 *
 * Context: any.
 */
void rxe_direction_init(struct rxe_direction *dir, struct rxe_anchor *anchor,
			enum rxe_direction_kind kind, spinlock_t *lock,
			const struct rxe_direction_ops *ops)
{
	dir->anchor = anchor;
	dir->kind = kind;
	dir->lock = lock;
	dir->ops = ops;
	if (kind == RXE_REQUESTER)
		dir->flow = &anchor->flows[RXE_FLOW_REQUESTS];
	else if (kind == RXE_RESPONDER)
		dir->flow = &anchor->flows[RXE_FLOW_RESPONSES];
	if (dir->flow)
		dir->flow->work = &dir->work;
	INIT_DELAYED_WORK(&dir->work, rxe_direction_work);
	rxe_backlog_init(&dir->backlog, anchor->backlog);
}

static struct rxe_fault *rxe_fault_create(struct rxe_direction *dir, gfp_t gfp)
{
	struct rxe_fault *fault;

	fault = kzalloc(sizeof(*fault), gfp);
	if (!fault)
		return NULL;

	rxe_fault_job_init(&fault->job, dir->anchor->faulter, rxe_fault_run);
	refcount_set(&fault->refs, 1);
	fault->dir = dir;
	fault->anchor = rxe_anchor_get(dir->anchor);
	return fault;
}

static bool rxe_has_abandoned_few(const struct rxe_fault_queue *faulter)
{
	return atomic_read(&faulter->abandoned) < RXE_ABANDONED_MAX ||
	       rxe_broken(abandoned);
}

/**
 * rxe_direction_prepare - allocate a fault, before there are accesses to memory
 * @dir: of a QP that leaves the reset state
 *
 * An access must not fail because no fault can be allocated. A program gets
 * none while too many of its abandoned faults are under way: each of them
 * occupies a kernel thread, and the program's others would wait for these.
 *
 * Context: may sleep, for a second at most; nobody else modifies the QP.
 * Return: 0; -EBUSY: too many abandoned faults; -ENOMEM.
 */
int rxe_direction_prepare(struct rxe_direction *dir)
{
	struct rxe_anchor *anchor = dir->anchor;
	struct rxe_fault *fault;

	/* memory of kernel users is not paged */
	if (!anchor->faulter || READ_ONCE(dir->fault))
		return 0;
	if (!wait_var_event_timeout(&anchor->faulter->abandoned,
				    rxe_has_abandoned_few(anchor->faulter),
				    RXE_ABANDONED_WAIT))
		return rxe_refuse(&anchor->dev->ibdev, -EBUSY,
				  "modify QP %#x: %d page faults that queue pairs no longer wait for have not ended",
				  anchor->qpn,
				  atomic_read(&anchor->faulter->abandoned));

	fault = rxe_fault_create(dir, GFP_KERNEL_ACCOUNT);
	if (!fault)
		return rxe_refuse(&anchor->dev->ibdev, -ENOMEM,
				  "modify QP %#x: no memory for its page faults",
				  anchor->qpn);

	spin_lock_bh(dir->lock);
	dir->fault = fault;
	spin_unlock_bh(dir->lock);
	return 0;
}

/**
 * rxe_direction_destroy - the counterpart of rxe_direction_init()
 * @dir: abandoned; no packet, timer or fault reaches it any more
 *
 * Context: may sleep.
 */
void rxe_direction_destroy(struct rxe_direction *dir)
{
	cancel_delayed_work_sync(&dir->work);
	rxe_backlog_purge(&dir->backlog);
	if (dir->fault)
		rxe_fault_put(dir->fault);
}

static bool rxe_place_equals(const struct rxe_place *place,
			     const struct odp_umem *umem, unsigned long addr,
			     size_t need, unsigned int flags)
{
	return place->umem == umem && place->addr == addr &&
	       place->need == need && place->flags == flags;
}

/* Keep the place of the last miss, which the next one is about to overwrite. */
static void rxe_remember_place(struct rxe_fault *fault)
{
	struct rxe_place *place = &fault->places[fault->num_places++];

	odp_umem_get(fault->missed.umem);
	place->umem = fault->missed.umem;
	place->addr = fault->missed.addr;
	place->need = fault->missed.need;
	place->flags = fault->missed.flags;
}

static bool rxe_has_missed(const struct rxe_fault *fault,
			   const struct odp_umem *umem, unsigned long addr,
			   size_t need, unsigned int flags)
{
	unsigned int i;

	for (i = 0; i < fault->num_places; i++)
		if (rxe_place_equals(&fault->places[i], umem, addr, need, flags))
			return true;
	return false;
}

/**
 * rxe_park - let a direction wait for memory that its access has missed
 * @dir: the direction
 * @umem: the memory
 * @addr: where the access missed it
 * @need: bytes that the access needs there
 * @ahead: bytes that are known to be accessed from there on
 * @write: the access writes
 *
 * Context: BH disabled, @dir->lock is held.
 * Return: -EAGAIN: it is parked, and will run again; another errno: it has
 * waited for this very access, and the fault has failed: -ENOBUFS: no memory
 * for the pages, or the errors of odp_umem_fault().
 */
int rxe_park(struct rxe_direction *dir, struct odp_umem *umem,
	     unsigned long addr, size_t need, size_t ahead, bool write)
{
	unsigned int flags = write ? ODP_FAULT_WRITE : 0;
	struct rxe_fault *fault = dir->fault;
	bool resumed = dir->resumed;

	lockdep_assert_held(dir->lock);
	if (WARN_ON_ONCE(!fault || dir->parked))
		return -EFAULT;

	/* the result is for one access: the next one has a fault of its own */
	dir->resumed = false;
	if (resumed && dir->err &&
	    rxe_place_equals(&fault->missed, umem, addr, need, flags))
		return dir->err;

	fault->lost = false;
	if (resumed) {
		rxe_remember_place(fault);
		fault->lost = rxe_has_missed(fault, umem, addr, need, flags);
	}
	odp_umem_get(umem);
	fault->missed.umem = umem;
	fault->missed.addr = addr;
	fault->missed.need = need;
	fault->missed.flags = flags;
	fault->ahead = clamp(ahead, need, max(need, RXE_FAULT_BATCH));
	dir->parked = true;
	dir->backlog.untried = true;
	rxe_count(dir->anchor->dev, RXE_STAT_PARKED);
	trace_rxe_park(dir, umem, addr, need, fault->ahead, write);

	refcount_inc(&fault->refs);
	rxe_fault_job_start(&fault->job);
	return -EAGAIN;
}

/* Not waited for: the worker may sleep as long as the memory's owner likes. */
static void rxe_abandon_fault(struct rxe_direction *dir)
{
	struct rxe_fault *fault = dir->fault;

	trace_rxe_abandon(dir, fault->missed.umem, fault->missed.addr,
			  fault->missed.need);
	dir->parked = false;
	dir->backlog.untried = false;
	dir->fault = NULL;
	atomic_inc(&fault->anchor->faulter->abandoned);
	WRITE_ONCE(fault->abandoned, true);
	rxe_fault_job_cancel(&fault->job);
	rxe_fault_put(fault);
}

/**
 * rxe_abandon - drop a direction's parked packets, and abandon its fault
 * @dir: of a QP that is reset, fails, or is destroyed
 *
 * The fault that is under way is left to its worker.
 *
 * Context: BH disabled, @dir->lock is held.
 */
void rxe_abandon(struct rxe_direction *dir)
{
	lockdep_assert_held(dir->lock);
	rxe_backlog_purge(&dir->backlog);
	if (dir->parked)
		rxe_abandon_fault(dir);
}

static bool rxe_may_abandon_more(const struct rxe_anchor *anchor)
{
	return rxe_has_abandoned_few(anchor->faulter) &&
	       (atomic_read(&anchor->unparked) < RXE_UNPARKED_MAX ||
		rxe_broken(unparked));
}

/**
 * rxe_try_unpark - abandon the fault for an access that will not be made
 * @dir: the direction, which may go on after this
 *
 * The fault that is under way is left to its worker. The direction stays parked
 * if no other one can be allocated, or if the program, or the QP by itself, has
 * abandoned too many: a peer that asks for repetitions again and again would
 * otherwise use those of the program up.
 *
 * Context: BH disabled, @dir->lock is held.
 */
void rxe_try_unpark(struct rxe_direction *dir)
{
	struct rxe_fault *next;

	lockdep_assert_held(dir->lock);
	if (!dir->parked || !rxe_may_abandon_more(dir->anchor))
		return;

	next = rxe_fault_create(dir, GFP_ATOMIC | __GFP_NOWARN);
	if (!next)
		return;
	dir->fault->unparked = true;
	atomic_inc(&dir->anchor->unparked);
	rxe_abandon_fault(dir);
	dir->fault = next;
}
