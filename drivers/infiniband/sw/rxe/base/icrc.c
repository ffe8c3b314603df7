// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/ip.h>
#include <linux/string.h>

#include "base/icrc.h"

/*
 * Ahead of the payload, most packets of a batch differ in identification, PSN
 * and AckReq only. CRCs are linear: what a byte adds to the CRC depends on its
 * value and on how many bytes follow it, and not on the other bytes.
 */
enum rxe_icrc_byte {
	RXE_ICRC_IDENT_HIGH,
	RXE_ICRC_IDENT_LOW,
	RXE_ICRC_ACK_REQ,
	RXE_ICRC_PSN_HIGH,
	RXE_ICRC_PSN_MIDDLE,
	RXE_ICRC_PSN_LOW,
	RXE_ICRC_BYTES_NUM,
};

/* how many bytes follow each of them, up to the end of the BTH */
static const u8 rxe_icrc_follow[RXE_ICRC_BYTES_NUM] = {
	[RXE_ICRC_IDENT_HIGH] = sizeof(struct iphdr) + sizeof(struct udphdr) +
				sizeof(struct rxe_bth) - 1 -
				offsetof(struct iphdr, id),
	[RXE_ICRC_IDENT_LOW] = sizeof(struct iphdr) + sizeof(struct udphdr) +
			       sizeof(struct rxe_bth) - 2 -
			       offsetof(struct iphdr, id),
	[RXE_ICRC_ACK_REQ] = 3,
	[RXE_ICRC_PSN_HIGH] = 2,
	[RXE_ICRC_PSN_MIDDLE] = 1,
	[RXE_ICRC_PSN_LOW] = 0,
};

static u32 rxe_icrc_table[RXE_ICRC_BYTES_NUM][256] __ro_after_init;

/**
 * rxe_icrc_init - fill the table that ICRCs of batches are computed with
 *
 * Context: the module's initialisation.
 */
void __init rxe_icrc_init(void)
{
	u8 data[1 + U8_MAX] = {};
	int i, byte;

	for (i = 0; i < RXE_ICRC_BYTES_NUM; i++) {
		for (byte = 0; byte < 256; byte++) {
			data[0] = byte;
			rxe_icrc_table[i][byte] =
				crc32_le(0, data, 1 + rxe_icrc_follow[i]);
		}
	}
}

/**
 * rxe_icrc_prefix_init - begin the ICRCs of packets with the same addresses
 * @prefix: to be filled
 * @ip: an IPv4 or IPv6 header, without options or extensions
 * @udp: the UDP header
 *
 * Context: any.
 */
void rxe_icrc_prefix_init(struct rxe_icrc_prefix *prefix, const void *ip,
			  const struct udphdr *udp)
{
	u8 *to = prefix->bytes + RXE_ICRC_LRH_BYTES;
	struct udphdr *masked_udp;
	struct ipv6hdr *ip6h;
	struct iphdr *iph;

	prefix->last_len = 0;
	memset(prefix->bytes, 0xff, RXE_ICRC_LRH_BYTES);
	prefix->ipv4 = ((const struct iphdr *)ip)->version == 4;
	if (prefix->ipv4) {
		prefix->ip_len = sizeof(*iph);
		iph = memcpy(to, ip, sizeof(*iph));
		iph->ttl = 0xff;
		iph->tos = 0xff;
		iph->check = CSUM_MANGLED_0;
	} else {
		prefix->ip_len = sizeof(*ip6h);
		ip6h = memcpy(to, ip, sizeof(*ip6h));
		memset(ip6h->flow_lbl, 0xff, sizeof(ip6h->flow_lbl));
		ip6h->priority = 0xf;
		ip6h->hop_limit = 0xff;
	}

	masked_udp = memcpy(to + prefix->ip_len, udp, sizeof(*udp));
	masked_udp->check = CSUM_MANGLED_0;
}

/* Set the lengths of a batch's packet that has @len bytes from BTH to ICRC. */
static void rxe_icrc_prefix_set(struct rxe_icrc_prefix *prefix, u32 len)
{
	u8 *ip = prefix->bytes + RXE_ICRC_LRH_BYTES;
	struct udphdr *udp = (struct udphdr *)(ip + prefix->ip_len);
	struct ipv6hdr *ip6h = (struct ipv6hdr *)ip;
	struct iphdr *iph = (struct iphdr *)ip;

	len += sizeof(*udp);
	udp->len = cpu_to_be16(len);
	if (prefix->ipv4) {
		iph->tot_len = cpu_to_be16(sizeof(*iph) + len);
		iph->id = 0;
	} else {
		ip6h->payload_len = cpu_to_be16(len);
	}
}

/**
 * rxe_icrc_begin - compute the ICRC of a packet up to its BTH
 * @prefix: of this packet
 * @bth: the BTH
 *
 * Context: any.
 * Return: the ICRC so far, for rxe_icrc_add() to go on with.
 */
u32 rxe_icrc_begin(struct rxe_icrc_prefix *prefix, const struct rxe_bth *bth)
{
	u32 ahead = RXE_ICRC_LRH_BYTES + prefix->ip_len + sizeof(struct udphdr);
	struct rxe_bth *masked;

	masked = memcpy(prefix->bytes + ahead, bth, sizeof(*bth));
	masked->qpn |= cpu_to_be32(~RXE_QPN_MASK);
	return rxe_icrc_add(~0, prefix->bytes, ahead + sizeof(*bth));
}

/**
 * rxe_icrc_begin_one - compute the ICRC of a batch's packet up to its BTH
 * @prefix: of the batch
 * @bth: the BTH
 * @len: bytes from the BTH to the ICRC
 * @ident: the packet's identification; unused for IPv6
 *
 * Context: any.
 * Return: as rxe_icrc_begin().
 */
u32 rxe_icrc_begin_one(struct rxe_icrc_prefix *prefix,
		       const struct rxe_bth *bth, u32 len, u16 ident)
{
	u32 apsn = be32_to_cpu(bth->apsn);
	struct rxe_bth same;
	u64 begin;

	BUILD_BUG_ON(offsetof(struct rxe_bth, apsn) != sizeof(begin));
	memcpy(&begin, bth, sizeof(begin));
	if (prefix->last_len != len || prefix->last_begin != begin) {
		same = *bth;
		same.apsn = 0;
		rxe_icrc_prefix_set(prefix, len);
		prefix->last_crc = rxe_icrc_begin(prefix, &same);
		prefix->last_begin = begin;
		prefix->last_len = len;
	}

	if (!prefix->ipv4)
		ident = 0;
	return prefix->last_crc ^
	       rxe_icrc_table[RXE_ICRC_IDENT_HIGH][ident >> 8] ^
	       rxe_icrc_table[RXE_ICRC_IDENT_LOW][ident & 0xff] ^
	       rxe_icrc_table[RXE_ICRC_ACK_REQ][apsn >> 24] ^
	       rxe_icrc_table[RXE_ICRC_PSN_HIGH][apsn >> 16 & 0xff] ^
	       rxe_icrc_table[RXE_ICRC_PSN_MIDDLE][apsn >> 8 & 0xff] ^
	       rxe_icrc_table[RXE_ICRC_PSN_LOW][apsn & 0xff];
}
