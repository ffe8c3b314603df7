// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * GSO: if the network device supports UDP segmentation offload, packets of the
 * same size, and a shorter one at the end, leave as one skb. They pass routes,
 * queues and sockets once for all of them. The device segments the skb, or it
 * arrives as it is, as over veth. Each is a whole RoCE packet, with its own BTH
 * and ICRC.
 */
#include <linux/skbuff.h>

#include "base/dev.h"
#include "egress/path.h"
#include "egress/tx.h"
#include "wait/anchor.h"
#include "wait/flow.h"

/* all headers ahead of the first BTH */
#define RXE_TX_HEADERS_LEN	128
/* of one skb that is segmented */
#define RXE_TX_MAX_LEN		(65535 - RXE_TX_HEADERS_LEN)
/* the most that GRO merges */
#define RXE_TX_MAX_PACKETS	64
/* bytes that go into the ICRC together, while they are in the CPU's caches */
#define RXE_TX_SUM_MIN		256
#define RXE_TX_HEADROOM		(MAX_HEADER + sizeof(struct ipv6hdr) + \
				 sizeof(struct udphdr))

/**
 * rxe_tx_init - initialise the packets of a queue that sends
 * @tx: of one of a QP's queues
 * @flow: of the same queue
 *
 * Context: any.
 */
void rxe_tx_init(struct rxe_tx *tx, struct rxe_flow *flow)
{
	tx->flow = flow;
}

static struct rxe_dev *rxe_tx_dev(const struct rxe_tx *tx)
{
	return tx->flow->anchor->dev;
}

static bool rxe_tx_fits(const struct rxe_tx *tx, const struct rxe_path *path,
			u32 len)
{
	if (!tx->packets)
		return true;
	return tx->path == path && !tx->closed && len <= tx->packet_len &&
	       tx->packets < tx->max_packets &&
	       tx->skb->len + len <= tx->max_len;
}

static bool rxe_tx_has_frag(const struct rxe_tx *tx)
{
	int frags = skb_shinfo(tx->skb)->nr_frags;

	return frags < MAX_SKB_FRAGS ||
	       skb_can_coalesce(tx->skb, frags, tx->room.page, tx->room.offset);
}

/*
 * Use GSO only if the netdev takes it: the flow does not count packets that
 * software has segmented, and they come in bursts. The netdev's limits, which
 * the administrator can set, apply.
 */
static void rxe_tx_route(struct rxe_tx *tx)
{
	struct dst_entry *dst = rxe_path_route(tx->path, rxe_tx_dev(tx));
	const struct net_device *ndev;

	tx->max_packets = 1;
	tx->max_len = RXE_TX_MAX_LEN;
	skb_dst_drop(tx->skb);
	if (!dst)
		return;

	ndev = dst->dev;
	if (ndev->features & NETIF_F_GSO_UDP_L4)
		tx->max_packets = min_t(u32, RXE_TX_MAX_PACKETS,
					READ_ONCE(ndev->gso_max_segs));
	tx->max_len = min(tx->max_len, READ_ONCE(ndev->gso_max_size) -
				       RXE_TX_HEADERS_LEN);
	skb_dst_set(tx->skb, dst);
}

static bool rxe_tx_open(struct rxe_tx *tx, struct rxe_path *path)
{
	if (!tx->skb) {
		tx->skb = alloc_skb(RXE_TX_HEADROOM, GFP_ATOMIC | __GFP_NOWARN);
		if (!tx->skb)
			return false;
		skb_reserve(tx->skb, RXE_TX_HEADROOM);
		tx->packets = 0;
	}
	if (!tx->packets) {
		tx->path = path;
		tx->closed = false;
		rxe_path_icrc_prefix(path, &tx->prefix);
		rxe_tx_route(tx);
	}
	return true;
}

/**
 * rxe_tx_begin - begin a packet
 * @tx: of the sender's queue
 * @path: to the receiver, valid until rxe_tx_flush()
 * @opcode: of the BTH
 * @psn: of the BTH
 * @payload_len: bytes
 *
 * The packet is made by filling in the headers that follow, calling
 * rxe_tx_headers_done(), rxe_tx_copy() for all of the payload, and
 * rxe_tx_commit(). To cancel it, begin another one, or just do not go on; after
 * rxe_tx_begin_alike(), call rxe_tx_cancel().
 *
 * Context: BH disabled, the queue's lock is held.
 * Return: its BTH, as for a connection and complete except for AckReq and SE,
 * with room for the other headers of @opcode behind it; or NULL: no memory,
 * which is counted.
 */
struct rxe_bth *rxe_tx_begin(struct rxe_tx *tx, struct rxe_path *path,
			     u8 opcode, u32 psn, u32 payload_len)
{
	struct rxe_bth *bth;

	lockdep_assert_in_softirq();
	rxe_flow_assert_held(tx->flow);
	tx->pad = -payload_len & 3;
	tx->len = rxe_opcodes[opcode].hdr_len + payload_len + tx->pad +
		  RXE_ICRC_BYTES;
	if (!rxe_tx_find_room(&tx->room, tx->len))
		goto no_memory;
	if (tx->skb && (!rxe_tx_fits(tx, path, tx->len) ||
			!rxe_tx_has_frag(tx)))
		rxe_tx_flush(tx);
	if (!rxe_tx_open(tx, path))
		goto no_memory;

	bth = page_address(tx->room.page) + tx->room.offset;
	tx->bth = bth;
	bth->opcode = opcode;
	bth->flags = RXE_BTH_MIG | tx->pad << RXE_BTH_PAD_SHIFT;
	bth->pkey = cpu_to_be16(RXE_DEFAULT_PKEY);
	bth->qpn = path->peer_qpn;
	bth->apsn = cpu_to_be32(psn);
	return bth;

no_memory:
	rxe_count_drop(rxe_tx_dev(tx), RXE_STAT_SEND_NO_MEMORY,
		       tx->flow->anchor->qpn, psn, 1);
	return NULL;
}

/**
 * rxe_tx_packets_left - how many packets like the current one still fit
 * @tx: after rxe_tx_begin()
 *
 * Context: as rxe_tx_begin().
 * Return: their number, itself included.
 */
u32 rxe_tx_packets_left(const struct rxe_tx *tx)
{
	rxe_flow_assert_held(tx->flow);
	/* a shorter one is the last */
	if (tx->packets && tx->len < tx->packet_len)
		return 1;
	return min(tx->max_packets - tx->packets,
		   (tx->max_len - tx->skb->len) / tx->len);
}

/**
 * rxe_tx_headers_done - go on from a packet's headers to its payload
 * @tx: after rxe_tx_begin()
 *
 * Context: as rxe_tx_begin().
 */
void rxe_tx_headers_done(struct rxe_tx *tx)
{
	struct rxe_bth *bth = tx->bth;

	rxe_flow_assert_held(tx->flow);
	tx->crc = rxe_icrc_begin_one(&tx->prefix, bth, tx->len, tx->ident);
	tx->summed = (u8 *)(bth + 1);
	tx->to = (u8 *)bth + rxe_opcodes[bth->opcode].hdr_len;
}

static void rxe_tx_sum(struct rxe_tx *tx)
{
	if (tx->to != tx->summed)
		tx->crc = rxe_icrc_add(tx->crc, tx->summed,
				       tx->to - tx->summed);
	tx->summed = tx->to;
}

/**
 * rxe_tx_copy - an odp_actor_t: copy memory to the current packet
 * @kaddr: source
 * @len: bytes
 * @arg: the struct rxe_tx
 *
 * The ICRC is computed over the copy: the memory may change at any time. A few
 * bytes wait for those that follow: the call costs more than the bytes.
 *
 * Return: 0.
 */
int rxe_tx_copy(void *kaddr, size_t len, void *arg)
{
	struct rxe_tx *tx = arg;

	memcpy(tx->to, kaddr, len);
	tx->to += len;
	if (tx->to - tx->summed >= RXE_TX_SUM_MIN)
		rxe_tx_sum(tx);
	return 0;
}

/**
 * rxe_tx_run_copy - an odp_actor_t: copy memory to a run of packets
 * @kaddr: source
 * @len: bytes
 * @arg: the struct rxe_tx_run
 *
 * The caller keeps to rxe_tx_packets_left(), so that gathered packets are
 * handed to the network after the access. Only an skb without room for another
 * page is handed over during it, under the access's locks. This is safe: of the
 * driver's locks the network takes an anchor's, and, if tc redirects the skb to
 * ingress in the same call, that of the CPU's batches. Both are innermost.
 *
 * Return: 0 or -ENOMEM: a packet could not be begun.
 */
int rxe_tx_run_copy(void *kaddr, size_t len, void *arg)
{
	struct rxe_tx_run *run = arg;
	u32 n;

	while (len) {
		if (!run->left && !run->next(run))
			return -ENOMEM;
		n = min_t(size_t, len, run->left);
		rxe_tx_copy(kaddr, n, run->tx);
		run->left -= n;
		kaddr += n;
		len -= n;
	}
	return 0;
}

/* The packets that are ready are contiguous: one fragment of the skb. */
static void rxe_tx_gather(struct rxe_tx *tx)
{
	int frags = skb_shinfo(tx->skb)->nr_frags;

	if (skb_can_coalesce(tx->skb, frags, tx->room.page, tx->room.offset)) {
		skb_coalesce_rx_frag(tx->skb, frags - 1, tx->ready, tx->ready);
	} else {
		get_page(tx->room.page);
		skb_add_rx_frag(tx->skb, frags, tx->room.page, tx->room.offset,
				tx->ready, tx->ready);
	}
	rxe_tx_use_room(tx->ready);
	tx->ready = 0;
}

static void rxe_tx_complete(struct rxe_tx *tx)
{
	__le32 icrc;

	if (tx->pad) {
		memset(tx->to, 0, tx->pad);
		tx->to += tx->pad;
	}
	rxe_tx_sum(tx);
	icrc = cpu_to_le32(~tx->crc);
	memcpy(tx->to, &icrc, sizeof(icrc));

	tx->ready += tx->len;
	if (!tx->packets)
		tx->packet_len = tx->len;
	tx->closed = tx->len < tx->packet_len;
	tx->packets++;
	tx->ident++;
	tx->made += tx->len;
}

/**
 * rxe_tx_commit - complete the current packet, and gather it
 * @tx: after rxe_tx_headers_done()
 *
 * Context: as rxe_tx_begin().
 */
void rxe_tx_commit(struct rxe_tx *tx)
{
	rxe_flow_assert_held(tx->flow);
	rxe_tx_complete(tx);
	rxe_tx_gather(tx);
}

/**
 * rxe_tx_begin_alike - complete the current packet, and begin another like it
 * @tx: after rxe_tx_headers_done()
 * @psn: of the new one, which has the same BTH otherwise, no other header, as
 *	 much payload, and asks for no acknowledgment
 *
 * It goes right behind the last one, and has its headers done. rxe_tx_commit()
 * or rxe_tx_cancel() must follow: they gather the complete packets.
 *
 * Context: as rxe_tx_begin().
 * Return: false: it does not fit, and nothing has changed.
 */
bool rxe_tx_begin_alike(struct rxe_tx *tx, u32 psn)
{
	u32 len = tx->ready + 2 * tx->len;
	const struct rxe_bth *last = tx->bth;

	rxe_flow_assert_held(tx->flow);
	if (len > tx->room.len || tx->skb->len + len > tx->max_len ||
	    tx->packets + 2 > tx->max_packets ||
	    (tx->packets && tx->len < tx->packet_len))
		return false;

	rxe_tx_complete(tx);
	tx->bth = (void *)last + tx->len;
	*tx->bth = *last;
	tx->bth->apsn = cpu_to_be32(psn);
	rxe_tx_headers_done(tx);
	return true;
}

/**
 * rxe_tx_cancel - cancel the current packet, and gather those ahead of it
 * @tx: after rxe_tx_headers_done()
 *
 * Those ahead are the ones that rxe_tx_begin_alike() has completed.
 *
 * Context: as rxe_tx_begin().
 */
void rxe_tx_cancel(struct rxe_tx *tx)
{
	rxe_flow_assert_held(tx->flow);
	if (tx->ready)
		rxe_tx_gather(tx);
}

/**
 * rxe_tx_flush - hand the gathered packets to the network
 * @tx: of the sender's queue
 *
 * Packets without a route are dropped. The protocol repeats them, like those
 * that the network drops.
 *
 * Context: BH disabled, the queue's lock is held.
 */
void rxe_tx_flush(struct rxe_tx *tx)
{
	struct rxe_dev *dev = rxe_tx_dev(tx);
	struct sk_buff *skb = tx->skb;
	u32 packets = tx->packets;

	lockdep_assert_in_softirq();
	rxe_flow_assert_held(tx->flow);
	if (!skb)
		return;

	tx->skb = NULL;
	tx->packets = 0;
	if (!packets || !skb_dst(skb)) {
		if (packets)
			rxe_count_drop(dev, RXE_STAT_SEND_ERR,
				       tx->flow->anchor->qpn, 0, packets);
		kfree_skb(skb);
		return;
	}

	if (packets > 1) {
		skb_shinfo(skb)->gso_type = SKB_GSO_UDP_L4;
		skb_shinfo(skb)->gso_size = tx->packet_len;
		skb_shinfo(skb)->gso_segs = packets;
	}
	rxe_count_more(dev, RXE_STAT_SENT_PKTS, packets);
	rxe_count_more(dev, RXE_STAT_SENT_BYTES, skb->len);
	rxe_flow_add(tx->flow, skb);
	rxe_path_output(tx->path, dev, skb, tx->ident - packets);
}
