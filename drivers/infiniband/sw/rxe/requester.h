/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_REQUESTER_H
#define RXE_REQUESTER_H

#include <linux/types.h>

struct rxe_access;
struct rxe_bth;
struct rxe_qp;
struct rxe_swqe;

/*
 * One request for a read of more than this would have the peer answer faster
 * than a parked completer can keep: long reads are several requests.
 */
#define RXE_READ_CHUNK	(256U << 10)

bool rxe_requester_gathers(struct rxe_qp *qp);
void rxe_requester_run(struct rxe_qp *qp);
void rxe_requester_begin(struct rxe_qp *qp);
void rxe_requester_go_back(struct rxe_qp *qp);

struct rxe_access rxe_requester_access(struct rxe_qp *qp, int rights);
bool rxe_may_ask(const struct rxe_qp *qp);
void rxe_requester_expect(struct rxe_qp *qp, struct rxe_bth *bth, u32 psns);
void rxe_requester_ask(struct rxe_qp *qp, struct rxe_swqe *wqe,
		       struct rxe_bth *bth, u32 psns);
void rxe_requester_sent(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 psns);
void rxe_requester_send(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 psns);

#endif
