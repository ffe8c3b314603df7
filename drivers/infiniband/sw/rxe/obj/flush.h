/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_FLUSH_H
#define RXE_FLUSH_H

struct rxe_qp;

void rxe_flush_init(struct rxe_qp *qp);
void rxe_qp_flush_sqe(struct rxe_qp *qp);

#endif
