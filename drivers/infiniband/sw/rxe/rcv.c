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
#include <net/net_namespace.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>
#include <net/xfrm.h>

#include "completer.h"
#include "gsi.h"
#include "mcast.h"
#include "pkt.h"
#include "qp.h"
#include "rcv.h"
#include "responder.h"
#include "ud.h"

/**
 * struct rxe_run - packets of a batch that are for the same queue
 * @qp: held; NULL: there are none
 * @responses: they are for its send queue
 * @begin: offset of the first
 * @end: offset behind the last
 */
struct rxe_run {
	struct rxe_qp *qp;
	bool responses;
	u32 begin;
	u32 end;
};

/**
 * rxe_count_rcvd - count a packet
 * @dev: the device that it is for
 * @pkt: the packet; its ICRC is right
 *
 * Context: softirq.
 */
void rxe_count_rcvd(struct rxe_dev *dev, const struct rxe_pkt *pkt)
{
	rxe_count(dev, RXE_STAT_RCVD_PKTS);
	rxe_count_more(dev, RXE_STAT_RCVD_BYTES, pkt->len);
}

static bool rxe_from_peer(const struct rxe_qp *qp, const struct sk_buff *skb)
{
	const struct rxe_path *path = &qp->path;
	const struct ipv6hdr *ip6h;
	const struct iphdr *iph;

	if (ip_hdr(skb)->version == 4) {
		iph = ip_hdr(skb);
		return path->ipv4 && iph->ihl == sizeof(*iph) / 4 &&
		       iph->daddr == path->saddr.s6_addr32[3] &&
		       iph->saddr == path->daddr.s6_addr32[3];
	}

	ip6h = ipv6_hdr(skb);
	return !path->ipv4 && ip6h->nexthdr == IPPROTO_UDP &&
	       ipv6_addr_equal(&ip6h->daddr, &path->saddr) &&
	       ipv6_addr_equal(&ip6h->saddr, &path->daddr);
}

static bool rxe_is_for(const struct rxe_qp *qp, const struct net *net,
		       const struct rxe_pkt *pkt)
{
	if (rxe_service(pkt->opcode) != qp->service ||
	    !net_eq(net, qp->dev->net))
		return false;
	return rxe_is_datagram(qp) ? rxe_ud_is_ours(qp->dev, pkt->skb) :
				     rxe_from_peer(qp, pkt->skb);
}

static struct rxe_qp *rxe_find_qp(const struct net *net,
				  const struct rxe_pkt *pkt)
{
	struct rxe_qp *qp;

	qp = pkt->qpn == RXE_GSI_QPN ? rxe_gsi_get(net, pkt->skb) :
				       rxe_handle_get(&rxe_qps, pkt->qpn);
	if (!qp)
		return NULL;

	/* pairs with modify_qp(): who sees the state sees the path */
	if (smp_load_acquire(&qp->state) >= IB_QPS_RTR &&
	    rxe_is_for(qp, net, pkt))
		return qp;

	rxe_handle_put(qp->handle);
	return NULL;
}

static bool rxe_is_response(const struct rxe_pkt *pkt)
{
	return pkt->op->flags & RXE_OP_RESPONSE;
}

static bool rxe_run_begin(struct rxe_run *run, const struct net *net,
			  const struct rxe_pkt *pkt)
{
	run->qp = rxe_find_qp(net, pkt);
	run->responses = rxe_is_response(pkt);
	run->begin = pkt->offset;
	run->end = pkt->offset;
	return run->qp;
}

static bool rxe_run_continues(const struct rxe_run *run, u32 qpn,
			      const struct rxe_pkt *pkt)
{
	return pkt->qpn == qpn && rxe_is_response(pkt) == run->responses &&
	       rxe_service(pkt->opcode) == run->qp->service;
}

/* Hand a run to its queue, with an skb of its own. */
static void rxe_run_deliver(struct rxe_run *run, struct sk_buff *skb)
{
	struct rxe_qp *qp = run->qp;

	run->qp = NULL;
	if (!skb) {
		rxe_count(qp->dev, RXE_STAT_RCVD_DROPS);
	} else if (run->begin == run->end) {
		kfree_skb(skb);
	} else {
		rxe_batch(skb)->next = run->begin;
		rxe_batch(skb)->end = run->end;
		if (run->responses)
			rxe_completer_rcv(qp, skb);
		else
			rxe_responder_rcv(qp, skb);
	}
	rxe_handle_put(qp->handle);
}

/*
 * GRO may have merged packets of several QPs: all that have the same addresses
 * and ports. What is not valid ends a run, too.
 */
static void rxe_run_split(struct rxe_run *run, struct sk_buff *skb)
{
	if (run->qp)
		rxe_run_deliver(run, skb_clone(skb, GFP_ATOMIC));
}

static void rxe_rcv_runs(const struct net *net, struct sk_buff *skb)
{
	u32 offset, qpn = 0, end = rxe_batch(skb)->end;
	struct rxe_run run = {};
	struct rxe_pkt pkt;

	for (offset = 0; offset < end; offset += pkt.len) {
		if (!rxe_pkt_parse(&pkt, skb, offset)) {
			rxe_run_split(&run, skb);
			continue;
		}
		if (run.qp && !rxe_run_continues(&run, qpn, &pkt))
			rxe_run_split(&run, skb);
		if (!run.qp && !rxe_run_begin(&run, net, &pkt))
			continue;
		qpn = pkt.qpn;
		if (!rxe_pkt_check_icrc(&pkt)) {
			rxe_count(run.qp->dev, RXE_STAT_ICRC_ERR);
			rxe_run_split(&run, skb);
			continue;
		}
		rxe_count_rcvd(run.qp->dev, &pkt);
		run.end = pkt.offset + pkt.len;
	}

	if (run.qp)
		rxe_run_deliver(&run, skb);
	else
		kfree_skb(skb);
}

static void rxe_rcv_group(const struct net *net, struct sk_buff *skb)
{
	struct rxe_pkt pkt;

	if (rxe_pkt_next(&pkt, skb) && pkt.qpn == RXE_MULTICAST_QPN &&
	    rxe_service(pkt.opcode) == IB_OPCODE_UD && rxe_pkt_check_icrc(&pkt))
		rxe_mcast_rcv(net, &pkt);
	consume_skb(skb);
}

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
		rxe_rcv_runs(sock_net(sk), skb);
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
	rxe_rcv_runs(net, skb);
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
 * rxe_rcv_init_net - begin to take what comes to the RoCEv2 port
 * @net: where there are sockets that have it
 *
 * Context: may sleep.
 * Return: 0 or a negative errno.
 */
int rxe_rcv_init_net(struct net *net)
{
	return nf_register_net_hooks(net, rxe_hooks, ARRAY_SIZE(rxe_hooks));
}

/**
 * rxe_rcv_exit_net - the counterpart of rxe_rcv_init_net()
 * @net: as there
 *
 * Context: may sleep.
 */
void rxe_rcv_exit_net(struct net *net)
{
	nf_unregister_net_hooks(net, rxe_hooks, ARRAY_SIZE(rxe_hooks));
}
