// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Multicast groups: IBTA volume 1, 10.5, and annex A17.4.2. */
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/mutex.h>
#include <linux/rhashtable.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/addrconf.h>
#include <net/ipv6.h>

#include "base/compat.h"
#include "base/dev.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "ingress/mcast.h"
#include "obj/qp.h"
#include "transport/responder_queue.h"

/**
 * struct rxe_member - a QP in a multicast group
 * @node: in rxe_members, by @mgid
 * @mgid: the group's address
 * @qp: the QP, which leaves its groups before it goes
 * @handle: of the QP; outlives it as long as look-ups may see this
 * @attached: how often it was attached: by several LIDs, which mean nothing here
 * @rcu: frees this when no look-up sees it any more
 */
struct rxe_member {
	struct rhlist_head node;
	union ib_gid mgid;
	struct rxe_qp *qp;
	struct rxe_handle *handle;
	u32 attached;
	struct rcu_head rcu;
};

static const struct rhashtable_params rxe_member_params = {
	.head_offset = offsetof(struct rxe_member, node),
	.key_offset = offsetof(struct rxe_member, mgid),
	.key_len = sizeof(union ib_gid),
	.automatic_shrinking = true,
};

/* all QPs in all groups; changed under the lock, looked up under RCU */
static struct rhltable rxe_members;
static DEFINE_MUTEX(rxe_members_lock);

/* A QP's own membership, and how many its device has in the group. */
static struct rxe_member *rxe_member_find(const struct rxe_qp *qp,
					  const union ib_gid *mgid,
					  u32 *of_device)
{
	struct rxe_member *member, *found = NULL;
	struct rhlist_head *list, *pos;

	*of_device = 0;
	rcu_read_lock();
	list = rhltable_lookup(&rxe_members, mgid, rxe_member_params);
	rhl_for_each_entry_rcu(member, pos, list, node) {
		if (rxe_qp_dev(member->qp) == rxe_qp_dev(qp))
			(*of_device)++;
		if (member->qp == qp)
			found = member;
	}
	rcu_read_unlock();

	return found;
}

static int rxe_member_add(struct rxe_qp *qp, const union ib_gid *mgid)
{
	struct rxe_member *member;
	int err;

	member = kzalloc(sizeof(*member), GFP_KERNEL_ACCOUNT);
	if (!member)
		return -ENOMEM;

	member->mgid = *mgid;
	member->qp = qp;
	member->handle = qp->handle;
	member->attached = 1;
	err = rhltable_insert(&rxe_members, &member->node, rxe_member_params);
	if (err)
		kfree(member);
	return err;
}

static void rxe_member_remove(struct rxe_member *member)
{
	rhltable_remove(&rxe_members, &member->node, rxe_member_params);
	kfree_rcu(member, rcu);
}

/* ip_mc_inc_group() does not tell a lack of memory: see if it is a member. */
static int rxe_join4(struct in_device *in_dev, __be32 addr)
{
	const struct ip_mc_list *group;

	if (!in_dev)
		return -ENODEV;

	ip_mc_inc_group(in_dev, addr);
	for (group = rtnl_dereference(in_dev->mc_list); group;
	     group = rtnl_dereference(group->next_rcu))
		if (group->multiaddr == addr)
			return 0;
	return -ENOMEM;
}

static int rxe_join6(struct net_device *ndev, const struct in6_addr *addr)
{
	if (!__in6_dev_get(ndev))
		return -ENODEV;
	return ipv6_dev_mc_inc(ndev, addr);
}

/*
 * Receive what is sent to a group.
 *
 * The netdev becomes a member, not a socket. The sockets take packets to any
 * group, and all devices in the namespace share them; the memberships of a
 * socket are bounded (optmem_max, igmp_max_memberships), so that devices and
 * programs would take them from each other, and are guarded by its lock. In a
 * namespace that the netdev has moved to, the device is as good as gone.
 */
static int rxe_join(struct rxe_dev *dev, const union ib_gid *mgid)
{
	const struct in6_addr *addr = (const struct in6_addr *)mgid->raw;
	int err = -ENODEV;

	if (rxe_broken(mcast_join))
		return 0;
	rtnl_lock();
	if (!net_eq(dev_net(dev->ndev), dev->net))
		goto unlock;
	if (ipv6_addr_v4mapped(addr))
		err = rxe_join4(__in_dev_get_rtnl(dev->ndev),
				addr->s6_addr32[3]);
	else if (dev->sock6)
		err = rxe_join6(dev->ndev, addr);
unlock:
	rtnl_unlock();

	return err;
}

/*
 * The counterpart of rxe_join(). A netdev that is gone, or has moved to another namespace,
 * has left all groups; there programs may have had it join them.
 */
static void rxe_leave(struct rxe_dev *dev, const union ib_gid *mgid)
{
	const struct in6_addr *addr = (const struct in6_addr *)mgid->raw;
	struct in_device *in_dev;

	rtnl_lock();
	if (!net_eq(dev_net(dev->ndev), dev->net))
		goto unlock;
	if (ipv6_addr_v4mapped(addr)) {
		in_dev = __in_dev_get_rtnl(dev->ndev);
		if (in_dev)
			ip_mc_dec_group(in_dev, addr->s6_addr32[3]);
	} else {
		ipv6_dev_mc_dec(dev->ndev, addr);
	}
unlock:
	rtnl_unlock();
}

/* Whether a group with so many of the device's QPs may have another. */
static int rxe_check_room(struct rxe_dev *dev, u32 others)
{
	if (others >= RXE_MAX_MCAST_QPS && !rxe_broken(mcast_qps))
		return rxe_refuse(&dev->ibdev, -ENOMEM,
				  "attach QP: the group has %u, as many as it may",
				  others);
	if (!others && dev->mcast_groups >= RXE_MAX_MCAST_GROUPS)
		return rxe_refuse(&dev->ibdev, -ENOMEM,
				  "attach QP: the device is in %u groups, as many as it may",
				  dev->mcast_groups);
	return 0;
}

static int rxe_join_first(struct rxe_dev *dev, const union ib_gid *mgid)
{
	int err = rxe_join(dev, mgid);

	if (err)
		return rxe_refuse(&dev->ibdev, err,
				  "attach QP: the netdev cannot join %pI6c: %d",
				  mgid->raw, err);
	dev->mcast_groups++;
	return 0;
}

/**
 * rxe_attach_mcast - ib_device_ops.attach_mcast
 * @ibqp: a UD QP
 * @mgid: the group's address, which is a multicast one
 * @mlid: unused
 *
 * The first of a device's QPs makes the netdev join the group. The core tells
 * attachments of one QP by their LIDs, too: it detaches the QP as often, and does
 * not destroy it before.
 *
 * Context: may sleep; takes RTNL.
 * Return: 0 or a negative errno.
 */
int rxe_attach_mcast(struct ib_qp *ibqp, union ib_gid *mgid, u16 mlid)
{
	struct rxe_dev *dev = to_rdev(ibqp->device);
	struct rxe_qp *qp = to_rqp(ibqp);
	struct rxe_member *member;
	u32 others;
	int err = 0;

	mutex_lock(&rxe_members_lock);
	member = rxe_member_find(qp, mgid, &others);
	if (member) {
		member->attached++;
		goto unlock;
	}

	err = rxe_check_room(dev, others);
	if (!err && !others)
		err = rxe_join_first(dev, mgid);
	if (err)
		goto unlock;

	err = rxe_member_add(qp, mgid);
	if (err && !others) {
		rxe_leave(dev, mgid);
		dev->mcast_groups--;
	}
unlock:
	mutex_unlock(&rxe_members_lock);
	return err;
}

/**
 * rxe_detach_mcast - ib_device_ops.detach_mcast
 * @ibqp: a UD QP
 * @mgid: the group's address
 * @mlid: unused
 *
 * Context: may sleep; takes RTNL.
 * Return: 0; -EINVAL: the QP is not in the group.
 */
int rxe_detach_mcast(struct ib_qp *ibqp, union ib_gid *mgid, u16 mlid)
{
	struct rxe_dev *dev = to_rdev(ibqp->device);
	struct rxe_qp *qp = to_rqp(ibqp);
	struct rxe_member *member;
	u32 members;
	int err = 0;

	mutex_lock(&rxe_members_lock);
	member = rxe_member_find(qp, mgid, &members);
	if (!member) {
		err = rxe_refuse(ibqp->device, -EINVAL,
				 "detach QP %#x: it is not in group %pI6c",
				 ibqp->qp_num, mgid->raw);
		goto unlock;
	}

	if (--member->attached)
		goto unlock;
	rxe_member_remove(member);
	if (members == 1) {
		rxe_leave(dev, mgid);
		dev->mcast_groups--;
	}
unlock:
	mutex_unlock(&rxe_members_lock);

	return err;
}

static bool rxe_mcast_deliver(const struct rxe_member *member,
			      const struct net *net, const struct rxe_pkt *pkt)
{
	struct rxe_qp *qp = member->qp;
	struct sk_buff *copy;
	bool takes = false;

	if (!rxe_handle_hold(member->handle))
		return false;

	/* pairs with rxe_enter_state(), as for any packet */
	if (smp_load_acquire(&qp->state) >= IB_QPS_RTR &&
	    net_eq(net, rxe_qp_dev(qp)->net) &&
	    (rxe_batch(pkt->skb)->ifindex == rxe_qp_dev(qp)->ndev->ifindex ||
	     rxe_broken(mcast_netdev))) {
		takes = true;
		rxe_count_rcvd(rxe_qp_dev(qp), pkt->len, 1);
		rxe_count(rxe_qp_dev(qp), RXE_STAT_MCAST_RCVD_PKTS);
		copy = skb_clone(pkt->skb, GFP_ATOMIC);
		if (copy)
			rxe_responder_rcv(qp, copy);
		else
			rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_RCVD_DROPS,
				       qp->ibqp.qp_num, pkt->psn, 1);
	}
	rxe_handle_put(member->handle);
	return takes;
}

/**
 * rxe_mcast_rcv - hand a datagram to the QPs of its group
 * @net: where it came in
 * @pkt: the packet, alone in its batch
 *
 * Context: BH disabled, under RCU.
 * Return: whether there was one.
 */
bool rxe_mcast_rcv(const struct net *net, const struct rxe_pkt *pkt)
{
	struct rhlist_head *list, *pos;
	struct rxe_member *member;
	union ib_gid mgid;
	bool taken = false;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	if (!rxe_skb_dgid(pkt->skb, &mgid))
		return false;

	list = rhltable_lookup(&rxe_members, &mgid, rxe_member_params);
	rhl_for_each_entry_rcu(member, pos, list, node)
		taken |= rxe_mcast_deliver(member, net, pkt);
	return taken;
}

/**
 * rxe_mcast_init - make the table of groups
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_mcast_init(void)
{
	return rhltable_init(&rxe_members, &rxe_member_params);
}

/**
 * rxe_mcast_exit - the counterpart of rxe_mcast_init()
 *
 * Context: may sleep; no QP is left.
 */
void rxe_mcast_exit(void)
{
	rhltable_destroy(&rxe_members);
}
