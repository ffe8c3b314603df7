// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <rdma/odp_umem.h>

#include "anchor.h"
#include "completer.h"
#include "fault.h"
#include "qp.h"
#include "requester.h"
#include "responder.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *rxe_fault_wq;

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
	queue_work(rxe_fault_wq, &fault->work);
	return -EAGAIN;
}

/**
 * rxe_fault_init - make the workers
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_fault_init(void)
{
	/* a fault may wait for a user's handler: many must be able to sleep */
	rxe_fault_wq = alloc_workqueue("rxe_fault", WQ_UNBOUND,
				       WQ_MAX_ACTIVE);
	return rxe_fault_wq ? 0 : -ENOMEM;
}

/**
 * rxe_fault_exit - wait for the last worker
 *
 * Context: may sleep for as long as a fault may.
 */
void rxe_fault_exit(void)
{
	destroy_workqueue(rxe_fault_wq);
}
