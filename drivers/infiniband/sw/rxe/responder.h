/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RESPONDER_H
#define RXE_RESPONDER_H

#include <linux/types.h>

#include "wire.h"

struct rxe_qp;
struct sk_buff;

void rxe_responder_rcv(struct rxe_qp *qp, struct sk_buff *skb);
void rxe_responder_run(struct rxe_qp *qp);
void rxe_responder_resume(struct rxe_qp *qp, int err);

void rxe_send_ack(struct rxe_qp *qp, u8 syndrome, u32 psn);
void rxe_responder_fail(struct rxe_qp *qp, u8 syndrome, u32 psn);
__be32 rxe_aeth_smsn(const struct rxe_qp *qp, u8 syndrome);

#endif
