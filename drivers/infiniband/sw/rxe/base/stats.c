// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <rdma/ib_verbs.h>

#include "base/dev.h"
#include "base/stats.h"
#include "base/trace.h"

enum {
	RXE_STAT_PAGE_FAULTS = RXE_STAT_NUM,
	RXE_STAT_PAGE_INVALIDATIONS,
	RXE_STAT_PAGE_PREFETCH,
	RXE_STAT_PAGE_RETRIES,
	RXE_STAT_PARKED_BYTES,
	RXE_STAT_ALL,
};

static const struct rdma_stat_desc rxe_stat_descs[RXE_STAT_ALL] = {
	[RXE_STAT_SENT_PKTS].name = "sent_pkts",
	[RXE_STAT_RCVD_PKTS].name = "rcvd_pkts",
	/* from the BTH to the ICRC */
	[RXE_STAT_SENT_BYTES].name = "sent_bytes",
	[RXE_STAT_RCVD_BYTES].name = "rcvd_bytes",
	/* requests that have been executed, or wait, and come again */
	[RXE_STAT_DUP_REQUEST].name = "duplicate_request",
	[RXE_STAT_OUT_OF_SEQ_REQUEST].name = "out_of_seq_request",
	[RXE_STAT_RCVD_RNR].name = "rcvd_rnr_err",
	[RXE_STAT_SENT_RNR].name = "send_rnr_err",
	[RXE_STAT_RCVD_SEQ_ERR].name = "rcvd_seq_err",
	[RXE_STAT_RETRY_EXCEEDED].name = "retry_exceeded_err",
	[RXE_STAT_RNR_RETRY_EXCEEDED].name = "retry_rnr_exceeded_err",
	[RXE_STAT_RETRANSMIT].name = "completer_retry_err",
	[RXE_STAT_SEND_ERR].name = "send_err",
	[RXE_STAT_LINK_DOWNED].name = "link_downed",
	[RXE_STAT_RDMA_SENDS].name = "rdma_sends",
	[RXE_STAT_RDMA_RECVS].name = "rdma_recvs",
	[RXE_STAT_ICRC_ERR].name = "rcvd_icrc_err",
	[RXE_STAT_PARKED].name = "parked",
	/* batches that had no room to wait for memory in */
	[RXE_STAT_PARKED_REFUSED].name = "parked_refused",
	/* faults that failed because no memory became free for the pages */
	[RXE_STAT_FAULT_NO_MEMORY].name = "page_fault_no_memory",
	/* packets that could not be made without memory, each try */
	[RXE_STAT_SEND_NO_MEMORY].name = "send_no_memory",
	[RXE_STAT_OUT_OF_BUFFER].name = "out_of_buffer",
	[RXE_STAT_RCVD_DROPS].name = "rcvd_drops",
	[RXE_STAT_QKEY_VIOLATION].name = "qkey_violations",
	/* responses that had to wait for pages of their destination */
	[RXE_STAT_ACK_DEFERRED].name = "ack_deferred",
	[RXE_STAT_MCAST_SENT_PKTS].name = "sent_mcast_pkts",
	[RXE_STAT_MCAST_RCVD_PKTS].name = "rcvd_mcast_pkts",
	/* no packet of the services, or with a length that is not its opcode's */
	[RXE_STAT_RCVD_MALFORMED].name = "rcvd_malformed",
	/* for no queue pair that takes packets from there */
	[RXE_STAT_RCVD_NO_QP].name = "rcvd_no_qp",
	/* the queue pair had failed, or was reset */
	[RXE_STAT_RCVD_NOT_READY].name = "rcvd_not_ready",
	/* answered by a NAK that ends the connection */
	[RXE_STAT_REFUSED_REQUEST].name = "refused_request",
	/* answers to nothing that is asked for, or no more, or not yet */
	[RXE_STAT_UNEXPECTED_RESPONSE].name = "unexpected_response",
	[RXE_STAT_PAGE_FAULTS].name = "page_faults",
	[RXE_STAT_PAGE_INVALIDATIONS].name = "page_invalidations",
	[RXE_STAT_PAGE_PREFETCH].name = "page_prefetch",
	[RXE_STAT_PAGE_RETRIES].name = "page_fault_retries",
	/* a gauge of what waits now, unlike the others */
	[RXE_STAT_PARKED_BYTES].name = "parked_bytes",
};

/**
 * rxe_alloc_hw_port_stats - ib_device_ops.alloc_hw_port_stats
 * @ibdev: the device
 * @port: its port
 *
 * Context: may sleep.
 * Return: the counters, or NULL: no memory.
 */
struct rdma_hw_stats *rxe_alloc_hw_port_stats(struct ib_device *ibdev,
					      u32 port)
{
	return rdma_alloc_hw_stats_struct(rxe_stat_descs, RXE_STAT_ALL,
					  RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

/**
 * rxe_stat_sum - sum a counter over all CPUs
 * @dev: the device
 * @stat: the counter
 *
 * Context: any.
 * Return: the sum.
 */
u64 rxe_stat_sum(const struct rxe_dev *dev, enum rxe_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(dev->stats, cpu)->count[stat];
	return sum;
}

/**
 * rxe_count_drop - count packets that are dropped, and trace it
 * @dev: the device
 * @why: the counter that has the reason
 * @qpn: of the QP that they are for, or are sent by; 0: not known
 * @psn: of the first; 0: not known
 * @counted: what is added to the counter
 *
 * Context: any.
 */
void rxe_count_drop(struct rxe_dev *dev, enum rxe_stat why, u32 qpn, u32 psn,
		    u32 counted)
{
	if (!counted)
		return;
	rxe_count_more(dev, why, counted);
	trace_rxe_drop(dev, qpn, psn, counted, why);
}

/**
 * rxe_get_hw_stats - ib_device_ops.get_hw_stats
 * @ibdev: the device
 * @stats: filled
 * @port: its port; the device has no counters of its own
 * @index: which counter is wanted; all are filled
 *
 * Context: process.
 * Return: the number of counters, or -EINVAL.
 */
int rxe_get_hw_stats(struct ib_device *ibdev, struct rdma_hw_stats *stats,
		     u32 port, int index)
{
	struct rxe_dev *dev = to_rdev(ibdev);
	int i;

	if (!port)
		return -EINVAL;

	for (i = 0; i < RXE_STAT_NUM; i++)
		stats->value[i] = rxe_stat_sum(dev, i);

	stats->value[RXE_STAT_PARKED_BYTES] =
		atomic_long_read(&dev->backlog.bytes);
	stats->value[RXE_STAT_PAGE_FAULTS] =
		atomic64_read(&dev->odp.page_faults);
	stats->value[RXE_STAT_PAGE_INVALIDATIONS] =
		atomic64_read(&dev->odp.page_invalidations);
	stats->value[RXE_STAT_PAGE_PREFETCH] =
		atomic64_read(&dev->odp.page_prefetch);
	stats->value[RXE_STAT_PAGE_RETRIES] = atomic64_read(&dev->odp.retries);
	return RXE_STAT_ALL;
}
