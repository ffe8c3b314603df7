/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The invariant CRC: IBTA annex A17.3.3. */
#ifndef RXE_ICRC_H
#define RXE_ICRC_H

#include <linux/ipv6.h>
#include <linux/udp.h>

#include "base/crc.h"
#include "base/wire.h"

#define RXE_ICRC_LRH_BYTES	8

struct sk_buff;

/**
 * struct rxe_icrc_prefix - what the ICRC covers ahead of the payload
 * @bytes: all ones in place of an LRH, then the IP and UDP headers, with all
 *	   ones in fields that may change on the way; room for the BTH
 * @ip_len: bytes of the IP header
 * @ipv4: the IP header is an IPv4 one
 * @last_begin: first bytes of the BTH that rxe_icrc_begin_one() got last
 * @last_len: bytes of that packet, from BTH to ICRC; 0: there was none
 * @last_crc: CRC up to the end of that BTH, if identification, PSN and AckReq
 *	      were 0
 */
struct rxe_icrc_prefix {
	u8 bytes[RXE_ICRC_LRH_BYTES + sizeof(struct ipv6hdr) +
		 sizeof(struct udphdr) + sizeof(struct rxe_bth)] __aligned(8);
	u8 ip_len;
	bool ipv4;
	u64 last_begin;
	u32 last_len;
	u32 last_crc;
};

void rxe_icrc_prefix_init(struct rxe_icrc_prefix *prefix, const void *ip,
			  const struct udphdr *udp);
u32 rxe_icrc_begin(struct rxe_icrc_prefix *prefix, const struct rxe_bth *bth);
u32 rxe_icrc_begin_one(struct rxe_icrc_prefix *prefix,
		       const struct rxe_bth *bth, u32 len, u16 ident);
void rxe_icrc_init(void);

/**
 * rxe_icrc_add - add bytes to an ICRC
 * @crc: the ICRC so far
 * @data: the bytes that follow
 * @len: their number
 *
 * Return: the new ICRC; the wire carries the complement of the last one, in
 * little-endian order.
 */
static inline u32 rxe_icrc_add(u32 crc, const void *data, size_t len)
{
	return rxe_crc(crc, data, len);
}

#endif
