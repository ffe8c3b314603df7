// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ODP contexts: the subscription to one mm's notifiers, and what they do to
 * the umems of that mm.
 *
 * A notifier first tells the look-ups over its range that it runs, then has each
 * umem there zap it. Both happen with the context's lock, under which a page is
 * published: it is either published before, and found by the zap, or not at all.
 * A umem need not know which notifiers run; one that is registered, or destroyed,
 * between a notifier's start and its end makes no difference to either.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "base/compat.h"
#include "odp/context.h"
#include "odp/internal.h"
#include "odp/lookup.h"
#include "odp/table.h"

/*
 * umems that an aging query looks at, some tenths of a millisecond; no program has
 * so many over a page but to have reclaim spend its time there
 */
#define ODP_YOUNG_MAX	1024

static struct odp_umem *to_umem(struct interval_tree_node *node)
{
	return container_of(node, struct odp_umem, node);
}

static struct odp_context *to_context(struct mmu_notifier *mn)
{
	return container_of(mn, struct odp_context, mn);
}

static void leave_umem(struct odp_umem *umem)
{
	lockdep_assert_held(&umem->ctx->lock);

	if (!--umem->users)
		complete(&umem->notifier_completion);
}

/*
 * Walk the umems over [start, last] with the lock dropped in between. The umem
 * that the walk stands on stays in the tree, as odp_context_unhook() waits for
 * its users, so the walk can go on from it. A walk has to be made to its end, or ended by
 * end_walk().
 */
static struct odp_umem *next_umem(struct odp_context *ctx,
				  struct odp_umem *prev, unsigned long start,
				  unsigned long last)
{
	struct interval_tree_node *node;
	struct odp_umem *umem = NULL;

	spin_lock(&ctx->lock);
	node = prev ? interval_tree_iter_next(&prev->node, start, last) :
		      interval_tree_iter_first(&ctx->umems, start, last);
	while (node && to_umem(node)->unhooked)
		node = interval_tree_iter_next(node, start, last);
	if (node) {
		umem = to_umem(node);
		umem->users++;
	}
	if (prev)
		leave_umem(prev);
	spin_unlock(&ctx->lock);

	return umem;
}

static void end_walk(struct odp_context *ctx, struct odp_umem *umem)
{
	spin_lock(&ctx->lock);
	leave_umem(umem);
	spin_unlock(&ctx->lock);
}

static void zap_umem(struct odp_umem *umem, unsigned long start,
		     unsigned long last, bool blockable)
{
	start = max(start, umem->node.start);
	last = min(last, umem->node.last);
	umem->ops->zap(umem, start, last + 1, blockable);
}

/*
 * A dying umem is zapped too; its owner may not have done it yet. So is one of
 * a dead context: ->release on another CPU may still be under way, and the mm
 * frees pages as soon as we return.
 */
static int odp_invalidate_start(struct mmu_notifier *mn,
				const struct mmu_notifier_range *range)
{
	bool blockable = mmu_notifier_range_blockable(range);
	struct odp_context *ctx = to_context(mn);
	unsigned long last = range->end - 1;
	struct odp_umem *umem = NULL;

	if (odp_broken(ODP_RULE_NON_BLOCKABLE))
		blockable = true;

	odp_notifier_start(ctx, range);
	while ((umem = next_umem(ctx, umem, range->start, last))) {
		odp_hook(ODP_POINT_STARTED, umem);
		zap_umem(umem, range->start, last, blockable);
		if (mmu_notifier_range_blockable(range))
			cond_resched();
	}
	return 0;
}

static void odp_invalidate_end(struct mmu_notifier *mn,
			       const struct mmu_notifier_range *range)
{
	odp_notifier_end(to_context(mn), range);
}

/*
 * The mm is about to be unmapped, or we unsubscribe. Notifiers whose start has
 * run may never see their end: forget them. May run twice at a time, for the
 * exit and the unsubscription; neither may return before all is zapped.
 */
static void odp_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct odp_context *ctx = to_context(mn);
	struct odp_umem *umem = NULL;

	spin_lock(&ctx->lock);
	WRITE_ONCE(ctx->dead, true);
	odp_notifiers_forget(ctx);
	spin_unlock(&ctx->lock);

	while ((umem = next_umem(ctx, umem, 0, ULONG_MAX)))
		zap_umem(umem, 0, ULONG_MAX, true);
}

/*
 * The aging callbacks come under the page-table lock, for a page or a huge one:
 * one or two leaves of each umem there. A page that more umems have than may be
 * looked at is taken to be in use: its program keeps it, and pays for that.
 */
static bool odp_young(struct odp_context *ctx, unsigned long start,
		      unsigned long end, bool clear)
{
	unsigned int left = ODP_YOUNG_MAX;
	struct odp_umem *umem = NULL;
	bool young = false;

	while ((umem = next_umem(ctx, umem, start, end - 1))) {
		if (!left--) {
			end_walk(ctx, umem);
			return true;
		}
		young |= odp_table_young(umem, start, end, clear);
	}
	return young;
}

static odp_young_t odp_clear_flush_young(struct mmu_notifier *mn,
					 struct mm_struct *mm,
					 unsigned long start, unsigned long end)
{
	return odp_young(to_context(mn), start, end, true);
}

static odp_young_t odp_clear_young(struct mmu_notifier *mn,
				   struct mm_struct *mm, unsigned long start,
				   unsigned long end)
{
	return odp_young(to_context(mn), start, end, true);
}

static odp_young_t odp_test_young(struct mmu_notifier *mn,
				  struct mm_struct *mm, unsigned long address)
{
	return odp_young(to_context(mn), address, address + 1, false);
}

static const struct mmu_notifier_ops odp_mn_ops = {
	.release = odp_release,
	.invalidate_range_start = odp_invalidate_start,
	.invalidate_range_end = odp_invalidate_end,
	.clear_flush_young = odp_clear_flush_young,
	.clear_young = odp_clear_young,
	.test_young = odp_test_young,
};

static struct odp_context *context_create(struct mm_struct *mm)
{
	struct odp_context *ctx;
	int err;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return ERR_PTR(-ENOMEM);

	ctx->mn.ops = &odp_mn_ops;
	ctx->mm = mm;
	ctx->pid = task_tgid_nr(current);
	refcount_set(&ctx->refs, 1);
	spin_lock_init(&ctx->lock);
	ctx->umems = RB_ROOT_CACHED;
	ctx->lookups = RB_ROOT_CACHED;
	ctx->holds = RB_ROOT_CACHED;
	init_waitqueue_head(&ctx->held_back);

	mmgrab(mm);
	err = mmu_notifier_register(&ctx->mn, mm);
	if (err) {
		mmdrop(mm);
		kfree(ctx);
		/* a signal came while it took the mm's locks: try again */
		return ERR_PTR(err == -EINTR ? -ERESTARTNOINTR : err);
	}
	return ctx;
}

/* Waits for the callbacks that run, and lets none come after them. */
static void context_unsubscribe(struct odp_context *ctx)
{
	list_del(&ctx->owner_link);
	mmu_notifier_unregister(&ctx->mn, ctx->mm);
	odp_context_put(ctx);
}

/* A program whose children come and go must not accumulate their contexts. */
static void drop_unused_contexts(struct odp_owner *owner)
{
	struct odp_context *ctx, *next;

	lockdep_assert_held(&owner->lock);

	list_for_each_entry_safe(ctx, next, &owner->contexts, owner_link)
		/* references are made under the owner's lock: none can come */
		if (READ_ONCE(ctx->dead) && refcount_read(&ctx->refs) == 1)
			context_unsubscribe(ctx);
}

/**
 * odp_context_get - find the owner's context of a mm, or create it
 * @owner: the owner
 * @mm: the caller's own
 *
 * The first call for a mm subscribes, which takes all of the mm's locks.
 *
 * Context: may sleep; no lock of the mm's held.
 * Return: the context with a reference; -ENOMEM, or -ERESTARTNOINTR if a
 * signal is pending.
 */
struct odp_context *odp_context_get(struct odp_owner *owner,
				    struct mm_struct *mm)
{
	struct odp_context *ctx;

	mutex_lock(&owner->lock);
	list_for_each_entry(ctx, &owner->contexts, owner_link)
		if (ctx->mm == mm)
			goto found;

	drop_unused_contexts(owner);
	ctx = context_create(mm);
	if (IS_ERR(ctx))
		goto unlock;
	list_add(&ctx->owner_link, &owner->contexts);
found:
	refcount_inc(&ctx->refs);
unlock:
	mutex_unlock(&owner->lock);
	return ctx;
}

/**
 * odp_context_put - drop a reference to a context
 * @ctx: the context
 *
 * Context: process; does not sleep.
 */
void odp_context_put(struct odp_context *ctx)
{
	if (!refcount_dec_and_test(&ctx->refs))
		return;

	mmdrop(ctx->mm);
	kfree_rcu(ctx, rcu);
}

/**
 * odp_context_add - let notifiers find a umem
 * @ctx: its context
 * @umem: not in the tree yet
 *
 * Context: process; does not sleep.
 * Return: 0, or -EFAULT if the mm is gone.
 */
int odp_context_add(struct odp_context *ctx, struct odp_umem *umem)
{
	int err = 0;

	spin_lock(&ctx->lock);
	if (ctx->dead)
		err = -EFAULT;
	else
		interval_tree_insert(&umem->node, &ctx->umems);
	spin_unlock(&ctx->lock);
	return err;
}

/**
 * odp_context_kill - let nothing be published for a umem any more
 * @ctx: its context
 * @umem: the umem
 *
 * Context: process; does not sleep.
 */
void odp_context_kill(struct odp_context *ctx, struct odp_umem *umem)
{
	/* publication checks it under the lock: none is under way now */
	spin_lock(&ctx->lock);
	WRITE_ONCE(umem->dying, true);
	odp_lookups_wake(ctx, umem->node.start, umem->node.last);
	spin_unlock(&ctx->lock);
}

/**
 * odp_context_unhook - let no notifier find a umem any more
 * @ctx: its context
 * @umem: dying and without a page
 *
 * Waits for notifiers that have found it already, not for faults: those may
 * sleep for as long as a userfaultfd handler likes.
 *
 * Context: may sleep.
 */
void odp_context_unhook(struct odp_context *ctx, struct odp_umem *umem)
{
	spin_lock(&ctx->lock);
	umem->unhooked = true;
	leave_umem(umem);
	spin_unlock(&ctx->lock);

	if (!odp_broken(ODP_RULE_COMPLETION))
		wait_for_completion(&umem->notifier_completion);

	/* waits for the user that has completed it to release the lock */
	spin_lock(&ctx->lock);
	interval_tree_remove(&umem->node, &ctx->umems);
	spin_unlock(&ctx->lock);
}

/**
 * odp_owner_init - initialise an owner
 * @owner: the owner
 *
 * Context: any.
 */
void odp_owner_init(struct odp_owner *owner)
{
	mutex_init(&owner->lock);
	INIT_LIST_HEAD(&owner->contexts);
}

/**
 * odp_owner_destroy - unsubscribe from every mm
 * @owner: without umems, but for destroyed ones that a fault still holds
 *
 * Context: may sleep; no lock held that a notifier's caller may want.
 */
void odp_owner_destroy(struct odp_owner *owner)
{
	struct odp_context *ctx, *next;

	mutex_lock(&owner->lock);
	list_for_each_entry_safe(ctx, next, &owner->contexts, owner_link) {
		WARN_ON(!RB_EMPTY_ROOT(&ctx->umems.rb_root));
		context_unsubscribe(ctx);
	}
	mutex_unlock(&owner->lock);
	mutex_destroy(&owner->lock);
}
