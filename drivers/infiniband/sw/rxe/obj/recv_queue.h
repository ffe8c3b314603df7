/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RECV_QUEUE_H
#define RXE_RECV_QUEUE_H

#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

struct rxe_qp;

int rxe_rq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init,
		  struct ib_udata *udata, struct mminfo *mi);
void rxe_rq_destroy(struct rxe_qp *qp);
void rxe_rq_reset(struct rxe_qp *qp);

bool rxe_rq_fetch(struct rxe_qp *qp);
void rxe_rq_complete(struct rxe_qp *qp, struct ib_wc *wc,
		     bool solicited);
bool rxe_rq_flush(struct rxe_qp *qp, int budget);

#endif
