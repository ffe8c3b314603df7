// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Links as an administrator sees them: what "rdma link add" takes and refuses,
 * and that a device is always as its netdev is. Each test has net namespaces of
 * its own, which end with it.
 */
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "links.h"

/* The command fails, and its error message has @why in it. */
static void refused(const char *what, const char *why)
{
	char text[300], out[500];
	size_t len;
	FILE *pipe;

	test_at("%s, which must fail: %s", what, why);
	snprintf(text, sizeof(text), "%s 2>&1", what);
	pipe = popen(text, "r");
	CHECK(pipe);
	len = fread(out, 1, sizeof(out) - 1, pipe);
	out[len] = 0;
	CHECK(pclose(pipe) != 0);
	if (!strstr(out, why)) {
		printf("# it said: %s\n", out);
		fail(__FILE__, __LINE__, "the error message has the reason");
	}
}

/* va and vb, joined; link0 on va */
static void cable_up(void)
{
	own_namespace();
	command("ip link add va type veth peer name vb");
	command("ip link set va up");
	command("ip link set vb up");
	command("rdma link add link0 type rxe netdev va");
}

static void read_attribute(char *to, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* read a file of sysfs; empty if it cannot be read */
static void read_attribute(char *to, size_t size, const char *fmt, ...)
{
	char path[200];
	va_list args;
	FILE *file;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	*to = 0;
	file = fopen(path, "r");
	if (!file)
		return;
	if (!fgets(to, size, file))
		*to = 0;
	to[strcspn(to, "\n")] = 0;
	fclose(file);
}

static bool parent_is(const char *device, const char *netdev)
{
	char parent[100];

	read_attribute(parent, sizeof(parent),
		       "/sys/class/infiniband/%s/parent", device);
	return !strcmp(parent, netdev);
}

static void names(void)
{
	cable_up();
	CHECK(is_device("link0"));
	CHECK(parent_is("link0", "va"));
	command("rdma link show link0/1 | grep -q 'netdev va'");
	command("rdma dev set link0 name link1");
	CHECK(!is_device("link0"));
	CHECK(parent_is("link1", "va"));
	command("rdma link delete link1");
	CHECK(!is_device("link1"));
	refused("rdma link delete link1", "");
	command("rdma link add link1 type rxe netdev va");
	CHECK(parent_is("link1", "va"));
}

/* Where the verbs have a firmware's version, a device tells which driver it is of. */
static void versions(void)
{
	char version[60], want[80], said[80];
	struct ibv_device_attr attr;
	struct host host;

	read_attribute(version, sizeof(version), "/sys/module/rdma_rxe/version");
	if (!*version)
		skip("the driver has no version: it is the kernel's own");
	snprintf(want, sizeof(want), "rxe-odp %s", version);
	cable_up();
	read_attribute(said, sizeof(said), "/sys/class/infiniband/link0/fw_ver");
	test_at("fw_ver '%s' of sysfs", said);
	CHECK(!strcmp(said, want));
	host_open_device(&host, "link0");
	CHECK_EQ(ibv_query_device(host.ctx, &attr), 0);
	test_at("fw_ver '%s' of the verbs", attr.fw_ver);
	CHECK(!strcmp(attr.fw_ver, version));
	command("rdma dev show link0 | grep -qF 'fw %s'", want);
}

static void refusals(void)
{
	cable_up();
	refused("rdma link add link1 type rxe netdev va", "File exists");
	refused("rdma link add link0 type rxe netdev vb", "");
	refused("rdma link add link1 type rxe netdev nothing", "");
	command("rdma link show link0/1 >/dev/null");

	/* a VLAN's addresses belong to the link on the netdev below */
	command("ip link add link vb name vlan5 type vlan id 5");
	refused("rdma link add link1 type rxe netdev vlan5",
		"Operation not permitted");
	CHECK(!is_device("link1"));

	/* a refused link holds no reference: the netdevs can be deleted */
	command("ip link delete vlan5");
	command("rdma link add link1 type rxe netdev vb");
	command("ip link delete va");
	UNTIL(!is_device("link0") && !is_device("link1"));
}

/**
 * struct kind - a kind of netdev
 * @name: as "ip link add" has it
 * @make: makes one that is named t0
 */
struct kind {
	const char *name;
	const char *make;
};

/* kinds that the kernel's own driver takes, too: all but VLANs */
static const struct kind kinds[] = {
	{ "dummy", "ip link add t0 type dummy" },
	{ "ifb", "ip link add t0 type ifb" },
	{ "bridge", "ip link add t0 type bridge" },
	{ "bond", "ip link add t0 type bond" },
	{ "team", "ip link add t0 type team" },
	{ "macvlan", "ip link add t0 link va type macvlan" },
	{ "macvtap", "ip link add t0 link va type macvtap" },
	{ "ipvlan", "ip link add t0 link vb type ipvlan" },
	{ "macsec", "ip link add t0 link vb type macsec" },
	{ "vxlan", "ip link add t0 type vxlan id 5 dstport 4789 remote 10.9.0.2" },
	{ "geneve", "ip link add t0 type geneve id 5 remote 10.9.0.2" },
	{ "gretap", "ip link add t0 type gretap local 10.9.0.1 remote 10.9.0.2" },
	{ "gre", "ip link add t0 type gre local 10.9.0.1 remote 10.9.0.2" },
	{ "ipip", "ip link add t0 type ipip local 10.9.0.1 remote 10.9.0.2" },
	{ "sit", "ip link add t0 type sit local 10.9.0.1 remote 10.9.0.2" },
	{ "vti", "ip link add t0 type vti local 10.9.0.1 remote 10.9.0.2 key 5" },
	{ "ip6tnl", "ip link add t0 type ip6tnl local fd09::1 remote fd09::2" },
	{ "ip6gre", "ip link add t0 type ip6gre local fd09::1 remote fd09::2" },
	{ "vti6", "ip link add t0 type vti6 local fd09::1 remote fd09::2 key 5" },
	{ "xfrm", "ip link add t0 type xfrm dev va if_id 5" },
	{ "wireguard", "ip link add t0 type wireguard" },
	{ "vrf", "ip link add t0 type vrf table 5" },
	{ "vcan", "ip link add t0 type vcan" },
	{ "nlmon", "ip link add t0 type nlmon" },
	{ "tun", "ip tuntap add t0 mode tun" },
	{ "tap", "ip tuntap add t0 mode tap" },
	{}
};

static void get_guid(char guid[50], const char *device)
{
	read_attribute(guid, 50, "/sys/class/infiniband/%s/node_guid", device);
	CHECK_EQ(strlen(guid), 19);
	CHECK(strcmp(guid, "0000:0000:0000:0000"));
}

/* Tunnels may share an address, or have none, as lo. */
static void guids(void)
{
	char guid[3][50];

	cable_up();
	if (system("ip link add t0 type gre local 10.9.0.1 remote 10.9.0.2") ||
	    system("ip link add t1 type ipip local 10.9.0.1 remote 10.9.0.2"))
		skip("the kernel has no GRE and IPv4 tunnels");
	command("rdma link add link1 type rxe netdev t0");
	command("rdma link add link2 type rxe netdev t1");
	command("rdma link add link3 type rxe netdev lo");
	get_guid(guid[0], "link1");
	get_guid(guid[1], "link2");
	get_guid(guid[2], "link3");
	CHECK(strcmp(guid[0], guid[1]));
	CHECK(strcmp(guid[0], guid[2]));
	CHECK(strcmp(guid[1], guid[2]));
	command("rdma link delete link3");
	command("rdma link add link3 type rxe netdev lo");
	get_guid(guid[0], "link3");
	CHECK(strcmp(guid[0], guid[2]));
}

/* The next event of the port; others are skipped. */
static enum ibv_event_type next_port_event(struct ibv_context *ctx)
{
	struct pollfd pollfd = { .fd = ctx->async_fd, .events = POLLIN };
	struct ibv_async_event event;

	do {
		CHECK_EQ(poll(&pollfd, 1, HUNG_MS * limit_factor()), 1);
		CHECK_EQ(ibv_get_async_event(ctx, &event), 0);
		ibv_ack_async_event(&event);
		CHECK(event.event_type != IBV_EVENT_DEVICE_FATAL);
	} while (event.event_type == IBV_EVENT_GID_CHANGE);
	CHECK_EQ(event.element.port_num, 1);
	return event.event_type;
}

static struct ibv_port_attr port_of(struct host *host)
{
	struct ibv_port_attr attr;

	CHECK_EQ(ibv_query_port(host->ctx, 1, &attr), 0);
	return attr;
}

static void all_kinds(void)
{
	const struct kind *kind;
	char guid[50], text[200];
	struct host host;
	int taken = 0;

	cable_up();
	/* the kernel may have tun as a module */
	system("modprobe -q tun; [ -e /dev/net ] || mkdir /dev/net");
	system("[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200");
	for (kind = kinds; kind->name; kind++) {
		snprintf(text, sizeof(text), "%s 2>/dev/null", kind->make);
		if (system(text)) {
			printf("# this kernel has no %s\n", kind->name);
			continue;
		}
		test_at("%s", kind->name);
		command("rdma link add link1 type rxe netdev t0");
		command("ip link set t0 up");
		CHECK(parent_is("link1", "t0"));
		get_guid(guid, "link1");
		host_open_device(&host, "link1");
		CHECK_EQ(port_of(&host).max_mtu, IBV_MTU_4096);
		host_close(&host);
		command("rdma link delete link1");
		command("ip link delete t0");
		taken++;
	}
	CHECK(taken > 5);
}

static void port_is_up(struct host *host)
{
	CHECK_EQ(next_port_event(host->ctx), IBV_EVENT_PORT_ACTIVE);
	CHECK_EQ(port_of(host).state, IBV_PORT_ACTIVE);
	command("rdma link show link0/1 | grep -q 'state ACTIVE'");
}

static void port_is_down(struct host *host)
{
	CHECK_EQ(next_port_event(host->ctx), IBV_EVENT_PORT_ERR);
	CHECK_EQ(port_of(host).state, IBV_PORT_DOWN);
	command("rdma link show link0/1 | grep -q 'state DOWN'");
}

static void states(void)
{
	struct host host;
	int i;

	cable_up();
	host_open_device(&host, "link0");
	UNTIL(port_of(&host).state == IBV_PORT_ACTIVE);
	/* a new link, without the events from before the netdev settled */
	command("rdma link delete link0");
	command("rdma link add link0 type rxe netdev va");
	host_close(&host);
	host_open_device(&host, "link0");
	for (i = 0; i < 3; i++) {
		command("ip link set va down");
		port_is_down(&host);
		command("ip link set va up");
		port_is_up(&host);
		/* without its peer it has no carrier */
		command("ip link set vb down");
		port_is_down(&host);
		command("ip link set vb up");
		port_is_up(&host);
	}

	/* a link may be made while its netdev is down */
	command("ip link set vb down");
	command("rdma link add link1 type rxe netdev vb");
	command("rdma link show link1/1 | grep -q 'state DOWN'");
	port_is_down(&host);
	command("ip link set vb up");
	port_is_up(&host);
	command("rdma link show link1/1 | grep -q 'state ACTIVE'");
}

static void mtus(void)
{
	static const struct {
		unsigned int netdev;
		enum ibv_mtu active;
	} mtus[] = {
		{ 9000, IBV_MTU_4096 }, { 4200, IBV_MTU_4096 },
		{ 4100, IBV_MTU_2048 }, { 2200, IBV_MTU_2048 },
		{ 1500, IBV_MTU_1024 }, { 1000, IBV_MTU_512 },
		{ 500, IBV_MTU_256 }, { 300, IBV_MTU_256 }, {}
	}, *mtu;
	struct host host;

	cable_up();
	host_open_device(&host, "link0");
	for (mtu = mtus; mtu->netdev; mtu++) {
		command("ip link set va mtu %u", mtu->netdev);
		CHECK_EQ(port_of(&host).active_mtu, mtu->active);
		CHECK_EQ(port_of(&host).max_mtu, IBV_MTU_4096);
	}
}

static void addresses(void)
{
	unsigned int ifindex = 0;
	struct host host;
	char netdev[100];
	int index;

	cable_up();
	host_open_device(&host, "link0");
	CHECK(!has_gid(&host, "10.1.0.1"));
	command("ip addr add 10.1.0.1/24 dev va");
	command("ip addr add fd01::1/64 dev va nodad");
	UNTIL(has_gid(&host, "10.1.0.1") && has_gid(&host, "fd01::1"));
	/* addresses of other netdevs are not in the GID table */
	command("ip addr add 10.1.0.2/24 dev vb");
	command("ip addr add 10.1.0.3/24 dev va");
	UNTIL(has_gid(&host, "10.1.0.3"));
	CHECK(!has_gid(&host, "10.1.0.2"));

	index = gid_index(host.ctx, "10.1.0.1", &ifindex);
	CHECK_EQ(ifindex, if_nametoindex("va"));
	command("ip link set va down");
	command("ip link set va name vc");
	command("ip link set vc up");
	CHECK(parent_is("link0", "vc"));
	UNTIL(has_gid(&host, "10.1.0.1"));
	index = gid_index(host.ctx, "10.1.0.1", &ifindex);
	CHECK_EQ(ifindex, if_nametoindex("vc"));
	read_attribute(netdev, sizeof(netdev),
		       "/sys/class/infiniband/link0/ports/1/gid_attrs/ndevs/%d",
		       index);
	CHECK(!strcmp(netdev, "vc"));

	command("ip addr del 10.1.0.1/24 dev vc");
	command("ip addr flush dev vc scope global");
	UNTIL(!has_gid(&host, "10.1.0.1") && !has_gid(&host, "fd01::1"));
}

static void loopback(void)
{
	struct host host;

	own_namespace();
	command("rdma link add link0 type rxe netdev lo");
	open_at(&host, "link0", "127.0.0.1");
	CHECK_EQ(port_of(&host).state, IBV_PORT_ACTIVE);
	check_moves(&host, &host, false);
	host_close(&host);
	open_at(&host, "link0", "::1");
	check_moves(&host, &host, true);
}

static void counters(void)
{
	static const char directory[] =
		"/sys/class/infiniband/link0/ports/1/hw_counters";
	struct host a, b;

	own_namespace();
	command("ip netns add left");
	command("ip netns add right");
	command("ip link add v netns left type veth peer name v netns right");
	host_up("left", "v", "10.1.0.1/24", "link0");
	host_up("right", "v", "10.1.0.2/24", "link1");
	command("cd %s && test $(ls | grep -vx lifespan | wc -l) -gt 10",
		directory);
	command("cd %s && ! cat sent_pkts rcvd_pkts duplicate_request | grep -qvx 0",
		directory);
	open_at(&a, "link0", "10.1.0.1");
	open_at(&b, "link1", "10.1.0.2");
	check_moves(&a, &b, false);
	/* the counters that are read may be up to 10 ms old */
	sleep_ms(20);
	command("cd %s && test $(cat sent_pkts) -ge 64 && test $(cat rcvd_pkts) -ge 64",
		directory);
	command("cd %s && ! cat * | grep -qvE '^[0-9]+$'", directory);
	/* rdma(8) shows each counter */
	command("set -- $(%s); for name in $(ls %s | grep -vx lifespan); do %s; done",
		"rdma statistic show link link0/1", directory,
		"case \" $* \" in *\" $name \"*) ;; *) exit 1;; esac");
}

static void several(void)
{
	static const char *const addresses[] = {
		"10.1.0.1", "10.1.0.2", "10.2.0.1", "10.2.0.2",
	};
	struct host hosts[4];
	char address[20];
	char device[10];
	char netdev[10];
	int i;

	own_namespace();
	command("ip netns add left");
	command("ip netns add right");
	command("ip link add v0 netns left type veth peer name v1 netns right");
	command("ip link add v2 netns left type veth peer name v3 netns right");
	for (i = 0; i < 4; i++) {
		snprintf(device, sizeof(device), "link%d", i);
		snprintf(netdev, sizeof(netdev), "v%d", i);
		snprintf(address, sizeof(address), "%s/24", addresses[i]);
		host_up(i & 1 ? "right" : "left", netdev, address, device);
		open_at(&hosts[i], device, addresses[i]);
	}
	check_moves(&hosts[0], &hosts[1], false);
	check_moves(&hosts[2], &hosts[3], false);
	for (i = 0; i < 4; i++)
		check_moves(&hosts[i], &hosts[i], false);

	/* the others go on when one is deleted */
	host_close(&hosts[0]);
	command("rdma link delete link0");
	check_moves(&hosts[2], &hosts[3], false);
}

static void link_local(void)
{
	struct host a, b;
	unsigned long sent;
	int i;

	own_namespace();
	command("ip netns add left");
	command("ip netns add right");
	/* two cables, so that an address alone does not select the netdev */
	command("ip link add v0 netns left type veth peer name v0 netns right");
	command("ip link add v1 netns left type veth peer name v1 netns right");
	host_up("left", "v0", "fe80::1234/64", "link0");
	host_up("right", "v0", "fe80::5678/64", "link1");
	host_up("left", "v1", "fe80::1234/64", "link2");
	host_up("right", "v1", "fe80::5678/64", "link3");
	for (i = 0; i < 2; i++) {
		open_at(&a, i ? "link2" : "link0", "fe80::1234");
		open_at(&b, i ? "link3" : "link1", "fe80::5678");
		sent = sent_bytes("left", i ? "v1" : "v0");
		check_moves(&a, &b, true);
		sent = sent_bytes("left", i ? "v1" : "v0") - sent;
		CHECK(sent > 0x10000);
		host_close(&a);
		host_close(&b);
	}
}

/*
 * Two cables with the same addresses. Packets on one with the QPN of a queue pair
 * on the other are dropped, and the other cable's connections go on.
 */
static void equal_addresses(void)
{
	struct pair_config config = { .ipv6 = true };
	/* 1 ms, as coded: what the stray end sends has to fail in the end */
	struct pair_config hasty = { .timeout = 8, .ipv6 = true };
	struct end a, b, stray;
	struct host hosts[4];
	struct buf from, to;
	int i;

	own_namespace();
	for (i = 0; i < 4; i++)
		command("ip netns add n%d", i);
	for (i = 0; i < 4; i += 2)
		command("ip link add v netns n%d type veth peer name v netns n%d",
			i, i + 1);
	host_up("n0", "v", "fd01::1/64", "link0");
	host_up("n1", "v", "fd01::2/64", "link1");
	host_up("n2", "v", "fd01::1/64", "link2");
	host_up("n3", "v", "fd01::2/64", "link3");
	open_at(&hosts[0], "link0", "fd01::1");
	open_at(&hosts[1], "link1", "fd01::2");
	open_at(&hosts[2], "link2", "fd01::1");
	open_at(&hosts[3], "link3", "fd01::2");
	check_moves(&hosts[0], &hosts[1], true);
	check_moves(&hosts[2], &hosts[3], true);

	connect_ends(&a, &hosts[0], &b, &hosts[1], &config);
	end_create(&stray, &hosts[2], &hasty);
	end_to_init(&stray, &hasty);
	end_to_rtr(&stray, b.qp->qp_num, &hosts[1].gids[1].gid, &hasty);
	end_to_rts(&stray, &hasty);
	buf_get(&from, &hosts[2], 4096, ALL_ACCESS);
	buf_get(&to, &hosts[1], 4096, ALL_ACCESS);
	fill_pattern(from.addr, 4096, 7);
	post_one(&stray, IBV_WR_RDMA_WRITE, buf_sge(&from, 0, 4096), &to, 0);
	wait_status(stray.send_cq, IBV_WC_RETRY_EXC_ERR);
	check_bytes(to.addr, 4096, 0);
	check_arrives(&a, &b, ODP_ACCESS);
}

static const struct test tests[] = {
	{ "a link has the name it was given", names },
	{ "a device tells the driver's version", versions },
	{ "links that are refused", refusals },
	{ "links on netdevs of all kinds", all_kinds },
	{ "GUIDs of netdevs without an address of their own", guids },
	{ "the port's state and events follow the netdev's", states },
	{ "the active MTU follows the netdev's", mtus },
	{ "GIDs follow the netdev's addresses and name", addresses },
	{ "counters of a link can be read", counters },
	{ "a link on lo", loopback },
	{ "several links in one namespace", several },
	{ "link-local addresses", link_local },
	{ "equal addresses in two namespaces", equal_addresses },
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
