// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* From the UDP socket to the queue pair. */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "completer.h"
#include "gsi.h"
#include "icrc.h"
#include "mcast.h"
#include "net.h"
#include "qp.h"
#include "rcv.h"
#include "responder.h"
#include "ud.h"

/**
 * rxe_copy_payload - an odp_actor_t: copy a packet's payload to memory
 * @kaddr: to where
 * @len: bytes
 * @arg: a struct rxe_payload
 *
 * Context: any.
 * Return: 0 or -EFAULT: the packet is shorter than its headers said.
 */
int rxe_copy_payload(void *kaddr, size_t len, void *arg)
{
	struct rxe_payload *payload = arg;
	int err;

	err = skb_copy_bits(payload->skb, payload->offset, kaddr, len);
	payload->offset += len;
	return err;
}

/**
 * rxe_pkt_dgid - where a packet was sent to
 * @skb: the packet
 * @gid: set to its destination address
 *
 * Context: any.
 * Return: false: the packet has options or extensions, which RoCEv2 has not.
 */
bool rxe_pkt_dgid(const struct sk_buff *skb, union ib_gid *gid)
{
	if (ip_hdr(skb)->version == 4) {
		if (ip_hdr(skb)->ihl != sizeof(struct iphdr) / 4)
			return false;
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr,
				       (struct in6_addr *)gid->raw);
	} else {
		if (ipv6_hdr(skb)->nexthdr != IPPROTO_UDP)
			return false;
		memcpy(gid->raw, &ipv6_hdr(skb)->daddr, sizeof(gid->raw));
	}
	return true;
}

/**
 * rxe_count_rcvd - count a packet
 * @dev: the device that it is for
 * @skb: the packet; its ICRC is right
 *
 * Context: softirq.
 */
void rxe_count_rcvd(struct rxe_dev *dev, const struct sk_buff *skb)
{
	rxe_count(dev, RXE_STAT_RCVD_PKTS);
	rxe_count_more(dev, RXE_STAT_RCVD_BYTES,
		       be16_to_cpu(udp_hdr(skb)->len) - sizeof(struct udphdr));
}

/* Fill in what the BTH says. Our data begins with the UDP header. */
static bool rxe_parse(struct sk_buff *skb)
{
	struct rxe_pkt *pkt = rxe_pkt(skb);
	const struct rxe_bth *bth;
	unsigned int len, pad;
	u32 apsn;

	if (!pskb_may_pull(skb, sizeof(struct udphdr) + sizeof(*bth)))
		return false;

	bth = (const struct rxe_bth *)(skb->data + sizeof(struct udphdr));
	if (bth->flags & RXE_BTH_TVER_MASK)
		return false;
	/* the default partition, in which full and limited members meet */
	if (((be16_to_cpu(bth->pkey) ^ RXE_DEFAULT_PKEY) & 0x7fff) != 0)
		return false;

	pkt->opcode = bth->opcode;
	pkt->op = &rxe_opcodes[pkt->opcode];
	if (!pkt->op->hdr_len)
		return false;

	apsn = be32_to_cpu(bth->apsn);
	pad = bth->flags >> RXE_BTH_PAD_SHIFT & RXE_BTH_PAD_MASK;
	pkt->psn = apsn & RXE_PSN_MASK;
	pkt->vlan_id = is_vlan_dev(skb->dev) ? vlan_dev_vlan_id(skb->dev) :
					       RXE_NO_VLAN;
	pkt->ack_req = apsn & RXE_BTH_ACK_REQ;
	pkt->solicited = bth->flags & RXE_BTH_SE;

	len = be16_to_cpu(udp_hdr(skb)->len);
	if (len > skb->len || len < sizeof(struct udphdr) + pkt->op->hdr_len +
				    pad + RXE_ICRC_BYTES)
		return false;

	len -= sizeof(struct udphdr) + pkt->op->hdr_len + pad + RXE_ICRC_BYTES;
	if (len > RXE_MAX_PAYLOAD)
		return false;
	if (len + pad && !(pkt->op->flags & RXE_OP_PAYLOAD))
		return false;

	pkt->payload_len = len;
	return pskb_may_pull(skb, sizeof(struct udphdr) + pkt->op->hdr_len);
}

static bool rxe_check_icrc(struct sk_buff *skb)
{
	unsigned int len = be16_to_cpu(udp_hdr(skb)->len) -
			   sizeof(struct udphdr) - RXE_ICRC_BYTES;
	__le32 icrc;

	if (skb_copy_bits(skb, sizeof(struct udphdr) + len, &icrc,
			  sizeof(icrc)))
		return false;
	return le32_to_cpu(icrc) == rxe_icrc(skb, len);
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
		       const struct sk_buff *skb)
{
	if (rxe_service(rxe_pkt(skb)->opcode) != qp->service ||
	    !net_eq(net, qp->dev->net))
		return false;
	return rxe_is_datagram(qp) ? rxe_ud_is_ours(qp->dev, skb) :
				     rxe_from_peer(qp, skb);
}

static u32 rxe_dest_qpn(const struct sk_buff *skb)
{
	const struct rxe_bth *bth;

	bth = (const struct rxe_bth *)(skb->data + sizeof(struct udphdr));
	return be32_to_cpu(bth->qpn) & RXE_QPN_MASK;
}

static struct rxe_qp *rxe_find_qp(const struct net *net,
				  const struct sk_buff *skb, u32 qpn)
{
	struct rxe_qp *qp;

	qp = qpn == RXE_GSI_QPN ? rxe_gsi_get(net, skb) :
			     rxe_handle_get(&rxe_qps, qpn);
	if (!qp)
		return NULL;

	/* pairs with modify_qp(): who sees the state sees the path */
	if (smp_load_acquire(&qp->state) >= IB_QPS_RTR &&
	    rxe_is_for(qp, net, skb))
		return qp;

	rxe_handle_put(qp->handle);
	return NULL;
}

static void rxe_rcv_group(const struct net *net, struct sk_buff *skb)
{
	if (rxe_service(rxe_pkt(skb)->opcode) == IB_OPCODE_UD &&
	    rxe_check_icrc(skb)) {
		skb_pull(skb, sizeof(struct udphdr));
		rxe_mcast_rcv(net, skb);
	}
	consume_skb(skb);
}

/**
 * rxe_udp_rcv - take a packet off the RoCEv2 port: udp_sock.encap_rcv
 * @sk: the socket
 * @skb: its data begins with the UDP header
 *
 * Context: softirq, under RCU.
 * Return: 0: the packet is consumed, whatever it is.
 */
int rxe_udp_rcv(struct sock *sk, struct sk_buff *skb)
{
	struct net *net = sock_net(sk);
	struct rxe_qp *qp;
	u32 qpn;

	if (!rxe_parse(skb))
		goto drop;

	qpn = rxe_dest_qpn(skb);
	if (qpn == RXE_MULTICAST_QPN) {
		rxe_rcv_group(net, skb);
		return 0;
	}

	qp = rxe_find_qp(net, skb, qpn);
	if (!qp)
		goto drop;

	if (!rxe_check_icrc(skb)) {
		rxe_count(qp->dev, RXE_STAT_ICRC_ERR);
		rxe_handle_put(qp->handle);
		goto drop;
	}

	rxe_count_rcvd(qp->dev, skb);
	skb_pull(skb, sizeof(struct udphdr));
	if (rxe_pkt(skb)->op->flags & RXE_OP_RESPONSE)
		rxe_completer_rcv(qp, skb);
	else
		rxe_responder_rcv(qp, skb);
	rxe_handle_put(qp->handle);
	return 0;

drop:
	kfree_skb(skb);
	return 0;
}
