// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The attributes of a queue pair, and its states: IBTA volume 1, 10.3. */
#include <linux/slab.h>
#include <rdma/ib_addr.h>

#include "base/compat.h"
#include "base/rule.h"
#include "base/trace.h"
#include "base/wire.h"
#include "obj/flush.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/send_queue.h"
#include "transport/completer.h"
#include "transport/requester.h"
#include "qp_attr.h"

/* programs pass MR access flags: those that mean nothing to a QP do no harm */
#define RXE_QP_ACCESS	(IB_ACCESS_SUPPORTED | IB_ACCESS_FLUSH_GLOBAL | \
			 IB_ACCESS_FLUSH_PERSISTENT)
#define RXE_MAX_TIMEOUT		31

static enum ib_mtu rxe_most_path_mtu(const struct rxe_dev *dev)
{
	if (rxe_broken(path_mtu))
		return IB_MTU_4096;
	return iboe_get_mtu(READ_ONCE(dev->ndev->mtu));
}

static const char *rxe_wrong_path_attr(const struct rxe_qp *qp,
				       const struct ib_qp_attr *attr, int mask)
{
	if ((mask & IB_QP_PORT) && attr->port_num != 1)
		return "port_num: the device has port 1 only";
	if ((mask & IB_QP_PKEY_INDEX) && attr->pkey_index)
		return "pkey_index: the device has one P_Key";
	if ((mask & IB_QP_PATH_MTU) &&
	    (attr->path_mtu < IB_MTU_256 ||
	     attr->path_mtu > rxe_most_path_mtu(rxe_qp_dev(qp))))
		return "path_mtu: not one that the netdev's MTU has room for";
	if ((mask & IB_QP_DEST_QPN) && attr->dest_qp_num > RXE_QPN_MASK)
		return "dest_qp_num: more than 24 bits";
	/* no automatic path migration */
	if ((mask & IB_QP_ALT_PATH) ||
	    ((mask & IB_QP_PATH_MIG_STATE) &&
	     attr->path_mig_state != IB_MIG_MIGRATED))
		return "alternate path: not supported";
	return NULL;
}

static const char *rxe_wrong_queue_attr(const struct ib_qp_attr *attr, int mask)
{
	if ((mask & IB_QP_ACCESS_FLAGS) &&
	    (attr->qp_access_flags & ~RXE_QP_ACCESS))
		return "qp_access_flags: not supported";
	if ((mask & IB_QP_TIMEOUT) && attr->timeout > RXE_MAX_TIMEOUT)
		return "timeout: over 31";
	if ((mask & IB_QP_RETRY_CNT) && attr->retry_cnt > RXE_MAX_RETRY)
		return "retry_cnt: over 7";
	if ((mask & IB_QP_RNR_RETRY) && attr->rnr_retry > RXE_MAX_RETRY)
		return "rnr_retry: over 7";
	if ((mask & IB_QP_MIN_RNR_TIMER) &&
	    attr->min_rnr_timer > RXE_SYN_VALUE_MASK)
		return "min_rnr_timer: over 31";
	if ((mask & IB_QP_MAX_QP_RD_ATOMIC) &&
	    attr->max_rd_atomic > RXE_MAX_RD_ATOMIC)
		return "max_rd_atomic: over the device's max_qp_rd_atom";
	if ((mask & IB_QP_MAX_DEST_RD_ATOMIC) &&
	    attr->max_dest_rd_atomic > RXE_MAX_RD_ATOMIC)
		return "max_dest_rd_atomic: over the device's max_qp_rd_atom";
	return NULL;
}

static int rxe_check_attr(struct rxe_qp *qp, const struct ib_qp_attr *attr,
			  int mask)
{
	u32 unknown = mask & ~IB_QP_ATTR_STANDARD_BITS;
	const char *wrong;

	if (unknown)
		return rxe_refuse(qp->ibqp.device, -EOPNOTSUPP,
				  "modify QP %#x: attributes %#x are not supported",
				  qp->ibqp.qp_num, unknown);

	wrong = rxe_wrong_path_attr(qp, attr, mask) ?:
		rxe_wrong_queue_attr(attr, mask);
	if (wrong)
		return rxe_refuse(qp->ibqp.device, -EINVAL,
				  "modify QP %#x: %s", qp->ibqp.qp_num, wrong);
	return 0;
}

static void rxe_set_path_attr(struct rxe_qp *qp, const struct ib_qp_attr *attr,
			      int mask)
{
	if (mask & IB_QP_PATH_MTU) {
		qp->attr.path_mtu = attr->path_mtu;
		qp->mtu = ib_mtu_enum_to_int(attr->path_mtu);
	}
	if (mask & IB_QP_QKEY)
		qp->attr.qkey = attr->qkey;
	if (mask & IB_QP_PORT)
		qp->attr.port_num = attr->port_num;
	if (mask & IB_QP_ACCESS_FLAGS)
		qp->attr.qp_access_flags = attr->qp_access_flags;
	if (mask & IB_QP_EN_SQD_ASYNC_NOTIFY)
		qp->attr.en_sqd_async_notify = attr->en_sqd_async_notify;
}

static void rxe_set_sq_attr(struct rxe_qp *qp, const struct ib_qp_attr *attr,
			    int mask)
{
	struct rxe_sq *sq = &qp->sq;

	if (mask & IB_QP_TIMEOUT) {
		qp->attr.timeout = attr->timeout;
		/* it may run yet, for as long as it was before */
		if (timer_pending(&sq->timer))
			timer_reduce(&sq->timer, jiffies + 1);
	}
	if (mask & IB_QP_RETRY_CNT)
		qp->attr.retry_cnt = attr->retry_cnt;
	if (mask & IB_QP_RNR_RETRY)
		qp->attr.rnr_retry = attr->rnr_retry;
	if (mask & IB_QP_MAX_QP_RD_ATOMIC)
		qp->attr.max_rd_atomic = attr->max_rd_atomic;
	if (mask & IB_QP_SQ_PSN) {
		sq->psn = attr->sq_psn & RXE_PSN_MASK;
		sq->sent_psn = sq->psn;
		sq->una_psn = sq->psn;
		sq->ack_psn = rxe_psn_add(sq->psn, -1);
	}
	rxe_sq_reset_retries(qp);
}

static void rxe_set_rq_attr(struct rxe_qp *qp, const struct ib_qp_attr *attr,
			    int mask)
{
	if (mask & IB_QP_MIN_RNR_TIMER)
		qp->attr.min_rnr_timer = attr->min_rnr_timer;
	if (mask & IB_QP_RQ_PSN)
		qp->rq.epsn = attr->rq_psn & RXE_PSN_MASK;
}

static void rxe_qp_reset(struct rxe_qp *qp)
{
	rxe_sq_reset(qp);
	rxe_rq_reset(qp);
	memset(&qp->attr, 0, sizeof(qp->attr));
	qp->path.peer_qpn = 0;
	qp->comm_established = false;
}

/* Enter a state; both locks are held. */
static void rxe_enter_state(struct rxe_qp *qp, enum ib_qp_state state)
{
	enum ib_qp_state old = qp->state;

	lockdep_assert_held(&qp->sq.lock);
	lockdep_assert_held(&qp->rq.lock);
	if (state == IB_QPS_RESET)
		rxe_qp_reset(qp);
	if (state == IB_QPS_SQD && old != IB_QPS_SQD)
		qp->sq.draining = true;

	if (state != IB_QPS_ERR) {
		/* pairs with rxe_find_qp(): readers of the state see the attributes */
		smp_store_release(&qp->state, state);
	} else if (old != IB_QPS_ERR) {
		rxe_qp_enter_error(qp);
	}

	if (state != old)
		trace_rxe_state(rxe_qp_dev(qp), qp->ibqp.qp_num, old, state,
				RXE_BY_MODIFY);
}

/* Allocate what an access waits with: the first may miss a page. */
static int rxe_qp_prepare(struct rxe_qp *qp)
{
	return rxe_direction_prepare(&qp->sq.requester) ?:
	       rxe_direction_prepare(&qp->sq.completer) ?:
	       rxe_direction_prepare(&qp->rq.responder);
}

static int rxe_new_resources(struct ib_device *ibdev,
			     struct rxe_resource **resources, u32 n)
{
	*resources = NULL;
	if (!n)
		return 0;

	*resources = kcalloc(n, sizeof(**resources), GFP_KERNEL_ACCOUNT);
	if (!*resources)
		return rxe_refuse(ibdev, -ENOMEM,
				  "modify QP: no memory for %u reads and atomics",
				  n);
	return 0;
}

static bool rxe_transition_ok(enum ib_qp_state cur, enum ib_qp_state new,
			      enum ib_qp_type type, int mask)
{
	/* broken: but only from RTR on, where packets find all that they need */
	if (rxe_broken(transition) && cur == IB_QPS_RTR)
		return true;
	return ib_modify_qp_is_ok(cur, new, type, mask);
}

static int rxe_modify_locked(struct rxe_qp *qp, const struct ib_qp_attr *attr,
			     int mask)
{
	enum ib_qp_state cur = mask & IB_QP_CUR_STATE ? attr->cur_qp_state :
							qp->state;
	enum ib_qp_state new = mask & IB_QP_STATE ? attr->qp_state : cur;
	int err;

	if (cur != qp->state ||
	    !rxe_transition_ok(cur, new, qp->ibqp.qp_type, mask))
		return rxe_refuse(qp->ibqp.device, -EINVAL,
				  "modify QP %#x: in state %d not from %d to %d with attributes %#x",
				  qp->ibqp.qp_num, qp->state, cur, new, mask);

	/* the peer's number comes with its address: IBTA 11.2.4.2 */
	if (mask & IB_QP_AV) {
		err = rxe_path_init(&qp->path, rxe_qp_dev(qp), &attr->ah_attr,
				    qp->ibqp.qp_num,
				    mask & IB_QP_DEST_QPN ?
					    attr->dest_qp_num :
					    be32_to_cpu(qp->path.peer_qpn));
		if (err)
			return err;
		qp->attr.ah_attr = attr->ah_attr;
		/* the reference is the core's */
		qp->attr.ah_attr.grh.sgid_attr = NULL;
	}

	rxe_set_path_attr(qp, attr, mask);
	rxe_set_sq_attr(qp, attr, mask);
	rxe_set_rq_attr(qp, attr, mask);
	rxe_enter_state(qp, new);
	return 0;
}

static int rxe_modify(struct rxe_qp *qp, const struct ib_qp_attr *attr, int mask)
{
	struct rxe_resource *resources = NULL;
	int err;

	lockdep_assert_held(&qp->modify_lock);

	if ((mask & IB_QP_STATE) && attr->qp_state == IB_QPS_RTS)
		rxe_flush_sends(qp);
	if ((mask & IB_QP_STATE) && attr->qp_state == IB_QPS_INIT) {
		err = rxe_qp_prepare(qp);
		if (err)
			return err;
	}

	if (mask & IB_QP_MAX_DEST_RD_ATOMIC) {
		err = rxe_new_resources(qp->ibqp.device, &resources,
					attr->max_dest_rd_atomic);
		if (err)
			return err;
	}

	spin_lock_bh(&qp->sq.lock);
	spin_lock(&qp->rq.lock);
	err = rxe_modify_locked(qp, attr, mask);
	if (!err && (mask & IB_QP_MAX_DEST_RD_ATOMIC)) {
		swap(qp->rq.resources, resources);
		qp->rq.num_resources = attr->max_dest_rd_atomic;
		qp->rq.next_resource = 0;
	}
	spin_unlock(&qp->rq.lock);
	if (!err)
		rxe_completer_progress(qp);
	spin_unlock_bh(&qp->sq.lock);

	/* handlers of kernel users may take locks that their caller holds */
	if (!err && (mask & IB_QP_STATE) && attr->qp_state == IB_QPS_ERR &&
	    !rxe_is_kernel(qp)) {
		rxe_flush_sends(qp);
		rxe_flush_receives(qp);
	}
	kfree(resources);
	return err;
}

/**
 * rxe_modify_qp - ib_device_ops.modify_qp
 * @ibqp: the QP
 * @attr: new attributes
 * @mask: which of them, enum ib_qp_attr_mask
 * @udata: unused
 *
 * Context: may sleep.
 * Return: 0; -EINVAL: not allowed in this state, or a bad value; -EBUSY: it
 * cannot leave the reset state yet, see rxe_direction_prepare(); another errno.
 * After an error the attributes are as before.
 */
int rxe_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		  struct ib_udata *udata)
{
	struct rxe_qp *qp = to_rqp(ibqp);
	int err;

	err = rxe_check_attr(qp, attr, mask);
	if (err)
		return err;

	mutex_lock(&qp->modify_lock);
	err = rxe_modify(qp, attr, mask);
	mutex_unlock(&qp->modify_lock);
	return err;
}

/**
 * rxe_query_qp - ib_device_ops.query_qp
 * @ibqp: the QP
 * @attr: filled
 * @mask: which attributes the caller wants; all are filled
 * @init: filled
 *
 * Context: process.
 * Return: 0.
 */
int rxe_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init)
{
	struct rxe_qp *qp = to_rqp(ibqp);

	spin_lock_bh(&qp->sq.lock);
	spin_lock(&qp->rq.lock);
	*attr = (struct ib_qp_attr) {
		.qp_state = qp->state,
		.cur_qp_state = qp->state,
		.path_mtu = qp->attr.path_mtu,
		.path_mig_state = IB_MIG_MIGRATED,
		.qkey = qp->attr.qkey,
		.rq_psn = qp->rq.epsn,
		.sq_psn = qp->sq.psn,
		.dest_qp_num = be32_to_cpu(qp->path.peer_qpn),
		.qp_access_flags = qp->attr.qp_access_flags,
		.cap = qp->cap,
		.ah_attr = qp->attr.ah_attr,
		.en_sqd_async_notify = qp->attr.en_sqd_async_notify,
		.sq_draining = qp->state == IB_QPS_SQD &&
			       qp->sq.draining,
		.max_rd_atomic = qp->attr.max_rd_atomic,
		.max_dest_rd_atomic = qp->rq.num_resources,
		.min_rnr_timer = qp->attr.min_rnr_timer,
		.port_num = qp->attr.port_num,
		.timeout = qp->attr.timeout,
		.retry_cnt = qp->attr.retry_cnt,
		.rnr_retry = qp->attr.rnr_retry,
	};
	spin_unlock(&qp->rq.lock);
	spin_unlock_bh(&qp->sq.lock);

	init->qp_context = ibqp->qp_context;
	init->send_cq = ibqp->send_cq;
	init->recv_cq = ibqp->recv_cq;
	init->srq = ibqp->srq;
	init->cap = qp->cap;
	init->sq_sig_type = qp->sq.signal_all ? IB_SIGNAL_ALL_WR :
						IB_SIGNAL_REQ_WR;
	init->qp_type = ibqp->qp_type;
	return 0;
}
