/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_OBJECTS_H
#define RXE_OBJECTS_H

#include <rdma/ib_verbs.h>

int rxe_alloc_pd(struct ib_pd *ibpd, struct ib_udata *udata);
int rxe_dealloc_pd(struct ib_pd *ibpd, struct ib_udata *udata);
int rxe_create_counted_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init,
			  struct ib_udata *udata);
int rxe_destroy_counted_ah(struct ib_ah *ibah, u32 flags);
int rxe_create_counted_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
			  struct ib_udata *udata);
int rxe_destroy_counted_cq(struct ib_cq *ibcq, struct ib_udata *udata);
int rxe_create_counted_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init,
			   struct ib_udata *udata);
int rxe_destroy_counted_srq(struct ib_srq *ibsrq, struct ib_udata *udata);
int rxe_create_counted_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init,
			  struct ib_udata *udata);
int rxe_destroy_counted_qp(struct ib_qp *ibqp, struct ib_udata *udata);
int rxe_alloc_counted_mw(struct ib_mw *ibmw, struct ib_udata *udata);
int rxe_dealloc_counted_mw(struct ib_mw *ibmw);

#endif
