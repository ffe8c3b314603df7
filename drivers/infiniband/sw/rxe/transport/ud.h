/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The unreliable datagram service. */
#ifndef RXE_UD_H
#define RXE_UD_H

#include <linux/types.h>

struct rxe_dev;
struct rxe_pkt;
struct rxe_qp;
struct rxe_swqe;
struct sk_buff;

int rxe_ud_request(struct rxe_qp *qp, struct rxe_swqe *wqe);
int rxe_ud_process(struct rxe_qp *qp, const struct rxe_pkt *pkt);
bool rxe_ud_has_qkey(struct rxe_qp *qp, const struct rxe_pkt *pkt);
bool rxe_ud_is_ours(struct rxe_dev *dev, const struct sk_buff *skb);

#endif
