// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Look-ups, and the notifiers that run: which of them make a look-up void,
 * which it waits for, and which it holds back.
 *
 * A look-up covers the pages that it looks up and nothing else, so notifiers
 * over other memory do not matter to it, however large the umem is. While it is
 * in the context's tree its notifiers_seq moves when a notifier starts over its
 * pages. It begins when none runs over them: its notifiers_count, which is found
 * in the context's slots, is 0. If the sequence has not moved when its pages are
 * to be published, then none has run over them in between, and what was looked
 * up is what is mapped. So the count need not be looked at again: what would
 * have raised it has moved the sequence.
 *
 * The look-up's own task can start notifiers too: copy-on-write does, and
 * reclaim for the sake of an allocation. They do not void a look-up of one page.
 * The mm finds that page in the page table, with the page-table lock held, as
 * the last thing that it does: it takes the page if it is there, else has it
 * faulted in, where those notifiers start and end, and begins anew. After it has
 * taken the page, nothing is left that it would allocate or copy. Of several
 * pages an earlier one has been taken already when a later one is faulted in,
 * and may be unmapped for that: there the task's own notifiers count.
 *
 * A slot has the range and the task of a running notifier, which together say
 * at its end which one ends: start and end are called by one task with one
 * range, and two that are equal in both may be taken for one another. When all
 * slots are taken, further ones are counted, and taken for one that covers all
 * of them until none of them runs.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include "odp/internal.h"
#include "odp/lookup.h"

/* for how long a fault that must not wait does wait for notifiers */
#define ODP_NOWAIT_MAX	msecs_to_jiffies(10)
/* for how long a notifier is held back */
#define ODP_PATIENCE	msecs_to_jiffies(10)
/* times that, and a hold has no effect: its task may sleep in a page fault */
#define ODP_HOLD_TIMES	10

/* The look-up over [start, last] behind @prev, or the first one. */
static struct odp_lookup *next_lookup(struct odp_context *ctx,
				      struct odp_lookup *prev,
				      unsigned long start, unsigned long last)
{
	struct interval_tree_node *node;

	lockdep_assert_held(&ctx->lock);

	node = prev ? interval_tree_iter_next(&prev->node, start, last) :
		      interval_tree_iter_first(&ctx->lookups, start, last);
	return node ? container_of(node, struct odp_lookup, node) : NULL;
}

/* The same for holds. */
static struct odp_hold *next_hold(struct odp_context *ctx,
				  struct odp_hold *prev, unsigned long start,
				  unsigned long last)
{
	struct interval_tree_node *node;

	lockdep_assert_held(&ctx->lock);

	node = prev ? interval_tree_iter_next(&prev->node, start, last) :
		      interval_tree_iter_first(&ctx->holds, start, last);
	return node ? container_of(node, struct odp_hold, node) : NULL;
}

static bool one_page(const struct odp_lookup *lookup)
{
	return lookup->node.last - lookup->node.start < PAGE_SIZE &&
	       !lookup->allocates;
}

static bool overlap(unsigned long start, unsigned long last,
		    const struct interval_tree_node *node)
{
	return start <= node->last && node->start <= last;
}

/* How many notifiers run over @node; those without a slot count as one. */
static unsigned int notifiers_count(const struct odp_context *ctx,
				    const struct interval_tree_node *node)
{
	const struct odp_notifier *notifier;
	unsigned int i, count = 0;

	for_each_set_bit(i, &ctx->slots_used, ODP_SLOTS) {
		notifier = &ctx->slots[i];
		count += overlap(notifier->start, notifier->last, node);
	}
	if (ctx->overflow && !odp_broken(ODP_RULE_OVERFLOW))
		count += overlap(ctx->overflow_start, ctx->overflow_last, node);
	return count;
}

/*
 * Two tasks that wait for one another would do so until time is up. So a task
 * is not held back if another may wait for it: if a notifier of its own runs,
 * or if it has a look-up or a hold of its own.
 */
static bool may_be_waited_for(struct odp_context *ctx)
{
	struct odp_lookup *lookup = NULL;
	struct odp_hold *hold = NULL;
	unsigned int i;

	for_each_set_bit(i, &ctx->slots_used, ODP_SLOTS)
		if (ctx->slots[i].task == current)
			return true;
	if (odp_broken(ODP_RULE_HOLDS_BACK_LOOKUPS))
		return false;
	while ((lookup = next_lookup(ctx, lookup, 0, ULONG_MAX)))
		if (lookup->task == current)
			return true;
	while ((hold = next_hold(ctx, hold, 0, ULONG_MAX)))
		if (hold->task == current)
			return true;
	return false;
}

/*
 * For how long a notifier leaves pages to the task that holds them; 0: not at
 * all. A task that waits for running notifiers holds new ones back for as long
 * as it has waited itself, see odp_lookup_begin_first().
 */
static unsigned long hold_patience(const struct odp_hold *hold)
{
	unsigned long ticks = odp_patience(ODP_PATIENCE);

	if (odp_broken(ODP_RULE_GOES_FIRST))
		return 0;
	if (odp_broken(ODP_RULE_PATIENCE))
		return MAX_SCHEDULE_TIMEOUT;
	if (!READ_ONCE(hold->waiting))
		return time_before(jiffies, READ_ONCE(hold->since) +
					    ODP_HOLD_TIMES * ticks) ? ticks : 0;
	if (!odp_broken(ODP_RULE_OUTLAST))
		ticks = max(ticks, jiffies - READ_ONCE(hold->since));
	return ticks;
}

static unsigned long held_back_ticks(struct odp_context *ctx,
				     unsigned long start, unsigned long last)
{
	struct odp_hold *hold = NULL;
	unsigned long ticks = 0;

	spin_lock(&ctx->lock);
	/* without a slot it would count as one over other pages, too */
	if (ctx->slots_used == ~0UL) {
		start = 0;
		last = ULONG_MAX;
	}
	if (!ctx->dead && !may_be_waited_for(ctx))
		while ((hold = next_hold(ctx, hold, start, last)))
			ticks = max(ticks, hold_patience(hold));
	spin_unlock(&ctx->lock);

	return ticks;
}

/*
 * Once, at the start of a notifier that may sleep. The caller holds locks of
 * the mm's, and the SRCU lock under which notifiers are called: hence the
 * limit. Reclaim does not wait: it works for all tasks, and does not come back
 * for a page.
 */
static void wait_for_holds(struct odp_context *ctx, unsigned long start,
			   unsigned long last)
{
	unsigned long ticks;

	/* unlocked: a notifier that misses a new hold came before it */
	if (likely(!READ_ONCE(ctx->holds.rb_root.rb_node)))
		return;
	if (current->flags & PF_MEMALLOC)
		return;
	ticks = held_back_ticks(ctx, start, last);
	if (!ticks)
		return;

	odp_hook(ODP_POINT_HELD_BACK, NULL);
	wait_event_killable_timeout(ctx->held_back,
				    !held_back_ticks(ctx, start, last), ticks);
}

static void take_slot(struct odp_context *ctx, unsigned long start,
		      unsigned long last)
{
	unsigned int i;

	if (ctx->slots_used != ~0UL) {
		i = ffz(ctx->slots_used);
		__set_bit(i, &ctx->slots_used);
		ctx->slots[i].task = current;
		ctx->slots[i].start = start;
		ctx->slots[i].last = last;
	} else if (!ctx->overflow++) {
		ctx->overflow_start = start;
		ctx->overflow_last = last;
	} else {
		ctx->overflow_start = min(ctx->overflow_start, start);
		ctx->overflow_last = max(ctx->overflow_last, last);
	}
}

static void invalidate_lookups(struct odp_context *ctx, unsigned long start,
			       unsigned long last)
{
	struct odp_lookup *lookup = NULL;

	if (odp_broken(ODP_RULE_RANGE)) {
		start = 0;
		last = ULONG_MAX;
	}
	while ((lookup = next_lookup(ctx, lookup, start, last))) {
		if (lookup->task == current && !odp_broken(ODP_RULE_OWN) &&
		    (one_page(lookup) || odp_broken(ODP_RULE_ONE_PAGE)))
			continue;
		lookup->notifiers_seq++;
	}
}

/**
 * odp_notifier_start - start a notifier: invalidate look-ups over its range
 * @ctx: the context
 * @range: of the notifier; from now on no look-up begins over it
 *
 * Context: as invalidate_range_start(); sleeps for a bounded time if @range is
 * blockable. Takes spinlocks only.
 */
void odp_notifier_start(struct odp_context *ctx,
			const struct mmu_notifier_range *range)
{
	unsigned long start = range->start, last = range->end - 1;

	if (mmu_notifier_range_blockable(range))
		wait_for_holds(ctx, start, last);

	spin_lock(&ctx->lock);
	if (!ctx->dead) {
		take_slot(ctx, start, last);
		invalidate_lookups(ctx, start, last);
	}
	spin_unlock(&ctx->lock);
}

static bool free_slot(struct odp_context *ctx, unsigned long start,
		      unsigned long last)
{
	const struct odp_notifier *notifier;
	unsigned int i;

	for_each_set_bit(i, &ctx->slots_used, ODP_SLOTS) {
		notifier = &ctx->slots[i];
		if (notifier->task == current && notifier->start == start &&
		    notifier->last == last) {
			__clear_bit(i, &ctx->slots_used);
			return true;
		}
	}
	return false;
}

/**
 * odp_lookups_wake - let look-ups see whether they still have to wait
 * @ctx: the context; the caller holds its lock
 * @start: first byte of what has changed for them
 * @last: last byte
 *
 * Context: process, atomic.
 */
void odp_lookups_wake(struct odp_context *ctx, unsigned long start,
		      unsigned long last)
{
	struct odp_lookup *lookup = NULL;

	while ((lookup = next_lookup(ctx, lookup, start, last)))
		/* a waiter queues before it looks, with this lock held */
		wake_up_var(lookup);
}

/**
 * odp_notifier_end - end a notifier: wake look-ups that have waited for it
 * @ctx: the context
 * @range: of the notifier, as at its start
 *
 * Context: as invalidate_range_end(); takes spinlocks only.
 */
void odp_notifier_end(struct odp_context *ctx,
		      const struct mmu_notifier_range *range)
{
	unsigned long start = range->start, last = range->end - 1;

	spin_lock(&ctx->lock);
	/* a dead context has forgotten all notifiers that ran */
	if (ctx->dead)
		goto unlock;
	if (!free_slot(ctx, start, last)) {
		if (WARN_ON_ONCE(!ctx->overflow))
			goto unlock;
		/* look-ups wait for all of these as for one */
		ctx->overflow--;
		start = ctx->overflow_start;
		last = ctx->overflow_last;
	}
	if (odp_broken(ODP_RULE_WAKE_ONLY))
		odp_lookups_wake(ctx, 0, ULONG_MAX);
	else if (!odp_broken(ODP_RULE_WAKE))
		odp_lookups_wake(ctx, start, last);
unlock:
	spin_unlock(&ctx->lock);
}

/**
 * odp_notifiers_forget - forget running notifiers, whose end may never come
 * @ctx: dead; the caller holds its lock
 *
 * Context: process, atomic.
 */
void odp_notifiers_forget(struct odp_context *ctx)
{
	lockdep_assert_held(&ctx->lock);

	ctx->slots_used = 0;
	ctx->overflow = 0;
	odp_lookups_wake(ctx, 0, ULONG_MAX);
	wake_up_all(&ctx->held_back);
}

/* -EAGAIN: not before a notifier ends. */
static int lookup_ready(struct odp_lookup *lookup)
{
	struct odp_context *ctx = lookup->umem->ctx;

	lockdep_assert_held(&ctx->lock);

	if (odp_umem_gone(lookup->umem))
		return -EFAULT;
	if (notifiers_count(ctx, &lookup->node) && !odp_broken(ODP_RULE_COUNT))
		return -EAGAIN;
	/* read under the lock that guards it, and before the look-up */
	lookup->seq = lookup->notifiers_seq;
	return 0;
}

/*
 * Is the wait over? A look-up that does not go first waits for notifiers that
 * ran when it began, and gives up, with -EAGAIN, when others have started
 * meanwhile: there may never be a moment without one.
 */
static bool lookup_wait_over(struct odp_lookup *lookup, int *err)
{
	struct odp_context *ctx = lookup->umem->ctx;
	bool over;

	odp_hook(ODP_POINT_WOKEN, lookup->umem);
	spin_lock(&ctx->lock);
	*err = lookup_ready(lookup);
	over = *err != -EAGAIN ||
	       (!lookup->hold && (lookup->notifiers_seq != lookup->seq ||
				  ctx->overflow));
	spin_unlock(&ctx->lock);

	return over;
}

/*
 * Killable, since callers may be a program's own threads, and since the
 * hung-task detector ignores killable waits: a worker may wait long. Ends with
 * the last notifier, with the umem, or with the mm; each wakes us after the
 * change that lookup_ready() looks at.
 *
 * The notifiers are the memory's owner's, who may let one take long: of a fork() that
 * allocates at the group's memory.high, or of a task that gets no CPU. So a fault that
 * must not wait gives up soon.
 */
static int lookup_wait(struct odp_lookup *lookup)
{
	long left;
	int err;

	odp_hook(ODP_POINT_WAITING, lookup->umem);
	if (lookup->nowait) {
		left = max(0L, (long)(lookup->until - jiffies));
		left = wait_var_event_timeout(lookup,
					      lookup_wait_over(lookup, &err),
					      left);
		return left ? err : -EBUSY;
	}
	if (wait_var_event_killable(lookup, lookup_wait_over(lookup, &err)))
		return -EINTR;
	return err;
}

/**
 * odp_lookup_init - prepare for look-ups of one call
 * @lookup: on the caller's stack
 * @umem: of the pages
 * @allocates: the caller allocates memory when it has a page and has not
 *	       published it yet, for which that page may be reclaimed
 * @nowait: wait for notifiers for ODP_NOWAIT_MAX at most, in all
 *
 * Context: any.
 */
void odp_lookup_init(struct odp_lookup *lookup, struct odp_umem *umem,
		     bool allocates, bool nowait)
{
	lookup->umem = umem;
	lookup->task = current;
	lookup->allocates = allocates;
	lookup->nowait = nowait;
	/* a jiffy more, as the current one is over soon */
	lookup->until = jiffies + ODP_NOWAIT_MAX + 1;
	lookup->hold = NULL;
}

/**
 * odp_lookup_begin - begin to look up pages
 * @lookup: not begun
 * @addr: of the first page
 * @nr: how many; with one, the calling task's own notifiers do not count, but
 *	for a look-up that allocates
 *
 * Waits for notifiers that run over the pages.
 *
 * Context: process; sleeps as long as they run. No lock of the mm's held.
 * Return: 0: odp_lookup_end() must follow; -EAGAIN: more have started over
 * the pages meanwhile; -EFAULT: the umem or its mm are gone; -EINTR: the calling
 * task is killed; -EBUSY: they take longer than a look-up waits that must not wait.
 */
int odp_lookup_begin(struct odp_lookup *lookup, unsigned long addr,
		     unsigned long nr)
{
	struct odp_context *ctx = lookup->umem->ctx;
	int err;

	lookup->node.start = addr;
	lookup->node.last = addr + (nr << PAGE_SHIFT) - 1;
	lookup->notifiers_seq = 0;
	lookup->seq = 0;

	spin_lock(&ctx->lock);
	interval_tree_insert(&lookup->node, &ctx->lookups);
	err = lookup_ready(lookup);
	spin_unlock(&ctx->lock);

	odp_hook(ODP_POINT_BEGUN, lookup->umem);
	if (err == -EAGAIN)
		err = lookup_wait(lookup);
	if (err)
		odp_lookup_end(lookup);
	return err;
}

/**
 * odp_umem_hold - let notifiers over pages wait for a moment
 * @hold: for odp_umem_fault() of these pages, and until odp_umem_unhold()
 * @umem: held by the caller
 * @addr: first byte
 * @len: in bytes
 *
 * For a caller that has had pages faulted in, and found them gone when they
 * were to be used. Notifiers over them that may sleep wait before they start.
 * It is not a lock: each waits once and for a bounded time, as its task may
 * hold what the caller needs.
 *
 * Context: process; does not sleep.
 */
void odp_umem_hold(struct odp_hold *hold, struct odp_umem *umem,
		   unsigned long addr, size_t len)
{
	struct odp_context *ctx = umem->ctx;

	*hold = (struct odp_hold) {
		.node.start = addr & PAGE_MASK,
		.node.last = PAGE_ALIGN(addr + len) - 1,
		.umem = umem,
		.task = current,
		.since = jiffies,
	};
	spin_lock(&ctx->lock);
	interval_tree_insert(&hold->node, &ctx->holds);
	spin_unlock(&ctx->lock);
}

/**
 * odp_umem_unhold - end a hold, and wake the notifiers that wait for it
 * @hold: of odp_umem_hold()
 *
 * Context: process; does not sleep.
 */
void odp_umem_unhold(struct odp_hold *hold)
{
	struct odp_context *ctx = hold->umem->ctx;

	spin_lock(&ctx->lock);
	interval_tree_remove(&hold->node, &ctx->holds);
	spin_unlock(&ctx->lock);
	wake_up_all(&ctx->held_back);
}

/**
 * odp_lookup_begin_first - begin to look up a page, with notifiers held back
 * @lookup: not begun, or begun by this function, perhaps not for the first time
 * @addr: of the page
 * @hold: of the page, and perhaps more
 *
 * Waits for notifiers that run over the page, while new ones are held back for
 * as long as this call has waited, if that is longer than they would be
 * otherwise. So the wait ends: each task starts one notifier while the wait
 * doubles, so that there is a moment without one when it has lasted as long as
 * those of all tasks take, one after the other. A fault that must not wait may end
 * before, with -EBUSY.
 *
 * Context: process; sleeps as long as they run. May be called with the mmap_lock
 * held for reading, which no notifier wants after its start.
 * Return: 0: odp_lookup_end() must follow, as for all others that it has begun;
 * -EFAULT: the umem or its mm are gone; -EINTR: the calling task is killed; -EBUSY: as
 * odp_lookup_begin().
 */
int odp_lookup_begin_first(struct odp_lookup *lookup, unsigned long addr,
			   struct odp_hold *hold)
{
	struct odp_context *ctx = lookup->umem->ctx;
	int err;

	spin_lock(&ctx->lock);
	if (!lookup->hold) {
		lookup->node.start = addr;
		lookup->node.last = addr + PAGE_SIZE - 1;
		lookup->notifiers_seq = 0;
		interval_tree_insert(&lookup->node, &ctx->lookups);
		lookup->hold = hold;
	}
	WRITE_ONCE(hold->since, jiffies);
	WRITE_ONCE(hold->waiting, true);
	err = lookup_ready(lookup);
	spin_unlock(&ctx->lock);

	if (err == -EAGAIN)
		err = lookup_wait(lookup);

	/* without the lock: a notifier that sees it late waits longer, once */
	WRITE_ONCE(hold->since, jiffies);
	WRITE_ONCE(hold->waiting, false);
	return err;
}

/**
 * odp_lookup_valid - check that no notifier has started since a look-up began
 * @lookup: begun; the caller holds the context's lock
 *
 * Context: process, atomic.
 * Return: whether its pages are those of the mm, until the lock is released.
 */
bool odp_lookup_valid(const struct odp_lookup *lookup)
{
	lockdep_assert_held(&lookup->umem->ctx->lock);

	return lookup->notifiers_seq == lookup->seq ||
	       odp_broken(ODP_RULE_SEQUENCE);
}

/**
 * odp_lookup_end_locked - end a look-up
 * @lookup: begun; the caller holds the context's lock
 *
 * Context: process, atomic.
 */
void odp_lookup_end_locked(struct odp_lookup *lookup)
{
	struct odp_context *ctx = lookup->umem->ctx;

	lockdep_assert_held(&ctx->lock);

	interval_tree_remove(&lookup->node, &ctx->lookups);
	lookup->hold = NULL;
}

/**
 * odp_lookup_end - end a look-up
 * @lookup: begun
 *
 * Context: process; does not sleep.
 */
void odp_lookup_end(struct odp_lookup *lookup)
{
	struct odp_context *ctx = lookup->umem->ctx;

	spin_lock(&ctx->lock);
	odp_lookup_end_locked(lookup);
	spin_unlock(&ctx->lock);
}
