/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Frames with RoCEv2 packets, made as bytes: for programs that make many. */
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROCE_PORT	4791
#define SOURCE_PORT	49152
#define ETH_BYTES	14
#define BTH_BYTES	12
#define ICRC_BYTES	4
#define FRAME_BYTES	2048

/* headers behind the BTH */
enum eth {
	ETH_RETH = 1, ETH_IMM = 2, ETH_AETH = 4, ETH_ATOMIC = 8, ETH_ORIG = 16,
	ETH_DETH = 32, ETH_IETH = 64, ETH_FETH = 128,
};

/**
 * struct way - from where to where
 * @ipv6: over IPv6
 * @macs: of the destination and the source
 * @addrs: the same; an IPv4 address takes the last four bytes
 */
struct way {
	bool ipv6;
	uint8_t macs[2][6];
	uint8_t addrs[2][16];
};

/**
 * struct packet - the fields of a packet; its opcode says which are there
 * @opcode: of the BTH
 * @flags: of the BTH, but for the pad count: SE, migration state, version
 * @pad: pad count; bytes that it says are there
 * @pkey: partition
 * @qpn: destination
 * @resv: top byte of @qpn's word
 * @ack: acknowledgment requested
 * @psn: sequence number
 * @va: of RETH and AtomicETH
 * @rkey: the same
 * @dma_len: of the RETH
 * @swap: of AtomicETH
 * @compare: the same, and what AtomicAckETH has
 * @aeth: syndrome and MSN
 * @imm: immediate data
 * @ieth: key to be invalidated
 * @feth: placement
 * @qkey: of the DETH
 * @from_qpn: of the DETH
 * @payload_len: bytes
 */
struct packet {
	uint8_t opcode;
	uint8_t flags;
	uint8_t pad;
	uint16_t pkey;
	uint32_t qpn;
	uint8_t resv;
	bool ack;
	uint32_t psn;
	uint64_t va;
	uint32_t rkey;
	uint32_t dma_len;
	uint64_t swap;
	uint64_t compare;
	uint32_t aeth;
	uint32_t imm;
	uint32_t ieth;
	uint32_t feth;
	uint32_t qkey;
	uint32_t from_qpn;
	uint16_t payload_len;
};

/**
 * struct frame - a frame
 * @bytes: of it
 * @len: their number
 * @bth: where the BTH is
 */
struct frame {
	unsigned char bytes[FRAME_BYTES];
	size_t len;
	size_t bth;
};

/* which headers an opcode has */
unsigned int eths_of(uint8_t opcode);
/* from the BTH to the last pad byte; @bytes has room for it. Returns its length */
size_t packet_bytes(const struct packet *packet, const unsigned char *payload,
		    unsigned char *bytes);
/* the whole frame, right in all that @packet does not say */
void frame_make(struct frame *frame, const struct way *way,
		const struct packet *packet, const unsigned char *payload);
/* make the lengths of IP and UDP what they are */
void frame_set_lengths(struct frame *frame);
/* make the checksum of IPv4, and the ICRC, right */
void frame_seal(struct frame *frame);
/* the ICRC alone of what is sealed */
void frame_checksum(struct frame *frame);
/* the ICRC of @len bytes behind the headers in @frame, as it goes over the wire */
uint32_t icrc_of(const struct frame *headers, const unsigned char *bytes, size_t len,
		 uint16_t ident);

#endif
