// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices that go away under those who use them: with their netdev, by command,
 * with their namespace, with the module. Programs are told and may stay, a new
 * device of the same name works at once, and nothing is left behind.
 *
 * RXE_KO is the module to load again; without it modprobe finds one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "traffic.h"

static void until_it_fails(const char *what)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();

	test_at("until it fails: %s", what);
	while (!system(what)) {
		CHECK(now_ms() < end);
		sleep_ms(20);
	}
}

static void hosta_gone(struct traffic_side *side)
{
	if (side->which)
		traffic_peer_gone(side);
	else
		traffic_device_gone(side);
}

/* pinned, and on-demand */
struct two_traffics {
	struct traffic *traffics[2];
};

static struct two_traffics two_start(void (*ended)(struct traffic_side *side))
{
	struct two_traffics two = { {
		traffic_start(ALL_ACCESS, ended),
		traffic_start(ODP_ACCESS, ended),
	} };

	test_at("traffic");
	traffic_moves(two.traffics[0]);
	traffic_moves(two.traffics[1]);
	return two;
}

static void two_wait_held(struct two_traffics *two)
{
	traffic_wait_held(two->traffics[0]);
	traffic_wait_held(two->traffics[1]);
}

static void two_end(struct two_traffics *two)
{
	traffic_end(two->traffics[0]);
	traffic_end(two->traffics[1]);
}

static void new_hosts(void)
{
	two_hosts("down");
	two_hosts("up");
}

/* The processes are still there, and have all open, when the new hosts work. */
static void netdev_deleted(void)
{
	struct resources before;
	struct two_traffics two;
	int i;

	resources_get(&before);
	for (i = 0; i < 8; i++) {
		two = two_start(traffic_device_gone);
		command("ip -n hosta link delete va");
		two_hosts("plug");
		check_works();
		two_wait_held(&two);
		two_end(&two);
		resources_check(&before);
	}
}

static void link_deleted(void)
{
	struct resources before;
	struct two_traffics two;
	int i;

	resources_get(&before);
	for (i = 0; i < 3; i++) {
		two = two_start(hosta_gone);
		command("rdma link delete rxe0");
		command("ip netns exec hosta rdma link add rxe0 type rxe netdev va");
		check_works();
		two_wait_held(&two);
		two_end(&two);
		resources_check(&before);
	}
}

static void netdev_moved(void)
{
	struct resources before;
	struct two_traffics two;

	resources_get(&before);
	two = two_start(hosta_gone);
	command("ip -n hosta link set va netns hostb");
	two_wait_held(&two);
	until_it_fails("rdma link show rxe0/1 >/dev/null 2>&1");
	command("rdma link show rxe1/1 >/dev/null");
	new_hosts();
	check_works();
	two_end(&two);
	resources_check(&before);
}

/* That its end of the cable goes shows that nothing holds the namespace. */
static void namespace_deleted(void)
{
	struct resources before;
	struct two_traffics two;

	resources_get(&before);
	two = two_start(traffic_device_gone);
	command("ip netns delete hosta");
	until_it_fails("ip -n hostb link show vb >/dev/null 2>&1");
	two_wait_held(&two);
	new_hosts();
	check_works();
	two_end(&two);
	resources_check(&before);
}

/* The kernel lets a module go whose open contexts can do without. */
static void module_unloaded(void)
{
	const char *load = load_command();
	struct resources before;
	struct two_traffics two;
	int i;

	resources_get(&before);
	for (i = 0; i < 3; i++) {
		two = two_start(traffic_device_gone);
		if (i == 1)
			command("rdma link delete rxe0 && rdma link delete rxe1");
		/* packets in a queue that is not the driver's */
		if (i == 2 && system("tc -n hosta qdisc add dev va root netem delay 1s"))
			printf("# no netem: no packets are held\n");
		command("rmmod rdma_rxe");
		CHECK(access("/sys/module/rdma_rxe", F_OK));
		two_wait_held(&two);
		if (i == 1)
			two_end(&two);
		command("%s", load);
		command("ip -n hosta link delete va");
		two_hosts("plug");
		check_works();
		if (i != 1)
			two_end(&two);
		resources_check(&before);
	}
}

static const struct test tests[] = {
	{ "a netdev is deleted under traffic", netdev_deleted },
	{ "a link is deleted under traffic", link_deleted },
	{ "a netdev moves to another namespace", netdev_moved },
	{ "a namespace is deleted", namespace_deleted },
	{ "the module is unloaded, and loaded again", module_unloaded },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
