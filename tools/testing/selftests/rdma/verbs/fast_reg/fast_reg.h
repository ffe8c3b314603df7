/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Shared by the files of the test of fast registration. */
#ifndef FAST_REG_H
#define FAST_REG_H

#include <rdma/ib_verbs.h>

/* bytes that one request moves at most */
#define PEER_BYTES	SZ_64K

/**
 * struct end - one of two queue pairs that are connected
 * @gid_index: of its address
 * @dev: the device; NULL: it is not there
 * @pd: its protection domain
 * @cq: of the queue pair
 * @qp: the queue pair
 */
struct end {
	int gid_index;
	struct ib_device *dev;
	struct ib_pd *pd;
	struct ib_cq *cq;
	struct ib_qp *qp;
};

/**
 * struct pair - a host whose memory is registered, and one that accesses it
 * @target: the former
 * @peer: the latter
 * @bytes: memory that the peer writes from and reads to
 * @addr: of @bytes
 */
struct pair {
	struct end target;
	struct end peer;
	u8 *bytes;
	u64 addr;
};

int pair_open(struct pair *pair);
void pair_close(struct pair *pair);
int pair_connect(struct pair *pair);
int end_do(struct end *end, const struct ib_send_wr *wr);
int pair_access(struct pair *pair, enum ib_wr_opcode opcode,
		const struct ib_mr *mr, u64 addr, u32 len);

#define AREA_BLOCKS	4
#define AREA_PIECES	16

/**
 * struct piece - some of the memory of an area
 * @at: where it begins
 * @len: bytes
 */
struct piece {
	u8 *at;
	u32 len;
};

/**
 * struct area - memory that is registered, and its expected content
 * @chunks: the memory, of which some is not registered
 * @expected: expected content of the chunks, one behind the other
 * @chunk_bytes: of each
 * @num_chunks: their number
 * @pieces: the registered parts
 * @num_pieces: their number
 * @bytes: of all pieces
 * @sg: the pieces, for ib_map_mr_sg()
 */
struct area {
	u8 *chunks[AREA_BLOCKS];
	u8 *expected;
	u32 chunk_bytes;
	int num_chunks;
	struct piece pieces[AREA_PIECES];
	int num_pieces;
	u64 bytes;
	struct scatterlist sg[AREA_PIECES];
};

int area_alloc(struct area *area, u32 block, int blocks);
void area_free(struct area *area);
void area_pieces(struct area *area, u32 block, int cuts);
int area_map(struct area *area, struct ib_mr *mr, u32 block, u32 skip);
void area_write(struct area *area, u64 offset, const u8 *bytes, u32 len);
bool area_holds(const struct area *area, u64 offset, const u8 *bytes, u32 len);
bool area_intact(const struct area *area);

#endif
