/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Queue pair 1 of each device: the general services interface. */
#ifndef RXE_GSI_H
#define RXE_GSI_H

struct net;
struct rxe_qp;
struct sk_buff;

int rxe_gsi_publish(struct rxe_qp *qp);
void rxe_gsi_withdraw(struct rxe_qp *qp);
struct rxe_qp *rxe_gsi_get(const struct net *net, const struct sk_buff *skb);

#endif
