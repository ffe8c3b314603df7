/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Shared by all that make the packets of requests. */
#ifndef RXE_REQUEST_H
#define RXE_REQUEST_H

#include "base/rule.h"
#include "mem/access.h"
#include "obj/qp.h"

struct rxe_bth;
struct rxe_swqe;

/**
 * rxe_requester_access - the access that a send request needs to its memory
 * @qp: the sender
 * @rights: of struct rxe_access
 *
 * Return: the access, but for its key, iova and lengths.
 */
static inline struct rxe_access
rxe_requester_access(struct rxe_qp *qp, int rights)
{
	return (struct rxe_access) {
		.pd = qp->ibqp.pd,
		.rights = rights,
		.dir = &qp->sq.requester,
		.hold = &qp->sq.hold,
	};
}

/**
 * rxe_may_ask - whether the peer can answer one more request
 * @qp: the sender
 *
 * Context: the send queue's lock is held.
 * Return: whether fewer are under way than the peer can take (IBTA 9.7.3.1).
 */
static inline bool rxe_may_ask(const struct rxe_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	return qp->sq.rd_outstanding < qp->attr.max_rd_atomic ||
	       rxe_broken(read_credit);
}

void rxe_requester_expect(struct rxe_qp *qp, struct rxe_bth *bth, u32 psns);
void rxe_requester_ask(struct rxe_qp *qp, struct rxe_swqe *wqe,
		       struct rxe_bth *bth, u32 psns);
void rxe_requester_sent(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 psns);
void rxe_requester_send(struct rxe_qp *qp, struct rxe_swqe *wqe, u32 psns);

#endif
