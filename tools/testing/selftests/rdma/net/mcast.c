// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast groups of IPv4 and IPv6: a datagram to a group reaches each member
 * queue pair once, and no other. The netdev is in the group while a queue pair is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failing.h"
#include "netns.h"
#include "pair.h"

#define GRH	40
#define QKEY	0x11223344
#define QPN	0xffffff
#define SLOT	4096
#define LEN	1000

static const struct pair_config config = { .type = IBV_QPT_UD, .qkey = QKEY };
static const char *const names[] = { "IPv4", "IPv6" };

/* the @n-th group of tests: 239.1.x.x or ff15::1:x:x */
static union ibv_gid group(bool ipv6, unsigned int n)
{
	union ibv_gid ipv4_group = { .raw = {
		[10] = 0xff, [11] = 0xff, [12] = 239, [13] = 1 } };
	union ibv_gid ipv6_group = { .raw = {
		[0] = 0xff, [1] = 0x15, [13] = 1 } };
	union ibv_gid gid = ipv6 ? ipv6_group : ipv4_group;

	gid.raw[14] = n >> 8;
	gid.raw[15] = n;
	return gid;
}

/**
 * struct member - a queue pair, and memory for what it receives
 * @end: the queue pair
 * @buf: a slot for each datagram
 * @got: datagrams
 */
struct member {
	struct end end;
	struct buf buf;
	unsigned int got;
};

static void member_up(struct member *member, struct host *host)
{
	end_up(&member->end, host, &config);
	buf_get(&member->buf, host, 64 * SLOT, ODP_ACCESS);
	member->got = 0;
}

static void member_down(struct member *member)
{
	buf_put(&member->buf);
	end_destroy(&member->end);
}

static int attach(struct member *member, union ibv_gid gid)
{
	return ibv_attach_mcast(member->end.qp, &gid, 0);
}

static int detach(struct member *member, union ibv_gid gid)
{
	return ibv_detach_mcast(member->end.qp, &gid, 0);
}

static void expect(struct member *member)
{
	post_recv(&member->end, &member->buf, member->got * SLOT, GRH + LEN,
		  member->got);
}

/* the next datagram has that number; no other has come */
static void check_got(struct member *member, unsigned int seed)
{
	struct ibv_wc wc = wait_ok(member->end.recv_cq);

	CHECK_EQ(wc.wr_id, member->got);
	CHECK_EQ(wc.byte_len, GRH + LEN);
	check_pattern(member->buf.addr + member->got * SLOT + GRH, LEN, seed);
	check_idle(member->end.recv_cq);
	member->got++;
}

/**
 * struct sender - a queue pair that sends, which need not be a member
 * @end: the queue pair
 * @buf: its memory
 */
struct sender {
	struct end end;
	struct buf buf;
};

static void sender_up(struct sender *sender, struct host *host)
{
	end_up(&sender->end, host, &config);
	buf_get(&sender->buf, host, SLOT, ALL_ACCESS);
}

static void sender_down(struct sender *sender)
{
	buf_put(&sender->buf);
	end_destroy(&sender->end);
}

/* send to a group, or to a queue pair of a host */
static void send_to(struct sender *sender, union ibv_gid to, unsigned int qpn,
		    bool ipv6, unsigned int seed)
{
	struct ibv_sge sge = buf_sge(&sender->buf, 0, LEN);
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh = {
			.dgid = to,
			.sgid_index = sender->end.host->gids[ipv6].index,
			.hop_limit = 1,
		},
	};
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud = { .remote_qpn = qpn, .remote_qkey = QKEY },
	};

	wr.wr.ud.ah = ibv_create_ah(sender->end.host->pd, &attr);
	CHECK(wr.wr.ud.ah);
	fill_pattern(sender->buf.addr, LEN, seed);
	post_send(&sender->end, &wr);
	wait_ok(sender->end.send_cq);
	CHECK_EQ(ibv_destroy_ah(wr.wr.ud.ah), 0);
}

/**
 * struct listed - a group that a netdev is in
 * @netdev: its name
 * @group: the address, in hex
 */
struct listed {
	char netdev[20];
	char group[40];
};

/* IPv4 lists a netdev with its index, and on lines that are indented its groups. */
static bool next_ipv4(FILE *list, struct listed *listed)
{
	char line[200];

	while (fgets(line, sizeof(line), list)) {
		if (*line == '\t') {
			/* listed as this machine reads it from memory */
			snprintf(listed->group, sizeof(listed->group), "%08x",
				 ntohl(strtoul(line, NULL, 16)));
			return true;
		}
		if (sscanf(line, "%*d %19s", listed->netdev) != 1)
			*listed->netdev = 0;
	}
	return false;
}

static bool next_ipv6(FILE *list, struct listed *listed)
{
	char line[200];
	int found;

	if (!fgets(line, sizeof(line), list))
		return false;
	found = sscanf(line, "%*d %19s %39s", listed->netdev, listed->group);
	CHECK_EQ(found, 2);
	return true;
}

/* how many groups the netdev of a host is in whose addresses begin so, in hex */
static unsigned int netdev_groups_of(int host, bool ipv6, const char *begin)
{
	bool (*next)(FILE *list, struct listed *listed) = ipv6 ? next_ipv6 :
								 next_ipv4;
	struct listed listed = {};
	unsigned int n = 0;
	FILE *list;

	list = open_in(host ? "hostb" : "hosta", ipv6 ? "igmp6" : "igmp");
	while (next(list, &listed))
		n += !strcmp(listed.netdev, host ? "vb" : "va") &&
		     !strncmp(listed.group, begin, strlen(begin));
	fclose(list);
	return n;
}

static bool netdev_in(int host, bool ipv6, unsigned int n)
{
	union ibv_gid gid = group(ipv6, n);
	char address[40];
	char *to = address;
	unsigned int i;

	for (i = ipv6 ? 0 : 12; i < sizeof(gid.raw); i++)
		to += sprintf(to, "%02x", gid.raw[i]);
	return netdev_groups_of(host, ipv6, address);
}

/* how many groups of tests the netdev is in */
static unsigned int netdev_groups(int host)
{
	return netdev_groups_of(host, false, "ef01") +
	       netdev_groups_of(host, true, "ff15");
}

#define MEMBERS	4

/*
 * @members: 0 and 1 are in group 1, 1 and 2 in group 2, and the last one in none;
 * the last but one is on the sender's host. A member gets datagrams in the order
 * of sending, so a unicast datagram behind them shows that no other came.
 */
static void send_around(struct sender *sender, struct member *members,
			bool ipv6)
{
	unsigned int seed = 1, round, g, i;
	struct host *host;

	for (round = 0; round < 6; round++)
		for (g = 1; g <= 2; g++, seed++) {
			for (i = 0; i < MEMBERS; i++)
				expect(&members[i]);
			send_to(sender, group(ipv6, g), QPN, ipv6, seed);
			check_got(&members[g - 1], seed);
			check_got(&members[g], seed);
			for (i = 0; i < MEMBERS; i++) {
				if (i == g - 1 || i == g)
					continue;
				host = members[i].end.host;
				send_to(sender, host->gids[ipv6].gid,
					members[i].end.qp->qp_num, ipv6,
					seed + 1000);
				check_got(&members[i], seed + 1000);
			}
		}
}

static void data_over(bool ipv6)
{
	struct member members[MEMBERS];
	struct host hosts[2];
	struct sender sender;
	unsigned int i;

	test_at("%s", names[ipv6]);
	check_works();
	host_open(&hosts[0], 0);
	host_open(&hosts[1], 1);
	sender_up(&sender, &hosts[0]);
	for (i = 0; i < MEMBERS; i++)
		member_up(&members[i], &hosts[i != 2]);
	CHECK(!netdev_in(1, ipv6, 1));
	CHECK_EQ(attach(&members[0], group(ipv6, 1)), 0);
	CHECK_EQ(attach(&members[1], group(ipv6, 1)), 0);
	CHECK_EQ(attach(&members[1], group(ipv6, 2)), 0);
	CHECK_EQ(attach(&members[2], group(ipv6, 2)), 0);
	CHECK(netdev_in(1, ipv6, 1));
	CHECK(netdev_in(1, ipv6, 2));
	CHECK(netdev_in(0, ipv6, 2));
	CHECK(!netdev_in(0, ipv6, 1));
	send_around(&sender, members, ipv6);

	/* one member leaves, and gets no more; the other does */
	CHECK_EQ(detach(&members[0], group(ipv6, 1)), 0);
	CHECK(netdev_in(1, ipv6, 1));
	expect(&members[0]);
	expect(&members[1]);
	send_to(&sender, group(ipv6, 1), QPN, ipv6, 5000);
	check_got(&members[1], 5000);
	send_to(&sender, hosts[1].gids[ipv6].gid, members[0].end.qp->qp_num,
		ipv6, 5001);
	check_got(&members[0], 5001);
	CHECK_EQ(detach(&members[1], group(ipv6, 1)), 0);
	CHECK(!netdev_in(1, ipv6, 1));

	/* it joins again */
	CHECK_EQ(attach(&members[0], group(ipv6, 1)), 0);
	expect(&members[0]);
	send_to(&sender, group(ipv6, 1), QPN, ipv6, 5002);
	check_got(&members[0], 5002);
	CHECK_EQ(detach(&members[0], group(ipv6, 1)), 0);
	CHECK_EQ(detach(&members[1], group(ipv6, 2)), 0);
	CHECK_EQ(detach(&members[2], group(ipv6, 2)), 0);
	CHECK_EQ(netdev_groups(0), 0);
	CHECK_EQ(netdev_groups(1), 0);

	for (i = 0; i < MEMBERS; i++)
		member_down(&members[i]);
	sender_down(&sender);
	host_close(&hosts[0]);
	host_close(&hosts[1]);
}

static void data(void)
{
	data_over(false);
	data_over(true);
}

static void refused(void)
{
	union ibv_gid nothing = {}, unicast;
	struct member member;
	struct host host;
	struct pair pair;
	bool ipv6;
	int i;

	host_open(&host, 1);
	member_up(&member, &host);
	for (i = 0; i < 2; i++) {
		ipv6 = i;
		test_at("%s", names[ipv6]);
		unicast = host.gids[ipv6].gid;
		CHECK_EQ(attach(&member, unicast), EINVAL);
		CHECK_EQ(detach(&member, group(ipv6, 1)), EINVAL);
		/* to attach twice is to attach once */
		CHECK_EQ(attach(&member, group(ipv6, 1)), 0);
		CHECK_EQ(attach(&member, group(ipv6, 1)), 0);
		CHECK_EQ(ibv_destroy_qp(member.end.qp), EBUSY);
		CHECK_EQ(detach(&member, group(ipv6, 1)), 0);
		CHECK_EQ(detach(&member, group(ipv6, 1)), EINVAL);
		CHECK(!netdev_in(1, ipv6, 1));
	}
	CHECK_EQ(attach(&member, nothing), EINVAL);
	member_down(&member);
	host_close(&host);

	/* a connection is in no group */
	pair_up(&pair, &(struct pair_config){});
	nothing = group(true, 1);
	CHECK_EQ(ibv_attach_mcast(pair.a.qp, &nothing, 0), EINVAL);
	pair_down(&pair);
}

/*
 * LIDs mean nothing to RoCE, but the core tells attachments by them: it detaches by
 * each of them, and a queue pair that it could not detach could never be destroyed.
 */
#define LIDS	3

/* a process of its own: what it has open is closed by its end */
static void attach_by_lids(union ibv_gid gid, bool ipv6, bool detaches)
{
	struct member member;
	struct host host;
	int lid;

	host_open(&host, 1);
	member_up(&member, &host);
	for (lid = 0; lid < LIDS; lid++)
		CHECK_EQ(ibv_attach_mcast(member.end.qp, &gid, lid), 0);
	for (lid = 0; lid < LIDS && detaches; lid++) {
		CHECK(netdev_in(1, ipv6, 1));
		CHECK_EQ(ibv_detach_mcast(member.end.qp, &gid, lid), 0);
	}
	if (detaches) {
		CHECK(!netdev_in(1, ipv6, 1));
		member_down(&member);
		host_close(&host);
	}
	_exit(0);
}

static void several_lids(void)
{
	struct resources before;
	int i, status;
	pid_t pid;

	resources_get(&before);
	for (i = 0; i < 4; i++) {
		test_at("%s, %s", names[i % 2], i / 2 ? "ends" : "detaches");
		pid = fork();
		CHECK(pid >= 0);
		if (!pid)
			attach_by_lids(group(i % 2, 1), i % 2, !(i / 2));
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		CHECK(!netdev_in(1, i % 2, 1));
	}
	resources_check(&before);
}

/* The kernel's limit of groups per socket does not limit the device. */
#define MANY	4096
#define MOST	8192

/**
 * struct steps - an unprivileged child has its parent check the netdev's groups
 * @asked: groups that the netdev should be in, plus one
 * @seen: the last @asked that the parent has checked
 */
struct steps {
	atomic_uint asked;
	atomic_uint seen;
};

static void let_look(struct steps *steps, unsigned int groups)
{
	steps->asked = groups + 1;
	UNTIL(steps->seen == groups + 1);
}

static void look(struct steps *steps, pid_t child, unsigned int groups)
{
	while (steps->asked != groups + 1) {
		CHECK_EQ(waitpid(child, NULL, WNOHANG), 0);
		sleep_ms(10);
	}
	CHECK_EQ(netdev_groups(1), groups);
	steps->seen = groups + 1;
}

static void many_of(struct member *member, bool ipv6)
{
	unsigned int i;

	for (i = 0; i < MANY; i++) {
		test_at("group %u of %s", i, names[ipv6]);
		CHECK_EQ(attach(member, group(ipv6, i)), 0);
	}
}

static void unprivileged(struct steps *steps)
{
	struct ibv_device_attr attr;
	struct member member, other;
	struct host host;
	int i;

	CHECK_EQ(setgid(65534), 0);
	CHECK_EQ(setuid(65534), 0);
	host_open(&host, 1);
	CHECK_EQ(ibv_query_device(host.ctx, &attr), 0);
	CHECK_EQ(attr.max_mcast_grp, MOST);
	member_up(&member, &host);
	member_up(&other, &host);
	many_of(&member, true);
	many_of(&member, false);
	let_look(steps, 2 * MANY);
	/* the limit is reached; another member of a joined group still fits */
	CHECK_EQ(attach(&member, group(true, MANY)), ENOMEM);
	CHECK_EQ(attach(&other, group(true, 1)), 0);
	CHECK_EQ(detach(&member, group(true, 1)), 0);
	CHECK_EQ(attach(&member, group(true, MANY)), ENOMEM);
	CHECK_EQ(detach(&other, group(true, 1)), 0);
	CHECK_EQ(attach(&member, group(true, MANY)), 0);
	for (i = 0; i < MANY; i++)
		CHECK_EQ(detach(&member, group(false, i)), 0);
	let_look(steps, MANY);
	/* the process's end detaches all others */
}

static void many(void)
{
	struct steps *steps;
	int status;
	pid_t pid;

	steps = mmap(NULL, sizeof(*steps), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(steps != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		unprivileged(steps);
		_exit(0);
	}
	look(steps, pid, 2 * MANY);
	look(steps, pid, MANY);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	UNTIL(!netdev_groups(1));
}

#define MOST_QPS	1024

/* queue pairs of their own, with a completion queue for all of them */
static struct ibv_qp *small_qp(struct host *host, struct ibv_cq *cq)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = cq,
		.recv_cq = cq,
		.qp_type = IBV_QPT_UD,
		.cap = {
			.max_send_wr = 1,
			.max_recv_wr = 1,
			.max_send_sge = 1,
			.max_recv_sge = 1,
		},
	};
	struct end end = { .host = host, .qp = ibv_create_qp(host->pd, &attr) };

	CHECK(end.qp);
	end_to_init(&end, &config);
	return end.qp;
}

/* The bound is of one group, and each queue pair counts once. */
static void many_members(void)
{
	union ibv_gid full = group(true, 1), other = group(true, 2);
	struct ibv_qp *qps[MOST_QPS + 1];
	struct ibv_device_attr attr;
	struct host host;
	struct ibv_cq *cq;
	unsigned int i;

	host_open(&host, 1);
	CHECK_EQ(ibv_query_device(host.ctx, &attr), 0);
	CHECK_EQ(attr.max_mcast_qp_attach, MOST_QPS);
	cq = ibv_create_cq(host.ctx, 1, NULL, NULL, 0);
	CHECK(cq);
	for (i = 0; i <= MOST_QPS; i++)
		qps[i] = small_qp(&host, cq);
	for (i = 0; i < MOST_QPS; i++) {
		test_at("queue pair %u", i);
		CHECK_EQ(ibv_attach_mcast(qps[i], &full, 0), 0);
	}
	test_at("one more");
	CHECK_EQ(ibv_attach_mcast(qps[MOST_QPS], &full, 0), ENOMEM);
	CHECK_EQ(ibv_attach_mcast(qps[MOST_QPS], &other, 0), 0);
	CHECK_EQ(ibv_attach_mcast(qps[3], &full, 0), 0);
	CHECK_EQ(ibv_detach_mcast(qps[3], &full, 0), 0);
	CHECK_EQ(ibv_attach_mcast(qps[MOST_QPS], &full, 0), 0);
	CHECK_EQ(ibv_attach_mcast(qps[3], &full, 0), ENOMEM);

	test_at("the end");
	CHECK_EQ(ibv_detach_mcast(qps[MOST_QPS], &full, 0), 0);
	CHECK_EQ(ibv_detach_mcast(qps[MOST_QPS], &other, 0), 0);
	for (i = 0; i < MOST_QPS; i++)
		if (i != 3)
			CHECK_EQ(ibv_detach_mcast(qps[i], &full, 0), 0);
	for (i = 0; i <= MOST_QPS; i++)
		CHECK_EQ(ibv_destroy_qp(qps[i]), 0);
	CHECK_EQ(ibv_destroy_cq(cq), 0);
	CHECK_EQ(netdev_groups(1), 0);
	host_close(&host);
}

/* a queue pair and a socket are members: each stays when the other leaves */
static void shared_with_sockets(void)
{
	static const char *const sockets[] = {
		"socket.socket(socket.AF_INET,socket.SOCK_DGRAM).setsockopt(0,35,struct.pack('4s4si',socket.inet_aton('239.1.0.1'),bytes(4),socket.if_nametoindex('vb')))",
		"socket.socket(socket.AF_INET6,socket.SOCK_DGRAM).setsockopt(41,20,socket.inet_pton(socket.AF_INET6,'ff15::1:1')+struct.pack('i',socket.if_nametoindex('vb')))",
	};
	struct member member;
	struct host host;
	int i;

	if (system("command -v python3 >/dev/null"))
		skip("there is no python3");
	host_open(&host, 1);
	member_up(&member, &host);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(attach(&member, group(i, 1)), 0);
		/* a socket that joins, and leaves as the program ends */
		command("ip netns exec hostb python3 -c \"import socket,struct\n%s\"",
			sockets[i]);
		CHECK(netdev_in(1, i, 1));
		CHECK_EQ(detach(&member, group(i, 1)), 0);
		CHECK(!netdev_in(1, i, 1));
	}
	member_down(&member);
	host_close(&host);
}

static void attach_all(struct member *member)
{
	int i;

	for (i = 0; i < 20; i++) {
		CHECK_EQ(attach(member, group(false, i)), 0);
		CHECK_EQ(attach(member, group(true, i)), 0);
	}
}

/* the link is deleted under its members, and a new one has no group */
static void link_deleted(void)
{
	struct resources before;
	struct member member;
	struct host host;
	int i;

	resources_get(&before);
	for (i = 0; i < 3; i++) {
		host_open(&host, 1);
		member_up(&member, &host);
		attach_all(&member);
		CHECK_EQ(netdev_groups(1), 40);
		command("rdma link delete rxe1");
		CHECK_EQ(netdev_groups(1), 0);
		CHECK(detach(&member, group(true, 1)) != 0);
		CHECK(attach(&member, group(true, 1)) != 0);
		CHECK_EQ(netdev_groups(1), 0);
		ibv_close_device(host.ctx);
		make_link(1);
	}
	data();
	resources_check(&before);
}

static void netdev_deleted(void)
{
	struct resources before;
	struct member member;
	struct host host;
	int i;

	resources_get(&before);
	for (i = 0; i < 3; i++) {
		host_open(&host, 1);
		member_up(&member, &host);
		attach_all(&member);
		command("ip -n hostb link delete vb");
		UNTIL(access("/sys/class/infiniband/rxe0", F_OK) &&
		      access("/sys/class/infiniband/rxe1", F_OK));
		CHECK(attach(&member, group(true, 100)) != 0);
		ibv_close_device(host.ctx);
		two_hosts("plug");
	}
	data();
	resources_check(&before);
}

/* without IPv6 on the netdev there are no groups of it to join */
static void no_ipv6(void)
{
	struct member member;
	struct host host;

	host_open(&host, 1);
	member_up(&member, &host);
	/* below the least MTU of IPv6 */
	set_mtu(1200);
	CHECK_EQ(attach(&member, group(true, 1)), ENODEV);
	CHECK_EQ(attach(&member, group(false, 1)), 0);
	CHECK_EQ(detach(&member, group(false, 1)), 0);
	set_mtu(1500);
	CHECK_EQ(attach(&member, group(true, 1)), 0);
	CHECK_EQ(detach(&member, group(true, 1)), 0);
	member_down(&member);
	host_close(&host);
	two_hosts("down");
	two_hosts("up");
}

/* each allocation fails in its turn: the attach works, or returns an error */
static void no_memory(void)
{
	struct member member;
	struct host host;
	bool ipv6, all;
	unsigned int n;
	int i, err;

	failing_up();
	host_open(&host, 1);
	member_up(&member, &host);
	for (i = 0; i < 2; i++) {
		ipv6 = i;
		for (n = 1, all = false; !all; n++) {
			test_at("allocation %u, %s", n, names[ipv6]);
			fail_nth(n);
			err = attach(&member, group(ipv6, 1));
			all = !fail_over();
			CHECK(!err || (!all && fails_so(err)));
			CHECK_EQ(netdev_in(1, ipv6, 1), !err);
			CHECK_EQ(detach(&member, group(ipv6, 1)),
				 err ? EINVAL : 0);
			CHECK(!netdev_in(1, ipv6, 1));
		}
		printf("# %u allocations of %s\n", n - 2, names[ipv6]);
		CHECK(n > 3);
	}
	member_down(&member);
	host_close(&host);
}

static const struct test tests[] = {
	{ "datagrams to IPv4 and IPv6 groups", data },
	{ "multicast attachments that are refused", refused },
	{ "attachments of one queue pair by several LIDs", several_lids },
	{ "an unprivileged user joins all the groups that a device may have",
	  many, 300 },
	{ "as many queue pairs in a group as the device announces",
	  many_members, 300 },
	{ "a socket in the same group as a queue pair", shared_with_sockets },
	{ "a link is deleted while queue pairs are in groups", link_deleted },
	{ "a netdev is deleted while queue pairs are in groups",
	  netdev_deleted },
	{ "multicast attachments whose allocations fail", no_memory },
	{ "multicast on a netdev without IPv6", no_ipv6 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
