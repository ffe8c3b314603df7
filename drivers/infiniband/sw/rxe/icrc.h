/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_ICRC_H
#define RXE_ICRC_H

#include <linux/types.h>

struct sk_buff;

u32 rxe_icrc(struct sk_buff *skb, unsigned int len);

#endif
