/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The unreliable connection service. */
#ifndef RXE_UC_H
#define RXE_UC_H

struct rxe_qp;
struct rxe_pkt;

int rxe_uc_process(struct rxe_qp *qp, const struct rxe_pkt *pkt);

#endif
