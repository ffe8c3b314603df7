// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Flows beside others: what they have in the network, and what ends beside them. */
#include <stdio.h>
#include <stdlib.h>

#include "cables.h"
#include "stream.h"

#define REMOVALS 20

/* of flow.c: skbs of a flow in the network, of those of a device, of each at least */
#define FLOW_MAX	64
#define DEVICE_MAX	512
#define FLOW_MIN	4
/* one packet of each of them leaves less than FLOW_MIN of DEVICE_MAX / flows */
#define STUCK		130
#define GREEDY		20
#define PACKET		1024
/* packets of others: the kernel's own MLD and ND */
#define OTHERS		8

/* The last link of a namespace goes beside traffic in others, which stays in order. */
static void other_namespace(void)
{
	unsigned long long before;
	struct stream s;
	int i;

	command("ip netns del bystander 2>/dev/null; ip netns add bystander");
	command("ip -n bystander link add dum0 type dummy");
	stream_up(&s, IBV_WR_RDMA_WRITE);
	stream_start(&s);
	stream_pass(&s, 2);
	before = counter_sum("out_of_seq_request");
	for (i = 0; i < REMOVALS; i++) {
		command("ip netns exec bystander rdma link add bystander type rxe netdev dum0");
		stream_pass(&s, 1);
		command("rdma link delete bystander");
		stream_pass(&s, 1);
	}
	CHECK_EQ(counter_sum("out_of_seq_request"), before);
	stream_stop(&s);
	stream_down(&s);
	command("ip netns del bystander");
}

/* Both cables, with host left's packets leaving one by one, to a peer that it knows. */
static void flows_up(struct host hosts[4])
{
	int i;

	cables_up();
	for (i = 0; i < 4; i++) {
		link_up(i, i);
		open_link(&hosts[i], i, i);
	}
	for (i = 0; i < 2; i++) {
		command("ip -n left link set v%d gso_max_segs 1", i);
		command("ip -n right link set v%d address 02:00:00:00:00:1%d",
			i, i);
		command("ip -n left neigh replace %s dev v%d lladdr 02:00:00:00:00:1%d",
			addresses[0][2 * i + 1], i, i);
	}
}

/* From now on what left sends by a cable is stuck, but for a packet or two. */
static void stick(int cable)
{
	char text[100];

	snprintf(text, sizeof(text),
		 "tc -n left qdisc add dev v%d root tbf rate 8bit burst 1500 limit 100000000",
		 cable);
	if (system(text))
		skip("the kernel has no tbf");
}

static void unstick(int cable)
{
	command("tc -n left qdisc del dev v%d root", cable);
}

static unsigned int stuck_packets(int cable)
{
	unsigned int n;
	char text[120];
	FILE *pipe;

	snprintf(text, sizeof(text),
		 "tc -n left -s qdisc show dev v%d | sed -n 's/.* \\([0-9]*\\)p requeues.*/\\1/p'",
		 cable);
	pipe = popen(text, "r");
	CHECK(pipe);
	CHECK_EQ(fscanf(pipe, "%u", &n), 1);
	CHECK_EQ(pclose(pipe), 0);
	return n;
}

struct writer {
	struct end from;
	struct end to;
	struct buf source;
	struct buf sink;
};

static void write_begin(struct writer *w, struct host hosts[2], size_t size)
{
	/* 68 s: meanwhile nothing is sent again */
	struct pair_config config = { .timeout = 24 };

	connect_ends(&w->from, &hosts[0], &w->to, &hosts[1], &config);
	buf_get(&w->source, &hosts[0], size, ALL_ACCESS);
	buf_get(&w->sink, &hosts[1], size, ALL_ACCESS);
}

static void write_post(struct writer *w)
{
	post_one(&w->from, IBV_WR_RDMA_WRITE,
		 buf_sge(&w->source, 0, w->source.len), &w->sink, 0);
}

static void write_end(struct writer *w)
{
	buf_put(&w->source);
	buf_put(&w->sink);
	end_destroy(&w->from);
	end_destroy(&w->to);
}

/* writers with so many packets each; some of these are stuck when this returns */
static void write_all(struct writer *w, unsigned int n, struct host hosts[2],
		      size_t size)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		write_begin(&w[i], hosts, size);
	stick(0);
	for (i = 0; i < n; i++)
		write_post(&w[i]);
}

static void end_all(struct writer *w, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		write_end(&w[i]);
}

/* No more than these follow. */
static void check_stuck(unsigned int least, unsigned int most)
{
	UNTIL(stuck_packets(0) >= least);
	sleep_ms(200);
	printf("# %u packets\n", stuck_packets(0));
	CHECK(stuck_packets(0) <= most + OTHERS);
}

static void bounded(void)
{
	static struct writer w[GREEDY];
	struct host hosts[4];

	flows_up(hosts);
	test_at("one flow");
	write_all(w, 1, hosts, SIZE);
	check_stuck(FLOW_MAX, FLOW_MAX);
	end_all(w, 1);
	unstick(0);

	test_at("%d flows", GREEDY);
	write_all(w, GREEDY, hosts, SIZE);
	check_stuck(DEVICE_MAX - FLOW_MAX,
		    DEVICE_MAX + GREEDY * FLOW_MIN);
	end_all(w, GREEDY);
	unstick(0);
	check_moves(&hosts[0], &hosts[1], false);
}

static void beside_stuck_ones(void)
{
	static struct writer w[STUCK], same, other;
	struct host hosts[4];
	unsigned int before;

	flows_up(hosts);
	write_begin(&same, hosts, SIZE);
	write_begin(&other, hosts + 2, SIZE);
	write_all(w, STUCK, hosts, PACKET);
	/* some packets may have passed */
	UNTIL(stuck_packets(0) >= STUCK - 2);

	test_at("a flow of another device");
	stick(1);
	write_post(&other);
	UNTIL(stuck_packets(1) >= FLOW_MAX);

	test_at("another flow of the device");
	before = stuck_packets(0);
	write_post(&same);
	UNTIL(stuck_packets(0) >= before + FLOW_MAX);

	write_end(&other);
	write_end(&same);
	end_all(w, STUCK);
	unstick(0);
	unstick(1);
	check_moves(&hosts[0], &hosts[1], false);
	check_moves(&hosts[2], &hosts[3], false);
}

static const struct test tests[] = {
	{ "packets of a device in the network are bounded", bounded },
	{ "flows beside others whose packets are stuck", beside_stuck_ones },
	{ "the last link of a namespace goes beside a stream in others",
	  other_namespace },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
