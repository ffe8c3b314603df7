/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RXE_DEV_H
#define RXE_DEV_H

#include <linux/list.h>
#include <linux/netdevice.h>
#include <linux/spinlock.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_verbs.h>
#include <rdma/odp_umem.h>

#include "base/handle.h"
#include "base/limit.h"
#include "base/share.h"
#include "base/stats.h"

struct rxe_in_flight;

#define RXE_UVERBS_ABI		2
#define RXE_VENDOR_ID		0xffffff
#define RXE_MAX_QP_WR		0x100000
#define RXE_MAX_SGE		32
#define RXE_MAX_INLINE		(RXE_MAX_SGE * sizeof(struct ib_sge))
#define RXE_MAX_RD_ATOMIC	128
#define RXE_MAX_CQE		32767
#define RXE_MAX_FAST_BLOCKS	512
#define RXE_MAX_SRQ_WR		0x100000
#define RXE_MAX_MCAST_GROUPS	8192
#define RXE_MAX_MCAST_QPS	1024
/* of fast registrations: from 4 KiB to the largest that fits the core's u32 */
#define RXE_BLOCK_SIZES		GENMASK(31, 12)
#define RXE_GID_TABLE_LEN	1024
#define RXE_MAX_MSG		0x80000000U

/**
 * struct rxe_dev - an RDMA device over a netdev
 * @ibdev: the core's part
 * @ndev: the netdev, held; it stays in @net for as long as the device lives
 * @net: network namespace of the device's sockets and routes
 * @net_entry: in the list of @net's devices
 * @sock4: socket to send from over IPv4: the one bound to @net's RoCEv2 port
 * @sock6: the same for IPv6; NULL: the host has no IPv6
 * @objects: what it has, of each kind that it announces a number of
 * @mrs: memory regions by key
 * @ahs: address handles by number
 * @stats: counters of each CPU
 * @in_flight: packets in the network, of all QPs
 * @backlog: parked packets, of all QPs
 * @kernel_backlog: those of QPs of kernel users, which count as one program
 * @odp: paging totals of the device's memory regions
 * @advice_lock: guards the next two
 * @advices: prefetches that a call waits for
 * @going: the device is taken from programs: no call may wait for memory
 * @mcast_groups: number of groups that the netdev has joined for QPs
 * @port_up: the port's state when the last event was raised
 */
struct rxe_dev {
	struct ib_device ibdev;
	struct net_device *ndev;
	struct net *net;
	struct list_head net_entry;
	struct sock *sock4;
	struct sock *sock6;
	struct rxe_objects objects;
	struct rxe_handle_table mrs;
	struct rxe_handle_table ahs;
	struct rxe_stats __percpu *stats;
	struct rxe_in_flight *in_flight;
	struct rxe_share backlog;
	struct rxe_share kernel_backlog;
	struct odp_counters odp;
	/* held briefly, in process context; a completion's lock is inside */
	spinlock_t advice_lock;
	struct list_head advices;
	bool going;
	u32 mcast_groups;
	bool port_up;
};

/*
 * Refuse a verb: the value is the errno, and dynamic debug tells who asks for it why.
 * Not for the data path. The log may have more readers than "rdma resource" shows keys
 * to: no message names a key.
 */
#define rxe_refuse(ibdev, err, fmt, ...)			\
({								\
	ibdev_dbg(ibdev, fmt "\n", ##__VA_ARGS__);		\
	(err);							\
})

static inline struct rxe_dev *to_rdev(struct ib_device *ibdev)
{
	return container_of(ibdev, struct rxe_dev, ibdev);
}

/* the largest path MTU that the netdev has room for */
static inline enum ib_mtu rxe_dev_mtu(const struct rxe_dev *dev)
{
	return iboe_get_mtu(READ_ONCE(dev->ndev->mtu)) ?: IB_MTU_256;
}

static inline void rxe_count_rcvd(struct rxe_dev *dev, u32 len, u32 packets)
{
	rxe_count_more(dev, RXE_STAT_RCVD_PKTS, packets);
	rxe_count_more(dev, RXE_STAT_RCVD_BYTES, packets * len);
}

#endif
