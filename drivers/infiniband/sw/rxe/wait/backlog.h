/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Parked packets: they wait for memory, or behind others that do. */
#ifndef RXE_BACKLOG_H
#define RXE_BACKLOG_H

#include <linux/skbuff.h>

struct rxe_dev;

/**
 * struct rxe_backlog - packets that wait in one direction of a QP
 * @skbs: in the order in which they came
 * @bytes: memory that they take
 *
 * Guarded by the lock of the queue that it is part of.
 */
struct rxe_backlog {
	struct sk_buff_head skbs;
	u32 bytes;
};

static inline void rxe_backlog_init(struct rxe_backlog *backlog)
{
	__skb_queue_head_init(&backlog->skbs);
}

static inline bool rxe_backlog_empty(const struct rxe_backlog *backlog)
{
	return skb_queue_empty(&backlog->skbs);
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

bool rxe_backlog_has_room(struct rxe_dev *dev,
			  const struct rxe_backlog *backlog,
			  const struct sk_buff *skb, u32 limit);
void rxe_backlog_add(struct rxe_dev *dev, struct rxe_backlog *backlog,
		     struct sk_buff *skb);
void rxe_backlog_consume(struct rxe_dev *dev, struct rxe_backlog *backlog);
void rxe_backlog_purge(struct rxe_dev *dev, struct rxe_backlog *backlog);

#endif
