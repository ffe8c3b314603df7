// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/rtnetlink.h>
#include <net/addrconf.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/udp_tunnel.h>
#include <rdma/ib_addr.h>

#include "compat.h"
#include "dev.h"
#include "hook.h"
#include "net.h"

/**
 * struct rxe_net - what all devices in one net namespace share
 * @devs: the devices; guarded, as the rest, by rxe_net_lock
 * @sock4: bound to the RoCEv2 port while there are any
 * @sock6: the same for IPv6; NULL where the host has none
 */
struct rxe_net {
	struct list_head devs;
	struct socket *sock4;
	struct socket *sock6;
};

static unsigned int rxe_net_id __read_mostly;

/* not in struct rxe_net: its last holder may still unlock when that is freed */
static DEFINE_MUTEX(rxe_net_lock);

static struct socket *rxe_open_socket(struct net *net, sa_family_t family)
{
	struct udp_tunnel_sock_cfg tunnel = {
		.encap_type = 1,
		.encap_rcv = rxe_udp_rcv,
	};
	struct udp_port_cfg port = {
		.family = family,
		.local_udp_port = cpu_to_be16(ROCE_V2_UDP_DPORT),
		/* Peers send 0, as A17.4.5 lets them: the ICRC is the check. */
		.use_udp6_rx_checksums = false,
		.ipv6_v6only = true,
	};
	struct socket *sock;
	int yes = 1;
	int err;

	err = udp_sock_create(net, &port, &sock);
	if (err)
		return ERR_PTR(err);

	setup_udp_tunnel_sock(net, rxe_tunnel_sock(sock), &tunnel);
	/* which that has switched off: members of a group may be on one host */
	err = sock->ops->setsockopt(sock, SOL_IP, IP_MULTICAST_LOOP,
				    KERNEL_SOCKPTR(&yes), sizeof(yes));
	if (!err)
		err = sock->ops->setsockopt(sock, SOL_UDP, UDP_GRO,
					    KERNEL_SOCKPTR(&yes), sizeof(yes));
	if (err) {
		udp_tunnel_sock_release(rxe_tunnel_sock(sock));
		return ERR_PTR(err);
	}
	return sock;
}

static void rxe_close_sockets(struct rxe_net *rnet)
{
	if (rnet->sock4)
		udp_tunnel_sock_release(rxe_tunnel_sock(rnet->sock4));
	if (rnet->sock6)
		udp_tunnel_sock_release(rxe_tunnel_sock(rnet->sock6));
	rnet->sock4 = NULL;
	rnet->sock6 = NULL;
}

static int rxe_open_sockets(struct net *net, struct rxe_net *rnet)
{
	struct socket *sock;

	sock = rxe_open_socket(net, AF_INET);
	if (IS_ERR(sock))
		return PTR_ERR(sock);
	rnet->sock4 = sock;

	if (!ipv6_mod_enabled())
		return 0;

	sock = rxe_open_socket(net, AF_INET6);
	if (IS_ERR(sock)) {
		/* booted with ipv6.disable_ipv6: IPv4 alone is of use */
		if (PTR_ERR(sock) == -EAFNOSUPPORT)
			return 0;
		rxe_close_sockets(rnet);
		return PTR_ERR(sock);
	}
	rnet->sock6 = sock;
	return 0;
}

static int rxe_open(struct net *net, struct rxe_net *rnet)
{
	int err;

	err = rxe_open_sockets(net, rnet);
	if (err)
		return err;

	err = rxe_hook_net(net);
	if (err)
		rxe_close_sockets(rnet);
	return err;
}

static void rxe_close(struct net *net, struct rxe_net *rnet)
{
	rxe_unhook_net(net);
	rxe_close_sockets(rnet);
	rxe_hook_wait();
}

/**
 * rxe_net_add - open a device's net namespace for RoCEv2
 * @dev: the device; its net is set on success
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
		err = rxe_open(net, rnet);
	if (!err) {
		dev->net = net;
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
		rxe_close(dev->net, rnet);
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
 * namespace, and wait for those that somebody else is removing.
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

/* The core has no word for a lack of memory there: see whether it is a member. */
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

/**
 * rxe_net_join - receive what is sent to a multicast group
 * @dev: the device
 * @mgid: the group's address
 *
 * It is the netdev that becomes a member, and not the sockets, which take what comes
 * to any group: they are the namespace's, and what a socket may be a member of is
 * bounded (optmem_max, igmp_max_memberships), so that devices and programs would
 * take it from each other; and it is the socket's lock that guards it.
 *
 * Context: may sleep; takes RTNL.
 * Return: 0 or a negative errno.
 */
int rxe_net_join(struct rxe_dev *dev, const union ib_gid *mgid)
{
	const struct in6_addr *addr = (const struct in6_addr *)mgid->raw;
	const struct rxe_net *rnet = net_generic(dev->net, rxe_net_id);
	int err = -ENODEV;

	rtnl_lock();
	if (ipv6_addr_v4mapped(addr))
		err = rxe_join4(__in_dev_get_rtnl(dev->ndev),
				addr->s6_addr32[3]);
	else if (rnet->sock6)
		err = rxe_join6(dev->ndev, addr);
	rtnl_unlock();

	return err;
}

/**
 * rxe_net_leave - the counterpart of rxe_net_join()
 * @dev: the device
 * @mgid: the group's address
 *
 * A netdev that is gone has left all groups.
 *
 * Context: may sleep; takes RTNL.
 */
void rxe_net_leave(struct rxe_dev *dev, const union ib_gid *mgid)
{
	const struct in6_addr *addr = (const struct in6_addr *)mgid->raw;
	struct in_device *in_dev;

	rtnl_lock();
	if (ipv6_addr_v4mapped(addr)) {
		in_dev = __in_dev_get_rtnl(dev->ndev);
		if (in_dev)
			ip_mc_dec_group(in_dev, addr->s6_addr32[3]);
	} else {
		ipv6_dev_mc_dec(dev->ndev, addr);
	}
	rtnl_unlock();
}

/**
 * rxe_net_sock_of - the socket that has the RoCEv2 port of a net namespace
 * @net: the namespace
 * @ipv4: rather than IPv6
 *
 * Context: any, while there is a device, or a hook, in @net.
 * Return: the socket, or NULL: the host has no IPv6.
 */
struct sock *rxe_net_sock_of(const struct net *net, bool ipv4)
{
	const struct rxe_net *rnet = net_generic(net, rxe_net_id);
	const struct socket *sock = ipv4 ? rnet->sock4 : rnet->sock6;

	return sock ? sock->sk : NULL;
}

/**
 * rxe_net_sock - the socket that a device's packets are sent by
 * @dev: the device
 * @ipv4: rather than IPv6
 *
 * Context: any, while the device is there.
 * Return: the socket, or NULL: the host has no IPv6.
 */
struct sock *rxe_net_sock(const struct rxe_dev *dev, bool ipv4)
{
	return rxe_net_sock_of(dev->net, ipv4);
}

/**
 * rxe_net_init - register with the net namespaces
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_net_init(void)
{
	return register_pernet_device(&rxe_net_ops);
}

/**
 * rxe_net_exit - the counterpart of rxe_net_init()
 *
 * Context: may sleep; no device is left.
 */
void rxe_net_exit(void)
{
	unregister_pernet_device(&rxe_net_ops);
}
