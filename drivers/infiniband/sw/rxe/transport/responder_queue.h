/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* How the responder receives requests. */
#ifndef RXE_RESPONDER_QUEUE_H
#define RXE_RESPONDER_QUEUE_H

struct rxe_qp;
struct sk_buff;

extern const struct rxe_direction_ops rxe_responder_ops;

void rxe_responder_rcv(struct rxe_qp *qp, struct sk_buff *skb);

#endif
