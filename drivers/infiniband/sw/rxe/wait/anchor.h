/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Late events hold a QP's anchor instead of the QP. A packet may sit in a
 * qdisc, and a worker in a page fault, for longer than their QP lives: neither
 * may delay its destruction. By the anchor they find the QP, or that it is
 * gone.
 */
#ifndef RXE_ANCHOR_H
#define RXE_ANCHOR_H

#include <linux/atomic.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

struct rxe_anchor;
struct rxe_dev;
struct rxe_fault_queue;
struct rxe_handle;
struct rxe_in_flight;
struct rxe_share;

enum rxe_flow_direction {
	RXE_FLOW_REQUESTS,
	RXE_FLOW_RESPONSES,
	RXE_FLOW_NUM,
};

/**
 * struct rxe_flow - packets that must arrive in the order they were sent in
 * @anchor: the anchor that it is part of
 * @in_flight: packets handed to the network and not yet freed by it
 * @blocked: the sender waits for @in_flight to fall
 * @cpu: CPU that sent all packets in flight: the network's queues are per CPU;
 *	 negative: none has been sent whose order matters
 * @work: lets the sender go on; part of the QP, valid while @anchor finds that
 *
 * @cpu is guarded by the lock of the queue that sends.
 */
struct rxe_flow {
	struct rxe_anchor *anchor;
	atomic_t in_flight;
	unsigned long blocked;
	int cpu;
	struct delayed_work *work;
};

/**
 * struct rxe_anchor - the part of a QP that outlives it
 * @refs: the QP's, and one for each late event that is under way
 * @lock: guards @handle; taken in any context
 * @handle: the QP's; NULL before it has one, and once it is being destroyed
 * @qpn: the QP's number, as in @handle: the destruction of the QP abandons its
 *	 faults after @handle is gone, and their traces name it
 * @dev: the QP's device, which is there for as long as the QP is
 * @in_flight: of all flows of @dev, held
 * @backlog: its program's packets that wait; there for as long as the QP is
 * @faulter: workers that fault for it, held; NULL: a kernel user, never faults
 * @unparked: faults that the QP has gone on without, and that are under way
 * @flows: packets that the QP sends, for each direction
 */
struct rxe_anchor {
	refcount_t refs;
	/* innermost: packets are freed under any lock */
	spinlock_t lock;
	struct rxe_handle *handle;
	u32 qpn;
	struct rxe_dev *dev;
	struct rxe_in_flight *in_flight;
	struct rxe_share *backlog;
	struct rxe_fault_queue *faulter;
	atomic_t unparked;
	struct rxe_flow flows[RXE_FLOW_NUM];
};

struct rxe_anchor *rxe_anchor_create(struct rxe_dev *dev,
				     struct rxe_share *backlog,
				     struct rxe_fault_queue *faulter);
void rxe_anchor_attach(struct rxe_anchor *anchor, struct rxe_handle *handle);
void rxe_anchor_detach(struct rxe_anchor *anchor);
struct rxe_handle *rxe_anchor_hold_qp(struct rxe_anchor *anchor);

void rxe_anchor_put(struct rxe_anchor *anchor);
void rxe_anchors_wait(void);

/**
 * rxe_anchor_get - hold an anchor
 * @anchor: held by the caller in some way already
 *
 * Context: any.
 * Return: @anchor.
 */
static inline struct rxe_anchor *rxe_anchor_get(struct rxe_anchor *anchor)
{
	refcount_inc(&anchor->refs);
	return anchor;
}

#endif
