// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/ip.h>
#include <linux/string.h>

#include "icrc.h"

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

/**
 * rxe_icrc_prefix_set - tell one packet from the others
 * @prefix: of all of them
 * @len: bytes from its BTH to its ICRC
 * @ident: its identification, of IPv4
 *
 * Context: any.
 */
void rxe_icrc_prefix_set(struct rxe_icrc_prefix *prefix, u32 len, u16 ident)
{
	u8 *ip = prefix->bytes + RXE_ICRC_LRH_BYTES;
	struct udphdr *udp = (struct udphdr *)(ip + prefix->ip_len);
	struct ipv6hdr *ip6h = (struct ipv6hdr *)ip;
	struct iphdr *iph = (struct iphdr *)ip;

	len += sizeof(*udp);
	udp->len = cpu_to_be16(len);
	if (prefix->ipv4) {
		iph->tot_len = cpu_to_be16(sizeof(*iph) + len);
		iph->id = cpu_to_be16(ident);
	} else {
		ip6h->payload_len = cpu_to_be16(len);
	}
}

/**
 * rxe_icrc_begin - compute the ICRC of a packet up to its payload
 * @prefix: set to the packet
 * @headers: the BTH, and what follows it
 * @len: bytes of them, RXE_MAX_HEADERS at most
 *
 * All headers in one go: for some bytes, it is the calls that cost.
 *
 * Context: any.
 * Return: for rxe_icrc_add() with what follows.
 */
u32 rxe_icrc_begin(struct rxe_icrc_prefix *prefix, const void *headers,
		   u32 len)
{
	u32 ahead = RXE_ICRC_LRH_BYTES + prefix->ip_len + sizeof(struct udphdr);
	struct rxe_bth *bth;

	bth = memcpy(prefix->bytes + ahead, headers, len);
	bth->qpn |= cpu_to_be32(~RXE_QPN_MASK);
	return rxe_icrc_add(~0, prefix->bytes, ahead + len);
}
