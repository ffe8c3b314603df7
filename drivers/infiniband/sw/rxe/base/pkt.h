/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Received packets. */
#ifndef RXE_PKT_H
#define RXE_PKT_H

#include <linux/skbuff.h>
#include <net/dst.h>
#include <rdma/ib_verbs.h>

#include "base/wire.h"

struct net_device;
struct rxe_icrc_prefix;

#define RXE_NO_VLAN	0xffff

/**
 * struct rxe_batch - packets that came in one skb, in its control block
 * @next: offset in the skb's data of the first packet yet to be processed
 * @end: offset behind the last packet
 * @packet_len: bytes of each, from BTH to ICRC; the last may have fewer
 * @merged: there was more than one, under one common IP and UDP header
 * @borrowed: it waits as it came, and not as a copy; see rxe_backlog_borrow()
 * @first: how many packets were ahead that are in it no more
 * @ident_step: from one packet's IPv4 identification to the next one's
 * @vlan_id: VLAN that they came by, or RXE_NO_VLAN
 * @ifindex: netdev that they came by, below the VLAN
 * @iif: netdev that they came by, as the IP layer has it: the VLAN, not the VRF that
 *	 it is in; of what the host sends to itself over IPv6, the one that has the
 *	 destination address
 * @domain: VRF that they came in, or 0
 * @net: network namespace that they came in, while they wait to be processed
 *
 * The packets are valid, for one QP, and all requests or all responses.
 */
struct rxe_batch {
	u32 next;
	u32 end;
	u32 packet_len;
	bool merged;
	bool borrowed;
	u16 first;
	u16 ident_step;
	u16 vlan_id;
	int ifindex;
	int iif;
	int domain;
	const struct net *net;
};

static inline struct rxe_batch *rxe_batch(const struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct rxe_batch) > sizeof(skb->cb));
	return (struct rxe_batch *)skb->cb;
}

/* before a batch waits: drop what is only there while it is being received */
static inline void rxe_batch_detach(struct sk_buff *skb)
{
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	/* of IPsec, and of bridges: they hold states and netdevs */
	skb_ext_reset(skb);
	/* a program for tc may have given it one of a socket under RCU */
	skb_orphan(skb);
	skb->dev = NULL;
}

/**
 * struct rxe_pkt - a packet of a batch
 * @skb: the batch
 * @offset: of the BTH in the skb's data
 * @index: how many packets were ahead of it in the batch that came
 * @len: bytes from the BTH to the ICRC
 * @op: what the opcode means
 * @qpn: of the BTH
 * @psn: of the BTH
 * @payload_len: bytes
 * @opcode: of the BTH
 * @ack_req: the requester wants an acknowledgment
 * @solicited: the completion is to raise a solicited event
 * @bytes: the packet, from the BTH on; NULL: it cannot be read in one piece
 * @one_piece: contiguous bytes from @bytes on, later packets included
 * @headers: the BTH, and what follows it up to the payload
 */
struct rxe_pkt {
	struct sk_buff *skb;
	u32 offset;
	u16 index;
	u32 len;
	const struct rxe_opcode *op;
	u32 qpn;
	u32 psn;
	u16 payload_len;
	u8 opcode;
	bool ack_req;
	bool solicited;
	const u8 *bytes;
	u32 one_piece;
	u8 headers[RXE_MAX_HEADERS] __aligned(8);
};

/* the headers behind the BTH */
static inline const void *rxe_pkt_eth(const struct rxe_pkt *pkt)
{
	return pkt->headers + sizeof(struct rxe_bth);
}

/* immediate data is the last header */
static inline __be32 rxe_pkt_imm(const struct rxe_pkt *pkt)
{
	const struct rxe_immdt *immdt;

	immdt = (const void *)(pkt->headers + pkt->op->hdr_len -
			       sizeof(*immdt));
	return immdt->imm;
}

/* bytes of packets that are processed together, at most: rxe_pkts_alike() */
#define RXE_PKT_RUN	(16U << 10)

/**
 * struct rxe_payload - an odp_actor_t's argument: the payload of a packet, or of
 *			packets that are alike
 * @skb: their skb
 * @offset: where the rest begins in the skb's data; unused with @bytes
 * @left: payload bytes left in the current packet
 * @len: payload bytes of each packet
 * @gap: bytes between one packet's payload and the next one's
 * @bytes: the rest, if it is in one piece
 * @after_all: none of it may be seen before all earlier stores
 * @ends: it ends a message
 */
struct rxe_payload {
	struct sk_buff *skb;
	u32 offset;
	u32 left;
	u32 len;
	u32 gap;
	const u8 *bytes;
	bool after_all;
	bool ends;
};

static inline struct rxe_payload rxe_pkt_payload(const struct rxe_pkt *pkt)
{
	return (struct rxe_payload) {
		.skb = pkt->skb,
		.offset = pkt->offset + pkt->op->hdr_len,
		.left = pkt->payload_len,
		.len = pkt->payload_len,
		.gap = pkt->len - pkt->payload_len,
		.bytes = pkt->bytes ? pkt->bytes + pkt->op->hdr_len : NULL,
		.after_all = pkt->op->flags & (RXE_OP_START | RXE_OP_END),
		.ends = pkt->op->flags & RXE_OP_END,
	};
}

/* a message that is no packet's payload, to be stored as if it were */
static inline struct rxe_payload rxe_payload_of(const void *bytes, u32 len)
{
	return (struct rxe_payload) {
		.left = len,
		.len = len,
		.bytes = bytes,
		.after_all = true,
		.ends = true,
	};
}

bool rxe_pkt_parse(struct rxe_pkt *pkt, struct sk_buff *skb, u32 offset);
bool rxe_pkt_next(struct rxe_pkt *pkt, struct sk_buff *skb);
void rxe_pkt_done(const struct rxe_pkt *pkt);
u32 rxe_pkts_alike(const struct rxe_pkt *pkt);
void rxe_pkts_done(const struct rxe_pkt *pkt, u32 n);
void rxe_batch_icrc_prefix(const struct sk_buff *skb,
			   struct rxe_icrc_prefix *prefix);
u32 rxe_pkts_check_icrc(const struct rxe_pkt *pkt,
			struct rxe_icrc_prefix *prefix, u32 n);

bool rxe_skb_dgid(const struct sk_buff *skb, union ib_gid *gid);
bool rxe_skb_reaches(const struct sk_buff *skb, const struct net_device *ndev);
void rxe_pkt_grh(const struct rxe_pkt *pkt, u8 *grh);
int rxe_copy_payload(void *kaddr, size_t len, void *arg);

#endif
