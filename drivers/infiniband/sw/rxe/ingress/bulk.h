/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Large batches, and batches that came behind them. */
#ifndef RXE_BULK_H
#define RXE_BULK_H

#include <linux/types.h>

struct net;
struct sk_buff;

void rxe_bulk_init(void);
bool rxe_is_bulk(const struct sk_buff *skb);
void rxe_bulk_add(const struct net *net, struct sk_buff *skb);
void rxe_bulk_drop(const struct net *net);

#endif
