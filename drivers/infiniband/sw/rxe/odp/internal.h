/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The objects of the ODP core, and their locks.
 *
 * Lock order, outermost first:
 *
 *	odp_owner.lock		making contexts; around mmu_notifier_register()
 *	  mmap_lock, rmap locks, folio lock, page-table lock (the mm's)
 *	    odp_context.lock	trees, running notifiers, publication
 *	      odp_leaf.lock	entries; taken in softirq
 *	      held_back.lock, wait_var locks	to wake
 *
 * The notifier's callbacks run under any of the mm's locks and take those from
 * odp_context.lock on only. None of these is held across an allocation, a sleep,
 * or a call that takes a lock of the mm's. The leaf lock is read-locked in
 * softirq, so writers disable softirqs; the context lock is not taken there.
 *
 * Two waits are not for a lock, see odp/lookup.c: a look-up waits for notifiers
 * that run over its pages, and a notifier, before it starts, for look-ups that
 * go first. Only the wait of look-ups has no limit of its own.
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

#include "odp/hook.h"

#define ODP_LEAF_PAGES	512UL
#define ODP_LEAF_SIZE	(ODP_LEAF_PAGES << PAGE_SHIFT)

/* notifiers that run at once and are tracked one by one */
#define ODP_SLOTS	BITS_PER_LONG

/**
 * struct odp_notifier - a notifier that runs
 * @task: the task that has called its start, and will call its end
 * @start: first byte of its range
 * @last: last byte
 */
struct odp_notifier {
	const struct task_struct *task;
	unsigned long start;
	unsigned long last;
};

/**
 * struct odp_context - one mm that an owner has registered memory of
 * @mn: the subscription, from the first umem until the owner goes
 * @mm: held by mmgrab()
 * @pid: the process that has registered memory of it first; for traces
 * @owner_link: in the owner's list
 * @refs: the owner's and one of each umem
 * @lock: guards what follows, and the umems' fields that say so
 * @umems: interval tree of all umems
 * @lookups: interval tree of all look-ups that have begun
 * @slots: notifiers that run
 * @slots_used: bitmap of the used @slots
 * @overflow: number of running notifiers that found no slot
 * @overflow_start: first byte that any of these covers
 * @overflow_last: last byte
 * @holds: interval tree of the pages that tasks are about to use
 * @held_back: notifiers that wait for these tasks
 * @dead: the mm is gone or unsubscribed: nothing is published any more
 * @rcu: for readers that look at @dead
 */
struct odp_context {
	struct mmu_notifier mn;
	struct mm_struct *mm;
	pid_t pid;
	struct list_head owner_link;
	refcount_t refs;
	/* no lock of the mm's is taken inside */
	spinlock_t lock;
	struct rb_root_cached umems;
	struct rb_root_cached lookups;
	struct odp_notifier slots[ODP_SLOTS];
	unsigned long slots_used;
	unsigned int overflow;
	unsigned long overflow_start;
	unsigned long overflow_last;
	struct rb_root_cached holds;
	wait_queue_head_t held_back;
	bool dead;
	struct rcu_head rcu;
};

/**
 * struct odp_lookup - a look-up of pages, until they are published
 * @node: the pages; in the context's tree, whose lock guards all fields
 * @umem: their umem
 * @task: the task that looks them up
 * @notifiers_seq: moves when a notifier starts over the pages
 * @seq: value of @notifiers_seq when none ran
 * @allocates: its own task may reclaim a page that it has taken
 * @nowait: it waits for notifiers until @until only
 * @until: in jiffies
 * @hold: holds notifiers back; NULL: nothing does
 */
struct odp_lookup {
	struct interval_tree_node node;
	struct odp_umem *umem;
	struct task_struct *task;
	unsigned long notifiers_seq;
	unsigned long seq;
	bool allocates;
	bool nowait;
	unsigned long until;
	struct odp_hold *hold;
};

/**
 * struct odp_leaf - the entries of ODP_LEAF_PAGES pages
 * @lock: copying and publishing share it, zapping excludes
 * @zapping: number of writers of @lock, waiting ones too: readers keep off
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
 * @ctx: context of the mm whose memory it is
 * @start: first byte
 * @end: behind the last byte
 * @writable: may be written through
 * @leaves: page table: leaves by ODP_LEAF_SIZE of address space, counted from
 *	    the leaf of @start, so that a small umem has a flat one
 * @ops: the driver's
 * @node: in the context's tree, by whole pages; under the context's lock, as
 *	  are all fields down to @users
 * @dying: being destroyed: nothing is published any more
 * @unhooked: skipped by walks of the tree
 * @users: walks of the tree that stand here, and one until @unhooked
 * @notifier_completion: no user is left
 * @empty_leaves: leaves for @reap to free
 * @reap: frees leaves that have stayed empty
 * @counters: its own counters
 * @totals: the driver's counters, which grow along, or NULL
 * @refs: the driver's, and those of odp_umem_get()
 * @rcu: for accesses that are under way when it is destroyed
 */
struct odp_umem {
	struct odp_context *ctx;
	unsigned long start;
	unsigned long end;
	bool writable;
	struct xarray leaves;
	const struct odp_umem_ops *ops;

	struct interval_tree_node node;
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

/* No page will ever be published again; false may be stale without the lock. */
static inline bool odp_umem_gone(const struct odp_umem *umem)
{
	return READ_ONCE(umem->dying) || READ_ONCE(umem->ctx->dead);
}

#endif
