// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/mutex.h>
#include <linux/wait_bit.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "base/dev.h"
#include "ingress/guard.h"
#include "ingress/hook.h"
#include "ingress/net.h"
#include "ingress/port.h"

/**
 * struct rxe_net - what all devices in one net namespace share
 * @devs: the devices; guarded by rxe_net_lock
 */
struct rxe_net {
	struct list_head devs;
};

static unsigned int rxe_net_id __read_mostly;

/* not in struct rxe_net: its last holder may still unlock when that is freed */
static DEFINE_MUTEX(rxe_net_lock);

static int rxe_open(struct net *net)
{
	int err;

	err = rxe_port_open(net, rxe_udp_rcv);
	if (err)
		return err;

	err = rxe_guard_net(net);
	if (err)
		goto close_port;

	err = rxe_hook_net(net);
	if (err)
		goto unguard;
	return 0;

unguard:
	rxe_unguard_net(net);
	/* the guard may still run */
	synchronize_net();
close_port:
	rxe_port_close(net);
	/* packets that came meanwhile may be in a batch */
	rxe_hook_wait(net);
	return err;
}

static void rxe_close(struct net *net)
{
	rxe_unguard_net(net);
	rxe_unhook_net(net);
	rxe_port_close(net);
	rxe_hook_wait(net);
}

/**
 * rxe_net_add - open a device's net namespace for RoCEv2
 * @dev: the device; its net and sockets are set on success
 * @net: the namespace of its netdev
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_net_add(struct rxe_dev *dev, struct net *net)
{
	struct rxe_net *rnet = net_generic(net, rxe_net_id);
	int err = 0;

	mutex_lock(&rxe_net_lock);
	if (list_empty(&rnet->devs))
		err = rxe_open(net);
	if (!err) {
		dev->net = net;
		dev->sock4 = rxe_port_sock(net, true);
		dev->sock6 = rxe_port_sock(net, false);
		list_add_tail(&dev->net_entry, &rnet->devs);
	}
	mutex_unlock(&rxe_net_lock);

	return err;
}

/**
 * rxe_net_remove - the counterpart of rxe_net_add()
 * @dev: the device
 *
 * Context: may sleep.
 */
void rxe_net_remove(struct rxe_dev *dev)
{
	struct rxe_net *rnet = net_generic(dev->net, rxe_net_id);

	mutex_lock(&rxe_net_lock);
	list_del_init(&dev->net_entry);
	if (list_empty(&rnet->devs))
		rxe_close(dev->net);
	mutex_unlock(&rxe_net_lock);
	wake_up_var(&rnet->devs);
}

static int __net_init rxe_init_net(struct net *net)
{
	struct rxe_net *rnet = net_generic(net, rxe_net_id);

	INIT_LIST_HEAD(&rnet->devs);
	return 0;
}

static struct rxe_dev *rxe_net_get_dev(struct rxe_net *rnet)
{
	struct rxe_dev *dev, *found = NULL;

	mutex_lock(&rxe_net_lock);
	list_for_each_entry(dev, &rnet->devs, net_entry) {
		if (ib_device_try_get(&dev->ibdev)) {
			found = dev;
			break;
		}
	}
	mutex_unlock(&rxe_net_lock);

	return found;
}

static bool rxe_net_empty(struct rxe_net *rnet)
{
	bool empty;

	mutex_lock(&rxe_net_lock);
	empty = list_empty(&rnet->devs);
	mutex_unlock(&rxe_net_lock);

	return empty;
}

/*
 * The unregistration that netdevs ask for is queued, since their notifier must
 * not sleep for it: remove the devices here, so that no socket outlives the
 * namespace, and wait for those that are being removed elsewhere.
 */
static void __net_exit rxe_exit_net(struct net *net)
{
	struct rxe_net *rnet = net_generic(net, rxe_net_id);
	struct rxe_dev *dev;

	while ((dev = rxe_net_get_dev(rnet)))
		ib_unregister_device_and_put(&dev->ibdev);

	wait_var_event(&rnet->devs, rxe_net_empty(rnet));
}

static struct pernet_operations rxe_net_ops = {
	.init = rxe_init_net,
	.exit = rxe_exit_net,
	.id = &rxe_net_id,
	.size = sizeof(struct rxe_net),
};

/**
 * rxe_net_init - register with the net namespaces
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_net_init(void)
{
	int err;

	err = rxe_port_init();
	if (err)
		return err;

	err = register_pernet_device(&rxe_net_ops);
	if (err)
		rxe_port_exit();
	return err;
}

/**
 * rxe_net_exit - the counterpart of rxe_net_init()
 *
 * Context: may sleep; no device is left.
 */
void rxe_net_exit(void)
{
	unregister_pernet_device(&rxe_net_ops);
	rxe_port_exit();
}
