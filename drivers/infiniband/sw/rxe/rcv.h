/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* From packets to the queue pair. */
#ifndef RXE_RCV_H
#define RXE_RCV_H

struct net;
struct rxe_dev;
struct rxe_pkt;
struct sk_buff;

void rxe_rcv(const struct net *net, struct sk_buff *skb);
void rxe_rcv_group(const struct net *net, struct sk_buff *skb);
void rxe_count_rcvd(struct rxe_dev *dev, const struct rxe_pkt *pkt, u32 n);

#endif
