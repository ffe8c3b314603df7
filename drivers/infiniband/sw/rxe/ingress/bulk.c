// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * To sum and copy a batch of 64 KiB takes a while. Done where it is received, in
 * softirq, it would hold up all other softirqs of the CPU, and our own answers:
 * where they go to another CPU of this machine, that one is told when all of
 * them have run. A work of the same CPU does it, and lets them run after each
 * batch. What is small is done at once, where nothing is ahead of it.
 */
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>

#include "base/dev.h"
#include "base/pkt.h"
#include "base/work.h"
#include "ingress/bulk.h"
#include "ingress/rcv.h"

/* bytes that are done with where they are received */
#define RXE_BULK_MIN	(8 << 10)
/* batches that may wait: behind them softirqs wait, too */
#define RXE_BULK_MAX	128
/* batches before other works of the CPU, or softirqs, get a turn */
#define RXE_BULK_BUDGET	8

/**
 * struct rxe_bulk - what waits on a CPU
 * @skbs: the batches, in the order they came in
 * @work: that processes them
 * @ran: when it last did, or had nothing to do; in jiffies
 *
 * They are put in and taken out with BH disabled, on the CPU: who finds none there
 * knows that all that came to the CPU before is done with. A process that runs
 * with BH enabled could be moved in between, or be interrupted by the next one.
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
	skb = skb_dequeue(&bulk->skbs);
	if (skb) {
		rcu_read_lock();
		rxe_rcv(rxe_batch(skb)->net, skb);
		rcu_read_unlock();
	}
	local_bh_enable();

	return skb;
}

static void rxe_bulk_work(struct work_struct *work)
{
	struct rxe_bulk *bulk = container_of(work, struct rxe_bulk, work);
	int budget = RXE_BULK_BUDGET;

	while (rxe_bulk_step(bulk)) {
		WRITE_ONCE(bulk->ran, jiffies);
		if (!--budget) {
			queue_work(rxe_wq, work);
			return;
		}
		cond_resched();
	}
}

/*
 * Hundreds of workers may be ahead of ours on this CPU: those of QPs that send, or
 * whose pages have come at once. Acknowledgments and NAKs must not wait for all of
 * them, or peers repeat what these acknowledge, and give up.
 */
static void rxe_bulk_run_overdue(struct rxe_bulk *bulk)
{
	int budget = RXE_BULK_BUDGET;

	while (time_after(jiffies, READ_ONCE(bulk->ran) + 1) && budget-- &&
	       rxe_bulk_step(bulk))
		;
}

/**
 * rxe_is_bulk - ask whether packets are to be processed by the work
 * @skb: the batch
 *
 * Context: BH disabled.
 * Return: true if they are many, or behind others that wait.
 */
bool rxe_is_bulk(const struct sk_buff *skb)
{
	lockdep_assert_in_softirq();
	return skb->len > RXE_BULK_MIN ||
	       !skb_queue_empty_lockless(&this_cpu_ptr(&rxe_bulk)->skbs);
}

/**
 * rxe_bulk_add - have the work process packets
 * @net: where they came in
 * @skb: the batch; consumed
 *
 * Where the work does not get to run, those ahead of it are processed here.
 *
 * Context: BH disabled.
 */
void rxe_bulk_add(const struct net *net, struct sk_buff *skb)
{
	struct rxe_bulk *bulk = this_cpu_ptr(&rxe_bulk);

	lockdep_assert_in_softirq();
	while (skb_queue_len_lockless(&bulk->skbs) >= RXE_BULK_MAX)
		rxe_bulk_step(bulk);

	if (skb_queue_empty_lockless(&bulk->skbs))
		WRITE_ONCE(bulk->ran, jiffies);
	rxe_batch_detach(skb);
	rxe_batch(skb)->net = net;
	skb_queue_tail(&bulk->skbs, skb);
	queue_work_on(smp_processor_id(), rxe_wq, &bulk->work);
	rxe_bulk_run_overdue(bulk);
}

/**
 * rxe_bulk_drain - process all that waits
 *
 * What comes meanwhile may still wait after it, or overtake what is processed
 * here, which to its sender is a loss.
 *
 * Context: may sleep.
 */
void rxe_bulk_drain(void)
{
	struct rxe_bulk *bulk;
	u32 waiting;
	int cpu;

	for_each_possible_cpu(cpu) {
		bulk = per_cpu_ptr(&rxe_bulk, cpu);
		waiting = skb_queue_len_lockless(&bulk->skbs);
		while (waiting-- && rxe_bulk_step(bulk))
			;
		/* it may be busy with one that it has taken out before */
		flush_work(&bulk->work);
	}
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
