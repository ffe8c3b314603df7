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

struct rxe_fault_queue;
struct rxe_qp;
struct sk_buff;

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
 *
 * @cpu is under the lock of the queue whose flow it is.
 */
struct rxe_flow {
	struct rxe_anchor *anchor;
	atomic_t in_flight;
	unsigned long blocked;
	int cpu;
};

/**
 * struct rxe_anchor - outlives its QP
 * @refs: the QP's, and one for each late event that is under way
 * @lock: guards @qp; taken in any context
 * @qp: NULL once the QP is being destroyed
 * @qpn: the QP's number, for those who watch
 * @faulter: who faults for it, held; NULL: a kernel user, whose memory is there
 * @flows: what the QP sends, for each direction
 */
struct rxe_anchor {
	refcount_t refs;
	/* innermost; packets are freed under any lock */
	spinlock_t lock;
	struct rxe_qp *qp;
	u32 qpn;
	struct rxe_fault_queue *faulter;
	struct rxe_flow flows[RXE_FLOW_NUM];
};

struct rxe_anchor *rxe_anchor_create(struct rxe_qp *qp,
				     struct rxe_fault_queue *faulter);
void rxe_anchor_detach(struct rxe_anchor *anchor);
struct rxe_qp *rxe_anchor_get_qp(struct rxe_anchor *anchor);

struct rxe_anchor *rxe_anchor_get(struct rxe_anchor *anchor);
void rxe_anchor_put(struct rxe_anchor *anchor);
void rxe_anchors_wait(void);

void rxe_flow_add(struct rxe_flow *flow, struct sk_buff *skb);
bool rxe_flow_may_send(struct rxe_flow *flow, bool arrived);
bool rxe_flow_is_here(const struct rxe_flow *flow);
void rxe_flow_continue(struct rxe_flow *flow);

#endif
