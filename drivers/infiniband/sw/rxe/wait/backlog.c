// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/mm.h>

#include "base/dev.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "wait/backlog.h"

/* parked packets of one device may use 1/32 of RAM */
#define RXE_BACKLOG_SHARE	32

/**
 * rxe_backlog_has_room - check whether a packet may be parked
 * @dev: the device
 * @backlog: the backlog
 * @skb: the packet
 * @limit: bytes that @backlog may take
 *
 * Peers decide how much comes, and programs how long it waits: so the bytes of
 * each QP are bounded, and those of all QPs of the device.
 *
 * Context: the queue's lock is held.
 * Return: true if it may.
 */
bool rxe_backlog_has_room(struct rxe_dev *dev,
			  const struct rxe_backlog *backlog,
			  const struct sk_buff *skb, u32 limit)
{
	unsigned long all = totalram_pages() / RXE_BACKLOG_SHARE << PAGE_SHIFT;

	if (rxe_broken(parked_bytes))
		return true;
	return backlog->bytes + skb->truesize <= limit &&
	       atomic_long_read(&dev->backlog) + skb->truesize <= all;
}

/**
 * rxe_backlog_add - park a packet
 * @dev: the device
 * @backlog: the backlog
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
 * rxe_backlog_consume - free the first packet, which has been processed
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
 * rxe_backlog_purge - drop all packets
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
