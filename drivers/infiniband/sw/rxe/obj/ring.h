/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Rings that a program and the driver share: work queues, which the program
 * fills, and completion queues, which the driver fills. The program may change
 * the shared memory at any time to anything. Rings of kernel users are the
 * same, but are not mapped.
 */
#ifndef RXE_RING_H
#define RXE_RING_H

#include <linux/gfp.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#include "base/rule.h"

/*
 * The program chooses a queue's size, and its memcg is charged. Where memory is
 * short, the request fails: with __GFP_RETRY_MAYFAIL the OOM killer ends no one
 * for it.
 */
#define RXE_QUEUE_GFP	((rxe_broken(queue_charged) ? GFP_KERNEL :	\
						      GFP_KERNEL_ACCOUNT) | \
			 __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/**
 * struct rxe_ring - one ring
 * @entry: what the program maps; holds the ring while a mapping is being made
 * @buf: the shared memory, of rxe_queue_buf's layout
 * @pages: of @buf
 * @num_pages: their number
 * @mask: number of slots, a power of two, less one; one slot stays empty
 * @slot_shift: log2 of a slot's size in bytes
 * @exported: @entry is in the ucontext's table
 * @lock: of the receive queue, or the shared one, whose requests are in it; for
 *	  assertions
 * @post_lock: serialises kernel users that fill a work queue
 */
struct rxe_ring {
	struct rdma_user_mmap_entry entry;
	struct rxe_queue_buf *buf;
	struct page **pages;
	unsigned int num_pages;
	u32 mask;
	u8 slot_shift;
	bool exported;
	/* outside @post_lock; NULL: of a send or a completion queue */
	spinlock_t *lock;
	/* innermost; kernel users post in any context */
	spinlock_t post_lock;
};

struct rxe_ring *rxe_ring_create(u32 entries, size_t entry_size,
				 struct ib_udata *udata, struct mminfo *mi);
void rxe_ring_destroy(struct rxe_ring *ring);
void rxe_ring_free(struct rxe_ring *ring);
int rxe_mmap(struct ib_ucontext *uctx, struct vm_area_struct *vma);

static inline void *rxe_ring_slot(const struct rxe_ring *ring, u32 index)
{
	return ring->buf->data +
	       ((size_t)(index & ring->mask) << ring->slot_shift);
}

/* Entries that the program says it has filled, from the driver's index on. */
static inline u32 rxe_ring_filled(const struct rxe_ring *ring, u32 index)
{
	/* pairs with the program's release: the slot's content is there */
	return (smp_load_acquire(&ring->buf->producer_index) - index) &
	       ring->mask;
}

/* Tell the program that all entries before @index are its own again. */
static inline void rxe_ring_consume(struct rxe_ring *ring, u32 index)
{
	/* pairs with the program's acquire: our reads of the slot are over */
	smp_store_release(&ring->buf->consumer_index, index & ring->mask);
}

/* Slots left in a ring that the driver fills, @index being the next. */
static inline u32 rxe_ring_space(const struct rxe_ring *ring, u32 index)
{
	/* pairs with the program's release: its reads of the slot are over */
	u32 consumer = smp_load_acquire(&ring->buf->consumer_index);

	return (consumer - index - 1) & ring->mask;
}

/* Tell the program that the entries before @index are filled. */
static inline void rxe_ring_produce(struct rxe_ring *ring, u32 index)
{
	/* pairs with the program's acquire: the slot's content is there */
	smp_store_release(&ring->buf->producer_index, index & ring->mask);
}

#endif
