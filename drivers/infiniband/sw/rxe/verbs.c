// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <linux/mm.h>
#include <rdma/ib_cache.h>
#include <rdma/ib_mad.h>
#include <rdma/uverbs_ioctl.h>

#include "base/compat.h"
#include "base/dev.h"
#include "base/limit.h"
#include "base/stats.h"
#include "base/ucontext.h"
#include "base/wire.h"
#include "egress/ah.h"
#include "ingress/mcast.h"
#include "mem/advise.h"
#include "mem/dmabuf_mr.h"
#include "mem/kernel_mr.h"
#include "mem/mr.h"
#include "mem/mw.h"
#include "obj/cq.h"
#include "obj/moderation.h"
#include "obj/qp.h"
#include "obj/ring.h"
#include "obj/srq.h"
#include "wait/fault.h"
#include "link.h"
#include "objects.h"
#include "pma.h"
#include "post.h"
#include "qp_attr.h"
#include "qp_life.h"
#include "restrack.h"
#include "verbs.h"
#include "version.h"

#define RXE_ODP_UD_CAPS	(IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV | \
			 IB_ODP_SUPPORT_SRQ_RECV)
#define RXE_ODP_UC_CAPS	(RXE_ODP_UD_CAPS | IB_ODP_SUPPORT_WRITE)
#define RXE_ODP_RC_CAPS	(RXE_ODP_UC_CAPS | IB_ODP_SUPPORT_READ | \
			 IB_ODP_SUPPORT_ATOMIC | RXE_ODP_PLACEMENT_CAPS)

/* The form in which rdma-core's provider takes apart what the verbs call firmware. */
static u64 rxe_fw_ver(void)
{
	u16 major, minor, patch;

	if (sscanf(RXE_VERSION, "%hu.%hu.%hu", &major, &minor, &patch) != 3)
		return 0;
	return (u64)major << 32 | (u64)minor << 16 | patch;
}

static void rxe_get_dev_fw_str(struct ib_device *ibdev, char *str)
{
	strscpy(str, "rxe-odp " RXE_VERSION, IB_FW_VERSION_NAME_MAX);
}

static int rxe_query_device(struct ib_device *ibdev,
			    struct ib_device_attr *attr,
			    struct ib_udata *udata)
{
	if (udata && (udata->inlen || udata->outlen))
		return rxe_refuse(ibdev, -EINVAL,
				  "query device: the driver has no data of its own");

	memset(attr, 0, sizeof(*attr));
	attr->fw_ver = rxe_fw_ver();
	attr->vendor_id = RXE_VENDOR_ID;
	attr->sys_image_guid = ibdev->node_guid;
	attr->max_mr_size = U64_MAX;
	attr->page_size_cap = RXE_BLOCK_SIZES;
	attr->device_cap_flags = IB_DEVICE_RC_RNR_NAK_GEN |
				 IB_DEVICE_SYS_IMAGE_GUID |
				 IB_DEVICE_CURR_QP_STATE_MOD |
				 IB_DEVICE_SRQ_RESIZE |
				 IB_DEVICE_MEM_MGT_EXTENSIONS |
				 IB_DEVICE_MEM_WINDOW |
				 IB_DEVICE_MEM_WINDOW_TYPE_2B |
				 RXE_PLACEMENT_CAPS |
				 IB_DEVICE_PORT_ACTIVE_EVENT;
	attr->kernel_cap_flags = IBK_ALLOW_USER_UNREG | IBK_ON_DEMAND_PAGING;
	attr->max_qp = rxe_object_max(RXE_OBJECT_QP);
	attr->max_qp_wr = RXE_MAX_QP_WR;
	attr->max_send_sge = RXE_MAX_SGE;
	attr->max_recv_sge = RXE_MAX_SGE;
	attr->max_sge_rd = RXE_MAX_SGE;
	attr->max_cq = rxe_object_max(RXE_OBJECT_CQ);
	attr->max_cqe = RXE_MAX_CQE;
	attr->cq_caps.max_cq_moderation_count = U16_MAX;
	attr->cq_caps.max_cq_moderation_period = U16_MAX;
	attr->max_mr = rxe_object_max(RXE_OBJECT_MR);
	attr->max_fast_reg_page_list_len = RXE_MAX_FAST_BLOCKS;
	attr->max_srq = rxe_object_max(RXE_OBJECT_SRQ);
	attr->max_srq_wr = RXE_MAX_SRQ_WR;
	attr->max_srq_sge = RXE_MAX_SGE;
	attr->max_ah = rxe_object_max(RXE_OBJECT_AH);
	attr->max_mw = rxe_object_max(RXE_OBJECT_MW);
	attr->max_pd = rxe_object_max(RXE_OBJECT_PD);
	attr->max_mcast_grp = RXE_MAX_MCAST_GROUPS;
	attr->max_mcast_qp_attach = RXE_MAX_MCAST_QPS;
	attr->max_total_mcast_qp_attach =
		RXE_MAX_MCAST_GROUPS * RXE_MAX_MCAST_QPS;
	attr->max_qp_rd_atom = RXE_MAX_RD_ATOMIC;
	attr->max_qp_init_rd_atom = RXE_MAX_RD_ATOMIC;
	attr->max_res_rd_atom = attr->max_qp * RXE_MAX_RD_ATOMIC;
	attr->atomic_cap = IB_ATOMIC_GLOB;
	attr->max_pkeys = 1;
	attr->odp_caps.general_caps = IB_ODP_SUPPORT | IB_ODP_SUPPORT_IMPLICIT;
	attr->odp_caps.per_transport_caps.rc_odp_caps = RXE_ODP_RC_CAPS;
	attr->odp_caps.per_transport_caps.uc_odp_caps = RXE_ODP_UC_CAPS;
	attr->odp_caps.per_transport_caps.ud_odp_caps = RXE_ODP_UD_CAPS;
	return 0;
}

static int rxe_query_port(struct ib_device *ibdev, u32 port,
			  struct ib_port_attr *attr)
{
	struct rxe_dev *dev = to_rdev(ibdev);
	bool up = netif_running(dev->ndev) && netif_carrier_ok(dev->ndev);

	attr->state = up ? IB_PORT_ACTIVE : IB_PORT_DOWN;
	attr->phys_state = up ? IB_PORT_PHYS_STATE_LINK_UP :
				IB_PORT_PHYS_STATE_DISABLED;
	attr->max_mtu = IB_MTU_4096;
	attr->active_mtu = rxe_dev_mtu(dev);
	attr->port_cap_flags = IB_PORT_CM_SUP;
	attr->qkey_viol_cntr = rxe_stat_sum(dev, RXE_STAT_QKEY_VIOLATION);
	attr->gid_tbl_len = RXE_GID_TABLE_LEN;
	attr->max_msg_sz = RXE_MAX_MSG;
	attr->ip_gids = true;
	attr->pkey_tbl_len = 1;
	attr->max_vl_num = 1;
	/* a netdev on its way out has no speed: the port is merely down */
	if (ib_get_eth_speed(ibdev, port, &attr->active_speed,
			     &attr->active_width)) {
		attr->active_speed = IB_SPEED_SDR;
		attr->active_width = IB_WIDTH_1X;
	}
	return 0;
}

static int rxe_query_pkey(struct ib_device *ibdev, u32 port, u16 index,
			  u16 *pkey)
{
	if (index)
		return rxe_refuse(ibdev, -EINVAL,
				  "query P_Key: there is none of index %u",
				  index);

	*pkey = RXE_DEFAULT_PKEY;
	return 0;
}

static enum rdma_link_layer rxe_get_link_layer(struct ib_device *ibdev,
					       u32 port)
{
	return IB_LINK_LAYER_ETHERNET;
}

static int rxe_get_port_immutable(struct ib_device *ibdev, u32 port,
				  struct ib_port_immutable *immutable)
{
	immutable->pkey_tbl_len = 1;
	immutable->gid_tbl_len = RXE_GID_TABLE_LEN;
	immutable->max_mad_size = IB_MGMT_MAD_SIZE;
	immutable->core_cap_flags = RDMA_CORE_PORT_IBA_ROCE_UDP_ENCAP;
	return 0;
}

static int rxe_alloc_ucontext(struct ib_ucontext *ibuc,
			      struct ib_udata *udata)
{
	struct rxe_ucontext *uctx = to_ruc(ibuc);

	uctx->backlog = rxe_share_create(&to_rdev(ibuc->device)->backlog);
	if (!uctx->backlog)
		return rxe_refuse(ibuc->device, -ENOMEM,
				  "open: no memory for a share of parked packets");

	uctx->faulter = rxe_fault_queue_open();
	if (!uctx->faulter) {
		rxe_share_destroy(uctx->backlog);
		return rxe_refuse(ibuc->device, -ENOMEM,
				  "open: no memory for workers of page faults");
	}

	odp_owner_init(&uctx->odp);
	return 0;
}

static void rxe_dealloc_ucontext(struct ib_ucontext *ibuc)
{
	struct rxe_ucontext *uctx = to_ruc(ibuc);

	odp_owner_destroy(&uctx->odp);
	rxe_fault_queue_put(uctx->faulter);
	rxe_share_destroy(uctx->backlog);
}

/*
 * Rings are ordinary memory, which may stay mapped: nothing that a program
 * holds after this refers to the device.
 */
static void rxe_disassociate_ucontext(struct ib_ucontext *ibuc)
{
}

static int rxe_create_cq_op(struct ib_cq *ibcq,
			    const struct ib_cq_init_attr *attr,
			    RXE_CREATE_CQ_ARG)
{
	return rxe_create_counted_cq(ibcq, attr, rxe_create_cq_udata());
}

static struct ib_mr *rxe_reg_user_mr_op(struct ib_pd *ibpd, u64 start,
					u64 length, u64 iova, int access,
					RXE_REG_USER_MR_ARGS)
{
	return rxe_reg_user_mr(ibpd, start, length, iova, access, udata);
}

static struct ib_mr *rxe_reg_user_mr_dmabuf_op(struct ib_pd *ibpd, u64 offset,
					       u64 length, u64 iova, int fd,
					       int access,
					       RXE_REG_DMABUF_ARGS)
{
	return rxe_reg_user_mr_dmabuf(ibpd, offset, length, iova, fd, access);
}

static void rxe_mmap_free(struct rdma_user_mmap_entry *entry)
{
	rxe_ring_free(container_of(entry, struct rxe_ring, entry));
}

/* At registration and in a new netns: before programs get the device. */
static int rxe_enable_driver(struct ib_device *ibdev)
{
	rxe_advice_allow_waits(to_rdev(ibdev));
	return 0;
}

static void rxe_dealloc_driver(struct ib_device *ibdev)
{
	rxe_dev_destroy(to_rdev(ibdev));
}

static ssize_t parent_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct rxe_dev *dev = to_rdev(rdma_device_to_ibdev(device));

	return sysfs_emit(buf, "%s\n", dev->ndev->name);
}
static DEVICE_ATTR_RO(parent);

static struct attribute *rxe_attrs[] = {
	&dev_attr_parent.attr,
	NULL,
};

static const struct attribute_group rxe_attr_group = {
	.attrs = rxe_attrs,
};

const struct ib_device_ops rxe_dev_ops = {
	.owner = THIS_MODULE,
	.driver_id = RDMA_DRIVER_RXE,
	.uverbs_abi_ver = RXE_UVERBS_ABI,
	.device_group = &rxe_attr_group,

	.advise_mr = rxe_advise_mr,
	.alloc_hw_port_stats = rxe_alloc_hw_port_stats,
	.alloc_mr = rxe_alloc_mr,
	.alloc_mw = rxe_alloc_counted_mw,
	.alloc_pd = rxe_alloc_pd,
	.alloc_ucontext = rxe_alloc_ucontext,
	.attach_mcast = rxe_attach_mcast,
	.create_ah = rxe_create_counted_ah,
	.create_cq = rxe_create_cq_op,
	.create_qp = rxe_create_counted_qp,
	.create_srq = rxe_create_counted_srq,
	.create_user_ah = rxe_create_counted_ah,
	.dealloc_driver = rxe_dealloc_driver,
	.dealloc_mw = rxe_dealloc_counted_mw,
	.dealloc_pd = rxe_dealloc_pd,
	.dealloc_ucontext = rxe_dealloc_ucontext,
	.dereg_mr = rxe_dereg_mr,
	.detach_mcast = rxe_detach_mcast,
	.destroy_ah = rxe_destroy_counted_ah,
	.destroy_cq = rxe_destroy_counted_cq,
	.rxe_resize_cq_op = rxe_resize_cq,
	.destroy_qp = rxe_destroy_counted_qp,
	.destroy_srq = rxe_destroy_counted_srq,
	.disassociate_ucontext = rxe_disassociate_ucontext,
	.enable_driver = rxe_enable_driver,
	.fill_res_cq_entry = rxe_fill_res_cq,
	.fill_res_mr_entry = rxe_fill_res_mr,
	.fill_res_qp_entry = rxe_fill_res_qp,
	.fill_stat_mr_entry = rxe_fill_stat_mr,
	.get_dev_fw_str = rxe_get_dev_fw_str,
	.get_dma_mr = rxe_get_dma_mr,
	.get_hw_stats = rxe_get_hw_stats,
	.get_link_layer = rxe_get_link_layer,
	.get_port_immutable = rxe_get_port_immutable,
	.map_mr_sg = rxe_map_mr_sg,
	.mmap = rxe_mmap,
	.mmap_free = rxe_mmap_free,
	.modify_cq = rxe_modify_cq,
	.modify_qp = rxe_modify_qp,
	.modify_srq = rxe_modify_srq,
	.poll_cq = rxe_poll_cq,
	.post_recv = rxe_post_recv,
	.post_send = rxe_post_send,
	.post_srq_recv = rxe_post_srq_recv,
	.process_mad = rxe_process_mad,
	.query_ah = rxe_query_ah,
	.query_device = rxe_query_device,
	.query_pkey = rxe_query_pkey,
	.query_port = rxe_query_port,
	.query_qp = rxe_query_qp,
	.query_srq = rxe_query_srq,
	.reg_user_mr = rxe_reg_user_mr_op,
	.reg_user_mr_dmabuf = rxe_reg_user_mr_dmabuf_op,
	.req_notify_cq = rxe_req_notify_cq,
	.rereg_user_mr = rxe_rereg_user_mr,
	RXE_FILL_RES_SRQ_OP
	RXE_REPORT_PORT_EVENT_OP

	INIT_RDMA_OBJ_SIZE(ib_ah, rxe_ah, ibah),
	INIT_RDMA_OBJ_SIZE(ib_cq, rxe_cq, ibcq),
	INIT_RDMA_OBJ_SIZE(ib_mw, rxe_mw, ibmw),
	INIT_RDMA_OBJ_SIZE(ib_pd, rxe_pd, ibpd),
	INIT_RDMA_OBJ_SIZE(ib_qp, rxe_qp, ibqp),
	INIT_RDMA_OBJ_SIZE(ib_srq, rxe_srq, ibsrq),
	INIT_RDMA_OBJ_SIZE(ib_ucontext, rxe_ucontext, ibuc),
};
