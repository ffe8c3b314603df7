/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory windows: keys to parts of regions, bound by requests. */
#ifndef RXE_MW_H
#define RXE_MW_H

#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>

#include "mem/mr.h"

/**
 * struct rxe_mw - a memory window
 * @ibmw: the core's part
 * @keyed: what its keys name
 * @lock: guards what follows; held for an access, so that none outlasts the key
 * @mr: the region that it is bound to, which stays meanwhile; NULL: none
 * @rkey: its key
 * @access: enum ib_access_flags
 * @iova: address that peers use for the first byte
 * @length: bytes
 * @offset: of the first byte in @mr
 * @qpn: of the only QP whose peer may use a window of type 2
 */
struct rxe_mw {
	struct ib_mw ibmw;
	struct rxe_keyed keyed;
	/* inside a QP's locks, and outside the locks of memory */
	spinlock_t lock;
	struct rxe_mr *mr;
	u32 rkey;
	int access;
	u64 iova;
	u64 length;
	u64 offset;
	u32 qpn;
};

/**
 * struct rxe_bind - a request to bind a window
 * @addr: of the first byte, as the region's iova
 * @length: bytes
 * @lkey: of the region
 * @mw_rkey: the window's old key
 * @rkey: the window's new key
 * @access: enum ib_access_flags
 */
struct rxe_bind {
	u64 addr;
	u64 length;
	u32 lkey;
	u32 mw_rkey;
	u32 rkey;
	u32 access;
};

static inline struct rxe_mw *to_rmw(struct ib_mw *ibmw)
{
	return container_of(ibmw, struct rxe_mw, ibmw);
}

int rxe_alloc_mw(struct ib_mw *ibmw, struct ib_udata *udata);
int rxe_dealloc_mw(struct ib_mw *ibmw);

int rxe_mw_bind(struct ib_pd *pd, u32 qpn, const struct rxe_bind *bind);
int rxe_mw_invalidate(struct rxe_mw *mw, const struct ib_pd *pd, u32 qpn,
		      u32 rkey);

const struct rxe_mr *rxe_mw_begin(struct rxe_mw *mw,
				  const struct rxe_access *access, u64 *offset);
void rxe_mw_end(struct rxe_mw *mw);
bool rxe_mw_check(struct rxe_mw *mw, const struct rxe_access *access);

#endif
