/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The memory placement extensions: flush and atomic write. */
#ifndef RXE_PLACEMENT_H
#define RXE_PLACEMENT_H

struct rxe_pkt;
struct rxe_qp;
struct rxe_swqe;

int rxe_request_flush(struct rxe_qp *qp, struct rxe_swqe *wqe);
int rxe_request_atomic_write(struct rxe_qp *qp, struct rxe_swqe *wqe);

int rxe_respond_flush(struct rxe_qp *qp, const struct rxe_pkt *pkt);
int rxe_respond_atomic_write(struct rxe_qp *qp, const struct rxe_pkt *pkt);

#endif
