/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_REQUESTER_H
#define RXE_REQUESTER_H

#include <linux/types.h>

struct rxe_qp;

/*
 * One request for a read of more than this would have the peer answer faster
 * than a parked completer can keep: long reads are several requests.
 */
#define RXE_READ_CHUNK	(256U << 10)

void rxe_requester_run(struct rxe_qp *qp);
void rxe_requester_resume(struct rxe_qp *qp, int err);
void rxe_requester_go_back(struct rxe_qp *qp);

#endif
