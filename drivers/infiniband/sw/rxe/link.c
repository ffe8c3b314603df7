// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The RDMA device over a netdev: how it is made, and how it ends. */
#include <linux/etherdevice.h>
#include <linux/percpu.h>
#include <net/addrconf.h>
#include <rdma/ib_addr.h>

#include "base/dev.h"
#include "ingress/net.h"
#include "link.h"
#include "wait/flow.h"

static bool rxe_port_is_up(const struct rxe_dev *dev)
{
	return netif_running(dev->ndev) && netif_carrier_ok(dev->ndev);
}

/**
 * rxe_dev_port_event - tell programs when the port came up or went down
 * @dev: the device, held
 *
 * Context: under RTNL.
 */
void rxe_dev_port_event(struct rxe_dev *dev)
{
	struct ib_event event = {
		.device = &dev->ibdev,
		.element.port_num = 1,
	};
	bool up = rxe_port_is_up(dev);

	ASSERT_RTNL();
	if (up == dev->port_up)
		return;

	dev->port_up = up;
	event.event = up ? IB_EVENT_PORT_ACTIVE : IB_EVENT_PORT_ERR;
	if (!up)
		rxe_count(dev, RXE_STAT_LINK_DOWNED);
	ib_dispatch_event(&event);
}

/**
 * rxe_report_port_event - ib_device_ops.report_port_event
 * @ibdev: the device
 * @ndev: its netdev
 * @event: what has happened to @ndev
 *
 * Newer cores dispatch port events themselves, except in bonds, unless the
 * driver has this op. The notifier covers all netdevs, and each change is
 * dispatched once.
 *
 * Context: under RTNL.
 */
void rxe_report_port_event(struct ib_device *ibdev, struct net_device *ndev,
			   unsigned long event)
{
	rxe_dev_port_event(to_rdev(ibdev));
}

/**
 * rxe_dev_destroy - free what a device has: ib_device_ops.dealloc_driver
 * @dev: the device, or as much of it as rxe_dev_create() has made
 *
 * Context: may sleep; no verb is under way, and no QP is left.
 */
void rxe_dev_destroy(struct rxe_dev *dev)
{
	if (dev->net)
		rxe_net_remove(dev);
	dev_put(dev->ndev);
	free_percpu(dev->stats);
	rxe_in_flight_put(dev->in_flight);
	rxe_handle_table_destroy(&dev->ahs);
	rxe_handle_table_destroy(&dev->mrs);
}

static __be64 rxe_node_guid(const struct net_device *ndev)
{
	u8 addr[ETH_ALEN];
	__be64 guid;

	/* a tunnel's address is an IP address, or empty; that of lo is zero */
	if (ndev->addr_len == ETH_ALEN && is_valid_ether_addr(ndev->dev_addr))
		ether_addr_copy(addr, ndev->dev_addr);
	else
		eth_random_addr(addr);
	addrconf_addr_eui48((u8 *)&guid, addr);
	return guid;
}

static int rxe_dev_register(struct rxe_dev *dev, const char *name,
			    const struct ib_device_ops *ops)
{
	struct ib_device *ibdev = &dev->ibdev;
	int err;

	ibdev->node_type = RDMA_NODE_IB_CA;
	ibdev->phys_port_cnt = 1;
	ibdev->num_comp_vectors = num_possible_cpus();
	/* programs ring the doorbell, and arm CQs, through the write() calls */
	ibdev->uverbs_cmd_mask |= BIT_ULL(IB_USER_VERBS_CMD_POST_SEND) |
				  BIT_ULL(IB_USER_VERBS_CMD_REQ_NOTIFY_CQ);
	strscpy(ibdev->node_desc, "rxe", sizeof(ibdev->node_desc));
	ibdev->node_guid = rxe_node_guid(dev->ndev);
	ib_set_device_ops(ibdev, ops);

	err = ib_device_set_netdev(ibdev, dev->ndev, 1);
	if (err)
		return err;
	return ib_register_device(ibdev, name, NULL);
}

/**
 * rxe_dev_create - make an RDMA device over a netdev
 * @name: of the device
 * @ndev: the netdev, held by the caller
 * @net: its namespace, held by the caller
 * @ops: of the device
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_dev_create(const char *name, struct net_device *ndev, struct net *net,
		   const struct ib_device_ops *ops)
{
	struct rxe_dev *dev;
	int err;

	dev = ib_alloc_device(rxe_dev, ibdev);
	if (!dev)
		return -ENOMEM;

	spin_lock_init(&dev->advice_lock);
	INIT_LIST_HEAD(&dev->advices);
	rxe_share_init(&dev->backlog, NULL);
	rxe_share_init(&dev->kernel_backlog, &dev->backlog);

	err = rxe_handle_table_init(&dev->mrs);
	if (err)
		goto dealloc;

	err = rxe_handle_table_init(&dev->ahs);
	if (err)
		goto destroy_mrs;

	/* the core drops its own reference before the last verb */
	dev_hold(ndev);
	dev->ndev = ndev;

	dev->stats = alloc_percpu(struct rxe_stats);
	dev->in_flight = rxe_in_flight_create();
	if (!dev->stats || !dev->in_flight) {
		err = -ENOMEM;
		goto destroy;
	}

	err = rxe_net_add(dev, net);
	if (err) {
		netdev_err(ndev, "no link %s: UDP port %d cannot be opened: %d\n",
			   name, ROCE_V2_UDP_DPORT, err);
		goto destroy;
	}

	dev->port_up = rxe_port_is_up(dev);
	/* from here on the device frees itself: rxe_dev_destroy() is an op */
	err = rxe_dev_register(dev, name, ops);
	if (err)
		ib_dealloc_device(&dev->ibdev);
	return err;

destroy:
	rxe_dev_destroy(dev);
	goto dealloc;
destroy_mrs:
	rxe_handle_table_destroy(&dev->mrs);
dealloc:
	ib_dealloc_device(&dev->ibdev);
	return err;
}
