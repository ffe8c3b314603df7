/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_SEND_QUEUE_H
#define RXE_SEND_QUEUE_H

#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#include "compat.h"
#include "direction.h"
#include "mr.h"
#include "mw.h"
#include "ring.h"
#include "tx.h"

struct rxe_ah;
struct rxe_qp;

/*
 * Copies of a program's requests: of those that are under way, the others stay in
 * its ring. They are more than those whose packets rxe_window_open() lets be
 * under way, with RXE_LOCAL_AHEAD, and those that gather.
 */
#define RXE_SQ_COPIES	1024
/* requests that concern this side only are not executed further ahead */
#define RXE_LOCAL_AHEAD	256

/* as long as the kernel asks for a neighbour that does not answer */
#define RXE_PATIENCE	msecs_to_jiffies(3000)

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
 * @executed: concerns this side only, and is done; completes in its turn
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

/**
 * struct rxe_sq - a send queue, with the state of requester and completer
 * @lock: of everything here but @posted; BH-safe
 * @ring: shared with the program; NULL: a kernel user posts to @wqes
 * @post_lock: of @posted, and of the requests before they are posted
 * @posted: after the last request of a kernel user's; runs freely
 * @wqes: the requests from @done on, a program's: copies of those to @fetched
 * @mask: how many of @wqes there are, a power of two, less one
 * @wqe_size: bytes of one copy
 * @signal_all: every request completes with a CQE
 * @draining: SQD was entered, and its event not yet raised
 * @done: oldest request that is not complete; this and the next two run freely
 * @next: request that is sent now
 * @fetched: first request that is still in the ring only
 * @psn: of the next packet
 * @sent_psn: after the last one that was ever sent
 * @una_psn: oldest one that the peer has not acknowledged
 * @ack_psn: after the last one that asked for an acknowledgment
 * @rd_outstanding: reads and atomics sent and not answered
 * @retries: left for time-outs and sequence errors
 * @rnr_retries: left for a receiver that is not ready
 * @rnr_waiting: @rnr_timer runs
 * @probing: after @rnr_timer or a time-out, one packet asks whether the peer is there
 * @gap_retried: @una_psn was asked for again as a later response came first
 * @gap_repeats: responses in a row since that are not behind @gap_psn
 * @gap_psn: the furthest of those that came since
 * @gap_sent_psn: @sent_psn at that time
 * @tx: what is being sent
 * @hold: what the last key named
 * @timer: the local ACK timeout
 * @progress: when the peer last acknowledged something, or could not; in jiffies
 * @patience: until when packets may wait below us without being late, in jiffies
 * @rnr_timer: as long as the peer asked for
 * @requester: sends
 * @completer: takes what the peer answers
 */
struct rxe_sq {
	/* outermost of the driver's */
	spinlock_t lock;
	struct rxe_ring *ring;
	/* innermost; kernel users post in any context */
	spinlock_t post_lock;
	u32 posted;
	void *wqes;
	u32 mask;
	size_t wqe_size;
	bool signal_all;
	bool draining;

	u32 done;
	u32 next;
	u32 fetched;

	u32 psn;
	u32 sent_psn;
	u32 una_psn;
	u32 ack_psn;
	u32 rd_outstanding;
	u8 retries;
	u8 rnr_retries;
	bool rnr_waiting;
	bool probing;
	bool gap_retried;
	u8 gap_repeats;
	u32 gap_psn;
	u32 gap_sent_psn;

	struct rxe_tx tx;
	struct rxe_key_hold hold;
	struct timer_list timer;
	unsigned long progress;
	unsigned long patience;
	struct hrtimer rnr_timer;

	struct rxe_direction requester;
	struct rxe_direction completer;
};

int rxe_sq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init,
		  struct ib_udata *udata, struct mminfo *mi);
void rxe_sq_destroy(struct rxe_qp *qp);
void rxe_sq_reset(struct rxe_qp *qp);

u8 rxe_swqe_check(const struct rxe_qp *qp, const struct rxe_swqe *wqe,
		  bool data_ok);
struct rxe_swqe *rxe_sq_fetch(struct rxe_qp *qp);
void rxe_sq_complete(struct rxe_qp *qp, enum ib_wc_status status);
bool rxe_sq_flush(struct rxe_qp *qp, int budget);

static inline struct rxe_swqe *rxe_sq_wqe(const struct rxe_sq *sq, u32 index)
{
	return sq->wqes + (index & sq->mask) * sq->wqe_size;
}

static inline void rxe_sq_progress(struct rxe_sq *sq)
{
	sq->progress = jiffies;
	sq->patience = jiffies + RXE_PATIENCE;
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

/* nothing is sent for it */
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
