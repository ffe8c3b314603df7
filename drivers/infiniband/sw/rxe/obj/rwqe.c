// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/delay.h>

#include "base/rule.h"
#include "obj/ring.h"
#include "obj/rwqe.h"

/**
 * rxe_rwqe_take - take a request out of a ring
 * @wqe: filled with it; has room for @max_sge
 * @ring: where it is
 * @head: its index; moved on
 * @max_sge: that a request of this ring may have
 *
 * Each byte of the slot is copied once; the copy is what is checked and used.
 *
 * Context: BH disabled, the lock of the ring's queue is held.
 * Return: false: the program has posted none.
 */
bool rxe_rwqe_take(struct rxe_rwqe *wqe, struct rxe_ring *ring, u32 *head,
		   u32 max_sge)
{
	const struct rxe_recv_wqe *slot;
	u32 i;

	lockdep_assert_in_softirq();
	lockdep_assert_held(ring->lock);
	if (!rxe_ring_filled(ring, *head))
		return false;

	slot = rxe_ring_slot(ring, *head);
	wqe->wr_id = READ_ONCE(slot->wr_id);
	wqe->num_sge = min(READ_ONCE(slot->dma.num_sge), max_sge);
	memcpy(wqe->sge, slot->dma.sge, wqe->num_sge * sizeof(*wqe->sge));
	/* sum the copied lengths: the ring is not read a second time */
	barrier_data(wqe->sge);

	wqe->length = 0;
	for (i = 0; i < wqe->num_sge; i++)
		wqe->length += wqe->sge[i].length;
	if (rxe_broken(fetch_once)) {
		/* for the program to change it */
		mdelay(1);
		memcpy(wqe->sge, slot->dma.sge,
		       wqe->num_sge * sizeof(*wqe->sge));
	}

	rxe_ring_consume(ring, ++*head);
	return true;
}

static int rxe_rwqe_post_one(struct rxe_ring *ring, u32 max_sge,
			     const struct ib_recv_wr *wr)
{
	u32 index = ring->buf->producer_index;
	struct rxe_recv_wqe *slot;

	if (wr->num_sge > max_sge)
		return -EINVAL;
	if (!rxe_ring_space(ring, index))
		return -ENOMEM;

	BUILD_BUG_ON(sizeof(struct ib_sge) != sizeof(struct rxe_sge));
	slot = rxe_ring_slot(ring, index);
	slot->wr_id = wr->wr_id;
	slot->dma.num_sge = wr->num_sge;
	memcpy(slot->dma.sge, wr->sg_list,
	       wr->num_sge * sizeof(*slot->dma.sge));
	rxe_ring_produce(ring, index + 1);
	return 0;
}

/**
 * rxe_rwqe_post - put a kernel user's requests into its ring
 * @ring: the user's
 * @max_sge: that a request may have
 * @wr: the requests
 * @bad_wr: set to the first that was not taken
 *
 * Context: any.
 * Return: 0; -EINVAL: too many entries; -ENOMEM: the ring is full.
 */
int rxe_rwqe_post(struct rxe_ring *ring, u32 max_sge,
		  const struct ib_recv_wr *wr,
		  const struct ib_recv_wr **bad_wr)
{
	unsigned long irq;
	int err = 0;

	spin_lock_irqsave(&ring->post_lock, irq);
	for (; wr && !err; wr = wr->next) {
		err = rxe_rwqe_post_one(ring, max_sge, wr);
		if (err)
			*bad_wr = wr;
	}
	spin_unlock_irqrestore(&ring->post_lock, irq);

	return err;
}
