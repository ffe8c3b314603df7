// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What peers make a program's address space grow by is the program's, as if its
 * own CPU had touched it: its control group is charged, and has a limit.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "pair.h"

#define R	IBV_WR_RDMA_READ
#define LEN	8
/* page tables, each for one page that is read; half of them are there */
#define TABLES	8192UL
#define HALF	(TABLES / 2)
#define SIZE	(TABLES * HUGE_BYTES)
/* more than the program has, and less than the tables */
#define ROOM	(16UL << 20)
#define BATCH	16
/* after so many, the program withdraws what is there */
#define AT_ONCE	1024

enum stage { BEGUN, TOLD, CONNECTED, READY, READ_FIRST, MEASURED, READ, ENDED };

/**
 * struct shared - what the two processes tell each other
 * @stage: what has been done; atomic, and orders the rest
 * @limited: the program is to have a limit, and to withdraw its memory
 * @spared: it is not to be killed when it has reached that
 * @withdraw: how often it is to do that; atomic, as is the next
 * @withdrawn: how often it has
 * @gids: of their hosts
 * @qpns: of their queue pairs
 * @rkey: of the program's region
 * @addr: of the program's region
 * @tables: bytes of the program's page tables: before, with the first half
 *	    read, with all of it read
 * @charged: bytes that its control group has: likewise
 * @max: that it may have
 */
struct shared {
	enum stage stage;
	bool limited;
	bool spared;
	unsigned int withdraw;
	unsigned int withdrawn;
	union ibv_gid gids[2];
	unsigned int qpns[2];
	unsigned int rkey;
	unsigned char *addr;
	unsigned long tables[3];
	unsigned long charged[3];
	unsigned long max;
};

static const struct pair_config config = { .timeout = 14 };

static void reach(struct shared *shared, enum stage stage)
{
	__atomic_store_n(&shared->stage, stage, __ATOMIC_RELEASE);
}

static void wait_for(struct shared *shared, enum stage stage)
{
	UNTIL(__atomic_load_n(&shared->stage, __ATOMIC_ACQUIRE) >= stage);
}

/* 0: the process has ended */
static unsigned long tables_of(pid_t pid)
{
	unsigned long kib = 0;
	char text[200];
	FILE *file;

	snprintf(text, sizeof(text), "/proc/%d/status", pid);
	file = fopen(text, "r");
	if (!file)
		return 0;
	while (fgets(text, sizeof(text), file))
		if (!strncmp(text, "VmPTE:", 6))
			kib = strtoul(text + 6, NULL, 10);
	fclose(file);
	return kib * 1024;
}

static void measure(struct shared *shared, int when)
{
	shared->tables[when] = tables_of(getpid());
	shared->charged[when] = group_read("memory.current", "");
}

/* as the CPU would: a page of each */
static void touch(const unsigned char *addr)
{
	unsigned long i;

	for (i = 0; i < HALF; i++)
		__atomic_load_n(&addr[i * HUGE_BYTES], __ATOMIC_RELAXED);
}

/*
 * From peers, for a moment: the driver forgets all pages. They stay, and so do
 * the page tables, which a kernel may free with what is discarded.
 */
static void withdraw_when_told(struct shared *shared)
{
	unsigned int n;

	for (;;) {
		n = __atomic_load_n(&shared->withdraw, __ATOMIC_ACQUIRE);
		if (n == shared->withdrawn) {
			sleep_ms(1);
			continue;
		}
		CHECK_EQ(mprotect(shared->addr, SIZE, PROT_NONE), 0);
		CHECK_EQ(mprotect(shared->addr, SIZE, PROT_READ | PROT_WRITE),
			 0);
		__atomic_store_n(&shared->withdrawn, n, __ATOMIC_RELEASE);
	}
}

/* the program, on hostb */
static void serve(struct shared *shared)
{
	struct host host;
	struct end end;
	struct buf buf;
	char text[40];

	if (shared->spared)
		write_file("/proc/self/oom_score_adj", "-1000");
	group_own("memcg");
	host_open(&host, 1);
	end_create(&end, &host, &config);
	buf_get(&buf, &host, SIZE, ODP_ACCESS);
	CHECK_EQ(madvise(buf.addr, SIZE, MADV_NOHUGEPAGE), 0);
	end_to_init(&end, &config);
	shared->gids[1] = host.gids[0].gid;
	shared->qpns[1] = end.qp->qp_num;
	shared->rkey = buf.mr->rkey;
	shared->addr = buf.addr;
	reach(shared, TOLD);
	wait_for(shared, CONNECTED);
	end_to_rtr(&end, shared->qpns[0], &shared->gids[0], &config);
	end_to_rts(&end, &config);
	if (shared->limited) {
		shared->max = group_read("memory.current", "") + ROOM;
		snprintf(text, sizeof(text), "%lu", shared->max);
		group_write("memory.max", text);
		reach(shared, READY);
		withdraw_when_told(shared);
	}
	touch(buf.addr);
	measure(shared, 0);
	reach(shared, READY);
	wait_for(shared, READ_FIRST);
	measure(shared, 1);
	reach(shared, MEASURED);
	wait_for(shared, READ);
	measure(shared, 2);
	reach(shared, ENDED);
	pause();
}

/* its peer, on hosta */
struct peer {
	struct shared *shared;
	pid_t program;
	struct host host;
	struct end end;
	struct buf local;
	struct buf remote;
	struct ibv_mr remote_mr;
};

static void peer_up(struct peer *peer, bool limited, bool spared)
{
	struct shared *shared = mmap(NULL, sizeof(*shared),
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(shared != MAP_FAILED);
	*peer = (struct peer) { .shared = shared };
	shared->limited = limited;
	shared->spared = spared;
	peer->program = fork();
	CHECK(peer->program >= 0);
	if (!peer->program) {
		serve(shared);
		_exit(0);
	}
	host_open(&peer->host, 0);
	end_create(&peer->end, &peer->host, &config);
	buf_get(&peer->local, &peer->host, BATCH * LEN, ALL_ACCESS);
	end_to_init(&peer->end, &config);
	shared->gids[0] = peer->host.gids[0].gid;
	shared->qpns[0] = peer->end.qp->qp_num;
	wait_for(shared, TOLD);
	peer->remote = (struct buf) {
		.addr = shared->addr,
		.len = SIZE,
		.mr = &peer->remote_mr,
	};
	peer->remote_mr.rkey = shared->rkey;
	end_to_rtr(&peer->end, shared->qpns[1], &shared->gids[1], &config);
	end_to_rts(&peer->end, &config);
	reach(shared, CONNECTED);
	wait_for(shared, READY);
}

static void peer_down(struct peer *peer)
{
	CHECK_EQ(kill(peer->program, SIGKILL), 0);
	end_destroy(&peer->end);
	buf_put(&peer->local);
	host_close(&peer->host);
}

/* a page for each page table; the status of all, or of the first that fails */
static enum ibv_wc_status read_batch(struct peer *peer, unsigned long first)
{
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	struct ibv_wc wc;
	int i;

	for (i = 0; i < BATCH; i++)
		post_one(&peer->end, R, buf_sge(&peer->local, i * LEN, LEN),
			 &peer->remote, (first + i) * HUGE_BYTES);
	for (i = 0; i < BATCH; i++) {
		wc = wait_cqe(peer->end.send_cq);
		if (status == IBV_WC_SUCCESS)
			status = wc.status;
	}
	return status;
}

static void read_half(struct peer *peer, unsigned long first)
{
	unsigned long i;

	for (i = first; i < first + HALF; i += BATCH)
		CHECK_EQ(read_batch(peer, i), IBV_WC_SUCCESS);
}

/*
 * What the driver itself needs for pages is charged, too, and is the same for
 * page tables that are there and for such as are made for the peer.
 */
static void growth_is_charged(void)
{
	long tables, charged, own;
	struct shared *shared;
	struct peer peer;

	peer_up(&peer, false, false);
	shared = peer.shared;
	read_half(&peer, 0);
	reach(shared, READ_FIRST);
	wait_for(shared, MEASURED);
	read_half(&peer, HALF);
	reach(shared, READ);
	wait_for(shared, ENDED);
	own = shared->charged[1] - shared->charged[0];
	tables = shared->tables[2] - shared->tables[1];
	charged = shared->charged[2] - shared->charged[1];
	printf("# page tables: %ld bytes, charged: %ld, of which the driver's: %ld\n",
	       tables, charged, own);
	CHECK(shared->tables[1] - shared->tables[0] < HALF * PAGE_BYTES / 8);
	CHECK(tables >= (long)(HALF * PAGE_BYTES));
	CHECK(charged - own >= tables - tables / 8);
	peer_down(&peer);
}

/* and leave the driver some time to notice */
static void have_withdrawn(struct peer *peer)
{
	struct shared *shared = peer->shared;
	unsigned int n = shared->withdraw + 1;

	__atomic_store_n(&shared->withdraw, n, __ATOMIC_RELEASE);
	/* it may have been killed meanwhile */
	UNTIL(__atomic_load_n(&shared->withdrawn, __ATOMIC_ACQUIRE) == n ||
	      !tables_of(peer->program));
	sleep_ms(300);
}

/*
 * The program has less than it would take. Whether it is killed for that, or its
 * peer is refused, is the kernel's to decide; but it stays within its limit.
 */
static void limit_holds(void)
{
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	unsigned long i, tables, most = 0;
	struct peer peer;

	peer_up(&peer, true, false);
	for (i = 0; i < TABLES && status == IBV_WC_SUCCESS; i += BATCH) {
		test_at("page %lu", i);
		if (i && i % AT_ONCE == 0)
			have_withdrawn(&peer);
		status = read_batch(&peer, i);
		tables = tables_of(peer.program);
		if (tables > most)
			most = tables;
	}
	printf("# of %lu bytes at most %lu of page tables, then %s\n",
	       peer.shared->max, most, ibv_wc_status_str(status));
	CHECK(most <= peer.shared->max);
	CHECK(status != IBV_WC_SUCCESS);
	check_works();
	peer_down(&peer);
}

/*
 * Nobody is killed for it, and no memory comes free: the peer is told that there
 * is none, and not that it may not have it.
 */
static void no_memory(void)
{
	enum ibv_wc_status status = IBV_WC_SUCCESS;
	unsigned long long failed;
	struct peer peer;
	unsigned long i;

	peer_up(&peer, true, true);
	failed = counter_of(1, "page_fault_no_memory");
	for (i = 0; i < TABLES && status == IBV_WC_SUCCESS; i += BATCH)
		status = read_batch(&peer, i);
	CHECK_EQ(status, IBV_WC_REM_OP_ERR);
	CHECK_EQ(counter_of(1, "page_fault_no_memory"), failed + 1);
	CHECK(tables_of(peer.program) > 0);
	check_works();
	peer_down(&peer);
}

static const struct test tests[] = {
	{ "page tables are charged to the memory's owner", growth_is_charged },
	{ "page tables beyond the owner's limit", limit_holds },
	{ "a fault without memory for its page", no_memory },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
