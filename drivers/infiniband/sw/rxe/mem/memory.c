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

/* that are looked up once more at a time */
#define RXE_LOOK_UP_PAGES	32UL

static const struct odp_umem_ops rxe_odp_ops = {
	.zap = odp_umem_zap,
};

/**
 * rxe_memory_alloc - begin to make memory for regions
 *
 * Context: may sleep.
 * Return: a reference to what has nothing as yet, or NULL: no memory.
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
 * rxe_memory_pin - look the caller's memory up, and keep it as it is
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
 * rxe_memory_register_odp - let the caller's memory be paged on demand
 * @uctx: what the program has opened
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
 * rxe_memory_put - let go of a region's memory
 * @memory: of a region that nobody finds any more; NULL: it has none
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
 * rxe_memory_is_foreign - ask whether memory is another process's
 * @memory: the memory
 *
 * Context: process.
 * Return: true if it is; a buffer is no process's.
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
		/* flags as of a registration, which this stands for */
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
 * What was pinned to be read was looked up without asking whether it may be
 * written. Once it is writable it stays so, as pages do that were pinned to be
 * written, whatever becomes of the mapping.
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
 * rxe_memory_allow - get memory ready for a region with other rights
 * @memory: of a region that stays meanwhile, and whose registration anew keeps
 *	    others out
 * @access: enum ib_access_flags of the new region
 *
 * What a region of read-only memory needs to write is allowed where the process
 * itself may do it. It is never taken back: a region's own rights are looked at
 * first.
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

	/* each fault asks the mapping */
	odp_umem_allow_write(memory->odp);
	return 0;
}

/**
 * rxe_is_hugetlb - ask whether the caller has huge pages of hugetlbfs somewhere
 * @start: user address
 * @length: bytes
 *
 * All of it, as it is now; what comes there later may be anything.
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
