// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "base/compat.h"
#include "base/work.h"

struct workqueue_struct *rxe_wq;

/**
 * rxe_work_init - create the workqueue of the protocol
 *
 * Its works are bound to CPUs, as flows are. It serves memory reclaim, as a QP
 * may carry swap.
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int rxe_work_init(void)
{
	rxe_wq = alloc_workqueue("rxe", WQ_HIGHPRI | WQ_MEM_RECLAIM |
				 RXE_WQ_PERCPU, 0);
	return rxe_wq ? 0 : -ENOMEM;
}

/**
 * rxe_work_exit - the counterpart of rxe_work_init()
 *
 * Context: may sleep; no work is queued any more.
 */
void rxe_work_exit(void)
{
	destroy_workqueue(rxe_wq);
}
