// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Faulting pages of an ODP umem in: looked up batch by batch without a lock of
 * ours, so that notifiers do not wait for it, and published if none has started
 * over the pages meanwhile.
 *
 * Readers of hmm_range_fault() will recognise it: read the sequence, look up,
 * lock, check, publish or start again. A look-up that loses to notifiers again
 * and again tries fewer pages each time, and in the end goes first: notifiers
 * over its page wait for it, see fault_batch().
 */
#include <linux/fs.h>
#include <linux/hugetlb_inline.h>
#include <linux/kthread.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "base/compat.h"
#include "odp/internal.h"
#include "odp/lookup.h"
#include "odp/table.h"

#define CREATE_TRACE_POINTS
#include "odp/trace.h"

/* a fault of so few pages, as for a packet, allocates no array of them */
#define ODP_FEW_PAGES		4
/* lost look-ups until one goes first */
#define ODP_LOST_MAX		4
/* tries to go first, until a check whether the page is still missing */
#define ODP_FIRST_TRIES		4

/**
 * struct odp_fault - one call of odp_umem_fault()
 * @umem: the umem
 * @flags: ODP_FAULT_ flags
 * @pages: looked up and not published yet
 * @batch: how many to look up at once; at most @max
 * @max: how many @pages has room for
 * @has_leaf: the table had a leaf for the next page
 * @lost: look-ups thrown away since the last that was published
 * @lookup: the one that is under way
 * @hold: the caller's, or NULL
 * @memcg: memcg of the mm's owner, which a kthread charges meanwhile
 * @old_memcg: memcg that the kthread charges otherwise
 */
struct odp_fault {
	struct odp_umem *umem;
	unsigned int flags;
	struct page **pages;
	unsigned long batch;
	unsigned long max;
	bool has_leaf;
	unsigned int lost;
	struct odp_lookup lookup;
	struct odp_hold *hold;
	struct mem_cgroup *memcg;
	struct mem_cgroup *old_memcg;
};

static bool fault_writes(const struct odp_fault *fault)
{
	return fault->flags & ODP_FAULT_WRITE;
}

/* Under the context's lock, after the check of dying: @totals still exist. */
static void count_published(struct odp_fault *fault, int added)
{
	struct odp_umem *umem = fault->umem;

	odp_count(umem, mapped, added);
	if (fault->flags & ODP_FAULT_PREFETCH)
		odp_count(umem, page_prefetch, added);
	else
		odp_count(umem, page_faults, added);
}

static int publish_locked(struct odp_fault *fault, unsigned long addr,
			  unsigned long nr)
{
	struct odp_umem *umem = fault->umem;
	struct odp_context *ctx = umem->ctx;
	int added;

	lockdep_assert_held(&ctx->lock);

	if ((umem->dying && !odp_broken(ODP_RULE_DYING)) ||
	    (ctx->dead && !odp_broken(ODP_RULE_DEAD)))
		return -EFAULT;
	if (!odp_lookup_valid(&fault->lookup)) {
		odp_count(umem, retries, 1);
		trace_odp_retry(umem, addr, nr);
		return -EAGAIN;
	}

	added = odp_table_publish(umem, addr, fault->pages, nr,
				  fault_writes(fault));
	if (added > 0)
		count_published(fault, added);
	trace_odp_publish(umem, addr, nr, added);
	return min(added, 0);
}

/*
 * Check and publish under one hold of the lock: no notifier comes between.
 * @end: end the look-up under it, too, to save another hold.
 */
static int publish(struct odp_fault *fault, unsigned long addr,
		   unsigned long nr, bool end)
{
	struct odp_context *ctx = fault->umem->ctx;
	int err;

	odp_hook(ODP_POINT_LOOKED_UP, fault->umem);
	spin_lock(&ctx->lock);
	err = publish_locked(fault, addr, nr);
	if (end)
		odp_lookup_end_locked(&fault->lookup);
	spin_unlock(&ctx->lock);

	return err;
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
 * For the look-up only, as it keeps the mm from being torn down. A kthread uses
 * the mm as its own: where a page has no struct page, as in a private mapping
 * of persistent memory, copy-on-write reads it by its user address. It also
 * charges the memcg of the mm's owner: page tables are charged to the task that
 * faults, and a kthread has no memcg.
 */
static bool hold_mm(struct odp_fault *fault)
{
	struct mm_struct *mm = fault->umem->ctx->mm;

	if (!mmget_not_zero(mm))
		return false;
	if (!(current->flags & PF_KTHREAD))
		return true;

	kthread_use_mm(mm);
	if (!odp_broken(ODP_RULE_CHARGE))
		fault->memcg = get_mem_cgroup_from_mm(mm);
	fault->old_memcg = set_active_memcg(fault->memcg);
	return true;
}

/* mmput() might drop the last reference, and run exit_mmap() in this worker. */
static void release_mm(struct odp_fault *fault)
{
	struct mm_struct *mm = fault->umem->ctx->mm;

	if (current->flags & PF_KTHREAD) {
		set_active_memcg(fault->old_memcg);
		mem_cgroup_put(fault->memcg);
		kthread_unuse_mm(mm);
	}
	mmput_async(mm);
}

/*
 * A task that holds the lock, or waits for it, may wait for a userfaultfd or FUSE
 * server itself.
 */
static int lock_mm(const struct odp_fault *fault)
{
	struct mm_struct *mm = fault->umem->ctx->mm;

	if (fault->flags & ODP_FAULT_NOWAIT)
		return mmap_read_trylock(mm) ? 0 : -EBUSY;
	return mmap_read_lock_killable(mm) ? -EINTR : 0;
}

/*
 * Memory whose faults wait for nobody with FOLL_NOWAIT. A file system may have
 * a server, and wait for it all the same: to read a page without readahead, or
 * before it lets a page be written.
 */
static bool has_no_server(struct vm_area_struct *vma)
{
	return vma_is_anonymous(vma) || is_vm_hugetlb_page(vma) ||
	       (vma->vm_file &&
		file_inode(vma->vm_file)->i_sb->s_magic == TMPFS_MAGIC);
}

/*
 * Look up what takes no wait: what is present, and what a fault can make so at
 * once. The mmap_lock is held for reading, and stays so.
 */
static long look_up_nowait(struct odp_fault *fault, unsigned long addr,
			   unsigned long nr, struct page **pages)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	struct vm_area_struct *vma = vma_lookup(mm, addr);
	bool no_server = true;
	long got;

	if (vma) {
		nr = min(nr, (vma->vm_end - addr) >> PAGE_SHIFT);
		no_server = has_no_server(vma);
	}
	got = odp_get_user_pages_remote(mm, addr, nr, gup_flags(fault) |
					(no_server ? FOLL_NOWAIT : FOLL_NOFAULT),
					pages, NULL);
	if (!got || (got == -EFAULT && !no_server))
		return -EBUSY;
	return got;
}

/*
 * The normal look-up. May wait for reads from disk, a userfaultfd, or a FUSE
 * server, and releases the mmap_lock meanwhile; if it is not to wait, it does
 * neither, and fails with -EBUSY.
 */
static long look_up(struct odp_fault *fault, unsigned long addr,
		    unsigned long nr, struct page **pages, int *locked)
{
	if (fault->flags & ODP_FAULT_NOWAIT)
		return look_up_nowait(fault, addr, nr, pages);
	return odp_get_user_pages_remote(fault->umem->ctx->mm, addr, nr,
					 gup_flags(fault), pages, locked);
}

/*
 * References are dropped whether or not the pages were published: no pins. The
 * look-up has marked each page as referenced, which a page fault does not.
 * Together with the accessed bit one use would look like two, and reclaim would
 * keep all that a peer has ever streamed through.
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

/* Reduce the look-up's errors to those that our callers tell apart. */
static int look_up_error(long got)
{
	if (got == -ENOMEM)
		return -ENOMEM;
	if (got == -EINTR || got == -ERESTARTSYS)
		return -EINTR;
	if (got == -EBUSY)
		return -EBUSY;
	return -EFAULT;
}

static long fault_shared(struct odp_fault *fault, unsigned long addr,
			 unsigned long nr)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	int locked = 1;
	long got;
	int err;

	/* before the sequence is read: the allocation may take long */
	err = fault->has_leaf ? 0 : odp_table_grow(fault->umem, addr);
	if (err)
		return err;
	err = odp_lookup_begin(&fault->lookup, addr, nr);
	/* notifiers overlap without a gap: the next wait would fail, too */
	if (err == -EAGAIN)
		fault->lost = ODP_LOST_MAX;
	if (err)
		return err;

	err = -EFAULT;
	if (!hold_mm(fault))
		goto end_lookup;
	got = lock_mm(fault);
	if (!got) {
		got = look_up(fault, addr, nr, fault->pages, &locked);
		if (locked)
			mmap_read_unlock(mm);
	}
	release_mm(fault);
	if (got <= 0) {
		err = got ? look_up_error(got) : -EAGAIN;
		goto end_lookup;
	}

	err = publish(fault, addr, got, true);
	drop_pages(fault, got);
	return err ? err : got;

end_lookup:
	odp_lookup_end(&fault->lookup);
	return err;
}

/*
 * Look a page up again and publish it, with the mmap_lock held for reading.
 * FOLL_NOWAIT keeps the lock: it refuses the waits for which a page fault drops
 * it, at its first try, and allows those that it makes with the lock held, at
 * its second. So any error may be a refused wait: it becomes -EAGAIN, and the
 * caller's next look-up gets the real one.
 *
 * A wait with the lock held, as of page_mkwrite() on a frozen file system, is one
 * that the normal look-up and a CPU's fault make in the same way. To refuse it
 * here, by FOLL_NOFAULT, would only move it into the look-up that comes next, and
 * lose a page of a file that another task has unmapped meanwhile.
 */
static long publish_first(struct odp_fault *fault, unsigned long addr,
			  struct odp_hold *hold)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	long got;
	int err;

	err = odp_lookup_begin_first(&fault->lookup, addr, hold);
	if (err)
		return err;
	if (fault->flags & ODP_FAULT_NOWAIT)
		got = look_up_nowait(fault, addr, 1, fault->pages);
	else
		got = odp_get_user_pages_remote(mm, addr, 1, gup_flags(fault) |
						FOLL_NOWAIT, fault->pages, NULL);
	if (got <= 0)
		return -EAGAIN;

	err = publish(fault, addr, got, false);
	drop_pages(fault, got);
	return err ? err : got;
}

/* One try of fault_first(); see fault_batch() for what may come between. */
static long try_first(struct odp_fault *fault, unsigned long addr,
		      struct odp_hold *hold)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	struct page *held;
	int locked = 1;
	long got;

	got = lock_mm(fault);
	if (got)
		return got;
	got = look_up(fault, addr, 1, &held, &locked);
	if (!locked && mmap_read_lock_killable(mm)) {
		if (got > 0)
			put_page(held);
		return -EINTR;
	}
	if (got <= 0) {
		got = got ? look_up_error(got) : -EAGAIN;
		goto unlock;
	}

	/* the second look-up is the one that counts as a use */
	folio_clear_referenced(page_folio(held));
	got = publish_first(fault, addr, hold);
	put_page(held);
unlock:
	mmap_read_unlock(mm);
	return got;
}

static long fault_first(struct odp_fault *fault, unsigned long addr)
{
	struct odp_hold own, *hold = fault->hold;
	int tries = 0;
	long got;

	if (!hold_mm(fault))
		return -EFAULT;
	if (!hold) {
		hold = &own;
		odp_umem_hold(hold, fault->umem, addr, PAGE_SIZE);
	}
	do {
		got = odp_table_grow(fault->umem, addr);
		if (!got)
			got = try_first(fault, addr, hold);
	} while (got == -EAGAIN && ++tries < ODP_FIRST_TRIES);
	if (fault->lookup.hold)
		odp_lookup_end(&fault->lookup);
	if (!fault->hold)
		odp_umem_unhold(hold);
	release_mm(fault);

	return got;
}

/*
 * Where the range ends of which the page table is not there; 0: it is, for the page
 * at @addr. Tables above the last level stay while the mmap_lock is held for
 * reading, in which others may only add some: but for those of hugetlbfs, which
 * processes share, and which go when the file is truncated.
 */
static unsigned long absent_table_end(struct mm_struct *mm, unsigned long addr,
				      unsigned long end)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(READ_ONCE(*pgd)))
		return pgd_addr_end(addr, end);
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(READ_ONCE(*p4d)))
		return p4d_addr_end(addr, end);
	if (p4d_bad(READ_ONCE(*p4d)))
		return 0;
	pud = pud_offset(p4d, addr);
	if (pud_none(READ_ONCE(*pud)))
		return pud_addr_end(addr, end);
	/* a huge page */
	if (pud_bad(READ_ONCE(*pud)))
		return 0;
	pmd = pmd_offset(pud, addr);
	return pmd_none(READ_ONCE(*pmd)) ? pmd_addr_end(addr, end) : 0;
}

/* How many pages from @addr on are known to be absent, as the first one is. */
static unsigned long count_absent(struct mm_struct *mm, unsigned long addr,
				  unsigned long end)
{
	struct vm_area_struct *vma = find_vma(mm, addr);
	unsigned long next;

	if (!vma)
		next = end;
	else if (vma->vm_start > addr)
		next = min(vma->vm_start, end);
	else if (is_vm_hugetlb_page(vma))
		next = addr + PAGE_SIZE;
	else
		next = absent_table_end(mm, addr, end) ?: addr + PAGE_SIZE;
	return (next - addr) >> PAGE_SHIFT;
}

/* Publish contiguous pages that are present, or skip absent ones; how many? */
static long publish_present(struct odp_fault *fault, unsigned long addr,
			    unsigned long nr, unsigned long end)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	long got;
	int err;

	nr = odp_pages_nofault(mm, addr, nr);
	got = nr ? odp_get_user_pages_remote(mm, addr, nr, gup_flags(fault),
					     fault->pages, NULL) : -EFAULT;
	if (got <= 0) {
		err = look_up_error(got);
		return err == -EFAULT ? count_absent(mm, addr, end) : err;
	}

	err = odp_table_grow(fault->umem, addr);
	if (!err)
		err = publish(fault, addr, got, false);
	drop_pages(fault, got);
	return err ? err : got;
}

/*
 * Publish what the CPU has present of @nr pages, and skip up to @end what is not
 * mapped or has no page table: with one look-up, since most of the pages may be
 * absent.
 */
static long fault_present(struct odp_fault *fault, unsigned long addr,
			  unsigned long nr, unsigned long end)
{
	struct mm_struct *mm = fault->umem->ctx->mm;
	unsigned long at = addr, stop = addr + (nr << PAGE_SHIFT);
	long got;
	int err;

	err = odp_lookup_begin(&fault->lookup, addr, nr);
	if (err)
		return err;

	got = -EFAULT;
	if (!hold_mm(fault))
		goto end_lookup;
	got = lock_mm(fault);
	if (got)
		goto put_mm;
	do {
		got = publish_present(fault, at, (stop - at) >> PAGE_SHIFT,
				      end);
		if (got > 0)
			at += got << PAGE_SHIFT;
	} while (got > 0 && at < stop && !odp_broken(ODP_RULE_PRESENT));
	mmap_read_unlock(mm);
put_mm:
	release_mm(fault);
end_lookup:
	odp_lookup_end(&fault->lookup);
	return at == addr ? got : (at - addr) >> PAGE_SHIFT;
}

/*
 * Look up and publish pages, or some of them: decides how many, and how.
 *
 * A look-up loses when a notifier starts over its pages before they are
 * published, or over and over while it waits for those that run. Each that loses
 * is followed by one of half as many pages, so that what others do to the
 * neighbours matters less and less. After ODP_LOST_MAX of them one goes first,
 * for one page:
 *
 * 1. The page is looked up in the normal way, which may wait without bound, and
 *    a reference to it is kept: page-out cannot free it in between. The mmap_lock
 *    is held for reading from here to 3, and keeps out tasks that need it for
 *    writing: munmap(), mprotect(), mremap(), fork(), khugepaged.
 * 2. Other tasks that start a notifier over the page are held back until this
 *    is done, or until the caller has used it, where the hold is the caller's;
 *    those that run are waited for. Both are bounded, see
 *    odp_lookup_begin_first().
 * 3. The page is looked up again, with nothing to wait for: it is there, unless
 *    it was discarded (it is zeroed, or found in the page cache or swap cache
 *    where our reference keeps it), shared or merged (it is copied, and the
 *    notifier of that is our own) between 1 and 2. Then it is published.
 *
 * This loses only if 3 finds the page gone or locked, or a notifier starts that
 * is not held back: the OOM reaper's, reclaim's, that of another task with a
 * look-up of its own, or one whose time is up, as 3 had to reclaim memory or
 * wait for a file system. A program can make none of these happen in a loop,
 * except for the first, by discarding the page between 1 and 2 where 3 has to
 * wait for it. So the hold of 2 stays while 1 is tried again: to interfere once
 * more, the program would have to do so within the moment from the end of 1 to
 * that of 3, when it has just been held back for longer than that.
 *
 * So a page that other tasks take away all the time needs ODP_LOST_MAX look-ups
 * that are lost, one of 1, one of 3; its successor, of which we expect the
 * same, one that is lost and these two. Nothing is held meanwhile that other
 * tasks could wait for without bound: 1 drops the mmap_lock where it sleeps, or
 * sleeps as long as a page fault would.
 *
 * With ODP_FAULT_TRY the first that loses is the last: pages that are wanted
 * soon are not worth looking up one at a time, while earlier ones are taken
 * away again.
 *
 * With ODP_FAULT_NOWAIT it may end with -EBUSY, as the wait for notifiers is bounded:
 * the caller's next try, which may wait, is the one that makes progress.
 *
 * With ODP_FAULT_PRESENT no notifier is held back: it is advice, and a page
 * that is being taken away may be left out.
 */
static long fault_batch(struct odp_fault *fault, unsigned long addr,
			unsigned long nr, unsigned long end)
{
	bool enough = (fault->hold || fault->lost >= ODP_LOST_MAX) &&
		      !odp_broken(ODP_RULE_PROGRESS);
	bool present = fault->flags & ODP_FAULT_PRESENT;
	long got;

	nr = min(nr, fault->batch);
	if (present)
		got = fault_present(fault, addr, nr, end);
	else if (enough)
		got = fault_first(fault, addr);
	else
		got = fault_shared(fault, addr, nr);

	if (got == -EAGAIN) {
		if (fault->flags & ODP_FAULT_TRY)
			return -EAGAIN;
		fault->lost++;
		fault->batch = max(fault->batch / 2, 1UL);
		if (!present || !enough)
			return 0;
		fault->lost = 0;
		odp_table_trim(fault->umem, addr);
		return nr;
	}
	if (got < 0)
		return got;

	if (enough && !present) {
		/* others may have stopped by now: do not go first at once */
		fault->lost = ODP_LOST_MAX - 1;
	} else {
		fault->lost = 0;
		fault->batch = min(fault->batch * 2, fault->max);
	}
	return got;
}

static int fault_range(struct odp_fault *fault, unsigned long addr,
		       unsigned long end)
{
	unsigned long nr;
	long got = 0;

	for (; addr != end; addr += got << PAGE_SHIFT) {
		got = 0;
		nr = odp_table_missing(fault->umem, &addr, end,
				       fault_writes(fault), &fault->has_leaf);
		if (nr)
			got = fault_batch(fault, addr, nr, end);
		if (got < 0) {
			odp_table_trim(fault->umem, addr);
			return got;
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
 * @flags: ODP_FAULT_WRITE, ODP_FAULT_PREFETCH, ODP_FAULT_PRESENT, ODP_FAULT_TRY,
 *	   ODP_FAULT_NOWAIT
 * @hold: of odp_umem_hold(), of all of it, or NULL
 *
 * Does what an access by the CPU would do: swaps in, copies on write, waits
 * for userfaultfd and FUSE. Pages that are present already cost little. By the
 * time it returns, some may have been taken away again; with @hold they stay until
 * odp_umem_unhold(), unless the notifier cannot wait, or not for so long.
 *
 * Context: a thread of the umem's mm or of the kernel; sleeps, for as long as
 * the memory's owner likes, but with ODP_FAULT_NOWAIT only for memory and, for
 * ODP_NOWAIT_MAX, for notifiers. No lock of the mm's held, nor any that a notifier's
 * caller may wait for.
 * Return: 0: each page was present at some moment during the call, or with
 * ODP_FAULT_PRESENT each that the CPU had and no task was taking away; -EFAULT:
 * outside the umem, no mapping, no permission, memory that has no pages,
 * another process's, or the umem or its mm are gone; -ENOMEM, also where the
 * memcg of the memory's owner is at its limit; -EINTR: the calling task is
 * killed; -EAGAIN: ODP_FAULT_TRY has given up; -EBUSY: ODP_FAULT_NOWAIT, and the
 * next page may take a wait.
 */
int odp_umem_fault(struct odp_umem *umem, unsigned long addr, size_t len,
		   unsigned int flags, struct odp_hold *hold)
{
	struct page *few[ODP_FEW_PAGES];
	struct odp_fault fault;
	unsigned long end;
	int err;

	if (!odp_umem_covers(umem, addr, len) ||
	    (flags & ODP_FAULT_WRITE && !umem->writable))
		return -EFAULT;
	if (!(current->flags & PF_KTHREAD) && current->mm != umem->ctx->mm)
		return -EFAULT;
	if (!len)
		return 0;

	trace_odp_fault(umem, addr, len, flags);
	fault.umem = umem;
	fault.flags = flags;
	fault.pages = few;
	fault.max = ODP_FEW_PAGES;
	fault.lost = 0;
	fault.hold = hold;
	fault.memcg = NULL;
	odp_lookup_init(&fault.lookup, umem, flags & ODP_FAULT_PRESENT,
			flags & ODP_FAULT_NOWAIT);
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
