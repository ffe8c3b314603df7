// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/overflow.h>
#include <linux/slab.h>
#include <rdma/odp_umem.h>

#include "advise.h"
#include "fault.h"
#include "mr.h"
#include "ucontext.h"

/**
 * struct rxe_advice - memory to be faulted in
 * @work: does it, unless the caller does
 * @faulter: whose work it is, held
 * @flags: of odp_umem_fault()
 * @num: entries of @ranges
 * @ranges: the memory, each held
 */
struct rxe_advice {
	struct work_struct work;
	struct rxe_fault_queue *faulter;
	unsigned int flags;
	u32 num;
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

static void rxe_advice_free(struct rxe_advice *advice)
{
	while (advice->num--)
		odp_umem_put(advice->ranges[advice->num].umem);
	kvfree(advice);
}

static int rxe_advice_follow(const struct rxe_advice *advice)
{
	const struct rxe_range *range = advice->ranges;
	int err = 0;
	u32 i;

	for (i = 0; i < advice->num && !err; i++, range++)
		err = odp_umem_fault(range->umem, range->addr, range->len,
				     advice->flags);
	return err;
}

static void rxe_advice_work(struct work_struct *work)
{
	struct rxe_advice *advice =
		container_of(work, struct rxe_advice, work);

	/* nobody is told: an access to the memory will find out for itself */
	rxe_advice_follow(advice);
	rxe_fault_queue_put(advice->faulter);
	rxe_advice_free(advice);
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
		return err;

	range->len = sge->length;
	advice->num++;
	return 0;
}

/**
 * rxe_advise_mr - ib_device_ops.advise_mr: prefetch
 * @ibpd: the protection domain
 * @advice: for reading, for writing, or only what the CPU has present
 * @flags: IB_UVERBS_ADVISE_MR_FLAG_FLUSH: not before it is done
 * @sgl: the program's list: anything
 * @num_sge: its length
 * @attrs: unused
 *
 * Nothing is begun unless all of the list is right.
 *
 * Context: may sleep; with FLUSH for as long as the memory's owner likes.
 * Return: 0; -EOPNOTSUPP: no such advice; the errors of rxe_mr_hold_odp() and,
 * with FLUSH, of odp_umem_fault(); -ENOMEM.
 */
int rxe_advise_mr(struct ib_pd *ibpd, enum ib_uverbs_advise_mr_advice advice,
		  u32 flags, struct ib_sge *sgl, u32 num_sge,
		  struct uverbs_attr_bundle *attrs)
{
	int fault_flags = rxe_advice_flags(advice);
	struct rxe_ucontext *uctx;
	struct rxe_advice *todo;
	int err = 0;
	u32 i;

	if (fault_flags < 0)
		return fault_flags;
	/* kernel users have nothing that is paged */
	if (!ibpd->uobject)
		return -EOPNOTSUPP;
	if (flags & ~IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		return -EINVAL;

	todo = kvzalloc(struct_size(todo, ranges, num_sge), GFP_KERNEL_ACCOUNT);
	if (!todo)
		return -ENOMEM;
	todo->flags = fault_flags;

	for (i = 0; i < num_sge && !err; i++)
		err = rxe_advice_add(todo, ibpd, &sgl[i]);
	if (err)
		goto free;

	if (!(flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH)) {
		INIT_WORK(&todo->work, rxe_advice_work);
		uctx = to_ruc(ibpd->uobject->context);
		todo->faulter = rxe_fault_queue_get(uctx->faulter);
		queue_work(todo->faulter->wq, &todo->work);
		return 0;
	}
	err = rxe_advice_follow(todo);
free:
	rxe_advice_free(todo);
	return err;
}
