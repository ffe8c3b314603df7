/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The workers that fault memory in on behalf of a program. */
#ifndef RXE_FAULT_H
#define RXE_FAULT_H

#include <linux/atomic.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

/**
 * struct rxe_fault_queue - a program's own workers for page faults
 * @wq: its works may sleep for as long as the memory's owner likes
 * @abandoned: faults under way that no direction waits for any more
 * @refs: the program's context, and each object that may still fault for it
 * @free: destroys it, as one of its own workers may drop the last of @refs
 */
struct rxe_fault_queue {
	struct workqueue_struct *wq;
	atomic_t abandoned;
	refcount_t refs;
	struct work_struct free;
};

struct rxe_fault_queue *rxe_fault_queue_create(void);
struct rxe_fault_queue *rxe_fault_queue_get(struct rxe_fault_queue *queue);
void rxe_fault_queue_put(struct rxe_fault_queue *queue);
int rxe_fault_queues_init(void);
void rxe_fault_queues_exit(void);

#endif
