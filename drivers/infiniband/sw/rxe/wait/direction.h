/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The directions of a QP, and how they wait for memory. A direction whose
 * access misses a page parks: it stops, and the packets that come for it wait,
 * while a worker faults in the memory that is known to be accessed. Then it
 * resumes, and makes the same access again. A QP that is reset, fails or is
 * destroyed abandons the fault: the direction is free at once, and the worker's
 * result is dropped. Documentation/odp.md has the states.
 *
 * The memory that is known to be accessed follows from a program's own request,
 * from the RETH of a peer's read or write, or from a packet that has arrived.
 * Nothing else is faulted in: the length of a receive request does not say how
 * much of it will be filled.
 */
#ifndef RXE_DIRECTION_H
#define RXE_DIRECTION_H

#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "wait/backlog.h"

struct odp_umem;
struct rxe_anchor;
struct rxe_direction;
struct rxe_fault;
struct rxe_flow;

enum rxe_direction_kind {
	RXE_REQUESTER,
	RXE_COMPLETER,
	RXE_RESPONDER,
};

/*
 * Bytes that a worker faults in before the direction goes on: this takes some
 * milliseconds, less than a peer's retransmission timer (67 ms with perftest).
 */
#define RXE_FAULT_BATCH		(1024 * 1024UL)

/*
 * The longest sleep before a fault that gets -ENOMEM, or a packet without memory, is
 * retried: about 255 ms in all.
 */
#define RXE_NO_MEMORY_MS	128

/**
 * struct rxe_direction_ops - a queue's callbacks for its direction
 * @run: make as much progress as is possible now
 * @wait_over: the wait for memory is over; may be NULL
 * @dropped: there was no room, or no memory, for some of the packets that waited; NULL
 *	     where none do
 *
 * All are called with BH disabled, under the direction's lock.
 */
struct rxe_direction_ops {
	void (*run)(struct rxe_direction *dir);
	void (*wait_over)(struct rxe_direction *dir);
	void (*dropped)(struct rxe_direction *dir);
};

/**
 * struct rxe_direction - one direction of a QP
 * @anchor: the QP's
 * @kind: which of its directions
 * @lock: the lock of its queue; guards what follows
 * @flow: the packets that it sends; NULL: it sends none itself
 * @ops: its queue's callbacks
 * @work: runs it later, when it must not go on in the current context
 * @backlog: packets that wait
 * @parked: it waits for memory
 * @fault: allocated ahead for the next wait; NULL: no access may miss memory
 * @resumed: its fault's worker runs it now, and no access has missed memory since
 * @err: why the access that waited for the fault cannot be made, or 0
 */
struct rxe_direction {
	struct rxe_anchor *anchor;
	enum rxe_direction_kind kind;
	/* outermost: the queue's */
	spinlock_t *lock;
	struct rxe_flow *flow;
	const struct rxe_direction_ops *ops;
	struct delayed_work work;
	struct rxe_backlog backlog;
	bool parked;
	bool resumed;
	struct rxe_fault *fault;
	int err;
};

void rxe_direction_init(struct rxe_direction *dir, struct rxe_anchor *anchor,
			enum rxe_direction_kind kind, spinlock_t *lock,
			const struct rxe_direction_ops *ops);
int rxe_direction_prepare(struct rxe_direction *dir);
void rxe_direction_destroy(struct rxe_direction *dir);

int rxe_park(struct rxe_direction *dir, struct odp_umem *umem,
	     unsigned long addr, size_t need, size_t ahead, bool write);
void rxe_abandon(struct rxe_direction *dir);
void rxe_try_unpark(struct rxe_direction *dir);

#endif
