// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The order in which memory changes, for a program that polls it while a peer
 * writes: messages come one after the other, and the end of each comes last. A
 * thread posts; the test polls, on another CPU.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "pair.h"

#define ROUNDS	200
#define SIZE	(64 * 1024)
/* looks before others get the CPU: there may be one only */
#define LOOKS	5000

/**
 * struct order - messages, and the memory that is polled
 * @pair: the connection
 * @source: memory that they come from
 * @sink: memory that they go to
 * @opcode: RDMA write or read, or send
 * @offset: in the sink, where a message begins
 * @len: bytes of it
 * @flag: offset in the sink, of eight bytes that change after it; 0: there are
 *	  none
 * @flag_opcode: how they change
 * @seen: rounds whose end the polling side has seen
 * @thread: posts the messages
 */
struct order {
	struct pair pair;
	struct buf source;
	struct buf sink;
	enum ibv_wr_opcode opcode;
	size_t offset;
	size_t len;
	size_t flag;
	enum ibv_wr_opcode flag_opcode;
	unsigned int seen;
	pthread_t thread;
};

/* what all bytes of a round's message are; never that of the round before */
static unsigned char value_of(unsigned int round)
{
	return 1 + round % 250;
}

static struct end *poster(struct order *o)
{
	return &o->pair.a;
}

/* The memory that the poster's peer has. */
static const struct buf *peers_memory(const struct order *o)
{
	return o->opcode == IBV_WR_RDMA_READ ? &o->source : &o->sink;
}

static void post_message(struct order *o)
{
	const struct buf *mine = &o->source;
	size_t here = 0, there = o->offset;

	if (o->opcode == IBV_WR_RDMA_READ) {
		mine = &o->sink;
		here = o->offset;
		there = 0;
	}
	if (o->opcode == IBV_WR_SEND)
		post_recv(&o->pair.b, &o->sink, o->offset, o->len, 0);
	post_one(poster(o), o->opcode, buf_sge(mine, here, o->len),
		 peers_memory(o), there);
}

static void post_flag(struct order *o)
{
	struct ibv_sge sge = buf_sge(&o->source, SIZE, sizeof(uint64_t));
	struct ibv_send_wr wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = o->flag_opcode,
		.send_flags = IBV_SEND_SIGNALED,
	};
	uintptr_t at = (uintptr_t)o->sink.addr + o->flag;

	if (o->flag_opcode == IBV_WR_RDMA_WRITE) {
		wr.wr.rdma.remote_addr = at;
		wr.wr.rdma.rkey = o->sink.mr->rkey;
	} else {
		wr.wr.atomic.remote_addr = at;
		wr.wr.atomic.rkey = o->sink.mr->rkey;
		wr.wr.atomic.compare_add = 1;
	}
	post_send(poster(o), &wr);
}

static void wait_for(struct order *o)
{
	wait_ok(poster(o)->send_cq);
	if (o->opcode == IBV_WR_SEND)
		wait_ok(o->pair.b.recv_cq);
	if (o->flag)
		wait_ok(poster(o)->send_cq);
}

static void *post_all(void *arg)
{
	struct order *o = arg;
	unsigned int round;
	uint64_t flag;

	run_on(0);
	for (round = 1; round <= ROUNDS; round++) {
		memset(o->source.addr, value_of(round), o->len);
		flag = round;
		if (o->flag_opcode == IBV_WR_RDMA_WRITE)
			memcpy(o->source.addr + SIZE, &flag, sizeof(flag));
		post_message(o);
		if (o->flag)
			post_flag(o);
		wait_for(o);
		while (__atomic_load_n(&o->seen, __ATOMIC_ACQUIRE) != round)
			sched_yield();
	}
	return NULL;
}

static bool has_come(const struct order *o, unsigned int round)
{
	const unsigned char *last = o->sink.addr + o->offset + o->len - 1;
	const uint64_t *flag = (void *)(o->sink.addr + o->flag);

	/* order the reads of the data after the read of the flag */
	if (o->flag)
		return __atomic_load_n(flag, __ATOMIC_ACQUIRE) == round;
	return __atomic_load_n(last, __ATOMIC_ACQUIRE) == value_of(round);
}

static void look_on(struct order *o)
{
	const unsigned char *sink = o->sink.addr + o->offset;
	unsigned int round, looks;

	run_on(1);
	for (round = 1; round <= ROUNDS; round++) {
		for (looks = 0; !has_come(o, round); looks++)
			if (looks > LOOKS)
				sched_yield();
		check_bytes(sink, o->len, value_of(round));
		__atomic_store_n(&o->seen, round, __ATOMIC_RELEASE);
	}
}

static void order_up(struct order *o, int access)
{
	static const struct pair_config config = { .mtu = IBV_MTU_4096 };

	set_mtu(4200);
	pair_up(&o->pair, &config);
	buf_get(&o->source, &o->pair.hosts[o->opcode == IBV_WR_RDMA_READ],
		SIZE + sizeof(uint64_t), access);
	buf_get(&o->sink, &o->pair.hosts[o->opcode != IBV_WR_RDMA_READ],
		2 * SIZE, access);
}

static void order_down(struct order *o)
{
	buf_put(&o->source);
	buf_put(&o->sink);
	pair_down(&o->pair);
}

static void run_order(struct order *o)
{
	test_at("%zu bytes at %#zx", o->len, o->offset);
	memset(o->sink.addr, 0, o->sink.len);
	o->seen = 0;
	CHECK_EQ(pthread_create(&o->thread, NULL, post_all, o), 0);
	look_on(o);
	CHECK_EQ(pthread_join(o->thread, NULL), 0);
}

/* different addresses and lengths, as they are copied in different order */
static void end_is_last(enum ibv_wr_opcode opcode)
{
	static const size_t offsets[] = { 0, 0x70, 0x1043 };
	static const size_t lengths[] = { 31, 1000, 3 * 4096 + 123 };
	struct order o = { .opcode = opcode };
	unsigned int i, j;

	order_up(&o, ODP_ACCESS);
	for (i = 0; i < NUM(offsets); i++) {
		for (j = 0; j < NUM(lengths); j++) {
			o.offset = offsets[i];
			o.len = lengths[j];
			run_order(&o);
		}
	}
	order_down(&o);
}

static void writes_end(void)
{
	end_is_last(IBV_WR_RDMA_WRITE);
}

static void sends_end(void)
{
	end_is_last(IBV_WR_SEND);
}

static void reads_end(void)
{
	end_is_last(IBV_WR_RDMA_READ);
}

static void flag_follows(enum ibv_wr_opcode opcode, enum ibv_wr_opcode flag)
{
	struct order o = {
		.opcode = opcode,
		.offset = 0x70,
		.len = 3 * 4096 + 123,
		.flag = SIZE,
		.flag_opcode = flag,
	};

	order_up(&o, ALL_ACCESS);
	run_order(&o);
	o.len = 100;
	run_order(&o);
	order_down(&o);
}

static void write_after_write(void)
{
	flag_follows(IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE);
}

static void write_after_send(void)
{
	flag_follows(IBV_WR_SEND, IBV_WR_RDMA_WRITE);
}

static void atomic_after_write(void)
{
	flag_follows(IBV_WR_RDMA_WRITE, IBV_WR_ATOMIC_FETCH_AND_ADD);
}

/* Post numbers that count up: a torn one would mix two of them. */
static void *post_numbers(void *arg)
{
	struct order *o = arg;
	unsigned int round;

	run_on(0);
	for (round = 1; round <= ROUNDS; round++) {
		memset(o->source.addr, value_of(round), sizeof(uint64_t));
		post_message(o);
		wait_for(o);
	}
	__atomic_store_n(&o->seen, ROUNDS, __ATOMIC_RELEASE);
	return NULL;
}

static void eight_bytes_at_once(void)
{
	struct order o = {
		.opcode = IBV_WR_RDMA_WRITE,
		.offset = 0x70,
		.len = sizeof(uint64_t),
	};
	const uint64_t *number;
	uint64_t got;

	order_up(&o, ALL_ACCESS);
	number = (void *)(o.sink.addr + o.offset);
	CHECK_EQ(pthread_create(&o.thread, NULL, post_numbers, &o), 0);
	run_on(1);
	while (__atomic_load_n(&o.seen, __ATOMIC_ACQUIRE) != ROUNDS) {
		got = __atomic_load_n(number, __ATOMIC_RELAXED);
		check_bytes(&got, sizeof(got), got & 0xff);
	}
	CHECK_EQ(pthread_join(o.thread, NULL), 0);
	order_down(&o);
}

static const struct test tests[] = {
	{ "the end of a write comes last", writes_end },
	{ "the end of a send comes last", sends_end },
	{ "the end of a read comes last", reads_end },
	{ "a write comes after the write before it", write_after_write },
	{ "a write comes after the send before it", write_after_send },
	{ "an atomic comes after the write before it", atomic_after_write },
	{ "eight aligned bytes come at once", eight_bytes_at_once },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
