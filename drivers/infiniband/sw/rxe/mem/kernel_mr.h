/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory regions of kernel users. */
#ifndef RXE_KERNEL_MR_H
#define RXE_KERNEL_MR_H

#include <rdma/ib_verbs.h>
#include <rdma/odp_umem.h>

struct rxe_access;
struct rxe_mr;
struct rxe_reg;

struct ib_mr *rxe_get_dma_mr(struct ib_pd *ibpd, int access);
struct ib_mr *rxe_alloc_mr(struct ib_pd *ibpd, enum ib_mr_type type,
			   u32 max_num_sg);
int rxe_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int sg_nents,
		  unsigned int *sg_offset);

int rxe_mr_register(struct ib_pd *pd, const struct rxe_reg *reg);
int rxe_mr_invalidate(struct rxe_mr *mr, const struct ib_pd *pd, u32 key);

int rxe_blocks_access(const struct rxe_mr *mr, u64 offset, u32 len,
		      odp_actor_t actor, void *arg);
int rxe_dma_access(const struct rxe_access *access, odp_actor_t actor,
		   void *arg);

#endif
