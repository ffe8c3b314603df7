// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Commands of uverbs: all of them, with what they need to work, mostly. */
#include <errno.h>
#include <infiniband/verbs.h>
#include <string.h>
#include <unistd.h>

#include "ktap_test.h"
#include "world.h"

#define CMD(name)	IB_USER_VERBS_CMD_##name
#define EX_CMD(name)	(IB_USER_VERBS_EX_CMD_##name | IB_USER_VERBS_CMD_FLAG_EXTENDED)
#define ANSWER(type)	((const struct type *)answer_of(w))
/* two PSNs that any two queue pairs may have agreed on */
#define FIRST_PSN	0xfffff0

/* a small number of entries, or an odd one */
static uint32_t depth(struct world *w)
{
	if (one_in(&w->random, 4 * w->mutations))
		return odd_number(&w->random);
	return 1 + rnd(&w->random) % (one_in(&w->random, 16) ? 1000 : 32);
}

static uint32_t either(struct world *w, uint32_t usual)
{
	return one_in(&w->random, 8 * w->mutations) ? odd_number(&w->random) : usual;
}

/* An object that cannot be found any more was destroyed by a changed call. */
static enum outcome destroyed(struct world *w, struct object *object, bool worked)
{
	if (!worked && (errno == EBUSY || w->request->changed))
		return FAILED;
	object_gone(w, w->request->dev, object);
	return worked ? WORKED : FAILED;
}

static enum outcome done(bool worked)
{
	return worked ? WORKED : FAILED;
}

static enum outcome query_device(struct world *w)
{
	begin_write(w, any_device(w), CMD(QUERY_DEVICE),
		    sizeof(struct ib_uverbs_query_device),
		    sizeof(struct ib_uverbs_query_device_resp));
	return done(deliver(w));
}

static enum outcome ex_query_device(struct world *w)
{
	begin_write(w, any_device(w), EX_CMD(QUERY_DEVICE),
		    sizeof(struct ib_uverbs_ex_query_device),
		    sizeof(struct ib_uverbs_ex_query_device_resp));
	return done(deliver(w));
}

static enum outcome query_port(struct world *w)
{
	struct ib_uverbs_query_port *in;

	in = begin_write(w, any_device(w), CMD(QUERY_PORT), sizeof(*in),
			 sizeof(struct ib_uverbs_query_port_resp));
	in->port_num = either(w, 1);
	return done(deliver(w));
}

static enum outcome get_context_again(struct world *w)
{
	begin_write(w, any_device(w), CMD(GET_CONTEXT),
		    sizeof(struct ib_uverbs_get_context),
		    sizeof(struct ib_uverbs_get_context_resp));
	return done(deliver(w));
}

static enum outcome alloc_pd(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *pd = object_new(dev, PD);

	if (!pd)
		return NOTHING;
	begin_write(w, dev, CMD(ALLOC_PD), sizeof(struct ib_uverbs_alloc_pd),
		    sizeof(struct ib_uverbs_alloc_pd_resp));
	if (!deliver(w))
		return FAILED;
	object_add(pd, ANSWER(ib_uverbs_alloc_pd_resp)->pd_handle);
	return WORKED;
}

static enum outcome dealloc_pd(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *pd = object_any(w, dev, PD);
	struct ib_uverbs_dealloc_pd *in;

	if (!pd)
		return NOTHING;
	in = begin_write(w, dev, CMD(DEALLOC_PD), sizeof(*in), 0);
	in->pd_handle = pd->handle;
	return destroyed(w, pd, deliver(w));
}

static enum outcome create_comp_channel(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *channel = object_new(dev, CHANNEL);

	if (!channel)
		return NOTHING;
	begin_write(w, dev, CMD(CREATE_COMP_CHANNEL),
		    sizeof(struct ib_uverbs_create_comp_channel),
		    sizeof(struct ib_uverbs_create_comp_channel_resp));
	if (!deliver(w))
		return FAILED;
	object_add(channel, ANSWER(ib_uverbs_create_comp_channel_resp)->fd);
	return WORKED;
}

static int any_channel(struct world *w, struct device *dev)
{
	struct object *channel = object_any(w, dev, CHANNEL);

	return channel && one_in(&w->random, 2) ? (int)channel->handle : -1;
}

static void cq_add(struct world *w, struct object *cq,
		   const struct ib_uverbs_create_cq_resp *answer)
{
	const struct rxe_create_cq_resp *driver = driver_answer(w);

	object_add(cq, answer->cq_handle);
	ring_map(w, w->request->dev, &cq->rings[0], &driver->mi);
}

static enum outcome create_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *cq = object_new(dev, CQ);
	struct ib_uverbs_create_cq *in;

	if (!cq)
		return NOTHING;
	in = begin_write(w, dev, CMD(CREATE_CQ), sizeof(*in),
			 sizeof(struct ib_uverbs_create_cq_resp));
	w->request->driver_out_len = sizeof(struct rxe_create_cq_resp);
	in->user_handle = rnd(&w->random);
	in->cqe = depth(w);
	in->comp_channel = any_channel(w, dev);
	in->comp_vector = either(w, 0);
	if (!deliver(w))
		return FAILED;
	cq_add(w, cq, ANSWER(ib_uverbs_create_cq_resp));
	return WORKED;
}

static enum outcome ex_create_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *cq = object_new(dev, CQ);
	struct ib_uverbs_ex_create_cq *in;

	if (!cq)
		return NOTHING;
	in = begin_write(w, dev, EX_CMD(CREATE_CQ), sizeof(*in),
			 sizeof(struct ib_uverbs_ex_create_cq_resp));
	w->request->driver_out_len = sizeof(struct rxe_create_cq_resp);
	in->cqe = depth(w);
	in->comp_channel = any_channel(w, dev);
	in->flags = either(w, 0);
	if (!deliver(w))
		return FAILED;
	cq_add(w, cq, &ANSWER(ib_uverbs_ex_create_cq_resp)->base);
	return WORKED;
}

static enum outcome resize_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *cq = object_any(w, dev, CQ);
	struct ib_uverbs_resize_cq *in;
	const struct rxe_resize_cq_resp *driver;

	if (!cq)
		return NOTHING;
	in = begin_write(w, dev, CMD(RESIZE_CQ), sizeof(*in),
			 sizeof(struct ib_uverbs_resize_cq_resp));
	w->request->driver_out_len = sizeof(*driver);
	in->cq_handle = cq->handle;
	in->cqe = depth(w);
	if (!deliver(w))
		return FAILED;
	driver = driver_answer(w);
	if (cq->rings[0])
		ring_unmap(cq->rings[0]);
	ring_map(w, dev, &cq->rings[0], &driver->mi);
	return WORKED;
}

/* by the kernel, which leaves a program's completions to the program */
static enum outcome poll_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct ib_uverbs_poll_cq *in;
	uint32_t n = 1 + rnd(&w->random) % 15;

	in = begin_write(w, dev, CMD(POLL_CQ), sizeof(*in),
			 sizeof(struct ib_uverbs_poll_cq_resp) +
			 n * sizeof(struct ib_uverbs_wc));
	in->cq_handle = handle_any(w, dev, CQ);
	in->ne = n;
	return done(deliver(w));
}

static enum outcome req_notify_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct ib_uverbs_req_notify_cq *in;

	in = begin_write(w, dev, CMD(REQ_NOTIFY_CQ), sizeof(*in), 0);
	in->cq_handle = handle_any(w, dev, CQ);
	in->solicited_only = rnd(&w->random) % 2;
	return done(deliver(w));
}

static enum outcome modify_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct ib_uverbs_ex_modify_cq *in;

	in = begin_write(w, dev, EX_CMD(MODIFY_CQ), sizeof(*in), 0);
	in->cq_handle = handle_any(w, dev, CQ);
	in->attr_mask = either(w, IBV_CQ_ATTR_MODERATE);
	in->attr.cq_count = rnd(&w->random) % 8;
	in->attr.cq_period = either(w, rnd(&w->random) % 1000);
	return done(deliver(w));
}

static enum outcome destroy_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *cq = object_any(w, dev, CQ);
	struct ib_uverbs_destroy_cq *in;

	if (!cq)
		return NOTHING;
	in = begin_write(w, dev, CMD(DESTROY_CQ), sizeof(*in),
			 sizeof(struct ib_uverbs_destroy_cq_resp));
	in->cq_handle = cq->handle;
	return destroyed(w, cq, deliver(w));
}

static uint32_t rights(struct world *w)
{
	static const uint32_t usual[] = {
		IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC |
		IBV_ACCESS_MW_BIND,
		IBV_ACCESS_LOCAL_WRITE,
		IBV_ACCESS_REMOTE_READ,
		0,
	};
	uint32_t access = usual[one_in(&w->random, 4) ? rnd(&w->random) % 4 : 0];

	if (one_in(&w->random, 2))
		access |= IBV_ACCESS_ON_DEMAND;
	if (one_in(&w->random, 16))
		access |= IBV_ACCESS_ZERO_BASED;
	return either(w, access);
}

static enum outcome reg_mr_as(struct world *w, uint64_t start, uint64_t len,
			      uint64_t iova, uint32_t access)
{
	struct device *dev = any_device(w);
	struct object *mr = object_new(dev, MR);
	struct ib_uverbs_reg_mr *in;

	if (!mr)
		return NOTHING;
	in = begin_write(w, dev, CMD(REG_MR), sizeof(*in),
			 sizeof(struct ib_uverbs_reg_mr_resp));
	in->start = start;
	in->length = len;
	in->hca_va = iova;
	in->pd_handle = handle_any(w, dev, PD);
	in->access_flags = access;
	mr->pd = in->pd_handle;
	mr->addr = in->hca_va;
	mr->len = in->length;
	mr->type = access;
	if (!deliver(w))
		return FAILED;
	object_add(mr, ANSWER(ib_uverbs_reg_mr_resp)->mr_handle);
	mr->lkey = ANSWER(ib_uverbs_reg_mr_resp)->lkey;
	mr->number = ANSWER(ib_uverbs_reg_mr_resp)->rkey;
	return WORKED;
}

static uint64_t somewhere(struct world *w, size_t *len)
{
	uint64_t start = (uintptr_t)arena_range(&w->random, len);
	unsigned int cut = rnd(&w->random) % PAGE;

	if (one_in(&w->random, 4)) {
		start += cut;
		*len -= cut;
	}
	if (one_in(&w->random, 8 * w->mutations))
		*len = odd_long(&w->random);
	if (one_in(&w->random, 8 * w->mutations))
		start = odd_long(&w->random);
	return start;
}

static enum outcome reg_mr(struct world *w)
{
	uint64_t start, iova;
	size_t len;

	start = somewhere(w, &len);
	iova = one_in(&w->random, 8) ? (rnd(&w->random) & ~(PAGE - 1)) + start % PAGE :
				       start;
	return reg_mr_as(w, start, len, iova, rights(w));
}

static enum outcome reg_mr_implicit(struct world *w)
{
	return reg_mr_as(w, 0, SIZE_MAX, 0, rights(w) | IBV_ACCESS_ON_DEMAND);
}

/* memory of the kernel's that is mapped: a ring */
static enum outcome reg_mr_ring(struct world *w)
{
	const struct ring *ring = &w->rings[rnd(&w->random) % RINGS];

	if (!ring->buf)
		return NOTHING;
	return reg_mr_as(w, (uintptr_t)ring->buf, ring->size, (uintptr_t)ring->buf,
			 rights(w));
}

static enum outcome rereg_mr(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *mr = object_any(w, dev, MR);
	struct ib_uverbs_rereg_mr *in;
	size_t len;

	if (!mr)
		return NOTHING;
	in = begin_write(w, dev, CMD(REREG_MR), sizeof(*in),
			 sizeof(struct ib_uverbs_rereg_mr_resp));
	in->mr_handle = mr->handle;
	in->flags = either(w, 1 + rnd(&w->random) % 7);
	in->start = somewhere(w, &len);
	in->length = len;
	in->hca_va = in->start;
	in->pd_handle = handle_any(w, dev, PD);
	in->access_flags = rights(w);
	if (!deliver(w))
		return FAILED;
	if (in->flags & IBV_REREG_MR_CHANGE_TRANSLATION) {
		mr->addr = in->hca_va;
		mr->len = in->length;
	}
	if (in->flags & IBV_REREG_MR_CHANGE_PD)
		mr->pd = in->pd_handle;
	mr->lkey = ANSWER(ib_uverbs_rereg_mr_resp)->lkey;
	mr->number = ANSWER(ib_uverbs_rereg_mr_resp)->rkey;
	return WORKED;
}

static enum outcome dereg_mr(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *mr = object_any(w, dev, MR);
	struct ib_uverbs_dereg_mr *in;

	if (!mr)
		return NOTHING;
	in = begin_write(w, dev, CMD(DEREG_MR), sizeof(*in), 0);
	in->mr_handle = mr->handle;
	return destroyed(w, mr, deliver(w));
}

static enum outcome alloc_mw(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *mw = object_new(dev, MW);
	struct ib_uverbs_alloc_mw *in;

	if (!mw)
		return NOTHING;
	in = begin_write(w, dev, CMD(ALLOC_MW), sizeof(*in),
			 sizeof(struct ib_uverbs_alloc_mw_resp));
	in->pd_handle = handle_any(w, dev, PD);
	in->mw_type = either(w, 1 + rnd(&w->random) % 2);
	mw->pd = in->pd_handle;
	mw->type = in->mw_type;
	if (!deliver(w))
		return FAILED;
	object_add(mw, ANSWER(ib_uverbs_alloc_mw_resp)->mw_handle);
	mw->number = ANSWER(ib_uverbs_alloc_mw_resp)->rkey;
	return WORKED;
}

static enum outcome dealloc_mw(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *mw = object_any(w, dev, MW);
	struct ib_uverbs_dealloc_mw *in;

	if (!mw)
		return NOTHING;
	in = begin_write(w, dev, CMD(DEALLOC_MW), sizeof(*in), 0);
	in->mw_handle = mw->handle;
	return destroyed(w, mw, deliver(w));
}

static void srq_add(struct world *w, struct object *srq, uint32_t handle,
		    const struct rxe_create_srq_resp *driver)
{
	object_add(srq, handle);
	ring_map(w, w->request->dev, &srq->rings[0], &driver->mi);
}

static enum outcome create_srq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *srq = object_new(dev, SRQ);
	struct ib_uverbs_create_srq *in;

	if (!srq)
		return NOTHING;
	in = begin_write(w, dev, CMD(CREATE_SRQ), sizeof(*in),
			 sizeof(struct ib_uverbs_create_srq_resp));
	w->request->driver_out_len = sizeof(struct rxe_create_srq_resp);
	in->pd_handle = handle_any(w, dev, PD);
	in->max_wr = depth(w);
	in->max_sge = either(w, 1 + rnd(&w->random) % 4);
	in->srq_limit = either(w, rnd(&w->random) % 4);
	srq->pd = in->pd_handle;
	if (!deliver(w))
		return FAILED;
	srq_add(w, srq, ANSWER(ib_uverbs_create_srq_resp)->srq_handle,
		driver_answer(w));
	return WORKED;
}

static enum outcome create_xsrq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *srq = object_new(dev, SRQ);
	struct ib_uverbs_create_xsrq *in;

	if (!srq)
		return NOTHING;
	in = begin_write(w, dev, CMD(CREATE_XSRQ), sizeof(*in),
			 sizeof(struct ib_uverbs_create_srq_resp));
	w->request->driver_out_len = sizeof(struct rxe_create_srq_resp);
	in->srq_type = either(w, 0);
	in->pd_handle = handle_any(w, dev, PD);
	in->max_wr = depth(w);
	in->max_sge = 1 + rnd(&w->random) % 4;
	in->cq_handle = handle_any(w, dev, CQ);
	srq->pd = in->pd_handle;
	if (!deliver(w))
		return FAILED;
	srq_add(w, srq, ANSWER(ib_uverbs_create_srq_resp)->srq_handle,
		driver_answer(w));
	return WORKED;
}

static enum outcome modify_srq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *srq = object_any(w, dev, SRQ);
	struct ib_uverbs_modify_srq *in;
	struct rxe_modify_srq_cmd *driver;
	struct mminfo *info = (void *)&w->request->out[64];

	if (!srq)
		return NOTHING;
	in = begin_write(w, dev, CMD(MODIFY_SRQ), sizeof(*in), 0);
	in->srq_handle = srq->handle;
	in->attr_mask = either(w, 1 + rnd(&w->random) % 2);
	in->max_wr = depth(w);
	in->srq_limit = either(w, rnd(&w->random) % 4);
	driver = (void *)(in + 1);
	driver->mmap_info_addr = (uintptr_t)info;
	w->request->driver_in_len = sizeof(*driver);
	if (!deliver(w))
		return FAILED;
	if (in->attr_mask & IBV_SRQ_MAX_WR) {
		if (srq->rings[0])
			ring_unmap(srq->rings[0]);
		ring_map(w, dev, &srq->rings[0], info);
	}
	return WORKED;
}

static enum outcome query_srq(struct world *w)
{
	struct device *dev = any_device(w);
	struct ib_uverbs_query_srq *in;

	in = begin_write(w, dev, CMD(QUERY_SRQ), sizeof(*in),
			 sizeof(struct ib_uverbs_query_srq_resp));
	in->srq_handle = handle_any(w, dev, SRQ);
	return done(deliver(w));
}

static enum outcome destroy_srq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *srq = object_any(w, dev, SRQ);
	struct ib_uverbs_destroy_srq *in;

	if (!srq)
		return NOTHING;
	in = begin_write(w, dev, CMD(DESTROY_SRQ), sizeof(*in),
			 sizeof(struct ib_uverbs_destroy_srq_resp));
	in->srq_handle = srq->handle;
	return destroyed(w, srq, deliver(w));
}

/* fields that the two ways to create a queue pair have in the same order */
struct qp_fields {
	__u32 pd_handle;
	__u32 send_cq_handle;
	__u32 recv_cq_handle;
	__u32 srq_handle;
	__u32 max_send_wr;
	__u32 max_recv_wr;
	__u32 max_send_sge;
	__u32 max_recv_sge;
	__u32 max_inline_data;
	__u8 sq_sig_all;
	__u8 qp_type;
	__u8 is_srq;
	__u8 reserved;
};

static uint32_t any_service(struct world *w)
{
	static const uint32_t services[] = {
		IBV_QPT_RC, IBV_QPT_RC, IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD,
	};

	return either(w, services[rnd(&w->random) % NUM(services)]);
}

static void fill_qp(struct world *w, struct qp_fields *in, struct object *qp)
{
	struct device *dev = w->request->dev;

	*in = (struct qp_fields) {
		.pd_handle = handle_any(w, dev, PD),
		.send_cq_handle = handle_any(w, dev, CQ),
		.recv_cq_handle = handle_any(w, dev, CQ),
		.max_send_wr = depth(w),
		.max_recv_wr = depth(w),
		.max_send_sge = either(w, 1 + rnd(&w->random) % 4),
		.max_recv_sge = either(w, 1 + rnd(&w->random) % 4),
		.max_inline_data = either(w, rnd(&w->random) % 128),
		.sq_sig_all = rnd(&w->random) % 2,
		.qp_type = any_service(w),
		.is_srq = one_in(&w->random, 4) && object_any(w, dev, SRQ),
	};
	if (in->is_srq)
		in->srq_handle = handle_any(w, dev, SRQ);
	qp->pd = in->pd_handle;
	qp->type = in->qp_type;
	qp->cqs[0] = in->send_cq_handle;
	qp->cqs[1] = in->recv_cq_handle;
}

static void qp_add(struct world *w, struct object *qp,
		   const struct ib_uverbs_create_qp_resp *answer)
{
	const struct rxe_create_qp_resp *driver = driver_answer(w);

	object_add(qp, answer->qp_handle);
	qp->number = answer->qpn;
	qp->state = IBV_QPS_RESET;
	ring_map(w, w->request->dev, &qp->rings[0], &driver->sq_mi);
	ring_map(w, w->request->dev, &qp->rings[1], &driver->rq_mi);
}

static enum outcome create_qp(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *qp = object_new(dev, QP);
	struct ib_uverbs_create_qp *in;

	if (!qp)
		return NOTHING;
	in = begin_write(w, dev, CMD(CREATE_QP), sizeof(*in),
			 sizeof(struct ib_uverbs_create_qp_resp));
	w->request->driver_out_len = sizeof(struct rxe_create_qp_resp);
	fill_qp(w, (void *)&in->pd_handle, qp);
	if (!deliver(w))
		return FAILED;
	qp_add(w, qp, ANSWER(ib_uverbs_create_qp_resp));
	return WORKED;
}

static enum outcome ex_create_qp(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *qp = object_new(dev, QP);
	struct ib_uverbs_ex_create_qp *in;

	if (!qp)
		return NOTHING;
	in = begin_write(w, dev, EX_CMD(CREATE_QP), sizeof(*in),
			 sizeof(struct ib_uverbs_ex_create_qp_resp));
	w->request->driver_out_len = sizeof(struct rxe_create_qp_resp);
	fill_qp(w, (void *)&in->pd_handle, qp);
	in->create_flags = either(w, 0);
	if (!deliver(w))
		return FAILED;
	qp_add(w, qp, &ANSWER(ib_uverbs_ex_create_qp_resp)->base);
	return WORKED;
}

static enum outcome open_qp(struct world *w)
{
	struct device *dev = any_device(w);
	struct ib_uverbs_open_qp *in;

	in = begin_write(w, dev, CMD(OPEN_QP), sizeof(*in),
			 sizeof(struct ib_uverbs_create_qp_resp));
	in->pd_handle = handle_any(w, dev, PD);
	in->qpn = rnd(&w->random) % 0x1000000;
	in->qp_type = IBV_QPT_XRC_RECV;
	return done(deliver(w));
}

/* a known address of the device at the other end, or seldom something else */
static void any_gid(struct world *w, uint8_t *gid, int which, int family)
{
	memcpy(gid, w->around->gids[which][family], 16);
	/* nobody answers for these, and the kernel asks for a second */
	if (one_in(&w->random, 20000))
		gid[15] = 9;
	if (one_in(&w->random, 8 * w->mutations))
		memset(gid, 0, 16);
}

static void fill_dest(struct world *w, struct ib_uverbs_qp_dest *dest, int from,
		      int to)
{
	int family = rnd(&w->random) % 2;

	any_gid(w, dest->dgid, to, family);
	dest->sgid_index = either(w, w->around->gid_index[from][family]);
	dest->hop_limit = either(w, 64);
	dest->traffic_class = rnd(&w->random);
	dest->flow_label = either(w, 0);
	dest->is_global = !one_in(&w->random, 8 * w->mutations);
	dest->port_num = either(w, 1);
}

/* IBTA table 91: what a transition takes */
static uint32_t mask_to(uint32_t type, uint32_t state)
{
	bool datagram = type == IBV_QPT_UD;

	switch (state) {
	case IBV_QPS_INIT:
		return IBV_QP_PKEY_INDEX | IBV_QP_PORT |
		       (datagram ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS);
	case IBV_QPS_RTR:
		return datagram ? 0 : IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
		       IBV_QP_RQ_PSN |
		       (type == IBV_QPT_RC ? IBV_QP_MAX_DEST_RD_ATOMIC |
					     IBV_QP_MIN_RNR_TIMER : 0);
	case IBV_QPS_RTS:
		return IBV_QP_SQ_PSN |
		       (type == IBV_QPT_RC ? IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT |
					     IBV_QP_RNR_RETRY |
					     IBV_QP_MAX_QP_RD_ATOMIC : 0);
	default:
		return 0;
	}
}

static const uint32_t optional_masks[] = {
	IBV_QP_CUR_STATE, IBV_QP_EN_SQD_ASYNC_NOTIFY, IBV_QP_ACCESS_FLAGS,
	IBV_QP_QKEY, IBV_QP_MIN_RNR_TIMER, IBV_QP_TIMEOUT, IBV_QP_CAP,
	IBV_QP_ALT_PATH, IBV_QP_PATH_MIG_STATE, IBV_QP_RATE_LIMIT, IBV_QP_AV,
	IBV_QP_DEST_QPN, IBV_QP_PKEY_INDEX,
};

static void fill_modify(struct world *w, struct ib_uverbs_modify_qp *in,
			const struct object *qp, uint32_t state, int from, int to,
			uint32_t qpn)
{
	in->qp_handle = qp->handle;
	in->attr_mask = IBV_QP_STATE | mask_to(qp->type, state);
	while (one_in(&w->random, 4 * w->mutations))
		in->attr_mask ^= optional_masks[rnd(&w->random) %
						NUM(optional_masks)];
	in->qp_state = state;
	in->cur_qp_state = qp->state;
	in->pkey_index = either(w, 0);
	in->port_num = either(w, 1);
	in->qp_access_flags =
		either(w, qp->type == IBV_QPT_UC ?
			  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE :
			  IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
			  IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC);
	in->qkey = either(w, 0x1234);
	fill_dest(w, &in->dest, from, to);
	in->path_mtu = either(w, 1 + rnd(&w->random) % 3);
	in->dest_qp_num = qpn;
	in->rq_psn = either(w, FIRST_PSN);
	in->sq_psn = in->rq_psn;
	in->max_rd_atomic = either(w, 1 + rnd(&w->random) % 16);
	in->max_dest_rd_atomic = either(w, 16);
	in->min_rnr_timer = either(w, 1);
	in->timeout = either(w, 10 + rnd(&w->random) % 4);
	in->retry_cnt = either(w, rnd(&w->random) % 8);
	in->rnr_retry = either(w, rnd(&w->random) % 8);
	in->en_sqd_async_notify = rnd(&w->random) % 2;
	in->alt_timeout = odd_number(&w->random);
	in->alt_port_num = odd_number(&w->random);
}

static bool modify(struct world *w, struct device *dev, struct object *qp,
		   uint32_t state, const struct device *peer, uint32_t qpn)
{
	struct ib_uverbs_modify_qp *in;

	if (one_in(&w->random, 4))
		in = begin_write(w, dev, EX_CMD(MODIFY_QP),
				 sizeof(struct ib_uverbs_ex_modify_qp),
				 sizeof(struct ib_uverbs_ex_modify_qp_resp));
	else
		in = begin_write(w, dev, CMD(MODIFY_QP), sizeof(*in), 0);
	fill_modify(w, in, qp, state, dev->which, peer->which, qpn);
	if (!deliver(w))
		return false;
	qp->state = state;
	qp->peer = peer->which;
	return true;
}

static enum outcome modify_qp(struct world *w)
{
	struct device *dev = any_device(w), *peer = any_device(w);
	struct object *qp = object_any(w, dev, QP), *to = object_any(w, peer, QP);
	uint32_t state;

	if (!qp || !to)
		return NOTHING;
	state = one_in(&w->random, 3) ? rnd(&w->random) % 7 :
					(qp->state + 1) % 7;
	qp->peer_pd = to->pd;
	return done(modify(w, dev, qp, state, peer, to->number));
}

static bool to_rts(struct world *w, struct device *dev, struct object *qp,
		   const struct device *peer, uint32_t qpn)
{
	uint32_t state;

	for (state = IBV_QPS_RESET; state <= IBV_QPS_RTS; state++)
		if (!modify(w, dev, qp, state, peer, qpn))
			return false;
	return true;
}

/* two of one service, to each other; or one to itself */
static enum outcome connect_qps(struct world *w)
{
	struct device *dev = any_device(w), *peer = any_device(w);
	struct object *qp = object_any(w, dev, QP), *to = NULL;
	int tries;

	for (tries = 0; qp && tries < 4; tries++) {
		to = object_any(w, peer, QP);
		if (to && to->type == qp->type)
			break;
	}
	if (!qp || !to || to->type != qp->type)
		return NOTHING;
	qp->peer_pd = to->pd;
	to->peer_pd = qp->pd;
	if (!to_rts(w, dev, qp, peer, to->number))
		return FAILED;
	return done(qp == to || to_rts(w, peer, to, dev, qp->number));
}

static enum outcome query_qp(struct world *w)
{
	struct device *dev = any_device(w);
	struct ib_uverbs_query_qp *in;

	in = begin_write(w, dev, CMD(QUERY_QP), sizeof(*in),
			 sizeof(struct ib_uverbs_query_qp_resp));
	in->qp_handle = handle_any(w, dev, QP);
	in->attr_mask = odd_number(&w->random) & 0x1fffff;
	return done(deliver(w));
}

static enum outcome destroy_qp(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *qp = object_any(w, dev, QP);
	struct ib_uverbs_destroy_qp *in;

	if (!qp)
		return NOTHING;
	in = begin_write(w, dev, CMD(DESTROY_QP), sizeof(*in),
			 sizeof(struct ib_uverbs_destroy_qp_resp));
	in->qp_handle = qp->handle;
	return destroyed(w, qp, deliver(w));
}

static const uint8_t groups[2][16] = {
	/* 239.1.2.3 and ff0e::1:2:3 */
	{ [10] = 0xff, [11] = 0xff, [12] = 239, [13] = 1, [14] = 2, [15] = 3 },
	{ 0xff, 0x0e, [11] = 1, [13] = 2, [15] = 3 },
};

static enum outcome create_ah(struct world *w)
{
	struct device *dev = any_device(w), *to = any_device(w);
	struct object *ah = object_new(dev, AH);
	int family = rnd(&w->random) % 2;
	struct ib_uverbs_create_ah *in;
	const struct rxe_create_ah_resp *driver;

	if (!ah)
		return NOTHING;
	in = begin_write(w, dev, CMD(CREATE_AH), sizeof(*in),
			 sizeof(struct ib_uverbs_create_ah_resp));
	w->request->driver_out_len = sizeof(*driver);
	in->user_handle = rnd(&w->random);
	in->pd_handle = handle_any(w, dev, PD);
	in->attr.is_global = 1;
	in->attr.port_num = either(w, 1);
	in->attr.grh.sgid_index = either(w, w->around->gid_index[dev->which][family]);
	in->attr.grh.hop_limit = either(w, 64);
	ah->type = one_in(&w->random, 4);
	if (ah->type)
		memcpy(in->attr.grh.dgid, groups[family], 16);
	else
		any_gid(w, in->attr.grh.dgid, to->which, family);
	ah->pd = in->pd_handle;
	if (!deliver(w))
		return FAILED;
	driver = driver_answer(w);
	object_add(ah, ANSWER(ib_uverbs_create_ah_resp)->ah_handle);
	ah->number = driver->ah_num;
	ah->peer = to->which;
	return WORKED;
}

static enum outcome destroy_ah(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *ah = object_any(w, dev, AH);
	struct ib_uverbs_destroy_ah *in;

	if (!ah)
		return NOTHING;
	in = begin_write(w, dev, CMD(DESTROY_AH), sizeof(*in), 0);
	in->ah_handle = ah->handle;
	return destroyed(w, ah, deliver(w));
}

static struct object *any_datagram_qp(struct world *w, struct device *dev)
{
	struct object *qp = NULL;
	int tries;

	for (tries = 0; tries < 8; tries++) {
		qp = object_any(w, dev, QP);
		if (!qp || qp->type == IBV_QPT_UD)
			break;
	}
	return qp;
}

static enum outcome mcast(struct world *w, uint32_t command)
{
	struct device *dev = any_device(w);
	struct object *qp = any_datagram_qp(w, dev);
	struct ib_uverbs_attach_mcast *in;

	if (!qp)
		return NOTHING;
	in = begin_write(w, dev, command, sizeof(*in), 0);
	in->qp_handle = qp->handle;
	memcpy(in->gid, groups[rnd(&w->random) % 2], 16);
	if (one_in(&w->random, 8))
		in->gid[15] = rnd(&w->random);
	in->mlid = either(w, 0xc000);
	return done(deliver(w));
}

static enum outcome attach_mcast(struct world *w)
{
	return mcast(w, CMD(ATTACH_MCAST));
}

static enum outcome detach_mcast(struct world *w)
{
	return mcast(w, CMD(DETACH_MCAST));
}

/* requests that the kernel is to copy: the driver has rings instead */
static enum outcome post_list(struct world *w, uint32_t command, enum kind kind,
			      size_t wr_size)
{
	struct device *dev = any_device(w);
	uint32_t n = 1 + rnd(&w->random) % 3;
	struct ib_uverbs_post_recv *in;
	struct ib_uverbs_recv_wr *wr;
	struct ib_uverbs_sge *sge;
	uint32_t i;

	in = begin_write(w, dev, command,
			 sizeof(*in) + n * (wr_size + sizeof(*sge)),
			 sizeof(struct ib_uverbs_post_recv_resp));
	in->qp_handle = handle_any(w, dev, kind);
	in->wr_count = n;
	in->sge_count = either(w, n);
	in->wqe_size = either(w, wr_size);
	for (i = 0; i < n; i++) {
		wr = (void *)((char *)in->recv_wr + i * wr_size);
		wr->wr_id = rnd(&w->random);
		wr->num_sge = either(w, 1);
		sge = (void *)((char *)in->recv_wr + n * wr_size) + i * sizeof(*sge);
		sge->addr = (uintptr_t)ARENA;
		sge->length = odd_number(&w->random);
	}
	return done(deliver(w));
}

static enum outcome post_send_list(struct world *w)
{
	return post_list(w, CMD(POST_SEND), QP, sizeof(struct ib_uverbs_send_wr));
}

static enum outcome post_recv_list(struct world *w)
{
	return post_list(w, CMD(POST_RECV), QP, sizeof(struct ib_uverbs_recv_wr));
}

static enum outcome post_srq_recv_list(struct world *w)
{
	return post_list(w, CMD(POST_SRQ_RECV), SRQ, sizeof(struct ib_uverbs_recv_wr));
}

/* what the driver has nothing of, with numbers at random */
static enum outcome refused(struct world *w, uint32_t command, size_t in_len,
			    size_t out_len)
{
	struct device *dev = any_device(w);
	uint32_t *in = begin_write(w, dev, command, in_len, out_len);
	size_t i = command & IB_USER_VERBS_CMD_FLAG_EXTENDED ? 0 : 2;

	for (; i < in_len / 4; i++)
		in[i] = one_in(&w->random, 2) ?
				handle_any(w, dev, rnd(&w->random) % KINDS) :
				odd_number(&w->random);
	return done(deliver(w));
}

static enum outcome open_xrcd(struct world *w)
{
	return refused(w, CMD(OPEN_XRCD), sizeof(struct ib_uverbs_open_xrcd),
		       sizeof(struct ib_uverbs_open_xrcd_resp));
}

static enum outcome close_xrcd(struct world *w)
{
	return refused(w, CMD(CLOSE_XRCD), sizeof(struct ib_uverbs_close_xrcd), 0);
}

static enum outcome create_flow(struct world *w)
{
	return refused(w, EX_CMD(CREATE_FLOW), sizeof(struct ib_uverbs_create_flow),
		       sizeof(struct ib_uverbs_create_flow_resp));
}

static enum outcome destroy_flow(struct world *w)
{
	return refused(w, EX_CMD(DESTROY_FLOW), sizeof(struct ib_uverbs_destroy_flow),
		       0);
}

static enum outcome create_wq(struct world *w)
{
	return refused(w, EX_CMD(CREATE_WQ), sizeof(struct ib_uverbs_ex_create_wq),
		       sizeof(struct ib_uverbs_ex_create_wq_resp));
}

static enum outcome modify_wq(struct world *w)
{
	return refused(w, EX_CMD(MODIFY_WQ), sizeof(struct ib_uverbs_ex_modify_wq), 0);
}

static enum outcome destroy_wq(struct world *w)
{
	return refused(w, EX_CMD(DESTROY_WQ), sizeof(struct ib_uverbs_ex_destroy_wq),
		       sizeof(struct ib_uverbs_ex_destroy_wq_resp));
}

static enum outcome create_rwq_ind_table(struct world *w)
{
	return refused(w, EX_CMD(CREATE_RWQ_IND_TBL), 16,
		       sizeof(struct ib_uverbs_ex_create_rwq_ind_table_resp));
}

static enum outcome destroy_rwq_ind_table(struct world *w)
{
	return refused(w, EX_CMD(DESTROY_RWQ_IND_TBL),
		       sizeof(struct ib_uverbs_ex_destroy_rwq_ind_table), 0);
}

/* a command of any number, with anything in it */
static enum outcome any_command(struct world *w)
{
	struct device *dev = any_device(w);
	uint32_t command = rnd(&w->random) % 64;
	uint32_t *in, i;

	if (one_in(&w->random, 3))
		command |= IB_USER_VERBS_CMD_FLAG_EXTENDED;
	in = begin_write(w, dev, command, 8 * (1 + rnd(&w->random) % 12),
			 8 * (rnd(&w->random) % 24));
	w->request->driver_in_len = 8 * (rnd(&w->random) % 3);
	w->request->driver_out_len = 8 * (rnd(&w->random) % 5);
	for (i = 0; i < w->request->in_len / 4; i++)
		in[i] = one_in(&w->random, 2) ?
				handle_any(w, dev, rnd(&w->random) % KINDS) :
				odd_number(&w->random);
	deliver(w);
	/* whatever it did, nobody relies on it */
	return WORKED;
}

const struct call write_calls[] = {
	{ "query_device", query_device, 2 },
	{ "query_device_ex", ex_query_device, 2 },
	{ "query_port", query_port, 2 },
	{ "get_context again", get_context_again, 1, true },
	{ "alloc_pd", alloc_pd, 6 },
	{ "dealloc_pd", dealloc_pd, 3 },
	{ "create_comp_channel", create_comp_channel, 3 },
	{ "create_cq", create_cq, 8 },
	{ "create_cq_ex", ex_create_cq, 4 },
	{ "resize_cq", resize_cq, 4 },
	/* a program has a ring for that */
	{ "poll_cq", poll_cq, 3, true },
	{ "req_notify_cq", req_notify_cq, 8 },
	{ "modify_cq", modify_cq, 3 },
	{ "destroy_cq", destroy_cq, 6 },
	{ "reg_mr", reg_mr, 16 },
	{ "reg_mr, all addresses", reg_mr_implicit, 3 },
	{ "reg_mr, a ring", reg_mr_ring, 2 },
	{ "rereg_mr", rereg_mr, 10 },
	{ "dereg_mr", dereg_mr, 12 },
	{ "alloc_mw", alloc_mw, 5 },
	{ "dealloc_mw", dealloc_mw, 4 },
	{ "create_srq", create_srq, 5 },
	{ "create_xsrq", create_xsrq, 3 },
	{ "modify_srq", modify_srq, 5 },
	{ "query_srq", query_srq, 3 },
	{ "destroy_srq", destroy_srq, 4 },
	{ "create_qp", create_qp, 12 },
	{ "create_qp_ex", ex_create_qp, 5 },
	{ "open_qp", open_qp, 1, true },
	{ "modify_qp", modify_qp, 25 },
	{ "connection of queue pairs", connect_qps, 20 },
	{ "query_qp", query_qp, 6 },
	{ "destroy_qp", destroy_qp, 8 },
	{ "create_ah", create_ah, 5 },
	{ "destroy_ah", destroy_ah, 4 },
	{ "attach_mcast", attach_mcast, 4 },
	{ "detach_mcast", detach_mcast, 4 },
	{ "post_send, a list", post_send_list, 2, true },
	{ "post_recv, a list", post_recv_list, 2, true },
	{ "post_srq_recv, a list", post_srq_recv_list, 2, true },
	{ "open_xrcd", open_xrcd, 1, true },
	{ "close_xrcd", close_xrcd, 1, true },
	{ "create_flow", create_flow, 1, true },
	{ "destroy_flow", destroy_flow, 1, true },
	{ "create_wq", create_wq, 1, true },
	{ "modify_wq", modify_wq, 1, true },
	{ "destroy_wq", destroy_wq, 1, true },
	{ "create_rwq_ind_table", create_rwq_ind_table, 1, true },
	{ "destroy_rwq_ind_table", destroy_rwq_ind_table, 1, true },
	{ "any command", any_command, 6 },
	{}
};
