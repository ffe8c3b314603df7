// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues that change their size, or raise fewer events. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/ib_user_verbs.h>
#include <unistd.h>

#include "pair.h"

#define W		IBV_WR_RDMA_WRITE

/**
 * struct flow - numbered writes from one host to the other
 * @pair: its sends complete with the number as their wr_id
 * @local: the source of the writes
 * @remote: their sink
 * @posted: writes that were posted
 * @completed: writes whose completion was polled
 */
struct flow {
	struct pair pair;
	struct buf local;
	struct buf remote;
	unsigned int posted;
	unsigned int completed;
};

static void flow_up(struct flow *flow, bool channel)
{
	const struct pair_config config = { .depth = 128, .channel = channel };

	memset(flow, 0, sizeof(*flow));
	pair_up(&flow->pair, &config);
	buf_get(&flow->local, &flow->pair.hosts[0], 4096, ALL_ACCESS);
	buf_get(&flow->remote, &flow->pair.hosts[1], 4096, ODP_ACCESS);
}

static void flow_down(struct flow *flow)
{
	buf_put(&flow->local);
	buf_put(&flow->remote);
	pair_down(&flow->pair);
}

static struct ibv_cq *cq_of(struct flow *flow)
{
	return flow->pair.a.send_cq;
}

static void post(struct flow *flow, unsigned int n)
{
	struct ibv_sge sge = buf_sge(&flow->local, 0, 8);
	struct ibv_send_wr wr = {
		.opcode = W,
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = &sge,
		.num_sge = 1,
		.wr.rdma.remote_addr = (unsigned long)flow->remote.addr,
		.wr.rdma.rkey = flow->remote.mr->rkey,
	};

	while (n--) {
		wr.wr_id = flow->posted++;
		post_send(&flow->pair.a, &wr);
	}
}

static void take(struct flow *flow, unsigned int n)
{
	while (n--)
		CHECK_EQ(wait_ok(cq_of(flow)).wr_id, flow->completed++);
}

/*
 * Wait until all posted writes have completed, polled or not: the peer answers a
 * read only after the writes before it.
 */
static void settle(struct flow *flow)
{
	struct ibv_sge sge = buf_sge(&flow->local, 8, 8);
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_READ,
		.sg_list = &sge,
		.num_sge = 1,
		.wr.rdma.remote_addr = (unsigned long)flow->remote.addr + 8,
		.wr.rdma.rkey = flow->remote.mr->rkey,
	};
	unsigned long *word = (void *)(flow->local.addr + 8);

	*(unsigned long *)(flow->remote.addr + 8) = flow->posted;
	post_send(&flow->pair.a, &wr);
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != flow->posted)
		sleep_ms(1);
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

/* A resize keeps the completions in their order, and the new size holds. */
static void sizes(void)
{
	static const int sizes[] = { 200, 20, 1000, 17, 1, 64, 1 << 14, 40 };
	struct flow flow;
	unsigned int i;

	flow_up(&flow, false);
	for (i = 0; i < NUM(sizes); i++) {
		post(&flow, least(14, least(sizes[i], cq_of(&flow)->cqe)));
		settle(&flow);
		CHECK_EQ(ibv_resize_cq(cq_of(&flow), sizes[i]), 0);
		CHECK(cq_of(&flow)->cqe >= sizes[i]);
		take(&flow, flow.posted - flow.completed);
		check_idle(cq_of(&flow));
	}

	/* the queue holds as many completions as it says */
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), 100), 0);
	post(&flow, 100);
	settle(&flow);
	take(&flow, 100);
	flow_down(&flow);
}

static void refused(void)
{
	struct ibv_device_attr attr;
	struct flow flow;
	int cqe;

	flow_up(&flow, false);
	CHECK_EQ(ibv_query_device(flow.pair.hosts[0].ctx, &attr), 0);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), 100), 0);
	cqe = cq_of(&flow)->cqe;
	post(&flow, 20);
	settle(&flow);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), 0), EINVAL);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), -1), EINVAL);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), attr.max_cqe + 1), EINVAL);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), 15), EINVAL);
	CHECK_EQ(cq_of(&flow)->cqe, cqe);
	take(&flow, 20);
	flow_down(&flow);
}

/* A queue that was armed before a resize raises its event afterwards. */
static void events(void)
{
	struct flow flow;
	struct ibv_cq *cq;
	struct pollfd fd;
	void *context;

	flow_up(&flow, true);
	fd.fd = flow.pair.a.send_channel->fd;
	fd.events = POLLIN;
	CHECK_EQ(ibv_req_notify_cq(cq_of(&flow), 0), 0);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), 300), 0);
	CHECK_EQ(poll(&fd, 1, 0), 0);
	post(&flow, 1);
	CHECK_EQ(ibv_get_cq_event(flow.pair.a.send_channel, &cq, &context), 0);
	CHECK(cq == cq_of(&flow));
	ibv_ack_cq_events(cq, 1);
	take(&flow, 1);

	/* once */
	post(&flow, 1);
	take(&flow, 1);
	CHECK_EQ(poll(&fd, 1, 0), 0);
	flow_down(&flow);
}

/* more than the driver copies at a time */
#define DEEP	4000

/* so many wait; no more of them are on their way than may be */
static void fill_queue(struct flow *flow, unsigned int n)
{
	while (flow->posted - flow->completed < n) {
		post(flow, 100);
		settle(flow);
	}
}

static void deep_sizes(void)
{
	static const int sizes[] = { 32767, DEEP, 20000, DEEP, 9000 };
	struct flow flow;
	unsigned int i;

	flow_up(&flow, false);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), DEEP), 0);
	fill_queue(&flow, DEEP);
	for (i = 0; i < NUM(sizes); i++) {
		test_at("%d", sizes[i]);
		CHECK_EQ(ibv_resize_cq(cq_of(&flow), sizes[i]), 0);
		CHECK_EQ(ibv_resize_cq(cq_of(&flow), DEEP / 2), EINVAL);
		/* the new queue does not begin with a slot of its own */
		take(&flow, 100);
		fill_queue(&flow, DEEP);
	}
	take(&flow, DEEP);
	check_idle(cq_of(&flow));
	flow_down(&flow);
}

/**
 * struct resizer - a thread that resizes
 * @flow: whose queue
 * @least: that it has to hold
 */
struct resizer {
	struct flow *flow;
	unsigned int least;
};

static void *resize_on(void *arg)
{
	const struct resizer *resizer = arg;
	struct ibv_cq *cq = cq_of(resizer->flow);
	unsigned int i;

	for (i = 0; i < 400; i++)
		CHECK_EQ(ibv_resize_cq(cq, resizer->least + i % 7 * 150), 0);
	return NULL;
}

/* Completions are added and polled while the queue is resized, and so many wait. */
static void traffic_behind(unsigned int waiting)
{
	struct flow flow;
	struct resizer resizer = { .flow = &flow, .least = waiting + 130 };
	pthread_t thread;

	flow_up(&flow, false);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), resizer.least), 0);
	fill_queue(&flow, waiting);
	CHECK_EQ(pthread_create(&thread, NULL, resize_on, &resizer), 0);
	post(&flow, 100);
	while (pthread_tryjoin_np(thread, NULL)) {
		take(&flow, 10);
		post(&flow, 10);
	}
	take(&flow, waiting + 100);
	check_idle(cq_of(&flow));
	flow_down(&flow);
}

static void in_traffic(void)
{
	traffic_behind(0);
}

static void deep_in_traffic(void)
{
	traffic_behind(DEEP);
}

/* the command as the library sends it, without the library's lock */
static int raw_resize(struct ibv_cq *cq, unsigned int cqe)
{
	unsigned char answer[64];
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_resize_cq cmd;
	} request = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_RESIZE_CQ,
			.in_words = sizeof(request) / 4,
			.out_words = sizeof(answer) / 4,
		},
		.cmd = {
			.response = (unsigned long)answer,
			.cq_handle = cq->handle,
			.cqe = cqe,
		},
	};

	if (write(cq->context->cmd_fd, &request, sizeof(request)) < 0)
		return errno;
	return 0;
}

static void *raw_resize_on(void *arg)
{
	struct ibv_cq *cq = arg;
	unsigned int i;

	for (i = 0; i < 500; i++)
		CHECK_EQ(raw_resize(cq, 130 + i % 5 * 100), 0);
	return NULL;
}

/* Threads of a program may resize at once; the driver survives all of it. */
static void at_once(void)
{
	struct resources before;
	pthread_t threads[3];
	struct flow flow;
	unsigned int i;

	resources_get(&before);
	flow_up(&flow, false);
	for (i = 0; i < NUM(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, raw_resize_on,
					cq_of(&flow)), 0);
	/* these are not polled, so post no more than the queue holds */
	for (i = 0; i < 120; i++)
		post(&flow, 1);
	for (i = 0; i < NUM(threads); i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	settle(&flow);
	flow_down(&flow);
	resources_check(&before);
	check_works();
}

/* librxe of Debian 12 has no ibv_modify_cq() */
static void moderate(struct flow *flow, unsigned int count, unsigned int period)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_ex_cmd_hdr ex_hdr;
		struct ib_uverbs_ex_modify_cq cmd;
	} request = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_FLAG_EXTENDED |
				   IB_USER_VERBS_EX_CMD_MODIFY_CQ,
			.in_words = sizeof(request.cmd) / 8,
		},
		.cmd = {
			.cq_handle = cq_of(flow)->handle,
			.attr_mask = IBV_CQ_ATTR_MODERATE,
			.attr = { .cq_count = count, .cq_period = period },
		},
	};

	CHECK_EQ(write(flow->pair.hosts[0].ctx->cmd_fd, &request,
		       sizeof(request)), sizeof(request));
}

static void arm(struct flow *flow)
{
	CHECK_EQ(ibv_req_notify_cq(cq_of(flow), 0), 0);
}

static void event(struct flow *flow)
{
	struct ibv_cq *cq;
	void *context;

	CHECK_EQ(ibv_get_cq_event(flow->pair.a.send_channel, &cq, &context), 0);
	CHECK(cq == cq_of(flow));
	ibv_ack_cq_events(cq, 1);
}

/* All posted writes have completed without an event. */
static void no_event(struct flow *flow)
{
	struct pollfd fd = {
		.fd = flow->pair.a.send_channel->fd,
		.events = POLLIN,
	};

	take(flow, flow->posted - flow->completed);
	settle(flow);
	CHECK_EQ(poll(&fd, 1, 0), 0);
}

static void by_number(void)
{
	struct flow flow;
	int round;

	flow_up(&flow, true);
	moderate(&flow, 4, 0);
	for (round = 0; round < 3; round++) {
		arm(&flow);
		post(&flow, 3);
		no_event(&flow);
		post(&flow, 1);
		event(&flow);
		/* once */
		post(&flow, 5);
		no_event(&flow);
	}
	flow_down(&flow);
}

static void by_time(void)
{
	struct ibv_device_attr_ex attr;
	struct flow flow;

	flow_up(&flow, true);
	CHECK_EQ(ibv_query_device_ex(flow.pair.hosts[0].ctx, NULL, &attr), 0);
	CHECK(attr.cq_mod_caps.max_cq_count >= 1000);
	CHECK(attr.cq_mod_caps.max_cq_period >= 1000);
	moderate(&flow, 1000, 1000);
	arm(&flow);
	post(&flow, 1);
	event(&flow);
	moderate(&flow, 0, 1);
	arm(&flow);
	post(&flow, 20);
	event(&flow);
	take(&flow, 21);

	/* a period that begins while completions wait */
	moderate(&flow, 1000, 0);
	arm(&flow);
	post(&flow, 3);
	no_event(&flow);
	moderate(&flow, 1000, 100);
	event(&flow);
	flow_down(&flow);
}

/* Completions that wait raise their event when moderation is switched off. */
static void no_longer(void)
{
	struct flow flow;

	flow_up(&flow, true);
	moderate(&flow, 1000, 0);
	arm(&flow);
	post(&flow, 5);
	no_event(&flow);
	moderate(&flow, 5, 0);
	event(&flow);
	moderate(&flow, 1000, 0);
	arm(&flow);
	post(&flow, 5);
	no_event(&flow);
	moderate(&flow, 0, 0);
	event(&flow);
	arm(&flow);
	post(&flow, 1);
	event(&flow);
	take(&flow, 1);
	flow_down(&flow);
}

/* A full queue, or an error, raises the event before the count is reached. */
static void last_ones(void)
{
	struct flow flow;

	flow_up(&flow, true);
	moderate(&flow, 1000, 0);
	CHECK_EQ(ibv_resize_cq(cq_of(&flow), 10), 0);
	arm(&flow);
	post(&flow, cq_of(&flow)->cqe - 1);
	settle(&flow);
	no_event(&flow);
	arm(&flow);
	post(&flow, cq_of(&flow)->cqe);
	event(&flow);
	take(&flow, cq_of(&flow)->cqe);

	arm(&flow);
	flow.remote.mr->rkey ^= 0xff00;
	post(&flow, 1);
	event(&flow);
	wait_status(cq_of(&flow), IBV_WC_REM_ACCESS_ERR);
	flow.remote.mr->rkey ^= 0xff00;
	flow_down(&flow);
}

/* The queue is destroyed before the moderation period is over. */
static void gone_before(void)
{
	struct flow flow;
	int i;

	for (i = 0; i < 4; i++) {
		flow_up(&flow, true);
		moderate(&flow, 0, i % 2 ? 65535 : 300);
		arm(&flow);
		post(&flow, 1);
		take(&flow, 1);
		flow_down(&flow);
	}
	check_works();
}

static const struct test tests[] = {
	{ "a CQ is resized while completions wait", sizes },
	{ "CQ sizes that are refused", refused },
	{ "an event armed before a CQ is resized", events },
	{ "a CQ is resized while thousands of completions wait", deep_sizes },
	{ "a CQ is resized in traffic", in_traffic },
	{ "a CQ is resized in traffic while thousands of completions wait",
	  deep_in_traffic },
	{ "concurrent resizes of a CQ", at_once },
	{ "CQ moderation by count", by_number },
	{ "CQ moderation by time", by_time },
	{ "CQ moderation is switched off", no_longer },
	{ "CQ moderation raises an event for the last completions", last_ones },
	{ "a CQ is destroyed before its moderated event", gone_before },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
