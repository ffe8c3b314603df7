/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The wire format: IBTA volume 1, chapter 9, and annex A17 (RoCEv2). */
#ifndef RXE_WIRE_H
#define RXE_WIRE_H

#include <linux/bits.h>
#include <linux/types.h>
#include <rdma/ib_pack.h>

#define RXE_ICRC_BYTES		4
#define RXE_MAX_PAYLOAD		4096

#define RXE_BTH_SE		BIT(7)
#define RXE_BTH_MIG		BIT(6)
#define RXE_BTH_PAD_SHIFT	4
#define RXE_BTH_PAD_MASK	3
#define RXE_BTH_TVER_MASK	0xf
#define RXE_BTH_ACK_REQ		BIT(31)

#define RXE_DEFAULT_PKEY	0xffff
#define RXE_PSN_MASK		0xffffff
#define RXE_QPN_MASK		0xffffff
#define RXE_GSI_QPN		1
#define RXE_MULTICAST_QPN	0xffffff

struct rxe_bth {
	u8	opcode;
	u8	flags;		/* SE, M, pad count, transport version */
	__be16	pkey;
	__be32	qpn;		/* the top byte, resv8a, is masked in the ICRC */
	__be32	apsn;		/* AckReq, PSN */
};

struct rxe_reth {
	__be64	va;
	__be32	rkey;
	__be32	len;
};

/* flush: placement type and selectivity level; IBTA A19.4 */
struct rxe_feth {
	__be32	bits;
};

enum rxe_feth_bits {
	RXE_FETH_TYPE_MASK	= 0xf,
	RXE_FETH_SEL_SHIFT	= 4,
	RXE_FETH_SEL_MASK	= 0x3,
};

enum rxe_flush_type {
	RXE_FLUSH_GLOBAL	= BIT(0),
	RXE_FLUSH_PERSISTENT	= BIT(1),
};

enum rxe_flush_level {
	RXE_FLUSH_RANGE,
	RXE_FLUSH_REGION,
};

struct rxe_atmeth {
	__be64	va;
	__be32	rkey;
	__be64	swap_add;
	__be64	compare;
} __packed;

struct rxe_aeth {
	__be32	smsn;		/* syndrome, MSN */
};

struct rxe_atmack {
	__be64	orig;
} __packed;

struct rxe_deth {
	__be32	qkey;
	__be32	sqp;
};

struct rxe_ieth {
	__be32	rkey;
};

struct rxe_immdt {
	__be32	imm;
};

/* AETH syndromes: IBTA 9.7.5.2.1 */
enum rxe_syndrome {
	RXE_SYN_TYPE_MASK	= 0xe0,
	RXE_SYN_VALUE_MASK	= 0x1f,
	RXE_SYN_ACK		= 0x00,
	RXE_SYN_RNR_NAK		= 0x20,
	RXE_SYN_NAK		= 0x60,
	/* no end-to-end credits: IBTA 9.7.7.2 */
	RXE_SYN_ACK_UNLIMITED	= RXE_SYN_ACK | 0x1f,
	RXE_SYN_NAK_PSN_SEQ	= RXE_SYN_NAK | 0,
	RXE_SYN_NAK_INV_REQ	= RXE_SYN_NAK | 1,
	RXE_SYN_NAK_REM_ACCESS	= RXE_SYN_NAK | 2,
	RXE_SYN_NAK_REM_OP	= RXE_SYN_NAK | 3,
};

/* of the opcode that has the longest headers: see rxe_opcodes[] */
#define RXE_MAX_HEADERS	(sizeof(struct rxe_bth) + sizeof(struct rxe_atmeth))

enum rxe_opcode_flag {
	RXE_OP_START	= BIT(0),	/* first or only packet of a message */
	RXE_OP_END	= BIT(1),	/* last or only packet of a message */
	RXE_OP_SEND	= BIT(2),
	RXE_OP_WRITE	= BIT(3),
	RXE_OP_READ	= BIT(4),
	RXE_OP_ATOMIC	= BIT(5),
	RXE_OP_RESPONSE	= BIT(6),	/* travels from responder to requester */
	RXE_OP_PAYLOAD	= BIT(7),
	RXE_OP_IMM	= BIT(8),
	RXE_OP_ACK	= BIT(9),
	RXE_OP_INV	= BIT(10),	/* invalidates a key of the responder's */
	RXE_OP_FLUSH	= BIT(11),
	RXE_OP_ATOMIC_WRITE = BIT(12),
	RXE_OP_UNSUPPORTED = BIT(13),	/* refused by a NAK */
};

/**
 * struct rxe_opcode - what a BTH's opcode says about the packet
 * @flags: of enum rxe_opcode_flag
 * @hdr_len: bytes from the BTH to the payload; 0: no such opcode
 */
struct rxe_opcode {
	u16 flags;
	u8 hdr_len;
};

extern const struct rxe_opcode rxe_opcodes[256];

static inline u32 rxe_psn_add(u32 psn, u32 n)
{
	return (psn + n) & RXE_PSN_MASK;
}

/* the service that a BTH's opcode belongs to: IB_OPCODE_RC, _UC, _UD */
static inline u8 rxe_service(u8 opcode)
{
	return opcode & 0xe0;
}

/* Signed distance from @b to @a on the circle of 24-bit PSNs. */
static inline s32 rxe_psn_diff(u32 a, u32 b)
{
	return (s32)((a - b) << 8) >> 8;
}

#endif
