// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every operation of RC moves its bytes and no others, whatever the path MTU,
 * the address family and the kind of memory on either side.
 */
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "pair.h"

#define SIZE	(300 * 1024)
#define GUARD	4096

static const int access_of[] = { ALL_ACCESS, ODP_ACCESS };
static const char *const memory[] = { "pinned", "ODP" };

/* zero, and lengths round the borders of packets, pages and the MTU */
static const size_t lengths[] = {
	0, 1, 2, 3, 4, 5, 63, 255, 256, 257, 511, 513, 1023, 1024, 1025, 2048,
	2049, 4093, 4095, 4096, 4097, 8192, 8193, 65535, 65536, 65537, 262144,
	SIZE,
};

/* where in its page a message begins */
static size_t offset_of(unsigned int i)
{
	static const size_t offsets[] = { 0, 1, 7, 64, 4091, 4095 };

	return GUARD + offsets[i % NUM(offsets)];
}

/**
 * struct flow - a connection and memory to test one operation with
 * @pair: the connection
 * @local: of the end that posts the operation
 * @remote: of its peer
 */
struct flow {
	struct pair pair;
	struct buf local;
	struct buf remote;
};

static void flow_up(struct flow *flow, const struct pair_config *config,
		    int local, int remote)
{
	size_t len = SIZE + 3 * GUARD;

	pair_up(&flow->pair, config);
	buf_get(&flow->local, &flow->pair.hosts[0], len, access_of[local]);
	buf_get(&flow->remote, &flow->pair.hosts[1], len,
		access_of[remote]);
}

static void flow_down(struct flow *flow)
{
	buf_put(&flow->local);
	buf_put(&flow->remote);
	pair_down(&flow->pair);
}

/* Fill the sink, so that bytes show that were written by mistake. */
static void prepare_sink(struct buf *sink)
{
	memset(sink->addr, 0xa5, sink->len);
}

static void check_sink(const struct buf *sink, size_t offset, size_t len,
		       unsigned int seed)
{
	check_bytes(sink->addr, offset, 0xa5);
	check_pattern(sink->addr + offset, len, seed);
	check_bytes(sink->addr + offset + len, sink->len - offset - len, 0xa5);
}

static void do_write(struct flow *flow, size_t from, size_t to, size_t len,
		     unsigned int seed)
{
	fill_pattern(flow->local.addr + from, len, seed);
	prepare_sink(&flow->remote);
	do_one(&flow->pair.a, IBV_WR_RDMA_WRITE, buf_sge(&flow->local, from, len),
	       &flow->remote, to);
	check_sink(&flow->remote, to, len, seed);
}

static void do_write_imm(struct flow *flow, size_t from, size_t to, size_t len,
			 unsigned int seed)
{
	struct ibv_sge sge = buf_sge(&flow->local, from, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(0xfeed0000 + seed),
		.wr.rdma.remote_addr = (uintptr_t)flow->remote.addr + to,
		.wr.rdma.rkey = flow->remote.mr->rkey,
	};
	struct ibv_wc wc;

	fill_pattern(flow->local.addr + from, len, seed);
	prepare_sink(&flow->remote);
	post_recv(&flow->pair.b, &flow->remote, 0, 0, seed);
	post_send(&flow->pair.a, &wr);
	wc = wait_ok(flow->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	CHECK_EQ(wc.byte_len, len);
	CHECK(wc.wc_flags & IBV_WC_WITH_IMM);
	CHECK_EQ(be32toh(wc.imm_data), 0xfeed0000 + seed);
	check_sink(&flow->remote, to, len, seed);
	wait_ok(flow->pair.a.send_cq);
}

static void do_read(struct flow *flow, size_t from, size_t to, size_t len,
		    unsigned int seed)
{
	fill_pattern(flow->remote.addr + from, len, seed);
	prepare_sink(&flow->local);
	do_one(&flow->pair.a, IBV_WR_RDMA_READ, buf_sge(&flow->local, to, len),
	       &flow->remote, from);
	check_sink(&flow->local, to, len, seed);
}

static void send(struct flow *flow, size_t from, size_t to, size_t len,
		 unsigned int seed, bool imm)
{
	struct ibv_sge sge = buf_sge(&flow->local, from, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(0xbeef0000 + seed),
	};
	struct ibv_wc wc;

	fill_pattern(flow->local.addr + from, len, seed);
	prepare_sink(&flow->remote);
	post_recv(&flow->pair.b, &flow->remote, to, len + 16, seed);
	post_send(&flow->pair.a, &wr);
	wc = wait_ok(flow->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.opcode, IBV_WC_RECV);
	CHECK_EQ(wc.byte_len, len);
	CHECK_EQ(wc.qp_num, flow->pair.b.qp->qp_num);
	CHECK_EQ(!!(wc.wc_flags & IBV_WC_WITH_IMM), imm);
	if (imm)
		CHECK_EQ(be32toh(wc.imm_data), 0xbeef0000 + seed);
	check_sink(&flow->remote, to, len, seed);
	wait_ok(flow->pair.a.send_cq);
}

static void do_send(struct flow *flow, size_t from, size_t to, size_t len,
		    unsigned int seed)
{
	send(flow, from, to, len, seed, false);
}

static void do_send_imm(struct flow *flow, size_t from, size_t to, size_t len,
			unsigned int seed)
{
	send(flow, from, to, len, seed, true);
}

typedef void (*operation)(struct flow *flow, size_t from, size_t to,
			  size_t len, unsigned int seed);

/* On-demand memory is discarded for each message, so that each one faults. */
static void all_lengths(struct flow *flow, operation op)
{
	unsigned int i;

	for (i = 0; i < NUM(lengths); i++) {
		buf_drop(&flow->local);
		buf_drop(&flow->remote);
		op(flow, offset_of(i), offset_of(i * 5 + 2), lengths[i], i + 1);
	}
}

static void all_memory(operation op)
{
	struct pair_config config = {};
	struct flow flow;
	int local, remote;

	for (local = 0; local < 2; local++)
		for (remote = 0; remote < 2; remote++) {
			flow_up(&flow, &config, local, remote);
			test_at("%s to %s", memory[local], memory[remote]);
			all_lengths(&flow, op);
			flow_down(&flow);
		}
}

static void all_paths(operation op)
{
	struct pair_config config = {};
	struct flow flow;
	int ipv6;

	set_mtu(4200);
	for (ipv6 = 0; ipv6 < 2; ipv6++)
		for (config.mtu = IBV_MTU_256; config.mtu <= IBV_MTU_4096;
		     config.mtu++) {
			config.ipv6 = ipv6;
			flow_up(&flow, &config, 0, 1);
			test_at("IPv%c, MTU %u", ipv6 ? '6' : '4',
				128 << config.mtu);
			all_lengths(&flow, op);
			flow_down(&flow);
		}
}

static void write_memory(void)
{
	all_memory(do_write);
}

static void write_paths(void)
{
	all_paths(do_write);
}

static void write_imm_memory(void)
{
	all_memory(do_write_imm);
}

static void write_imm_paths(void)
{
	all_paths(do_write_imm);
}

static void read_memory(void)
{
	all_memory(do_read);
}

static void read_paths(void)
{
	all_paths(do_read);
}

static void send_memory(void)
{
	all_memory(do_send);
}

static void send_paths(void)
{
	all_paths(do_send);
}

static void send_imm_memory(void)
{
	all_memory(do_send_imm);
}

static void send_imm_paths(void)
{
	all_paths(do_send_imm);
}

/* Do an atomic on the word at @remote + 8; returns its previous value. */
static uint64_t atomic(struct flow *flow, enum ibv_wr_opcode opcode,
		       uint64_t compare_add, uint64_t swap)
{
	struct ibv_sge sge = buf_sge(&flow->local, 16, 8);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic.remote_addr = (uintptr_t)flow->remote.addr + 8,
		.wr.atomic.rkey = flow->remote.mr->rkey,
		.wr.atomic.compare_add = compare_add,
		.wr.atomic.swap = swap,
	};
	uint64_t before;

	post_send(&flow->pair.a, &wr);
	CHECK_EQ(wait_ok(flow->pair.a.send_cq).byte_len, 8);
	memcpy(&before, flow->local.addr + 16, 8);
	return before;
}

static void check_atomics(struct flow *flow)
{
	uint64_t value = 0xfffffffffffffff0ULL, *word;
	int i;

	buf_drop(&flow->local);
	buf_drop(&flow->remote);
	memset(flow->local.addr, 0xa5, 64);
	memset(flow->remote.addr, 0xa5, 64);
	word = (uint64_t *)(flow->remote.addr + 8);
	*word = value;
	for (i = 0; i < 50; i++) {
		CHECK(atomic(flow, IBV_WR_ATOMIC_FETCH_AND_ADD, i * 3, 0) ==
		      value);
		value += i * 3;
		CHECK(*word == value);
	}
	CHECK(atomic(flow, IBV_WR_ATOMIC_CMP_AND_SWP, ~value, 1) == value);
	CHECK(*word == value);
	CHECK(atomic(flow, IBV_WR_ATOMIC_CMP_AND_SWP, value, 1) == value);
	CHECK(*word == 1);
	check_bytes(flow->local.addr, 16, 0xa5);
	check_bytes(flow->local.addr + 24, 40, 0xa5);
	check_bytes(flow->remote.addr, 8, 0xa5);
	check_bytes(flow->remote.addr + 16, 48, 0xa5);
}

static void atomics(void)
{
	struct pair_config config = {};
	struct flow flow;
	int local, remote;

	for (local = 0; local < 2; local++)
		for (remote = 0; remote < 2; remote++) {
			test_at("%s to %s", memory[local], memory[remote]);
			flow_up(&flow, &config, local, remote);
			check_atomics(&flow);
			flow_down(&flow);
		}
}

#define PIECES	7

/* where piece @i of a message is, and how long, with gaps between them */
static size_t piece_at(int i)
{
	return i * 3 * 4096 + i * 77;
}

static size_t piece_len(int i)
{
	static const size_t lens[PIECES] = { 1, 4096, 0, 513, 8000, 3, 1024 };

	return lens[i];
}

static void gather(struct buf *buf, struct ibv_sge *sges)
{
	int i;

	for (i = 0; i < PIECES; i++)
		sges[i] = buf_sge(buf, piece_at(i), piece_len(i));
}

static void fill_pieces(struct buf *buf, const unsigned char *message)
{
	int i;

	memset(buf->addr, 0xa5, buf->len);
	for (i = 0; i < PIECES; i++) {
		memcpy(buf->addr + piece_at(i), message, piece_len(i));
		message += piece_len(i);
	}
}

static void check_pieces(struct buf *buf, const unsigned char *message)
{
	size_t at = 0;
	int i;

	for (i = 0; i < PIECES; i++) {
		check_bytes(buf->addr + at, piece_at(i) - at, 0xa5);
		CHECK(!memcmp(buf->addr + piece_at(i), message, piece_len(i)));
		at = piece_at(i) + piece_len(i);
		message += piece_len(i);
	}
	check_bytes(buf->addr + at, buf->len - at, 0xa5);
}

static size_t pieces_len(void)
{
	size_t len = 0;
	int i;

	for (i = 0; i < PIECES; i++)
		len += piece_len(i);
	return len;
}

static void scatter_and_gather(struct flow *flow)
{
	size_t len = pieces_len();
	struct ibv_sge local[PIECES], remote[PIECES];
	struct ibv_send_wr wr = {
		.sg_list = local,
		.num_sge = PIECES,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = (uintptr_t)flow->remote.addr + GUARD,
		.wr.rdma.rkey = flow->remote.mr->rkey,
	};
	struct ibv_recv_wr recv = {
		.sg_list = remote,
		.num_sge = PIECES,
	}, *bad;
	unsigned char message[len];

	fill_pattern(message, len, 99);
	gather(&flow->local, local);
	gather(&flow->remote, remote);

	wr.opcode = IBV_WR_RDMA_WRITE;
	fill_pieces(&flow->local, message);
	prepare_sink(&flow->remote);
	post_send(&flow->pair.a, &wr);
	wait_ok(flow->pair.a.send_cq);
	check_sink(&flow->remote, GUARD, len, 99);

	wr.opcode = IBV_WR_RDMA_READ;
	prepare_sink(&flow->local);
	post_send(&flow->pair.a, &wr);
	wait_ok(flow->pair.a.send_cq);
	check_pieces(&flow->local, message);

	wr.opcode = IBV_WR_SEND;
	prepare_sink(&flow->remote);
	CHECK_EQ(ibv_post_recv(flow->pair.b.qp, &recv, &bad), 0);
	post_send(&flow->pair.a, &wr);
	CHECK_EQ(wait_ok(flow->pair.b.recv_cq).byte_len, len);
	check_pieces(&flow->remote, message);
	wait_ok(flow->pair.a.send_cq);
}

static void pieces(void)
{
	struct pair_config config = { .max_sge = PIECES };
	struct flow flow;
	int local, remote;

	for (config.mtu = IBV_MTU_256; config.mtu <= IBV_MTU_1024; config.mtu++)
		for (local = 0; local < 2; local++)
			for (remote = 0; remote < 2; remote++) {
				test_at("%s to %s, MTU %u", memory[local],
					memory[remote], 128 << config.mtu);
				flow_up(&flow, &config, local, remote);
				scatter_and_gather(&flow);
				flow_down(&flow);
			}
}

/* Inline data is copied by the post: its memory needs no key and may change. */
static void inline_data(void)
{
	static const size_t sizes[] = { 0, 1, 4, 17, 63, 64, 255, 256, 257, 400 };
	struct pair_config config = { .inline_size = 400, .mtu = IBV_MTU_256 };
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED | IBV_SEND_INLINE,
		.num_sge = 2,
	};
	unsigned char data[400];
	struct ibv_sge sges[2];
	struct flow flow;
	unsigned int i;

	flow_up(&flow, &config, 0, 1);
	wr.sg_list = sges;
	wr.wr.rdma.rkey = flow.remote.mr->rkey;
	wr.wr.rdma.remote_addr = (uintptr_t)flow.remote.addr + GUARD;
	for (i = 0; i < NUM(sizes); i++) {
		test_at("%zu bytes", sizes[i]);
		fill_pattern(data, sizes[i], i);
		sges[0] = (struct ibv_sge) { .addr = (uintptr_t)data,
					     .length = sizes[i] / 3 };
		sges[1] = (struct ibv_sge) {
			.addr = (uintptr_t)data + sizes[i] / 3,
			.length = sizes[i] - sizes[i] / 3,
		};
		prepare_sink(&flow.remote);
		post_send(&flow.pair.a, &wr);
		memset(data, 0x5a, sizeof(data));
		wait_ok(flow.pair.a.send_cq);
		check_sink(&flow.remote, GUARD, sizes[i], i);
	}
	flow_down(&flow);
}

#define SLOTS		60
#define SLOT_SIZE	5000

/* Writes, sends and reads in flight at once complete in the order of posting. */
static void many_in_flight(void)
{
	struct pair_config config = { .depth = 3 * SLOTS };
	struct flow flow;
	struct ibv_wc wc;
	int round, i;

	flow_up(&flow, &config, 1, 1);
	for (round = 0; round < 30; round++) {
		test_at("round %d", round);
		fill_pattern(flow.local.addr, SLOTS * SLOT_SIZE, round);
		for (i = 0; i < SLOTS; i += 2)
			post_recv(&flow.pair.b, &flow.remote, i * SLOT_SIZE,
				  SLOT_SIZE, i);
		for (i = 0; i < SLOTS; i++)
			post_one(&flow.pair.a,
				 i % 2 ? IBV_WR_RDMA_WRITE : IBV_WR_SEND,
				 buf_sge(&flow.local, i * SLOT_SIZE, SLOT_SIZE),
				 &flow.remote, i * SLOT_SIZE);
		for (i = 0; i < SLOTS; i++) {
			wc = wait_ok(flow.pair.a.send_cq);
			CHECK_EQ(wc.opcode, i % 2 ? IBV_WC_RDMA_WRITE :
						    IBV_WC_SEND);
		}
		for (i = 0; i < SLOTS; i += 2)
			CHECK_EQ(wait_ok(flow.pair.b.recv_cq).wr_id, i);
		check_pattern(flow.remote.addr, SLOTS * SLOT_SIZE, round);
		memset(flow.local.addr, 0, SLOTS * SLOT_SIZE);
		for (i = 0; i < SLOTS; i++)
			post_one(&flow.pair.a, IBV_WR_RDMA_READ,
				 buf_sge(&flow.local, i * SLOT_SIZE, SLOT_SIZE),
				 &flow.remote, i * SLOT_SIZE);
		for (i = 0; i < SLOTS; i++)
			wait_ok(flow.pair.a.send_cq);
		check_pattern(flow.local.addr, SLOTS * SLOT_SIZE, round);
	}
	check_idle(flow.pair.a.send_cq);
	check_idle(flow.pair.b.recv_cq);
	flow_down(&flow);
}

static void to_sq_state(struct end *end, enum ibv_qp_state state, int notify)
{
	struct ibv_qp_attr attr = {
		.qp_state = state,
		.en_sqd_async_notify = notify,
	};
	int mask = IBV_QP_STATE | (notify ? IBV_QP_EN_SQD_ASYNC_NOTIFY : 0);

	CHECK_EQ(ibv_modify_qp(end->qp, &attr, mask), 0);
	CHECK_EQ(end_state(end), state);
}

/*
 * A send queue in SQD completes the requests it has begun, raises the drained
 * event, and begins no other until it is in RTS again.
 */
static void drained(void)
{
	struct pair_config config = { .depth = SLOTS };
	struct ibv_async_event event;
	struct flow flow;
	struct ibv_wc wc;
	int i, done = 0;

	flow_up(&flow, &config, 1, 1);
	fill_pattern(flow.local.addr, SLOTS * SLOT_SIZE, 9);
	for (i = 0; i < SLOTS; i++) {
		if (i == SLOTS / 2)
			to_sq_state(&flow.pair.a, IBV_QPS_SQD, 1);
		post_one(&flow.pair.a, IBV_WR_RDMA_WRITE,
			 buf_sge(&flow.local, i * SLOT_SIZE, SLOT_SIZE),
			 &flow.remote, i * SLOT_SIZE);
	}
	CHECK_EQ(ibv_get_async_event(flow.pair.a.host->ctx, &event), 0);
	CHECK_EQ(event.event_type, IBV_EVENT_SQ_DRAINED);
	CHECK(event.element.qp == flow.pair.a.qp);
	ibv_ack_async_event(&event);
	while (ibv_poll_cq(flow.pair.a.send_cq, 1, &wc) == 1) {
		CHECK_EQ(wc.status, IBV_WC_SUCCESS);
		done++;
	}
	CHECK(done <= SLOTS / 2);
	check_idle(flow.pair.a.send_cq);
	to_sq_state(&flow.pair.a, IBV_QPS_RTS, 0);
	for (; done < SLOTS; done++)
		wait_ok(flow.pair.a.send_cq);
	check_pattern(flow.remote.addr, SLOTS * SLOT_SIZE, 9);
	flow_down(&flow);
}

/* While the peer has no receive, the queue is not drained, and raises no event. */
static void drained_late(void)
{
	struct pair_config config = { .rnr_timer = 14 };
	struct flow flow;

	flow_up(&flow, &config, 1, 1);
	fill_pattern(flow.local.addr, 100, 1);
	post_one(&flow.pair.a, IBV_WR_SEND, buf_sge(&flow.local, 0, 100), NULL,
		 0);
	to_sq_state(&flow.pair.a, IBV_QPS_SQD, 1);
	no_async_event(&flow.pair.hosts[0]);
	post_recv(&flow.pair.b, &flow.remote, 0, 100, 1);
	expect_async_event(&flow.pair.hosts[0], IBV_EVENT_SQ_DRAINED);
	wait_ok(flow.pair.a.send_cq);
	wait_ok(flow.pair.b.recv_cq);
	check_pattern(flow.remote.addr, 100, 1);
	flow_down(&flow);
}

/* The first packet at a queue pair in RTR raises IBV_EVENT_COMM_EST. */
static void established(void)
{
	struct pair_config config = {};
	struct buf local, remote;
	struct pair p = {};

	host_open(&p.hosts[0], 0);
	host_open(&p.hosts[1], 1);
	end_create(&p.a, &p.hosts[0], &config);
	end_create(&p.b, &p.hosts[1], &config);
	end_to_init(&p.a, &config);
	end_to_init(&p.b, &config);
	end_to_rtr(&p.a, p.b.qp->qp_num, &p.hosts[1].gids[0].gid, &config);
	end_to_rtr(&p.b, p.a.qp->qp_num, &p.hosts[0].gids[0].gid, &config);
	end_to_rts(&p.a, &config);
	buf_get(&local, &p.hosts[0], SIZE, ALL_ACCESS);
	buf_get(&remote, &p.hosts[1], SIZE, ALL_ACCESS);
	no_async_event(&p.hosts[1]);
	do_one(&p.a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 8), &remote, 0);
	expect_async_event(&p.hosts[1], IBV_EVENT_COMM_EST);
	do_one(&p.a, IBV_WR_RDMA_WRITE, buf_sge(&local, 0, 8), &remote, 0);
	no_async_event(&p.hosts[1]);
	end_to_rts(&p.b, &config);
	do_one(&p.b, IBV_WR_RDMA_WRITE, buf_sge(&remote, 0, 8), &local, 0);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&p);
}

/* There is no alternate path: a connection is, and stays, migrated. */
static void path_migration(void)
{
	struct pair_config config = {};
	struct ibv_qp_attr attr = { .path_mig_state = IBV_MIG_MIGRATED };
	struct ibv_qp_init_attr init;
	struct pair pair;

	pair_up(&pair, &config);
	CHECK_EQ(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_PATH_MIG_STATE), 0);
	attr.path_mig_state = IBV_MIG_REARM;
	CHECK(ibv_modify_qp(pair.a.qp, &attr, IBV_QP_PATH_MIG_STATE));
	CHECK_EQ(ibv_query_qp(pair.a.qp, &attr, IBV_QP_PATH_MIG_STATE, &init),
		 0);
	CHECK_EQ(attr.path_mig_state, IBV_MIG_MIGRATED);
	pair_down(&pair);
}

/* A fence holds a write back until the read before it is complete. */
static void fence(void)
{
	struct pair_config config = {};
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED | IBV_SEND_FENCE,
		.num_sge = 1,
	};
	struct ibv_sge sge;
	struct flow flow;
	int i;

	flow_up(&flow, &config, 1, 1);
	sge = buf_sge(&flow.local, 0, SIZE);
	wr.sg_list = &sge;
	for (i = 0; i < 10; i++) {
		fill_pattern(flow.remote.addr, SIZE, i);
		memset(flow.local.addr, 0, SIZE);
		post_recv(&flow.pair.b, &flow.remote, 0, SIZE, 0);
		post_one(&flow.pair.a, IBV_WR_RDMA_READ,
			 buf_sge(&flow.local, 0, SIZE), &flow.remote, 0);
		post_send(&flow.pair.a, &wr);
		wait_ok(flow.pair.a.send_cq);
		wait_ok(flow.pair.a.send_cq);
		wait_ok(flow.pair.b.recv_cq);
		check_pattern(flow.local.addr, SIZE, i);
		check_pattern(flow.remote.addr, SIZE, i);
	}
	flow_down(&flow);
}

static void no_completion_event(struct ibv_comp_channel *channel)
{
	struct pollfd pollfd = { .fd = channel->fd, .events = POLLIN };

	CHECK_EQ(poll(&pollfd, 1, 0), 0);
}

static void wait_event(struct ibv_comp_channel *channel, struct ibv_cq *cq)
{
	struct ibv_cq *got;
	void *context;

	CHECK_EQ(ibv_get_cq_event(channel, &got, &context), 0);
	CHECK(got == cq);
	ibv_ack_cq_events(cq, 1);
}

/* Armed queues raise one event; armed for solicited ones, only for those. */
static void events(void)
{
	struct pair_config config = { .channel = true };
	struct ibv_send_wr wr = {
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.num_sge = 1,
	};
	struct ibv_sge sge;
	struct flow flow;
	int i;

	flow_up(&flow, &config, 0, 1);
	sge = buf_sge(&flow.local, 0, 100);
	wr.sg_list = &sge;
	for (i = 0; i < 20; i++) {
		post_recv(&flow.pair.b, &flow.remote, 0, 100, 1);
		post_recv(&flow.pair.b, &flow.remote, 0, 100, 2);
		CHECK_EQ(ibv_req_notify_cq(flow.pair.a.send_cq, 0), 0);
		CHECK_EQ(ibv_req_notify_cq(flow.pair.b.recv_cq, 1), 0);
		wr.send_flags = IBV_SEND_SIGNALED;
		post_send(&flow.pair.a, &wr);
		wait_event(flow.pair.a.send_channel, flow.pair.a.send_cq);
		wait_ok(flow.pair.a.send_cq);
		/* acknowledged, so the receive is complete */
		no_completion_event(flow.pair.b.recv_channel);
		wr.send_flags |= IBV_SEND_SOLICITED;
		post_send(&flow.pair.a, &wr);
		/* the one event is the second message's: both are there */
		wait_event(flow.pair.b.recv_channel, flow.pair.b.recv_cq);
		CHECK_EQ(wait_ok(flow.pair.b.recv_cq).wr_id, 1);
		CHECK_EQ(wait_ok(flow.pair.b.recv_cq).wr_id, 2);
		wait_ok(flow.pair.a.send_cq);
	}
	flow_down(&flow);
}

static const struct test tests[] = {
	{ "write, memory of all kinds", write_memory },
	{ "write, all path MTUs, IPv4 and IPv6", write_paths },
	{ "write with immediate, memory of all kinds", write_imm_memory },
	{ "write with immediate, all path MTUs", write_imm_paths },
	{ "read, memory of all kinds", read_memory },
	{ "read, all path MTUs, IPv4 and IPv6", read_paths },
	{ "send, memory of all kinds", send_memory },
	{ "send, all path MTUs, IPv4 and IPv6", send_paths },
	{ "send with immediate, memory of all kinds", send_imm_memory },
	{ "send with immediate, all path MTUs", send_imm_paths },
	{ "atomics, memory of all kinds", atomics },
	{ "many SGEs on both sides", pieces },
	{ "inline data", inline_data },
	{ "many operations in flight", many_in_flight },
	{ "a send queue that is drained", drained },
	{ "a send queue that is drained late", drained_late },
	{ "the communication established event", established },
	{ "path migration", path_migration },
	{ "a fence holds a write behind a read", fence },
	{ "completion events, unsolicited and solicited", events },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
