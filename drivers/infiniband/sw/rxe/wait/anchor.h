/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What late events hold on to. A packet may sit in a qdisc, and a worker in a
 * page fault, for longer than their QP lives: neither may delay its
 * destruction. They hold the anchor, and find the QP there or find it gone.
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

enum rxe_flow_direction {
	RXE_FLOW_REQUESTS,
	RXE_FLOW_RESPONSES,
	RXE_FLOW_NUM,
};

/**
 * struct rxe_flow - packets that must arrive in the order they were sent in
 * @anchor: what it is part of
 * @in_flight: packets handed to the network and not yet freed by it
 * @blocked: the sender waits for @in_flight to fall
 * @cpu: where all packets in flight were sent: queues below us are per CPU
 * @work: has the sender go on; the QP's, for as long as the anchor finds that
 *
 * @cpu is under the lock of the queue whose flow it is.
 */
struct rxe_flow {
	struct rxe_anchor *anchor;
	atomic_t in_flight;
	unsigned long blocked;
	int cpu;
	struct delayed_work *work;
};

/**
 * struct rxe_anchor - outlives its QP
 * @refs: the QP's, and one for each late event that is under way
 * @lock: guards @handle; taken in any context
 * @handle: the QP's; NULL before it has one, and once it is being destroyed
 * @qpn: the QP's number, for traces of what outlives @handle
 * @dev: the QP's device, which is there for as long as the QP is
 * @faulter: who faults for it, held; NULL: a kernel user, whose memory is there
 * @flows: what the QP sends, for each direction
 */
struct rxe_anchor {
	refcount_t refs;
	/* innermost; packets are freed under any lock */
	spinlock_t lock;
	struct rxe_handle *handle;
	u32 qpn;
	struct rxe_dev *dev;
	struct rxe_fault_queue *faulter;
	struct rxe_flow flows[RXE_FLOW_NUM];
};

struct rxe_anchor *rxe_anchor_create(struct rxe_dev *dev,
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
