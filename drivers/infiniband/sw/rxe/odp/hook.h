/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Named points of the ODP core where its test module can hold a thread, and
 * the rules that it can break to see that its tests notice. Both exist in
 * the test module's own build of the core only.
 */
#ifndef ODP_HOOK_H
#define ODP_HOOK_H

#include <linux/types.h>

struct odp_umem;

enum odp_point {
	/* odp_umem_fault(): sequence read and pages looked up, no spinlock held */
	ODP_POINT_LOOKED_UP,
	/* odp_umem_fault(): about to sleep until no notifier runs */
	ODP_POINT_WAITING,
	/* invalidate_range_start(): it runs, nothing zapped yet */
	ODP_POINT_STARTED,
	/* odp_umem_destroy(): dying, still in the tree */
	ODP_POINT_DYING,
	/* odp_umem_fault(): a look-up is in the tree; to be counted */
	ODP_POINT_BEGUN,
	/* odp_umem_fault(): looks whether it can stop waiting; to be counted */
	ODP_POINT_WOKEN,
	/* invalidate_range_start(): about to let look-ups go first */
	ODP_POINT_HELD_BACK,
};

enum odp_rule {
	ODP_RULE_NONE,
	/* look up only when no notifier runs over the pages */
	ODP_RULE_COUNT,
	/* publish only when none has started since */
	ODP_RULE_SEQUENCE,
	/* publish nothing for a umem that is being destroyed */
	ODP_RULE_DYING,
	/* publish nothing once the mm is gone */
	ODP_RULE_DEAD,
	/* zap only when no CPU copies through the leaf */
	ODP_RULE_EXCLUDE_COPIES,
	/* do not sleep where the range is not blockable */
	ODP_RULE_NON_BLOCKABLE,
	/* drop the look-up's references */
	ODP_RULE_NO_PIN,
	/* look up for writing the pages that will be written */
	ODP_RULE_WRITE_LOOKUP,
	/* wake look-ups when a notifier over them ends */
	ODP_RULE_WAKE,
	/* wake no other look-ups */
	ODP_RULE_WAKE_ONLY,
	/* a notifier over other pages does not void a look-up */
	ODP_RULE_RANGE,
	/* a notifier of the look-up's own task does not void it */
	ODP_RULE_OWN,
	/* but only if it looks up one page */
	ODP_RULE_ONE_PAGE,
	/* notifiers that find no slot count too */
	ODP_RULE_OVERFLOW,
	/* wait for notifiers in the umem before it is destroyed */
	ODP_RULE_COMPLETION,
	/* skip address space without leaves */
	ODP_RULE_SPARSE,
	/* free only leaves that have stayed empty */
	ODP_RULE_EMPTY_LEAF,
	/* a look-up that keeps losing goes first */
	ODP_RULE_PROGRESS,
	/* a look-up that goes first holds notifiers back */
	ODP_RULE_GOES_FIRST,
	/* it does so for a bounded time */
	ODP_RULE_PATIENCE,
	/* it does so for longer than the notifiers that it waits for take */
	ODP_RULE_OUTLAST,
	/* a task with a look-up of its own is not held back */
	ODP_RULE_HOLDS_BACK_LOOKUPS,
	/* an access makes its pages young */
	ODP_RULE_YOUNG,
	/* allocations of a fault are charged to the memcg of the mm's owner */
	ODP_RULE_CHARGE,
	/* one look-up covers many pages, if only present ones are wanted */
	ODP_RULE_PRESENT,
	ODP_RULE_NUM,
};

#ifdef ODP_TEST
void odp_hook(enum odp_point point, struct odp_umem *umem);
bool odp_broken(enum odp_rule rule);
unsigned long odp_patience(unsigned long ticks);
#else
static inline void odp_hook(enum odp_point point, struct odp_umem *umem)
{
}

static inline bool odp_broken(enum odp_rule rule)
{
	return false;
}

static inline unsigned long odp_patience(unsigned long ticks)
{
	return ticks;
}
#endif

#endif
