// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/rtnetlink.h>
#include <net/udp.h>
#include <net/xfrm.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_cache.h>

#include "base/compat.h"
#include "base/dev.h"
#include "base/icrc.h"
#include "base/rule.h"
#include "egress/path.h"

/**
 * struct rxe_exit - where packets leave the host
 * @domain: the VRF that they stay in, or 0
 * @ifindex: the netdev that they leave by; 0: any, as the routes say
 */
struct rxe_exit {
	int domain;
	int ifindex;
};

/*
 * The netdev of a source address: the device's own, or one above it, such as a
 * VLAN. -EINVAL: the address is gone, or the netdev was moved to another net
 * namespace with it.
 */
static int rxe_ifindex_of(const struct rxe_dev *dev,
			  const struct ib_gid_attr *sgid)
{
	const struct net_device *ndev;
	int ifindex = -EINVAL;

	rcu_read_lock();
	ndev = rdma_read_gid_attr_ndev_rcu(sgid);
	if (!IS_ERR(ndev) && net_eq(dev_net(ndev), dev->net))
		ifindex = ndev->ifindex;
	rcu_read_unlock();

	return ifindex;
}

/**
 * rxe_path_init - set up the way to a peer
 * @path: to be filled; its route cache exists
 * @dev: the sender's device
 * @ah: the address vector; the core has resolved its GRH and source GID
 * @qpn: the sender's number, or another one to choose the UDP source port by
 * @peer_qpn: the receiver's, or 0
 *
 * Context: any; no packet is being sent along @path.
 * Return: 0; -EINVAL: not a RoCEv2 address, or one that is gone; @path is as before.
 */
int rxe_path_init(struct rxe_path *path, struct rxe_dev *dev,
		  const struct rdma_ah_attr *ah, u32 qpn, u32 peer_qpn)
{
	const struct ib_global_route *grh = rdma_ah_read_grh(ah);
	const struct ib_gid_attr *sgid = grh->sgid_attr;
	struct in6_addr saddr, daddr;
	int ifindex;

	if (!sgid || sgid->gid_type != IB_GID_TYPE_ROCE_UDP_ENCAP)
		return rxe_refuse(&dev->ibdev, -EINVAL,
				  "address vector: GID %u is not one of RoCEv2",
				  grh->sgid_index);

	memcpy(&saddr, &sgid->gid, sizeof(saddr));
	memcpy(&daddr, &grh->dgid, sizeof(daddr));
	if (rxe_broken(address_vector))
		path->daddr = daddr;
	if (ipv6_addr_v4mapped(&saddr) != ipv6_addr_v4mapped(&daddr))
		return rxe_refuse(&dev->ibdev, -EINVAL,
				  "address vector: not both of %pI6c and %pI6c are IPv4 addresses",
				  &saddr, &daddr);

	ifindex = rxe_ifindex_of(dev, sgid);
	if (ifindex < 0)
		return rxe_refuse(&dev->ibdev, ifindex,
				  "address vector: the netdev of GID %u is gone, or has moved",
				  grh->sgid_index);

	path->saddr = saddr;
	path->daddr = daddr;
	path->ipv4 = ipv6_addr_v4mapped(&saddr);
	path->ifindex = ifindex;
	path->on_link = rdma_is_multicast_addr(&path->daddr) ||
			(ipv6_addr_type(&path->daddr) & IPV6_ADDR_LINKLOCAL);

	path->peer_qpn = cpu_to_be32(peer_qpn);
	path->flow_label = cpu_to_be32(grh->flow_label) & IPV6_FLOWLABEL_MASK;
	path->sport = cpu_to_be16(rdma_get_udp_sport(grh->flow_label, qpn,
						     peer_qpn));
	path->hop_limit = grh->hop_limit;
	path->traffic_class = grh->traffic_class;
	dst_cache_reset_now(&path->cache);
	return 0;
}

/* No peer is behind such a netdev: its addresses belong to the whole host. */
static bool rxe_netdev_has_no_peer(const struct net_device *ndev)
{
	if ((ndev->flags & IFF_LOOPBACK) || netif_is_l3_master(ndev))
		return true;
	return ndev->rtnl_link_ops && !strcmp(ndev->rtnl_link_ops->kind, "dummy");
}

/* Looked up with each route: a netdev may be put into a VRF at any time. */
static int rxe_find_exit(struct net *net, const struct rxe_path *path,
			 struct rxe_exit *exit)
{
	const struct net_device *ndev;
	int err = -ENODEV;

	rcu_read_lock();
	ndev = dev_get_by_index_rcu(net, path->ifindex);
	if (ndev) {
		exit->domain = l3mdev_master_ifindex_rcu(ndev);
		exit->ifindex = path->ifindex;
		if (!path->on_link && rxe_netdev_has_no_peer(ndev))
			exit->ifindex = 0;
		err = 0;
	}
	rcu_read_unlock();

	return err;
}

/* Whether the route leads to one of the host's own addresses, in any VRF. */
static bool rxe_loops_back(const struct dst_entry *dst)
{
	return (dst->dev->flags & IFF_LOOPBACK) ||
	       netif_is_l3_master(dst->dev);
}

static struct dst_entry *rxe_lookup4(struct net *net,
				     const struct rxe_path *path, int oif)
{
	struct flowi4 fl4 = {
		.saddr = path->saddr.s6_addr32[3],
		.daddr = path->daddr.s6_addr32[3],
		.flowi4_oif = oif,
		.flowi4_proto = IPPROTO_UDP,
		.fl4_sport = path->sport,
		.fl4_dport = cpu_to_be16(ROCE_V2_UDP_DPORT),
	};
	struct rtable *rt = ip_route_output_key(net, &fl4);

	return IS_ERR(rt) ? ERR_CAST(rt) : &rt->dst;
}

static struct dst_entry *rxe_lookup6(struct net *net, struct sock *sk,
				     const struct rxe_path *path, int oif,
				     const struct in6_addr *saddr)
{
	struct flowi6 fl6 = {
		.saddr = *saddr,
		.daddr = path->daddr,
		.flowi6_oif = oif,
		.flowi6_proto = IPPROTO_UDP,
		.flowlabel = path->flow_label,
		.fl6_sport = path->sport,
		.fl6_dport = cpu_to_be16(ROCE_V2_UDP_DPORT),
	};
	struct dst_entry *dst = rxe_ip6_dst_lookup_flow(net, sk, &fl6, NULL);

	if (IS_ERR(dst) || ipv6_addr_equal(&fl6.saddr, &path->saddr))
		return dst;

	/* the IPsec policies were looked up for another source address */
	fl6.saddr = path->saddr;
	return xfrm_lookup_route(net, dst, flowi6_to_flowi(&fl6), sk, 0);
}

static struct dst_entry *rxe_lookup(struct net *net, struct sock *sk,
				    const struct rxe_path *path, int oif)
{
	return path->ipv4 ? rxe_lookup4(net, path, oif) :
			    rxe_lookup6(net, sk, path, oif, &path->saddr);
}

/*
 * With a source address, IPv6 does not skip routes by another netdev than @oif,
 * as IPv4 does: @oif only decides between equal routes. If it returns such a
 * route, look up once more without the address.
 */
static struct dst_entry *rxe_lookup_via(struct net *net, struct sock *sk,
					const struct rxe_path *path, int oif)
{
	struct dst_entry *dst = rxe_lookup(net, sk, path, oif);

	if (IS_ERR(dst) || path->ipv4 || dst->dev->ifindex == oif)
		return dst;

	dst_release(dst);
	return rxe_lookup6(net, sk, path, oif, &in6addr_any);
}

/*
 * Packets to the host's own addresses stay in the host, whichever netdev has
 * them. All others leave by the netdev of the source address, even if the
 * routes prefer another one, which may belong to another link.
 */
static struct dst_entry *rxe_find_route(struct net *net, struct sock *sk,
					const struct rxe_path *path)
{
	struct rxe_exit exit;
	struct dst_entry *dst;
	int err;

	err = rxe_find_exit(net, path, &exit);
	if (err)
		return ERR_PTR(err);
	if (path->on_link)
		return rxe_lookup(net, sk, path, exit.ifindex);

	dst = rxe_lookup(net, sk, path, exit.domain);
	if (!exit.ifindex || (!IS_ERR(dst) && rxe_loops_back(dst)))
		return dst;

	if (!IS_ERR(dst))
		dst_release(dst);
	return rxe_lookup_via(net, sk, path, exit.ifindex);
}

static struct dst_entry *rxe_route4(struct net *net, struct sock *sk,
				    struct rxe_path *path)
{
	struct dst_entry *dst;
	struct rtable *rt;
	__be32 saddr;

	rt = dst_cache_get_ip4(&path->cache, &saddr);
	if (rt)
		return &rt->dst;

	dst = rxe_find_route(net, sk, path);
	if (!IS_ERR(dst))
		dst_cache_set_ip4(&path->cache, dst, path->saddr.s6_addr32[3]);
	return dst;
}

static struct dst_entry *rxe_route6(struct net *net, struct sock *sk,
				    struct rxe_path *path)
{
	struct dst_entry *dst;
	struct in6_addr saddr;

	dst = dst_cache_get_ip6(&path->cache, &saddr);
	if (dst)
		return dst;

	dst = rxe_find_route(net, sk, path);
	if (!IS_ERR(dst))
		dst_cache_set_ip6(&path->cache, dst, &path->saddr);
	return dst;
}

static struct iphdr rxe_path_iphdr(const struct rxe_path *path)
{
	struct iphdr iph = {
		.version = 4,
		.ihl = sizeof(iph) / 4,
		.tos = path->traffic_class,
		.frag_off = cpu_to_be16(IP_DF),
		.protocol = IPPROTO_UDP,
		.saddr = path->saddr.s6_addr32[3],
		.daddr = path->daddr.s6_addr32[3],
	};

	/* a neighbour's */
	if (rxe_broken(source_address))
		iph.saddr ^= cpu_to_be32(8);
	return iph;
}

static struct ipv6hdr rxe_path_ipv6hdr(const struct rxe_path *path)
{
	struct ipv6hdr ip6h = {
		.nexthdr = IPPROTO_UDP,
		.saddr = path->saddr,
		.daddr = path->daddr,
	};

	ip6_flow_hdr(&ip6h, path->traffic_class, path->flow_label);
	return ip6h;
}

static struct udphdr rxe_path_udphdr(const struct rxe_path *path)
{
	return (struct udphdr) {
		.source = path->sport,
		.dest = cpu_to_be16(ROCE_V2_UDP_DPORT),
	};
}

/**
 * rxe_path_icrc_prefix - begin the ICRCs of packets that go along a path
 * @path: the path
 * @prefix: to be filled, except for lengths and identification
 *
 * Context: any.
 */
void rxe_path_icrc_prefix(const struct rxe_path *path,
			  struct rxe_icrc_prefix *prefix)
{
	struct udphdr udp = rxe_path_udphdr(path);
	struct ipv6hdr ip6h;
	struct iphdr iph;

	if (path->ipv4) {
		iph = rxe_path_iphdr(path);
		rxe_icrc_prefix_init(prefix, &iph, &udp);
	} else {
		ip6h = rxe_path_ipv6hdr(path);
		rxe_icrc_prefix_init(prefix, &ip6h, &udp);
	}
}

static void rxe_push_udp(struct sk_buff *skb, const struct rxe_path *path)
{
	struct udphdr *udp;

	udp = skb_push(skb, sizeof(*udp));
	skb_reset_transport_header(skb);
	*udp = rxe_path_udphdr(path);
	udp->len = cpu_to_be16(skb->len);
	if (skb_is_gso(skb)) {
		skb->ip_summed = CHECKSUM_PARTIAL;
		skb->csum_start = skb_transport_header(skb) - skb->head;
		skb->csum_offset = offsetof(struct udphdr, check);
	}
}

/*
 * A single packet has no UDP checksum, as A17.4.5 says, and so that GRO does
 * not merge it with packets whose identifications do not follow its own: the
 * ICRC covers them. GSO needs a checksum.
 */
static void rxe_push_ip4(struct sk_buff *skb, const struct rxe_path *path,
			 u16 ident)
{
	unsigned int len = skb->len;
	struct iphdr *iph;

	iph = skb_push(skb, sizeof(*iph));
	skb_reset_network_header(skb);
	*iph = rxe_path_iphdr(path);
	iph->id = cpu_to_be16(ident);
	iph->tot_len = cpu_to_be16(skb->len);
	iph->ttl = path->hop_limit ?: ip4_dst_hoplimit(skb_dst(skb));
	udp_set_csum(!skb_is_gso(skb), skb, iph->saddr, iph->daddr, len);
}

static void rxe_push_ip6(struct sk_buff *skb, const struct rxe_path *path)
{
	unsigned int len = skb->len;
	struct ipv6hdr *ip6h;

	ip6h = skb_push(skb, sizeof(*ip6h));
	skb_reset_network_header(skb);
	*ip6h = rxe_path_ipv6hdr(path);
	ip6h->payload_len = cpu_to_be16(len);
	ip6h->hop_limit = path->hop_limit ?:
			  ip6_dst_hoplimit(skb_dst(skb));
	udp6_set_csum(false, skb, &ip6h->saddr, &ip6h->daddr, len);
}

/**
 * rxe_path_route - find the route of packets
 * @path: the way to the receiver
 * @dev: the sender
 *
 * Context: BH disabled.
 * Return: the route, held, or NULL: there is none.
 */
struct dst_entry *rxe_path_route(struct rxe_path *path, struct rxe_dev *dev)
{
	struct sock *sk = path->ipv4 ? dev->sock4 : dev->sock6;
	struct dst_entry *dst;

	lockdep_assert_in_softirq();
	if (!sk)
		return NULL;

	dst = path->ipv4 ? rxe_route4(dev->net, sk, path) :
			   rxe_route6(dev->net, sk, path);
	return IS_ERR(dst) ? NULL : dst;
}

/* calls of rxe_path_output() on a CPU; with BH disabled they nest */
static DEFINE_PER_CPU(int, rxe_path_outputs);

/**
 * rxe_path_is_in_output - ask whether the network has been called by the driver
 *
 * Then a queue's lock is held on this CPU, and another one must not be taken.
 *
 * Context: BH disabled.
 * Return: true in what rxe_path_output() calls.
 */
bool rxe_path_is_in_output(void)
{
	lockdep_assert_in_softirq();
	return this_cpu_read(rxe_path_outputs);
}

/**
 * rxe_path_output - hand packets to the network
 * @path: the way to the receiver
 * @dev: the sender
 * @skb: one packet, or several to be segmented, with their route; its data
 *	 begins with the first BTH, and has room for the headers ahead of it;
 *	 consumed
 * @ident: identification of the first packet; each later one has the next
 *
 * Context: BH disabled.
 */
void rxe_path_output(const struct rxe_path *path, struct rxe_dev *dev,
		     struct sk_buff *skb, u16 ident)
{
	struct sock *sk = path->ipv4 ? dev->sock4 : dev->sock6;
	struct net *net = dev->net;

	lockdep_assert_in_softirq();
	skb->priority = rt_tos2priority(path->traffic_class);
	rxe_push_udp(skb, path);
	this_cpu_inc(rxe_path_outputs);
	if (path->ipv4) {
		rxe_push_ip4(skb, path, ident);
		ip_local_out(net, sk, skb);
	} else {
		rxe_push_ip6(skb, path);
		ip6_local_out(net, sk, skb);
	}
	this_cpu_dec(rxe_path_outputs);
}
