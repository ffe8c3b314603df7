/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_FLUSH_H
#define RXE_FLUSH_H

struct rxe_qp;

void rxe_flush_init(struct rxe_qp *qp);
void rxe_flush_begin(struct rxe_qp *qp);
void rxe_flush_again(struct rxe_qp *qp);
void rxe_flush_sends(struct rxe_qp *qp);
void rxe_flush_receives(struct rxe_qp *qp);

#endif
