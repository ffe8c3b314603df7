// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The life of a queue pair: it is put together here, and taken apart. */
#include <rdma/uverbs_ioctl.h>

#include "base/compat.h"
#include "base/trace.h"
#include "base/ucontext.h"
#include "ingress/gsi.h"
#include "obj/flush.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/send_queue.h"
#include "transport/completer.h"
#include "transport/responder_queue.h"
#include "qp_life.h"

static int rxe_service_of(enum ib_qp_type type)
{
	switch (type) {
	case IB_QPT_RC:
		return IB_OPCODE_RC;
	case IB_QPT_UC:
		return IB_OPCODE_UC;
	case IB_QPT_UD:
	case IB_QPT_GSI:
		return IB_OPCODE_UD;
	default:
		return -EOPNOTSUPP;
	}
}

static int rxe_check_cap(struct ib_device *ibdev,
			 const struct ib_qp_init_attr *init)
{
	const struct ib_qp_cap *cap = &init->cap;

	if (cap->max_send_wr > RXE_MAX_QP_WR ||
	    cap->max_send_sge > RXE_MAX_SGE ||
	    cap->max_inline_data > RXE_MAX_INLINE)
		return rxe_refuse(ibdev, -EINVAL,
				  "create QP: max_send_wr %u, max_send_sge %u or max_inline_data %u is over the device's %u, %u and %zu",
				  cap->max_send_wr, cap->max_send_sge,
				  cap->max_inline_data, RXE_MAX_QP_WR,
				  RXE_MAX_SGE, RXE_MAX_INLINE);
	if (!init->srq && (cap->max_recv_wr > RXE_MAX_QP_WR ||
			   cap->max_recv_sge > RXE_MAX_SGE))
		return rxe_refuse(ibdev, -EINVAL,
				  "create QP: max_recv_wr %u or max_recv_sge %u is over the device's %u and %u",
				  cap->max_recv_wr, cap->max_recv_sge,
				  RXE_MAX_QP_WR, RXE_MAX_SGE);
	return 0;
}

static int rxe_check_init(struct ib_device *ibdev,
			  const struct ib_qp_init_attr *init,
			  const struct ib_udata *udata)
{
	if (rxe_service_of(init->qp_type) < 0 ||
	    (udata && init->qp_type == IB_QPT_GSI))
		return rxe_refuse(ibdev, -EOPNOTSUPP,
				  "create QP: type %d is not supported",
				  init->qp_type);
	if (init->create_flags)
		return rxe_refuse(ibdev, -EOPNOTSUPP,
				  "create QP: flags %#x are not supported",
				  init->create_flags);
	if (!init->send_cq || !init->recv_cq)
		return rxe_refuse(ibdev, -EINVAL, "create QP: no %s CQ",
				  init->send_cq ? "receive" : "send");
	if (udata && udata->outlen < sizeof(struct rxe_create_qp_resp))
		return rxe_refuse(ibdev, -EINVAL,
				  "create QP: %zu bytes for the response are too few",
				  udata->outlen);
	return rxe_check_cap(ibdev, init);
}

static struct rxe_anchor *rxe_make_anchor(struct rxe_dev *dev,
					  struct ib_udata *udata)
{
	struct rxe_ucontext *uctx;

	if (!udata)
		return rxe_anchor_create(dev, &dev->kernel_backlog, NULL);

	uctx = rdma_udata_to_drv_context(udata, struct rxe_ucontext, ibuc);
	return rxe_anchor_create(dev, uctx->backlog, uctx->faulter);
}

static int rxe_qp_publish(struct rxe_qp *qp)
{
	struct rxe_handle *handle = rxe_handle_create(&rxe_qps);

	if (IS_ERR(handle))
		return PTR_ERR(handle);

	rxe_qp_set_handle(qp, handle);
	rxe_handle_publish(handle, qp);
	return 0;
}

/**
 * rxe_create_qp - ib_device_ops.create_qp
 * @ibqp: allocated by the core
 * @init: what the user asks for; its capabilities are set to what it gets
 * @udata: the program's; it gets what it needs to map the rings. NULL: the user
 *	   is in the kernel
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init,
		  struct ib_udata *udata)
{
	struct rxe_create_qp_resp resp = {};
	struct rxe_qp *qp = to_rqp(ibqp);
	int err;

	err = rxe_check_init(ibqp->device, init, udata);
	if (err)
		return err;

	qp->service = rxe_service_of(init->qp_type);
	/* connections have a path MTU; a datagram is one packet, of any size */
	qp->mtu = RXE_MAX_PAYLOAD;
	qp->state = IB_QPS_RESET;
	mutex_init(&qp->modify_lock);
	rxe_flush_init(qp);
	timer_setup(&qp->sq.timer, rxe_ack_timeout, 0);
	hrtimer_setup(&qp->sq.rnr_timer, rxe_rnr_timeout, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_SOFT);

	qp->anchor = rxe_make_anchor(rxe_qp_dev(qp), udata);
	if (!qp->anchor)
		return rxe_refuse(ibqp->device, -ENOMEM,
				  "create QP: no memory");
	rxe_direction_init(&qp->sq.requester, qp->anchor, RXE_REQUESTER,
			   &qp->sq.lock, &rxe_requester_ops);
	rxe_direction_init(&qp->sq.completer, qp->anchor, RXE_COMPLETER,
			   &qp->sq.lock, &rxe_completer_ops);
	rxe_direction_init(&qp->rq.responder, qp->anchor, RXE_RESPONDER,
			   &qp->rq.lock, &rxe_responder_ops);
	rxe_tx_init(&qp->sq.tx, &qp->anchor->flows[RXE_FLOW_REQUESTS]);
	rxe_tx_init(&qp->rq.tx, &qp->anchor->flows[RXE_FLOW_RESPONSES]);

	err = dst_cache_init(&qp->path.cache, GFP_KERNEL_ACCOUNT);
	if (err)
		goto put_anchor;

	err = rxe_sq_create(qp, init, udata, &resp.sq_mi);
	if (err)
		goto destroy_cache;

	err = rxe_rq_create(qp, init, udata, &resp.rq_mi);
	if (err)
		goto destroy_sq;

	err = udata ? ib_copy_to_udata(udata, &resp, sizeof(resp)) : 0;
	if (err)
		goto destroy_rq;

	if (init->qp_type == IB_QPT_GSI)
		err = rxe_gsi_publish(qp);
	else
		err = rxe_qp_publish(qp);
	if (err)
		goto destroy_rq;

	init->cap = qp->cap;
	return 0;

destroy_rq:
	rxe_rq_destroy(qp);
destroy_sq:
	rxe_sq_destroy(qp);
destroy_cache:
	dst_cache_destroy(&qp->path.cache);
put_anchor:
	rxe_anchor_put(qp->anchor);
	return rxe_refuse(ibqp->device, err,
			  "create QP: its queues of %u and %u requests, or its number, cannot be had: %d",
			  init->cap.max_send_wr, init->cap.max_recv_wr, err);
}

/**
 * rxe_destroy_qp - ib_device_ops.destroy_qp
 * @ibqp: the QP
 * @udata: unused
 *
 * Packets and faults find the QP by its handle or its anchor, and no longer
 * after the first two steps. The anchor is detached first: a look-up there
 * takes a reference to the handle. Timers and works that were started before
 * start nothing new in the reset state.
 *
 * Context: may sleep; waits for no packet and no page fault.
 * Return: 0.
 */
int rxe_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	enum ib_qp_state old;

	if (ibqp->qp_type == IB_QPT_GSI)
		rxe_gsi_withdraw(qp);
	rxe_anchor_detach(qp->anchor);
	rxe_handle_destroy(qp->handle);

	spin_lock_bh(&qp->sq.lock);
	spin_lock(&qp->rq.lock);
	old = qp->state;
	/* the core may still show the QP: see restrack.c */
	qp->going = true;
	WRITE_ONCE(qp->state, IB_QPS_RESET);
	trace_rxe_state(rxe_qp_dev(qp), ibqp->qp_num, old, IB_QPS_RESET,
			RXE_BY_DESTROY);
	rxe_sq_reset(qp);
	rxe_rq_reset(qp);
	spin_unlock(&qp->rq.lock);
	spin_unlock_bh(&qp->sq.lock);

	timer_delete_sync(&qp->sq.timer);
	hrtimer_cancel(&qp->sq.rnr_timer);
	cancel_delayed_work_sync(&qp->flush);

	rxe_rq_destroy(qp);
	rxe_sq_destroy(qp);
	dst_cache_destroy(&qp->path.cache);
	rxe_anchor_put(qp->anchor);
	mutex_destroy(&qp->modify_lock);
	return 0;
}
