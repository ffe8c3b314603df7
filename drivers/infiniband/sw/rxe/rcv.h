/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* From the network to the queue pair. */
#ifndef RXE_RCV_H
#define RXE_RCV_H

#include <linux/types.h>

struct net;
struct rxe_dev;
struct rxe_pkt;
struct sk_buff;
struct sock;

int rxe_rcv_init_net(struct net *net);
void rxe_rcv_exit_net(struct net *net);
int rxe_udp_rcv(struct sock *sk, struct sk_buff *skb);
void rxe_count_rcvd(struct rxe_dev *dev, const struct rxe_pkt *pkt);

#endif
