/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RoCEv2 in the kernel's net namespaces. */
#ifndef RXE_NET_H
#define RXE_NET_H

struct net;
struct rxe_dev;

int rxe_net_init(void);
void rxe_net_exit(void);
int rxe_net_add(struct rxe_dev *dev, struct net *net);
void rxe_net_remove(struct rxe_dev *dev);

#endif
