/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_STATS_H
#define RXE_STATS_H

#include <linux/percpu.h>
#include <linux/types.h>

struct ib_device;
struct rdma_hw_stats;
struct rxe_dev;

/* counted by the driver itself; the ODP core counts paging */
enum rxe_stat {
	RXE_STAT_SENT_PKTS,
	RXE_STAT_RCVD_PKTS,
	RXE_STAT_SENT_BYTES,
	RXE_STAT_RCVD_BYTES,
	RXE_STAT_DUP_REQUEST,
	RXE_STAT_OUT_OF_SEQ_REQUEST,
	RXE_STAT_RCVD_RNR,
	RXE_STAT_SENT_RNR,
	RXE_STAT_RCVD_SEQ_ERR,
	RXE_STAT_RETRY_EXCEEDED,
	RXE_STAT_RNR_RETRY_EXCEEDED,
	RXE_STAT_RETRANSMIT,
	RXE_STAT_SEND_ERR,
	RXE_STAT_LINK_DOWNED,
	RXE_STAT_RDMA_SENDS,
	RXE_STAT_RDMA_RECVS,
	RXE_STAT_ICRC_ERR,
	RXE_STAT_PARKED,
	RXE_STAT_PARKED_REFUSED,
	RXE_STAT_FAULT_NO_MEMORY,
	RXE_STAT_SEND_NO_MEMORY,
	RXE_STAT_OUT_OF_BUFFER,
	RXE_STAT_RCVD_DROPS,
	RXE_STAT_QKEY_VIOLATION,
	RXE_STAT_ACK_DEFERRED,
	RXE_STAT_MCAST_SENT_PKTS,
	RXE_STAT_MCAST_RCVD_PKTS,
	RXE_STAT_RCVD_MALFORMED,
	RXE_STAT_RCVD_NO_QP,
	RXE_STAT_RCVD_NOT_READY,
	RXE_STAT_REFUSED_REQUEST,
	RXE_STAT_UNEXPECTED_RESPONSE,
	RXE_STAT_NUM,
};

struct rxe_stats {
	u64 count[RXE_STAT_NUM];
};

#define rxe_count_more(dev, stat, n)	\
	this_cpu_add((dev)->stats->count[stat], n)
#define rxe_count(dev, stat)	rxe_count_more(dev, stat, 1)

struct rdma_hw_stats *rxe_alloc_hw_port_stats(struct ib_device *ibdev,
					      u32 port);
int rxe_get_hw_stats(struct ib_device *ibdev, struct rdma_hw_stats *stats,
		     u32 port, int index);
u64 rxe_stat_sum(const struct rxe_dev *dev, enum rxe_stat stat);
void rxe_count_drop(struct rxe_dev *dev, enum rxe_stat why, u32 qpn, u32 psn,
		    u32 counted);

#endif
