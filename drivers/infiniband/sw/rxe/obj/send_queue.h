/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_SEND_QUEUE_H
#define RXE_SEND_QUEUE_H

#include <linux/jiffies.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#include "base/compat.h"
#include "mem/mr.h"
#include "mem/mw.h"
#include "obj/qp.h"

struct rxe_ah;

/*
 * Copies of those requests of a program that are under way; the others stay in
 * its ring. There are enough for the packets that rxe_window_open() allows,
 * RXE_LOCAL_AHEAD and RXE_GATHER_MAX together.
 */
#define RXE_SQ_COPIES	1024
/* requests ahead of a local one that may be incomplete when it is executed */
#define RXE_LOCAL_AHEAD	256

/* for so long the kernel asks, by default, for a neighbour that is silent */
#define RXE_NEIGH_TIMEOUT	msecs_to_jiffies(3000)

/**
 * struct rxe_swqe - a send work request: a copy that no program can change
 * @wr_id: the program's
 * @remote_addr: of RDMA and atomics
 * @compare_add: operand of atomics
 * @swap: operand of compare and swap
 * @ud: of datagrams: the address handle, by its number where a program names
 *	it, the receiver and its Q_Key
 * @flush: of flushing: how many bytes, what kind, and whether all of the region
 * @bind: of binding a memory window
 * @reg: of a fast registration
 * @opcode: enum ib_wr_opcode
 * @flags: enum ib_send_flags
 * @rkey: of RDMA and atomics; or to be invalidated
 * @imm: immediate data
 * @length: bytes of the message; of an atomic, 8
 * @first_psn: of the message, once @numbered
 * @last_psn: of the message; a read takes one for each response packet
 * @num_sge: entries of @sge; none where data is inline
 * @error: what is wrong with it; the request fails when its turn comes
 * @numbered: has been given its PSNs
 * @executed: a local request that is done; it completes in its turn
 * @sge: local memory
 * @inline_data: or the data itself
 */
struct rxe_swqe {
	u64 wr_id;
	union {
		struct {
			u64 remote_addr;
			union {
				struct {
					u64 compare_add;
					u64 swap;
				};
				struct {
					u32 length;
					u8 type;
					u8 level;
				} flush;
			};
		};
		struct {
			union {
				u32 ah_num;
				struct rxe_ah *ah;
			};
			u32 qpn;
			u32 qkey;
		} ud;
		struct rxe_bind bind;
		struct rxe_reg reg;
	};
	u32 opcode;
	u32 flags;
	u32 rkey;
	__be32 imm;
	u32 length;
	u32 first_psn;
	u32 last_psn;
	u16 num_sge;
	u8 error;
	bool numbered;
	bool executed;
	union {
		DECLARE_FLEX_ARRAY(struct rxe_sge, sge);
		DECLARE_FLEX_ARRAY(u8, inline_data);
	};
};

int rxe_sq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init,
		  struct ib_udata *udata, struct mminfo *mi);
void rxe_sq_destroy(struct rxe_qp *qp);
void rxe_sq_reset(struct rxe_qp *qp);

u8 rxe_swqe_check(const struct rxe_qp *qp, const struct rxe_swqe *wqe,
		  bool data_ok);
u32 rxe_sq_filled(const struct rxe_sq *sq);
struct rxe_swqe *rxe_sq_fetch(struct rxe_qp *qp);
void rxe_sq_complete(struct rxe_qp *qp, enum ib_wc_status status);
bool rxe_sq_flush(struct rxe_qp *qp, int budget);

void rxe_sq_arm_timer(struct rxe_qp *qp);
void rxe_sq_run_within(struct rxe_qp *qp, unsigned long ticks);
void rxe_sq_fail(struct rxe_qp *qp, enum ib_wc_status status);

/* IBTA 9.7.6.1.3: 4.096 us * 2^timeout, never early; 0: no timer. */
static inline unsigned long rxe_ack_timeout_jiffies(const struct rxe_qp *qp)
{
	return nsecs_to_jiffies(4096ULL << qp->attr.timeout) + 1;
}

static inline struct rxe_swqe *rxe_sq_wqe(const struct rxe_sq *sq, u32 index)
{
	return sq->wqes + (index & sq->mask) * sq->wqe_size;
}

static inline void rxe_sq_note_progress(struct rxe_sq *sq)
{
	sq->progress = jiffies;
	sq->queued_until = jiffies + RXE_NEIGH_TIMEOUT;
}

/**
 * rxe_sq_reset_retries - give all retries back: the peer made progress
 * @qp: the QP
 *
 * Context: the send queue's lock is held.
 */
static inline void rxe_sq_reset_retries(struct rxe_qp *qp)
{
	lockdep_assert_held(&qp->sq.lock);
	qp->sq.retries = qp->attr.retry_cnt;
	qp->sq.rnr_retries = qp->attr.rnr_retry;
	rxe_sq_note_progress(&qp->sq);
}

static inline bool rxe_swqe_is_read(const struct rxe_swqe *wqe)
{
	return wqe->opcode == IB_WR_RDMA_READ;
}

/* a response completes it, not an acknowledgment */
static inline bool rxe_swqe_is_answered(const struct rxe_swqe *wqe)
{
	switch (wqe->opcode) {
	case IB_WR_RDMA_READ:
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
	case IB_WR_FLUSH:
	case IB_WR_ATOMIC_WRITE:
		return true;
	default:
		return false;
	}
}

/* a local request: nothing is sent for it */
static inline bool rxe_swqe_is_local(const struct rxe_swqe *wqe)
{
	return wqe->opcode == IB_WR_BIND_MW || wqe->opcode == IB_WR_LOCAL_INV ||
	       wqe->opcode == IB_WR_REG_MR;
}

static inline bool rxe_swqe_is_atomic(const struct rxe_swqe *wqe)
{
	return wqe->opcode == IB_WR_ATOMIC_CMP_AND_SWP ||
	       wqe->opcode == IB_WR_ATOMIC_FETCH_AND_ADD;
}

#endif
