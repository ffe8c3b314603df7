/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_DMABUF_MR_H
#define RXE_DMABUF_MR_H

#include <rdma/ib_verbs.h>

struct ib_mr *rxe_reg_user_mr_dmabuf(struct ib_pd *ibpd, u64 offset, u64 length,
				     u64 iova, int fd, int access);

#endif
