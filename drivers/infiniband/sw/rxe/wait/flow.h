/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets that one queue of a QP has handed to the network. */
#ifndef RXE_FLOW_H
#define RXE_FLOW_H

#include <linux/atomic.h>
#include <linux/lockdep.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "wait/anchor.h"
#include "wait/direction.h"

struct sk_buff;

/**
 * struct rxe_in_flight - packets in flight of all flows of a device
 * @refs: the device's, and one for each of its anchors, which may outlive it
 * @skbs: handed to the network and not yet freed by it
 */
struct rxe_in_flight {
	refcount_t refs;
	atomic_t skbs;
};

struct rxe_in_flight *rxe_in_flight_create(void);
void rxe_in_flight_put(struct rxe_in_flight *all);

/**
 * rxe_in_flight_get - hold a device's count
 * @all: held by the caller in some way already
 *
 * Context: any.
 * Return: @all.
 */
static inline struct rxe_in_flight *
rxe_in_flight_get(struct rxe_in_flight *all)
{
	refcount_inc(&all->refs);
	return all;
}

/**
 * rxe_flow_assert_held - assert that the lock of the queue that sends is held
 * @flow: of a QP that is there
 *
 * Context: any.
 */
static inline void rxe_flow_assert_held(const struct rxe_flow *flow)
{
	lockdep_assert_held(container_of(flow->work, struct rxe_direction,
					 work)->lock);
}

void rxe_flow_add(struct rxe_flow *flow, struct sk_buff *skb);
bool rxe_flow_may_send(struct rxe_flow *flow, bool arrived);
bool rxe_flow_is_here(const struct rxe_flow *flow);
void rxe_flow_continue(struct rxe_flow *flow);

#endif
