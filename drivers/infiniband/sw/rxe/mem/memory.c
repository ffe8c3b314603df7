// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/hugetlb_inline.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <rdma/ib_umem.h>
#include <rdma/odp_umem.h>

#include "base/compat.h"
#include "base/dev.h"
#include "base/ucontext.h"
#include "mem/dmabuf.h"
#include "mem/memory.h"

/* pages that are looked up at a time, to compare them with the pinned ones */
#define RXE_LOOK_UP_PAGES	32UL

static const struct odp_umem_ops rxe_odp_ops = {
	.zap = odp_umem_zap,
};

/**
 * rxe_memory_alloc - allocate the object for the memory of regions
 *
 * Context: may sleep.
 * Return: an empty object with one reference, or NULL: no memory.
 */
struct rxe_memory *rxe_memory_alloc(void)
{
	struct rxe_memory *memory;

	memory = kzalloc(sizeof(*memory), GFP_KERNEL_ACCOUNT);
	if (!memory)
		return NULL;

	refcount_set(&memory->refs, 1);
	return memory;
}

static int rxe_list_pages(struct rxe_memory *memory)
{
	struct sg_page_iter iter;
	size_t i = 0;

	memory->pages = kvmalloc_array(ib_umem_num_pages(memory->umem),
				       sizeof(*memory->pages),
				       GFP_KERNEL_ACCOUNT);
	if (!memory->pages)
		return -ENOMEM;

	for_each_sgtable_page(&memory->umem->sgt_append.sgt, &iter, 0)
		memory->pages[i++] = sg_page_iter_page(&iter);
	return 0;
}

/**
 * rxe_memory_pin - pin the caller's memory
 * @ibdev: the device
 * @start: user address
 * @length: bytes
 * @access: enum ib_access_flags that say whether it will be written
 *
 * Context: may sleep.
 * Return: a reference or an ERR_PTR.
 */
struct rxe_memory *rxe_memory_pin(struct ib_device *ibdev, u64 start,
				  u64 length, int access)
{
	struct rxe_memory *memory;
	struct ib_umem *umem;
	int err;

	memory = rxe_memory_alloc();
	if (!memory)
		return ERR_PTR(-ENOMEM);

	umem = rxe_umem_get(ibdev, start, length, access);
	if (IS_ERR(umem)) {
		err = PTR_ERR(umem);
		goto put;
	}
	memory->mm = current->mm;
	memory->umem = umem;

	err = rxe_list_pages(memory);
	if (err)
		goto put;
	return memory;

put:
	rxe_memory_put(memory);
	return ERR_PTR(err);
}

/**
 * rxe_memory_register_odp - register the caller's memory for on-demand paging
 * @uctx: the program's user context
 * @start: user address
 * @length: bytes
 * @access: enum ib_access_flags that say whether it will be written
 *
 * Context: may sleep.
 * Return: a reference or an ERR_PTR.
 */
struct rxe_memory *rxe_memory_register_odp(struct rxe_ucontext *uctx,
					   u64 start, u64 length, int access)
{
	struct rxe_dev *dev = to_rdev(uctx->ibuc.device);
	struct rxe_memory *memory;
	struct odp_umem *odp;

	memory = rxe_memory_alloc();
	if (!memory)
		return ERR_PTR(-ENOMEM);

	odp = odp_umem_register(&uctx->odp, start, length,
				ib_access_writable(access), &rxe_odp_ops,
				&dev->odp);
	if (IS_ERR(odp)) {
		rxe_memory_put(memory);
		return ERR_CAST(odp);
	}
	memory->mm = current->mm;
	memory->odp = odp;
	return memory;
}

/**
 * rxe_memory_get - let another region share memory
 * @memory: of a region that stays meanwhile
 *
 * Context: any.
 * Return: @memory.
 */
struct rxe_memory *rxe_memory_get(struct rxe_memory *memory)
{
	refcount_inc(&memory->refs);
	return memory;
}

/**
 * rxe_memory_put - drop a region's reference to its memory
 * @memory: of a region that no look-up finds any more; NULL: it has none
 *
 * Context: may sleep; waits for no page fault.
 */
void rxe_memory_put(struct rxe_memory *memory)
{
	if (!memory || !refcount_dec_and_test(&memory->refs))
		return;

	if (memory->odp)
		odp_umem_destroy(memory->odp);
	if (memory->dmabuf)
		rxe_dmabuf_release(memory->dmabuf, memory->kaddr);
	kvfree(memory->pages);
	ib_umem_release(memory->umem);
	kfree(memory);
}

/**
 * rxe_memory_is_foreign - check whether memory belongs to another process
 * @memory: the memory
 *
 * Context: process.
 * Return: true if so; a dma-buf belongs to no process.
 */
bool rxe_memory_is_foreign(const struct rxe_memory *memory)
{
	return memory->mm && memory->mm != current->mm;
}

/* Are these pages what the process would write to at their addresses? */
static int rxe_check_writable(const struct rxe_memory *memory)
{
	unsigned long rest = ib_umem_num_pages(memory->umem);
	unsigned long at = memory->umem->address & PAGE_MASK;
	struct page *const *pages = memory->pages;
	struct page *found[RXE_LOOK_UP_PAGES];
	bool same;
	int n;

	for (; rest; rest -= n, pages += n, at += n * PAGE_SIZE) {
		/* the flags of a registration, which this replaces */
		n = pin_user_pages_fast(at, min(rest, RXE_LOOK_UP_PAGES),
					FOLL_WRITE | FOLL_LONGTERM, found);
		if (n <= 0)
			return n ?: -EFAULT;

		same = !memcmp(found, pages, n * sizeof(*found));
		unpin_user_pages(found, n);
		if (!same)
			return -EFAULT;
		cond_resched();
	}
	return 0;
}

/*
 * Pages pinned for reading were looked up without a check whether they may be
 * written. Once writable, they stay so whatever becomes of the mapping, like
 * pages pinned for writing.
 */
static int rxe_pinned_allow_write(struct rxe_memory *memory)
{
	int err;

	if (memory->umem->writable)
		return 0;
	if (rxe_memory_is_foreign(memory))
		return -EPERM;

	err = rxe_check_writable(memory);
	if (err)
		return err;

	/* the core then leaves the pages dirty; only their release looks at it */
	memory->umem->writable = 1;
	return 0;
}

/**
 * rxe_memory_allow - make memory writable if a region's new rights need it
 * @memory: of a region that stays meanwhile, and that is registered anew by no
 *	    other call
 * @access: enum ib_access_flags of the new region
 *
 * Read-only memory becomes writable if the process itself may write it. That is
 * never undone: each access checks the region's own rights first.
 *
 * Context: may sleep, for as long as the memory's owner likes.
 * Return: 0; -EACCES: a buffer that may not be written; -EPERM: pinned memory of
 * another process's, which only that may make writable; -EFAULT: pinned memory
 * that is not, or not writable, at its addresses any more; -ENOMEM, -EINTR.
 */
int rxe_memory_allow(struct rxe_memory *memory, int access)
{
	if (!ib_access_writable(access))
		return 0;
	if (memory->dmabuf)
		return rxe_dmabuf_check_writable(memory->dmabuf);
	if (memory->umem)
		return rxe_pinned_allow_write(memory);

	/* each fault checks the mapping's permissions */
	odp_umem_allow_write(memory->odp);
	return 0;
}

/**
 * rxe_is_hugetlb - check whether a range of the caller's is hugetlbfs memory
 * @start: user address
 * @length: bytes
 *
 * All of the range, as mapped now; later mappings may differ.
 *
 * Context: process; may sleep.
 * Return: true if so.
 */
bool rxe_is_hugetlb(u64 start, u64 length)
{
	struct mm_struct *mm = current->mm;
	u64 end = start + length, at = start;
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	while (at < end) {
		vma = vma_lookup(mm, at);
		if (!vma || !is_vm_hugetlb_page(vma))
			break;
		at = vma->vm_end;
	}
	mmap_read_unlock(mm);
	return at >= end;
}
