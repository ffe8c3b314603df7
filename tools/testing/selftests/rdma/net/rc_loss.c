// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A network that loses, reorders, duplicates and corrupts packets: every message
 * arrives once, in order, with its data; every atomic is executed once.
 */
#include <stdint.h>
#include <stdio.h>

#include "pair.h"

#define MESSAGES	32
#define MESSAGE_SIZE	20000
#define SIZE		(MESSAGES * MESSAGE_SIZE)
#define ATOMICS		200
#define ROUNDS		9
/* so many at once, of all */
#define READ_SIZE	65536
#define READS		96
#define AHEAD		8
#define NETEM		"limit 4000 delay 100us"

static const int access_of[] = { ALL_ACCESS, ODP_ACCESS };

/* All messages in flight at once, each with data of its own. */
static void messages(struct pair *pair, enum ibv_wr_opcode opcode,
		     struct buf *local, struct buf *remote,
		     unsigned int seed)
{
	bool read = opcode == IBV_WR_RDMA_READ;
	struct buf *source = read ? remote : local;
	struct buf *sink = read ? local : remote;
	int i;

	fill_pattern(source->addr, SIZE, seed);
	memset(sink->addr, 0, SIZE);
	buf_drop(sink);
	for (i = 0; opcode == IBV_WR_SEND && i < MESSAGES; i++)
		post_recv(&pair->b, remote, i * MESSAGE_SIZE, MESSAGE_SIZE,
			  i);
	for (i = 0; i < MESSAGES; i++)
		post_one(&pair->a, opcode,
			 buf_sge(local, i * MESSAGE_SIZE, MESSAGE_SIZE), remote,
			 i * MESSAGE_SIZE);
	for (i = 0; i < MESSAGES; i++)
		wait_ok(pair->a.send_cq);
	for (i = 0; opcode == IBV_WR_SEND && i < MESSAGES; i++)
		CHECK_EQ(wait_ok(pair->b.recv_cq).wr_id, i);
	check_pattern(sink->addr, SIZE, seed);
	check_idle(pair->b.recv_cq);
}

/* Several in flight: each returns the result of those before it. */
static void atomics(struct pair *pair, struct buf *local,
		    struct buf *remote)
{
	uint64_t *found = (uint64_t *)local->addr;
	struct ibv_sge sge;
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.atomic.remote_addr = (uintptr_t)remote->addr,
		.wr.atomic.rkey = remote->mr->rkey,
		.wr.atomic.compare_add = 3,
	};
	int i, done = 0;

	memset(local->addr, 0xff, ATOMICS * sizeof(*found));
	memset(remote->addr, 0, sizeof(*found));
	for (i = 0; i < ATOMICS; i++) {
		if (i - done == MESSAGES) {
			wait_ok(pair->a.send_cq);
			done++;
		}
		sge = buf_sge(local, i * sizeof(*found), sizeof(*found));
		post_send(&pair->a, &wr);
	}
	for (; done < ATOMICS; done++)
		wait_ok(pair->a.send_cq);
	for (i = 0; i < ATOMICS; i++)
		CHECK_EQ(found[i], 3 * i);
	CHECK_EQ(*(uint64_t *)remote->addr, 3 * ATOMICS);
}

/*
 * Packets leave as GSO packets, and are lost as such, then one by one. The
 * driver's @counter shows that netem did disturb them.
 */
static void over(const char *how, const char *counter)
{
	static const enum ibv_wr_opcode opcodes[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
	};
	/* 67 ms, as only the timer notices the loss of a last packet */
	struct pair_config config = { .timeout = 14 };
	unsigned long long before = counter_sum(counter);
	struct buf local, remote;
	struct pair pair;
	int odp, i;

	/* resolve neighbours first: a lost packet of those costs a second */
	check_works();
	set_netem(how);
	for (odp = 0; odp < 2; odp++) {
		pair_up(&pair, &config);
		buf_get(&local, &pair.hosts[0], SIZE, access_of[odp]);
		buf_get(&remote, &pair.hosts[1], SIZE, access_of[odp]);
		for (i = 0; i < ROUNDS; i++) {
			if (i == ROUNDS / 2)
				set_together(1);
			test_at("%s, round %d", odp ? "ODP" : "pinned", i);
			messages(&pair, opcodes[i % 3], &local, &remote, i);
		}
		test_at("%s, atomics", odp ? "ODP" : "pinned");
		atomics(&pair, &local, &remote);
		buf_put(&local);
		buf_put(&remote);
		pair_down(&pair);
		set_together(ALL_TOGETHER);
	}
	set_netem(NULL);
	printf("# %s: %llu\n", counter, counter_sum(counter) - before);
	CHECK(counter_sum(counter) > before);
}

static void lossy(void)
{
	over("loss 2%", "completer_retry_err");
}

static void reordering(void)
{
	over("delay 2ms reorder 95%", "out_of_seq_request");
}

static void repeating(void)
{
	over("duplicate 10%", "duplicate_request");
}

static void corrupting(void)
{
	over("corrupt 2%", "completer_retry_err");
}

static void all_of_it(void)
{
	over("delay 1ms reorder 97% loss 1% duplicate 2% corrupt 1%",
	     "completer_retry_err");
}

/*
 * Responses are lost, requests are not: behind each gap others come, as long as reads
 * are under way. No timer runs: it has to show in these if a repetition is lost.
 */
static void reads_without_timer(void)
{
	const struct pair_config config = { .no_timeout = true, .rd_atomic = 16 };
	unsigned int done, posted = 0;
	struct buf local, remote;
	struct pair pair;
	size_t at;

	check_works();
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], AHEAD * READ_SIZE, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], AHEAD * READ_SIZE, ALL_ACCESS);
	fill_pattern(remote.addr, remote.len, 1);
	set_together(1);
	command("tc -n hostb qdisc replace dev vb root netem " NETEM " loss 5%%");
	for (done = 0; done < READS; done++) {
		test_at("read %u", done);
		for (; posted < READS && posted < done + AHEAD; posted++) {
			at = posted % AHEAD * READ_SIZE;
			post_one(&pair.a, IBV_WR_RDMA_READ,
				 buf_sge(&local, at, READ_SIZE), &remote, at);
		}
		/* nothing comes behind the last responses: none of them is lost */
		if (done == READS - 2 * AHEAD)
			command("tc -n hostb qdisc change dev vb root netem " NETEM);
		wait_ok(pair.a.send_cq);
	}
	check_pattern(local.addr, local.len, 1);
	command("tc -n hostb qdisc del dev vb root");
	set_together(ALL_TOGETHER);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static const struct test tests[] = {
	{ "RC while packets are lost", lossy },
	{ "reads while responses are lost, without an ACK timeout",
	  reads_without_timer },
	{ "RC while packets are reordered", reordering },
	{ "RC while packets are duplicated", repeating },
	{ "RC while packets are corrupted", corrupting },
	{ "RC while packets are lost, reordered, duplicated and corrupted",
	  all_of_it },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
