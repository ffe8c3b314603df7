/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_AH_H
#define RXE_AH_H

#include <rdma/ib_verbs.h>

#include "egress/path.h"

struct rxe_handle;

/**
 * struct rxe_ah - an address handle: the destination of datagrams
 * @ibah: the core's part
 * @handle: the number that a program's requests have; NULL: it is a kernel
 *	    user's
 * @attr: as created
 * @path: to the destination
 */
struct rxe_ah {
	struct ib_ah ibah;
	struct rxe_handle *handle;
	struct rdma_ah_attr attr;
	struct rxe_path path;
};

static inline struct rxe_ah *to_rah(struct ib_ah *ibah)
{
	return container_of(ibah, struct rxe_ah, ibah);
}

int rxe_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init,
		  struct ib_udata *udata);
int rxe_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr);
int rxe_destroy_ah(struct ib_ah *ibah, u32 flags);

struct rxe_ah *rxe_ah_get(struct ib_pd *pd, u32 number);

#endif
