// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * By which netdevs packets may come: global addresses are the host's, or a VRF's, and
 * link-local ones are a netdev's. A queue pair takes no packet that came another way, be
 * it like its peer's in all else.
 */
#include <stdio.h>
#include <unistd.h>

#include "cables.h"
#include "netns.h"

/* as coded: 1 ms, for what has to fail in the end */
#define HASTY	8

/* packets for no queue pair that have come to a link */
static unsigned long refused_at(int link)
{
	char device[20];

	snprintf(device, sizeof(device), "link%d", link);
	return counter_at(device, "rcvd_no_qp");
}

/*
 * Packets that come by another way than the peer's, and are like its first ones in all
 * else, are not taken. They are counted at the link that they come to.
 */
static void check_connection_refuses(struct host *from, struct end *to, int link,
				     bool ipv6)
{
	struct pair_config config = { .timeout = HASTY, .ipv6 = ipv6 };
	unsigned long before = refused_at(link);
	struct buf out, in;
	struct end stray;

	end_create(&stray, from, &config);
	end_to_init(&stray, &config);
	end_to_rtr(&stray, to->qp->qp_num, &to->host->gids[ipv6].gid, &config);
	end_to_rts(&stray, &config);
	buf_get(&out, from, 4096, ALL_ACCESS);
	buf_get(&in, to->host, 4096, ALL_ACCESS);
	fill_pattern(out.addr, 4096, 7);
	post_one(&stray, IBV_WR_RDMA_WRITE, buf_sge(&out, 0, 4096), &in, 0);
	wait_status(stray.send_cq, IBV_WC_RETRY_EXC_ERR);
	check_bytes(in.addr, 4096, 0);
	UNTIL(refused_at(link) > before);
	buf_put(&out);
	buf_put(&in);
	end_destroy(&stray);
}

/* the same of a datagram, to that number */
static void check_datagram_refused(struct host *from, struct host *to,
				   unsigned int qpn, int link, bool ipv6)
{
	unsigned long before = refused_at(link);
	struct end end;

	datagram_end(&end, from, ipv6);
	send_to(&end, &to->gids[ipv6].gid, qpn, ipv6);
	UNTIL(refused_at(link) > before);
	end_destroy(&end);
}

/*
 * @a and @b are at the ends of a cable; the packets of @other, which has @a's address,
 * come to @link, at @b's host.
 */
static void check_apart(struct host *a, struct host *b, struct host *other,
			int link, bool ipv6)
{
	struct end end_a, end_b, datagrams;
	struct buf in;

	connect_ends(&end_a, a, &end_b, b, &(struct pair_config){ .ipv6 = ipv6 });
	check_connection_refuses(other, &end_b, link, ipv6);
	check_arrives(&end_a, &end_b, ALL_ACCESS);
	check_arrives(&end_b, &end_a, ODP_ACCESS);
	end_destroy(&end_a);
	end_destroy(&end_b);

	datagram_end(&datagrams, b, ipv6);
	buf_get(&in, b, GRH + 1000, ALL_ACCESS);
	post_recv(&datagrams, &in, 0, GRH + 1000, 1);
	check_datagram_refused(other, b, datagrams.qp->qp_num, link, ipv6);
	check_idle(datagrams.recv_cq);
	buf_put(&in);
	end_destroy(&datagrams);
	send_datagram(a, b, ipv6, NULL);
}

/* Both cables have the same addresses: each takes its own packets only. */
static void check_cables_apart(struct host hosts[4], bool ipv6)
{
	int i;

	for (i = 0; i < 4; i++) {
		test_at("IPv%d to link%d", ipv6 ? 6 : 4, i);
		check_apart(&hosts[i ^ 1], &hosts[i], &hosts[i ^ 3], i ^ 2,
			    ipv6);
		/* what a host sends to itself comes by lo, or by the VRF */
		check_moves(&hosts[i], &hosts[i], ipv6);
		send_datagram(&hosts[i], &hosts[i], ipv6, NULL);
	}
}

/* of each side, on all of its netdevs */
static const char *const link_locals[] = { "fe80::1234", "fe80::5678" };

static void link_locals_up(struct host hosts[4])
{
	char netdev[20], device[20], address[30];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(netdev, sizeof(netdev), "v%d", i / 2);
		snprintf(device, sizeof(device), "link%d", i);
		snprintf(address, sizeof(address), "%s/64", link_locals[i & 1]);
		host_up(sides[i & 1], netdev, address, device);
		open_at(&hosts[i], device, link_locals[i & 1]);
	}
}

static void equal_link_locals(void)
{
	struct host hosts[4];

	cables_up();
	link_locals_up(hosts);
	check_cables_apart(hosts, true);
}

static void equal_vrf_link_locals(void)
{
	struct host hosts[4];
	int i;

	cables_up();
	for (i = 0; i < 2; i++)
		into_vrf(sides[i], "red", 10, "v0");
	link_locals_up(hosts);
	check_cables_apart(hosts, true);
}

/*
 * The kernel looks into its table of local addresses before those of VRFs, unless it is
 * told otherwise: with equal addresses, what a VRF sends to itself would leave the VRF.
 */
static void vrfs_first(const char *ns)
{
	char of_family[20];
	int ipv6;

	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		snprintf(of_family, sizeof(of_family), "%s -%d", ns,
			 ipv6 ? 6 : 4);
		ip_lines(of_family,
			 "rule add pref 32765 table local\n"
			 "rule del pref 0\n");
	}
}

/* Two cables with the same addresses, in these VRFs; NULL: in none. */
static void check_domains_apart(const char *vrf0, const char *vrf1)
{
	struct host hosts[4];
	int i;

	cables_up();
	for (i = 0; i < 4; i++) {
		const char *vrf = i / 2 ? vrf1 : vrf0;

		if (vrf)
			into_vrf(sides[i & 1], vrf, 10 + i / 2,
				 i / 2 ? "v1" : "v0");
	}
	for (i = 0; i < 2; i++)
		vrfs_first(sides[i]);
	for (i = 0; i < 4; i++)
		link_up(i, i & 1);
	for (i = 0; i < 4; i++)
		open_link(&hosts[i], i, i & 1);
	check_cables_apart(hosts, false);
	check_cables_apart(hosts, true);
}

static void vrfs_apart(void)
{
	check_domains_apart("red", "blue");
}

static void vrf_apart_from_none(void)
{
	check_domains_apart("red", NULL);
}

/* Connections are there before the VRF, and stay. */
static void vrf_of_connection(void)
{
	struct end a, b, later_a, later_b;
	struct pair_config config = {};
	struct host hosts[4];
	int i;

	cables_up();
	for (i = 0; i < 4; i++)
		link_up(i, i & 1);
	for (i = 0; i < 4; i++)
		open_link(&hosts[i], i, i & 1);
	connect_ends(&a, &hosts[0], &b, &hosts[1], &config);
	connect_ends(&later_a, &hosts[0], &later_b, &hosts[1], &config);
	check_arrives(&a, &b, ALL_ACCESS);

	for (i = 0; i < 2; i++)
		into_vrf(sides[i], "red", 10, "v0");
	check_arrives(&a, &b, ALL_ACCESS);
	check_arrives(&b, &a, ALL_ACCESS);
	check_connection_refuses(&hosts[2], &later_b, 3, false);
	check_arrives(&later_a, &later_b, ALL_ACCESS);

	for (i = 0; i < 2; i++)
		command("ip -n %s link set v0 nomaster", sides[i]);
	check_arrives(&a, &b, ALL_ACCESS);
	check_arrives(&later_b, &later_a, ALL_ACCESS);
}

/*
 * A VLAN on each end of v0, with the same addresses as that, and links on v0: link-local
 * addresses, or others with the VLANs in a VRF.
 */
static void vlans_up(const char *vrf)
{
	static const char *const netdevs[] = { "v0", "v0.5" };
	int i;

	cables_up();
	for (i = 0; i < 4; i++) {
		const char *ns = sides[i & 1], *netdev = netdevs[i / 2];

		if (i / 2)
			command("ip -n %s link add link v0 name v0.5 type vlan id 5",
				ns);
		if (i / 2 && vrf)
			into_vrf(ns, vrf, 10, netdev);
		if (!(i / 2) && vrf)
			vrfs_first(ns);
		if (vrf)
			ip_lines(ns,
				 "link set lo up\n"
				 "link set %s up\n"
				 "addr add %s/24 dev %s\n"
				 "addr add %s/64 dev %s nodad\n",
				 netdev, addresses[0][i & 1], netdev,
				 addresses[1][i & 1], netdev);
		else
			ip_lines(ns,
				 "link set lo up\n"
				 "link set %s up\n"
				 "addr add %s/64 dev %s nodad\n",
				 netdev, link_locals[i & 1], netdev);
	}
	for (i = 0; i < 2; i++)
		link_add(sides[i], i ? "link1" : "link0", "v0");
}

/* as of check_cables_apart(): links are two, and take what comes by either netdev */
static void check_vlan_apart(const char *const at[], bool ipv6)
{
	static const char *const netdevs[] = { "v0", "v0.5" };
	struct end end_a, end_b;
	struct host hosts[4];
	int i;

	for (i = 0; i < 4; i++) {
		host_open_device(&hosts[i], i & 1 ? "link1" : "link0");
		be_on(&hosts[i], sides[i & 1], netdevs[i / 2], at[i & 1]);
	}
	for (i = 0; i < 4; i++) {
		test_at("IPv%d to %s by %s", ipv6 ? 6 : 4, at[i & 1],
			netdevs[i / 2]);
		connect_ends(&end_a, &hosts[i ^ 1], &end_b, &hosts[i],
			     &(struct pair_config){ .ipv6 = ipv6 });
		check_connection_refuses(&hosts[i ^ 3], &end_b, i & 1, ipv6);
		check_arrives(&end_a, &end_b, ALL_ACCESS);
		check_arrives(&end_b, &end_a, ODP_ACCESS);
		end_destroy(&end_a);
		end_destroy(&end_b);
		send_datagram(&hosts[i ^ 1], &hosts[i], ipv6, NULL);
		check_moves(&hosts[i], &hosts[i], ipv6);
		send_datagram(&hosts[i], &hosts[i], ipv6, NULL);
	}
	for (i = 0; i < 4; i++)
		host_close(&hosts[i]);
}

static void vlan_link_locals(void)
{
	vlans_up(NULL);
	check_vlan_apart(link_locals, true);
}

static void vlan_in_vrf(void)
{
	int ipv6;

	vlans_up("red");
	for (ipv6 = 0; ipv6 < 2; ipv6++)
		check_vlan_apart(addresses[ipv6], ipv6);
}

/*
 * The address of a link is one of its host, too, but outside of the link's VRF. There
 * is no queue pair 1 for management datagrams to it from there.
 */
static void gsi_outside_vrf(void)
{
	struct host hosts[4];
	int i;

	cables_up();
	for (i = 0; i < 4; i++) {
		if (i < 2)
			into_vrf(sides[i], "red", 10, "v0");
		link_up(i, i);
	}
	for (i = 0; i < 4; i++)
		open_link(&hosts[i], i, i);
	command("ip -n right addr add %s/32 dev lo", addresses[0][1]);
	check_datagram_refused(&hosts[2], &hosts[1], 1, 3, false);
	ping(addresses[0][2], addresses[0][3]);
}

/* Queue pairs at both netdevs are in a group: each gets what comes by its own. */
static void group_of_two(void)
{
	struct end senders[2], members[2];
	struct host hosts[4];
	union ibv_gid group;
	struct buf in[2];
	int i, ipv6;

	cables_up();
	for (i = 0; i < 4; i++)
		link_up(i, i);
	for (i = 0; i < 4; i++)
		open_link(&hosts[i], i, i);
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		test_at("IPv%d", ipv6 ? 6 : 4);
		group = gid_of(ipv6 ? "ff0e::1:2" : "239.1.0.2");
		for (i = 0; i < 2; i++) {
			datagram_end(&senders[i], &hosts[2 * i], ipv6);
			datagram_end(&members[i], &hosts[2 * i + 1], ipv6);
			buf_get(&in[i], &hosts[2 * i + 1], GRH + 1000,
				ALL_ACCESS);
			CHECK_EQ(ibv_attach_mcast(members[i].qp, &group, 0), 0);
		}
		for (i = 0; i < 8; i++)
			post_recv(&members[i & 1], &in[i & 1], 0, GRH + 1000, 1);
		for (i = 0; i < 8; i++) {
			send_to(&senders[i & 1], &group, 0xffffff, ipv6);
			CHECK_EQ(wait_ok(members[i & 1].recv_cq).src_qp,
				 senders[i & 1].qp->qp_num);
		}
		for (i = 0; i < 2; i++) {
			CHECK_EQ(ibv_detach_mcast(members[i].qp, &group, 0), 0);
			buf_put(&in[i]);
			end_destroy(&senders[i]);
			end_destroy(&members[i]);
		}
	}
}

/* To the peer by v1, and from it by v0, which has its address. */
static void other_way(void)
{
	struct pair_config config = { .timeout = HASTY };
	struct sent before, after;
	struct host near, far;
	struct end a, b;
	struct buf here, there;
	int i, ipv6;

	cables_up();
	for (i = 0; i < 4; i++)
		link_up(i, i);
	command("rdma link delete link0");
	command("ip -n left link add dum0 type dummy");
	host_up("left", "dum0", "10.2.0.1/32", "link0");
	command("ip -n left addr add fd02::1/128 dev dum0 nodad");
	command("ip -n right link set v1 address 02:00:00:00:00:02");
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		ip_lines("left",
			 "neigh add %s lladdr 02:00:00:00:00:02 dev v1\n"
			 "route add %s dev v1\n",
			 addresses[ipv6][1], addresses[ipv6][1]);
		command("ip -n right route add %s via %s dev v0",
			ipv6 ? "fd02::1" : "10.2.0.1", addresses[ipv6][0]);
	}
	for (i = 0; i < 4; i++)
		set_sysctl(sides[i & 1], i / 2 ? "ipv4/conf/v0/rp_filter" :
						 "ipv4/conf/all/rp_filter", "0");
	set_sysctl("right", "ipv4/conf/v1/rp_filter", "0");

	open_at(&near, "link0", "10.2.0.1");
	be_at(&near, "fd02::1");
	open_at(&far, "link1", addresses[0][1]);
	be_at(&far, addresses[1][1]);
	for (ipv6 = 0; ipv6 < 2; ipv6++) {
		test_at("IPv%d", ipv6 ? 6 : 4);
		before = sent_by_all();
		carry(&near, &far, ipv6);
		after = sent_by_all();
		CHECK(after.bytes[0][1] - before.bytes[0][1] >= TURNS * SIZE);
		CHECK(after.bytes[1][0] - before.bytes[1][0] >= TURNS * SIZE);
		CHECK(after.bytes[0][0] - before.bytes[0][0] < NOISE);
		CHECK(after.bytes[1][1] - before.bytes[1][1] < NOISE);
		send_datagram(&near, &far, ipv6, NULL);
	}

	test_at("with rp_filter");
	set_sysctl("right", "ipv4/conf/v1/rp_filter", "1");
	connect_ends(&a, &near, &b, &far, &config);
	buf_get(&here, &near, 4096, ALL_ACCESS);
	buf_get(&there, &far, 4096, ALL_ACCESS);
	fill_pattern(here.addr, 4096, 7);
	post_one(&a, IBV_WR_RDMA_WRITE, buf_sge(&here, 0, 4096), &there, 0);
	wait_status(a.send_cq, IBV_WC_RETRY_EXC_ERR);
	check_bytes(there.addr, 4096, 0);
}

static const struct test tests[] = {
	{ "two netdevs with the same link-local addresses", equal_link_locals },
	{ "two netdevs with the same link-local addresses, one in a VRF",
	  equal_vrf_link_locals },
	{ "link-local addresses of a VLAN and of the netdev below",
	  vlan_link_locals },
	{ "packets of VRFs with the same addresses stay apart",
	  vrfs_apart, 240 },
	{ "packets of a VRF and of none with the same addresses stay apart",
	  vrf_apart_from_none, 240 },
	{ "a VLAN in a VRF with the addresses of the netdev below",
	  vlan_in_vrf, 240 },
	{ "connections whose netdev enters and leaves a VRF",
	  vrf_of_connection },
	{ "management datagrams from outside of a link's VRF",
	  gsi_outside_vrf },
	{ "a group with queue pairs at two netdevs", group_of_two },
	{ "packets that come by another netdev than answers leave by",
	  other_way },
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
