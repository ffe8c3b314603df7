// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * NFQUEUE: a firewall rule hands packets to a program, which hands them back. They
 * reach the driver in the program's context, late and reordered. Packets that the
 * program keeps are dropped when the link goes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

static const char *const host_names[] = { "hosta", "hostb" };

/* packets that a queue holds at most; further ones bypass it */
#define QUEUE_LEN	1024
/* packets that are handed back together, so that none waits for long */
#define TOGETHER	16

enum order { IN_ORDER, BACKWARDS, NOT_YET };

/**
 * struct queue - a host's NFQUEUE; shared with the program that serves it
 * @host: of host_names
 * @whole: GSO packets are handed over whole, not segmented
 * @order: enum order, in which packets are handed back; NOT_YET: they are kept
 * @ready: the program takes packets
 * @taken: skbs that it has taken
 * @merged: those that were GSO packets
 * @sock: the program's netlink socket
 * @ids: of the packets that it has
 * @n: their number
 */
struct queue {
	int host;
	bool whole;
	atomic_int order;
	atomic_bool ready;
	atomic_uint taken;
	atomic_uint merged;
	int sock;
	__u32 ids[QUEUE_LEN];
	atomic_uint n;
};

/**
 * struct message - a netlink message to the kernel's side of the queue
 * @hdr: netlink's header
 * @nf: netfilter's
 * @attrs: room for some attributes
 */
struct message {
	struct nlmsghdr hdr;
	struct nfgenmsg nf;
	char attrs[100];
};

static void message_begin(struct message *m, int type)
{
	memset(m, 0, sizeof(*m));
	m->hdr.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type;
	m->hdr.nlmsg_flags = NLM_F_REQUEST;
	m->hdr.nlmsg_len = NLMSG_LENGTH(sizeof(m->nf));
	m->nf.version = NFNETLINK_V0;
}

static void message_add(struct message *m, int type, const void *data,
			size_t len)
{
	struct nlattr *attr = (void *)m + NLMSG_ALIGN(m->hdr.nlmsg_len);

	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memcpy((void *)attr + NLA_HDRLEN, data, len);
	m->hdr.nlmsg_len = NLMSG_ALIGN(m->hdr.nlmsg_len) +
			   NLA_ALIGN(attr->nla_len);
}

static void message_send(struct queue *queue, struct message *m)
{
	CHECK_EQ(send(queue->sock, m, m->hdr.nlmsg_len, 0), m->hdr.nlmsg_len);
}

/* send it, and see that the kernel has done it */
static void message_done(struct queue *queue, struct message *m)
{
	struct {
		struct nlmsghdr hdr;
		struct nlmsgerr err;
	} answer;

	m->hdr.nlmsg_flags |= NLM_F_ACK;
	message_send(queue, m);
	CHECK(recv(queue->sock, &answer, sizeof(answer), MSG_TRUNC) > 0);
	CHECK_EQ(answer.hdr.nlmsg_type, NLMSG_ERROR);
	CHECK_EQ(answer.err.error, 0);
}

static void queue_bind(struct queue *queue)
{
	struct nfqnl_msg_config_params params = {
		.copy_range = htonl(0xffff),
		.copy_mode = NFQNL_COPY_PACKET,
	};
	struct nfqnl_msg_config_cmd cmd = { .command = NFQNL_CFG_CMD_BIND };
	__be32 mask = htonl(NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO);
	__be32 flags = queue->whole ? mask : htonl(NFQA_CFG_F_FAIL_OPEN);
	__be32 len = htonl(QUEUE_LEN);
	struct message m;

	message_begin(&m, NFQNL_MSG_CONFIG);
	message_add(&m, NFQA_CFG_CMD, &cmd, sizeof(cmd));
	message_done(queue, &m);
	message_begin(&m, NFQNL_MSG_CONFIG);
	message_add(&m, NFQA_CFG_PARAMS, &params, sizeof(params));
	message_add(&m, NFQA_CFG_QUEUE_MAXLEN, &len, sizeof(len));
	message_add(&m, NFQA_CFG_FLAGS, &flags, sizeof(flags));
	message_add(&m, NFQA_CFG_MASK, &mask, sizeof(mask));
	message_done(queue, &m);
}

static void queue_open(struct queue *queue)
{
	int bytes = 64 << 20, yes = 1, ns;
	char path[40];

	snprintf(path, sizeof(path), "/run/netns/%s", host_names[queue->host]);
	ns = open(path, O_RDONLY);
	CHECK(ns >= 0);
	CHECK_EQ(setns(ns, CLONE_NEWNET), 0);
	close(ns);
	queue->sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	CHECK(queue->sock >= 0);
	CHECK_EQ(setsockopt(queue->sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
			    sizeof(bytes)), 0);
	CHECK_EQ(setsockopt(queue->sock, SOL_NETLINK, NETLINK_NO_ENOBUFS, &yes,
			    sizeof(yes)), 0);
	queue_bind(queue);
}

/* take a packet; other messages are errors of late verdicts */
static void queue_take(struct queue *queue, const struct nlmsghdr *hdr)
{
	const struct nfqnl_msg_packet_hdr *packet = NULL;
	const struct nlattr *attr, *end;
	__be32 info = 0;

	if (hdr->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
		return;
	end = (const void *)hdr + hdr->nlmsg_len;
	attr = (const void *)hdr + NLMSG_LENGTH(sizeof(struct nfgenmsg));
	for (; attr < end; attr = (const void *)attr + NLA_ALIGN(attr->nla_len)) {
		if (attr->nla_type == NFQA_PACKET_HDR)
			packet = (const void *)attr + NLA_HDRLEN;
		if (attr->nla_type == NFQA_SKB_INFO)
			memcpy(&info, (const void *)attr + NLA_HDRLEN,
			       sizeof(info));
	}
	CHECK(packet);
	memcpy(&queue->ids[queue->n++], &packet->packet_id,
	       sizeof(packet->packet_id));
	if (info & htonl(NFQA_SKB_GSO))
		queue->merged++;
	queue->taken++;
}

/* take packets that are queued, up to @most in all */
static void queue_gather(struct queue *queue, unsigned int most)
{
	struct pollfd pollfd = { .fd = queue->sock, .events = POLLIN };
	static char buf[1 << 18] __attribute__((aligned(8)));
	const struct nlmsghdr *hdr = (const void *)buf;
	ssize_t len;

	poll(&pollfd, 1, 10);
	while (queue->n < most) {
		len = recv(queue->sock, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && errno == EAGAIN)
			return;
		/* nothing is batched: one message each */
		CHECK(len > 0 && hdr->nlmsg_len <= (size_t)len);
		queue_take(queue, hdr);
	}
}

static void queue_accept(struct queue *queue, __u32 id)
{
	struct nfqnl_msg_verdict_hdr verdict = {
		.verdict = htonl(NF_ACCEPT),
		.id = id,
	};
	struct message m;

	message_begin(&m, NFQNL_MSG_VERDICT);
	message_add(&m, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
	message_send(queue, &m);
}

static void queue_hand_back(struct queue *queue)
{
	unsigned int i;

	for (i = 0; i < queue->n; i++)
		queue_accept(queue, queue->ids[queue->order == BACKWARDS ?
					       queue->n - 1 - i : i]);
	queue->n = 0;
}

static void queue_run(struct queue *queue)
{
	queue_open(queue);
	queue->ready = true;
	while (1) {
		if (queue->order != NOT_YET) {
			queue_gather(queue, TOGETHER);
			queue_hand_back(queue);
		} else if (queue->n < QUEUE_LEN) {
			queue_gather(queue, QUEUE_LEN);
		} else {
			sleep_ms(10);
		}
	}
}

/* start the program, which ends with the test; @rule selects its packets */
static struct queue *queue_up(int host, const char *rule, bool whole,
			      enum order order)
{
	const char *name = host_names[host];
	struct queue *queue;

	queue = mmap(NULL, sizeof(*queue), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(queue != MAP_FAILED);
	queue->host = host;
	queue->whole = whole;
	queue->order = order;
	if (!fork())
		queue_run(queue);
	UNTIL(queue->ready);
	command("ip netns exec %s nft add rule inet rxe_test %s queue num 0",
		name, rule);
	return queue;
}

/* make the nftables chains "in" and "out" of a host */
static void chains_up(int host)
{
	const char *name = host_names[host];
	char text[300];

	if (system("command -v nft >/dev/null"))
		skip("there is no nft(8)");
	snprintf(text, sizeof(text),
		 "ip netns exec %s nft delete table inet rxe_test 2>/dev/null",
		 name);
	system(text);
	snprintf(text, sizeof(text),
		 "ip netns exec %s nft 'add table inet rxe_test;%s;%s;%s'", name,
		 "add chain inet rxe_test in {type filter hook input priority 0;}",
		 "add chain inet rxe_test out {type filter hook output priority 0;}",
		 "add rule inet rxe_test in udp dport 1 numgen inc mod 2 0 queue num 0");
	if (system(text))
		skip("the kernel has no nftables with numgen and queue");
}

static void chains_down(int host)
{
	command("ip netns exec %s nft delete table inet rxe_test",
		host_names[host]);
}

#define LANES	4
#define ROUNDS	1
#define SLOT	(80 * 1024)
#define HALF	"udp dport 4791 numgen inc mod 2 0"
#define ALL	"udp dport 4791"

/**
 * struct lane - a connection, and memory for one message of each kind
 * @pair: the connection; the hosts are those of the first lane
 * @local: memory of the requester: for a write, a read, a send
 * @remote: memory of the responder, likewise
 */
struct lane {
	struct pair pair;
	struct buf local;
	struct buf remote;
};

/* lanes alternate in the end that posts */
static void lane_up(struct lane *lane, struct host *hosts, int from,
		    bool ipv6)
{
	/* the queue's program may stand still for seconds */
	struct pair_config config = { .ipv6 = ipv6, .timeout = 18 };

	connect_ends(&lane->pair.a, &hosts[from], &lane->pair.b, &hosts[!from],
		     &config);
	buf_get(&lane->local, &hosts[from], 3 * SLOT, ALL_ACCESS);
	buf_get(&lane->remote, &hosts[!from], 3 * SLOT, ALL_ACCESS);
}

static void lane_down(struct lane *lane)
{
	buf_put(&lane->local);
	buf_put(&lane->remote);
	end_destroy(&lane->pair.a);
	end_destroy(&lane->pair.b);
}

/* a write, a read and a send, in flight at once */
static void lane_post(struct lane *lane, size_t len, unsigned int seed)
{
	struct end *a = &lane->pair.a;

	memset(lane->local.addr, 0xa5, 3 * SLOT);
	memset(lane->remote.addr, 0xa5, 3 * SLOT);
	fill_pattern(lane->local.addr, len, seed);
	fill_pattern(lane->remote.addr + SLOT, len, seed + 1);
	fill_pattern(lane->local.addr + 2 * SLOT, len, seed + 2);
	post_recv(&lane->pair.b, &lane->remote, 2 * SLOT, SLOT, seed);
	post_one(a, IBV_WR_RDMA_WRITE, buf_sge(&lane->local, 0, len),
		 &lane->remote, 0);
	post_one(a, IBV_WR_RDMA_READ, buf_sge(&lane->local, SLOT, len),
		 &lane->remote, SLOT);
	post_one(a, IBV_WR_SEND, buf_sge(&lane->local, 2 * SLOT, len),
		 &lane->remote, 0);
}

static void check_slot(const struct buf *buf, int slot, size_t len,
		       unsigned int seed)
{
	const unsigned char *at = buf->addr + slot * SLOT;

	check_pattern(at, len, seed);
	check_bytes(at + len, SLOT - len, 0xa5);
}

static void lane_check(struct lane *lane, size_t len, unsigned int seed)
{
	struct ibv_wc wc;

	CHECK_EQ(wait_ok(lane->pair.a.send_cq).opcode, IBV_WC_RDMA_WRITE);
	CHECK_EQ(wait_ok(lane->pair.a.send_cq).opcode, IBV_WC_RDMA_READ);
	CHECK_EQ(wait_ok(lane->pair.a.send_cq).opcode, IBV_WC_SEND);
	wc = wait_ok(lane->pair.b.recv_cq);
	CHECK_EQ(wc.wr_id, seed);
	CHECK_EQ(wc.byte_len, len);
	check_slot(&lane->remote, 0, len, seed);
	check_slot(&lane->local, 1, len, seed + 1);
	check_slot(&lane->remote, 2, len, seed + 2);
	check_idle(lane->pair.b.recv_cq);
}

static void lanes_move(struct lane *lanes, unsigned int round)
{
	static const size_t lengths[] = { 1, 200, 1024, 5000, 20001, 65536 };
	unsigned int i, size, seed;

	for (size = 0; size < NUM(lengths); size++) {
		seed = (round * NUM(lengths) + size) * LANES;
		test_at("round %u, %zu bytes", round, lengths[size]);
		for (i = 0; i < LANES; i++)
			lane_post(&lanes[i], lengths[size], seed + i);
		for (i = 0; i < LANES; i++)
			lane_check(&lanes[i], lengths[size], seed + i);
	}
}

static void all_lanes(bool ipv6)
{
	struct lane lanes[LANES];
	struct host hosts[2];
	unsigned int i;

	host_open(&hosts[0], 0);
	host_open(&hosts[1], 1);
	for (i = 0; i < LANES; i++)
		lane_up(&lanes[i], hosts, i & 1, ipv6);
	for (i = 0; i < ROUNDS; i++)
		lanes_move(lanes, i);
	for (i = 0; i < LANES; i++)
		lane_down(&lanes[i]);
	host_close(&hosts[0]);
	host_close(&hosts[1]);
}

/* both hosts hand half of what comes in to a program */
static void half_queued(bool whole, enum order order)
{
	struct queue *queues[2];
	int i;

	for (i = 0; i < 2; i++) {
		chains_up(i);
		queues[i] = queue_up(i, "in " HALF, whole, order);
	}
	all_lanes(false);
	all_lanes(true);
	for (i = 0; i < 2; i++) {
		printf("# %s: %u packets queued, %u of them merged\n",
		       host_names[i], queues[i]->taken, queues[i]->merged);
		CHECK(queues[i]->taken > 0);
		CHECK_EQ(queues[i]->merged > 0, whole);
		chains_down(i);
	}
	check_works();
}

static void segmented(void)
{
	half_queued(false, IN_ORDER);
}

static void merged(void)
{
	half_queued(true, IN_ORDER);
}

static void backwards(void)
{
	half_queued(false, BACKWARDS);
}

/* outgoing packets are queued, too, with their route and socket */
static void both_ways(void)
{
	struct queue *queue;

	chains_up(0);
	queue = queue_up(0, "out " HALF, true, IN_ORDER);
	command("ip netns exec hosta nft add rule inet rxe_test in " HALF
		" queue num 0");
	all_lanes(false);
	all_lanes(true);
	printf("# %u packets queued, %u of them merged\n", queue->taken,
	       queue->merged);
	CHECK(queue->merged > 0);
	chains_down(0);
}

/* packets in a host's queue, by /proc/net/netfilter/nfnetlink_queue */
static unsigned int queue_total(const struct queue *queue)
{
	unsigned int n;
	char text[100];
	FILE *pipe;

	snprintf(text, sizeof(text),
		 "ip netns exec %s cat /proc/net/netfilter/nfnetlink_queue",
		 host_names[queue->host]);
	pipe = popen(text, "r");
	CHECK(pipe);
	CHECK_EQ(fscanf(pipe, "%*u %*u %u", &n), 1);
	CHECK_EQ(pclose(pipe), 0);
	return n;
}

/* a process whose packets are all kept; it stays until it is killed */
static pid_t writer_start(struct queue *queue)
{
	struct pair_config config = { .timeout = 18 };
	unsigned int before = queue->taken;
	struct buf local, remote;
	struct pair pair;
	pid_t pid;
	int i;

	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		pair_up(&pair, &config);
		buf_get(&local, &pair.hosts[0], SLOT, ALL_ACCESS);
		buf_get(&remote, &pair.hosts[1], SLOT, ALL_ACCESS);
		for (i = 0; i < 8; i++)
			post_one(&pair.a, IBV_WR_RDMA_WRITE,
				 buf_sge(&local, 0, SLOT), &remote, 0);
		while (1)
			pause();
	}
	UNTIL(queue->taken != before);
	return pid;
}

static void writer_stop(pid_t pid)
{
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
}

/* hand back packets that the kernel may have dropped; then serve the queue */
static void queue_go_on(struct queue *queue)
{
	queue->order = IN_ORDER;
	UNTIL(!queue->n);
}

/*
 * The program keeps all packets of @host's chain while the command @go deletes its
 * link; @back makes it anew. The hooks of a namespace go with its last link, and
 * queued packets with them.
 */
static void link_goes(int host, const char *chain, const char *go,
		      const char *back)
{
	struct queue *queue;
	char rule[40];
	pid_t pid;

	snprintf(rule, sizeof(rule), "%s %s", chain, ALL);
	chains_up(host);
	queue = queue_up(host, rule, true, NOT_YET);
	/* the writer is stopped, so that the count is that of kept packets */
	pid = writer_start(queue);
	writer_stop(pid);
	CHECK(queue_total(queue) > 0);
	command("%s", go);
	CHECK_EQ(queue_total(queue), 0);
	command("%s", back);
	queue_go_on(queue);
	check_works();

	/* a new writer */
	queue->order = NOT_YET;
	pid = writer_start(queue);
	command("%s", go);
	queue_go_on(queue);
	command("%s", back);
	check_works();
	writer_stop(pid);
	chains_down(host);
}

static void link_deleted(void)
{
	link_goes(1, "in", "rdma link delete rxe1",
		  "ip netns exec hostb rdma link add rxe1 type rxe netdev vb");
	link_goes(0, "out", "rdma link delete rxe0",
		  "ip netns exec hosta rdma link add rxe0 type rxe netdev va");
}

/* deleting the netdev drops packets that came by it, and deletes its peer */
static void netdev_deleted(void)
{
	int host;

	for (host = 0; host < 2; host++) {
		struct queue *queue;
		pid_t pid;

		chains_up(host);
		queue = queue_up(host, host ? "in " ALL : "out " ALL, true,
				 NOT_YET);
		pid = writer_start(queue);
		command("ip -n hosta link delete va");
		queue_go_on(queue);
		two_hosts("plug");
		check_works();
		writer_stop(pid);
		chains_down(host);
	}
}

/* No queued packet may return to a module that is gone. */
static void module_unloaded(void)
{
	const char *load = load_command();
	struct queue *queues[2];
	pid_t pid;

	chains_up(0);
	chains_up(1);
	queues[0] = queue_up(0, "out " HALF, true, NOT_YET);
	queues[1] = queue_up(1, "in " ALL, false, NOT_YET);
	pid = writer_start(queues[1]);
	command("rmmod rdma_rxe");
	queue_go_on(queues[0]);
	queue_go_on(queues[1]);
	command("%s", load);
	command("ip -n hosta link delete va");
	two_hosts("plug");
	check_works();
	writer_stop(pid);
	chains_down(0);
	chains_down(1);
}

static const struct test tests[] = {
	{ "half of the packets pass an NFQUEUE", segmented },
	{ "half of the packets pass an NFQUEUE as GSO packets", merged },
	{ "half of the packets leave an NFQUEUE in reverse order", backwards },
	{ "half of a host's packets pass an NFQUEUE, out and in", both_ways },
	{ "a link is deleted while an NFQUEUE holds packets", link_deleted },
	{ "a netdev is deleted while an NFQUEUE holds packets",
	  netdev_deleted },
	{ "the module is unloaded while NFQUEUEs hold packets",
	  module_unloaded },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
