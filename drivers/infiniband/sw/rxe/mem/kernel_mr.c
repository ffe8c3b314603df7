// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory regions of kernel users: IBTA volume 1, 10.6.2 and 10.6.3.3. */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "base/dev.h"
#include "mem/kernel_mr.h"
#include "mem/mr.h"

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
		return ERR_PTR(rxe_refuse(ibpd->device, -EOPNOTSUPP,
					  "register MR: access flags %#x are not supported",
					  access));

	mr = rxe_mr_alloc(ibpd, RXE_MR_DMA);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->ibmr.length = U64_MAX;
	mr->access = access;
	err = rxe_mr_publish(mr);
	if (err) {
		rxe_mr_free(mr);
		return ERR_PTR(err);
	}
	return &mr->ibmr;
}

/* For a few packets' bytes: any of the pages may be a hole. */
static bool rxe_is_memory(unsigned long addr, u32 len)
{
	unsigned long end = addr + len;

	for (addr &= PAGE_MASK; addr < end; addr += PAGE_SIZE)
		if (!virt_addr_valid((void *)addr))
			return false;
	return true;
}

/**
 * rxe_dma_access - read or write memory of the kernel's by its address
 * @access: where, and by what right; it is allowed
 * @actor: called once
 * @arg: passed to @actor
 *
 * For a device without DMA, ib_dma_map_single() and the like return kernel
 * virtual addresses. Kernel users are trusted with these, but not their peers.
 *
 * Context: BH disabled.
 * Return: what @actor returns; -EFAULT: the address is not that of memory.
 */
int rxe_dma_access(const struct rxe_access *access, odp_actor_t actor,
		   void *arg)
{
	void *kaddr = (void *)(uintptr_t)access->iova;

	lockdep_assert_in_softirq();
	if ((access->rights & RXE_REMOTE_RIGHTS) &&
	    !rxe_is_memory(access->iova, access->len))
		return -EFAULT;
	return actor(kaddr, access->len, arg);
}

/**
 * rxe_alloc_mr - ib_device_ops.alloc_mr
 * @ibpd: a protection domain of the kernel's
 * @type: IB_MR_TYPE_MEM_REG
 * @max_num_sg: blocks that can be registered at a time
 *
 * Context: may sleep.
 * Return: the region, which gives no access yet, or an ERR_PTR.
 */
struct ib_mr *rxe_alloc_mr(struct ib_pd *ibpd, enum ib_mr_type type,
			   u32 max_num_sg)
{
	struct rxe_mr *mr;
	int err;

	if (type != IB_MR_TYPE_MEM_REG)
		return ERR_PTR(rxe_refuse(ibpd->device, -EOPNOTSUPP,
					  "allocate MR: type %d is not supported",
					  type));
	if (!max_num_sg || max_num_sg > RXE_MAX_FAST_BLOCKS)
		return ERR_PTR(rxe_refuse(ibpd->device, -EINVAL,
					  "allocate MR: %u blocks are not 1 to %u",
					  max_num_sg, RXE_MAX_FAST_BLOCKS));

	mr = rxe_mr_alloc(ibpd, RXE_MR_FAST);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->max_blocks = max_num_sg;
	mr->blocks = kvcalloc(max_num_sg, sizeof(*mr->blocks), GFP_KERNEL);
	if (!mr->blocks) {
		err = -ENOMEM;
		goto free_mr;
	}

	err = rxe_mr_publish(mr);
	if (err)
		goto free_blocks;
	return &mr->ibmr;

free_blocks:
	kvfree(mr->blocks);
free_mr:
	rxe_mr_free(mr);
	return ERR_PTR(err);
}

static int rxe_set_block(struct ib_mr *ibmr, u64 addr)
{
	struct rxe_mr *mr = to_rmr(ibmr);

	if (mr->num_blocks == mr->max_blocks)
		return -ENOMEM;

	mr->blocks[mr->num_blocks++] = addr;
	return 0;
}

/**
 * rxe_map_mr_sg - ib_device_ops.map_mr_sg
 * @ibmr: a region from rxe_alloc_mr() that gives no access; its page_size is
 *	  that of the blocks, and may be more or less than PAGE_SIZE
 * @sg: the memory that it is to give access to
 * @sg_nents: entries of @sg
 * @sg_offset: bytes into @sg where it is to begin; set to where it ends
 *
 * Addresses are kernel virtual ones, by which contiguous memory is contiguous:
 * the first one describes a block.
 *
 * Context: any.
 * Return: how many entries fit; or -EINVAL: the block size is not supported.
 */
int rxe_map_mr_sg(struct ib_mr *ibmr, struct scatterlist *sg, int sg_nents,
		  unsigned int *sg_offset)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	u32 size = ibmr->page_size;
	int n;

	BUILD_BUG_ON(IS_ENABLED(CONFIG_HIGHMEM));
	if (!is_power_of_2(size) || !(size & RXE_BLOCK_SIZES))
		return -EINVAL;

	mr->num_blocks = 0;
	mr->block_shift = ilog2(size);
	n = ib_sg_to_pages(ibmr, sg, sg_nents, sg_offset, rxe_set_block);
	mr->addr = ibmr->iova & (size - 1);
	return n;
}

/**
 * rxe_blocks_access - read or write the memory of a fast registration
 * @mr: the region
 * @offset: of the first byte
 * @len: bytes; they are in the region
 * @actor: called for each run of contiguous memory, in order
 * @arg: passed to @actor
 *
 * Context: BH disabled, the region's lock is held.
 * Return: 0 or what @actor returned if that was not 0.
 */
int rxe_blocks_access(const struct rxe_mr *mr, u64 offset, u32 len,
		      odp_actor_t actor, void *arg)
{
	unsigned long at = mr->addr + offset, size = BIT(mr->block_shift);
	unsigned long within, n;
	int err;

	lockdep_assert_held(&mr->lock);
	for (; len; at += n, len -= n) {
		within = at & (size - 1);
		n = min_t(unsigned long, len, size - within);
		err = actor((void *)(mr->blocks[at >> mr->block_shift] + within),
			    n, arg);
		if (err)
			return err;
	}
	return 0;
}

/* A region that was mapped in part only may claim more than its blocks have. */
static bool rxe_blocks_suffice(const struct rxe_mr *mr)
{
	return rxe_in_bounds(0, (u64)mr->num_blocks << mr->block_shift,
			     mr->addr, mr->ibmr.length);
}

/**
 * rxe_mr_register - let a key give access to memory, as a request asks
 * @pd: of the QP that the request was posted to
 * @reg: the request
 *
 * Context: BH disabled.
 * Return: 0; -EINVAL: the region is of another PD, already has a key, or claims
 * more memory than it has, or the key or the access is not one that it may
 * have.
 */
int rxe_mr_register(struct ib_pd *pd, const struct rxe_reg *reg)
{
	struct rxe_mr *mr = reg->mr;
	int err = -EINVAL;

	lockdep_assert_in_softirq();
	spin_lock(&mr->lock);
	if (mr->kind == RXE_MR_FAST && mr->ibmr.pd == pd &&
	    !mr->key && reg->key >> RXE_KEY_BITS == mr->keyed.handle->number &&
	    !(reg->access & ~RXE_KERNEL_ACCESS) && rxe_blocks_suffice(mr)) {
		mr->access = reg->access;
		mr->key = reg->key;
		err = 0;
	}
	spin_unlock(&mr->lock);
	return err;
}

/**
 * rxe_mr_invalidate - invalidate a fast registration's key
 * @mr: any region, held
 * @pd: of the QP that the request to do so was posted to, or came for
 * @key: the key
 *
 * Context: as rxe_invalidate().
 * Return: as rxe_invalidate().
 */
int rxe_mr_invalidate(struct rxe_mr *mr, const struct ib_pd *pd, u32 key)
{
	int err = -EINVAL;

	spin_lock(&mr->lock);
	if (mr->kind == RXE_MR_FAST && mr->ibmr.pd == pd && mr->key == key) {
		mr->key = 0;
		err = 0;
	}
	spin_unlock(&mr->lock);
	return err;
}
