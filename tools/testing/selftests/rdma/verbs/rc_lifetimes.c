// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Processes and queue pairs that end while packets, timers or page faults of
 * theirs are under way. All is cleaned up, and other connections go on.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "traffic.h"

#define SIZE		65536

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define S	IBV_WR_SEND

static void wait_for(atomic_bool *flag)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();

	while (!*flag) {
		CHECK(now_ms() < end);
		sleep_ms(1);
	}
}

/* wait for a child's end; its status */
static int wait_child(pid_t pid)
{
	unsigned long long end = now_ms() + HUNG_MS * limit_factor();
	int status;
	pid_t got;

	while (!(got = waitpid(pid, &status, WNOHANG))) {
		CHECK(now_ms() < end);
		sleep_ms(1);
	}
	CHECK_EQ(got, pid);
	return status;
}

static void *shared_memory(size_t len)
{
	void *shared;

	shared = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	return shared;
}

/* Each side sends and receives, so each is killed as a sender and a receiver. */
static void processes_killed(void)
{
	struct resources before;
	struct traffic *traffics[4];
	int round, i;

	resources_get(&before);
	for (round = 0; round < 5; round++) {
		test_at("round %d", round);
		for (i = 0; i < 4; i++)
			traffics[i] = traffic_start(i & 1 ? ODP_ACCESS :
							    ALL_ACCESS,
						    traffic_peer_killed);
		for (i = 0; i < 4; i++) {
			traffic_moves(traffics[i]);
			traffic_kill(traffics[i], i / 2);
		}
		for (i = 0; i < 4; i++)
			traffic_end(traffics[i]);
	}
	resources_check(&before);
	check_works();
}

enum ending {
	ENDING_EXIT,
	ENDING_KILL,
	ENDING_DESTROY,
	ENDING_LINK,
	ENDING_HANDLER,
};

/**
 * struct asleep - a page fault that sleeps, as both processes know it
 * @uffd: the userfaultfd that could wake it, and never does
 * @sleeps: the fault sleeps
 * @go: the process may go on to its end
 */
struct asleep {
	int uffd;
	atomic_bool sleeps;
	atomic_bool go;
};

static void sleeper(struct asleep *asleep, enum ibv_wr_opcode opcode,
		    bool remote_sleeps, enum ending ending)
{
	struct pair_config config = {};
	struct buf local, remote;
	struct buf *missing;
	struct pair pair;

	pair_up(&pair, &config);
	buf_get(&local, &pair.hosts[0], SIZE, ODP_ACCESS);
	buf_get(&remote, &pair.hosts[1], SIZE, ODP_ACCESS);
	memset(remote_sleeps ? local.addr : remote.addr, 1, SIZE);
	missing = remote_sleeps ? &remote : &local;
	asleep->uffd = miss_pages(missing->addr, missing->len);
	post_recv(&pair.b, &remote, 0, SIZE, 1);
	post_one(&pair.a, opcode, buf_sge(&local, 0, SIZE), &remote, 0);
	CHECK(userfaultfd_wait(asleep->uffd, HUNG_MS * limit_factor()));
	asleep->sleeps = true;
	wait_for(&asleep->go);
	if (ending == ENDING_DESTROY) {
		end_destroy(&pair.a);
		end_destroy(&pair.b);
		buf_put(&local);
		buf_put(&remote);
		host_close(&pair.hosts[0]);
		host_close(&pair.hosts[1]);
	}
	_exit(0);
}

/* Hold the handler's descriptor beyond the life of its process. */
static int take_uffd(pid_t pid, int uffd)
{
	int pidfd, fd;

	pidfd = syscall(SYS_pidfd_open, pid, 0);
	CHECK(pidfd >= 0);
	fd = syscall(SYS_pidfd_getfd, pidfd, uffd, 0);
	CHECK(fd >= 0);
	close(pidfd);
	return fd;
}

static void end_asleep(enum ibv_wr_opcode opcode, bool remote_sleeps,
		       enum ending ending)
{
	struct resources before;
	struct asleep *asleep;
	int fd = -1, status;
	pid_t pid;

	test_at("opcode %d, %s sleeps, ending %d", opcode,
		remote_sleeps ? "remote" : "local", ending);
	resources_get(&before);
	asleep = shared_memory(sizeof(*asleep));
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		sleeper(asleep, opcode, remote_sleeps, ending);
	while (!asleep->sleeps) {
		CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
		sleep_ms(1);
	}
	if (ending == ENDING_HANDLER)
		fd = take_uffd(pid, asleep->uffd);
	if (ending == ENDING_LINK) {
		CHECK_EQ(system("rdma link delete rxe0"), 0);
		CHECK_EQ(system("rdma link delete rxe1"), 0);
		CHECK_EQ(system("ip -n hosta link delete va"), 0);
		two_hosts("plug");
		check_works();
	}
	if (ending == ENDING_KILL)
		kill(pid, SIGKILL);
	else
		asleep->go = true;
	CHECK_EQ(wait_child(pid), ending == ENDING_KILL ? SIGKILL : 0);
	close(fd);
	CHECK_EQ(munmap(asleep, sizeof(*asleep)), 0);
	resources_check(&before);
}

static void faults_asleep(void)
{
	enum ending ending;
	int remote;

	for (ending = ENDING_EXIT; ending <= ENDING_HANDLER; ending++)
		for (remote = 0; remote < 2; remote++)
			end_asleep(W, remote, ending);
	end_asleep(R, false, ENDING_EXIT);
	end_asleep(R, true, ENDING_DESTROY);
	end_asleep(S, true, ENDING_EXIT);
	end_asleep(S, true, ENDING_LINK);
	check_works();
}

/**
 * struct trial - hosts, with memory on each, between which connections are made
 * @hosts: hosta and hostb
 * @bufs: memory of each
 * @before: objects of the devices before the test
 */
struct trial {
	struct host hosts[2];
	struct buf bufs[2];
	struct resources before;
};

static void trial_up(struct trial *t, int access)
{
	int i;

	resources_get(&t->before);
	for (i = 0; i < 2; i++) {
		host_open(&t->hosts[i], i);
		buf_get(&t->bufs[i], &t->hosts[i], SIZE, access);
		fill_pattern(t->bufs[i].addr, SIZE, i);
	}
}

static void trial_down(struct trial *t)
{
	int i;

	for (i = 0; i < 2; i++) {
		buf_put(&t->bufs[i]);
		host_close(&t->hosts[i]);
	}
	resources_check(&t->before);
	check_works();
}

/* some of each operation, of several packets each; receives for the sends */
static void post_some(struct trial *t, struct end *end, struct end *peer,
		      bool receives)
{
	static const enum ibv_wr_opcode opcodes[] = { W, S, R, S, W, W };
	int here = end->host == &t->hosts[1];
	struct ibv_sge sge = buf_sge(&t->bufs[here], 0, 5000);
	unsigned int i;

	for (i = 0; i < NUM(opcodes); i++) {
		if (receives && opcodes[i] == S)
			post_recv(peer, &t->bufs[!here], 10000, 5000, i);
		post_one(end, opcodes[i], sge, &t->bufs[!here], 20000);
	}
}

/* Packets in a qdisc outlive the queue pair that sent them. */
static void packets_held(void)
{
	struct pair_config config = {};
	struct end a, b;
	struct trial t;
	int i;

	if (try_netem("delay 100ms"))
		skip("no netem here");
	trial_up(&t, ODP_ACCESS);
	for (i = 0; i < 20; i++) {
		test_at("round %d", i);
		connect_ends(&a, &t.hosts[0], &b, &t.hosts[1], &config);
		post_some(&t, &a, &b, true);
		post_some(&t, &b, &a, true);
		/* requests, responses, or retransmissions are held */
		sleep_ms(i % 5 * 60);
		if (i % 4 == 3)
			wait_cqe(b.send_cq);
		end_destroy(&a);
		end_destroy(&b);
	}
	set_netem(NULL);
	trial_down(&t);
}

/* Queue pairs are destroyed right after the post. */
static void destroyed_at_once(void)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };
	struct pair_config config = {};
	struct end a, b;
	struct trial t;
	int i;

	trial_up(&t, ODP_ACCESS);
	for (i = 0; i < 300; i++) {
		test_at("round %d", i);
		config.timeout = 1 + i % 9;
		config.rnr_timer = 1 + i % 13;
		connect_ends(&a, &t.hosts[0], &b, &t.hosts[1], &config);
		/* nobody answers */
		if (i % 4 == 1)
			CHECK_EQ(ibv_modify_qp(b.qp, &reset, IBV_QP_STATE), 0);
		/* without receives the sender waits for the receiver */
		post_some(&t, &a, &b, i % 4 == 0);
		if (i % 4 == 3)
			end_to_error(&a);
		if (i % 3 == 0)
			sleep_ms(i % 8);
		buf_drop(&t.bufs[i & 1]);
		end_destroy(i & 1 ? &a : &b);
		end_destroy(i & 1 ? &b : &a);
	}
	trial_down(&t);
}

static void drain(struct ibv_cq *cq)
{
	struct ibv_wc wc;
	int n;

	while ((n = ibv_poll_cq(cq, 1, &wc)))
		CHECK_EQ(n, 1);
}

static void check_writes(struct trial *t, struct end *end, unsigned int seed)
{
	int here = end->host == &t->hosts[1];

	fill_pattern(t->bufs[here].addr, SIZE, seed);
	do_one(end, W, buf_sge(&t->bufs[here], 0, SIZE), &t->bufs[!here], 0);
	check_pattern(t->bufs[!here].addr, SIZE, seed);
}

/*
 * Connected again after reset and error, with other PSNs each time: late packets
 * belong to the previous connection.
 */
static void up_again(void)
{
	struct ibv_qp_attr reset = { .qp_state = IBV_QPS_RESET };
	struct pair_config config = {};
	struct end ends[2];
	struct trial t;
	int i, j;

	trial_up(&t, ODP_ACCESS);
	connect_ends(&ends[0], &t.hosts[0], &ends[1], &t.hosts[1], &config);
	for (i = 0; i < 60; i++) {
		test_at("round %d", i);
		check_writes(&t, &ends[0], 2 * i);
		check_writes(&t, &ends[1], 2 * i + 1);
		post_some(&t, &ends[0], &ends[1], i % 3);
		post_some(&t, &ends[1], &ends[0], i % 3);
		if (i & 4)
			wait_cqe(ends[0].send_cq);
		if (i & 2)
			end_to_error(&ends[i & 1]);
		if (i & 8)
			sleep_ms(i % 5);
		config.psn = 1 + i * 0x234567 % 0xffffff;
		for (j = 0; j < 2; j++)
			CHECK_EQ(ibv_modify_qp(ends[j].qp, &reset,
					       IBV_QP_STATE), 0);
		for (j = 0; j < 2; j++) {
			drain(ends[j].send_cq);
			drain(ends[j].recv_cq);
			end_to_init(&ends[j], &config);
			end_to_rtr(&ends[j], ends[!j].qp->qp_num,
				   &t.hosts[!j].gids[0].gid, &config);
		}
		for (j = 0; j < 2; j++)
			end_to_rts(&ends[j], &config);
	}
	end_destroy(&ends[0]);
	end_destroy(&ends[1]);
	trial_down(&t);
}

/**
 * struct family - state shared by a process and its child
 * @moved: the parent's memory has changed since the fork
 * @registered: the child has registered its memory
 * @written: the parent has written to that
 * @addr: of the child's memory
 * @rkey: of it
 */
struct family {
	atomic_bool moved;
	atomic_bool registered;
	atomic_bool written;
	unsigned char *addr;
	uint32_t rkey;
};

/*
 * The child's memory is as at the fork, plus the child's own changes. It may
 * register through the inherited context, but not post.
 */
static void child_of_fork(struct trial *t, struct family *family)
{
	struct buf buf;
	int i;

	wait_for(&family->moved);
	for (i = 0; i < 2; i++) {
		check_pattern(t->bufs[i].addr, SIZE, 1);
		memset(t->bufs[i].addr, 0x77, SIZE);
	}
	buf_get(&buf, &t->hosts[1], SIZE, ODP_ACCESS);
	family->addr = buf.addr;
	family->rkey = buf.mr->rkey;
	family->registered = true;
	wait_for(&family->written);
	check_pattern(buf.addr, SIZE, 10);
	_exit(0);
}

/* The parent goes on while there is a child, writes to it, and outlives it. */
static void parent_of_fork(struct trial *t, struct end *a, struct end *b,
			   struct family *family, pid_t pid)
{
	struct ibv_mr mr = {};
	struct buf theirs = { .mr = &mr };
	struct ibv_sge sge = buf_sge(&t->bufs[0], 0, SIZE);

	check_writes(t, a, 5);
	check_writes(t, b, 6);
	family->moved = true;
	while (!family->registered)
		check_writes(t, a, 7);
	theirs.addr = family->addr;
	mr.rkey = family->rkey;
	fill_pattern(t->bufs[0].addr, SIZE, 10);
	do_one(a, W, sge, &theirs, 0);
	check_pattern(t->bufs[1].addr, SIZE, 7);
	family->written = true;
	CHECK_EQ(wait_child(pid), 0);
	check_writes(t, b, 8);
	check_writes(t, a, 9);
	/* the region still exists, but its memory is gone */
	post_one(a, W, sge, &theirs, 0);
	wait_status(a->send_cq, IBV_WC_REM_ACCESS_ERR);
	check_pattern(t->bufs[1].addr, SIZE, 9);
}

static void forked(int access)
{
	struct pair_config config = {};
	struct family *family;
	struct end a, b;
	struct trial t;
	pid_t pid;

	trial_up(&t, access);
	connect_ends(&a, &t.hosts[0], &b, &t.hosts[1], &config);
	check_writes(&t, &a, 1);
	family = shared_memory(sizeof(*family));
	fflush(stdout);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid)
		child_of_fork(&t, family);
	parent_of_fork(&t, &a, &b, family, pid);
	CHECK_EQ(munmap(family, sizeof(*family)), 0);
	end_destroy(&a);
	end_destroy(&b);
	buf_put(&t.bufs[0]);
	buf_put(&t.bufs[1]);
	host_close(&t.hosts[0]);
	/* the child's region goes with the context that it was made through */
	CHECK_EQ(ibv_dealloc_pd(t.hosts[1].pd), EBUSY);
	CHECK_EQ(ibv_close_device(t.hosts[1].ctx), 0);
	resources_check(&t.before);
	check_works();
}

static void fork_and_go_on(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		forked(ALL_ACCESS);
		forked(ODP_ACCESS);
	}
}

static void set_online(const char *path, const char *value)
{
	FILE *file = fopen(path, "w");

	if (!file)
		skip("no second CPU that can be taken away");
	CHECK(fputs(value, file) >= 0);
	CHECK_EQ(fclose(file), 0);
}

/* When a CPU goes offline, flows and their works leave it. */
static void cpus_gone(void)
{
	static const char cpu[] = "/sys/devices/system/cpu/cpu1/online";
	struct traffic *traffic;
	int i;

	set_online(cpu, "1");
	traffic = traffic_start(ODP_ACCESS, traffic_peer_killed);
	for (i = 0; i < 10; i++) {
		test_at("round %d", i);
		traffic_moves(traffic);
		set_online(cpu, "0");
		traffic_moves(traffic);
		set_online(cpu, "1");
	}
	traffic_kill(traffic, 0);
	traffic_end(traffic);
	check_works();
}

#define NUMBERS	16

/* A peer may still use the number of a destroyed object: it is not reused soon. */
static void numbers_gone(void)
{
	unsigned int qpns[NUMBERS], keys[NUMBERS];
	struct pair_config config = {};
	struct host host;
	struct end end;
	struct buf buf;
	int i, j;

	host_open(&host, 0);
	for (i = 0; i < NUMBERS; i++) {
		end_create(&end, &host, &config);
		qpns[i] = end.qp->qp_num;
		end_destroy(&end);
		buf_get(&buf, &host, SIZE, ALL_ACCESS);
		/* the other bits of a key are random in any case */
		keys[i] = buf.mr->rkey >> 8;
		buf_put(&buf);
		for (j = 0; j < i; j++) {
			CHECK(qpns[i] != qpns[j]);
			CHECK(keys[i] != keys[j]);
		}
	}
	host_close(&host);
}

static const struct test tests[] = {
	{ "processes are killed in traffic", processes_killed },
	{ "processes end while their page fault sleeps", faults_asleep },
	{ "queue pairs are destroyed before their packets", packets_held },
	{ "queue pairs are destroyed while timers run", destroyed_at_once },
	{ "reset and error in traffic, then recovery", up_again },
	{ "a forked child ends and its parent goes on", fork_and_go_on },
	{ "CPUs go offline and online in traffic", cpus_gone },
	{ "numbers of destroyed queue pairs and regions are not reused soon",
	  numbers_gone },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
