// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>

#include "base/compat.h"
#include "base/icrc.h"
#include "base/order.h"
#include "base/pkt.h"
#include "base/rule.h"

/*
 * The address of the data at an offset, and how many bytes are contiguous from
 * there on; NULL: it has no address.
 */
static const u8 *rxe_skb_bytes(const struct sk_buff *skb, u32 offset, u32 *len)
{
	u32 begin = skb_headlen(skb);
	const skb_frag_t *frag;
	const u8 *bytes;
	int i;

	if (offset < begin) {
		*len = begin - offset;
		return skb->data + offset;
	}

	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		frag = &skb_shinfo(skb)->frags[i];
		if (offset < begin + skb_frag_size(frag)) {
			*len = begin + skb_frag_size(frag) - offset;
			bytes = skb_frag_address_safe(frag);
			return bytes ? bytes + offset - begin : NULL;
		}
		begin += skb_frag_size(frag);
	}
	return NULL;
}

/* Most packets are in one piece, even with those behind them: fast to read. */
static void rxe_pkt_find(struct rxe_pkt *pkt)
{
	pkt->bytes = rxe_skb_bytes(pkt->skb, pkt->offset, &pkt->one_piece);
	if (!pkt->bytes || pkt->one_piece < pkt->len) {
		pkt->bytes = NULL;
		pkt->one_piece = 0;
	}
}

static __always_inline bool rxe_pkt_read(const struct rxe_pkt *pkt, u32 offset,
					 void *to, u32 len)
{
	if (!pkt->bytes)
		return !skb_copy_bits(pkt->skb, pkt->offset + offset, to, len);

	memcpy(to, pkt->bytes + offset, len);
	return true;
}

/**
 * rxe_pkt_parse - parse a packet's headers
 * @pkt: to be filled
 * @skb: the batch
 * @offset: of the packet in the skb's data, before the batch's end
 *
 * Context: any.
 * Return: false: the version, partition, opcode or length is not valid.
 */
bool rxe_pkt_parse(struct rxe_pkt *pkt, struct sk_buff *skb, u32 offset)
{
	const struct rxe_bth *bth = (const struct rxe_bth *)pkt->headers;
	const struct rxe_batch *batch = rxe_batch(skb);
	u32 pad, apsn, len;

	pkt->skb = skb;
	pkt->offset = offset;
	pkt->index = batch->first + offset / batch->packet_len;
	pkt->len = min(batch->packet_len, batch->end - offset);
	rxe_pkt_find(pkt);
	len = min_t(u32, pkt->len, sizeof(pkt->headers));
	if (len < sizeof(*bth) || !rxe_pkt_read(pkt, 0, pkt->headers, len))
		return false;

	if ((bth->flags & RXE_BTH_TVER_MASK) &&
	    !rxe_broken(transport_version))
		return false;
	/* the default partition, in which full and limited members meet */
	if (((be16_to_cpu(bth->pkey) ^ RXE_DEFAULT_PKEY) & 0x7fff) != 0 &&
	    !rxe_broken(partition))
		return false;

	pkt->opcode = bth->opcode;
	pkt->op = &rxe_opcodes[pkt->opcode];
	if (!pkt->op->hdr_len)
		return false;

	apsn = be32_to_cpu(bth->apsn);
	pkt->qpn = be32_to_cpu(bth->qpn) & RXE_QPN_MASK;
	pkt->psn = apsn & RXE_PSN_MASK;
	pkt->ack_req = apsn & RXE_BTH_ACK_REQ;
	pkt->solicited = bth->flags & RXE_BTH_SE;

	pad = bth->flags >> RXE_BTH_PAD_SHIFT & RXE_BTH_PAD_MASK;
	if (pkt->len < pkt->op->hdr_len + pad + RXE_ICRC_BYTES)
		return false;

	len = pkt->len - pkt->op->hdr_len - pad - RXE_ICRC_BYTES;
	if (len > RXE_MAX_PAYLOAD && !rxe_broken(payload_size))
		return false;
	if (len + pad && !(pkt->op->flags & RXE_OP_PAYLOAD))
		return false;

	pkt->payload_len = len;
	return true;
}

/**
 * rxe_pkt_next - parse the next packet of a batch
 * @pkt: to be filled
 * @skb: the batch
 *
 * Context: any; the caller owns the batch, or holds the lock of its queue.
 * Return: false: there is no other.
 */
bool rxe_pkt_next(struct rxe_pkt *pkt, struct sk_buff *skb)
{
	const struct rxe_batch *batch = rxe_batch(skb);

	return batch->next < batch->end &&
	       rxe_pkt_parse(pkt, skb, batch->next);
}

/**
 * rxe_pkts_done - go on behind packets of a batch that have been processed
 * @pkt: the first of them
 * @n: their number; all have the length of the first
 *
 * Context: as rxe_pkt_next().
 */
void rxe_pkts_done(const struct rxe_pkt *pkt, u32 n)
{
	rxe_batch(pkt->skb)->next = pkt->offset + n * pkt->len;
}

/**
 * rxe_pkt_done - go on behind a packet of a batch that has been processed
 * @pkt: the packet
 *
 * Context: as rxe_pkt_next().
 */
void rxe_pkt_done(const struct rxe_pkt *pkt)
{
	rxe_pkts_done(pkt, 1);
}

static bool rxe_pkt_is_like(const struct rxe_pkt *pkt, u32 n)
{
	struct rxe_bth bth;

	memcpy(&bth, pkt->bytes + n * pkt->len, sizeof(bth));
	return !memcmp(&bth, pkt->headers, offsetof(struct rxe_bth, apsn)) &&
	       be32_to_cpu(bth.apsn) == rxe_psn_add(pkt->psn, n);
}

/**
 * rxe_pkts_alike - count packets of a batch that can be processed together
 * @pkt: the first, which is the next of its batch
 *
 * They have the same headers and length and consecutive PSNs, ask for no
 * acknowledgment, and are in one piece.
 *
 * Context: as rxe_pkt_next().
 * Return: their number, @pkt included.
 */
u32 rxe_pkts_alike(const struct rxe_pkt *pkt)
{
	const struct rxe_batch *batch = rxe_batch(pkt->skb);
	u32 most, n = 1;

	if (pkt->ack_req || pkt->op->hdr_len != sizeof(struct rxe_bth) ||
	    pkt->len != batch->packet_len)
		return n;

	most = min(batch->end - pkt->offset, pkt->one_piece) / pkt->len;
	most = min(most, RXE_PKT_RUN / pkt->len);
	while (n < most && rxe_pkt_is_like(pkt, n))
		n++;
	return n;
}

static u32 rxe_pkt_icrc(const struct rxe_pkt *pkt,
			struct rxe_icrc_prefix *prefix, u16 ident)
{
	const struct rxe_bth *bth = (const struct rxe_bth *)pkt->headers;
	u32 begin = sizeof(*bth), end = pkt->len - RXE_ICRC_BYTES;
	struct skb_seq_state seq;
	u32 crc, offset = 0;
	const u8 *chunk;
	unsigned int n;

	/* packets of a merged batch were sent with IP and UDP headers each */
	if (rxe_batch(pkt->skb)->merged)
		crc = rxe_icrc_begin_one(prefix, bth, pkt->len, ident);
	else
		crc = rxe_icrc_begin(prefix, bth);

	if (pkt->bytes)
		return ~rxe_icrc_add(crc, pkt->bytes + begin, end - begin);

	skb_prepare_seq_read(pkt->skb, pkt->offset + begin, pkt->offset + end,
			     &seq);
	while ((n = skb_seq_read(offset, &chunk, &seq))) {
		/* the last chunk may go beyond the limit of the walk */
		n = min(n, end - begin - offset);
		crc = rxe_icrc_add(crc, chunk, n);
		offset += n;
	}
	return ~crc;
}

static u16 rxe_pkt_ident(const struct rxe_pkt *pkt)
{
	const struct rxe_batch *batch = rxe_batch(pkt->skb);

	if (ip_hdr(pkt->skb)->version != 4)
		return 0;
	return be16_to_cpu(ip_hdr(pkt->skb)->id) +
	       pkt->index * batch->ident_step;
}

/**
 * rxe_batch_icrc_prefix - begin the ICRCs of all packets of a batch
 * @skb: the batch
 * @prefix: to be filled
 *
 * Context: any.
 */
void rxe_batch_icrc_prefix(const struct sk_buff *skb,
			   struct rxe_icrc_prefix *prefix)
{
	rxe_icrc_prefix_init(prefix, skb_network_header(skb), udp_hdr(skb));
}

/*
 * GSO increments the IPv4 identification, which the ICRC covers, from packet to
 * packet. Devices that segment in hardware may repeat it instead: the batch
 * remembers the step that fits.
 */
static bool rxe_pkt_check_icrc(const struct rxe_pkt *pkt,
			       struct rxe_icrc_prefix *prefix)
{
	struct rxe_batch *batch = rxe_batch(pkt->skb);
	__le32 icrc;

	if (rxe_broken(icrc))
		return true;
	if (!rxe_pkt_read(pkt, pkt->len - RXE_ICRC_BYTES, &icrc, sizeof(icrc)))
		return false;
	if (le32_to_cpu(icrc) == rxe_pkt_icrc(pkt, prefix, rxe_pkt_ident(pkt)))
		return true;
	if (!batch->merged || ip_hdr(pkt->skb)->version != 4)
		return false;

	batch->ident_step = !batch->ident_step;
	return le32_to_cpu(icrc) == rxe_pkt_icrc(pkt, prefix, rxe_pkt_ident(pkt));
}

/* Go on to the next one of packets that are alike. */
static void rxe_pkt_advance(struct rxe_pkt *pkt)
{
	struct rxe_bth *bth = (struct rxe_bth *)pkt->headers;

	pkt->offset += pkt->len;
	pkt->index++;
	pkt->psn = rxe_psn_add(pkt->psn, 1);
	pkt->bytes += pkt->len;
	bth->apsn = cpu_to_be32(pkt->psn);
}

/**
 * rxe_pkts_check_icrc - check the ICRCs of packets
 * @pkt: the first of them
 * @prefix: of their batch
 * @n: their number, at most what rxe_pkts_alike() has returned
 *
 * Context: any.
 * Return: how many are correct, up to the first that is not.
 */
u32 rxe_pkts_check_icrc(const struct rxe_pkt *pkt,
			struct rxe_icrc_prefix *prefix, u32 n)
{
	struct rxe_pkt at = *pkt;
	u32 sound = 0;

	while (rxe_pkt_check_icrc(&at, prefix) && ++sound < n)
		rxe_pkt_advance(&at);
	return sound;
}

/**
 * rxe_skb_dgid - get the address that packets were sent to
 * @skb: the packets
 * @gid: set to it
 *
 * Context: any.
 * Return: false: they have IP options or extension headers: RoCEv2 has none.
 */
bool rxe_skb_dgid(const struct sk_buff *skb, union ib_gid *gid)
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

static bool rxe_skb_is_link_local(const struct sk_buff *skb)
{
	const struct ipv6hdr *ip6h = ipv6_hdr(skb);

	return ip6h->version == 6 &&
	       ((ipv6_addr_type(&ip6h->saddr) | ipv6_addr_type(&ip6h->daddr)) &
		IPV6_ADDR_LINKLOCAL);
}

/**
 * rxe_skb_reaches - ask whether packets may come where they came for a netdev's address
 * @skb: the packets
 * @ndev: the netdev, in the namespace that they came in; has their destination address
 *
 * Other netdevs may have the same link-local addresses: packets from or to one come by
 * @ndev itself. Other addresses are the host's, or a VRF's: packets come by any netdev
 * there, as for sockets, since routes of the two directions may differ.
 *
 * Context: under RCU.
 * Return: whether they may.
 */
bool rxe_skb_reaches(const struct sk_buff *skb, const struct net_device *ndev)
{
	const struct rxe_batch *batch = rxe_batch(skb);

	lockdep_assert_in_rcu_read_lock();
	if (batch->iif == ndev->ifindex)
		return true;
	if (rxe_skb_is_link_local(skb) && !rxe_broken(incoming_scope))
		return false;
	return batch->domain == l3mdev_master_ifindex_rcu(ndev) ||
	       rxe_broken(incoming_domain);
}

/**
 * rxe_pkt_grh - make the GRH that a datagram's buffer begins with
 * @pkt: the datagram
 * @grh: filled, sizeof(struct ib_grh) bytes
 *
 * It is the IP header; an IPv4 header fills the second half (IBTA A17.4.6).
 *
 * Context: any.
 */
void rxe_pkt_grh(const struct rxe_pkt *pkt, u8 *grh)
{
	u16 len = sizeof(struct udphdr) + pkt->len;
	struct ipv6hdr *ip6h;
	struct iphdr *iph;

	if (ip_hdr(pkt->skb)->version == 4) {
		memset(grh, 0, sizeof(struct ib_grh) - sizeof(*iph));
		iph = memcpy(grh + sizeof(struct ib_grh) - sizeof(*iph),
			     ip_hdr(pkt->skb), sizeof(*iph));
		iph->tot_len = cpu_to_be16(sizeof(*iph) + len);
		iph->id = cpu_to_be16(rxe_pkt_ident(pkt));
		ip_send_check(iph);
	} else {
		ip6h = memcpy(grh, ipv6_hdr(pkt->skb), sizeof(*ip6h));
		ip6h->payload_len = cpu_to_be16(len);
	}
}

static int rxe_payload_copy(struct rxe_payload *payload, void *to, u32 len)
{
	int err = 0;

	if (payload->bytes) {
		memcpy(to, payload->bytes, len);
		payload->bytes += len;
	} else {
		err = skb_copy_bits(payload->skb, payload->offset, to, len);
		payload->offset += len;
	}
	payload->left -= len;
	return err;
}

/* How many of @len bytes that end at @end one instruction stores. */
static u32 rxe_store_once_len(const void *end, u32 len)
{
	u32 align = __ffs((unsigned long)end | sizeof(u64));

	return BIT(min_t(u32, align, fls(len) - 1));
}

static void rxe_store_once(void *to, const void *from, u32 len)
{
	switch (len) {
	case sizeof(u64):
		WRITE_ONCE(*(u64 *)to, *(const u64 *)from);
		break;
	case sizeof(u32):
		WRITE_ONCE(*(u32 *)to, *(const u32 *)from);
		break;
	case sizeof(u16):
		WRITE_ONCE(*(u16 *)to, *(const u16 *)from);
		break;
	default:
		WRITE_ONCE(*(u8 *)to, *(const u8 *)from);
	}
}

/* memcpy() may store the bytes in any order, the last ones first. */
static int rxe_payload_copy_end(struct rxe_payload *payload, void *to, u32 len)
{
	u32 last = rxe_store_once_len(to + len, len);
	u64 bytes;
	int err;

	if (len > last) {
		err = rxe_payload_copy(payload, to, len - last);
		if (err)
			return err;
		rxe_order_stores();
	}
	err = rxe_payload_copy(payload, &bytes, last);
	if (!err)
		rxe_store_once(to + len - last, &bytes, last);
	return err;
}

/**
 * rxe_copy_payload - an odp_actor_t: copy the payload of packets to memory
 * @kaddr: destination
 * @len: bytes
 * @arg: a struct rxe_payload
 *
 * Stores in the order that order.h describes.
 *
 * Context: any.
 * Return: 0 or -EFAULT: a packet is shorter than its headers said.
 */
int rxe_copy_payload(void *kaddr, size_t len, void *arg)
{
	struct rxe_payload *payload = arg;
	int err = 0;
	u32 n;

	if (payload->after_all)
		rxe_order_stores();
	payload->after_all = false;

	for (; len && !err; kaddr += n, len -= n) {
		if (!payload->left) {
			payload->left = payload->len;
			payload->bytes += payload->gap;
		}
		n = min_t(size_t, len, payload->left);
		if (payload->ends && n == payload->left)
			err = rxe_payload_copy_end(payload, kaddr, n);
		else
			err = rxe_payload_copy(payload, kaddr, n);
	}
	return err;
}
