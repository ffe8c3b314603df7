/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory for packets that are being made. */
#ifndef RXE_TX_PAGES_H
#define RXE_TX_PAGES_H

#include <linux/mm_types.h>

/**
 * struct rxe_tx_room - free memory for packets
 * @page: the page that it is in
 * @offset: of its first byte
 * @len: its bytes
 */
struct rxe_tx_room {
	struct page *page;
	u32 offset;
	u32 len;
};

bool rxe_tx_find_room(struct rxe_tx_room *room, u32 len);
void rxe_tx_use_room(u32 len);
void rxe_tx_pages_exit(void);

#endif
