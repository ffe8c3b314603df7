/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_QP_H
#define RXE_QP_H

#include <linux/mutex.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>

#include "anchor.h"
#include "dev.h"
#include "handle.h"
#include "path.h"
#include "recv_queue.h"
#include "send_queue.h"
#include "wire.h"

/* of both kinds; of RNR NAKs it stands for any number */
#define RXE_MAX_RETRY	7

/**
 * struct rxe_qp - a queue pair
 * @ibqp: the core's part
 * @dev: its device
 * @handle: its number
 * @service: IB_OPCODE_RC, _UC or _UD: what its packets' opcodes begin with; the
 *	     GSI QP is a UD one
 * @anchor: what packets and faults under way hold on to
 * @modify_lock: has one call modify it at a time
 * @state: IB_QPS_ERR is entered under either queue's lock, IB_QPS_SQE under the
 *	   send queue's, every other state under both
 * @attr: as modified
 * @cap: as granted
 * @mtu: of the path, bytes
 * @path: to the peer
 * @flush: empties both queues in the error state
 * @flush_delay: between two looks at the rings in the error state, in jiffies
 * @comm_established: a packet came before the program moved on to RTS
 * @sq: the send queue, of requester and completer
 * @rq: the receive queue, and the responder
 */
struct rxe_qp {
	struct ib_qp ibqp;
	struct rxe_dev *dev;
	struct rxe_handle *handle;
	u8 service;
	struct rxe_anchor *anchor;
	/* outside the queues' locks: what is prepared for a state is for that */
	struct mutex modify_lock;
	enum ib_qp_state state;
	struct ib_qp_attr attr;
	struct ib_qp_cap cap;
	u32 mtu;
	struct rxe_path path;
	struct delayed_work flush;
	unsigned long flush_delay;
	bool comm_established;
	struct rxe_sq sq;
	struct rxe_rq rq;
};

/* QPs of all devices by number, so that a packet finds its QP at once */
extern struct rxe_handle_table rxe_qps;

static inline struct rxe_qp *to_rqp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct rxe_qp, ibqp);
}

static inline bool rxe_is_kernel(const struct rxe_qp *qp)
{
	return !qp->ibqp.uobject;
}

static inline bool rxe_is_reliable(const struct rxe_qp *qp)
{
	return qp->service == IB_OPCODE_RC;
}

static inline bool rxe_is_datagram(const struct rxe_qp *qp)
{
	return qp->service == IB_OPCODE_UD;
}

int rxe_create_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init,
		  struct ib_udata *udata);
int rxe_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		  struct ib_udata *udata);
int rxe_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init);
int rxe_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata);

void rxe_qp_set_handle(struct rxe_qp *qp, struct rxe_handle *handle);
void rxe_qp_fail(struct rxe_qp *qp, int event);
void rxe_qp_flush_sqe(struct rxe_qp *qp);
void rxe_qp_fail_sq(struct rxe_qp *qp);

#endif
