/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_RECV_QUEUE_H
#define RXE_RECV_QUEUE_H

#include <linux/overflow.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_user_rxe.h>

#include "direction.h"
#include "mr.h"
#include "ring.h"
#include "tx.h"

struct rxe_qp;

/**
 * struct rxe_rwqe - a receive work request: a copy that no program can change
 * @wr_id: the program's
 * @length: bytes that it has room for
 * @num_sge: entries of @sge
 * @sge: local memory
 */
struct rxe_rwqe {
	u64 wr_id;
	u64 length;
	u32 num_sge;
	struct rxe_sge sge[];
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

int rxe_rq_create(struct rxe_qp *qp, const struct ib_qp_init_attr *init,
		  struct ib_udata *udata, struct mminfo *mi);
void rxe_rq_destroy(struct rxe_qp *qp);
void rxe_rq_reset(struct rxe_qp *qp);

bool rxe_rwqe_take(struct rxe_rwqe *wqe, struct rxe_ring *ring, u32 *head,
		   u32 max_sge);
int rxe_rwqe_post(struct rxe_ring *ring, u32 max_sge,
		  const struct ib_recv_wr *wr,
		  const struct ib_recv_wr **bad_wr);
bool rxe_rq_fetch(struct rxe_qp *qp);
void rxe_rq_complete(struct rxe_qp *qp, struct ib_wc *wc,
		     bool solicited);
bool rxe_rq_flush(struct rxe_qp *qp, int budget);

/* bytes of a request in a ring */
static inline size_t rxe_rwqe_slot_size(u32 max_sge)
{
	return struct_size((struct rxe_recv_wqe *)NULL, dma.sge,
			   max_t(u32, max_sge, 1));
}

#endif
