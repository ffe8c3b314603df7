/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Reception of packets from the network. */
#ifndef RXE_HOOK_H
#define RXE_HOOK_H

struct net;
struct sk_buff;
struct sock;

int rxe_hook_net(struct net *net);
void rxe_unhook_net(struct net *net);
void rxe_hook_wait(struct net *net);
int rxe_udp_rcv(struct sock *sk, struct sk_buff *skb);

#endif
