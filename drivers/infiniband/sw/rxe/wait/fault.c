// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "base/compat.h"
#include "wait/fault.h"

static atomic_t rxe_fault_queues;

/* waits for faults: not on rxe_wq, which serves memory reclaim */
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
 * rxe_fault_queue_create - create a program's workers
 *
 * Each program has its own: a fault may wait for the program's userfaultfd or
 * FUSE server, which may never answer, and faults of other programs must not
 * wait behind it. A worker runs on the CPU that missed the page, where the QP
 * goes on, too.
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
 * rxe_fault_queue_put - drop a reference to a program's workers
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
 * rxe_fault_queues_init - create the workqueue that destroys fault queues
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
