/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Requests that are answered with data, and answered again when repeated. */
#ifndef RXE_READ_RESPONSE_H
#define RXE_READ_RESPONSE_H

#include <linux/types.h>

struct rxe_pkt;
struct rxe_qp;

int rxe_respond_read(struct rxe_qp *qp, const struct rxe_pkt *pkt);
int rxe_respond_atomic(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_repeat_read(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_repeat_atomic(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_answer_placement(struct rxe_qp *qp, u32 psn);
void rxe_repeat_placement(struct rxe_qp *qp, const struct rxe_pkt *pkt);
bool rxe_read_continue(struct rxe_qp *qp);

#endif
