/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory regions, and their keys. */
#ifndef RXE_MR_H
#define RXE_MR_H

#include <linux/random.h>
#include <rdma/ib_verbs.h>
#include <rdma/odp_umem.h>

#include "base/dev.h"
#include "base/handle.h"

struct rxe_direction;
struct rxe_memory;

/* the lowest bits of a key are its owner's choice; the others are a handle's */
#define RXE_KEY_BITS	8

/**
 * struct rxe_keyed - what a key names
 * @handle: its number, the upper bits of the key
 * @is_window: it is part of a struct rxe_mw; or else of a struct rxe_mr
 */
struct rxe_keyed {
	struct rxe_handle *handle;
	bool is_window;
};

static inline struct rxe_keyed *rxe_keyed_get(struct rxe_dev *dev, u32 key)
{
	return rxe_handle_get(&dev->mrs, key >> RXE_KEY_BITS);
}

/**
 * struct rxe_key_hold - caches what the last key named, for accesses of one run
 * @keyed: held; NULL: nothing is cached
 *
 * Most packets use the key of the packet before them. Guarded by the lock of a
 * queue, which calls rxe_key_release() before it releases the lock.
 */
struct rxe_key_hold {
	struct rxe_keyed *keyed;
};

static inline void rxe_key_release(struct rxe_key_hold *hold)
{
	if (hold->keyed)
		rxe_handle_put(hold->keyed->handle);
	hold->keyed = NULL;
}

/* a handle's first key, which cannot be guessed */
static inline u32 rxe_new_key(const struct rxe_handle *handle)
{
	return handle->number << RXE_KEY_BITS |
	       (get_random_u32() >> (32 - RXE_KEY_BITS));
}

/* whether @len bytes from @iova on lie in @length bytes from @start on */
static inline bool rxe_in_bounds(u64 start, u64 length, u64 iova, u64 len)
{
	u64 offset = iova - start;

	return iova >= start && offset <= length && len <= length - offset;
}

enum rxe_mr_kind {
	RXE_MR_PINNED,	/* a program's memory, as it was when registered */
	RXE_MR_ODP,	/* a program's memory, paged on demand */
	RXE_MR_DMABUF,	/* a buffer of another device's driver */
	RXE_MR_DMA,	/* all of the kernel's memory */
	RXE_MR_FAST,	/* the kernel's memory that a send request registers */
};

/**
 * struct rxe_mr - a memory region
 * @ibmr: the core's part
 * @keyed: what its key names
 * @kind: where the memory is, and which of the pointers to it there is
 * @key: its only key; 0: there is no access
 * @windows: number of windows that are bound to it; negative: it is going
 * @access: enum ib_access_flags
 * @addr: user address of the first byte; peers use @ibmr.iova for it. Of a fast
 *	  registration the offset in the first block; of a buffer the offset
 * @memory: of a program's region; NULL: it is the kernel's
 * @pages: RXE_MR_PINNED: as in @memory, so that accesses need not read that
 * @odp: RXE_MR_ODP: as in @memory
 * @kaddr: RXE_MR_DMABUF: where all of the buffer is mapped, as in @memory
 * @blocks: RXE_MR_FAST: the kernel's addresses of the memory
 * @implicit: @odp is the whole address space
 * @lock: guards a fast registration; held during an access, so that none
 *	  outlasts the key
 * @num_blocks: number of blocks in @blocks
 * @max_blocks: number of blocks that there is room for
 * @block_shift: log2 of a block's size in bytes
 */
struct rxe_mr {
	struct ib_mr ibmr;
	struct rxe_keyed keyed;
	enum rxe_mr_kind kind;
	u32 key;
	atomic_t windows;
	int access;
	unsigned long addr;
	struct rxe_memory *memory;
	union {
		struct page **pages;
		struct odp_umem *odp;
		void *kaddr;
		unsigned long *blocks;
	};
	bool implicit;
	/* inside a QP's locks */
	spinlock_t lock;
	u32 num_blocks;
	u32 max_blocks;
	u8 block_shift;
};

/**
 * struct rxe_mr_init - the parameters of a program's region
 * @pd: the protection domain
 * @kind: where the memory is
 * @memory: the memory, or NULL as yet
 * @iova: address that peers use for the first byte
 * @length: bytes
 * @addr: of struct rxe_mr
 * @access: enum ib_access_flags
 * @implicit: it is the whole address space
 */
struct rxe_mr_init {
	struct ib_pd *pd;
	enum rxe_mr_kind kind;
	struct rxe_memory *memory;
	u64 iova;
	u64 length;
	u64 addr;
	int access;
	bool implicit;
};

/**
 * struct rxe_reg - a request to register memory of the kernel's
 * @mr: the region, with the memory that was mapped to it
 * @key: the key that it gets
 * @access: enum ib_access_flags
 */
struct rxe_reg {
	struct rxe_mr *mr;
	u32 key;
	int access;
};

/**
 * struct rxe_access - one access to a memory region
 * @pd: the protection domain of the QP that makes it
 * @qpn: of that QP, where a peer asks for it
 * @key: as the WQE or the packet has it
 * @rights: what the region must allow: 0: local read; otherwise one of
 *	    IB_ACCESS_LOCAL_WRITE, _REMOTE_READ, _REMOTE_WRITE, _REMOTE_ATOMIC,
 *	    _FLUSH_GLOBAL
 * @iova: first byte
 * @len: bytes
 * @whole: all of the region, ignoring @iova and @len; for rxe_mr_check() only
 * @ahead: bytes from @iova on that are known to be accessed, where that is more
 *	   than @len: for page faults; see wait/direction.h
 * @dir: parks if memory is not present; NULL: the access fails by -EAGAIN then
 * @hold: the key cache of the queue that makes it; NULL: it has none
 */
struct rxe_access {
	struct ib_pd *pd;
	u32 qpn;
	u32 key;
	int rights;
	u64 iova;
	u32 len;
	bool whole;
	u32 ahead;
	struct rxe_direction *dir;
	struct rxe_key_hold *hold;
};

static inline struct rxe_mr *to_rmr(struct ib_mr *ibmr)
{
	return container_of(ibmr, struct rxe_mr, ibmr);
}

struct rxe_mr *rxe_mr_alloc(struct ib_pd *ibpd, enum rxe_mr_kind kind);
void rxe_mr_free(struct rxe_mr *mr);
int rxe_mr_publish(struct rxe_mr *mr);
int rxe_mr_check_init(const struct rxe_mr_init *init);
struct ib_mr *rxe_mr_create(const struct rxe_mr_init *init);

struct ib_mr *rxe_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length,
			      u64 iova, int access, struct ib_udata *udata);
struct ib_mr *rxe_rereg_user_mr(struct ib_mr *ibmr, int flags, u64 start,
				u64 length, u64 iova, int access,
				struct ib_pd *ibpd, struct ib_udata *udata);
int rxe_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata);

#endif
