/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * All state of a queue pair. A letter in the description of a field says which
 * lock guards it:
 *
 *	I	set when the QP, or its number, is made; read without a lock
 *	S	under the send queue's lock
 *	R	under the receive queue's lock
 *	B	written under both of these, and modify_lock; read under either
 *	P	under post_lock
 *
 * Locks, outermost first; softirqs take all but modify_lock:
 *
 *	rxe_qp.modify_lock
 *	  rxe_sq.lock
 *	    rxe_rq.lock		inside rxe_sq.lock to change or ask all attributes
 *	      rxe_srq.lock, rxe_mw.lock, rxe_mr.lock, rxe_cq.lock
 *	        rxe_sq.post_lock, rxe_ring.post_lock, rxe_anchor.lock
 *
 * Read without these locks: rxe_qp.state, by rcv.c and mcast.c with an acquire,
 * after which path, mtu and service are those of that state; rxe_sq.done, by
 * kernel users that post, with an acquire; rxe_sq.posted, under S, with an
 * acquire; attr.max_rd_atomic, by kernel users that post: one number.
 */
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

/* of retry_cnt and rnr_retry; for RNR NAKs it means any number */
#define RXE_MAX_RETRY	7

/**
 * struct rxe_sq - a send queue, with the state of requester and completer
 * @lock: S; BH-safe
 * @ring: I: shared with the program; NULL: a kernel user posts to @wqes
 * @post_lock: P; and of the requests before they are posted
 * @posted: P: after the last request that a kernel user has posted; runs freely
 * @wqes: I: the requests from @done on; of a program: copies of those up to @fetched
 * @mask: I: how many of @wqes there are, a power of two, less one
 * @wqe_size: I: bytes of one copy
 * @signal_all: I: every request completes with a CQE
 * @draining: S: SQD was entered, and its event not yet raised
 * @done: S: oldest request that is not complete; runs freely, as the next two
 * @next: S: request that is sent now
 * @fetched: S: first request that is still in the ring only
 * @psn: S: of the next packet
 * @sent_psn: S: after the last one that was ever sent
 * @una_psn: S: oldest one that the peer has not acknowledged
 * @ack_psn: S: after the last one that asked for an acknowledgment
 * @rd_outstanding: S: reads and atomics sent and not answered
 * @retries: S: left for time-outs and sequence errors
 * @rnr_retries: S: left for a receiver that is not ready
 * @rnr_waiting: S: @rnr_timer runs
 * @probing: S: after @rnr_timer or a time-out: one packet at a time, until one
 *	     is acknowledged
 * @unpark_due: S: @requester is to go on without its fault, once it may
 * @no_memory_tries: S: how often there was none for a packet, in a row
 * @gap_retried: S: @una_psn was requested again, since a later response came first
 * @gap_repeats: S: responses in a row since then whose PSN is not after @gap_psn
 * @response_dropped: S: one that had to wait had no room
 * @gap_psn: S: the highest PSN of the responses since then
 * @gap_sent_psn: S: @sent_psn when it was requested again
 * @tx: S: what is being sent
 * @hold: S: the memory region or window of the last key
 * @timer: S: the local ACK timeout
 * @progress: S: when the peer last made progress, or was not able to; jiffies
 * @queued_until: S: packets that wait below the driver are not late before this; jiffies
 * @no_memory_until: S: when to try again; jiffies
 * @no_memory_made: S: @tx.made then: the tries are in a row while it does not move
 * @rnr_timer: S: runs for as long as the peer asked for
 * @requester: S: sends
 * @completer: S: takes what the peer answers
 */
struct rxe_sq {
	/* the driver's outermost spinlock */
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
	bool unpark_due;
	u8 no_memory_tries;
	bool gap_retried;
	u8 gap_repeats;
	bool response_dropped;
	u32 gap_psn;
	u32 gap_sent_psn;

	struct rxe_tx tx;
	struct rxe_key_hold hold;
	struct timer_list timer;
	unsigned long progress;
	unsigned long queued_until;
	unsigned long no_memory_until;
	u32 no_memory_made;
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
 * struct rxe_resource - a request whose answer may have to be repeated
 * @kind: of the request
 * @first: of its PSNs, counted as in @expected of struct rxe_rq
 * @psns: that it takes: one for each packet of the answer
 * @va: a read's address
 * @len: a read's length
 * @orig: what an atomic found in memory
 */
struct rxe_resource {
	enum rxe_resource_kind kind;
	u32 psns;
	u64 first;
	u64 va;
	u64 orig;
	u32 len;
};

enum rxe_message {
	RXE_MESSAGE_NONE,
	RXE_MESSAGE_SEND,
	RXE_MESSAGE_WRITE,
};

/**
 * struct rxe_rq - a receive queue, with the state of the responder
 * @lock: R; BH-safe
 * @ring: I: of the user's requests; NULL: the QP uses a shared receive queue
 * @head: R: next request in the ring; runs freely
 * @last_wqe_told: R: IB_EVENT_QP_LAST_WQE_REACHED was raised
 * @wqe: R: copy of the request that is being filled
 * @wqe_busy: R: there is one
 * @epsn: R: expected PSN
 * @expected: R: likewise, but it does not come round
 * @msn: R: messages completed, modulo 2^24
 * @nak_sent: R: later PSNs than @epsn are dropped without another NAK
 * @ack_due: R: an acknowledgment is to be sent before the lock is let go
 * @ack_psn: R: the last PSN that it acknowledges
 * @message: R: the kind of message that has begun and not ended
 * @offset: R: bytes of the message that have come
 * @write_va: R: of the message, where it is a write; so the next two
 * @write_rkey: R: of the message
 * @write_len: R: of the message
 * @resources: R: the last reads, atomics, flushes and atomic writes, a ring
 * @num_resources: R: its size: reads and atomics that the peer may have under way
 * @next_resource: R: the oldest of them
 * @read: R: being answered; no other request is executed meanwhile
 * @tx: R: what is being sent
 * @turn_end: R: the value of @tx.made at which others get a turn
 * @hold: R: the memory region or window of the last key
 * @responder: R: executes requests; those in its backlog wait for memory, or for @read
 * @pending_psn: R: after the new requests in the backlog that follow @epsn without a gap
 * @redo_psn: R: first of the repeated requests that last came to the backlog without a gap
 * @redo_end: R: after the last of them; equal to @redo_psn: there are none
 * @counted_psn: R: of the request that waits, whose repetitions @repeats counts
 * @repeat_psn: R: of the packet that was repeated last, and counts
 * @repeats: R: how often the request at @counted_psn has been repeated
 * @ack_deferred: R: @deferred_psn is acknowledged once all before it is answered
 * @deferred_psn: R: see @ack_deferred
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
	u64 expected;
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
	u32 counted_psn;
	u32 repeat_psn;
	u8 repeats;
	bool ack_deferred;
	u32 deferred_psn;
};

/**
 * struct rxe_qp_attr - attributes as modified, but for those that are state
 * @ah_attr: the address vector; the reference to its GID is the core's
 * @path_mtu: of a connection
 * @qkey: of datagrams
 * @qp_access_flags: what the peer may do
 * @port_num: 0 or 1
 * @en_sqd_async_notify: raise an event when the send queue is drained
 * @max_rd_atomic: reads and atomics that the peer takes at once
 * @min_rnr_timer: as coded
 * @timeout: local ACK timeout, as coded
 * @retry_cnt: for time-outs and sequence errors
 * @rnr_retry: for a receiver that is not ready
 *
 * Not struct ib_qp_attr: half of that is not kept here, and with it a queue pair would
 * be more than 2 KiB, which is 4 KiB in a slab.
 */
struct rxe_qp_attr {
	struct rdma_ah_attr ah_attr;
	enum ib_mtu path_mtu;
	u32 qkey;
	int qp_access_flags;
	u8 port_num;
	u8 en_sqd_async_notify;
	u8 max_rd_atomic;
	u8 min_rnr_timer;
	u8 timeout;
	u8 retry_cnt;
	u8 rnr_retry;
};

/**
 * struct rxe_qp - a queue pair
 * @ibqp: I: the core's part
 * @handle: I: finds it by its number, which @ibqp shows to the core
 * @anchor: I: held by packets and faults under way, which may outlive the QP
 * @modify_lock: serialises calls that modify the QP
 * @state: IB_QPS_ERR is entered under either queue's lock, IB_QPS_SQE under the
 *	   send queue's, every other state under both
 * @service: I: IB_OPCODE_RC, _UC or _UD: the base of the opcodes of its
 *	     packets; the GSI QP is a UD one
 * @going: B: the QP is being destroyed: its rings and its anchor are not to be read
 * @comm_established: R: a packet came before the program moved on to RTS
 * @attr: B: see there; the peer's number is in @path
 * @cap: I: as granted
 * @mtu: B: of the path, bytes: as @attr.path_mtu, once that is set. Never 0, unlike
 *	 that: each packet divides by it, or multiplies with it
 * @path: B: to the peer
 * @flush: empties both queues in the error state
 * @flush_delay: used by @flush only: time between two polls of the rings in the
 *		 error state, in jiffies
 * @flush_passes: of @flush, until it may flush no more than at a rate
 * @sq: the send queue, of requester and completer
 * @rq: the receive queue, and the responder
 */
struct rxe_qp {
	struct ib_qp ibqp;
	struct rxe_handle *handle;
	struct rxe_anchor *anchor;
	/* outside the queues' locks, from preparing a state to entering it */
	struct mutex modify_lock;
	enum ib_qp_state state;
	u8 service;
	bool going;
	bool comm_established;
	struct rxe_qp_attr attr;
	struct ib_qp_cap cap;
	u32 mtu;
	struct rxe_path path;
	struct delayed_work flush;
	unsigned long flush_delay;
	atomic_t flush_passes;
	struct rxe_sq sq;
	struct rxe_rq rq;
};

/* QPs of all devices by number, so that a packet finds its QP at once */
extern struct rxe_handle_table rxe_qps;

static inline struct rxe_qp *to_rqp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct rxe_qp, ibqp);
}

static inline struct rxe_dev *rxe_qp_dev(const struct rxe_qp *qp)
{
	return to_rdev(qp->ibqp.device);
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

/**
 * rxe_qp_assert_held - assert that the lock of either queue is held
 * @qp: the QP
 *
 * Context: any.
 */
static inline void rxe_qp_assert_held(const struct rxe_qp *qp)
{
	lockdep_assert(lockdep_is_held(&qp->sq.lock) ||
		       lockdep_is_held(&qp->rq.lock));
}

void rxe_qp_set_handle(struct rxe_qp *qp, struct rxe_handle *handle);
enum ib_qp_state rxe_qp_enter_error(struct rxe_qp *qp);
void rxe_qp_fail(struct rxe_qp *qp, int event);
void rxe_qp_fail_sq(struct rxe_qp *qp);

#endif
