// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * On-demand memory whose pages a program provides, by userfaultfd: an access
 * waits until they are there, and has the content that the program provided.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define SIZE	STREAM_SIZE
#define PAGES	(SIZE / PAGE_BYTES)

static int uffd;

static void *anonymous(void)
{
	void *addr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(addr != MAP_FAILED);
	return addr;
}

/* the page that a fault waits for */
static void *next_wanted(void)
{
	void *page = userfaultfd_wait(uffd, -1);

	CHECK(page);
	return page;
}

static void allow_writes(void *page)
{
	struct uffdio_writeprotect protect = {
		.range = { .start = (uintptr_t)page, .len = PAGE_BYTES },
	};

	CHECK_EQ(ioctl(uffd, UFFDIO_WRITEPROTECT, &protect), 0);
}

static void forbid_writes(void *addr)
{
	struct uffdio_writeprotect protect = {
		.range = { .start = (uintptr_t)addr, .len = SIZE },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	CHECK_EQ(ioctl(uffd, UFFDIO_WRITEPROTECT, &protect), 0);
}

/* provide pages of pattern 9, slowly */
static void provide_pages(unsigned char *base, unsigned int pages)
{
	unsigned char *content = anonymous(), *page;

	fill_pattern(content, SIZE, 9);
	while (pages--) {
		page = next_wanted();
		sleep_ms(5);
		userfaultfd_copy(uffd, page, content + (page - base));
	}
}

static void *provide_all(void *arg)
{
	provide_pages(arg, PAGES);
	return NULL;
}

/* A peer's read gets the provided content; other connections do not wait. */
static void read_what_is_provided(enum ibv_wr_opcode opcode)
{
	const struct pair_config config = {};
	unsigned char *memory = anonymous();
	pthread_t thread;
	struct end a, b;
	struct stream s;

	stream_up_on(&s, opcode, memory, anonymous());
	connect_ends(&a, &s.pair.hosts[0], &b, &s.pair.hosts[1], &config);
	uffd = miss_pages(memory, SIZE);
	post_one(&s.pair.a, opcode, buf_sge(&s.local, 0, SIZE), &s.remote, 0);
	check_arrives(&a, &b, ODP_ACCESS);
	check_arrives(&b, &a, ODP_ACCESS);
	check_idle(s.pair.a.send_cq);
	CHECK_EQ(pthread_create(&thread, NULL, provide_all, memory), 0);
	wait_ok(s.pair.a.send_cq);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	check_pattern(sink_of(&s)->addr, SIZE, 9);
	end_destroy(&a);
	end_destroy(&b);
	stream_down(&s);
	close(uffd);
}

static void missing_at_the_responder(void)
{
	read_what_is_provided(R);
}

static void missing_at_the_requester(void)
{
	read_what_is_provided(W);
}

/*
 * A write for which one side has an eighth of its memory present, so few packets
 * that none requests an acknowledgment; the rest comes after more than all retries
 * would take. Before, that eighth is written alone. Returns how often the
 * requester's ACK timer has expired.
 */
static unsigned long long late(bool at_the_responder, size_t len)
{
	struct pair_config config = { .timeout = 14 };
	const size_t there = SIZE / 8;
	unsigned long long repeated;
	struct buf local, remote;
	unsigned char *missing;
	struct pair pair;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ODP_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	missing = at_the_responder ? remote.addr : local.addr;
	fill_pattern(missing, there, 9);
	uffd = miss_pages(missing, SIZE);
	if (at_the_responder)
		fill_pattern(local.addr, len, 7);
	do_one(&pair.a, W, buf_sge(&local, 0, there), &remote, 0);
	repeated = counter_of(0, "completer_retry_err");
	post_one(&pair.a, W, buf_sge(&local, 0, len), &remote, 0);
	sleep_ms(2000 * limit_factor());
	provide_pages(missing, (len - there) / PAGE_BYTES);
	wait_ok(pair.a.send_cq);
	check_pattern(remote.addr, len, at_the_responder ? 7 : 9);
	repeated = counter_of(0, "completer_retry_err") - repeated;
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
	close(uffd);
	return repeated;
}

/*
 * The responder has not been asked for an acknowledgment: its silence is no reason
 * to retransmit.
 */
static void late_at_the_requester(void)
{
	int tries;

	/* a CPU that stands still for 67 ms is silent, too, though not every time */
	for (tries = 1; late(false, SIZE); tries++)
		CHECK(tries < 5);
}

/*
 * The requester retransmits from before the packet that waits, as no
 * acknowledgment came. An RNR NAK makes it wait.
 */
static void late_at_the_responder(void)
{
	CHECK(late(true, SIZE / 4) > 0);
}

/*
 * Timers and faults of both sides are on this CPU, too: where it stands still, no
 * retransmission is made meanwhile.
 */
static void one_cpu(void)
{
	run_on(0);
}

/* wait until host 0 has retransmitted so often */
static void wait_for_repeats(struct ibv_cq *cq, unsigned long long before,
			     unsigned int n)
{
	while (counter_of(0, "completer_retry_err") < before + n) {
		check_idle(cq);
		sleep_ms(1);
	}
}

/*
 * The page comes after the peer has retransmitted twice. A peer whose rnr_retry is
 * 0 must get no RNR NAK.
 */
static void slow_page(enum ibv_wr_opcode opcode, unsigned int rnr_retry)
{
	struct pair_config config = { .rnr_retry = rnr_retry + 1 };
	unsigned char *content = anonymous(), *page;
	unsigned long long repeated, naks;
	struct buf local, remote;
	struct pair pair;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ODP_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	fill_pattern(local.addr, PAGE_BYTES, 7);
	fill_pattern(content, PAGE_BYTES, 9);
	uffd = miss_pages(remote.addr, SIZE);
	repeated = counter_of(0, "completer_retry_err");
	naks = counter_of(0, "rcvd_rnr_err");
	if (opcode == IBV_WR_SEND)
		post_recv(&pair.b, &remote, 0, PAGE_BYTES, 1);
	post_one(&pair.a, opcode, buf_sge(&local, 0, PAGE_BYTES), &remote, 0);
	page = next_wanted();
	wait_for_repeats(pair.a.send_cq, repeated, 2);
	userfaultfd_copy(uffd, page, content);
	wait_ok(pair.a.send_cq);
	if (opcode == IBV_WR_SEND)
		CHECK_EQ(wait_ok(pair.b.recv_cq).wr_id, 1);
	if (opcode == R)
		check_pattern(local.addr, PAGE_BYTES, 9);
	else
		check_pattern(remote.addr, PAGE_BYTES, 7);
	CHECK_EQ(counter_of(0, "rcvd_rnr_err"), naks);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
	close(uffd);
}

static void slow_pages(void)
{
	static const enum ibv_wr_opcode opcodes[] = { W, R, IBV_WR_SEND };
	unsigned int i, rnr_retry;

	one_cpu();
	for (i = 0; i < sizeof(opcodes) / sizeof(*opcodes); i++) {
		for (rnr_retry = 0; rnr_retry <= 7; rnr_retry += 7) {
			test_at("opcode %d, rnr_retry %u", opcodes[i],
				rnr_retry);
			slow_page(opcodes[i], rnr_retry);
		}
	}
}

/*
 * Pages of a mebibyte are faulted in while a write to it is under way. On a slow host
 * this takes longer than the ACK timeout.
 */
static void cold_writes(void)
{
	const struct pair_config config = { .timeout = 14, .rnr_retry = 0 + 1 };
	unsigned long long naks = counter_of(0, "rcvd_rnr_err");
	const size_t size = 1 << 20;
	struct buf local, remote;
	struct pair pair;
	int i;

	one_cpu();
	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], size, ALL_ACCESS);
	buf_get(&remote, &pair.hosts[1], size, ODP_ACCESS);
	for (i = 0; i < 12; i++) {
		test_at("write %d", i);
		fill_pattern(local.addr, size, i);
		buf_drop(&remote);
		do_one(&pair.a, W, buf_sge(&local, 0, size), &remote, 0);
		check_pattern(remote.addr, size, i);
	}
	CHECK_EQ(counter_of(0, "rcvd_rnr_err"), naks);
	buf_put(&local);
	buf_put(&remote);
	pair_down(&pair);
}

/* A write into part of a page leaves the rest of it as provided. */
static void write_over_what_is_provided(void)
{
	unsigned char *memory = anonymous(), *expected = anonymous();
	pthread_t thread;
	struct stream s;
	size_t at;

	stream_up_on(&s, W, anonymous(), memory);
	uffd = miss_pages(memory, SIZE);
	fill_pattern(s.local.addr, SIZE, 3);
	fill_pattern(expected, SIZE, 9);
	CHECK_EQ(pthread_create(&thread, NULL, provide_all, memory), 0);
	for (at = 100; at < SIZE; at += PAGE_BYTES) {
		do_one(&s.pair.a, W, buf_sge(&s.local, at, 200), &s.remote, at);
		memcpy(expected + at, s.local.addr + at, 200);
	}
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(!memcmp(memory, expected, SIZE));
	stream_down(&s);
	close(uffd);
}

/**
 * struct snapshot - a copy of memory as it was when it was taken, made page by
 *		     page before each is first written to
 * @memory: memory that peers go on to write to
 * @copy: the copy
 * @pages: pages that have been written to since
 */
struct snapshot {
	unsigned char *memory;
	unsigned char *copy;
	unsigned int pages;
};

static void *copy_before_write(void *arg)
{
	struct snapshot *snapshot = arg;
	unsigned char *page;

	while (snapshot->pages < PAGES) {
		page = next_wanted();
		memcpy(snapshot->copy + (page - snapshot->memory), page,
		       PAGE_BYTES);
		allow_writes(page);
		snapshot->pages++;
	}
	return NULL;
}

/*
 * Snapshots by userfaultfd write-protection, as live migration makes them: no
 * write of a peer bypasses the protection, though the driver has writable entries
 * of the pages already.
 */
static void no_write_gets_past(enum ibv_wr_opcode opcode)
{
	struct snapshot snapshot = {
		.memory = anonymous(),
		.copy = anonymous(),
	};
	pthread_t thread;
	struct stream s;
	int round;

	stream_up_on(&s, opcode, anonymous(), snapshot.memory);
	uffd = userfaultfd_on(snapshot.memory, SIZE, UFFDIO_REGISTER_MODE_WP);
	if (uffd < 0)
		skip("userfaultfd does not protect");
	for (round = 0; round < 8; round++) {
		test_at("round %d", round);
		fill_pattern(source_of(&s)->addr, SIZE, round);
		do_one(&s.pair.a, opcode, buf_sge(&s.local, 0, SIZE), &s.remote,
		       0);
		forbid_writes(snapshot.memory);
		snapshot.pages = 0;
		CHECK_EQ(pthread_create(&thread, NULL, copy_before_write,
					&snapshot), 0);
		fill_pattern(source_of(&s)->addr, SIZE, round + 100);
		do_one(&s.pair.a, opcode, buf_sge(&s.local, 0, SIZE), &s.remote,
		       0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		check_pattern(snapshot.copy, SIZE, round);
		check_pattern(snapshot.memory, SIZE, round + 100);
	}
	stream_down(&s);
	close(uffd);
}

static void protected_at_the_responder(void)
{
	no_write_gets_past(W);
}

static void protected_at_the_requester(void)
{
	no_write_gets_past(R);
}

static const struct test tests[] = {
	{ "a read of missing pages", missing_at_the_responder },
	{ "a write from missing pages", missing_at_the_requester },
	{ "a write from partly missing pages", late_at_the_requester },
	{ "a write to partly missing pages", late_at_the_responder },
	{ "pages that come after more than one ACK timeout", slow_pages },
	{ "cold writes by a peer that is not to wait", cold_writes },
	{ "writes to parts of missing pages", write_over_what_is_provided },
	{ "writes to write-protected pages", protected_at_the_responder },
	{ "reads to write-protected pages", protected_at_the_requester },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
