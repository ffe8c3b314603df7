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
	/* odp_umem_fault(): sequence read and pages looked up, no lock held */
	ODP_POINT_LOOKED_UP,
	/* odp_umem_fault(): about to sleep until no notifier runs */
	ODP_POINT_WAITING,
	/* invalidate_range_start(): count raised, nothing zapped yet */
	ODP_POINT_COUNT_RAISED,
	/* odp_umem_destroy(): dying, still in the tree */
	ODP_POINT_DYING,
};

enum odp_rule {
	ODP_RULE_NONE,
	/* publish only when no notifier runs over the umem */
	ODP_RULE_COUNT,
	/* publish only when none has run since before the look-up */
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
	/* look pages that will be written up for writing */
	ODP_RULE_WRITE_LOOKUP,
	/* activate counters in a quiet moment only */
	ODP_RULE_QUIET,
	/* count a notifier where its start and its end are both seen only */
	ODP_RULE_SEEN,
	/* wake faults when the last notifier ends */
	ODP_RULE_WAKE,
	/* a quiet moment need not be quiet for all tasks at once */
	ODP_RULE_BOUNDED_WAIT,
	/* wait for notifiers in the umem before it is destroyed */
	ODP_RULE_COMPLETION,
	/* step over what was never touched */
	ODP_RULE_SPARSE,
	/* free only leaves that have stayed empty */
	ODP_RULE_EMPTY_LEAF,
	/* a look-up that keeps losing ends, for notifiers that keep coming */
	ODP_RULE_PROGRESS,
	/* an access makes its pages young */
	ODP_RULE_YOUNG,
	ODP_RULE_NUM,
};

#ifdef ODP_TEST
void odp_hook(enum odp_point point, struct odp_umem *umem);
bool odp_broken(enum odp_rule rule);
#else
static inline void odp_hook(enum odp_point point, struct odp_umem *umem)
{
}

static inline bool odp_broken(enum odp_rule rule)
{
	return false;
}
#endif

#endif
