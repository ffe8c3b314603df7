// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Performance management: IBTA volume 1, 16.1. The core shows these counters in
 * the port's sysfs directory "counters"; peers may read them through the GSI.
 */
#include <linux/limits.h>
#include <rdma/ib_pma.h>

#include "base/dev.h"
#include "pma.h"

#define RXE_PMA_VERSION	1
#define RXE_ALL_PORTS	0xff

/* Counters stop at their largest value: 16.1.3.5 */
static u64 rxe_pma_counter(const struct rxe_dev *dev, enum rxe_stat stat,
			   u64 max)
{
	return min(rxe_stat_sum(dev, stat), max);
}

/* IBTA counts data in words of four bytes. */
static u64 rxe_pma_words(const struct rxe_dev *dev, enum rxe_stat bytes,
			 u64 max)
{
	return min(rxe_stat_sum(dev, bytes) / 4, max);
}

static __be16 rxe_class_port_info(struct ib_class_port_info *info)
{
	info->base_version = IB_MGMT_BASE_VERSION;
	info->class_version = RXE_PMA_VERSION;
	info->capability_mask = IB_PMA_CLASS_CAP_ALLPORTSELECT |
				IB_PMA_CLASS_CAP_EXT_WIDTH;
	return 0;
}

static __be16 rxe_port_counters(const struct rxe_dev *dev,
				struct ib_pma_portcounters *counters)
{
	counters->link_downed_counter =
		rxe_pma_counter(dev, RXE_STAT_LINK_DOWNED, U8_MAX);
	counters->port_rcv_errors =
		cpu_to_be16(rxe_pma_counter(dev, RXE_STAT_ICRC_ERR, U16_MAX));
	counters->port_xmit_discards =
		cpu_to_be16(rxe_pma_counter(dev, RXE_STAT_SEND_ERR, U16_MAX));
	counters->port_xmit_data =
		cpu_to_be32(rxe_pma_words(dev, RXE_STAT_SENT_BYTES, U32_MAX));
	counters->port_rcv_data =
		cpu_to_be32(rxe_pma_words(dev, RXE_STAT_RCVD_BYTES, U32_MAX));
	counters->port_xmit_packets =
		cpu_to_be32(rxe_pma_counter(dev, RXE_STAT_SENT_PKTS, U32_MAX));
	counters->port_rcv_packets =
		cpu_to_be32(rxe_pma_counter(dev, RXE_STAT_RCVD_PKTS, U32_MAX));
	return 0;
}

static __be16 rxe_port_counters_ext(const struct rxe_dev *dev,
				    struct ib_pma_portcounters_ext *counters)
{
	u64 sent = rxe_stat_sum(dev, RXE_STAT_SENT_PKTS);
	u64 rcvd = rxe_stat_sum(dev, RXE_STAT_RCVD_PKTS);
	u64 mcast_sent = rxe_stat_sum(dev, RXE_STAT_MCAST_SENT_PKTS);
	u64 mcast_rcvd = rxe_stat_sum(dev, RXE_STAT_MCAST_RCVD_PKTS);

	counters->port_xmit_data =
		cpu_to_be64(rxe_pma_words(dev, RXE_STAT_SENT_BYTES, U64_MAX));
	counters->port_rcv_data =
		cpu_to_be64(rxe_pma_words(dev, RXE_STAT_RCVD_BYTES, U64_MAX));
	counters->port_xmit_packets = cpu_to_be64(sent);
	counters->port_rcv_packets = cpu_to_be64(rcvd);
	/* multicast packets were summed later: they may exceed the total */
	counters->port_unicast_xmit_packets =
		cpu_to_be64(sent - min(sent, mcast_sent));
	counters->port_unicast_rcv_packets =
		cpu_to_be64(rcvd - min(rcvd, mcast_rcvd));
	counters->port_multicast_xmit_packets = cpu_to_be64(mcast_sent);
	counters->port_multicast_rcv_packets = cpu_to_be64(mcast_rcvd);
	return 0;
}

/* PortSelect is the second byte of either attribute of counters. */
static bool rxe_selects_port(const struct ib_pma_mad *in, u32 port)
{
	return in->data[1] == port || in->data[1] == RXE_ALL_PORTS;
}

static __be16 rxe_pma_get(const struct rxe_dev *dev, u32 port,
			  const struct ib_pma_mad *in, struct ib_pma_mad *out)
{
	if (in->mad_hdr.attr_id == IB_PMA_CLASS_PORT_INFO)
		return rxe_class_port_info((void *)out->data);
	if (!rxe_selects_port(in, port))
		return cpu_to_be16(IB_MGMT_MAD_STATUS_INVALID_ATTRIB_VALUE);

	out->data[1] = in->data[1];
	switch (in->mad_hdr.attr_id) {
	case IB_PMA_PORT_COUNTERS:
		return rxe_port_counters(dev, (void *)out->data);
	case IB_PMA_PORT_COUNTERS_EXT:
		return rxe_port_counters_ext(dev, (void *)out->data);
	default:
		return cpu_to_be16(IB_MGMT_MAD_STATUS_UNSUPPORTED_METHOD_ATTRIB);
	}
}

/**
 * rxe_process_mad - ib_device_ops.process_mad
 * @ibdev: the device
 * @flags: enum ib_mad_flags; there are no keys to be checked
 * @port: that the MAD came to
 * @wc: its completion; NULL: the core asks for itself
 * @grh: its routing header, or NULL
 * @in: the MAD
 * @out: the answer, zero where nothing is set
 * @out_size: bytes of @out
 * @out_pkey_index: of the answer
 *
 * Counters cannot be reset: others may be reading them.
 *
 * Context: may sleep.
 * Return: enum ib_mad_result: whether @out is to be sent.
 */
int rxe_process_mad(struct ib_device *ibdev, int flags, u32 port,
		    const struct ib_wc *wc, const struct ib_grh *grh,
		    const struct ib_mad *in, struct ib_mad *out,
		    size_t *out_size, u16 *out_pkey_index)
{
	const struct ib_mad_hdr *hdr = &in->mad_hdr;

	/* other MADs are for other agents, or answers to this host */
	if (hdr->mgmt_class != IB_MGMT_CLASS_PERF_MGMT ||
	    (hdr->method != IB_MGMT_METHOD_GET &&
	     hdr->method != IB_MGMT_METHOD_SET))
		return IB_MAD_RESULT_SUCCESS;

	memset(out, 0, sizeof(*out));
	out->mad_hdr = *hdr;
	out->mad_hdr.method = IB_MGMT_METHOD_GET_RESP;
	if (hdr->method == IB_MGMT_METHOD_GET)
		out->mad_hdr.status = rxe_pma_get(to_rdev(ibdev), port,
						  (const void *)in,
						  (void *)out);
	else
		out->mad_hdr.status =
			cpu_to_be16(IB_MGMT_MAD_STATUS_UNSUPPORTED_METHOD_ATTRIB);
	return IB_MAD_RESULT_SUCCESS | IB_MAD_RESULT_REPLY;
}
