/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ODP_LOOKUP_H
#define ODP_LOOKUP_H

#include <linux/types.h>

struct mmu_notifier_range;
struct odp_context;
struct odp_hold;
struct odp_lookup;
struct odp_umem;

void odp_notifier_start(struct odp_context *ctx,
			const struct mmu_notifier_range *range);
void odp_notifier_end(struct odp_context *ctx,
		      const struct mmu_notifier_range *range);
void odp_notifiers_forget(struct odp_context *ctx);
void odp_lookups_wake(struct odp_context *ctx, unsigned long start,
		      unsigned long last);
void odp_lookup_init(struct odp_lookup *lookup, struct odp_umem *umem,
		     bool allocates, bool nowait);
int odp_lookup_begin(struct odp_lookup *lookup, unsigned long addr,
		     unsigned long nr);
int odp_lookup_begin_first(struct odp_lookup *lookup, unsigned long addr,
			   struct odp_hold *hold);
bool odp_lookup_valid(const struct odp_lookup *lookup);
void odp_lookup_end_locked(struct odp_lookup *lookup);
void odp_lookup_end(struct odp_lookup *lookup);

#endif
