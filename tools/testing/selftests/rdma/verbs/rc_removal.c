// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices that go away while programs use them: with their netdev, by command,
 * with their namespace, with the module. Programs get the fatal event and may
 * stay, a new device of the same name works at once, and nothing leaks.
 *
 * RXE_KO is the module to load again; without it modprobe finds one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
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

/* The new hosts work while the processes still have all objects open. */
static void netdev_deleted(void)
{
	struct resources before;
	struct two_traffics two;
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < rounds_of(8); i++) {
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
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < rounds_of(3); i++) {
		two = two_start(hosta_gone);
		command("rdma link delete rxe0");
		make_link(0);
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
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < rounds_of(1); i++) {
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
}

/* The veth peer goes with the namespace: so nothing holds a reference to it. */
static void namespace_deleted(void)
{
	struct resources before;
	struct two_traffics two;
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < rounds_of(1); i++) {
		two = two_start(traffic_device_gone);
		command("ip netns delete hosta");
		until_it_fails("ip -n hostb link show vb >/dev/null 2>&1");
		two_wait_held(&two);
		new_hosts();
		check_works();
		two_end(&two);
		resources_check(&before);
	}
}

/* The module can be unloaded while programs have contexts open. */
static void module_unloaded(void)
{
	const char *load = load_command();
	struct resources before;
	struct two_traffics two;
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < rounds_of(3); i++) {
		two = two_start(traffic_device_gone);
		if (i % 3 == 1)
			command("rdma link delete rxe0 && rdma link delete rxe1");
		/* packets in a qdisc, outside the driver */
		if (i % 3 == 2 && system("tc -n hosta qdisc add dev va root netem delay 1s"))
			printf("# no netem: no packets are held\n");
		command("rmmod rdma_rxe");
		CHECK(access("/sys/module/rdma_rxe", F_OK));
		two_wait_held(&two);
		if (i % 3 == 1)
			two_end(&two);
		command("%s", load);
		command("ip -n hosta link delete va");
		two_hosts("plug");
		check_works();
		if (i % 3 != 1)
			two_end(&two);
		resources_check(&before);
	}
}

/* A write whose page nobody provides; its process sleeps until it is killed. */
static pid_t leave_a_fault(void)
{
	struct ibv_sge sge;
	struct pair pair;
	struct buf from;
	int ready, uffd;
	pid_t pid;

	pid = fork_ready(&ready);
	if (pid)
		return pid;

	pair_up(&pair, &(struct pair_config){});
	buf_get(&from, &pair.hosts[0], PAGE_BYTES, ODP_ACCESS);
	uffd = miss_pages(from.addr, PAGE_BYTES);
	sge = buf_sge(&from, 0, 64);
	post_one(&pair.a, IBV_WR_RDMA_WRITE, sge, &from, 0);
	CHECK(userfaultfd_wanted(uffd) == from.addr);
	ready_until_killed(ready);
}

#define WAITS	"rdma_rxe: unloading waits for 1 queue pair"

/* the kernel's log, from now on */
static int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY);

	CHECK(log >= 0);
	CHECK_EQ(lseek(log, 0, SEEK_END), 0);
	return log;
}

/* Each read returns one message, and fails with EPIPE where messages were lost. */
static void until_told(int log)
{
	struct pollfd pollfd = { .fd = log, .events = POLLIN };
	char message[8192];
	ssize_t len;

	test_at("until the log says: " WAITS);
	do {
		CHECK_EQ(poll(&pollfd, 1, HUNG_MS * limit_factor()), 1);
		len = read(log, message, sizeof(message) - 1);
		CHECK(len > 0 || errno == EPIPE);
		message[len > 0 ? len : 0] = 0;
	} while (!strstr(message, WAITS));
	close(log);
}

static void unload_tells(void)
{
	const char *load = load_command();
	int log = log_open(), status;
	pid_t program, rmmod;

	program = leave_a_fault();
	rmmod = fork();
	if (!rmmod) {
		execlp("rmmod", "rmmod", "rdma_rxe", NULL);
		_exit(1);
	}
	until_told(log);
	CHECK_EQ(waitpid(rmmod, &status, WNOHANG), 0);
	kill(program, SIGKILL);
	CHECK_EQ(waitpid(program, NULL, 0), program);
	CHECK_EQ(waitpid(rmmod, &status, 0), rmmod);
	CHECK_EQ(status, 0);
	command("%s", load);
	command("ip -n hosta link delete va");
	two_hosts("plug");
	check_works();
}

static const struct test tests[] = {
	{ "a netdev is deleted under traffic", netdev_deleted,
	  .in_rounds = true },
	{ "a link is deleted under traffic", link_deleted,
	  .in_rounds = true },
	{ "a netdev moves to another namespace", netdev_moved,
	  .in_rounds = true },
	{ "a namespace is deleted", namespace_deleted,
	  .in_rounds = true },
	{ "the module is unloaded, and loaded again", module_unloaded,
	  .in_rounds = true },
	{ "unloading tells that it waits for a fault that nobody serves",
	  unload_tells },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
