// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <rdma/rdma_user_rxe.h>
#include <rdma/uverbs_ioctl.h>

#include "ah.h"
#include "dev.h"
#include "handle.h"

/**
 * rxe_create_ah - ib_device_ops.create_ah
 * @ibah: allocated by the core
 * @init: where to; its GRH and source GID were resolved by the core
 * @udata: the program's; it gets the number that its requests are to have
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init,
		  struct ib_udata *udata)
{
	struct rxe_dev *dev = to_rdev(ibah->device);
	struct rxe_create_ah_resp resp = {};
	struct rxe_ah *ah = to_rah(ibah);
	int err;

	if (!udata)
		return -EOPNOTSUPP;
	if (udata->outlen < sizeof(resp))
		return -EINVAL;

	err = dst_cache_init(&ah->path.cache, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;

	ah->handle = rxe_handle_create(&dev->ahs);
	if (IS_ERR(ah->handle)) {
		err = PTR_ERR(ah->handle);
		goto destroy_cache;
	}

	err = rxe_path_init(&ah->path, dev, init->ah_attr, ah->handle->number,
			    0);
	if (err)
		goto discard_handle;

	resp.ah_num = ah->handle->number;
	err = ib_copy_to_udata(udata, &resp, sizeof(resp));
	if (err)
		goto discard_handle;

	ah->attr = *init->ah_attr;
	/* the reference is the core's */
	ah->attr.grh.sgid_attr = NULL;
	rxe_handle_publish(ah->handle, ah);
	return 0;

discard_handle:
	rxe_handle_discard(&dev->ahs, ah->handle);
destroy_cache:
	dst_cache_destroy(&ah->path.cache);
	return err;
}

/**
 * rxe_query_ah - ib_device_ops.query_ah
 * @ibah: the address handle
 * @attr: filled
 *
 * Context: any.
 * Return: 0.
 */
int rxe_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr)
{
	*attr = to_rah(ibah)->attr;
	return 0;
}

/**
 * rxe_destroy_ah - ib_device_ops.destroy_ah
 * @ibah: the address handle; requests that still name it fail
 * @flags: enum rdma_destroy_ah_flags
 *
 * Context: may sleep, for packets that are being sent.
 * Return: 0.
 */
int rxe_destroy_ah(struct ib_ah *ibah, u32 flags)
{
	struct rxe_dev *dev = to_rdev(ibah->device);
	struct rxe_ah *ah = to_rah(ibah);

	rxe_handle_destroy(&dev->ahs, ah->handle);
	dst_cache_destroy(&ah->path.cache);
	return 0;
}

/**
 * rxe_ah_get - find the address handle that a request names
 * @pd: the sender's
 * @number: from a program: anything
 *
 * Context: any.
 * Return: the address handle, to be given back by rxe_handle_put() of its
 * handle; NULL: this PD has none of that number.
 */
struct rxe_ah *rxe_ah_get(struct ib_pd *pd, u32 number)
{
	struct rxe_ah *ah = rxe_handle_get(&to_rdev(pd->device)->ahs, number);

	if (ah && ah->ibah.pd != pd) {
		rxe_handle_put(ah->handle);
		return NULL;
	}
	return ah;
}
