// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Flush and atomic write: IBTA volume 1, annex A19. */
#include "base/compat.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "base/wire.h"
#include "mem/access.h"
#include "obj/qp.h"
#include "obj/send_queue.h"
#include "transport/placement.h"
#include "transport/read_response.h"
#include "transport/request.h"
#include "transport/response.h"
#include "wait/direction.h"

/**
 * rxe_request_flush - ask for earlier writes to be placed
 * @qp: the sender
 * @wqe: the request, numbered
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: 0; -EBUSY: too many are being answered; -ENOMEM.
 */
int rxe_request_flush(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	struct rxe_feth *feth;
	struct rxe_reth *reth;
	struct rxe_bth *bth;

	lockdep_assert_held(&qp->sq.lock);
	if (!rxe_may_ask(qp))
		return -EBUSY;

	bth = rxe_tx_begin(&qp->sq.tx, &qp->path, IB_OPCODE_RC_FLUSH,
			   qp->sq.psn, 0);
	if (!bth)
		return -ENOMEM;

	feth = (struct rxe_feth *)(bth + 1);
	feth->bits = cpu_to_be32(wqe->flush.type |
				 wqe->flush.level << RXE_FETH_SEL_SHIFT);
	reth = (struct rxe_reth *)(feth + 1);
	reth->va = cpu_to_be64(wqe->remote_addr);
	reth->rkey = cpu_to_be32(wqe->rkey);
	reth->len = cpu_to_be32(wqe->flush.length);
	rxe_requester_ask(qp, wqe, bth, 1);
	return 0;
}

/**
 * rxe_request_atomic_write - ask for eight bytes to be written atomically
 * @qp: the sender
 * @wqe: the request, numbered
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: 0; -EBUSY: too many are being answered; -ENOMEM.
 */
int rxe_request_atomic_write(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	struct rxe_tx *tx = &qp->sq.tx;
	struct rxe_reth *reth;
	struct rxe_bth *bth;

	lockdep_assert_held(&qp->sq.lock);
	if (!rxe_may_ask(qp))
		return -EBUSY;

	bth = rxe_tx_begin(tx, &qp->path, IB_OPCODE_RC_ATOMIC_WRITE,
			   qp->sq.psn, sizeof(u64));
	if (!bth)
		return -ENOMEM;

	reth = (struct rxe_reth *)(bth + 1);
	reth->va = cpu_to_be64(wqe->remote_addr);
	reth->rkey = cpu_to_be32(wqe->rkey);
	reth->len = cpu_to_be32(sizeof(u64));
	rxe_requester_expect(qp, bth, 1);
	rxe_tx_copy(wqe->inline_data, sizeof(u64), tx);
	rxe_requester_send(qp, wqe, 1);
	return 0;
}

/**
 * rxe_respond_flush - place what was written before
 * @qp: the responder
 * @pkt: the request, with the expected PSN
 *
 * The CPU has done all writes, to memory that is coherent: once they are
 * ordered, they are globally visible. Persistence is not offered.
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0 or a NAK code.
 */
int rxe_respond_flush(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_feth *feth = rxe_pkt_eth(pkt);
	const struct rxe_reth *reth = (const void *)(feth + 1);
	u32 bits = be32_to_cpu(feth->bits);
	u32 level = bits >> RXE_FETH_SEL_SHIFT & RXE_FETH_SEL_MASK;
	u32 type = bits & RXE_FETH_TYPE_MASK;
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_FLUSH_GLOBAL);

	lockdep_assert_held(&qp->rq.lock);
	access.key = be32_to_cpu(reth->rkey);
	access.iova = be64_to_cpu(reth->va);
	access.len = be32_to_cpu(reth->len);
	access.whole = level == RXE_FLUSH_REGION;
	if (!type || level > RXE_FLUSH_REGION || !qp->rq.num_resources)
		return RXE_SYN_NAK_INV_REQ;
	if ((type != RXE_FLUSH_GLOBAL && !rxe_broken(flush_persistent)) ||
	    rxe_mr_check(&access))
		return RXE_SYN_NAK_REM_ACCESS;

	/* order the writes before the response */
	wmb();
	rxe_answer_placement(qp, pkt->psn);
	return 0;
}

static int rxe_store_u64(void *kaddr, size_t len, void *arg)
{
	if (len != sizeof(u64) || !IS_ALIGNED((unsigned long)kaddr, len))
		return -EINVAL;

	/* after the data that was written earlier */
	smp_store_release((u64 *)kaddr, *(u64 *)arg);
	return 0;
}

/**
 * rxe_respond_atomic_write - write eight bytes atomically
 * @qp: the responder
 * @pkt: the request, with the expected PSN
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0, -EAGAIN: the request waits for memory, or a NAK code.
 */
int rxe_respond_atomic_write(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_reth *reth = rxe_pkt_eth(pkt);
	struct rxe_access access =
		rxe_responder_access(qp, IB_ACCESS_REMOTE_WRITE);
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	u64 value;
	int err;

	lockdep_assert_held(&qp->rq.lock);
	access.key = be32_to_cpu(reth->rkey);
	access.iova = be64_to_cpu(reth->va);
	access.len = sizeof(u64);
	if (pkt->payload_len != sizeof(u64) ||
	    (be32_to_cpu(reth->len) != sizeof(u64) &&
	     !rxe_broken(atomic_write_length)) ||
	    !IS_ALIGNED(access.iova, sizeof(u64)) || !qp->rq.num_resources ||
	    rxe_copy_payload(&value, sizeof(value), &payload))
		return RXE_SYN_NAK_INV_REQ;

	err = rxe_mr_access(&access, rxe_store_u64, &value);
	if (err == -EINVAL)
		return RXE_SYN_NAK_INV_REQ;
	if (err)
		return err == -EAGAIN ? err : rxe_access_syndrome(err);

	rxe_answer_placement(qp, pkt->psn);
	return 0;
}
