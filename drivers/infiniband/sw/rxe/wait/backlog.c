// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

#include "base/dev.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "wait/anchor.h"
#include "wait/backlog.h"
#include "wait/direction.h"

/*
 * Batches of all devices that wait as they came. How much each holds is not known: half
 * a megabyte of pages, where a sender like ours has made it.
 */
#define RXE_BORROWED_MAX	64
/* bytes of one backlog that do: they may have to be copied under its lock */
#define RXE_BORROWED_BYTES	(128U << 10)

static atomic_t rxe_borrowed;

/* The lock of the direction that a backlog is part of. */
static const spinlock_t *rxe_backlog_lock(const struct rxe_backlog *backlog)
{
	return container_of(backlog, struct rxe_direction, backlog)->lock;
}

static u32 rxe_backlog_qpn(const struct rxe_backlog *backlog)
{
	return container_of(backlog, struct rxe_direction, backlog)->anchor->qpn;
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
	rxe_batch(clone)->borrowed = false;
	rxe_batch(clone)->next = begin;
	rxe_batch(clone)->end = end;
	return clone;
}

/*
 * Parked packets are copies, but for a moment: see rxe_backlog_borrow(). A packet may
 * wait for as long as the owner of some memory likes, and for so long nothing is to be
 * held but its bytes. The skb that came is a part of something larger: 100 bytes of
 * the 32 KiB that a sender, or the network, cuts packets from; one packet of a batch; a
 * page of a file, or of a netdev's page pool, which has to come back before the netdev
 * can go. Its truesize does not tell how much memory it holds, and others may hold the
 * same memory.
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
	batch->borrowed = false;
	batch->next = 0;
	batch->end = end - begin;
	batch->first += begin / batch->packet_len;
	return copy;
}

/* Put a batch at the end, if its program may have it wait. */
static bool rxe_backlog_queue(struct rxe_backlog *backlog, struct sk_buff *skb)
{
	if (!rxe_share_take(backlog->share, skb->truesize))
		return false;
	backlog->bytes += skb->truesize;
	__skb_queue_tail(&backlog->skbs, skb);
	return true;
}

/* Take the first batch out. */
static struct sk_buff *rxe_backlog_dequeue(struct rxe_backlog *backlog)
{
	struct sk_buff *skb = __skb_dequeue(&backlog->skbs);

	if (!skb)
		return NULL;
	backlog->bytes -= skb->truesize;
	rxe_share_give_back(backlog->share, skb->truesize);
	if (rxe_batch(skb)->borrowed)
		atomic_dec(&rxe_borrowed);
	return skb;
}

/*
 * Most faults take no sleep, and are over before a copy would pay. So batches wait as
 * they came until the fault's worker has found that it has to sleep, or until something
 * else keeps them waiting after the fault: then rxe_backlog_copy_borrowed() copies them.
 * This takes RXE_BORROWED_TIME, but for what the worker waits for its CPU, and for
 * memory. Batches are few meanwhile, since what they hold cannot be counted.
 */
static bool rxe_backlog_borrow(struct rxe_backlog *backlog, struct sk_buff *skb,
			       u32 begin, u32 end)
{
	struct rxe_batch *batch = rxe_batch(skb);

	if (!backlog->untried || end != batch->end ||
	    backlog->bytes + skb->truesize > RXE_BORROWED_BYTES ||
	    !atomic_add_unless(&rxe_borrowed, 1, RXE_BORROWED_MAX))
		return false;

	rxe_batch_detach(skb);
	if (!rxe_backlog_queue(backlog, skb)) {
		atomic_dec(&rxe_borrowed);
		return false;
	}
	/* the caller drops its own reference */
	skb_get(skb);
	if (!backlog->borrows)
		backlog->since = jiffies;
	backlog->borrows = true;
	batch->next = begin;
	batch->borrowed = true;
	return true;
}

/**
 * rxe_backlog_add - let packets wait
 * @dev: the device
 * @backlog: the backlog
 * @skb: their batch; stays the caller's, who may still read it, and drops it
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
		     struct sk_buff *skb, u32 begin, u32 end, u32 limit)
{
	u32 len = end - begin;
	struct sk_buff *copy;

	lockdep_assert_in_softirq();
	lockdep_assert_held(rxe_backlog_lock(backlog));
	if (rxe_broken(parked_bytes))
		limit = S32_MAX;
	/* most packets that are refused are refused before they are copied */
	if (backlog->bytes + len > limit ||
	    !rxe_share_has_room(backlog->share, len))
		goto refuse;
	if (rxe_backlog_borrow(backlog, skb, begin, end))
		return true;

	copy = rxe_backlog_copy(backlog, skb, begin, end);
	if (!copy)
		goto refuse;

	if (backlog->bytes + copy->truesize > limit ||
	    !rxe_backlog_queue(backlog, copy)) {
		kfree_skb(copy);
		goto refuse;
	}
	return true;

refuse:
	rxe_count_drop(dev, RXE_STAT_PARKED_REFUSED, rxe_backlog_qpn(backlog), 0,
		       1);
	return false;
}

/**
 * rxe_backlog_add_some - let those packets of a batch wait for which it is of use
 * @dev: the device
 * @backlog: the backlog
 * @skb: the batch, from its next packet on; stays the caller's, who drops it
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

/* Replace the first batch, which waits as it came, by a copy at the end; false: no room. */
static bool rxe_backlog_copy_first(struct rxe_backlog *backlog)
{
	struct sk_buff *skb = rxe_backlog_dequeue(backlog), *copy;
	struct rxe_batch *batch = rxe_batch(skb);
	bool done = batch->next >= batch->end;

	copy = done || rxe_broken(borrowed_room) ? NULL :
		rxe_backlog_copy(backlog, skb, batch->next, batch->end);
	consume_skb(skb);
	if (!copy)
		return done;
	if (rxe_backlog_queue(backlog, copy))
		return true;
	kfree_skb(copy);
	return false;
}

/**
 * rxe_backlog_copy_borrowed - let no packet wait as it came
 * @dev: the device
 * @backlog: may wait for long from now on
 *
 * A batch for which there is no room is dropped, and counted; those behind it stay.
 *
 * Context: BH disabled, the queue's lock is held.
 * Return: false: some were dropped.
 */
bool rxe_backlog_copy_borrowed(struct rxe_dev *dev, struct rxe_backlog *backlog)
{
	u32 n = skb_queue_len(&backlog->skbs);
	bool all = true;

	lockdep_assert_in_softirq();
	lockdep_assert_held(rxe_backlog_lock(backlog));
	backlog->untried = false;
	if (!backlog->borrows || rxe_broken(borrowed_copied))
		return true;

	backlog->borrows = false;
	/* each goes to the end, so that all are in their order again */
	while (n--) {
		if (!rxe_batch(skb_peek(&backlog->skbs))->borrowed) {
			__skb_queue_tail(&backlog->skbs,
					 __skb_dequeue(&backlog->skbs));
		} else if (!rxe_backlog_copy_first(backlog)) {
			rxe_count_drop(dev, RXE_STAT_PARKED_REFUSED,
				       rxe_backlog_qpn(backlog), 0, 1);
			all = false;
		}
	}
	return all;
}

/**
 * rxe_backlog_consume - free the first batch, which has been processed
 * @backlog: not empty
 *
 * Context: BH disabled, the queue's lock is held.
 */
void rxe_backlog_consume(struct rxe_backlog *backlog)
{
	lockdep_assert_in_softirq();
	lockdep_assert_held(rxe_backlog_lock(backlog));
	consume_skb(rxe_backlog_dequeue(backlog));
}

/**
 * rxe_backlog_purge - drop all packets
 * @backlog: emptied
 *
 * Context: the queue's lock is held, or nobody else reaches it.
 */
void rxe_backlog_purge(struct rxe_backlog *backlog)
{
	struct sk_buff *skb;

	while ((skb = rxe_backlog_dequeue(backlog)))
		kfree_skb(skb);
}
