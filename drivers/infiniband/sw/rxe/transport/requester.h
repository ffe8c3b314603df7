/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_REQUESTER_H
#define RXE_REQUESTER_H

#include <linux/types.h>

#include "base/trace.h"

struct rxe_qp;
struct rxe_sq;

bool rxe_requester_should_batch(struct rxe_qp *qp);
void rxe_requester_run(struct rxe_qp *qp);
void rxe_requester_begin(struct rxe_qp *qp);
void rxe_requester_unpark(struct rxe_sq *sq);
void rxe_requester_go_back(struct rxe_qp *qp, enum rxe_again why);

#endif
