// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every operation of RC moves its bytes and no others, whatever the path MTU,
 * the address family and the kind of memory on either side.
 */
#include <stdint.h>
#include <string.h>

#include "rc_pair.h"

#define SIZE	(300 * 1024)
#define GUARD	4096

static const int access_of[] = { RC_ALL_ACCESS, RC_ODP_ACCESS };
static const char *const memory[] = { "pinned", "ODP" };

/* lengths round the borders of packets, pages and the MTU, and none */
static const size_t lengths[] = {
	0, 1, 2, 3, 4, 5, 63, 255, 256, 257, 511, 513, 1023, 1024, 1025, 2048,
	2049, 4093, 4095, 4096, 4097, 8192, 8193, 65535, 65536, 65537, 262144,
	SIZE,
};

#define NUM(array)	(sizeof(array) / sizeof((array)[0]))

/* where in its page a message begins */
static size_t offset_of(unsigned int i)
{
	static const size_t offsets[] = { 0, 1, 7, 64, 4091, 4095 };

	return GUARD + offsets[i % NUM(offsets)];
}

/**
 * struct flow - what a test of one operation needs
 * @pair: the connection
 * @local: of the end that posts the operation
 * @remote: of its peer
 */
struct flow {
	struct rc_pair pair;
	struct rc_buf local;
	struct rc_buf remote;
};

static void flow_up(struct flow *flow, const struct rc_config *config,
		    int local, int remote)
{
	size_t len = SIZE + 3 * GUARD;

	rc_pair_up(&flow->pair, config);
	rc_buf_get(&flow->local, &flow->pair.hosts[0], len, access_of[local]);
	rc_buf_get(&flow->remote, &flow->pair.hosts[1], len,
		   access_of[remote]);
}

static void flow_down(struct flow *flow)
{
	rc_buf_put(&flow->local);
	rc_buf_put(&flow->remote);
	rc_pair_down(&flow->pair);
}

/* Where the bytes are to arrive, and whether they alone have. */
static void prepare_sink(struct rc_buf *sink)
{
	memset(sink->addr, 0xa5, sink->len);
}

static void check_sink(const struct rc_buf *sink, size_t offset, size_t len,
		       unsigned int seed)
{
	rc_check_all(sink->addr, offset, 0xa5);
	rc_check(sink->addr + offset, len, seed);
	rc_check_all(sink->addr + offset + len, sink->len - offset - len, 0xa5);
}

static void do_write(struct flow *flow, size_t from, size_t to, size_t len,
		     unsigned int seed)
{
	rc_fill(flow->local.addr + from, len, seed);
	prepare_sink(&flow->remote);
	rc_do(&flow->pair.a, IBV_WR_RDMA_WRITE, rc_sge(&flow->local, from, len),
	      &flow->remote, to);
	check_sink(&flow->remote, to, len, seed);
}

static void do_write_imm(struct flow *flow, size_t from, size_t to, size_t len,
			 unsigned int seed)
{
	struct ibv_sge sge = rc_sge(&flow->local, from, len);
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

	rc_fill(flow->local.addr + from, len, seed);
	prepare_sink(&flow->remote);
	rc_post_recv(&flow->pair.b, &flow->remote, 0, 0, seed);
	rc_post_send(&flow->pair.a, &wr);
	wc = rc_wait_ok(flow->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	CHECK_EQ(wc.byte_len, len);
	CHECK(wc.wc_flags & IBV_WC_WITH_IMM);
	CHECK_EQ(be32toh(wc.imm_data), 0xfeed0000 + seed);
	check_sink(&flow->remote, to, len, seed);
	rc_wait_ok(flow->pair.a.send_cq);
}

static void do_read(struct flow *flow, size_t from, size_t to, size_t len,
		    unsigned int seed)
{
	rc_fill(flow->remote.addr + from, len, seed);
	prepare_sink(&flow->local);
	rc_do(&flow->pair.a, IBV_WR_RDMA_READ, rc_sge(&flow->local, to, len),
	      &flow->remote, from);
	check_sink(&flow->local, to, len, seed);
}

static void send(struct flow *flow, size_t from, size_t to, size_t len,
		 unsigned int seed, bool imm)
{
	struct ibv_sge sge = rc_sge(&flow->local, from, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = imm ? IBV_WR_SEND_WITH_IMM : IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(0xbeef0000 + seed),
	};
	struct ibv_wc wc;

	rc_fill(flow->local.addr + from, len, seed);
	prepare_sink(&flow->remote);
	rc_post_recv(&flow->pair.b, &flow->remote, to, len + 16, seed);
	rc_post_send(&flow->pair.a, &wr);
	wc = rc_wait_ok(flow->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.opcode, IBV_WC_RECV);
	CHECK_EQ(wc.byte_len, len);
	CHECK_EQ(wc.qp_num, flow->pair.b.qp->qp_num);
	CHECK_EQ(!!(wc.wc_flags & IBV_WC_WITH_IMM), imm);
	if (imm)
		CHECK_EQ(be32toh(wc.imm_data), 0xbeef0000 + seed);
	check_sink(&flow->remote, to, len, seed);
	rc_wait_ok(flow->pair.a.send_cq);
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

/* On-demand memory is new to each message, so that each of them faults. */
static void all_lengths(struct flow *flow, operation op)
{
	unsigned int i;

	for (i = 0; i < NUM(lengths); i++) {
		rc_buf_drop(&flow->local);
		rc_buf_drop(&flow->remote);
		op(flow, offset_of(i), offset_of(i * 5 + 2), lengths[i], i + 1);
	}
}

static void all_memory(operation op)
{
	struct rc_config config = {};
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
	struct rc_config config = {};
	struct flow flow;
	int ipv6;

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

static const struct test tests[] = {
	{ "write, all memory", write_memory },
	{ "write, all path MTUs, IPv4 and IPv6", write_paths },
	{ "write with immediate, all memory", write_imm_memory },
	{ "write with immediate, all path MTUs", write_imm_paths },
	{ "read, all memory", read_memory },
	{ "read, all path MTUs, IPv4 and IPv6", read_paths },
	{ "send, all memory", send_memory },
	{ "send, all path MTUs, IPv4 and IPv6", send_paths },
	{ "send with immediate, all memory", send_imm_memory },
	{ "send with immediate, all path MTUs", send_imm_paths },
	{}
};

int main(int argc, char **argv)
{
	rc_tests(tests, argv + 1);
}
