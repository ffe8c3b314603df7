/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Receive work requests, in the rings of receive queues and of shared ones. */
#ifndef RXE_RWQE_H
#define RXE_RWQE_H

#include <linux/minmax.h>
#include <linux/overflow.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

struct rxe_ring;

/**
 * struct rxe_rwqe - a receive work request: a copy that no program can change
 * @wr_id: the program's
 * @length: bytes that it has room for
 * @num_sge: entries of @sge
 * @sge: local memory
 */
struct rxe_rwqe {
	u64 wr_id;
	u64 length;
	u32 num_sge;
	struct rxe_sge sge[];
};

bool rxe_rwqe_take(struct rxe_rwqe *wqe, struct rxe_ring *ring, u32 *head,
		   u32 max_sge);
int rxe_rwqe_post(struct rxe_ring *ring, u32 max_sge,
		  const struct ib_recv_wr *wr,
		  const struct ib_recv_wr **bad_wr);

/* bytes of a request in a ring */
static inline size_t rxe_rwqe_slot_size(u32 max_sge)
{
	return struct_size((struct rxe_recv_wqe *)NULL, dma.sge,
			   max_t(u32, max_sge, 1));
}

#endif
