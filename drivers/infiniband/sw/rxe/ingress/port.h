/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_PORT_H
#define RXE_PORT_H

#include <linux/types.h>

struct net;
struct sk_buff;
struct sock;

typedef int (*rxe_encap_rcv_t)(struct sock *sk, struct sk_buff *skb);

int rxe_port_init(void);
void rxe_port_exit(void);
int rxe_port_open(struct net *net, rxe_encap_rcv_t rcv);
void rxe_port_close(struct net *net);
struct sock *rxe_port_sock(const struct net *net, bool ipv4);

#endif
