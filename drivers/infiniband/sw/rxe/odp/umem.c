// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ODP umems: from registration to destruction.
 */
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "odp/context.h"
#include "odp/internal.h"
#include "odp/table.h"
#include "odp/trace.h"

static struct odp_umem *umem_alloc(unsigned long start, unsigned long end)
{
	struct odp_umem *umem;

	umem = kzalloc(sizeof(*umem), GFP_KERNEL_ACCOUNT);
	if (!umem)
		return NULL;

	umem->start = start;
	umem->end = end;
	umem->node.start = start & PAGE_MASK;
	umem->node.last = PAGE_ALIGN(end) - 1;
	umem->users = 1;
	xa_init_flags(&umem->leaves, XA_FLAGS_ACCOUNT);
	init_completion(&umem->notifier_completion);
	init_llist_head(&umem->empty_leaves);
	INIT_DELAYED_WORK(&umem->reap, odp_table_reap);
	refcount_set(&umem->refs, 1);
	return umem;
}

/**
 * odp_umem_register - register a range of the caller's address space
 * @owner: whose umem it is; must outlive it
 * @start: first byte
 * @length: in bytes; what is mapped there may come, go and change at any time
 * @writable: the range may be written through the umem
 * @ops: the driver's callbacks; only used until odp_umem_destroy() returns
 * @totals: counters that grow along with the umem's own, or NULL; must live
 *	    until odp_umem_destroy() has returned
 *
 * Looks up and pins nothing: the cost does not depend on @length. The first
 * registration of an mm through @owner subscribes to the mm's notifiers.
 *
 * Context: process, may sleep; no lock of the mm's held.
 * Return: the umem; -EINVAL: @length is 0 or overflows; -EFAULT: outside the
 * address space, or the mm is going away; -ENOMEM; -ERESTARTNOINTR: a signal
 * came, the system call is to be restarted.
 */
struct odp_umem *odp_umem_register(struct odp_owner *owner,
				   unsigned long start, size_t length,
				   bool writable, const struct odp_umem_ops *ops,
				   struct odp_counters *totals)
{
	struct odp_context *ctx;
	struct odp_umem *umem;
	unsigned long end;
	int err;

	if (!length || !current->mm || check_add_overflow(start, length, &end))
		return ERR_PTR(-EINVAL);
	if (end > TASK_SIZE)
		return ERR_PTR(-EFAULT);

	umem = umem_alloc(start, end);
	if (!umem)
		return ERR_PTR(-ENOMEM);
	umem->writable = writable;
	umem->ops = ops;
	umem->totals = totals;

	ctx = odp_context_get(owner, current->mm);
	if (IS_ERR(ctx)) {
		err = PTR_ERR(ctx);
		goto free_umem;
	}
	umem->ctx = ctx;

	err = odp_context_add(ctx, umem);
	if (err)
		goto put_ctx;
	return umem;

put_ctx:
	odp_context_put(ctx);
free_umem:
	kfree(umem);
	return ERR_PTR(err);
}

/**
 * odp_umem_destroy - end the use of a umem
 * @umem: the umem, with the driver's reference, which is put
 *
 * When it returns, no CPU reads or writes through the umem, none will, and
 * the driver's callbacks are not called any more. The driver lets no access
 * begin after the call, but those under way on other CPUs may end during it, if
 * they entered under RCU or with a reference.
 *
 * Waits for notifiers and for accesses to finish with one umem or leaf, and
 * never for a fault: that holds its own reference, finds @umem dying before
 * it publishes a page, and puts the last reference if it has to.
 *
 * Context: process, may sleep.
 */
void odp_umem_destroy(struct odp_umem *umem)
{
	odp_context_kill(umem->ctx, umem);
	odp_hook(ODP_POINT_DYING, umem);

	/*
	 * Before the notifiers stop finding it: one that does not may rely on
	 * there being no page. It waits for accesses, which then miss.
	 */
	odp_table_zap(umem, umem->node.start, umem->node.last + 1, true);
	odp_context_unhook(umem->ctx, umem);

	/* only notifiers and faults that found it alive start the reaper */
	cancel_delayed_work_sync(&umem->reap);
	odp_table_free(umem);
	odp_umem_put(umem);
}

/**
 * odp_umem_allow_write - make a read-only umem writable
 * @umem: not destroyed yet
 *
 * Pages that are published for reading stay so: a write misses them, and its fault
 * asks the mapping for permission, as every fault does. Cannot be taken back.
 *
 * Context: any. The caller orders it before the accesses that write.
 */
void odp_umem_allow_write(struct odp_umem *umem)
{
	WRITE_ONCE(umem->writable, true);
}

/**
 * odp_umem_get - hold a umem, so that calls may name it after its destruction
 * @umem: held already, or not destroyed yet
 *
 * Context: any.
 */
void odp_umem_get(struct odp_umem *umem)
{
	refcount_inc(&umem->refs);
}

/**
 * odp_umem_put - drop a reference to a umem
 * @umem: not to be used any more
 *
 * Context: process, may sleep: the last one may free a large page table.
 */
void odp_umem_put(struct odp_umem *umem)
{
	if (!refcount_dec_and_test(&umem->refs))
		return;

	/* a fault may have grown the table since odp_umem_destroy() */
	odp_table_free(umem);
	odp_context_put(umem->ctx);
	kfree_rcu(umem, rcu);
}

/**
 * odp_umem_counters - the counters of one umem
 * @umem: the umem
 *
 * Context: any.
 * Return: its counters, which go on counting.
 */
const struct odp_counters *odp_umem_counters(const struct odp_umem *umem)
{
	return &umem->counters;
}

/**
 * odp_umem_pid - tell whose memory it is
 * @umem: the umem
 *
 * Context: any.
 * Return: the process that has registered it, or a thread group that shares its
 * address space, in the first PID namespace. It may have ended since.
 */
pid_t odp_umem_pid(const struct odp_umem *umem)
{
	return umem->ctx->pid;
}

/**
 * odp_umem_zap - unpublish the pages of a range
 * @umem: the umem
 * @start: first byte
 * @end: behind the last byte
 * @blockable: may sleep
 *
 * A driver's zap callback calls it, or is it, when the driver uses the umem's
 * page table. When it returns, no CPU uses a page of the range; the caller
 * makes sure that none is published again before the notifier's end.
 *
 * Context: sleeps if @blockable; takes spinlocks only.
 */
void odp_umem_zap(struct odp_umem *umem, unsigned long start,
		  unsigned long end, bool blockable)
{
	unsigned long zapped = odp_table_zap(umem, start, end, blockable);

	if (zapped)
		odp_count(umem, page_invalidations, zapped);
	trace_odp_invalidate(umem, start, end, zapped);
}
