// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets that bridges and traffic control have had before the driver gets them:
 * in other contexts than softirq, by other netdevs, or while a packet is being sent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "links.h"

#define SIZE	(256 * 1024)
#define TURNS	4

static const char *const sides[] = { "left", "right" };

static void cable_up(void)
{
	own_namespace();
	command("ip netns add left");
	command("ip netns add right");
	command("ip link add v0 netns left type veth peer name v0 netns right");
}

/* messages of several aggregates, both ways at once */
static void carry(struct host *a, struct host *b)
{
	struct pair_config config = {};
	struct end end_a, end_b;
	struct buf here, there;
	int i;

	connect_ends(&end_a, a, &end_b, b, &config);
	buf_get(&here, a, 2 * SIZE, ALL_ACCESS);
	buf_get(&there, b, 2 * SIZE, ALL_ACCESS);
	for (i = 0; i < TURNS; i++) {
		fill_pattern(here.addr, SIZE, i);
		fill_pattern(there.addr + SIZE, SIZE, i + 100);
		post_one(&end_a, IBV_WR_RDMA_WRITE, buf_sge(&here, 0, SIZE),
			 &there, 0);
		post_one(&end_b, IBV_WR_RDMA_WRITE, buf_sge(&there, SIZE, SIZE),
			 &here, SIZE);
		wait_ok(end_a.send_cq);
		wait_ok(end_b.send_cq);
		check_pattern(there.addr, SIZE, i);
		check_pattern(here.addr + SIZE, SIZE, i + 100);
		fill_pattern(there.addr, SIZE, i + 200);
		do_one(&end_a, IBV_WR_RDMA_READ, buf_sge(&here, 0, SIZE),
		       &there, 0);
		check_pattern(here.addr, SIZE, i + 200);
	}
	buf_put(&here);
	buf_put(&there);
	end_destroy(&end_a);
	end_destroy(&end_b);
}

static void try(const char *what, const char *lacks)
{
	if (system(what))
		skip(lacks);
}

/* @from: words of tc-filter; @to: of tc-mirred */
static void redirect(const char *ns, const char *from, const char *to)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "tc -n %s filter add %s protocol ip matchall action mirred %s",
		 ns, from, to);
	try(text, "the kernel has no mirred");
}

static void links_up(struct host *hosts)
{
	host_up("left", "v0", "10.1.0.1/24", "link0");
	host_up("right", "v0", "10.1.0.2/24", "link1");
	open_at(&hosts[0], "link0", "10.1.0.1");
	open_at(&hosts[1], "link1", "10.1.0.2");
	check_moves(&hosts[0], &hosts[1], false);
}

/*
 * A packet that leaves by lo comes in at once: kernels before 6.8 call the receiver
 * where the sender is, which holds a lock of its own.
 */
static void sent_back(void)
{
	struct host host;

	cable_up();
	host_up("left", "v0", "10.1.0.1/24", "link0");
	command("ip -n right link set v0 up");
	command("ip netns exec left sysctl -qw net.ipv4.conf.all.accept_local=1");
	command("ip netns exec left sysctl -qw net.ipv4.conf.all.rp_filter=0");
	command("ip netns exec left sysctl -qw net.ipv4.conf.lo.rp_filter=0");
	open_at(&host, "link0", "10.1.0.1");
	check_moves(&host, &host, false);
	try("tc -n left qdisc add dev lo clsact", "the kernel has no clsact");
	redirect("left", "dev lo egress", "ingress redirect dev lo");
	carry(&host, &host);
}

static void by_ifb(void)
{
	struct host hosts[2];

	cable_up();
	links_up(hosts);
	try("ip -n right link add ifb0 type ifb", "the kernel has no ifb");
	command("ip -n right link set ifb0 up");
	command("tc -n right qdisc add dev v0 ingress");
	redirect("right", "dev v0 parent ffff:", "egress redirect dev ifb0");
	carry(&hosts[0], &hosts[1]);
}

static void to_other_netdev(void)
{
	struct host hosts[2];

	cable_up();
	links_up(hosts);
	command("ip netns exec right sysctl -qw net.ipv4.conf.all.rp_filter=0");
	command("ip -n right link add x0 type dummy");
	command("ip netns exec right sysctl -qw net.ipv4.conf.x0.rp_filter=0");
	command("ip -n right link set x0 up");
	command("ip -n right addr add 10.1.0.12/24 dev x0 noprefixroute");
	try("tc -n right qdisc add dev v0 ingress",
	    "the kernel has no ingress qdisc");
	redirect("right", "dev v0 parent ffff:", "ingress redirect dev x0");
	carry(&hosts[0], &hosts[1]);
}

/* The netdev is in a bridge, which shows its packets to the hooks of IPv4 as well. */
static void bridged(void)
{
	struct host hosts[2];
	int i;

	cable_up();
	for (i = 0; i < 2; i++) {
		command("ip -n %s link add br0 type bridge", sides[i]);
		command("ip -n %s link set v0 master br0 up", sides[i]);
		host_up(sides[i], "br0", i ? "10.1.0.2/24" : "10.1.0.1/24",
			i ? "link1" : "link0");
	}
	for (i = 0; i < 2; i++)
		open_at(&hosts[i], i ? "link1" : "link0",
			i ? "10.1.0.2" : "10.1.0.1");
	carry(&hosts[0], &hosts[1]);
	system("modprobe -q br_netfilter");
	if (access("/proc/sys/net/bridge/bridge-nf-call-iptables", F_OK))
		skip("the kernel has no br_netfilter");
	for (i = 0; i < 2; i++)
		command("ip netns exec %s sysctl -qw net.bridge.bridge-nf-call-iptables=1",
			sides[i]);
	carry(&hosts[0], &hosts[1]);
}

static const struct test tests[] = {
	{ "packets that tc has come in while they are being sent", sent_back },
	{ "packets that tc sends through an ifb on their way in", by_ifb },
	{ "packets that tc has come in by another netdev", to_other_netdev },
	{ "packets of a bridge, and of one with br_netfilter", bridged },
	{}
};

int main(int argc, char **argv)
{
	if (access("/sys/module/rdma_rxe", F_OK) || geteuid()) {
		printf("1..0 # SKIP needs root and rdma_rxe\n");
		return 4;
	}
	run_tests(tests, argv + 1);
}
