// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faulting pages of an ODP umem in: looked up batch by batch without a lock of
 * ours, so that notifiers never wait for it, and published if none came by.
 *
 * Readers of hmm_range_fault() will recognise it: read the sequence, look up,
 * lock, check, publish or start again. A look-up that loses to notifiers again
 * and again tries fewer pages each time, and in the end looks up with the
 * mmap_lock and the VMAs held for writing, which keeps out every notifier that a
 * program can make happen in a loop.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat.h"
#include "odp_internal.h"

#define CREATE_TRACE_POINTS
#include "odp_trace.h"

/* an access that misses a packet's pages needs no allocation */
#define ODP_FEW_PAGES		4
/* lost look-ups until one is made with other users of the mm shut out */
#define ODP_LOST_MAX		8
/* and until the next such one */
#define ODP_LOST_AGAIN		2
/* what they may be shut out for */
#define ODP_EXCLUSIVE_PAGES	32UL

/**
 * struct odp_fault - one call of odp_umem_fault()
 * @umem: the umem
 * @flags: ODP_FAULT_ flags
 * @pages: looked up and not published yet
 * @batch: how many to look up at once; not more than @pages has room for
 * @max: that room
 * @lost: look-ups thrown away since the last that was published
 * @seq: notifiers_seq before the look-up
 */
struct odp_fault {
	struct odp_umem *umem;
	unsigned int flags;
	struct page **pages;
	unsigned long batch;
	unsigned long max;
	unsigned int lost;
	unsigned long seq;
};

static bool fault_writes(const struct odp_fault *fault)
{
	return fault->flags & ODP_FAULT_WRITE;
}

/*
 * May pages be looked up now? -EAGAIN: not before a notifier ends. The sequence
 * is read under the lock under which it moves, and before the look-up; what
 * changes the page tables later moves it or raises the count.
 */
static int try_begin(struct odp_fault *fault)
{
	struct odp_umem *umem = fault->umem;
	struct odp_context *ctx = umem->ctx;
	int err = 0;

	spin_lock(&ctx->lock);
	if (odp_umem_gone(umem))
		err = -EFAULT;
	else if (!umem->mn_counters_active || umem->notifiers_count)
		err = -EAGAIN;
	fault->seq = umem->notifiers_seq;
	spin_unlock(&ctx->lock);

	return err;
}

/*
 * Killable, since callers may be a program's own threads; and as that, not held
 * against a worker that waits long. Ends with the last notifier, with the umem,
 * or with the mm; each wakes us after the change that try_begin() looks at.
 */
static int begin(struct odp_fault *fault)
{
	wait_queue_head_t *wait = &fault->umem->ctx->wait;
	int err;

	while ((err = try_begin(fault)) == -EAGAIN) {
		odp_hook(ODP_POINT_WAITING, fault->umem);
		if (wait_event_killable(*wait, try_begin(fault) != -EAGAIN))
			return -EINTR;
	}
	return err;
}

/* Under the context's lock, behind the check of dying: totals are still there. */
static void count_published(struct odp_fault *fault, int added)
{
	struct odp_umem *umem = fault->umem;

	odp_count(umem, mapped, added);
	if (fault->flags & ODP_FAULT_PREFETCH)
		odp_count(umem, page_prefetch, added);
	else
		odp_count(umem, page_faults, added);
}

/* The check and the publication are one lock hold: no notifier comes between. */
static int publish(struct odp_fault *fault, unsigned long addr,
		   unsigned long nr)
{
	struct odp_umem *umem = fault->umem;
	struct odp_context *ctx = umem->ctx;
	int added;

	spin_lock(&ctx->lock);
	if ((umem->dying && !odp_broken(ODP_RULE_DYING)) ||
	    (ctx->dead && !odp_broken(ODP_RULE_DEAD))) {
		added = -EFAULT;
	} else if ((umem->notifiers_count && !odp_broken(ODP_RULE_COUNT)) ||
		   (umem->notifiers_seq != fault->seq &&
		    !odp_broken(ODP_RULE_SEQUENCE))) {
		odp_count(umem, retries, 1);
		trace_odp_retry(umem, addr, nr);
		added = -EAGAIN;
	} else {
		added = odp_table_publish(umem, addr, fault->pages, nr,
					  fault_writes(fault));
		if (added > 0)
			count_published(fault, added);
		trace_odp_publish(umem, addr, nr, added);
	}
	spin_unlock(&ctx->lock);

	return min(added, 0);
}

static unsigned int gup_flags(const struct odp_fault *fault)
{
	unsigned int flags = 0;

	/*
	 * A page that will be written is looked up for writing, which leaves it
	 * dirty; nothing else of ours tells the mm that we write.
	 */
	if (fault_writes(fault) && !odp_broken(ODP_RULE_WRITE_LOOKUP))
		flags |= FOLL_WRITE;
	if (fault->flags & ODP_FAULT_PRESENT)
		flags |= FOLL_NOFAULT;
	return flags;
}

/*
 * For the look-up only, as it keeps the mm from being torn down. A worker makes
 * the mm its own: where a page has no struct page, as in a private mapping of
 * persistent memory, copy-on-write reads it by its user address.
 */
static bool hold_mm(struct mm_struct *mm)
{
	if (!mmget_not_zero(mm))
		return false;
	if (current->flags & PF_KTHREAD)
		kthread_use_mm(mm);
	return true;
}

/* The last reference must not be put here: exit would run in this worker. */
static void let_mm_go(struct mm_struct *mm)
{
	if (current->flags & PF_KTHREAD)
		kthread_unuse_mm(mm);
	mmput_async(mm);
}

/*
 * The normal look-up. May wait for reads from disk, a userfaultfd, or a FUSE
 * server, and lets the mmap_lock go meanwhile.
 */
static long look_up(struct odp_fault *fault, unsigned long addr,
		    unsigned long nr)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	int locked = 1;
	long got;

	mmap_read_lock(mm);
	got = odp_get_user_pages_remote(mm, addr, nr, gup_flags(fault),
					fault->pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return got;
}

/*
 * References are dropped whether or not the pages were published: no pins. The
 * look-up has marked each page as referenced, which a fault of the CPU's does
 * not. Together with the accessed bit one use would look like two, and reclaim
 * would keep all that a peer has ever streamed through.
 */
static void drop_pages(struct odp_fault *fault, long got)
{
	long i;

	if (odp_broken(ODP_RULE_NO_PIN))
		return;
	for (i = 0; i < got; i++) {
		folio_clear_referenced(page_folio(fault->pages[i]));
		put_page(fault->pages[i]);
	}
}

/* The errors of the look-up that say something to our callers. */
static int look_up_error(long got)
{
	if (got == -ENOMEM)
		return -ENOMEM;
	if (got == -EINTR || got == -ERESTARTSYS)
		return -EINTR;
	return -EFAULT;
}

static long finish(struct odp_fault *fault, unsigned long addr, long got)
{
	int err;

	if (!got)
		return -EAGAIN;
	if (got < 0)
		return look_up_error(got);

	odp_hook(ODP_POINT_LOOKED_UP, fault->umem);
	err = publish(fault, addr, got);
	drop_pages(fault, got);
	return err ? err : got;
}

static long fault_shared(struct odp_fault *fault, unsigned long addr,
			 unsigned long nr)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	long got;
	int err;

	err = begin(fault);
	if (err)
		return err;

	if (!hold_mm(mm))
		return -EFAULT;
	got = finish(fault, addr, look_up(fault, addr, nr));
	let_mm_go(mm);

	return got;
}

/* Until the mmap_lock, which is held for writing, is unlocked. */
static void shut_out_vma_readers(struct mm_struct *mm, unsigned long addr,
				 unsigned long end)
{
	struct vm_area_struct *vma;

	while (addr < end && (vma = find_vma(mm, addr)) &&
	       vma->vm_start < end) {
		odp_vma_start_write(vma);
		addr = vma->vm_end;
	}
}

/*
 * With the mmap_lock held for writing nobody unmaps, protects, forks or merges,
 * and with the VMAs' locks nobody discards; notifiers that do without them
 * (reclaim, migration) find something to do once. Nothing is waited for, as who
 * we would wait for may need the lock: pages that are not in memory are left to
 * fault_shared(), and so are errors, which may be a wait that was not granted.
 */
static long fault_exclusive(struct odp_fault *fault, unsigned long addr,
			    unsigned long nr)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	long got;

	if (!hold_mm(mm))
		return -EFAULT;
	if (mmap_write_lock_killable(mm)) {
		got = -EINTR;
		goto put_mm;
	}

	shut_out_vma_readers(mm, addr, addr + (nr << PAGE_SHIFT));
	got = try_begin(fault);
	if (!got) {
		got = odp_get_user_pages_remote(mm, addr, nr,
						gup_flags(fault) | FOLL_NOWAIT,
						fault->pages, NULL);
		got = got < 0 ? -EAGAIN : finish(fault, addr, got);
	}
	mmap_write_unlock(mm);
put_mm:
	let_mm_go(mm);
	return got;
}

static long fault_batch(struct odp_fault *fault, unsigned long addr,
			unsigned long nr)
{
	bool exclusive = fault->lost >= ODP_LOST_MAX &&
			 !odp_broken(ODP_RULE_PROGRESS);
	long got;
	int err;

	/* before the sequence is read: the allocation may take its time */
	err = odp_table_grow(fault->umem, addr);
	if (err)
		return err;

	if (exclusive)
		got = fault_exclusive(fault, addr,
				      min3(nr, fault->max, ODP_EXCLUSIVE_PAGES));
	else
		got = fault_shared(fault, addr, min(nr, fault->batch));
	if (got < 0 && got != -EAGAIN)
		return got;

	if (exclusive) {
		/* others may have gone on by now: ask them first again */
		fault->lost = ODP_LOST_MAX - ODP_LOST_AGAIN;
	} else if (got == -EAGAIN) {
		fault->lost++;
		fault->batch = max(fault->batch / 2, 1UL);
	} else {
		fault->lost = 0;
		fault->batch = min(fault->batch * 2, fault->max);
	}

	return got == -EAGAIN ? 0 : got;
}

/* A page is not to be had: is it to be stepped over? */
static bool steps_over(const struct odp_fault *fault, long err)
{
	return err == -EFAULT && fault->flags & ODP_FAULT_PRESENT &&
	       !odp_umem_gone(fault->umem);
}

static int fault_range(struct odp_fault *fault, unsigned long addr,
		       unsigned long end)
{
	unsigned long nr;
	long got = 0;

	for (; addr != end; addr += got << PAGE_SHIFT) {
		got = 0;
		nr = odp_table_missing(fault->umem, &addr, end,
				       fault_writes(fault));
		if (nr)
			got = fault_batch(fault, addr, nr);
		if (got < 0) {
			odp_table_trim(fault->umem, addr);
			if (!steps_over(fault, got))
				return got;
			got = 1;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * odp_umem_fault - make memory of a umem present
 * @umem: held by the caller
 * @addr: first byte
 * @len: in bytes; as much as is known to be wanted soon
 * @flags: ODP_FAULT_WRITE, ODP_FAULT_PREFETCH, ODP_FAULT_PRESENT
 *
 * Does what an access by the CPU would do: swaps in, copies on write, waits
 * for userfaultfd and FUSE. Pages that are present already cost little. By the
 * time it returns, some may have been taken away again.
 *
 * Context: a thread of the umem's mm or of the kernel; sleeps, for as long as
 * the memory's owner likes. No lock of the mm's held, nor any that a notifier's
 * caller may wait for.
 * Return: 0: each page was present at some moment during the call, or with
 * ODP_FAULT_PRESENT each that the CPU had; -EFAULT: outside the umem, no mapping,
 * no permission, memory that has no pages, another process's, or the umem or its
 * mm are gone; -ENOMEM; -EINTR: the calling task is killed.
 */
int odp_umem_fault(struct odp_umem *umem, unsigned long addr, size_t len,
		   unsigned int flags)
{
	struct page *few[ODP_FEW_PAGES];
	struct odp_fault fault = {
		.umem = umem,
		.flags = flags,
		.pages = few,
		.max = ODP_FEW_PAGES,
	};
	unsigned long end;
	int err;

	if (!odp_umem_covers(umem, addr, len) ||
	    (fault_writes(&fault) && !umem->writable))
		return -EFAULT;
	if (!(current->flags & PF_KTHREAD) && current->mm != umem->ctx->mm)
		return -EFAULT;
	if (!len)
		return 0;

	trace_odp_fault(umem, addr, len, flags);
	end = PAGE_ALIGN(addr + len);
	addr &= PAGE_MASK;
	if (end - addr > ODP_FEW_PAGES * PAGE_SIZE) {
		fault.max = min((end - addr) >> PAGE_SHIFT, ODP_LEAF_PAGES);
		fault.pages = kmalloc_array(fault.max, sizeof(*fault.pages),
					    GFP_KERNEL);
		if (!fault.pages)
			return -ENOMEM;
	}
	fault.batch = fault.max;

	err = fault_range(&fault, addr, end);
	if (fault.pages != few)
		kfree(fault.pages);
	return err;
}
