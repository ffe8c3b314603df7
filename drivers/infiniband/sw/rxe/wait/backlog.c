// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "base/dev.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "wait/backlog.h"
#include "wait/direction.h"

/* The lock of the direction that a backlog is part of. */
static const spinlock_t *rxe_backlog_lock(const struct rxe_backlog *backlog)
{
	return container_of(backlog, struct rxe_direction, backlog)->lock;
}

/*
 * The headers that a batch still needs, those of IP and UDP, are in the linear part,
 * with what would not fill a page: a page for few bytes is dear.
 */
static struct sk_buff *rxe_backlog_alloc(const struct rxe_backlog *backlog,
					 u32 headers, u32 len)
{
	struct mem_cgroup *memcg = rxe_share_memcg(backlog->share);
	gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;
	u32 linear = len % PAGE_SIZE;
	struct mem_cgroup *old;
	struct sk_buff *skb;
	int err;

	if (linear > SKB_MAX_HEAD(headers))
		linear = 0;
	if (memcg && !rxe_broken(parked_charged))
		gfp |= __GFP_ACCOUNT;
	old = set_active_memcg(memcg);
	skb = alloc_skb_with_frags(headers + linear, len - linear,
				   PAGE_ALLOC_COSTLY_ORDER, &err, gfp);
	set_active_memcg(old);
	if (!skb)
		return NULL;

	skb_reset_network_header(skb);
	skb_put(skb, headers + linear);
	skb->data_len = len - linear;
	skb->len += skb->data_len;
	return skb;
}

static bool rxe_backlog_fill(struct sk_buff *to, const struct sk_buff *from,
			     u32 offset)
{
	u32 n = skb_headlen(to);
	const skb_frag_t *frag;
	int i;

	if (skb_copy_bits(from, offset, to->data, n))
		return false;

	for (i = 0; i < skb_shinfo(to)->nr_frags; i++) {
		offset += n;
		frag = &skb_shinfo(to)->frags[i];
		n = skb_frag_size(frag);
		if (skb_copy_bits(from, offset, skb_frag_address(frag), n))
			return false;
	}
	return true;
}

/* As the packets came: only where the rule is broken that they are copied. */
static struct sk_buff *rxe_backlog_clone(const struct sk_buff *skb, u32 begin,
					 u32 end)
{
	struct sk_buff *clone = skb_clone((struct sk_buff *)skb, GFP_ATOMIC);

	if (!clone)
		return NULL;

	rxe_batch_detach(clone);
	rxe_batch(clone)->next = begin;
	rxe_batch(clone)->end = end;
	return clone;
}

/*
 * Parked packets are copies. A packet may wait for as long as the owner of some
 * memory likes, and for so long nothing is to be held but its bytes. The skb that
 * came is a part of something larger: 100 bytes of the 32 KiB that a sender, or the
 * network, cuts packets from; one packet of a batch; a page of a file, or of a
 * netdev's page pool, which has to come back before the netdev can go. Its truesize
 * does not tell how much memory it holds, and others may hold the same memory.
 *
 * A copy's truesize is all that it takes, so that a bound of it is one of memory;
 * and the copy can be charged to the program's control group, in softirq too. At
 * the group's limit it is charged all the same, as packets of sockets are: the
 * program makes room when it next allocates.
 *
 * Each byte is copied once, while memory for it is being found, which takes longer.
 */
static struct sk_buff *rxe_backlog_copy(const struct rxe_backlog *backlog,
					const struct sk_buff *skb, u32 begin,
					u32 end)
{
	u32 headers = -skb_network_offset(skb);
	struct rxe_batch *batch;
	struct sk_buff *copy;

	if (rxe_broken(parked_copied))
		return rxe_backlog_clone(skb, begin, end);
	copy = rxe_backlog_alloc(backlog, headers, end - begin);
	if (!copy)
		return NULL;

	memcpy(copy->data, skb_network_header(skb), headers);
	__skb_pull(copy, headers);
	if (!rxe_backlog_fill(copy, skb, begin)) {
		kfree_skb(copy);
		return NULL;
	}

	batch = rxe_batch(copy);
	*batch = *rxe_batch(skb);
	batch->next = 0;
	batch->end = end - begin;
	batch->first += begin / batch->packet_len;
	return copy;
}

/**
 * rxe_backlog_add - let packets wait
 * @dev: the device
 * @backlog: the backlog
 * @skb: their batch; stays the caller's
 * @begin: offset of the first of them
 * @end: offset behind the last
 * @limit: bytes that @backlog may take
 *
 * Peers decide how much comes, and programs how long it waits: so the bytes of
 * each QP are bounded, those of each program, and those of all of the device.
 *
 * Context: BH disabled, the queue's lock is held.
 * Return: false: there is no room, or no memory.
 */
bool rxe_backlog_add(struct rxe_dev *dev, struct rxe_backlog *backlog,
		     const struct sk_buff *skb, u32 begin, u32 end, u32 limit)
{
	u32 len = end - begin;
	struct sk_buff *copy;

	lockdep_assert_in_softirq();
	lockdep_assert_held(rxe_backlog_lock(backlog));
	if (rxe_broken(parked_bytes))
		limit = U32_MAX;
	/* most packets that are refused are refused before they are copied */
	if (len > limit - backlog->bytes ||
	    !rxe_share_has_room(backlog->share, len))
		goto refuse;

	copy = rxe_backlog_copy(backlog, skb, begin, end);
	if (!copy)
		goto refuse;

	if (copy->truesize > limit - backlog->bytes ||
	    !rxe_share_take(backlog->share, copy->truesize)) {
		kfree_skb(copy);
		goto refuse;
	}
	backlog->bytes += copy->truesize;
	__skb_queue_tail(&backlog->skbs, copy);
	return true;

refuse:
	rxe_count(dev, RXE_STAT_PARKED_REFUSED);
	return false;
}

/**
 * rxe_backlog_add_some - let those packets of a batch wait for which it is of use
 * @dev: the device
 * @backlog: the backlog
 * @skb: the batch, from its next packet on; stays the caller's
 * @limit: bytes that @backlog may take
 * @may_wait: tells whether a packet is not to be dropped; counts it, if it is
 * @arg: passed to @may_wait
 *
 * Context: BH disabled, the queue's lock is held.
 * Return: false: there was no room for some, which are to be dropped with all behind.
 */
bool rxe_backlog_add_some(struct rxe_dev *dev, struct rxe_backlog *backlog,
			  struct sk_buff *skb, u32 limit,
			  bool (*may_wait)(const struct rxe_pkt *pkt, void *arg),
			  void *arg)
{
	const struct rxe_batch *batch = rxe_batch(skb);
	u32 begin = batch->next;
	struct rxe_pkt pkt;

	lockdep_assert_in_softirq();
	lockdep_assert_held(rxe_backlog_lock(backlog));
	for (; rxe_pkt_next(&pkt, skb); rxe_pkt_done(&pkt)) {
		if (may_wait(&pkt, arg))
			continue;
		if (pkt.offset > begin &&
		    !rxe_backlog_add(dev, backlog, skb, begin, pkt.offset, limit))
			return false;
		begin = pkt.offset + pkt.len;
	}
	return begin >= batch->end ||
	       rxe_backlog_add(dev, backlog, skb, begin, batch->end, limit);
}

/**
 * rxe_backlog_consume - free the first batch, which has been processed
 * @backlog: not empty
 *
 * Context: BH disabled, the queue's lock is held.
 */
void rxe_backlog_consume(struct rxe_backlog *backlog)
{
	struct sk_buff *skb = __skb_dequeue(&backlog->skbs);

	lockdep_assert_in_softirq();
	lockdep_assert_held(rxe_backlog_lock(backlog));
	backlog->bytes -= skb->truesize;
	rxe_share_give_back(backlog->share, skb->truesize);
	consume_skb(skb);
}

/**
 * rxe_backlog_purge - drop all packets
 * @backlog: emptied
 *
 * Context: the queue's lock is held, or nobody else reaches it.
 */
void rxe_backlog_purge(struct rxe_backlog *backlog)
{
	rxe_share_give_back(backlog->share, backlog->bytes);
	backlog->bytes = 0;
	__skb_queue_purge(&backlog->skbs);
}
