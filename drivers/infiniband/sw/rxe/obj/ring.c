// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <rdma/uverbs_ioctl.h>

#include "base/compat.h"
#include "base/dev.h"
#include "base/ucontext.h"
#include "obj/ring.h"

static unsigned int rxe_ring_num_pages(const struct rxe_ring *ring)
{
	return DIV_ROUND_UP(sizeof(*ring->buf) +
			    ((size_t)(ring->mask + 1) << ring->slot_shift),
			    PAGE_SIZE);
}

static void rxe_ring_free_pages(struct rxe_ring *ring)
{
	while (ring->num_pages) {
		__free_page(ring->pages[--ring->num_pages]);
		cond_resched();
	}
	kvfree(ring->pages);
}

/*
 * Not vmalloc(): where it fails at the limit of a memcg, it may leave the pages
 * that it has got to a work to be freed. Until that runs, the limit leaves no
 * memory for what the program does next.
 */
static int rxe_ring_alloc_pages(struct rxe_ring *ring)
{
	unsigned int n = rxe_ring_num_pages(ring);
	struct page *page;

	ring->pages = kvcalloc(n, sizeof(*ring->pages), RXE_QUEUE_GFP);
	if (!ring->pages)
		return -ENOMEM;

	while (ring->num_pages < n) {
		page = fatal_signal_pending(current) ?
			       NULL : alloc_page(RXE_QUEUE_GFP | __GFP_ZERO);
		if (!page)
			goto free_pages;
		ring->pages[ring->num_pages++] = page;
		cond_resched();
	}

	ring->buf = vmap(ring->pages, n, VM_MAP, PAGE_KERNEL);
	if (ring->buf)
		return 0;

free_pages:
	rxe_ring_free_pages(ring);
	return -ENOMEM;
}

static struct rxe_ring *rxe_ring_alloc(u32 entries, size_t entry_size)
{
	u32 slots = roundup_pow_of_two(entries + 1);
	struct rxe_ring *ring;

	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return NULL;

	spin_lock_init(&ring->post_lock);
	ring->mask = slots - 1;
	ring->slot_shift = order_base_2(entry_size);
	if (rxe_ring_alloc_pages(ring)) {
		kfree(ring);
		return NULL;
	}

	ring->buf->log2_elem_size = ring->slot_shift;
	ring->buf->index_mask = ring->mask;
	return ring;
}

/**
 * rxe_ring_free - free a ring that no program can map any more
 * @ring: the ring
 *
 * Pages that are still mapped somewhere stay with their mappings.
 *
 * Context: may sleep.
 */
void rxe_ring_free(struct rxe_ring *ring)
{
	vunmap(ring->buf);
	rxe_ring_free_pages(ring);
	kfree(ring);
}

static int rxe_ring_export(struct rxe_ring *ring, struct ib_udata *udata,
			   struct mminfo *mi)
{
	struct rxe_ucontext *uctx =
		rdma_udata_to_drv_context(udata, struct rxe_ucontext, ibuc);
	size_t size = (size_t)ring->num_pages << PAGE_SHIFT;
	int err;

	err = rdma_user_mmap_entry_insert(&uctx->ibuc, &ring->entry, size);
	if (err)
		return err;

	ring->exported = true;
	mi->offset = rdma_user_mmap_get_offset(&ring->entry);
	mi->size = size;
	return 0;
}

/**
 * rxe_ring_create - make a ring
 * @entries: how many it must hold at a time
 * @entry_size: bytes of one
 * @udata: of the program that is to share it; NULL: the ring of a kernel user
 * @mi: filled with what the program passes to mmap()
 *
 * Context: may sleep.
 * Return: the ring or an ERR_PTR.
 */
struct rxe_ring *rxe_ring_create(u32 entries, size_t entry_size,
				 struct ib_udata *udata, struct mminfo *mi)
{
	struct rxe_ring *ring;
	int err;

	ring = rxe_ring_alloc(entries, entry_size);
	if (!ring)
		return ERR_PTR(-ENOMEM);
	if (!udata)
		return ring;

	err = rxe_ring_export(ring, udata, mi);
	if (err) {
		rxe_ring_free(ring);
		return ERR_PTR(err);
	}
	return ring;
}

/**
 * rxe_ring_destroy - end the driver's use of a ring
 * @ring: the ring, or NULL
 *
 * Context: may sleep.
 */
void rxe_ring_destroy(struct rxe_ring *ring)
{
	if (!ring)
		return;

	if (ring->exported)
		rdma_user_mmap_entry_remove(&ring->entry);
	else
		rxe_ring_free(ring);
}

static int rxe_ring_map(const struct rxe_ring *ring, struct vm_area_struct *vma)
{
	unsigned long addr = vma->vm_start;
	unsigned int i;
	int err;

	for (i = 0; addr < vma->vm_end; i++, addr += PAGE_SIZE) {
		err = vm_insert_page(vma, addr, ring->pages[i]);
		if (err)
			return err;
		cond_resched();
	}

	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

/**
 * rxe_mmap - map a ring into a program: ib_device_ops.mmap
 * @uctx: the program's context
 * @vma: asks for one whole ring by its offset
 *
 * The mapping holds the pages, not the ring, and keeps the operations that
 * the core has given it: it may outlive the device and this module.
 *
 * Return: 0 or a negative errno.
 */
int rxe_mmap(struct ib_ucontext *uctx, struct vm_area_struct *vma)
{
	struct rdma_user_mmap_entry *entry;
	struct rxe_ring *ring;
	int err;

	entry = rdma_user_mmap_entry_get(uctx, vma);
	if (!entry)
		return rxe_refuse(uctx->device, -EINVAL,
				  "mmap: no ring of %lu bytes at offset %#lx",
				  vma->vm_end - vma->vm_start,
				  vma->vm_pgoff << PAGE_SHIFT);

	ring = container_of(entry, struct rxe_ring, entry);
	err = rxe_ring_map(ring, vma);
	rdma_user_mmap_entry_put(entry);
	return err;
}
