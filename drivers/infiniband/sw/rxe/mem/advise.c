// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/overflow.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <rdma/odp_umem.h>

#include "base/dev.h"
#include "base/ucontext.h"
#include "mem/access.h"
#include "mem/advise.h"
#include "wait/fault.h"

/**
 * struct rxe_advice - memory to be faulted in
 * @job: faults it in; its workers are held
 * @refs: the caller's and, once it is queued, the worker's
 * @entry: in the device's list, while its caller waits
 * @done: there is a result, or the device is going
 * @err: the result; -EIO: there is none yet
 * @flags: of odp_umem_fault()
 * @num: entries of @ranges
 * @next: the first that is not done
 * @ranges: the memory, each held
 */
struct rxe_advice {
	struct rxe_fault_job job;
	refcount_t refs;
	struct list_head entry;
	struct completion done;
	int err;
	unsigned int flags;
	u32 num;
	u32 next;
	struct rxe_range {
		struct odp_umem *umem;
		unsigned long addr;
		u32 len;
	} ranges[];
};

static int rxe_advice_flags(enum ib_uverbs_advise_mr_advice advice)
{
	switch (advice) {
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH:
		return ODP_FAULT_PREFETCH;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE:
		return ODP_FAULT_PREFETCH | ODP_FAULT_WRITE;
	case IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT:
		return ODP_FAULT_PREFETCH | ODP_FAULT_PRESENT;
	default:
		return -EOPNOTSUPP;
	}
}

static void rxe_advice_put(struct rxe_advice *advice)
{
	if (!refcount_dec_and_test(&advice->refs))
		return;

	while (advice->num--)
		odp_umem_put(advice->ranges[advice->num].umem);
	rxe_fault_queue_put(advice->job.queue);
	kvfree(advice);
}

static int rxe_advice_fault(struct rxe_advice *advice, bool may_sleep)
{
	unsigned int flags = advice->flags | (may_sleep ? 0 : ODP_FAULT_NOWAIT);
	const struct rxe_range *range;
	int err;

	/* a try goes on where the last one had to wait */
	for (; advice->next < advice->num; advice->next++) {
		range = &advice->ranges[advice->next];
		err = odp_umem_fault(range->umem, range->addr, range->len,
				     flags, NULL);
		if (err)
			return err == -EBUSY && may_sleep ? -EFAULT : err;
	}
	return 0;
}

static bool rxe_advice_run(struct rxe_fault_job *job, bool may_sleep)
{
	struct rxe_advice *advice = container_of(job, struct rxe_advice, job);
	int err = rxe_advice_fault(advice, may_sleep);

	if (err == -EBUSY)
		return false;
	WRITE_ONCE(advice->err, err);
	complete(&advice->done);
	rxe_advice_put(advice);
	return true;
}

static struct rxe_advice *rxe_advice_alloc(struct rxe_fault_queue *faulter,
					   unsigned int flags, u32 num)
{
	struct rxe_advice *advice;

	advice = kvzalloc(struct_size(advice, ranges, num), GFP_KERNEL_ACCOUNT);
	if (!advice)
		return NULL;

	rxe_fault_job_init(&advice->job, rxe_fault_queue_get(faulter),
			   rxe_advice_run);
	refcount_set(&advice->refs, 1);
	init_completion(&advice->done);
	advice->err = -EIO;
	advice->flags = flags;
	return advice;
}

/* The flags of the faults, or an errno. */
static int rxe_advice_check(struct ib_pd *ibpd,
			    enum ib_uverbs_advise_mr_advice advice, u32 flags)
{
	int fault_flags = rxe_advice_flags(advice);

	if (fault_flags < 0)
		return rxe_refuse(ibpd->device, fault_flags,
				  "advise MR: advice %d is not supported",
				  advice);
	/* kernel users have no memory that is paged */
	if (!ibpd->uobject)
		return rxe_refuse(ibpd->device, -EOPNOTSUPP,
				  "advise MR: memory of the kernel's is not paged");
	if (flags & ~IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		return rxe_refuse(ibpd->device, -EINVAL,
				  "advise MR: flags %#x are not supported",
				  flags);
	return fault_flags;
}

static int rxe_advice_add(struct rxe_advice *advice, struct ib_pd *pd,
			  const struct ib_sge *sge)
{
	struct rxe_range *range = &advice->ranges[advice->num];
	struct rxe_access access = {
		.pd = pd,
		.key = sge->lkey,
		.rights = advice->flags & ODP_FAULT_WRITE ?
				  IB_ACCESS_LOCAL_WRITE : 0,
		.iova = sge->addr,
		.len = sge->length,
	};
	int err;

	err = rxe_mr_hold_odp(&access, &range->umem, &range->addr);
	if (err)
		return rxe_refuse(pd->device, err,
				  "advise MR: the key gives no such access to %u bytes at %#llx, paged on demand: %d",
				  sge->length, sge->addr, err);

	range->len = sge->length;
	advice->num++;
	return 0;
}

static void rxe_advice_queue(struct rxe_advice *advice)
{
	refcount_inc(&advice->refs);
	rxe_fault_job_start(&advice->job);
}

/*
 * A userfaultfd or FUSE server may never serve the fault. Neither a caller that
 * is killed nor the removal of the device waits for that: the worker goes on,
 * and its result is dropped.
 */
static int rxe_advice_wait(struct rxe_dev *dev, struct rxe_advice *advice)
{
	int err;

	spin_lock(&dev->advice_lock);
	list_add(&advice->entry, &dev->advices);
	if (dev->going)
		complete(&advice->done);
	spin_unlock(&dev->advice_lock);

	err = wait_for_completion_killable(&advice->done);

	/* the device stays for as long as a call to it is under way */
	spin_lock(&dev->advice_lock);
	list_del(&advice->entry);
	spin_unlock(&dev->advice_lock);

	return err ? -EINTR : READ_ONCE(advice->err);
}

/**
 * rxe_advice_allow_waits - allow calls to wait for their advices
 * @dev: a device that programs may use from now on, for the first time or again
 *
 * Context: may sleep.
 */
void rxe_advice_allow_waits(struct rxe_dev *dev)
{
	spin_lock(&dev->advice_lock);
	dev->going = false;
	spin_unlock(&dev->advice_lock);
}

/**
 * rxe_advice_end_waits - let no call wait for its advice any more
 * @dev: a device that is being taken from programs, whose calls are under way
 *
 * Context: may sleep.
 */
void rxe_advice_end_waits(struct rxe_dev *dev)
{
	struct rxe_advice *advice;

	/* a call sees @going set, or is in the list */
	spin_lock(&dev->advice_lock);
	dev->going = true;
	list_for_each_entry(advice, &dev->advices, entry)
		complete(&advice->done);
	spin_unlock(&dev->advice_lock);
}

/**
 * rxe_advise_mr - ib_device_ops.advise_mr: prefetch
 * @ibpd: the protection domain
 * @advice: for reading, for writing, or only what the CPU has present
 * @flags: IB_UVERBS_ADVISE_MR_FLAG_FLUSH: return when it is done
 * @sgl: the program's list, untrusted
 * @num_sge: its length
 * @attrs: unused
 *
 * Nothing is begun unless all of the list is valid. It is the regions' memory
 * that is faulted in, even if a forked child calls.
 *
 * Context: may sleep; with FLUSH for as long as the memory's owner likes, unless
 * the caller is killed or rxe_advice_end_waits() is called.
 * Return: 0; -EOPNOTSUPP: no such advice; the errors of rxe_mr_hold_odp();
 * -ENOMEM; and with FLUSH: those of odp_umem_fault(); -EINTR: the caller is
 * killed; -EIO: the device is going.
 */
int rxe_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice,
		  u32 flags, struct ib_sge *sgl, u32 num_sge,
		  struct uverbs_attr_bundle *attrs)
{
	int fault_flags = rxe_advice_check(ibpd, advice, flags);
	struct rxe_ucontext *uctx;
	struct rxe_advice *todo;
	int err = 0;
	u32 i;

	if (fault_flags < 0)
		return fault_flags;

	uctx = to_ruc(ibpd->uobject->context);
	todo = rxe_advice_alloc(uctx->faulter, fault_flags, num_sge);
	if (!todo)
		return rxe_refuse(ibpd->device, -ENOMEM,
				  "advise MR: no memory for %u ranges", num_sge);

	for (i = 0; i < num_sge && !err; i++)
		err = rxe_advice_add(todo, ibpd, &sgl[i]);
	if (err)
		goto put;

	rxe_advice_queue(todo);
	if (flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		err = rxe_advice_wait(to_rdev(ibpd->device), todo);
put:
	rxe_advice_put(todo);
	return err;
}
