// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory windows: IBTA volume 1, 10.6.7. */
#include "base/compat.h"
#include "base/dev.h"
#include "base/handle.h"
#include "base/rule.h"
#include "mem/mw.h"

#define RXE_MW_RIGHTS	(IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_WRITE | \
			 IB_ACCESS_REMOTE_ATOMIC | IB_ACCESS_FLUSH_GLOBAL)
#define RXE_MW_WRITES	(IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_ATOMIC)

/**
 * rxe_alloc_mw - ib_device_ops.alloc_mw
 * @ibmw: allocated by the core, with its type; its key is set
 * @udata: unused
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_alloc_mw(struct ib_mw *ibmw, struct ib_udata *udata)
{
	struct rxe_dev *dev = to_rdev(ibmw->device);
	struct rxe_mw *mw = to_rmw(ibmw);

	if (ibmw->type != IB_MW_TYPE_1 && ibmw->type != IB_MW_TYPE_2)
		return rxe_refuse(ibmw->device, -EINVAL,
				  "create MW: there is no type %d", ibmw->type);

	spin_lock_init(&mw->lock);
	mw->keyed.is_window = true;
	mw->keyed.handle = rxe_handle_create(&dev->mrs);
	if (IS_ERR(mw->keyed.handle))
		return rxe_refuse(ibmw->device, PTR_ERR(mw->keyed.handle),
				  "create MW: no key, or no memory");

	mw->rkey = rxe_new_key(mw->keyed.handle);
	ibmw->rkey = mw->rkey;
	rxe_handle_publish(mw->keyed.handle, &mw->keyed);
	return 0;
}

static void rxe_mw_unbind(struct rxe_mw *mw)
{
	lockdep_assert_held(&mw->lock);
	if (mw->mr)
		atomic_dec(&mw->mr->windows);
	mw->mr = NULL;
}

/**
 * rxe_dealloc_mw - ib_device_ops.dealloc_mw
 * @ibmw: the window, bound or not
 *
 * Context: may sleep.
 * Return: 0.
 */
int rxe_dealloc_mw(struct ib_mw *ibmw)
{
	struct rxe_mw *mw = to_rmw(ibmw);

	rxe_handle_destroy(mw->keyed.handle);
	spin_lock_bh(&mw->lock);
	rxe_mw_unbind(mw);
	spin_unlock_bh(&mw->lock);
	return 0;
}

/* The window of a key that a request names, held. */
static struct rxe_mw *rxe_mw_get(const struct ib_pd *pd, u32 rkey)
{
	struct rxe_keyed *keyed = rxe_keyed_get(to_rdev(pd->device), rkey);
	struct rxe_mw *mw;

	if (!keyed)
		return NULL;

	mw = container_of(keyed, struct rxe_mw, keyed);
	if (!keyed->is_window || mw->ibmw.pd != pd) {
		rxe_handle_put(keyed->handle);
		return NULL;
	}
	return mw;
}

static bool rxe_may_bind(const struct ib_pd *pd, const struct rxe_mr *mr,
			 const struct rxe_bind *bind)
{
	if (mr->ibmr.lkey != bind->lkey || mr->ibmr.pd != pd ||
	    (!(mr->access & IB_ACCESS_MW_BIND) && !rxe_broken(bind_right)))
		return false;
	/* a region without the right to write cannot give it to a peer */
	if ((bind->access & RXE_MW_WRITES) &&
	    !(mr->access & IB_ACCESS_LOCAL_WRITE))
		return false;
	return rxe_in_bounds(mr->ibmr.iova, mr->ibmr.length, bind->addr,
			     bind->length);
}

/* The region to bind, kept from being destroyed; NULL: it may not be bound. */
static struct rxe_mr *rxe_bind_region(const struct ib_pd *pd,
				      const struct rxe_bind *bind)
{
	struct rxe_keyed *keyed = rxe_keyed_get(to_rdev(pd->device), bind->lkey);
	struct rxe_mr *mr;

	if (!keyed)
		return NULL;

	mr = container_of(keyed, struct rxe_mr, keyed);
	if (keyed->is_window || !rxe_may_bind(pd, mr, bind) ||
	    !atomic_inc_unless_negative(&mr->windows))
		mr = NULL;
	rxe_handle_put(keyed->handle);
	return mr;
}

static bool rxe_bind_valid(const struct rxe_mw *mw, const struct rxe_bind *bind)
{
	bool type_1 = mw->ibmw.type == IB_MW_TYPE_1;
	/* a window never gives the local right, but programs pass it */
	u32 allowed = RXE_MW_RIGHTS | IB_ACCESS_LOCAL_WRITE |
		      (type_1 ? 0 : IB_ZERO_BASED);

	if ((bind->rkey ^ mw->rkey) >> RXE_KEY_BITS ||
	    (bind->access & ~allowed))
		return false;
	/* only windows of type 1 are bound anew, or unbound by a length of 0 */
	return type_1 || (!mw->mr && bind->length);
}

static int rxe_mw_bind_locked(struct rxe_mw *mw, const struct ib_pd *pd,
			      u32 qpn, const struct rxe_bind *bind)
{
	struct rxe_mr *mr = NULL;

	lockdep_assert_held(&mw->lock);
	if (!rxe_bind_valid(mw, bind))
		return -EINVAL;

	if (bind->length) {
		mr = rxe_bind_region(pd, bind);
		if (!mr)
			return -EINVAL;
	}

	rxe_mw_unbind(mw);
	mw->mr = mr;
	mw->rkey = bind->rkey;
	mw->access = bind->access & RXE_MW_RIGHTS;
	mw->iova = bind->access & IB_ZERO_BASED ? 0 : bind->addr;
	mw->length = bind->length;
	mw->offset = mr ? bind->addr - mr->ibmr.iova : 0;
	mw->qpn = qpn;
	return 0;
}

/**
 * rxe_mw_bind - bind a window, as a send request asks
 * @pd: of the QP that it is posted to
 * @qpn: of that QP
 * @bind: untrusted, from a program
 *
 * Context: BH disabled.
 * Return: 0 or -EINVAL.
 */
int rxe_mw_bind(struct ib_pd *pd, u32 qpn, const struct rxe_bind *bind)
{
	struct rxe_mw *mw = rxe_mw_get(pd, bind->mw_rkey);
	int err;

	lockdep_assert_in_softirq();
	if (!mw)
		return -EINVAL;

	spin_lock(&mw->lock);
	err = rxe_mw_bind_locked(mw, pd, qpn, bind);
	spin_unlock(&mw->lock);
	rxe_handle_put(mw->keyed.handle);

	return err;
}

/**
 * rxe_mw_invalidate - invalidate a window's key
 * @mw: the window, held
 * @pd: of the QP that the request to do so was posted to, or came for
 * @qpn: of that QP
 * @rkey: the key
 *
 * Context: as rxe_invalidate().
 * Return: as rxe_invalidate().
 */
int rxe_mw_invalidate(struct rxe_mw *mw, const struct ib_pd *pd, u32 qpn,
		      u32 rkey)
{
	int err = -EINVAL;

	spin_lock(&mw->lock);
	if (mw->ibmw.type == IB_MW_TYPE_2 && mw->ibmw.pd == pd &&
	    mw->mr && mw->rkey == rkey && mw->qpn == qpn) {
		if (!rxe_broken(invalidate))
			rxe_mw_unbind(mw);
		err = 0;
	}
	spin_unlock(&mw->lock);
	return err;
}

static bool rxe_mw_allows(const struct rxe_mw *mw,
			  const struct rxe_access *access)
{
	if (!mw->mr || (mw->rkey != access->key && !rxe_broken(window_key)) ||
	    mw->ibmw.pd != access->pd)
		return false;
	if (mw->ibmw.type == IB_MW_TYPE_2 && mw->qpn != access->qpn &&
	    !rxe_broken(window_qp))
		return false;
	/* a window gives no local access */
	if (!(access->rights & mw->access) &&
	    !(rxe_broken(window_rights) &&
	      (mw->mr->access & IB_ACCESS_LOCAL_WRITE)))
		return false;
	return access->whole ||
	       rxe_in_bounds(mw->iova, mw->length, access->iova, access->len) ||
	       /* broken: but the region still bounds the access */
	       (rxe_broken(window_bounds) &&
		rxe_in_bounds(mw->iova - mw->offset, mw->mr->ibmr.length,
			      access->iova, access->len));
}

/**
 * rxe_mw_check - check whether an access by a window's key would be allowed
 * @mw: the window, held
 * @access: where, and by what right
 *
 * Context: BH disabled.
 * Return: true if it would.
 */
bool rxe_mw_check(struct rxe_mw *mw, const struct rxe_access *access)
{
	bool allowed;

	lockdep_assert_in_softirq();
	spin_lock(&mw->lock);
	allowed = rxe_mw_allows(mw, access);
	spin_unlock(&mw->lock);
	return allowed;
}

/**
 * rxe_mw_begin - begin an access by a window's key
 * @mw: the window, held
 * @access: where, and by what right
 * @offset: set to where in the region it begins
 *
 * Context: BH disabled. rxe_mw_end() must follow in any case: until then the
 * key is not invalidated.
 * Return: the region; NULL: the access is not allowed.
 */
const struct rxe_mr *rxe_mw_begin(struct rxe_mw *mw,
				  const struct rxe_access *access, u64 *offset)
	__acquires(&mw->lock)
{
	lockdep_assert_in_softirq();
	spin_lock(&mw->lock);
	if (!rxe_mw_allows(mw, access))
		return NULL;

	*offset = access->iova - mw->iova + mw->offset;
	return mw->mr;
}

/**
 * rxe_mw_end - end an access by a window's key
 * @mw: the window, after rxe_mw_begin()
 *
 * Context: as rxe_mw_begin().
 */
void rxe_mw_end(struct rxe_mw *mw)
	__releases(&mw->lock)
{
	spin_unlock(&mw->lock);
}
