/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Received packets. */
#ifndef RXE_PKT_H
#define RXE_PKT_H

#include <linux/skbuff.h>
#include <net/dst.h>
#include <rdma/ib_verbs.h>

#include "base/wire.h"

struct rxe_icrc_prefix;

#define RXE_NO_VLAN	0xffff

/**
 * struct rxe_batch - packets that came in one skb, in its control block
 * @next: offset in the skb's data of the first one that is not done with
 * @end: offset behind the last
 * @packet_len: bytes of each, from BTH to ICRC; the last may have fewer
 * @merged: there was more than one, and the headers are those of all of them
 * @ident_step: from one identification to the next, of IPv4
 * @vlan_id: that they came by, or RXE_NO_VLAN
 * @ifindex: of the netdev that they came by, below the VLAN
 * @domain: of the VRF that they came in, or 0
 * @net: where they came in, while they wait to be looked at
 *
 * They are valid, for one QP, and all requests or all responses.
 */
struct rxe_batch {
	u32 next;
	u32 end;
	u32 packet_len;
	bool merged;
	u16 ident_step;
	u16 vlan_id;
	int ifindex;
	int domain;
	const struct net *net;
};

static inline struct rxe_batch *rxe_batch(const struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct rxe_batch) > sizeof(skb->cb));
	return (struct rxe_batch *)skb->cb;
}

/* it is going to wait: let go of what is there until it was received only */
static inline void rxe_batch_detach(struct sk_buff *skb)
{
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb->dev = NULL;
}

/**
 * struct rxe_pkt - a packet of a batch
 * @skb: the batch
 * @offset: of the BTH in the skb's data
 * @index: how many packets of the batch are ahead of it
 * @len: bytes from the BTH to the ICRC
 * @op: what the opcode means
 * @qpn: of the BTH
 * @psn: of the BTH
 * @payload_len: bytes
 * @opcode: of the BTH
 * @ack_req: the requester wants an acknowledgment
 * @solicited: the completion is to raise a solicited event
 * @bytes: all of it, from the BTH on; NULL: it is in more than one piece
 * @one_piece: from @bytes on, with what is behind it
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

/* packets that are alike are taken together, so many bytes of payload at most */
#define RXE_PKT_RUN	(16U << 10)

/**
 * struct rxe_payload - an odp_actor_t's argument: the payload of a packet, or of
 *			packets that are alike
 * @skb: where they are
 * @offset: of what has yet to be copied, in the skb's data, without @bytes
 * @left: bytes that the packet there still has
 * @len: bytes that each packet has
 * @gap: bytes between one packet's payload and the next one's
 * @bytes: what has yet to be copied, where it is in one piece
 * @after_all: of it nothing may be seen before all that was stored earlier
 * @ends: it is the last of a message
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
void rxe_pkt_grh(const struct rxe_pkt *pkt, u8 *grh);
int rxe_copy_payload(void *kaddr, size_t len, void *arg);

#endif
