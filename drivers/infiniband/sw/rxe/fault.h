/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Page faults on behalf of a QP. A direction of a QP that misses a page parks:
 * its packets wait while a worker faults in all the memory that is known to
 * come, and resumes the QP.
 */
#ifndef RXE_FAULT_H
#define RXE_FAULT_H

#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct odp_umem;
struct rxe_anchor;
struct rxe_qp;

enum rxe_fault_direction {
	RXE_FAULT_REQUESTER,
	RXE_FAULT_COMPLETER,
	RXE_FAULT_RESPONDER,
	RXE_FAULT_NUM,
};

/*
 * What a worker faults in before the QP goes on: milliseconds, so that no peer's
 * timer takes the wait for a loss (67 ms where perftest sets it).
 */
#define RXE_FAULT_BATCH		(1024 * 1024UL)

/**
 * struct rxe_fault - a page fault
 * @work: the worker
 * @anchor: what it is part of
 * @resume: makes the parked direction go on; takes the QP's lock for it
 * @busy: the worker is on its way; guards the next four
 * @umem: the memory, held
 * @addr: where the access missed
 * @need: bytes without which the access cannot go on
 * @hint: bytes that are known to be wanted soon, at least @need
 * @flags: of odp_umem_fault()
 * @err: why the last access that missed cannot be satisfied; under the
 *	 direction's lock
 */
struct rxe_fault {
	struct work_struct work;
	struct rxe_anchor *anchor;
	void (*resume)(struct rxe_qp *qp, int err);
	unsigned long busy;
	struct odp_umem *umem;
	unsigned long addr;
	size_t need;
	size_t hint;
	unsigned int flags;
	int err;
};

/**
 * struct rxe_fault_queue - a program's own workers for page faults
 * @wq: may sleep for as long as the memory's owner likes
 * @refs: the program's context, and what of it may still fault
 * @free: destroys it, when the last of @refs may be a worker of its own
 */
struct rxe_fault_queue {
	struct workqueue_struct *wq;
	refcount_t refs;
	struct work_struct free;
};

struct rxe_fault_queue *rxe_fault_queue_create(void);
struct rxe_fault_queue *rxe_fault_queue_get(struct rxe_fault_queue *queue);
void rxe_fault_queue_put(struct rxe_fault_queue *queue);
int rxe_fault_queues_init(void);
void rxe_fault_queues_exit(void);

void rxe_faults_init(struct rxe_anchor *anchor);
int rxe_fault_start(struct rxe_fault *fault, struct odp_umem *umem,
		    unsigned long addr, size_t need, size_t hint, bool write);

#endif
