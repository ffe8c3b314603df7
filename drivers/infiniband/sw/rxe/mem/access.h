/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Accesses to memory by a key, whatever it names. */
#ifndef RXE_ACCESS_H
#define RXE_ACCESS_H

#include <rdma/odp_umem.h>
#include <rdma/rdma_user_rxe.h>

#include "base/wire.h"
#include "mem/mr.h"

/* a requester's completion status for an error of rxe_mr_access() */
static inline enum ib_wc_status rxe_access_status(int err)
{
	return err == -ENOBUFS ? IB_WC_LOC_QP_OP_ERR : IB_WC_LOC_PROT_ERR;
}

/* a responder's NAK for such an error: IBTA 9.7.5.2.4 and 9.7.5.2.5 */
static inline u8 rxe_access_syndrome(int err)
{
	return err == -ENOBUFS ? RXE_SYN_NAK_REM_OP : RXE_SYN_NAK_REM_ACCESS;
}

int rxe_mr_access(const struct rxe_access *access, odp_actor_t actor,
		  void *arg);
int rxe_mr_check(const struct rxe_access *access);
int rxe_sgl_access(const struct rxe_access *proto, const struct rxe_sge *sge,
		   u32 num_sge, u32 offset, u32 len, odp_actor_t actor,
		   void *arg);

int rxe_copy_from_mr(void *kaddr, size_t len, void *arg);
int rxe_copy_to_mr(void *kaddr, size_t len, void *arg);

int rxe_invalidate(struct ib_pd *pd, u32 qpn, u32 key);
int rxe_mr_hold_odp(const struct rxe_access *access, struct odp_umem **umem,
		    unsigned long *addr);

#endif
