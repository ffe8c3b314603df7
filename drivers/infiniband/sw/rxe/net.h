/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RoCEv2 over the kernel's UDP: sockets, routes, transmission. */
#ifndef RXE_NET_H
#define RXE_NET_H

#include <linux/skbuff.h>
#include <net/dst_cache.h>
#include <rdma/ib_verbs.h>

#include "anchor.h"

struct rxe_dev;
struct rxe_qp;

/**
 * struct rxe_path - how a QP's packets get to its peer
 * @cache: the route, looked up when it goes stale
 * @saddr: ours, as a GID; IPv4 addresses are mapped ones
 * @daddr: the peer's
 * @flow_label: of IPv6
 * @oif: netdev that a link-local or multicast @daddr is on, or 0
 * @sport: the UDP source port, which spreads QPs over queues and paths
 * @hop_limit: 0: the route's own
 * @traffic_class: DSCP and ECN
 * @ipv4: the addresses are IPv4 ones
 */
struct rxe_path {
	struct dst_cache cache;
	struct in6_addr saddr;
	struct in6_addr daddr;
	__be32 flow_label;
	int oif;
	__be16 sport;
	u8 hop_limit;
	u8 traffic_class;
	bool ipv4;
};

int rxe_net_init(void);
void rxe_net_exit(void);
int rxe_net_add(struct rxe_dev *dev, struct net *net);
void rxe_net_remove(struct rxe_dev *dev);

int rxe_net_join(struct rxe_dev *dev, const union ib_gid *mgid);
void rxe_net_leave(struct rxe_dev *dev, const union ib_gid *mgid);

int rxe_path_init(struct rxe_path *path, struct rxe_dev *dev,
		  const struct rdma_ah_attr *ah, u32 qpn, u32 peer_qpn);

struct sk_buff *rxe_tx_alloc(struct rxe_qp *qp, u8 opcode, u32 psn,
			     u32 payload_len);
void rxe_tx_send(struct rxe_qp *qp, struct rxe_path *path, struct sk_buff *skb,
		 enum rxe_flow_direction direction);

int rxe_udp_rcv(struct sock *sk, struct sk_buff *skb);

#endif
