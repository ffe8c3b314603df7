// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/crc32.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/skbuff.h>
#include <linux/udp.h>

#include "icrc.h"
#include "wire.h"

#define RXE_ICRC_LRH_BYTES	8

/* The headers that routers and offloads may change, as the ICRC sees them. */
struct rxe_icrc_headers {
	u8 bytes[RXE_ICRC_LRH_BYTES + sizeof(struct ipv6hdr) +
		 sizeof(struct udphdr) + sizeof(struct rxe_bth)];
};

static unsigned int rxe_icrc_mask_ip(const struct sk_buff *skb, u8 *to)
{
	struct ipv6hdr *ip6h;
	struct iphdr *iph;

	if (ip_hdr(skb)->version == 4) {
		iph = memcpy(to, ip_hdr(skb), sizeof(*iph));
		iph->ttl = 0xff;
		iph->tos = 0xff;
		iph->check = CSUM_MANGLED_0;
		return sizeof(*iph);
	}

	ip6h = memcpy(to, ipv6_hdr(skb), sizeof(*ip6h));
	memset(ip6h->flow_lbl, 0xff, sizeof(ip6h->flow_lbl));
	ip6h->priority = 0xf;
	ip6h->hop_limit = 0xff;
	return sizeof(*ip6h);
}

/**
 * rxe_icrc - compute the invariant CRC of a packet
 * @skb: network and transport header are set and, with the BTH, linear; the
 *	 IP header has no options or extensions
 * @len: bytes from the BTH to the ICRC
 *
 * IBTA annex A17.3.3: a CRC-32 over the packet from the IP header on, with
 * what may change on the way masked by ones, and eight bytes of ones ahead.
 *
 * Context: any.
 * Return: the value that is on the wire in little-endian order.
 */
u32 rxe_icrc(struct sk_buff *skb, unsigned int len)
{
	unsigned int bth_offset = skb_transport_offset(skb) +
				  sizeof(struct udphdr);
	struct rxe_icrc_headers headers;
	unsigned int n, offset = 0;
	struct skb_seq_state seq;
	struct rxe_bth *bth;
	struct udphdr *udp;
	const u8 *chunk;
	u32 crc;

	memset(headers.bytes, 0xff, RXE_ICRC_LRH_BYTES);
	n = RXE_ICRC_LRH_BYTES;
	n += rxe_icrc_mask_ip(skb, headers.bytes + n);
	udp = memcpy(headers.bytes + n, skb_transport_header(skb),
		     sizeof(*udp) + sizeof(*bth));
	udp->check = CSUM_MANGLED_0;
	bth = (struct rxe_bth *)(udp + 1);
	bth->qpn |= cpu_to_be32(~RXE_QPN_MASK);
	n += sizeof(*udp) + sizeof(*bth);
	crc = crc32_le(~0, headers.bytes, n);

	skb_prepare_seq_read(skb, bth_offset + sizeof(*bth), bth_offset + len,
			     &seq);
	while ((n = skb_seq_read(offset, &chunk, &seq))) {
		/* the limit ends the walk, but does not cut a chunk */
		n = min_t(unsigned int, n, len - sizeof(*bth) - offset);
		crc = crc32_le(crc, chunk, n);
		offset += n;
	}
	return ~crc;
}
