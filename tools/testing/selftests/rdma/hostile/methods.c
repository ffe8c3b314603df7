// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Methods of uverbs, by ioctl(): what commands have not, and the same another way. */
#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <string.h>
#include <unistd.h>

#include "ktap_test.h"
#include "world.h"

static enum outcome done(bool worked)
{
	return worked ? WORKED : FAILED;
}

/* an object that the method makes; where its handle is put */
static struct ib_uverbs_attr *add_new(struct world *w, uint16_t id)
{
	return add_attr(w, id, 0, 0);
}

static void add_number(struct world *w, uint16_t id, uint16_t len, uint64_t number)
{
	if (one_in(&w->random, 8 * w->mutations))
		number = odd_long(&w->random);
	add_attr(w, id, len, number);
}

static void add_driver_answer(struct world *w, uint16_t len)
{
	/* driver_answer() finds it there */
	w->request->out_len = 256;
	add_answer(w, UVERBS_ATTR_UHW_OUT, len, 256);
}

static uint32_t depth(struct world *w)
{
	return 1 + rnd(&w->random) % 32;
}

static enum outcome query_port(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_DEVICE,
		     UVERBS_METHOD_QUERY_PORT);
	add_number(w, UVERBS_ATTR_QUERY_PORT_PORT_NUM, 8, 1);
	add_answer(w, UVERBS_ATTR_QUERY_PORT_RESP,
		   sizeof(struct ib_uverbs_query_port_resp_ex), 0);
	return done(deliver(w));
}

static enum outcome query_context(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_DEVICE,
		     UVERBS_METHOD_QUERY_CONTEXT);
	add_answer(w, UVERBS_ATTR_QUERY_CONTEXT_NUM_COMP_VECTORS, 4, 0);
	add_answer(w, UVERBS_ATTR_QUERY_CONTEXT_CORE_SUPPORT, 8, 8);
	return done(deliver(w));
}

static enum outcome info_handles(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_DEVICE,
		     UVERBS_METHOD_INFO_HANDLES);
	add_number(w, UVERBS_ATTR_INFO_OBJECT_ID, 8,
		   UVERBS_OBJECT_PD + rnd(&w->random) % 8);
	add_answer(w, UVERBS_ATTR_INFO_TOTAL_HANDLES, 4, 0);
	add_answer(w, UVERBS_ATTR_INFO_HANDLES_LIST, 4 * OBJECTS, 8);
	return done(deliver(w));
}

static enum outcome query_gid_table(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_DEVICE,
		     UVERBS_METHOD_QUERY_GID_TABLE);
	add_number(w, UVERBS_ATTR_QUERY_GID_TABLE_ENTRY_SIZE, 8,
		   sizeof(struct ib_uverbs_gid_entry));
	add_number(w, UVERBS_ATTR_QUERY_GID_TABLE_FLAGS, 4, 0);
	add_answer(w, UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES,
		   32 * sizeof(struct ib_uverbs_gid_entry), 8);
	add_answer(w, UVERBS_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES, 8, 0);
	return done(deliver(w));
}

static enum outcome query_gid_entry(struct world *w)
{
	struct device *dev = any_device(w);

	begin_method(w, dev, UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_GID_ENTRY);
	add_number(w, UVERBS_ATTR_QUERY_GID_ENTRY_PORT, 8, 1);
	add_number(w, UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX, 8,
		   w->around->gid_index[dev->which][rnd(&w->random) % 2]);
	add_number(w, UVERBS_ATTR_QUERY_GID_ENTRY_FLAGS, 4, 0);
	add_answer(w, UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY,
		   sizeof(struct ib_uverbs_gid_entry), 0);
	return done(deliver(w));
}

static enum outcome alloc_events(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *events = object_new(dev, EVENTS);
	struct ib_uverbs_attr *fd;

	if (!events)
		return NOTHING;
	begin_method(w, dev, UVERBS_OBJECT_ASYNC_EVENT,
		     UVERBS_METHOD_ASYNC_EVENT_ALLOC);
	fd = add_new(w, UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE);
	if (!deliver(w))
		return FAILED;
	object_add(events, fd->data);
	fcntl(events->handle, F_SETFL, O_NONBLOCK);
	return WORKED;
}

static enum outcome create_cq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *cq = object_new(dev, CQ), *to;
	const struct rxe_create_cq_resp *driver;
	struct ib_uverbs_attr *handle;

	if (!cq)
		return NOTHING;
	begin_method(w, dev, UVERBS_OBJECT_CQ, UVERBS_METHOD_CQ_CREATE);
	handle = add_new(w, UVERBS_ATTR_CREATE_CQ_HANDLE);
	add_number(w, UVERBS_ATTR_CREATE_CQ_CQE, 4, depth(w));
	add_attr(w, UVERBS_ATTR_CREATE_CQ_USER_HANDLE, 8, rnd(&w->random));
	add_number(w, UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, 4, 0);
	add_answer(w, UVERBS_ATTR_CREATE_CQ_RESP_CQE, 4, 0);
	to = object_any(w, dev, CHANNEL);
	if (to && one_in(&w->random, 2))
		add_attr(w, UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL, 0, to->handle);
	to = object_any(w, dev, EVENTS);
	if (to && one_in(&w->random, 2))
		add_attr(w, UVERBS_ATTR_CREATE_CQ_EVENT_FD, 0, to->handle);
	add_driver_answer(w, sizeof(*driver));
	if (!deliver(w))
		return FAILED;
	driver = driver_answer(w);
	object_add(cq, handle->data);
	ring_map(w, dev, &cq->rings[0], &driver->mi);
	return WORKED;
}

static enum outcome create_srq(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *srq = object_new(dev, SRQ);
	const struct rxe_create_srq_resp *driver;
	struct ib_uverbs_attr *handle;

	if (!srq)
		return NOTHING;
	srq->pd = handle_any(w, dev, PD);
	begin_method(w, dev, UVERBS_OBJECT_SRQ, UVERBS_METHOD_SRQ_CREATE);
	handle = add_new(w, UVERBS_ATTR_CREATE_SRQ_HANDLE);
	add_attr(w, UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, 0, srq->pd);
	add_attr(w, UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, 8, rnd(&w->random));
	add_number(w, UVERBS_ATTR_CREATE_SRQ_MAX_WR, 4, depth(w));
	add_number(w, UVERBS_ATTR_CREATE_SRQ_MAX_SGE, 4, 1 + rnd(&w->random) % 4);
	add_number(w, UVERBS_ATTR_CREATE_SRQ_LIMIT, 4, 0);
	add_number(w, UVERBS_ATTR_CREATE_SRQ_TYPE, 8, IBV_SRQT_BASIC);
	add_answer(w, UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, 4, 0);
	add_answer(w, UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, 4, 4);
	add_driver_answer(w, sizeof(*driver));
	if (!deliver(w))
		return FAILED;
	driver = driver_answer(w);
	object_add(srq, handle->data);
	ring_map(w, dev, &srq->rings[0], &driver->mi);
	return WORKED;
}

static enum outcome create_qp(struct world *w)
{
	static const uint32_t services[] = { IBV_QPT_RC, IBV_QPT_UC, IBV_QPT_UD };
	struct device *dev = any_device(w);
	struct object *qp = object_new(dev, QP);
	const struct rxe_create_qp_resp *driver;
	struct ib_uverbs_qp_cap *cap = (void *)w->request->list;
	struct ib_uverbs_attr *handle;

	if (!qp)
		return NOTHING;
	qp->pd = handle_any(w, dev, PD);
	qp->type = services[rnd(&w->random) % NUM(services)];
	*cap = (struct ib_uverbs_qp_cap) {
		.max_send_wr = depth(w),
		.max_recv_wr = depth(w),
		.max_send_sge = 1 + rnd(&w->random) % 4,
		.max_recv_sge = 1 + rnd(&w->random) % 4,
		.max_inline_data = rnd(&w->random) % 128,
	};
	qp->cqs[0] = handle_any(w, dev, CQ);
	qp->cqs[1] = handle_any(w, dev, CQ);
	begin_method(w, dev, UVERBS_OBJECT_QP, UVERBS_METHOD_QP_CREATE);
	handle = add_new(w, UVERBS_ATTR_CREATE_QP_HANDLE);
	add_attr(w, UVERBS_ATTR_CREATE_QP_PD_HANDLE, 0, qp->pd);
	add_attr(w, UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, 0, qp->cqs[0]);
	add_attr(w, UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, 0, qp->cqs[1]);
	add_attr(w, UVERBS_ATTR_CREATE_QP_USER_HANDLE, 8, rnd(&w->random));
	add_attr(w, UVERBS_ATTR_CREATE_QP_CAP, sizeof(*cap), (uintptr_t)cap);
	add_number(w, UVERBS_ATTR_CREATE_QP_TYPE, 8, qp->type);
	add_number(w, UVERBS_ATTR_CREATE_QP_FLAGS, 4, 0);
	add_answer(w, UVERBS_ATTR_CREATE_QP_RESP_CAP, sizeof(*cap), 0);
	add_answer(w, UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, 4, sizeof(*cap) + 4);
	add_driver_answer(w, sizeof(*driver));
	if (!deliver(w))
		return FAILED;
	driver = driver_answer(w);
	object_add(qp, handle->data);
	memcpy(&qp->number, w->request->out + sizeof(*cap) + 4, 4);
	qp->state = IBV_QPS_RESET;
	ring_map(w, dev, &qp->rings[0], &driver->sq_mi);
	ring_map(w, dev, &qp->rings[1], &driver->rq_mi);
	return WORKED;
}

/* where a range of a region begins, and how much of it there may be */
static struct ibv_sge sge_of(struct world *w, const struct object *mr)
{
	uint64_t len = mr->len < ARENA_BYTES ? mr->len : ARENA_BYTES;
	uint64_t offset = len ? rnd(&w->random) % len : 0;
	struct ibv_sge sge = {
		.addr = mr->addr + offset,
		.length = len - offset < 65536 ? len - offset : 65536,
		.lkey = mr->lkey,
	};

	/* an implicit region begins at 0, where there is nothing */
	if (mr->len > ARENA_BYTES)
		sge.addr += (uintptr_t)ARENA;
	if (one_in(&w->random, 4 * w->mutations))
		sge.length = odd_number(&w->random);
	return sge;
}

static enum outcome advise_mr(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *pd = object_any(w, dev, PD), *mr;
	struct ibv_sge *sges = (void *)w->request->list;
	uint32_t n = 1 + rnd(&w->random) % 4, i;

	if (!pd)
		return NOTHING;
	for (i = 0; i < n; i++) {
		mr = object_of_pd(w, dev, MR, pd->handle);
		if (!mr)
			return NOTHING;
		sges[i] = sge_of(w, mr);
	}
	begin_method(w, dev, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR);
	add_attr(w, UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 0, pd->handle);
	add_number(w, UVERBS_ATTR_ADVISE_MR_ADVICE, 8, rnd(&w->random) % 3);
	add_number(w, UVERBS_ATTR_ADVISE_MR_FLAGS, 4, rnd(&w->random) % 2);
	add_attr(w, UVERBS_ATTR_ADVISE_MR_SGE_LIST, n * sizeof(sges[0]),
		 n ? (uintptr_t)sges : 0);
	return done(deliver(w));
}

static enum outcome query_mr(struct world *w)
{
	struct device *dev = any_device(w);

	begin_method(w, dev, UVERBS_OBJECT_MR, UVERBS_METHOD_QUERY_MR);
	add_attr(w, UVERBS_ATTR_QUERY_MR_HANDLE, 0, handle_any(w, dev, MR));
	add_answer(w, UVERBS_ATTR_QUERY_MR_RESP_LKEY, 4, 0);
	add_answer(w, UVERBS_ATTR_QUERY_MR_RESP_RKEY, 4, 8);
	add_answer(w, UVERBS_ATTR_QUERY_MR_RESP_LENGTH, 8, 16);
	add_answer(w, UVERBS_ATTR_QUERY_MR_RESP_IOVA, 8, 24);
	return done(deliver(w));
}

static enum outcome reg_dmabuf_mr(struct world *w)
{
	struct device *dev = any_device(w);
	struct object *mr = object_new(dev, MR);
	struct ib_uverbs_attr *handle;
	uint64_t offset;
	int fd;

	fd = w->around->buffers[rnd(&w->random) % BUFFERS];
	if (!mr || fd < 0)
		return NOTHING;
	offset = rnd(&w->random) % w->around->buffer_len;
	mr->pd = handle_any(w, dev, PD);
	mr->addr = 0x10000 + offset;
	mr->len = w->around->buffer_len - offset;
	begin_method(w, dev, UVERBS_OBJECT_MR, UVERBS_METHOD_REG_DMABUF_MR);
	handle = add_new(w, UVERBS_ATTR_REG_DMABUF_MR_HANDLE);
	add_attr(w, UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, 0, mr->pd);
	add_number(w, UVERBS_ATTR_REG_DMABUF_MR_OFFSET, 8, offset);
	add_number(w, UVERBS_ATTR_REG_DMABUF_MR_LENGTH, 8, mr->len);
	add_number(w, UVERBS_ATTR_REG_DMABUF_MR_IOVA, 8, mr->addr);
	add_attr(w, UVERBS_ATTR_REG_DMABUF_MR_FD, 4, fd);
	add_number(w, UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, 4,
		   IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		   IBV_ACCESS_REMOTE_READ);
	add_answer(w, UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, 4, 0);
	add_answer(w, UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, 4, 8);
	if (!deliver(w))
		return FAILED;
	object_add(mr, handle->data);
	memcpy(&mr->lkey, w->request->out, 4);
	memcpy(&mr->number, w->request->out + 8, 4);
	return WORKED;
}

static const struct {
	uint16_t object;
	uint16_t method;
	uint16_t attr;
	uint16_t answer;
	uint16_t answer_len;
} destroys[KINDS] = {
	[PD] = { UVERBS_OBJECT_PD, UVERBS_METHOD_PD_DESTROY },
	[CQ] = { UVERBS_OBJECT_CQ, UVERBS_METHOD_CQ_DESTROY,
		 UVERBS_ATTR_DESTROY_CQ_HANDLE, UVERBS_ATTR_DESTROY_CQ_RESP,
		 sizeof(struct ib_uverbs_destroy_cq_resp) },
	[SRQ] = { UVERBS_OBJECT_SRQ, UVERBS_METHOD_SRQ_DESTROY,
		  UVERBS_ATTR_DESTROY_SRQ_HANDLE, UVERBS_ATTR_DESTROY_SRQ_RESP,
		  sizeof(struct ib_uverbs_destroy_srq_resp) },
	[QP] = { UVERBS_OBJECT_QP, UVERBS_METHOD_QP_DESTROY,
		 UVERBS_ATTR_DESTROY_QP_HANDLE, UVERBS_ATTR_DESTROY_QP_RESP,
		 sizeof(struct ib_uverbs_destroy_qp_resp) },
	[MR] = { UVERBS_OBJECT_MR, UVERBS_METHOD_MR_DESTROY },
	[MW] = { UVERBS_OBJECT_MW, UVERBS_METHOD_MW_DESTROY },
	[AH] = { UVERBS_OBJECT_AH, UVERBS_METHOD_AH_DESTROY },
};

static enum outcome destroy(struct world *w, enum kind kind)
{
	struct device *dev = any_device(w);
	struct object *object = object_any(w, dev, kind);
	bool worked;

	if (!object)
		return NOTHING;
	begin_method(w, dev, destroys[kind].object, destroys[kind].method);
	add_attr(w, destroys[kind].attr, 0, object->handle);
	if (destroys[kind].answer)
		add_answer(w, destroys[kind].answer, destroys[kind].answer_len, 0);
	worked = deliver(w);
	if (!worked && (errno == EBUSY || w->request->changed))
		return FAILED;
	object_gone(w, dev, object);
	return done(worked);
}

static enum outcome destroy_pd(struct world *w)
{
	return destroy(w, PD);
}

static enum outcome destroy_cq(struct world *w)
{
	return destroy(w, CQ);
}

static enum outcome destroy_srq(struct world *w)
{
	return destroy(w, SRQ);
}

static enum outcome destroy_qp(struct world *w)
{
	return destroy(w, QP);
}

static enum outcome destroy_mr(struct world *w)
{
	return destroy(w, MR);
}

static enum outcome destroy_mw(struct world *w)
{
	return destroy(w, MW);
}

static enum outcome destroy_ah(struct world *w)
{
	return destroy(w, AH);
}

/* what the driver has nothing of */
static enum outcome create_counters(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_COUNTERS,
		     UVERBS_METHOD_COUNTERS_CREATE);
	add_new(w, UVERBS_ATTR_CREATE_COUNTERS_HANDLE);
	return done(deliver(w));
}

static enum outcome alloc_dm(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_DM, UVERBS_METHOD_DM_ALLOC);
	add_new(w, UVERBS_ATTR_ALLOC_DM_HANDLE);
	add_number(w, UVERBS_ATTR_ALLOC_DM_LENGTH, 8, 4096);
	add_number(w, UVERBS_ATTR_ALLOC_DM_ALIGNMENT, 4, 12);
	return done(deliver(w));
}

static enum outcome create_flow_action(struct world *w)
{
	begin_method(w, any_device(w), UVERBS_OBJECT_FLOW_ACTION,
		     UVERBS_METHOD_FLOW_ACTION_ESP_CREATE);
	add_new(w, UVERBS_ATTR_CREATE_FLOW_ACTION_ESP_HANDLE);
	add_number(w, UVERBS_ATTR_FLOW_ACTION_ESP_ATTRS, 24, rnd(&w->random));
	return done(deliver(w));
}

/* any method, with attributes of all kinds */
static enum outcome any_method(struct world *w)
{
	struct device *dev = any_device(w);
	struct request *r = w->request;
	int n = rnd(&w->random) % 12, i;

	begin_method(w, dev, rnd(&w->random) % 18, rnd(&w->random) % 8);
	if (one_in(&w->random, 16))
		r->method.hdr.object_id = odd_number(&w->random);
	if (one_in(&w->random, 16))
		r->method.hdr.method_id = odd_number(&w->random);
	for (i = 0; i < n; i++) {
		switch (rnd(&w->random) % 4) {
		case 0:
			add_attr(w, i, 0, handle_any(w, dev, rnd(&w->random) % KINDS));
			break;
		case 1:
			add_attr(w, i, 1 << rnd(&w->random) % 4,
				 odd_number(&w->random));
			break;
		case 2:
			add_answer(w, i, 8 * (rnd(&w->random) % 32), 0);
			break;
		default:
			add_attr(w, UVERBS_ATTR_UHW_IN + rnd(&w->random) % 2,
				 8 * (rnd(&w->random) % 8), (uintptr_t)r->in);
		}
	}
	deliver(w);
	/* whatever it did, nobody relies on it */
	return WORKED;
}

const struct call method_calls[] = {
	{ "query_port, ioctl", query_port, 2 },
	{ "query_context, ioctl", query_context, 1, true },
	{ "info_handles, ioctl", info_handles, 2 },
	{ "query_gid_table, ioctl", query_gid_table, 2 },
	{ "query_gid_entry, ioctl", query_gid_entry, 2 },
	{ "alloc_async_event, ioctl", alloc_events, 2 },
	{ "create_cq, ioctl", create_cq, 4 },
	{ "create_srq, ioctl", create_srq, 3 },
	{ "create_qp, ioctl", create_qp, 6 },
	{ "advise_mr, ioctl", advise_mr, 12 },
	{ "query_mr, ioctl", query_mr, 3 },
	{ "reg_dmabuf_mr, ioctl", reg_dmabuf_mr, 6 },
	{ "destroy_pd, ioctl", destroy_pd, 2 },
	{ "destroy_cq, ioctl", destroy_cq, 3 },
	{ "destroy_srq, ioctl", destroy_srq, 2 },
	{ "destroy_qp, ioctl", destroy_qp, 3 },
	{ "destroy_mr, ioctl", destroy_mr, 4 },
	{ "destroy_mw, ioctl", destroy_mw, 2 },
	{ "destroy_ah, ioctl", destroy_ah, 2 },
	{ "create_counters, ioctl", create_counters, 1, true },
	{ "alloc_dm, ioctl", alloc_dm, 1, true },
	{ "create_flow_action, ioctl", create_flow_action, 1, true },
	{ "any method, ioctl", any_method, 8 },
	{}
};
