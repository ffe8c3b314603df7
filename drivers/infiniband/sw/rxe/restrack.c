// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the driver adds to "rdma resource -dd" and "rdma statistic". An object may be on
 * its way out: not every kernel waits for those that look at it before it calls the
 * driver to destroy it. So nothing is read here but what is part of the object, or is
 * there as its lock shows. Of a region every kernel does wait.
 */
#include <net/netlink.h>
#include <rdma/ib_umem.h>
#include <rdma/rdma_netlink.h>
#include <rdma/restrack.h>

#include "mem/memory.h"
#include "mem/mr.h"
#include "obj/cq.h"
#include "obj/qp.h"
#include "obj/ring.h"
#include "obj/send_queue.h"
#include "obj/srq.h"
#include "restrack.h"
#include "wait/anchor.h"
#include "wait/fault.h"

/* of a queue pair, which has the most */
#define RXE_MAX_DETAILS	32

/**
 * struct rxe_detail - one value, as an administrator sees it
 * @name: of the value
 * @value: the value
 * @hex: print it as a hexadecimal number
 */
struct rxe_detail {
	const char *name;
	u32 value;
	bool hex;
};

/**
 * struct rxe_details - the values of an object, as read under its locks
 * @num: how many there are
 * @detail: the values
 */
struct rxe_details {
	unsigned int num;
	struct rxe_detail detail[RXE_MAX_DETAILS];
};

static void rxe_detail(struct rxe_details *details, const char *name, u32 value)
{
	details->detail[details->num++] = (struct rxe_detail) {
		.name = name,
		.value = value,
	};
}

static void rxe_detail_hex(struct rxe_details *details, const char *name,
			   u32 value)
{
	rxe_detail(details, name, value);
	details->detail[details->num - 1].hex = true;
}

static int rxe_put_details(struct sk_buff *msg,
			   const struct rxe_details *details)
{
	const struct rxe_detail *detail = details->detail;
	int err = 0;

	for (; detail < details->detail + details->num && !err; detail++)
		err = detail->hex ?
			      rdma_nl_put_driver_u32_hex(msg, detail->name,
							 detail->value) :
			      rdma_nl_put_driver_u32(msg, detail->name,
						     detail->value);
	return err;
}

/* Put the values, behind a string where there is one. */
static int rxe_put_table(struct sk_buff *msg, const char *name,
			 const char *string, const struct rxe_details *details)
{
	struct nlattr *table = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);

	if (!table)
		return -EMSGSIZE;

	if ((name && rdma_nl_put_driver_string(msg, name, string)) ||
	    rxe_put_details(msg, details)) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

static int rxe_fill_odp_counters(struct sk_buff *msg,
				 const struct odp_counters *counters)
{
	const struct {
		const char *name;
		const atomic64_t *value;
	} entries[] = {
		{ "page_faults", &counters->page_faults },
		{ "page_invalidations", &counters->page_invalidations },
		{ "page_prefetch", &counters->page_prefetch },
		{ "page_fault_retries", &counters->retries },
		{ "pages_mapped", &counters->mapped },
	};
	int i, err;

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		err = rdma_nl_stat_hwcounter_entry(msg, entries[i].name,
						   atomic64_read(entries[i].value));
		if (err)
			return err;
	}
	return 0;
}

/**
 * rxe_fill_stat_mr - ib_device_ops.fill_stat_mr_entry: "rdma statistic show mr"
 * @msg: gets the counters of a region that is paged on demand
 * @ibmr: the region
 *
 * Context: may sleep; the region is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_stat_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct nlattr *table;

	if (mr->kind != RXE_MR_ODP)
		return 0;

	table = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!table)
		return -EMSGSIZE;

	if (rxe_fill_odp_counters(msg, odp_umem_counters(mr->odp))) {
		nla_nest_cancel(msg, table);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, table);
	return 0;
}

static const char *rxe_kind_name(enum rxe_mr_kind kind)
{
	switch (kind) {
	case RXE_MR_PINNED:
		return "pinned";
	case RXE_MR_DMABUF:
		return "dma-buf";
	case RXE_MR_DMA:
		return "dma";
	default:
		return "fast";
	}
}

/**
 * rxe_fill_res_mr - ib_device_ops.fill_res_mr_entry: "rdma resource show mr"
 * @msg: told of which kind a region is, and how many of its pages are mapped
 * @ibmr: the region
 *
 * Context: may sleep; the region is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	struct rxe_mr *mr = to_rmr(ibmr);
	struct rxe_details details = {};

	if (mr->kind == RXE_MR_ODP) {
		rxe_detail(&details, "pages_mapped",
			   atomic64_read(&odp_umem_counters(mr->odp)->mapped));
		return rxe_put_table(msg, "odp",
				     mr->implicit ? "implicit" : "explicit",
				     &details);
	}
	if (mr->kind == RXE_MR_PINNED)
		rxe_detail(&details, "pages_pinned",
			   ib_umem_num_pages(mr->memory->umem));
	return rxe_put_table(msg, "kind", rxe_kind_name(mr->kind), &details);
}

static const char *rxe_armed_name(enum ib_cq_notify_flags armed)
{
	if (armed == IB_CQ_NEXT_COMP)
		return "next";
	return armed == IB_CQ_SOLICITED ? "solicited" : "no";
}

/**
 * rxe_fill_res_cq - ib_device_ops.fill_res_cq_entry: "rdma resource show cq"
 * @msg: told what is in a completion queue, and what raises its next event
 * @ibcq: the queue
 *
 * Context: may sleep; the queue is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_res_cq(struct sk_buff *msg, struct ib_cq *ibcq)
{
	struct rxe_details details = {};
	struct rxe_cq *cq = to_rcq(ibcq);
	enum ib_cq_notify_flags armed;

	spin_lock_irq(&cq->lock);
	armed = cq->armed;
	if (cq->ring) {
		rxe_detail(&details, "size", cq->ring->mask);
		rxe_detail(&details, "filled", rxe_cq_waiting(cq));
	}
	rxe_detail(&details, "overrun", cq->overrun);
	rxe_detail(&details, "held_back", cq->held);
	spin_unlock_irq(&cq->lock);

	return rxe_put_table(msg, "armed", rxe_armed_name(armed), &details);
}

/**
 * rxe_fill_res_srq - ib_device_ops.fill_res_srq_entry: "rdma resource show srq"
 * @msg: told what is in a shared receive queue
 * @ibsrq: the queue
 *
 * Context: may sleep; the queue is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_res_srq(struct sk_buff *msg, struct ib_srq *ibsrq)
{
	struct rxe_details details = {};
	struct rxe_srq *srq = to_rsrq(ibsrq);

	spin_lock_bh(&srq->lock);
	if (srq->ring) {
		rxe_detail(&details, "size", srq->ring->mask);
		rxe_detail(&details, "filled",
			   rxe_ring_filled(srq->ring, srq->head));
	}
	rxe_detail(&details, "limit", srq->limit);
	spin_unlock_bh(&srq->lock);
	rxe_detail(&details, "qps", atomic_read(&ibsrq->usecnt));

	return rxe_put_table(msg, NULL, NULL, &details);
}

static void rxe_sq_details(const struct rxe_qp *qp, struct rxe_details *details)
{
	const struct rxe_sq *sq = &qp->sq;

	lockdep_assert_held(&sq->lock);
	rxe_detail(details, "sq_size", qp->cap.max_send_wr);
	rxe_detail(details, "sq_done", sq->done);
	rxe_detail(details, "sq_next", sq->next);
	rxe_detail(details, "sq_fetched", sq->fetched);
	if (!qp->going)
		rxe_detail(details, "sq_posted", rxe_sq_filled(sq));
	rxe_detail_hex(details, "una_psn", sq->una_psn);
	rxe_detail_hex(details, "sent_psn", sq->sent_psn);
	rxe_detail(details, "rd_outstanding", sq->rd_outstanding);
	rxe_detail(details, "retries", sq->retries);
	rxe_detail(details, "rnr_retries", sq->rnr_retries);
	rxe_detail(details, "rnr_waiting", sq->rnr_waiting);
	rxe_detail(details, "requester_parked", sq->requester.parked);
	rxe_detail(details, "completer_parked", sq->completer.parked);
	rxe_detail(details, "completer_backlog", sq->completer.backlog.bytes);
	rxe_detail(details, "completer_borrows", sq->completer.backlog.borrows);
}

static void rxe_rq_details(const struct rxe_qp *qp, struct rxe_details *details)
{
	const struct rxe_rq *rq = &qp->rq;

	lockdep_assert_held(&rq->lock);
	if (!qp->going && rq->ring) {
		rxe_detail(details, "rq_size", rq->ring->mask);
		rxe_detail(details, "rq_posted",
			   rxe_ring_filled(rq->ring, rq->head));
	}
	rxe_detail_hex(details, "epsn", rq->epsn);
	rxe_detail_hex(details, "msn", rq->msn);
	rxe_detail(details, "responder_parked", rq->responder.parked);
	rxe_detail(details, "responder_backlog", rq->responder.backlog.bytes);
	rxe_detail(details, "responder_borrows", rq->responder.backlog.borrows);
}

/* Faults that nobody waits for: this QP's, and all of its program's. */
static void rxe_fault_details(const struct rxe_qp *qp,
			      struct rxe_details *details)
{
	const struct rxe_anchor *anchor = qp->anchor;

	if (qp->going || !anchor->faulter)
		return;
	rxe_detail(details, "unparked_faults", atomic_read(&anchor->unparked));
	rxe_detail(details, "abandoned_faults",
		   atomic_read(&anchor->faulter->abandoned));
}

/**
 * rxe_fill_res_qp - ib_device_ops.fill_res_qp_entry: "rdma resource show qp"
 * @msg: told how far a QP's queues are, and what they wait for
 * @ibqp: the QP
 *
 * Context: may sleep; the QP is held.
 * Return: 0 or -EMSGSIZE.
 */
int rxe_fill_res_qp(struct sk_buff *msg, struct ib_qp *ibqp)
{
	struct rxe_details details = {};
	struct rxe_qp *qp = to_rqp(ibqp);

	spin_lock_bh(&qp->sq.lock);
	spin_lock(&qp->rq.lock);
	rxe_sq_details(qp, &details);
	rxe_rq_details(qp, &details);
	rxe_fault_details(qp, &details);
	spin_unlock(&qp->rq.lock);
	spin_unlock_bh(&qp->sq.lock);

	return rxe_put_table(msg, NULL, NULL, &details);
}
