// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Contexts that children inherit, and that exec() leaves behind: memory belongs
 * to the process that registered it, and ends with that process.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

#define W	IBV_WR_RDMA_WRITE
#define R	IBV_WR_RDMA_READ
#define SIZE	(64 * 1024)

/* a process's end of a connection and its memory, as its peer needs them */
struct told {
	union ibv_gid gid;
	unsigned int qpn;
	unsigned int rkey;
	unsigned char *addr;
};

static void tell(int fd, const struct told *told)
{
	CHECK_EQ(write(fd, told, sizeof(*told)), sizeof(*told));
}

static struct told hear(int fd)
{
	struct told told;

	CHECK_EQ(read(fd, &told, sizeof(told)), sizeof(told));
	return told;
}

/* one of another process's buffers, in the form that post_one() takes */
static struct buf peer_buf(const struct told *told, struct ibv_mr *mr)
{
	struct buf buf = { .addr = told->addr, .len = SIZE, .mr = mr };

	mr->rkey = told->rkey;
	return buf;
}

static void end_well(pid_t child)
{
	int status;

	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static pid_t fork_one(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	return child;
}

/**
 * struct talk - two pipes between the test and its child
 * @up: to the test
 * @down: from it
 */
struct talk {
	int up[2];
	int down[2];
};

static void talk_begin(struct talk *talk)
{
	CHECK_EQ(pipe2(talk->up, O_CLOEXEC) | pipe2(talk->down, O_CLOEXEC), 0);
}

static void go_on(const struct talk *talk)
{
	CHECK_EQ(write(talk->down[1], "", 1), 1);
}

static void wait_for_go(const struct talk *talk)
{
	char byte;

	CHECK_EQ(read(talk->down[0], &byte, 1), 1);
}

static const struct pair_config config = { .timeout = 15, .depth = 8 };

/**
 * struct user - the test's own side, on hosta
 * @host: the device
 * @end: connected to the server
 * @local: memory
 * @peer: the server's memory
 * @peer_mr: of @peer
 */
struct user {
	struct host host;
	struct end end;
	struct buf local;
	struct buf peer;
	struct ibv_mr peer_mr;
};

static void user_up(struct user *user, const struct talk *talk)
{
	struct told told = hear(talk->up[0]);

	host_open(&user->host, 0);
	end_create(&user->end, &user->host, &config);
	buf_get(&user->local, &user->host, SIZE, ODP_ACCESS);
	user->peer = peer_buf(&told, &user->peer_mr);
	end_to_init(&user->end, &config);
	end_to_rtr(&user->end, told.qpn, &told.gid, &config);
	end_to_rts(&user->end, &config);
	told = (struct told) {
		.gid = user->host.gids[0].gid,
		.qpn = user->end.qp->qp_num,
	};
	tell(talk->down[1], &told);
	hear(talk->up[0]);
}

static void user_down(struct user *user)
{
	end_destroy(&user->end);
	buf_put(&user->local);
	host_close(&user->host);
}

static void move(struct user *user, enum ibv_wr_opcode opcode,
		 const struct buf *peer, enum ibv_wc_status status)
{
	post_one(&user->end, opcode, buf_sge(&user->local, 0, SIZE), peer, 0);
	wait_status(user->end.send_cq, status);
}

/* a forked process: hostb, connected, with memory */
static void serve(struct host *host, const struct talk *talk, int access)
{
	struct end end;
	struct buf buf;
	struct told told;

	host_open(host, 1);
	end_create(&end, host, &config);
	buf_get(&buf, host, SIZE, access);
	end_to_init(&end, &config);
	told = (struct told) {
		.gid = host->gids[0].gid,
		.qpn = end.qp->qp_num,
		.rkey = buf.mr->rkey,
		.addr = buf.addr,
	};
	tell(talk->up[1], &told);
	told = hear(talk->down[0]);
	end_to_rtr(&end, told.qpn, &told.gid, &config);
	end_to_rts(&end, &config);
	tell(talk->up[1], &told);
}

/* a child of that: memory of its own, by its parent's context */
static void lend(struct host *host, const struct talk *talk, int access)
{
	struct told told = {};
	struct buf buf;

	buf_get(&buf, host, SIZE, access);
	told.rkey = buf.mr->rkey;
	told.addr = buf.addr;
	tell(talk->up[1], &told);
	wait_for_go(talk);
	check_pattern(buf.addr, SIZE, 3);
	fill_pattern(buf.addr, SIZE, 4);
	tell(talk->up[1], &told);
	wait_for_go(talk);
	_exit(0);
}

static void serve_and_lend(const struct talk *talk, int access)
{
	struct host host;
	pid_t child;

	serve(&host, talk, ODP_ACCESS);
	child = fork_one();
	if (!child)
		lend(&host, talk, access);
	end_well(child);
	/* the child has been waited for */
	tell(talk->up[1], &(struct told) {});
	pause();
}

/*
 * A child registers what it has mapped itself, at an address that may be
 * something else to its parent; peers access it through the parent's queue pair.
 * When either process ends, its own on-demand memory is gone.
 */
static void lent_by_child(int access, bool parent_ends)
{
	struct ibv_mr lent_mr;
	struct buf lent;
	struct talk talk;
	struct user user;
	struct told told;
	pid_t parent;

	talk_begin(&talk);
	parent = fork_one();
	if (!parent)
		serve_and_lend(&talk, access);
	user_up(&user, &talk);
	told = hear(talk.up[0]);
	lent = peer_buf(&told, &lent_mr);
	fill_pattern(user.local.addr, SIZE, 3);
	move(&user, W, &user.peer, IBV_WC_SUCCESS);
	move(&user, W, &lent, IBV_WC_SUCCESS);
	go_on(&talk);
	hear(talk.up[0]);
	if (parent_ends) {
		CHECK_EQ(kill(parent, SIGKILL), 0);
		CHECK_EQ(waitpid(parent, NULL, 0), parent);
	}
	move(&user, R, &lent, IBV_WC_SUCCESS);
	check_pattern(user.local.addr, SIZE, 4);
	if (parent_ends) {
		move(&user, R, &user.peer, IBV_WC_REM_ACCESS_ERR);
		go_on(&talk);
	} else {
		go_on(&talk);
		hear(talk.up[0]);
		move(&user, R, &user.peer, IBV_WC_SUCCESS);
		check_pattern(user.local.addr, SIZE, 3);
		move(&user, R, &lent, access & IBV_ACCESS_ON_DEMAND ?
				      IBV_WC_REM_ACCESS_ERR : IBV_WC_SUCCESS);
		CHECK_EQ(kill(parent, SIGKILL), 0);
		CHECK_EQ(waitpid(parent, NULL, 0), parent);
	}
	user_down(&user);
}

static void child_ends(void)
{
	struct resources before;

	resources_get(&before);
	lent_by_child(ODP_ACCESS, false);
	lent_by_child(ALL_ACCESS, false);
	resources_check(&before);
}

static void parent_ends(void)
{
	struct resources before;

	resources_get(&before);
	lent_by_child(ODP_ACCESS, true);
	lent_by_child(ALL_ACCESS, true);
	resources_check(&before);
}

/* becomes another program once traffic is under way */
static void become_another(const struct talk *talk, bool keep, int access)
{
	struct host host;

	close(talk->down[1]);
	serve(&host, talk, access);
	wait_for_go(talk);
	if (keep)
		CHECK_EQ(fcntl(host.ctx->cmd_fd, F_SETFD, 0), 0);
	/* cat ends when its input is closed */
	CHECK_EQ(dup2(talk->down[0], 0), 0);
	execlp("cat", "cat", NULL);
	_exit(1);
}

static void exec_in_traffic(bool keep, int access, enum ibv_wc_status status)
{
	struct talk talk;
	struct user user;
	struct ibv_wc wc;
	pid_t child;
	char byte;
	int i;

	test_at("the context is %s, access %#x", keep ? "kept" : "closed",
		access);
	talk_begin(&talk);
	child = fork_one();
	if (!child)
		become_another(&talk, keep, access);
	close(talk.up[1]);
	user_up(&user, &talk);
	for (i = 0; i < 4; i++)
		post_one(&user.end, W, buf_sge(&user.local, 0, SIZE), &user.peer,
			 0);
	go_on(&talk);
	if (status == IBV_WC_SUCCESS) {
		/* the child's end of this is closed by its exec */
		CHECK_EQ(read(talk.up[0], &byte, 1), 0);
		for (i = 0; i < 4; i++)
			wait_ok(user.end.send_cq);
		move(&user, W, &user.peer, status);
	} else {
		while ((wc = wait_cqe(user.end.send_cq)).status ==
		       IBV_WC_SUCCESS)
			post_one(&user.end, W, buf_sge(&user.local, 0, SIZE),
				 &user.peer, 0);
		/* closing destroys what is newest first: the region may go first */
		CHECK(wc.status == status ||
		      (!keep && wc.status == IBV_WC_REM_ACCESS_ERR));
	}
	CHECK_EQ(close(talk.down[1]), 0);
	end_well(child);
	user_down(&user);
	close(talk.up[0]);
	close(talk.down[0]);
}

static void exec_closes(void)
{
	struct resources before;

	resources_get(&before);
	exec_in_traffic(false, ALL_ACCESS, IBV_WC_RETRY_EXC_ERR);
	resources_check(&before);
}

static void exec_keeps(void)
{
	struct resources before;

	resources_get(&before);
	exec_in_traffic(true, ODP_ACCESS, IBV_WC_REM_ACCESS_ERR);
	exec_in_traffic(true, ALL_ACCESS, IBV_WC_SUCCESS);
	resources_check(&before);
}

static const struct test tests[] = {
	{ "a child registers by its parent's context, and ends", child_ends },
	{ "a child registers, and its parent ends", parent_ends },
	{ "exec closes the context in traffic", exec_closes },
	{ "exec keeps the context open", exec_keeps },
	{}
};

int main(int argc, char **argv)
{
	host_tests(tests, argv + 1);
}
