// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets that wait for a page that nobody provides: what they take is what is
 * counted, their program pays for it, and only what may be delivered waits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define GRH	40
#define QKEY	0x11223344
/* a packet for each MTU, and more than a sender cuts packets from at once */
#define FILLER	(40 * 1024)
/* of connections that write at once */
#define FIRST	(64 * 1024)
#define WRITERS	30
/* what is not about what waits, at most */
#define NOISE	(16L << 20)

/**
 * struct parked - a receiver that is parked, and who sends to it
 * @pair: of datagrams
 * @ah: from end a to end b
 * @from: memory of end a
 * @to: memory of end b, whose pages do not come
 * @other: a connection between the hosts
 * @source: where that one writes from
 * @sink: where it writes to
 * @uffd: who would have to provide them
 */
struct parked {
	struct pair pair;
	struct ibv_ah *ah;
	struct buf from;
	struct buf to;
	struct pair other;
	struct buf source;
	struct buf sink;
	int uffd;
};

static void send_datagram(struct parked *parked, size_t len, unsigned int qkey)
{
	struct ibv_sge sge = buf_sge(&parked->from, 0, len);
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.ud = {
			.ah = parked->ah,
			.remote_qpn = parked->pair.b.qp->qp_num,
			.remote_qkey = qkey,
		},
	};

	post_send(&parked->pair.a, &wr);
	wait_ok(parked->pair.a.send_cq);
}

/* The first datagram has found no page. */
static void parked_up(struct parked *parked)
{
	const struct pair_config config = { .type = IBV_QPT_UD, .qkey = QKEY };
	struct host *hosts = parked->pair.hosts;
	struct ibv_ah_attr attr = {
		.is_global = 1,
		.port_num = 1,
		.grh.hop_limit = 64,
	};
	int tries = 0;

	pair_up(&parked->other, &(struct pair_config) {});
	host_open(&hosts[0], 0);
	host_open(&hosts[1], 1);
	end_up(&parked->pair.a, &hosts[0], &config);
	end_up(&parked->pair.b, &hosts[1], &config);
	attr.grh.dgid = hosts[1].gids[0].gid;
	attr.grh.sgid_index = hosts[0].gids[0].index;
	do {
		parked->ah = ibv_create_ah(hosts[0].pd, &attr);
	} while (!parked->ah && errno == ETIMEDOUT && tries++ < 10);
	CHECK(parked->ah);
	buf_get(&parked->from, &hosts[0], FILLER, ALL_ACCESS);
	buf_get(&parked->to, &hosts[1], PAGE_BYTES, ODP_ACCESS);
	buf_get(&parked->source, &parked->other.hosts[0], FILLER, ALL_ACCESS);
	buf_get(&parked->sink, &parked->other.hosts[1], FILLER, ALL_ACCESS);
	fill_pattern(parked->from.addr, FILLER, 3);
	parked->uffd = miss_pages(parked->to.addr, PAGE_BYTES);
	post_recv(&parked->pair.b, &parked->to, 0, GRH + 1024, 1);
	send_datagram(parked, 64, QKEY);
	CHECK(userfaultfd_wanted(parked->uffd) == parked->to.addr);
	UNTIL(counter_of(1, "parked_bytes"));
}

static void parked_down(struct parked *parked)
{
	close(parked->uffd);
	CHECK_EQ(ibv_destroy_ah(parked->ah), 0);
	buf_put(&parked->from);
	buf_put(&parked->to);
	buf_put(&parked->source);
	buf_put(&parked->sink);
	end_destroy(&parked->pair.a);
	end_destroy(&parked->pair.b);
	host_close(&parked->pair.hosts[0]);
	host_close(&parked->pair.hosts[1]);
	pair_down(&parked->other);
	CHECK_EQ(counter_of(1, "parked_bytes"), 0);
}

/* Something else is sent between the hosts, and has arrived. */
static void pass(struct parked *parked, size_t len)
{
	do_one(&parked->other.a, IBV_WR_RDMA_WRITE,
	       buf_sge(&parked->source, 0, len), &parked->sink, 0);
}

static long available(void)
{
	char line[100];
	long kib = 0;
	FILE *file = fopen("/proc/meminfo", "r");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		sscanf(line, "MemAvailable: %ld", &kib);
	fclose(file);
	CHECK(kib);
	return kib * 1024;
}

static void stay_here(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

/*
 * A sender cuts packets of all of its queue pairs from the same pages of 32 KiB.
 * One small packet of each page waits, and the other ones do not.
 */
static void held_is_counted(void)
{
	long before, held, counted;
	const int number = 1500;
	struct parked parked;
	int i;

	stay_here();
	parked_up(&parked);
	pass(&parked, FILLER);
	before = available();
	for (i = 0; i < number; i++) {
		send_datagram(&parked, 64, QKEY);
		pass(&parked, FILLER);
	}
	counted = counter_of(1, "parked_bytes");
	held = before - available();
	printf("# %d datagrams of 64 bytes take %ld KiB; counted: %ld KiB\n",
	       number, held >> 10, counted >> 10);
	CHECK(counted >= number * 64);
	CHECK(held <= counted + NOISE);
	parked_down(&parked);
}

/* Many connections miss their first page at once: the program pays for what waits. */
static void first_are_paid(void)
{
	struct pair_config config = { .depth = 2, .timeout = 22 };
	struct end from[WRITERS], to[WRITERS];
	struct host hosts[2];
	struct buf here, there;
	int i, uffd;
	long before;

	group_own("backlog");
	host_open(&hosts[0], 0);
	host_open(&hosts[1], 1);
	buf_get(&here, &hosts[0], FIRST, ALL_ACCESS);
	buf_get(&there, &hosts[1], WRITERS * FIRST, ODP_ACCESS);
	fill_pattern(here.addr, FIRST, 3);
	uffd = miss_pages(there.addr, there.len);
	for (i = 0; i < WRITERS; i++)
		connect_ends(&from[i], &hosts[0], &to[i], &hosts[1], &config);

	before = group_read("memory.current", "");
	for (i = 0; i < WRITERS; i++)
		post_one(&from[i], IBV_WR_RDMA_WRITE, buf_sge(&here, 0, FIRST),
			 &there, i * FIRST);
	UNTIL(counter_of(1, "parked_bytes") >= WRITERS * FIRST);
	UNTIL((long)group_read("memory.current", "") - before >= WRITERS * FIRST / 2);

	CHECK_EQ(close(uffd), 0);
	for (i = 0; i < WRITERS; i++) {
		wait_ok(from[i].send_cq);
		check_pattern(there.addr + i * FIRST, FIRST, 3);
		end_destroy(&from[i]);
		end_destroy(&to[i]);
	}
	buf_put(&here);
	buf_put(&there);
	host_close(&hosts[0]);
	host_close(&hosts[1]);
}

/* The group has what waits, and has it no more when that is gone. */
static void program_pays(void)
{
	long before, charged, counted, after;
	struct parked parked;
	int i;

	group_own("backlog");
	parked_up(&parked);
	pass(&parked, 8);
	before = group_read("memory.current", "");
	for (i = 0; i < 1200; i++)
		send_datagram(&parked, 1000, QKEY);
	pass(&parked, 8);
	counted = counter_of(1, "parked_bytes");
	charged = group_read("memory.current", "") - before;
	end_to_reset(&parked.pair.b);
	CHECK_EQ(counter_of(1, "parked_bytes"), 0);
	after = group_read("memory.current", "") - before;
	printf("# %ld KiB wait, charged: %ld KiB; then %ld KiB\n", counted >> 10,
	       charged >> 10, after >> 10);
	CHECK(counted >= 1200 * 1000);
	CHECK(charged >= counted / 4 * 3);
	CHECK(after <= counted / 2);
	parked_down(&parked);
}

/* They are refused while the receiver waits, and not when its turn comes. */
static void wrong_qkeys(void)
{
	unsigned long long violations, waiting;
	struct parked parked;
	int i;

	parked_up(&parked);
	violations = counter_of(1, "qkey_violations");
	waiting = counter_of(1, "parked_bytes");
	for (i = 0; i < 50; i++)
		send_datagram(&parked, 64, QKEY ^ 1);
	UNTIL(counter_of(1, "qkey_violations") == violations + 50);
	CHECK_EQ(counter_of(1, "parked_bytes"), waiting);
	send_datagram(&parked, 64, QKEY);
	UNTIL(counter_of(1, "parked_bytes") > waiting);
	userfaultfd_copy(parked.uffd, parked.to.addr, parked.from.addr);
	wait_ok(parked.pair.b.recv_cq);
	check_pattern(parked.to.addr + GRH, 64, 3);
	UNTIL(!counter_of(1, "parked_bytes"));
	parked_down(&parked);
}

static const struct test tests[] = {
	{ "packets that wait take what is counted", held_is_counted },
	{ "packets of many faults that sleep are charged", first_are_paid },
	{ "packets that wait are charged to the program", program_pays },
	{ "datagrams with a wrong Q_Key do not wait", wrong_qkeys },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
