// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The unreliable datagram service: IBTA volume 1, 9.8.3. */
#include <linux/ip.h>
#include <rdma/ib_cache.h>

#include "base/compat.h"
#include "base/pkt.h"
#include "base/rule.h"
#include "base/wire.h"
#include "egress/ah.h"
#include "mem/access.h"
#include "obj/qp.h"
#include "obj/recv_queue.h"
#include "obj/rwqe.h"
#include "obj/send_queue.h"
#include "transport/request.h"
#include "transport/response.h"
#include "transport/ud.h"

/* set in a request's Q_Key: the QP's own is meant (IBTA 10.2.5) */
#define RXE_QKEY_OF_QP	BIT(31)

static int rxe_ud_load(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	struct rxe_access access = rxe_requester_access(qp, 0);

	access.ahead = wqe->length;
	rxe_tx_headers_done(&qp->sq.tx);
	if (wqe->flags & IB_SEND_INLINE)
		return rxe_tx_copy(wqe->inline_data, wqe->length, &qp->sq.tx);
	return rxe_sgl_access(&access, wqe->sge, wqe->num_sge, 0, wqe->length,
			      rxe_tx_copy, &qp->sq.tx);
}

/**
 * rxe_ud_request - send a datagram
 * @qp: the sender
 * @wqe: the request, numbered; completes with this
 *
 * Context: BH disabled, the send queue's lock is held.
 * Return: 0; -ENXIO: no such address handle; other errors as of
 * rxe_mr_access().
 */
int rxe_ud_request(struct rxe_qp *qp, struct rxe_swqe *wqe)
{
	bool imm = wqe->opcode == IB_WR_SEND_WITH_IMM;
	u32 qkey = wqe->ud.qkey & RXE_QKEY_OF_QP ? qp->attr.qkey :
						   wqe->ud.qkey;
	struct rxe_tx *tx = &qp->sq.tx;
	struct rxe_handle *handle;
	struct rxe_deth *deth;
	struct rxe_bth *bth;
	struct rxe_ah *ah;
	__be32 *immdt;
	int err;

	lockdep_assert_held(&qp->sq.lock);
	ah = rxe_is_kernel(qp) ? wqe->ud.ah :
				 rxe_ah_get(qp->ibqp.pd, wqe->ud.ah_num);
	if (!ah)
		return -ENXIO;
	handle = ah->handle;

	bth = rxe_tx_begin(tx, &ah->path,
			   imm ? IB_OPCODE_UD_SEND_ONLY_WITH_IMMEDIATE :
				 IB_OPCODE_UD_SEND_ONLY, qp->sq.psn,
			   wqe->length);
	if (!bth) {
		err = -ENOMEM;
		goto put_ah;
	}

	bth->qpn = cpu_to_be32(wqe->ud.qpn & RXE_QPN_MASK);
	if (wqe->flags & IB_SEND_SOLICITED)
		bth->flags |= RXE_BTH_SE;
	deth = (struct rxe_deth *)(bth + 1);
	deth->qkey = cpu_to_be32(qkey);
	deth->sqp = cpu_to_be32(qp->ibqp.qp_num);
	immdt = (__be32 *)(deth + 1);
	if (imm)
		*immdt = wqe->imm;

	err = rxe_ud_load(qp, wqe);
	if (!err) {
		if (rdma_is_multicast_addr(&ah->path.daddr))
			rxe_count(rxe_qp_dev(qp), RXE_STAT_MCAST_SENT_PKTS);
		rxe_requester_send(qp, wqe, 1);
	}
put_ah:
	/* not ah->handle: the user may destroy the AH with the completion */
	if (handle)
		rxe_handle_put(handle);
	return err;
}

/**
 * struct rxe_receiver - whom a datagram may be for
 * @dev: the device
 * @gid: the datagram's destination address
 * @skb: the datagram
 */
struct rxe_receiver {
	struct rxe_dev *dev;
	union ib_gid gid;
	const struct sk_buff *skb;
};

static bool rxe_netdev_is_reached(const struct rxe_receiver *to,
				  const struct net_device *ndev)
{
	return net_eq(dev_net(ndev), to->dev->net) &&
	       rxe_skb_reaches(to->skb, ndev);
}

/* Whether the datagram may be for an address of a netdev, which has it. */
static int rxe_netdev_takes(struct net_device *ndev,
			    struct netdev_nested_priv *priv)
{
	const struct rxe_receiver *to = priv->data;
	const struct ib_gid_attr *attr;

	if (!rxe_netdev_is_reached(to, ndev))
		return false;

	attr = rdma_find_gid(&to->dev->ibdev, &to->gid,
			     IB_GID_TYPE_ROCE_UDP_ENCAP, ndev);
	if (IS_ERR(attr))
		return false;

	rdma_put_gid_attr(attr);
	return true;
}

/**
 * rxe_ud_is_ours - whether a packet is addressed to a device
 * @dev: the device
 * @skb: the packet
 *
 * Netdevs above the device's, such as VLANs, have their GIDs there, too, and two of
 * them may have the same: on other links, or in other VRFs.
 *
 * Context: under RCU.
 * Return: whether its destination address is one of the device's GIDs, of a netdev for
 * whose addresses packets may come where it came.
 */
bool rxe_ud_is_ours(struct rxe_dev *dev, const struct sk_buff *skb)
{
	struct rxe_receiver to = { .dev = dev, .skb = skb };
	struct netdev_nested_priv priv = { .data = &to };
	const struct ib_gid_attr *attr;
	const struct net_device *ndev;
	bool ours;

	lockdep_assert_in_rcu_read_lock();
	if (rxe_broken(own_address))
		return true;
	if (!rxe_skb_dgid(skb, &to.gid))
		return false;

	attr = rdma_find_gid(&dev->ibdev, &to.gid, IB_GID_TYPE_ROCE_UDP_ENCAP,
			     NULL);
	if (IS_ERR(attr))
		return false;

	/* there is hardly ever another one */
	ndev = rdma_read_gid_attr_ndev_rcu(attr);
	ours = !IS_ERR(ndev) && rxe_netdev_is_reached(&to, ndev);
	rdma_put_gid_attr(attr);

	return ours || rxe_netdev_takes(dev->ndev, &priv) ||
	       netdev_walk_all_upper_dev_rcu(dev->ndev, rxe_netdev_takes,
					     &priv);
}

static int rxe_ud_store(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_access access = rxe_receive_access(qp);
	struct rxe_payload payload = rxe_pkt_payload(pkt);
	struct rxe_rwqe *wqe = qp->rq.wqe;
	u8 grh[sizeof(struct ib_grh)];
	const void *from = grh;
	int err;

	rxe_pkt_grh(pkt, grh);
	access.ahead = sizeof(grh) + pkt->payload_len;
	err = rxe_sgl_access(&access, wqe->sge, wqe->num_sge, 0, sizeof(grh),
			     rxe_copy_to_mr, &from);
	if (err)
		return err;
	access.ahead = pkt->payload_len;
	return rxe_sgl_access(&access, wqe->sge, wqe->num_sge, sizeof(grh),
			      pkt->payload_len, rxe_copy_payload, &payload);
}

static void rxe_ud_complete(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_deth *deth = rxe_pkt_eth(pkt);
	u16 vlan_id = rxe_batch(pkt->skb)->vlan_id;
	struct ib_wc wc = {
		.status = IB_WC_SUCCESS,
		.opcode = IB_WC_RECV,
		.byte_len = sizeof(struct ib_grh) + pkt->payload_len,
		.src_qp = be32_to_cpu(deth->sqp) & RXE_QPN_MASK,
		.wc_flags = IB_WC_GRH | IB_WC_WITH_NETWORK_HDR_TYPE,
		.network_hdr_type = ip_hdr(pkt->skb)->version == 4 ?
					    RDMA_NETWORK_IPV4 :
					    RDMA_NETWORK_IPV6,
	};

	if (vlan_id != RXE_NO_VLAN) {
		wc.wc_flags |= IB_WC_WITH_VLAN;
		wc.vlan_id = vlan_id;
	}
	if (pkt->op->flags & RXE_OP_IMM) {
		wc.wc_flags |= IB_WC_WITH_IMM;
		wc.ex.imm_data = rxe_pkt_imm(pkt);
	}
	rxe_count(rxe_qp_dev(qp), RXE_STAT_RDMA_RECVS);
	rxe_rq_complete(qp, &wc, pkt->solicited);
}

static void rxe_ud_drop(struct rxe_qp *qp, const struct rxe_pkt *pkt,
			enum rxe_stat why)
{
	rxe_count_drop(rxe_qp_dev(qp), why, qp->ibqp.qp_num, pkt->psn, 1);
}

/**
 * rxe_ud_has_qkey - check the Q_Key of a datagram; counts one that is wrong
 * @qp: the receiver
 * @pkt: the packet
 *
 * Context: the receive queue's lock is held.
 * Return: whether it is the QP's.
 */
bool rxe_ud_has_qkey(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	const struct rxe_deth *deth = rxe_pkt_eth(pkt);

	lockdep_assert_held(&qp->rq.lock);
	if (be32_to_cpu(deth->qkey) == qp->attr.qkey || rxe_broken(qkey))
		return true;

	rxe_ud_drop(qp, pkt, RXE_STAT_QKEY_VIOLATION);
	return false;
}

/**
 * rxe_ud_process - take a datagram
 * @qp: the receiver
 * @pkt: the packet
 *
 * A datagram that cannot be taken is dropped, and uses no receive request.
 *
 * Context: BH disabled, the receive queue's lock is held.
 * Return: 0; -EAGAIN: the packet has to wait for memory.
 */
int rxe_ud_process(struct rxe_qp *qp, const struct rxe_pkt *pkt)
{
	struct rxe_rq *rq = &qp->rq;
	int err;

	lockdep_assert_held(&qp->rq.lock);
	if (!rxe_ud_has_qkey(qp, pkt))
		return 0;
	if (!rxe_rq_fetch(qp)) {
		rxe_ud_drop(qp, pkt, RXE_STAT_OUT_OF_BUFFER);
		return 0;
	}
	if (sizeof(struct ib_grh) + pkt->payload_len > rq->wqe->length &&
	    !rxe_broken(datagram_length)) {
		rxe_ud_drop(qp, pkt, RXE_STAT_RCVD_DROPS);
		return 0;
	}

	err = rxe_ud_store(qp, pkt);
	if (err == -EAGAIN)
		return err;
	if (err) {
		rxe_fail_receive(qp, rxe_access_status(err));
		rxe_qp_fail(qp, -1);
		return 0;
	}
	rxe_ud_complete(qp, pkt);
	return 0;
}
