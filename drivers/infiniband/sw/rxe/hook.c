// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What comes to the RoCEv2 port is taken by a netfilter hook, the last one of
 * local input: firewalls have seen it then, and packets that segmentation
 * offload or GRO keep together still are one skb, as they would not be any more
 * at the socket, which splits them. The socket keeps the port, has GRO merge what
 * comes for it, and takes what the hook leaves to it.
 */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/udp.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>
#include <net/xfrm.h>
#include <rdma/ib_addr.h>

#include "bulk.h"
#include "hook.h"
#include "pkt.h"
#include "rcv.h"

/* From here on the skb's data begins with the first BTH. */
static void rxe_batch_init(struct sk_buff *skb, u32 packet_len)
{
	u32 len = be16_to_cpu(udp_hdr(skb)->len) - sizeof(struct udphdr);
	bool on_vlan = is_vlan_dev(skb->dev);

	__skb_pull(skb, skb_transport_offset(skb) + sizeof(struct udphdr));
	*rxe_batch(skb) = (struct rxe_batch) {
		.end = len,
		.packet_len = packet_len ?: len,
		.merged = packet_len,
		.ident_step = 1,
		.vlan_id = on_vlan ? vlan_dev_vlan_id(skb->dev) : RXE_NO_VLAN,
	};
}

/* @len: from the UDP header on */
static bool rxe_udp_len_ok(const struct udphdr *udp, u32 len)
{
	return be16_to_cpu(udp->len) >= sizeof(*udp) &&
	       be16_to_cpu(udp->len) <= len;
}

/**
 * rxe_udp_rcv - take a packet off the RoCEv2 port: udp_sock.encap_rcv
 * @sk: the socket
 * @skb: one packet; its data begins with the UDP header
 *
 * Context: softirq, under RCU.
 * Return: 0: the packet is consumed, whatever it is.
 */
int rxe_udp_rcv(struct sock *sk, struct sk_buff *skb)
{
	union ib_gid dgid;

	if (!rxe_udp_len_ok(udp_hdr(skb), skb->len) || !rxe_skb_dgid(skb, &dgid)) {
		kfree_skb(skb);
		return 0;
	}

	rxe_batch_init(skb, 0);
	if (rdma_is_multicast_addr((struct in6_addr *)dgid.raw))
		rxe_rcv_group(sock_net(sk), skb);
	else
		rxe_rcv(sock_net(sk), skb);
	return 0;
}

/* Whether the hook can take it: the socket does what this leaves. */
static bool rxe_hook_takes(struct sk_buff *skb, u32 ip_len)
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

	/* connection tracking comes to know of a connection after this hook */
	ct = nf_ct_get(skb, &info);
	return !ct || nf_ct_is_confirmed(ct);
}

static unsigned int rxe_hook_take(const struct net *net, struct sk_buff *skb)
{
	u32 packet_len = skb_is_gso(skb) ? skb_shinfo(skb)->gso_size : 0;

	nf_reset_ct(skb);
	rxe_batch_init(skb, packet_len);
	if (rxe_is_bulk(skb))
		rxe_bulk_add(net, skb);
	else
		rxe_rcv(net, skb);
	return NF_STOLEN;
}

static unsigned int rxe_hook4(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);

	if (iph->protocol != IPPROTO_UDP || iph->ihl != sizeof(*iph) / 4 ||
	    ipv4_is_multicast(iph->daddr) ||
	    !rxe_hook_takes(skb, sizeof(*iph)))
		return NF_ACCEPT;
	if (!xfrm4_policy_check(NULL, XFRM_POLICY_IN, skb))
		return NF_DROP;
	return rxe_hook_take(state->net, skb);
}

static unsigned int rxe_hook6(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct ipv6hdr *ip6h = ipv6_hdr(skb);

	if (ip6h->nexthdr != IPPROTO_UDP ||
	    ipv6_addr_is_multicast(&ip6h->daddr) ||
	    !rxe_hook_takes(skb, sizeof(*ip6h)))
		return NF_ACCEPT;
	if (!xfrm6_policy_check(NULL, XFRM_POLICY_IN, skb))
		return NF_DROP;
	return rxe_hook_take(state->net, skb);
}

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
 * rxe_hook_net - begin to take what comes to the RoCEv2 port
 * @net: where there are sockets that have it
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
 * Context: may sleep.
 */
void rxe_unhook_net(struct net *net)
{
	nf_unregister_net_hooks(net, rxe_hooks, ARRAY_SIZE(rxe_hooks));
	rxe_bulk_drain();
}
