// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A netfilter hook takes packets to the RoCEv2 port. It is the last one of
 * local input: firewalls have seen the packets by then, and those that GSO or
 * GRO keep together still are one skb, which the socket would split. The socket
 * keeps the port, enables GRO for it, and takes the packets that the hook
 * leaves to it.
 */
#include <linux/bottom_half.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>
#include <net/xfrm.h>
#include <rdma/ib_addr.h>

#include "base/compat.h"
#include "base/pkt.h"
#include "egress/path.h"
#include "ingress/bulk.h"
#include "ingress/hook.h"
#include "ingress/port.h"
#include "ingress/rcv.h"

/* The netdev that a packet came in by, not the VRF that this is in. */
static const struct net_device *rxe_ingress_netdev(const struct sk_buff *skb)
{
	int ifindex = ip_hdr(skb)->version == 4 ? inet_sdif(skb) :
						  inet6_sdif(skb);
	const struct net_device *ndev = NULL;

	if (ifindex)
		ndev = dev_get_by_index_rcu(dev_net(skb->dev), ifindex);
	return ndev ?: skb->dev;
}

/* From here on the skb's data begins with the first BTH. */
static void rxe_batch_init(struct sk_buff *skb, u32 packet_len)
{
	u32 len = be16_to_cpu(udp_hdr(skb)->len) - sizeof(struct udphdr);
	const struct net_device *ndev = rxe_ingress_netdev(skb);
	int iif = ip_hdr(skb)->version == 4 ? ndev->ifindex : IP6CB(skb)->iif;
	u16 vlan_id = RXE_NO_VLAN;

	if (is_vlan_dev(ndev)) {
		vlan_id = vlan_dev_vlan_id(ndev);
		ndev = vlan_dev_real_dev(ndev);
	}

	__skb_pull(skb, skb_transport_offset(skb) + sizeof(struct udphdr));
	*rxe_batch(skb) = (struct rxe_batch) {
		.end = len,
		.packet_len = packet_len ?: len,
		.merged = packet_len,
		.ident_step = 1,
		.vlan_id = vlan_id,
		.ifindex = ndev->ifindex,
		.iif = iif,
		.domain = netif_is_l3_master(skb->dev) ? skb->dev->ifindex : 0,
	};
}

/* @len: from the UDP header on */
static bool rxe_udp_len_ok(const struct udphdr *udp, u32 len)
{
	return be16_to_cpu(udp->len) >= sizeof(*udp) &&
	       be16_to_cpu(udp->len) <= len;
}

static void rxe_hook_rcv(const struct net *net, struct sk_buff *skb)
{
	if (rxe_is_bulk(skb))
		rxe_bulk_add(net, skb);
	else
		rxe_rcv(net, skb);
}

/**
 * rxe_udp_rcv - take a packet off the RoCEv2 port: udp_sock.encap_rcv
 * @sk: the socket
 * @skb: one packet; its data begins with the UDP header
 *
 * Context: BH disabled, under RCU: also for packets that NFQUEUE reinjects, as
 * netfilter disables BH for what is behind a hook point.
 * Return: 0: the packet is consumed, whatever it is.
 */
int rxe_udp_rcv(struct sock *sk, struct sk_buff *skb)
{
	union ib_gid dgid;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	rxe_batch_init(skb, 0);
	if (!rxe_udp_len_ok(udp_hdr(skb), skb->len + sizeof(struct udphdr)) ||
	    !rxe_skb_dgid(skb, &dgid)) {
		rxe_count_dropped(sock_net(sk), skb, NULL, 1,
				  RXE_STAT_RCVD_MALFORMED);
		kfree_skb(skb);
		return 0;
	}

	if (!rdma_is_multicast_addr((struct in6_addr *)dgid.raw))
		rxe_hook_rcv(sock_net(sk), skb);
	else if (rxe_path_is_in_output())
		rxe_rcv_drop(sock_net(sk), skb);
	else
		rxe_rcv_group(sock_net(sk), skb);
	return 0;
}

/* Whether the hook can take a packet: the socket takes the others. */
static bool rxe_hook_can_take(struct sk_buff *skb, u32 ip_len)
{
	enum ip_conntrack_info info;
	const struct udphdr *udp;
	const struct nf_conn *ct;

	if (!pskb_may_pull(skb, ip_len + sizeof(*udp)))
		return false;

	udp = (const struct udphdr *)(skb->data + ip_len);
	if (udp->dest != cpu_to_be16(ROCE_V2_UDP_DPORT) ||
	    !rxe_udp_len_ok(udp, skb->len - ip_len))
		return false;
	if (skb_is_gso(skb) && !(skb_shinfo(skb)->gso_type & SKB_GSO_UDP_L4))
		return false;

	/* conntrack confirms a connection only after this hook */
	ct = nf_ct_get(skb, &info);
	return !ct || nf_ct_is_confirmed(ct);
}

/* BH are disabled: see rxe_hooks[]. */
static unsigned int rxe_hook_take(const struct net *net, struct sk_buff *skb)
{
	u32 packet_len = skb_is_gso(skb) ? skb_shinfo(skb)->gso_size : 0;

	nf_reset_ct(skb);
	rxe_batch_init(skb, packet_len);
	rxe_hook_rcv(net, skb);
	return NF_STOLEN;
}

/*
 * UDP gives packets from a VRF to a socket outside of VRFs only if
 * udp_l3mdev_accept is set, for all sockets. Name our socket in the skb, so
 * that packets that the hook leaves reach it without that.
 */
static unsigned int rxe_hook_pass_to_socket(const struct net *net,
					    struct sk_buff *skb, u32 ip_len)
{
	const struct udphdr *udp;
	struct sock *sk;

	if (!netif_is_l3_master(skb->dev) || skb->sk ||
	    !pskb_may_pull(skb, ip_len + sizeof(*udp)))
		return NF_ACCEPT;

	udp = (const struct udphdr *)(skb->data + ip_len);
	sk = rxe_port_sock(net, ip_hdr(skb)->version == 4);
	if (udp->dest != cpu_to_be16(ROCE_V2_UDP_DPORT) || !sk)
		return NF_ACCEPT;

	skb_orphan(skb);
	sock_hold(sk);
	skb->sk = sk;
	skb->destructor = sock_edemux;
	return NF_ACCEPT;
}

static unsigned int rxe_hook4(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);
	unsigned int verdict = NF_DROP;

	if (iph->protocol != IPPROTO_UDP || iph->ihl != sizeof(*iph) / 4)
		return NF_ACCEPT;
	if (ipv4_is_multicast(iph->daddr) ||
	    !rxe_hook_can_take(skb, sizeof(*iph)))
		return rxe_hook_pass_to_socket(state->net, skb, sizeof(*iph));

	local_bh_disable();
	if (xfrm4_policy_check(NULL, XFRM_POLICY_IN, skb))
		verdict = rxe_hook_take(state->net, skb);
	local_bh_enable();

	return verdict;
}

static unsigned int rxe_hook6(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct ipv6hdr *ip6h = ipv6_hdr(skb);
	unsigned int verdict = NF_DROP;

	if (ip6h->nexthdr != IPPROTO_UDP)
		return NF_ACCEPT;
	if (ipv6_addr_is_multicast(&ip6h->daddr) ||
	    !rxe_hook_can_take(skb, sizeof(*ip6h)))
		return rxe_hook_pass_to_socket(state->net, skb, sizeof(*ip6h));

	local_bh_disable();
	if (xfrm6_policy_check(NULL, XFRM_POLICY_IN, skb))
		verdict = rxe_hook_take(state->net, skb);
	local_bh_enable();

	return verdict;
}

/*
 * Netfilter calls them in any of these contexts:
 *  - softirq: what the IP layer delivers. Almost always it is this;
 *  - process, BH disabled: what a program writes to a tun device, or an earlier
 *    hook point's packet that user space has handed back (NFQUEUE);
 *  - process, BH enabled, preemptible: a packet that user space has handed back
 *    to a queue at this hook point. nf_reinject() calls the hooks behind the
 *    queue's as it was called, by the program's sendmsg();
 *  - any of these inside of rxe_path_output(), with a queue's lock held: tc may
 *    redirect what leaves to where it comes in (mirred), and before 6.8 the
 *    receiver was then called at once, as it may be by a netdev that is not known
 *    here. Such packets are left to the work of bulk.c.
 *
 * A bridge, defragmentation and tc on the way in add no context. The bridge's own
 * hooks, and those that br_netfilter calls in it, are others than local input; a
 * frame for the host, and one that ebtables has routed, go through the IP layer,
 * in softirq or as a queue's program hands them back. Defragmentation is done at
 * earlier hooks, and its packets are in several skbs, which may_pull and the parser
 * take. Packets that tc redirects on the way in come by softirq, with another netdev.
 *
 * The code behind them takes locks that softirqs take, and stays on one CPU
 * while it does: the hooks disable BH themselves. It relies on the following,
 * which holds in all contexts: interrupts are enabled; RCU is read-locked, so
 * that QPs and routes stay; the skb is not shared, its data begins with the
 * network header, and its transport header is set. Its netdev is there until
 * the hook returns, held by RCU or by the queue, and so is its route:
 * rxe_batch_detach() lets go of them for packets that stay longer.
 *
 * NFQUEUE segments merged packets, unless its program sets NFQA_CFG_F_GSO, and
 * packets that were not queued may overtake: they then come one by one, on any
 * CPU, in any order, as from any network.
 *
 * They are the last of their hook point: no other hook moves when they are
 * registered or unregistered. A queued packet goes on from its hook's place.
 */
static const struct nf_hook_ops rxe_hooks[] = {
	{
		.hook = rxe_hook4,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = NF_IP_PRI_LAST,
	},
	{
		.hook = rxe_hook6,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = NF_IP6_PRI_LAST,
	},
};

/**
 * rxe_hook_net - begin to take packets to the RoCEv2 port
 * @net: the namespace; its sockets have the port
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_hook_net(struct net *net)
{
	return nf_register_net_hooks(net, rxe_hooks, ARRAY_SIZE(rxe_hooks));
}

/**
 * rxe_unhook_net - the counterpart of rxe_hook_net()
 * @net: as there
 *
 * Packets that are queued to user space in the namespace are dropped:
 * nf_queue_nf_hook_drop(). Others may still wait: rxe_hook_wait().
 *
 * Context: may sleep; the sockets may go after it.
 */
void rxe_unhook_net(struct net *net)
{
	nf_unregister_net_hooks(net, rxe_hooks, ARRAY_SIZE(rxe_hooks));
	/* rxe_hook_pass_to_socket() looks for a socket */
	synchronize_net();
}

/**
 * rxe_hook_wait - wait for packets that the hook or the socket has taken
 * @net: as there
 *
 * To close a socket does not wait for callers that are in rxe_udp_rcv(), which may
 * add a batch.
 *
 * Context: may sleep; after rxe_unhook_net(), and when the sockets are closed.
 */
void rxe_hook_wait(struct net *net)
{
	synchronize_rcu();
	rxe_bulk_drop(net);
}
