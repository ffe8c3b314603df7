// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which way packets take: by the netdev of their link where several lead to the
 * peer, in and outside VRFs, through tunnels, and not at all by a netdev where the
 * peer is this host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "links.h"

#define GRH	40
#define QKEY	0x11223344
#define SIZE	(256 * 1024)
#define TURNS	4
#define DATAGRAMS 20
/* more than neighbours and groups are asked for by the kernel meanwhile */
#define NOISE	(16 * 1024UL)

static const char *const sides[] = { "left", "right" };
/* of the links: link0 and link1 are the ends of v0, link2 and link3 those of v1 */
static const char *const addresses[2][4] = {
	{ "10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4" },
	{ "fd01::1", "fd01::2", "fd01::3", "fd01::4" },
};

/* Two hosts and two cables, v0 and v1. */
static void cables_up(void)
{
	int i;

	own_namespace();
	command("ip netns add left");
	command("ip netns add right");
	for (i = 0; i < 2; i++)
		command("ip link add v%d netns left type veth peer name v%d netns right",
			i, i);
}

/* put a netdev into a VRF, which is made where it is not there */
static void into_vrf(const char *ns, const char *vrf, int table,
		     const char *netdev)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "ip -n %s link show %s >/dev/null 2>&1 || ip -n %s link add %s type vrf table %d",
		 ns, vrf, ns, vrf, table);
	if (system(text))
		skip("the kernel has no VRFs");
	command("ip -n %s link set %s up", ns, vrf);
	command("ip -n %s link set %s master %s", ns, netdev, vrf);
}

/* one link, with an address of each family */
static void link_up(int link, int like)
{
	char netdev[10], device[10], address[30];

	snprintf(netdev, sizeof(netdev), "v%d", link / 2);
	snprintf(device, sizeof(device), "link%d", link);
	snprintf(address, sizeof(address), "%s/24", addresses[0][like]);
	host_up(sides[link & 1], netdev, address, device);
	command("ip -n %s addr add %s/64 dev %s nodad", sides[link & 1],
		addresses[1][like], netdev);
}

static void open_link(struct host *host, int link, int like)
{
	char device[10];

	snprintf(device, sizeof(device), "link%d", link);
	open_at(host, device, addresses[0][like]);
	be_at(host, addresses[1][like]);
}

/* what each side's netdevs have sent */
struct sent {
	unsigned long bytes[2][2];
};

static struct sent sent_by_all(void)
{
	struct sent sent;
	char netdev[10];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(netdev, sizeof(netdev), "v%d", i / 2);
		sent.bytes[i & 1][i / 2] = sent_bytes(sides[i & 1], netdev);
	}
	return sent;
}

/* since then both sides have sent a lot by one cable, and nothing by the other */
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

/* writes and reads, which have both sides send as much */
static void carry(struct host *a, struct host *b, bool ipv6)
{
	struct pair_config config = { .ipv6 = ipv6 };
	struct end end_a, end_b;
	struct buf here, there;
	int i;

	connect_ends(&end_a, a, &end_b, b, &config);
	buf_get(&here, a, SIZE, ALL_ACCESS);
	buf_get(&there, b, SIZE, ALL_ACCESS);
	for (i = 0; i < TURNS; i++) {
		fill_pattern(here.addr, SIZE, i);
		do_one(&end_a, IBV_WR_RDMA_WRITE, buf_sge(&here, 0, SIZE),
		       &there, 0);
		check_pattern(there.addr, SIZE, i);
		fill_pattern(there.addr, SIZE, i + 100);
		do_one(&end_a, IBV_WR_RDMA_READ, buf_sge(&here, 0, SIZE),
		       &there, 0);
		check_pattern(here.addr, SIZE, i + 100);
	}
	buf_put(&here);
	buf_put(&there);
	end_destroy(&end_a);
	end_destroy(&end_b);
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

static struct ibv_ah *address_handle(struct host *from,
				     const union ibv_gid *to, bool ipv6)
{
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = *to,
			.sgid_index = from->gids[ipv6].index,
			.hop_limit = 64,
		},
	};
	struct ibv_ah *ah;
	int tries = 0;

	/* as in end_to_rtr() */
	do {
		ah = ibv_create_ah(from->pd, &attr);
	} while (!ah && errno == ETIMEDOUT && tries++ < 10);
	CHECK(ah);
	return ah;
}

static void datagram_end(struct end *end, struct host *host, bool ipv6)
{
	struct pair_config config = {
		.type = IBV_QPT_UD,
		.qkey = QKEY,
		.ipv6 = ipv6,
	};

	end_create(end, host, &config);
	end_to_init(end, &config);
	end_to_rtr(end, 0, &host->gids[ipv6].gid, &config);
	end_to_rts(end, &config);
}

/* a datagram to one host, or to a group that it is in */
static void send_datagram(struct host *from, struct host *to, bool ipv6,
			  const union ibv_gid *group)
{
	struct buf out, in;
	struct end a, b;
	struct ibv_sge sge;
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud.remote_qkey = QKEY,
	};

	datagram_end(&a, from, ipv6);
	datagram_end(&b, to, ipv6);
	buf_get(&out, from, 1000, ALL_ACCESS);
	buf_get(&in, to, GRH + 1000, ALL_ACCESS);
	fill_pattern(out.addr, 1000, 3);
	post_recv(&b, &in, 0, GRH + 1000, 1);
	if (group)
		CHECK_EQ(ibv_attach_mcast(b.qp, group, 0), 0);

	sge = buf_sge(&out, 0, 1000);
	wr.wr.ud.ah = address_handle(from, group ?: &to->gids[ipv6].gid, ipv6);
	wr.wr.ud.remote_qpn = group ? 0xffffff : b.qp->qp_num;
	post_send(&a, &wr);
	wait_ok(a.send_cq);
	CHECK_EQ(wait_ok(b.recv_cq).byte_len, GRH + 1000);
	check_pattern(in.addr + GRH, 1000, 3);

	if (group)
		CHECK_EQ(ibv_detach_mcast(b.qp, group, 0), 0);
	CHECK_EQ(ibv_destroy_ah(wr.wr.ud.ah), 0);
	buf_put(&out);
	buf_put(&in);
	end_destroy(&a);
	end_destroy(&b);
}

/* RDMA CM and what it connects, by rping, which looks at its data */
static void ping(const char *from, const char *to)
{
	char client[200];
	int tries;

	test_at("rping from %s to %s", from, to);
	command("ip netns exec right timeout %u rping -s -a %s -V -S 5000 -C 10 >/dev/null 2>&1 &",
		60 * limit_factor(), to);
	snprintf(client, sizeof(client),
		 "ip netns exec left timeout %u rping -c -a %s -I %s -V -S 5000 -C 10 >/dev/null 2>&1",
		 20 * limit_factor(), to, from);
	/* the server takes a moment */
	for (tries = 0; system(client); tries++) {
		CHECK(tries < 100);
		sleep_ms(100);
	}
}

static void rails_of(bool strict)
{
	struct host hosts[4];
	int i;

	cables_up();
	for (i = 0; i < 2; i++) {
		command("ip netns exec %s sysctl -qw net.ipv4.conf.all.arp_ignore=%d",
			sides[i], strict ? 1 : 0);
		command("ip netns exec %s sysctl -qw net.ipv4.conf.all.arp_announce=%d",
			sides[i], strict ? 2 : 0);
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
	int i;

	cables_up();
	command("ip netns add far");
	command("ip netns exec right sysctl -qw net.ipv4.ip_forward=1");
	command("ip netns exec right sysctl -qw net.ipv6.conf.all.forwarding=1");
	command("ip -n right link set lo up");
	for (i = 0; i < 2; i++) {
		command("ip -n right link set v%d up", i);
		command("ip -n right addr add 10.1.%d.2/24 dev v%d", i, i);
		command("ip -n right addr add fd01:%d::2/64 dev v%d nodad", i, i);
		command("ip -n left link set v%d up", i);
		command("ip -n left addr add 10.1.%d.1/24 dev v%d", i, i);
		command("ip -n left addr add fd01:%d::1/64 dev v%d nodad", i, i);
		command("ip -n left route add default via 10.1.%d.2 metric %d",
			i, i + 10);
		command("ip -n left -6 route add default via fd01:%d::2 metric %d",
			i, i + 10);
	}
	command("ip -n left link set lo up");
	command("ip netns exec left rdma link add link0 type rxe netdev v1");
	command("ip link add w0 netns far type veth peer name w0 netns right");
	command("ip -n right link set w0 up");
	command("ip -n right addr add 10.3.0.2/24 dev w0");
	command("ip -n right addr add fd03::2/64 dev w0 nodad");
	host_up("far", "w0", "10.3.0.1/24", "link1");
	command("ip -n far addr add fd03::1/64 dev w0 nodad");
	command("ip -n far route add default via 10.3.0.2");
	command("ip -n far -6 route add default via fd03::2");

	open_at(&near, "link0", "10.1.1.1");
	be_at(&near, "fd01:1::1");
	open_at(&far, "link1", "10.3.0.1");
	be_at(&far, "fd03::1");
	carry_by(&near, &far, 1);
}

/*
 * Links of one host that talk: nothing of it leaves by a cable. The core asks for
 * neighbours where there are none, and a host does not answer itself.
 */
static void one_host(void)
{
	unsigned long before[2], lo;
	struct host hosts[3];
	int i, ipv6;

	own_namespace();
	command("ip netns add left");
	command("ip link add v0 netns left type veth peer name v1 netns left");
	host_up("left", "v0", "10.1.0.1/24", "link0");
	host_up("left", "v1", "10.1.0.2/24", "link1");
	command("ip -n left link add dum0 type dummy");
	host_up("left", "dum0", "10.2.0.1/32", "link2");
	for (i = 0; i < 2; i++)
		command("ip -n left addr add fd01::%d/64 dev v%d nodad", i + 1, i);
	command("ip -n left addr add fd02::1/128 dev dum0 nodad");
	command("ip -n left neigh add 10.1.0.2 lladdr 02:00:00:00:00:01 dev v0");
	command("ip -n left neigh add 10.1.0.1 lladdr 02:00:00:00:00:01 dev v1");
	command("ip -n left neigh add 10.2.0.1 lladdr 02:00:00:00:00:01 dev v1");
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
		/* to itself */
		carry(a, a, ipv6);
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

/* The links are there before the VRFs, and after them. */
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
		command("ip -n %s link set v0 nomaster", sides[i]);
		command("ip -n %s addr replace %s/64 dev v0 nodad", sides[i],
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

/* have connection tracking look at what comes */
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

static void tunnel_up(const struct tunnel *tunnel)
{
	const char *const *outer = addresses[tunnel->ipv6];
	char text[200];
	int i;

	cables_up();
	for (i = 0; i < 2; i++) {
		command("ip -n %s link set lo up", sides[i]);
		command("ip -n %s link set v0 up", sides[i]);
		command("ip -n %s addr add %s/%d dev v0%s", sides[i], outer[i],
			tunnel->ipv6 ? 64 : 24, tunnel->ipv6 ? " nodad" : "");
		snprintf(text, sizeof(text),
			 "ip -n %s link add tnl type %s local %s remote %s %s",
			 sides[i], tunnel->kind, outer[i], outer[!i],
			 tunnel->options);
		if (system(text))
			skip("the kernel has no such tunnels");
		command("ip -n %s link set tnl up", sides[i]);
		if (tunnel->carries & 1)
			command("ip -n %s addr add 10.5.0.%d/24 dev tnl",
				sides[i], i + 1);
		if (tunnel->carries & 2)
			command("ip -n %s addr add fd05::%d/64 dev tnl nodad",
				sides[i], i + 1);
		command("ip netns exec %s rdma link add link%d type rxe netdev tnl",
			sides[i], i);
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
	{ "a peer behind a router that a worse route leads to", router },
	{ "links of one host that talk to one another", one_host },
	{ "a link on a dummy, and routes", dummy_link },
	{ "netdevs in VRFs", vrf },
	{ "netdevs that get into VRFs, and out", vrf_later },
	{ "VRFs with the same addresses", equal_vrfs },
	{ "link-local addresses in VRFs", vrf_link_local },
	{ "VRFs and connection tracking", vrf_conntrack },
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
