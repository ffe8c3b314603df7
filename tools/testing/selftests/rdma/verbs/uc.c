// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The unreliable connection service: messages arrive intact and in order, or are
 * dropped as a whole, and only the end that is at fault fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pair.h"

#define SIZE	(256 * 1024)
/* length of sends that may be lost */
#define MESSAGE	10000

static const size_t lengths[] = {
	0, 1, 3, 4, 255, 1023, 1024, 1025, 4095, 4096, 4097, 65537, SIZE,
};

/**
 * struct uc - a connection, and memory at both ends
 * @pair: the connection
 * @from: of end a
 * @to: of end b
 */
struct uc {
	struct pair pair;
	struct buf from;
	struct buf to;
};

static void uc_up(struct uc *uc, const struct pair_config *proto, int from,
		  int to)
{
	struct pair_config config = *proto;

	config.type = IBV_QPT_UC;
	pair_up(&uc->pair, &config);
	buf_get(&uc->from, &uc->pair.hosts[0], SIZE, from);
	buf_get(&uc->to, &uc->pair.hosts[1], SIZE, to);
}

static void uc_down(struct uc *uc)
{
	buf_put(&uc->from);
	buf_put(&uc->to);
	pair_down(&uc->pair);
}

/* The send completes once it is sent: only a receive shows that it arrived. */
static void move(struct uc *uc, enum ibv_wr_opcode opcode, size_t len,
		 unsigned int seed)
{
	bool write = opcode == IBV_WR_RDMA_WRITE ||
		     opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct ibv_sge sge = buf_sge(&uc->from, 0, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(seed),
		.wr.rdma.remote_addr = (uintptr_t)uc->to.addr,
		.wr.rdma.rkey = uc->to.mr->rkey,
	};
	struct ibv_wc wc;

	test_at("opcode %d, %zu bytes", opcode, len);
	buf_drop(&uc->from);
	fill_pattern(uc->from.addr, len, seed);
	buf_drop(&uc->to);
	post_recv(&uc->pair.b, &uc->to, 0, SIZE, seed);
	post_send(&uc->pair.a, &wr);
	wc = wait_ok(uc->pair.a.send_cq);
	CHECK_EQ(wc.opcode, write ? IBV_WC_RDMA_WRITE : IBV_WC_SEND);
	/* a write without immediate data: a send behind it shows that it arrived */
	if (opcode == IBV_WR_RDMA_WRITE)
		do_one(&uc->pair.a, IBV_WR_SEND, buf_sge(&uc->from, 0, 0), NULL,
		       0);
	wc = wait_ok(uc->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.opcode, opcode == IBV_WR_RDMA_WRITE_WITH_IMM ?
			    IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV);
	CHECK_EQ(wc.byte_len, opcode == IBV_WR_RDMA_WRITE ? 0 : len);
	if (opcode == IBV_WR_SEND_WITH_IMM ||
	    opcode == IBV_WR_RDMA_WRITE_WITH_IMM)
		CHECK_EQ(be32toh(wc.imm_data), seed);
	check_pattern(uc->to.addr, len, seed);
}

static void move_all(const struct pair_config *config)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_SEND_WITH_IMM, IBV_WR_RDMA_WRITE,
		IBV_WR_RDMA_WRITE_WITH_IMM,
	};
	static const int access[] = { ALL_ACCESS, ODP_ACCESS };
	unsigned int i, j, seed = 1;
	struct uc uc;
	int memory;

	for (memory = 0; memory < 4; memory++) {
		uc_up(&uc, config, access[memory & 1], access[memory >> 1]);
		for (i = 0; i < NUM(opcodes); i++)
			for (j = 0; j < NUM(lengths); j++)
				move(&uc, opcodes[i], lengths[j], seed++);
		CHECK_EQ(end_state(&uc.pair.a), IBV_QPS_RTS);
		CHECK_EQ(end_state(&uc.pair.b), IBV_QPS_RTS);
		uc_down(&uc);
	}
}

static void data(void)
{
	unsigned long long drops = counter_sum("rcvd_drops");

	move_all(&(struct pair_config){ .mtu = IBV_MTU_1024 });
	move_all(&(struct pair_config){ .mtu = IBV_MTU_256, .ipv6 = true });
	CHECK_EQ(counter_sum("rcvd_drops"), drops);
	CHECK_EQ(counter_sum("out_of_buffer"), 0);
}

/* Messages that come are whole, right, and in the order of sending. */
static void losses(void)
{
	struct pair_config config = {};
	struct uc uc;
	unsigned int sent, next = 0, came = 0;
	struct ibv_wc wc;
	int i;

	uc_up(&uc, &config, ODP_ACCESS, ODP_ACCESS);
	if (try_netem("loss 3%"))
		skip("the kernel has no netem");
	set_together(1);
	for (i = 0; i < 8; i++)
		post_recv(&uc.pair.b, &uc.to, i * MESSAGE, MESSAGE, i);
	for (sent = 0; sent < 600; sent++) {
		struct ibv_sge sge = buf_sge(&uc.from, 0, MESSAGE);
		struct ibv_send_wr wr = {
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_SEND_WITH_IMM,
			.send_flags = IBV_SEND_SIGNALED,
			.imm_data = htobe32(sent),
		};

		fill_pattern(uc.from.addr, MESSAGE, sent);
		post_send(&uc.pair.a, &wr);
		wait_ok(uc.pair.a.send_cq);
		while (ibv_poll_cq(uc.pair.b.recv_cq, 1, &wc) == 1) {
			CHECK_EQ(wc.status, IBV_WC_SUCCESS);
			CHECK_EQ(wc.byte_len, MESSAGE);
			CHECK(be32toh(wc.imm_data) >= next);
			next = be32toh(wc.imm_data) + 1;
			check_pattern(uc.to.addr + wc.wr_id * MESSAGE, MESSAGE,
				      next - 1);
			post_recv(&uc.pair.b, &uc.to, wc.wr_id * MESSAGE,
				  MESSAGE, wc.wr_id);
			came++;
		}
	}
	set_together(ALL_TOGETHER);
	set_netem(NULL);
	printf("# %u of %u messages came\n", came, sent);
	CHECK(came > sent / 3);
	CHECK(came < sent);
	CHECK(counter_sum("rcvd_drops") > 0);
	uc_down(&uc);
}

/* a message that arrives shows that the one before was processed */
static void one_more(struct uc *uc, unsigned int seed)
{
	fill_pattern(uc->from.addr, 100, seed);
	do_one(&uc->pair.a, IBV_WR_SEND, buf_sge(&uc->from, 0, 100), NULL, 0);
	CHECK_EQ(wait_ok(uc->pair.b.recv_cq).byte_len, 100);
	check_pattern(uc->to.addr, 100, seed);
	check_idle(uc->pair.b.recv_cq);
	CHECK_EQ(end_state(&uc->pair.a), IBV_QPS_RTS);
	CHECK_EQ(end_state(&uc->pair.b), IBV_QPS_RTS);
}

static void nothing_posted(void)
{
	struct pair_config config = {};
	unsigned long long dropped = counter_sum("out_of_buffer");
	struct uc uc;

	uc_up(&uc, &config, ALL_ACCESS, ODP_ACCESS);
	do_one(&uc.pair.a, IBV_WR_SEND, buf_sge(&uc.from, 0, 5000), NULL, 0);
	while (counter_sum("out_of_buffer") == dropped)
		sleep_ms(1);
	post_recv(&uc.pair.b, &uc.to, 0, 4000, 0);
	one_more(&uc, 1);
	uc_down(&uc);
}

static void too_long(void)
{
	struct pair_config config = {};
	struct uc uc;

	uc_up(&uc, &config, ALL_ACCESS, ODP_ACCESS);
	/* the receive request stays for a message that it has room for */
	post_recv(&uc.pair.b, &uc.to, 0, 4000, 0);
	do_one(&uc.pair.a, IBV_WR_SEND, buf_sge(&uc.from, 0, 4001), NULL, 0);
	one_more(&uc, 2);
	uc_down(&uc);
}

static void refused_write(struct uc *uc, size_t offset, unsigned int rkey_bits)
{
	struct ibv_sge sge = buf_sge(&uc->from, 0, 3000);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma.remote_addr = (uintptr_t)uc->to.addr + offset,
		.wr.rdma.rkey = uc->to.mr->rkey ^ rkey_bits,
	};

	memset(uc->to.addr, 0x5a, SIZE);
	memset(uc->from.addr, 1, SIZE);
	post_send(&uc->pair.a, &wr);
	wait_ok(uc->pair.a.send_cq);
	post_recv(&uc->pair.b, &uc->to, 0, 100, 0);
	one_more(uc, 3);
	check_bytes(uc->to.addr + 100, SIZE - 100, 0x5a);
}

static void not_allowed(void)
{
	struct pair_config config = {};
	struct uc uc;

	uc_up(&uc, &config, ALL_ACCESS, ODP_ACCESS);
	refused_write(&uc, 0, 1);
	refused_write(&uc, 0, 0x100);
	refused_write(&uc, SIZE - 2999, 0);
	uc_down(&uc);

	uc_up(&uc, &config, ALL_ACCESS,
	      IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_ON_DEMAND);
	refused_write(&uc, 0, 0);
	uc_down(&uc);

	config.no_access = true;
	uc_up(&uc, &config, ALL_ACCESS, ODP_ACCESS);
	refused_write(&uc, 0, 0);
	uc_down(&uc);
}

static void back_to_rts(struct end *end)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.cur_qp_state = IBV_QPS_SQE,
	};

	CHECK_EQ(ibv_modify_qp(end->qp, &attr,
			       IBV_QP_STATE | IBV_QP_CUR_STATE), 0);
}

/* The requests behind it are flushed, and so are those that come later. */
static void failed_send(struct uc *uc, enum ibv_wr_opcode opcode,
			struct ibv_sge sge, enum ibv_wc_status status)
{
	int i;

	post_one(&uc->pair.a, opcode, sge, &uc->to, 0);
	post_one(&uc->pair.a, IBV_WR_SEND, buf_sge(&uc->from, 0, 1), NULL, 0);
	wait_status(uc->pair.a.send_cq, status);
	wait_status(uc->pair.a.send_cq, IBV_WC_WR_FLUSH_ERR);
	CHECK_EQ(end_state(&uc->pair.a), IBV_QPS_SQE);
	post_one(&uc->pair.a, IBV_WR_SEND, buf_sge(&uc->from, 0, 1), NULL, 0);
	wait_status(uc->pair.a.send_cq, IBV_WC_WR_FLUSH_ERR);

	/* the other direction goes on */
	post_recv(&uc->pair.a, &uc->from, 0, 100, 7);
	fill_pattern(uc->to.addr, 100, 4);
	do_one(&uc->pair.b, IBV_WR_SEND, buf_sge(&uc->to, 0, 100), NULL, 0);
	CHECK_EQ(wait_ok(uc->pair.a.recv_cq).wr_id, 7);
	check_pattern(uc->from.addr, 100, 4);

	back_to_rts(&uc->pair.a);
	for (i = 0; i < 3; i++) {
		post_recv(&uc->pair.b, &uc->to, 0, 100, 0);
		one_more(uc, 5 + i);
	}
}

/* Requests posted behind it are flushed, however soon the queue goes on. */
static void flushed_at_once(void)
{
	struct pair_config config = {};
	struct ibv_sge sge;
	struct uc uc;
	int round, i;

	uc_up(&uc, &config, ALL_ACCESS, ALL_ACCESS);
	sge = buf_sge(&uc.from, 0, 100);
	sge.lkey ^= 1;
	for (round = 0; round < 50; round++) {
		post_one(&uc.pair.a, IBV_WR_SEND, sge, NULL, 0);
		/* they stay in the ring until the driver reads it */
		for (i = 0; i < 20; i++)
			post_one(&uc.pair.a, IBV_WR_SEND,
				 buf_sge(&uc.from, 0, 100), NULL, 0);
		wait_status(uc.pair.a.send_cq, IBV_WC_LOC_PROT_ERR);
		back_to_rts(&uc.pair.a);
		for (i = 0; i < 20; i++)
			wait_status(uc.pair.a.send_cq, IBV_WC_WR_FLUSH_ERR);
	}
	post_recv(&uc.pair.b, &uc.to, 0, 100, 0);
	one_more(&uc, 1);
	uc_down(&uc);
}

static void send_errors(void)
{
	struct pair_config config = {};
	struct uc uc;
	struct ibv_sge sge;

	uc_up(&uc, &config, ODP_ACCESS, ODP_ACCESS);
	sge = buf_sge(&uc.from, 0, 100);
	sge.lkey ^= 1;
	failed_send(&uc, IBV_WR_SEND, sge, IBV_WC_LOC_PROT_ERR);
	failed_send(&uc, IBV_WR_RDMA_READ, buf_sge(&uc.from, 0, 100),
		    IBV_WC_LOC_QP_OP_ERR);
	failed_send(&uc, IBV_WR_ATOMIC_FETCH_AND_ADD, buf_sge(&uc.from, 0, 8),
		    IBV_WC_LOC_QP_OP_ERR);
	uc_down(&uc);
}

/* a receive request whose memory cannot be accessed fails its queue pair */
static void receive_errors(void)
{
	struct pair_config config = {};
	struct uc uc;

	uc_up(&uc, &config, ALL_ACCESS, ODP_ACCESS);
	post_recv(&uc.pair.b, &uc.to, 0, 4096, 1);
	post_recv(&uc.pair.b, &uc.to, 0, 4096, 2);
	CHECK_EQ(mprotect(uc.to.addr, 4096, PROT_READ), 0);
	do_one(&uc.pair.a, IBV_WR_SEND, buf_sge(&uc.from, 0, 4096), NULL, 0);
	wait_status(uc.pair.b.recv_cq, IBV_WC_LOC_PROT_ERR);
	wait_status(uc.pair.b.recv_cq, IBV_WC_WR_FLUSH_ERR);
	CHECK_EQ(end_state(&uc.pair.b), IBV_QPS_ERR);
	CHECK_EQ(end_state(&uc.pair.a), IBV_QPS_RTS);
	uc_down(&uc);
}

static const struct test tests[] = {
	{ "sends and writes, all lengths, pinned and on demand", data },
	{ "UC while packets are lost", losses },
	{ "messages without a receive request", nothing_posted },
	{ "messages longer than the receive request", too_long },
	{ "writes that are not allowed", not_allowed },
	{ "a send that fails, and recovery from SQE", send_errors },
	{ "sends behind one that fails", flushed_at_once },
	{ "a receive request that fails", receive_errors },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
