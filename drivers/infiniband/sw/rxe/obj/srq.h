/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_SRQ_H
#define RXE_SRQ_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>

struct rxe_ring;
struct rxe_rwqe;

/**
 * struct rxe_srq - a receive queue that QPs share
 * @ibsrq: the core's part
 * @resize_lock: serialises those that replace @ring
 * @lock: of everything below; BH-safe
 * @ring: of the user's requests; NULL: the queue is going
 * @head: next request in the ring; runs freely
 * @max_sge: of a request
 * @limit: fewer requests left than this raise an event, once; 0: none
 */
struct rxe_srq {
	struct ib_srq ibsrq;
	/* outside @lock */
	struct mutex resize_lock;
	/* inside a QP's locks */
	spinlock_t lock;
	struct rxe_ring *ring;
	u32 head;
	u32 max_sge;
	u32 limit;
};

static inline struct rxe_srq *to_rsrq(struct ib_srq *ibsrq)
{
	return container_of(ibsrq, struct rxe_srq, ibsrq);
}

int rxe_create_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init,
		   struct ib_udata *udata);
int rxe_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr,
		   enum ib_srq_attr_mask mask, struct ib_udata *udata);
int rxe_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr);
int rxe_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad_wr);
int rxe_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata);

bool rxe_srq_fetch(struct rxe_srq *srq, struct rxe_rwqe *wqe);

#endif
