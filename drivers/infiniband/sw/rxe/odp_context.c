// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ODP contexts: the subscription to one mm's notifiers, and what they do to
 * the umems of that mm.
 *
 * From invalidate_range_start() to invalidate_range_end() of a notifier, every
 * umem in its range has a raised notifiers_count, which keeps pages from being
 * published; the end moves notifiers_seq, which voids look-ups that began
 * before it. The two must see the same umems, or a count would stay raised for
 * ever. They do, because each umem knows which notifiers have not seen it
 * start: those that ran when it was registered.
 *
 * Such a umem waits on no_private_counters until they have ended. A notifier
 * begins and ends in one task, so running notifiers are counted in buckets by
 * task. While a bucket is open - has a running notifier - opened_at tells when
 * it got the first of them. A umem takes part in all notifiers of a bucket that
 * opened after its registration, and in none of one that was open then; either
 * way that answer is the same at the notifier's start and at its end, since a
 * bucket with a running notifier keeps its opened_at. The umem's counters are
 * active when no bucket is open that was open at its registration. So it does
 * not wait for a moment at which the whole mm is quiet, which may never come
 * while several tasks unmap memory in turns, but for one of each bucket.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "odp_internal.h"

typedef void (*odp_visit_t)(struct odp_umem *umem);

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
 * its users, so the walk can go on from it. @visit is called under the lock.
 * A walk has to be made to its end.
 */
static struct odp_umem *next_umem(struct odp_context *ctx,
				  struct odp_umem *prev, unsigned long start,
				  unsigned long last, odp_visit_t visit)
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
		visit(umem);
	}
	if (prev)
		leave_umem(prev);
	spin_unlock(&ctx->lock);

	return umem;
}

static unsigned int my_bucket(void)
{
	return hash_ptr(current, ilog2(ODP_BUCKETS));
}

/* Has @umem seen the start of every notifier that runs in this task's bucket? */
static bool takes_part(const struct odp_umem *umem)
{
	const struct odp_context *ctx = umem->ctx;

	if (ctx->dead)
		return false;
	return ctx->opened_at[my_bucket()] > umem->registered_at;
}

static void raise_count(struct odp_umem *umem)
{
	if (takes_part(umem) || odp_broken(ODP_RULE_SEEN))
		umem->notifiers_count++;
}

static void lower_count(struct odp_umem *umem)
{
	if (!takes_part(umem) || WARN_ON_ONCE(!umem->notifiers_count))
		return;

	umem->notifiers_count--;
	umem->notifiers_seq++;
}

static void clear_count(struct odp_umem *umem)
{
	umem->notifiers_count = 0;
}

static void leave_count(struct odp_umem *umem)
{
}

static void open_bucket(struct odp_context *ctx)
{
	unsigned int bucket = my_bucket();

	if (ctx->dead || ctx->notifiers_open[bucket]++)
		return;

	ctx->opened_at[bucket] = ++ctx->clock;
	__set_bit(bucket, &ctx->open_buckets);
}

static u64 oldest_opening(const struct odp_context *ctx)
{
	unsigned int bucket;
	u64 oldest = U64_MAX;

	if (odp_broken(ODP_RULE_BOUNDED_WAIT) && ctx->open_buckets)
		return 0;
	for_each_set_bit(bucket, &ctx->open_buckets, ODP_BUCKETS)
		oldest = min(oldest, ctx->opened_at[bucket]);
	return oldest;
}

/* The list is in the order of registration: each umem is looked at once. */
static void activate_umems(struct odp_context *ctx)
{
	u64 oldest = oldest_opening(ctx);
	struct odp_umem *umem, *next;

	list_for_each_entry_safe(umem, next, &ctx->no_private_counters,
				 pending) {
		if (umem->registered_at >= oldest)
			break;
		list_del_init(&umem->pending);
		umem->mn_counters_active = true;
	}
}

static void close_bucket(struct odp_context *ctx)
{
	unsigned int bucket = my_bucket();

	if (ctx->dead || WARN_ON_ONCE(!ctx->notifiers_open[bucket]))
		return;
	if (--ctx->notifiers_open[bucket])
		return;

	__clear_bit(bucket, &ctx->open_buckets);
	activate_umems(ctx);
}

static void zap_umem(struct odp_umem *umem, unsigned long start,
		     unsigned long last, bool blockable)
{
	start = max(start, umem->node.start);
	last = min(last, umem->node.last);
	umem->ops->zap(umem, start, last + 1, blockable);
}

/*
 * The count is raised before the zap and under the lock that publication
 * takes: a page is either published before, and found by the zap, or not at
 * all. A dying umem is zapped too; its owner may not have got round to it. So
 * is one of a dead context: ->release on another CPU may still be on its way,
 * and the mm frees pages as soon as we return.
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

	spin_lock(&ctx->lock);
	open_bucket(ctx);
	spin_unlock(&ctx->lock);

	while ((umem = next_umem(ctx, umem, range->start, last, raise_count))) {
		odp_hook(ODP_POINT_COUNT_RAISED, umem);
		zap_umem(umem, range->start, last, blockable);
	}
	return 0;
}

static void odp_invalidate_end(struct mmu_notifier *mn,
			       const struct mmu_notifier_range *range)
{
	struct odp_context *ctx = to_context(mn);
	unsigned long last = range->end - 1;
	struct odp_umem *umem = NULL;

	while ((umem = next_umem(ctx, umem, range->start, last, lower_count)))
		;

	spin_lock(&ctx->lock);
	close_bucket(ctx);
	spin_unlock(&ctx->lock);

	/* pairs with the waiters' check of the counts after they have queued */
	if (wq_has_sleeper(&ctx->wait) && !odp_broken(ODP_RULE_WAKE))
		wake_up_all(&ctx->wait);
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
	ctx->open_buckets = 0;
	memset(ctx->notifiers_open, 0, sizeof(ctx->notifiers_open));
	spin_unlock(&ctx->lock);

	while ((umem = next_umem(ctx, umem, 0, ULONG_MAX, clear_count)))
		zap_umem(umem, 0, ULONG_MAX, true);

	wake_up_all(&ctx->wait);
}

/*
 * The aging callbacks come under the page-table lock, for a page or a huge one:
 * one or two leaves of each umem there.
 */
static bool odp_young(struct odp_context *ctx, unsigned long start,
		      unsigned long end, bool clear)
{
	struct odp_umem *umem = NULL;
	bool young = false;

	while ((umem = next_umem(ctx, umem, start, end - 1, leave_count)))
		young |= odp_table_young(umem, start, end, clear);
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
	refcount_set(&ctx->refs, 1);
	spin_lock_init(&ctx->lock);
	ctx->umems = RB_ROOT_CACHED;
	INIT_LIST_HEAD(&ctx->no_private_counters);
	init_waitqueue_head(&ctx->wait);

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

/* A program whose children come and go must not gather their contexts. */
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
 * odp_context_get - the owner's context of a mm, made if there is none
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
 * odp_context_add - let notifiers know of a umem
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
	if (ctx->dead) {
		err = -EFAULT;
		goto unlock;
	}

	umem->registered_at = ctx->clock;
	if (ctx->open_buckets && !odp_broken(ODP_RULE_QUIET))
		list_add_tail(&umem->pending, &ctx->no_private_counters);
	else
		umem->mn_counters_active = true;
	interval_tree_insert(&umem->node, &ctx->umems);
unlock:
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
	/* publication looks at it under the lock: none is on its way now */
	spin_lock(&ctx->lock);
	WRITE_ONCE(umem->dying, true);
	list_del_init(&umem->pending);
	spin_unlock(&ctx->lock);

	wake_up_all(&ctx->wait);
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

	/* behind the lock hold of the user that has completed it */
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
