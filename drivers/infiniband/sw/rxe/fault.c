// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <rdma/odp_umem.h>

#include "anchor.h"
#include "compat.h"
#include "completer.h"
#include "fault.h"
#include "qp.h"
#include "requester.h"
#include "responder.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static atomic_t rxe_fault_queues;

static int rxe_fault_direction(const struct rxe_fault *fault)
{
	return fault - fault->anchor->faults;
}

static int rxe_fault_pages(const struct rxe_fault *fault)
{
	int err;

	err = odp_umem_fault(fault->umem, fault->addr, fault->hint,
			     fault->flags);
	/* what lies behind a hole is none of the access's business */
	if (err && fault->hint > fault->need)
		err = odp_umem_fault(fault->umem, fault->addr, fault->need,
				     fault->flags);
	return err;
}

static void rxe_fault_work(struct work_struct *work)
{
	struct rxe_fault *fault = container_of(work, struct rxe_fault, work);
	struct rxe_anchor *anchor = fault->anchor;
	struct rxe_qp *qp;
	int err;

	err = rxe_fault_pages(fault);
	odp_umem_put(fault->umem);
	trace_rxe_resume(anchor->qpn, rxe_fault_direction(fault), err);
	/* orders our use of the fault before the next rxe_fault_start() */
	clear_bit_unlock(0, &fault->busy);

	qp = rxe_anchor_get_qp(anchor);
	if (qp) {
		fault->resume(qp, err);
		rxe_handle_put(qp->handle);
	}
	rxe_anchor_put(anchor);
}

/**
 * rxe_faults_init - initialise a QP's faults
 * @anchor: the QP's anchor
 *
 * Context: any.
 */
void rxe_faults_init(struct rxe_anchor *anchor)
{
	int i;

	for (i = 0; i < RXE_FAULT_NUM; i++) {
		INIT_WORK(&anchor->faults[i].work, rxe_fault_work);
		anchor->faults[i].anchor = anchor;
	}
	anchor->faults[RXE_FAULT_REQUESTER].resume = rxe_requester_resume;
	anchor->faults[RXE_FAULT_COMPLETER].resume = rxe_completer_resume;
	anchor->faults[RXE_FAULT_RESPONDER].resume = rxe_responder_resume;
}

/**
 * rxe_fault_start - fault memory in for an access that missed it
 * @fault: of the direction that misses it; the caller holds its lock
 * @umem: the memory
 * @addr: where it missed
 * @need: bytes that the access needs there
 * @hint: bytes that will be wanted there soon, or 0
 * @write: the access writes
 *
 * Context: any.
 * Return: -EAGAIN: the direction is to park, and will be resumed; another
 * errno: it has been resumed because the very same memory is not to be had.
 */
int rxe_fault_start(struct rxe_fault *fault, struct odp_umem *umem,
		    unsigned long addr, size_t need, size_t hint, bool write)
{
	int err = fault->err;

	fault->err = 0;
	if (err && fault->addr == addr)
		return err;

	/*
	 * Busy for a QP that was reset meanwhile: the worker will resume us,
	 * we shall miss again, and start then.
	 */
	if (test_and_set_bit_lock(0, &fault->busy))
		return -EAGAIN;

	odp_umem_get(umem);
	fault->umem = umem;
	fault->addr = addr;
	fault->need = need;
	fault->hint = clamp(hint, need, max(need, RXE_FAULT_BATCH));
	fault->flags = write ? ODP_FAULT_WRITE : 0;
	trace_rxe_park(fault->anchor->qpn, rxe_fault_direction(fault), addr,
		       need, fault->hint, write);
	rxe_anchor_get(fault->anchor);
	queue_work(fault->anchor->faulter->wq, &fault->work);
	return -EAGAIN;
}

/* rxe_wq is there for reclaim, too, and must not wait for what is not */
static struct workqueue_struct *rxe_fault_reaper;

static void rxe_fault_queue_free(struct work_struct *work)
{
	struct rxe_fault_queue *queue =
		container_of(work, struct rxe_fault_queue, free);

	/* waits for the worker that has dropped the last reference to return */
	destroy_workqueue(queue->wq);
	kfree(queue);
	if (atomic_dec_and_test(&rxe_fault_queues))
		wake_up_var(&rxe_fault_queues);
}

/**
 * rxe_fault_queue_create - make a program's workers
 *
 * Each has its own: a fault may wait for a handler of the program's, which may
 * never answer, and no other program's faults are to wait behind it. They are
 * those of the CPU that missed the page, where the QP then goes on, too.
 *
 * Context: may sleep.
 * Return: the queue with one reference, or NULL: no memory.
 */
struct rxe_fault_queue *rxe_fault_queue_create(void)
{
	struct rxe_fault_queue *queue;

	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		return NULL;

	queue->wq = alloc_workqueue("rxe_fault", WQ_HIGHPRI | WQ_CPU_INTENSIVE |
				    RXE_WQ_PERCPU, 0);
	if (!queue->wq) {
		kfree(queue);
		return NULL;
	}
	refcount_set(&queue->refs, 1);
	INIT_WORK(&queue->free, rxe_fault_queue_free);
	atomic_inc(&rxe_fault_queues);
	return queue;
}

/**
 * rxe_fault_queue_get - hold a program's workers
 * @queue: held by the caller in some way already
 *
 * Context: any.
 * Return: @queue.
 */
struct rxe_fault_queue *rxe_fault_queue_get(struct rxe_fault_queue *queue)
{
	refcount_inc(&queue->refs);
	return queue;
}

/**
 * rxe_fault_queue_put - let a program's workers go
 * @queue: held by the caller, which may be one of them
 *
 * Context: any.
 */
void rxe_fault_queue_put(struct rxe_fault_queue *queue)
{
	if (refcount_dec_and_test(&queue->refs))
		queue_work(rxe_fault_reaper, &queue->free);
}

/**
 * rxe_fault_queues_init - get ready for programs that fault
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_fault_queues_init(void)
{
	rxe_fault_reaper = alloc_workqueue("rxe_fault_reaper", WQ_UNBOUND, 0);
	return rxe_fault_reaper ? 0 : -ENOMEM;
}

/**
 * rxe_fault_queues_exit - wait for the last worker
 *
 * Context: may sleep for as long as a fault may; no program is left.
 */
void rxe_fault_queues_exit(void)
{
	wait_var_event(&rxe_fault_queues, !atomic_read(&rxe_fault_queues));
	/* the last one may be on its way out of rxe_fault_queue_free() */
	destroy_workqueue(rxe_fault_reaper);
}
