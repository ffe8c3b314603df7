/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RESTRACK_H
#define RXE_RESTRACK_H

struct ib_mr;
struct sk_buff;

int rxe_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr);
int rxe_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr);

#endif
