/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory for packets that are sent. */
#ifndef RXE_TX_PAGES_H
#define RXE_TX_PAGES_H

#include <linux/mm_types.h>

/**
 * struct rxe_tx_room - where a packet is made
 * @page: that it is in
 * @offset: of its first byte
 */
struct rxe_tx_room {
	struct page *page;
	u32 offset;
};

bool rxe_tx_room(struct rxe_tx_room *room, u32 len);
void rxe_tx_room_use(u32 len);
void rxe_tx_pages_exit(void);

#endif
