// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/rtnetlink.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_cache.h>

#include "anchor.h"
#include "compat.h"
#include "dev.h"
#include "icrc.h"
#include "net.h"
#include "qp.h"
#include "wire.h"

#define RXE_HEADROOM	(MAX_HEADER + sizeof(struct ipv6hdr) + \
			 sizeof(struct udphdr))

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
	int loop = 1;
	int err;

	err = udp_sock_create(net, &port, &sock);
	if (err)
		return ERR_PTR(err);

	setup_udp_tunnel_sock(net, rxe_tunnel_sock(sock), &tunnel);
	/* which that has switched off: members of a group may be on one host */
	err = sock->ops->setsockopt(sock, SOL_IP, IP_MULTICAST_LOOP,
				    KERNEL_SOCKPTR(&loop), sizeof(loop));
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
		err = rxe_open_sockets(net, rnet);
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
		rxe_close_sockets(rnet);
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

/**
 * rxe_net_join - receive what is sent to a multicast group
 * @dev: the device
 * @mgid: the group's address
 *
 * Context: may sleep; takes RTNL.
 * Return: 0 or a negative errno.
 */
int rxe_net_join(struct rxe_dev *dev, const union ib_gid *mgid)
{
	const struct in6_addr *addr = (const struct in6_addr *)mgid->raw;
	struct rxe_net *rnet = net_generic(dev->net, rxe_net_id);
	struct in_device *in_dev;
	int err = -ENODEV;

	rtnl_lock();
	if (ipv6_addr_v4mapped(addr)) {
		in_dev = __in_dev_get_rtnl(dev->ndev);
		if (in_dev) {
			ip_mc_inc_group(in_dev, addr->s6_addr32[3]);
			err = 0;
		}
	} else if (rnet->sock6) {
		err = rxe_ipv6_sock_mc_join(rnet->sock6->sk,
					    dev->ndev->ifindex, addr);
	}
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
	struct rxe_net *rnet = net_generic(dev->net, rxe_net_id);
	struct in_device *in_dev;

	rtnl_lock();
	if (ipv6_addr_v4mapped(addr)) {
		in_dev = __in_dev_get_rtnl(dev->ndev);
		if (in_dev)
			ip_mc_dec_group(in_dev, addr->s6_addr32[3]);
	} else if (rnet->sock6) {
		rxe_ipv6_sock_mc_drop(rnet->sock6->sk, dev->ndev->ifindex,
				      addr);
	}
	rtnl_unlock();
}

/* The netdev of a source address: the device's own, or a VLAN on it. */
static int rxe_ifindex_of(const struct rxe_dev *dev,
			  const struct ib_gid_attr *sgid)
{
	const struct net_device *ndev;
	int ifindex;

	rcu_read_lock();
	ndev = rdma_read_gid_attr_ndev_rcu(sgid);
	ifindex = IS_ERR(ndev) ? dev->ndev->ifindex : ndev->ifindex;
	rcu_read_unlock();

	return ifindex;
}

/**
 * rxe_path_init - set up the way to a peer
 * @path: to be filled; its route cache exists
 * @dev: the sender's device
 * @ah: the address vector; its GRH and source GID were resolved by the core
 * @qpn: the sender's number, or whatever else tells its packets from others'
 * @peer_qpn: the receiver's
 *
 * Context: may sleep; nobody sends along @path.
 * Return: 0 or -EINVAL: not a RoCEv2 address.
 */
int rxe_path_init(struct rxe_path *path, struct rxe_dev *dev,
		  const struct rdma_ah_attr *ah, u32 qpn, u32 peer_qpn)
{
	const struct ib_global_route *grh = rdma_ah_read_grh(ah);
	const struct ib_gid_attr *sgid = grh->sgid_attr;

	if (!sgid || sgid->gid_type != IB_GID_TYPE_ROCE_UDP_ENCAP)
		return -EINVAL;

	memcpy(&path->saddr, &sgid->gid, sizeof(path->saddr));
	memcpy(&path->daddr, &grh->dgid, sizeof(path->daddr));
	path->ipv4 = ipv6_addr_v4mapped(&path->saddr);
	if (path->ipv4 != ipv6_addr_v4mapped(&path->daddr))
		return -EINVAL;

	path->oif = 0;
	if (rdma_is_multicast_addr(&path->daddr) ||
	    (ipv6_addr_type(&path->daddr) & IPV6_ADDR_LINKLOCAL))
		path->oif = rxe_ifindex_of(dev, sgid);

	path->flow_label = cpu_to_be32(grh->flow_label) & IPV6_FLOWLABEL_MASK;
	path->sport = cpu_to_be16(rdma_get_udp_sport(grh->flow_label, qpn,
						     peer_qpn));
	path->hop_limit = grh->hop_limit;
	path->traffic_class = grh->traffic_class;
	dst_cache_reset_now(&path->cache);
	return 0;
}

static struct dst_entry *rxe_route4(struct net *net, struct rxe_path *path)
{
	struct flowi4 fl4 = {
		.saddr = path->saddr.s6_addr32[3],
		.daddr = path->daddr.s6_addr32[3],
		.flowi4_oif = path->oif,
		.flowi4_proto = IPPROTO_UDP,
		.fl4_sport = path->sport,
		.fl4_dport = cpu_to_be16(ROCE_V2_UDP_DPORT),
	};
	struct rtable *rt;
	__be32 saddr;

	rt = dst_cache_get_ip4(&path->cache, &saddr);
	if (rt)
		return &rt->dst;

	rt = ip_route_output_key(net, &fl4);
	if (IS_ERR(rt))
		return ERR_CAST(rt);

	dst_cache_set_ip4(&path->cache, &rt->dst, fl4.saddr);
	return &rt->dst;
}

static struct dst_entry *rxe_route6(struct net *net, struct sock *sk,
				    struct rxe_path *path)
{
	struct flowi6 fl6 = {
		.saddr = path->saddr,
		.daddr = path->daddr,
		.flowi6_oif = path->oif,
		.flowi6_proto = IPPROTO_UDP,
		.flowlabel = path->flow_label,
		.fl6_sport = path->sport,
		.fl6_dport = cpu_to_be16(ROCE_V2_UDP_DPORT),
	};
	struct dst_entry *dst;
	struct in6_addr saddr;

	dst = dst_cache_get_ip6(&path->cache, &saddr);
	if (dst)
		return dst;

	dst = rxe_ip6_dst_lookup_flow(net, sk, &fl6, NULL);
	if (!IS_ERR(dst))
		dst_cache_set_ip6(&path->cache, dst, &path->saddr);
	return dst;
}

static void rxe_push_udp(struct sk_buff *skb, const struct rxe_path *path)
{
	struct udphdr *udp;

	udp = skb_push(skb, sizeof(*udp));
	skb_reset_transport_header(skb);
	udp->source = path->sport;
	udp->dest = cpu_to_be16(ROCE_V2_UDP_DPORT);
	udp->len = cpu_to_be16(skb->len);
	udp->check = 0;
}

static void rxe_push_ip4(struct sk_buff *skb, const struct rxe_path *path)
{
	unsigned int len = skb->len;
	struct iphdr *iph;

	iph = skb_push(skb, sizeof(*iph));
	skb_reset_network_header(skb);
	*iph = (struct iphdr) {
		.version = 4,
		.ihl = sizeof(*iph) / 4,
		.tos = path->traffic_class,
		.tot_len = cpu_to_be16(skb->len),
		.frag_off = cpu_to_be16(IP_DF),
		.ttl = path->hop_limit ?: ip4_dst_hoplimit(skb_dst(skb)),
		.protocol = IPPROTO_UDP,
		.saddr = path->saddr.s6_addr32[3],
		.daddr = path->daddr.s6_addr32[3],
	};
	udp_set_csum(false, skb, iph->saddr, iph->daddr, len);
}

static void rxe_push_ip6(struct sk_buff *skb, const struct rxe_path *path)
{
	unsigned int len = skb->len;
	struct ipv6hdr *ip6h;

	ip6h = skb_push(skb, sizeof(*ip6h));
	skb_reset_network_header(skb);
	ip6_flow_hdr(ip6h, path->traffic_class, path->flow_label);
	ip6h->payload_len = cpu_to_be16(len);
	ip6h->nexthdr = IPPROTO_UDP;
	ip6h->hop_limit = path->hop_limit ?:
			  ip6_dst_hoplimit(skb_dst(skb));
	ip6h->saddr = path->saddr;
	ip6h->daddr = path->daddr;
	udp6_set_csum(false, skb, &ip6h->saddr, &ip6h->daddr, len);
}

/**
 * rxe_tx_alloc - begin a packet
 * @qp: the sender
 * @opcode: of the BTH
 * @psn: of the BTH
 * @payload_len: bytes
 *
 * Context: any.
 * Return: the packet; its data begins with the BTH of a connection, complete
 * but for AckReq and SE, and has room for the other headers of @opcode, the
 * payload, zeroed padding and the ICRC. NULL: no memory.
 */
struct sk_buff *rxe_tx_alloc(struct rxe_qp *qp, u8 opcode, u32 psn,
			     u32 payload_len)
{
	unsigned int hdr_len = rxe_opcodes[opcode].hdr_len;
	unsigned int pad = -payload_len & 3;
	struct rxe_bth *bth;
	struct sk_buff *skb;

	skb = alloc_skb(RXE_HEADROOM + hdr_len + payload_len + pad +
			RXE_ICRC_BYTES, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;

	skb_reserve(skb, RXE_HEADROOM);
	bth = skb_put(skb, hdr_len + payload_len + pad + RXE_ICRC_BYTES);
	bth->opcode = opcode;
	bth->flags = RXE_BTH_MIG | pad << RXE_BTH_PAD_SHIFT;
	bth->pkey = cpu_to_be16(RXE_DEFAULT_PKEY);
	bth->qpn = cpu_to_be32(qp->attr.dest_qp_num);
	bth->apsn = cpu_to_be32(psn);
	memset(skb->data + hdr_len + payload_len, 0, pad);
	return skb;
}

/**
 * rxe_tx_send - finish a packet and hand it to the network
 * @qp: the sender
 * @path: the way to the receiver
 * @skb: from rxe_tx_alloc(), all headers and payload filled; consumed
 * @direction: of the flow that the packet belongs to
 *
 * A packet for which there is no way, or which the network drops later, is the
 * protocol's to repeat.
 *
 * Context: BH disabled, the lock of the queue that sends is held.
 */
void rxe_tx_send(struct rxe_qp *qp, struct rxe_path *path, struct sk_buff *skb,
		 enum rxe_flow_direction direction)
{
	unsigned int icrc_offset = skb->len - RXE_ICRC_BYTES;
	struct rxe_net *rnet = net_generic(qp->dev->net, rxe_net_id);
	struct net *net = qp->dev->net;
	struct socket *sock;
	struct dst_entry *dst;
	__le32 icrc;

	sock = path->ipv4 ? rnet->sock4 : rnet->sock6;
	if (!sock)
		goto drop;

	dst = path->ipv4 ? rxe_route4(net, path) :
			   rxe_route6(net, sock->sk, path);
	if (IS_ERR(dst))
		goto drop;
	skb_dst_set(skb, dst);

	rxe_push_udp(skb, path);
	if (path->ipv4)
		rxe_push_ip4(skb, path);
	else
		rxe_push_ip6(skb, path);

	icrc = cpu_to_le32(rxe_icrc(skb, icrc_offset));
	memcpy(skb_tail_pointer(skb) - RXE_ICRC_BYTES, &icrc, sizeof(icrc));

	skb->priority = rt_tos2priority(path->traffic_class);
	rxe_flow_add(&qp->anchor->flows[direction], skb);
	rxe_count(qp->dev, RXE_STAT_SENT_PKTS);
	rxe_count_more(qp->dev, RXE_STAT_SENT_BYTES,
		       icrc_offset + RXE_ICRC_BYTES);
	if (path->ipv4)
		ip_local_out(net, sock->sk, skb);
	else
		ip6_local_out(net, sock->sk, skb);
	return;

drop:
	rxe_count(qp->dev, RXE_STAT_SEND_ERR);
	kfree_skb(skb);
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
