/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RCV_H
#define RXE_RCV_H

#include <linux/skbuff.h>
#include <net/dst.h>
#include <rdma/ib_verbs.h>

#include "wire.h"

#define RXE_NO_VLAN	0xffff

/**
 * struct rxe_pkt - a received packet, in its skb's control block
 * @op: what its opcode means
 * @psn: of the BTH
 * @payload_len: bytes
 * @vlan_id: that it came by, or RXE_NO_VLAN
 * @opcode: of the BTH
 * @ack_req: the requester wants an acknowledgment
 * @solicited: the completion is to raise a solicited event
 *
 * The skb's data begins with the BTH; all headers are linear.
 */
struct rxe_pkt {
	const struct rxe_opcode *op;
	u32 psn;
	u16 payload_len;
	u16 vlan_id;
	u8 opcode;
	bool ack_req;
	bool solicited;
};

static inline struct rxe_pkt *rxe_pkt(const struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct rxe_pkt) > sizeof(skb->cb));
	return (struct rxe_pkt *)skb->cb;
}

/* Let go of what a packet may refer to in softirq only: it will wait. */
static inline void rxe_pkt_keep(struct sk_buff *skb)
{
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb->dev = NULL;
}

/* The headers behind the BTH. */
static inline void *rxe_pkt_eth(const struct sk_buff *skb)
{
	return skb->data + sizeof(struct rxe_bth);
}

/* An odp_actor_t's argument: the payload, and how far it has been copied. */
struct rxe_payload {
	struct sk_buff *skb;
	unsigned int offset;
};

static inline struct rxe_payload rxe_pkt_payload(struct sk_buff *skb)
{
	return (struct rxe_payload) { skb, rxe_pkt(skb)->op->hdr_len };
}

struct rxe_dev;

void rxe_count_rcvd(struct rxe_dev *dev, const struct sk_buff *skb);
bool rxe_pkt_dgid(const struct sk_buff *skb, union ib_gid *gid);
int rxe_copy_payload(void *kaddr, size_t len, void *arg);

#endif
