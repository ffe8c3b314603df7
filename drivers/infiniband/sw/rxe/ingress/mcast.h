/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_MCAST_H
#define RXE_MCAST_H

#include <rdma/ib_verbs.h>

struct net;
struct rxe_pkt;

int rxe_attach_mcast(struct ib_qp *ibqp, union ib_gid *mgid, u16 mlid);
int rxe_detach_mcast(struct ib_qp *ibqp, union ib_gid *mgid, u16 mlid);

bool rxe_mcast_rcv(const struct net *net, const struct rxe_pkt *pkt);

int rxe_mcast_init(void);
void rxe_mcast_exit(void);

#endif
