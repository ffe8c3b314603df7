// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The general services interface: IBTA volume 1, 13.2. Every device has a queue
 * pair of number 1, which a packet finds by its destination address.
 */
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <net/net_namespace.h>

#include "base/compat.h"
#include "base/pkt.h"
#include "base/wire.h"
#include "ingress/gsi.h"
#include "obj/qp.h"
#include "transport/ud.h"

/* handles of the QPs; changed under the lock, walked under RCU */
static LIST_HEAD(rxe_gsis);
static DEFINE_MUTEX(rxe_gsi_lock);

static bool rxe_has_gsi(const struct rxe_dev *dev)
{
	struct rxe_handle *handle;
	struct rxe_qp *qp;

	list_for_each_entry(handle, &rxe_gsis, entry) {
		qp = handle->object;
		if (rxe_qp_dev(qp) == dev)
			return true;
	}
	return false;
}

/**
 * rxe_gsi_publish - let packets find a device's GSI QP
 * @qp: the QP; it gets its handle
 *
 * Context: may sleep.
 * Return: 0; -EBUSY: the device has one; -ENOMEM.
 */
int rxe_gsi_publish(struct rxe_qp *qp)
{
	struct rxe_handle *handle;
	int err = 0;

	handle = rxe_handle_create_unlisted(RXE_GSI_QPN);
	if (IS_ERR(handle))
		return PTR_ERR(handle);

	mutex_lock(&rxe_gsi_lock);
	if (rxe_has_gsi(rxe_qp_dev(qp))) {
		err = rxe_refuse(qp->ibqp.device, -EBUSY,
				 "create QP: the device has a GSI QP");
		rxe_handle_discard(handle);
	} else {
		rxe_qp_set_handle(qp, handle);
		rxe_handle_publish(handle, qp);
		list_add_tail_rcu(&handle->entry, &rxe_gsis);
	}
	mutex_unlock(&rxe_gsi_lock);

	return err;
}

/**
 * rxe_gsi_withdraw - let no packet find a GSI QP any more
 * @qp: the QP; packets that have found it already may still use it
 *
 * Context: may sleep.
 */
void rxe_gsi_withdraw(struct rxe_qp *qp)
{
	mutex_lock(&rxe_gsi_lock);
	list_del_rcu(&qp->handle->entry);
	mutex_unlock(&rxe_gsi_lock);
}

/*
 * How well a packet fits a device; 0: it does not. Several netdevs may have the
 * address, and a packet for one may come in by another.
 */
static int rxe_gsi_rank(struct rxe_dev *dev, const struct sk_buff *skb)
{
	if (!rxe_ud_is_ours(dev, skb))
		return 0;
	return rxe_batch(skb)->ifindex == dev->ndev->ifindex ? 2 : 1;
}

/**
 * rxe_gsi_get - find the GSI QP that a packet is for
 * @net: where the packet came in
 * @skb: the packet
 *
 * Context: BH disabled, under RCU.
 * Return: the QP, to be given back by rxe_handle_put() of its handle; NULL: none
 * has that address.
 */
struct rxe_qp *rxe_gsi_get(const struct net *net, const struct sk_buff *skb)
{
	struct rxe_handle *handle, *found = NULL;
	int rank, best = 0;
	struct rxe_dev *dev;
	struct rxe_qp *qp;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	list_for_each_entry_rcu(handle, &rxe_gsis, entry) {
		if (!rxe_handle_hold(handle))
			continue;
		qp = handle->object;
		dev = rxe_qp_dev(qp);
		rank = net_eq(net, dev->net) ? rxe_gsi_rank(dev, skb) : 0;
		if (rank <= best) {
			rxe_handle_put(handle);
			continue;
		}
		if (found)
			rxe_handle_put(found);
		found = handle;
		best = rank;
	}
	return found ? found->object : NULL;
}
