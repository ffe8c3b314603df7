/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_TABLE_H
#define ODP_TABLE_H

#include <linux/types.h>

struct odp_umem;
struct page;
struct work_struct;

int odp_table_grow(struct odp_umem *umem, unsigned long addr);
void odp_table_trim(struct odp_umem *umem, unsigned long addr);
unsigned long odp_table_missing(struct odp_umem *umem, unsigned long *addr,
				unsigned long end, bool write, bool *has_leaf);
int odp_table_publish(struct odp_umem *umem, unsigned long addr,
		      struct page **pages, unsigned long nr, bool write);
unsigned long odp_table_zap(struct odp_umem *umem, unsigned long start,
			    unsigned long end, bool blockable);
bool odp_table_young(struct odp_umem *umem, unsigned long start,
		     unsigned long end, bool clear);
void odp_table_reap(struct work_struct *work);
void odp_table_free(struct odp_umem *umem);

#endif
