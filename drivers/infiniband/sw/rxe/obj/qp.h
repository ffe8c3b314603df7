/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_QP_H
#define RXE_QP_H

#include <linux/hrtimer.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>

#include "base/dev.h"
#include "base/handle.h"
#include "base/wire.h"
#include "egress/path.h"
#include "egress/tx.h"
#include "mem/mr.h"
#include "wait/anchor.h"
#include "wait/direction.h"

struct rxe_ring;
struct rxe_rwqe;

/* of both kinds; of RNR NAKs it stands for any number */
#define RXE_MAX_RETRY	7

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

/**
 * struct rxe_read - a read request that is being answered
 * @active: there is one
 * @started: the first response packet was sent
 * @repeated: it was asked for again
 * @rkey: of the memory
 * @va: of the next byte
 * @resid: bytes left
 * @psn: of the next response packet
 */
struct rxe_read {
	bool active;
	bool started;
	bool repeated;
	u32 rkey;
	u64 va;
	u32 resid;
	u32 psn;
};

enum rxe_resource_kind {
	RXE_RESOURCE_NONE,
	RXE_RESOURCE_READ,
	RXE_RESOURCE_ATOMIC,
	/* a flush or an atomic write: done, and no data to be sent */
	RXE_RESOURCE_PLACEMENT,
};

/**
 * struct rxe_resource - what a request that is answered needs when it is repeated
 * @kind: of the request
 * @first_psn: of the request
 * @last_psn: of its last response
 * @va: a read's address
 * @len: a read's length
 * @orig: what an atomic found in memory
 */
struct rxe_resource {
	enum rxe_resource_kind kind;
	u32 first_psn;
	u32 last_psn;
	u64 va;
	u32 len;
	u64 orig;
};

enum rxe_message {
	RXE_MESSAGE_NONE,
	RXE_MESSAGE_SEND,
	RXE_MESSAGE_WRITE,
};

/**
 * struct rxe_rq - a receive queue, with the state of the responder
 * @lock: of everything here; BH-safe
 * @ring: of the user's requests; NULL: the QP uses a shared receive queue
 * @head: next request in the ring; runs freely
 * @last_wqe_told: the event that no more shared requests will be taken is out
 * @wqe: copy of the request that is being filled
 * @wqe_busy: there is one
 * @epsn: expected PSN
 * @msn: messages completed, modulo 2^24
 * @nak_sent: what is not @epsn is dropped in silence
 * @ack_due: an acknowledgment is to be sent before the lock is let go
 * @ack_psn: of it
 * @message: the middle of which message we are in
 * @offset: bytes of the message that have come
 * @write_va: of the message, where it is a write; so the next two
 * @write_rkey: of the message
 * @write_len: of the message
 * @resources: of the last reads and atomics, a ring
 * @num_resources: its size
 * @next_resource: the oldest of it
 * @read: being answered; no other request is looked at meanwhile
 * @tx: what is being sent
 * @turn_end: @tx.made when others get a turn
 * @hold: what the last key named
 * @responder: does what requests ask for; those in its backlog wait for @read too
 * @pending_psn: after the new requests in the backlog that follow on @epsn
 * @redo_psn: of the repeated requests that came last to it, without a gap
 * @redo_end: after them; @redo_psn: there are none
 * @again_for: the request that waits, when it last came again
 * @again: how often it has
 * @ack_expected: the peer expects an acknowledgment of @expected_psn, and to have
 *		  all that it asked for before
 * @expected_psn: see there
 */
struct rxe_rq {
	/* inside the send queue's lock where both are held */
	spinlock_t lock;
	struct rxe_ring *ring;
	u32 head;
	bool last_wqe_told;
	struct rxe_rwqe *wqe;
	bool wqe_busy;

	u32 epsn;
	u32 msn;
	bool nak_sent;
	bool ack_due;
	u32 ack_psn;

	enum rxe_message message;
	u32 offset;
	u64 write_va;
	u32 write_rkey;
	u32 write_len;

	struct rxe_resource *resources;
	u32 num_resources;
	u32 next_resource;
	struct rxe_read read;
	struct rxe_tx tx;
	u32 turn_end;
	struct rxe_key_hold hold;

	struct rxe_direction responder;
	u32 pending_psn;
	u32 redo_psn;
	u32 redo_end;
	u32 again_for;
	u8 again;
	bool ack_expected;
	u32 expected_psn;
};

/**
 * struct rxe_qp - a queue pair
 * @ibqp: the core's part
 * @dev: its device
 * @handle: its number
 * @service: IB_OPCODE_RC, _UC or _UD: what its packets' opcodes begin with; the
 *	     GSI QP is a UD one
 * @anchor: what packets and faults under way hold on to
 * @modify_lock: has one call modify it at a time
 * @state: IB_QPS_ERR is entered under either queue's lock, IB_QPS_SQE under the
 *	   send queue's, every other state under both
 * @attr: as modified
 * @cap: as granted
 * @mtu: of the path, bytes
 * @path: to the peer
 * @flush: empties both queues in the error state
 * @flush_delay: between two looks at the rings in the error state, in jiffies
 * @comm_established: a packet came before the program moved on to RTS
 * @sq: the send queue, of requester and completer
 * @rq: the receive queue, and the responder
 */
struct rxe_qp {
	struct ib_qp ibqp;
	struct rxe_dev *dev;
	struct rxe_handle *handle;
	u8 service;
	struct rxe_anchor *anchor;
	/* outside the queues' locks: what is prepared for a state is for that */
	struct mutex modify_lock;
	enum ib_qp_state state;
	struct ib_qp_attr attr;
	struct ib_qp_cap cap;
	u32 mtu;
	struct rxe_path path;
	struct delayed_work flush;
	unsigned long flush_delay;
	bool comm_established;
	struct rxe_sq sq;
	struct rxe_rq rq;
};

/* QPs of all devices by number, so that a packet finds its QP at once */
extern struct rxe_handle_table rxe_qps;

static inline struct rxe_qp *to_rqp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct rxe_qp, ibqp);
}

static inline bool rxe_is_kernel(const struct rxe_qp *qp)
{
	return !qp->ibqp.uobject;
}

static inline bool rxe_is_reliable(const struct rxe_qp *qp)
{
	return qp->service == IB_OPCODE_RC;
}

static inline bool rxe_is_datagram(const struct rxe_qp *qp)
{
	return qp->service == IB_OPCODE_UD;
}

void rxe_qp_set_handle(struct rxe_qp *qp, struct rxe_handle *handle);
void rxe_qp_fail(struct rxe_qp *qp, int event);
void rxe_qp_fail_sq(struct rxe_qp *qp);

#endif
