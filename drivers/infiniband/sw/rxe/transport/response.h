/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Shared by all that execute requests. */
#ifndef RXE_RESPONSE_H
#define RXE_RESPONSE_H

#include <rdma/ib_verbs.h>

#include "base/wire.h"
#include "mem/access.h"
#include "obj/qp.h"

struct rxe_pkt;

/**
 * rxe_responder_access - the access that a peer's request needs to memory
 * @qp: the responder
 * @rights: of struct rxe_access
 *
 * Return: the access, but for its key, iova and lengths.
 */
static inline struct rxe_access
rxe_responder_access(struct rxe_qp *qp, int rights)
{
	return (struct rxe_access) {
		.pd = qp->ibqp.pd,
		.qpn = qp->ibqp.qp_num,
		.rights = rights,
		.dir = &qp->rq.responder,
		.hold = &qp->rq.hold,
	};
}

/* account for PSNs, from the expected one on, that need not come again */
static inline void rxe_rq_advance(struct rxe_rq *rq, u32 psns)
{
	lockdep_assert_held(&rq->lock);
	rq->epsn = rxe_psn_add(rq->epsn, psns);
	rq->expected += psns;
}

struct rxe_access rxe_receive_access(struct rxe_qp *qp);
void rxe_fail_receive(struct rxe_qp *qp, enum ib_wc_status status);
bool rxe_request_valid(const struct rxe_qp *qp, const struct rxe_pkt *pkt);
int rxe_respond_send(struct rxe_qp *qp, const struct rxe_pkt *pkt);
int rxe_respond_write(struct rxe_qp *qp, const struct rxe_pkt *pkt);
void rxe_responder_advance(struct rxe_qp *qp, const struct rxe_pkt *pkt);

void rxe_raise_comm_established(struct rxe_qp *qp);

#endif
