// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The unreliable datagram service: one queue pair reaches any number of others,
 * which learn the source of a datagram; datagrams are dropped that do not fit.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "pair.h"

#define GRH	40
#define QKEY	0x11223344
#define SIZE	(64 * 1024)

/**
 * struct ud - two queue pairs, and how they reach each other
 * @pair: they are not connected
 * @from: memory of end a
 * @to: memory of end b
 * @ah: from a to b
 */
struct ud {
	struct pair pair;
	struct buf from;
	struct buf to;
	struct ibv_ah *ah;
};

static const struct pair_config ud_config = { .type = IBV_QPT_UD, .qkey = QKEY };

static struct ibv_ah *address(struct host *from, struct ibv_pd *pd,
			      const struct host *to, bool ipv6)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = to->gids[ipv6].gid,
			.sgid_index = from->gids[ipv6].index,
			.hop_limit = 64,
		},
	};
	struct ibv_ah *ah;
	int tries = 0;

	/* a neighbour is given one second to answer, as in end_to_rtr() */
	do {
		ah = ibv_create_ah(pd, &attr);
	} while (!ah && errno == ETIMEDOUT && tries++ < 10);
	CHECK(ah);
	return ah;
}

static void ud_up(struct ud *ud, const struct pair_config *config, int from,
		  int to)
{
	struct host *hosts = ud->pair.hosts;

	host_open(&hosts[0], 0);
	host_open(&hosts[1], 1);
	end_up(&ud->pair.a, &hosts[0], config);
	end_up(&ud->pair.b, &hosts[1], config);
	buf_get(&ud->from, &hosts[0], SIZE, from);
	buf_get(&ud->to, &hosts[1], SIZE, to);
	ud->ah = address(&hosts[0], hosts[0].pd, &hosts[1], config->ipv6);
}

static void ud_down(struct ud *ud)
{
	CHECK_EQ(ibv_destroy_ah(ud->ah), 0);
	buf_put(&ud->from);
	buf_put(&ud->to);
	end_destroy(&ud->pair.a);
	end_destroy(&ud->pair.b);
	host_close(&ud->pair.hosts[0]);
	host_close(&ud->pair.hosts[1]);
}

static struct ibv_send_wr datagram(const struct ud *ud, struct ibv_sge *sge,
				   unsigned int qpn)
{
	struct ibv_send_wr wr = {
		.sg_list = sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud = {
			.ah = ud->ah,
			.remote_qpn = qpn,
			.remote_qkey = QKEY,
		},
	};

	return wr;
}

static void send_to(struct ud *ud, unsigned int qpn, size_t len)
{
	struct ibv_sge sge = buf_sge(&ud->from, 0, len);
	struct ibv_send_wr wr = datagram(ud, &sge, qpn);

	post_send(&ud->pair.a, &wr);
}

static void check_ipv4(const struct ud *ud, const unsigned char *grh,
		       size_t len)
{
	const struct iphdr *iph = (const void *)(grh + GRH - sizeof(*iph));

	check_bytes(grh, GRH - sizeof(*iph), 0);
	CHECK_EQ(iph->version, 4);
	CHECK_EQ(iph->ihl, 5);
	CHECK_EQ(iph->protocol, IPPROTO_UDP);
	/* UDP, BTH, DETH, padding, ICRC */
	CHECK(ntohs(iph->tot_len) >= sizeof(*iph) + 8 + 12 + 8 + len + 4);
	CHECK(!memcmp(&iph->saddr, ud->pair.hosts[0].gids[0].gid.raw + 12, 4));
	CHECK(!memcmp(&iph->daddr, ud->pair.hosts[1].gids[0].gid.raw + 12, 4));
}

static void check_ipv6(const struct ud *ud, const unsigned char *grh)
{
	const struct ip6_hdr *ip6h = (const void *)grh;

	CHECK_EQ(grh[0] >> 4, 6);
	CHECK(!memcmp(&ip6h->ip6_src, &ud->pair.hosts[0].gids[1].gid, 16));
	CHECK(!memcmp(&ip6h->ip6_dst, &ud->pair.hosts[1].gids[1].gid, 16));
}

static void move(struct ud *ud, size_t len, unsigned int seed, bool ipv6,
		 bool imm)
{
	struct ibv_sge sge = buf_sge(&ud->from, 0, len);
	struct ibv_send_wr wr = datagram(ud, &sge, ud->pair.b.qp->qp_num);
	/* the data begins in the middle of a page, the GRH elsewhere */
	size_t at = 8192 - GRH + 13 * (seed & 7);
	struct ibv_wc wc;

	if (imm) {
		wr.opcode = IBV_WR_SEND_WITH_IMM;
		wr.imm_data = htobe32(seed);
	}
	buf_drop(&ud->from);
	fill_pattern(ud->from.addr, len, seed);
	memset(ud->to.addr, 0xa5, SIZE);
	buf_drop(&ud->to);
	post_recv(&ud->pair.b, &ud->to, at, GRH + len, seed);
	post_send(&ud->pair.a, &wr);
	CHECK_EQ(wait_ok(ud->pair.a.send_cq).opcode, IBV_WC_SEND);
	wc = wait_ok(ud->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.opcode, IBV_WC_RECV);
	CHECK_EQ(wc.byte_len, GRH + len);
	CHECK_EQ(wc.src_qp, ud->pair.a.qp->qp_num);
	CHECK_EQ(wc.wc_flags, IBV_WC_GRH | (imm ? IBV_WC_WITH_IMM : 0));
	if (imm)
		CHECK_EQ(be32toh(wc.imm_data), seed);
	if (ipv6)
		check_ipv6(ud, ud->to.addr + at);
	else
		check_ipv4(ud, ud->to.addr + at, len);
	check_pattern(ud->to.addr + at + GRH, len, seed);
	check_bytes(ud->to.addr + at + GRH + len, 4096,
		    ud->to.access & IBV_ACCESS_ON_DEMAND ? 0 : 0xa5);
}

static void data_over(bool ipv6)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 4, 255, 1000, 1023, 1024 };
	static const int access[] = { ALL_ACCESS, ODP_ACCESS };
	struct pair_config config = ud_config;
	unsigned int i, seed = 1;
	struct ud ud;
	int memory;

	config.ipv6 = ipv6;
	for (memory = 0; memory < 4; memory++) {
		ud_up(&ud, &config, access[memory & 1], access[memory >> 1]);
		for (i = 0; i < NUM(lengths); i++) {
			move(&ud, lengths[i], seed++, ipv6, false);
			move(&ud, lengths[i], seed++, ipv6, true);
		}
		ud_down(&ud);
	}
}

static void data(void)
{
	data_over(false);
	data_over(true);
	CHECK_EQ(counter_sum("rcvd_drops"), 0);
	CHECK_EQ(counter_sum("out_of_buffer"), 0);
}

/* the next datagram arrives, and nothing before it has */
static void one_more(struct ud *ud, unsigned int seed)
{
	post_recv(&ud->pair.b, &ud->to, 0, GRH + 100, seed);
	fill_pattern(ud->from.addr, 100, seed);
	send_to(ud, ud->pair.b.qp->qp_num, 100);
	wait_ok(ud->pair.a.send_cq);
	CHECK_EQ(wait_ok(ud->pair.b.recv_cq).wr_id, seed);
	check_pattern(ud->to.addr + GRH, 100, seed);
	check_idle(ud->pair.b.recv_cq);
	CHECK_EQ(end_state(&ud->pair.b), IBV_QPS_RTS);
}

static void qkeys(void)
{
	struct ud ud;
	struct ibv_port_attr port;
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	ud_up(&ud, &ud_config, ALL_ACCESS, ALL_ACCESS);
	sge = buf_sge(&ud.from, 0, 10);
	wr = datagram(&ud, &sge, ud.pair.b.qp->qp_num);
	wr.wr.ud.remote_qkey = QKEY + 1;
	post_send(&ud.pair.a, &wr);
	wait_ok(ud.pair.a.send_cq);
	one_more(&ud, 1);
	CHECK_EQ(counter_of(1, "qkey_violations"), 1);
	CHECK_EQ(ibv_query_port(ud.pair.hosts[1].ctx, 1, &port), 0);
	CHECK_EQ(port.qkey_viol_cntr, 1);

	/* the most significant bit asks for the queue pair's own */
	wr.wr.ud.remote_qkey = 0x80000000;
	post_recv(&ud.pair.b, &ud.to, 0, GRH + 10, 2);
	post_send(&ud.pair.a, &wr);
	wait_ok(ud.pair.a.send_cq);
	CHECK_EQ(wait_ok(ud.pair.b.recv_cq).wr_id, 2);
	ud_down(&ud);
}

static void nobody_takes_it(void)
{
	struct pair_config config = ud_config;
	struct ud ud;
	struct end other;
	unsigned int qpn;

	ud_up(&ud, &ud_config, ALL_ACCESS, ALL_ACCESS);
	qpn = ud.pair.b.qp->qp_num;
	/* no receive request */
	send_to(&ud, qpn, 10);
	wait_ok(ud.pair.a.send_cq);
	/* wait until it was dropped: it must not take the next one's receive */
	while (!counter_of(1, "out_of_buffer"))
		sleep_ms(1);
	one_more(&ud, 1);
	CHECK_EQ(counter_of(1, "out_of_buffer"), 1);

	/* no such queue pair; one that is not ready; one of another service */
	send_to(&ud, qpn ^ 0x1000, 10);
	end_create(&other, &ud.pair.hosts[1], &config);
	end_to_init(&other, &config);
	send_to(&ud, other.qp->qp_num, 10);
	end_destroy(&other);
	config.type = IBV_QPT_UC;
	end_create(&other, &ud.pair.hosts[1], &config);
	end_to_init(&other, &config);
	end_to_rtr(&other, ud.pair.a.qp->qp_num, &ud.pair.hosts[0].gids[0].gid,
		   &config);
	post_recv(&other, &ud.to, 0, 1000, 1);
	send_to(&ud, other.qp->qp_num, 10);
	wait_ok(ud.pair.a.send_cq);
	wait_ok(ud.pair.a.send_cq);
	wait_ok(ud.pair.a.send_cq);
	one_more(&ud, 2);
	check_idle(other.recv_cq);
	end_destroy(&other);

	/* too long: the receive request stays for the next */
	post_recv(&ud.pair.b, &ud.to, 0, GRH + 99, 3);
	send_to(&ud, qpn, 100);
	send_to(&ud, qpn, 99);
	wait_ok(ud.pair.a.send_cq);
	wait_ok(ud.pair.a.send_cq);
	CHECK_EQ(wait_ok(ud.pair.b.recv_cq).byte_len, GRH + 99);
	one_more(&ud, 4);
	ud_down(&ud);
}

static void back_to_rts(struct end *end)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RTS };

	CHECK_EQ(end_state(end), IBV_QPS_SQE);
	CHECK_EQ(ibv_modify_qp(end->qp, &attr, IBV_QP_STATE), 0);
}

static void send_errors(void)
{
	struct ud ud;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_pd *pd;
	struct ibv_ah *ah;

	ud_up(&ud, &ud_config, ALL_ACCESS, ALL_ACCESS);
	sge = buf_sge(&ud.from, 0, 10);
	wr = datagram(&ud, &sge, ud.pair.b.qp->qp_num);
	pd = ibv_alloc_pd(ud.pair.hosts[0].ctx);
	CHECK(pd);
	/* longer than the MTU */
	send_to(&ud, ud.pair.b.qp->qp_num, 1025);
	send_to(&ud, ud.pair.b.qp->qp_num, 10);
	wait_status(ud.pair.a.send_cq, IBV_WC_LOC_LEN_ERR);
	wait_status(ud.pair.a.send_cq, IBV_WC_WR_FLUSH_ERR);
	back_to_rts(&ud.pair.a);
	one_more(&ud, 1);

	/* an address handle of another protection domain */
	ah = address(&ud.pair.hosts[0], pd, &ud.pair.hosts[1], false);
	wr.wr.ud.ah = ah;
	post_send(&ud.pair.a, &wr);
	wait_status(ud.pair.a.send_cq, IBV_WC_LOC_QP_OP_ERR);
	back_to_rts(&ud.pair.a);
	CHECK_EQ(ibv_destroy_ah(ah), 0);
	CHECK_EQ(ibv_dealloc_pd(pd), 0);
	one_more(&ud, 2);

	/* what datagrams cannot do */
	wr = datagram(&ud, &sge, ud.pair.b.qp->qp_num);
	wr.opcode = IBV_WR_RDMA_WRITE;
	post_send(&ud.pair.a, &wr);
	wait_status(ud.pair.a.send_cq, IBV_WC_LOC_QP_OP_ERR);
	back_to_rts(&ud.pair.a);
	one_more(&ud, 3);

	sge.lkey ^= 1;
	wr.opcode = IBV_WR_SEND;
	post_send(&ud.pair.a, &wr);
	wait_status(ud.pair.a.send_cq, IBV_WC_LOC_PROT_ERR);
	back_to_rts(&ud.pair.a);
	one_more(&ud, 4);
	ud_down(&ud);
}

/* the memory of the GRH, or of the data, cannot be accessed */
static void receive_errors(void)
{
	size_t at[] = { 4096 - GRH / 2, 8192 - GRH };
	struct ud ud;
	unsigned int i;

	for (i = 0; i < NUM(at); i++) {
		ud_up(&ud, &ud_config, ALL_ACCESS, ODP_ACCESS);
		CHECK_EQ(mprotect(ud.to.addr + (at[i] & -4096) + 4096, 4096,
				  PROT_READ), 0);
		post_recv(&ud.pair.b, &ud.to, at[i], 200, 1);
		post_recv(&ud.pair.b, &ud.to, at[i], 200, 2);
		send_to(&ud, ud.pair.b.qp->qp_num, 100);
		wait_ok(ud.pair.a.send_cq);
		wait_status(ud.pair.b.recv_cq, IBV_WC_LOC_PROT_ERR);
		wait_status(ud.pair.b.recv_cq, IBV_WC_WR_FLUSH_ERR);
		CHECK_EQ(end_state(&ud.pair.b), IBV_QPS_ERR);
		ud_down(&ud);
	}
}

/* One queue pair sends to eight, each of which answers the sender. */
static void many(void)
{
	struct ud ud;
	struct host *hosts = ud.pair.hosts;
	struct end ends[8], *end;
	struct ibv_grh *grh;
	struct ibv_wc wc;
	struct ud answer;
	int round, i;

	ud_up(&ud, &ud_config, ODP_ACCESS, ODP_ACCESS);
	for (i = 0; i < 8; i++)
		end_up(&ends[i], &hosts[1], &ud_config);
	for (round = 0; round < 20; round++) {
		buf_drop(&ud.to);
		for (i = 0; i < 8; i++) {
			post_recv(&ends[i], &ud.to, i * 4096, 1064, i);
			fill_pattern(ud.from.addr, 1000, round * 8 + i);
			send_to(&ud, ends[i].qp->qp_num, 1000);
			wait_ok(ud.pair.a.send_cq);
		}
		for (i = 0; i < 8; i++) {
			end = &ends[i];
			wc = wait_ok(end->recv_cq);
			check_pattern(ud.to.addr + i * 4096 + GRH, 1000,
				      round * 8 + i);
			answer = ud;
			answer.pair.a = *end;
			answer.from = ud.to;
			grh = (void *)(ud.to.addr + i * 4096);
			answer.ah = ibv_create_ah_from_wc(hosts[1].pd, &wc,
							  grh, 1);
			CHECK(answer.ah);
			fill_pattern(ud.to.addr, 500, round * 8 + i);
			post_recv(&ud.pair.a, &ud.from, 4096, 1064, i);
			send_to(&answer, wc.src_qp, 500);
			wait_ok(end->send_cq);
			wc = wait_ok(ud.pair.a.recv_cq);
			CHECK_EQ(wc.src_qp, end->qp->qp_num);
			check_pattern(ud.from.addr + 4096 + GRH, 500,
				      round * 8 + i);
			CHECK_EQ(ibv_destroy_ah(answer.ah), 0);
		}
	}
	for (i = 0; i < 8; i++)
		end_destroy(&ends[i]);
	ud_down(&ud);
}

/* An address handle goes while requests that name it wait their turn. */
static void handle_destroyed(void)
{
	struct ud ud;
	struct host *hosts = ud.pair.hosts;
	unsigned long long arrived = counter_of(1, "out_of_buffer");
	unsigned int failed = 0;
	struct ibv_wc wc;
	int round, i;

	ud_up(&ud, &ud_config, ODP_ACCESS, ODP_ACCESS);
	for (round = 0; round < 200; round++) {
		buf_drop(&ud.from);
		for (i = 0; i < 8; i++)
			send_to(&ud, ud.pair.b.qp->qp_num, 1000);
		CHECK_EQ(ibv_destroy_ah(ud.ah), 0);
		for (i = 0; i < 8; i++) {
			wc = wait_cqe(ud.pair.a.send_cq);
			CHECK(wc.status == IBV_WC_SUCCESS ||
			      wc.status == IBV_WC_LOC_QP_OP_ERR ||
			      wc.status == IBV_WC_WR_FLUSH_ERR);
			failed += wc.status != IBV_WC_SUCCESS;
			arrived += wc.status == IBV_WC_SUCCESS;
		}
		if (end_state(&ud.pair.a) != IBV_QPS_RTS)
			back_to_rts(&ud.pair.a);
		ud.ah = address(&hosts[0], hosts[0].pd, &hosts[1], false);
	}
	printf("# %u of 1600 came too late\n", failed);
	/* wait for all drops: none must take the next one's receive */
	while (counter_of(1, "out_of_buffer") < arrived)
		sleep_ms(1);
	one_more(&ud, 1);
	ud_down(&ud);
}

static const struct test tests[] = {
	{ "datagrams, all lengths, pinned and on demand", data },
	{ "Q_Keys", qkeys },
	{ "datagrams that are dropped", nobody_takes_it },
	{ "a send that fails, and recovery from SQE", send_errors },
	{ "a receive request that fails", receive_errors },
	{ "one queue pair and many peers", many },
	{ "an address handle is destroyed while requests name it",
	  handle_destroyed },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
