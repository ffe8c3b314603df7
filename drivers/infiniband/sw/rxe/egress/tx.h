/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets on their way out. */
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
 * struct rxe_tx - packets that are gathered, to leave together
 * @flow: that they belong to
 * @path: to the receiver of those that are gathered
 * @skb: those that are complete; NULL: none
 * @packets: in @skb, and ready for it
 * @max_packets: that may be
 * @max_len: bytes that they may take
 * @packet_len: bytes of each, from BTH to ICRC
 * @closed: the last one is shorter: none may follow
 * @ident: of the next packet; runs freely
 * @prefix: of the ICRCs of all packets along @path
 * @room: of the packet that is being made, and those made ahead of it
 * @ready: bytes of those ahead: complete, and not yet in @skb
 * @bth: of the packet that is being made
 * @len: its bytes, from BTH to ICRC
 * @pad: bytes ahead of its ICRC that are not data
 * @to: where its next byte of data goes
 * @summed: up to where @crc goes
 * @crc: of all before @summed
 * @made: bytes of all packets that were ever complete; runs freely
 *
 * Under the lock of the queue that sends. Nothing is left in it when that is let
 * go.
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
 * @tx: where they gather
 * @next: complete the packet that is made and begin another: sets @left; false:
 *	  it could not be begun
 * @left: bytes of the payload of the packet that is made that have yet to come
 *
 * The first one is begun, and the last one completed, by who makes them.
 */
struct rxe_tx_run {
	struct rxe_tx *tx;
	bool (*next)(struct rxe_tx_run *run);
	u32 left;
};

/*
 * Bytes sent under one hold of the lock where the receiver may have nothing to do
 * until they arrive. If that is another CPU of this machine it is told when
 * softirqs have run here: bottom halves have to be enabled for that.
 */
#define RXE_TX_FIRST	(16 << 10)

/* bytes made in one access, before who takes memory away gets a turn */
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
