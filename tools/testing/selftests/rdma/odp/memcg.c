// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Page faults by peers make a program's address space grow. The program's memcg
 * is charged, up to its limit, as if its own CPU had touched the memory.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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
/* reads after which the program takes the driver's pages away */
#define AT_ONCE	1024

enum stage { BEGUN, TOLD, CONNECTED, READY, READ_FIRST, MEASURED, READ, ENDED };

/**
 * struct shared - state shared by the two processes
 * @stage: how far they are; atomic, and orders the other fields
 * @limited: the program has a memcg limit, and withdraws its memory
 * @spared: the OOM killer is not to kill it at the limit
 * @withdraw: how often it is to withdraw memory; atomic, as is the next
 * @withdrawn: how often it has done so
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

/* one page of each page table, by the CPU */
static void touch(const unsigned char *addr)
{
	unsigned long i;

	for (i = 0; i < HALF; i++)
		__atomic_load_n(&addr[i * HUGE_BYTES], __ATOMIC_RELAXED);
}

/*
 * Take the pages away from the driver, by a notifier. The mm keeps them, and the
 * page tables, which discarding could free.
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
	small_pages(buf.addr, SIZE);
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

/* read a page of each page table; returns the first status that is no success */
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
 * The driver's own page tables are charged, too. They are as large for the half
 * whose page tables exist as for the half whose page tables faults allocate.
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
 * The page tables exceed the program's limit. The kernel decides whether the OOM
 * killer ends the program or the fault fails, but the memcg stays within its limit.
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
 * No process is killed, and no memory comes free: the peer gets a remote
 * operational error, not a remote access error.
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

#define W		IBV_WR_RDMA_WRITE
#define S		IBV_WR_SEND
/* tries, each at a page table of its own: a CPU may have charged some ahead */
#define TRIES		64
#define LACK_SIZE	(TRIES * HUGE_BYTES)

/**
 * struct lack - an access to memory of a program that may have no more pages
 * @name: for people
 * @type: of the queue pairs
 * @opcode: of the request
 * @own: the program makes it, and else its peer
 * @late: the page is discarded when the request is under way
 * @status: of the request
 */
struct lack {
	const char *name;
	enum ibv_qp_type type;
	enum ibv_wr_opcode opcode;
	bool own;
	bool late;
	enum ibv_wc_status status;
};

static const struct lack lacks[] = {
	{ "a write's source", IBV_QPT_RC, W, .own = true,
	  .status = IBV_WC_LOC_QP_OP_ERR },
	{ "a read's sink", IBV_QPT_RC, R, .own = true,
	  .status = IBV_WC_LOC_QP_OP_ERR },
	{ "a read's response", IBV_QPT_RC, R, .own = true, .late = true,
	  .status = IBV_WC_LOC_QP_OP_ERR },
	{ "a read's source", IBV_QPT_RC, R, .status = IBV_WC_REM_OP_ERR },
	{ "a write's sink", IBV_QPT_RC, W, .status = IBV_WC_REM_OP_ERR },
	{ "a receive", IBV_QPT_RC, S, .status = IBV_WC_REM_OP_ERR },
	{ "an unreliable write's sink", IBV_QPT_UC, W,
	  .status = IBV_WC_SUCCESS },
};

enum order { POST, RECEIVE, DISCARD, LIMIT, LIFT, SENT, RECEIVED, PEEK };

/**
 * struct desk - what a program is told to do, and tells
 * @lack: which access
 * @orders: how many it was given; atomic, as is the next
 * @done: how many it has done
 * @order: the last
 * @at: offset in its memory
 * @result: a status, or a byte
 * @gids: of the hosts
 * @qpns: of the queue pairs
 * @rkeys: of their memory
 * @addrs: of their memory
 */
struct desk {
	const struct lack *lack;
	unsigned int orders;
	unsigned int done;
	enum order order;
	size_t at;
	int result;
	union ibv_gid gids[2];
	unsigned int qpns[2];
	unsigned int rkeys[2];
	unsigned char *addrs[2];
};

/**
 * struct side - the program, or its peer
 * @host: of it
 * @config: of its queue pair
 * @end: its queue pair
 * @buf: its memory, which the other side reads and writes
 * @far: that of the other side
 * @far_mr: of @far
 */
struct side {
	struct host host;
	struct pair_config config;
	struct end end;
	struct buf buf;
	struct buf far;
	struct ibv_mr far_mr;
};

static void side_up(struct side *side, struct desk *desk, int which)
{
	bool uc = desk->lack->type == IBV_QPT_UC;
	int access = (uc ? UC_ACCESS : ALL_ACCESS) | IBV_ACCESS_ON_DEMAND;

	*side = (struct side) {
		.config = { .type = desk->lack->type, .timeout = 14 },
	};
	host_open(&side->host, which);
	end_create(&side->end, &side->host, &side->config);
	/* all but the memory that comes next */
	CHECK_EQ(mlockall(MCL_CURRENT), 0);
	buf_get(&side->buf, &side->host, LACK_SIZE, access);
	small_pages(side->buf.addr, LACK_SIZE);
	end_to_init(&side->end, &side->config);
	desk->gids[which] = side->host.gids[0].gid;
	desk->qpns[which] = side->end.qp->qp_num;
	desk->rkeys[which] = side->buf.mr->rkey;
	desk->addrs[which] = side->buf.addr;
}

static void side_connect(struct side *side, struct desk *desk, int which)
{
	end_to_rtr(&side->end, desk->qpns[!which], &desk->gids[!which],
		   &side->config);
	end_to_rts(&side->end, &side->config);
	side->far = (struct buf) {
		.addr = desk->addrs[!which],
		.len = LACK_SIZE,
		.mr = &side->far_mr,
	};
	side->far_mr.rkey = desk->rkeys[!which];
}

static int obey(struct side *side, const struct desk *desk, int max)
{
	struct end *end = &side->end;
	size_t at = desk->at;

	switch (desk->order) {
	case POST:
		post_one(end, desk->lack->opcode, buf_sge(&side->buf, at, LEN),
			 &side->far, at);
		return 0;
	case RECEIVE:
		post_recv(end, &side->buf, at, LEN, 1);
		return 0;
	case DISCARD:
		return madvise(side->buf.addr + at, PAGE_BYTES, MADV_DONTNEED);
	case LIMIT:
		return pwrite(max, "0", 1, 0) != 1;
	case LIFT:
		return pwrite(max, "max", 3, 0) != 3;
	case SENT:
		return wait_cqe(end->send_cq).status;
	case RECEIVED:
		return wait_cqe(end->recv_cq).status;
	default:
		return side->buf.addr[at];
	}
}

/*
 * The program, on hostb. At its limit it must not need a page by itself: all that
 * it has so far is locked, and it touches nothing new.
 */
static void work(struct desk *desk)
{
	static struct side side;
	unsigned int n;
	int max;

	write_file("/proc/self/oom_score_adj", "-1000");
	group_own("memcg");
	max = group_open("memory.max");
	side_up(&side, desk, 1);
	__atomic_store_n(&desk->done, 1, __ATOMIC_RELEASE);
	UNTIL(__atomic_load_n(&desk->orders, __ATOMIC_ACQUIRE) == 1);
	side_connect(&side, desk, 1);
	for (n = 2; ; n++) {
		while (__atomic_load_n(&desk->orders, __ATOMIC_ACQUIRE) != n)
			sleep_ms(1);
		desk->result = obey(&side, desk, max);
		__atomic_store_n(&desk->done, n, __ATOMIC_RELEASE);
	}
}

/* Give the program an order, and wait for the result. */
static int tell(struct desk *desk, enum order order, size_t at)
{
	unsigned int n = desk->orders + 1;

	desk->order = order;
	desk->at = at;
	__atomic_store_n(&desk->orders, n, __ATOMIC_RELEASE);
	UNTIL(__atomic_load_n(&desk->done, __ATOMIC_ACQUIRE) == n);
	return desk->result;
}

/* The program's request; if @late, its page goes while the peer's is faulted in. */
static enum ibv_wc_status request_own(struct desk *desk, struct side *peer,
				      size_t at)
{
	static unsigned char content[PAGE_BYTES];
	unsigned char *page = peer->buf.addr + at;
	int uffd = -1;

	if (desk->lack->late)
		uffd = miss_pages(page, PAGE_BYTES);
	else
		CHECK_EQ(tell(desk, LIMIT, 0), 0);
	CHECK_EQ(tell(desk, POST, at), 0);
	if (desk->lack->late) {
		CHECK(userfaultfd_wanted(uffd) == page);
		CHECK_EQ(tell(desk, DISCARD, at), 0);
		CHECK_EQ(tell(desk, LIMIT, 0), 0);
		userfaultfd_copy(uffd, page, content);
		close(uffd);
	}
	return tell(desk, SENT, 0);
}

static enum ibv_wc_status request_peer(struct desk *desk, struct side *peer,
				       size_t at)
{
	if (desk->lack->opcode == S)
		CHECK_EQ(tell(desk, RECEIVE, at), 0);
	CHECK_EQ(tell(desk, LIMIT, 0), 0);
	post_one(&peer->end, desk->lack->opcode, buf_sge(&peer->buf, at, LEN),
		 desk->lack->opcode == S ? NULL : &peer->far, at);
	return wait_cqe(peer->end.send_cq).status;
}

static unsigned long long failed_faults(void)
{
	return counter_of(1, "page_fault_no_memory");
}

/* One request at a page; whether its fault has failed for lack of memory. */
static bool request_fails(struct desk *desk, struct side *peer, size_t at)
{
	unsigned long long failed = failed_faults();
	unsigned long long faults = counter_of(1, "page_faults");
	enum ibv_wc_status status;

	status = desk->lack->own ? request_own(desk, peer, at) :
				   request_peer(desk, peer, at);
	/* nobody tells the sender of an unreliable write */
	UNTIL(failed_faults() > failed ||
	      counter_of(1, "page_faults") > faults + desk->lack->late);
	if (failed_faults() == failed) {
		CHECK_EQ(status, IBV_WC_SUCCESS);
		CHECK_EQ(tell(desk, LIFT, 0), 0);
		if (desk->lack->opcode == S)
			CHECK_EQ(tell(desk, RECEIVED, 0), IBV_WC_SUCCESS);
		return false;
	}
	CHECK_EQ(status, desk->lack->status);
	CHECK_EQ(failed_faults(), failed + 1);
	return true;
}

/* The message is lost, and no more than that. */
static void check_goes_on(struct desk *desk, struct side *peer, size_t at)
{
	CHECK_EQ(tell(desk, LIFT, 0), 0);
	peer->buf.addr[at] = 7;
	post_one(&peer->end, W, buf_sge(&peer->buf, at, LEN), &peer->far, at);
	wait_ok(peer->end.send_cq);
	UNTIL(tell(desk, PEEK, at) == 7);
}

static void lacks_memory(const struct lack *lack)
{
	struct desk *desk = mmap(NULL, sizeof(*desk), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct side peer;
	unsigned int i;
	pid_t program;

	CHECK(desk != MAP_FAILED);
	test_at("%s", lack->name);
	*desk = (struct desk) { .lack = lack };
	program = fork();
	CHECK(program >= 0);
	if (!program)
		work(desk);
	UNTIL(__atomic_load_n(&desk->done, __ATOMIC_ACQUIRE) == 1);
	side_up(&peer, desk, 0);
	side_connect(&peer, desk, 0);
	__atomic_store_n(&desk->orders, 1, __ATOMIC_RELEASE);
	for (i = 0; i < TRIES; i++) {
		test_at("%s, page %u", lack->name, i);
		if (request_fails(desk, &peer, i * HUGE_BYTES))
			break;
	}
	CHECK(i < TRIES);
	if (lack->opcode == S)
		CHECK_EQ(tell(desk, RECEIVED, 0), IBV_WC_LOC_QP_OP_ERR);
	if (lack->type == IBV_QPT_UC)
		check_goes_on(desk, &peer, PAGE_BYTES);
	CHECK_EQ(kill(program, SIGKILL), 0);
	CHECK_EQ(waitpid(program, NULL, 0), program);
	end_destroy(&peer.end);
	buf_put(&peer.buf);
	host_close(&peer.host);
	check_works();
}

static void no_memory_anywhere(void)
{
	unsigned int i;

	for (i = 0; i < NUM(lacks); i++)
		lacks_memory(&lacks[i]);
}

static const struct test tests[] = {
	{ "page tables are charged to the memory's owner", growth_is_charged },
	{ "page tables beyond the owner's memcg limit", limit_holds },
	{ "a fault without memory for its page", no_memory },
	{ "requests, responses and receives without memory for a page",
	  no_memory_anywhere },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
