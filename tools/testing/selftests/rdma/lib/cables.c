// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cables.h"
#include "netns.h"

#define QKEY	0x11223344

const char *const sides[2] = { "left", "right" };

const char *const addresses[2][4] = {
	{ "10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4" },
	{ "fd01::1", "fd01::2", "fd01::3", "fd01::4" },
};

void cables_up(void)
{
	own_namespace();
	ip_lines(NULL,
		 "netns add left\n"
		 "netns add right\n"
		 "link add v0 netns left type veth peer name v0 netns right\n"
		 "link add v1 netns left type veth peer name v1 netns right\n");
}

void into_vrf(const char *ns, const char *vrf, int table, const char *netdev)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "ip -n %s link show %s >/dev/null 2>&1 || ip -n %s link add %s type vrf table %d",
		 ns, vrf, ns, vrf, table);
	if (system(text))
		skip("the kernel has no VRFs");
	ip_lines(ns,
		 "link set %s up\n"
		 "link set %s master %s\n",
		 vrf, netdev, vrf);
}

void link_up(int link, int like)
{
	char netdev[20], device[20], address[30];

	snprintf(netdev, sizeof(netdev), "v%d", link / 2);
	snprintf(device, sizeof(device), "link%d", link);
	snprintf(address, sizeof(address), "%s/24", addresses[0][like]);
	host_up(sides[link & 1], netdev, address, device);
	command("ip -n %s addr add %s/64 dev %s nodad", sides[link & 1],
		addresses[1][like], netdev);
}

void open_link(struct host *host, int link, int like)
{
	char device[20];

	snprintf(device, sizeof(device), "link%d", link);
	open_at(host, device, addresses[0][like]);
	be_at(host, addresses[1][like]);
}

struct sent sent_by_all(void)
{
	struct sent sent;
	char netdev[20];
	int i;

	for (i = 0; i < 4; i++) {
		snprintf(netdev, sizeof(netdev), "v%d", i / 2);
		sent.bytes[i & 1][i / 2] = sent_bytes(sides[i & 1], netdev);
	}
	return sent;
}

void carry(struct host *a, struct host *b, bool ipv6)
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

void datagram_end(struct end *end, struct host *host, bool ipv6)
{
	struct pair_config config = {
		.type = IBV_QPT_UD,
		.qkey = QKEY,
		.ipv6 = ipv6,
	};

	end_up(end, host, &config);
}

void send_to(struct end *from, const union ibv_gid *to, unsigned int qpn,
	     bool ipv6)
{
	struct buf out;
	struct ibv_sge sge;
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud = { .remote_qpn = qpn, .remote_qkey = QKEY },
	};

	buf_get(&out, from->host, 1000, ALL_ACCESS);
	fill_pattern(out.addr, 1000, 3);
	sge = buf_sge(&out, 0, 1000);
	wr.wr.ud.ah = address_handle(from->host, to, ipv6);
	post_send(from, &wr);
	wait_ok(from->send_cq);
	CHECK_EQ(ibv_destroy_ah(wr.wr.ud.ah), 0);
	buf_put(&out);
}

void send_datagram(struct host *from, struct host *to, bool ipv6,
		   const union ibv_gid *group)
{
	struct end a, b;
	struct buf in;

	datagram_end(&a, from, ipv6);
	datagram_end(&b, to, ipv6);
	buf_get(&in, to, GRH + 1000, ALL_ACCESS);
	post_recv(&b, &in, 0, GRH + 1000, 1);
	if (group)
		CHECK_EQ(ibv_attach_mcast(b.qp, group, 0), 0);

	send_to(&a, group ?: &to->gids[ipv6].gid,
		group ? 0xffffff : b.qp->qp_num, ipv6);
	CHECK_EQ(wait_ok(b.recv_cq).byte_len, GRH + 1000);
	check_pattern(in.addr + GRH, 1000, 3);

	if (group)
		CHECK_EQ(ibv_detach_mcast(b.qp, group, 0), 0);
	buf_put(&in);
	end_destroy(&a);
	end_destroy(&b);
}

void ping(const char *from, const char *to)
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
