/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The way to a peer: addresses, route, headers. */
#ifndef RXE_PATH_H
#define RXE_PATH_H

#include <linux/skbuff.h>
#include <net/dst_cache.h>
#include <rdma/ib_verbs.h>

struct rxe_dev;
struct rxe_icrc_prefix;

/**
 * struct rxe_path - how a QP's packets get to its peer
 * @cache: the route, looked up when it goes stale
 * @saddr: ours, as a GID; IPv4 addresses are mapped ones
 * @daddr: the peer's
 * @peer_qpn: the peer's number; 0: each packet has its own receiver
 * @flow_label: of IPv6
 * @ifindex: of the netdev that @saddr is on
 * @sport: the UDP source port, which spreads QPs over queues and paths
 * @hop_limit: 0: the route's own
 * @traffic_class: DSCP and ECN
 * @ipv4: the addresses are IPv4 ones
 * @on_link: @daddr is link-local or multicast, so only valid on the netdev
 */
struct rxe_path {
	struct dst_cache cache;
	struct in6_addr saddr;
	struct in6_addr daddr;
	__be32 peer_qpn;
	__be32 flow_label;
	int ifindex;
	__be16 sport;
	u8 hop_limit;
	u8 traffic_class;
	bool ipv4;
	bool on_link;
};

int rxe_path_init(struct rxe_path *path, struct rxe_dev *dev,
		  const struct rdma_ah_attr *ah, u32 qpn, u32 peer_qpn);
void rxe_path_icrc_prefix(const struct rxe_path *path,
			  struct rxe_icrc_prefix *prefix);
struct dst_entry *rxe_path_route(struct rxe_path *path, struct rxe_dev *dev);
bool rxe_path_is_in_output(void);
void rxe_path_output(const struct rxe_path *path, struct rxe_dev *dev,
		     struct sk_buff *skb, u16 ident);

#endif
