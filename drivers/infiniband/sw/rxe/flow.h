/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets that one queue of a QP has handed to the network. */
#ifndef RXE_FLOW_H
#define RXE_FLOW_H

#include <linux/atomic.h>
#include <linux/workqueue.h>

struct rxe_anchor;
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

void rxe_flow_add(struct rxe_flow *flow, struct sk_buff *skb);
bool rxe_flow_may_send(struct rxe_flow *flow, bool arrived);
bool rxe_flow_is_here(const struct rxe_flow *flow);
void rxe_flow_continue(struct rxe_flow *flow);

#endif
