/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_CQ_H
#define RXE_CQ_H

#include <linux/hrtimer.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <rdma/ib_verbs.h>

#include "base/compat.h"

struct rxe_ring;

/**
 * struct rxe_cq - a completion queue
 * @ibcq: the core's part
 * @ring: shared with the program, which consumes; of struct ib_uverbs_wc, or
 *	  of struct ib_wc where the user is in the kernel; NULL: the queue is going
 * @resize_lock: serialises calls that replace @ring
 * @lock: serialises producers and arming; taken in softirq
 * @producer: next slot; the program may overwrite the index in the ring
 * @armed: which completion raises the next event: 0 for none
 * @overrun: a completion found no slot; the queue is broken
 * @moderate_count: completions that raise an event; 0: their number does not
 * @moderate_period: microseconds after which an event is raised; 0: time does not raise one
 * @held: completions that share the event that is held back; 0: none is
 * @timer: raises the event that is held back
 */
struct rxe_cq {
	struct ib_cq ibcq;
	struct rxe_ring *ring;
	/* outside @lock, while completions are copied without that */
	struct mutex resize_lock;
	/* inside a queue's lock; handlers are called without it */
	spinlock_t lock;
	u32 producer;
	enum ib_cq_notify_flags armed;
	bool overrun;
	u16 moderate_count;
	u16 moderate_period;
	u32 held;
	struct hrtimer timer;
};

static inline struct rxe_cq *to_rcq(struct ib_cq *ibcq)
{
	return container_of(ibcq, struct rxe_cq, ibcq);
}

int rxe_create_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
		  struct ib_udata *udata);
int rxe_resize_cq(struct ib_cq *ibcq, rxe_cqe_t cqe, struct ib_udata *udata);
int rxe_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata);
int rxe_req_notify_cq(struct ib_cq *ibcq, enum ib_cq_notify_flags flags);
int rxe_poll_cq(struct ib_cq *ibcq, int num, struct ib_wc *wc);

u32 rxe_cq_waiting(const struct rxe_cq *cq);
bool rxe_cq_post(struct rxe_cq *cq, const struct ib_wc *wc,
		 bool solicited);

#endif
