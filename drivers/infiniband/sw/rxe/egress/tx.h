/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets that are made and sent. */
#ifndef RXE_TX_H
#define RXE_TX_H

#include <linux/types.h>

#include "base/icrc.h"
#include "base/wire.h"
#include "egress/tx_pages.h"

struct rxe_flow;
struct rxe_path;
struct sk_buff;

/**
 * struct rxe_tx - packets that are gathered, to leave together by GSO
 * @flow: the flow that they belong to
 * @path: to the receiver of the gathered packets
 * @skb: the gathered packets; NULL: none
 * @packets: number of complete packets, in @skb or ready for it
 * @max_packets: limit of @packets
 * @max_len: limit of the bytes in @skb
 * @packet_len: bytes of each, from BTH to ICRC
 * @closed: the last one is shorter: none may follow
 * @ident: identification of the next packet; wraps
 * @prefix: of the ICRCs of all packets along @path
 * @room: memory of the current packet, and of those ready ahead of it
 * @ready: bytes of packets in @room that are complete, and not yet in @skb
 * @bth: BTH of the current packet
 * @len: its bytes, from BTH to ICRC
 * @pad: bytes ahead of its ICRC that are not data
 * @to: where its next byte of data goes
 * @summed: end of the bytes that @crc covers
 * @crc: its ICRC so far, up to @summed
 * @made: bytes of all packets ever completed; wraps
 *
 * Guarded by the lock of the queue that sends, and empty when that is released.
 */
struct rxe_tx {
	struct rxe_flow *flow;
	struct rxe_path *path;
	struct sk_buff *skb;
	u32 packets;
	u32 max_packets;
	u32 max_len;
	u32 packet_len;
	bool closed;
	u16 ident;
	struct rxe_icrc_prefix prefix;
	struct rxe_tx_room room;
	u32 ready;
	struct rxe_bth *bth;
	u32 len;
	u32 pad;
	u8 *to;
	u8 *summed;
	u32 crc;
	u32 made;
};

/**
 * struct rxe_tx_run - packets that are made in one access to memory
 * @tx: gathers them
 * @next: completes the current packet and begins another: sets @left; false: it
 *	  could not be begun
 * @left: payload bytes that the current packet still needs
 *
 * The caller begins the first packet, and completes the last one.
 */
struct rxe_tx_run {
	struct rxe_tx *tx;
	bool (*next)(struct rxe_tx_run *run);
	u32 left;
};

/*
 * Bytes sent under one hold of the lock where the receiver may be idle until
 * they arrive. A receiver on another CPU of this host is notified when this CPU
 * has run its softirqs: for that, bottom halves have to be enabled.
 */
#define RXE_TX_FIRST	(16 << 10)

/* bytes made in one access, as MMU notifiers wait until it ends */
#define RXE_TX_RUN	(16U << 10)

void rxe_tx_init(struct rxe_tx *tx, struct rxe_flow *flow);
struct rxe_bth *rxe_tx_begin(struct rxe_tx *tx, struct rxe_path *path,
			     u8 opcode, u32 psn, u32 payload_len);
void rxe_tx_headers_done(struct rxe_tx *tx);
bool rxe_tx_begin_alike(struct rxe_tx *tx, u32 psn);
u32 rxe_tx_packets_left(const struct rxe_tx *tx);
int rxe_tx_copy(void *kaddr, size_t len, void *arg);
int rxe_tx_run_copy(void *kaddr, size_t len, void *arg);
void rxe_tx_commit(struct rxe_tx *tx);
void rxe_tx_cancel(struct rxe_tx *tx);
void rxe_tx_flush(struct rxe_tx *tx);

#endif
