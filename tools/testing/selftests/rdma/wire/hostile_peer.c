// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The worst peer: it knows numbers, PSNs and keys of its connections, and of others,
 * and sends whatever can be made of valid exchanges. It changes no memory but what is
 * exposed to it, ends no connection but its own, and each packet is accounted for.
 *
 * The peer is hostb's address 10.0.0.2 or fd00::2, played by packet sockets; an honest
 * connection of other addresses between the same hosts goes on beside it.
 *
 * HOSTILE_SEED of the environment makes the same packets come again, HOSTILE_PACKETS
 * says how many; 100,000 else, ten times that with LONG_TESTS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "links.h"
#include "memory.h"
#include "mutate.h"
#include "pair.h"
#include "random.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif
#define ETH_P_EVERY	3

#define PMTU		1024U
#define BURST		12
/* segments of an aggregate */
#define MOST_SEGMENTS	40
#define RECVS		16
#define RECV_BYTES	2048U
#define GRH_BYTES	40U
#define ASKED		16
#define QKEY		0x11111111
#define GSI_QKEY	0x80010000
#define FIRST_QPN	0xabc000
#define BYSTANDER_BYTES	6000
/* but for its last digit, of both hosts' netdevs: two_hosts.sh */
#define MACS		"02:00:00:00:00:0"
/* the peer's bytes have the highest bit, those that were there before have not */
#define HOSTILE		0x80
#define GUARD_BYTE	0x5a

static uint64_t seed, state;

/* what a victim's memory is for */
enum area {
	EXPOSED, READABLE, ATOMIC, RECEIVE, LANDING, PRIVATE, AREAS,
};

static const struct {
	size_t len;
	int access;
} area_kinds[AREAS] = {
	[EXPOSED] = { 32768, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
			     IBV_ACCESS_REMOTE_READ | IBV_ACCESS_MW_BIND },
	[READABLE] = { 8192, IBV_ACCESS_REMOTE_READ },
	[ATOMIC] = { 4096, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_ATOMIC },
	[RECEIVE] = { RECVS * RECV_BYTES, IBV_ACCESS_LOCAL_WRITE },
	[LANDING] = { 16384, IBV_ACCESS_LOCAL_WRITE },
	[PRIVATE] = { 8192, IBV_ACCESS_LOCAL_WRITE },
};

/**
 * struct asked - a request of a victim's that the peer has seen
 * @opcode: of it
 * @psn: of it
 * @len: bytes that it asks for
 */
struct asked {
	uint8_t opcode;
	uint32_t psn;
	uint32_t len;
};

/**
 * struct victim - a queue pair that the peer is connected to
 * @type: of the service
 * @ipv6: its addresses
 * @access: IBV_ACCESS_ON_DEMAND, or 0
 * @way: of the peer's packets to it
 * @end: the queue pair
 * @config: of it
 * @peer_qpn: what the peer is called
 * @base: of its memory, guards included
 * @size: of that
 * @fd: file that it is of: pages may go, and come back as they were
 * @areas: of the memory
 * @mrs: of the areas
 * @mw: over what is exposed, if any
 * @mw_rkey: its key
 * @psn: of the peer's next request
 * @msn: messages that the peer counts
 * @sends: the peer's message that is under way is a send
 * @left: bytes of that
 * @va: where it goes on
 * @asked: what the peer has to answer
 * @asked_n: how many
 * @posted: requests that have not completed
 * @lives: how often it was connected
 */
struct victim {
	enum ibv_qp_type type;
	bool ipv6;
	int access;
	struct way way;
	struct end end;
	struct pair_config config;
	uint32_t peer_qpn;
	unsigned char *base;
	size_t size;
	int fd;
	unsigned char *areas[AREAS];
	struct ibv_mr *mrs[AREAS];
	struct ibv_mw *mw;
	uint32_t mw_rkey;
	uint32_t psn;
	uint32_t msn;
	bool sends;
	uint32_t left;
	uint64_t va;
	struct asked asked[ASKED];
	unsigned int asked_n;
	unsigned int posted;
	unsigned int lives;
};

static struct victim victims[] = {
	{ IBV_QPT_RC, false, IBV_ACCESS_ON_DEMAND },
	{ IBV_QPT_RC, true, 0 },
	{ IBV_QPT_UC, false, IBV_ACCESS_ON_DEMAND },
	{ IBV_QPT_UC, true, 0 },
	{ IBV_QPT_UD, false, IBV_ACCESS_ON_DEMAND },
	{ IBV_QPT_UD, true, 0 },
};

#define VICTIMS		NUM(victims)

/**
 * struct bystander - an honest connection between the same hosts
 * @hosts: at addresses of its own, with protection domains of its own
 * @ends: of the connection
 * @bufs: memory of both
 * @messages: that have come, and were right
 */
struct bystander {
	struct host hosts[2];
	struct end ends[2];
	struct buf bufs[2];
	unsigned int messages;
};

static struct host host;
static struct bystander bystander;
static struct targets targets;
static struct way ways[2 + 2];
static int raw_sock, udp_socks[2];

/**
 * struct tally - what the peer has sent
 * @sure: packets that arrive
 * @unsure: those that IP may have dropped, or merged
 * @aggregates: skbs of many packets
 * @segments: packets of those
 * @fragmented: packets that went as fragments
 * @mads: to QP 1
 * @groups: to a multicast group
 * @answers: responses
 * @mutated: packets that no honest peer sends
 */
static struct {
	unsigned long sure;
	unsigned long unsure;
	unsigned long aggregates;
	unsigned long segments;
	unsigned long fragmented;
	unsigned long mads;
	unsigned long groups;
	unsigned long answers;
	unsigned long mutated;
} tally;

/* frames of a burst */
static struct frame burst[4 * BURST];
static unsigned int burst_n;

static const char *const counters[] = {
	"rcvd_pkts", "rcvd_icrc_err", "rcvd_malformed", "rcvd_no_qp",
};

/* sockets, of hostb */

static int in_hostb(int family, int type, int protocol)
{
	int here = open("/proc/self/ns/net", O_RDONLY);
	int there = open("/run/netns/hostb", O_RDONLY);
	int sock;

	CHECK(here >= 0 && there >= 0);
	CHECK_EQ(setns(there, CLONE_NEWNET), 0);
	sock = socket(family, type, protocol);
	CHECK(sock >= 0);
	if (family == AF_PACKET) {
		struct sockaddr_ll at = {
			.sll_family = AF_PACKET,
			.sll_protocol = htons(ETH_P_EVERY),
			.sll_ifindex = if_nametoindex("vb"),
		};
		int yes = 1, bytes = 8 << 20;

		CHECK(at.sll_ifindex);
		/* what comes only, not what this one sends */
		CHECK_EQ(setsockopt(sock, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes,
				    sizeof(yes)), 0);
		setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
		setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
		CHECK_EQ(bind(sock, (void *)&at, sizeof(at)), 0);
	}
	CHECK_EQ(setns(here, CLONE_NEWNET), 0);
	close(here);
	close(there);
	return sock;
}

static int udp_socket(bool ipv6)
{
	struct sockaddr_in6 at6 = { AF_INET6, htons(SOURCE_PORT) };
	struct sockaddr_in at = { AF_INET, htons(SOURCE_PORT) };
	int sock = in_hostb(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	int dont = IP_PMTUDISC_DO;

	memcpy(&at6.sin6_addr, ways[1].addrs[1], 16);
	memcpy(&at.sin_addr, ways[0].addrs[1] + 12, 4);
	if (ipv6) {
		CHECK_EQ(bind(sock, (void *)&at6, sizeof(at6)), 0);
	} else {
		CHECK_EQ(bind(sock, (void *)&at, sizeof(at)), 0);
		/* neither fragmented nor connected: identifications begin at 0 */
		CHECK_EQ(setsockopt(sock, IPPROTO_IP, IP_MTU_DISCOVER, &dont,
				    sizeof(dont)), 0);
	}
	return sock;
}

static void fill_way(struct way *way, const char *to, const char *from)
{
	static const uint8_t macs[2][6] = { { 2, 0, 0, 0, 0, 1 }, { 2, 0, 0, 0, 0, 2 } };
	union ibv_gid gid;

	way->ipv6 = !!strchr(to, ':');
	memcpy(way->macs, macs, sizeof(macs));
	gid = gid_of(to);
	memcpy(way->addrs[0], gid.raw, 16);
	gid = gid_of(from);
	memcpy(way->addrs[1], gid.raw, 16);
}

/* the bystander's memory and connection */

static void bystander_up(void)
{
	struct pair_config config = { .mtu = IBV_MTU_1024 };
	int i;

	command("ip -n hosta addr replace 10.0.0.11/24 dev va");
	command("ip -n hostb addr replace 10.0.0.12/24 dev vb");
	command("ip -n hosta neigh replace 10.0.0.12 lladdr %s2 dev va nud permanent",
		MACS);
	command("ip -n hostb neigh replace 10.0.0.11 lladdr %s1 dev vb nud permanent",
		MACS);
	for (i = 0; i < 2; i++) {
		host_open(&bystander.hosts[i], i);
		be_at(&bystander.hosts[i], i ? "10.0.0.12" : "10.0.0.11");
		buf_get(&bystander.bufs[i], &bystander.hosts[i], BYSTANDER_BYTES,
			ODP_ACCESS);
	}
	connect_ends(&bystander.ends[0], &bystander.hosts[0], &bystander.ends[1],
		     &bystander.hosts[1], &config);
}

/* a message each way, which come as they were sent */
static void bystander_moves(void)
{
	struct buf *bufs = bystander.bufs;
	unsigned int n = bystander.messages;
	size_t len = 1 + rnd(&state) % BYSTANDER_BYTES;
	int from = n % 2;

	memset(bufs[!from].addr, 0, BYSTANDER_BYTES);
	fill_pattern(bufs[from].addr, len, n);
	do_one(&bystander.ends[from], IBV_WR_RDMA_WRITE, buf_sge(&bufs[from], 0, len),
	       &bufs[!from], 0);
	check_pattern(bufs[!from].addr, len, n);
	check_bytes(bufs[!from].addr + len, BYSTANDER_BYTES - len, 0);
	bystander.messages++;
}

/* victims: memory */

static unsigned char usual_byte(enum area which, size_t i)
{
	return 1 + (i * 7 + which * 31) % 0x5f;
}

static void victim_memory(struct victim *v)
{
	struct ibv_pd *pd = host.pd;
	unsigned char *at;
	size_t i;
	int a;

	v->size = PAGE_BYTES;
	for (a = 0; a < AREAS; a++)
		v->size += area_kinds[a].len + PAGE_BYTES;
	v->fd = memfd_create("victim", 0);
	CHECK(v->fd >= 0);
	CHECK_EQ(ftruncate(v->fd, v->size), 0);
	v->base = mmap(NULL, v->size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	CHECK(v->base != MAP_FAILED);
	memset(v->base, GUARD_BYTE, v->size);
	at = v->base + PAGE_BYTES;
	for (a = 0; a < AREAS; a++) {
		v->areas[a] = at;
		for (i = 0; i < area_kinds[a].len; i++)
			at[i] = usual_byte(a, i);
		v->mrs[a] = ibv_reg_mr(pd, at, area_kinds[a].len,
				       area_kinds[a].access | v->access);
		CHECK(v->mrs[a]);
		at += area_kinds[a].len + PAGE_BYTES;
	}
}

/* whether the peer may have written a byte */
static bool may_be_its(const struct victim *v, enum area which, size_t i,
		       unsigned char byte)
{
	switch (which) {
	case ATOMIC:
		return v->type == IBV_QPT_RC;
	case EXPOSED:
		return byte & HOSTILE && v->type != IBV_QPT_UD;
	case RECEIVE:
		/* the GRH is of what came */
		return byte & HOSTILE ||
		       (v->type == IBV_QPT_UD && i % RECV_BYTES < GRH_BYTES);
	case LANDING:
		return byte & HOSTILE && v->type == IBV_QPT_RC;
	default:
		return false;
	}
}

static void check_area(const struct victim *v, enum area which)
{
	const unsigned char *at = v->areas[which];
	size_t i;

	for (i = 0; i < area_kinds[which].len; i++) {
		if (at[i] == usual_byte(which, i) || may_be_its(v, which, i, at[i]))
			continue;
		printf("# victim %zu, area %d, byte %zu is %#x, was %#x\n", v - victims,
		       which, i, at[i], usual_byte(which, i));
		fail(__FILE__, __LINE__, "memory is the peer's to change");
	}
}

static void check_memory(const struct victim *v)
{
	const unsigned char *at = v->base;
	int a;

	check_bytes(at, PAGE_BYTES, GUARD_BYTE);
	for (a = 0; a < AREAS; a++) {
		check_area(v, a);
		check_bytes(v->areas[a] + area_kinds[a].len, PAGE_BYTES, GUARD_BYTE);
	}
}

/* victims: queue pairs */

static void victim_recv(struct victim *v, unsigned int i)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)v->areas[RECEIVE] + i * RECV_BYTES,
		.length = RECV_BYTES,
		.lkey = v->mrs[RECEIVE]->lkey,
	};
	struct ibv_recv_wr wr = { .wr_id = i, .sg_list = &sge, .num_sge = 1 }, *bad;

	CHECK_EQ(ibv_post_recv(v->end.qp, &wr, &bad), 0);
}

/* a window of type 2, which the peer may invalidate */
static void victim_bind(struct victim *v)
{
	struct ibv_send_wr wr = {
		.wr_id = ~0UL,
		.opcode = IBV_WR_BIND_MW,
		.send_flags = IBV_SEND_SIGNALED,
	}, *bad;

	if (v->mw)
		CHECK_EQ(ibv_dealloc_mw(v->mw), 0);
	v->mw = ibv_alloc_mw(host.pd, IBV_MW_TYPE_2);
	CHECK(v->mw);
	v->mw_rkey = ibv_inc_rkey(v->mw->rkey);
	wr.bind_mw.mw = v->mw;
	wr.bind_mw.rkey = v->mw_rkey;
	wr.bind_mw.bind_info = (struct ibv_mw_bind_info) {
		.mr = v->mrs[EXPOSED],
		.addr = (uintptr_t)v->areas[EXPOSED],
		.length = area_kinds[EXPOSED].len,
		.mw_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	};
	CHECK_EQ(ibv_post_send(v->end.qp, &wr, &bad), 0);
	v->posted++;
}

static void victim_connect(struct victim *v)
{
	union ibv_gid peer;
	unsigned int i;

	memcpy(peer.raw, v->way.addrs[1], 16);
	v->config.psn = rnd(&state) & 0xffffff;
	v->psn = v->config.psn ? v->config.psn : 0xfffff0;
	v->msn = 0;
	v->left = 0;
	v->asked_n = 0;
	v->posted = 0;
	end_to_init(&v->end, &v->config);
	end_to_rtr(&v->end, v->peer_qpn, &peer, &v->config);
	for (i = 0; i < RECVS; i++)
		victim_recv(v, i);
	end_to_rts(&v->end, &v->config);
	if (v->type == IBV_QPT_RC)
		victim_bind(v);
	v->lives++;
}

static void add_target(uint32_t key, const void *addr, size_t len)
{
	CHECK(targets.keys_n < MAX_TARGETS);
	targets.keys[targets.keys_n] = key;
	targets.addrs[targets.keys_n] = (uintptr_t)addr;
	targets.lens[targets.keys_n++] = len;
}

static void victim_up(struct victim *v)
{
	int a;

	v->config = (struct pair_config) {
		.type = v->type,
		.mtu = IBV_MTU_1024,
		.ipv6 = v->ipv6,
		.qkey = QKEY,
		.rd_atomic = 8,
		.timeout = 12,
		.rnr_retry = 1,
	};
	v->peer_qpn = FIRST_QPN + (v - victims);
	v->way = ways[v->ipv6];
	victim_memory(v);
	end_create(&v->end, &host, &v->config);
	victim_connect(v);
	targets.qpns[targets.qpns_n++] = v->end.qp->qp_num;
	for (a = EXPOSED; a <= ATOMIC; a++)
		add_target(v->mrs[a]->rkey, v->areas[a], area_kinds[a].len);
	add_target(v->mrs[PRIVATE]->rkey, v->areas[PRIVATE], area_kinds[PRIVATE].len);
}

/* @goes_on: it takes what has been received again */
static void victim_drain(struct victim *v, bool goes_on)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(v->end.send_cq, 1, &wc) > 0)
		v->posted -= !!v->posted;
	while (ibv_poll_cq(v->end.recv_cq, 1, &wc) > 0)
		if (goes_on && wc.status == IBV_WC_SUCCESS)
			victim_recv(v, wc.wr_id);
}

/* A victim that is alive tells the PSN that it expects now; one that is not begins anew. */
static void victim_check(struct victim *v)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	victim_drain(v, true);
	CHECK_EQ(ibv_query_qp(v->end.qp, &attr, IBV_QP_STATE, &init), 0);
	if (attr.qp_state == IBV_QPS_RTS) {
		v->psn = attr.rq_psn;
		return;
	}
	end_to_reset(&v->end);
	/* some may have come before the query */
	victim_drain(v, false);
	victim_connect(v);
}

/* what the victim asks of the peer by itself */
static void victim_asks(struct victim *v)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_SEND, IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_RDMA_READ,
		IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP,
	};
	struct ibv_sge sge = {
		.addr = (uintptr_t)v->areas[LANDING],
		.length = 1 + rnd(&state) % 3000,
		.lkey = v->mrs[LANDING]->lkey,
	};
	struct ibv_send_wr wr = {
		.opcode = opcodes[rnd(&state) % (v->type == IBV_QPT_RC ? 6 : 2)],
		.send_flags = IBV_SEND_SIGNALED,
		.sg_list = &sge,
		.num_sge = 1,
	}, *bad;

	if (v->posted >= 8 || v->type == IBV_QPT_UD)
		return;
	if (wr.opcode == IBV_WR_ATOMIC_FETCH_AND_ADD ||
	    wr.opcode == IBV_WR_ATOMIC_CMP_AND_SWP) {
		sge.length = 8;
		wr.wr.atomic.remote_addr = 0x1000;
	} else {
		sge.addr += rnd(&state) % 8192;
		wr.wr.rdma.remote_addr = 0x1000;
	}
	/* in the error state, it is flushed */
	if (!ibv_post_send(v->end.qp, &wr, &bad))
		v->posted++;
}

/* pages go away, and are the same when they come back */
static void victim_loses_pages(struct victim *v)
{
	if (v->access)
		CHECK_EQ(madvise(v->base, v->size, MADV_DONTNEED), 0);
}

/* the peer: what it gets */

static void note_asked(struct victim *v, const unsigned char *bth, size_t len)
{
	struct asked *asked = &v->asked[v->asked_n];
	uint32_t psn, dma_len = 0;

	if (v->asked_n == ASKED)
		return;
	memcpy(&psn, bth + 8, 4);
	if (bth[0] == 0x0c && len >= BTH_BYTES + 16) {
		memcpy(&dma_len, bth + BTH_BYTES + 12, 4);
	} else if (!(ntohl(psn) >> 31) && bth[0] != 0x13 && bth[0] != 0x14) {
		/* an acknowledgment is not asked for */
		return;
	}
	*asked = (struct asked) { bth[0], ntohl(psn) & 0xffffff, ntohl(dma_len) };
	v->asked_n++;
}

static void take_packets(void)
{
	static unsigned char bytes[65536];
	const unsigned char *udp;
	uint32_t qpn;
	ssize_t len;
	int n;

	for (n = 0; n < 256; n++) {
		len = recv(raw_sock, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (len < 0)
			return;
		udp = bytes + ETH_BYTES + (bytes[12] == 0x08 ? 20 : 40);
		if (len < ETH_BYTES + 40 + 8 + BTH_BYTES ||
		    (udp[2] << 8 | udp[3]) != ROCE_PORT)
			continue;
		qpn = udp[8 + 5] << 16 | udp[8 + 6] << 8 | udp[8 + 7];
		if (qpn >= FIRST_QPN && qpn < FIRST_QPN + VICTIMS && !(udp[8] >> 5))
			note_asked(&victims[qpn - FIRST_QPN], udp + 8,
				   bytes + len - udp - 8);
	}
}

/* the peer: valid packets */

static struct packet begin_packet(struct victim *v, uint8_t opcode)
{
	static const uint8_t services[] = {
		[IBV_QPT_RC] = 0x00, [IBV_QPT_UC] = 0x20, [IBV_QPT_UD] = 0x60,
	};
	enum area which = one_in(&state, 4) ? rnd(&state) % AREAS : EXPOSED;

	return (struct packet) {
		.opcode = services[v->type] | opcode,
		.flags = 0x40,
		.pkey = 0xffff,
		.qpn = v->end.qp->qp_num,
		.psn = v->psn,
		.va = (uintptr_t)v->areas[which],
		.rkey = v->mrs[which]->rkey,
		.swap = rnd(&state),
		.compare = rnd(&state) | 0x8080808080808080ULL,
		.aeth = 0x1f000000 | (v->msn & 0xffffff),
		.imm = rnd(&state),
		.ieth = v->mw ? v->mw_rkey : rnd(&state),
		.feth = 1 + rnd(&state) % 2,
		.qkey = QKEY,
		.from_qpn = v->peer_qpn,
	};
}

static void set_payload(struct packet *p, uint32_t len)
{
	p->payload_len = len;
	p->pad = -len & 3;
}

/* the next packet of a message, or the first of a new one */
static struct packet next_of_message(struct victim *v)
{
	struct packet p;
	uint32_t len;
	bool first;

	first = !v->left;
	if (first) {
		v->sends = one_in(&state, 3);
		v->left = one_in(&state, 4) ? 1 + rnd(&state) % 6000 :
					      1 + rnd(&state) % 600;
		if (v->sends && v->left > RECV_BYTES)
			v->left = RECV_BYTES;
	}
	p = begin_packet(v, 0);
	if (!v->sends && one_in(&state, 64))
		p.rkey = v->mw_rkey;
	else
		p.rkey = v->mrs[EXPOSED]->rkey;
	len = v->left < PMTU ? v->left : PMTU;
	p.va = (uintptr_t)v->areas[EXPOSED] + rnd(&state) % 20000;
	p.dma_len = v->left;
	set_payload(&p, len);
	v->left -= len;
	/* FIRST, MIDDLE, LAST, ONLY; with immediate data, or a key, now and then */
	if (v->left)
		p.opcode |= (v->sends ? 0x00 : 0x06) + !first;
	else if (first)
		p.opcode |= v->sends ? 0x04 : 0x0a;
	else
		p.opcode |= v->sends ? 0x02 : 0x08;
	if (!v->left && one_in(&state, 4))
		p.opcode++;
	else if (!v->left && v->sends && v->type == IBV_QPT_RC && one_in(&state, 16))
		p.opcode = first ? 0x17 : 0x16;
	p.ack = !v->left || one_in(&state, 8);
	v->psn = (v->psn + 1) & 0xffffff;
	return p;
}

static struct packet read_or_atomic(struct victim *v)
{
	static const uint8_t opcodes[] = { 0x0c, 0x13, 0x14, 0x1c, 0x1d };
	struct packet p = begin_packet(v, opcodes[rnd(&state) % NUM(opcodes)]);
	enum area which = EXPOSED;
	uint32_t psns = 1;

	p.dma_len = rnd(&state) % (one_in(&state, 16) ? 8192 : 600);
	p.ack = true;
	switch (p.opcode) {
	case 0x0c:
		which = one_in(&state, 2) ? READABLE : EXPOSED;
		psns = p.dma_len ? (p.dma_len + PMTU - 1) / PMTU : 1;
		break;
	case 0x13:
	case 0x14:
		which = ATOMIC;
		break;
	case 0x1d:
		p.dma_len = 8;
		set_payload(&p, 8);
		break;
	}
	p.va = (uintptr_t)v->areas[which];
	p.rkey = v->mrs[which]->rkey;
	if (p.opcode != 0x0c)
		p.va += 8 * (rnd(&state) % 400);
	v->psn = (v->psn + psns) & 0xffffff;
	return p;
}

static struct packet datagram(struct victim *v)
{
	struct packet p = begin_packet(v, 4 + one_in(&state, 4));

	set_payload(&p, rnd(&state) % 1025);
	return p;
}

/* an answer that nobody may have asked for */
static struct packet any_answer(struct victim *v)
{
	static const uint8_t opcodes[] = { 0x11, 0x11, 0x11, 0x0d, 0x0e, 0x0f, 0x10, 0x12 };
	struct packet p = begin_packet(v, opcodes[rnd(&state) % NUM(opcodes)]);
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	CHECK_EQ(ibv_query_qp(v->end.qp, &attr, IBV_QP_STATE, &init), 0);
	p.psn = attr.sq_psn + rnd(&state) % 24 - 20;
	if (one_in(&state, 2))
		p.aeth = (uint32_t)rnd(&state) << 24 | (v->msn & 0xffffff);
	if (p.opcode > 0x0c && p.opcode < 0x11)
		set_payload(&p, one_in(&state, 2) ? PMTU : rnd(&state) % PMTU);
	tally.answers++;
	return p;
}

/* to make it a frame, as it is or not */

static unsigned char payload[FRAME_BYTES];

static void add_frame(const struct way *way, struct packet *p, unsigned int mutations,
		      bool ip)
{
	struct frame *frame = &burst[burst_n];
	unsigned int i;

	for (i = 0; i < mutations; i++)
		mutate_packet(p, &targets, &state);
	frame_make(frame, way, p, payload + rnd(&state) % 256);
	if (mutations && one_in(&state, 4))
		mutate_frame(frame, &state);
	if (ip)
		mutate_ip(frame, ways, NUM(ways), &state);
	tally.mutated += mutations || ip;
	burst_n++;
	tally.unsure += ip;
	tally.sure += !ip;
}

/*
 * One packet of so many is mutated, of a burst: those behind one that ends the
 * connection come to nothing.
 */
static unsigned int tameness = 1;

static unsigned int some_mutations(void)
{
	return one_in(&state, tameness) ? 1 + one_in(&state, 3) : 0;
}

static void add_packet(struct victim *v, struct packet p)
{
	add_frame(&v->way, &p, some_mutations(), one_in(&state, 24));
}

/* the answer to what a victim has asked for, all of it */
static void add_answer(struct victim *v)
{
	struct asked *asked = &v->asked[0];
	uint32_t left = asked->len, len, n = 0;
	struct packet p;

	do {
		p = begin_packet(v, 0x11);
		p.psn = asked->psn + n;
		p.aeth = 0x1f000000 | (++v->msn & 0xffffff);
		if (asked->opcode == 0x13 || asked->opcode == 0x14) {
			p.opcode = 0x12;
		} else if (asked->opcode == 0x0c) {
			len = left < PMTU ? left : PMTU;
			left -= len;
			set_payload(&p, len);
			p.opcode = left ? (n ? 0x0e : 0x0d) : (n ? 0x0f : 0x10);
		}
		/* mostly as it should be, or nothing would ever complete */
		add_frame(&v->way, &p, one_in(&state, 6), false);
		tally.answers++;
		n++;
	} while (left && burst_n < NUM(burst) - 2);
	v->asked_n--;
	memmove(v->asked, v->asked + 1, v->asked_n * sizeof(*asked));
}

static void add_group(struct victim *v)
{
	struct packet p = datagram(v);
	struct way way = v->way;
	union ibv_gid group = gid_of(v->ipv6 ? "ff15::7:7" : "239.7.7.7");

	memcpy(way.addrs[0], group.raw, 16);
	if (v->ipv6)
		memcpy(way.macs[0], (uint8_t[]){ 0x33, 0x33, 0, 7, 0, 7 }, 6);
	else
		memcpy(way.macs[0], (uint8_t[]){ 1, 0, 0x5e, 7, 7, 7 }, 6);
	p.qpn = 0xffffff;
	add_frame(&way, &p, some_mutations(), false);
	/* a group's packets are for each of its members, or none */
	tally.sure--;
	tally.unsure++;
	tally.groups++;
}

/* IBTA 13.4.2: base version, class, class version, method, ... */
static void add_mad(struct victim *v)
{
	static const uint8_t classes[] = { 0x04, 0x07, 0x07, 0x01, 0x03, 0x06, 0x81 };
	static const uint16_t attributes[] = {
		0x0001, 0x0010, 0x0011, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016, 0x0017,
		0x0018, 0x0019, 0x001a, 0x001d,
	};
	struct packet p = begin_packet(v, 4);
	unsigned char mad[256];
	size_t i;

	p.opcode = 0x64;
	p.qpn = 1;
	p.qkey = GSI_QKEY;
	p.from_qpn = one_in(&state, 2) ? 1 : v->peer_qpn;
	set_payload(&p, sizeof(mad));
	for (i = 0; i < sizeof(mad); i++)
		mad[i] = one_in(&state, 3) ? rnd(&state) : 0;
	mad[0] = 1;
	mad[1] = classes[rnd(&state) % NUM(classes)];
	mad[2] = 1 + rnd(&state) % 2;
	mad[3] = one_in(&state, 2) ? 3 : 1 + rnd(&state) % 3;
	mad[16] = 0;
	mad[17] = attributes[rnd(&state) % NUM(attributes)];
	for (i = 0; i < rnd(&state) % 6; i++)
		mad[rnd(&state) % 64] = rnd(&state);
	memcpy(payload + 1024, mad, sizeof(mad));
	frame_make(&burst[burst_n], &v->way, &p, payload + 1024);
	memset(payload + 1024, HOSTILE | 0x11, sizeof(mad));
	burst_n++;
	tally.sure++;
	tally.mads++;
	tally.mutated++;
}

/* as IP fragments: two, in either order, or only one; they may overlap */
static void add_fragments(struct victim *v)
{
	struct frame whole, *part;
	struct packet p = v->type == IBV_QPT_UD ? datagram(v) : next_of_message(v);
	unsigned int which, cut, begin, len;
	static uint16_t ident;
	unsigned char *ip;

	if (v->ipv6) {
		add_packet(v, p);
		return;
	}
	frame_make(&whole, &v->way, &p, payload);
	ip = whole.bytes + ETH_BYTES;
	ip[4] = ++ident >> 8;
	ip[5] = ident;
	ip[6] = 0;
	frame_seal(&whole);
	len = whole.len - ETH_BYTES - 20;
	cut = 8 * (1 + rnd(&state) % ((len - 1) / 8));
	which = rnd(&state) % 5;
	for (begin = 0; begin < 2; begin++) {
		bool second = begin ^ (which == 1);
		unsigned int from = second ? cut : 0, to = second ? len : cut;

		if (which == 2 && second)
			continue;
		if (which == 3 && second && from >= 8)
			from -= 8;
		part = &burst[burst_n++];
		*part = whole;
		memcpy(part->bytes + ETH_BYTES + 20, whole.bytes + ETH_BYTES + 20 + from,
		       to - from);
		part->len = ETH_BYTES + 20 + to - from;
		ip = part->bytes + ETH_BYTES;
		ip[2] = (20 + to - from) >> 8;
		ip[3] = 20 + to - from;
		ip[6] = (second ? 0 : 0x20) | from / 8 >> 8;
		ip[7] = from / 8;
		frame_checksum(part);
	}
	tally.fragmented++;
	tally.unsure++;
}

static void send_burst(void)
{
	struct mmsghdr msgs[NUM(burst)] = {};
	struct iovec iovs[NUM(burst)];
	unsigned int i, sent = 0;
	int n;

	for (i = 0; i < burst_n; i++) {
		iovs[i] = (struct iovec) { burst[i].bytes, burst[i].len };
		msgs[i].msg_hdr.msg_iov = &iovs[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < burst_n) {
		n = sendmmsg(raw_sock, msgs + sent, burst_n - sent, 0);
		if (n < 0 && errno == ENOBUFS) {
			sched_yield();
			continue;
		}
		test_at("a frame of %zu bytes", burst[sent].len);
		CHECK(n > 0);
		sent += n;
	}
	burst_n = 0;
}

/* many packets of one size under one header, as segmentation and GRO have them */
static void send_aggregate(struct victim *v)
{
	static unsigned char bytes[MOST_SEGMENTS * 1400];
	struct sockaddr_in6 to6 = { AF_INET6, htons(ROCE_PORT) };
	struct sockaddr_in to = { AF_INET, htons(ROCE_PORT) };
	unsigned int n = 2 + rnd(&state) % (MOST_SEGMENTS - 1), i, pick;
	struct packet p = begin_packet(v, 0);
	int size, sock = udp_socks[v->ipv6];
	struct frame headers;
	uint32_t icrc;
	ssize_t sent;

	pick = rnd(&state) % n;
	v->left = 0;
	p.dma_len = n * PMTU / 4;
	p.va = (uintptr_t)v->areas[EXPOSED];
	p.rkey = v->mrs[EXPOSED]->rkey;
	/* a write, but for its first packet, which is sent alone */
	if (v->type != IBV_QPT_UD) {
		p.opcode |= 0x06;
		set_payload(&p, PMTU);
		p.dma_len = n * PMTU + PMTU + 100;
		if (p.dma_len > area_kinds[EXPOSED].len)
			p.dma_len = area_kinds[EXPOSED].len;
		add_frame(&v->way, &p, 0, false);
		send_burst();
		v->psn = (v->psn + 1) & 0xffffff;
		p.opcode++;
	} else {
		p.opcode |= 4;
		set_payload(&p, 256);
	}
	if (one_in(&state, 4))
		set_payload(&p, 4 * (1 + rnd(&state) % 64));
	p.psn = v->psn;
	frame_make(&headers, &v->way, &p, payload);
	size = headers.len - headers.bth;
	if (size < BTH_BYTES + ICRC_BYTES || size > 1400)
		return;
	for (i = 0; i < n; i++) {
		struct packet one = p;
		unsigned char *at = bytes + (size_t)i * size;
		size_t len;

		one.psn = (p.psn + i) & 0xffffff;
		if (i == pick && one_in(&state, 2))
			mutate_packet(&one, &targets, &state);
		/* all have the size of the first */
		one.payload_len = p.payload_len;
		one.pad = p.pad;
		len = packet_bytes(&one, payload, at);
		if (len > size - 4U)
			len = size - 4;
		memset(at + len, HOSTILE, size - 4 - len);
		icrc = icrc_of(&headers, at, size - 4, i);
		if (i == pick && one_in(&state, 4))
			icrc ^= 1U << rnd(&state) % 32;
		memcpy(at + size - 4, &icrc, 4);
	}
	memcpy(&to6.sin6_addr, v->way.addrs[0], 16);
	memcpy(&to.sin_addr, v->way.addrs[0] + 12, 4);
	CHECK_EQ(setsockopt(sock, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	sent = sendto(sock, bytes, (size_t)n * size, 0,
		      v->ipv6 ? (void *)&to6 : (void *)&to,
		      v->ipv6 ? sizeof(to6) : sizeof(to));
	CHECK_EQ(sent, (ssize_t)n * size);
	tally.aggregates++;
	tally.segments += n;
	tally.sure += n;
	tally.mutated++;
}

static void add_any(struct victim *v)
{
	bool reliable = v->type == IBV_QPT_RC, datagrams = v->type == IBV_QPT_UD;
	unsigned int which = rnd(&state) % 24;
	struct packet p;

	if (which == 0) {
		add_mad(v);
	} else if (which == 1) {
		add_fragments(v);
	} else if (which == 2 && datagrams) {
		add_group(v);
	} else if (datagrams) {
		add_packet(v, datagram(v));
	} else if (which < 6 && reliable) {
		add_packet(v, any_answer(v));
	} else if (which < 10 && reliable && !v->left) {
		add_packet(v, read_or_atomic(v));
	} else if (which == 10) {
		/* once more, or too early */
		p = next_of_message(v);
		p.psn += rnd(&state) % 17 - 8;
		add_packet(v, p);
	} else {
		add_packet(v, next_of_message(v));
	}
}

static void send_some(struct victim *v)
{
	unsigned int n = 1 + rnd(&state) % BURST;

	tameness = 1 + rnd(&state) % BURST;
	if (v->type != IBV_QPT_UD && one_in(&state, 3))
		victim_asks(v);
	if (one_in(&state, 16))
		victim_loses_pages(v);
	while (n-- && burst_n < NUM(burst) - 8) {
		if (v->asked_n && one_in(&state, 2))
			add_answer(v);
		else
			add_any(v);
	}
	send_burst();
	if (one_in(&state, 24))
		send_aggregate(v);
}

static unsigned long wanted_packets(void)
{
	const char *text = getenv("HOSTILE_PACKETS");

	if (text && atol(text) > 0)
		return atol(text);
	return getenv("LONG_TESTS") ? 1000000 : 100000;
}

static unsigned long sent_packets(void)
{
	return tally.sure + tally.unsure;
}

static void all_up(void)
{
	size_t i;

	fill_way(&ways[0], "10.0.0.1", "10.0.0.2");
	fill_way(&ways[1], "fd00::1", "fd00::2");
	fill_way(&ways[2], "10.0.0.11", "10.0.0.12");
	fill_way(&ways[3], "fd00::1", "fd00::3");
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = HOSTILE | rnd(&state);
	raw_sock = in_hostb(AF_PACKET, SOCK_RAW, 0);
	udp_socks[0] = udp_socket(false);
	udp_socks[1] = udp_socket(true);
	host_open(&host, 0);
	bystander_up();
	for (i = 0; i < VICTIMS; i++)
		victim_up(&victims[i]);
	targets.qpns[targets.qpns_n++] = bystander.ends[0].qp->qp_num;
	targets.qpns[targets.qpns_n++] = 1;
	targets.qpns[targets.qpns_n++] = 0xffffff;
	add_target(bystander.bufs[0].mr->rkey, bystander.bufs[0].addr, BYSTANDER_BYTES);
	for (i = 0; i < VICTIMS; i++) {
		union ibv_gid group;

		if (victims[i].type != IBV_QPT_UD)
			continue;
		group = gid_of(victims[i].ipv6 ? "ff15::7:7" : "239.7.7.7");
		CHECK_EQ(ibv_attach_mcast(victims[i].end.qp, &group, 0), 0);
	}
}

static void all_down(void)
{
	unsigned int i;
	int a;

	for (i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];
		union ibv_gid group = gid_of(v->ipv6 ? "ff15::7:7" : "239.7.7.7");

		if (v->type == IBV_QPT_UD)
			CHECK_EQ(ibv_detach_mcast(v->end.qp, &group, 0), 0);
		end_destroy(&v->end);
		if (v->mw)
			CHECK_EQ(ibv_dealloc_mw(v->mw), 0);
		for (a = 0; a < AREAS; a++)
			CHECK_EQ(ibv_dereg_mr(v->mrs[a]), 0);
	}
	for (i = 0; i < 2; i++) {
		end_destroy(&bystander.ends[i]);
		buf_put(&bystander.bufs[i]);
		host_close(&bystander.hosts[i]);
	}
	host_close(&host);
}

static void show_tally(void)
{
	unsigned int i;

	printf("# %lu packets, %lu of them mutated, %lu answers, %lu to QP 1, %lu to a group\n",
	       sent_packets(), tally.mutated, tally.answers, tally.mads, tally.groups);
	printf("# %lu in %lu aggregates, %lu in fragments; %u honest messages\n",
	       tally.segments, tally.aggregates, tally.fragmented, bystander.messages);
	for (i = 0; i < VICTIMS; i++)
		printf("# victim %u was connected %u times\n", i, victims[i].lives);
}

/**
 * struct account - what became of packets
 * @at: counters of rxe0, by @counters
 * @honest: packets that rxe1 has sent
 */
struct account {
	unsigned long long at[NUM(counters)];
	unsigned long long honest;
};

static struct account account_now(void)
{
	struct account account;
	unsigned int i;

	for (i = 0; i < NUM(counters); i++)
		account.at[i] = counter_of(0, counters[i]);
	account.honest = counter_of(1, "sent_pkts");
	return account;
}

static unsigned long long sum_since(const struct account *before,
				    const struct account *now)
{
	unsigned long long sum = 0;
	unsigned int i;

	for (i = 0; i < NUM(counters); i++)
		sum += now->at[i] - before->at[i];
	return sum;
}

/* Each packet that came was handed to a queue pair, or dropped for a reason. */
static void check_account(const struct account *before)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	unsigned long long sum, low;
	struct account now;
	unsigned int i;

	/* batches may wait for a CPU */
	do {
		now = account_now();
		sum = sum_since(before, &now);
		low = tally.sure + now.honest - before->honest;
	} while (sum < low && now_ms() < end);
	for (i = 0; i < NUM(counters); i++)
		printf("# %s: %llu\n", counters[i], now.at[i] - before->at[i]);
	printf("# %llu packets accounted for, of %llu to %llu\n", sum, low,
	       low + tally.unsure);
	CHECK(sum >= low);
	CHECK(sum <= low + tally.unsure);
}

static void hostile_peer(void)
{
	unsigned long goal = wanted_packets(), bursts = 0;
	struct account before;
	unsigned int i;

	state = seed;
	all_up();
	before = account_now();
	while (sent_packets() < goal) {
		struct victim *v = &victims[rnd(&state) % VICTIMS];

		test_at("burst %lu, HOSTILE_SEED=%#llx", bursts,
			(unsigned long long)seed);
		take_packets();
		send_some(v);
		victim_check(v);
		if (bursts % 4 == 0)
			bystander_moves();
		if (bursts % 256 == 0)
			for (i = 0; i < VICTIMS; i++)
				check_memory(&victims[i]);
		bursts++;
	}
	for (i = 0; i < VICTIMS; i++)
		check_memory(&victims[i]);
	show_tally();
	check_account(&before);
	all_down();
	check_works();
}

static struct test tests[] = {
	{ "a hostile peer", hostile_peer, 600 },
	{}
};

int main(int argc, char **argv)
{
	seed = seed_from("HOSTILE_SEED");
	if (getenv("LONG_TESTS"))
		tests[0].seconds = 3600;
	host_tests(tests, argv + 1);
}
