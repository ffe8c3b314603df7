/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_DMABUF_H
#define RXE_DMABUF_H

#include <rdma/ib_verbs.h>

struct dma_buf;
struct rxe_memory;

#define RXE_DMABUF_ACCESS	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | \
				 IB_ACCESS_REMOTE_READ | \
				 IB_ACCESS_REMOTE_ATOMIC | \
				 IB_ACCESS_FLUSH_GLOBAL | IB_ACCESS_MW_BIND | \
				 IB_ACCESS_OPTIONAL)

struct ib_mr *rxe_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset, u64 length,
				     u64 iova, int fd, int access);
int rxe_dmabuf_check_writable(const struct dma_buf *buf);
void rxe_dmabuf_release(struct rxe_memory *memory);

#endif
