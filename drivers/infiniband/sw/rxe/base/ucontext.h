/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_UCONTEXT_H
#define RXE_UCONTEXT_H

#include <rdma/ib_verbs.h>
#include <rdma/odp_umem.h>

struct rxe_fault_queue;
struct rxe_share;

/**
 * struct rxe_ucontext - a program's user context of a device
 * @ibuc: the core's part
 * @faulter: its workers for page faults
 * @backlog: packets that wait in its QPs
 * @odp: the address spaces that it has registered for on-demand paging
 */
struct rxe_ucontext {
	struct ib_ucontext ibuc;
	struct rxe_fault_queue *faulter;
	struct rxe_share *backlog;
	struct odp_owner odp;
};

/* a protection domain has no state: QPs and MRs only compare its address */
struct rxe_pd {
	struct ib_pd ibpd;
};

static inline struct rxe_ucontext *to_ruc(struct ib_ucontext *ibuc)
{
	return container_of(ibuc, struct rxe_ucontext, ibuc);
}

#endif
