// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* All accesses of the protocol to memory go through these functions. */
#include <linux/highmem.h>

#include "base/rule.h"
#include "mem/access.h"
#include "mem/kernel_mr.h"
#include "mem/mw.h"
#include "wait/direction.h"

static u64 rxe_mr_length(const struct rxe_mr *mr)
{
	/* broken: up to the end of the last page, which is pinned as a whole */
	if (rxe_broken(bounds) && mr->kind == RXE_MR_PINNED)
		return PAGE_ALIGN(mr->addr + mr->ibmr.length) - mr->addr;
	return mr->ibmr.length;
}

static bool rxe_mr_allows(const struct rxe_mr *mr,
			  const struct rxe_access *access)
{
	if (mr->key != access->key && !(rxe_broken(key) && mr->key))
		return false;
	if (mr->ibmr.pd != access->pd && !rxe_broken(pd))
		return false;
	/* broken: but memory pinned for reading only is never written */
	if ((mr->access & access->rights) != access->rights &&
	    !(rxe_broken(rights) && (mr->access & IB_ACCESS_LOCAL_WRITE)))
		return false;
	return access->whole ||
	       rxe_in_bounds(mr->ibmr.iova, rxe_mr_length(mr), access->iova,
			     access->len);
}

static struct rxe_mw *keyed_to_mw(struct rxe_keyed *keyed)
{
	return container_of(keyed, struct rxe_mw, keyed);
}

static struct rxe_mr *keyed_to_mr(struct rxe_keyed *keyed)
{
	return container_of(keyed, struct rxe_mr, keyed);
}

static int rxe_pages_access(const struct rxe_mr *mr, u64 offset, u32 len,
			    odp_actor_t actor, void *arg)
{
	unsigned long at = offset_in_page(mr->addr) + offset;
	void *kaddr;
	size_t n;
	int err;

	while (len) {
		n = min_t(size_t, len, PAGE_SIZE - offset_in_page(at));
		kaddr = kmap_local_page(mr->pages[at >> PAGE_SHIFT]);
		err = actor(kaddr + offset_in_page(at), n, arg);
		kunmap_local(kaddr);
		if (err)
			return err;
		at += n;
		len -= n;
	}
	return 0;
}

static int rxe_odp_access(const struct rxe_mr *mr, u64 offset,
			  const struct rxe_access *access, odp_actor_t actor,
			  void *arg)
{
	bool write = access->rights & ~IB_ACCESS_REMOTE_READ;
	unsigned long addr = mr->addr + offset;
	u64 rest = mr->ibmr.length - offset;
	int err;

	err = odp_umem_access(mr->odp, addr, access->len, write, actor, arg);
	if (err != -EAGAIN || !access->dir)
		return err;

	return rxe_park(access->dir, mr->odp, addr, access->len,
			min_t(u64, access->ahead, rest), write);
}

/* The access is allowed, and begins at an offset in the region. */
static int rxe_region_access(const struct rxe_mr *mr, u64 offset,
			     const struct rxe_access *access,
			     odp_actor_t actor, void *arg)
{
	switch (mr->kind) {
	case RXE_MR_ODP:
		return rxe_odp_access(mr, offset, access, actor, arg);
	case RXE_MR_DMA:
		return rxe_dma_access(access, actor, arg);
	case RXE_MR_DMABUF:
		return actor(mr->kaddr + mr->addr + offset, access->len, arg);
	case RXE_MR_FAST:
		return rxe_blocks_access(mr, offset, access->len, actor, arg);
	default:
		return rxe_pages_access(mr, offset, access->len, actor, arg);
	}
}

static int rxe_allowed_access(const struct rxe_mr *mr,
			      const struct rxe_access *access,
			      odp_actor_t actor, void *arg)
{
	if (!rxe_mr_allows(mr, access))
		return -EACCES;
	return rxe_region_access(mr, access->iova - mr->ibmr.iova, access,
				 actor, arg);
}

static int rxe_fast_access(struct rxe_mr *mr, const struct rxe_access *access,
			   odp_actor_t actor, void *arg)
{
	int err;

	spin_lock(&mr->lock);
	err = rxe_allowed_access(mr, access, actor, arg);
	spin_unlock(&mr->lock);
	return err;
}

/* The window's key is not invalidated during the access. */
static int rxe_window_access(struct rxe_mw *mw, const struct rxe_access *access,
			     odp_actor_t actor, void *arg)
{
	const struct rxe_mr *mr;
	int err = -EACCES;
	u64 offset;

	mr = rxe_mw_begin(mw, access, &offset);
	if (mr)
		err = rxe_region_access(mr, offset, access, actor, arg);
	rxe_mw_end(mw);
	return err;
}

static struct rxe_keyed *rxe_access_begin(const struct rxe_access *access)
{
	struct rxe_key_hold *hold = access->hold;
	struct rxe_keyed *keyed;

	if (hold && hold->keyed &&
	    hold->keyed->handle->number == access->key >> RXE_KEY_BITS)
		return hold->keyed;

	keyed = rxe_keyed_get(to_rdev(access->pd->device), access->key);
	if (hold && keyed) {
		rxe_key_release(hold);
		hold->keyed = keyed;
	}
	return keyed;
}

static void rxe_access_end(const struct rxe_access *access,
			   struct rxe_keyed *keyed)
{
	if (!access->hold)
		rxe_handle_put(keyed->handle);
}

/**
 * rxe_mr_access - read or write the memory that a key gives access to
 * @access: where, and by what right
 * @actor: called for each run of contiguous memory, in order
 * @arg: passed to @actor
 *
 * Refused, by IBTA 10.6.3: a key that names nothing, another PD, missing
 * rights, bytes out of bounds.
 *
 * Context: BH disabled, under the lock of @access->dir.
 * Return: 0; -EAGAIN: memory has to be faulted in, and @access->dir, if any, has
 * parked, and will run again to make the whole access anew; another errno: it is
 * not allowed, or the memory is not there; see rxe_park().
 */
int rxe_mr_access(const struct rxe_access *access, odp_actor_t actor,
		  void *arg)
{
	struct rxe_keyed *keyed = rxe_access_begin(access);
	struct rxe_mr *mr;
	int err;

	lockdep_assert_in_softirq();
	lockdep_assert(!access->dir || lockdep_is_held(access->dir->lock));
	if (!keyed)
		return -EACCES;

	mr = keyed_to_mr(keyed);
	if (keyed->is_window)
		err = rxe_window_access(keyed_to_mw(keyed), access, actor, arg);
	else if (mr->kind == RXE_MR_FAST)
		err = rxe_fast_access(mr, access, actor, arg);
	else
		err = rxe_allowed_access(mr, access, actor, arg);
	rxe_access_end(access, keyed);

	return err;
}

/**
 * rxe_mr_check - check whether an access would be allowed
 * @access: where, and by what right
 *
 * Context: BH disabled.
 * Return: 0 or -EACCES.
 */
int rxe_mr_check(const struct rxe_access *access)
{
	struct rxe_keyed *keyed = rxe_access_begin(access);
	bool allowed;

	lockdep_assert_in_softirq();
	if (!keyed)
		return -EACCES;

	if (keyed->is_window)
		allowed = rxe_mw_check(keyed_to_mw(keyed), access);
	else
		allowed = rxe_mr_allows(keyed_to_mr(keyed), access);
	rxe_access_end(access, keyed);

	return allowed ? 0 : -EACCES;
}

/**
 * rxe_invalidate - invalidate a key, as a request asks
 * @pd: of the QP that the request was posted to, or came for
 * @qpn: of that QP
 * @key: untrusted, from a program or a peer
 *
 * When it returns, no access by this key is under way.
 *
 * Context: BH disabled.
 * Return: 0; -EINVAL: it is not the key of a window of type 2 that is bound to
 * that QP, nor that of a fast registration.
 */
int rxe_invalidate(struct ib_pd *pd, u32 qpn, u32 key)
{
	struct rxe_keyed *keyed = rxe_keyed_get(to_rdev(pd->device), key);
	int err;

	lockdep_assert_in_softirq();
	if (!keyed)
		return -EINVAL;

	if (keyed->is_window)
		err = rxe_mw_invalidate(keyed_to_mw(keyed), pd, qpn, key);
	else
		err = rxe_mr_invalidate(keyed_to_mr(keyed), pd, key);
	rxe_handle_put(keyed->handle);

	return err;
}

/**
 * rxe_mr_hold_odp - find on-demand memory, to fault it in
 * @access: where, and by what right
 * @umem: set to the memory, held
 * @addr: set to the user address of the first byte
 *
 * Context: any.
 * Return: 0; -EFAULT: no such region, or outside of it; -ENOENT: the lowest
 * bits of the key are wrong; -EPERM: another PD's region, or one without the
 * rights; -EINVAL: its memory is not paged on demand.
 */
int rxe_mr_hold_odp(const struct rxe_access *access, struct odp_umem **umem,
		    unsigned long *addr)
{
	struct rxe_keyed *keyed = rxe_keyed_get(to_rdev(access->pd->device),
						access->key);
	struct rxe_mr *mr;
	int err = 0;

	if (!keyed)
		return -EFAULT;

	mr = keyed_to_mr(keyed);
	if (keyed->is_window)
		err = -EFAULT;
	else if (mr->key != access->key)
		err = -ENOENT;
	else if (mr->ibmr.pd != access->pd)
		err = -EPERM;
	else if (mr->kind != RXE_MR_ODP)
		err = -EINVAL;
	else if ((mr->access & access->rights) != access->rights)
		err = -EPERM;
	else if (!rxe_mr_allows(mr, access))
		err = -EFAULT;
	if (err)
		goto put;

	odp_umem_get(mr->odp);
	*umem = mr->odp;
	*addr = mr->addr + (access->iova - mr->ibmr.iova);
put:
	rxe_handle_put(keyed->handle);
	return err;
}

/**
 * rxe_sgl_access - read or write part of a scatter-gather list
 * @proto: the access, except for its key, iova and length; its @ahead counts
 *	   bytes of the list, from @offset on
 * @sge: the list, a copy that no program can change
 * @num_sge: its length
 * @offset: bytes from the beginning of the list
 * @len: bytes; the list has them
 * @actor: called for each run of contiguous memory, in order
 * @arg: passed to @actor
 *
 * Context: as rxe_mr_access().
 * Return: as rxe_mr_access().
 */
int rxe_sgl_access(const struct rxe_access *proto, const struct rxe_sge *sge,
		   u32 num_sge, u32 offset, u32 len, odp_actor_t actor,
		   void *arg)
{
	struct rxe_access access = *proto;
	u32 ahead = max(proto->ahead, len);
	int err;

	for (; len && num_sge; sge++, num_sge--) {
		if (offset >= sge->length) {
			offset -= sge->length;
			continue;
		}

		access.key = sge->lkey;
		access.iova = sge->addr + offset;
		access.len = min(len, sge->length - offset);
		access.ahead = min(ahead, sge->length - offset);
		err = rxe_mr_access(&access, actor, arg);
		if (err)
			return err;

		ahead -= access.len;
		len -= access.len;
		offset = 0;
	}
	return len ? -EACCES : 0;
}

/**
 * rxe_copy_from_mr - an odp_actor_t: copy memory to a buffer
 * @kaddr: source
 * @len: bytes
 * @arg: pointer to where in the buffer; moved on
 *
 * Return: 0.
 */
int rxe_copy_from_mr(void *kaddr, size_t len, void *arg)
{
	void **to = arg;

	memcpy(*to, kaddr, len);
	*to += len;
	return 0;
}

/**
 * rxe_copy_to_mr - an odp_actor_t: copy a buffer to memory
 * @kaddr: destination
 * @len: bytes
 * @arg: pointer to where in the buffer; moved on
 *
 * Return: 0.
 */
int rxe_copy_to_mr(void *kaddr, size_t len, void *arg)
{
	const void **from = arg;

	memcpy(kaddr, *from, len);
	*from += len;
	return 0;
}
