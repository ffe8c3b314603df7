/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RoCEv2 in the kernel's net namespaces. */
#ifndef RXE_NET_H
#define RXE_NET_H

#include <rdma/ib_verbs.h>

struct rxe_dev;

int rxe_net_init(void);
void rxe_net_exit(void);
int rxe_net_add(struct rxe_dev *dev, struct net *net);
void rxe_net_remove(struct rxe_dev *dev);
struct sock *rxe_net_sock_of(const struct net *net, bool ipv4);
struct sock *rxe_net_sock(const struct rxe_dev *dev, bool ipv4);

int rxe_net_join(struct rxe_dev *dev, const union ib_gid *mgid);
void rxe_net_leave(struct rxe_dev *dev, const union ib_gid *mgid);

#endif
