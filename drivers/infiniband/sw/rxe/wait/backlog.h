/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Parked packets: they wait for memory, or behind others that do. */
#ifndef RXE_BACKLOG_H
#define RXE_BACKLOG_H

#include <linux/jiffies.h>
#include <linux/skbuff.h>

struct rxe_dev;
struct rxe_pkt;
struct rxe_share;

/**
 * struct rxe_backlog - packets that wait in one direction of a QP
 * @skbs: in the order in which they came
 * @bytes: memory that they take
 * @untried: they wait for a fault that has not been tried yet
 * @borrows: some may be the skbs that came, not copies
 * @since: when the first of these came; in jiffies
 * @share: the program's, which they are a part of
 *
 * All but the last are guarded by the lock of the queue that it is part of.
 */
struct rxe_backlog {
	struct sk_buff_head skbs;
	u32 bytes;
	bool untried;
	bool borrows;
	unsigned long since;
	struct rxe_share *share;
};

static inline void rxe_backlog_init(struct rxe_backlog *backlog,
				    struct rxe_share *share)
{
	backlog->share = share;
	__skb_queue_head_init(&backlog->skbs);
}

static inline bool rxe_backlog_empty(const struct rxe_backlog *backlog)
{
	return skb_queue_empty(&backlog->skbs);
}

/* how long packets wait as they came, where one fault without a sleep follows another */
#define RXE_BORROWED_TIME	msecs_to_jiffies(20)

static inline bool rxe_backlog_borrows_long(const struct rxe_backlog *backlog)
{
	return backlog->borrows &&
	       time_after(jiffies, backlog->since + RXE_BORROWED_TIME);
}

/* the first packet, which stays in the backlog */
static inline struct sk_buff *rxe_backlog_peek(const struct rxe_backlog *backlog)
{
	return skb_peek(&backlog->skbs);
}

/* the packet behind @skb in the backlog, or NULL */
static inline struct sk_buff *
rxe_backlog_behind(const struct rxe_backlog *backlog, struct sk_buff *skb)
{
	return skb_peek_next(skb, &backlog->skbs);
}

bool rxe_backlog_add(struct rxe_dev *dev, struct rxe_backlog *backlog,
		     struct sk_buff *skb, u32 begin, u32 end, u32 limit);
bool rxe_backlog_add_some(struct rxe_dev *dev, struct rxe_backlog *backlog,
			  struct sk_buff *skb, u32 limit,
			  bool (*may_wait)(const struct rxe_pkt *pkt, void *arg),
			  void *arg);
bool rxe_backlog_copy_borrowed(struct rxe_dev *dev, struct rxe_backlog *backlog);
void rxe_backlog_consume(struct rxe_backlog *backlog);
void rxe_backlog_purge(struct rxe_backlog *backlog);

#endif
