// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Requests that are answered with data: IBTA volume 1, 9.4.4 and 9.4.5. */
#include "base/wire.h"
#include "mem/access.h"
#include "obj/send_queue.h"
#include "transport/read_request.h"
#include "transport/request.h"

static u32 rxe_read_chunk_psns(const struct rxe_qp *qp)
{
	return RXE_READ_CHUNK / qp->mtu;
}

static int rxe_touch(void *kaddr, size_t len, void *arg)
{
	return 0;
}

/*
 * Fault the memory in before data is requested: a response that misses a page
 * waits, with all that come after it.
 */
static int rxe_prepare_sink(struct rxe_qp *qp, const struct rxe_swqe *wqe,
			    u32 offset, u32 len)
{
	struct rxe_access access =
		rxe_requester_access(qp, IB_ACCESS_LOCAL_WRITE);

	access.ahead = wqe->length - offset;
	return rxe_sgl_access(&access, wqe->sge, wqe->num_sge, offset, len,
			      rxe_touch, NULL);
}

/**
 * rxe_request_read - request data, or the next part of it
 * @qp: the sender; its window is open
 * @wqe: the request, numbered
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: 0; -EBUSY: too many are being answered; -ENOMEM; or as rxe_mr_access().
 */
int rxe_request_read(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	struct rxe_sq *sq = &qp->sq;
	u32 index = rxe_psn_diff(sq->psn, wqe->first_psn);
	u32 psns = rxe_read_chunk_psns(qp) - index % rxe_read_chunk_psns(qp);
	u32 offset = index * qp->mtu;
	u32 len = min(wqe->length - offset, psns * qp->mtu);
	struct rxe_reth *reth;
	struct rxe_bth *bth;
	int err;

	lockdep_assert_held(&qp->sq.lock);
	if (!rxe_may_ask(qp))
		return -EBUSY;

	err = rxe_prepare_sink(qp, wqe, offset, len);
	if (err)
		return err;

	bth = rxe_tx_begin(&sq->tx, &qp->path, IB_OPCODE_RC_RDMA_READ_REQUEST,
			   sq->psn, 0);
	if (!bth)
		return -ENOMEM;

	reth = (struct rxe_reth *)(bth + 1);
	reth->va = cpu_to_be64(wqe->remote_addr + offset);
	reth->rkey = cpu_to_be32(wqe->rkey);
	reth->len = cpu_to_be32(len);

	rxe_requester_ask(qp, wqe, bth,
			  max_t(u32, DIV_ROUND_UP(len, qp->mtu), 1));
	return 0;
}

/**
 * rxe_request_atomic - request an atomic operation
 * @qp: the sender; its window is open
 * @wqe: the request, numbered
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: as rxe_request_read().
 */
int rxe_request_atomic(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	bool swap = wqe->opcode == IB_WR_ATOMIC_CMP_AND_SWP;
	struct rxe_sq *sq = &qp->sq;
	struct rxe_atmeth *atmeth;
	struct rxe_bth *bth;
	int err;

	lockdep_assert_held(&qp->sq.lock);
	if (!rxe_may_ask(qp))
		return -EBUSY;

	err = rxe_prepare_sink(qp, wqe, 0, wqe->length);
	if (err)
		return err;

	bth = rxe_tx_begin(&sq->tx, &qp->path,
			   swap ? IB_OPCODE_RC_COMPARE_SWAP :
				  IB_OPCODE_RC_FETCH_ADD, sq->psn, 0);
	if (!bth)
		return -ENOMEM;

	atmeth = (struct rxe_atmeth *)(bth + 1);
	atmeth->va = cpu_to_be64(wqe->remote_addr);
	atmeth->rkey = cpu_to_be32(wqe->rkey);
	atmeth->swap_add = cpu_to_be64(swap ? wqe->swap : wqe->compare_add);
	atmeth->compare = cpu_to_be64(swap ? wqe->compare_add : 0);

	rxe_requester_ask(qp, wqe, bth, 1);
	return 0;
}
