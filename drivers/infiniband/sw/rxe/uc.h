/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The unreliable connection service. */
#ifndef RXE_UC_H
#define RXE_UC_H

struct rxe_qp;
struct sk_buff;

int rxe_uc_process(struct rxe_qp *qp, struct sk_buff *skb);

#endif
