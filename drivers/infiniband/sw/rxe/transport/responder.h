/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RESPONDER_H
#define RXE_RESPONDER_H

#include <linux/types.h>

struct rxe_pkt;
struct rxe_qp;
struct rxe_rq;

void rxe_note_nak(struct rxe_rq *rq);
int rxe_responder_process(struct rxe_qp *qp, const struct rxe_pkt *pkt);
bool rxe_responder_take_run(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_responder_repeat(struct rxe_qp *qp, const struct rxe_pkt *pkt);

#endif
