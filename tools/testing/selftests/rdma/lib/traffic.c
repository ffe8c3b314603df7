// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "traffic.h"

/* pages, so that each can be dropped by itself */
#define SLOT		8192UL
#define SLOTS		16

/* what a side with nothing to do leaves to the programs beside it */
#define IDLE_US		100

/* 1.28 ms, as coded: a receiver that does not run now is not asked all the time */
#define RNR_TIMER	14

/* two seconds before a peer counts as gone: the machine may be busy */
static unsigned int ack_timeout = 16;

/* the layout of a side's memory */
#define SEND_AT		0UL
#define RECV_AT		(SEND_AT + SLOTS * SLOT)
#define READ_AT		(RECV_AT + SLOTS * SLOT)
#define SOURCE_AT	(READ_AT + SLOTS * SLOT)
#define SINK_AT		(SOURCE_AT + SLOT)
#define BUF_SIZE	(SINK_AT + SLOT)

/**
 * struct card - a side's address, as its peer needs it
 * @dealt: the other fields are set
 * @ready: its queue pair takes requests
 * @gid: its address
 * @qpn: its queue pair
 * @rkey: of its memory
 * @addr: of its memory
 */
struct card {
	atomic_bool dealt;
	atomic_bool ready;
	union ibv_gid gid;
	uint32_t qpn;
	uint32_t rkey;
	unsigned char *addr;
};

/**
 * struct traffic - state shared by the test and the two sides
 * @cards: of each side
 * @received: messages, by each side
 * @held: each side is in traffic_hold()
 * @go: sides leave traffic_hold()
 * @pids: of the sides; 0 when it is known how they ended
 * @access: of their memory
 */
struct traffic {
	struct card cards[2];
	atomic_uint received[2];
	atomic_bool held[2];
	atomic_bool go;
	pid_t pids[2];
	int access;
};

static void drop_slot(struct traffic_side *side, unsigned char *slot)
{
	if (side->buf.access & IBV_ACCESS_ON_DEMAND)
		CHECK_EQ(madvise(slot, SLOT, MADV_DONTNEED), 0);
	else
		memset(slot, 0, SLOT);
}

static unsigned char *slot_at(struct traffic_side *side, size_t base,
			      unsigned int n)
{
	return side->buf.addr + base + n % SLOTS * SLOT;
}

static unsigned int source_seed(int which)
{
	return 1 + which;
}

static unsigned int message_seed(int which, unsigned int n)
{
	return 100 + 2 * n + which;
}

/* Of four requests one is a write, one a read, and two are sends. */
static int post_next(struct traffic_side *side)
{
	unsigned int n = side->posted;
	struct ibv_sge sge;
	struct ibv_send_wr wr = {
		.wr_id = n,
		.sg_list = &sge,
		.num_sge = 1,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = (uintptr_t)side->peer.addr,
		.wr.rdma.rkey = side->peer_mr.rkey,
	}, *bad;
	size_t at;

	switch (n % 4) {
	case 0:
		wr.opcode = IBV_WR_RDMA_WRITE;
		wr.wr.rdma.remote_addr += SINK_AT;
		at = SOURCE_AT;
		break;
	case 1:
		wr.opcode = IBV_WR_RDMA_READ;
		wr.wr.rdma.remote_addr += SOURCE_AT;
		at = READ_AT + n % SLOTS * SLOT;
		break;
	default:
		wr.opcode = IBV_WR_SEND;
		at = SEND_AT + n % SLOTS * SLOT;
		drop_slot(side, side->buf.addr + at);
		fill_pattern(side->buf.addr + at, SLOT,
			     message_seed(side->which, n / 4 * 2 + n % 4 - 2));
	}
	sge = buf_sge(&side->buf, at, SLOT);
	side->posted++;
	return ibv_post_send(side->end.qp, &wr, &bad);
}

static void post_receive(struct traffic_side *side, unsigned int n)
{
	post_recv(&side->end, &side->buf, RECV_AT + n % SLOTS * SLOT, SLOT,
		  n);
}

/* Requests take effect in their order: the first write came before this. */
static void take_message(struct traffic_side *side, const struct ibv_wc *wc)
{
	unsigned int n = side->received++;
	unsigned char *slot = slot_at(side, RECV_AT, n);

	CHECK_EQ(wc->wr_id, n);
	CHECK_EQ(wc->byte_len, SLOT);
	check_pattern(slot, SLOT, message_seed(!side->which, n));
	check_pattern(side->buf.addr + SINK_AT, SLOT, source_seed(!side->which));
	drop_slot(side, slot);
	post_receive(side, n + SLOTS);
	side->traffic->received[side->which] = side->received;
}

static void take_completion(struct traffic_side *side, const struct ibv_wc *wc)
{
	unsigned int n = side->completed++;
	unsigned char *slot = slot_at(side, READ_AT, n);

	CHECK_EQ(wc->wr_id, n);
	if (wc->status != IBV_WC_SUCCESS) {
		if (side->failed)
			CHECK_EQ(wc->status, IBV_WC_WR_FLUSH_ERR);
		else
			side->failure = wc->status;
		side->failed = true;
		return;
	}
	CHECK(!side->failed);
	if (wc->opcode != IBV_WC_RDMA_READ)
		return;
	check_pattern(slot, SLOT, source_seed(!side->which));
	drop_slot(side, slot);
}

static bool poll_queues(struct traffic_side *side)
{
	bool any = false;
	struct ibv_wc wc;

	while (ibv_poll_cq(side->end.send_cq, 1, &wc) > 0) {
		take_completion(side, &wc);
		any = true;
	}
	while (ibv_poll_cq(side->end.recv_cq, 1, &wc) > 0) {
		any = true;
		if (wc.status == IBV_WC_SUCCESS) {
			take_message(side, &wc);
			continue;
		}
		CHECK_EQ(wc.status, IBV_WC_WR_FLUSH_ERR);
		side->flushed++;
	}
	return any;
}

/*
 * The peer may be the first that is ready to send. A netdev loses its addresses
 * and goes down before it goes away.
 */
static void poll_events(struct traffic_side *side)
{
	struct ibv_async_event event;

	while (!ibv_get_async_event(side->host.ctx, &event)) {
		CHECK(event.event_type == IBV_EVENT_COMM_EST ||
		      event.event_type == IBV_EVENT_GID_CHANGE ||
		      event.event_type == IBV_EVENT_PORT_ERR ||
		      event.event_type == IBV_EVENT_PORT_ACTIVE ||
		      event.event_type == IBV_EVENT_DEVICE_FATAL);
		if (event.event_type == IBV_EVENT_DEVICE_FATAL)
			side->fatal = true;
		ibv_ack_async_event(&event);
	}
}

static void run(struct traffic_side *side)
{
	while (!side->failed && !side->fatal) {
		if (!poll_queues(side)) {
			usleep(IDLE_US);
			poll_events(side);
		}
		while (!side->failed && side->posted < side->completed + SLOTS)
			if (post_next(side))
				return;
	}
}

static void wait_for(atomic_bool *flag)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();

	while (!*flag) {
		CHECK(now_ms() < end);
		sleep_ms(1);
	}
}

static void connect_sides(struct traffic_side *side,
			  const struct pair_config *config)
{
	struct card *mine = &side->traffic->cards[side->which];
	struct card *theirs = &side->traffic->cards[!side->which];
	unsigned int n;

	mine->gid = side->host.gids[0].gid;
	mine->qpn = side->end.qp->qp_num;
	mine->rkey = side->buf.mr->rkey;
	mine->addr = side->buf.addr;
	mine->dealt = true;
	wait_for(&theirs->dealt);
	side->peer.addr = theirs->addr;
	side->peer.mr = &side->peer_mr;
	side->peer_mr.rkey = theirs->rkey;
	end_to_init(&side->end, config);
	for (n = 0; n < SLOTS; n++)
		post_receive(side, n);
	/* the first takes as long as the neighbour look-up of the peer */
	end_to_rtr(&side->end, theirs->qpn, &theirs->gid, config);
	mine->ready = true;
	wait_for(&theirs->ready);
	end_to_rts(&side->end, config);
}

static void side_main(struct traffic *traffic, int which,
		      void (*ended)(struct traffic_side *side))
{
	struct traffic_side side = { .traffic = traffic, .which = which };
	struct pair_config config = {
		.timeout = ack_timeout,
		.rnr_timer = RNR_TIMER,
	};
	int fd;

	host_open(&side.host, which);
	fd = side.host.ctx->async_fd;
	CHECK(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
	/* the kernel destroys first what came last: peers find no queue pair */
	buf_get(&side.buf, &side.host, BUF_SIZE, traffic->access);
	end_create(&side.end, &side.host, &config);
	fill_pattern(side.buf.addr + SOURCE_AT, SLOT, source_seed(which));
	connect_sides(&side, &config);
	run(&side);
	ended(&side);
	fflush(stdout);
	_exit(0);
}

struct traffic *traffic_start(int access,
			      void (*ended)(struct traffic_side *side))
{
	struct traffic *traffic;
	pid_t pid;
	int i;

	traffic = mmap(NULL, sizeof(*traffic), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(traffic != MAP_FAILED);
	traffic->access = access;
	fflush(stdout);
	for (i = 0; i < 2; i++) {
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			side_main(traffic, i, ended);
		traffic->pids[i] = pid;
	}
	return traffic;
}

/* A side that has failed a check has printed it, and exited. */
static void wait_more(struct traffic *traffic, unsigned long long end)
{
	int i, status;

	for (i = 0; i < 2; i++)
		if (traffic->pids[i])
			CHECK_EQ(waitpid(traffic->pids[i], &status, WNOHANG),
				 0);
	CHECK(now_ms() < end);
	sleep_ms(2);
}

void traffic_moves(struct traffic *traffic)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	unsigned int before[2];
	int i;

	for (i = 0; i < 2; i++)
		before[i] = traffic->received[i];
	for (i = 0; i < 2; i++)
		while (traffic->received[i] < before[i] + SLOTS)
			wait_more(traffic, end);
}

void traffic_timeout(unsigned int timeout)
{
	ack_timeout = timeout;
}

void traffic_signal(struct traffic *traffic, unsigned int which, int signal)
{
	CHECK_EQ(kill(traffic->pids[which], signal), 0);
}

pid_t traffic_pid(const struct traffic *traffic, unsigned int which)
{
	return traffic->pids[which];
}

void traffic_killed(struct traffic *traffic, unsigned int which)
{
	int status;

	UNTIL(waitpid(traffic->pids[which], &status, WNOHANG) ==
	      traffic->pids[which]);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
	traffic->pids[which] = 0;
}

void traffic_kill(struct traffic *traffic, unsigned int which)
{
	traffic_signal(traffic, which, SIGKILL);
	traffic_killed(traffic, which);
}

void traffic_wait_held(struct traffic *traffic)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	int i;

	for (i = 0; i < 2; i++)
		while (traffic->pids[i] && !traffic->held[i])
			wait_more(traffic, end);
}

void traffic_end(struct traffic *traffic)
{
	int i, status;

	traffic->go = true;
	for (i = 0; i < 2; i++) {
		if (!traffic->pids[i])
			continue;
		CHECK_EQ(waitpid(traffic->pids[i], &status, 0),
			 traffic->pids[i]);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(munmap(traffic, sizeof(*traffic)), 0);
}

void traffic_hold(struct traffic_side *side)
{
	side->traffic->held[side->which] = true;
	while (!side->traffic->go)
		sleep_ms(2);
}

/* All requests have completed: wait for traffic_end(), then exit. */
static void end_failed(struct traffic_side *side)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();

	while (side->completed != side->posted || side->flushed < SLOTS) {
		poll_queues(side);
		CHECK(now_ms() < end);
		sleep_ms(2);
	}
	CHECK(!side->fatal);
	CHECK_EQ(end_state(&side->end), IBV_QPS_ERR);
	traffic_hold(side);
	end_destroy(&side->end);
	buf_put(&side->buf);
	host_close(&side->host);
}

void traffic_peer_gone(struct traffic_side *side)
{
	CHECK(side->failed);
	CHECK_EQ(side->failure, IBV_WC_RETRY_EXC_ERR);
	end_failed(side);
}

void traffic_peer_killed(struct traffic_side *side)
{
	CHECK(side->failed);
	if (side->failure != IBV_WC_REM_ACCESS_ERR &&
	    side->failure != IBV_WC_REM_OP_ERR)
		CHECK_EQ(side->failure, IBV_WC_RETRY_EXC_ERR);
	else
		CHECK(side->buf.access & IBV_ACCESS_ON_DEMAND);
	end_failed(side);
}

static void calls_fail(struct traffic_side *side)
{
	struct ibv_context *ctx = side->host.ctx;
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	struct ibv_port_attr port;
	struct ibv_qp_init_attr init = {
		.send_cq = side->end.send_cq,
		.recv_cq = side->end.recv_cq,
		.cap = { 1, 1, 1, 1, 0 },
		.qp_type = IBV_QPT_RC,
	};

	CHECK(!ibv_alloc_pd(ctx) && errno == EIO);
	CHECK(!ibv_create_cq(ctx, 4, NULL, NULL, 0) && errno == EIO);
	CHECK(!ibv_create_qp(side->host.pd, &init) && errno == EIO);
	CHECK(!ibv_reg_mr(side->host.pd, side->buf.addr, SLOT,
			  side->buf.access) && errno == EIO);
	CHECK_EQ(ibv_query_port(ctx, 1, &port), EIO);
	CHECK_EQ(ibv_modify_qp(side->end.qp, &attr, IBV_QP_STATE), EIO);
	CHECK_EQ(ibv_req_notify_cq(side->end.send_cq, 0), EIO);
	side->posted = side->completed;
	CHECK_EQ(post_next(side), EIO);
}

/* Rings are memory of the process: they outlive the device. */
static void touch_rings(void)
{
	unsigned long from, to;
	char *byte, value;
	char line[300];
	int rings = 0, found;
	FILE *maps;

	maps = fopen("/proc/self/maps", "r");
	CHECK(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "uverbs"))
			continue;
		found = sscanf(line, "%lx-%lx", &from, &to);
		CHECK_EQ(found, 2);
		rings++;
		for (byte = (char *)from; byte < (char *)to; byte += 64) {
			value = __atomic_load_n(byte, __ATOMIC_RELAXED);
			__atomic_store_n(byte, value, __ATOMIC_RELAXED);
		}
	}
	fclose(maps);
	/* two rings of the queue pair, one of each completion queue */
	CHECK_EQ(rings, 4);
}

/* On some kernels some calls fail with EIO: the object is gone already. */
static void check_destroyed(int err)
{
	if (err)
		CHECK_EQ(err, EIO);
}

static void destroy_what_is_gone(struct traffic_side *side)
{
	check_destroyed(ibv_destroy_qp(side->end.qp));
	check_destroyed(ibv_destroy_cq(side->end.send_cq));
	check_destroyed(ibv_destroy_cq(side->end.recv_cq));
	check_destroyed(ibv_dereg_mr(side->buf.mr));
	check_destroyed(ibv_dealloc_pd(side->host.pd));
	CHECK_EQ(munmap(side->buf.addr, side->buf.len), 0);
	CHECK_EQ(ibv_close_device(side->host.ctx), 0);
}

void traffic_device_gone(struct traffic_side *side)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();

	while (!side->fatal) {
		poll_events(side);
		CHECK(now_ms() < end);
		sleep_ms(2);
	}
	calls_fail(side);
	touch_rings();
	traffic_hold(side);
	touch_rings();
	/* the other side leaves destruction to its exit */
	if (side->which)
		destroy_what_is_gone(side);
}
