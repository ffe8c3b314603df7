// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Disturbances that machines meet, beside traffic of several programs that looks at
 * each byte: the traffic goes on, or the programs are told how it ended. Devices that
 * go away are rc_removal's.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "netns.h"
#include "traffic.h"

#define GROUP		"/sys/fs/cgroup/rxe-chaos"
#define ROUNDS		3
/* as coded: 4.3 s, so that the retries outlast whatever ends by itself */
#define PATIENT		20
#define HASTY		16
#define TRAFFICS	3
/* seconds for three rounds: a loss costs each of them PATIENT, and a busy host more */
#define LIMIT		400

static void all_move_but(struct traffic **traffics, int but)
{
	int i;

	for (i = 0; i < TRAFFICS; i++)
		if (i != but)
			traffic_moves(traffics[i]);
}

static void all_move(struct traffic **traffics)
{
	all_move_but(traffics, TRAFFICS);
}

/* @second: the access to the memory of every other one */
static void start(struct traffic **traffics, unsigned int timeout, int second,
		  void (*ended)(struct traffic_side *side))
{
	int i;

	traffic_timeout(timeout);
	for (i = 0; i < TRAFFICS; i++)
		traffics[i] = traffic_start(i & 1 ? second : ODP_ACCESS, ended);
	all_move(traffics);
}

/* Those that are left see that their peer was killed, or nothing yet. */
static void kill_all(struct traffic **traffics)
{
	int i;

	for (i = 0; i < TRAFFICS; i++) {
		traffic_kill(traffics[i], 0);
		traffic_kill(traffics[i], 1);
		traffic_end(traffics[i]);
	}
}

static void end_all(struct traffic **traffics)
{
	int i;

	for (i = 0; i < TRAFFICS; i++)
		traffic_wait_held(traffics[i]);
	for (i = 0; i < TRAFFICS; i++)
		traffic_end(traffics[i]);
}

/* The traffic outlasts an event, which happens to it again and again. */
static void outlast(void (*event)(struct traffic **traffics, unsigned int n))
{
	struct traffic *traffics[TRAFFICS];
	struct resources before;
	unsigned int i;

	resources_get(&before);
	start(traffics, PATIENT, ALL_ACCESS, traffic_peer_killed);
	for (i = 0; i < rounds_of(ROUNDS); i++) {
		test_at("round %u", i);
		event(traffics, i);
		all_move(traffics);
	}
	kill_all(traffics);
	resources_check(&before);
	check_works();
}

/* Down, a netdev loses its neighbours and its IPv6 addresses. */
static void down_and_up(unsigned int side, const char *name)
{
	char host = side ? 'b' : 'a';

	command("ip -n host%c link set v%c down", host, host);
	if (name) {
		command("ip -n host%c link set v%c name %s", host, host, name);
		command("ip -n host%c link set %s up", host, name);
		command("ip -n host%c link set %s down", host, name);
		command("ip -n host%c link set %s name v%c", host, name, host);
	}
	command("ip -n host%c link set v%c up", host, host);
	command("ip -n host%c addr replace fd00::%u/64 dev v%c nodad", host,
		side + 1, host);
	two_hosts("neighbours");
}

static void down(struct traffic **traffics, unsigned int n)
{
	down_and_up(n & 1, NULL);
}

static void renamed(struct traffic **traffics, unsigned int n)
{
	down_and_up(n & 1, "other");
}

static void resized(struct traffic **traffics, unsigned int n)
{
	set_mtu(n & 1 ? 1500 : 4200);
}

static void silent(struct traffic **traffics, unsigned int n)
{
	set_netem("loss 100%");
	sleep_ms(50);
	set_netem(NULL);
}

static void stopped(struct traffic **traffics, unsigned int n)
{
	traffic_signal(traffics[n % TRAFFICS], n / TRAFFICS & 1, SIGSTOP);
	all_move_but(traffics, n % TRAFFICS);
	traffic_signal(traffics[n % TRAFFICS], n / TRAFFICS & 1, SIGCONT);
}

static void cpu_gone(struct traffic **traffics, unsigned int n)
{
	write_file("/sys/devices/system/cpu/cpu1/online", "0");
	all_move(traffics);
	write_file("/sys/devices/system/cpu/cpu1/online", "1");
}

/* Another program's link comes, and goes. */
static void other_link(struct traffic **traffics, unsigned int n)
{
	command("ip -n hosta link add dum0 type dummy");
	link_add("hosta", "link0", "dum0");
	command(n & 1 ? "rdma link delete link0; ip -n hosta link delete dum0" :
			"ip -n hosta link delete dum0");
}

/* A program of a traffic ends beside the others, and another traffic begins. */
static void end_again_and_again(int second,
				void (*end)(struct traffic *traffic,
					    unsigned int side))
{
	struct traffic **traffic;
	struct traffic *traffics[TRAFFICS];
	struct resources before;
	unsigned int i;

	resources_get(&before);
	start(traffics, HASTY, second, traffic_peer_killed);
	for (i = 0; i < rounds_of(ROUNDS); i++) {
		test_at("round %u", i);
		traffic = &traffics[i % TRAFFICS];
		end(*traffic, i / TRAFFICS & 1);
		traffic_end(*traffic);
		*traffic = traffic_start(i & 1 ? second : ODP_ACCESS,
					 traffic_peer_killed);
		all_move(traffics);
	}
	kill_all(traffics);
	resources_check(&before);
	check_works();
}

/*
 * The program's group runs out of memory: it is killed, and its memory taken, by
 * whoever asked for more, a worker that faults for it among them.
 */
static void out_of_memory(struct traffic *traffic, unsigned int side)
{
	char pid[20];

	mkdir(GROUP, 0755);
	write_file(GROUP "/memory.max", "max");
	snprintf(pid, sizeof(pid), "%d", traffic_pid(traffic, side));
	write_file(GROUP "/cgroup.procs", pid);
	write_file(GROUP "/memory.max", "16K");
	traffic_killed(traffic, side);
}

static void gone_for_long(void)
{
	struct traffic *traffics[TRAFFICS];
	struct resources before;
	unsigned int i;

	resources_get(&before);
	for (i = 0; i < rounds_of(1); i++) {
		test_at("round %u", i);
		start(traffics, HASTY, ALL_ACCESS, traffic_peer_gone);
		command("tc -n host%c qdisc replace dev v%c root netem loss 100%%",
			i & 1 ? 'b' : 'a', i & 1 ? 'b' : 'a');
		end_all(traffics);
		command("tc -n host%c qdisc del dev v%c root",
			i & 1 ? 'b' : 'a', i & 1 ? 'b' : 'a');
		resources_check(&before);
	}
	check_works();
}

static void netdevs_down(void)
{
	outlast(down);
}

static void netdevs_renamed(void)
{
	outlast(renamed);
}

static void netdevs_resized(void)
{
	outlast(resized);
	set_mtu(1500);
}

static void network_silent(void)
{
	if (try_netem("loss 1%"))
		skip("the kernel has no netem");
	set_netem(NULL);
	outlast(silent);
}

static void programs_stopped(void)
{
	outlast(stopped);
}

static void cpus_gone(void)
{
	if (access("/sys/devices/system/cpu/cpu1/online", W_OK))
		skip("there is no second CPU that can go");
	outlast(cpu_gone);
}

static void other_links(void)
{
	outlast(other_link);
}

static void programs_killed(void)
{
	end_again_and_again(ALL_ACCESS, traffic_kill);
}

static void programs_out_of_memory(void)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK))
		skip("needs control groups of version 2");
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	/* what is pinned is there, and charged to the group that it was in before */
	end_again_and_again(ODP_ACCESS, out_of_memory);
}

static const struct test tests[] = {
	{ "netdevs that go down and up", netdevs_down, LIMIT, true },
	{ "netdevs that change their names", netdevs_renamed, LIMIT, true },
	{ "netdevs that change their MTUs", netdevs_resized, LIMIT, true },
	{ "a network that is silent for a moment", network_silent, LIMIT, true },
	{ "a peer that is silent for good", gone_for_long, LIMIT, true },
	{ "programs that are stopped, and continue", programs_stopped, LIMIT, true },
	{ "a CPU that goes, and comes", cpus_gone, LIMIT, true },
	{ "other links that come, and go", other_links, LIMIT, true },
	{ "programs that are killed", programs_killed, LIMIT, true },
	{ "programs that run out of memory", programs_out_of_memory, LIMIT, true },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
