// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/random.h>
#include <rdma/rdma_user_rxe.h>
#include <rdma/uverbs_ioctl.h>

#include "base/dev.h"
#include "base/handle.h"
#include "base/rule.h"
#include "egress/ah.h"

static int rxe_ah_publish(struct rxe_ah *ah, struct ib_udata *udata)
{
	struct rxe_create_ah_resp resp = {};
	int err;

	if (udata->outlen < sizeof(resp))
		return rxe_refuse(ah->ibah.device, -EINVAL,
				  "create AH: %zu bytes for the response are too few",
				  udata->outlen);

	ah->handle = rxe_handle_create(&to_rdev(ah->ibah.device)->ahs);
	if (IS_ERR(ah->handle))
		return rxe_refuse(ah->ibah.device, PTR_ERR(ah->handle),
				  "create AH: no number, or no memory");

	resp.ah_num = ah->handle->number;
	err = ib_copy_to_udata(udata, &resp, sizeof(resp));
	if (err) {
		rxe_handle_discard(ah->handle);
		return err;
	}

	rxe_handle_publish(ah->handle, ah);
	return 0;
}

/**
 * rxe_create_ah - ib_device_ops.create_ah
 * @ibah: allocated by the core
 * @init: the destination; the core has resolved its GRH and source GID
 * @udata: the program's; gets the number for its requests; NULL: the user is in
 *	   the kernel, and passes its pointer
 *
 * Context: may sleep if @init says so.
 * Return: 0 or a negative errno.
 */
int rxe_create_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init,
		  struct ib_udata *udata)
{
	struct rxe_dev *dev = to_rdev(ibah->device);
	struct rxe_ah *ah = to_rah(ibah);
	int err;

	err = dst_cache_init(&ah->path.cache,
			     init->flags & RDMA_CREATE_AH_SLEEPABLE ?
				     GFP_KERNEL_ACCOUNT : GFP_ATOMIC);
	if (err)
		return err;

	err = rxe_path_init(&ah->path, dev, init->ah_attr, get_random_u32(),
			    0);
	if (err)
		goto destroy_cache;

	ah->attr = *init->ah_attr;
	/* the reference is the core's */
	ah->attr.grh.sgid_attr = NULL;

	err = udata ? rxe_ah_publish(ah, udata) : 0;
	if (err)
		goto destroy_cache;
	return 0;

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
 * @ibah: the address handle; a program's requests that still name it fail, and
 *	  all requests of kernel users are complete
 * @flags: enum rdma_destroy_ah_flags
 *
 * Context: any for an address handle of the kernel's; else may sleep, for
 * packets that are being sent.
 * Return: 0.
 */
int rxe_destroy_ah(struct ib_ah *ibah, u32 flags)
{
	struct rxe_ah *ah = to_rah(ibah);

	if (ah->handle)
		rxe_handle_destroy(ah->handle);
	dst_cache_destroy(&ah->path.cache);
	return 0;
}

/**
 * rxe_ah_get - find the address handle that a request names
 * @pd: the sender's
 * @number: untrusted, from a program
 *
 * Context: any.
 * Return: the address handle, to be given back by rxe_handle_put() of its
 * handle; NULL: this PD has none of that number.
 */
struct rxe_ah *rxe_ah_get(struct ib_pd *pd, u32 number)
{
	struct rxe_ah *ah = rxe_handle_get(&to_rdev(pd->device)->ahs, number);

	if (ah && ah->ibah.pd != pd && !rxe_broken(ah_pd)) {
		rxe_handle_put(ah->handle);
		return NULL;
	}
	return ah;
}
