/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* From packets to the queue pair. */
#ifndef RXE_RCV_H
#define RXE_RCV_H

#include "base/stats.h"

struct net;
struct rxe_pkt;
struct sk_buff;

void rxe_rcv(const struct net *net, struct sk_buff *skb);
void rxe_rcv_group(const struct net *net, struct sk_buff *skb);
void rxe_rcv_drop(const struct net *net, struct sk_buff *skb);
void rxe_count_dropped(const struct net *net, const struct sk_buff *skb,
		       const struct rxe_pkt *pkt, unsigned int packets,
		       enum rxe_stat stat);

#endif
