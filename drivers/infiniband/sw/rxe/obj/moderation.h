/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_MODERATION_H
#define RXE_MODERATION_H

#include <rdma/ib_verbs.h>

struct rxe_cq;

int rxe_modify_cq(struct ib_cq *ibcq, u16 count, u16 period);
void rxe_moderation_init(struct rxe_cq *cq);
void rxe_moderation_end(struct rxe_cq *cq);
bool rxe_cq_hold_event(struct rxe_cq *cq, bool failed);

#endif
