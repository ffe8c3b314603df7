/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The directions of a QP, and how they wait for memory. A direction whose access
 * misses a page parks: it stands still, and the packets that come for it wait,
 * while a worker faults in what is known to be accessed. Then it resumes, and
 * makes the same access again. A QP that is reset, fails or is destroyed abandons
 * the fault: the direction is free at once, and the worker's result reaches
 * nobody. Documentation/odp.md has the states.
 *
 * What is known to be accessed is what a program's own request says, what the
 * RETH of a peer's read or write says, or a packet that is there. Nothing else is
 * faulted in: that a receive request has room for more says nothing.
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
 * What a worker faults in before the direction goes on: milliseconds, so that no
 * peer's timer takes the wait for a loss (67 ms where perftest sets it).
 */
#define RXE_FAULT_BATCH		(1024 * 1024UL)

/**
 * struct rxe_direction_ops - what its queue does for a direction
 * @run: do what there is to do, as far as that can be done now
 * @wait_over: it has waited for memory; NULL: that is nothing to know
 *
 * Both are called with BH disabled, under the direction's lock.
 */
struct rxe_direction_ops {
	void (*run)(struct rxe_direction *dir);
	void (*wait_over)(struct rxe_direction *dir);
};

/**
 * struct rxe_direction - one direction of a QP
 * @anchor: the QP's
 * @kind: which of its directions
 * @lock: that of the queue which it belongs to; guards what follows
 * @flow: what it sends; NULL: it sends nothing itself
 * @ops: its queue's
 * @work: runs it where it may not go on in the context that it ran in
 * @backlog: packets that wait
 * @parked: it waits for memory
 * @fault: to wait with; NULL: there is none, and there is no access to memory
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
