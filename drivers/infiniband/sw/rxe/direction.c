// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <rdma/odp_umem.h>

#include "anchor.h"
#include "direction.h"
#include "fault.h"
#include "qp.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* for how long a fault is tried anew where there is no memory: 255 ms in all */
#define RXE_NO_MEMORY_MS	128
/* faults of a context's that nobody waits for any more, and that still sleep */
#define RXE_ABANDONED_MAX	64
/* for how long some of them may yet end: those that wait for a disk do */
#define RXE_ABANDONED_WAIT	msecs_to_jiffies(1000)

/* places of one access that are held together, where others take pages away */
#define RXE_PLACES	4

/**
 * struct rxe_place - memory that an access has missed
 * @umem: held
 * @addr: where
 * @need: bytes
 * @flags: of odp_umem_fault()
 * @hold: keeps it until the access has been made
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
 * @work: the worker
 * @refs: its direction's, until that abandons it, and its worker's
 * @dir: of a QP that may be gone: found by @anchor
 * @anchor: the QP's; held, as is @umem, while the worker is on its way
 * @umem: the memory
 * @addr: where the access missed
 * @need: bytes without which the access cannot go on
 * @ahead: bytes that are known to be accessed, at least @need
 * @flags: of odp_umem_fault()
 * @again: the memory was there, and gone when the access was made
 * @abandoned: nobody waits for it
 * @places: the worker's: what it has faulted in since the direction last ran
 *	    without a miss, the newest at @num_places - 1, modulo their number
 * @num_places: how many it has been; 0: none is held
 *
 * While it is not under way it is its direction's to use, under its lock.
 */
struct rxe_fault {
	struct work_struct work;
	refcount_t refs;
	struct rxe_direction *dir;
	struct rxe_anchor *anchor;
	struct odp_umem *umem;
	unsigned long addr;
	size_t need;
	size_t ahead;
	unsigned int flags;
	bool again;
	bool abandoned;
	struct rxe_place places[RXE_PLACES];
	unsigned int num_places;
};

static void rxe_fault_put(struct rxe_fault *fault)
{
	if (!refcount_dec_and_test(&fault->refs))
		return;

	if (fault->abandoned) {
		atomic_dec(&fault->anchor->faulter->abandoned);
		wake_up_var(&fault->anchor->faulter->abandoned);
	}
	rxe_anchor_put(fault->anchor);
	kfree(fault);
}

static unsigned int rxe_places_known(const struct rxe_fault *fault)
{
	return min_t(unsigned int, fault->num_places, RXE_PLACES);
}

static void rxe_forget_places(struct rxe_fault *fault)
{
	unsigned int i;

	for (i = 0; i < rxe_places_known(fault); i++)
		odp_umem_put(fault->places[i].umem);
	fault->num_places = 0;
}

/* The fault's reference to the memory is the place's from now on. */
static struct rxe_place *rxe_note_place(struct rxe_fault *fault)
{
	struct rxe_place *place;

	place = &fault->places[fault->num_places % RXE_PLACES];
	if (fault->num_places >= RXE_PLACES)
		odp_umem_put(place->umem);
	fault->num_places++;
	place->umem = fault->umem;
	place->addr = fault->addr;
	place->need = fault->need;
	place->flags = fault->flags;
	return place;
}

static int rxe_fault_place(struct rxe_place *place, struct odp_hold *hold)
{
	return odp_umem_fault(place->umem, place->addr, place->need,
			      place->flags, hold);
}

/*
 * Others take pages away: those that the access itself needs, in all the places
 * where it has missed some. Only what is wrong where it missed last is its error.
 */
static int rxe_fault_held(struct rxe_fault *fault, struct rxe_place *missed)
{
	struct rxe_place *place = fault->places;
	unsigned int i;

	for (i = 0; i < rxe_places_known(fault); i++, place++)
		if (place != missed)
			rxe_fault_place(place, &place->hold);
	return rxe_fault_place(missed, &missed->hold);
}

static int rxe_fault_try(struct rxe_fault *fault, struct rxe_place *place)
{
	int err = -EAGAIN;

	if (fault->again)
		return rxe_fault_held(fault, place);

	if (fault->ahead > fault->need)
		err = odp_umem_fault(place->umem, place->addr, fault->ahead,
				     place->flags | ODP_FAULT_TRY, NULL);
	/*
	 * What lies behind a hole is none of the access's business, nor is what
	 * others take away.
	 */
	if (err)
		err = rxe_fault_place(place, NULL);
	return err;
}

/*
 * Where there is no memory for the pages, some may come free. When none has for a
 * while the access fails, by an error that says so: see rxe_access_status().
 */
static int rxe_fault_pages(struct rxe_fault *fault, struct rxe_place *place)
{
	unsigned int ms = 1;
	int err;

	while ((err = rxe_fault_try(fault, place)) == -ENOMEM) {
		if (ms > RXE_NO_MEMORY_MS || READ_ONCE(fault->abandoned))
			return -ENOBUFS;
		msleep(ms);
		ms *= 2;
	}
	return err;
}

/*
 * The direction that waits for the fault makes the same access again. Where that
 * cannot succeed it does so right here, so that the error is that access's and no
 * other's; or else where what it sends is in order. True: it has parked again.
 */
static bool rxe_resume(struct rxe_direction *dir, const struct rxe_fault *fault,
		       int err)
{
	bool parked = false;

	spin_lock_bh(dir->lock);
	/* abandoned, it is no more the direction's: that may wait for another */
	if (dir->fault != fault)
		goto unlock;

	trace_rxe_resume(dir->qp->ibqp.qp_num, dir->kind, err);
	if (err == -ENOBUFS)
		rxe_count(dir->qp->dev, RXE_STAT_FAULT_NO_MEMORY);
	dir->parked = false;
	/* the peer was not late meanwhile: we were */
	if (dir->kind != RXE_RESPONDER)
		rxe_sq_progress(&dir->qp->sq);

	if (!err && dir->flow && !rxe_flow_is_here(dir->flow)) {
		rxe_flow_continue(dir->flow);
		goto unlock;
	}
	dir->resumed = fault;
	dir->err = err;
	dir->run(dir->qp);
	dir->resumed = NULL;
	parked = dir->parked;
unlock:
	spin_unlock_bh(dir->lock);
	return parked;
}

static void rxe_hold_places(struct rxe_fault *fault)
{
	struct rxe_place *place = fault->places;
	unsigned int i;

	for (i = 0; i < rxe_places_known(fault); i++, place++)
		odp_umem_hold(&place->hold, place->umem, place->addr,
			      place->need);
}

static void rxe_let_places_go(struct rxe_fault *fault)
{
	unsigned int i;

	for (i = 0; i < rxe_places_known(fault); i++)
		odp_umem_let_go(&fault->places[i].hold);
}

static void rxe_fault_work(struct work_struct *work)
{
	struct rxe_fault *fault = container_of(work, struct rxe_fault, work);
	struct rxe_place *place = rxe_note_place(fault);
	bool again = fault->again, parked = false;
	struct rxe_qp *qp;
	int err;

	if (unlikely(again))
		rxe_hold_places(fault);
	err = rxe_fault_pages(fault, place);
	qp = rxe_anchor_get_qp(fault->anchor);
	if (qp) {
		/* may start the next fault with the same object */
		parked = rxe_resume(fault->dir, fault, err);
		rxe_handle_put(qp->handle);
	}
	if (unlikely(again))
		rxe_let_places_go(fault);
	if (!parked)
		rxe_forget_places(fault);
	rxe_fault_put(fault);
}

static void rxe_direction_work(struct work_struct *work)
{
	struct rxe_direction *dir = container_of(to_delayed_work(work),
						 struct rxe_direction, work);

	spin_lock_bh(dir->lock);
	dir->run(dir->qp);
	spin_unlock_bh(dir->lock);
}

/**
 * rxe_direction_init - initialise a direction
 * @dir: the direction
 * @qp: its QP
 * @kind: which one
 * @lock: its queue's
 * @run: does what there is to do, under @lock and with BH disabled
 *
 * Context: any.
 */
void rxe_direction_init(struct rxe_direction *dir, struct rxe_qp *qp,
			enum rxe_direction_kind kind, spinlock_t *lock,
			void (*run)(struct rxe_qp *qp))
{
	dir->qp = qp;
	dir->kind = kind;
	dir->lock = lock;
	dir->run = run;
	if (kind == RXE_REQUESTER)
		dir->flow = &qp->anchor->flows[RXE_FLOW_REQUESTS];
	else if (kind == RXE_RESPONDER)
		dir->flow = &qp->anchor->flows[RXE_FLOW_RESPONSES];
	INIT_DELAYED_WORK(&dir->work, rxe_direction_work);
	rxe_backlog_init(&dir->backlog);
}

/**
 * rxe_direction_prepare - have a fault ready, before there are accesses to memory
 * @dir: of a QP that leaves the reset state
 *
 * An access must not fail for want of memory to wait with. Programs have none to
 * wait with while too many faults of theirs are under way that they have
 * abandoned: each of these holds a kernel thread.
 *
 * Context: may sleep, for a second at most; nobody else modifies the QP.
 * Return: 0; -EBUSY: too many abandoned faults; -ENOMEM.
 */
int rxe_direction_prepare(struct rxe_direction *dir)
{
	struct rxe_anchor *anchor = dir->qp->anchor;
	struct rxe_fault *fault;

	/* what a kernel user registers is not paged */
	if (!anchor->faulter || READ_ONCE(dir->fault))
		return 0;
	if (!wait_var_event_timeout(&anchor->faulter->abandoned,
				    atomic_read(&anchor->faulter->abandoned) <
					    RXE_ABANDONED_MAX,
				    RXE_ABANDONED_WAIT))
		return -EBUSY;

	fault = kzalloc(sizeof(*fault), GFP_KERNEL_ACCOUNT);
	if (!fault)
		return -ENOMEM;
	INIT_WORK(&fault->work, rxe_fault_work);
	refcount_set(&fault->refs, 1);
	fault->dir = dir;
	fault->anchor = rxe_anchor_get(anchor);

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
	rxe_backlog_purge(dir->qp->dev, &dir->backlog);
	if (dir->fault)
		rxe_fault_put(dir->fault);
}

/* Since the direction last ran without a miss. */
static bool rxe_has_missed(const struct rxe_fault *fault,
			   const struct odp_umem *umem, unsigned long addr,
			   size_t need, unsigned int flags)
{
	const struct rxe_place *place = fault->places;
	unsigned int i;

	for (i = 0; i < rxe_places_known(fault); i++, place++)
		if (place->umem == umem && place->addr == addr &&
		    place->need == need && place->flags == flags)
			return true;
	return false;
}

/**
 * rxe_park - have a direction wait for memory that its access has missed
 * @dir: the direction
 * @umem: the memory
 * @addr: where the access missed it
 * @need: bytes that the access needs there
 * @ahead: bytes that are known to be accessed from there on
 * @write: the access writes
 *
 * Context: BH disabled, @dir->lock is held.
 * Return: -EAGAIN: it is parked, and will run again; another errno: it has just
 * waited for this very access, which cannot be made: -ENOBUFS: there is no memory
 * for the pages, or those of odp_umem_fault().
 */
int rxe_park(struct rxe_direction *dir, struct odp_umem *umem,
	     unsigned long addr, size_t need, size_t ahead, bool write)
{
	const struct rxe_fault *resumed = dir->resumed;
	unsigned int flags = write ? ODP_FAULT_WRITE : 0;
	struct rxe_fault *fault = dir->fault;
	bool again;

	lockdep_assert_held(dir->lock);
	if (WARN_ON_ONCE(!fault || dir->parked))
		return -EFAULT;

	/* it is one access's result: the next one has a fault of its own */
	dir->resumed = NULL;
	if (resumed && dir->err && resumed->umem == umem &&
	    resumed->addr == addr && resumed->need == need &&
	    resumed->flags == flags)
		return dir->err;
	again = resumed && rxe_has_missed(resumed, umem, addr, need, flags);

	odp_umem_get(umem);
	fault->again = again;
	fault->umem = umem;
	fault->addr = addr;
	fault->need = need;
	fault->ahead = clamp(ahead, need, max(need, RXE_FAULT_BATCH));
	fault->flags = flags;
	dir->parked = true;
	rxe_count(dir->qp->dev, RXE_STAT_PARKED);
	trace_rxe_park(dir->qp->ibqp.qp_num, dir->kind, addr, need,
		       fault->ahead, write);

	refcount_inc(&fault->refs);
	queue_work(fault->anchor->faulter->wq, &fault->work);
	return -EAGAIN;
}

/**
 * rxe_abandon - let go of all that a direction waits for
 * @dir: of a QP that is reset, fails, or is destroyed
 *
 * The fault that is under way is left to its worker, which may sleep for as long
 * as the memory's owner likes.
 *
 * Context: BH disabled, @dir->lock is held.
 */
void rxe_abandon(struct rxe_direction *dir)
{
	struct rxe_fault *fault = dir->fault;

	lockdep_assert_held(dir->lock);
	rxe_backlog_purge(dir->qp->dev, &dir->backlog);
	if (!dir->parked)
		return;

	trace_rxe_abandon(dir->qp->ibqp.qp_num, dir->kind);
	dir->parked = false;
	dir->fault = NULL;
	atomic_inc(&fault->anchor->faulter->abandoned);
	WRITE_ONCE(fault->abandoned, true);
	rxe_fault_put(fault);
}
