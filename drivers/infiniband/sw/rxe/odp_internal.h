/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the files of the ODP core share.
 *
 * Lock order, outermost first:
 *
 *	odp_owner.lock		making contexts; around mmu_notifier_register()
 *	  mmap_lock, rmap locks, folio lock, page-table lock (the mm's)
 *	    odp_context.lock	tree, counts, sequence; publication
 *	      odp_leaf.lock	entries; taken in softirq
 *
 * The notifier's callbacks run under any of the mm's locks and take the two
 * innermost only. Neither is held across an allocation, a sleep, or a call
 * that takes a lock of the mm's. The leaf lock is taken in softirq, so its
 * holders in process context keep softirqs off; the context lock is not.
 */
#ifndef ODP_INTERNAL_H
#define ODP_INTERNAL_H

#include <linux/completion.h>
#include <linux/interval_tree.h>
#include <linux/llist.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <rdma/odp_umem.h>

#include "odp_hook.h"

#define ODP_LEAF_PAGES	512UL
#define ODP_LEAF_SIZE	(ODP_LEAF_PAGES << PAGE_SHIFT)

/* tasks that run notifiers share this many counts by hash */
#define ODP_BUCKETS	BITS_PER_LONG

/**
 * struct odp_context - one mm that an owner has registered memory of
 * @mn: the subscription, from the first umem until the owner goes
 * @mm: held by mmgrab()
 * @owner_link: in the owner's list
 * @refs: the owner's and one of each umem
 * @lock: guards what follows, and the umems' fields that say so
 * @umems: interval tree of all umems
 * @no_private_counters: umems that wait for a quiet moment, oldest first
 * @clock: counts the moments at which a bucket got its first notifier
 * @open_buckets: the buckets that have a running notifier
 * @notifiers_open: running notifiers of each bucket
 * @opened_at: the clock when an open bucket got its first notifier
 * @dead: the mm is gone or unsubscribed: nothing is published any more
 * @wait: faults that wait for notifiers to end
 * @rcu: for readers that look at @dead
 */
struct odp_context {
	struct mmu_notifier mn;
	struct mm_struct *mm;
	struct list_head owner_link;
	refcount_t refs;
	/* never held with a lock of the mm's taken inside */
	spinlock_t lock;
	struct rb_root_cached umems;
	struct list_head no_private_counters;
	u64 clock;
	unsigned long open_buckets;
	unsigned int notifiers_open[ODP_BUCKETS];
	u64 opened_at[ODP_BUCKETS];
	bool dead;
	wait_queue_head_t wait;
	struct rcu_head rcu;
};

/**
 * struct odp_leaf - the entries of ODP_LEAF_PAGES pages
 * @lock: copying and publishing share it, zapping excludes
 * @zapping: who wants @lock for itself; readers look and stay away
 * @index: the key in the umem's table
 * @dead: unlinked or about to be, @entries are gone; under @lock
 * @queued: on the umem's list of empty leaves; under @lock for writing
 * @mapped: entries present; under @lock, for writing or with the context's lock
 * @entries: the pages' kernel addresses and ODP_ENTRY_ flags, or 0
 * @empty: in the umem's list of empty leaves
 * @rcu: for lookups without a lock
 */
struct odp_leaf {
	rwlock_t lock;
	atomic_t zapping;
	unsigned long index;
	bool dead;
	bool queued;
	unsigned int mapped;
	unsigned long *entries;
	struct llist_node empty;
	struct rcu_head rcu;
};

/**
 * struct odp_umem - a range that a driver has registered
 * @ctx: whose memory
 * @start: first byte
 * @end: behind the last byte
 * @writable: may be written through
 * @leaves: page table: leaves by ODP_LEAF_SIZE of address space, counted from
 *	    the leaf of @start, so that a small umem has a flat one
 * @ops: the driver's
 * @node: in the context's tree, by whole pages; under the context's lock, as
 *	  are all fields down to @users
 * @pending: in no_private_counters
 * @registered_at: the context's clock when it was registered
 * @mn_counters_active: all notifiers that run now have counted themselves here
 * @notifiers_count: notifiers that run over this umem
 * @notifiers_seq: moves when one of them ends
 * @dying: being destroyed: nothing is published any more
 * @unhooked: to be passed over by walks of the tree
 * @users: walks of the tree that stand here, and one until @unhooked
 * @notifier_completion: no user is left
 * @empty_leaves: leaves for @reap to free
 * @reap: frees leaves that have stayed empty
 * @counters: its own counters
 * @totals: grow along, or NULL
 * @refs: the driver's, and those of odp_umem_get()
 * @rcu: for accesses that are on their way when it is destroyed
 */
struct odp_umem {
	struct odp_context *ctx;
	unsigned long start;
	unsigned long end;
	bool writable;
	struct xarray leaves;
	const struct odp_umem_ops *ops;

	struct interval_tree_node node;
	struct list_head pending;
	u64 registered_at;
	bool mn_counters_active;
	unsigned int notifiers_count;
	unsigned long notifiers_seq;
	bool dying;
	bool unhooked;
	unsigned int users;

	struct completion notifier_completion;
	struct llist_head empty_leaves;
	struct delayed_work reap;
	struct odp_counters counters;
	struct odp_counters *totals;
	refcount_t refs;
	struct rcu_head rcu;
};

static inline void odp_counter_add(struct odp_umem *umem, size_t offset, s64 n)
{
	atomic64_add(n, (void *)&umem->counters + offset);
	if (umem->totals)
		atomic64_add(n, (void *)umem->totals + offset);
}

#define odp_count(umem, counter, n) \
	odp_counter_add(umem, offsetof(struct odp_counters, counter), n)

static inline bool odp_umem_covers(const struct odp_umem *umem,
				   unsigned long addr, size_t len)
{
	return addr >= umem->start && addr <= umem->end &&
	       len <= umem->end - addr;
}

/* No page will ever be published again; whoever asks unlocked may be early. */
static inline bool odp_umem_gone(const struct odp_umem *umem)
{
	return READ_ONCE(umem->dying) || READ_ONCE(umem->ctx->dead);
}

/* odp_context.c */
struct odp_context *odp_context_get(struct odp_owner *owner,
				    struct mm_struct *mm);
void odp_context_put(struct odp_context *ctx);
int odp_context_add(struct odp_context *ctx, struct odp_umem *umem);
void odp_context_kill(struct odp_context *ctx, struct odp_umem *umem);
void odp_context_unhook(struct odp_context *ctx, struct odp_umem *umem);

/* odp_table.c */
int odp_table_grow(struct odp_umem *umem, unsigned long addr);
void odp_table_trim(struct odp_umem *umem, unsigned long addr);
unsigned long odp_table_missing(struct odp_umem *umem, unsigned long *addr,
				unsigned long end, bool write);
int odp_table_publish(struct odp_umem *umem, unsigned long addr,
		      struct page **pages, unsigned long nr, bool write);
unsigned long odp_table_zap(struct odp_umem *umem, unsigned long start,
			    unsigned long end, bool blockable);
bool odp_table_young(struct odp_umem *umem, unsigned long start,
		     unsigned long end, bool clear);
void odp_table_reap(struct work_struct *work);
void odp_table_free(struct odp_umem *umem);

#endif
