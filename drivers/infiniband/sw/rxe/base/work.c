// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "base/compat.h"
#include "base/work.h"

struct workqueue_struct *rxe_wq;
struct workqueue_struct *rxe_flush_wq;

/**
 * rxe_work_init - create the workqueues of the protocol
 *
 * Works of rxe_wq are bound to CPUs, as flows are. That for flushes has one
 * thread, of ordinary priority: what programs make it do, each pass of each QP
 * in its turn, takes no more of the machine than that. Both serve memory reclaim,
 * as a QP may carry swap.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_work_init(void)
{
	rxe_wq = alloc_workqueue("rxe", WQ_HIGHPRI | WQ_MEM_RECLAIM |
				 RXE_WQ_PERCPU, 0);
	if (!rxe_wq)
		return -ENOMEM;

	rxe_flush_wq = alloc_workqueue("rxe_flush", WQ_UNBOUND | WQ_MEM_RECLAIM,
				       1);
	if (!rxe_flush_wq) {
		destroy_workqueue(rxe_wq);
		return -ENOMEM;
	}
	return 0;
}

/**
 * rxe_work_exit - the counterpart of rxe_work_init()
 *
 * Context: may sleep; no work is queued any more.
 */
void rxe_work_exit(void)
{
	destroy_workqueue(rxe_flush_wq);
	destroy_workqueue(rxe_wq);
}
