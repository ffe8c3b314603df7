// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * To check and copy a batch of 64 KiB takes a while. In the softirq that
 * receives it, this would delay all other softirqs of the CPU, and our own
 * answers: a receiver on another CPU of this machine is notified only when all
 * of them have run. A work of the same CPU does it, and lets softirqs run after
 * each batch. A small batch is processed at once, if none waits before it.
 */
#include <linux/percpu.h>
#include <linux/sched/clock.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>

#include "base/dev.h"
#include "base/pkt.h"
#include "base/work.h"
#include "egress/path.h"
#include "ingress/bulk.h"
#include "ingress/rcv.h"

/* batches of up to so many bytes are processed in softirq */
#define RXE_BULK_MIN	(8 << 10)
/* batches that may wait; then softirqs process them */
#define RXE_BULK_MAX	128
/* batches before other works of the CPU, or softirqs, get a turn */
#define RXE_BULK_BUDGET	8

/**
 * struct rxe_bulk - batches that wait on a CPU
 * @skbs: the batches, in the order they came in
 * @work: processes them
 * @ran: when it last did, or had nothing to do; in jiffies
 *
 * They are put in and taken out on the CPU, with BH disabled: if none is found
 * there, all that came to the CPU before is done with. With BH enabled a
 * process could migrate in between, or be interrupted by the next batch.
 */
struct rxe_bulk {
	struct sk_buff_head skbs;
	struct work_struct work;
	unsigned long ran;
};

static DEFINE_PER_CPU(struct rxe_bulk, rxe_bulk);

/* Process the next one; false: there is none. */
static bool rxe_bulk_step(struct rxe_bulk *bulk)
{
	struct sk_buff *skb;

	local_bh_disable();
	/* for rxe_bulk_drop() it is in the queue, or under RCU */
	rcu_read_lock();
	skb = skb_dequeue(&bulk->skbs);
	if (skb)
		rxe_rcv(rxe_batch(skb)->net, skb);
	rcu_read_unlock();
	local_bh_enable();

	return skb;
}

static void rxe_bulk_work(struct work_struct *work)
{
	struct rxe_bulk *bulk = container_of(work, struct rxe_bulk, work);
	int budget = RXE_BULK_BUDGET;
	u64 began = local_clock();

	while (rxe_bulk_step(bulk)) {
		WRITE_ONCE(bulk->ran, jiffies);
		if (!--budget) {
			queue_work(rxe_wq, work);
			break;
		}
		cond_resched();
	}
	rxe_work_end(began);
}

/*
 * Process batches here if the work has not run for more than a jiffy. Hundreds
 * of kworkers may be ahead of it on this CPU: those of QPs that send, or whose
 * pages have come at once. If acknowledgments and NAKs waited for all of them,
 * peers would repeat requests, and give up.
 */
static void rxe_bulk_run_overdue(struct rxe_bulk *bulk)
{
	int budget = RXE_BULK_BUDGET;

	/* it waits for tasks, which what is done here would keep waiting as well */
	if (rxe_works_pause())
		return;
	if (!time_after(jiffies, READ_ONCE(bulk->ran) + 1))
		return;
	while (budget-- && rxe_bulk_step(bulk))
		;
	WRITE_ONCE(bulk->ran, jiffies);
}

/**
 * rxe_is_bulk - ask whether packets are to be processed by the work
 * @skb: the batch
 *
 * Context: BH disabled.
 * Return: true if they are many, behind others that wait, or came while packets
 * are being sent here: then a queue's lock is held.
 */
bool rxe_is_bulk(const struct sk_buff *skb)
{
	lockdep_assert_in_softirq();
	return skb->len > RXE_BULK_MIN || rxe_path_is_in_output() ||
	       !skb_queue_empty_lockless(&this_cpu_ptr(&rxe_bulk)->skbs);
}

/**
 * rxe_bulk_add - have the work process packets
 * @net: where they came in
 * @skb: the batch; consumed
 *
 * If the work does not get to run, batches that wait are processed here, or, where
 * that must not be, dropped.
 *
 * Context: BH disabled.
 */
void rxe_bulk_add(const struct net *net, struct sk_buff *skb)
{
	struct rxe_bulk *bulk = this_cpu_ptr(&rxe_bulk);
	bool later = rxe_path_is_in_output();

	lockdep_assert_in_softirq();
	if (later && skb_queue_len_lockless(&bulk->skbs) >= RXE_BULK_MAX) {
		rxe_rcv_drop(net, skb);
		return;
	}
	while (skb_queue_len_lockless(&bulk->skbs) >= RXE_BULK_MAX)
		rxe_bulk_step(bulk);

	if (skb_queue_empty_lockless(&bulk->skbs))
		WRITE_ONCE(bulk->ran, jiffies);
	rxe_batch_detach(skb);
	rxe_batch(skb)->net = net;
	skb_queue_tail(&bulk->skbs, skb);
	queue_work_on(smp_processor_id(), rxe_wq, &bulk->work);
	if (!later)
		rxe_bulk_run_overdue(bulk);
}

static void rxe_bulk_drop_on(struct rxe_bulk *bulk, const struct net *net)
{
	struct sk_buff *skb, *next;
	struct sk_buff_head dropped;

	__skb_queue_head_init(&dropped);
	/* the CPU adds to the queue, and takes from it, meanwhile */
	spin_lock_bh(&bulk->skbs.lock);
	skb_queue_walk_safe(&bulk->skbs, skb, next) {
		if (rxe_batch(skb)->net == net) {
			__skb_unlink(skb, &bulk->skbs);
			__skb_queue_tail(&dropped, skb);
		}
	}
	spin_unlock_bh(&bulk->skbs.lock);
	__skb_queue_purge(&dropped);
}

/**
 * rxe_bulk_drop - drop what has come to a net namespace, and wait for what is
 *		   being processed
 * @net: the namespace; it has no QP that takes packets, and gets no more of them
 *
 * Those of other namespaces stay where they are, and so in their order.
 *
 * Context: may sleep.
 */
void rxe_bulk_drop(const struct net *net)
{
	int cpu;

	for_each_possible_cpu(cpu)
		rxe_bulk_drop_on(per_cpu_ptr(&rxe_bulk, cpu), net);
	synchronize_rcu();
}

/**
 * rxe_bulk_init - get ready to receive
 *
 * Context: any, before anything is received.
 */
void rxe_bulk_init(void)
{
	struct rxe_bulk *bulk;
	int cpu;

	for_each_possible_cpu(cpu) {
		bulk = per_cpu_ptr(&rxe_bulk, cpu);
		skb_queue_head_init(&bulk->skbs);
		INIT_WORK(&bulk->work, rxe_bulk_work);
	}
}
