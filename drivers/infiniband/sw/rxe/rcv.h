/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RCV_H
#define RXE_RCV_H

#include <linux/skbuff.h>
#include <net/dst.h>

#include "wire.h"

/**
 * struct rxe_pkt - a received packet, in its skb's control block
 * @op: what its opcode means
 * @psn: of the BTH
 * @payload_len: bytes
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

int rxe_copy_payload(void *kaddr, size_t len, void *arg);

#endif
