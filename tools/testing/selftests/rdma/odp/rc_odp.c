// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand memory that changes while peers use it: they read and write the same
 * data as the CPU.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stream.h"

#define SIZE		STREAM_SIZE
#define PAGE		4096UL
#define WORDS		(SIZE / sizeof(uint64_t))

/* Discarded private memory is zero, until it is written again. */
static void discard_sink(enum ibv_wr_opcode opcode)
{
	const unsigned char *expected;
	unsigned char *sink, byte;
	struct stream s;
	int round, i;

	stream_up(&s, opcode);
	expected = source_of(&s)->addr;
	sink = sink_of(&s)->addr;
	fill_pattern(source_of(&s)->addr, SIZE, opcode);
	stream_start(&s);
	for (round = 0; round < 300; round++) {
		CHECK_EQ(madvise(sink, SIZE, MADV_DONTNEED), 0);
		for (i = round; i < SIZE; i += 512) {
			byte = __atomic_load_n(&sink[i], __ATOMIC_RELAXED);
			CHECK(!byte || byte == expected[i]);
		}
	}
	stream_pass(&s, 1);
	stream_stop(&s);
	check_pattern(sink, SIZE, opcode);
	stream_down(&s);
}

static void discard_write_sink(void)
{
	discard_sink(IBV_WR_RDMA_WRITE);
}

static void discard_read_sink(void)
{
	discard_sink(IBV_WR_RDMA_READ);
}

/* Messages from discarded memory have what the CPU finds there: zeroes. */
static void discard_source(enum ibv_wr_opcode opcode)
{
	struct stream s;
	int round;

	stream_up(&s, opcode);
	stream_start(&s);
	for (round = 0; round < 5; round++) {
		test_at("round %d", round);
		fill_pattern(source_of(&s)->addr, SIZE, round);
		stream_pass(&s, 2);
		CHECK_EQ(madvise(source_of(&s)->addr, SIZE, MADV_DONTNEED), 0);
		stream_pass(&s, 2);
		check_bytes(sink_of(&s)->addr, SIZE, 0);
	}
	stream_stop(&s);
	stream_down(&s);
}

static void discard_write_source(void)
{
	discard_source(IBV_WR_RDMA_WRITE);
}

static void discard_read_source(void)
{
	discard_source(IBV_WR_RDMA_READ);
}

/**
 * struct change - a change of a program's memory, and its effect on peers
 * @name: for people
 * @opcode: of the traffic
 * @remote: it is the memory of the passive side
 * @prot: new protection, or -1: unmapped
 * @status: of the message that meets it
 */
struct change {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool remote;
	int prot;
	enum ibv_wc_status status;
};

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define REM	IBV_WC_REM_ACCESS_ERR
#define LOC	IBV_WC_LOC_PROT_ERR

static const struct change changes[] = {
	{ "write to unmapped memory", W, true, -1, REM },
	{ "write from unmapped memory", W, false, -1, LOC },
	{ "read from unmapped memory", R, true, -1, REM },
	{ "read to unmapped memory", R, false, -1, LOC },
	{ "write to read-only memory", W, true, PROT_READ, REM },
	{ "write from read-only memory", W, false, PROT_READ, IBV_WC_SUCCESS },
	{ "read from read-only memory", R, true, PROT_READ, IBV_WC_SUCCESS },
	{ "read to read-only memory", R, false, PROT_READ, LOC },
	{ "write to memory without access", W, true, PROT_NONE, REM },
	{ "write from memory without access", W, false, PROT_NONE, LOC },
	{ "read from memory without access", R, true, PROT_NONE, REM },
	{ "read to memory without access", R, false, PROT_NONE, LOC },
};

/*
 * The registration outlives the mapping: once there is memory again at the
 * address, with another connection, peers find that.
 */
static void check_mapped_again(struct stream *s, struct buf *changed)
{
	struct pair_config config = {};
	struct end a, b;

	CHECK(mmap(changed->addr, SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      changed->addr);
	fill_pattern(source_of(s)->addr, SIZE, 77);
	connect_ends(&a, &s->pair.hosts[0], &b, &s->pair.hosts[1], &config);
	do_one(&a, s->opcode, buf_sge(&s->local, 0, SIZE), &s->remote, 0);
	check_pattern(sink_of(s)->addr, SIZE, 77);
	end_destroy(&a);
	end_destroy(&b);
}

static void try_change(const struct change *change)
{
	struct buf *changed;
	struct stream s;

	test_at("%s", change->name);
	stream_up(&s, change->opcode);
	changed = change->remote ? &s.remote : &s.local;
	fill_pattern(source_of(&s)->addr, SIZE, 5);
	stream_start(&s);
	stream_pass(&s, 2);
	if (change->prot < 0)
		CHECK_EQ(munmap(changed->addr, SIZE), 0);
	else
		CHECK_EQ(mprotect(changed->addr, SIZE, change->prot), 0);
	if (change->status == IBV_WC_SUCCESS) {
		stream_pass(&s, 2);
		stream_stop(&s);
		check_pattern(sink_of(&s)->addr, SIZE, 5);
	} else {
		stream_join(&s);
		CHECK_EQ(s.status, change->status);
	}
	check_mapped_again(&s, changed);
	stream_down(&s);
}

static void mapping_changes(void)
{
	unsigned int i;

	for (i = 0; i < NUM(changes); i++)
		try_change(&changes[i]);
}

/**
 * struct hole - a message that meets a page which is not mapped
 * @name: for people
 * @opcode: of the message
 * @remote: the page is the passive side's
 * @status: of the message
 * @arrives: the data ahead of the page arrives
 */
struct hole {
	const char *name;
	enum ibv_wr_opcode opcode;
	bool remote;
	enum ibv_wc_status status;
	bool arrives;
};

static const struct hole holes[] = {
	{ "write to a hole", W, true, REM, true },
	{ "write from a hole", W, false, LOC, true },
	{ "send from a hole", IBV_WR_SEND, false, LOC, true },
	{ "read from a hole", R, true, REM, true },
	/* a read whose sink is missing is not requested */
	{ "read to a hole", R, false, LOC, false },
};

/* Data sent before the error may arrive after its completion. */
static void wait_for_content(const void *addr, const void *expected, size_t len)
{
	UNTIL(!memcmp(addr, expected, len));
}

/*
 * Packets of a message are made and taken in batches, and memory is faulted in for
 * the whole message: still only the packet that meets the hole fails, and all
 * before it arrive.
 */
static void try_hole(const struct hole *hole, size_t at, bool warm)
{
	struct pair_config config = {};
	struct buf local, remote;
	unsigned char *source, *sink, *with_hole;
	static char expected[SIZE];
	struct pair pair;
	size_t after = at;

	test_at("%s at %zu, %s", hole->name, at, warm ? "warm" : "cold");
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ODP_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	source = hole->opcode == R ? remote.addr : local.addr;
	sink = hole->opcode == R ? local.addr : remote.addr;
	with_hole = hole->remote ? remote.addr : local.addr;
	fill_pattern(source, SIZE, 5);
	fill_pattern(expected, SIZE, 5);
	if (warm) {
		do_one(&pair.a, hole->opcode == R ? R : W,
		       buf_sge(&local, 0, SIZE), &remote, 0);
		memset(sink, 0, SIZE);
	}
	CHECK_EQ(munmap(with_hole + at, PAGE), 0);
	if (hole->opcode == IBV_WR_SEND)
		post_recv(&pair.b, &remote, 0, SIZE, 1);
	post_one(&pair.a, hole->opcode, buf_sge(&local, 0, SIZE), &remote, 0);
	wait_status(pair.a.send_cq, hole->status);
	if (hole->arrives)
		wait_for_content(sink, expected, at);
	else
		check_bytes(sink, at, 0);
	if (with_hole == sink)
		after += PAGE;
	check_bytes(sink + after, SIZE - after, 0);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static void holes_in_messages(void)
{
	static const size_t pages[] = { 0, 1, 2, 5, 8, 15 };
	unsigned int i, j;

	for (i = 0; i < NUM(holes); i++)
		for (j = 0; j < NUM(pages); j++) {
			try_hole(&holes[i], pages[j] * PAGE, false);
			try_hole(&holes[i], pages[j] * PAGE, true);
		}
}

/* mremap() moves the content; the registration stays at the old address. */
static void moved(void)
{
	struct stream s;
	void *to;

	stream_up(&s, W);
	fill_pattern(s.local.addr, SIZE, 6);
	stream_start(&s);
	stream_pass(&s, 2);
	to = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(to != MAP_FAILED);
	CHECK(mremap(s.remote.addr, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     to) == to);
	stream_join(&s);
	CHECK_EQ(s.status, REM);
	check_pattern(to, SIZE, 6);
	check_mapped_again(&s, &s.remote);
	check_pattern(to, SIZE, 6);
	CHECK_EQ(munmap(to, SIZE), 0);
	stream_down(&s);
}

/* The child's copy is of the moment of the fork, and stays that. */
static void child_looks_on(const struct buf *buf, int parent)
{
	static uint64_t copy[WORDS];
	char byte;

	memcpy(copy, buf->addr, SIZE);
	/* wait until the parent has had more messages, and closed its end */
	while (read(parent, &byte, 1) > 0)
		;
	_exit(memcmp(copy, buf->addr, SIZE) ? 1 : 0);
}

static void check_fork(struct stream *s, const struct buf *buf)
{
	int pipes[2], status;
	pid_t child;

	CHECK_EQ(pipe(pipes), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(pipes[1]);
		child_looks_on(buf, pipes[0]);
	}
	close(pipes[0]);
	stream_pass(s, 1);
	close(pipes[1]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/*
 * Both sides' pages are shared with the child after the fork. A write, by the CPU
 * to the source and by the driver to the sink, copies the page, and the driver
 * must not go on to use the shared one: the child would see it change, or the
 * parent's peer would get old data.
 */
static void forked(enum ibv_wr_opcode opcode)
{
	const uint64_t *sink;
	struct stream s;
	int round;
	size_t i;

	stream_up(&s, opcode);
	s.versions = true;
	stream_start(&s);
	for (round = 0; round < 20; round++) {
		test_at("round %d", round);
		check_fork(&s, sink_of(&s));
		check_fork(&s, source_of(&s));
	}
	stream_stop(&s);
	sink = (const uint64_t *)sink_of(&s)->addr;
	for (i = 0; i < WORDS; i++)
		CHECK_EQ(sink[i], s.messages);
	stream_down(&s);
}

static void forked_writes(void)
{
	forked(W);
}

static void forked_reads(void)
{
	forked(R);
}

/* Counters that grow when a packet had to be sent or requested twice. */
static const char *const troubles[] = {
	"duplicate_request", "out_of_seq_request", "rcvd_rnr_err",
	"send_rnr_err", "rcvd_seq_err", "completer_retry_err", "send_err",
};

static unsigned long long all_troubles(void)
{
	unsigned long long sum = 0;
	unsigned int i;

	for (i = 0; i < NUM(troubles); i++)
		sum += counter_sum(troubles[i]);
	return sum;
}

/* One message, with all memory missing; returns the sum of the counters. */
static unsigned long long move_cold(struct pair *pair,
				    enum ibv_wr_opcode opcode, size_t size)
{
	unsigned long long troubles = all_troubles(), faults, parked;
	struct buf local, remote;

	faults = counter_sum("page_faults");
	parked = counter_sum("parked");
	buf_get(&local, &pair->hosts[0], size, ODP_ACCESS);
	buf_get(&remote, &pair->hosts[1], size, ODP_ACCESS);
	if (opcode == IBV_WR_SEND)
		post_recv(&pair->b, &remote, 0, size, 1);
	do_one(&pair->a, opcode, buf_sge(&local, 0, size), &remote, 0);
	if (opcode == IBV_WR_SEND)
		wait_ok(pair->b.recv_cq);
	CHECK(counter_sum("page_faults") - faults >=
	      2 * ((size + 4095) / 4096));
	parked = counter_sum("parked") - parked;
	/* each park for a page that was missing */
	CHECK(parked >= 2 && parked <= counter_sum("page_faults") - faults);
	buf_put(&local);
	buf_put(&remote);
	return all_troubles() - troubles;
}

/*
 * No packet is lost, refused or sent again while either side faults, with
 * perftest's timeout of 67 ms, or 1 s for sizes that take seconds. A machine that
 * stands still for as long may look like a loss, though not every time.
 */
static void faults_cost_no_packet(void)
{
	static const enum ibv_wr_opcode opcodes[] = { W, R, IBV_WR_SEND };
	static const size_t sizes[] = {
		1, 4096, 65536, 1 << 20, 16 << 20, 64 << 20,
	};
	struct pair_config config = {};
	unsigned int i, j, tries;
	struct pair pair;

	for (j = 0; j < NUM(sizes); j++) {
		config.timeout = sizes[j] > 1 << 20 ? 18 : 14;
		pair_up(&pair, &config);
		for (i = 0; i < NUM(opcodes); i++) {
			test_at("opcode %d, %zu bytes", opcodes[i], sizes[j]);
			for (tries = 1; move_cold(&pair, opcodes[i], sizes[j]);
			     tries++)
				CHECK(tries < 20);
			if (tries > 1)
				printf("# opcode %d, %zu bytes: at try %u\n",
				       opcodes[i], sizes[j], tries);
		}
		pair_down(&pair);
	}
}

/* 2 GiB of addresses over little memory: the pattern repeats every PIECE. */
#define HUGE_LEN	0x80000000UL
#define PIECE		(4UL << 20)

static void map_huge(struct buf *buf, struct host *host)
{
	int fd = memfd_create("huge", 0);
	unsigned char *addr;
	size_t at;

	CHECK(fd >= 0);
	CHECK_EQ(ftruncate(fd, PIECE), 0);
	addr = mmap(NULL, HUGE_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(addr != MAP_FAILED);
	for (at = 0; at < HUGE_LEN; at += PIECE)
		CHECK(mmap(addr + at, PIECE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, fd, 0) == addr + at);
	close(fd);
	buf_reg(buf, host, addr, HUGE_LEN, ODP_ACCESS);
}

static void longest_message(enum ibv_wr_opcode opcode)
{
	struct pair_config config = { .mtu = IBV_MTU_4096, .timeout = 18 };
	struct buf local, remote;
	struct pair pair;
	struct ibv_wc wc;

	set_mtu(4200);
	pair_up(&pair, &config);
	map_huge(&local, &pair.hosts[0]);
	map_huge(&remote, &pair.hosts[1]);
	fill_pattern(opcode == R ? remote.addr : local.addr, PIECE, 9);
	post_one(&pair.a, opcode, buf_sge(&local, 0, HUGE_LEN), &remote, 0);
	/* longer than wait_cqe() waits */
	while (!ibv_poll_cq(pair.a.send_cq, 1, &wc))
		sleep_ms(10);
	CHECK_EQ(wc.status, IBV_WC_SUCCESS);
	CHECK_EQ(wc.byte_len, HUGE_LEN);
	check_pattern(opcode == R ? local.addr : remote.addr, PIECE, 9);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

static void longest_write(void)
{
	longest_message(W);
}

static void longest_read(void)
{
	longest_message(R);
}

static const struct test tests[] = {
	{ "discarded memory that is written to", discard_write_sink },
	{ "discarded memory that is read to", discard_read_sink },
	{ "discarded memory that is written from", discard_write_source },
	{ "discarded memory that is read from", discard_read_source },
	{ "unmapped and protected memory", mapping_changes },
	{ "messages that meet a hole", holes_in_messages },
	{ "moved memory", moved },
	{ "memory shared with a child, writes", forked_writes },
	{ "memory shared with a child, reads", forked_reads },
	{ "a fault costs no packet", faults_cost_no_packet, 600 },
	{ "a write of 2 GiB", longest_write, 300 },
	{ "a read of 2 GiB", longest_read, 300 },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
