// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory regions of kernel users: IBTA volume 1, 10.6.2 and 10.6.3.3. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "dev.h"
#include "mr.h"
#include "qp.h"

#define RXE_REMOTE_RIGHTS	(IB_ACCESS_REMOTE_READ | \
				 IB_ACCESS_REMOTE_WRITE | \
				 IB_ACCESS_REMOTE_ATOMIC)
#define RXE_KERNEL_ACCESS	(IB_ACCESS_LOCAL_WRITE | RXE_REMOTE_RIGHTS | \
				 IB_ACCESS_OPTIONAL)

/**
 * rxe_get_dma_mr - ib_device_ops.get_dma_mr
 * @ibpd: a protection domain of the kernel's
 * @access: enum ib_access_flags
 *
 * Context: may sleep.
 * Return: the region of all memory, or an ERR_PTR.
 */
struct ib_mr *rxe_get_dma_mr(struct ib_pd *ibpd, int access)
{
	struct rxe_mr *mr;
	int err;

	if (access & ~RXE_KERNEL_ACCESS)
		return ERR_PTR(-EOPNOTSUPP);

	mr = rxe_mr_alloc(ibpd, RXE_MR_DMA);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->ibmr.length = U64_MAX;
	mr->access = access;
	err = rxe_mr_publish(mr);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}
	return &mr->ibmr;
}

/**
 * rxe_dma_access - read or write memory of the kernel's by its address
 * @access: where, and by what right; it is allowed
 * @actor: called once
 * @arg: passed to @actor
 *
 * A device without DMA of its own is given virtual addresses by the DMA API.
 * Kernel users may be trusted with them, but not their peers.
 *
 * Context: BH disabled.
 * Return: what @actor returns; -EFAULT: there is no memory.
 */
int rxe_dma_access(const struct rxe_access *access, odp_actor_t actor,
		   void *arg)
{
	void *kaddr = (void *)(uintptr_t)access->iova;

	/* a packet's worth: there is no page between the first and the last */
	BUILD_BUG_ON(RXE_MAX_PAYLOAD > PAGE_SIZE);
	if ((access->rights & RXE_REMOTE_RIGHTS) && access->len &&
	    (!virt_addr_valid(kaddr) ||
	     !virt_addr_valid(kaddr + access->len - 1)))
		return -EFAULT;
	return actor(kaddr, access->len, arg);
}

/**
 * rxe_alloc_mr - ib_device_ops.alloc_mr
 * @ibpd: a protection domain of the kernel's
 * @type: IB_MR_TYPE_MEM_REG
 * @max_num_sg: pages that are to be registered at a time
 *
 * Context: may sleep.
 * Return: the region, which gives no access, or an ERR_PTR.
 */
struct ib_mr *rxe_alloc_mr(struct ib_pd *ibpd, enum ib_mr_type type,
			   u32 max_num_sg)
{
	struct rxe_mr *mr;
	int err;

	if (type != IB_MR_TYPE_MEM_REG)
		return ERR_PTR(-EOPNOTSUPP);
	if (!max_num_sg || max_num_sg > RXE_MAX_FAST_PAGES)
		return ERR_PTR(-EINVAL);

	mr = rxe_mr_alloc(ibpd, RXE_MR_FAST);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->max_pages = max_num_sg;
	mr->pages = kvcalloc(max_num_sg, sizeof(*mr->pages), GFP_KERNEL);
	if (!mr->pages) {
		err = -ENOMEM;
		goto free_mr;
	}

	err = rxe_mr_publish(mr);
	if (err)
		goto free_pages;
	return &mr->ibmr;

free_pages:
	kvfree(mr->pages);
free_mr:
	kfree(mr);
	return ERR_PTR(err);
}

static int rxe_set_page(struct ib_mr *ibmr, u64 addr)
{
	struct rxe_mr *mr = to_rmr(ibmr);

	if (mr->num_pages == mr->max_pages)
		return -ENOMEM;

	mr->pages[mr->num_pages++] = virt_to_page((void *)(uintptr_t)addr);
	return 0;
}

/**
 * rxe_map_mr_sg - ib_device_ops.map_mr_sg
 * @ibmr: a region from rxe_alloc_mr() that gives no access
 * @sg: what it is to give access to
 * @sg_nents: entries of @sg
 * @sg_offset: bytes into @sg where it is to begin; set to where it ends
 *
 * Context: any.
 * Return: how many entries fit; or -EINVAL: pages of another size are asked
 * for.
 */
int rxe_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int sg_nents,
		  unsigned int *sg_offset)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	int n;

	if (ibmr->page_size != PAGE_SIZE)
		return -EINVAL;

	mr->num_pages = 0;
	n = ib_sg_to_pages(ibmr, sg, sg_nents, sg_offset, rxe_set_page);
	mr->addr = offset_in_page(ibmr->iova);
	return n;
}

/**
 * rxe_mr_register - let a key give access to memory, as a request asks
 * @qp: the QP that the request was posted to
 * @reg: the request
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: 0; -EINVAL: the region is of another PD or has a key, or the key is
 * not one that it may have.
 */
int rxe_mr_register(struct rxe_qp *qp, const struct rxe_reg *reg)
{
	struct rxe_mr *mr = reg->mr;
	int err = -EINVAL;

	spin_lock(&mr->lock);
	if (mr->kind == RXE_MR_FAST && mr->ibmr.pd == qp->ibqp.pd &&
	    !mr->key && reg->key >> RXE_KEY_BITS == mr->keyed.handle->number &&
	    !(reg->access & ~RXE_KERNEL_ACCESS)) {
		mr->access = reg->access;
		mr->key = reg->key;
		err = 0;
	}
	spin_unlock(&mr->lock);
	return err;
}

/**
 * rxe_mr_invalidate - take a fast registration's key back
 * @mr: any region, held
 * @qp: the QP that the request to do so was posted to, or came for
 * @key: the key
 *
 * Context, Return: as rxe_invalidate().
 */
int rxe_mr_invalidate(struct rxe_mr *mr, struct rxe_qp *qp, u32 key)
{
	int err = -EINVAL;

	spin_lock(&mr->lock);
	if (mr->kind == RXE_MR_FAST && mr->ibmr.pd == qp->ibqp.pd &&
	    mr->key == key) {
		mr->key = 0;
		err = 0;
	}
	spin_unlock(&mr->lock);
	return err;
}
