// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* From a batch of packets to the queue pairs that they are for. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/net_namespace.h>

#include "base/compat.h"
#include "base/icrc.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "ingress/gsi.h"
#include "ingress/mcast.h"
#include "ingress/rcv.h"
#include "obj/qp.h"
#include "transport/completer.h"
#include "transport/responder_queue.h"
#include "transport/ud.h"

/**
 * struct rxe_run - packets of a batch that are for the same queue
 * @qp: held; NULL: there are none
 * @responses: they are for its send queue
 * @begin: offset of the first
 * @end: offset behind the last
 */
struct rxe_run {
	struct rxe_qp *qp;
	bool responses;
	u32 begin;
	u32 end;
};

/*
 * By the netdev that has the connection's address, as almost all packets come, or
 * by another one that leads there.
 */
static bool rxe_came_by_path(const struct rxe_qp *qp, const struct sk_buff *skb)
{
	const struct rxe_path *path = &qp->path;
	const struct net_device *ndev;

	if (likely(rxe_batch(skb)->iif == path->ifindex))
		return true;

	ndev = dev_get_by_index_rcu(rxe_qp_dev(qp)->net, path->ifindex);
	return ndev && rxe_skb_reaches(skb, ndev);
}

static bool rxe_from_peer(const struct rxe_qp *qp, const struct sk_buff *skb)
{
	const struct rxe_path *path = &qp->path;
	const struct ipv6hdr *ip6h;
	const struct iphdr *iph;

	if (rxe_broken(peer_address))
		return true;
	if (ip_hdr(skb)->version == 4) {
		iph = ip_hdr(skb);
		return path->ipv4 && iph->ihl == sizeof(*iph) / 4 &&
		       iph->daddr == path->saddr.s6_addr32[3] &&
		       iph->saddr == path->daddr.s6_addr32[3];
	}

	ip6h = ipv6_hdr(skb);
	return !path->ipv4 && ip6h->nexthdr == IPPROTO_UDP &&
	       ipv6_addr_equal(&ip6h->daddr, &path->saddr) &&
	       ipv6_addr_equal(&ip6h->saddr, &path->daddr);
}

static bool rxe_is_for(const struct rxe_qp *qp, const struct net *net,
		       const struct rxe_pkt *pkt)
{
	if (rxe_service(pkt->opcode) != qp->service && !rxe_broken(service))
		return false;
	if (!net_eq(net, rxe_qp_dev(qp)->net) && !rxe_broken(netns))
		return false;
	if (rxe_is_datagram(qp))
		return rxe_ud_is_ours(rxe_qp_dev(qp), pkt->skb);
	/*
	 * A program may change the path in SQD meanwhile. A packet whose addresses are
	 * compared with half of each path is dropped, as one from the old peer is.
	 */
	return data_race(rxe_from_peer(qp, pkt->skb) &&
			 rxe_came_by_path(qp, pkt->skb));
}

static struct rxe_qp *rxe_find_qp(const struct net *net,
				  const struct rxe_pkt *pkt)
{
	struct rxe_qp *qp;

	qp = pkt->qpn == RXE_GSI_QPN ? rxe_gsi_get(net, pkt->skb) :
				       rxe_handle_get(&rxe_qps, pkt->qpn);
	if (!qp)
		return NULL;

	/* pairs with rxe_enter_state(): readers of the state see the path */
	if (smp_load_acquire(&qp->state) >= IB_QPS_RTR &&
	    rxe_is_for(qp, net, pkt))
		return qp;

	rxe_handle_put(qp->handle);
	return NULL;
}

/**
 * rxe_count_dropped - count packets that are handed to no queue pair
 * @net: where they came in
 * @skb: their batch
 * @pkt: the first; NULL: it was not read
 * @packets: how many they are
 * @stat: why they are dropped; of the device of the netdev that they came by, if any
 *
 * Context: BH disabled, under RCU.
 */
void rxe_count_dropped(const struct net *net, const struct sk_buff *skb,
		       const struct rxe_pkt *pkt, unsigned int packets,
		       enum rxe_stat stat)
{
	struct net_device *ndev;
	struct ib_device *ibdev;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	ndev = dev_get_by_index_rcu((struct net *)net, rxe_batch(skb)->ifindex);
	ibdev = ndev ? ib_device_get_by_netdev(ndev, RDMA_DRIVER_RXE) : NULL;
	if (!ibdev)
		return;

	rxe_count_drop(to_rdev(ibdev), stat, pkt ? pkt->qpn : 0,
		       pkt ? pkt->psn : 0, packets);
	ib_device_put(ibdev);
}

static bool rxe_is_response(const struct rxe_pkt *pkt)
{
	return pkt->op->flags & RXE_OP_RESPONSE;
}

static bool rxe_run_begin(struct rxe_run *run, const struct net *net,
			  const struct rxe_pkt *pkt)
{
	run->qp = rxe_find_qp(net, pkt);
	run->responses = rxe_is_response(pkt);
	run->begin = pkt->offset;
	run->end = pkt->offset;
	return run->qp;
}

static bool rxe_run_continues(const struct rxe_run *run, u32 qpn,
			      const struct rxe_pkt *pkt)
{
	return pkt->qpn == qpn && rxe_is_response(pkt) == run->responses &&
	       rxe_service(pkt->opcode) == run->qp->service;
}

/* Hand a run to its queue, with an skb of its own. */
static void rxe_run_deliver(struct rxe_run *run, struct sk_buff *skb)
{
	struct rxe_qp *qp = run->qp;

	run->qp = NULL;
	if (run->begin == run->end) {
		kfree_skb(skb);
	} else {
		rxe_batch(skb)->next = run->begin;
		rxe_batch(skb)->end = run->end;
		if (run->responses)
			rxe_completer_rcv(qp, skb);
		else
			rxe_responder_rcv(qp, skb);
	}
	rxe_handle_put(qp->handle);
}

static void rxe_run_drop(struct rxe_run *run, u32 packet_len)
{
	struct rxe_qp *qp = run->qp;

	run->qp = NULL;
	rxe_count_drop(rxe_qp_dev(qp), RXE_STAT_RCVD_DROPS, qp->ibqp.qp_num, 0,
		       DIV_ROUND_UP(run->end - run->begin, packet_len));
	rxe_handle_put(qp->handle);
}

/*
 * GRO may have merged packets of several QPs: it compares addresses and ports
 * only. An invalid packet ends a run, too.
 */
static void rxe_run_split(struct rxe_run *run, struct sk_buff *skb)
{
	struct sk_buff *clone;

	if (!run->qp)
		return;

	clone = skb_clone(skb, GFP_ATOMIC);
	if (clone)
		rxe_run_deliver(run, clone);
	else
		rxe_run_drop(run, rxe_batch(skb)->packet_len);
}

/**
 * rxe_rcv_drop - drop packets that cannot be taken now
 * @net: where they came in
 * @skb: the batch; consumed
 *
 * Context: as rxe_rcv().
 */
void rxe_rcv_drop(const struct net *net, struct sk_buff *skb)
{
	const struct rxe_batch *batch = rxe_batch(skb);
	u32 len = batch->end - batch->next;

	rxe_count_dropped(net, skb, NULL,
			  DIV_ROUND_UP(len, max(batch->packet_len, 1U)),
			  RXE_STAT_RCVD_DROPS);
	kfree_skb(skb);
}

/**
 * rxe_rcv - take packets that were sent to an address of this host
 * @net: where they came in
 * @skb: the batch; consumed
 *
 * Context: BH disabled, under RCU.
 */
void rxe_rcv(const struct net *net, struct sk_buff *skb)
{
	u32 offset, n, sound, qpn = 0, end = rxe_batch(skb)->end;
	struct rxe_icrc_prefix prefix;
	struct rxe_run run = {};
	struct rxe_pkt pkt;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	if (!end)
		rxe_count_dropped(net, skb, NULL, 1, RXE_STAT_RCVD_MALFORMED);
	rxe_batch_icrc_prefix(skb, &prefix);
	for (offset = 0; offset < end; offset += n * pkt.len) {
		n = 1;
		if (!rxe_pkt_parse(&pkt, skb, offset)) {
			rxe_count_dropped(net, skb, NULL, 1, RXE_STAT_RCVD_MALFORMED);
			rxe_run_split(&run, skb);
			continue;
		}
		if (run.qp && !rxe_run_continues(&run, qpn, &pkt))
			rxe_run_split(&run, skb);
		if (!run.qp && !rxe_run_begin(&run, net, &pkt)) {
			rxe_count_dropped(net, skb, &pkt, 1, RXE_STAT_RCVD_NO_QP);
			continue;
		}
		qpn = pkt.qpn;
		n = rxe_pkts_alike(&pkt);
		sound = rxe_pkts_check_icrc(&pkt, &prefix, n);
		rxe_count_rcvd(rxe_qp_dev(run.qp), pkt.len, sound);
		run.end = offset + sound * pkt.len;
		if (sound < n) {
			rxe_count_drop(rxe_qp_dev(run.qp), RXE_STAT_ICRC_ERR,
				       pkt.qpn, rxe_psn_add(pkt.psn, sound), 1);
			rxe_run_split(&run, skb);
			n = sound + 1;
		}
	}

	if (run.qp)
		rxe_run_deliver(&run, skb);
	else
		kfree_skb(skb);
}

/**
 * rxe_rcv_group - take a packet that was sent to a group
 * @net: where it came in
 * @skb: the packet, alone in its batch; consumed
 *
 * Context: as rxe_rcv().
 */
void rxe_rcv_group(const struct net *net, struct sk_buff *skb)
{
	struct rxe_icrc_prefix prefix;
	struct rxe_pkt pkt;

	lockdep_assert_in_softirq();
	lockdep_assert_in_rcu_read_lock();
	rxe_batch_icrc_prefix(skb, &prefix);
	if (!rxe_pkt_next(&pkt, skb))
		rxe_count_dropped(net, skb, NULL, 1, RXE_STAT_RCVD_MALFORMED);
	else if (pkt.qpn != RXE_MULTICAST_QPN ||
		 rxe_service(pkt.opcode) != IB_OPCODE_UD)
		rxe_count_dropped(net, skb, &pkt, 1, RXE_STAT_RCVD_NO_QP);
	else if (!rxe_pkts_check_icrc(&pkt, &prefix, 1))
		rxe_count_dropped(net, skb, &pkt, 1, RXE_STAT_ICRC_ERR);
	else if (!rxe_mcast_rcv(net, &pkt))
		rxe_count_dropped(net, skb, &pkt, 1, RXE_STAT_RCVD_NO_QP);
	consume_skb(skb);
}
