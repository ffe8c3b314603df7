// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two hosts that may run different drivers, one process on each: every
 * operation of RC in both directions, data checked, and the operations of UC that
 * complete on both sides. Both run the same tests in the same order, and meet over
 * TCP for each.
 *
 * rc_peer listen ADDRESS | connect ADDRESS [pinned] [lossy]
 *
 * The memory is on-demand if the device supports it, or pinned on request.
 * lossy: packets get lost; both sides have to be told.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pair.h"

#define PORT		18600
#define CONNECT_MS	60000
#define SIZE		(260 * 1024)
#define GUARD		4096
#define BUF_SIZE	(SIZE + 2 * GUARD)

static const size_t lengths[] = {
	0, 1, 2, 3, 4, 7, 255, 256, 257, 1023, 1024, 1025, 2048, 4095, 4096,
	4097, 65536, 65537, SIZE,
};

static struct sockaddr_in address = { .sin_family = AF_INET };
static bool listener;
static bool pinned;
static bool lossy;

/**
 * struct side - a side's address, as the other needs it
 * @gid: its address
 * @qpn: its queue pair
 * @rkey: of its memory
 * @addr: of its memory
 */
struct side {
	union ibv_gid gid;
	uint32_t qpn;
	uint32_t rkey;
	uint64_t addr;
};

/**
 * struct peers - one connection
 * @host: this side's device
 * @end: this side's queue pair
 * @buf: memory of the operations
 * @peer: the other side
 * @remote: its memory, in the form that post_one() takes
 * @remote_mr: of @remote
 * @socket: to the other side
 */
struct peers {
	struct host host;
	struct end end;
	struct buf buf;
	struct side peer;
	struct buf remote;
	struct ibv_mr remote_mr;
	int socket;
};

static int meet_listening(void)
{
	int on = 1, door, fd;

	door = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(door >= 0);
	CHECK(!setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	CHECK(!bind(door, (struct sockaddr *)&address, sizeof(address)));
	CHECK(!listen(door, 1));
	fd = accept(door, NULL, NULL);
	CHECK(fd >= 0);
	close(door);
	return fd;
}

static int meet_connecting(void)
{
	unsigned long long end = now_ms() + CONNECT_MS * limit_factor();
	int fd;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(fd >= 0);
		if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
			return fd;
		close(fd);
		CHECK(now_ms() < end);
		sleep_ms(20);
	}
}

static void tell(int fd, const void *what, size_t len)
{
	CHECK_EQ(send(fd, what, len, MSG_NOSIGNAL), len);
}

static void hear(int fd, void *what, size_t len)
{
	CHECK_EQ(recv(fd, what, len, MSG_WAITALL), len);
}

/* Wait until both sides are here. */
static void barrier(struct peers *p)
{
	char byte = 0;

	tell(p->socket, &byte, 1);
	hear(p->socket, &byte, 1);
}

static int access_of(struct host *host, const struct pair_config *config)
{
	struct ibv_device_attr_ex attr;

	if (config->type == IBV_QPT_UC)
		return UC_ACCESS | (pinned ? 0 : IBV_ACCESS_ON_DEMAND);
	CHECK_EQ(ibv_query_device_ex(host->ctx, NULL, &attr), 0);
	if (!pinned && attr.odp_caps.general_caps & IBV_ODP_SUPPORT)
		return ODP_ACCESS;
	return ALL_ACCESS;
}

static void peers_up(struct peers *p, const struct pair_config *config)
{
	struct side self;
	int on = 1;

	host_open(&p->host, 0);
	end_create(&p->end, &p->host, config);
	buf_get(&p->buf, &p->host, BUF_SIZE, access_of(&p->host, config));
	self = (struct side) {
		.gid = p->host.gids[config->ipv6].gid,
		.qpn = p->end.qp->qp_num,
		.rkey = p->buf.mr->rkey,
		.addr = (uintptr_t)p->buf.addr,
	};
	p->socket = listener ? meet_listening() : meet_connecting();
	/* with Nagle's algorithm a byte waits 40 ms for the ACK of the last one */
	CHECK(!setsockopt(p->socket, IPPROTO_TCP, TCP_NODELAY, &on,
			  sizeof(on)));
	tell(p->socket, &self, sizeof(self));
	hear(p->socket, &p->peer, sizeof(p->peer));
	p->remote_mr.rkey = p->peer.rkey;
	p->remote.addr = (unsigned char *)(uintptr_t)p->peer.addr;
	p->remote.mr = &p->remote_mr;
	end_to_init(&p->end, config);
	end_to_rtr(&p->end, p->peer.qpn, &p->peer.gid, config);
	end_to_rts(&p->end, config);
	barrier(p);
}

static void peers_down(struct peers *p)
{
	barrier(p);
	end_destroy(&p->end);
	buf_put(&p->buf);
	host_close(&p->host);
	close(p->socket);
}

static void check_buf(struct peers *p, size_t offset, size_t len,
		      unsigned int seed)
{
	check_bytes(p->buf.addr, offset, 0xa5);
	check_pattern(p->buf.addr + offset, len, seed);
	check_bytes(p->buf.addr + offset + len, BUF_SIZE - offset - len, 0xa5);
}

static size_t offset_of(unsigned int i)
{
	return GUARD + i % 5 * 13;
}

static struct ibv_sge local(struct peers *p, size_t offset, size_t len)
{
	return buf_sge(&p->buf, offset, len);
}

/* One message of the active side, checked on the other. */
static void move(struct peers *p, enum ibv_wr_opcode opcode, bool active,
		 size_t len, unsigned int seed)
{
	bool is_send = opcode == IBV_WR_SEND || opcode == IBV_WR_SEND_WITH_IMM;
	bool imm = opcode == IBV_WR_SEND_WITH_IMM ||
		   opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	bool source = active != (opcode == IBV_WR_RDMA_READ);
	size_t from = offset_of(seed), to = offset_of(seed + 3);
	size_t here = source ? from : to, there = source ? to : from;
	struct ibv_sge sge = local(p, here, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.imm_data = htobe32(seed),
		.wr.rdma.remote_addr = p->peer.addr + there,
		.wr.rdma.rkey = p->peer.rkey,
	};
	struct ibv_wc wc;

	if (source)
		fill_pattern(p->buf.addr + from, len, seed);
	else
		memset(p->buf.addr, 0xa5, BUF_SIZE);
	if (!active && (is_send || imm))
		post_recv(&p->end, &p->buf, is_send ? to : 0,
			  is_send ? len : 0, seed);
	barrier(p);
	if (active) {
		post_send(&p->end, &wr);
		wait_ok(p->end.send_cq);
	} else if (is_send || imm) {
		wc = wait_ok(p->end.recv_cq);
		CHECK_EQ(wc.wr_id, seed);
		CHECK_EQ(wc.byte_len, len);
		CHECK_EQ(!!(wc.wc_flags & IBV_WC_WITH_IMM), imm);
		if (imm)
			CHECK_EQ(be32toh(wc.imm_data), seed);
	}
	barrier(p);
	if (!source)
		check_buf(p, to, len, seed);
}

static void move_all(const struct pair_config *config, enum ibv_wr_opcode opcode)
{
	struct peers p;
	unsigned int i;
	int active;

	peers_up(&p, config);
	for (active = 0; active < 2; active++)
		for (i = 0; i < NUM(lengths); i++) {
			/* a burst of packets may be too much for a queue */
			if (config->type == IBV_QPT_UC && lengths[i] > 5000)
				continue;
			/* the kernel's own driver does not answer a duplicate of it */
			if (lossy && opcode == IBV_WR_RDMA_READ && !lengths[i])
				continue;
			test_at("%s, IPv%c, MTU %u, %s, length %zu",
				config->type == IBV_QPT_UC ? "UC" : "RC",
				config->ipv6 ? '6' : '4', 128 << config->mtu,
				active == listener ? "active" : "passive",
				lengths[i]);
			move(&p, opcode, active == listener, lengths[i], i + 1);
		}
	peers_down(&p);
}

static void all_paths(enum ibv_wr_opcode opcode, enum ibv_qp_type type)
{
	struct pair_config config = { .type = type };

	for (config.mtu = IBV_MTU_256; config.mtu <= IBV_MTU_4096; config.mtu++)
		move_all(&config, opcode);
	config.mtu = IBV_MTU_1024;
	config.ipv6 = true;
	move_all(&config, opcode);
}

static void writes(void)
{
	all_paths(IBV_WR_RDMA_WRITE, IBV_QPT_RC);
}

static void writes_imm(void)
{
	all_paths(IBV_WR_RDMA_WRITE_WITH_IMM, IBV_QPT_RC);
}

static void reads(void)
{
	all_paths(IBV_WR_RDMA_READ, IBV_QPT_RC);
}

static void sends(void)
{
	all_paths(IBV_WR_SEND, IBV_QPT_RC);
}

static void sends_imm(void)
{
	all_paths(IBV_WR_SEND_WITH_IMM, IBV_QPT_RC);
}

/* UC does not recover losses, so not with lossy. */
static void unreliable(void)
{
	if (lossy)
		skip("packets get lost");
	all_paths(IBV_WR_RDMA_WRITE_WITH_IMM, IBV_QPT_UC);
	all_paths(IBV_WR_SEND, IBV_QPT_UC);
	all_paths(IBV_WR_SEND_WITH_IMM, IBV_QPT_UC);
}

/* post an atomic of the active side; returns what was there before */
static uint64_t atomic(struct peers *p, enum ibv_wr_opcode opcode,
		       uint64_t compare_add, uint64_t swap)
{
	struct ibv_sge sge = local(p, GUARD, 8);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic.remote_addr = p->peer.addr,
		.wr.atomic.rkey = p->peer.rkey,
		.wr.atomic.compare_add = compare_add,
		.wr.atomic.swap = swap,
	};
	uint64_t before;

	post_send(&p->end, &wr);
	wait_ok(p->end.send_cq);
	memcpy(&before, p->buf.addr + GUARD, 8);
	return before;
}

#define FIRST	0x0123456789abcdefULL

static void atomics_of(struct peers *p, bool active)
{
	uint64_t value = FIRST;
	int i;

	memcpy(p->buf.addr, &value, 8);
	memset(p->buf.addr + GUARD, 0xa5, 16);
	barrier(p);
	if (active) {
		for (i = 0; i < 100; i++) {
			CHECK(atomic(p, IBV_WR_ATOMIC_FETCH_AND_ADD, i, 0) ==
			      value);
			value += i;
		}
		CHECK(atomic(p, IBV_WR_ATOMIC_CMP_AND_SWP, value - 1, 7) ==
		      value);
		CHECK(atomic(p, IBV_WR_ATOMIC_CMP_AND_SWP, value, 8) == value);
		CHECK(atomic(p, IBV_WR_ATOMIC_FETCH_AND_ADD, -1ULL, 0) == 8);
		check_bytes(p->buf.addr + GUARD + 8, 8, 0xa5);
	}
	barrier(p);
	if (!active) {
		memcpy(&value, p->buf.addr, 8);
		CHECK(value == 7);
	}
}

static void atomics(void)
{
	struct pair_config config = {};
	struct peers p;

	peers_up(&p, &config);
	atomics_of(&p, listener);
	atomics_of(&p, !listener);
	peers_down(&p);
}

#define BURST	48
#define PIECE	5000

/* Many writes in flight from both sides at once. */
static void bursts(void)
{
	struct pair_config config = {};
	unsigned char *theirs;
	struct peers p;
	int round, i;

	peers_up(&p, &config);
	theirs = p.buf.addr + BURST / 2 * PIECE;
	for (round = 0; round < 20; round++) {
		fill_pattern(p.buf.addr, BURST / 2 * PIECE, round * 2 + listener);
		barrier(&p);
		for (i = 0; i < BURST / 2; i++)
			post_one(&p.end, IBV_WR_RDMA_WRITE,
				 local(&p, i * PIECE, PIECE), &p.remote,
				 (BURST / 2 + i) * PIECE);
		for (i = 0; i < BURST / 2; i++)
			wait_ok(p.end.send_cq);
		barrier(&p);
		check_pattern(theirs, BURST / 2 * PIECE, round * 2 + !listener);
	}
	peers_down(&p);
}

static void wrong_key(struct peers *p, bool active)
{
	barrier(p);
	if (active) {
		p->remote_mr.rkey ^= 0xff00;
		post_one(&p->end, IBV_WR_RDMA_WRITE, local(p, 0, 8), &p->remote,
			 0);
		wait_status(p->end.send_cq, IBV_WC_REM_ACCESS_ERR);
	}
	barrier(p);
}

static void errors(void)
{
	struct pair_config config = {};
	struct peers p;
	int active;

	/* a responder that refused is silent from then on: its NAK may be lost */
	if (lossy)
		skip("packets get lost");
	for (active = 0; active < 2; active++) {
		peers_up(&p, &config);
		wrong_key(&p, active == listener);
		peers_down(&p);
	}
}

static const struct test tests[] = {
	{ "write", writes },
	{ "write with immediate", writes_imm },
	{ "read", reads },
	{ "send", sends },
	{ "send with immediate", sends_imm },
	{ "compare-and-swap, fetch-and-add", atomics },
	{ "bursts of writes from both sides", bursts },
	{ "a wrong key is refused", errors },
	{ "UC, sends and writes with immediate", unreliable },
	{}
};

int main(int argc, char **argv)
{
	int i;

	listener = argc > 1 && !strcmp(argv[1], "listen");
	if (argc < 3 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) {
		fprintf(stderr, "usage: %s listen|connect ADDRESS [pinned] [lossy]\n",
			argv[0]);
		return 2;
	}
	address.sin_port = htons(PORT);
	for (i = 3; i < argc; i++) {
		pinned |= !strcmp(argv[i], "pinned");
		lossy |= !strcmp(argv[i], "lossy");
	}
	run_tests(tests, argv + argc);
}
