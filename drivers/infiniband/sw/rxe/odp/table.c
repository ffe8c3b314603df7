// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The page table of an ODP umem: leaves of ODP_LEAF_PAGES entries, made when
 * the first of their pages is published, found without a lock under RCU.
 *
 * Three parties meet at a leaf's lock.
 *
 * Copies (odp_umem_access()) read-lock it, usually in softirq, for some packets
 * at most: two CPUs can copy through one leaf.
 *
 * Publication read-locks it too, as new entries disturb no copy. The context's
 * lock keeps two publications apart. A notifier over other pages of the leaf
 * may be running; one over the same pages would have forbidden the publication.
 *
 * Zaps write-lock it: when one has released it, no copy that saw the old
 * entries is still running. As the lock lets readers in softirq pass a waiting
 * writer, writers raise @zapping first, and copies that see it miss instead. As
 * softirqs only ever read-lock, readers in process context need not disable
 * them.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/memcontrol.h>

#include "odp/internal.h"
#include "odp/table.h"

#define ODP_ENTRY_WRITE		BIT(0)
/* a bit number: readers and aging change it in entries that others read */
#define ODP_ENTRY_YOUNG_NR	1
#define ODP_ENTRY_YOUNG		BIT(ODP_ENTRY_YOUNG_NR)

/* long enough for a range that is in use to be faulted in again */
#define ODP_REAP_DELAY		(HZ / 10)

static unsigned long leaf_index(const struct odp_umem *umem,
				unsigned long addr)
{
	return addr / ODP_LEAF_SIZE - umem->start / ODP_LEAF_SIZE;
}

static unsigned int entry_index(unsigned long addr)
{
	return (addr >> PAGE_SHIFT) % ODP_LEAF_PAGES;
}

/* Where [addr, end) leaves the leaf of @addr. */
static unsigned long leaf_end(unsigned long addr, unsigned long end)
{
	unsigned long next = round_down(addr, ODP_LEAF_SIZE) + ODP_LEAF_SIZE;

	return next - 1 < end - 1 ? next : end;
}

static bool entry_good(unsigned long entry, bool write)
{
	return entry && (!write || entry & ODP_ENTRY_WRITE);
}

static void leaf_lock_exclusive(struct odp_leaf *leaf)
	__acquires(&leaf->lock)
{
	/*
	 * Needs no order against the lock: it bounds how many readers come
	 * first, the lock alone keeps them out.
	 */
	atomic_inc(&leaf->zapping);
	write_lock_bh(&leaf->lock);
}

static void leaf_unlock_exclusive(struct odp_leaf *leaf)
	__releases(&leaf->lock)
{
	write_unlock_bh(&leaf->lock);
	atomic_dec(&leaf->zapping);
}

static struct odp_leaf *leaf_alloc(unsigned long index)
{
	struct odp_leaf *leaf;

	leaf = kzalloc(sizeof(*leaf), GFP_KERNEL_ACCOUNT);
	if (!leaf)
		return NULL;

	leaf->entries = kcalloc(ODP_LEAF_PAGES, sizeof(*leaf->entries),
				GFP_KERNEL_ACCOUNT);
	if (!leaf->entries) {
		kfree(leaf);
		return NULL;
	}

	rwlock_init(&leaf->lock);
	leaf->index = index;
	return leaf;
}

/* By the task that has marked it dead: no other reads its entries now. */
static void leaf_free(struct odp_umem *umem, struct odp_leaf *leaf)
{
	xa_cmpxchg(&umem->leaves, leaf->index, leaf, NULL, 0);
	kfree(leaf->entries);
	kfree_rcu(leaf, rcu);
}

/* Whether there is a live leaf at @index; if not, the place is empty. */
static bool leaf_present(struct odp_umem *umem, unsigned long index)
{
	struct odp_leaf *leaf;
	bool present;

	rcu_read_lock();
	leaf = xa_load(&umem->leaves, index);
	present = leaf && !READ_ONCE(leaf->dead);
	/* its reaper is about to do the same; RCU keeps it from being reused */
	if (leaf && !present)
		xa_cmpxchg(&umem->leaves, index, leaf, NULL, 0);
	rcu_read_unlock();

	return present;
}

static int leaf_insert(struct odp_umem *umem, unsigned long index)
{
	struct odp_leaf *leaf;
	void *old;

	leaf = leaf_alloc(index);
	if (!leaf)
		return -ENOMEM;

	old = xa_cmpxchg(&umem->leaves, index, NULL, leaf, GFP_KERNEL_ACCOUNT);
	if (!old)
		return 0;

	/* a failure, or another fault was faster */
	kfree(leaf->entries);
	kfree(leaf);
	return xa_err(old);
}

/**
 * odp_table_grow - make a leaf for an address, unless there is one
 * @umem: the umem
 * @addr: in it
 *
 * It is charged to the memcg of the umem's mm, whichever task calls.
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM. The leaf may be gone again before it is used.
 */
int odp_table_grow(struct odp_umem *umem, unsigned long addr)
{
	unsigned long index = leaf_index(umem, addr);
	struct mem_cgroup *memcg, *old;
	int err;

	if (leaf_present(umem, index))
		return 0;

	memcg = get_mem_cgroup_from_mm(umem->ctx->mm);
	old = set_active_memcg(memcg);
	err = leaf_insert(umem, index);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return err;
}

static void queue_if_empty(struct odp_umem *umem, struct odp_leaf *leaf)
{
	if (leaf->mapped || leaf->queued)
		return;

	leaf->queued = true;
	llist_add(&leaf->empty, &umem->empty_leaves);
	schedule_delayed_work(&umem->reap, ODP_REAP_DELAY);
}

/**
 * odp_table_trim - give back a leaf that a failed fault has left empty
 * @umem: the umem
 * @addr: where the fault failed
 *
 * Context: process; does not sleep.
 */
void odp_table_trim(struct odp_umem *umem, unsigned long addr)
{
	struct odp_leaf *leaf;

	/* odp_umem_destroy() cancels the reaper after setting dying under it */
	spin_lock(&umem->ctx->lock);
	rcu_read_lock();
	leaf = umem->dying ? NULL :
			     xa_load(&umem->leaves, leaf_index(umem, addr));
	if (leaf) {
		leaf_lock_exclusive(leaf);
		if (!leaf->dead)
			queue_if_empty(umem, leaf);
		leaf_unlock_exclusive(leaf);
	}
	rcu_read_unlock();
	spin_unlock(&umem->ctx->lock);
}

static void leaf_reap(struct odp_umem *umem, struct odp_leaf *leaf)
{
	leaf_lock_exclusive(leaf);
	leaf->queued = false;
	leaf->dead = !leaf->mapped || odp_broken(ODP_RULE_EMPTY_LEAF);
	leaf_unlock_exclusive(leaf);

	if (leaf->dead)
		leaf_free(umem, leaf);
}

/**
 * odp_table_reap - free the leaves that have stayed empty
 * @work: of the umem
 *
 * Context: process; does not sleep.
 */
void odp_table_reap(struct work_struct *work)
{
	struct odp_umem *umem = container_of(work, struct odp_umem, reap.work);
	struct llist_node *list = llist_del_all(&umem->empty_leaves);
	struct odp_leaf *leaf, *next;

	llist_for_each_entry_safe(leaf, next, list, empty) {
		leaf_reap(umem, leaf);
		cond_resched();
	}
}

/**
 * odp_table_free - free all leaves
 * @umem: dying and out of the tree, its reaper stopped
 *
 * Context: process, may sleep.
 */
void odp_table_free(struct odp_umem *umem)
{
	struct odp_leaf *leaf;
	unsigned long index;

	xa_for_each(&umem->leaves, index, leaf) {
		/* there may still be accesses that find it */
		leaf_lock_exclusive(leaf);
		leaf->dead = true;
		leaf_unlock_exclusive(leaf);
		leaf_free(umem, leaf);
		cond_resched();
	}
}

/**
 * odp_table_missing - find what a fault has to look up
 * @umem: the umem
 * @addr: page-aligned; moved on to the first page that is not good, or to where
 *	  it stopped looking
 * @end: behind the last byte, page-aligned
 * @write: only entries that can be written through are good
 * @has_leaf: set to whether there is a leaf to publish at @addr; it may be gone
 *	      before that
 *
 * Context: process; does not sleep.
 * Return: how many pages from @addr, in one leaf, are not good; 0: call again
 * if @addr is not at @end.
 */
unsigned long odp_table_missing(struct odp_umem *umem, unsigned long *addr,
				unsigned long end, bool write, bool *has_leaf)
{
	unsigned long stop = leaf_end(*addr, end);
	unsigned long at = *addr, first;
	struct odp_leaf *leaf;

	rcu_read_lock();
	leaf = xa_load(&umem->leaves, leaf_index(umem, at));
	if (!leaf) {
		rcu_read_unlock();
		*has_leaf = false;
		return (stop - at) >> PAGE_SHIFT;
	}

	read_lock(&leaf->lock);
	*has_leaf = !leaf->dead;
	if (!leaf->dead)
		while (at != stop && entry_good(leaf->entries[entry_index(at)],
						write))
			at += PAGE_SIZE;
	first = at;
	while (at != stop && (leaf->dead ||
			      !entry_good(leaf->entries[entry_index(at)],
					  write)))
		at += PAGE_SIZE;
	read_unlock(&leaf->lock);
	rcu_read_unlock();

	*addr = first;
	return (at - first) >> PAGE_SHIFT;
}

/**
 * odp_table_publish - make pages accessible
 * @umem: the umem; the caller holds its context's lock and has made sure under
 *	  it that the pages are those of the mm until it is released
 * @addr: where the first one is; all in one leaf
 * @pages: the pages
 * @nr: their number
 * @write: they have been looked up for writing
 *
 * Context: process, atomic.
 * Return: how many were not present before, or -EAGAIN: the leaf is gone.
 */
int odp_table_publish(struct odp_umem *umem, unsigned long addr,
		      struct page **pages, unsigned long nr, bool write)
{
	unsigned long flags = write ? ODP_ENTRY_WRITE : 0;
	unsigned long *entry, i;
	struct odp_leaf *leaf;
	int added = 0;

	lockdep_assert_held(&umem->ctx->lock);
	BUILD_BUG_ON(IS_ENABLED(CONFIG_HIGHMEM));

	rcu_read_lock();
	leaf = xa_load(&umem->leaves, leaf_index(umem, addr));
	if (!leaf) {
		added = -EAGAIN;
		goto unlock_rcu;
	}

	read_lock(&leaf->lock);
	if (leaf->dead) {
		added = -EAGAIN;
		goto unlock_leaf;
	}

	entry = &leaf->entries[entry_index(addr)];
	for (i = 0; i < nr; i++, entry++) {
		/* another fault has published it: keep its young bit */
		if (entry_good(*entry, write))
			continue;
		added += !*entry;
		/* orders the page's content before the entry */
		smp_store_release(entry,
				  (unsigned long)page_address(pages[i]) |
				  flags | ODP_ENTRY_YOUNG);
	}
	leaf->mapped += added;
unlock_leaf:
	read_unlock(&leaf->lock);
unlock_rcu:
	rcu_read_unlock();
	return added;
}

static unsigned long leaf_zap(struct odp_leaf *leaf, unsigned int first,
			      unsigned int last)
{
	unsigned long zapped = 0;
	unsigned int i;

	if (leaf->dead || !leaf->mapped)
		return 0;

	for (i = first; i <= last; i++) {
		zapped += !!leaf->entries[i];
		leaf->entries[i] = 0;
	}
	leaf->mapped -= zapped;
	return zapped;
}

static unsigned long leaf_zap_range(struct odp_umem *umem,
				    struct odp_leaf *leaf, unsigned long start,
				    unsigned long end)
{
	unsigned long base = (leaf->index + umem->start / ODP_LEAF_SIZE) *
			     ODP_LEAF_SIZE;
	unsigned int first, last;
	unsigned long zapped;

	first = entry_index(max(start, base));
	last = entry_index(min(end - 1, base + ODP_LEAF_SIZE - 1));

	if (odp_broken(ODP_RULE_EXCLUDE_COPIES))
		return leaf_zap(leaf, first, last);

	leaf_lock_exclusive(leaf);
	zapped = leaf_zap(leaf, first, last);
	if (zapped)
		queue_if_empty(umem, leaf);
	leaf_unlock_exclusive(leaf);
	return zapped;
}

/* The first leaf at *@index or above; skips indexes without one. */
static struct odp_leaf *next_leaf(struct odp_umem *umem, unsigned long *index,
				  unsigned long max)
{
	if (odp_broken(ODP_RULE_SPARSE))
		return xa_load(&umem->leaves, *index);
	return xa_find(&umem->leaves, index, max, XA_PRESENT);
}

/**
 * odp_table_zap - unpublish the pages of a range
 * @umem: the umem
 * @start: first byte
 * @end: behind the last byte
 * @blockable: may sleep
 *
 * When it returns, no CPU copies through an entry that it took away.
 *
 * Context: sleeps if @blockable; takes spinlocks only.
 * Return: how many pages it has unpublished.
 */
unsigned long odp_table_zap(struct odp_umem *umem, unsigned long start,
			    unsigned long end, bool blockable)
{
	unsigned long index = leaf_index(umem, start);
	unsigned long max = leaf_index(umem, end - 1);
	unsigned long zapped = 0;
	struct odp_leaf *leaf;

	for (; index <= max; index++) {
		rcu_read_lock();
		leaf = next_leaf(umem, &index, max);
		if (leaf)
			zapped += leaf_zap_range(umem, leaf, start, end);
		rcu_read_unlock();

		if (!leaf && !odp_broken(ODP_RULE_SPARSE))
			break;
		if (blockable)
			cond_resched();
	}

	if (zapped)
		odp_count(umem, mapped, -(s64)zapped);
	return zapped;
}

static bool leaf_young(struct odp_leaf *leaf, unsigned long start,
		       unsigned long end, bool clear)
{
	bool young = false;
	unsigned long *entry;

	for (; start != end && !leaf->dead; start += PAGE_SIZE) {
		entry = &leaf->entries[entry_index(start)];
		if (clear)
			young |= test_and_clear_bit(ODP_ENTRY_YOUNG_NR, entry);
		else
			young |= test_bit(ODP_ENTRY_YOUNG_NR, entry);
	}
	return young;
}

/**
 * odp_table_young - check whether a range has been accessed
 * @umem: the umem
 * @start: first byte
 * @end: behind the last byte
 * @clear: make its pages old
 *
 * Context: any that the page-table lock may be held in: atomic.
 * Return: whether any page was young.
 */
bool odp_table_young(struct odp_umem *umem, unsigned long start,
		     unsigned long end, bool clear)
{
	struct odp_leaf *leaf;
	bool young = false;
	unsigned long stop;

	start = max(start & PAGE_MASK, umem->node.start);
	end = min(end, umem->node.last + 1);
	end = PAGE_ALIGN(end);

	for (; start < end; start = stop) {
		stop = leaf_end(start, end);
		rcu_read_lock();
		leaf = xa_load(&umem->leaves, leaf_index(umem, start));
		if (leaf) {
			/* shared: only single bits of entries change */
			read_lock_bh(&leaf->lock);
			young |= leaf_young(leaf, start, stop, clear);
			read_unlock_bh(&leaf->lock);
		}
		rcu_read_unlock();
	}
	return young;
}

/* Contiguous memory that has been found, and not yet passed to the actor. */
struct run {
	unsigned long kaddr;
	size_t len;
};

static int run_flush(struct run *run, odp_actor_t actor, void *arg)
{
	int err = 0;

	if (run->len)
		err = actor((void *)run->kaddr, run->len, arg);
	run->len = 0;
	return err;
}

/* Called with the leaf read-locked. */
static int leaf_access(struct odp_leaf *leaf, unsigned long addr,
		       unsigned long end, bool write, odp_actor_t actor,
		       void *arg)
{
	struct run run = {};
	unsigned long entry;
	unsigned int i;
	size_t len;
	int err;

	if (leaf->dead)
		return -EAGAIN;

	for (; addr != end; addr += len) {
		len = min(PAGE_SIZE - offset_in_page(addr), end - addr);
		i = entry_index(addr);
		/* the address carries the order against publication */
		entry = READ_ONCE(leaf->entries[i]);
		if (!entry_good(entry, write))
			return -EAGAIN;
		/* one atomic operation per scan by reclaim, not per packet */
		if (!(entry & ODP_ENTRY_YOUNG) && !odp_broken(ODP_RULE_YOUNG))
			set_bit(ODP_ENTRY_YOUNG_NR, &leaf->entries[i]);

		entry = (entry & PAGE_MASK) + offset_in_page(addr);
		if (entry != run.kaddr + run.len) {
			err = run_flush(&run, actor, arg);
			if (err)
				return err;
			run.kaddr = entry;
		}
		run.len += len;
	}
	return run_flush(&run, actor, arg);
}

/**
 * odp_umem_access - read or write memory of a umem
 * @umem: held by the caller, or kept from being destroyed by RCU
 * @addr: first byte
 * @len: in bytes; at most those of a few packets, as notifiers wait for it
 * @write: @actor writes
 * @actor: called for each contiguous run, in the order of addresses
 * @arg: passed to @actor
 *
 * An access that returns -EAGAIN or stops may have been made in part: @actor
 * must bear being called for the same bytes again. An aligned access of up to
 * a page is made as a whole or not at all.
 *
 * Context: process or softirq, interrupts enabled. Does not sleep.
 * Return: 0; -EAGAIN: not all of it is present, or it is being taken away:
 * odp_umem_fault() and try again; -EFAULT: not in the umem, not writable, or
 * the umem or its mm are gone; what @actor returned if that was not 0.
 */
int odp_umem_access(struct odp_umem *umem, unsigned long addr, size_t len,
		    bool write, odp_actor_t actor, void *arg)
{
	unsigned long end = addr + len, stop;
	struct odp_leaf *leaf;
	int err = 0;

	if (!odp_umem_covers(umem, addr, len) || (write && !umem->writable))
		return -EFAULT;

	rcu_read_lock();
	for (; !err && addr != end; addr = stop) {
		stop = leaf_end(addr, end);
		leaf = xa_load(&umem->leaves, leaf_index(umem, addr));
		/* see leaf_lock_exclusive() */
		if (!leaf || atomic_read(&leaf->zapping)) {
			err = -EAGAIN;
			break;
		}

		read_lock_bh(&leaf->lock);
		err = leaf_access(leaf, addr, stop, write, actor, arg);
		read_unlock_bh(&leaf->lock);
	}
	/* both events zap every page: only a miss needs to check for them */
	if (err == -EAGAIN && odp_umem_gone(umem))
		err = -EFAULT;
	rcu_read_unlock();

	return err;
}
