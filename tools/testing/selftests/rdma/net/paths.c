// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The route of packets: by the netdev of their link if several lead to the peer,
 * in and outside VRFs, through tunnels, and by no netdev if the peer is on this
 * host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cables.h"
#include "netns.h"

#define DATAGRAMS 20

/* since @before both sides have sent much by one cable, and nothing by the other */
static void check_sent(struct sent before, int cable)
{
	struct sent after = sent_by_all();
	unsigned long here, there;
	int i;

	for (i = 0; i < 2; i++) {
		here = after.bytes[i][cable] - before.bytes[i][cable];
		there = after.bytes[i][!cable] - before.bytes[i][!cable];
		printf("# %s: %lu bytes by v%d, %lu by v%d\n", sides[i], here,
		       cable, there, !cable);
		CHECK(here >= TURNS * SIZE);
		CHECK(there < NOISE);
	}
}

static void carry_by(struct host *a, struct host *b, int cable)
{
	struct sent before;
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		test_at("IPv%d by v%d", ipv6 ? 6 : 4, cable);
		before = sent_by_all();
		carry(a, b, ipv6);
		check_sent(before, cable);
	}
}

static void rails_of(bool strict)
{
	struct host hosts[4];
	int i;

	cables_up();
	for (i = 0; i < 2; i++) {
		set_sysctl(sides[i], "ipv4/conf/all/arp_ignore",
			   strict ? "1" : "0");
		set_sysctl(sides[i], "ipv4/conf/all/arp_announce",
			   strict ? "2" : "0");
	}
	for (i = 0; i < 4; i++)
		link_up(i, i);
	for (i = 0; i < 4; i++)
		open_link(&hosts[i], i, i);
	carry_by(&hosts[2], &hosts[3], 1);
	carry_by(&hosts[0], &hosts[1], 0);
}

static void rails(void)
{
	rails_of(false);
}

static void strict_rails(void)
{
	rails_of(true);
}

static void rail_datagrams(void)
{
	struct host hosts[4];
	struct sent before, after;
	int i, ipv6;

	cables_up();
	for (i = 0; i < 4; i++)
		link_up(i, i);
	for (i = 2; i < 4; i++)
		open_link(&hosts[i], i, i);
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		before = sent_by_all();
		for (i = 0; i < DATAGRAMS; i++)
			send_datagram(&hosts[2], &hosts[3], ipv6, NULL);
		after = sent_by_all();
		CHECK(after.bytes[0][1] - before.bytes[0][1] > DATAGRAMS * 1000);
		CHECK(after.bytes[0][0] - before.bytes[0][0] < NOISE);
	}
	ping("10.1.0.3", "10.1.0.4");
	ping("fd01::3", "fd01::4");
}

/*
 * The peer is behind a router that both cables lead to; the better route is by
 * the other cable.
 */
static void router(void)
{
	struct host near, far;

	cables_up();
	ip_lines(NULL,
		 "netns add far\n"
		 "link add w0 netns far type veth peer name w0 netns right\n");
	set_sysctl("right", "ipv4/ip_forward", "1");
	set_sysctl("right", "ipv6/conf/all/forwarding", "1");
	ip_lines("right",
		 "link set lo up\n"
		 "link set v0 up\n"
		 "addr add 10.1.0.2/24 dev v0\n"
		 "addr add fd01:0::2/64 dev v0 nodad\n"
		 "link set v1 up\n"
		 "addr add 10.1.1.2/24 dev v1\n"
		 "addr add fd01:1::2/64 dev v1 nodad\n"
		 "link set w0 up\n"
		 "addr add 10.3.0.2/24 dev w0\n"
		 "addr add fd03::2/64 dev w0 nodad\n");
	ip_lines("left",
		 "link set lo up\n"
		 "link set v0 up\n"
		 "addr add 10.1.0.1/24 dev v0\n"
		 "addr add fd01:0::1/64 dev v0 nodad\n"
		 "route add default via 10.1.0.2 metric 10\n"
		 "route add ::/0 via fd01:0::2 metric 10\n"
		 "link set v1 up\n"
		 "addr add 10.1.1.1/24 dev v1\n"
		 "addr add fd01:1::1/64 dev v1 nodad\n"
		 "route add default via 10.1.1.2 metric 11\n"
		 "route add ::/0 via fd01:1::2 metric 11\n");
	link_add("left", "link0", "v1");
	host_up("far", "w0", "10.3.0.1/24", "link1");
	ip_lines("far",
		 "addr add fd03::1/64 dev w0 nodad\n"
		 "route add default via 10.3.0.2\n"
		 "route add ::/0 via fd03::2\n");

	open_at(&near, "link0", "10.1.1.1");
	be_at(&near, "fd01:1::1");
	open_at(&far, "link1", "10.3.0.1");
	be_at(&far, "fd03::1");
	carry_by(&near, &far, 1);
}

/*
 * Traffic between links of one host leaves by no cable. The core resolves
 * neighbours all the same, and a host does not answer itself: add them.
 */
static void one_host(void)
{
	unsigned long before[2], lo;
	struct host hosts[3];
	int i, ipv6;

	own_namespace();
	ip_lines(NULL,
		 "netns add left\n"
		 "link add v0 netns left type veth peer name v1 netns left\n");
	host_up("left", "v0", "10.1.0.1/24", "link0");
	host_up("left", "v1", "10.1.0.2/24", "link1");
	command("ip -n left link add dum0 type dummy");
	host_up("left", "dum0", "10.2.0.1/32", "link2");
	ip_lines("left",
		 "addr add fd01::1/64 dev v0 nodad\n"
		 "addr add fd01::2/64 dev v1 nodad\n"
		 "addr add fd02::1/128 dev dum0 nodad\n"
		 "neigh add 10.1.0.2 lladdr 02:00:00:00:00:01 dev v0\n"
		 "neigh add 10.1.0.1 lladdr 02:00:00:00:00:01 dev v1\n"
		 "neigh add 10.2.0.1 lladdr 02:00:00:00:00:01 dev v1\n");
	open_at(&hosts[0], "link0", "10.1.0.1");
	be_at(&hosts[0], "fd01::1");
	open_at(&hosts[1], "link1", "10.1.0.2");
	be_at(&hosts[1], "fd01::2");
	open_at(&hosts[2], "link2", "10.2.0.1");
	be_at(&hosts[2], "fd02::1");

	for (i = 0; i < 2; i++)
		before[i] = sent_bytes("left", i ? "v1" : "v0");
	lo = sent_bytes("left", "lo");
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		carry(&hosts[0], &hosts[1], ipv6);
		carry(&hosts[0], &hosts[0], ipv6);
		carry(&hosts[2], &hosts[1], ipv6);
		carry(&hosts[2], &hosts[2], ipv6);
		send_datagram(&hosts[0], &hosts[1], ipv6, NULL);
	}
	CHECK(sent_bytes("left", "lo") - lo >= 8 * TURNS * SIZE);
	for (i = 0; i < 2; i++)
		CHECK(sent_bytes("left", i ? "v1" : "v0") - before[i] < NOISE);
}

/* An address of a dummy is the host's: the routes say where its packets go. */
static void dummy_link(void)
{
	struct host near, far;
	struct sent before;
	int i;

	cables_up();
	for (i = 0; i < 4; i++)
		link_up(i, i);
	command("rdma link delete link0");
	command("ip -n left link add dum0 type dummy");
	host_up("left", "dum0", "10.2.0.1/32", "link0");
	command("ip -n left route add 10.1.0.4/32 dev v1");
	command("ip -n right route add 10.2.0.1 via 10.1.0.3 dev v1");
	open_at(&near, "link0", "10.2.0.1");
	open_at(&far, "link3", "10.1.0.4");
	before = sent_by_all();
	carry(&near, &far, false);
	check_sent(before, 1);
}

static void vrf_check(struct host *a, struct host *b)
{
	union ibv_gid group;
	int ipv6, i;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		test_at("IPv%d", ipv6 ? 6 : 4);
		carry(a, b, ipv6);
		carry(b, a, ipv6);
		/* from a link to itself */
		carry(a, a, ipv6);
		send_datagram(a, a, ipv6, NULL);
		group = gid_of(ipv6 ? "ff0e::1:2" : "239.1.0.2");
		for (i = 0; i < 3; i++) {
			send_datagram(a, b, ipv6, NULL);
			send_datagram(b, a, ipv6, NULL);
			send_datagram(a, b, ipv6, &group);
		}
	}
}

static void vrf(void)
{
	struct host hosts[2];
	struct sent before;
	int i;

	cables_up();
	for (i = 0; i < 2; i++) {
		into_vrf(sides[i], "red", 10, "v0");
		link_up(i, i);
	}
	for (i = 0; i < 2; i++)
		open_link(&hosts[i], i, i);
	vrf_check(&hosts[0], &hosts[1]);
	before = sent_by_all();
	carry(&hosts[0], &hosts[1], false);
	check_sent(before, 0);
	ping("10.1.0.1", "10.1.0.2");
	ping("fd01::1", "fd01::2");
}

/* The links exist before the VRFs, and outlive them. */
static void vrf_later(void)
{
	struct host hosts[2];
	int i;

	cables_up();
	for (i = 0; i < 2; i++)
		link_up(i, i);
	for (i = 0; i < 2; i++)
		open_link(&hosts[i], i, i);
	check_moves(&hosts[0], &hosts[1], false);
	for (i = 0; i < 2; i++) {
		into_vrf(sides[i], "red", 10, "v0");
		command("ip -n %s addr replace %s/64 dev v0 nodad", sides[i],
			addresses[1][i]);
	}
	for (i = 0; i < 2; i++) {
		be_at(&hosts[i], addresses[0][i]);
		be_at(&hosts[i], addresses[1][i]);
	}
	vrf_check(&hosts[0], &hosts[1]);
	for (i = 0; i < 2; i++) {
		ip_lines(sides[i],
			 "link set v0 nomaster\n"
			 "addr replace %s/64 dev v0 nodad\n",
			 addresses[1][i]);
	}
	for (i = 0; i < 2; i++) {
		be_at(&hosts[i], addresses[0][i]);
		be_at(&hosts[i], addresses[1][i]);
	}
	vrf_check(&hosts[0], &hosts[1]);
}

/* A VRF for each cable, with the same addresses in both. */
static void equal_vrfs(void)
{
	struct host hosts[4];
	int i, ipv6;

	cables_up();
	for (i = 0; i < 4; i++) {
		into_vrf(sides[i & 1], i / 2 ? "blue" : "red", 10 + i / 2,
			 i / 2 ? "v1" : "v0");
		link_up(i, i & 1);
	}
	for (i = 0; i < 4; i++)
		open_link(&hosts[i], i, i & 1);
	for (i = 0; i < 2; i++) {
		carry_by(&hosts[2 * i], &hosts[2 * i + 1], i);
		for (ipv6 = 0; ipv6 < 2; ipv6++)
			send_datagram(&hosts[2 * i], &hosts[2 * i + 1], ipv6,
				      NULL);
	}
}

static void vrf_link_local(void)
{
	struct host hosts[2];
	int i;

	cables_up();
	for (i = 0; i < 2; i++) {
		into_vrf(sides[i], "red", 10, "v0");
		host_up(sides[i], "v0", i ? "fe80::5678/64" : "fe80::1234/64",
			i ? "link1" : "link0");
	}
	for (i = 0; i < 2; i++)
		open_at(&hosts[i], i ? "link1" : "link0",
			i ? "fe80::5678" : "fe80::1234");
	carry(&hosts[0], &hosts[1], true);
	send_datagram(&hosts[0], &hosts[1], true, NULL);
}

/* have connection tracking see incoming packets */
static void track(const char *ns)
{
	char text[200];

	snprintf(text, sizeof(text), "ip netns exec %s nft add table inet t", ns);
	if (system(text))
		skip("no nftables");
	command("ip netns exec %s nft add chain inet t c '{ type filter hook input priority 0; }'",
		ns);
	snprintf(text, sizeof(text),
		 "ip netns exec %s nft add rule inet t c ct state new counter accept",
		 ns);
	if (system(text))
		skip("no connection tracking");
}

/*
 * A connection that conntrack has yet to confirm: its first packet is left to
 * the socket.
 */
static void vrf_conntrack(void)
{
	struct host hosts[2];
	int i, ipv6;

	cables_up();
	for (i = 0; i < 2; i++) {
		into_vrf(sides[i], "red", 10, "v0");
		link_up(i, i);
	}
	track("right");
	for (i = 0; i < 2; i++)
		open_link(&hosts[i], i, i);
	for (ipv6 = 0; ipv6 < 2; ipv6++)
		for (i = 0; i < 3; i++)
			send_datagram(&hosts[0], &hosts[1], ipv6, NULL);
}

/**
 * struct tunnel - how to make one end of a tunnel
 * @kind: of the netdev
 * @ipv6: it is over IPv6
 * @carries: bit 0: IPv4, bit 1: IPv6
 * @options: of "ip link add"
 */
struct tunnel {
	const char *kind;
	bool ipv6;
	unsigned int carries;
	const char *options;
};

/* that end's own addresses, of each family that it carries */
static void tunnel_addresses(const struct tunnel *tunnel, int end)
{
	char ipv4[50] = "", ipv6[50] = "";

	if (tunnel->carries & 1)
		snprintf(ipv4, sizeof(ipv4), "addr add 10.5.0.%d/24 dev tnl\n",
			 end + 1);
	if (tunnel->carries & 2)
		snprintf(ipv6, sizeof(ipv6),
			 "addr add fd05::%d/64 dev tnl nodad\n", end + 1);
	ip_lines(sides[end], "link set tnl up\n%s%s", ipv4, ipv6);
}

static void tunnel_up(const struct tunnel *tunnel)
{
	const char *const *outer = addresses[tunnel->ipv6];
	char text[200];
	int i;

	cables_up();
	for (i = 0; i < 2; i++) {
		ip_lines(sides[i],
			 "link set lo up\n"
			 "link set v0 up\n"
			 "addr add %s/%d dev v0%s\n",
			 outer[i], tunnel->ipv6 ? 64 : 24,
			 tunnel->ipv6 ? " nodad" : "");
		snprintf(text, sizeof(text),
			 "ip -n %s link add tnl type %s local %s remote %s %s",
			 sides[i], tunnel->kind, outer[i], outer[!i],
			 tunnel->options);
		if (system(text))
			skip("the kernel has no such tunnels");
		tunnel_addresses(tunnel, i);
		link_add(sides[i], i ? "link1" : "link0", "tnl");
	}
}

/*
 * The core's connection manager of 6.12 still looks for RoCE GIDs on netdevs of
 * the type of Ethernet only (cma_validate_port()), whatever the driver.
 */
static bool cm_takes_tunnels(void)
{
	struct utsname name;

	CHECK_EQ(uname(&name), 0);
	if (atoi(name.release) >= 7)
		return true;
	printf("# %s: RDMA CM takes Ethernet netdevs only\n", name.release);
	return false;
}

static void check_tunnel(const struct tunnel *tunnel)
{
	struct host hosts[2];
	unsigned long before;
	int i;

	tunnel_up(tunnel);
	for (i = 0; i < 2; i++) {
		host_open_device(&hosts[i], i ? "link1" : "link0");
		if (tunnel->carries & 1)
			be_at(&hosts[i], i ? "10.5.0.2" : "10.5.0.1");
		if (tunnel->carries & 2)
			be_at(&hosts[i], i ? "fd05::2" : "fd05::1");
	}
	for (i = 0; i < 2; i++) {
		if (!(tunnel->carries & (1 << i)))
			continue;
		test_at("IPv%d in %s", i ? 6 : 4, tunnel->kind);
		before = sent_bytes("left", "tnl");
		carry(&hosts[0], &hosts[1], i);
		check_moves(&hosts[0], &hosts[1], i);
		CHECK(sent_bytes("left", "tnl") - before >= TURNS * SIZE);
		send_datagram(&hosts[0], &hosts[1], i, NULL);
	}
	if (!cm_takes_tunnels())
		return;
	if (tunnel->carries & 1)
		ping("10.5.0.1", "10.5.0.2");
	if (tunnel->carries & 2)
		ping("fd05::1", "fd05::2");
}

static void gre(void)
{
	static const struct tunnel tunnel = { "gre", false, 3, "ttl 64" };

	check_tunnel(&tunnel);
}

static void ipip(void)
{
	static const struct tunnel tunnel = { "ipip", false, 1, "ttl 64" };

	check_tunnel(&tunnel);
}

static void sit(void)
{
	static const struct tunnel tunnel = { "sit", false, 2, "ttl 64" };

	check_tunnel(&tunnel);
}

static void ip6tnl(void)
{
	static const struct tunnel tunnel = { "ip6tnl", true, 3, "mode any" };

	check_tunnel(&tunnel);
}

static void ip6gre(void)
{
	static const struct tunnel tunnel = { "ip6gre", true, 3, "" };

	check_tunnel(&tunnel);
}

static const struct test tests[] = {
	{ "two netdevs in one subnet", rails },
	{ "two netdevs in one subnet that answer for their own addresses only",
	  strict_rails },
	{ "datagrams and connection management, with two netdevs in one subnet",
	  rail_datagrams },
	{ "a peer behind a router that the route with the worse metric leads to",
	  router },
	{ "links of one host that talk to one another", one_host },
	{ "a link on a dummy sends by the routing table", dummy_link },
	{ "links on netdevs in VRFs", vrf },
	{ "netdevs that enter and leave VRFs", vrf_later },
	{ "VRFs with the same addresses", equal_vrfs },
	{ "link-local addresses in VRFs", vrf_link_local },
	{ "connection tracking in VRFs", vrf_conntrack },
	{ "GRE tunnels", gre },
	{ "IPv4 in IPv4 tunnels", ipip },
	{ "IPv6 in IPv4 tunnels", sit },
	{ "tunnels over IPv6", ip6tnl },
	{ "GRE tunnels over IPv6", ip6gre },
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
