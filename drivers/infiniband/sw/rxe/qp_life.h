/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_QP_LIFE_H
#define RXE_QP_LIFE_H

#include <rdma/ib_verbs.h>

int rxe_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init,
		  struct ib_udata *udata);
int rxe_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata);

#endif
