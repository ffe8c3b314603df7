// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/mm.h>
#include <rdma/uverbs_ioctl.h>

#include "base/compat.h"
#include "base/dev.h"
#include "base/rule.h"
#include "base/ucontext.h"
#include "mem/memory.h"
#include "mem/mr.h"

#define RXE_MR_ACCESS	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | \
			 IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_ATOMIC | \
			 IB_ACCESS_FLUSH_GLOBAL | IB_ACCESS_MW_BIND | \
			 IB_ACCESS_OPTIONAL)
/* flags about paging have no meaning for pinned memory */
#define RXE_ODP_MR_ACCESS	(RXE_MR_ACCESS | IB_ACCESS_ON_DEMAND | \
				 IB_ACCESS_HUGETLB)

/**
 * rxe_mr_alloc - allocate a region
 * @ibpd: the protection domain
 * @kind: where the memory is
 *
 * Context: may sleep.
 * Return: a region that has no memory and no key; NULL: no memory, or the device has
 * as many as it announces.
 */
struct rxe_mr *rxe_mr_alloc(struct ib_pd *ibpd, enum rxe_mr_kind kind)
{
	struct rxe_objects *objects = &to_rdev(ibpd->device)->objects;
	struct rxe_mr *mr;

	if (rxe_object_begin(objects, RXE_OBJECT_MR)) {
		ibdev_dbg(ibpd->device,
			  "register MR: the device has %u, as many as it may\n",
			  rxe_object_max(RXE_OBJECT_MR));
		return NULL;
	}

	mr = kzalloc(sizeof(*mr), GFP_KERNEL_ACCOUNT);
	if (!mr) {
		rxe_object_end(objects, RXE_OBJECT_MR);
		return NULL;
	}

	mr->ibmr.device = ibpd->device;
	mr->ibmr.pd = ibpd;
	mr->kind = kind;
	spin_lock_init(&mr->lock);
	return mr;
}

/**
 * rxe_mr_free - free a region
 * @mr: from rxe_mr_alloc(); it has no key, or no longer
 *
 * Context: may sleep.
 */
void rxe_mr_free(struct rxe_mr *mr)
{
	rxe_object_end(&to_rdev(mr->ibmr.device)->objects, RXE_OBJECT_MR);
	kfree(mr);
}

/**
 * rxe_mr_publish - give a region its key
 * @mr: the region, which can be used from now on where it has memory
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_mr_publish(struct rxe_mr *mr)
{
	struct rxe_handle *handle;

	handle = rxe_handle_create(&to_rdev(mr->ibmr.device)->mrs);
	if (IS_ERR(handle))
		return rxe_refuse(mr->ibmr.device, PTR_ERR(handle),
				  "register MR: no key, or no memory");

	mr->keyed.handle = handle;
	mr->ibmr.lkey = rxe_new_key(handle);
	mr->ibmr.rkey = mr->ibmr.lkey;
	/* a fast registration gives no access until a request makes it */
	if (mr->kind != RXE_MR_FAST)
		mr->key = mr->ibmr.lkey;
	rxe_handle_publish(handle, &mr->keyed);
	return 0;
}

static int rxe_kind_access(enum rxe_mr_kind kind)
{
	return kind == RXE_MR_ODP ? RXE_ODP_MR_ACCESS : RXE_MR_ACCESS;
}

/**
 * rxe_mr_check_init - check the parameters of a region
 * @init: the parameters
 *
 * Context: any.
 * Return: 0; -EOPNOTSUPP: unsupported access flags; -EINVAL: the length is 0 or
 * overflows, or an implicit region is to be hugetlbfs memory.
 */
int rxe_mr_check_init(const struct rxe_mr_init *init)
{
	u64 end;

	if (init->access & ~rxe_kind_access(init->kind))
		return rxe_refuse(init->pd->device, -EOPNOTSUPP,
				  "register MR: of access flags %#x only %#x are supported",
				  init->access, rxe_kind_access(init->kind));
	if (init->implicit && (init->access & IB_ACCESS_HUGETLB))
		return rxe_refuse(init->pd->device, -EINVAL,
				  "register MR: the whole address space is not hugetlbfs memory");
	if (!init->length ||
	    check_add_overflow(init->iova, init->length - 1, &end) ||
	    check_add_overflow(init->addr, init->length - 1, &end))
		return rxe_refuse(init->pd->device, -EINVAL,
				  "register MR: length %llu is 0, or runs over the end from %#llx or %#llx",
				  init->length, init->addr, init->iova);
	return 0;
}

/**
 * rxe_mr_create - make a program's region
 * @init: its parameters, which have been checked; the reference to the memory
 *	  is consumed
 *
 * Context: may sleep.
 * Return: the region or an ERR_PTR.
 */
struct ib_mr *rxe_mr_create(const struct rxe_mr_init *init)
{
	struct rxe_mr *mr;
	int err;

	mr = rxe_mr_alloc(init->pd, init->kind);
	if (!mr) {
		err = -ENOMEM;
		goto put_memory;
	}

	mr->ibmr.iova = init->iova;
	mr->ibmr.length = init->length;
	mr->access = init->access;
	mr->addr = init->addr;
	mr->implicit = init->implicit;
	mr->memory = init->memory;
	if (init->kind == RXE_MR_ODP)
		mr->odp = init->memory->odp;
	else if (init->kind == RXE_MR_DMABUF)
		mr->kaddr = init->memory->kaddr;
	else
		mr->pages = init->memory->pages;

	err = rxe_mr_publish(mr);
	if (err)
		goto free_mr;
	return &mr->ibmr;

free_mr:
	rxe_mr_free(mr);
put_memory:
	rxe_memory_put(init->memory);
	return ERR_PTR(err);
}

static struct rxe_memory *rxe_register(const struct rxe_mr_init *init,
				       struct rxe_ucontext *uctx)
{
	if (init->kind == RXE_MR_PINNED)
		return rxe_memory_pin(init->pd->device, init->addr,
				      init->length, init->access);
	/* RDS registers for processes that have not opened the device */
	if (!uctx)
		return ERR_PTR(rxe_refuse(init->pd->device, -EOPNOTSUPP,
					  "register MR: no paging on demand without a context"));
	if ((init->access & IB_ACCESS_HUGETLB) &&
	    !rxe_is_hugetlb(init->addr, init->length))
		return ERR_PTR(rxe_refuse(init->pd->device, -EINVAL,
					  "register MR: not all is hugetlbfs memory"));
	return rxe_memory_register_odp(uctx, init->addr, init->length,
				       init->access);
}

/**
 * rxe_reg_user_mr - ib_device_ops.reg_user_mr
 * @ibpd: the protection domain
 * @start: user address
 * @length: bytes
 * @iova: address that peers use for @start, with the same offset in its page
 * @access: enum ib_access_flags; IB_ACCESS_ON_DEMAND: nothing is pinned
 * @udata: the program's
 *
 * With IB_ACCESS_ON_DEMAND, 0 to U64_MAX is an implicit region: the whole
 * address space, with all that will ever be mapped there.
 *
 * Context: may sleep.
 * Return: the region or an ERR_PTR.
 */
struct ib_mr *rxe_reg_user_mr(struct ib_pd *ibpd, u64 start, u64 length,
			      u64 iova, int access, struct ib_udata *udata)
{
	struct rxe_ucontext *uctx =
		rdma_udata_to_drv_context(udata, struct rxe_ucontext, ibuc);
	bool odp = access & IB_ACCESS_ON_DEMAND;
	bool implicit = odp && !start && !iova && length == U64_MAX;
	struct rxe_mr_init init = {
		.pd = ibpd,
		.kind = odp ? RXE_MR_ODP : RXE_MR_PINNED,
		.iova = iova,
		.length = implicit ? TASK_SIZE : length,
		.addr = start,
		.access = access,
		.implicit = implicit,
	};
	int err;

	err = rxe_mr_check_init(&init);
	if (err)
		return ERR_PTR(err);

	init.memory = rxe_register(&init, uctx);
	if (IS_ERR(init.memory))
		return ERR_PTR(rxe_refuse(ibpd->device, PTR_ERR(init.memory),
					  "register MR: %llu bytes at %#llx cannot be %s: %ld",
					  init.length, start,
					  odp ? "registered" : "pinned",
					  PTR_ERR(init.memory)));
	return rxe_mr_create(&init);
}

/* The result reveals what is mapped: only for the process itself. */
static int rxe_check_hugetlb(const struct rxe_mr *mr)
{
	if (rxe_memory_is_foreign(mr->memory))
		return -EPERM;
	return rxe_is_hugetlb(mr->addr, mr->ibmr.length) ? 0 : -EINVAL;
}

/* The same memory with another key: nothing is looked up or pinned. */
static struct ib_mr *rxe_rereg_memory(const struct rxe_mr *mr,
				      struct ib_pd *ibpd, int access)
{
	struct rxe_mr_init init = {
		.pd = ibpd,
		.kind = mr->kind,
		.iova = mr->ibmr.iova,
		.length = mr->ibmr.length,
		.addr = mr->addr,
		.access = access,
		.implicit = mr->implicit,
	};
	int err;

	/* pinned memory stays pinned, and on-demand memory on demand */
	if (mr->kind != RXE_MR_DMABUF &&
	    ((access ^ mr->access) & IB_ACCESS_ON_DEMAND))
		return ERR_PTR(rxe_refuse(ibpd->device, -EINVAL,
					  "re-register MR %u: the same memory stays pinned, or paged on demand",
					  mr->ibmr.res.id));

	err = rxe_mr_check_init(&init);
	if (err)
		return ERR_PTR(err);

	if (access & ~mr->access & IB_ACCESS_HUGETLB)
		err = rxe_check_hugetlb(mr);
	if (!err)
		err = rxe_memory_allow(mr->memory, access);
	if (err)
		return ERR_PTR(rxe_refuse(ibpd->device, err,
					  "re-register MR %u: its memory does not allow access %#x: %d",
					  mr->ibmr.res.id, access, err));

	init.memory = rxe_memory_get(mr->memory);
	return rxe_mr_create(&init);
}

/**
 * rxe_rereg_user_mr - ib_device_ops.rereg_user_mr
 * @ibmr: the region
 * @flags: enum ib_mr_rereg_flags: which of the following change
 * @start: user address
 * @length: bytes
 * @iova: address that peers use for @start
 * @access: enum ib_access_flags
 * @ibpd: the protection domain
 * @udata: the program's
 *
 * The old region stays valid until the new one exists, with other keys
 * (IBTA 11.2.8.5). Without IB_MR_REREG_TRANS the memory is the same, whatever is
 * mapped at its addresses by now, and whichever process calls: pages that are
 * pinned stay pinned, and are accounted once.
 *
 * Context: may sleep.
 * Return: the region that takes the place of @ibmr, which the core then
 * deregisters; or an ERR_PTR, and nothing is changed: -EBUSY: a memory window is
 * bound to it; -EPERM: IB_MR_REREG_TRANS, and the memory is another process's;
 * -EINVAL: pinned memory cannot become on-demand memory without that, nor the
 * other way round; the errors of rxe_memory_allow(); those of a registration.
 */
struct ib_mr *rxe_rereg_user_mr(struct ib_mr *ibmr, int flags, u64 start,
				u64 length, u64 iova, int access,
				struct ib_pd *ibpd, struct ib_udata *udata)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	bool trans = flags & IB_MR_REREG_TRANS;
	struct ib_mr *new;

	if (flags & ~IB_MR_REREG_SUPPORTED)
		return ERR_PTR(rxe_refuse(ibmr->device, -EOPNOTSUPP,
					  "re-register MR %u: flags %#x are not supported",
					  ibmr->res.id, flags));
	/* @start is the caller's: the region would silently change its owner */
	if (trans && rxe_memory_is_foreign(mr->memory) &&
	    !rxe_broken(foreign_memory))
		return ERR_PTR(rxe_refuse(ibmr->device, -EPERM,
					  "re-register MR %u: its memory is another process's",
					  ibmr->res.id));

	if (!(flags & IB_MR_REREG_PD))
		ibpd = ibmr->pd;
	if (!(flags & IB_MR_REREG_ACCESS))
		access = mr->access;

	/* from here on no window can be bound to it */
	if (atomic_cmpxchg(&mr->windows, 0, -1) != 0)
		return ERR_PTR(rxe_refuse(ibmr->device, -EBUSY,
					  "re-register MR %u: memory windows are bound to it",
					  ibmr->res.id));
	if (trans)
		new = rxe_reg_user_mr(ibpd, start, length, iova, access, udata);
	else
		new = rxe_rereg_memory(mr, ibpd, access);
	if (IS_ERR(new))
		atomic_set(&mr->windows, 0);
	return new;
}

/* Broken: the region is leaked, not freed, as its windows still refer to it. */
static bool rxe_leaves_windows(const struct rxe_mr *mr)
{
	return rxe_broken(bound_region) && mr->kind == RXE_MR_PINNED;
}

/**
 * rxe_dereg_mr - ib_device_ops.dereg_mr
 * @ibmr: the region
 * @udata: unused
 *
 * When it returns, no access through the region's keys is under way.
 *
 * Context: may sleep; waits for no page fault.
 * Return: 0; -EBUSY: a memory window is bound to it (IBTA 10.6.7.2.1).
 */
int rxe_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata)
{
	struct rxe_mr *mr = to_rmr(ibmr);

	if (atomic_cmpxchg(&mr->windows, 0, -1) > 0)
		return rxe_leaves_windows(mr) ? 0 :
		       rxe_refuse(ibmr->device, -EBUSY,
				  "deregister MR %u: memory windows are bound to it",
				  ibmr->res.id);

	rxe_handle_destroy(mr->keyed.handle);
	rxe_memory_put(mr->memory);
	if (mr->kind == RXE_MR_FAST)
		kvfree(mr->blocks);
	rxe_mr_free(mr);
	return 0;
}
