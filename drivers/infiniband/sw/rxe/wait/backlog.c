// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/mm.h>

#include "base/dev.h"
#include "base/pkt.h"
#include "wait/backlog.h"

/* of the machine's memory, for all that waits on one device */
#define RXE_BACKLOG_SHARE	32

/**
 * rxe_backlog_has_room - ask whether a packet may wait
 * @dev: the device
 * @backlog: where it would
 * @skb: the packet
 * @limit: bytes that @backlog may take
 *
 * Peers decide how much comes, and programs how long it waits: what a QP holds
 * is bounded, and so is what all of them do.
 *
 * Context: the queue's lock is held.
 * Return: true if it may.
 */
bool rxe_backlog_has_room(struct rxe_dev *dev,
			  const struct rxe_backlog *backlog,
			  const struct sk_buff *skb, u32 limit)
{
	unsigned long all = totalram_pages() / RXE_BACKLOG_SHARE << PAGE_SHIFT;

	return backlog->bytes + skb->truesize <= limit &&
	       atomic_long_read(&dev->backlog) + skb->truesize <= all;
}

/**
 * rxe_backlog_add - have a packet wait
 * @dev: the device
 * @backlog: where
 * @skb: the packet; consumed
 *
 * Context: BH disabled, the queue's lock is held.
 */
void rxe_backlog_add(struct rxe_dev *dev, struct rxe_backlog *backlog,
		     struct sk_buff *skb)
{
	lockdep_assert_in_softirq();
	rxe_batch_detach(skb);
	backlog->bytes += skb->truesize;
	atomic_long_add(skb->truesize, &dev->backlog);
	__skb_queue_tail(&backlog->skbs, skb);
}

/**
 * rxe_backlog_consume - the packet that was next is done with
 * @dev: the device
 * @backlog: not empty
 *
 * Context: the queue's lock is held.
 */
void rxe_backlog_consume(struct rxe_dev *dev, struct rxe_backlog *backlog)
{
	struct sk_buff *skb = __skb_dequeue(&backlog->skbs);

	lockdep_assert_in_softirq();
	backlog->bytes -= skb->truesize;
	atomic_long_sub(skb->truesize, &dev->backlog);
	consume_skb(skb);
}

/**
 * rxe_backlog_purge - nothing waits any more
 * @dev: the device
 * @backlog: emptied
 *
 * Context: the queue's lock is held, or nobody else reaches it.
 */
void rxe_backlog_purge(struct rxe_dev *dev, struct rxe_backlog *backlog)
{
	atomic_long_sub(backlog->bytes, &dev->backlog);
	backlog->bytes = 0;
	__skb_queue_purge(&backlog->skbs);
}
