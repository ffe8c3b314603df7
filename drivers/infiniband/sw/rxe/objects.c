// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The operations that make and destroy objects which the core allocates: a device
 * has as many of each kind as it announces. Regions, which are the driver's own
 * allocations, are counted in mr.c.
 */
#include "base/dev.h"
#include "base/limit.h"
#include "egress/ah.h"
#include "mem/mw.h"
#include "obj/cq.h"
#include "obj/srq.h"
#include "objects.h"
#include "qp_life.h"

static const char *const rxe_object_names[RXE_OBJECT_NUM] = {
	[RXE_OBJECT_AH] = "AH",
	[RXE_OBJECT_CQ] = "CQ",
	[RXE_OBJECT_MW] = "MW",
	[RXE_OBJECT_PD] = "PD",
	[RXE_OBJECT_QP] = "QP",
	[RXE_OBJECT_SRQ] = "SRQ",
};

static int rxe_begin(struct ib_device *ibdev, enum rxe_object kind)
{
	int err = rxe_object_begin(&to_rdev(ibdev)->objects, kind);

	if (err)
		return rxe_refuse(ibdev, err,
				  "create %s: the device has %u, as many as it may",
				  rxe_object_names[kind], rxe_object_max(kind));
	return 0;
}

static void rxe_end(struct ib_device *ibdev, enum rxe_object kind)
{
	rxe_object_end(&to_rdev(ibdev)->objects, kind);
}

/**
 * rxe_alloc_pd - ib_device_ops.alloc_pd
 * @ibpd: allocated by the core; the driver needs nothing more
 * @udata: unused
 *
 * Context: any.
 * Return: 0; -ENOMEM: there are as many as announced.
 */
int rxe_alloc_pd(struct ib_pd *ibpd, struct ib_udata *udata)
{
	return rxe_begin(ibpd->device, RXE_OBJECT_PD);
}

/**
 * rxe_dealloc_pd - ib_device_ops.dealloc_pd
 * @ibpd: nothing is in it
 * @udata: unused
 *
 * Context: any.
 * Return: 0.
 */
int rxe_dealloc_pd(struct ib_pd *ibpd, struct ib_udata *udata)
{
	rxe_end(ibpd->device, RXE_OBJECT_PD);
	return 0;
}

/**
 * rxe_create_counted_ah - ib_device_ops.create_ah and create_user_ah
 * @ibah: the object
 * @init: passed on
 * @udata: passed on
 *
 * Context: as rxe_create_ah().
 * Return: as rxe_create_ah(); -ENOMEM as well: there are as many as announced.
 */
int rxe_create_counted_ah(struct ib_ah *ibah, struct rdma_ah_init_attr *init,
			  struct ib_udata *udata)
{
	int err = rxe_begin(ibah->device, RXE_OBJECT_AH);

	if (err)
		return err;

	err = rxe_create_ah(ibah, init, udata);
	if (err)
		rxe_end(ibah->device, RXE_OBJECT_AH);
	return err;
}

/**
 * rxe_destroy_counted_ah - ib_device_ops.destroy_ah
 * @ibah: the object
 * @flags: passed on
 *
 * Context: as rxe_destroy_ah().
 * Return: 0.
 */
int rxe_destroy_counted_ah(struct ib_ah *ibah, u32 flags)
{
	rxe_destroy_ah(ibah, flags);
	rxe_end(ibah->device, RXE_OBJECT_AH);
	return 0;
}

/**
 * rxe_create_counted_cq - ib_device_ops.create_cq
 * @ibcq: the object
 * @attr: passed on
 * @udata: passed on
 *
 * Context: as rxe_create_cq().
 * Return: as rxe_create_cq(); -ENOMEM as well: there are as many as announced.
 */
int rxe_create_counted_cq(struct ib_cq *ibcq, const struct ib_cq_init_attr *attr,
			  struct ib_udata *udata)
{
	int err = rxe_begin(ibcq->device, RXE_OBJECT_CQ);

	if (err)
		return err;

	err = rxe_create_cq(ibcq, attr, udata);
	if (err)
		rxe_end(ibcq->device, RXE_OBJECT_CQ);
	return err;
}

/**
 * rxe_destroy_counted_cq - ib_device_ops.destroy_cq
 * @ibcq: the object
 * @udata: passed on
 *
 * Context: as rxe_destroy_cq().
 * Return: 0.
 */
int rxe_destroy_counted_cq(struct ib_cq *ibcq, struct ib_udata *udata)
{
	rxe_destroy_cq(ibcq, udata);
	rxe_end(ibcq->device, RXE_OBJECT_CQ);
	return 0;
}

/**
 * rxe_create_counted_srq - ib_device_ops.create_srq
 * @ibsrq: the object
 * @init: passed on
 * @udata: passed on
 *
 * Context: as rxe_create_srq().
 * Return: as rxe_create_srq(); -ENOMEM as well: there are as many as announced.
 */
int rxe_create_counted_srq(struct ib_srq *ibsrq, struct ib_srq_init_attr *init,
			   struct ib_udata *udata)
{
	int err = rxe_begin(ibsrq->device, RXE_OBJECT_SRQ);

	if (err)
		return err;

	err = rxe_create_srq(ibsrq, init, udata);
	if (err)
		rxe_end(ibsrq->device, RXE_OBJECT_SRQ);
	return err;
}

/**
 * rxe_destroy_counted_srq - ib_device_ops.destroy_srq
 * @ibsrq: the object
 * @udata: passed on
 *
 * Context: as rxe_destroy_srq().
 * Return: 0.
 */
int rxe_destroy_counted_srq(struct ib_srq *ibsrq, struct ib_udata *udata)
{
	rxe_destroy_srq(ibsrq, udata);
	rxe_end(ibsrq->device, RXE_OBJECT_SRQ);
	return 0;
}

/**
 * rxe_create_counted_qp - ib_device_ops.create_qp
 * @ibqp: the object
 * @init: passed on
 * @udata: passed on
 *
 * Context: as rxe_create_qp().
 * Return: as rxe_create_qp(); -ENOMEM as well: there are as many as announced.
 */
int rxe_create_counted_qp(struct ib_qp *ibqp, struct ib_qp_init_attr *init,
			  struct ib_udata *udata)
{
	int err = rxe_begin(ibqp->device, RXE_OBJECT_QP);

	if (err)
		return err;

	err = rxe_create_qp(ibqp, init, udata);
	if (err)
		rxe_end(ibqp->device, RXE_OBJECT_QP);
	return err;
}

/**
 * rxe_destroy_counted_qp - ib_device_ops.destroy_qp
 * @ibqp: the object
 * @udata: passed on
 *
 * Context: as rxe_destroy_qp().
 * Return: 0.
 */
int rxe_destroy_counted_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	rxe_destroy_qp(ibqp, udata);
	rxe_end(ibqp->device, RXE_OBJECT_QP);
	return 0;
}

/**
 * rxe_alloc_counted_mw - ib_device_ops.alloc_mw
 * @ibmw: the object
 * @udata: passed on
 *
 * Context: as rxe_alloc_mw().
 * Return: as rxe_alloc_mw(); -ENOMEM as well: there are as many as announced.
 */
int rxe_alloc_counted_mw(struct ib_mw *ibmw, struct ib_udata *udata)
{
	int err = rxe_begin(ibmw->device, RXE_OBJECT_MW);

	if (err)
		return err;

	err = rxe_alloc_mw(ibmw, udata);
	if (err)
		rxe_end(ibmw->device, RXE_OBJECT_MW);
	return err;
}

/**
 * rxe_dealloc_counted_mw - ib_device_ops.dealloc_mw
 * @ibmw: the object
 *
 * Context: as rxe_dealloc_mw().
 * Return: 0.
 */
int rxe_dealloc_counted_mw(struct ib_mw *ibmw)
{
	rxe_dealloc_mw(ibmw);
	rxe_end(ibmw->device, RXE_OBJECT_MW);
	return 0;
}
