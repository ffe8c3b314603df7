// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The module: links that come and go, by command and with their netdevs. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <rdma/ib_marshall.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_netlink.h>

#include "base/crc.h"
#include "base/dev.h"
#include "base/icrc.h"
#include "base/work.h"
#include "egress/tx_pages.h"
#include "ingress/bulk.h"
#include "ingress/mcast.h"
#include "ingress/net.h"
#include "mem/advise.h"
#include "obj/qp.h"
#include "wait/anchor.h"
#include "wait/fault.h"
#include "link.h"
#include "verbs.h"
#include "version.h"

/* makes links one after another, as a netdev has one at most */
static DEFINE_MUTEX(rxe_newlink_lock);

/*
 * While a link is made, nobody finds it by its netdev. If that has ended meanwhile, or
 * moved to another namespace, the notifier has not removed the link.
 */
static int rxe_newlink_check(struct net_device *ndev)
{
	struct ib_device *ibdev;
	bool stays;

	ibdev = ib_device_get_by_netdev(ndev, RDMA_DRIVER_RXE);
	if (!ibdev)
		return -ENODEV;

	rtnl_lock();
	stays = ndev->reg_state == NETREG_REGISTERED &&
		net_eq(dev_net(ndev), to_rdev(ibdev)->net);
	rtnl_unlock();
	if (!stays) {
		ib_unregister_device_and_put(ibdev);
		return -ENODEV;
	}
	ib_device_put(ibdev);
	return 0;
}

/*
 * The namespace that the netdev is in, which it may leave at any time. Held, as
 * rxe_exit_net() would not find a device that is not registered yet.
 */
static struct net *rxe_netdev_get_net(const struct net_device *ndev)
{
	struct net *net;

	rtnl_lock();
	net = maybe_get_net(dev_net(ndev));
	rtnl_unlock();
	return net;
}

static int rxe_newlink(const char *name, struct net_device *ndev)
{
	struct ib_device *ibdev;
	int err = -EEXIST;
	struct net *net;

	/* the core gives a VLAN's GIDs to the device of the netdev below */
	if (is_vlan_dev(ndev)) {
		netdev_err(ndev, "no link %s: a VLAN shares that of the netdev below\n",
			   name);
		return -EPERM;
	}

	net = rxe_netdev_get_net(ndev);
	if (!net)
		return -ENODEV;

	mutex_lock(&rxe_newlink_lock);
	ibdev = ib_device_get_by_netdev(ndev, RDMA_DRIVER_RXE);
	if (ibdev) {
		netdev_err(ndev, "no link %s: the netdev has %s\n", name,
			   ibdev->name);
		ib_device_put(ibdev);
	} else {
		err = rxe_dev_create(name, ndev, net, &rxe_dev_ops) ?:
		      rxe_newlink_check(ndev);
	}
	mutex_unlock(&rxe_newlink_lock);
	put_net(net);
	return err;
}

static struct rdma_link_ops rxe_link_ops = {
	.type = "rxe",
	.newlink = rxe_newlink,
};

static int rxe_netdev_event(struct notifier_block *nb, unsigned long event,
			    void *info)
{
	struct net_device *ndev = netdev_notifier_info_to_dev(info);
	struct ib_device *ibdev;

	ibdev = ib_device_get_by_netdev(ndev, RDMA_DRIVER_RXE);
	if (!ibdev)
		return NOTIFY_DONE;

	switch (event) {
	case NETDEV_UNREGISTER:
		ib_unregister_device_queued(ibdev);
		break;
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		rxe_dev_port_event(to_rdev(ibdev));
		break;
	}
	ib_device_put(ibdev);
	return NOTIFY_OK;
}

static struct notifier_block rxe_netdev_notifier = {
	.notifier_call = rxe_netdev_event,
};

static int rxe_client_add(struct ib_device *ibdev)
{
	return ibdev->ops.driver_id == RDMA_DRIVER_RXE ? 0 : -EOPNOTSUPP;
}

static void rxe_client_remove(struct ib_device *ibdev, void *client_data)
{
	rxe_advice_end_waits(to_rdev(ibdev));
}

/*
 * When a device is removed, uverbs waits for running calls of programs, and
 * asks the driver to disassociate them only after that. This client ends the
 * calls that wait for an advice. The core removes clients in the reverse order
 * of their registration: this one comes before uverbs.
 */
static struct ib_client rxe_client = {
	.name = "rxe",
	.add = rxe_client_add,
	.remove = rxe_client_remove,
	.no_kverbs_req = 1,
};

/*
 * For that order uverbs has to be loaded first, and to stay: a reference to any
 * of its symbols does both. In newer kernels nothing else that is called here
 * is in uverbs.
 */
static const void *const rxe_behind_uverbs __used = ib_copy_qp_attr_to_user;

static int __init rxe_module_init(void)
{
	int err;

	err = rxe_work_init();
	if (err)
		return err;

	err = rxe_fault_queues_init();
	if (err)
		goto exit_work;
	rxe_crc_init();
	rxe_icrc_init();
	rxe_bulk_init();

	err = rxe_handle_table_init(&rxe_qps);
	if (err)
		goto exit_fault_queues;

	err = rxe_mcast_init();
	if (err)
		goto destroy_qps;

	err = rxe_net_init();
	if (err)
		goto exit_mcast;

	err = ib_register_client(&rxe_client);
	if (err)
		goto exit_net;

	err = register_netdevice_notifier(&rxe_netdev_notifier);
	if (err)
		goto unregister_client;

	rdma_link_register(&rxe_link_ops);
	/* the kernel's own driver has the same name */
	pr_info("rxe-odp " RXE_VERSION ", in place of the kernel's own driver\n");
	return 0;

unregister_client:
	ib_unregister_client(&rxe_client);
exit_net:
	rxe_net_exit();
exit_mcast:
	rxe_mcast_exit();
destroy_qps:
	rxe_handle_table_destroy(&rxe_qps);
exit_fault_queues:
	rxe_crc_exit();
	rxe_fault_queues_exit();
exit_work:
	rxe_work_exit();
	return err;
}

static void __exit rxe_module_exit(void)
{
	rdma_link_unregister(&rxe_link_ops);
	unregister_netdevice_notifier(&rxe_netdev_notifier);
	ib_unregister_driver(RDMA_DRIVER_RXE);
	ib_unregister_client(&rxe_client);
	rxe_net_exit();
	rxe_mcast_exit();
	rxe_handle_table_destroy(&rxe_qps);
	rxe_anchors_wait();
	rxe_tx_pages_exit();
	rxe_crc_exit();
	rxe_fault_queues_exit();
	rxe_work_exit();
	/* objects that kfree_rcu() and the ODP core have left to RCU to free */
	rcu_barrier();
}

module_init(rxe_module_init);
module_exit(rxe_module_exit);

MODULE_DESCRIPTION("RDMA over Ethernet (RoCEv2) in software, with on-demand paging");
MODULE_AUTHOR("rxe-odp authors");
MODULE_LICENSE("Dual BSD/GPL");
MODULE_VERSION(RXE_VERSION);
MODULE_ALIAS_RDMA_LINK("rxe");
