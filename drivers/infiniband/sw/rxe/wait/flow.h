/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets that one queue of a QP has handed to the network. */
#ifndef RXE_FLOW_H
#define RXE_FLOW_H

#include <linux/types.h>

struct rxe_flow;
struct sk_buff;

void rxe_flow_add(struct rxe_flow *flow, struct sk_buff *skb);
bool rxe_flow_may_send(struct rxe_flow *flow, bool arrived);
bool rxe_flow_is_here(const struct rxe_flow *flow);
void rxe_flow_continue(struct rxe_flow *flow);

#endif
